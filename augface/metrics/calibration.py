"""Whether probabilities are what they say: the expected calibration error."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from augface.arrays import Floats64
from augface.metrics.intervals import Interval, group_numbers

BINS = 10
RESAMPLES = 500


def balanced_calibration_error(
    probabilities: npt.ArrayLike,
    positive: npt.ArrayLike,
    *,
    groups: npt.ArrayLike | None = None,
    random: np.random.Generator,
) -> Interval:
    """The expected calibration error (Naeini et al. 2015): how far shares are from the probabilities said, on average.

    Rows are put into ten bins of equal weight by their probability. Both kinds of rows weigh the same, as in a prior of
    one half. The error is above 0 by chance even where probabilities are right, less so the more rows there are; so are
    the ends of its interval, of the bootstrap over groups.

    Args:
        probabilities: (N,) of being positive, from 0 to 1.
        positive: (N,) booleans; some of either kind.
        groups: (N,) which rows belong together.
        random: draws the groups.

    Returns:
        The error, from 0 (right) to 1.

    >>> random = np.random.default_rng(0)
    >>> round(balanced_calibration_error([0.9] * 4, [True, True, False, False], random=random).value, 2)
    0.4
    """
    said, is_positive = np.asarray(probabilities, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    numbers = group_numbers(groups, len(said))
    value = _error(said, is_positive, np.ones(len(said)))
    drawn = []
    for _ in range(RESAMPLES):
        times = np.bincount(random.integers(0, numbers.max() + 1, numbers.max() + 1), minlength=numbers.max() + 1)
        counted = times[numbers].astype(np.float64)
        if counted[is_positive].any() and counted[~is_positive].any():
            drawn.append(_error(said, is_positive, counted))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(value, min(float(low), value), max(float(high), value))


def _error(said: Floats64, positive: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], counted: Floats64) -> float:
    weights = counted * np.where(positive, 0.5 / counted[positive].sum(), 0.5 / counted[~positive].sum())
    number = np.unique(said, return_inverse=True)[1]  # the same probability is in the same bin
    shares = np.bincount(number, weights=weights)
    bins = np.minimum((BINS * (np.cumsum(shares) - shares / 2)).astype(np.int64), BINS - 1)[number]
    return float(np.abs(np.bincount(bins, weights=weights * (positive - said), minlength=BINS)).sum())
