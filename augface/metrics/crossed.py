"""Estimates from answers of raters to items, where both are samples: a rater sees many items, an item many raters.

Answers of one rater are alike, and so are answers to one item. The variance of an estimate over new raters *and* new
items is that over raters plus that over items minus that over single answers, which both hold (the method of moments
for crossed random effects; in this general form Cameron, Gelbach & Miller 2011, "Robust inference with multiway
clustering"). A bootstrap over raters alone misses what the choice of items adds, and the pigeonhole bootstrap of both
(Owen 2007, arXiv:0712.1111) counts the variance of single answers three times: with few answers a cell its intervals
are 1.4 times as wide as they need be. docs/study.md has the coverage of each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from augface.errors import DataError
from augface.metrics.intervals import Interval

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


class CrossedEstimate(NamedTuple):
    """An estimate with its standard error over new raters and new items.

    Attributes:
        value: the estimate.
        standard_error: NaN with fewer than two raters or items.
        freedom: degrees of freedom of the standard error (Satterthwaite 1946), at least 1.
        raters: how many raters the estimate rests on.
        items: how many items it rests on.
        answers: how many answers it rests on.
    """

    value: float
    standard_error: float
    freedom: float
    raters: int
    items: int
    answers: int

    def quantile(self, level: float = 0.95) -> float:
        """Standard errors on either side of the value that make an interval of this level."""
        return float(special.stdtrit(self.freedom, 0.5 + level / 2))

    def interval(self, level: float = 0.95) -> Interval:
        """The symmetric t interval; NaN at both ends where there is no standard error."""
        reach = self.quantile(level) * self.standard_error
        return Interval(self.value, self.value - reach, self.value + reach)

    def share_interval(self, level: float = 0.95) -> Interval:
        """The interval of an estimate that is a share between 0 and 1, in the form of Wilson's score interval.

        The number of trials is that of independent ones that would tell as much, and the normal quantile is replaced
        by that of t. Where all answers are alike nothing tells how alike answers are, and each rater, or each item if
        these are fewer, counts as one trial.
        """
        if not np.isfinite(self.standard_error):
            return Interval(self.value, 0.0, 1.0)
        spread = self.value * (1 - self.value)
        trials = spread / self.standard_error**2 if spread > 0 and self.standard_error > 0 else 0.0
        trials = trials or float(min(self.raters, self.items))
        squared = self.quantile(level) ** 2
        middle = (self.value + squared / (2 * trials)) / (1 + squared / trials)
        reach = squared**0.5 / (1 + squared / trials) * (spread / trials + squared / (4 * trials**2)) ** 0.5
        return Interval(
            self.value, min(self.value, max(0.0, middle - reach)), max(self.value, min(1.0, middle + reach))
        )

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided p-value of the hypothesis that the true value is `null`; NaN where there is no standard error."""
        if not np.isfinite(self.standard_error):
            return float("nan")
        if self.standard_error == 0:
            return float(self.value == null)
        return float(2 * special.stdtr(self.freedom, -abs(self.value - null) / self.standard_error))


