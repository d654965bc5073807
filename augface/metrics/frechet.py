"""Fréchet distance between two sets of features (Heusel et al. 2017, arXiv:1706.08500, eq. 6).

No matrix square root is taken. With covariances A = RRᵀ and B, tr sqrt(AB) is the sum of the roots of the eigenvalues
of AB, which are those of the symmetric RᵀBR. R is a Cholesky factor, or the centred features themselves where they have
fewer rows than dimensions. Singular covariances are normal and need no offset.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg

from augface.arrays import Floats, Floats64
from augface.errors import DataError
from augface.metrics.arrays import float_pair
from augface.metrics.intervals import clustered_variance

ENOUGH = 2
"""Rows a dimension, below which a Fréchet distance is mostly bias."""
BLOCK = 8192
"""Rows that are in memory in double precision at a time."""


class TooFewRowsWarning(UserWarning):
    """A distance was computed from so few rows that nothing can be concluded from it."""


@dataclass(frozen=True)
class FrechetEstimate:
    """A distance with what it takes to say how sure it is.

    Attributes:
        value: the distance, biased upwards by an amount that falls with the number of rows.
        x_influence, y_influence: (N,), (M,) how fast the distance grows when a row gets more weight; each has mean 0.
    """

    value: float
    x_influence: Floats64
    y_influence: Floats64

    def standard_error(self, x_groups: npt.ArrayLike | None = None, y_groups: npt.ArrayLike | None = None) -> float:
        """Of the distance about its expectation at these numbers of rows, by the delta method.

        It is right where the two populations differ; where they are equal the influences vanish.

        Args:
            x_groups, y_groups: (N,), (M,) which rows belong together, such as pictures of one person; each row is
                independent of the others where not given.
        """
        variance = clustered_variance(self.x_influence, x_groups) + clustered_variance(self.y_influence, y_groups)
        return float(np.sqrt(variance))


def frechet_distance(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Squared 2-Wasserstein distance of the Gaussians fitted to two sets of features.

    Args:
        x, y: (N, D) and (M, D).

    Returns:
        The distance, at least 0. It is biased upwards by an amount that falls with N: compare only at one N. Below
        2 D rows a `TooFewRowsWarning` says that nothing can be concluded from it.

    Raises:
        DataError: fewer than 2 rows, unlike dimensions, NaN or infinity.

    >>> frechet_distance([[0.0], [2.0]], [[1.0], [3.0]])
    1.0
    """
    first, second = float_pair(x, y)
    warn_of_few_rows(min(len(first), len(second)), first.shape[1], stacklevel=3)
    return raw_frechet_distance(first, second)


def frechet_distance_of_moments(
    mean: npt.ArrayLike, covariance: npt.ArrayLike, other_mean: npt.ArrayLike, other_covariance: npt.ArrayLike
) -> float:
    """`frechet_distance` of two Gaussians, such as published statistics of a data set.

    Args:
        mean, other_mean: (D,).
        covariance, other_covariance: (D, D), symmetric; singular ones need no offset.

    Raises:
        DataError: unlike dimensions, NaN or infinity.

    >>> frechet_distance_of_moments([0.0], [[1.0]], [3.0], [[4.0]])
    10.0
    """
    means = [np.asarray(each, dtype=np.float64) for each in (mean, other_mean)]
    covariances = [np.asarray(each, dtype=np.float64) for each in (covariance, other_covariance)]
    shapes = {each.shape for each in (*means, *(each.diagonal() for each in covariances))}
    if len(shapes) > 1 or any(each.ndim != 2 or each.shape[0] != each.shape[1] for each in covariances):
        raise DataError("A Gaussian has a mean (D,) and a covariance (D, D), both sides of one D.")
    if not all(np.isfinite(each).all() for each in (*means, *covariances)):
        raise DataError("The moments hold NaN or infinity.")
    difference = means[0] - means[1]
    variances = np.trace(covariances[0]) + np.trace(covariances[1])
    distance = difference @ difference + variances - 2 * _trace_root_of_product(*covariances)
    return max(0.0, float(distance))


