"""Wall clocks that are wrong, for single processes: libfaketime, from Debian's package of that name."""

from __future__ import annotations

from pathlib import Path

PACKAGE = "faketime"
_PLACES = ("usr/lib/*/faketime/libfaketime.so.1", "usr/lib*/faketime/libfaketime.so.1")


def faketime() -> Path | None:
    """Return the library that gives a process a wall clock of its own, if it is installed."""
    return next((path for place in _PLACES for path in Path("/").glob(place)), None)


def clocked(clock: Path) -> dict[str, str]:
    """Return the environment of a process whose wall clock is as the file *clock* says, a second later at most.

    The file holds an offset, as ``-7200``, or an offset and a rate, as ``+0 x1.5``; it may change while the process
    runs, and is replaced as a whole. Monotonic time stays what it is, and with it every wait: but for one, see
    ``tests/chaos/member.py``.
    """
    library = faketime()
    if library is None:
        raise RuntimeError("libfaketime is not installed; `make servers` installs it on Debian")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
