"""Do synthetic faces look like the people of the training set more often than non-mates do?

Among many faces some of any two people are alike, so that one likeness says nothing; the excess over non-mates does. It
comes with the rate at which non-mates are taken for somebody and the rate at which the same person is found: the false
and the true positive identification rates of open-set recognition (Phillips, Grother & Micheals 2011, "Evaluation
Methods in Face Recognition"; ISO/IEC 19795-1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from augface.arrays import Booleans, Floats64, Integers
from augface.errors import DataError
from augface.metrics.arrays import float_matrix, float_pair
from augface.metrics.intervals import Interval, clustered_variance, proportion_interval
from augface.metrics.neighbours import Neighbours

FALSE_IDENTIFICATION_RATE = 0.01
RESAMPLES = 400
BLOCK = 4096
"""Pairs whose features are compared at once."""


@dataclass(frozen=True)
class Leakage:
    """How many synthetic faces look like somebody of the training set, beside how many non-mates do.

    Shares are from 0 to 1, with 95 % intervals in which the faces of one person count as dependent.
    """

    threshold: float
    """The distance up to which a face is taken for somebody."""
    non_mates_within: Interval
    """Share of the non-mates that are taken for somebody: the false identification rate."""
    known_within: Interval
    """Share of the training faces whose person is found by their other photos: the true positive rate. NaN where nobody
    has two. A leaked person is missed as often as this falls short of 1."""
    fakes_within: Interval
    """Share of the synthetic faces that are taken for somebody."""
    excess: Interval
    """`fakes_within` less `non_mates_within`; 0 where synthetic faces are like non-mates."""
    expected: float
    """Synthetic faces that would be taken for somebody if they were non-mates."""
    p_value: float
    """One-sided: how often non-mates would show as much excess by chance."""
    n_fakes: int
    n_non_mates: int
    n_known: int


def identity_leakage(
    fakes: npt.ArrayLike,
    train: npt.ArrayLike,
    held_out: npt.ArrayLike,
    *,
    train_people: npt.ArrayLike,
    held_out_people: npt.ArrayLike,
    fake_people: npt.ArrayLike | None = None,
    rate: float = FALSE_IDENTIFICATION_RATE,
) -> Leakage:
    """Synthetic faces that look like somebody of the training set, in excess of non-mates who do.

    Non-mates are the held-out faces of people who are not in the training set. Synthetic faces and non-mates are
    searched for in the same gallery, the whole training set, and the threshold is the distance at which `rate` of the
    non-mates are taken for somebody in it. All is meant for this gallery: the intervals are over fakes and non-mates.

    The leaked part of the synthetic faces is about the excess over the difference of `known_within` and
    `non_mates_within`. Synthetic faces of groups of people that the space distinguishes worse than the non-mates show
    an excess, too.

    Args:
        fakes: (N, D) features of the synthetic faces, in a space where distance distinguishes people.
        train: (M, D) of the faces that the generator learnt from.
        held_out: (H, D) of faces that it did not see.
        train_people: (M,) which person each is.
        held_out_people: (H,) likewise, in the same numbers.
        fake_people: (N,) which synthetic faces belong together. Where not given, those that are nearest to one person
            do, so that one face made over and over counts as one.
        rate: the share of non-mates that may be taken for somebody.

    Raises:
        DataError: there are no synthetic or training faces, or non-mates are too few for the rate.
    """
    gallery, found = float_pair(train, fakes, minimum=1)
    others = float_matrix(held_out, "held-out", minimum=0)
    known_people, other_people = np.asarray(train_people), np.asarray(held_out_people)
    strange = ~np.isin(other_people, known_people)
    non_mates, non_mate_people = others[strange], other_people[strange]
    wanted = math.floor(rate * len(non_mates))
    if wanted < 1:
        raise DataError(
            f"{len(non_mates)} held-out faces of people who are not in the training set are too few for a false "
            f"identification rate of {rate:.3g}."
        )
    search = Neighbours(gallery)
    fake_distances, nearest = (values[:, 0] for values in search.search(found, 1))
    non_mate_distances = search.search(non_mates, 1)[0][:, 0]
    threshold = float(np.partition(non_mate_distances, wanted - 1)[wanted - 1])
    own = distances_to_own(gallery, known_people)
    paired = np.isfinite(own)
    non_mates_within, non_mate_count = clustered_share(non_mate_distances <= threshold, non_mate_people)
    fakes_within, fake_count = clustered_share(
        fake_distances <= threshold, known_people[nearest] if fake_people is None else fake_people
    )
    known_within, _ = clustered_share(own[paired] <= threshold, known_people[paired])
    return Leakage(
        threshold=threshold,
        non_mates_within=non_mates_within,
        known_within=known_within,
        fakes_within=fakes_within,
        excess=_difference(fakes_within, non_mates_within),
        expected=non_mates_within.value * len(found),
        p_value=_p_value(fakes_within.value, fake_count, non_mates_within.value, non_mate_count),
        n_fakes=len(found),
        n_non_mates=len(non_mates),
        n_known=int(paired.sum()),
    )


def distances_to_own(features: npt.ArrayLike, people: npt.ArrayLike) -> Floats64:
    """The distance of each face to the nearest other face of its person: float64 (N,), infinite where there is none.

    Args:
        features: (N, D).
        people: (N,) which person each is.

    >>> distances_to_own([[0.0], [3.0], [1.0], [9.0]], [1, 1, 1, 2])
    array([ 1.,  2.,  1., inf])
    """
    rows = float_matrix(features, "face", minimum=0)
    nearest = np.full(len(rows), np.inf)
    for own in _rows_of_each(people):
        if len(own) > 1:
            apart = np.linalg.norm(rows[own][:, None] - rows[own][None], axis=2)
            np.fill_diagonal(apart, np.inf)
            nearest[own] = apart.min(axis=1)
    return nearest


def clustered_share(within: Booleans, people: npt.ArrayLike | None = None) -> tuple[Interval, float]:
    """A share with its interval, and how many independent faces would carry as much information about it.

    Wilson's interval, at the count that gives the variance with the faces of a person taken together (Kish 1965).

    Args:
        within: (N,) the faces that count.
        people: (N,) which faces belong together; each is alone where not given.

    >>> clustered_share(np.array([True, True, False, False]))[1]
    4.0
    >>> clustered_share(np.array([True, True, False, False]), [1, 1, 2, 2])[1]
    1.0
    """
    count = float(len(within))
    share = float(within.mean()) if len(within) else float("nan")
    if people is not None and 0 < share < 1:
        count = min(
            count, share * (1 - share) / clustered_variance(np.asarray(within - share, dtype=np.float64), people)
        )
    elif people is not None:  # nothing varies, so that only the persons are sure to be independent
        count = float(len(np.unique(np.asarray(people))))
    return proportion_interval(share * count if count else 0, count), count


def same_person_auc(
    features: npt.ArrayLike, people: npt.ArrayLike, random: np.random.Generator, pairs: int = 100_000
) -> Interval:
    """The chance that two faces of one person are nearer to each other than two of different people; 1 is perfect.

    Each face is paired with another of its person, so that those with many photos do not outweigh the rest, and the
    interval is a bootstrap over people.

    Args:
        features: (N, D).
        people: (N,) which person each is.
        random: pairs the faces of a person, draws pairs of different people and the bootstrap.
        pairs: how many pairs of different people to draw.

    Raises:
        DataError: nobody has two faces, or all faces are one person's.
    """
    rows = float_matrix(features, "face")
    _, person = np.unique(np.asarray(people), return_inverse=True)
    shuffled = random.permutation(len(rows))
    ordered = shuffled[np.argsort(person[shuffled], kind="stable")]
    same = np.stack([ordered[:-1], ordered[1:]], axis=1)
    same = same[person[same[:, 0]] == person[same[:, 1]]]
    different = random.integers(len(rows), size=(pairs, 2))
    different = different[person[different[:, 0]] != person[different[:, 1]]]
    if not len(same) or not len(different):
        raise DataError("To distinguish people takes two people, one of them with two faces.")
    drawn = np.concatenate([same, different])
    apart = [np.linalg.norm(rows[one] - rows[other], axis=1) for one, other in _blocks(drawn)]
    _, place = np.unique(np.concatenate(apart), return_inverse=True)
    is_same = np.arange(len(drawn)) < len(same)

    def auc(times_drawn: Floats64) -> float:
        one, other = times_drawn[person[drawn]].T
        weights = np.where(is_same, one, one * other)
        near = np.bincount(place, weights * is_same)
        far = np.bincount(place, weights * ~is_same)
        farther = far[::-1].cumsum()[::-1] - far / 2  # a tie counts half
        return float(near @ farther / (near.sum() * far.sum()))

    count = int(person.max()) + 1
    resampled = [
        auc(np.bincount(random.integers(count, size=count), minlength=count).astype(np.float64))
        for _ in range(RESAMPLES)
    ]
    low, high = np.nanquantile(resampled, (0.025, 0.975))
    return Interval(auc(np.ones(count)), float(low), float(high))


def _blocks(pairs: Integers) -> Iterator[Integers]:
    """Pairs (N, 2) as (2, at most BLOCK) at a time."""
    for start in range(0, len(pairs), BLOCK):
        yield pairs[start : start + BLOCK].T


def _rows_of_each(people: npt.ArrayLike) -> list[Integers]:
    """The row numbers of each person."""
    _, person, counts = np.unique(np.asarray(people), return_inverse=True, return_counts=True)
    return np.split(np.argsort(person, kind="stable"), counts.cumsum()[:-1])


def _difference(first: Interval, second: Interval) -> Interval:
    """One share less another, by Newcombe's hybrid of their own intervals (Newcombe 1998, method 10)."""
    value = first.value - second.value
    return Interval(
        value,
        value - math.hypot(first.value - first.low, second.high - second.value),
        value + math.hypot(first.high - first.value, second.value - second.low),
    )


def _p_value(fakes: float, fake_count: float, non_mates: float, non_mate_count: float) -> float:
    """Whether the first share is the greater, on the scale on which shares scatter alike (Freeman & Tukey 1950)."""
    apart = math.asin(math.sqrt(fakes)) - math.asin(math.sqrt(non_mates))
    return float(special.ndtr(-2 * apart / math.sqrt(1 / fake_count + 1 / non_mate_count)))
