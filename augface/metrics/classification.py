"""Can a classifier distinguish two samples? Its test on people that it has not seen, and calibrated probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from augface.arrays import Booleans, Floats, Floats64, Integers
from augface.errors import DataError
from augface.metrics.intervals import Interval, clustered_variance, normal_interval, proportion_interval

STRENGTHS = (0.003, 0.03, 0.3, 3.0)
"""Weights of the squared coefficients, on features of unit variance, that are tried."""
TUNING_SHARE = 1 / 3
"""Share of the learning half that the strength is chosen on."""
ITERATIONS = 100


class Logistic(NamedTuple):
    """A logistic regression: log-odds that a row is fake where both kinds are equally frequent."""

    weights: Floats64
    """(D,)"""
    bias: float

    def scores(self, features: npt.ArrayLike) -> Floats64:
        """(N,) log-odds of (N, D) features."""
        return np.asarray(np.asarray(features) @ self.weights + self.bias, dtype=np.float64)


@dataclass(frozen=True)
class TwoSampleTest:
    """What a classifier that learnt on one half of the people says of the other half.

    Attributes:
        auc: probability that a fake scores higher than a real row, of the tested half; 0.5 is chance.
        accuracy: mean share of both kinds that are on their side of even odds, of the tested half.
        p_value: one-sided, of the hypothesis that both samples are of one population.
        model: the tested classifier.
        strength: weight of its squared coefficients.
        real_scores, fake_scores: (m,) and (n,) log-odds, each by a classifier that has not seen the row's people: of
            the tested half by `model`, of the other by one that learnt on the tested half, for galleries only.
        real_tested, fake_tested: (m,) and (n,) which rows are in the tested half.
        people: separate people on the smaller side of the tested half.
    """

    auc: Interval
    accuracy: Interval
    p_value: float
    model: Logistic
    strength: float
    real_scores: Floats64
    fake_scores: Floats64
    real_tested: Booleans
    fake_tested: Booleans
    people: int

    @property
    def tested_scores(self) -> tuple[Floats64, Floats64]:
        """The scores of the tested half alone, which no other classifier than `model` gave."""
        return self.real_scores[self.real_tested], self.fake_scores[self.fake_tested]


def two_sample_test(
    real: npt.ArrayLike,
    fake: npt.ArrayLike,
    *,
    real_people: npt.ArrayLike | None = None,
    fake_people: npt.ArrayLike | None = None,
    random: np.random.Generator,
) -> TwoSampleTest:
    """The classifier two-sample test (Lopez-Paz & Oquab 2017, arXiv:1610.06545), with its AUC, on one split of people.

    A logistic regression learns on half of the people, where its strength is chosen too, and is tested on the others.
    Scores of several splits are no independent evidence: pooled they reject true hypotheses too often.

    Args:
        real: (m, D) features.
        fake: (n, D) features.
        real_people: (m,) whole numbers, who is on each row; rows of nobody else's where not given.
        fake_people: (n,) the same; a number that is on both sides is one person.
        random: draws the split.

    Raises:
        DataError: a half would have fewer than two rows of a side.
    """
    sides = (np.asarray(real), np.asarray(fake))
    people = joined_people(len(sides[0]), len(sides[1]), real_people, fake_people)
    learns = split_people(*people, random=random)
    if min(part.sum() for learn in learns for part in (learn, ~learn)) < 2:
        raise DataError("There are too few people to learn from one half of them and to test on the other.")
    learners = [person[learn] for person, learn in zip(people, learns, strict=True)]
    model, strength = tuned_logistic(sides[0][learns[0]], sides[1][learns[1]], *learners, random=random)
    swapped = fit_logistic(sides[0][~learns[0]], sides[1][~learns[1]], strength)
    scores = [
        np.where(learn, swapped.scores(side), model.scores(side)) for side, learn in zip(sides, learns, strict=True)
    ]
    tested = [score[~learn] for score, learn in zip(scores, learns, strict=True)]
    testers = [person[~learn] for person, learn in zip(people, learns, strict=True)]
    auc, p_value = auc_interval(*tested, *testers)
    return TwoSampleTest(
        auc=auc,
        accuracy=accuracy_interval(*tested, *testers),
        p_value=p_value,
        model=model,
        strength=strength,
        real_scores=scores[0],
        fake_scores=scores[1],
        real_tested=~learns[0],
        fake_tested=~learns[1],
        people=min(len(np.unique(side)) for side in testers),
    )


def joined_people(
    real_count: int, fake_count: int, real_people: npt.ArrayLike | None, fake_people: npt.ArrayLike | None
) -> tuple[Integers, Integers]:
    """Numbers of the people of both sides, from 0 up; rows of which nothing is known get numbers of their own.

    >>> joined_people(2, 2, [5, 5], None)
    (array([0, 0]), array([1, 2]))
    """
    given = [np.asarray(people) for people in (real_people, fake_people) if people is not None]
    unused = max((int(people.max(initial=-1)) for people in given), default=-1) + 1
    real = np.arange(unused, unused + real_count) if real_people is None else np.asarray(real_people)
    unused += real_count
    fake = np.arange(unused, unused + fake_count) if fake_people is None else np.asarray(fake_people)
    _, numbers = np.unique(np.concatenate([real, fake]), return_inverse=True)
    return numbers[:real_count], numbers[real_count:]


def split_people(
    real_people: Integers,
    fake_people: Integers,
    *,
    random: np.random.Generator,
    share: float = 0.5,
) -> tuple[Booleans, Booleans]:
    """Which rows of each side are of a random `share` of the people, of those on the real side and of the others."""
    is_real, is_fake = (np.unique(people) for people in (real_people, fake_people))
    chosen = np.concatenate(
        [
            random.permutation(people)[: round(share * len(people))]
            for people in (is_real, np.setdiff1d(is_fake, is_real))
        ]
    )
    return np.isin(real_people, chosen), np.isin(fake_people, chosen)


def tuned_logistic(
    real: npt.ArrayLike,
    fake: npt.ArrayLike,
    real_people: Integers,
    fake_people: Integers,
    *,
    random: np.random.Generator,
) -> tuple[Logistic, float]:
    """`fit_logistic` with the strength of `STRENGTHS` that is best for people who were left out of a first fit.

    Args:
        real, fake: (m, D) and (n, D) features.
        real_people, fake_people: (m,) and (n,) who is on each row, as `joined_people` numbers them.
        random: draws the people who are left out.

    Returns:
        The regression of all rows, and its strength.
    """
    x, y = np.asarray(real), np.asarray(fake)
    inner = split_people(real_people, fake_people, random=random, share=1 - TUNING_SHARE)
    strength = _chosen_strength(x, y, inner)
    return fit_logistic(x, y, strength), strength


def fit_logistic(real: npt.ArrayLike, fake: npt.ArrayLike, strength: float) -> Logistic:
    """Logistic regression in which both kinds weigh the same, with squared coefficients weighed by `strength`.

    Args:
        real: (m, D) features.
        fake: (n, D) features.
        strength: weight of half the sum of the squared coefficients, on features of unit variance.
    """
    return _fit_path(np.asarray(real), np.asarray(fake), (strength,))[0]


def _fit_path(real: Floats, fake: Floats, strengths: tuple[float, ...]) -> list[Logistic]:
    """A regression for each strength, each beginning where the one before ended."""
    from scipy import optimize  # takes a moment to import

    rows = np.concatenate([real, fake])
    centre, scale = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-6)
    rows = ((rows - centre) / scale).astype(np.float32)
    signs = np.repeat(np.array([-1, 1], dtype=np.float32), [len(real), len(fake)])
    share = 0.5 / np.repeat([len(real), len(fake)], [len(real), len(fake)]).astype(np.float32)

    def loss(parameters: Floats64, strength: float) -> tuple[float, Floats64]:
        weights = parameters[:-1].astype(np.float32)
        margins = signs * (rows @ weights + np.float32(parameters[-1]))
        slopes = -signs * share * special.expit(-margins)
        penalty = strength / 2 * float(np.square(parameters[:-1]).sum())
        gradient = np.append((slopes @ rows).astype(np.float64) + strength * parameters[:-1], slopes.sum())
        return float((share * np.logaddexp(0, -margins)).sum()) + penalty, gradient

    parameters = np.zeros(rows.shape[1] + 1)
    models = []
    for strength in strengths:
        found = optimize.minimize(
            loss,
            parameters,
            (strength,),
            "L-BFGS-B",
            jac=True,
            options={"maxiter": ITERATIONS, "gtol": 1e-4, "ftol": 1e-5},
        )
        parameters = found.x
        weights = parameters[:-1] / scale
        models.append(Logistic(weights, float(parameters[-1] - centre @ weights)))
    return models


def platt_scaled(model: Logistic, real: npt.ArrayLike, fake: npt.ArrayLike) -> Logistic:
    """The classifier with its scores brought to honest log-odds, where both kinds are equally frequent (Platt 1999).

    Args:
        model: a classifier that orders rows well, but may be too sure.
        real: (m, D) features that it has not seen.
        fake: (n, D) features that it has not seen.
    """
    real_scores, fake_scores = model.scores(real)[:, None], model.scores(fake)[:, None]
    slope, bias = fit_logistic(real_scores, fake_scores, 1 / (len(real_scores) + len(fake_scores)))
    if slope[0] <= 0:  # its order is no better than chance
        return Logistic(np.zeros_like(model.weights), 0.0)
    return Logistic(model.weights * slope[0], model.bias * float(slope[0]) + bias)


def _chosen_strength(real: Floats, fake: Floats, learns: tuple[Booleans, Booleans]) -> float:
    """The strength whose regression on some of the people gives the others the best log-loss."""
    strengths = tuple(sorted(STRENGTHS, reverse=True))
    if min(mask.sum() for learn in learns for mask in (learn, ~learn)) < 2:
        return strengths[0]
    models = _fit_path(real[learns[0]], fake[learns[1]], strengths)
    held_out = real[~learns[0]], fake[~learns[1]]
    losses = [
        np.logaddexp(0, model.scores(held_out[0])).mean() + np.logaddexp(0, -model.scores(held_out[1])).mean()
        for model in models
    ]
    return strengths[int(np.argmin(losses))]


def auc_interval(
    real_scores: npt.ArrayLike,
    fake_scores: npt.ArrayLike,
    real_people: npt.ArrayLike | None = None,
    fake_people: npt.ArrayLike | None = None,
) -> tuple[Interval, float]:
    """The area under the ROC curve with its interval, and the one-sided p-value of the hypothesis that it is 0.5.

    The variance is that of the placement values (DeLong et al. 1988) with those of a person taken together (Obuchowski
    1997); see `_share_interval` for the interval.

    Args:
        real_scores: (m,) scores.
        fake_scores: (n,) scores; higher ones speak for fake.
        real_people: (m,) who is on each row; see `joined_people`.
        fake_people: (n,) the same.

    >>> auc_interval([1, 2, 3], [1, 2, 3])[0].value
    0.5
    """
    real, fake = np.asarray(real_scores), np.asarray(fake_scores)
    placements = 1 - _share_below(real, fake), _share_below(fake, real)
    people = joined_people(len(real), len(fake), real_people, fake_people)
    return _share_interval(float(placements[1].mean()), placements, people)


def auc_drop(
    real_scores: tuple[npt.ArrayLike, npt.ArrayLike],
    fake_scores: tuple[npt.ArrayLike, npt.ArrayLike],
    real_people: npt.ArrayLike | None = None,
    fake_people: npt.ArrayLike | None = None,
) -> Interval:
    """By how much the AUC of one classifier is above that of another on the same rows (DeLong et al. 1988).

    Args:
        real_scores: (m,) scores by the one and by the other.
        fake_scores: (n,) the same.
        real_people: (m,) who is on each row; see `joined_people`.
        fake_people: (n,) the same.

    >>> auc_drop(([1, 2, 3], [1, 2, 3]), ([2, 3, 4], [2, 3, 4])).value
    0.0
    """
    reals, fakes = [np.asarray(one) for one in real_scores], [np.asarray(one) for one in fake_scores]
    first, second = (
        (1 - _share_below(real, fake), _share_below(fake, real)) for real, fake in zip(reals, fakes, strict=True)
    )
    people = joined_people(len(reals[0]), len(fakes[0]), real_people, fake_people)
    value = float(first[1].mean() - second[1].mean())
    return normal_interval(value, _influence_variance((first[0] - second[0], first[1] - second[1]), people) ** 0.5)


def roc_at(rates: npt.ArrayLike, real_scores: npt.ArrayLike, fake_scores: npt.ArrayLike) -> Floats64:
    """The ROC curve: the share of fakes that are found where at most these shares of real rows are taken for fakes.

    >>> roc_at([0.0, 0.5, 1.0], [1, 3], [2, 4])
    array([0.5, 1. , 1. ])
    """
    from sklearn.metrics import roc_curve

    labels = np.repeat([False, True], [np.size(real_scores), np.size(fake_scores)])
    false_rates, found, _ = roc_curve(labels, np.concatenate([np.asarray(real_scores), np.asarray(fake_scores)]))
    return np.asarray(np.interp(np.asarray(rates), false_rates, found), dtype=np.float64)


def accuracy_interval(
    real_scores: npt.ArrayLike,
    fake_scores: npt.ArrayLike,
    real_people: npt.ArrayLike | None = None,
    fake_people: npt.ArrayLike | None = None,
) -> Interval:
    """The mean of the shares of real scores up to 0 and of fake ones above, with its interval; see `auc_interval`."""
    real, fake = np.asarray(real_scores), np.asarray(fake_scores)
    halves = (real <= 0) / 2, (fake > 0) / 2
    people = joined_people(len(real), len(fake), real_people, fake_people)
    return _share_interval(float(halves[0].mean() + halves[1].mean()), halves, people)[0]


def _share_below(scores: Floats, others: Floats) -> Floats64:
    """(N,) share of the others that each score is above; half of those that it equals count."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")
    return np.asarray(below / (2 * len(others)), dtype=np.float64)


