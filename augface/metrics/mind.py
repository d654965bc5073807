"""The Monge Inception distance, MIND (Berthet et al. 2026, arXiv:2605.06797): Wasserstein distances along directions.

It needs no moments of the features, and fewer rows than the Fréchet distance: 5,000 of each side are usual.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from augface.arrays import Booleans, Floats64, Integers
from augface.metrics.arrays import float_pair
from augface.metrics.intervals import Interval, group_numbers
from augface.metrics.neighbourhoods import intervals_of_halves

SCALE = 3
"""What the mean squared distance along a direction is multiplied by, besides D."""
DIRECTIONS = 1_000


def monge_inception_distance(
    real: npt.ArrayLike,
    fake: npt.ArrayLike,
    random: np.random.Generator,
    *,
    real_groups: npt.ArrayLike | None = None,
    fake_groups: npt.ArrayLike | None = None,
    directions: int = DIRECTIONS,
) -> Interval:
    """3 D times the squared 2-Wasserstein distance along random directions, averaged, of any features.

    It is MIND where the features are Inception's. A shift of the mean alone gives three times its squared length. The
    distance is biased upwards by an amount that falls with the rows: compare it at one n.

    Args:
        real, fake: (N, D) and (M, D).
        random: draws the directions, and the random halves that the 95 % interval is made of.
        real_groups, fake_groups: which rows belong together, such as pictures of one person.
        directions: how many.

    Raises:
        DataError: fewer than 2 rows, unlike dimensions, NaN or infinity.

    >>> rows = np.random.default_rng(0).normal(size=(50, 1))
    >>> round(monge_inception_distance(rows, rows + 3, np.random.default_rng(1)).value, 6)
    27.0
    """
    x, y = float_pair(real, fake)
    axes = random.standard_normal((directions, x.shape[1]))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    scale = SCALE * x.shape[1]
    groups = [group_numbers(real_groups, len(x)), group_numbers(fake_groups, len(y))]
    sides = _Sides(_Sorted.of(axes @ x.T.astype(np.float64)), _Sorted.of(axes @ y.T.astype(np.float64)))
    measures = {"mind": lambda both: scale * both.distance()}
    return intervals_of_halves(measures, sides, _Sides.part, groups, random, highest=float("inf"))["mind"]


@dataclass(frozen=True)
class _Sorted:
    """Places along each direction, (P, N), in order, and the rows (P, N) that they are of."""

    places: Floats64
    rows: Integers

    @classmethod
    def of(cls, places: Floats64) -> _Sorted:
        order = np.argsort(places, axis=1)
        return cls(np.take_along_axis(places, order, axis=1), order)

    def part(self, kept: Booleans) -> _Sorted:
        """Of some rows, which stay in order."""
        chosen = kept[self.rows]
        shape = len(self.places), int(kept.sum())
        return _Sorted(self.places[chosen].reshape(shape), self.rows[chosen].reshape(shape))


@dataclass(frozen=True)
class _Sides:
    real: _Sorted
    fake: _Sorted

    def part(self, real: Booleans, fake: Booleans) -> _Sides:
        return _Sides(self.real.part(real), self.fake.part(fake))

    def distance(self) -> float:
        """The mean over the directions of the squared distance of both quantile functions."""
        x, y = self.real.places, self.fake.places
        if x.shape == y.shape:
            return float(np.square(x - y).mean())
        # both quantile functions are steps: between two neighbouring steps of either they do not change
        counts = x.shape[1], y.shape[1]
        steps = np.unique(np.concatenate([np.arange(1, count + 1) / count for count in counts]))
        lengths = np.diff(steps, prepend=0.0)
        middles = steps - lengths / 2
        x, y = (
            side[:, np.minimum((middles * count).astype(int), count - 1)]
            for side, count in zip((x, y), counts, strict=True)
        )
        return float((np.square(x - y) @ lengths).mean())
