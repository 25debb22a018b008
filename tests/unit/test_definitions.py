"""Definitions as JSON: exact there and back, stable as a hash, patient with what newer code wrote."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.planned import DAY, HOUR, SECOND, T0, US
from tickonce.codec import encode_arguments
from tickonce.definitions import (
    definition_of,
    dump_definition,
    dump_policy,
    form_of,
    hash_of,
    load_definition,
    load_policy,
    policy_form,
    policy_of,
)
from tickonce.model import CutOff, Definition, Misfire, OnLost, Overlap, Policy
from tickonce.retry import Retry
from tickonce.triggers import At, Cron, Every, OpaqueTrigger

# Up to a century: in float seconds, as JSON has them, microseconds are exact for 285 years.
DURATIONS = st.timedeltas(min_value=timedelta(0), max_value=36_500 * DAY)
LONG = st.timedeltas(min_value=US, max_value=36_500 * DAY)
POLICIES = st.builds(
    Policy,
    misfire=st.sampled_from(Misfire),
    overlap=st.sampled_from(Overlap),
    grace=DURATIONS,
    catch_up=DURATIONS,
    start_within=st.none() | LONG,
    timeout=st.none() | LONG,
    retry=st.none()
    | st.builds(
        Retry,
        times=st.integers(0, 1000),
        delay=DURATIONS,
        kind=st.sampled_from(["fixed", "exponential"]),
        limit=DURATIONS,
        jitter=st.floats(0, 1),
    ),
    on_lost=st.sampled_from(OnLost),
    max_losses=st.integers(0, 100),
    when_cut_off=st.sampled_from(CutOff),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=10)
INSTANTS = st.datetimes(datetime(1971, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))
DEFINITIONS = st.builds(
    Definition,
    job=TEXT,
    trigger=st.sampled_from(
        [
            Every("1ms"),
            Every(timedelta(days=3, microseconds=1), anchor=T0 + US),
            Cron("0 9 * * 1-5", "Asia/Shanghai"),
            At("2026-12-24T18:00:00.000001Z"),
            OpaqueTrigger({"kind": "moon", "version": 2, "phase": ["full", None]}, why="newer"),
        ]
    ),
    arguments=st.builds(
        encode_arguments,
        st.tuples(st.integers(), TEXT),
        st.dictionaries(TEXT, st.none() | st.floats(allow_nan=False, allow_infinity=False) | TEXT, max_size=3),
    ),
    policy=POLICIES,
    jitter=DURATIONS,
    start=st.none() | INSTANTS.map(lambda at: at.replace(year=1971)),
    end=st.none() | INSTANTS.map(lambda at: at.replace(year=2999)),
    queue=st.sampled_from(["default", "报表"]),
    priority=st.integers(-32768, 32767),
    tags=st.lists(TEXT, max_size=3).map(tuple),
    owner=TEXT,
    description=TEXT,
    extra=st.dictionaries(st.sampled_from(["calendar", "max_fires"]), st.none() | st.integers() | st.just({"a": [1]})),
)

PLAIN = Definition(job="work", trigger=Every("1h"))


class TestRoundTrip:
    @settings(max_examples=300)
    @given(DEFINITIONS)
    def test_a_definition_comes_back_as_it_was(self, definition: Definition) -> None:
        form = form_of(definition)
        assert definition_of(form) == definition
        assert definition_of(json.loads(json.dumps(form))) == definition
        assert load_definition(dump_definition(definition)) == definition
        assert dump_definition(load_definition(dump_definition(definition))) == dump_definition(definition)

    @settings(max_examples=300)
    @given(POLICIES)
    def test_a_policy_comes_back_as_it_was_to_the_microsecond(self, policy: Policy) -> None:
        assert policy_of(policy_form(policy)) == policy
        assert load_policy(dump_policy(policy)) == policy

    def test_only_what_differs_from_the_defaults_is_written(self) -> None:
        assert form_of(PLAIN) == {"job": "work", "trigger": {"kind": "every", "version": 1, "period": "1h"}}
        assert policy_form(Policy()) == {}
        assert policy_form(Policy(retry=Retry())) == {"retry": {}}
        assert policy_form(Policy(timeout=SECOND, misfire=Misfire.ALL)) == {"timeout": 1.0, "misfire": "all"}

    def test_a_retry_of_its_own_is_not_the_same_as_none(self) -> None:
        """None means the job's own; an empty one means never."""
        assert policy_of({"retry": {}}).retry == Retry()
        assert policy_of({}).retry is None

    def test_instants_are_written_in_utc(self) -> None:
        there = T0.astimezone(timezone(timedelta(hours=8)))
        form = form_of(Definition(job="work", trigger=Every("1h"), start=there))
        assert form["start"] == "2026-11-21T13:00:00+00:00"


