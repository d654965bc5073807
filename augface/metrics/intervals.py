"""95 % intervals of the measures that have no closed form of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats


class Interval(NamedTuple):
    """A value and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def proportion_interval(successes: int, trials: int) -> Interval:
    """A proportion with Wilson's score interval (Wilson 1927); (0, 1) where there were no trials.

    >>> [round(end, 3) for end in proportion_interval(5, 10)]
    [0.5, 0.237, 0.763]
    """
    if trials == 0:
        return Interval(float("nan"), 0.0, 1.0)
    ends = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    return Interval(successes / trials, float(ends.low), float(ends.high))


def jackknife_interval(
    measure: Callable[[npt.NDArray[np.int64]], float], count: int, random: np.random.Generator, groups: int = 10
) -> Interval:
    """A measure with its delete-a-group jackknife interval (Kott 2001).

    Resampling with replacement would make duplicates, which distance measures mistake for structure; leaving groups
    out does not, and the bias of a distance, nearly the same in each part, cancels out of the spread.

    Args:
        measure: value of the measure on the rows that are kept, given as row numbers.
        count: rows in all.
        random: assigns rows to groups.
        groups: how many groups, each left out once.
    """
    group = random.permutation(count) % groups
    rows = np.arange(count)
    parts = np.array([measure(rows[group != left_out]) for left_out in range(groups)])
    error = np.sqrt((groups - 1) / groups * np.square(parts - parts.mean()).sum())
    reach = float(stats.t.ppf(0.975, groups - 1)) * float(error)
    value = measure(rows)
    return Interval(value, value - reach, value + reach)
