"""Precision, recall, density, coverage, realism and rarity: what lies in the neighbourhoods of real and made images.

Results are those of float64 brute force at the speed of float32; see `augface.metrics.distances`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from augface.arrays import Booleans, Floats, Floats32, Floats64, Integers
from augface.errors import DataError, UsageError, require
from augface.metrics.arrays import float_pair
from augface.metrics.distances import (
    BLOCK,
    PIECE,
    TINY,
    Points,
    Shortlist,
    block_buffer,
    common_points,
    divided,
    estimates,
    spans,
)
from augface.metrics.intervals import Interval, random_part, t_quantile

Scan = Callable[[Floats, slice, slice], None]
"""Looks through a block of bounds of its rows and columns."""

SPARE = 8
"""Neighbours that are kept beyond the one that makes the radius: rounding may have mixed up the last ones."""
CANDIDATES = 4
"""Others that are kept where the nearest is wanted."""
ALIKE = np.float32(1 + 1e-5)
"""Ratio of squared distances that float32 may not distinguish: in halves they count as equal, as ties must."""
REPLICATES = 20
"""Random halves that an interval is made of."""


@dataclass(frozen=True)
class NeighbourScores:
    """What the neighbours of N real and M fake images say, image by image.

    The ball of an image reaches to its k-th nearest other image of its own set; what lies at the radius is inside.

    Attributes:
        k: the neighbour that makes the radius.
        real_radii, fake_radii: (N,), (M,) radius of each ball.
        fake_balls: (M,) how many real balls hold each fake.
        real_recalled: (N,) the real lies in the ball of a fake.
        real_covered: (N,) the ball of the real holds a fake.
        realism: (M,) largest ratio of the radius of a real to its distance from the fake, among reals whose radius is
            at most the median (Kynkäänniemi et al. 2019, arXiv:1904.06991, section 5). At least 1 means that a ball of
            these holds the fake; infinity, that the fake equals one of these reals.
        rarity: (M,) smallest radius of a real ball that holds the fake; NaN where none does (Han et al. 2022,
            arXiv:2206.08549).
        nearest_real, nearest_real_distance: (M,) row and distance of the real nearest to each fake.
        nearest_fake, nearest_fake_distance: (N,) row and distance of the fake nearest to each real. Of equally near
            ones the first is named.
    """

    k: int
    real_radii: Floats64
    fake_radii: Floats64
    fake_balls: Integers
    real_recalled: Booleans
    real_covered: Booleans
    realism: Floats64
    rarity: Floats64
    nearest_real: Integers
    nearest_real_distance: Floats64
    nearest_fake: Integers
    nearest_fake_distance: Floats64

    @property
    def prdc(self) -> dict[str, float]:
        """`precision`, `recall`, `density`, `coverage`; see the function `prdc`."""
        return _prdc(self.fake_balls, self.real_recalled, self.real_covered, self.k)


def prdc(real: npt.ArrayLike, fake: npt.ArrayLike, k: int = 5) -> dict[str, float]:
    """Precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991), density and coverage (Naeem et al. 2020,
    arXiv:2002.09797).

    A point lies in a ball when its distance is at most the radius: the distance of the centre to its k-th nearest
    neighbour in its own set, itself left out.

    Args:
        real, fake: (N, D) and (M, D), both with more than k rows.
        k: the neighbour that makes the radius.

    Returns:
        `precision`, `recall`, `density`, `coverage`. Swapping real and fake swaps precision and recall.

    Raises:
        UsageError: `k` is less than 1.
        DataError: too few rows, unlike dimensions, NaN or infinity.
    """
    first, second = _prepare(real, fake, k)
    with ThreadPoolExecutor() as pool:
        real_balls, fake_balls = _both_balls(first, second, k, pool)
        _scan_between(first, second, pool, [real_balls.scan, fake_balls.scan_turned])
    return _prdc(real_balls.holders, fake_balls.holders > 0, real_balls.filled, k)


def neighbour_scores(real: npt.ArrayLike, fake: npt.ArrayLike, k: int = 5) -> NeighbourScores:
    """All measures of neighbours in one pass over the distances, equal to float64 brute force.

    Time is that of float32 products over (N² + M²) / 2 + N M pairs; memory is one float32 copy of the features and
    O(N + M).

    Args:
        real, fake: (N, D) and (M, D), both with more than k rows; float32 is not copied to float64.
        k: the neighbour that makes the radius.

    Raises:
        UsageError: `k` is less than 1.
        DataError: too few rows, unlike dimensions, NaN or infinity.
    """
    first, second = _prepare(real, fake, k)
    with ThreadPoolExecutor() as pool:
        real_balls, fake_balls = _both_balls(first, second, k, pool)
        nearest_real, nearest_fake = Shortlist(len(second), CANDIDATES), Shortlist(len(first), CANDIDATES)
        realism = _Realism(first, second, real_balls)
        scans = [real_balls.scan, fake_balls.scan_turned, nearest_fake.scan, nearest_real.scan_turned, realism.scan]
        _scan_between(first, second, pool, scans)
    real_squared, real_row = nearest_real.settle(1, second, first, named=True)
    fake_squared, fake_row = nearest_fake.settle(1, first, second, named=True)
    return NeighbourScores(
        k=k,
        real_radii=real_balls.radii / first.scale,
        fake_radii=fake_balls.radii / second.scale,
        fake_balls=real_balls.holders,
        real_recalled=fake_balls.holders > 0,
        real_covered=real_balls.filled,
        realism=realism.settle(real_squared, real_row),
        rarity=np.where(real_balls.holders > 0, real_balls.smallest / first.scale, np.nan),
        nearest_real=real_row,
        nearest_real_distance=np.sqrt(real_squared) / first.scale,
        nearest_fake=fake_row,
        nearest_fake_distance=np.sqrt(fake_squared) / second.scale,
    )


def prdc_intervals(
    real: npt.ArrayLike,
    fake: npt.ArrayLike,
    k: int = 5,
    *,
    real_groups: npt.ArrayLike | None = None,
    fake_groups: npt.ArrayLike | None = None,
    random: np.random.Generator,
) -> dict[str, Interval]:
    """`prdc` with 95 % intervals, from random halves of both sides (the delete-half jackknife of Shao & Wu 1989).

    The measures of a half, with radii of its own (in float32), scatter as those of all rows scatter about their
    expectation at this n. Resampling with replacement would make duplicates, whose radii are 0, and leaving out small
    groups gives intervals half as wide again as they should be, since balls are not smooth. All is one pass.

    Args:
        real, fake: (N, D) and (M, D).
        k: the neighbour that makes the radius.
        real_groups, fake_groups: (N,), (M,) labels, such as identities; rows of one label stay together. Each row is
            alone where not given.
        random: draws the halves.

    Returns:
        The measures of all rows with their intervals, cut at 0 and (but density) at 1. The ends are NaN where a half
        has too few rows, as where all pictures are of two people.

    Raises:
        UsageError: `k` is less than 1.
        DataError: as `prdc`, or labels that do not fit.
    """
    first, second = _prepare(real, fake, k)
    real_kept, fake_kept = _halves(first, "real", real_groups, random), _halves(second, "fake", fake_groups, random)
    reals, fakes = real_kept.sum(axis=0), fake_kept.sum(axis=0)
    if min(reals.min(), fakes.min()) <= k:
        return {name: Interval(value, math.nan, math.nan) for name, value in prdc(real, fake, k).items()}
    with ThreadPoolExecutor() as pool:
        real_balls, fake_balls = _both_balls(first, second, k, pool, real_kept, fake_kept)
        _scan_between(first, second, pool, [real_balls.scan, fake_balls.scan_turned])
    real_halves, fake_halves = require(real_balls.halves), require(fake_balls.halves)
    replicates = {
        "precision": real_halves.held.sum(axis=0) / fakes,
        "recall": fake_halves.held.sum(axis=0) / reals,
        "density": real_halves.pairs / (k * fakes),
        "coverage": real_halves.filled.sum(axis=0) / reals,
    }
    quantile = t_quantile(REPLICATES - 1)
    intervals = {}
    for name, value in _prdc(real_balls.holders, fake_balls.holders > 0, real_balls.filled, k).items():
        reach = quantile * float(replicates[name].std(ddof=1))
        highest = math.inf if name == "density" else 1.0
        intervals[name] = Interval(value, max(0.0, value - reach), min(highest, value + reach))
    return intervals


class _Balls:
    """The balls of one set, and what of the other set lies in them.

    Attributes:
        radii, squared_radii: (centres,).
        holders: (others,) how many balls hold each other.
        smallest: (others,) the smallest radius among these; infinite where there is none.
        filled: (centres,) the ball holds an other.
        halves: the same in each random half of the rows.
    """

    def __init__(self, centres: Points, others: Points, squared_radii: Floats64, halves: _Halves | None) -> None:
        self.radii = np.sqrt(squared_radii)
        self.holders = np.zeros(len(others), dtype=np.int64)
        self.smallest = np.full(len(others), np.inf)
        self.filled = np.zeros(len(centres), dtype=np.bool_)
        self.halves = halves
        self._centres, self._others = centres, others
        self.squared_radii = squared_radii
        largest = squared_radii if halves is None else np.maximum(squared_radii, halves.squared_radii.max(axis=1))
        self._limit = np.nextafter(largest.astype(np.float32), np.float32(np.inf))

    def scan(self, bounds: Floats, centres: slice, others: slice) -> None:
        """Look through a block of bounds between centres (rows) and others (columns)."""
        self._scan(bounds, centres, others, 0)

    def scan_turned(self, bounds: Floats, others: slice, centres: slice) -> None:
        """Look through a block of bounds between others (rows) and centres (columns)."""
        self._scan(bounds, centres, others, 1)

    def _scan(self, bounds: Floats, centres: slice, others: slice, axis: int) -> None:
        found = np.flatnonzero(bounds <= np.expand_dims(self._limit[centres], 1 - axis))
        step = PIECE // 8
        for start in range(0, len(found), step):  # a few pairs or, where fakes are near the mean of all, all pairs
            piece = found[start : start + step]
            pairs = np.divmod(piece, bounds.shape[1])
            self._enter(pairs[axis] + centres.start, pairs[1 - axis] + others.start, bounds.reshape(-1)[piece])

    def _enter(self, centres: Integers, others: Integers, bounds: Floats) -> None:
        slack = self._centres.slack[centres] + self._others.slack[others]
        radii, squared_radii = self.radii[centres], self.squared_radii[centres]
        inside = bounds + slack <= squared_radii
        open_ = np.flatnonzero(~inside & (bounds <= squared_radii * (1 + 1e-12)))
        inside[open_] = np.sqrt(self._centres.squared(centres[open_], self._others, others[open_])) <= radii[open_]
        np.add.at(self.holders, others[inside], 1)
        np.minimum.at(self.smallest, others[inside], radii[inside])
        self.filled[centres[inside]] = True
        if self.halves is not None:
            self.halves.enter(centres, others, estimates(bounds, slack))


class _Halves:
    """What lies in the balls of one set in each of R random halves of both.

    Attributes:
        squared_radii: (centres, R) of the rows that are kept; -1 for a centre that is not.
        held: (others, R) the other is kept, and in a ball.
        filled: (centres, R) the ball holds an other.
        pairs: (R,) how many pairs of a ball and what it holds there are.
    """

    def __init__(self, squared_radii: Floats32, others_kept: Booleans) -> None:
        self.squared_radii = squared_radii
        self.held = np.zeros(others_kept.shape, dtype=np.bool_)
        self.filled = np.zeros(squared_radii.shape, dtype=np.bool_)
        self.pairs = np.zeros(squared_radii.shape[1], dtype=np.int64)
        self._others_kept = others_kept

    def enter(self, centres: Integers, others: Integers, squared: Floats32) -> None:
        """Take in pairs of a centre and an other with their squared distances."""
        inside = (squared[:, None] <= self.squared_radii[centres]) & self._others_kept[others]
        pair, half = np.nonzero(inside)
        self.held[others[pair], half] = True
        self.filled[centres[pair], half] = True
        self.pairs += inside.sum(axis=0)


def _prepare(real: npt.ArrayLike, fake: npt.ArrayLike, k: int) -> tuple[Points, Points]:
    if k < 1:
        raise UsageError(f"The neighbour that makes the radius must be at least the first, not {k}.")
    return common_points(*float_pair(real, fake, minimum=k + 1))


def _halves(points: Points, side: str, groups: npt.ArrayLike | None, random: np.random.Generator) -> Booleans:
    """(N, R) which rows each random half keeps, rows of one label together."""
    labels = np.arange(len(points)) if groups is None else np.asarray(groups)
    if labels.shape != (len(points),):
        raise DataError(f"The {side} groups must be one label for each of {len(points)} rows, not {labels.shape}.")
    _, number = np.unique(labels, return_inverse=True)
    return np.stack([random_part(number, 0.5, random) for _ in range(REPLICATES)], axis=1)


class _Realism:
    """The largest ratio of a real's radius to its distance, for each fake, among reals of at most the median radius."""

    def __init__(self, real: Points, fake: Points, real_balls: _Balls) -> None:
        self._real, self._fake, self._radii = real, fake, real_balls.radii
        self._small = self._radii <= np.median(self._radii)
        self._divisors = np.where(self._small, real_balls.squared_radii, 0)
        self._weights = ((1 - 1e-6) / self._divisors.clip(min=TINY)).astype(np.float32)
        self._judges = Shortlist(len(fake), CANDIDATES)

    def scan(self, bounds: Floats, reals: slice, fakes: slice) -> None:
        """Look through a block of bounds between reals (rows) and fakes (columns)."""
        judging = np.flatnonzero(self._divisors[reals])
        ratios = bounds[judging]
        ratios *= self._weights[reals][judging, None]
        self._judges.scan_others(ratios, fakes, judging + reals.start)

    def settle(self, nearest_squared: Floats64, nearest_real: Integers) -> Floats64:
        """(M,) the ratios; the nearest reals show where a fake equals one."""
        realism = np.where((nearest_squared == 0) & self._small[nearest_real], np.inf, 0)
        if self._divisors.any():
            _, judge = self._judges.settle(1, self._fake, self._real, divisors=self._divisors)
            squared = self._fake.squared(np.arange(len(self._fake)), self._real, judge)
            realism = np.maximum(realism, divided(self._radii[judge], np.sqrt(squared)))
        return realism


