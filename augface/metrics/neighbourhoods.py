"""All distances of two small sets of features, and measures of them with intervals.

For up to some thousand rows, whose distances fit into memory. `augface.metrics.manifolds` has precision, recall,
density and coverage of any number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from augface.arrays import Booleans, Floats64, Integers
from augface.errors import DataError, UsageError
from augface.metrics.arrays import feature_matrix, float_pair
from augface.metrics.intervals import Interval, group_numbers, random_part, t_quantile

HALVES = 20
"""Random halves that an interval is made of."""
FEWEST = 10
"""Rows of a half, with fewer of which, as where all pictures are of one person, there are no intervals."""
ROUNDING = 1 + 1e-9
"""What a radius is enlarged by, so that what lies at it is inside in spite of rounding."""


@dataclass(frozen=True)
class Neighbourhoods:
    """All distances within and between two sets, those of a row to itself infinite.

    Attributes:
        real, fake: (N, N) and (M, M).
        between: (N, M).
    """

    real: Floats64
    fake: Floats64
    between: Floats64

    @classmethod
    def of(cls, real: npt.ArrayLike, fake: npt.ArrayLike) -> Neighbourhoods:
        """The distances of features (N, D) and (M, D).

        Raises:
            DataError: fewer than 2 rows, unlike dimensions, NaN or infinity.
        """
        first, second = (feature_matrix(side, name) for side, name in zip(float_pair(real, fake), SIDES, strict=True))
        centre = first.mean(axis=0)
        first, second = first - centre, second - centre
        of_first, of_second = distances_between(first, first), distances_between(second, second)
        for distances in (of_first, of_second):
            np.fill_diagonal(distances, np.inf)
        return cls(of_first, of_second, distances_between(first, second))

    def part(self, real: Booleans, fake: Booleans) -> Neighbourhoods:
        """Of some rows of both sides."""
        return Neighbourhoods(
            self.real[np.ix_(real, real)], self.fake[np.ix_(fake, fake)], self.between[np.ix_(real, fake)]
        )

    def turned(self) -> Neighbourhoods:
        """With real and fake exchanged."""
        return Neighbourhoods(self.fake, self.real, self.between.T)

    def real_radii(self, k: int) -> Floats64:
        """(N,) the distance of each real row to its k-th nearest other real one.

        Raises:
            UsageError: `k` is less than 1.
            DataError: no more than `k` rows.
        """
        return radii(self.real, k)

    def fake_radii(self, k: int) -> Floats64:
        """(M,) likewise of the fakes."""
        return self.turned().real_radii(k)


def radii(distances: Floats64, k: int) -> Floats64:
    """(N,) the distance of each row to its k-th nearest other one, of (N, N) distances, infinite to itself.

    Raises:
        UsageError: `k` is less than 1.
        DataError: no more than `k` rows.
    """
    if k < 1:
        raise UsageError(f"The neighbour that makes the radius must be at least the first, not {k}.")
    if len(distances) <= k:
        raise DataError(f"{len(distances)} features are too few: more than {k} are needed for their neighbours.")
    return np.partition(distances, k - 1, axis=1)[:, k - 1] * ROUNDING


SIDES = ("real", "fake")
Measure = Callable[[Neighbourhoods], float]
Sides = TypeVar("Sides")


def with_intervals(
    measures: Mapping[str, Measure],
    real: npt.ArrayLike,
    fake: npt.ArrayLike,
    *,
    real_groups: npt.ArrayLike | None = None,
    fake_groups: npt.ArrayLike | None = None,
    random: np.random.Generator,
    highest: float = 1.0,
) -> dict[str, Interval]:
    """Measures with 95 % intervals from random halves of both sides (Shao & Wu 1989), as `prdc_intervals` has them.

    Args:
        measures: functions of all distances.
        real, fake: (N, D) and (M, D).
        real_groups, fake_groups: which rows belong together; each is alone where not given.
        random: draws the halves.
        highest: what no measure exceeds.

    Returns:
        The ends are NaN where a half has fewer than `FEWEST` rows.

    Raises:
        DataError: too few rows, unlike dimensions, NaN or infinity.
    """
    everything = Neighbourhoods.of(real, fake)
    groups = [
        group_numbers(side, count)
        for side, count in zip((real_groups, fake_groups), everything.between.shape, strict=True)
    ]
    return intervals_of_halves(measures, everything, Neighbourhoods.part, groups, random, highest)


def intervals_of_halves(
    measures: Mapping[str, Callable[[Sides], float]],
    everything: Sides,
    part: Callable[..., Sides],
    groups: Sequence[Integers],
    random: np.random.Generator,
    highest: float,
    relative: bool = False,
) -> dict[str, Interval]:
    """What `with_intervals` does, of any sides.

    Args:
        measures: functions of all sides together.
        everything: the sides.
        part: gives those rows of each side that masks say, one mask a side.
        groups: of each side, numbers from 0 which rows belong together.
        random: draws the halves.
        highest: values above it count as this.
        relative: whether intervals are symmetric in the logarithm, as those of ratios are: from how the logarithms of
            halves scatter, since a ratio that came out low in all of them scatters less than one that did not.
    """
    kept = [[random_part(side, 0.5, random) for side in groups] for _ in range(HALVES)]
    values = {name: float(np.minimum(highest, measure(everything))) for name, measure in measures.items()}
    if min(int(mask.sum()) for masks in kept for mask in masks) < FEWEST:
        return {name: Interval(value, math.nan, math.nan) for name, value in values.items()}
    halves = [part(everything, *masks) for masks in kept]
    intervals = {}
    for name, value in values.items():
        of_halves = [measures[name](half) for half in halves]
        logarithms = relative and min(value, *of_halves) > 0
        reach = t_quantile(HALVES - 1) * float(np.std(np.log(of_halves) if logarithms else of_halves, ddof=1))
        if logarithms:
            intervals[name] = Interval(value, value * math.exp(-reach), min(highest, value * math.exp(reach)))
        else:
            intervals[name] = Interval(value, max(0.0, value - reach), min(highest, value + reach))
    return intervals


def distances_between(first: Floats64, second: Floats64) -> Floats64:
    """(N, M) distances between rows (N, D) and (M, D); those of equal rows are 0."""
    squares = np.square(first).sum(axis=1)[:, None] + np.square(second).sum(axis=1) - 2 * first @ second.T
    smallest = 1e-13 * max(float(np.square(first).sum(axis=1).max()), math.ulp(0))
    squares[squares < smallest] = 0  # equal rows have the distance 0, in spite of rounding
    distances: Floats64 = np.sqrt(squares)
    return distances
