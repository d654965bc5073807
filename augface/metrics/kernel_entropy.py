"""How many modes a set of features has, in effect, without a reference: kernel entropies, with their intervals."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import pdist, squareform

from augface.arrays import Floats64
from augface.errors import UsageError
from augface.metrics.arrays import feature_matrix
from augface.metrics.intervals import NORMAL, Interval, clustered_variance

SHARE = 0.5
"""The bandwidth as a share of the median distance between real rows: wider kernels see all as one mode, narrower ones
each row as its own."""
FREQUENCIES = 1_024
"""Random frequencies that the kernel is approximated by."""


def default_bandwidth(real: npt.ArrayLike) -> float:
    """The bandwidth that goes with real features, (N, D): half of their median distance.

    >>> default_bandwidth([[0.0], [4.0]])
    2.0
    """
    return SHARE * float(np.median(pdist(feature_matrix(real, "real"))))


def mode_count(features: npt.ArrayLike, bandwidth: float, groups: npt.ArrayLike | None = None) -> Interval:
    """The effective number of modes: the exponential of the Rényi kernel entropy of order 2 (Jalali et al. 2023).

    It is 1 over the mean squared entry of the matrix of a Gaussian kernel (arXiv:2310.11714): 1 where all rows are the
    same, N where all are far apart, and the Vendi score of order 2 of that kernel (`vendi_score` has another one). It
    grows with N: compare it at one N. The interval is of the delta method, symmetric in the logarithm.

    Args:
        features: (N, D).
        bandwidth: of the kernel; the same for all sets that are compared, see `default_bandwidth`.
        groups: (N,) which rows belong together, such as pictures of one person.

    Raises:
        DataError: fewer than 2 rows, NaN or infinity.
        UsageError: a bandwidth that is not above 0.

    >>> rows = [[0.0], [0.0], [90.0], [90.0]]
    >>> mode_count(rows, 1.0).value
    2.0
    """
    rows = feature_matrix(features, "compared")
    _check_bandwidth(bandwidth)
    squared_kernel = squareform(np.exp(-np.square(pdist(rows) / bandwidth)))
    np.fill_diagonal(squared_kernel, 1.0)
    return _count(np.asarray(squared_kernel.mean(axis=1)), groups)


def fourier_mode_count(
    features: npt.ArrayLike,
    bandwidth: float,
    random: np.random.Generator,
    groups: npt.ArrayLike | None = None,
    frequencies: int = FREQUENCIES,
) -> Interval:
    """The number of modes of many rows, by random Fourier features: FKEA (Ospanov et al. 2024, arXiv:2407.02961).

    What `mode_count` gives, with the kernel as a mean of cosines: time and memory grow with the rows, not with their
    square. The number is at most twice that of the frequencies. The interval is for these frequencies, by the delta
    method, symmetric in the logarithm.

    Args:
        features: (N, D).
        bandwidth: of the kernel; the same for all sets that are compared, see `default_bandwidth`.
        random: draws the frequencies, which are to be the same for all sets that are compared.
        groups: (N,) which rows belong together, such as pictures of one person.
        frequencies: how many.

    Raises:
        DataError: fewer than 2 rows, NaN or infinity.
        UsageError: a bandwidth that is not above 0.

    >>> rows = [[0.0, 0.0], [0.0, 0.0], [90.0, 0.0], [0.0, 90.0]]
    >>> round(fourier_mode_count(rows, 1.0, np.random.default_rng(0), frequencies=999).value, 1)
    2.7
    """
    rows = feature_matrix(features, "compared")
    _check_bandwidth(bandwidth)
    angles = rows @ (random.standard_normal((rows.shape[1], frequencies)) / bandwidth)
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / math.sqrt(frequencies)
    covariance = waves.T @ waves / len(rows)
    return _count(np.asarray((waves @ covariance * waves).sum(axis=1)), groups)


def _check_bandwidth(bandwidth: float) -> None:
    if not bandwidth > 0:
        raise UsageError(f"The bandwidth of a kernel must be above 0, not {bandwidth:g}.")


def _count(means: Floats64, groups: npt.ArrayLike | None) -> Interval:
    """One over the mean of the squared kernel, of which these are the means of each row (N,)."""
    mean = float(means.mean())
    reach = NORMAL * 2 * math.sqrt(clustered_variance(means - mean, groups)) / mean
    value = 1 / mean
    return Interval(value, value * math.exp(-reach), value * math.exp(reach))
