"""The offsets that zones remember are those that ZoneInfo has."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from importlib.resources import files
from itertools import pairwise
from timeit import repeat
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickonce.errors import TriggerError
from tickonce.triggers.instants import DAY, EPOCH, MAX_SECOND, MIN_SECOND
from tickonce.triggers.zones import _NAME, may_be_known_elsewhere, zone, zone_name

NAMES = sorted(available_timezones() & set(files("tzdata").joinpath("zones").read_text().split()))


def offset_at(name: str, instant: int) -> int:
    offset = (EPOCH + timedelta(seconds=instant)).astimezone(ZoneInfo(name)).utcoffset()
    assert offset is not None
    return offset // timedelta(seconds=1)


@cache
def transitions(name: str) -> tuple[tuple[int, int], ...]:
    """Return each change of the zone's data file, and the offset from then on (RFC 9636, version 2)."""
    content = files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    header = ">4sc15x6l"
    size = struct.calcsize(header)
    _, _, ut, std, leaps, times, types, chars = struct.unpack_from(header, content)
    content = content[size + times * 5 + types * 6 + chars + leaps * 8 + std + ut :]
    _, _, ut, std, leaps, times, types, chars = struct.unpack_from(header, content)
    instants = struct.unpack_from(f">{times}q", content, size)
    kinds = struct.unpack_from(f">{times}B", content, size + times * 8)
    offsets = [struct.unpack_from(">l", content, size + times * 9 + kind * 6)[0] for kind in range(types)]
    return tuple((instant, offsets[kind]) for instant, kind in zip(instants, kinds, strict=True))


def test_no_zone_changes_twice_within_a_day_and_back():
    """Spans are found by asking once a day; this is why nothing hides between two questions."""
    for name in NAMES:
        for (_, before), (first, _), (second, after) in zip(
            transitions(name), transitions(name)[1:], transitions(name)[2:], strict=False
        ):
            assert second - first > DAY or after != before, name


def test_no_offset_is_as_long_as_a_day():
    assert max(abs(offset) for name in NAMES for _, offset in transitions(name)) < DAY


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_span_has_the_offset_of_its_zone_up_to_its_ends(data):
    name = data.draw(st.sampled_from(NAMES))
    near = [instant for instant, _ in transitions(name)] or [0]
    instant = data.draw(
        st.sampled_from(near) | st.integers(-(10**10), 10**10) | st.integers(1_700_000_000, 4_000_000_000)
    )
    instant = min(max(instant, MIN_SECOND + DAY), MAX_SECOND - DAY) + data.draw(st.integers(-2, 2))
    span = zone(name).span(instant)
    assert span.start <= instant < span.end
    for each in (span.start, instant, span.end - 1):
        if MIN_SECOND + DAY < each < MAX_SECOND - DAY:
            assert offset_at(name, each) == span.offset


def test_spans_follow_each_other_through_a_year_of_changes():
    ramadan = zone("Africa/Casablanca")
    at, end = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2024, 2025))
    offsets = []
    while at < end:
        span = ramadan.span(at)
        offsets.append(span.offset)
        at = span.end
    assert [b for a, b in pairwise([None, *offsets]) if a != b] == [3600, 0, 3600]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_wall_times_come_and_go_as_the_standard_library_says(data):
    """What the wall shows first is what ``fold=0`` means; in a gap it is the end of the gap."""
    name = data.draw(st.sampled_from(NAMES))
    near = [instant for instant, _ in transitions(name) if instant > -5_000_000_000] or [0]
    wall = data.draw(st.sampled_from(near)) + data.draw(st.integers(-2 * DAY, 2 * DAY))
    local = (datetime(1970, 1, 1) + timedelta(seconds=wall)).replace(tzinfo=ZoneInfo(name))
    there = local.astimezone(UTC)
    found = zone(name).first_at_or_past(wall)
    if there.astimezone(local.tzinfo).replace(tzinfo=None) == local.replace(tzinfo=None):
        assert found == (there - EPOCH) // timedelta(seconds=1)
    else:
        assert found + offset_at(name, found) > wall
        assert found - 1 + offset_at(name, found - 1) < wall
    latest = zone(name).latest_wall(found)
    assert latest >= wall
    assert zone(name).latest_wall(found - 1) < wall


@pytest.mark.parametrize("instant", [MIN_SECOND - 10**9, MIN_SECOND, MAX_SECOND, MAX_SECOND + 10**9])
def test_offsets_go_on_where_datetimes_end(instant):
    assert zone("Asia/Shanghai").span(instant).offset in {8 * 3600, 29143}


def test_what_is_remembered_is_bounded():
    wide = zone("Etc/GMT-14")
    for instant in range(-(10**10), 5 * 10**10, 10**7):
        wide.span(instant)
    assert len(wide._blocks) <= 4_096


def test_every_name_that_python_knows_is_accepted():
    assert [name for name in NAMES if _NAME.fullmatch(name) is None] == []


def test_a_zone_may_be_given_as_its_name_a_zoneinfo_or_utc():
    assert zone_name("Asia/Shanghai") == zone_name(ZoneInfo("Asia/Shanghai")) == "Asia/Shanghai"
    assert zone_name(UTC) == zone_name("UTC") == zone_name(ZoneInfo("UTC")) == "UTC"


@pytest.mark.parametrize(
    ("tz", "said"),
    [
        ("Asia/Shangai", "Did you mean 'Asia/Shanghai'"),
        ("asia/shanghai", "Did you mean 'Asia/Shanghai'"),
        ("Shanghai", "Did you mean 'Asia/Shanghai'"),
        ("New York", "Did you mean 'America/New_York'"),
        ("../../etc/passwd", "no zone is called"),
        ("Asia", "no zone is called"),
        ("", "no zone is called"),
        ("right/UTC", "no zone is called"),
        ("x" * 100_000, "no zone is called"),
        ("a\0b", "no zone is called"),
        ("localtime", "different zone on each machine"),
        (timezone(timedelta(hours=8)), "Etc/GMT-8"),
        (8, "not a zone's name"),
    ],
)
def test_what_is_no_zone_is_refused_with_advice(tz, said):
    with pytest.raises(TriggerError, match=said):
        zone_name(tz)


def test_a_zoneinfo_without_a_name_is_refused():
    with files("tzdata").joinpath("zoneinfo", "UTC").open("rb") as file, pytest.raises(TriggerError, match="no name"):
        zone_name(ZoneInfo.from_file(file))


def test_only_names_of_zones_may_be_known_elsewhere():
    assert may_be_known_elsewhere("Antarctica/New_Base")
    assert not may_be_known_elsewhere("Asia/Shanghai")
    assert not may_be_known_elsewhere("../../etc/passwd")
    assert not may_be_known_elsewhere("localtime")


def test_a_region_is_no_city_and_unknown_names_are_refused_fast():
    with pytest.raises(TriggerError, match="Asia is a region; name a city in it"):
        zone_name("Asia")

    def ask() -> None:
        with pytest.raises(TriggerError, match="no zone is called 'Nowhere/X'"):
            zone_name("Nowhere/X")

    assert min(repeat(ask, number=1, repeat=7)) < 0.003
