"""How many modes a set of features has, in effect, without a reference: Rényi kernel entropy, with its interval."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import pdist, squareform

from augface.errors import UsageError
from augface.metrics.arrays import feature_matrix
from augface.metrics.intervals import NORMAL, Interval, clustered_variance

SHARE = 0.5
"""The bandwidth as a share of the median distance between real rows: wider kernels see all as one mode, narrower ones
each row as its own."""


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
    if not bandwidth > 0:
        raise UsageError(f"The bandwidth of a kernel must be above 0, not {bandwidth:g}.")
    squared_kernel = squareform(np.exp(-np.square(pdist(rows) / bandwidth)))
    np.fill_diagonal(squared_kernel, 1.0)
    means = squared_kernel.mean(axis=1)
    mean = float(means.mean())
    reach = NORMAL * 2 * math.sqrt(clustered_variance(means - mean, groups)) / mean
    value = 1 / mean
    return Interval(value, value * math.exp(-reach), value * math.exp(reach))
