"""For tests of code that uses tickonce, and of stores: a clock that is stepped, and the contract that stores keep.

``run_inline`` calls one job inside a run; ``run_due`` lets time pass for a whole Scheduler, without threads.

The contract is imported by itself (``from tickonce.testing.contract import StoreContract``): it needs pytest.
"""

from tickonce.testing.clock import FakeClock
from tickonce.testing.inline import run_due, run_inline

__all__ = ["FakeClock", "run_due", "run_inline"]
