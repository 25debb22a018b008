"""Arguments and results as JSON: what goes in comes out, and what cannot is refused with its path."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickonce.codec import (
    ARGUMENT_BYTES,
    KEPT_BYTES,
    decode,
    decode_arguments,
    encode,
    encode_arguments,
    encode_result,
    keep,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
HASHABLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
    st.binary(max_size=8),
    st.dates(),
    st.times(),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
)
KEYS = st.recursive(HASHABLE, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=4)
VALUES = st.recursive(
    KEYS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(TEXT | st.sampled_from(["$date", "$map", "$", "$x"]), inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=4),
        st.sets(KEYS, max_size=4),
    ),
    max_leaves=20,
)


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Old(str, Enum):  # noqa: UP042  # as people wrote it before StrEnum
    A = "a"


class Name(str):
    __slots__ = ()


class Count(int):
    pass


def same(left: Any, right: Any) -> bool:
    """Equal, of the same types all the way down: 1, 1.0 and True are three values."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return len(left) == len(right) and all(
            same(a, b) and same(left[a], right[b]) for a, b in zip(left, right, strict=True)
        )
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


class TestRoundTrip:
    @settings(max_examples=400)
    @given(VALUES)
    def test_what_goes_in_comes_out(self, value: Any) -> None:
        text = encode(value)
        assert same(decode(text), value)
        assert encode(decode(text)) == text
        assert "\x00" not in text
        text.encode()

    @pytest.mark.parametrize(
        "value",
        [
            {"$date": "2026-11-21"},
            {"$": 1},
            {"$map": [[1, 2]]},
            {"$unknown": None, "other": 1},
            {"a": {"$tuple": [1]}},
            {1: "a", "1": "b", 2.0: "c"},
            {(1, 2): {frozenset({3}): 4}},
            pytest.param({frozenset({frozenset({1}), (2, b"x")})}, id="sets in sets"),
            datetime(2026, 11, 21, 13, 0, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
            time(23, 59, 59, 999_999),
            timedelta(days=-1, microseconds=1),
            timedelta.max,
            timedelta.min,
            Decimal("1E+400"),
            Decimal("-0"),
            -0.0,
            1e308,
            2**200,
            "\u2028 \x7f \\ \" / ' <!-- 店 😀",
            [],
            {},
            (),
            set(),
            "",
            b"\x00\xff",
        ],
        ids=repr,
    )
    def test_odd_values_come_out_as_they_went_in(self, value: Any) -> None:
        assert same(decode(encode(value)), value)
        assert repr(decode(encode(value))) == repr(value) or isinstance(value, set | dict)

    @pytest.mark.parametrize(
        ("value", "plain"),
        [
            (Colour.RED, "red"),
            (Level.HIGH, 3),
            (Old.A, "a"),
            (Name("n"), "n"),
            (Count(7), 7),
            ({Colour.RED: 1}, {"red": 1}),
        ],
        ids=repr,
    )
    def test_kinds_of_text_and_number_are_what_they_equal(self, value: Any, plain: Any) -> None:
        assert same(decode(encode(value)), plain)

    def test_sets_have_one_text(self) -> None:
        assert encode({"b", "a", "c"}) == encode({"c", "b", "a"}) == '{"$set":["a","b","c"]}'

    def test_the_tags_are_a_format(self) -> None:
        """What was written once is read for ever."""
        assert decode('{"$tuple":[1,{"$date":"2026-11-21"}]}') == (1, date(2026, 11, 21))
        assert decode('{"$timedelta":[1,2,3]}') == timedelta(1, 2, 3)
        assert decode('{"$bytes":"AP8="}') == b"\x00\xff"
        assert decode('{"$decimal":"1.50"}') == Decimal("1.50")
        assert decode('{"$uuid":"00000000-0000-0000-0000-000000000001"}') == UUID(int=1)
        assert decode('{"$map":[[{"$tuple":[1]},2]]}') == {(1,): 2}
        assert decode('{"$datetime":"2026-11-21T13:00:00+00:00"}') == datetime(2026, 11, 21, 13, tzinfo=UTC)


class TestRefused:
    @pytest.mark.parametrize(
        ("value", "path"),
        [
            (float("nan"), "$ is nan"),
            ({"a": [1, float("inf")]}, "$.a[1]"),
            ({"a": {"b": object()}}, "$.a.b is a object"),
            ({1: {2: object()}}, "$[1][2]"),
            ("a\x00b", "$ holds a NUL"),
            ({"a\x00": 1}, "$ key holds a NUL"),
            ([Name("a\x00")], "$[0] holds a NUL"),
            ((1, {2.5, 1j}), "is a complex"),
            (bytearray(b"x"), "bytearray"),
            (iter(()), "iterator"),
            (Exception("x"), "Exception"),
            (type, "is a type"),
        ],
        ids=lambda value: re.sub(r" at 0x\w+", "", repr(value)),
    )
    def test_what_json_cannot_say_is_refused_with_its_path(self, value: Any, path: str) -> None:
        with pytest.raises(ValueError) as caught:  # noqa: PT011  # the text is compared below, brackets and all
            encode(value)
        assert path in str(caught.value)

    @pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, ["a", {"b": "c\udc80"}]], ids=repr)
    def test_lone_surrogates_are_refused(self, value: Any) -> None:
        with pytest.raises(ValueError, match="surrogate"):
            encode(value)

    def test_deep_nesting_is_a_value_error(self) -> None:
        for kind in (
            lambda inner: [inner],
            lambda inner: (inner,),
            lambda inner: {"a": inner},
            lambda inner: {1: inner},
        ):
            value: Any = 1
            for _ in range(100_000):
                value = kind(value)
            with pytest.raises(ValueError, match="nested too deeply"):
                encode(value)
            # Taken apart from outside, for the interpreter would free it recursively.
            while not isinstance(value, int):
                value = next(iter(value.values() if isinstance(value, dict) else value))

    def test_what_holds_itself_is_a_value_error(self) -> None:
        value: list[Any] = []
        value.append(value)
        with pytest.raises(ValueError, match="holds itself"):
            encode(value)

    def test_deep_text_is_a_value_error(self) -> None:
        for text in ("[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000, '{"$tuple":[' * 50_000):
            with pytest.raises(ValueError):  # noqa: PT011  # any will do, RecursionError will not
                decode(text)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "nan",
            "NaN",
            "[Infinity]",
            '{"$unknown":1}',
            '{"$date":1}',
            '{"$date":"yesterday"}',
            '{"$timedelta":[1,2,3,4,5,6,7,8]}',
            '{"$timedelta":[99999999999,0,0]}',
            '{"$uuid":"x"}',
            '{"$decimal":"x"}',
            '{"$bytes":1}',
            '{"$map":[[1]]}',
            '{"$map":[[[1],2]]}',
            '{"$set":[[1]]}',
            '{"$tuple":1}',
            "1" * 5000,
            '"a" "b"',
        ],
    )
    def test_what_encode_does_not_write_is_a_value_error(self, text: str) -> None:
        with pytest.raises(ValueError):  # noqa: PT011
            decode(text)

    @given(st.text(st.sampled_from('[]{}",:$tuplemapse01 \\'), max_size=30))
    def test_decode_raises_nothing_else(self, text: str) -> None:
        try:
            decode(text)
        except ValueError:
            return