class TestHash:
    def test_the_hash_is_a_format(self) -> None:
        """All releases that know the fields compute the same; a redeploy must not look like a change."""
        assert hash_of(PLAIN) == HASH_STATED

    def test_what_means_the_same_has_the_same_hash(self) -> None:
        there = T0.astimezone(timezone(timedelta(hours=8)))
        one = Definition(job="work", trigger=Every("60m"), arguments='{"kwargs": {}, "args": [1]}', start=there)
        other = Definition(job="work", trigger=Every("1h"), arguments='{"args":[1],"kwargs":{}}', start=T0)
        assert hash_of(one) == hash_of(other)

    @pytest.mark.parametrize(
        "fields",
        [
            {"job": "other"},
            {"trigger": Every("2h")},
            {"arguments": encode_arguments((1,), {})},
            {"policy": Policy(grace=11 * SECOND)},
            {"jitter": US},
            {"start": T0},
            {"end": T0},
            {"queue": "q"},
            {"priority": 1},
            {"tags": ("a",)},
            {"owner": "a"},
            {"description": "a"},
        ],
        ids=str,
    )
    def test_every_field_counts(self, fields: dict[str, Any]) -> None:
        definition = Definition(**{"job": "work", "trigger": Every("1h"), **fields})
        assert hash_of(definition) != hash_of(PLAIN)


class TestNewerCode:
    """A row that this code does not understand is kept whole, left to others, and harms no other row."""

    @pytest.mark.parametrize(
        "part",
        [
            {"calendar": {"country": "CN"}},
            {"extra": 1},
            {"trigger": {"kind": "moon", "version": 1, "phase": "full"}},
            {"trigger": {"kind": "every", "version": 2, "period": "1h"}},
            {"trigger": {"kind": "every", "version": 1, "period": "1h", "calendar": "CN"}},
            {"trigger": {"kind": "every", "version": 1, "period": "one hour"}},
            {"trigger": {"kind": "cron", "version": 1, "expression": "0 9 * * 1-5", "tz": "Mars/Olympus"}},
            {"policy": {"misfire": "newest two"}},
            {"policy": {"budget": 3}},
            {"policy": {"grace": "10s"}},
            {"policy": {"grace": -1}},
            {"policy": {"max_losses": 2.5}},
            {"policy": {"retry": {"times": 3, "until": "noon"}}},
            {"policy": {"retry": 3}},
            {"policy": ["all"]},
            {"policy": None},
            {"jitter": "30s"},
            {"jitter": {"kind": "normal"}},
            {"jitter": -5},
            {"start": "tomorrow"},
            {"start": "2026-11-21T13:00:00"},
            {"start": "2027-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"},
            {"end": 17},
            {"queue": ["a", "b"]},
            {"queue": "a/b"},
            {"priority": "high"},
            {"priority": 100_000},
            {"tags": {"a": 1}},
            {"tags": "ab"},
            {"owner": ["ann"]},
            {"description": None},
            {"arguments": {"args": [1], "kwargs": {}, "more": 1}, "shards": 4},
        ],
        ids=json.dumps,
    )
    def test_what_is_not_known_is_kept_as_it_is(self, part: dict[str, Any]) -> None:
        form = {**form_of(PLAIN), "owner": "ann", **part}
        definition = definition_of(form)
        assert not definition.known
        assert form_of(definition) == form
        assert json.loads(dump_definition(load_definition(json.dumps(form)))) == form

    def test_the_rest_of_such_a_row_is_still_shown(self) -> None:
        form = {**form_of(PLAIN), "owner": "ann", "priority": "high", "policy": {"grace": 60, "budget": 1}}
        definition = definition_of(form)
        assert (definition.owner, definition.priority, definition.policy) == ("ann", 0, Policy())
        assert definition.extra == {"priority": "high", "policy": {"grace": 60, "budget": 1}}

    @pytest.mark.parametrize(
        "form",
        [{"misfire": "x"}, {"budget": 1}, {"grace": "1s"}, {"grace": -1}, {"retry": {"x": 1}}, {"retry": None}],
        ids=str,
    )
    def test_a_policy_alone_that_is_not_known_is_a_value_error(self, form: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="does not know"):
            policy_of(form)
        with pytest.raises(ValueError, match="does not know"):
            load_policy(json.dumps(form))

    def test_explicit_defaults_are_read(self) -> None:
        form = {
            **form_of(PLAIN),
            "policy": {},
            "tags": [],
            "priority": 0,
            "arguments": None,
            "jitter": 0,
            "start": None,
        }
        definition = definition_of(form)
        assert definition == PLAIN
        assert definition.known


def test_durations_are_read_whole_or_in_parts() -> None:
    assert policy_of({"grace": 1, "timeout": 0.000001, "catch_up": 3600.5}) == Policy(
        grace=SECOND, timeout=US, catch_up=HOUR + SECOND / 2
    )


HASH_STATED = "4dcc7627ecb374fe62cdb93a33e6edf9"