def warn_of_few_rows(rows: int, dimension: int, *, stacklevel: int = 2) -> None:
    """Say where so few rows on the smaller side allow no conclusion from a Fréchet distance.

    Args:
        rows: how many there are.
        dimension: of the space.
        stacklevel: whose line is named; 2 is the caller's own.
    """
    if rows < ENOUGH * dimension:
        warnings.warn(
            f"{rows:,} rows are fewer than {ENOUGH} x {dimension:,} dimensions: this Fréchet distance is mostly bias. "
            "Use more rows, or the kernel distance.",
            TooFewRowsWarning,
            stacklevel=stacklevel,
        )


def raw_frechet_distance(first: Floats, second: Floats) -> float:
    """`frechet_distance` of checked features, without a word on how many rows they have."""
    if len(first) > len(second):
        first, second = second, first  # the root of the side with fewer rows is the smaller one
    if len(first) >= first.shape[1]:
        (covariance, mean), (other, other_mean) = _covariance(first), _covariance(second)
        return frechet_distance_of_moments(mean, covariance, other_mean, other)
    root, mean = _centred(first)
    if len(second) < second.shape[1]:
        centred, other_mean = _centred(second)
        product = centred @ root.T
        inner, trace = product.T @ product, float(np.square(centred).sum())
    else:
        other, other_mean = _covariance(second)
        inner, trace = root @ other @ root.T, float(np.trace(other))
    difference = mean - other_mean
    distance = difference @ difference + np.square(root).sum() + trace - 2 * _sum_of_roots(inner)
    return max(0.0, float(distance))


def frechet_estimate(x: npt.ArrayLike, y: npt.ArrayLike) -> FrechetEstimate:
    """The distance with every row's influence on it, from one eigendecomposition.

    The derivative of the distance by a covariance is I - T, with T the optimal map between the two Gaussians (Dowson &
    Landau 1982; Takatsu 2011), so a row x has the influence 2 (m - n)ᵀ(x - m) + (x - m)ᵀ(I - T)(x - m) less its mean.

    Args:
        x, y: (N, D) and (M, D).

    Raises:
        DataError: as `frechet_distance`.
    """
    first, second = float_pair(x, y)
    covariance, mean = _covariance(first)
    other, other_mean = _covariance(second)
    root, inverse = _root_and_inverse(covariance)
    eigenvalues, vectors = linalg.eigh(root.T @ other @ root, driver="evd", overwrite_a=True, check_finite=False)
    kept = (
        eigenvalues > eigenvalues.max(initial=0.0) * 1e-14
    )  # what is smaller is rounding, of directions without variance
    eigenvalues, vectors = eigenvalues[kept], vectors[:, kept]
    difference = mean - other_mean
    value = difference @ difference + np.trace(covariance) + np.trace(other) - 2 * np.sqrt(eigenvalues).sum()
    # T = R⁻ᵀ sqrt(RᵀBR) R⁻¹ maps the first Gaussian to the second, and its inverse R (RᵀBR)^(-1/2) Rᵀ back
    to_second = (inverse.T @ vectors) * eigenvalues**0.25
    to_first = (root @ vectors) * eigenvalues**-0.25
    return FrechetEstimate(
        value=max(0.0, float(value)),
        x_influence=_influence(first, mean, 2 * difference, to_second),
        y_influence=_influence(second, other_mean, -2 * difference, to_first),
    )