def _prdc(fake_balls: Integers, real_recalled: Booleans, real_covered: Booleans, k: int) -> dict[str, float]:
    """From how many real balls hold each fake, and which reals lie in a fake's ball or hold a fake in their own."""
    return {
        "precision": float((fake_balls > 0).mean()),
        "recall": float(real_recalled.mean()),
        "density": float(fake_balls.mean() / k),
        "coverage": float(real_covered.mean()),
    }


def _both_balls(
    real: Points,
    fake: Points,
    k: int,
    pool: ThreadPoolExecutor,
    real_kept: Booleans | None = None,
    fake_kept: Booleans | None = None,
) -> tuple[_Balls, _Balls]:
    """The balls of the reals and of the fakes, with those of halves where rows are kept."""
    real_balls = _Balls(real, fake, *_radii(real, k, pool, real_kept, fake_kept))
    return real_balls, _Balls(fake, real, *_radii(fake, k, pool, fake_kept, real_kept))


def _scan_between(real: Points, fake: Points, pool: ThreadPoolExecutor, scans: Sequence[Scan]) -> None:
    """The one pass over all pairs of a real (rows) and a fake (columns), in blocks; every scan sees them in order."""
    buffers = itertools.cycle((block_buffer(), block_buffer()))
    pending: list[Future[None]] = []
    for rows in spans(len(real)):
        factor = real.factor(rows)
        for columns in spans(len(fake)):
            bounds = fake.lower_bounds(factor, columns, next(buffers))  # while the block before is looked through
            for task in pending:
                task.result()
            pending = [pool.submit(scan, bounds, rows, columns) for scan in scans]
    for task in pending:
        task.result()


