"""Signal detection: how well people distinguish two kinds, whatever answer they lean to (Green & Swets 1966)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from augface.errors import DataError
from augface.metrics.crossed import CrossedEstimate, crossed_difference, crossed_estimate

Floats = npt.NDArray[np.float64]


class Detection(NamedTuple):
    """What answers "generated" or "real" to faces of both kinds say.

    Attributes:
        error_rate: mean of the shares of both kinds that are judged wrongly; 0.5 is guessing.
        fool_rate: share of answers to generated faces that are "real".
        false_alarm_rate: share of answers to real faces that are "generated".
        gap: how much more often generated faces than real ones are called generated; 0 if nobody can distinguish them.
            The share of right answers to as many faces of both kinds is 0.5 plus half of it.
        d_prime: distance of both kinds in standard deviations of the observer's evidence; 0 is guessing.
        bias: criterion c; above 0 raters lean to "real".
    """

    error_rate: CrossedEstimate
    fool_rate: CrossedEstimate
    false_alarm_rate: CrossedEstimate
    gap: CrossedEstimate
    d_prime: CrossedEstimate
    bias: CrossedEstimate


def detection(
    called_generated: npt.ArrayLike, generated: npt.ArrayLike, raters: npt.ArrayLike, items: npt.ArrayLike
) -> Detection:
    """Error rates, sensitivity and bias of all answers together, with errors over new raters and new faces.

    d' and c are those of the mean rates (Macmillan & Kaplan 1985), each corrected by half an answer of either kind
    (Hautus 1995), so that a rate of 0 or 1 stays finite. Where raters lean to different answers d' is a little lower
    than their own average.

    Args:
        called_generated: (T,) booleans, what was answered.
        generated: (T,) booleans, what is true.
        raters: (T,) whole numbers, who answered.
        items: (T,) whole numbers, which face was judged.

    Raises:
        DataError: one kind has no answers.
    """
    answers, truth = np.asarray(called_generated, dtype=np.float64), np.asarray(generated, dtype=np.bool_)
    who, what = np.asarray(raters), np.asarray(items)
    if not truth.any() or truth.all():
        raise DataError("Detection needs answers to faces of both kinds.")
    hits, alarms = (_rate(answers[side], who[side], what[side]) for side in (truth, ~truth))
    wrong = np.where(truth, 1 - answers, answers)
    weights = np.where(truth, 0.5 / truth.sum(), 0.5 / (~truth).sum())
    error = (1 - hits.value + alarms.value) / 2
    means = np.where(truth, 1 - hits.value, alarms.value)
    gap = crossed_difference(answers, truth, who, what)
    z_hit, z_alarm = (_z_score(rate.value, rate.answers) for rate in (hits, alarms))
    slopes = np.where(truth, 1 / _density(z_hit), 1 / _density(z_alarm))
    deviations = 2 * weights * slopes * (answers - np.where(truth, hits.value, alarms.value))
    return Detection(
        error_rate=crossed_estimate(error, weights * (wrong - means), who, what),
        fool_rate=hits._replace(value=1 - hits.value),
        false_alarm_rate=alarms,
        gap=gap,
        d_prime=crossed_estimate(z_hit - z_alarm, np.where(truth, deviations, -deviations), who, what),
        bias=crossed_estimate(-(z_hit + z_alarm) / 2, -deviations / 2, who, what),
    )


def _rate(answers: Floats, raters: npt.NDArray[np.int64], items: npt.NDArray[np.int64]) -> CrossedEstimate:
    mean = answers.mean()
    return crossed_estimate(float(mean), (answers - mean) / len(answers), raters, items)


def _z_score(rate: float, answers: int) -> float:
    return float(special.ndtri((rate * answers + 0.5) / (answers + 1)))


def _density(z_score: float) -> float:
    return float(np.exp(-(z_score**2) / 2) / np.sqrt(2 * np.pi))


def expected_d_prime(share_right: float) -> float:
    """The d' of an unbiased observer who is right so often, faces of both kinds being equally frequent.

    >>> round(expected_d_prime(0.75), 2)
    1.35
    """
    return float(2 * special.ndtri(share_right))


def area_of_d_prime(d_prime: float) -> float:
    """The area under the ROC curve that belongs to d': how often the more suspicious of a pair is the generated one.

    >>> area_of_d_prime(0.0)
    0.5
    """
    return float(special.ndtr(d_prime / np.sqrt(2)))
