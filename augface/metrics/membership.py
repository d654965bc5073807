"""Whether somebody's photos were in the training set, tested against people whose photos certainly were not.

Nothing about the generator need be known: held-out people are exchangeable with training people if a generator has
learnt nothing of any of them, whatever its faces are like. Scores are of faces first, then of people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from augface.arrays import Booleans, Floats, Floats64, Integers
from augface.errors import DataError
from augface.metrics.arrays import feature_matrix
from augface.metrics.classification import fit_logistic, split_people
from augface.metrics.intervals import Interval, proportion_interval
from augface.metrics.neighbourhoods import distances_between

COMPONENTS = 64
"""Principal components of the real features that distances are measured in."""
NEAREST = 5
"""Real faces of other people whose mean distance says how far from others a face is."""
STRENGTH = 0.03
"""Of the classifier, on features of unit variance."""
TAILS = (0.01, 0.02, 0.05, 0.1)
"""Shares of the people with the highest scores among whom training people are counted."""
RESAMPLES = 1_999
BOOTSTRAPS = 500
LEAST = 20
"""People on each side."""


def face_scores(
    real: npt.ArrayLike,
    synthetic: npt.ArrayLike,
    people: Integers,
    *,
    references: Sequence[npt.ArrayLike] = (),
    random: np.random.Generator,
) -> dict[str, Floats64]:
    """How much each real face looks like one that the generator was trained on, by three scores.

    None of them knows who is a training person, so that training and held-out faces have the same scores by chance.

    Args:
        real: (N, D) features of training and of held-out faces together.
        synthetic: (M, D) features of the generator's faces.
        people: (N,) who is on each real face.
        references: (R, D) features of the faces of each generator that was trained without any of these people.
        random: draws the people of the two classifiers.

    Returns:
        (N,) each, higher for training faces: `nearest`, the logarithm of the distance to the nearest real faces of
            other people over that to the nearest synthetic one; `likelihood`, the log-likelihood of a face under the
            synthetic faces less that under the reference generators' (Carlini et al. 2022, arXiv:2112.03570), or under
            real faces of other people where there are none (kernel densities); `discriminator`, log-odds of a
            classifier of synthetic faces against real ones of other people (Hayes et al. 2019, arXiv:1705.07663).

    Raises:
        DataError: unlike dimensions, NaN or infinity, or fewer than `LEAST` people.

    >>> random = np.random.default_rng(0)
    >>> real = random.normal(size=(60, 8))
    >>> scores = face_scores(real, real[:30] + 0.01, np.arange(60), random=random)
    >>> bool(scores["nearest"][:30].min() > scores["nearest"][30:].max())
    True
    """
    from sklearn.decomposition import PCA  # takes a moment to import

    x, y = feature_matrix(real, "real"), feature_matrix(synthetic, "synthetic")
    others = [feature_matrix(side, "reference") for side in references]
    if len({side.shape[1] for side in (x, y, *others)}) > 1:
        raise DataError("The real, synthetic and reference features have different dimensions.")
    _, numbers = np.unique(people, return_inverse=True)
    if numbers.max() + 1 < 2 * LEAST:
        raise DataError(f"{numbers.max() + 1} people are too few to test; {2 * LEAST} are needed.")
    pca = PCA(min(COMPONENTS, len(x) - 1, x.shape[1]), svd_solver="randomized", random_state=0).fit(x)
    x, y, *others = (pca.transform(side) for side in (x, y, *others))
    to_real, to_synthetic = distances_between(x, x), distances_between(x, y)
    to_real[numbers[:, None] == numbers] = np.inf
    near_real = np.partition(to_real, NEAREST, axis=1)[:, :NEAREST]
    width = float(np.median(near_real[:, 0]))
    beside = [_log_density(distances_between(x, side), width) for side in others] or [_log_density(to_real, width)]
    return {
        "nearest": np.log(near_real.mean(axis=1)) - np.log(np.maximum(to_synthetic.min(axis=1), 1e-9)),
        "likelihood": _log_density(to_synthetic, width) - np.mean(beside, axis=0),
        "discriminator": _discriminator(x, y, numbers, random),
    }


def _log_density(distances: Floats64, width: float) -> Floats64:
    """(N,) logarithm of the mean Gaussian kernel, but for a constant; infinite distances are no points."""
    kernels = special.logsumexp(-np.square(distances / width) / 2, axis=1)
    return np.asarray(kernels - np.log(np.isfinite(distances).sum(axis=1)), dtype=np.float64)


def _discriminator(x: Floats, y: Floats, people: Integers, random: np.random.Generator) -> Floats64:
    """Each real face by a classifier that saw no face of its person."""
    half, _ = split_people(people, np.zeros(0, dtype=np.int64), random=random)
    scores = np.empty(len(x))
    for learns in (half, ~half):
        scores[~learns] = fit_logistic(x[learns], y, STRENGTH).scores(x[~learns])
    return scores


def person_scores(scores: npt.ArrayLike, people: Integers) -> Floats64:
    """A score for each person: the scores of their faces, as ranks, joined by Fisher's method (1932).

    Args:
        scores: (N,) of faces.
        people: (N,) numbers from 0, who is on each; every number occurs.

    Returns:
        (P,) minus the logarithm of the joined p-value.

    >>> int(person_scores([1.0, 2.0, 9.0, 8.0], np.array([0, 0, 1, 1])).argmax())
    1
    """
    tails = -np.log(1 - _ranks(np.asarray(scores, dtype=np.float64)))
    counts = np.bincount(people)
    return np.asarray(-np.log(np.maximum(special.gammaincc(counts, np.bincount(people, tails)), 1e-300)))


@dataclass(frozen=True)
class MembershipTest:
    """What the test found.

    Attributes:
        p_value: of the hypothesis that training people are as held-out ones, over all scores.
        p_values: of each score by name, corrected for their number.
        joined: (P,) one score a person of all scores, from 0 to 1: the largest share of held-out people who are below.
        person_p_values: (P,) for each training person the share of held-out people whose joined score is as high, for
            the hypothesis that this person's photos were not in the training set; NaN for held-out people.
    """

    p_value: float
    p_values: Mapping[str, float]
    joined: Floats64
    person_p_values: Floats64


def membership_test(scores: Mapping[str, Floats64], member: Booleans, random: np.random.Generator) -> MembershipTest:
    """Whether training people have higher scores than held-out ones, all together or a few of them.

    For each score statistics are standardised: the sum of the training people's ranks, and how many of them are among
    the highest of all people, in each of `TAILS`. The largest of all is compared with what it is when training people
    are drawn anew (Westfall & Young 1993, single step), so that the level is exact however scores depend on each other.

    Args:
        scores: (P,) of people by name.
        member: (P,) who is a training person.
        random: draws the labels.

    Raises:
        DataError: fewer than `LEAST` people of either kind.

    >>> random = np.random.default_rng(0)
    >>> member = np.repeat([True, False], 100)
    >>> membership_test({"nearest": random.normal(size=200) + 2 * member}, member, random).p_value
    0.0005
    """
    count = int(member.sum())
    if min(count, len(member) - count) < LEAST:
        raise DataError(f"{count} training and {len(member) - count} held-out people are too few; {LEAST} are needed.")
    ranks = {name: _ranks(values) for name, values in scores.items()}
    parts = np.stack([part for rank in ranks.values() for part in (rank, *(rank > 1 - tail for tail in TAILS))], axis=1)
    parts = parts - parts.mean(axis=0)
    deviations = np.sqrt(np.square(parts).sum(axis=0) / (len(member) - 1) * count * (len(member) - count) / len(member))
    parts = parts / np.maximum(deviations, 1e-12)
    drawn = np.argsort(random.random((RESAMPLES, len(member))), axis=1) < count
    null = (drawn.astype(np.float64) @ parts).max(axis=1)
    observed = (member @ parts).reshape(len(scores), -1).max(axis=1)
    p_values = (1 + (null >= observed[:, None] - 1e-9).sum(axis=1)) / (1 + RESAMPLES)
    joined = 1 - np.min([_shares_as_high(values, member) for values in scores.values()], axis=0)
    return MembershipTest(
        float(p_values.min()),
        dict(zip(scores, map(float, p_values), strict=True)),
        joined,
        np.where(member, _shares_as_high(joined, member), np.nan),
    )


def _shares_as_high(values: Floats64, member: Booleans) -> Floats64:
    """(P,) the share of held-out people, and of oneself, who have such a score or a higher one."""
    held_out = np.sort(values[~member])
    as_high = len(held_out) - np.searchsorted(held_out, values, "left")
    return np.asarray((member + as_high) / (member + len(held_out)), dtype=np.float64)


def _ranks(values: Floats64) -> Floats64:
    from scipy.stats import rankdata

    return np.asarray((rankdata(values) - 0.5) / len(values), dtype=np.float64)


def found_at(
    rate: float, member_scores: npt.ArrayLike, other_scores: npt.ArrayLike, random: np.random.Generator
) -> Interval:
    """The true positive rate: the share of training people who score higher than all but `rate` of the held-out people.

    The interval is of the bootstrap over people of both kinds, with the threshold found anew each time, and no shorter
    than Wilson's for a fixed threshold, since near 0 and 1 resampling hardly changes anything.

    Args:
        rate: the false positive rate, above 0 and below 1.
        member_scores: (P,) one a training person.
        other_scores: (Q,) one a held-out person.
        random: draws the people.

    >>> found_at(0.05, np.arange(100) + 95, np.arange(100), np.random.default_rng(0)).value
    1.0
    """
    members, others = (np.asarray(side, dtype=np.float64) for side in (member_scores, other_scores))

    def share(own: Floats64, held_out: Floats64) -> float:
        threshold = np.quantile(held_out, 1 - rate, method="inverted_cdf")
        return float((own > threshold).mean())

    value = share(members, others)
    drawn = [share(random.choice(members, len(members)), random.choice(others, len(others))) for _ in range(BOOTSTRAPS)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    alone = proportion_interval(value * len(members), len(members))
    return Interval(value, min(alone.low, float(low)), max(alone.high, float(high)))
