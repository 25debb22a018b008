"""Fixtures of a fleet on a fake clock; ``clock`` is for the room to say."""

from __future__ import annotations

import pytest

from tickonce.context import current_run
from tickonce.jobs import Jobs
from tickonce.stores.memory import MemoryStore
from tickonce.testing.clock import FakeClock
from tickonce.testing.fleet import Fleet


@pytest.fixture
def fleet(clock: FakeClock) -> Fleet:
    return Fleet(MemoryStore(clock=clock), clock)


@pytest.fixture
def jobs(fleet: Fleet) -> Jobs:
    """A job that writes into the fleet's ledger before all else, as a real one would into a table of its own."""
    found = Jobs()

    @found.job(name="note")
    def note() -> None:
        run = current_run()
        fleet.ledger.append((run.token, run.attempt))

    return found
