"""Instants as integers and as text.

The engines count whole seconds or microseconds since the Unix epoch; aware datetimes exist only at their doors.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tickonce.errors import TriggerError

#: The next fire of a trigger that is held because its calendar has no data. It is far away rather than none, so that
#: the schedule does not end: it stays in view, and goes on when there are data.
HELD = datetime(9000, 1, 1, tzinfo=UTC)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400
#: First and last second that a datetime in UTC can have.
MIN_SECOND = (datetime.min.replace(tzinfo=UTC) - EPOCH) // timedelta(seconds=1)
MAX_SECOND = (datetime.max.replace(tzinfo=UTC) - EPOCH) // timedelta(seconds=1)
_MAX_US = (datetime.max.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def seconds_before(instant: datetime) -> int:
    """Return the last whole second at or before *instant*, which must be aware.

    Example:
        >>> seconds_before(datetime(1970, 1, 1, 0, 1, 0, 999_999, tzinfo=UTC))
        60
    """
    try:
        since = instant - EPOCH
    except TypeError:
        raise _not_aware(instant) from None
    return since.days * DAY + since.seconds


def microseconds(instant: datetime) -> int:
    """Return *instant*, which must be aware, in microseconds since the epoch."""
    try:
        since = instant - EPOCH
    except TypeError:
        raise _not_aware(instant) from None
    return (since.days * DAY + since.seconds) * 1_000_000 + since.microseconds


def from_seconds(second: int) -> datetime | None:
    """Return the instant of *second*, or None where a datetime does not reach."""
    if not MIN_SECOND <= second <= MAX_SECOND:
        return None
    return EPOCH + timedelta(0, second)


def from_microseconds(microsecond: int) -> datetime | None:
    """Return the instant of *microsecond*, or None where a datetime does not reach."""
    if not MIN_SECOND * 1_000_000 <= microsecond <= _MAX_US:
        return None
    seconds, rest = divmod(microsecond, 1_000_000)
    return EPOCH + timedelta(0, seconds, rest)


def parse_instant(value: datetime | str, *, what: str) -> datetime:
    """Return *value*, an aware datetime or ISO 8601 text with an offset, in UTC.

    Raises:
        TriggerError: *value* is naive, or no instant; the message begins with *what*.

    Example:
        >>> parse_instant("2026-12-01T09:00+08:00", what="at")
        datetime.datetime(2026, 12, 1, 1, 0, tzinfo=datetime.timezone.utc)
    """
    if isinstance(value, str):
        try:
            instant = datetime.fromisoformat(value.strip())
        except ValueError:
            raise TriggerError(
                f"{what}: {value[:60]!r} is not an instant; write ISO 8601 with an offset, "
                "such as '2026-12-01T09:00:00+08:00' or '2026-12-01T01:00:00Z'"
            ) from None
    elif isinstance(value, datetime):
        instant = value
    else:
        raise TriggerError(f"{what}: {shown(value)} is neither an aware datetime nor ISO 8601 text")
    if instant.utcoffset() is None:
        text = instant.isoformat()
        raise TriggerError(
            f"{what}: {text} has no UTC offset, so it is a different instant in each zone; write {text + 'Z'!r} for "
            f"UTC, {text + '+08:00'!r}, or a datetime with tzinfo=ZoneInfo(...)"
        )
    found = from_microseconds(microseconds(instant))
    if found is None:
        raise TriggerError(f"{what}: {instant.isoformat()} is not within the years 1 to 9999 in UTC")
    return found


def format_instant(instant: datetime) -> str:
    """Return *instant*, in UTC, as the text that specs hold.

    Example:
        >>> format_instant(EPOCH), format_instant(EPOCH + timedelta(microseconds=1))
        ('1970-01-01T00:00:00Z', '1970-01-01T00:00:00.000001Z')
    """
    return instant.replace(tzinfo=None).isoformat() + "Z"


def _not_aware(value: object) -> TriggerError:
    if isinstance(value, datetime):
        return TriggerError(
            f"the datetime {value.isoformat()} is naive, so it is a different instant in each zone; "
            "give it a zone: datetime.now(UTC), or replace(tzinfo=ZoneInfo(...))"
        )
    return TriggerError(f"an aware datetime is needed, got {shown(value)}")


def shown(value: object) -> str:
    """Return *value* for an error message, cut short."""
    try:
        text = repr(value)
    except ValueError:
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."
