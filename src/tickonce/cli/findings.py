"""What the doctor's checks look at, and what they find."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from tickonce.model import Node
from tickonce.scheduler import Scheduler

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        check: What was looked at.
        mend: The line that mends it; empty where nothing is to be done.
    """

    check: str
    level: Literal["ok", "warning", "problem"]
    found: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """What the checks look at.

    Attributes:
        now: The store's clock.
        nodes: All rows of nodes.
        alive: Those that have beaten within their lease.
        files: Configurations of web servers that are to be looked at, too.
    """

    scheduler: Scheduler
    now: datetime
    nodes: tuple[Node, ...]
    alive: tuple[Node, ...]
    files: tuple[Path, ...] = ()


Check: TypeAlias = Callable[[Patient], Iterator[Finding]]


def some(names: Iterable[str]) -> str:
    """Return a few of *names*, and how many more there are.

    >>> some("abcdefg"), some("ab")
    ('a, b, c, d, e and 2 more', 'a, b')
    """
    found = list(names)
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more
