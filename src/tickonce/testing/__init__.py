"""For tests of code that uses tickonce, and of stores: a clock that is stepped, and the contract that stores keep.

The contract is imported by itself (``from tickonce.testing.contract import StoreContract``): it needs pytest.
"""

from tickonce.testing.clock import FakeClock

__all__ = ["FakeClock"]
