"""Django's admin, through Django's test client."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection

from orders.jobs import fail, remind
from orders.models import Order
from tickonce import Retry, every
from tickonce.contrib.django import scheduler
from tickonce.contrib.django.testing import run_due
from tickonce.errors import TickonceError

pytestmark = pytest.mark.django_db
SCHEDULES, RUNS = "/admin/tickonce/schedule/", "/admin/tickonce/run/"


def person(client, *permissions: str, superuser: bool = False):
    user = User.objects.create_user("vera", is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="tickonce", codename__in=permissions))
    client.force_login(user)
    return client


@pytest.fixture
def boss(client):
    return person(client, superuser=True)


@pytest.fixture
def nightly():
    return scheduler.add("nightly", remind.bind("ada"), "0 21 * * *", description="Remind", tags=["mail"])


def text(response) -> str:
    assert response.status_code == 200, response
    return response.content.decode()


def form_of(client, id: str) -> dict:
    """The form as the page has it."""
    response = client.get(f"{SCHEDULES}{id}/change/")
    return {name: "" if value is None else value for name, value in response.context["adminform"].form.initial.items()}


# -- looking ---------------------------------------------------------------------------------------


def test_the_list_says_when_in_words_and_the_next_fire(boss, nightly):
    page = text(boss.get(SCHEDULES))
    assert "every day at 21:00, Asia/Shanghai time" in page
    assert "21:00:00" in page  # in the project's zone


def test_words_follow_the_language(boss, nightly, settings):
    settings.LANGUAGE_CODE = "zh-hans"
    from django.utils import translation

    with translation.override("zh-hans"):
        assert "每天" in text(boss.get(SCHEDULES))


def test_a_schedule_shows_its_next_fires_its_runs_and_who_edited_it(boss, nightly):
    run_due(until="1d")
    page = text(boss.get(f"{SCHEDULES}nightly/change/"))
    assert page.count("21:00:00") >= 5
    assert "failed" in page  # there is no such order
    assert "revision 1" in page


@pytest.mark.parametrize("query", ["?state=active", "?q=Remind", "?q=nosuch", "?queue=default", "?o=4.-5"])
def test_the_list_can_be_filtered_searched_and_ordered(boss, nightly, query):
    assert ("nightly" in text(boss.get(SCHEDULES + query))) == ("nosuch" not in query)


def test_runs_with_filters_and_their_traceback(boss, nightly):
    scheduler.add("fails", fail, every("12h"))
    run_due(until="1d")
    for query in ("?state=bad", "?since=7d", "?job=orders.jobs.fail", "?queue=default", "?q=fails", "?state=failed"):
        assert "fails@" in text(boss.get(RUNS + query)), query
    assert "fails@" not in text(boss.get(RUNS + "?state=open"))
    token = next(run.token for run in scheduler.runs() if run.schedule_id == "fails")
    link = re.search(r'href="(/admin/tickonce/run/fails[^"?]*/change/[^"]*)"', text(boss.get(RUNS)))[1]
    page = text(boss.get(link))
    assert token in page
    assert "ValueError: the till is empty" in page


def test_skips_and_nodes_are_listed(boss, nightly):
    scheduler.pause("nightly")
    run_due(until="2d")
    scheduler.resume("nightly")
    assert "paused" in text(boss.get("/admin/tickonce/skip/"))
    page = text(boss.get("/admin/tickonce/node/"))
    assert "inline-" in page
    link = re.search(r'href="(/admin/tickonce/node/inline[^"?]*/change/[^"]*)"', page)[1]
    assert "gone" in text(boss.get(link))


def test_one_that_newer_code_wrote_hides_no_other(boss, nightly):
    scheduler.add("newer", remind.bind("ada"), every("1h"))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tickonce_schedules SET definition = 'x' WHERE id = 'newer'")
    page = text(boss.get(SCHEDULES))
    assert "cannot be read here" in page
    assert "every day at 21:00" in page


# -- steps -----------------------------------------------------------------------------------------


def test_pause_resume_and_run_now_by_button(boss, nightly):
    def press(step):
        return boss.post(f"{SCHEDULES}nightly/{step}/", follow=True)

    page = text(boss.get(f"{SCHEDULES}nightly/change/"))
    assert all(f"{SCHEDULES}nightly/{step}/" in page for step in ("pause", "resume", "run_now"))
    assert "Paused" in text(press("pause"))
    assert (scheduler.get("nightly").state, scheduler.get("nightly").updated_by) == ("paused", "vera")
    press("run_now")
    assert [run.created_by for run in scheduler.runs()] == ["vera"]
    press("resume")
    assert scheduler.get("nightly").state == "active"
    assert "1 open run(s)" in text(press("run_now"))
    scheduler.remove("nightly")
    assert "no &#x27;nightly&#x27;" in text(press("pause"))


def test_remove_asks_first_and_leads_to_the_list(boss, nightly):
    page = text(boss.get(f"{SCHEDULES}nightly/change/"))
    button = next(form for form in re.findall(r"<form.*?</form>", page, flags=re.DOTALL) if "Remove" in form)
    assert 'method="get"' in button
    link = re.search(r'action="([^"]*)"', button)[1]
    asked = text(boss.get(link))
    assert "Are you sure" in asked
    assert "nightly" in asked
    assert scheduler.get("nightly").state == "active"
    answered = boss.post(link, {"post": "yes"}, follow=True)
    assert answered.redirect_chain == [(SCHEDULES, 302)]
    assert "was deleted successfully" in text(answered)
    assert "exist" not in text(answered)
    assert scheduler.schedules().items == ()
    assert scheduler.store.get("nightly").updated_by == "vera"


def test_nothing_is_removed_by_one_request(boss, nightly):
    boss.post(f"{SCHEDULES}nightly/remove/", follow=True)
    boss.post(f"{SCHEDULES}nightly/delete/", follow=True)
    assert scheduler.get("nightly").state == "active"


def test_a_removal_that_the_store_refuses_is_told(boss, nightly, monkeypatch):
    monkeypatch.setattr(scheduler, "remove", _refuse)
    said = text(boss.post(f"{SCHEDULES}nightly/delete/", {"post": "yes"}, follow=True))
    assert "somebody was faster" in said
    assert scheduler.get("nightly").state == "active"


def _refuse(id: str) -> None:
    raise TickonceError(f"{id}: somebody was faster")


def test_buttons_take_post_alone(boss, nightly):
    assert boss.get(f"{SCHEDULES}nightly/pause/").status_code == 405
    assert scheduler.get("nightly").state == "active"


def test_actions_on_several(boss, nightly):
    scheduler.add("second", remind.bind("ada"), every("1h"))

    def act(action):
        return boss.post(SCHEDULES, {"action": action, "_selected_action": ["nightly", "second"]}, follow=True)

    assert "Paused: 2" in text(act("pause_selected"))
    assert {each.state for each in scheduler.schedules()} == {"paused"}
    act("resume_selected")
    act("run_selected")
    assert {run.schedule_id for run in scheduler.runs()} == {"nightly", "second"}
    asked = text(act("delete_selected"))
    assert "Are you sure" in asked
    assert len(scheduler.schedules().items) == 2
    answer = {"action": "delete_selected", "_selected_action": ["nightly", "second"], "post": "yes"}
    assert "Removed: 2" in text(boss.post(SCHEDULES, answer, follow=True))
    assert scheduler.schedules().items == ()
    assert scheduler.store.get("nightly").state == "removed"  # a tombstone, not a row gone


def test_retry_and_cancel(boss, nightly):
    Order.objects.create(name="ada")
    scheduler.add("fails", fail, every("12h"))
    run_due(until="12h")
    (token,) = (run.token for run in scheduler.runs(states=["failed"]))
    boss.post(RUNS, {"action": "retry_selected", "_selected_action": [token]})
    assert scheduler.run(token).state == "pending"
    boss.post(RUNS, {"action": "cancel_selected", "_selected_action": [token]})
    assert scheduler.run(token).state == "cancelled"
    said = text(boss.post(RUNS, {"action": "cancel_selected", "_selected_action": [token]}, follow=True))
    assert "is cancelled" in said


def test_the_log_of_the_admin_says_who_did_what(boss, nightly):
    boss.post(f"{SCHEDULES}nightly/pause/")
    page = text(boss.get(f"{SCHEDULES}nightly/history/"))
    assert "Paused" in page
    assert "vera" in page


# -- editing ---------------------------------------------------------------------------------------


def test_an_edit_changes_what_was_changed_and_nothing_else(boss, nightly):
    before = scheduler.update("nightly", retries=5, timeout="10m")
    form = {**form_of(boss, "nightly"), "trigger": "30 21 * * *", "owner": "night shift"}
    assert boss.post(f"{SCHEDULES}nightly/change/", form).status_code == 302
    after = scheduler.get("nightly")
    assert after.definition.trigger.spec() == {**before.definition.trigger.spec(), "expression": "30 21 * * *"}
    assert after.definition.policy == before.definition.policy
    assert (after.definition.owner, after.definition.tags, after.updated_by) == ("night shift", ("mail",), "vera")
    assert after.definition.arguments == before.definition.arguments


def test_the_form_as_it_stands_changes_nothing(boss, nightly):
    before = scheduler.get("nightly")
    assert boss.post(f"{SCHEDULES}nightly/change/", form_of(boss, "nightly")).status_code == 302
    assert scheduler.get("nightly") == before


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("trigger", "61 * * * *", "61"),
        ("tz", "Mars/Olympus", "Mars"),
        ("arguments", "{", "arguments"),
        ("arguments", '{"nosuch": 1}', "missing a required argument"),
        ("timeout", "ten minutes", "timeout"),
        ("queue", "a b", "a b"),
        ("priority", "99999", "priority"),
    ],
)
def test_what_is_wrong_is_said_at_the_form_and_nothing_is_written(boss, nightly, field, value, said):
    before = scheduler.get("nightly")
    page = text(boss.post(f"{SCHEDULES}nightly/change/", {**form_of(boss, "nightly"), field: value}))
    errors = " ".join(re.findall(r'<ul class="errorlist.*?</ul>', page, flags=re.DOTALL))
    assert said in errors
    assert scheduler.get("nightly") == before


def test_somebody_elses_edit_meanwhile_is_not_overwritten(boss, nightly):
    form = {**form_of(boss, "nightly"), "owner": "me"}
    scheduler.update("nightly", owner="them")
    assert "somebody edited it" in text(boss.post(f"{SCHEDULES}nightly/change/", form))
    assert scheduler.get("nightly").definition.owner == "them"


NEW = {"id": "sync-eu", "job": "orders.jobs.remind", "trigger": "every 5m", "arguments": '{"name": "ada"}',
       "queue": "default", "priority": "0", "misfire": "latest", "overlap": "skip"}  # fmt: skip


def test_one_is_added(boss):
    assert boss.post(f"{SCHEDULES}add/", NEW).status_code == 302
    added = scheduler.get("sync-eu")
    assert (added.job, added.created_by) == ("orders.jobs.remind", "vera")
    Order.objects.create(name="ada")
    assert {run.state for run in run_due(until="5m")} == {"succeeded"}


def test_one_that_was_removed_can_be_added_again(boss):
    boss.post(f"{SCHEDULES}add/", NEW)
    boss.post(f"{SCHEDULES}sync-eu/delete/", {"post": "yes"})
    assert scheduler.schedules().items == ()
    assert boss.post(f"{SCHEDULES}add/", NEW).status_code == 302
    assert scheduler.get("sync-eu").state == "active"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("id", "a/b", "cannot be an id"),
        ("id", "nightly", "exists"),
        ("arguments", "", "missing"),
        ("job", "os.system", "valid choice"),
    ],
)
def test_a_new_one_is_checked(boss, nightly, field, value, said):
    assert said in text(boss.post(f"{SCHEDULES}add/", {**NEW, field: value}))
    assert [each.id for each in scheduler.schedules()] == ["nightly"]


# -- rights ----------------------------------------------------------------------------------------


def test_who_may_only_look_sees_no_button_and_can_press_none(client, nightly):
    looker = person(client, "view_schedule", "view_run", "view_skip", "view_node")
    page = text(looker.get(f"{SCHEDULES}nightly/change/"))
    assert "every day at 21:00" in page
    assert "Remind" in page
    assert "<button" not in re.sub(
        r"<button[^>]*(theme|id=\"toggle).*?</button>|<form id=\"logout.*?</form>", "", page, flags=re.DOTALL
    )
    assert "_save" not in page
    for step in ("pause", "resume", "run_now", "delete", "revert"):
        assert looker.post(f"{SCHEDULES}nightly/{step}/").status_code == 403
    assert looker.post(f"{SCHEDULES}nightly/change/", {"owner": "me"}).status_code == 403
    assert looker.get(f"{SCHEDULES}add/").status_code == 403
    looker.post(SCHEDULES, {"action": "pause_selected", "_selected_action": ["nightly"]})
    assert scheduler.get("nightly").revision == 1
    for page in (RUNS, "/admin/tickonce/skip/", "/admin/tickonce/node/"):
        text(looker.get(page))


def test_without_any_right_there_is_nothing(client, nightly):
    stranger = person(client)
    for page in (SCHEDULES, RUNS, "/admin/tickonce/skip/", "/admin/tickonce/node/"):
        assert stranger.get(page).status_code == 403


def test_to_run_is_a_right_of_its_own(client, nightly):
    operator = person(client, "view_schedule", "add_run")
    operator.post(f"{SCHEDULES}nightly/run_now/")
    assert [run.created_by for run in scheduler.runs()] == ["vera"]
    assert operator.post(f"{SCHEDULES}nightly/pause/").status_code == 403


def test_to_change_runs_is_a_right_of_its_own(client, nightly):
    person(client, "view_run", "view_schedule")
    run = scheduler.run_now("nightly")
    assert client.post(RUNS, {"action": "cancel_selected", "_selected_action": [run.token]}).status_code in (200, 302)
    assert scheduler.run(run.token).state == "pending"
    User.objects.all().delete()
    person(client, "view_run", "change_run")
    client.post(RUNS, {"action": "cancel_selected", "_selected_action": [run.token]})
    assert scheduler.run(run.token).state == "cancelled"


def test_pages_pass_the_checks_of_django():
    call_command("check")


# -- what goes wrong -------------------------------------------------------------------------------


def test_a_page_that_the_store_cannot_show_leads_back_to_the_list(boss, nightly, monkeypatch):
    def refuse(*_):
        raise TickonceError("the tables are of a newer release")

    monkeypatch.setattr(scheduler, "get", refuse)
    monkeypatch.setattr(type(scheduler.store), "get", refuse)
    response = boss.get(f"{SCHEDULES}nightly/change/")
    if response.status_code == 302:
        assert response["Location"] == SCHEDULES
    else:
        assert "newer release" in text(response)


def test_how_long_is_waited_between_retries_stays_as_it_is(boss, nightly):
    scheduler.update("nightly", retries=Retry(times=5, delay=timedelta(minutes=10), kind="fixed"))
    boss.post(f"{SCHEDULES}nightly/change/", {**form_of(boss, "nightly"), "retries": "6"})
    retry = scheduler.get("nightly").definition.policy.retry
    assert retry == Retry(times=6, delay=timedelta(minutes=10), kind="fixed")


def test_a_zone_that_is_none_is_refused_whatever_the_trigger(boss, nightly):
    form = {**form_of(boss, "nightly"), "trigger": "every 5m", "tz": "Mars/X"}
    assert "Mars/X" in text(boss.post(f"{SCHEDULES}nightly/change/", form))
    assert scheduler.get("nightly").revision == 1


def test_no_page_is_part_of_a_requests_transaction():
    """The Scheduler's own connection would wait for it, where a file is locked as a whole."""
    from django.urls import resolve

    for path in ("schedule/", "schedule/nightly/change/", "schedule/nightly/pause/", "run/", "run/a@b/cancel/"):
        assert "default" in resolve(f"/admin/tickonce/{path}").func._non_atomic_requests


def test_a_skip_record_has_no_page_of_its_own(boss, nightly):
    scheduler.pause("nightly")
    scheduler.resume("nightly")
    for page in ("change", "history"):
        assert boss.get(f"/admin/tickonce/skip/nightly/{page}/").status_code == 302
