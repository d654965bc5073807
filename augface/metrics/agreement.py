"""How much raters agree with each other beyond chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from augface.errors import DataError
from augface.metrics.crossed import CrossedEstimate

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def krippendorff_alpha(values: npt.ArrayLike, raters: npt.ArrayLike, items: npt.ArrayLike) -> CrossedEstimate:
    """Krippendorff's alpha with squared differences: 1 is agreement in all, 0 what chance gives.

    For answers of two kinds, as 0 and 1, it is the nominal alpha. Items with a single answer tell nothing. Its variance
    is that of the jackknife over raters plus that over items minus that over answers, as in `crossed_estimate`. (A
    bootstrap would let a rater who is drawn twice agree with themselves.)

    Args:
        values: (T,) answers.
        raters: (T,) whole numbers; nobody answers twice to one item.
        items: (T,) whole numbers.

    Raises:
        DataError: no item has two answers, or all answers are alike.
    """
    array, who, what = np.asarray(values, dtype=np.float64), np.asarray(raters), np.asarray(items)
    _, what, counts = np.unique(what, return_inverse=True, return_counts=True)
    paired = counts[what] > 1
    array, who, what = array[paired], who[paired], what[paired]
    value = _alpha(array, what)
    if not np.isfinite(value):
        raise DataError("Agreement needs two answers to one item, and answers that differ.")
    over_raters, people = _jackknife(_without_each(array, what, who))
    over_items, things = _jackknife(_without_each(array, what, what))
    over_answers, _ = _jackknife(_without_each_answer(array, what))
    variance = max(over_raters + over_items - over_answers, over_answers)
    parts = over_raters**2 / max(people - 1, 1) + over_items**2 / max(things - 1, 1)
    freedom = max(1.0, variance**2 / parts) if parts > 0 else 1.0
    return CrossedEstimate(value, variance**0.5, freedom, people, things, len(array))


def _alpha(values: Floats, items: Labels) -> float:
    """1 minus the mean squared difference within items over that of all answers; NaN where it is not defined."""
    counts = np.bincount(items)
    paired = counts[items] > 1
    if not paired.all():
        return _alpha(values[paired], items[paired])
    if len(values) < 2:
        return float("nan")
    observed = float(_within(values, items)[0].sum()) / len(values)
    expected = float(np.square(values - values.mean()).sum()) / (len(values) - 1)
    return 1 - observed / expected if expected > 0 else float("nan")


def _within(values: Floats, items: Labels) -> tuple[Floats, Floats, Floats]:
    """Of each item the sum of squares times m / (m - 1), the number m of answers, and their mean."""
    counts = np.bincount(items).astype(np.float64)
    means = np.bincount(items, values) / np.maximum(counts, 1)
    squares = np.bincount(items, np.square(values - means[items]))
    return squares * counts / np.maximum(counts - 1, 1), counts, means


def _without_each(values: Floats, items: Labels, labels: Labels) -> Floats:
    """Alpha without the answers of one label, for each."""
    return np.array([_alpha(values[labels != name], items[labels != name]) for name in np.unique(labels)])


def _without_each_answer(values: Floats, items: Labels) -> Floats:
    """Alpha without each answer, in closed form; where an item has two, both go, as one tells nothing."""
    terms, counts, means = _within(values, items)
    m = counts[items]
    lone = m == 2
    sums = np.bincount(items, values)[items]
    square_sums = np.bincount(items, np.square(values))[items]
    left = len(values) - np.where(lone, 2, 1)
    total = values.sum() - np.where(lone, sums, values)
    total_squares = np.square(values).sum() - np.where(lone, square_sums, np.square(values))
    reduced = terms[items] * (m - 1) / m - np.square(values - means[items]) * m / (m - 1)
    kept = np.where(lone, 0.0, reduced * (m - 1) / np.maximum(m - 2, 1))
    observed = (terms.sum() - terms[items] + kept) / left
    expected = (total_squares - np.square(total) / left) / (left - 1)
    return np.asarray(1 - observed / expected)


def _jackknife(without: Floats) -> tuple[float, int]:
    """The variance that leaving out one at a time shows, and how many there are."""
    finite = without[np.isfinite(without)]
    if len(finite) < 2:
        return 0.0, len(finite)
    return float((len(finite) - 1) / len(finite) * np.square(finite - finite.mean()).sum()), len(without)
