"""The fields of a cron expression: from text to a mask of the values that match.

A mask is an integer whose bit *n* stands for the value *n*, so that "the next value at or after *n*" is a shift.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tickonce.errors import TriggerError, did_you_mean


def _numbered(names: str, first: int) -> dict[str, int]:
    return {name: number for number, name in enumerate(names.split(), first)}


@dataclass(frozen=True, slots=True)
class Field:
    """What one field of an expression may say.

    Attributes:
        name: What people call it; errors begin with it.
        low: Its smallest value.
        high: Its largest value as a number may be written.
        values: How many different values there are: the longest step.
        unit: The unit of durations that one value is long, or nothing.
        allowed: What errors say is allowed.
        names: Names for values, in lower case.
        aside: Further explanation of values out of range, by value.
        week_ends_with_sunday: Whether ``sun`` at the end of a range is the largest value.
        wraps: Whether a range may run past the largest value and begin again (``22-2``).
    """

    name: str
    low: int
    high: int
    values: int
    unit: str
    allowed: str
    names: Mapping[str, int] = field(default_factory=dict)
    aside: Mapping[int, str] = field(default_factory=dict)
    week_ends_with_sunday: bool = False
    wraps: bool = False

    def mask(self, text: str) -> int:
        """Return the mask of the values that *text*, a list of elements, matches.

        Raises:
            TriggerError: The message names field, value and what is allowed.

        Example:
            >>> bin(HOUR.mask("0,2-8/3"))
            '0b100100101'
        """
        mask = 0
        for element in text.split(","):
            mask |= self._element(element, text)
        return mask

    def _element(self, element: str, text: str) -> int:
        if not element:
            raise TriggerError(f"{self.name}: {text[:60]!r} has an empty element beside a comma")
        values, slash, step_text = element.partition("/")
        step = self._step(step_text, element) if slash else 1
        if values == "*":
            # Vixie counts weekdays from 0 to 7 here, so */2 is 0, 2, 4, 6 and */7 is Sunday by either number.
            low, high = self.low, self.high
        else:
            first, dash, last = values.partition("-")
            low = self._value(first, element)
            if dash:
                high = self._value(last, element, after=low)
            elif slash:
                high = self.high
            else:
                high = low
            if high < low and self.wraps:
                return self._wrapped(low, high, step)
            if high < low:
                years = self.low > 999
                turned = f"{last}-{first}" if years else f"{first}-{self.high},{self.low}-{last}"
                raise TriggerError(f"{self.name}: the range {values!r} runs backwards; write {turned!r}")
        return sum(1 << value for value in range(low, high + 1, step))

    def _wrapped(self, low: int, high: int, step: int) -> int:
        mask = 0
        for value in range(low, high + self.values + 1, step):
            mask |= 1 << self.low + (value - self.low) % self.values
        return mask

    def _step(self, text: str, element: str) -> int:
        if not _is_number(text):
            raise TriggerError(f"{self.name}: the step in {element[:60]!r} is not a number; write such as '*/5'")
        step = int(text[:20])
        if step == 0:
            raise TriggerError(f"{self.name}: the step in {element[:60]!r} is 0; allowed 1-{self.values}")
        if step > self.values:
            # Vixie takes it, and only the first value ever matches: never what was meant.
            hint = f"; a longer distance is every('{step}{self.unit}')" if self.unit and step < 10_000 else ""
            raise TriggerError(f"{self.name}: the step in {element[:60]!r} is too long, allowed 1-{self.values}{hint}")
        return step

    def value(self, text: str, element: str) -> int:
        """Return the one value that *text*, a part of *element*, names.

        Raises:
            TriggerError: It names none; the message says what is allowed.
        """
        return self._value(text, element)

    def _value(self, text: str, element: str, *, after: int = 0) -> int:
        if _is_number(text):
            value = int(text[:20])
            if not self.low <= value <= self.high:
                aside = self.aside.get(value, "")
                raise TriggerError(
                    f"{self.name}: {text[:20]} is out of range, allowed {self.allowed}{aside and f'; {aside}'}"
                )
            return value
        name = text.lower()
        if name in self.names:
            # sat-sun can mean one thing only: a week that ends with Sunday.
            return self.high if self.week_ends_with_sunday and name == "sun" and after else self.names[name]
        wanted = f"{self.name}: {text[:20]!r} in {element[:60]!r}" if text != element else f"{self.name}: {text[:20]!r}"
        if not text:
            raise TriggerError(f"{self.name}: a value is missing in {element[:60]!r}; allowed {self.allowed}")
        hint = did_you_mean(name[:3], self.names) if self.names and text.isalpha() else ""
        raise TriggerError(f"{wanted} is not understood; allowed {self.allowed}.{hint}".removesuffix("."))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


WEEKDAY_NAMES = _numbered("sun mon tue wed thu fri sat", 0)

MINUTE = Field("minute", 0, 59, 60, "m", "0-59", aside={60: "the full hour is 0"})
HOUR = Field("hour", 0, 23, 24, "h", "0-23", aside={24: "midnight is 0"})
DAY_OF_MONTH = Field("day of month", 1, 31, 31, "d", "1-31", aside={0: "the first is 1"})
MONTH = Field(
    "month",
    1,
    12,
    12,
    "",
    "1-12 or jan-dec",
    _numbered("jan feb mar apr may jun jul aug sep oct nov dec", 1),
    aside={0: "January is 1"},
)
DAY_OF_WEEK = Field(
    "day of week",
    0,
    7,
    7,
    "",
    "0-7 or sun-sat",
    WEEKDAY_NAMES,
    aside={8: "Sunday is 0 or 7"},
    week_ends_with_sunday=True,
)
