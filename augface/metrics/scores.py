"""How well a classifier predicts an attribute, and whether it does so alike for all groups of people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from augface.arrays import Booleans, Floats64

BINS = 10
"""Bins of the calibration error, with as many faces in each."""


def average_precisions(labels: Booleans, decisions: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Floats64:
    """Average precision of one ranking under many weightings of its faces, such as those of a bootstrap.

    The mean of the precision at each face that shows the attribute, faces of equal decisions taken together: what
    scikit-learn's `average_precision_score` gives, for all weightings from one sorting.

    Args:
        labels: (N,) whether each face shows the attribute.
        decisions: (N,) higher means more likely yes.
        weights: (B, N) how much each face counts; once where not given. Fastest where each face's lie together in
            memory, as those of `people_weights` do.

    Returns:
        (B,) from 0 to 1; NaN where no face that shows the attribute counts.

    >>> average_precisions(np.array([True, False, True]), [0.9, 0.5, 0.3]).round(3)
    array([0.833])
    """
    decisions, labels = np.asarray(decisions), np.asarray(labels, dtype=np.bool_)
    counts = np.ones((len(labels), 1)) if weights is None else np.asarray(weights).T
    if not labels.any():
        return np.full(counts.shape[1], np.nan)
    order = np.argsort(-decisions, kind="stable")
    descending, places = -decisions[order], np.flatnonzero(labels[order])
    ends = np.searchsorted(descending, descending[places], side="right")  # after all faces with the same decision
    stretches, of_place = np.unique(ends, return_inverse=True)
    starts = np.concatenate([[0], stretches[:-1]])
    rows = counts[order[: stretches[-1]]]
    named = np.cumsum(np.add.reduceat(rows, starts, axis=0, dtype=np.float64), axis=0)[of_place]
    shown = rows[places].astype(np.float64)
    found = np.cumsum(shown, axis=0)[np.searchsorted(places, ends) - 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(shown > 0, found / named, 0.0)
        result: Floats64 = (shown * precision).sum(axis=0) / shown.sum(axis=0)
    return result


class GroupScores(NamedTuple):
    """How unlike groups are served. None where a group lacks the faces that it takes.

    Attributes:
        worst_group: the smallest accuracy in any part that a group and a label make (Sagawa et al. 2020).
        equal_opportunity: the largest difference between groups in the share of shown attributes that is found
            (Hardt et al. 2016, definition 2.2).
        equalised_odds: the same, or that of the share of faces without it that are taken to show it, whichever is
            larger (definition 2.1).
    """

    worst_group: float | None
    equal_opportunity: float | None
    equalised_odds: float | None


def group_scores(labels: Booleans, predicted: Booleans, groups: Mapping[str, Booleans]) -> GroupScores:
    """Scores over groups of people.

    Args:
        labels: (N,) whether each face shows the attribute.
        predicted: (N,) whether the classifier says so.
        groups: (N,) masks of at least two groups, by name.
    """
    found = {
        value: [
            float((predicted[mask & (labels == value)] == value).mean())
            for mask in groups.values()
            if (mask & (labels == value)).any()
        ]
        for value in (True, False)
    }
    gaps = {value: max(rates) - min(rates) if len(rates) > 1 else None for value, rates in found.items()}
    whole = all(len(rates) == len(groups) for rates in found.values())
    both = [gap for gap in gaps.values() if gap is not None]
    return GroupScores(
        worst_group=min(found[True] + found[False]) if whole and len(groups) > 1 else None,
        equal_opportunity=gaps[True],
        equalised_odds=max(both) if len(both) == len(gaps) else None,
    )


def balanced_average_precision(
    labels: Booleans, decisions: npt.ArrayLike, groups: Mapping[str, Booleans]
) -> float | None:
    """Average precision with the faces of each class in each group weighted alike: no group is scored by its size.

    Args:
        labels: (N,) whether each face shows the attribute.
        decisions: (N,) higher means more likely yes.
        groups: (N,) masks of at least two groups, by name; faces of none do not count.

    Returns:
        From 0 to 1, half for guessing; None where a group lacks a class, or there are no two groups.
    """
    cells = [mask & (labels == value) for mask in groups.values() for value in (True, False)]
    if len(groups) < 2 or not all(cell.any() for cell in cells):
        return None
    weights = sum(cell / cell.sum() for cell in cells)
    return float(average_precisions(labels, decisions, np.asarray(weights)[None])[0])


def calibration_error(labels: Booleans, probabilities: npt.ArrayLike) -> float:
    """How far probabilities are from shares, on average (expected calibration error, Naeini et al. 2015).

    Args:
        labels: (N,) whether each face shows the attribute.
        probabilities: (N,) that it does, from 0 to 1. Sorted, they are cut into `BINS` bins of as many faces each.

    Returns:
        Mean over the faces of the difference between their bin's mean probability and its share, from 0 to 1.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    order = np.argsort(probabilities, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    gaps = [abs(float(probabilities[part].mean()) - float(labels[part].mean())) * len(part) for part in bins]
    return float(sum(gaps) / len(labels))
