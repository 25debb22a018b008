"""Imports: what a program pays for ``import tickonce``, in a fresh process."""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from typing import Any

_TIMED = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"


def imports(statement: str = "import tickonce", *, times: int = 20) -> dict[str, Any]:
    """Return how long *statement* takes, in milliseconds."""
    found = sorted(_once(statement) for _ in range(times))
    return {
        "statement": statement,
        "times": times,
        "best_ms": found[0],
        "median_ms": median(found),
        "max_ms": found[-1],
    }


def _once(statement: str) -> float:
    command = [sys.executable, "-c", _TIMED.format(statement)]
    return 1000 * float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
