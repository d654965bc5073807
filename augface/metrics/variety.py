"""How varied a set of features is, and which of its modes another set has less of: entropies of kernel matrices.

Neither needs neighbours: both look at the eigenvalues of a kernel matrix, one large eigenvalue for each mode.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg
from scipy.spatial.distance import pdist

from augface.arrays import Floats64
from augface.errors import UsageError
from augface.metrics.arrays import feature_matrix, float_pair


@dataclass(frozen=True)
class Novelty:
    """What fakes have more of than real rows.

    Attributes:
        score: the kernel entropic novelty, 0 where fakes have nothing that real rows do not have as often.
        share: the share of the fakes that is novel: the sum of the positive eigenvalues.
        mode: (M,) how much each fake belongs to the mode that is most over-represented.
    """

    score: float
    share: float
    mode: Floats64


def vendi_score(features: npt.ArrayLike, order: float = 1.0) -> float:
    """How many different rows there are, in effect: the Vendi score (Friedman & Dieng 2023, arXiv:2210.02410).

    The exponential of the Rényi entropy of the eigenvalues of K / N, with K the cosines between rows: 1 where all rows
    point in one direction, N where all are orthogonal. It needs no reference, and grows with N: compare it at one N.

    Args:
        features: (N, D); rows of zeros are refused.
        order: of the entropy; 1 is Shannon's, and 2 counts frequent modes most (Jalali et al. 2023).

    Raises:
        DataError: fewer than 2 rows, NaN or infinity.
        UsageError: a row of zeros, which has no direction, or an order that is not above 0.

    >>> round(vendi_score(np.eye(4)), 6), round(vendi_score(np.ones((4, 2))), 6)
    (4.0, 1.0)
    """
    rows = feature_matrix(features, "compared")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not lengths.all() or order <= 0:
        raise UsageError("The Vendi score needs rows that are not zero, and an order above 0.")
    rows = rows / lengths
    product = rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows
    eigenvalues = linalg.eigvalsh(product / len(rows))
    known = eigenvalues[eigenvalues > 1e-12]
    if order == 1:
        return float(np.exp(-(known * np.log(known)).sum()))
    return float((known**order).sum() ** (1 / (1 - order)))


def novelty(real: npt.ArrayLike, fake: npt.ArrayLike, ratio: float = 1.0, bandwidth: float | None = None) -> Novelty:
    """What fakes have more of than real rows: kernel entropic novelty (Zhang, Li & Farnia 2024, arXiv:2402.17287).

    The eigenvalues above 0 of the covariance of fakes in a Gaussian kernel's feature space, less `ratio` times that of
    real rows, are about the shares of modes that fakes have more than `ratio` times as often. Memory grows with the
    square of the rows, and time with their cube: give it a few hundred a side.

    Args:
        real, fake: (N, D) and (M, D).
        ratio: how many times as often a mode must be among fakes.
        bandwidth: of the kernel; the median distance between real rows where not given.

    Raises:
        DataError: fewer than 2 rows, unlike dimensions, NaN or infinity.

    >>> first, second = np.random.default_rng(0).normal(size=(2, 100, 2)) / 10
    >>> novelty(first, np.concatenate([second[:50], second[50:] + 9]), bandwidth=1).share.__round__(1)
    0.5
    """
    x, y = (side.astype(np.float64) for side in float_pair(real, fake))
    width = float(np.median(pdist(x))) if bandwidth is None else bandwidth
    rows = np.concatenate([y, x])
    squares = np.square(rows).sum(axis=1)
    squares = np.maximum(squares[:, None] + squares - 2 * rows @ rows.T, 0)
    weights = np.concatenate([np.full(len(y), 1 / len(y)), np.full(len(x), ratio / len(x))]) ** 0.5
    kernel = np.exp(-squares / (2 * width**2)) * weights[:, None] * weights
    # K S, S the signs of both sides, has the eigenvalues of the difference; with a root R of K, so has RᵀSR
    values, vectors = linalg.eigh(kernel)
    root = vectors * np.sqrt(np.maximum(values, 0))
    signs = np.concatenate([np.ones(len(y)), -np.ones(len(x))])
    eigenvalues, modes = linalg.eigh(root.T @ (signs[:, None] * root))
    novel = eigenvalues[eigenvalues > 1e-12]
    share = float(novel.sum())
    score = float(-(novel * np.log(novel / share)).sum()) if len(novel) else 0.0
    belonging = abs(root @ modes[:, -1])[: len(y)] / weights[: len(y)]
    return Novelty(score=score, share=share, mode=belonging)
