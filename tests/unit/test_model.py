"""The values: ids, tokens, buckets, and what a policy or definition may hold."""

from __future__ import annotations

import pickle
import unicodedata
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.planned import HOUR, SECOND, T0, US, schedule
from tickonce.errors import BadId, DefinitionError
from tickonce.model import (
    BUCKETS,
    MAX_ID_BYTES,
    MAX_TOKEN_BYTES,
    CutOff,
    Definition,
    Misfire,
    OnLost,
    Overlap,
    Page,
    Policy,
    RunState,
    bucket_of,
    check_id,
    manual_token,
    token_of,
)
from tickonce.triggers import Every, OpaqueTrigger

INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))
HOURLY = Every("1h")


class TestIds:
    @pytest.mark.parametrize(
        "id",
        ["a", "nightly", "sync.eu-west_1", "日报", "été", "😀", "a" * 190, "店" * 63, "(a)[b]{c}!$%&*+=|^;:,<>'\"`\\"],
    )
    def test_a_legal_id_is_returned(self, id: str) -> None:
        assert check_id(id) == id

    @pytest.mark.parametrize(
        "id",
        [
            "",
            *(f"a{char}b" for char in "@#~/?"),
            *(f"a{char}" for char in " \t\n\r\x00\x1f\x7f\x85\u00a0\u2028\u3000\u200b\u200d\ufeff\u202e\ue000"),
            "\ud800",
            "a" * 191,
            "店" * 64,
            unicodedata.normalize("NFD", "été"),
            "\u212b",  # an angstrom sign, which NFC writes as a letter
        ],
        ids=ascii,
    )
    def test_an_illegal_id_is_refused(self, id: str) -> None:
        with pytest.raises(BadId) as caught:
            check_id(id)
        str(caught.value).encode()  # the message can be printed whatever was in it

    @pytest.mark.parametrize("id", [None, 1, b"a", ["a"]])
    def test_what_is_no_text_is_refused(self, id: Any) -> None:
        with pytest.raises(BadId):
            check_id(id)

    @given(st.text(max_size=70))
    def test_whatever_is_accepted_fits_its_column_and_its_token(self, id: str) -> None:
        try:
            check_id(id)
        except BadId:
            return
        assert 1 <= len(id.encode()) <= MAX_ID_BYTES
        token = token_of(id, T0 + US)
        assert len(token.encode()) <= MAX_TOKEN_BYTES
        assert token.split("@")[0] == id


