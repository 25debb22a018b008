"""Single instants."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime

from tickonce.errors import TriggerError
from tickonce.triggers.base import Spec
from tickonce.triggers.instants import format_instant, microseconds, parse_instant

#: How many instants a repr shows.
_SHOWN = 4


@dataclass(frozen=True, slots=True, init=False, repr=False)
class At:
    """Due at each of *instants*, once.

    Args:
        instants: One or more aware datetimes, or ISO 8601 texts with an offset. Kept in UTC, in order, each once.

    Raises:
        TriggerError: There is no instant, or one is naive.

    Example:
        >>> from datetime import UTC
        >>> At("2026-12-01T09:00+08:00").next_after(datetime(2026, 1, 1, tzinfo=UTC))
        datetime.datetime(2026, 12, 1, 1, 0, tzinfo=datetime.timezone.utc)
    """

    instants: tuple[datetime, ...]

    def __init__(self, *instants: datetime | str) -> None:
        if not instants:
            raise TriggerError("at: an instant is needed, such as at('2026-12-01T09:00+08:00')")
        found = {parse_instant(each, what="at") for each in instants}
        object.__setattr__(self, "instants", tuple(sorted(found)))

    def __repr__(self) -> str:
        shown = [repr(format_instant(each)) for each in self.instants[:_SHOWN]]
        if len(self.instants) > _SHOWN:
            shown.append(f"... {len(self.instants) - _SHOWN} more")
        return f"At({', '.join(shown)})"

    def __reduce__(self) -> tuple[type[At], tuple[datetime, ...]]:
        return At, self.instants

    def next_after(self, after: datetime) -> datetime | None:
        """Return the first instant strictly later than *after*, in UTC, or None when there is none.

        Raises:
            TriggerError: *after* is naive.
        """
        microseconds(after)  # refuses a naive one
        place = bisect_right(self.instants, after)
        return self.instants[place] if place < len(self.instants) else None

    def spec(self) -> Spec:
        """Return the JSON form."""
        return {"kind": "at", "version": 1, "instants": [format_instant(each) for each in self.instants]}

    def resolved(self, *, schedule_id: str, tz: str) -> At:  # noqa: ARG002 - an instant is the same everywhere
        """Return this trigger: it depends on nothing around it."""
        return self


def at(*instants: datetime | str) -> At:
    """Return the trigger of one or more instants: see :class:`At`.

    Example:
        >>> at("2026-12-01T09:00+08:00")
        At('2026-12-01T01:00:00Z')
    """
    return At(*instants)