def _radii(
    points: Points, k: int, pool: ThreadPoolExecutor, kept: Booleans | None = None, others_kept: Booleans | None = None
) -> tuple[Floats64, _Halves | None]:
    """(N,) squared distance of each point to its k-th nearest other; and in each half, where rows are kept."""
    # of so many neighbours, fewer than k lie in a random half once in a million
    nearest = Shortlist(len(points), k + SPARE if kept is None else 4 * k + 2 * SPARE)

    def scan(bounds: Floats, rows: slice, columns: slice) -> None:
        if columns == rows:
            np.fill_diagonal(bounds, np.inf)
        else:
            nearest.scan_turned(bounds, rows, columns)
        nearest.scan(bounds, rows, columns)

    buffers = itertools.cycle((block_buffer(), block_buffer()))
    pending: Future[None] | None = None
    for rows in spans(len(points)):
        factor = points.factor(rows)
        for columns in spans(len(points)):
            if columns.start < rows.start:  # seen from the other side
                continue
            bounds = points.lower_bounds(factor, columns, next(buffers))
            if pending is not None:
                pending.result()
            pending = pool.submit(scan, bounds, rows, columns)
    if pending is not None:
        pending.result()
    squared, _ = nearest.settle(k, points, points)
    if kept is None or others_kept is None:
        return squared, None
    return squared, _Halves(_radii_of_halves(points, nearest, k, kept), others_kept)


