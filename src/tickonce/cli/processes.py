"""The processes of this user on this machine, as Linux tells of them; elsewhere none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

#: Of a process's environment, only what begins with these is looked at.
_OURS = ("TICKONCE_", "UWSGI_", "GUNICORN_CMD_ARGS")


@dataclass(frozen=True, slots=True)
class Process:
    """A process.

    Attributes:
        words: Its command line.
        cwd: Its working directory.
        environ: What it was told about tickonce and its server.
    """

    pid: int
    parent: int
    words: tuple[str, ...]
    cwd: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict)


def processes(proc: Path = Path("/proc")) -> list[Process]:
    """Return the processes of this user, by pid. What ends meanwhile, or is not for us to see, is left out."""
    if not (proc / "self" / "stat").exists():
        return []
    found = []
    for folder in proc.iterdir():
        if folder.name.isdecimal():
            with suppress(OSError, ValueError):
                if folder.stat().st_uid == os.getuid():
                    found.append(_process(folder))
    return sorted(found, key=lambda process: process.pid)


def _process(folder: Path) -> Process:
    # The name in parentheses may hold anything; behind it come the state and the parent.
    parent = int((folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
    told = dict(word.partition("=")[::2] for word in _words(folder / "environ") if word.startswith(_OURS))
    return Process(int(folder.name), parent, tuple(_words(folder / "cmdline")), (folder / "cwd").readlink(), told)


def _words(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").rstrip("\0").split("\0")
