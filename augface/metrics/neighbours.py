"""Exact nearest neighbours, and the measures that are made of them.

How the measures are exact at the speed of float32: one product of matrices gives, for a block of pairs, a lower bound
of each squared distance, in which squared norms are shrunk by the largest error that rounding can make (`_Points`).
Points are centred first, so that the bound is tight far from the origin too. Pairs that the bound decides are done
with; those too near to a radius or to another neighbour, a few in a million, are decided by float64 differences of the
original features (`_Points.squared`). So results are those of float64 brute force, whatever the size of the blocks.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from augface.errors import DataError, UsageError
from augface.metrics.arrays import Floats, Matrix, float_pair
from augface.metrics.intervals import Interval

Distances = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

BLOCK = 2048
"""Rows and columns of the blocks of pairs that are in memory at a time."""

PIECE = 1 << 20
"""Numbers in the temporary arrays of what is done pair by pair."""

SPARE = 8
"""Neighbours that are kept beyond the one that makes the radius: rounding may have mixed up the last ones."""

CANDIDATES = 4
"""Others that are kept where the nearest is wanted."""

TINY = 1e-30
"""Squared radii below this are out of reach of float32 when divided by."""


class Neighbours:
    """Exact nearest neighbours among fixed references: (M, D), floating point."""

    def __init__(self, references: npt.ArrayLike) -> None:
        import faiss

        among = _floats(references)
        self._centre = among.mean(axis=0, dtype=np.float64).astype(
            among.dtype
        )  # float32 loses digits far from the origin
        self._index = faiss.IndexFlatL2(among.shape[1])
        self._index.add(np.ascontiguousarray(among - self._centre, dtype=np.float32))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(self, queries: npt.ArrayLike, k: int, block: int = 1024) -> tuple[Distances, Indices]:
        """The `k` nearest references of each query, nearest first.

        Args:
            queries: (N, D).
            k: how many; at most M. For the neighbours of a set within itself ask for k + 1 and drop the first.
            block: queries at a time; memory is O(block M + N k).

        Returns:
            Euclidean distances float32 (N, k) and row numbers of references int64 (N, k).
        """
        if k > len(self):
            raise DataError(f"{k} neighbours were asked for, but there are only {len(self)} references.")
        found = np.ascontiguousarray(_floats(queries) - self._centre, dtype=np.float32)
        parts = [self._index.search(found[start : start + block], k) for start in range(0, len(found), block)]
        squared = np.concatenate([part[0] for part in parts])
        return np.sqrt(squared.clip(min=0)), np.concatenate([part[1] for part in parts])


def k_nearest(
    queries: npt.ArrayLike, references: npt.ArrayLike, k: int, block: int = 1024
) -> tuple[Distances, Indices]:
    """The `k` nearest references of each query; see `Neighbours.search`."""
    return Neighbours(references).search(queries, k, block)


def _floats(values: npt.ArrayLike) -> npt.NDArray[np.floating[Any]]:
    array = np.asarray(values)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float32)


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
    real_radii: Matrix
    fake_radii: Matrix
    fake_balls: Indices
    real_recalled: Flags
    real_covered: Flags
    realism: Matrix
    rarity: Matrix
    nearest_real: Indices
    nearest_real_distance: Matrix
    nearest_fake: Indices
    nearest_fake_distance: Matrix

    @property
    def prdc(self) -> dict[str, float]:
        """`precision`, `recall`, `density`, `coverage`; see the function `prdc`."""
        return {
            "precision": float((self.fake_balls > 0).mean()),
            "recall": float(self.real_recalled.mean()),
            "density": float(self.fake_balls.mean() / self.k),
            "coverage": float(self.real_covered.mean()),
        }


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
    return neighbour_scores(real, fake, k).prdc


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
    return _compare(*_prepare(real, fake, k), k, None)[0]


def prdc_intervals(
    real: npt.ArrayLike,
    fake: npt.ArrayLike,
    k: int = 5,
    *,
    real_groups: npt.ArrayLike | None = None,
    fake_groups: npt.ArrayLike | None = None,
    random: np.random.Generator,
    groups: int = 10,
) -> dict[str, Interval]:
    """`prdc` with 95 % intervals: a delete-a-group jackknife (Kott 2001) of both sides at once, in the same one pass.

    The rows of a group are left out and all radii are those of the remaining rows (in float32). Resampling with
    replacement would make duplicates, whose radii are 0.

    Args:
        real, fake: (N, D) and (M, D).
        k: the neighbour that makes the radius.
        real_groups, fake_groups: (N,), (M,) labels, such as identities; rows of one label leave together, on both
            sides where both have it. Without labels each row leaves by itself.
        random: assigns rows or labels to groups.
        groups: how many groups, each left out once; fewer where there are fewer labels.

    Returns:
        The measures of all rows with their intervals, cut at 0 and (but density) at 1.

    Raises:
        UsageError: `k` is less than 1, or `groups` less than 2.
        DataError: as `prdc`, or labels that do not fit, or too few rows left where a group is left out.
    """
    first, second = _prepare(real, fake, k)
    assigned = _assign_groups((len(first), len(second)), (real_groups, fake_groups), random, groups)
    reals = len(first) - np.bincount(assigned.real, minlength=assigned.number)  # that remain in each part
    fakes = len(second) - np.bincount(assigned.fake, minlength=assigned.number)
    fewest = min(int(reals.min()), int(fakes.min()))
    if fewest <= k:
        raise DataError(f"Where a group is left out, {fewest} rows remain: too few for neighbour {k}.")
    scores, real_balls, fake_balls = _compare(first, second, k, assigned)
    assert real_balls.parts is not None
    assert fake_balls.parts is not None
    parts = {
        "precision": real_balls.parts.held.sum(axis=0) / fakes,
        "recall": fake_balls.parts.held.sum(axis=0) / reals,
        "density": real_balls.parts.pairs / (k * fakes),
        "coverage": real_balls.parts.filled.sum(axis=0) / reals,
    }
    return {
        name: _jackknife(value, parts[name], math.inf if name == "density" else 1.0)
        for name, value in scores.prdc.items()
    }


class _Points:
    """A set of points, ready for bounds of squared distances.

    Squared distances are in units of `scale`⁻², a power of 4 that brings all norms below 1, out of reach of overflow.

    Attributes:
        features: (N, D) as given.
        slack: (N,) a squared distance exceeds its lower bound by at most the slacks of both points together.
    """

    def __init__(
        self, features: Floats, centre: Matrix, scale: float, dtype: type[np.floating[Any]] = np.float32
    ) -> None:
        count, dimension = features.shape
        limits = np.finfo(dtype)
        rounding = (dimension + 8) * float(limits.eps) / 2  # of D + 2 products and sums, of features and of norms
        error = 2 * rounding / (1 - rounding)
        smallest = float(limits.tiny)  # what underflow can hide
        self.features = features
        self.scale = scale
        self.slack = np.empty(count)
        self._rows = np.empty((count, dimension + 2), dtype=dtype)  # the point, its shrunk norm, one
        for rows in _spans(count):
            self._rows[rows, :dimension] = (features[rows] - centre) * scale
            norms = np.square(self._rows[rows, :dimension], dtype=np.float64).sum(axis=1)
            self._rows[rows, dimension] = (1 - error) * norms - smallest
            self.slack[rows] = 2 * error * norms + 2 * smallest
        self._rows[:, dimension + 1] = 1

    def __len__(self) -> int:
        return len(self.features)

    def factor(self, rows: slice | Indices) -> Floats:
        """The left factor of `lower_bounds` for these rows: -2 times the point, one, its shrunk norm."""
        factor: Floats = -2 * self._rows[rows]
        factor[:, -2] = 1
        factor[:, -1] = self._rows[rows, -2]
        return factor

    def lower_bounds(self, factor: Floats, columns: slice, buffer: Floats) -> Floats:
        """Lower bounds of the squared distances between rows (their `factor`) and these points, in `buffer`."""
        right = self._rows[columns]
        bounds = buffer[: len(factor) * len(right)].reshape(len(factor), len(right))
        return np.matmul(factor, right.T, out=bounds)

    def squared(self, own: Indices, other: _Points, others: Indices) -> Matrix:
        """(P,) squared distances between points `own` and points `others` of `other`, by float64 differences."""
        squares = np.empty(len(own))
        step = max(1, PIECE // self.features.shape[1])
        for start in range(0, len(own), step):
            pairs = slice(start, start + step)
            difference = np.subtract(self.features[own[pairs]], other.features[others[pairs]], dtype=np.float64)
            squares[pairs] = np.square(difference, out=difference).sum(axis=1)
        return squares * self.scale**2

    @cached_property
    def distinct(self) -> tuple[Indices, Indices]:
        """(N,) the number of each point among the distinct ones, and the first row of each number."""
        known: dict[bytes, int] = {}
        numbers = [known.setdefault(hashlib.sha256(row.tobytes()).digest(), len(known)) for row in self.features]
        return np.array(numbers), np.unique(numbers, return_index=True)[1]


class _Shortlist:
    """The others with the least lower bounds, `capacity` of them for each of `count` points.

    Attributes:
        bounds, others: (count, capacity) lower bounds, infinite where there is none, and row numbers.
        limit: (count,) no bound that is missing from the list is less.
    """

    def __init__(self, count: int, capacity: int) -> None:
        self.bounds = np.full((count, capacity), np.inf, dtype=np.float32)
        self.others = np.zeros((count, capacity), dtype=np.int64)
        self.limit = np.full(count, np.inf, dtype=np.float32)

    def scan(self, bounds: Floats, points: slice, others: Indices, axis: int) -> None:
        """Look through a block of bounds. The points are along `axis`, the others along the other one."""
        capacity = self.bounds.shape[1]
        limit = self.limit[points]
        if np.isinf(limit).any() and len(others) >= 4 * capacity:  # a sample bounds what can enter, before all does
            sample = bounds[:, ::4] if axis == 0 else bounds[::4]
            best = np.partition(sample, capacity - 1, axis=1 - axis).take(capacity - 1, axis=1 - axis)
            limit = np.minimum(limit, np.nextafter(best.clip(min=0), np.float32(np.inf)))
        found = np.flatnonzero(bounds < np.expand_dims(limit, 1 - axis))
        pairs = np.divmod(found, bounds.shape[1])
        self._enter(pairs[axis] + points.start, others[pairs[1 - axis]], bounds.reshape(-1)[found].clip(min=0))

    def _enter(self, points: Indices, others: Indices, bounds: Floats) -> None:
        entering = bounds < self.limit[points]
        points, others, bounds = points[entering], others[entering], bounds[entering]
        if not len(points):
            return
        capacity = self.bounds.shape[1]
        order = np.lexsort((bounds, points))
        points, others, bounds = points[order], others[order], bounds[order]
        starts = np.flatnonzero(np.diff(points, prepend=-1))
        counts = np.diff(starts, append=len(points))
        row = np.repeat(np.arange(len(starts)), counts)
        rank = np.arange(len(points)) - np.repeat(starts, counts)
        kept = rank < capacity
        row, rank = row[kept], rank[kept]
        shape = (len(starts), int(rank.max()) + 1)
        new_bounds, new_others = np.full(shape, np.inf, dtype=np.float32), np.zeros(shape, dtype=np.int64)
        new_bounds[row, rank], new_others[row, rank] = bounds[kept], others[kept]
        touched = points[starts]
        all_bounds = np.concatenate([self.bounds[touched], new_bounds], axis=1)
        all_others = np.concatenate([self.others[touched], new_others], axis=1)
        best = np.argpartition(all_bounds, capacity - 1, axis=1)[:, :capacity]
        self.bounds[touched] = np.take_along_axis(all_bounds, best, axis=1)
        self.others[touched] = np.take_along_axis(all_others, best, axis=1)
        self.limit[touched] = self.bounds[touched].max(axis=1)

    def settle(
        self, k: int, points: _Points, others: _Points, *, named: bool = False, divisors: Matrix | None = None
    ) -> tuple[Matrix, Indices]:
        """The k-th least squared distance of each point exactly, and whose it is.

        Args:
            k: which one; at most the capacity.
            points, others: whose neighbours these are, and among whom.
            named: of equally near others the first must be named, not just one of them.
            divisors: (others,) what the squared distances are divided by; 0 leaves the other out.
        """
        bounds = self.bounds.astype(np.float64)
        slack = points.slack[:, None] + others.slack[self.others]
        if divisors is not None:  # the bounds are divided already, in float32
            slack = _divided(slack, np.where(divisors < TINY, 0, divisors)[self.others]) + 1e-6 * bounds

        def exact(row: Indices, column: Indices) -> Matrix:
            chosen = self.others[row, column]
            squared = points.squared(row, others, chosen)
            return squared if divisors is None else _divided(squared, divisors[chosen])

        values, tied = _kth_least(k, bounds, slack, exact)
        rows = np.where(tied, self.others, len(others)).min(axis=1)
        unsure = np.flatnonzero(values >= self.limit if named else values > self.limit)  # what is missing may be nearer
        if len(unsure):
            values[unsure], rows[unsure] = _settle_among_all(unsure, k, points, others, divisors)
        return values, rows


def _settle_among_all(
    rows: Indices, k: int, points: _Points, others: _Points, divisors: Matrix | None
) -> tuple[Matrix, Indices]:
    """As `_Shortlist.settle` for a few rows of the points, or for many that are nearly equal.

    Float64 products, centred on these rows, tell apart what float32 could not; equal others are looked at once.
    """
    centre = points.features[rows].mean(axis=0, dtype=np.float64)
    near = _Points(points.features[rows], centre, points.scale, np.float64)
    all_ = _Points(others.features, centre, others.scale, np.float64)
    number, first = others.distinct
    values, names = np.empty(len(rows)), np.empty(len(rows), dtype=np.int64)
    step = max(1, PIECE // len(others))
    buffer = np.empty(step * len(others))
    for start in range(0, len(rows), step):
        part = np.arange(start, min(start + step, len(rows)))
        bounds = all_.lower_bounds(near.factor(part), slice(len(others)), buffer).clip(min=0)
        slack = near.slack[part, None] + all_.slack
        if points is others:
            bounds[np.arange(len(part)), rows[part]] = np.inf
        if divisors is not None:
            bounds, slack = _divided(bounds, divisors) * (1 - 1e-12), _divided(slack * (1 + 1e-12), divisors)
            slack += 1e-11 * bounds

        def exact(row: Indices, column: Indices, part: Indices = part) -> Matrix:
            pairs, which = np.unique(row * len(others) + number[column], return_inverse=True)
            row_once, number_once = np.divmod(pairs, len(others))
            squared = points.squared(rows[part[row_once]], others, first[number_once])[which]
            return squared if divisors is None else _divided(squared, divisors[column])

        values[part], tied = _kth_least(k, bounds, slack, exact)
        names[part] = tied.argmax(axis=1)
    return values, names


def _kth_least(
    k: int, bounds: Matrix, slack: Matrix, exact: Callable[[Indices, Indices], Matrix]
) -> tuple[Matrix, Flags]:
    """The k-th least of the values in each row, and which are equal to it.

    Args:
        k: which one.
        bounds, slack: (P, C) each value lies between the bound and the bound with its slack.
        exact: the values at some rows and columns; asked only for those that may be the k-th.
    """
    upper = bounds + slack
    least, most = (np.partition(ends, k - 1, axis=1)[:, k - 1, None] for ends in (bounds, upper))
    values = np.where(upper < least, -np.inf, np.inf)  # these are less than the k-th in any case
    row, column = np.nonzero((upper >= least) & (bounds <= most) & np.isfinite(bounds))
    values[row, column] = exact(row, column)
    kth = np.partition(values, k - 1, axis=1)[:, k - 1]
    return kth, values == kth[:, None]


class _Balls:
    """The balls of one set, and what of the other set lies in them.

    Attributes:
        radii, squared_radii: (centres,).
        holders: (others,) how many balls hold each other.
        smallest: (others,) the smallest radius among these; infinite where there is none.
        filled: (centres,) the ball holds an other.
        parts: the same where each group of rows is left out in turn.
    """

    def __init__(self, centres: _Points, others: _Points, squared_radii: Matrix, parts: _Parts | None) -> None:
        self.radii = np.sqrt(squared_radii)
        self.holders = np.zeros(len(others), dtype=np.int64)
        self.smallest = np.full(len(others), np.inf)
        self.filled = np.zeros(len(centres), dtype=np.bool_)
        self.parts = parts
        self._centres, self._others = centres, others
        self.squared_radii = squared_radii
        largest = squared_radii if parts is None else np.maximum(squared_radii, parts.squared_radii.max(axis=1))
        self._limit = np.nextafter(largest.astype(np.float32), np.float32(np.inf))

    def scan(self, bounds: Floats, centres: slice, others: slice, axis: int) -> None:
        """Look through a block of bounds. The centres are along `axis`, the others along the other one."""
        found = np.flatnonzero(bounds <= np.expand_dims(self._limit[centres], 1 - axis))
        step = PIECE // 8
        for start in range(0, len(found), step):  # a few pairs or, where fakes are near the mean of all, all pairs
            piece = found[start : start + step]
            pairs = np.divmod(piece, bounds.shape[1])
            self._enter(pairs[axis] + centres.start, pairs[1 - axis] + others.start, bounds.reshape(-1)[piece])

    def _enter(self, centres: Indices, others: Indices, bounds: Floats) -> None:
        slack = self._centres.slack[centres] + self._others.slack[others]
        radii, squared_radii = self.radii[centres], self.squared_radii[centres]
        inside = bounds + slack <= squared_radii
        open_ = np.flatnonzero(~inside & (bounds <= squared_radii * (1 + 1e-12)))
        inside[open_] = np.sqrt(self._centres.squared(centres[open_], self._others, others[open_])) <= radii[open_]
        np.add.at(self.holders, others[inside], 1)
        np.minimum.at(self.smallest, others[inside], radii[inside])
        self.filled[centres[inside]] = True
        if self.parts is not None:
            self.parts.enter(centres, others, _estimates(bounds, slack))


class _Parts:
    """What lies in the balls of one set where each of some groups of rows is left out in turn.

    Attributes:
        squared_radii: (centres, groups) of the rows that remain; -1 for a centre that is left out.
        held: (others, groups) the other, not left out itself, is in a ball.
        filled: (centres, groups) the ball holds an other.
        pairs: (groups,) how many pairs of a ball and what it holds there are.
    """

    def __init__(self, squared_radii: npt.NDArray[np.float32], other_groups: Indices) -> None:
        groups = squared_radii.shape[1]
        self.squared_radii = squared_radii
        self.held = np.zeros((len(other_groups), groups), dtype=np.bool_)
        self.filled = np.zeros(squared_radii.shape, dtype=np.bool_)
        self.pairs = np.zeros(groups, dtype=np.int64)
        self._stays = other_groups[:, None] != np.arange(groups)

    def enter(self, centres: Indices, others: Indices, squared: npt.NDArray[np.float32]) -> None:
        inside = (squared[:, None] <= self.squared_radii[centres]) & self._stays[others]
        pair, group = np.nonzero(inside)
        self.held[others[pair], group] = True
        self.filled[centres[pair], group] = True
        self.pairs += inside.sum(axis=0)


class _Groups(NamedTuple):
    """Which group each real and each fake belongs to, (N,) and (M,), and how many groups there are."""

    real: Indices
    fake: Indices
    number: int


def _prepare(real: npt.ArrayLike, fake: npt.ArrayLike, k: int) -> tuple[_Points, _Points]:
    if k < 1:
        raise UsageError(f"The neighbour that makes the radius must be at least the first, not {k}.")
    first, second = float_pair(real, fake, minimum=k + 1)
    centre = first.mean(axis=0, dtype=np.float64) / 2 + second.mean(axis=0, dtype=np.float64) / 2
    ends = [end for side in (first, second) for end in (side.min(axis=0), side.max(axis=0))]
    reach = max(float(np.abs(end - centre).max()) for end in ends) * math.sqrt(first.shape[1])
    scale = 2.0 ** -max(-400, min(400, math.frexp(reach)[1]))
    return _Points(first, centre, scale), _Points(second, centre, scale)


def _compare(real: _Points, fake: _Points, k: int, groups: _Groups | None) -> tuple[NeighbourScores, _Balls, _Balls]:
    """The one pass; the balls of the reals and of the fakes have their parts where there are groups."""
    with ThreadPoolExecutor() as pool:
        if groups is None:
            real_balls = _Balls(real, fake, *_radii(real, k, pool))
            fake_balls = _Balls(fake, real, *_radii(fake, k, pool))
        else:
            real_balls = _Balls(real, fake, *_radii(real, k, pool, groups.number, groups.real, groups.fake))
            fake_balls = _Balls(fake, real, *_radii(fake, k, pool, groups.number, groups.fake, groups.real))
        nearest_real, nearest_fake, most_real = (_Shortlist(len(points), CANDIDATES) for points in (fake, real, fake))
        small = real_balls.radii <= np.median(real_balls.radii)
        divisors = np.where(small, real_balls.squared_radii, 0)
        weights = ((1 - 1e-6) / divisors.clip(min=TINY)).astype(np.float32)
        buffer = _buffer()
        every_real, every_fake = np.arange(len(real)), np.arange(len(fake))
        for rows in _spans(len(real)):
            factor = real.factor(rows)
            judging = np.flatnonzero(divisors[rows])
            for columns in _spans(len(fake)):
                bounds = fake.lower_bounds(factor, columns, buffer)
                tasks = [
                    pool.submit(nearest_fake.scan, bounds, rows, every_fake[columns], 0),
                    pool.submit(nearest_real.scan, bounds, columns, every_real[rows], 1),
                    pool.submit(real_balls.scan, bounds, rows, columns, 0),
                    pool.submit(fake_balls.scan, bounds, columns, rows, 1),
                ]
                ratios = bounds[judging]
                ratios *= weights[rows][judging, None]
                most_real.scan(ratios, columns, every_real[rows][judging], 1)
                for task in tasks:
                    task.result()
    real_squared, real_row = nearest_real.settle(1, fake, real, named=True)
    fake_squared, fake_row = nearest_fake.settle(1, real, fake, named=True)
    realism = np.where((real_squared == 0) & small[real_row], np.inf, 0)
    if divisors.any():
        _, judge = most_real.settle(1, fake, real, divisors=divisors)
        squared = fake.squared(every_fake, real, judge)
        realism = np.maximum(realism, _divided(real_balls.radii[judge], np.sqrt(squared)))
    scores = NeighbourScores(
        k=k,
        real_radii=real_balls.radii / real.scale,
        fake_radii=fake_balls.radii / fake.scale,
        fake_balls=real_balls.holders,
        real_recalled=fake_balls.holders > 0,
        real_covered=real_balls.filled,
        realism=realism,
        rarity=np.where(real_balls.holders > 0, real_balls.smallest / real.scale, np.nan),
        nearest_real=real_row,
        nearest_real_distance=np.sqrt(real_squared) / real.scale,
        nearest_fake=fake_row,
        nearest_fake_distance=np.sqrt(fake_squared) / fake.scale,
    )
    return scores, real_balls, fake_balls


def _radii(
    points: _Points,
    k: int,
    pool: ThreadPoolExecutor,
    count: int = 0,
    groups: Indices | None = None,
    other_groups: Indices | None = None,
) -> tuple[Matrix, _Parts | None]:
    """(N,) squared distance of each point to its k-th nearest other; parts where each of `count` groups is left out."""
    nearest = _Shortlist(len(points), math.ceil((k + SPARE) * (count / (count - 1) if count else 1)))
    buffer = _buffer()
    everyone = np.arange(len(points))
    for rows in _spans(len(points)):
        factor = points.factor(rows)
        for columns in _spans(len(points)):
            if columns.start < rows.start:  # seen from the other side
                continue
            bounds = points.lower_bounds(factor, columns, buffer)
            if columns == rows:
                np.fill_diagonal(bounds, np.inf)
                nearest.scan(bounds, rows, everyone[columns], 0)
            else:
                task = pool.submit(nearest.scan, bounds, rows, everyone[columns], 0)
                nearest.scan(bounds, columns, everyone[rows], 1)
                task.result()
    squared, _ = nearest.settle(k, points, points)
    if groups is None or other_groups is None:
        return squared, None
    return squared, _Parts(_radii_of_parts(points, nearest, k, groups, count), other_groups)


def _radii_of_parts(
    points: _Points, nearest: _Shortlist, k: int, groups: Indices, count: int
) -> npt.NDArray[np.float32]:
    """(N, count) squared radii in float32 where each group is left out; -1 for a point that is left out itself."""
    squared = _estimates(nearest.bounds, points.slack[:, None] + points.slack[nearest.others])
    neighbour_groups = groups[nearest.others]
    radii = np.empty((len(points), count), dtype=np.float32)
    for group in range(count):
        left = np.where(neighbour_groups == group, np.float32(np.inf), squared)
        radii[:, group] = np.partition(left, k - 1, axis=1)[:, k - 1]
    radii[np.arange(len(points)), groups] = -1
    short = np.flatnonzero(np.isinf(radii).any(axis=1))  # of other groups too few neighbours are listed
    buffer = np.empty(max(BLOCK * BLOCK, len(points)), dtype=np.float32)
    step = len(buffer) // len(points)
    for start in range(0, len(short), step):
        rows = short[start : start + step]
        bounds = points.lower_bounds(points.factor(rows), slice(len(points)), buffer)
        squared = _estimates(bounds, points.slack[rows, None] + points.slack)
        squared[np.arange(len(rows)), rows] = np.inf
        for group in range(count):
            lacking = np.isinf(radii[rows, group])
            left = squared[lacking][:, groups != group]
            radii[rows[lacking], group] = np.partition(left, k - 1, axis=1)[:, k - 1]
    return radii


def _assign_groups(
    sizes: tuple[int, int],
    labels: tuple[npt.ArrayLike | None, npt.ArrayLike | None],
    random: np.random.Generator,
    count: int,
) -> _Groups:
    """Groups of about even size on both sides, rows of one label together."""
    if count < 2:
        raise UsageError(f"A jackknife needs at least 2 groups, not {count}.")
    given = [np.arange(size) if label is None else np.asarray(label) for size, label in zip(sizes, labels, strict=True)]
    for name, size, label in zip(("real", "fake"), sizes, given, strict=True):
        if label.shape != (size,):
            raise DataError(f"The {name} groups must be one label for each of {size} rows, not {label.shape}.")
    count = min(count, *(len(np.unique(label)) for label in given))
    if count < 2:
        raise DataError("All rows of a side have one label: there is nothing to leave out.")
    shares = [np.full(size, 1 / size) for size in sizes]
    if labels[0] is None or labels[1] is None:
        real, fake = (_spread(*side, random, count) for side in zip(given, shares, strict=True))
    else:
        real, fake = np.split(_spread(np.concatenate(given), np.concatenate(shares), random, count), [sizes[0]])
    return _Groups(real, fake, count)


def _spread(labels: npt.NDArray[Any], shares: Matrix, random: np.random.Generator, count: int) -> Indices:
    """(rows,) group of each row: whole labels, the largest first, each to the group with the least share so far."""
    _, which = np.unique(labels, return_inverse=True)
    share = np.bincount(which, weights=shares)
    order = random.permutation(len(share))
    order = order[np.argsort(-share[order], kind="stable")]
    load = [(0.0, group) for group in range(count)]
    group_of = np.empty(len(share), dtype=np.int64)
    for label in order:
        least, group = load[0]
        group_of[label] = group
        heapq.heapreplace(load, (least + float(share[label]), group))
    return group_of[which]


def _jackknife(value: float, parts: Matrix, highest: float) -> Interval:
    groups = len(parts)
    error = math.sqrt((groups - 1) / groups * float(np.square(parts - parts.mean()).sum()))
    reach = float(stats.t.ppf(0.975, groups - 1)) * error
    return Interval(value, max(0.0, value - reach), min(highest, value + reach))


def _estimates(bounds: Floats, slack: Matrix) -> npt.NDArray[np.float32]:
    """Squared distances without the shrinking; what cannot be told from 0 counts as equal, as duplicates must."""
    return np.where(bounds > 0, bounds + slack / 2, 0).astype(np.float32)


def _divided(values: Matrix, divisors: Matrix) -> Matrix:
    """`values` / `divisors`, infinite where the divisor is 0."""
    quotients = np.full(np.broadcast_shapes(values.shape, divisors.shape), np.inf)
    return np.divide(values, divisors, out=quotients, where=divisors > 0)


def _spans(count: int) -> list[slice]:
    """Even parts of `count` rows, none longer than a block."""
    ends = np.linspace(0, count, -(-count // BLOCK) + 1).astype(int).tolist()
    return [slice(start, stop) for start, stop in itertools.pairwise(ends)]


def _buffer() -> npt.NDArray[np.float32]:
    return np.empty(BLOCK * BLOCK, dtype=np.float32)
