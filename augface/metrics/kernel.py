"""Kernel distance: the squared maximum mean discrepancy, cubic kernel (Bińkowski et al. 2018, arXiv:1801.01401).

The kernel is (xᵀy / D + 1)³, or where that is asked for a Gaussian one. A constant that is added to it cancels out of
every distance, so it is taken less its value at the common centre of both sides (the Gaussian one less 1, its value
where x = y), and products are taken of centred features: what is multiplied and summed stays small, and float32
features can be multiplied in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from augface.arrays import Floats, Floats64, Integers
from augface.metrics.arrays import float_matrix, float_pair

BLOCK = 1024
"""Rows and columns of the products that are in memory at a time."""


CMMD_BANDWIDTH, CMMD_SCALE = 10.0, 1_000
"""Of CMMD's kernel, and what the distance is multiplied by, both as its authors chose them."""


@dataclass(frozen=True)
class KernelEstimate:
    """A distance with what it takes to say how sure it is.

    Attributes:
        value: the unbiased estimate from all pairs.
        standard_error: of the value, each group of rows left out in turn.
        x_witness, y_witness: (N,), (M,) how much nearer a row is to its own side than to the other, in mean kernel:
            the fakes that cost most and the reals that are missed most have the largest.
    """

    value: float
    standard_error: float
    x_witness: Floats64
    y_witness: Floats64


