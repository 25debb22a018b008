"""With connections of its own, as in production: what is in atomic() is seen by others with its commit, not before."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import django
import pytest
from django.db import connection, transaction

from orders.jobs import remind, ship
from orders.models import Order
from tickonce import every
from tickonce.contrib.django import scheduler
from tickonce.errors import NoSchedule, StoreBusy
from tickonce.stores.sql.connect import Lane


class Undone(Exception):
    """Rolls a transaction back."""


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def live(settings):
    settings.TICKONCE = {"testing": "live"}
    yield
    for each in scheduler.schedules(removed=True):
        if each.state != "removed":
            scheduler.remove(each.id)
    scheduler.close()  # else the server would not let its test database go


def add(id: str, name: str = "ada"):
    return scheduler.add(id, remind.bind(name), every("1h"))


def elsewhere(do):
    """Do it in a thread of its own, which is in no transaction."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(do).result()


def seen() -> set[str]:
    """What others see."""
    return elsewhere(lambda: {each.id for each in scheduler.schedules()})


def test_the_store_is_the_test_database_with_connections_of_our_own():
    assert str(connection.settings_dict["NAME"]) in scheduler.store.url
    assert "test" in scheduler.store.url
    add("alone")
    assert seen() == {"alone"}


def test_outside_of_atomic_each_edit_stands_alone():
    add("first")
    with pytest.raises(NoSchedule):
        scheduler.pause("second")
    assert seen() == {"first"}


def test_inside_of_atomic_others_see_it_with_the_commit():
    with transaction.atomic():
        Order.objects.create(name="ada")
        add("joined")
        assert scheduler.get("joined").id == "joined"
        assert seen() == set()
    assert seen() == {"joined"}


@pytest.mark.parametrize("verb", ["add", "update", "remove", "run_now", "pause"])
def test_a_rollback_takes_every_verb_back(verb):
    add("there")
    verbs = {
        "add": lambda: add("new"),
        "update": lambda: scheduler.update("there", owner="me"),
        "remove": lambda: scheduler.remove("there"),
        "run_now": lambda: scheduler.run_now("there", key="once"),
        "pause": lambda: scheduler.pause("there"),
    }
    before = scheduler.get("there")
    with pytest.raises(Undone), transaction.atomic():
        Order.objects.create(name="ada")
        verbs[verb]()
        raise Undone
    assert seen() == {"there"}
    assert scheduler.get("there") == before
    assert scheduler.runs().items == ()
    assert not Order.objects.exists()


def test_a_savepoint_takes_back_what_is_in_it():
    with transaction.atomic():
        add("outer")
        with pytest.raises(Undone), transaction.atomic():
            add("inner")
            scheduler.update("outer", owner="inner")
            raise Undone
        with transaction.atomic():
            add("second")
    assert seen() == {"outer", "second"}
    assert scheduler.get("outer").definition.owner == ""


def test_an_error_of_ours_leaves_the_transaction_usable():
    add("there")
    with transaction.atomic():
        Order.objects.create(name="ada")
        with pytest.raises(Exception, match="exists"):
            add("there")
        add("other")
    assert seen() == {"there", "other"}
    assert Order.objects.count() == 1


def test_on_commit_is_outside():
    """What it does is committed by itself: the transaction is over."""
    order: list[set[str]] = []
    with transaction.atomic():
        add("inside")
        transaction.on_commit(lambda: (add("after"), order.append(seen())))
        assert seen() == set()
    assert order == [{"inside", "after"}]


def test_on_commit_does_not_come_after_a_rollback():
    with pytest.raises(Undone), transaction.atomic():
        add("inside")
        transaction.on_commit(lambda: add("after"))
        raise Undone
    assert seen() == set()


def test_a_transaction_marked_for_rollback_takes_no_more():
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(transaction.TransactionManagementError):
            add("never")
    assert seen() == set()


if connection.vendor == "sqlite":

    def test_beside_it_the_file_would_be_locked():
        """Why edits join by themselves: a view in atomic() that has written would wait for itself."""
        with transaction.atomic():
            Order.objects.create(name="ada")
            lane = Lane(scheduler.store._dialect, "the test", timedelta(seconds=0.2))
            with pytest.raises(StoreBusy):
                lane.write(lambda tx: tx.tell("UPDATE {settings} SET value = value"))
            lane.close()
            add("joined")
        assert seen() == {"joined"}

    if django.VERSION < (5, 1):

        def test_one_that_read_before_others_wrote_is_told_what_to_do():
            with pytest.raises(StoreBusy, match="transaction_mode"), transaction.atomic():
                assert not Order.objects.exists()
                elsewhere(lambda: add("others"))
                add("mine")
            assert seen() == {"others"}

else:

    def test_one_that_has_read_may_edit_though_others_have_written_since():
        with transaction.atomic():
            assert not Order.objects.exists()
            elsewhere(lambda: add("others"))
            add("mine")
            scheduler.update("others", owner="me")
        assert seen() == {"others", "mine"}
        assert scheduler.get("others").definition.owner == "me"


def test_a_job_ends_its_run_in_its_own_atomic_block():
    Order.objects.create(name="ada")
    scheduler.add("ship", ship.bind("ada"), every("1h"), retries=1)
    with scheduler.node():
        token = scheduler.run_now("ship", key="once").token
        for _ in range(600):
            if not (run := scheduler.run(token)).state.open:
                break
            time.sleep(0.05)
    while any(thread.name.startswith("tickonce-job") for thread in threading.enumerate()):
        time.sleep(0.01)  # with them go the connections of their own, which would keep the test database
    assert (run.state, run.attempt, run.failures) == ("succeeded", 2, 1)
    assert Order.objects.get(name="ada").reminded == 1
