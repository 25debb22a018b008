"""Fewer incidents that still show the same: delta debugging on the list that a seed stands for."""

from __future__ import annotations

from collections.abc import Callable

from tickonce.testing.judging import Kind
from tickonce.testing.simulation.scenario import Scenario
from tickonce.testing.simulation.simulate import simulate

#: Simulations tried at most.
MOST_TRIES = 400


def shrunk(scenario: Scenario, kinds: frozenset[Kind]) -> list[int]:
    """Return numbers of incidents that suffice for a violation of one of *kinds*; taking any one away ends it."""
    tries = 0

    def shows(numbers: list[int]) -> bool:
        nonlocal tries
        tries += 1
        verdict = simulate(scenario.only(set(numbers))).verdict
        return any(each.kind in kinds for each in verdict.violations)

    return least(list(range(len(scenario.incidents))), lambda numbers: tries < MOST_TRIES and shows(numbers))


def least(numbers: list[int], shows: Callable[[list[int]], bool]) -> list[int]:
    """Return a part of *numbers* that still *shows* it, and of which no smaller one does that leaves one out.

    Leaves out halves, then quarters, and so on, as long as what is left shows it.

    Example:
        >>> least(list(range(50)), lambda part: {7, 31} <= set(part))
        [7, 31]
    """
    size = len(numbers)
    while size and numbers:
        size = max(1, size // 2)
        at, smaller = 0, False
        while at < len(numbers):
            rest = numbers[:at] + numbers[at + size :]
            if shows(rest):
                numbers, smaller = rest, True
            else:
                at += size
        if size == 1 and not smaller:
            break
    return numbers
