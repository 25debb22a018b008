"""In tests all is on one connection: what code does in atomic() and in savepoints, the Scheduler does with it."""

from tempfile import NamedTemporaryFile

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase

from orders.jobs import fail, remind, remind_later
from orders.models import Order
from tickonce import every
from tickonce.contrib.django import scheduler
from tickonce.contrib.django.models import ReadOnly, Run, Schedule
from tickonce.contrib.django.testing import run_due
from tickonce.errors import ConfigError, NoSchedule


class Undone(Exception):
    """Rolls a transaction back."""


class TestInTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.order = Order.objects.create(name="ada")
        scheduler.add("of-the-class", remind.bind("ada"), every("1h"))

    def test_a_row_and_its_schedule_are_there(self):
        self.client.post("/orders/", {"name": "bob"})
        assert Order.objects.filter(name="bob").exists()
        assert scheduler.get("remind-bob").job == "orders.jobs.remind"

    def test_neither_is_there_after_a_failure(self):
        with pytest.raises(RuntimeError):
            self.client.post("/orders/", {"name": "bob", "fail": "yes"})
        assert not Order.objects.filter(name="bob").exists()
        with pytest.raises(NoSchedule):
            scheduler.get("remind-bob")

    def test_savepoints(self):
        with transaction.atomic():
            scheduler.add("outer", remind.bind("ada"), every("1h"))
            with pytest.raises(Undone), transaction.atomic():
                scheduler.add("inner", remind.bind("ada"), every("1h"))
                scheduler.pause("outer")
                scheduler.remove("of-the-class")
                raise Undone
        assert scheduler.get("outer").state == "active"
        assert [each.id for each in scheduler.schedules()] == ["of-the-class", "outer"]

    def test_what_the_class_made_is_there_and_nothing_of_other_tests(self):
        assert [each.id for each in scheduler.schedules()] == ["of-the-class"]

    def test_what_is_due_is_run_in_the_tests_own_transaction(self):
        scheduler.add("later", remind_later.bind("ada"), every("1h"))
        runs = run_due(until="2h")
        assert [run.state for run in runs] == ["succeeded"] * 4
        self.order.refresh_from_db()
        assert self.order.reminded == 4
        assert {run.result for run in runs} < {
            "1",
            "2",
            "3",
            "4",
            None,
        }  # what the job returned, which of both came first

    def test_time_goes_on_where_it_was(self):
        first = run_due(until="1h")
        second = run_due(until="1h")
        assert [len(first), len(second)] == [1, 1]
        assert (second[0].scheduled_time - first[0].scheduled_time).total_seconds() == 3600

    def test_time_begins_anew_in_the_next_test(self):
        import datetime

        now = datetime.datetime.now(datetime.UTC)
        assert abs((scheduler.store.instant() - now).total_seconds()) < 3600

    def test_a_failure_has_its_traceback(self):
        scheduler.add("fails", fail, every("1h"))
        (run,) = (run for run in run_due(until="1h") if run.schedule_id == "fails")
        assert run.state == "failed"
        assert "the till is empty" in run.error

    def test_declared_schedules_are_declared_by_the_first_run_due(self):
        run_due(until="1s")
        assert scheduler.get("billing-month").definition.trigger.spec()["tz"] == "Asia/Shanghai"

    def test_no_node_can_be_started(self):
        with pytest.raises(ConfigError, match="run_due"):
            scheduler.start()

    def test_on_commit_runs_after_both(self):
        with self.captureOnCommitCallbacks(execute=True) as callbacks, transaction.atomic():
            scheduler.add("outer", remind.bind("ada"), every("1h"))
            transaction.on_commit(lambda: scheduler.pause("outer"))
        assert len(callbacks) == 1  # ours adds none
        assert scheduler.get("outer").state == "paused"

    def test_using_still_works(self):
        scheduler.using(connection).add("explicit", remind.bind("ada"), every("1h"))
        assert scheduler.get("explicit").id == "explicit"

    def test_search_knows_capital_letters_beyond_ascii(self):
        scheduler.add("umlaut", remind.bind("ada"), every("1h"), description="Überweisung")
        assert [each.id for each in scheduler.schedules(text="überweisung")] == ["umlaut"]

    def test_commands_use_the_tests_connection_too(self):
        from io import StringIO

        said = StringIO()
        call_command("tickonce", "ls", stdout=said)
        assert "of-the-class" in said.getvalue()


class TestThatCommits(TransactionTestCase):
    def test_it_commits(self):
        scheduler.add("committed", remind.bind("ada"), every("1h"))
        run_due(until="1h")
        assert scheduler.get("committed").id == "committed"

    def test_it_commits_again(self):
        """The flush between has emptied our tables, too, and time is the machine's again."""
        scheduler.add("committed", remind.bind("ada"), every("1h"))
        assert len(run_due(until="1h")) == 1
        assert scheduler.runs().items[0].state == "failed"  # there is no such order


@pytest.mark.django_db
def test_with_the_fixtures_of_pytest_django(client):
    client.post("/orders/", {"name": "eve"})
    assert [run.state for run in run_due(until="1h")] == ["succeeded"]
    assert Order.objects.get(name="eve").reminded == 1


@pytest.mark.django_db
def test_rows_are_only_read():
    scheduler.add("nightly", remind.bind("ada"), every("1h"))
    row = Schedule.objects.get(pk="nightly")
    for write in (
        row.save,
        row.delete,
        Schedule.objects.all().delete,
        lambda: Schedule.objects.update(state="paused"),
        lambda: Schedule.objects.create(id="x"),
        lambda: Run.objects.bulk_create([]),
    ):
        with pytest.raises(ReadOnly):
            write()
    assert scheduler.get("nightly").state == "active"


@pytest.mark.django_db
def test_the_author_is_written_down():
    with scheduler.acting_as("ada"):
        scheduler.add("nightly", remind.bind("ada"), every("1h"))
    scheduler.pause("nightly")
    found = scheduler.get("nightly")
    assert found.created_by == "ada"
    assert "@" in found.updated_by


def test_settings_can_be_overridden(settings):
    settings.TICKONCE = {"tz": "Europe/Paris", "slots": 3}
    assert (scheduler.tz, scheduler.config.slots) == ("Europe/Paris", 3)


def test_names_are_those_of_modules():
    assert {"orders.jobs.remind", "billing.close_month"} <= scheduler.jobs.names()


class TestFixtures(TransactionTestCase):
    def test_what_is_dumped_and_loaded_leaves_the_store_alone(self):
        """A fixture may have rows of the store in it; to write them would set schedules back."""
        scheduler.add("nightly", remind.bind("ada"), every("5m"))
        with NamedTemporaryFile("w", suffix=".json") as fixture:
            call_command("dumpdata", stdout=fixture)
            fixture.flush()
            scheduler.update("nightly", trigger=every("10m"))
            call_command("loaddata", fixture.name, verbosity=0)
        assert str(scheduler.get("nightly").definition.trigger.period) == "0:10:00"
        assert scheduler.get("nightly").revision == 2

    def test_rows_are_where_the_store_is(self):
        scheduler.add("nightly", remind.bind("ada"), every("5m"))
        assert Schedule.objects.using("default").count() == 1
