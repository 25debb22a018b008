"""What ``tickonce doctor`` looks at in the store itself: is it near, durable, and in time."""

from __future__ import annotations

import os
import re
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

_NETWORK = {
    *("9p", "afs", "beegfs", "ceph", "cifs", "coda", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs"),
    *("prl_fs", "smb3", "smbfs", "vboxsf", "vmhgfs"),
}
#: Of file systems in user space, those that are on a network; the name of the program follows.
_NETWORK_IN_USER_SPACE = ("ceph", "gcsfuse", "gluster", "goofys", "juicefs", "mfs", "rclone", "s3fs", "sshfs", "vmhgfs")
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
    if store.url.startswith("postgres") and not store.notifies:
        found = "a connection pooler stands before PostgreSQL: no notifications, so nodes look each second"
        yield Finding("pooler", "ok", found)
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
    if kind is not None and is_network(kind):
        yield Finding(
            "file",
            "problem",
            f"{path} lies on a network file system ({kind}), where SQLite's locks do not hold",
            "for the processes of one machine a local file: TICKONCE_STORE=sqlite:////var/lib/myapp/tickonce.db; "
            "for several machines: TICKONCE_STORE=postgresql://user@host/database",
        )
    container = bool(os.environ.get("KUBERNETES_SERVICE_HOST")) or any(
        Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv")
    )
    if container and kind in _LAYERED:
        yield Finding(
            "file",
            "problem",
            f"{path} lies in the container's own file system: each container has a store of its own, gone with it",
            f"mount a volume there: docker run -v tickonce:{path.parent} ...; or for several containers: "
            "TICKONCE_STORE=postgresql://user@host/database",
        )


def is_network(kind: str) -> bool:
    """Whether a kind of file system is on a network.

    >>> is_network("nfs4"), is_network("fuse.sshfs"), is_network("ext4"), is_network("fuseblk")
    (True, True, False, False)
    """
    return kind in _NETWORK or kind.startswith(tuple(f"fuse.{name}" for name in _NETWORK_IN_USER_SPACE))


def filesystem_of(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str | None:
    """Return the kind of file system that *path* lies on, as Linux names it, or None where nobody says."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    path = path.resolve()  # a link may lead from one to another
    best: tuple[int, str] | None = None
    for line in lines:
        mounted, _, kinds = line.partition(" - ")
        parts = mounted.split(" ")
        if len(parts) < 5:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), parts[4]))
        if path.is_relative_to(point) and (best is None or len(point.parts) >= best[0]):
            best = (len(point.parts), kinds.split(" ")[0])
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
        "on the machine that is wrong: sudo timedatectl set-ntp true; after a jump of the store's that is right: "
        "tickonce doctor --accept-clock",
    )
