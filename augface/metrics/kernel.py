"""Kernel distance: the squared maximum mean discrepancy, cubic kernel (Bińkowski et al. 2018, arXiv:1801.01401)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from augface.metrics.arrays import Matrix, feature_pair


@dataclass(frozen=True)
class KernelDistance:
    """An estimate with its standard error."""

    value: float
    standard_error: float


def kernel_distance(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy, from all pairs (Gretton et al. 2012, eq. 3).

    Args:
        x, y: (N, D) and (M, D); the kernel is (aᵀb / D + 1)³.

    Returns:
        The distance; for two samples of one population it scatters around 0 and may be negative.
    """
    return kernel_estimate(x, y).value


def kernel_estimate(x: npt.ArrayLike, y: npt.ArrayLike) -> KernelDistance:
    """The distance with its jackknife standard error: each row of either side left out in turn, in closed form.

    The error is right where the distance is well above 0; at two equal populations use `kernel_test`.
    """
    first, second = feature_pair(x, y, minimum=3)
    n, m = len(first), len(second)
    within_first, within_second = _row_sums(first, first), _row_sums(second, second)
    within_first -= _kernel_diagonal(first)
    within_second -= _kernel_diagonal(second)
    between_first, between_second = _row_sums(first, second), _row_sums(second, first)
    a, b, c = within_first.sum(), within_second.sum(), between_first.sum()
    value = a / (n * (n - 1)) + b / (m * (m - 1)) - 2 * c / (n * m)
    without_first = (
        (a - 2 * within_first) / ((n - 1) * (n - 2)) + b / (m * (m - 1)) - 2 * (c - between_first) / ((n - 1) * m)
    )
    without_second = (
        a / (n * (n - 1)) + (b - 2 * within_second) / ((m - 1) * (m - 2)) - 2 * (c - between_second) / (n * (m - 1))
    )
    variance = without_first.var() * (n - 1) + without_second.var() * (m - 1)
    return KernelDistance(float(value), float(np.sqrt(variance)))


def kernel_test(x: npt.ArrayLike, y: npt.ArrayLike, random: np.random.Generator, permutations: int = 500) -> float:
    """p-value of the hypothesis that both sides come from one population, by exchanging rows between the sides.

    Args:
        x, y: (N, D) and (M, D).
        random: draws the permutations.
        permutations: how many; the smallest p-value is 1 / (permutations + 1).
    """
    first, second = feature_pair(x, y, minimum=3)
    n, m = len(first), len(second)
    pooled = np.concatenate([first, second])
    kernel = (pooled @ pooled.T / pooled.shape[1] + 1) ** 3
    np.fill_diagonal(kernel, 0)
    in_first = np.zeros((n + m, permutations + 1))
    in_first[:n, 0] = 1
    for column in range(1, permutations + 1):
        in_first[random.permutation(n + m)[:n], column] = 1
    to_first = kernel @ in_first
    a = (in_first * to_first).sum(axis=0)
    c = ((1 - in_first) * to_first).sum(axis=0)
    b = kernel.sum() - a - 2 * c
    statistics = a / (n * (n - 1)) + b / (m * (m - 1)) - 2 * c / (n * m)
    return float((statistics >= statistics[0]).mean())


def _row_sums(rows: Matrix, columns: Matrix, block: int = 1024) -> Matrix:
    """(N,) sums of the kernel between each row and all columns, in blocks so that memory stays O(N)."""
    return np.concatenate(
        [
            ((rows[start : start + block] @ columns.T / rows.shape[1] + 1) ** 3).sum(axis=1)
            for start in range(0, len(rows), block)
        ]
    )


def _kernel_diagonal(rows: Matrix) -> Matrix:
    diagonal: Matrix = (np.square(rows).sum(axis=1) / rows.shape[1] + 1) ** 3
    return diagonal
