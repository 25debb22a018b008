"""What every store keeps, as tests: a store is tested by subclassing.

Example::

    from tickonce.testing.contract import StoreContract


    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self) -> Iterator[Store]:
            with closing(MyStore(...)) as store:
                store.prepare()
                yield store
"""

import pytest

_PARTS = ("claiming", "edits", "finishing", "identity", "launching", "life", "locks", "looking", "making", "nodes")
_MORE = ("lives", "machine", "races", "reading", "recovering", "upkeep")
pytest.register_assert_rewrite(*(f"{__name__}.{part}" for part in (*_PARTS, *_MORE)))

from tickonce.testing.contract.whole import StoreContract  # noqa: E402  # its asserts are rewritten only from here on

__all__ = ["StoreContract"]
