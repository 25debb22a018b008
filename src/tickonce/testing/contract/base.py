"""What the parts of the contract share."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from tickonce.ports import Store
from tickonce.testing.contract.making import MS


class Part:
    """A part of the contract. Subclasses of the whole provide a pytest fixture ``store``: empty and prepared.

    Attributes:
        row_locks: Whether a step that is busy with one row leaves steps on other rows alone. Where all steps wait for
            each other (one file, one lock), a held row cannot be observed.
    """

    row_locks: ClassVar[bool] = True

    def let_pass(self, store: Store, duration: timedelta = MS) -> None:
        """Return when the store's clock has moved on by more than *duration*. A clock that is stepped is stepped."""
        begin = store.instant()
        while store.instant() - begin <= duration:
            pass

    def another(self, store: Store) -> Store:
        """Return what another process would open: the same data by other connections, closed by whoever made it."""
        return store
