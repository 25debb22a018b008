"""The shape of a set of values, as people would say it: all, every fifth, from Monday to Friday, these three."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class All:
    """Every value of the field."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Each *step*-th value from *first* to the end of the field."""

    step: int
    first: int


@dataclass(frozen=True, slots=True)
class Run:
    """All values from *first* to *last*, which may lie beyond the end of the field (Friday to Monday)."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class These:
    """Single values."""

    values: tuple[int, ...]


Shape: TypeAlias = "All | Steps | Run | These"


def shape_of(mask: int, low: int, count: int, *, cyclic: bool = False) -> Shape:
    """Return the shape of the values in *mask*, of a field with *count* values from *low*.

    Example:
        >>> shape_of(0b0111110, 0, 7), shape_of(0b1000011, 0, 7, cyclic=True), shape_of(0b010010, 0, 6)
        (Run(first=1, last=5), Run(first=6, last=1), These(values=(1, 4)))
    """
    values = tuple(value for value in range(low, low + count) if mask >> value & 1)
    if len(values) == count:
        return All()
    steps = {late - early for early, late in pairwise(values)}
    if len(values) > 2 and len(steps) == 1:
        step = steps.pop()
        if step == 1:
            return Run(values[0], values[-1])
        if values[0] - low < step and values[-1] + step >= low + count:
            return Steps(step, values[0])
    if cyclic and len(values) > 2 and steps != {1}:
        outside = [value for value in range(low, low + count) if value not in values]
        if outside[-1] - outside[0] + 1 == len(outside):
            return Run(outside[-1] + 1, outside[0] - 1)
    return These(values)
