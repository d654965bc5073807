"""Bounded precision and bounded coverage: neighbourhoods, and the range of every dimension too.

In many dimensions everything is near to everything, so that neighbourhoods alone take rows for real that no real row
resembles in some dimension; ranges alone know nothing of what lies between modes. Rows count here where they pass both
questions. Neither a single outlier nor the number of dimensions decides: ranges leave out the outermost rows, two
balls must hold a row, and both shares are over those of other real rows, so that 1 is what real rows have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from augface.arrays import Booleans, Floats64
from augface.errors import DataError
from augface.metrics.arrays import feature_matrix
from augface.metrics.intervals import Interval, group_numbers
from augface.metrics.neighbourhoods import distances_between, intervals_of_halves, radii

K = 10
"""The neighbour whose distance is a ball's radius; with fewer, balls are empty by chance where a mode is half as
frequent."""
BALLS = 2
"""Real balls that must hold a fake: one alone may be that of an outlier."""
WITHIN = 0.995
"""Share of rows that lie within their own ranges."""


@dataclass(frozen=True)
class Bounded:
    """What both measures look at.

    Attributes:
        real, fake, other: (N, D), (M, D) and (L, D) features.
        among: (N, N) distances of real rows to each other, infinite to themselves.
        between: (N, M + L) those of real rows to fakes, then to other real rows.
        in_real: (M + L,) which fakes, and which other real rows, lie within the ranges of the real ones.
        in_fake, in_other: (N,) which real rows lie within the ranges of the fakes, and of the other real rows.
    """

    real: Floats64
    fake: Floats64
    other: Floats64
    among: Floats64
    between: Floats64
    in_real: Booleans
    in_fake: Booleans
    in_other: Booleans

    @classmethod
    def of(cls, real: npt.ArrayLike, fake: npt.ArrayLike, other: npt.ArrayLike) -> Bounded:
        """Of features (N, D), (M, D) and (L, D).

        Raises:
            DataError: fewer than 3 rows, unlike dimensions, NaN or infinity.
        """
        x, y, z = (feature_matrix(rows, name, 3) for rows, name in ((real, "real"), (fake, "fake"), (other, "other")))
        if not x.shape[1] == y.shape[1] == z.shape[1]:
            raise DataError("The real, fake and other features have different dimensions.")
        centre = x.mean(axis=0)
        among = distances_between(x - centre, x - centre)
        np.fill_diagonal(among, np.inf)
        return cls._of(x, y, z, among, distances_between(x - centre, np.concatenate([y, z]) - centre))

    @classmethod
    def _of(cls, real: Floats64, fake: Floats64, other: Floats64, among: Floats64, between: Floats64) -> Bounded:
        in_real = _within(np.concatenate([fake, other]), real)
        return cls(real, fake, other, among, between, in_real, _within(real, fake), _within(real, other))

    def part(self, real: Booleans, fake: Booleans, other: Booleans) -> Bounded:
        """Of some rows of each side, with the ranges of those."""
        among, between = self.among[np.ix_(real, real)], self.between[np.ix_(real, np.concatenate([fake, other]))]
        return self._of(self.real[real], self.fake[fake], self.other[other], among, between)

    def precision(self) -> float:
        """The share of fakes within the ranges and two balls of real rows, over that of other real rows."""
        reach = radii(self.among, K)
        reach = np.minimum(reach, np.median(reach))
        held = ((self.between <= reach[:, None]).sum(axis=0) >= BALLS) & self.in_real
        return _ratio(held[: len(self.fake)], held[len(self.fake) :])

    def coverage(self) -> float:
        """The share of real rows within the ranges of fakes and with one in their ball, over that of other real."""
        held = self.between <= radii(self.among, K)[:, None]
        by_fake, by_other = held[:, : len(self.fake)].any(axis=1), held[:, len(self.fake) :].any(axis=1)
        return _ratio(by_fake & self.in_fake, by_other & self.in_other)


def bounded_precision_coverage(
    real: npt.ArrayLike,
    fake: npt.ArrayLike,
    other: npt.ArrayLike,
    *,
    real_groups: npt.ArrayLike | None = None,
    fake_groups: npt.ArrayLike | None = None,
    other_groups: npt.ArrayLike | None = None,
    random: np.random.Generator,
) -> dict[str, Interval]:
    """How real fakes are and how much of real variety they cover, from 0 to 1, which is what real rows have.

    Args:
        real, fake, other: (N, D), (M, D) and (L, D); `other` are further real rows, about as many as fakes.
        real_groups, fake_groups, other_groups: which rows belong together; each is alone where not given.
        random: draws the random halves of all sides that the 95 % intervals are made of.

    Returns:
        `bounded_precision` and `bounded_coverage`; NaN where no other real row counts.

    Raises:
        DataError: too few rows, unlike dimensions, NaN or infinity.

    >>> random = np.random.default_rng(0)
    >>> real, good, other = random.normal(size=(3, 200, 2))
    >>> both = bounded_precision_coverage(real, good, other, random=random)
    >>> min(number.value for number in both.values()) > 0.9
    True
    """
    everything = Bounded.of(real, fake, other)
    groups = [
        group_numbers(side, len(rows))
        for side, rows in zip(
            (real_groups, fake_groups, other_groups),
            (everything.real, everything.fake, everything.other),
            strict=True,
        )
    ]
    measures = {"bounded_precision": Bounded.precision, "bounded_coverage": Bounded.coverage}
    return intervals_of_halves(measures, everything, Bounded.part, groups, random, highest=1.0, relative=True)


def _within(rows: Floats64, others: Floats64) -> Booleans:
    """(N,) which rows lie within the ranges of others, (M, D), in all dimensions.

    A range is that of all but the outermost row on either side. It is widened by as many standard deviations as it
    takes for `WITHIN` of the others to lie within theirs, more of them the more dimensions there are.
    """
    ends = np.partition(others, (1, len(others) - 2), axis=0)
    low, high, deviation = ends[1], ends[-2], others.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1)
    margin = max(0.0, float(np.quantile(_excess(others, low, high, deviation), WITHIN)))
    inside: Booleans = _excess(rows, low, high, deviation) <= margin
    return inside


def _excess(rows: Floats64, low: Floats64, high: Floats64, deviation: Floats64) -> Floats64:
    """(N,) by how many standard deviations each row is beyond a range, at most."""
    excess: Floats64 = (np.maximum(low - rows, rows - high) / deviation).max(axis=1)
    return excess


def _ratio(share: Booleans, of_real: Booleans) -> float:
    return float(share.mean() / of_real.mean()) if of_real.any() else math.nan
