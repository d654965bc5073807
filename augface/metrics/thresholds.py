"""Where to cut a score in two."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def balanced_threshold(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """The score from which on to say yes, so that balanced accuracy is highest (Youden 1950).

    Args:
        labels: (N,) booleans, of both kinds.
        scores: (N,) higher means more likely yes.

    >>> balanced_threshold([False, False, True, True], [0.1, 0.4, 0.6, 0.9])
    0.6
    """
    from sklearn.metrics import roc_curve

    false_positive_rate, true_positive_rate, thresholds = roc_curve(labels, scores)
    return float(thresholds[np.argmax(true_positive_rate - false_positive_rate)])
