"""Is one way of training better than another? Over seeds, which are few, and people, who are many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from augface.arrays import Floats32, Integers

BOOTSTRAPS = 1000
LEVEL = 0.025
"""Of each of the two one-sided tests: that there is help, and that there is harm."""
POWER = 0.8


@dataclass(frozen=True)
class Effect:
    """A paired difference with its evidence.

    Attributes:
        value: mean difference over the seeds.
        low: lower end of the 95 % interval.
        high: its upper end.
        p_helps: one-sided p-value against no effect, small where the effect is above 0.
        p_harms: the same, small where it is below 0.
        smallest_visible: the effect that would have been detected in `POWER` of such tests.
    """

    value: float
    low: float
    high: float
    p_helps: float
    p_harms: float
    smallest_visible: float


def paired_effect(each_seed: npt.ArrayLike, over_people: npt.ArrayLike, people: int) -> Effect:
    """The mean of paired differences, with an interval that knows of the seeds and of the people.

    Every seed is scored on the same people. The variance between seeds and that between people both hold what one seed
    makes of one person, so that part is taken out once (the two-way layout of Owen 2007, "The pigeonhole bootstrap").
    The degrees of freedom of the sum are those of Satterthwaite (1946), between those of few seeds and of many people.

    Args:
        each_seed: (S,) the difference of each seed on all faces, S 2 or more.
        over_people: (S, B) the same when people are drawn anew with replacement, in each column others.
        people: how many people there are.
    """
    from scipy import stats

    differences, resampled = np.asarray(each_seed, dtype=np.float64), np.asarray(over_people, dtype=np.float64)
    seeds = len(differences)
    value = float(differences.mean())
    of_seeds = float(differences.var(ddof=1)) / seeds
    of_means = float(resampled.mean(axis=0).var(ddof=1))
    of_both = (float(resampled.var(axis=1, ddof=1).mean()) - of_means) / (seeds - 1)
    of_people = max(of_means - max(of_both, 0.0), 0.0)
    error = max((of_seeds + of_people) ** 0.5, 1e-12)
    freedom = error**4 / max(of_seeds**2 / (seeds - 1) + of_people**2 / max(people - 1, 1), 1e-60)
    quantile = float(stats.t.ppf(1 - LEVEL, freedom))
    return Effect(
        value=value,
        low=value - quantile * error,
        high=value + quantile * error,
        p_helps=float(stats.t.sf(value / error, freedom)),
        p_harms=float(stats.t.cdf(value / error, freedom)),
        smallest_visible=(quantile + float(stats.t.ppf(POWER, freedom))) * error,
    )


def people_weights(people: Integers, random: np.random.Generator, draws: int = BOOTSTRAPS) -> Floats32:
    """How often each face counts when people are drawn with replacement, all pictures of a person together.

    Args:
        people: (N,) whose face each is.
        random: of the draws.
        draws: how many.

    Returns:
        (draws, N).
    """
    _, person = np.unique(people, return_inverse=True)
    count = int(person.max()) + 1
    drawn = random.multinomial(count, np.full(count, 1 / count), size=draws)
    weights: Floats32 = drawn.T.astype(np.float32)[person].T
    return weights


def seed_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean of one value a seed, with the 95 % interval of Student's t over the seeds."""
    from scipy import stats

    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    reach = float(stats.t.ppf(0.975, len(array) - 1)) * float(array.std(ddof=1)) / len(array) ** 0.5
    return mean, mean - reach, mean + reach
