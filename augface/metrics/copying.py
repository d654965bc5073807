"""Whether synthetic faces repeat training faces, tested against held-out faces that they cannot have been copied from.

Look for the face that is nearest to a synthetic one among training and held-out faces together. If nothing was copied,
that it is a training face is as likely as the share of training faces among all, however blurred or odd the synthetic
faces are: real faces serve as decoys for each other. Copies are those that lie isolated beside one real face (a score
that does not know which faces are training ones), and too many of those are training faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from augface.arrays import Booleans, Floats, Floats64, Integers
from augface.metrics.intervals import NORMAL, Interval, proportion_interval

TAIL = 0.05
TAIL_MINIMUM = 50
"""The test looks at the most isolated 5 % of the originals that are named, at least 50: not at whether the generator
fits its training faces a little better than others, but at copies."""
RESAMPLES = 9_999
CELL_MINIMUM = 20
"""Faces of each side, below which a cell is left out."""


def nearest_distance_ratio(distances: Floats) -> tuple[Floats, Integers]:
    """The nearest neighbour distance ratio: the distance to the nearest real face over the mean distance to others.

    Args:
        distances: (N, K) of each synthetic face to K real ones, in any order; infinite ones are none.

    Returns:
        (N,) scores, and (N,) the place of the nearest in each row. Without others the score is 1.

    >>> nearest_distance_ratio(np.array([[0.5, 0.1, 0.3, np.inf]]))
    (array([0.25]), array([1]))
    """
    places = distances.argmin(axis=1)
    nearest = distances[np.arange(len(distances)), places]
    there = np.isfinite(distances)
    others = (np.where(there, distances, 0).sum(axis=1) - nearest) / (there.sum(axis=1) - 1).clip(min=1)
    scores = np.divide(nearest, others, out=np.ones_like(nearest), where=there.sum(axis=1) > 1)
    return scores, places


@dataclass(frozen=True)
class Nearest:
    """In one space: the real face, training or held out, that is nearest to each of N synthetic faces.

    Attributes:
        distance_ratio: (N,) how much nearer it is than others; the smaller, the more like a copy.
        person: (N,) who is on it, or any number that only faces which belong together share.
        from_train: (N,) whether it is a training face.
    """

    distance_ratio: Floats
    person: Integers
    from_train: Booleans


@dataclass(frozen=True)
class CopyTest:
    """What the test found.

    Attributes:
        p_value: of the hypothesis that nothing was copied, over all spaces.
        p_values: of each space, corrected for their number.
        visible: the test is sure to reject when so many originals are copied, each at least once.
    """

    p_value: float
    p_values: list[float]
    visible: int


def copy_test(spaces: Sequence[Nearest], train_share: float, random: np.random.Generator) -> CopyTest:
    """Whether the most isolated synthetic faces lie beside training faces more often than chance allows.

    In each space every person is counted once, by the synthetic face that lies most isolated beside one of their
    pictures, so that many synthetic faces beside one picture are one piece of evidence. The statistic is the least
    binomial tail probability over the first 1, 2, 3, … persons; its distribution comes from drawing anew who is a
    training person, for all spaces at once (Westfall & Young 1993, single step).

    Args:
        spaces: the same synthetic faces in one or more spaces.
        train_share: of the real faces; strictly between 0 and 1.
        random: draws the labels.
    """
    tails = [_tail(nearest) for nearest in spaces]
    longest = max(len(persons) for persons, _ in tails)
    chances = _binomial_tails(longest, train_share)
    persons, places = np.unique(np.concatenate([persons for persons, _ in tails]), return_inverse=True)
    labels = random.random((RESAMPLES, len(persons))) < train_share
    least, start = np.ones(RESAMPLES), 0
    observed = []
    for own, from_train in tails:
        columns = places[start : start + len(own)]
        start += len(own)
        observed.append(float(_least_chance(from_train[None], chances)[0]))
        least = np.minimum(least, _least_chance(labels[:, columns], chances))
    p_values = [float((1 + (least <= value).sum()) / (1 + RESAMPLES)) for value in observed]
    critical = np.quantile(least, 0.05, method="lower")
    all_train = chances[np.arange(1, longest + 1), np.arange(1, longest + 1)]
    visible = int(np.argmax(all_train < critical)) + 1 if all_train.min() < critical else longest + 1
    return CopyTest(min(p_values), p_values, visible)


def _tail(nearest: Nearest) -> tuple[Integers, Booleans]:
    """The people beside whom a synthetic face lies most isolated, most isolated first; whether of the train split."""
    order = np.argsort(nearest.distance_ratio, kind="stable")
    _, first = np.unique(nearest.person[order], return_index=True)
    order = order[np.sort(first)]
    order = order[: max(TAIL_MINIMUM, round(TAIL * len(order)))]
    return nearest.person[order], nearest.from_train[order]


def _binomial_tails(most: int, share: float) -> Floats64:
    """(most + 1, most + 1): the chance of s or more of k, at [k, s]."""
    trials, successes = np.ogrid[: most + 1, : most + 1]
    return np.where(successes > trials, 0, np.where(successes == 0, 1, special.bdtrc(successes - 1.0, trials, share)))


def _least_chance(labels: Booleans, chances: Floats64) -> Floats64:
    """(R,) the least chance over the first 1, 2, … of each row of labels (R, K)."""
    counts = labels.cumsum(axis=1)
    return np.asarray(chances[np.arange(1, labels.shape[1] + 1), counts].min(axis=1))


def copied_share(nearest: Nearest, threshold: float, train_share: float) -> Interval:
    """The share of synthetic faces that are copies: those below the threshold beside training faces, less what chance
    gives.

    How many are there by chance is estimated by those beside held-out faces. The interval joins Wilson's intervals of
    both shares (MOVER, Zou & Donner 2008), for as many independent synthetic faces as there would be without those that
    share an original.

    Args:
        nearest: of N synthetic faces.
        threshold: of the isolation.
        train_share: of the real faces.
    """
    odds = train_share / (1 - train_share)
    near = nearest.distance_ratio < threshold
    train, held_out = (_share_of(nearest, near & side) for side in (nearest.from_train, ~nearest.from_train))
    value = train.value - odds * held_out.value
    low = value - np.hypot(train.value - train.low, odds * (held_out.high - held_out.value))
    high = value + np.hypot(train.high - train.value, odds * (held_out.value - held_out.low))
    return Interval(*(float(np.clip(end, 0, 1)) for end in (value, low, high)))


def _share_of(nearest: Nearest, chosen: Booleans) -> Interval:
    """The share of chosen synthetic faces, where those with one original count as dependent."""
    counts = np.unique(nearest.person[chosen], return_counts=True)[1]
    crowding = float(np.square(counts).sum() / counts.sum()) if len(counts) else 1.0
    trials = len(chosen) / crowding
    return proportion_interval(float(chosen.mean()) * trials, trials)


def copying_score(
    fake_distances: npt.ArrayLike, held_out_distances: npt.ArrayLike, fake_cells: Integers, held_out_cells: Integers
) -> Interval:
    """C_T: are synthetic faces nearer to training faces than held-out ones are? (Meehan et al. 2020, arXiv:2004.05675)

    In each cell of the feature space the distances are compared by ranks (Mann & Whitney 1947); the standardised
    differences are averaged, weighted by held-out faces, over the cells that have enough of both.

    Args:
        fake_distances, held_out_distances: to the nearest training face, (N,) and (M,).
        fake_cells, held_out_cells: the cell of each, (N,) and (M,).

    Returns:
        The score: below -3 the synthetic faces are nearer than chance allows, above 3 farther. NaN where no cell has
            enough.
    """
    from scipy.stats import rankdata

    fake, held_out = (np.asarray(side, dtype=np.float64) for side in (fake_distances, held_out_distances))
    scores, weights = [], []
    for cell in np.unique(held_out_cells):
        own, other = fake[fake_cells == cell], held_out[held_out_cells == cell]
        if len(own) < CELL_MINIMUM or len(other) < CELL_MINIMUM:
            continue
        larger = rankdata(np.concatenate([own, other]))[: len(own)].sum() - len(own) * (len(own) + 1) / 2
        error = np.sqrt(len(own) * len(other) * (len(own) + len(other) + 1) / 12)
        scores.append((larger - len(own) * len(other) / 2) / error)
        weights.append(len(other))
    if not scores:
        return Interval(float("nan"), float("nan"), float("nan"))
    shares = np.array(weights) / sum(weights)
    value, reach = float(shares @ scores), NORMAL * float(np.linalg.norm(shares))
    return Interval(value, value - reach, value + reach)
