"""The exposure that people need to be right in three of four answers: thresholds that differ from person to person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from augface.errors import DataError
from augface.metrics.crossed import CrossedEstimate, crossed_estimate
from augface.metrics.intervals import Interval

Floats = npt.NDArray[np.float64]

RIGHT_AT_THRESHOLD = 0.75
LAPSES = 0.02
"""Share of answers that are wrong however long the exposure is."""
GRID = np.linspace(1.0, 14.0, 105)
"""Thresholds that are considered, log2 of ms: from 2 ms to 16 s, in eighths of a doubling."""
SLOPES = np.exp(np.linspace(np.log(0.3), np.log(4.0), 16))
"""Slopes of the cumulative normal that are considered, per doubling of the exposure."""
SLOPE_SPREAD = 1.0
"""Standard deviation of a weak prior on the log slope, around 0."""
SMALLEST_SPREAD = 0.15
"""Of thresholds between people, in doublings: below it they count as equal."""
STEPS = 200
LEAST_INFORMATION = 1e-3
"""People's worth of knowledge, below which answers tell nothing of the threshold: the interval is then as wide as "
"any."""


@dataclass(frozen=True)
class Threshold:
    """The psychometric function of a population.

    Attributes:
        log2_milliseconds: mean over people of log2 of the exposure at which they are right in 75 % of answers, with its
            error over new people and new faces.
        spread: standard deviation of it between people.
        slope: of the cumulative normal, per doubling of the exposure.
        people: (R,) each person's own, drawn towards the mean where their answers tell little; in the order of their
            numbers.
    """

    log2_milliseconds: CrossedEstimate
    spread: float
    slope: float
    people: Floats

    def milliseconds(self) -> Interval:
        """The geometric mean of people's thresholds with its 95 % interval, in ms, up to 17 minutes."""
        return Interval(*(float(2 ** np.clip(end, 0.0, 20.0)) for end in self.log2_milliseconds.interval()))

    def share_right(self, milliseconds: npt.ArrayLike) -> Floats:
        """The share of right answers that the typical person is expected to give."""
        distance = np.log2(np.asarray(milliseconds, dtype=np.float64)) - self.log2_milliseconds.value
        return 0.5 + (0.5 - LAPSES) * special.ndtr(self.slope * distance + _AT_THRESHOLD)


_AT_THRESHOLD = float(special.ndtri((RIGHT_AT_THRESHOLD - 0.5) / (0.5 - LAPSES)))


def threshold(
    milliseconds: npt.ArrayLike, right: npt.ArrayLike, raters: npt.ArrayLike, items: npt.ArrayLike
) -> Threshold:
    """The mean threshold of a population, of answers at exposures that may have followed the answers before.

    Each person's threshold comes from a normal population; the chance to be right rises from 50 % to 98 % with log
    exposure, as a cumulative normal whose slope all share. Mean and spread of the thresholds are those of maximum
    likelihood (by expectation and maximisation on a grid), averaged over slopes by their likelihood. A slope fitted
    along with a separate threshold for each person would come out too steep, and move the threshold. What the choice of
    faces contributes is told by how much the weight of each answer moves the mean (the infinitesimal jackknife).

    Args:
        milliseconds: (T,) exposures.
        right: (T,) booleans.
        raters: (T,) whole numbers.
        items: (T,) whole numbers.

    Raises:
        DataError: fewer than two raters, or no answers.
    """
    x, y = np.log2(np.asarray(milliseconds, dtype=np.float64)), np.asarray(right, dtype=np.bool_)
    _, who = np.unique(np.asarray(raters), return_inverse=True)
    if not len(x) or who.max() < 1:
        raise DataError("A threshold needs answers of at least two raters.")
    exposures, level = np.unique(x, return_inverse=True)
    outcome = 2 * level + y
    counts = np.zeros((int(who.max()) + 1, 2 * len(exposures)))
    np.add.at(counts, (who, outcome), 1)
    fits = [_fit(counts, exposures, slope) for slope in SLOPES]
    log_posterior = np.array([fit.log_likelihood for fit in fits]) - np.square(np.log(SLOPES) / SLOPE_SPREAD) / 2
    shares = special.softmax(log_posterior)
    used = np.flatnonzero(shares > 1e-3)
    shares = shares[used] / shares[used].sum()
    means = np.array([fits[number].mean for number in used])
    influences = [fits[number].influences(who, outcome) for number in used]
    mean = float(shares @ means)
    answer_influence = sum(share * one[0] for share, one in zip(shares, influences, strict=True))
    rater_influence = sum(share * one[1] for share, one in zip(shares, influences, strict=True))
    estimate = crossed_estimate(mean, answer_influence, who, items, rater_influence=rater_influence)
    between = float(shares @ np.square(means - mean))
    return Threshold(
        log2_milliseconds=estimate._replace(standard_error=float(np.hypot(estimate.standard_error, between**0.5))),
        spread=float(shares @ [fits[number].spread for number in used]),
        slope=float(np.exp(shares @ np.log(SLOPES[used]))),
        people=np.asarray(sum(share * fits[number].people for share, number in zip(shares, used, strict=True))),
    )


@dataclass(frozen=True)
class _Fit:
    """The population of thresholds at one slope."""

    log_likelihood: float
    mean: float
    spread: float
    people: Floats
    """(R,) posterior mean of each person's threshold."""
    posterior: Floats
    """(R, G) over the grid."""
    log_chances: Floats
    """(2 E, G) of a wrong and a right answer at each exposure, for each threshold of the grid."""

    def influences(self, raters: npt.NDArray[np.int64], outcome: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
        """How much the weight of each answer, and how much each person, moves the mean."""
        variance = self.posterior @ np.square(GRID) - np.square(self.people)
        information = max(float((1 - variance / self.spread**2).sum()), LEAST_INFORMATION)
        together = np.einsum("rg,og->ro", self.posterior * GRID, self.log_chances)
        apart = self.people[:, None] * (self.posterior @ self.log_chances.T)
        answers = (together - apart)[raters, outcome] / information
        return answers, (self.people - self.mean) / information


def _fit(counts: Floats, exposures: Floats, slope: float) -> _Fit:
    """Mean and spread of the population by expectation and maximisation."""
    chance = 0.5 + (0.5 - LAPSES) * special.ndtr(slope * (exposures[:, None] - GRID) + _AT_THRESHOLD)
    log_chances = np.stack([np.log1p(-chance), np.log(chance)], axis=1).reshape(-1, len(GRID))
    log_likelihoods = counts @ log_chances
    largest = log_likelihoods.max(axis=1, keepdims=True)
    likelihoods = np.exp(log_likelihoods - largest)
    mean, spread = float(np.median(exposures)), 1.0
    for _ in range(STEPS):
        prior = np.exp(-np.square((GRID - mean) / spread) / 2)
        posterior = likelihoods * (prior / prior.sum())
        evidence = posterior.sum(axis=1)
        posterior /= evidence[:, None]
        people = posterior @ GRID
        variance = posterior @ np.square(GRID) - np.square(people)
        before = mean, spread
        mean = float(people.mean())
        spread = max(float(np.sqrt((np.square(people - mean) + variance).mean())), SMALLEST_SPREAD)
        if abs(mean - before[0]) + abs(spread - before[1]) < 1e-4:
            break
    return _Fit(
        log_likelihood=float((np.log(evidence) + largest[:, 0]).sum()),
        mean=mean,
        spread=spread,
        people=people,
        posterior=posterior,
        log_chances=log_chances,
    )
