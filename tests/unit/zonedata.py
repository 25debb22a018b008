"""Zone data of our own making, read by zoneinfo as it reads any: for tests in which the rules of a zone change."""

from __future__ import annotations

import struct
import zoneinfo
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from tickonce.triggers import Trigger, trigger_from_spec
from tickonce.triggers.zones import _zone

Changes = Sequence[tuple[datetime, timedelta]]


def write_zone(folder: Path, name: str, first: timedelta, changes: Changes = ()) -> None:
    """Write the file of a zone (RFC 9636) that is *first* ahead of UTC, and from each instant on as beside it."""
    offsets = [first, *(offset for _, offset in changes)]
    kinds = b"".join(struct.pack(">lbb", offset // timedelta(seconds=1), 0, 0) for offset in offsets)
    instants = b"".join(struct.pack(">q", int(instant.timestamp())) for instant, _ in changes)
    numbers = bytes(range(1, len(changes) + 1))
    counts = (0, 0, 0, len(changes), len(offsets), 4)
    header = struct.pack(">4sc15x6l", b"TZif", b"2", 0, 0, 0, 0, 1, 4) + b"\0" * 6 + b"LMT\0"
    body = struct.pack(">4sc15x6l", b"TZif", b"2", *counts) + instants + numbers + kinds + b"LMT\0"
    path = folder.joinpath(*name.split("/"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + body + b"\n" + _rule(offsets[-1]) + b"\n")


def _rule(offset: timedelta) -> bytes:
    seconds = -(offset // timedelta(seconds=1))  # the sign of POSIX is the other way round
    sign, rest = "-" if seconds < 0 else "", abs(seconds)
    return f"<x>{sign}{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}".encode()


@contextmanager
def zone_data(folder: Path | None) -> Iterator[None]:
    """Let zoneinfo find its files in *folder* first, as on a machine whose data are these."""
    before = zoneinfo.TZPATH
    _forget(() if folder is None else (str(folder),))
    yield
    _forget(before)


def _forget(path: Sequence[str]) -> None:
    zoneinfo.reset_tzpath(to=path)
    ZoneInfo.clear_cache()
    _zone.cache_clear()


@dataclass(frozen=True)
class Differing:
    """A trigger that answers by the zone data of the node that asks.

    Attributes:
        forms: The same trigger, made with each of the data.
    """

    here: ClassVar[int] = 0

    forms: tuple[Trigger, ...]

    @classmethod
    def of(cls, spec: Any, folders: Sequence[Path]) -> Differing:
        forms = []
        for folder in folders:
            with zone_data(folder):
                forms.append(trigger_from_spec(spec))
        return cls(tuple(forms))

    def next_after(self, after: datetime) -> datetime | None:
        return self.forms[Differing.here].next_after(after)

    def spec(self) -> Any:
        return self.forms[0].spec()

    def resolved(self, *, schedule_id: str, tz: str) -> Differing:
        return self


@contextmanager
def on_node(number: int) -> Iterator[None]:
    """Ask as the node with that number of the data."""
    before, Differing.here = Differing.here, number
    try:
        yield
    finally:
        Differing.here = before


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]