def kernel_distance(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy, from all pairs (Gretton et al. 2012, eq. 3).

    Args:
        x, y: (N, D) and (M, D), at least 3 rows each.

    Returns:
        The distance; for two samples of one population it scatters around 0 and may be negative.
    """
    return kernel_estimate(x, y).value


def distance_of_halves(x: npt.ArrayLike) -> float:
    """The distance between the two halves of a sample that differ most, as `most_different_halves` has them.

    A scale for distances: synthetic faces that are as far from real ones as that are of no use.

    Args:
        x: (N, D), at least 6 rows.
    """
    rows = float_matrix(x, "real", minimum=6)
    lower, upper = most_different_halves(rows)
    return kernel_distance(rows[lower], rows[upper])


def most_different_halves(rows: Floats) -> tuple[Integers, Integers]:
    """Row numbers of the halves of (N, D) features below and above the median of their first principal component."""
    from sklearn.decomposition import PCA  # takes a moment to import

    component = PCA(1, svd_solver="randomized", random_state=0).fit_transform(rows)[:, 0]
    order = np.argsort(component, kind="stable")
    half = len(order) // 2
    return order[:half], order[half:]


def kernel_estimate(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    x_groups: npt.ArrayLike | None = None,
    y_groups: npt.ArrayLike | None = None,
) -> KernelEstimate:
    """The distance with its jackknife standard error: each group of rows left out in turn, in closed form.

    The error is right where the distance is well above 0; at two equal populations use `kernel_test`.

    Args:
        x, y: (N, D) and (M, D), at least 3 rows each.
        x_groups, y_groups: (N,), (M,) which rows belong together, such as pictures of one person; each row is alone
            where not given.
    """
    first, second = _centred(*float_pair(x, y, minimum=3))
    return _estimate(first, second, x_groups, y_groups)


def cmmd_estimate(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    x_groups: npt.ArrayLike | None = None,
    y_groups: npt.ArrayLike | None = None,
) -> KernelEstimate:
    """CMMD's distance with its standard error: of unit vectors, times 1,000 (Jayasumana et al. 2024, arXiv:2401.09603).

    The kernel is exp(-‖x - y‖² / (2 · 10²)). The estimate is the biased one of the authors' code (Gretton et al. 2012,
    eq. 5), in which each row is paired with itself too: at least 0, and above it even for two equal populations.

    Args:
        x, y: (N, D) and (M, D), at least 3 rows each; of any length, as they are divided by it.
        x_groups, y_groups: as in `kernel_estimate`.
    """
    x_rows, y_rows = float_pair(x, y, minimum=3)
    first, second = _gaussian_factors(_unit_rows(x_rows), _unit_rows(y_rows), CMMD_BANDWIDTH)
    estimate = _estimate(first, second, x_groups, y_groups, biased=True)
    return replace(estimate, value=CMMD_SCALE * estimate.value, standard_error=CMMD_SCALE * estimate.standard_error)


def _unit_rows(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def _estimate(
    first: _Side,
    second: _Side,
    x_groups: npt.ArrayLike | None,
    y_groups: npt.ArrayLike | None,
    *,
    biased: bool = False,
) -> KernelEstimate:
    """The distance of two sides; the biased one is of a kernel that is 0 between a row and itself."""
    n, m = len(first), len(second)
    within_first, within_second = _sums_within(first), _sums_within(second)
    between_first, between_second = _sums_between(first, second)
    pairs, other_pairs = (n * n, m * m) if biased else (n * (n - 1), m * (m - 1))
    a, b, c = within_first.sum() / pairs, within_second.sum() / other_pairs, between_first.sum() / (n * m)
    variance = _jackknife_variance(first, within_first, between_first, m, x_groups)
    variance += _jackknife_variance(second, within_second, between_second, n, y_groups)
    return KernelEstimate(
        value=float(a + b - 2 * c),
        standard_error=float(np.sqrt(variance)),
        x_witness=within_first / (n - 1) - between_first / m,
        y_witness=within_second / (m - 1) - between_second / n,
    )


def kernel_distance_of_subsets(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    random: np.random.Generator | np.random.RandomState,
    subsets: int = 100,
    size: int = 1000,
) -> tuple[float, float]:
    """Mean and standard deviation over random subsets, as other tools give them.

    The deviation is that of a subset and not the standard error of the mean: use `kernel_estimate` for evidence.

    Args:
        x, y: (N, D) and (M, D), at least 3 rows each.
        random: draws the subsets, without replacement in each.
        subsets: how many.
        size: rows of each side in each; no more than the smaller side has.
    """
    first, second = float_pair(x, y, minimum=3)
    size = min(size, len(first), len(second))
    values = []
    for _ in range(subsets):
        rows = random.choice(len(first), size, replace=False)
        other_rows = random.choice(len(second), size, replace=False)
        values.append(kernel_distance(first[rows], second[other_rows]))
    return float(np.mean(values)), float(np.std(values))


def kernel_test(x: npt.ArrayLike, y: npt.ArrayLike, random: np.random.Generator, permutations: int = 500) -> float:
    """p-value of the hypothesis that both sides come from one population, by exchanging rows between the sides.

    Args:
        x, y: (N, D) and (M, D); memory is O((N + M)²).
        random: draws the permutations.
        permutations: how many; the smallest p-value is 1 / (permutations + 1).
    """
    first, second = float_pair(x, y, minimum=3)
    n, m = len(first), len(second)
    (pooled,) = _centred(np.concatenate([first, second]))
    kernel = pooled.kernel(pooled.left @ pooled.right.T)
    np.fill_diagonal(kernel, 0)
    in_first = np.zeros((n + m, permutations + 1), dtype=kernel.dtype)
    in_first[:n, 0] = 1
    for column in range(1, permutations + 1):
        in_first[random.permutation(n + m)[:n], column] = 1
    to_first = kernel @ in_first
    total = kernel.sum(dtype=np.float64)
    row_sums = kernel.sum(axis=1, dtype=np.float64)
    a = (in_first * to_first).sum(axis=0, dtype=np.float64)
    c = row_sums @ in_first - a
    b = total - a - 2 * c
    statistics = a / (n * (n - 1)) + b / (m * (m - 1)) - 2 * c / (n * m)
    return float((statistics >= statistics[0]).mean())


@dataclass(frozen=True)
class _Side:
    """Features as both factors of a product, `left` of one side times `right` of the same or the other, of which the
    kernel is a function."""

    left: Floats
    right: Floats
    kernel: Callable[[Floats], Floats]
    """The kernel, less a constant, of such products."""

    def __len__(self) -> int:
        return len(self.left)


def _centred(*sides: Floats) -> list[_Side]:
    """The factors of the cubic kernel, in the precision that the sides came in: products are (xᵀy - cᵀc) / D, where c
    is the mean of the means.

    xᵀy - cᵀc = (x - c)ᵀ(y - c) + (x - c)ᵀc + (y - c)ᵀc: two more columns hold the terms of one side alone.
    """
    dtype = np.result_type(*sides)
    dimension = sides[0].shape[1]
    centre = np.mean([side.mean(axis=0, dtype=np.float64) for side in sides], axis=0)
    kernel = partial(_cubic, level=float(centre @ centre / dimension + 1))
    factors = []
    for side in sides:
        left, right = np.ones((2, len(side), dimension + 2), dtype=dtype)
        left[:, :dimension] = (side - centre) / np.sqrt(dimension)
        right[:, :dimension] = left[:, :dimension]
        left[:, -1] = right[:, -2] = (side @ centre - centre @ centre) / dimension
        factors.append(_Side(left, right, kernel))
    return factors


def _gaussian_factors(first: Floats, second: Floats, bandwidth: float) -> list[_Side]:
    """The factors of the Gaussian kernel, whose products are -|x - y|² / (2 bandwidth²)."""
    dtype = np.result_type(first, second)
    dimension = first.shape[1]
    centre = (first.mean(axis=0, dtype=np.float64) + second.mean(axis=0, dtype=np.float64)) / 2
    factors = []
    for side in (first, second):
        left, right = np.ones((2, len(side), dimension + 2), dtype=dtype)
        left[:, :dimension] = right[:, :dimension] = (side - centre) / bandwidth
        left[:, -1] = right[:, -2] = np.square(left[:, :dimension]).sum(axis=1, dtype=np.float64) / -2
        factors.append(_Side(left, right, _less_one))
    return factors


def _less_one(product: Floats) -> Floats:
    """The Gaussian kernel less 1."""
    return np.expm1(product, out=product)


def _cubic(product: Floats, *, level: float) -> Floats:
    """The cubic kernel less its value at the centre, l³: (t + l)³ - l³ = t (3 l² + t (3 l + t)).

    Args:
        product: t.
        level: l = cᵀc / D + 1.
    """
    kernel: Floats = product + product.dtype.type(3 * level)
    kernel *= product
    kernel += product.dtype.type(3 * level**2)
    kernel *= product
    return kernel


def _sums_within(side: _Side) -> Floats64:
    """(N,) sums of the kernel between each row and all others; each pair of blocks is computed once."""
    sums = np.zeros(len(side))
    blocks = [(rows, columns) for rows, columns in _blocks(len(side), len(side)) if rows.start <= columns.start]
    for rows, columns, row_sums, column_sums in _block_sums(side, side, blocks):
        sums[rows] += row_sums
        if rows != columns:
            sums[columns] += column_sums
    return sums


def _sums_between(left: _Side, right: _Side) -> tuple[Floats64, Floats64]:
    """(N,) and (M,) sums of the kernel between each row of either side and all of the other."""
    left_sums, right_sums = np.zeros(len(left)), np.zeros(len(right))
    for rows, columns, row_sums, column_sums in _block_sums(left, right, _blocks(len(left), len(right))):
        left_sums[rows] += row_sums
        right_sums[columns] += column_sums
    return left_sums, right_sums


def _blocks(rows: int, columns: int) -> list[tuple[slice, slice]]:
    return [
        (slice(row, row + BLOCK), slice(column, column + BLOCK))
        for row in range(0, rows, BLOCK)
        for column in range(0, columns, BLOCK)
    ]


def _block_sums(
    left: _Side, right: _Side, blocks: list[tuple[slice, slice]]
) -> Iterator[tuple[slice, slice, Floats, Floats]]:
    """Each block with its sums along both axes, in order, without the pairs of a row with itself."""

    def work(block: tuple[slice, slice]) -> tuple[slice, slice, Floats, Floats]:
        rows, columns = block
        kernel = left.kernel(left.left[rows] @ right.right[columns].T)
        if left is right and rows == columns:
            np.fill_diagonal(kernel, 0)
        return rows, columns, kernel.sum(axis=1), kernel.sum(axis=0)

    with ThreadPoolExecutor(2) as pool:  # one adds up while the other multiplies on all cores
        yield from pool.map(work, blocks)


def _jackknife_variance(
    side: _Side, within: Floats64, between: Floats64, others: int, groups: npt.ArrayLike | None
) -> float:
    """What one side adds to the variance: the spread of the distance when each of its groups is left out in turn."""
    n = len(within)
    sizes: Floats64 = np.ones(n)
    pairs_within: Floats64 = np.zeros(n)
    if groups is not None:
        _, numbers = np.unique(np.asarray(groups), return_inverse=True)
        pairs_within = _pairs_within_groups(side, numbers)
        sizes, within, between = (
            np.bincount(numbers, weights=values).astype(np.float64) for values in (sizes, within, between)
        )
    remaining = n - sizes
    if len(sizes) < 2 or remaining.min() < 2:
        return float("nan")
    without = (within.sum() - 2 * within + pairs_within) / (remaining * (remaining - 1)) - 2 * (
        between.sum() - between
    ) / (remaining * others)
    return float(without.var() * (len(sizes) - 1))


def _pairs_within_groups(side: _Side, numbers: npt.NDArray[np.intp]) -> Floats64:
    """(G,) sums of the kernel over the ordered pairs of rows of each group."""
    order = np.argsort(numbers, kind="stable")
    ends = np.cumsum(np.bincount(numbers))
    sums = np.zeros(len(ends))
    for group, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        if end - start > 1:
            rows = order[start:end]
            kernel = side.kernel(side.left[rows] @ side.right[rows].T)
            sums[group] = kernel.sum() - np.trace(kernel)
    return sums
