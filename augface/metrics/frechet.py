"""Fréchet distance between two sets of features (Heusel et al. 2017, arXiv:1706.08500, eq. 6)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import linalg

from augface.metrics.arrays import Matrix, feature_pair


def frechet_distance(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Squared 2-Wasserstein distance of the Gaussians fitted to two sets of features.

    No matrix square root is taken: with covariances A and B, tr sqrt(AB) is the sum of the roots of the eigenvalues of
    LᵀBL, where A = LLᵀ; with fewer rows than dimensions it is the nuclear norm of the centred features' product.
    Singular covariances need no offset.

    Args:
        x, y: (N, D) and (M, D).

    Returns:
        The distance, at least 0. It is biased upwards by an amount that falls with N: compare only at one N.

    Raises:
        DataError: fewer than 2 rows, unlike dimensions, NaN or infinity.

    >>> frechet_distance([[0.0], [2.0]], [[1.0], [3.0]])
    1.0
    """
    first, second = feature_pair(x, y)
    difference = first.mean(axis=0) - second.mean(axis=0)
    first = (first - first.mean(axis=0)) / np.sqrt(len(first) - 1)
    second = (second - second.mean(axis=0)) / np.sqrt(len(second) - 1)
    variances = np.square(first).sum() + np.square(second).sum()
    distance = difference @ difference + variances - 2 * _trace_root_of_product(first, second)
    return max(0.0, float(distance))


def _trace_root_of_product(first: Matrix, second: Matrix) -> float:
    """tr sqrt(FᵀF SᵀS) for scaled, centred features F and S."""
    dimension = first.shape[1]
    if min(len(first), len(second)) < dimension:
        # the roots of the eigenvalues of FᵀF SᵀS are the singular values of F Sᵀ
        return float(linalg.svdvals(first @ second.T, overwrite_a=True).sum())
    covariance, other = first.T @ first, second.T @ second
    try:
        root: Matrix = linalg.cholesky(covariance, lower=True)
    except linalg.LinAlgError:
        eigenvalues, vectors = linalg.eigh(covariance)
        root = vectors * np.sqrt(eigenvalues.clip(min=0))
    roots = np.sqrt(linalg.eigvalsh(root.T @ other @ root, overwrite_a=True).clip(min=0))
    return float(roots.sum())
