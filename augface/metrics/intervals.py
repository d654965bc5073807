"""95 % intervals, with rows that belong together, such as pictures of one person, kept together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from augface.arrays import Booleans, Floats64, Integers

NORMAL = 1.959964
"""Standard errors on either side of a value that make a 95 % interval."""


class Interval(NamedTuple):
    """A value and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def normal_interval(value: float, standard_error: float) -> Interval:
    """The interval of an estimate that scatters like a normal variable.

    >>> normal_interval(1.0, 0.0)
    Interval(value=1.0, low=1.0, high=1.0)
    """
    return Interval(value, value - NORMAL * standard_error, value + NORMAL * standard_error)


def squared_interval(value: float, standard_error: float) -> Interval:
    """The interval of an estimate that is the square of a distance: symmetric about the root, where it is above 0.

    A square scatters more the larger it comes out, so that the small ones, with small errors, miss the truth too
    often: 93 % of symmetric intervals held it at 300 rows, and 95 % of these (docs/benchmarks.md). Where the symmetric
    interval reaches 0 it is taken: there is no root to speak of.

    >>> squared_interval(0.0, 1.0) == normal_interval(0.0, 1.0)
    True
    """
    if value <= NORMAL * standard_error:
        return normal_interval(value, standard_error)
    root = value**0.5
    reach = NORMAL * standard_error / (2 * root)
    return Interval(value, (root - reach) ** 2, (root + reach) ** 2)


def t_quantile(freedom: float) -> float:
    """Standard errors on either side that make a 95 % interval, where the error was estimated from few numbers.

    >>> round(t_quantile(9), 3)
    2.262
    """
    return float(special.stdtrit(freedom, 0.975))


def proportion_interval(successes: float, trials: float) -> Interval:
    """A proportion with Wilson's score interval (Wilson 1927); (0, 1) where there were no trials.

    Where trials depend on each other, both counts are those of as many independent ones as carry as much information.

    >>> [round(end, 3) for end in proportion_interval(5, 10)]
    [0.5, 0.237, 0.763]
    """
    if trials == 0:
        return Interval(float("nan"), 0.0, 1.0)
    squared = NORMAL**2
    middle = (successes + squared / 2) / (trials + squared)
    reach = NORMAL / (trials + squared) * (successes * (trials - successes) / trials + squared / 4) ** 0.5
    share = successes / trials
    return Interval(share, min(share, max(0.0, middle - reach)), max(share, min(1.0, middle + reach)))


def clustered_variance(influence: Floats64, groups: npt.ArrayLike | None = None) -> float:
    """Variance of a mean of rows that are independent between groups only (Liang & Zeger 1986).

    Args:
        influence: (N,) the rows, whose mean is 0.
        groups: (N,) which rows belong together; each is alone where not given.

    >>> clustered_variance(np.array([1.0, 1.0, -1.0, -1.0])) == 1 / 3
    True
    >>> clustered_variance(np.array([1.0, 1.0, -1.0, -1.0]), [0, 0, 1, 1])
    1.0
    """
    sums = influence
    if groups is not None:
        _, numbers = np.unique(np.asarray(groups), return_inverse=True)
        sums = np.bincount(numbers, weights=influence).astype(np.float64)
    count = len(sums)
    if count < 2:
        return float("nan")
    return float(np.square(sums).sum() / len(influence) ** 2 * count / (count - 1))


def group_numbers(groups: npt.ArrayLike | None, count: int) -> Integers:
    """(N,) numbers from 0 of the groups of so many rows; each row is alone where groups are not given."""
    return np.arange(count) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]


def random_part(groups: Integers, share: float, random: np.random.Generator) -> Booleans:
    """(N,) which rows are in a random part of the groups that has about this share of the rows.

    Args:
        groups: (N,) numbers from 0, which rows belong together.
        share: from 0 to 1.
        random: draws the part.
    """
    sizes = np.bincount(groups)
    order = random.permutation(len(sizes))
    middle = np.empty(len(sizes))
    middle[order] = np.cumsum(sizes[order]) - sizes[order] / 2
    return (middle < share * len(groups))[groups]
