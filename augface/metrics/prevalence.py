"""Do synthetic faces show what was requested? Told by a judge whose own errors are known from real faces.

The judge says how probable each face shows an attribute. It errs, and its errors are measured on held-out real faces
with known labels; it is taken to err alike on synthetic faces that show, or do not show, the attribute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from augface.arrays import Booleans, Floats64, Integers
from augface.errors import DataError
from augface.metrics.intervals import NORMAL, Interval, clustered_variance, normal_interval, t_quantile

MINIMUM = 20
"""Synthetic faces that were requested, and real faces of either kind, without which nothing is said."""
EXPECTED = 0.9
"""The share of right faces that scores are optimal for: there the estimate scatters least. It is unbiased at any share.
"""
ADDED = 1
"""Right faces, and as many wrong ones, that intervals of shares add (Agresti & Coull 1998)."""
TELLING = 4.0
"""Standard errors that the judge's mean scores of right and wrong real faces must lie apart, for it to distinguish
them.
"""


class Requested(NamedTuple):
    """The synthetic faces that were requested with one value of an attribute."""

    share: Interval
    """Of those that show it, corrected; NaN where the judge errs too often. Values and ends may lie beyond 0 and 1."""
    p_value: float
    """One-sided, of the hypothesis that all of them show it."""
    faces: int
    real_faces: int
    """Real faces that show the value: those that the synthetic ones are held against."""


@dataclass(frozen=True)
class AdherenceEstimate:
    """Whether synthetic faces show what was requested of one attribute.

    Attributes:
        share: of all synthetic faces, those that show what was requested; NaN where the judge errs too often.
        requested: by the value requested; values with fewer than `MINIMUM` faces are left out, here and in `share`.
        sensitivity, specificity: of the judge's decisions at even odds, on the real faces.
    """

    share: Interval
    requested: Mapping[bool, Requested]
    sensitivity: Interval
    specificity: Interval


def adherence_test(
    probabilities: npt.ArrayLike,
    requested: npt.ArrayLike,
    real_probabilities: npt.ArrayLike,
    truth: npt.ArrayLike,
    *,
    people: npt.ArrayLike | None = None,
    fake_people: npt.ArrayLike | None = None,
) -> AdherenceEstimate:
    """The share of synthetic faces that show what was requested, corrected for the judge's errors, with a test that all
    do.

    After Rogan & Gladen 1978 (Am. J. Epidemiol. 107, eq. 1), with scores in place of decisions: for any score, its mean
    over faces of which a share θ is right is θ times that of right real faces plus (1 - θ) times that of wrong ones.
    The score is the probability of being right where 9 of 10 faces are, by which the estimate scatters a third less
    than by decisions. Intervals are by the delta method with people kept together, with right and wrong faces added to
    the synthetic ones of each value, as Lang & Reiczigel 2014 (Prev. Vet. Med. 113) do with decisions.

    The test compares synthetic faces with right real ones of the same value: their mean scores are equal where all are
    right. Variance and skewness are those of both together, as the hypothesis has it, so that few faces give no alarms.

    Args:
        probabilities: (N,) the judge's, of each synthetic face showing the attribute.
        requested: (N,) whether it was requested to show it.
        real_probabilities: (M,) the judge's, of held-out real faces.
        truth: (M,) whether they show it.
        people: (M,) who is on the real faces, where that is known.
        fake_people: (N,) which synthetic faces belong together, where any do.

    Raises:
        DataError: fewer than `MINIMUM` of the real faces show it, or do not.
    """
    wanted, shown = np.asarray(requested, dtype=np.bool_), np.asarray(truth, dtype=np.bool_)
    if min(shown.sum(), (~shown).sum()) < MINIMUM:
        raise DataError(f"Fewer than {MINIMUM} of the real faces show the attribute, or do not.")
    usual = special.logit(shown.mean())  # without it, log-odds are log-likelihood ratios
    evidence, real_evidence = (_log_odds(side) - usual for side in (probabilities, real_probabilities))
    groups, fake_groups = _group_numbers(people, len(shown)), _group_numbers(fake_people, len(wanted))

    by_request: dict[bool, Requested] = {}
    shares: list[_Share] = []
    for value in (True, False):
        rows, right = wanted == value, shown == value
        if rows.sum() < MINIMUM:
            continue
        scores, real_scores = (
            special.expit((side if value else -side) + special.logit(EXPECTED)) for side in (evidence, real_evidence)
        )
        share = _corrected(scores[rows], real_scores, right, fake_groups[rows], groups)
        p_value = _less_right(scores[rows], real_scores[right], fake_groups[rows], groups[right])
        by_request[value] = Requested(share.interval(groups), p_value, int(rows.sum()), int(right.sum()))
        shares.append(share)
    return AdherenceEstimate(
        _together(shares).interval(groups) if shares else Interval(np.nan, np.nan, np.nan),
        by_request,
        *(_mean(real_evidence[shown == kind] > 0, kind, groups[shown == kind]) for kind in (True, False)),
    )


class _Share(NamedTuple):
    """A share with the parts of its interval."""

    faces: int
    value: float
    middle: float
    """Of the interval: the value with right and wrong faces added."""
    variance: float
    """By the synthetic faces."""
    influence: Floats64
    """(M,) by each real face, adding up to 0."""

    def interval(self, groups: Integers) -> Interval:
        error = (self.variance + _variance(self.influence, groups)) ** 0.5
        reach = NORMAL * error
        return Interval(self.value, min(self.value, self.middle) - reach, max(self.value, self.middle) + reach)


def _corrected(
    scores: Floats64, real_scores: Floats64, right: Booleans, fake_groups: Integers, groups: Integers
) -> _Share:
    """The share θ of right faces for which the synthetic ones have the mixture's mean score, with its influences."""
    of_right, of_wrong = real_scores[right].mean(), real_scores[~right].mean()
    apart = of_right - of_wrong
    by_right = np.where(right, real_scores - of_right, 0) / right.sum()
    by_wrong = np.where(right, 0, real_scores - of_wrong) / (~right).sum()
    if not apart > TELLING * _variance(by_right - by_wrong, groups) ** 0.5:
        return _Share(len(scores), np.nan, np.nan, np.nan, np.zeros(len(right)))
    extended = np.concatenate([scores, np.repeat([of_right, of_wrong], ADDED)])
    alone = fake_groups.max() + 1 + np.arange(2 * ADDED)
    middle = (extended.mean() - of_wrong) / apart
    return _Share(
        len(scores),
        (scores.mean() - of_wrong) / apart,
        middle,
        _variance((extended - extended.mean()) / len(extended) / apart, np.concatenate([fake_groups, alone])),
        -(middle * by_right + (1 - middle) * by_wrong) / apart,
    )