def crossed_estimate(
    value: float,
    influence: npt.ArrayLike,
    raters: npt.ArrayLike,
    items: npt.ArrayLike,
    *,
    rater_influence: npt.ArrayLike | None = None,
) -> CrossedEstimate:
    """The standard error of an estimate whose error is the sum of what each answer contributes.

    Args:
        value: the estimate.
        influence: (T,) the contribution of each answer; for a mean, its deviation divided by T. Answers of which all
            contributions are 0 do not count.
        raters: (T,) whole numbers, who answered.
        items: (T,) whole numbers, what was judged.
        rater_influence: (R,) the contribution of each rater, where that is more than the sum of their answers', as when
            a rater has a threshold of their own.

    Raises:
        DataError: lengths differ, or there is no answer.
    """
    contributions = np.asarray(influence, dtype=np.float64)
    who, what = np.asarray(raters), np.asarray(items)
    if not contributions.shape == who.shape == what.shape or contributions.ndim != 1:
        raise DataError("An influence, its raters and its items must be vectors of one length.")
    if not len(contributions):
        raise DataError("There are no answers to estimate anything from.")
    _, who = np.unique(who, return_inverse=True)
    _, what = np.unique(what, return_inverse=True)
    rater_sums = _sums(who, contributions) if rater_influence is None else np.asarray(rater_influence, dtype=np.float64)
    over_raters, over_items = _between(rater_sums), _between(_sums(what, contributions))
    cells = np.unique(who * (what.max() + 1) + what, return_inverse=True)[1]
    within = float(np.square(_sums(cells, contributions)).sum())
    floor = within if rater_influence is None else over_raters
    variance = max(over_raters + over_items - within, floor)
    number_of_raters, number_of_items = len(rater_sums), int(what.max()) + 1
    freedom = max(1.0, min(number_of_raters, number_of_items) - 1.0)
    if number_of_raters > 1 and number_of_items > 1 and variance > 0:
        parts = over_raters**2 / (number_of_raters - 1) + over_items**2 / (number_of_items - 1)
        freedom = max(1.0, variance**2 / parts)
    return CrossedEstimate(
        float(value), float(np.sqrt(variance)), freedom, number_of_raters, number_of_items, len(contributions)
    )


def _sums(labels: Labels, contributions: Floats) -> Floats:
    """The sum of the contributions of each label."""
    return np.asarray(np.bincount(labels, contributions), dtype=np.float64)


def _between(sums: Floats) -> float:
    """The variance of a sum of independent contributions; NaN of fewer than two."""
    return float(np.square(sums).sum() * len(sums) / (len(sums) - 1)) if len(sums) > 1 else float("nan")


def crossed_mean(values: npt.ArrayLike, raters: npt.ArrayLike, items: npt.ArrayLike) -> CrossedEstimate:
    """The mean of answers.

    >>> crossed_mean([0, 1, 0, 1], [0, 0, 1, 1], [0, 1, 0, 1]).value
    0.5
    """
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        raise DataError("There are no answers to take a mean of.")
    mean = array.mean()
    return crossed_estimate(float(mean), (array - mean) / len(array), raters, items)


def crossed_difference(
    values: npt.ArrayLike, marked: npt.ArrayLike, raters: npt.ArrayLike, items: npt.ArrayLike
) -> CrossedEstimate:
    """The mean of the marked answers minus that of the others, such as of generated faces and of real ones.

    Args:
        values: (T,) answers.
        marked: (T,) booleans.
        raters: (T,) whole numbers.
        items: (T,) whole numbers; no item may be on both sides.

    Raises:
        DataError: one side has no answers.
    """
    array, mask = np.asarray(values, dtype=np.float64), np.asarray(marked, dtype=np.bool_)
    if not mask.any() or mask.all():
        raise DataError("A difference needs answers on both sides.")
    one, other = array[mask].mean(), array[~mask].mean()
    influence = np.where(mask, (array - one) / mask.sum(), -(array - other) / (~mask).sum())
    return crossed_estimate(float(one - other), influence, raters, items)


def pigeonhole_bootstrap(
    statistic: Callable[[Floats], float],
    raters: npt.ArrayLike,
    items: npt.ArrayLike,
    *,
    random: np.random.Generator,
    repeats: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of the pigeonhole bootstrap: raters and items are drawn with replacement, independently.

    It never is too short, and too wide where single answers vary more than raters and items do.

    Args:
        statistic: of a weight for each answer, (T,): how often its rater was drawn times how often its item was.
        raters: (T,) whole numbers.
        items: (T,) whole numbers.
        random: draws.
        repeats: bootstrap samples.
        level: of the interval.
    """
    (_, who), (_, what) = (np.unique(np.asarray(labels), return_inverse=True) for labels in (raters, items))
    people, things = int(who.max()) + 1, int(what.max()) + 1
    drawn = []
    for _ in range(repeats):
        rater_weights = np.bincount(random.integers(people, size=people), minlength=people)
        item_weights = np.bincount(random.integers(things, size=things), minlength=things)
        drawn.append(statistic((rater_weights[who] * item_weights[what]).astype(np.float64)))
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(statistic(np.ones(len(who))), float(low), float(high))
