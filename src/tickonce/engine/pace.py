"""How many runs a node may take before it has a slot for each of them."""

from __future__ import annotations

from datetime import timedelta

#: So much work may lie ready: what the node, by its pace, begins within this time.
AHEAD = timedelta(milliseconds=50)
#: Where claims come less often than that, because threads that compute keep everybody waiting: twice what ends from one
#: claim to the next, as long as these are not further apart than this.
LONGEST_CYCLE = timedelta(milliseconds=500)
#: However fast it is, it takes no more than this ahead.
MOST_AHEAD = 500
#: A run that got no slot for this long goes back to the fleet: the node has become slower since it took it.
LONGEST_WAIT = timedelta(seconds=1)

_WINDOW = timedelta(milliseconds=20)


class Pace:
    """How many runs end here in a moment, as measured lately.

    Jobs that take milliseconds would leave their slots idle while the next runs are claimed: of ten slots, a thousand
    runs a second at the best. So as many runs as will end soon may be taken in advance. A node whose jobs take longer
    than a moment takes none.
    """

    def __init__(self) -> None:
        self._ended = 0
        self._since = timedelta(0)
        self._ahead = 0

    def ended(self) -> None:
        """A run has ended."""
        self._ended += 1

    def ahead(self, now: timedelta) -> int:
        """Return how many runs may be taken beyond the free slots, at monotonic *now*."""
        passed = now - self._since
        if passed >= _WINDOW:
            share = AHEAD / passed if passed > LONGEST_CYCLE else max(2.0, AHEAD / passed)
            self._ahead = min(MOST_AHEAD, int(self._ended * share))
            self._ended, self._since = 0, now
        return self._ahead
