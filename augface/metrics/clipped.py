"""Clipped density and clipped coverage (Salvy, Talbot & Thirion 2025, arXiv:2507.01761).

No single row counts for more than one, and no outlier has a ball larger than the median one. Both are calibrated, so
that they fall about linearly with the share of bad rows: 0.7 says as much as 30 % of useless ones.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import special

from augface.arrays import Floats64
from augface.metrics.neighbourhoods import Neighbourhoods


def clipped_density(distances: Neighbourhoods, k: int = 5) -> float:
    """How real the fakes are, from 0 to 1.

    A fake counts by how many real balls hold it, over k and at most 1; balls reach to the k-th nearest real row, and
    at most as far as the median one. The mean is divided by that of real rows in each other's balls.

    Args:
        distances: of both sets.
        k: the neighbour that makes the radius.

    >>> real, good = np.random.default_rng(0).normal(size=(2, 200, 2))
    >>> clipped_density(Neighbourhoods.of(real, good)) > 0.9
    True
    >>> clipped_density(Neighbourhoods.of(real, good + 9))
    0.0
    """
    radii = distances.real_radii(k)
    radii = np.minimum(radii, np.median(radii))[:, None]

    def mean(held: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> float:
        return float(np.minimum(held.sum(axis=0) / k, 1).mean())

    return min(1.0, mean(distances.between <= radii) / mean(distances.real <= radii))


def clipped_coverage(distances: Neighbourhoods, k: int = 5) -> float:
    """How much of the real variety is covered by fakes, from 0 to 1.

    A real row counts by how many fakes its ball holds, over k and at most 1. What share of good fakes would give that
    mean is the result: with only so many rows of the real distribution, the number of them in a ball is beta-binomial.

    Args:
        distances: of both sets.
        k: the neighbour that makes the radius.

    >>> real, good = np.random.default_rng(0).normal(size=(2, 200, 2))
    >>> clipped_coverage(Neighbourhoods.of(real, good)) > 0.9
    True
    >>> clipped_coverage(Neighbourhoods.of(real, np.zeros((200, 2)))) < 0.1
    True
    """
    held = (distances.between <= distances.real_radii(k)[:, None]).sum(axis=1)
    raw = float(np.minimum(held / k, 1).mean())
    reals, fakes = distances.between.shape
    return float(min(1.0, np.searchsorted(_expected_coverage(reals, fakes, k), raw) / fakes))


@cache
def _expected_coverage(reals: int, fakes: int, k: int) -> Floats64:
    """(M + 1,) the mean clipped coverage that 0, 1, … M fakes of the real distribution are expected to have.

    The probability mass of a ball is Beta(k, N - k), so that the number of fakes in it, J of m, is beta-binomial, and
    the mean of min(J, k) is k less the sum of (k - j) P(J = j) over j < k.
    """
    counts = np.arange(fakes + 1)
    missing = np.zeros(fakes + 1)
    for held in range(k):
        possible = counts >= held
        some = counts[possible]
        logarithm = (
            special.gammaln(some + 1)
            - special.gammaln(held + 1)
            - special.gammaln(some - held + 1)
            + special.betaln(k + held, reals - k + some - held)
            - special.betaln(k, reals - k)
        )
        missing[possible] += (k - held) * np.exp(logarithm)
    return 1 - missing / k
