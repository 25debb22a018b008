"""``H`` in cron expressions: a value that a hash of the schedule's id chooses, so that not all come at midnight.

``H`` is any value of its field, ``H(0-29)`` one of a range, ``H/15`` every 15 from a chosen start, ``H(0-29)/10`` the
same within a range. A day of the month is 1 to 28, so that it comes in every month. Once the id is known, the letter
is replaced by what was chosen: what is stored is an expression that people and older releases can read.
"""

from __future__ import annotations

import re
from hashlib import blake2b

from tickonce.errors import TriggerError
from tickonce.triggers.fields import DAY_OF_MONTH, Field

_H = re.compile(r"[Hh](?:\(([0-9]{1,4})-([0-9]{1,4})\))?(?:/([0-9]{1,4}))?", re.ASCII)
_LAST_DAY_OF_ALL_MONTHS = 28


def is_hashed(element: str) -> bool:
    """Return whether *element* of a field begins with ``H`` and is no other word."""
    return element[:1] in {"H", "h"} and not element[1:2].isalpha()


def chosen(element: str, field: Field, *, schedule_id: str | None, turn: int = 0) -> str:
    """Return *element*, which begins with ``H``, with numbers instead.

    Without a *schedule_id* the smallest values are chosen; with a *turn*, the value so many further on.

    Raises:
        TriggerError: It is none of the forms that ``H`` has.

    Example:
        >>> from tickonce.triggers.fields import MINUTE
        >>> [chosen(text, MINUTE, schedule_id="nightly") for text in ("H", "H/15", "H(0-29)/10")]
        ['1', '1/15', '1-29/10']
    """
    match = _H.fullmatch(element)
    if match is None:
        raise TriggerError(
            f"{field.name}: {element[:60]!r} is not understood; H is written H, H/15, H(0-29) or H(0-29)/10"
        )
    if field.name == "year":
        raise TriggerError("year: H would choose a single year, and nothing is due after it; write * or the years")
    low, high, step = field.low, field.low + field.values - 1, int(match[3] or 0)
    if field.name == DAY_OF_MONTH.name:
        high = _LAST_DAY_OF_ALL_MONTHS
    if match[1]:
        low, high = field.value(match[1], element), field.value(match[2], element)
        if high < low:
            raise TriggerError(f"{field.name}: the range in {element!r} runs backwards; write the smaller value first")
    if match[3] and not 1 <= step <= high - low + 1:
        raise TriggerError(f"{field.name}: the step in {element!r} must be 1 to {high - low + 1}")
    first = low + (_hash(schedule_id, field) + turn) % (step or high - low + 1)
    if not step:
        return str(first)
    # An open end would run on to the 31st, and a week of numbers 0 to 7 has one Sunday too many.
    return f"{first}/{step}" if high == field.high else f"{first}-{high}/{step}"


def _hash(schedule_id: str | None, field: Field) -> int:
    if schedule_id is None:
        return 0
    # Each field has a hash of its own: else the minute would tell the hour. The person keeps these apart from the
    # hash that deals schedules out to nodes.
    digest = blake2b(f"{field.name}\0{schedule_id}".encode(), digest_size=8, person=b"tickonce.cron-H").digest()
    return int.from_bytes(digest)