class TestTokens:
    def test_a_fraction_is_written_only_if_there_is_one(self) -> None:
        assert token_of("a", T0) == "a@2026-11-21T13:00:00Z"
        assert token_of("a", T0 + US) == "a@2026-11-21T13:00:00.000001Z"
        assert token_of("a", T0 + 250_000 * US) == "a@2026-11-21T13:00:00.250000Z"

    def test_the_zone_in_which_an_instant_is_written_makes_no_difference(self) -> None:
        elsewhere = T0.astimezone(timezone(timedelta(hours=5, minutes=45)))
        assert token_of("a", elsewhere) == token_of("a", T0)

    @given(INSTANTS, INSTANTS)
    def test_fires_have_one_token_each(self, one: datetime, other: datetime) -> None:
        assert (token_of("a", one) == token_of("a", other)) == (one == other)

    @given(INSTANTS)
    def test_no_run_by_hand_has_the_token_of_a_fire(self, instant: datetime) -> None:
        assert token_of("a", instant) != manual_token("a", instant.isoformat())

    def test_a_token_has_at_most_255_bytes(self) -> None:
        room = MAX_TOKEN_BYTES - MAX_ID_BYTES - len("@run-")
        assert len(manual_token("a" * MAX_ID_BYTES, "k" * room).encode()) == MAX_TOKEN_BYTES
        with pytest.raises(BadId):
            manual_token("a" * MAX_ID_BYTES, "k" * (room + 1))
        with pytest.raises(BadId):
            manual_token("a" * MAX_ID_BYTES, "é" * (room // 2 + 1))

    @pytest.mark.parametrize("key", ["", "a b", "a@b", "a/b", "a\n"])
    def test_a_key_is_as_legal_as_an_id(self, key: str) -> None:
        with pytest.raises(BadId):
            manual_token("a", key)


class TestBuckets:
    @given(st.text(st.characters(exclude_categories=["Cs"])))
    def test_every_id_has_a_bucket(self, id: str) -> None:
        assert 0 <= bucket_of(id) < BUCKETS

    def test_ids_are_spread(self) -> None:
        found = [bucket_of(f"job-{number}") for number in range(10_240)]
        assert len(set(found)) > 1000
        assert max(found.count(bucket) for bucket in range(0, BUCKETS, 64)) < 30

    def test_a_schedule_knows_its_bucket(self) -> None:
        assert schedule("1h", id="店").bucket == bucket_of("店")


class TestPolicy:
    def test_choices_may_be_given_by_their_text(self) -> None:
        """A text that only looks like the choice would be ignored where the planner matches."""
        policy = Policy(misfire="all", overlap="allow", on_lost="fail", when_cut_off="cancel")  # type: ignore[arg-type]
        assert policy == Policy(
            misfire=Misfire.ALL, overlap=Overlap.ALLOW, on_lost=OnLost.FAIL, when_cut_off=CutOff.CANCEL
        )
        assert policy.misfire is Misfire.ALL
        assert policy.room is None
        assert Policy(overlap="skip").room == 1  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "fields",
        [
            {"misfire": "newest"},
            {"overlap": None},
            {"on_lost": "rerun!"},
            {"when_cut_off": 1},
            {"grace": -US},
            {"catch_up": -US},
            {"start_within": timedelta(0)},
            {"timeout": timedelta(0)},
            {"timeout": -SECOND},
            {"max_losses": -1},
        ],
        ids=str,
    )
    def test_a_value_out_of_range_is_refused_by_name(self, fields: dict[str, Any]) -> None:
        (name,) = fields
        with pytest.raises(DefinitionError, match=name):
            Policy(**fields)

    def test_the_borders_are_allowed(self) -> None:
        Policy(grace=timedelta(0), catch_up=timedelta(0), start_within=US, timeout=US, max_losses=0)


class TestDefinition:
    @pytest.mark.parametrize(
        "fields",
        [
            {"queue": ""},
            {"queue": "a b"},
            {"jitter": -US},
            {"start": datetime(2026, 1, 1)},
            {"end": datetime(2026, 1, 1)},
            {"start": T0, "end": T0 - US},
            {"priority": 32768},
            {"priority": -32769},
        ],
        ids=str,
    )
    def test_a_value_out_of_range_is_refused(self, fields: dict[str, Any]) -> None:
        with pytest.raises(DefinitionError):
            Definition(job="work", trigger=HOURLY, **fields)

    def test_the_borders_are_allowed(self) -> None:
        for priority in (-32768, 32767):
            Definition(job="work", trigger=HOURLY, start=T0, end=T0, priority=priority)

    def test_what_is_unknown_makes_it_unknown(self) -> None:
        definition = Definition(job="work", trigger=HOURLY)
        assert definition.known
        assert not replace(definition, extra={"calendar": "CN"}).known
        assert not replace(definition, trigger=OpaqueTrigger({"kind": "moon", "version": 1}, why="x")).known

    def test_it_is_a_value(self) -> None:
        one, other = (Definition(job="work", trigger=Every("60m"), tags=("a",), start=T0) for _ in range(2))
        assert one == other
        assert hash(one) == hash(other)
        assert pickle.loads(pickle.dumps(one)) == one
        with pytest.raises(FrozenInstanceError):
            one.job = "other"  # type: ignore[misc]


def test_open_runs_are_those_that_may_still_do_work() -> None:
    assert {state for state in RunState if state.open} == {RunState.PENDING, RunState.RUNNING}


def test_a_schedule_shows_what_its_definition_says() -> None:
    row = schedule("1h", job="sync", timeout=HOUR)
    assert (row.job, row.trigger, row.policy) == ("sync", Every("1h", anchor=T0), Policy(timeout=HOUR))
    said = replace(row.definition, queue="slow", tags=("eu",), owner="ann", description="the shops")
    row = replace(row, definition=said)
    assert (row.queue, row.tags, row.owner, row.description) == ("slow", ("eu",), "ann", "the shops")


def test_a_page_is_gone_through_item_by_item() -> None:
    assert list(Page(("a", "b"), cursor="x")) == ["a", "b"]
