"""Events of the sun at a place: dawn, sunrise, noon, sunset, dusk.

The sun's place is computed here, by the formulas of low precision in Meeus, *Astronomical Algorithms*, chapters 15, 25
and 28, as a library's answers would differ between its versions, and so between nodes. They are good to a few seconds
at middle latitudes for centuries around 2000; refraction of the air alone varies by more. The formulas belong to
version 1 of the specs: other ones would be another version.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import acos, asin, cos, degrees, radians, sin, tan

from tickonce.errors import TriggerError, did_you_mean
from tickonce.triggers.base import Spec
from tickonce.triggers.instants import DAY, MAX_SECOND, MIN_SECOND, from_seconds, seconds_before, shown

#: How high the middle of the sun stands, in degrees, and whether that is before noon. At sunrise and sunset its upper
#: edge is on the horizon: half its size and the usual refraction below.
EVENTS: dict[str, tuple[float, bool]] = {
    "dawn_astronomical": (-18.0, True),
    "dawn_nautical": (-12.0, True),
    "dawn_civil": (-6.0, True),
    "sunrise": (-0.833, True),
    "solar_noon": (90.0, True),
    "sunset": (-0.833, False),
    "dusk_civil": (-6.0, False),
    "dusk_nautical": (-12.0, False),
    "dusk_astronomical": (-18.0, False),
}
_J2000 = 946_728_000  # 2000-01-01T12:00Z, in seconds since 1970
_CENTURY = 36_525 * DAY
#: The sun's declination never moves by more in a day, in degrees.
_DECLINATION_A_DAY = 0.41
#: Days looked at; jumps over polar days and nights make it many years.
_MOST_LOOKS = 200


@dataclass(frozen=True, slots=True, init=False)
class Solar:
    """Due each day at *event* of the sun, at a place on Earth, to the second; on polar days and nights it may not come.

    Args:
        event: One of ``dawn_astronomical``, ``dawn_nautical``, ``dawn_civil``, ``sunrise``, ``solar_noon``,
            ``sunset``, ``dusk_civil``, ``dusk_nautical``, ``dusk_astronomical``.
        latitude: In degrees, north is positive.
        longitude: In degrees, east is positive.

    Raises:
        TriggerError: There is no such event or place.

    Example:
        >>> from datetime import UTC
        >>> Solar("sunrise", 31.23, 121.47).next_after(datetime(2026, 11, 21, tzinfo=UTC))
        datetime.datetime(2026, 11, 21, 22, 27, 1, tzinfo=datetime.timezone.utc)
    """

    event: str
    latitude: float
    longitude: float

    def __init__(self, event: str, latitude: float, longitude: float) -> None:
        if event not in EVENTS:
            hint = did_you_mean(str(event)[:40], EVENTS)
            raise TriggerError(f"event: {shown(event)} is not known; allowed {', '.join(EVENTS)}.{hint}")
        object.__setattr__(self, "event", event)
        object.__setattr__(self, "latitude", _degrees(latitude, "latitude", most=90))
        object.__setattr__(self, "longitude", _degrees(longitude, "longitude", most=180))

    def next_after(self, after: datetime) -> datetime | None:
        """Return the first fire strictly later than *after*, in UTC, or None when there is none.

        Raises:
            TriggerError: *after* is naive.
        """
        second = seconds_before(after)
        # Days are counted by the noon of the mean sun here, so an event has one of them in each.
        noon = DAY // 2 - round(self.longitude * 240)
        day = (second - noon) // DAY - 1
        for _ in range(_MOST_LOOKS):
            middle = noon + day * DAY
            if middle > MAX_SECOND:
                return None
            missing = self._degrees_missing(middle) if middle >= MIN_SECOND else 0.0
            found = self._instant(middle) if missing <= 0 else None
            if found is not None and found > second:
                return from_seconds(found)
            # Where the sun stays too high or too low by so much, it does for some days.
            day += max(1, int(missing / _DECLINATION_A_DAY))
        return None

    def spec(self) -> Spec:
        """Return the JSON form."""
        return {
            "kind": "solar",
            "version": 1,
            "event": self.event,
            "latitude": self.latitude,
            "longitude": self.longitude,
        }

    def resolved(self, *, schedule_id: str, tz: str) -> Solar:  # noqa: ARG002 - the sun knows neither
        """Return this trigger: it depends on nothing around it."""
        return self

    def _degrees_missing(self, middle: int) -> float:
        """Return by how much the sun fails to stand at the event's height that day; nothing or less when it does."""
        if self.event == "solar_noon":
            return 0.0
        declination, _ = _sun(middle)
        height, _ = EVENTS[self.event]
        highest = 90 - abs(self.latitude - degrees(declination))
        lowest = abs(self.latitude + degrees(declination)) - 90
        return max(lowest - height, height - highest)

    def _instant(self, middle: int) -> int | None:
        """Return the second of the event in the day around *middle*, the noon of the mean sun; or None."""
        height, before_noon = EVENTS[self.event]
        at = float(middle)
        for _ in range(4):  # the sun moves on meanwhile: each round is closer by some hundred times
            declination, equation = _sun(at)
            angle = 0.0
            if self.event != "solar_noon":
                part = (sin(radians(height)) - sin(radians(self.latitude)) * sin(declination)) / (
                    cos(radians(self.latitude)) * cos(declination)
                )
                if not -1 <= part <= 1:
                    return None
                angle = degrees(acos(part)) * (-1 if before_noon else 1)
            at = middle - equation + angle * 240
        return round(at)


def solar(event: str, latitude: float, longitude: float) -> Solar:
    """Return the trigger of an event of the sun: see :class:`Solar`."""
    return Solar(event, latitude, longitude)


def _degrees(value: object, name: str, *, most: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= most:
        raise TriggerError(f"{name}: degrees from -{most} to {most} are needed, got {shown(value)}")
    return float(value)


def _sun(second: float) -> tuple[float, float]:
    """Return the sun's declination in radians, and the equation of time in seconds: the true sun's lead."""
    t = (second - _J2000) / _CENTURY
    longitude = radians((280.46646 + t * (36_000.76983 + t * 0.0003032)) % 360)
    anomaly = radians((357.52911 + t * (35_999.05029 - t * 0.0001537)) % 360)
    eccentricity = 0.016708634 - t * (0.000042037 + t * 0.0000001267)
    centre = (
        sin(anomaly) * (1.914602 - t * (0.004817 + t * 0.000014))
        + sin(2 * anomaly) * (0.019993 - t * 0.000101)
        + sin(3 * anomaly) * 0.000289
    )
    node = radians(125.04 - 1_934.136 * t)
    apparent = longitude + radians(centre - 0.00569 - 0.00478 * sin(node))
    obliquity = radians(23.4392911 - t * (0.0130042 + t * (0.00000016 - t * 0.000000504)) + 0.00256 * cos(node))
    declination = asin(sin(obliquity) * sin(apparent))
    y = tan(obliquity / 2) ** 2
    equation = (
        y * sin(2 * longitude)
        - 2 * eccentricity * sin(anomaly)
        + 4 * eccentricity * y * sin(anomaly) * cos(2 * longitude)
        - y * y / 2 * sin(4 * longitude)
        - 1.25 * eccentricity**2 * sin(2 * anomaly)
    )
    return declination, degrees(equation) * 240
