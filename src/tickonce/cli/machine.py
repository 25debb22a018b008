"""What ``tickonce doctor`` looks at in the store itself: is it near, durable, and in time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from tickonce.cli.findings import Finding, Patient
from tickonce.cli.texts import distance
from tickonce.clock import SYSTEM_CLOCK

#: A look at the store that takes longer than this delays every launch noticeably.
SLOW = timedelta(milliseconds=100)
#: Clocks that differ by more than this confuse people who compare logs.
CLOCKS_DIFFER = timedelta(seconds=1)

_NETWORK = {"9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "smbfs", "vboxsf"}
_LAYERED = {"aufs", "overlay"}
_LOOKS = 5


def reach(patient: Patient) -> Iterator[Finding]:
    """Yield how near the store is, and how far its clock is from this machine's."""
    store = patient.scheduler.store
    took: list[timedelta] = []
    offsets: list[timedelta] = []
    for _ in range(_LOOKS):
        sent, wall = SYSTEM_CLOCK.monotonic(), SYSTEM_CLOCK.wall()
        instant = store.instant()
        took.append(SYSTEM_CLOCK.monotonic() - sent)
        offsets.append(wall + took[-1] / 2 - instant)
    typical, nearest = sorted(took)[_LOOKS // 2], min(zip(took, offsets, strict=True))
    answer = f"{store.url} answers in {distance(typical)}"
    if typical > SLOW:
        yield Finding("store", "warning", f"{answer}: launches are late by that", "bring nodes and store closer")
    else:
        yield Finding("store", "ok", answer)
    yield Finding("schema", "ok", "as this release needs it")
    yield _clock(nearest[1], unsure=nearest[0])


def durability(patient: Patient) -> Iterator[Finding]:
    """Yield settings of the server that can lose what it has confirmed."""
    for line in patient.scheduler.store.durability():
        yield Finding(
            "durability", "warning", line, "change it on the server, or accept that a crash there may repeat launches"
        )


def file(patient: Patient) -> Iterator[Finding]:
    """Yield what is wrong with the place of an SQLite file."""
    url = patient.scheduler.store.url
    if not url.startswith("sqlite"):
        return
    path = Path(url.partition("://")[2].partition("?")[0].removeprefix("/"))
    kind = filesystem_of(path) if sys.platform == "linux" else None
    if kind in _NETWORK or (kind or "").startswith("fuse.sshfs"):
        yield Finding(
            "file",
            "problem",
            f"{path} lies on a network file system ({kind}), where SQLite's locks do not hold",
            "use a local file for the processes of one machine, or PostgreSQL or MySQL for several",
        )
    container = bool(os.environ.get("KUBERNETES_SERVICE_HOST")) or any(
        Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv")
    )
    if container and kind in _LAYERED:
        yield Finding(
            "file",
            "problem",
            f"{path} lies in the container's own file system: each container has a store of its own, gone with it",
            "mount a volume there, or use PostgreSQL or MySQL for several containers",
        )


def filesystem_of(path: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """Return the kind of file system that *path* lies on, as Linux names it, or None where nobody says."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    best: tuple[int, str] | None = None
    for line in lines:
        parts = line.split(" ")
        if len(parts) < 3:
            continue
        point = Path(parts[1].replace("\\040", " "))
        if path.is_relative_to(point) and (best is None or len(point.parts) >= best[0]):
            best = (len(point.parts), parts[2])
    return None if best is None else best[1]


def _clock(offset: timedelta, *, unsure: timedelta) -> Finding:
    if abs(offset) - unsure <= CLOCKS_DIFFER:
        apart = max(abs(offset), timedelta(milliseconds=1))
        return Finding("clock", "ok", f"this machine's clock and the store's agree within {distance(apart)}")
    side = "ahead of" if offset > timedelta(0) else "behind"
    return Finding(
        "clock",
        "warning",
        f"this machine's clock is {distance(offset)} {side} the store's; launches go by the store's, logs here do not",
        "let NTP set both clocks; after a jump of the store's that is right: tickonce doctor --accept-clock",
    )