class TestArguments:
    def test_a_call_comes_out_as_it_went_in(self) -> None:
        args, kwargs = (1, "店", (2, 3)), {"shop": "eu", "$x": {"$y": date(2026, 1, 1)}, "self": None}
        assert decode_arguments(encode_arguments(args, kwargs)) == (args, kwargs)
        assert encode_arguments((), {}) == '{"args":[],"kwargs":{}}'

    def test_the_order_in_which_arguments_are_named_makes_no_difference(self) -> None:
        """Else a redeploy would take it for a change."""
        assert encode_arguments((), {"b": 1, "a": {"d": 2, "c": 3}}) == encode_arguments(
            (), {"a": {"c": 3, "d": 2}, "b": 1}
        )

    def test_the_largest_fit_and_larger_are_refused(self) -> None:
        room = ARGUMENT_BYTES - len(encode_arguments(("",), {}))
        assert len(encode_arguments(("x" * room,), {}).encode()) == ARGUMENT_BYTES
        with pytest.raises(ValueError, match=str(ARGUMENT_BYTES)):
            encode_arguments(("x" * (room + 1),), {})
        with pytest.raises(ValueError, match=str(ARGUMENT_BYTES)):
            encode_arguments(("店" * (room // 3 + 1),), {})

    @pytest.mark.parametrize(
        "text", ["[]", "{}", '{"args":{},"kwargs":{}}', '{"args":[],"kwargs":[]}', '{"args":[]}', "1"]
    )
    def test_what_is_no_call_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="args"):
            decode_arguments(text)


class TestResults:
    def test_a_result_of_the_size_that_is_kept_is_kept_whole(self) -> None:
        value = "x" * (KEPT_BYTES - 2)
        assert decode(encode_result(value)) == value

    @pytest.mark.parametrize("char", ["x", '"', "\\", "\n", "店", "😀", "\x7f"])
    def test_of_a_longer_one_the_beginning_is_kept(self, char: str) -> None:
        text = encode_result([char * KEPT_BYTES])
        assert len(text.encode()) <= KEPT_BYTES
        assert json.dumps([char], ensure_ascii=False)[:-2].startswith(decode(text)[:3])
        assert len(text.encode()) > KEPT_BYTES // 3


class TestKeep:
    @settings(max_examples=200)
    @given(st.text(st.characters(), max_size=50), st.integers(1, 6000))
    def test_what_is_kept_never_exceeds_64_kb_and_is_what_a_database_takes(self, text: str, times: int) -> None:
        kept = keep(text * times)
        assert len(kept.encode()) <= KEPT_BYTES
        assert "\x00" not in kept

    @pytest.mark.parametrize("char", ["x", "é", "店", "😀", "\x00", "\ud800"])
    @pytest.mark.parametrize("more", range(-4, 5))
    def test_the_border_holds_for_every_width(self, char: str, more: int) -> None:
        """A cut may fall inside of a character."""
        for lead in ("", "a", "ab", "abc"):
            kept = keep(lead + char * (KEPT_BYTES // len(keep(char).encode()) + more))
            assert len(kept.encode()) <= KEPT_BYTES

    def test_short_and_clean_text_is_left_as_it_is(self) -> None:
        for text in ("", "Traceback ...\n  späť 店 😀", "x" * KEPT_BYTES):
            assert keep(text) == text

    def test_beginning_and_end_are_kept(self) -> None:
        kept = keep("first line\n" + "x" * 200_000 + "\nValueError: last line")
        assert kept.startswith("first line\n")
        assert kept.endswith("\nValueError: last line")
        assert "... cut ..." in kept

    def test_what_databases_refuse_is_replaced(self) -> None:
        assert keep("a\x00b\ud800c") == "a\N{REPLACEMENT CHARACTER}b?c"

    def test_keeping_twice_changes_nothing(self) -> None:
        once = keep("店" * 100_000)
        assert keep(once) == once