def _together(shares: list[_Share]) -> _Share:
    """The share among the faces of all."""
    weights = np.array([share.faces for share in shares], dtype=np.float64)
    weights /= weights.sum()
    return _Share(
        sum(share.faces for share in shares),
        float(weights @ [share.value for share in shares]),
        float(weights @ [share.middle for share in shares]),
        float(weights**2 @ [share.variance for share in shares]),
        weights @ np.stack([share.influence for share in shares]),
    )


def _less_right(scores: Floats64, real_scores: Floats64, fake_groups: Integers, groups: Integers) -> float:
    """One-sided p-value of synthetic faces scoring lower than right real ones.

    The difference of means is taken for a Pearson type III variable with the moments that it has where both sides are
    drawn from the scores of both together (as Mielke et al. 1981 do for permutations), and scatters as people on each
    side have it: people themselves can't be exchanged, since real ones have more pictures. Where few faces make all of
    the difference it moves in steps. Of a step a quarter is taken off: half of it, right for counts (Yates 1934), is
    too much for scores, which differ among the wrong faces too.
    """
    from scipy import stats

    centred = np.concatenate([scores, real_scores])
    centred -= centred.mean()
    count, real_count = len(scores), len(real_scores)
    inflation, real_inflation = _clustering(centred[:count], fake_groups), _clustering(centred[count:], groups)
    variance = np.mean(centred**2) * (inflation / count + real_inflation / real_count)
    if variance <= 0:
        return 1.0
    skewness = np.mean(centred**3) * (real_inflation**2 / real_count**2 - inflation**2 / count**2) / variance**1.5
    step = np.mean(abs(centred) ** 3) / np.mean(centred**2) * (1 / count + 1 / real_count)
    difference = real_scores.mean() - scores.mean() - step / 4
    return float(stats.pearson3.sf(difference / variance**0.5, skewness))


def _clustering(centred: Floats64, groups: Integers) -> float:
    """How many times the variance of a mean is larger since rows belong together; at least 1."""
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], weights=centred)
    return max(1.0, float(np.square(sums).sum() / max(np.square(centred).sum(), 1e-12)))


class AttributeLeakage(NamedTuple):
    """How much more often something is seen where an attribute was requested than where it was not."""

    synthetic: Interval
    """Difference of shares among synthetic faces."""
    real: Interval
    """The same among real faces, between those that show the attribute and those that do not."""
    excess: Interval
    """Synthetic minus real: what comes along with the request, beyond what goes with the attribute."""
    p_value: float
    """Two-sided, of no excess."""


