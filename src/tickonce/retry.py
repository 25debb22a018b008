"""When a failed run is tried again; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import Literal

from tickonce.errors import DefinitionError

_US = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often, and after how long, a failed run is tried again.

    Attributes:
        times: Tries after the first one; 0 is none.
        delay: Wait before the first retry.
        kind: ``fixed`` waits the same each time, ``exponential`` twice as long each time.
        limit: The longest wait.
        jitter: Part of the wait that varies, 0 to 1: the wait is cut by up to this share, by a hash of run and try,
            so that runs that failed together do not come back together.
    """

    times: int = 0
    delay: timedelta = timedelta(seconds=5)
    kind: Literal["fixed", "exponential"] = "exponential"
    limit: timedelta = timedelta(hours=1)
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if self.times < 0:
            raise DefinitionError(f"retries must not be negative, got {self.times}")
        if self.delay < timedelta(0) or self.limit < timedelta(0):
            raise DefinitionError(f"retry delay and limit must not be negative, got {self.delay} and {self.limit}")
        if max(self.delay, self.limit) > timedelta(days=36_525):
            raise DefinitionError(
                f"retry delay and limit must be at most 36525 days, got {self.delay} and {self.limit}"
            )
        if self.kind not in ("fixed", "exponential"):
            raise DefinitionError(f"retry kind must be 'fixed' or 'exponential', got {self.kind!r}")
        if not 0 <= self.jitter <= 1:
            raise DefinitionError(f"retry jitter must be 0 to 1, got {self.jitter}")

    def wait(self, failures: int, *, token: str) -> timedelta | None:
        """Return how long to wait after the given number of failures (1 is the first), or None: not again.

        >>> Retry(times=2, delay=timedelta(seconds=4), jitter=0).wait(2, token="a@1")
        datetime.timedelta(seconds=8)
        >>> Retry(times=2).wait(3, token="a@1") is None
        True
        """
        if failures > self.times:
            return None
        doublings = min(max(failures - 1, 0), 64) if self.kind == "exponential" else 0
        # In whole microseconds: they do not overflow as a timedelta does.
        wait = min((self.delay // _US) << doublings, self.limit // _US) * _US
        part = int.from_bytes(blake2b(f"{token}:{failures}".encode(), digest_size=4).digest()) / 2**32
        return wait * (1 - self.jitter * part)


NO_RETRIES = Retry()
