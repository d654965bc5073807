"""P-precision and P-recall (Park & Kim 2023, arXiv:2309.01590): neighbourhoods without a sharp edge.

All balls of a side have one radius, 1.2 times the mean distance to the 4th nearest neighbour, and a row lies in a ball
with a probability that falls linearly from 1 at its centre to 0 at its edge.
"""

from __future__ import annotations

import numpy as np

from augface.metrics.neighbourhoods import Neighbourhoods

K = 4
REACH = 1.2
"""The radius, in mean distances to the K-th neighbour."""


def p_precision(distances: Neighbourhoods, k: int = K) -> float:
    """The mean probability that a fake lies in the ball of any real row, from 0 to 1.

    >>> p_precision(Neighbourhoods.of(np.eye(9), np.eye(9)))
    1.0
    """
    radius = REACH * float(distances.real_radii(k).mean())
    if radius == 0:
        return float((distances.between == 0).any(axis=0).mean())
    outside = np.minimum(distances.between / radius, 1).prod(axis=0)
    return float(1 - outside.mean())


def p_recall(distances: Neighbourhoods, k: int = K) -> float:
    """The mean probability that a real row lies in the ball of any fake, from 0 to 1."""
    return p_precision(distances.turned(), k)
