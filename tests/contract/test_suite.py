"""The contract itself: that each of its sentences is run."""

from __future__ import annotations

from collections import Counter

from tickonce.testing.contract import StoreContract


def test_no_part_hides_a_test_of_another():
    """The parts are put together in one class, where of two tests with one name only the first would run."""
    names = Counter(name for part in StoreContract.__mro__ for name in vars(part) if name.startswith("test_"))
    assert [name for name, count in names.items() if count > 1] == []
    assert len(names) > 200
