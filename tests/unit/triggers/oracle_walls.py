"""What any expression of any dialect says, found out by trying every day and every time of day.

It shares nothing with the engine: expressions are made together with predicates over dates, and a wall time becomes
instants by asking ZoneInfo for both folds, as PEP 495 describes, not by spans of offsets.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
NAMES = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


@dataclass(frozen=True)
class Said:
    """An expression, the days it means and the times of day; whether they are fixed times."""

    text: str
    dialect: str
    on: Callable[[date], bool]
    times: tuple[time, ...]
    fixed: bool


def shown(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def instants_of(wall: datetime, zone: ZoneInfo, *, gap: str, fold: str) -> list[datetime]:
    """Return when *wall* is due: at no instant, at one or at two."""
    first, second = (wall.replace(tzinfo=zone, fold=each).astimezone(UTC) for each in (0, 1))
    if shown(first, zone) == wall:
        return [first] if first == second or fold == "once" else [first, second]
    if gap == "skip":
        return []
    early, late = sorted((first, second))  # the clocks jump between these two
    before = early.astimezone(zone).utcoffset()
    while late - early > SECOND:
        middle = early + (late - early) // 2 // SECOND * SECOND
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return [late]


def fires_of(
    on: Callable[[date], bool],
    times: Iterable[time],
    zone: ZoneInfo,
    after: datetime,
    until: datetime,
    *,
    gap: str,
    fold: str,
) -> list[datetime]:
    """Return all fires later than *after* up to *until*."""
    found: set[datetime] = set()
    day = (after - 3 * DAY).date()  # a gap may be a day long, and its fires come after it
    while day <= (until + 2 * DAY).date():
        if on(day):
            for each in times:
                found.update(instants_of(datetime.combine(day, each), zone, gap=gap, fold=fold))
        day += DAY
    return sorted(each for each in found if after < each <= until)


# -- random expressions, with what they mean ---------------------------------------------------

Day = tuple[str, Callable[[date], bool]]


def length(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def nearest_working_day(day: date, number: int) -> bool:
    if not 1 <= number <= length(day):
        return False
    working = [n for n in range(1, length(day) + 1) if day.replace(day=n).weekday() < 5]
    return day.day == min(working, key=lambda n: abs(n - number))


def number_elements() -> st.SearchStrategy[Day]:
    numbers = st.integers(1, 31)
    return st.one_of(
        st.builds(lambda n: (str(n), lambda day: day.day == n), numbers),
        st.just(("L", lambda day: day.day == length(day))),
        st.builds(lambda n: (f"L-{n}", lambda day: day.day == length(day) - n), st.integers(0, 30)),
        st.builds(lambda n: (f"{n}W", lambda day: nearest_working_day(day, n)), numbers),
        st.builds(
            lambda n: (f"L-{n}W" if n else "LW", lambda day: nearest_working_day(day, length(day) - n)),
            st.integers(0, 30),
        ),
        st.builds(
            lambda a, b: (f"{a}-{b}", lambda day: a <= day.day <= b if a <= b else day.day >= a or day.day <= b),
            numbers,
            numbers,
        ),
    )


def weekday_elements(first: int) -> st.SearchStrategy[Day]:
    """Weekdays as numbers from *first*, Sunday, or by name."""
    days, named = st.integers(0, 6), st.booleans()

    def said(day: int, by_name: bool) -> str:
        return NAMES[day] if by_name else str(day + first)

    def is_(each: date, day: int) -> bool:
        return each.isoweekday() % 7 == day

    return st.one_of(
        st.builds(lambda d, n: (said(d, n), lambda each: is_(each, d)), days, named),
        st.builds(
            lambda d, n: (f"{said(d, n)}L", lambda each: is_(each, d) and each.day + 7 > length(each)), days, named
        ),
        st.builds(
            lambda d, n, k: (f"{said(d, n)}#{k}", lambda each: is_(each, d) and (each.day + 6) // 7 == k),
            days,
            named,
            st.integers(1, 5),
        ),
        st.builds(
            lambda a, b: (
                f"{NAMES[a]}-{NAMES[b]}",
                lambda each: (each.isoweekday() - a) % 7 <= (b - a) % 7 if a != b else is_(each, a),
            ),
            days,
            days,
        ),
    )


def listed(elements: st.SearchStrategy[Day]) -> st.SearchStrategy[Day]:
    return st.lists(elements, min_size=1, max_size=3).map(
        lambda some: (",".join(text for text, _ in some), lambda day: any(means(day) for _, means in some))
    )


def months() -> st.SearchStrategy[Day]:
    return st.just(("*", lambda _: True)) | st.builds(
        lambda a, b: (f"{a}-{b}", lambda day: (day.month - a) % 12 <= (b - a) % 12), *[st.integers(1, 12)] * 2
    )


ANY: Day = ("*", lambda _: True)


@st.composite
def times_of_day(draw: st.DrawFn) -> tuple[str, str, str, tuple[time, ...]]:
    """Return texts of second, minute and hour, and the times that they mean together."""

    def part(high: int, stars: bool) -> tuple[str, list[int]]:
        few = draw(st.sets(st.integers(0, high), min_size=1, max_size=2))
        options = [(",".join(map(str, sorted(few))), sorted(few))]
        first, last = draw(st.integers(0, high)), draw(st.integers(0, high))
        wrapped = [value % (high + 1) for value in range(first, last + 1 + (high + 1) * (last < first), 13)]
        options.append((f"{first}-{last}/13", wrapped))
        if stars:
            step = draw(st.sampled_from([7, 13, 17]))
            options += [("*", list(range(high + 1))), (f"*/{step}", list(range(0, high + 1, step)))]
        return draw(st.sampled_from(options))

    seconds, in_seconds = part(59, stars=False)
    minutes, in_minutes = part(59, stars=True)
    hours, in_hours = part(23, stars=True)
    every = tuple(time(h, m, s) for h, m, s in product(in_hours, in_minutes, in_seconds))
    return seconds, minutes, hours, tuple(sorted(set(every)))


@st.composite
def said(draw: st.DrawFn, dialect: str) -> Said:
    """Return a random expression of *dialect* with seconds in front."""
    second, minute, hour, times = draw(times_of_day())
    by_number = draw(st.just(ANY) | listed(number_elements()))
    by_weekday = draw(st.just(ANY) | listed(weekday_elements(1 if dialect == "quartz" else 0)))
    month, in_month = draw(months())
    year = draw(st.sampled_from(["", " *", " 1975-2036/3", " 2024"])) if dialect == "quartz" else ""
    if dialect == "quartz" and ANY not in (by_number, by_weekday):
        by_weekday = ANY
    (number, on_number), (weekday, on_weekday) = by_number, by_weekday
    both = ANY in (by_number, by_weekday)

    def on(day: date) -> bool:
        fits = on_number(day) and on_weekday(day) if both else on_number(day) or on_weekday(day)
        if year.startswith(" 1975") and not (1975 <= day.year <= 2036 and day.year % 3 == 1):
            return False
        return fits and in_month(day) and (year != " 2024" or day.year == 2024)

    if dialect == "quartz":
        number, weekday = (number, "?") if weekday == "*" else ("?", weekday)
    text = f"{second} {minute} {hour} {number} {month} {weekday}{year}"
    return Said(text, dialect, on, times, fixed=not (minute.startswith("*") or hour.startswith("*")))