def leakage_test(
    seen: npt.ArrayLike,
    requested: npt.ArrayLike,
    real_seen: npt.ArrayLike,
    truth: npt.ArrayLike,
    *,
    people: npt.ArrayLike | None = None,
    fake_people: npt.ArrayLike | None = None,
) -> AttributeLeakage:
    """Does something else change with the request? In what the judge sees, uncorrected, on both sides alike.

    Welch's test with people kept together, and as few degrees of freedom as the smallest of the four groups has.

    Args:
        seen: (N,) how probable each synthetic face shows the other attribute, as the judge sees it.
        requested: (N,) whether the synthetic face was requested to show the attribute; faces of both kinds.
        real_seen: (M,) as `seen`, of real faces.
        truth: (M,) whether they show the attribute; faces of both kinds.
        people: (M,) who is on the real faces, where that is known.
        fake_people: (N,) which synthetic faces belong together, where any do.
    """
    synthetic, synthetic_error, synthetic_freedom = _difference(seen, requested, fake_people)
    real, real_error, real_freedom = _difference(real_seen, truth, people)
    error, freedom = float(np.hypot(synthetic_error, real_error)), min(synthetic_freedom, real_freedom)
    distance = abs(synthetic - real) / error if error > 0 else 0.0
    reach = t_quantile(freedom) * error
    return AttributeLeakage(
        normal_interval(synthetic, synthetic_error),
        normal_interval(real, real_error),
        Interval(synthetic - real, synthetic - real - reach, synthetic - real + reach),
        float(2 * special.stdtr(freedom, -distance)),
    )


def _difference(values: npt.ArrayLike, kinds: npt.ArrayLike, people: npt.ArrayLike | None) -> tuple[float, float, int]:
    """Difference of the means of two kinds, with its standard error and the degrees of freedom of the rarer kind."""
    numbers, first = np.asarray(values, dtype=np.float64), np.asarray(kinds, dtype=np.bool_)
    means, counts = (numbers[first].mean(), numbers[~first].mean()), (int(first.sum()), int((~first).sum()))
    influence = np.where(first, (numbers - means[0]) / counts[0], (means[1] - numbers) / counts[1])
    error = _variance(influence, _group_numbers(people, len(numbers))) ** 0.5
    return float(means[0] - means[1]), error, min(counts) - 1


class Scores(NamedTuple):
    """Balanced accuracies on the same real faces."""

    synthetic: Interval
    """Of the classifier that learnt from synthetic faces."""
    real: Interval
    """Of the one that learnt from real faces."""
    ratio: Interval
    """Synthetic over real."""


def classification_scores(
    truth: npt.ArrayLike, by_synthetic: npt.ArrayLike, by_real: npt.ArrayLike, *, people: npt.ArrayLike | None = None
) -> Scores:
    """The classification accuracy score (Ravuri & Vinyals 2019, arXiv:1905.10887, section 3) beside that of real faces.

    Intervals are over test people; both classifiers are taken as they are.

    Args:
        truth: (M,) what held-out real faces show; faces of both kinds.
        by_synthetic: (M,) decisions of a classifier that was trained on synthetic faces with the requested labels.
        by_real: (M,) what one says that learnt from as many real faces.
        people: (M,) who is on the faces, where that is known.
    """
    shown, groups = np.asarray(truth, dtype=np.bool_), _group_numbers(people, len(np.asarray(truth)))
    values, influences = [], []
    for says in (by_synthetic, by_real):
        hits = (np.asarray(says, dtype=np.bool_) == shown).astype(np.float64)
        means = hits[shown].mean(), hits[~shown].mean()
        values.append(float(np.mean(means)))
        influences.append(np.where(shown, (hits - means[0]) / shown.sum(), (hits - means[1]) / (~shown).sum()) / 2)
    ratio = values[0] / values[1]
    influences.append((influences[0] - ratio * influences[1]) / values[1])
    return Scores(
        *(
            normal_interval(value, _variance(influence, groups) ** 0.5)
            for value, influence in zip([*values, ratio], influences, strict=True)
        )
    )


def _log_odds(probabilities: npt.ArrayLike) -> Floats64:
    """Of probabilities as float32 holds them: 0 and 1 stand for what is nearest to them."""
    return np.asarray(special.logit(np.clip(np.asarray(probabilities, dtype=np.float64), 1e-7, 1 - 1e-7)))


def _group_numbers(people: npt.ArrayLike | None, count: int) -> Integers:
    return np.arange(count) if people is None else np.unique(np.asarray(people), return_inverse=True)[1]


def _variance(influence: Floats64, groups: Integers) -> float:
    """Of a sum of contributions that are independent between groups."""
    return clustered_variance(influence * len(influence), groups)


def _mean(decisions: Booleans, kind: bool, groups: Integers) -> Interval:
    """The share of decisions that are `kind`, with people kept together; within 0 and 1."""
    hits = (decisions == kind).astype(np.float64)
    _, low, high = normal_interval(hits.mean(), clustered_variance(hits - hits.mean(), groups) ** 0.5)
    return Interval(float(hits.mean()), max(0.0, low), min(1.0, high))
