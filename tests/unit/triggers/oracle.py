"""What cron says, found out the slow way: minute by minute, with the standard library alone.

It shares nothing with the engine. Expressions are made together with the sets of values that they match, and the
rule for changing clocks is Debian's own procedure (look at each minute, run what a jump forward went past, leave
alone what was seen before), not the engine's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tickonce.triggers import Trigger

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Part:
    """One field: its text, and the values that it matches."""

    text: str
    values: frozenset[int]

    @property
    def starred(self) -> bool:
        return self.text.startswith("*")


@dataclass(frozen=True)
class Expression:
    minute: Part
    hour: Part
    day: Part
    month: Part
    weekday: Part

    @property
    def text(self) -> str:
        return " ".join(part.text for part in (self.minute, self.hour, self.day, self.month, self.weekday))

    @property
    def fixed(self) -> bool:
        return not self.minute.starred and not self.hour.starred

    def matches(self, local: datetime) -> bool:
        by_day = local.day in self.day.values
        by_weekday = local.isoweekday() % 7 in self.weekday.values
        both = self.day.starred or self.weekday.starred
        return (
            local.second == 0
            and local.minute in self.minute.values
            and local.hour in self.hour.values
            and local.month in self.month.values
            and (by_day and by_weekday if both else by_day or by_weekday)
        )


def fires_between(expression: Expression, zone: ZoneInfo, after: datetime, until: datetime) -> list[datetime]:
    """Return all fires later than *after* up to *until*, both on a full minute of UTC, in zones with such offsets."""
    found = []
    # The hour before tells whether *after* stands in an hour that comes twice, or just behind a gap.
    instant = after
    shown = instant.astimezone(zone).replace(tzinfo=None, fold=0)
    while instant < until:
        instant += MINUTE
        now = instant.astimezone(zone)
        local = now.replace(tzinfo=None, fold=0)
        if not expression.fixed:
            due = expression.matches(local)
        elif now.fold:
            due = False
        else:
            due = expression.matches(local)
            missing = shown + MINUTE
            while missing < local:
                due = due or expression.matches(missing)
                missing += MINUTE
        shown = local
        if due:
            found.append(instant)
    return found


def walk(trigger: Trigger, after: datetime, until: datetime) -> list[datetime]:
    """Return all fires of *trigger* later than *after* up to *until*, by asking again and again."""
    found = []
    instant = trigger.next_after(after)
    while instant is not None and instant <= until:
        found.append(instant)
        assert len(found) < 100_000
        instant = trigger.next_after(instant)
    return found


# -- random expressions, with what they mean ---------------------------------------------------

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


def _parts(low: int, high: int, name: Callable[[int], str], longest: int) -> st.SearchStrategy[Part]:
    values = st.integers(low, high)
    steps = st.integers(1, longest)

    def spelled(value: int, by_name: bool) -> str:
        return name(value) if by_name else str(value)

    every = st.just(Part("*", frozenset(range(low, high + 1))))
    single = st.builds(lambda value, n: Part(spelled(value, n), frozenset({value})), values, st.booleans())
    star_step = st.builds(lambda step: Part(f"*/{step}", frozenset(range(low, high + 1, step))), steps)
    open_step = st.builds(
        lambda value, step: Part(f"{value}/{step}", frozenset(range(value, high + 1, step))), values, steps
    )

    def ranged(first: int, second: int, step: int | None, by_name: bool) -> Part:
        first, second = sorted((first, second))
        text = f"{spelled(first, by_name)}-{spelled(second, by_name)}" + (f"/{step}" if step else "")
        return Part(text, frozenset(range(first, second + 1, step or 1)))

    span = st.builds(ranged, values, values, st.none() | steps, st.booleans())
    listed = st.lists(single | span | open_step | star_step, min_size=2, max_size=4).map(
        lambda parts: Part(
            ",".join(part.text for part in parts), frozenset(value for part in parts for value in part.values)
        )
    )
    return st.one_of(every, every, single, star_step, open_step, span, listed)


def _plain_parts(low: int, high: int) -> st.SearchStrategy[Part]:
    every = st.just(Part("*", frozenset(range(low, high + 1))))
    span = st.builds(
        lambda first, more: Part(
            f"{first}-{min(first + more, high)}", frozenset(range(first, min(first + more, high) + 1))
        ),
        st.integers(low, high - 1),
        st.integers(1, high),
    )
    listed = st.sets(st.integers(low, high), min_size=1, max_size=5).map(
        lambda values: Part(",".join(map(str, sorted(values))), frozenset(values))
    )
    return every | span | listed


def _sunday_is_0(part: Part) -> Part:
    return Part(part.text, frozenset(value % 7 for value in part.values))


minutes = _parts(0, 59, str, 60)
hours = _parts(0, 23, str, 24)
days = _parts(1, 31, str, 31)
months = _parts(1, 12, lambda value: MONTHS[value - 1], 12)
# By name, Sunday is 0 here: as a range's end it has tests of its own.
weekdays = _parts(0, 7, lambda value: WEEKDAYS[value] if value < 7 else "7", 7).map(_sunday_is_0)

expressions = st.builds(Expression, minutes, hours, days, months, weekdays)
#: Expressions of values, ranges and lists of values, which all readers of cron understand alike.
plain = st.builds(Expression, *(_plain_parts(low, high) for low, high in ((0, 59), (0, 23), (1, 28), (1, 12), (0, 6))))
#: Expressions that fire on many days, so that a window of few days holds fires.
daily = st.builds(
    Expression,
    minutes,
    hours,
    st.just(Part("*", frozenset(range(1, 32)))),
    st.just(Part("*", frozenset(range(1, 13)))),
    st.just(Part("*", frozenset(range(7)))) | weekdays,
)

#: Zones, with days of UTC around which their clocks change, or nothing changes.
CHANGES = {
    "America/New_York": ["2024-03-10", "2024-11-03", "2024-07-01"],
    "Europe/London": ["2024-03-31", "2024-10-27"],
    "Australia/Lord_Howe": ["2024-04-06", "2024-10-05"],  # by half an hour
    "America/Sao_Paulo": ["2017-02-19", "2017-10-15"],  # at midnight
    "America/Havana": ["2024-03-10", "2024-11-03"],  # at midnight, and back to it
    "Africa/Cairo": ["2024-04-25", "2024-10-31"],  # at midnight
    "Asia/Shanghai": ["1986-05-03", "1991-09-14", "2026-11-21"],
    "Europe/Dublin": ["2024-03-31", "2024-10-27"],  # summer time is its standard time
    "Africa/Casablanca": ["2024-03-10", "2024-04-14"],  # goes back for one month
    "Antarctica/Troll": ["2024-03-31", "2024-10-27"],  # by two hours
    "Pacific/Apia": ["2011-12-30"],  # a day that never came
    "America/Juneau": ["1983-10-30"],  # back by two hours
    "UTC": ["2024-02-29"],
}


@st.composite
def windows(draw: st.DrawFn, days: int = 2) -> tuple[str, datetime, datetime]:
    """Return a zone, and an instant before and one after a change of its clocks."""
    name = draw(st.sampled_from(sorted(CHANGES)))
    change = datetime.fromisoformat(draw(st.sampled_from(CHANGES[name]))).replace(tzinfo=UTC)
    after = change - draw(st.integers(0, days * 1440)) * MINUTE
    return name, after, change + draw(st.integers(600, days * 1440)) * MINUTE