def _share_interval(
    value: float, parts: tuple[Floats64, Floats64], people: tuple[Integers, Integers]
) -> tuple[Interval, float]:
    """Wilson's interval of a value from 0 to 1, and the p-value that it is at most 0.5.

    The trials are as many as give a share the variance of the value; where it is near 0 or 1 that variance is badly
    known, and they are at most twice the people of the smaller side, as for an AUC of normal scores near 1.

    Args:
        value: what is estimated.
        parts: (m,) and (n,) numbers of each side whose sum of means the value varies with.
        people: (m,) and (n,) who is on each row.
    """
    variance = _influence_variance(parts, people)
    most = 2.0 * min(len(np.unique(side)) for side in people)
    trials = min(value * (1 - value) / variance, most) if variance > 0 else most
    _, low, high = proportion_interval(value * trials, trials)
    return Interval(value, min(low, value), max(high, value)), float(special.ndtr((0.5 - value) * 2 * np.sqrt(trials)))


def _influence_variance(parts: tuple[Floats64, Floats64], people: tuple[Integers, Integers]) -> float:
    """The variance of the sum of the means of (m,) and (n,) numbers, where rows of a person belong together."""
    count = len(parts[0]) + len(parts[1])
    influence = np.concatenate([count / len(part) * (part - part.mean()) for part in parts])
    return clustered_variance(influence, np.concatenate(people))
