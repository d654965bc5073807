"""P-values of one family of tests, adjusted for each other."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def holm(p_values: Mapping[Name, float]) -> dict[Name, float]:
    """P-values of one family, adjusted (Holm 1979): those below 0.05 hold an error in 1 of 20 families at most.

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'c': 0.06, 'b': 0.06}
    """
    adjusted: dict[Name, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = largest
    return adjusted


def weighted_bonferroni(*tests: tuple[float, float]) -> list[float]:
    """Each p-value divided by the part of the level that its test takes; the smallest is that of all tests together.

    Args:
        tests: p-values, each with its part of the level; the parts add up to 1.

    >>> [round(p_value, 3) for p_value in weighted_bonferroni((0.018, 0.9), (0.5, 0.1))]
    [0.02, 1.0]
    """
    return [min(1.0, p_value / part) for p_value, part in tests]
