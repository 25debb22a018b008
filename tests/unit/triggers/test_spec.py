"""Triggers from JSON and from text, and those that this code does not know."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickonce.errors import TriggerError, UnknownTrigger
from tickonce.triggers import (
    OpaqueTrigger,
    Trigger,
    at,
    but_not,
    calendar_interval,
    cron,
    every,
    intersection,
    load_trigger,
    parse_trigger,
    solar,
    trigger_from_spec,
    union,
)
from tickonce.triggers.instants import format_instant, parse_instant

#: Specs as stores hold them since the first release, with the fires that follow. Lines are added, never changed.
KEPT = [json.loads(line) for line in Path(__file__).with_name("specs.jsonl").read_text().splitlines()]

NOW = datetime(2026, 11, 21, 7, 33, tzinfo=UTC)
CRON: dict[str, Any] = {"kind": "cron", "version": 1, "dialect": "unix", "expression": "0 9 * * 1-5"}
EVERY: dict[str, Any] = {"kind": "every", "version": 1, "period": "5m"}
MONTHLY: dict[str, Any] = {"kind": "calendar", "version": 1, "months": 1, "anchor": "2026-01-31"}
PLANT: dict[str, Any] = {"days": "working", "name": "x", "years": [2026, 2027], "holidays": [], "unknown": "hold"}
ON_DAYS: dict[str, Any] = {"kind": "on_days", "version": 1, "trigger": EVERY, "calendar": PLANT, "condition": "only"}
SUN: dict[str, Any] = {"kind": "solar", "version": 1, "event": "sunrise", "latitude": 31.23, "longitude": 121.47}
RULE: dict[str, Any] = {"kind": "rrule", "version": 1, "rule": "DTSTART:20260101T090000\nRRULE:FREQ=DAILY"}
UNION: dict[str, Any] = {"kind": "union", "version": 1, "triggers": [EVERY, CRON]}
AT: dict[str, Any] = {"kind": "at", "version": 1, "instants": ["2026-12-01T01:00:00Z"]}


# -- what was ever written ---------------------------------------------------------------------


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: json.dumps(kept["spec"], ensure_ascii=False))
def test_a_spec_that_was_ever_written_is_read_for_ever_with_the_same_meaning(kept):
    trigger = trigger_from_spec(kept["spec"])
    assert trigger.spec() == kept["spec"]
    instant: datetime | None = parse_instant(kept["after"], what="after")
    for text in kept["fires"]:
        assert instant is not None
        instant = trigger.next_after(instant)
        assert (None if instant is None else format_instant(instant)) == text


def test_every_kind_and_field_is_kept():
    seen = {(kept["spec"]["kind"], kept["spec"]["version"], name) for kept in KEPT for name in kept["spec"]}
    wanted = {
        ("cron", 1): ("dialect", "expression", "tz"),
        ("cron", 2): ("dialect", "expression", "tz", "gap", "fold"),
        ("every", 1): ("period", "anchor", "spread", "shift"),
        ("at", 1): ("instants",),
        ("calendar", 1): ("months", "days", "at", "anchor", "overflow", "tz", "gap", "fold"),
        ("on_days", 1): ("trigger", "calendar", "condition", "move", "tz"),
        ("rrule", 1): ("rule", "tz", "gap", "fold"),
        ("rrule", 2): ("rule", "tz", "gap", "fold"),
        ("solar", 1): ("event", "latitude", "longitude"),
        ("union", 1): ("triggers",),
        ("intersection", 1): ("triggers",),
        ("but_not", 1): ("triggers",),
    }
    assert {(*kind, name) for kind, names in wanted.items() for name in names} <= seen


@pytest.mark.parametrize(
    ("trigger", "spec"),
    [
        (cron("0 9 * * 1-5"), CRON),
        (cron("0 9 * * 1-5", tz="Asia/Shanghai"), CRON | {"tz": "Asia/Shanghai"}),
        (cron("@Daily"), CRON | {"expression": "@daily"}),
        (every("300s"), EVERY),
        (every("5m", spread=True), EVERY | {"spread": True}),
        (every("5m", anchor="2026-01-01T09:00+08:00"), EVERY | {"anchor": "2026-01-01T01:00:00Z"}),
        (at("2026-12-01T09:00+08:00"), AT),
        (calendar_interval(months=1, anchor="2026-01-31"), MONTHLY),
        (
            calendar_interval(weeks=1, at="9:00"),
            {"kind": "calendar", "version": 1, "days": 7, "at": "09:00", "anchor": "1970-01-05"},
        ),
        (union(every("5m"), cron("0 9 * * 1-5")), UNION),
        (intersection(every("5m"), cron("0 9 * * 1-5")), UNION | {"kind": "intersection"}),
        (but_not(every("5m"), cron("0 9 * * 1-5")), UNION | {"kind": "but_not"}),
    ],
)
def test_the_json_form_names_what_is_not_at_its_default(trigger, spec):
    assert trigger.spec() == spec
    assert json.loads(json.dumps(trigger.spec())) == spec
    assert trigger_from_spec(MappingProxyType(spec)) == trigger


# -- what is not known, and what is wrong ------------------------------------------------------

UNKNOWN = [
    {"kind": "lunar", "version": 1, "event": "full"},
    RULE | {"version": 3},
    RULE | {"until": 1},
    SUN | {"version": 2},
    SUN | {"offset": "30m"},
    CRON | {"version": 3},
    CRON | {"version": 2, "dialect": "systemd"},
    CRON | {"dialect": "quartz"},
    CRON | {"calendar": "cn"},
    CRON | {"calendar": "cn", "expression": "0 0 L * *"},  # what a newer field makes of the rest is not known either
    CRON | {"tz": "Antarctica/New_Base"},
    EVERY | {"jitter": "5s"},
    AT | {"tz": "UTC"},
    ON_DAYS | {"version": 2},
    ON_DAYS | {"hours": 5},
    ON_DAYS | {"trigger": {"kind": "moon", "version": 1}},
    ON_DAYS | {"calendar": {"days": "working", "country": "CN", "unknown": "weekday", "moon": 1}},
    MONTHLY | {"version": 2},
    MONTHLY | {"jitter": 1},
    MONTHLY | {"tz": "Antarctica/New_Base"},
    UNION | {"version": 2},
    UNION | {"weights": [1, 2]},
    UNION | {"triggers": [EVERY, {"kind": "moon", "version": 1}]},  # a whole is known when all of its parts are
]
WRONG = [
    (RULE | {"rule": None}, "rule: text is needed"),
    (RULE | {"rule": "FREQ=DAILY"}, "is not understood"),
    (RULE | {"gap": "before"}, "gap: 'before'"),
    (SUN | {"event": "moonrise"}, "event: 'moonrise' is not known"),
    (SUN | {"event": None}, "event: text is needed"),
    (SUN | {"latitude": 91}, "latitude: degrees from -90 to 90"),
    (SUN | {"longitude": "121"}, "longitude: degrees"),
    (SUN | {"longitude": True}, "longitude: degrees"),
    ({}, "kind: a trigger's spec needs one"),
    ({"version": 1}, "kind"),
    ({"kind": 5, "version": 1}, "kind"),
    ({"kind": "cron"}, "version: a trigger's spec needs one, a number from 1; got None"),
    (CRON | {"version": "1"}, "version"),
    (CRON | {"version": True}, "version"),
    (CRON | {"version": 0}, "version"),
    (CRON | {"version": 1.0}, "version"),
    (CRON | {"expression": "60 * * * *"}, "minute: 60 is out of range"),
    (CRON | {"expression": None}, "expression: text is needed, got None"),
    ({"kind": "cron", "version": 1, "dialect": "unix"}, "expression: text is needed"),
    ({"kind": "cron", "version": 1, "expression": "* * * * *"}, "dialect: text is needed"),
    (CRON | {"expression": "0 0 L * *"}, "'L' is not understood"),  # what version 1 accepts never grows
    (CRON | {"expression": "0 22-2 * * *"}, "runs backwards"),
    (CRON | {"expression": "*/5 * * * * mon"}, "has 6 field"),
    (CRON | {"expression": "H * * * *"}, "'H' is not understood"),
    (CRON | {"version": 2, "gap": "before"}, "gap: 'before' is not a policy; allowed 'after'"),
    (CRON | {"version": 2, "fold": "twice"}, "fold: 'twice' is not a policy; allowed 'once'"),
    (CRON | {"version": 2, "fold": True}, "fold: text is needed"),
    (CRON | {"tz": 8}, "tz: text is needed, got 8"),
    (CRON | {"tz": "../../etc/passwd"}, "no zone is called"),
    (CRON | {"tz": "localtime"}, "different zone on each machine"),
    (EVERY | {"period": 300}, "period: text is needed, got 300"),
    (EVERY | {"period": "0s"}, "too short"),
    (EVERY | {"spread": 1}, "spread: true or false is needed, got 1"),
    (EVERY | {"spread": None}, "spread"),
    (EVERY | {"anchor": "2026-01-01T00:00"}, "no UTC offset"),
    (EVERY | {"shift": "1s"}, "needs spread=True"),
    (AT | {"instants": []}, "an instant is needed"),
    (AT | {"instants": "2026-12-01T01:00:00Z"}, "instants: a list of texts"),
    (AT | {"instants": {"a": 1}}, "instants: a list of texts"),
    (AT | {"instants": [1]}, "instants: each must be text"),
    (AT | {"instants": ["2026-12-01"]}, "no UTC offset"),
    ({"kind": "at", "version": 1}, "instants"),
    (ON_DAYS | {"trigger": None}, "a trigger's spec is a mapping"),
    (ON_DAYS | {"calendar": None}, "calendar: a mapping is needed"),
    (ON_DAYS | {"condition": "never"}, "condition: 'never' is not known"),
    (ON_DAYS | {"condition": None}, "condition: text is needed"),
    (ON_DAYS | {"move": "later"}, "move: 'later' is not known"),
    (ON_DAYS | {"tz": "../x"}, "no zone is called"),
    (RULE | {"rule": "DTSTART:20260101T090000\nRRULE:FREQ=HOURLY"}, "FREQ=HOURLY is of version 2"),
    (MONTHLY | {"months": "1"}, "months: a whole number is needed"),
    (MONTHLY | {"months": True}, "months: a whole number is needed"),
    (MONTHLY | {"months": 0}, "how often"),
    (MONTHLY | {"days": 1}, "do not mix"),
    (MONTHLY | {"anchor": None}, "anchor: text is needed"),
    (MONTHLY | {"at": "9 o'clock"}, "is not a time of day"),
    (MONTHLY | {"overflow": "next"}, "overflow: 'next' is not known"),
    (UNION | {"triggers": []}, "two triggers or more"),
    (UNION | {"triggers": [EVERY]}, "two triggers or more"),
    (UNION | {"triggers": "0 9 * * *"}, "a list of specs"),
    (UNION | {"triggers": [EVERY, "0 9 * * *"]}, "a trigger's spec is a mapping"),
    (UNION | {"triggers": [EVERY] * 65}, "at most 64"),
    ([], "a trigger's spec is a mapping"),
    (None, "a trigger's spec is a mapping"),
    ("@daily", "a trigger's spec is a mapping"),
]


def test_a_cron_trigger_is_written_in_the_oldest_version_that_can_say_it():
    assert trigger_from_spec(CRON | {"version": 2}).spec() == CRON
    assert cron("0 9 * * 1-5", gap="after", fold="once").spec() == CRON
    assert cron("0 9 * * 1-5", fold="both").spec() == CRON | {"version": 2, "fold": "both"}
    assert cron("0 9 L * *").spec() == CRON | {"version": 2, "expression": "0 9 L * *"}


@pytest.mark.parametrize("spec", UNKNOWN, ids=json.dumps)
def test_what_newer_code_may_know_is_unknown_not_wrong(spec):
    with pytest.raises(UnknownTrigger):
        trigger_from_spec(spec)


@pytest.mark.parametrize(("spec", "said"), WRONG)
def test_what_is_known_and_wrong_is_refused(spec, said):
    for read in (trigger_from_spec, load_trigger):
        with pytest.raises(TriggerError, match=said) as caught:
            read(spec)
        assert not isinstance(caught.value, UnknownTrigger)


def test_an_unknown_trigger_is_kept_as_it_is():
    for spec in UNKNOWN:
        trigger = load_trigger(copy.deepcopy(spec))
        assert isinstance(trigger, OpaqueTrigger)
        assert isinstance(trigger, Trigger)
        assert trigger.spec() == spec
        assert list(trigger.spec()) == list(spec)
        assert trigger.resolved(schedule_id="a", tz="UTC") is trigger
        with pytest.raises(UnknownTrigger, match="upgrade tickonce or tzdata"):
            trigger.next_after(NOW)


def test_an_unknown_trigger_says_why():
    assert "no cron dialect 'quartz'" in load_trigger(CRON | {"dialect": "quartz"}).why  # type: ignore[attr-defined]
    assert "Antarctica/New_Base" in load_trigger(CRON | {"tz": "Antarctica/New_Base"}).why  # type: ignore[attr-defined]


def test_a_known_trigger_is_loaded_as_itself():
    assert load_trigger(CRON) == cron("0 9 * * 1-5")


def test_an_opaque_trigger_is_a_value():
    first: dict[str, Any] = {"kind": "x", "version": 1, "a": [1, {"b": None}]}
    second: dict[str, Any] = {"a": [1, {"b": None}], "version": 1, "kind": "x"}
    assert OpaqueTrigger(first) == OpaqueTrigger(second, why="another reason")
    assert hash(OpaqueTrigger(first)) == hash(OpaqueTrigger(second))
    assert OpaqueTrigger(first) != OpaqueTrigger(first | {"c": 1})
    assert pickle.loads(pickle.dumps(OpaqueTrigger(first))) == OpaqueTrigger(first)
    assert repr(OpaqueTrigger({"kind": "x", "version": 1})) == 'OpaqueTrigger({"kind":"x","version":1})'
    with pytest.raises(dataclasses.FrozenInstanceError):
        OpaqueTrigger(first).why = ""  # type: ignore[misc]


def test_changing_what_came_in_or_out_changes_no_trigger():
    given_spec: dict[str, Any] = {"kind": "x", "version": 1, "list": [1]}
    trigger = OpaqueTrigger(given_spec)
    given_spec["list"].append(2)
    out: Any = trigger.spec()
    out["list"].append(3)
    assert trigger.spec() == {"kind": "x", "version": 1, "list": [1]}


def test_what_is_no_json_cannot_be_kept():
    with pytest.raises(TriggerError, match="is JSON"):
        OpaqueTrigger({"kind": "x", "version": 1, "when": NOW})  # type: ignore[dict-item]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["kind", "version", "dialect", "expression", "tz", "period", "anchor", "spread", "instants"])
        | st.text(),
        st.sampled_from(["cron", "every", "at", 1, "unix", "0 9 * * *", "5m", "UTC", True]) | json_values,
    )
)
def test_any_json_is_loaded_or_refused_and_comes_back_untouched(spec):
    try:
        trigger = load_trigger(spec)
    except TriggerError as error:
        assert not isinstance(error, UnknownTrigger)  # noqa: PT017 - most of these are refused, and that is right
        return
    if isinstance(trigger, OpaqueTrigger):
        assert trigger.spec() == spec
        with pytest.raises(UnknownTrigger):
            trigger_from_spec(spec)
    else:
        assert trigger_from_spec(trigger.spec()) == trigger


# -- one line of text --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "trigger"),
    [
        ("0 9 * * 1-5", cron("0 9 * * 1-5")),
        ("  0 9 * *  mon-fri ", cron("0 9 * * mon-fri")),
        ("@daily", cron("@daily")),
        ("@DAILY", cron("@daily")),
        ("quartz 0 0 9 ? * MON-FRI", cron("0 0 9 ? * MON-FRI", dialect="quartz")),
        ("unix */5 * * * * *", cron("*/5 * * * * *", dialect="unix")),
        ("CRON_TZ=Asia/Tokyo 0 5 * * *", cron("0 5 * * *", tz="Asia/Tokyo")),
        ("TZ=Asia/Tokyo quartz 0 0 5 * * ?", cron("0 0 5 * * ?", tz="Asia/Tokyo", dialect="quartz")),
        ("H H * * *", cron("H H * * *")),
        ("every 5m", every("5m")),
        ("Every\t5m", every("5m")),
        ("@every 1h30m", every("90m")),
        ("every 1h 30m", every("90m")),
        ("every day at 09:00", calendar_interval(days=1, at="09:00")),
        ("every 2 weeks at 9:00:30 from 2026-01-06", calendar_interval(weeks=2, at="09:00:30", anchor="2026-01-06")),
        ("every 3 months at 18:00 in Asia/Shanghai", calendar_interval(months=3, at="18:00", tz="Asia/Shanghai")),
        ("solar sunrise 31.23 121.47", solar("sunrise", 31.23, 121.47)),
        ("Every Year at 00:00", calendar_interval(years=1)),
        ("at 2026-12-01T09:00+08:00", at("2026-12-01T01:00Z")),
        ("at 2026-12-01 09:00+08:00", at("2026-12-01T01:00Z")),
        ("at 2026-12-01T01:00Z, 2026-12-24T01:00Z", at("2026-12-01T01:00Z", "2026-12-24T01:00Z")),
    ],
)
def test_text(text, trigger):
    assert parse_trigger(text) == trigger


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("5m", "Did you mean 'every 5m'"),
        ("2026-12-01T00:00Z", "Did you mean 'at 2026-12-01T00:00Z'"),
        ("every", "period: '' is not a length"),
        ("every 5", "write '5s'"),
        ("every day", "needs a time of day, such as 'every day at 09:00'; elapsed time is written such as 'every 24h'"),
        ("every 0 days at 09:00", "number of days must be 1"),
        ("every 2 weeks at 25:00", "'25:00' is not a time of day"),
        ("every month at 09:00 from 2026-02-30", "'2026-02-30' is not a date"),
        ("every month at 09:00 in Asia/Shangai", "Did you mean 'Asia/Shanghai'"),
        ("solar sunrise", "such as 'solar sunrise 31.23 121.47'"),
        ("solar sunrise a b", "such as 'solar sunrise 31.23 121.47'"),
        ("solar sunset nan 0", "latitude: degrees"),
        ("solar moonrise 1 2", "'moonrise' is not known; allowed dawn_astronomical"),
        ("every fortnight", "'fortnight' is not a length"),
        ("at", "an instant is needed"),
        ("at ,", "an instant is needed"),
        ("at noon", "'noon' is not an instant"),
        ("at 2026-12-01T09:00", "has no UTC offset"),
        ("sometimes", "has 1 field"),
        ("60 * * * *", "minute: 60 is out of range"),
        ("x" * 1_000_000, "has 1000000 characters"),
        (5, "a trigger is text"),
        (None, "a trigger is text"),
    ],
)
def test_text_that_is_no_trigger_is_refused_with_advice(text, said):
    with pytest.raises(TriggerError, match=said):
        parse_trigger(text)