def corrected_frechet(x: npt.ArrayLike, y: npt.ArrayLike, random: np.random.Generator, splits: int = 2) -> float:
    """The distance extrapolated to infinitely many rows: twice that of all rows less that of halves of both sides.

    The bias falls with 1/N (Chong & Forsyth 2020, arXiv:1911.07023), and half of the rows have twice of it. Give it
    at least 4 D rows a side, so that the halves have 2 D; the standard error is that of the distance itself.

    Args:
        x, y: (N, D) and (M, D).
        random: draws the halves.
        splits: how often both sides are halved; the mean of all halves counts.

    Raises:
        DataError: as `frechet_distance`, or fewer than 4 rows.
    """
    first, second = float_pair(x, y, minimum=4)
    halves = []
    for _ in range(splits):
        rows, other_rows = random.permutation(len(first)), random.permutation(len(second))
        for part, other_part in zip(np.array_split(rows, 2), np.array_split(other_rows, 2), strict=True):
            halves.append(raw_frechet_distance(first[part], second[other_part]))
    return 2 * raw_frechet_distance(first, second) - float(np.mean(halves))


def _covariance(rows: Floats) -> tuple[Floats64, Floats64]:
    """Covariance (D, D) and mean (D,) in float64, a block of rows in double precision at a time."""
    mean = rows.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), BLOCK):
        centred = rows[start : start + BLOCK] - mean
        covariance += centred.T @ centred
    covariance /= len(rows) - 1
    return covariance, mean


def _centred(rows: Floats) -> tuple[Floats64, Floats64]:
    """F (N, D) with FᵀF the covariance, and the mean (D,)."""
    mean = rows.mean(axis=0, dtype=np.float64)
    return (rows - mean) / np.sqrt(len(rows) - 1), mean


def _trace_root_of_product(covariance: Floats64, other: Floats64) -> float:
    """tr sqrt(AB): the eigenvalues of AB are those of the symmetric problem ABv = wv, with A positive definite."""
    try:
        # the stubs know the drivers of the standard problem only
        eigenvalues = linalg.eigvalsh(other, covariance, type=2, driver="gv", check_finite=False)  # type: ignore[arg-type]
        return float(np.sqrt(eigenvalues.clip(min=0)).sum())
    except linalg.LinAlgError:  # a direction without variance
        root = _root_and_inverse(covariance)[0]
        return _sum_of_roots(root.T @ other @ root)


def _sum_of_roots(symmetric: Floats64) -> float:
    eigenvalues = linalg.eigvalsh(symmetric, overwrite_a=True, check_finite=False)
    return float(np.sqrt(eigenvalues.clip(min=0)).sum())


def _root_and_inverse(covariance: Floats64) -> tuple[Floats64, Floats64]:
    """R with RRᵀ the covariance, and its (pseudo-)inverse."""
    try:
        root: Floats64 = linalg.cholesky(covariance, lower=True, check_finite=False)
        # a pivot near rounding means a direction without variance, whose inverse would be noise
        if np.diagonal(root).min() > 1e-7 * np.sqrt(np.diagonal(covariance).max()):
            return root, linalg.solve_triangular(root, np.eye(len(root)), lower=True, check_finite=False)
    except linalg.LinAlgError:
        pass
    eigenvalues, vectors = linalg.eigh(covariance, check_finite=False)
    kept = eigenvalues > eigenvalues[-1] * 1e-14
    roots = np.sqrt(eigenvalues[kept])
    return vectors[:, kept] * roots, (vectors[:, kept] / roots).T


def _influence(rows: Floats, mean: Floats64, slope: Floats64, half: Floats64) -> Floats64:
    """(N,) slopeᵀz + zᵀz - |halfᵀz|², z = row - mean, less its mean."""
    influence = np.empty(len(rows))
    half = half.astype(rows.dtype)  # errors need no more digits than the features have
    for start in range(0, len(rows), BLOCK):
        centred = rows[start : start + BLOCK] - mean
        mapped = centred.astype(rows.dtype) @ half
        influence[start : start + BLOCK] = (
            centred @ slope + np.square(centred).sum(axis=1) - np.square(mapped).sum(axis=1, dtype=np.float64)
        )
    influence -= influence.mean()
    return influence