def _radii_of_halves(points: Points, nearest: Shortlist, k: int, kept: Booleans) -> Floats32:
    """(N, R) squared radii in float32 in each half; -1 for a point that is not kept."""
    squared = estimates(nearest.bounds, points.slack[:, None] + points.slack[nearest.others])
    radii = np.empty(kept.shape, dtype=np.float32)
    for half in range(kept.shape[1]):
        own = np.where(kept[:, half][nearest.others], squared, np.float32(np.inf))
        radii[:, half] = np.partition(own, k - 1, axis=1)[:, k - 1]
    radii[~kept] = -1
    short = np.flatnonzero(np.isinf(radii).any(axis=1))  # too few of the neighbours that are listed are kept
    buffer = np.empty(max(BLOCK * BLOCK, len(points)), dtype=np.float32)
    step = len(buffer) // len(points)
    for start in range(0, len(short), step):
        rows = short[start : start + step]
        bounds = points.lower_bounds(points.factor(rows), slice(len(points)), buffer)
        squared = estimates(bounds, points.slack[rows, None] + points.slack)
        squared[np.arange(len(rows)), rows] = np.inf
        for half in range(kept.shape[1]):
            lacking = np.isinf(radii[rows, half])
            own = squared[lacking][:, kept[:, half]]
            radii[rows[lacking], half] = np.partition(own, k - 1, axis=1)[:, k - 1]
    radii *= ALIKE
    return radii
