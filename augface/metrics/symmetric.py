"""Symmetric precision and recall (Khayatkhoei & AbdAlmageed 2023, arXiv:2306.09618).

In many dimensions precision depends on which side has the wider support: balls of the outer side hold the inner one,
and those of the inner side hold nothing. The symmetric measures ask both sides and take the worse answer.
"""

from __future__ import annotations

from augface.metrics.neighbourhoods import Neighbourhoods


def symmetric_precision(distances: Neighbourhoods, k: int = 5) -> float:
    """The share of fakes that lie in a real ball, or whose own ball holds a real row: the smaller of both.

    Args:
        distances: of both sets.
        k: the neighbour that makes the radius.
    """
    in_real = (distances.between <= distances.real_radii(k)[:, None]).any(axis=0).mean()
    holding_real = (distances.between <= distances.fake_radii(k)[None, :]).any(axis=0).mean()
    return float(min(in_real, holding_real))


def symmetric_recall(distances: Neighbourhoods, k: int = 5) -> float:
    """The share of real rows that lie in the ball of a fake, or whose own ball holds a fake: the smaller of both.

    Args:
        distances: of both sets.
        k: the neighbour that makes the radius.
    """
    return symmetric_precision(distances.turned(), k)
