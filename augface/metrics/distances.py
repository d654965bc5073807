"""Squared distances that are exact at the speed of float32.

One product of matrices gives, for a block of pairs, a lower bound of each squared distance, in which squared norms are
shrunk by the largest error that rounding can make (`Points`). Points are centred first, so that the bound is tight far
from the origin too. Pairs that the bound decides are done with; those too near to a radius or to another neighbour, a
few in a million, are decided by float64 differences of the original features (`Points.squared`). So results are those
of float64 brute force, whatever the size of the blocks.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from augface.arrays import Booleans, Floats, Floats32, Floats64, Integers

BLOCK = 2048
"""Rows and columns of the blocks of pairs that are in memory at a time."""
PIECE = 1 << 20
"""Numbers in the temporary arrays of what is done pair by pair."""
TINY = 1e-30
"""Squared radii below this are out of reach of float32 when divided by."""


class Points:
    """A set of points, ready for bounds of squared distances.

    Squared distances are in units of `scale`⁻², a power of 4 that brings all norms below 1, out of reach of overflow.

    Attributes:
        features: (N, D) as given.
        slack: (N,) a squared distance exceeds its lower bound by at most the slacks of both points together.
    """

    def __init__(
        self, features: Floats, centre: Floats64, scale: float, dtype: type[np.floating[Any]] = np.float32
    ) -> None:
        count, dimension = features.shape
        limits = np.finfo(dtype)
        rounding = (dimension + 64) * float(limits.eps) / 2  # of D + 2 products and sums, norms, differences
        error = 2 * rounding / (1 - rounding)
        smallest = float(limits.tiny)  # what underflow can hide
        self.features = features
        self.scale = scale
        self.slack = np.empty(count)
        self._rows = np.empty((count, dimension + 2), dtype=dtype)  # the point, its shrunk norm, one
        for rows in spans(count):
            self._rows[rows, :dimension] = (features[rows] - centre) * scale
            norms = np.square(self._rows[rows, :dimension], dtype=np.float64).sum(axis=1)
            self._rows[rows, dimension] = (1 - error) * norms - smallest
            self.slack[rows] = 2 * error * norms + 2 * smallest
        self._rows[:, dimension + 1] = 1

    def __len__(self) -> int:
        return len(self.features)

    def factor(self, rows: slice | Integers) -> Floats:
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

    def squared(self, own: Integers, other: Points, others: Integers) -> Floats64:
        """(P,) squared distances between points `own` and points `others` of `other`, by float64 differences."""
        squares = np.empty(len(own))
        step = max(1, PIECE // self.features.shape[1])
        for start in range(0, len(own), step):
            pairs = slice(start, start + step)
            difference = np.subtract(self.features[own[pairs]], other.features[others[pairs]], dtype=np.float64)
            squares[pairs] = np.square(difference, out=difference).sum(axis=1)
        return squares * self.scale**2

    @cached_property
    def distinct(self) -> tuple[Integers, Integers]:
        """(N,) the number of each point among the distinct ones, and the first row of each number."""
        known: dict[bytes, int] = {}
        numbers = [known.setdefault(hashlib.sha256(row.tobytes()).digest(), len(known)) for row in self.features]
        return np.array(numbers), np.unique(numbers, return_index=True)[1]


class Shortlist:
    """The others with the least lower bounds, `capacity` of them for each of `count` points.

    Attributes:
        bounds, others: (count, capacity) lower bounds, infinite where there is none, and row numbers.
        limit: (count,) no bound that is missing from the list is less.
    """

    def __init__(self, count: int, capacity: int) -> None:
        self.bounds = np.full((count, capacity), np.inf, dtype=np.float32)
        self.others = np.zeros((count, capacity), dtype=np.int64)
        self.limit = np.full(count, np.inf, dtype=np.float32)

    def scan(self, bounds: Floats, points: slice, others: slice) -> None:
        """Look through a block of bounds between points (rows) and others (columns)."""
        self._scan(bounds, points, np.arange(others.start, others.stop), 0)

    def scan_turned(self, bounds: Floats, others: slice, points: slice) -> None:
        """Look through a block of bounds between others (rows) and points (columns)."""
        self._scan(bounds, points, np.arange(others.start, others.stop), 1)

    def scan_others(self, bounds: Floats, points: slice, others: Integers) -> None:
        """Look through a block of bounds between chosen others (rows) and points (columns)."""
        self._scan(bounds, points, others, 1)

    def _scan(self, bounds: Floats, points: slice, others: Integers, axis: int) -> None:
        capacity = self.bounds.shape[1]
        limit = self.limit[points]
        if np.isinf(limit).any() and len(others) >= 4 * capacity:  # a sample bounds what can enter, before all does
            sample = bounds[:, ::4] if axis == 0 else bounds[::4]
            best = np.partition(sample, capacity - 1, axis=1 - axis).take(capacity - 1, axis=1 - axis)
            limit = np.minimum(limit, np.nextafter(best.clip(min=0), np.float32(np.inf)))
        found = np.flatnonzero(bounds < np.expand_dims(limit, 1 - axis))
        pairs = np.divmod(found, bounds.shape[1])
        self._enter(pairs[axis] + points.start, others[pairs[1 - axis]], bounds.reshape(-1)[found].clip(min=0))

    def _enter(self, points: Integers, others: Integers, bounds: Floats) -> None:
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
        self, k: int, points: Points, others: Points, *, named: bool = False, divisors: Floats64 | None = None
    ) -> tuple[Floats64, Integers]:
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
            slack = divided(slack, np.where(divisors < TINY, 0, divisors)[self.others]) + 1e-6 * bounds

        def exact(row: Integers, column: Integers) -> Floats64:
            chosen = self.others[row, column]
            squared = points.squared(row, others, chosen)
            return squared if divisors is None else divided(squared, divisors[chosen])

        values, tied = _kth_least(k, bounds, slack, exact)
        rows = np.where(tied, self.others, len(others)).min(axis=1)
        unsure = np.flatnonzero(values >= self.limit if named else values > self.limit)  # what is missing may be nearer
        if len(unsure):
            values[unsure], rows[unsure] = _settle_among_all(unsure, k, points, others, divisors)
        return values, rows


def _settle_among_all(
    rows: Integers, k: int, points: Points, others: Points, divisors: Floats64 | None
) -> tuple[Floats64, Integers]:
    """As `Shortlist.settle` for a few rows of the points, or for many that are nearly equal.

    Float64 products, centred on these rows, distinguish what float32 could not; equal others are looked at once.
    """
    centre = points.features[rows].mean(axis=0, dtype=np.float64)
    near = Points(points.features[rows], centre, points.scale, np.float64)
    all_ = Points(others.features, centre, others.scale, np.float64)
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
            bounds, slack = divided(bounds, divisors) * (1 - 1e-12), divided(slack * (1 + 1e-12), divisors)
            slack += 1e-11 * bounds

        def exact(row: Integers, column: Integers, part: Integers = part) -> Floats64:
            pairs, which = np.unique(row * len(others) + number[column], return_inverse=True)
            row_once, number_once = np.divmod(pairs, len(others))
            squared = points.squared(rows[part[row_once]], others, first[number_once])[which]
            return squared if divisors is None else divided(squared, divisors[column])

        values[part], tied = _kth_least(k, bounds, slack, exact)
        names[part] = tied.argmax(axis=1)
    return values, names


def _kth_least(
    k: int, bounds: Floats64, slack: Floats64, exact: Callable[[Integers, Integers], Floats64]
) -> tuple[Floats64, Booleans]:
    """The k-th least of the values in each row, and which are equal to it.

    Args:
        k: which one.
        bounds, slack: (P, C) each value lies between the bound and the bound with its slack.
        exact: the values at some rows and columns; computed only for those that may be the k-th.
    """
    upper = bounds + slack
    least, most = (np.partition(ends, k - 1, axis=1)[:, k - 1, None] for ends in (bounds, upper))
    values = np.where(upper < least, -np.inf, np.inf)  # these are less than the k-th in any case
    row, column = np.nonzero((upper >= least) & (bounds <= most) & np.isfinite(bounds))
    values[row, column] = exact(row, column)
    kth = np.partition(values, k - 1, axis=1)[:, k - 1]
    return kth, values == kth[:, None]


def common_points(first: Floats, second: Floats) -> tuple[Points, Points]:
    """Two sets of features as points about one centre, in one scale."""
    centre = first.mean(axis=0, dtype=np.float64) / 2 + second.mean(axis=0, dtype=np.float64) / 2
    ends = [end for side in (first, second) for end in (side.min(axis=0), side.max(axis=0))]
    reach = max(float(np.abs(end - centre).max()) for end in ends) * math.sqrt(first.shape[1])
    scale = 2.0 ** -max(-400, min(400, math.frexp(reach)[1]))
    return Points(first, centre, scale), Points(second, centre, scale)


def estimates(bounds: Floats, slack: Floats64) -> Floats32:
    """Squared distances without the shrinking; what may be 0 counts as equal, as duplicates must."""
    return np.where(bounds > 0, bounds + slack / 2, 0).astype(np.float32)


def divided(values: Floats64, divisors: Floats64) -> Floats64:
    """`values` / `divisors`, infinite where the divisor is 0."""
    quotients = np.full(np.broadcast_shapes(values.shape, divisors.shape), np.inf)
    np.divide(values, divisors, out=quotients, where=divisors > 0)
    return quotients


def spans(count: int) -> list[slice]:
    """Even parts of `count` rows, none longer than a block."""
    ends = np.linspace(0, count, -(-count // BLOCK) + 1).astype(int).tolist()
    return [slice(start, stop) for start, stop in itertools.pairwise(ends)]


def block_buffer() -> Floats32:
    """Room for the bounds of one block."""
    return np.empty(BLOCK * BLOCK, dtype=np.float32)
