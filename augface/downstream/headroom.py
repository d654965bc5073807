"""Headroom: how much better a classifier could get with more real faces of the rarer class, from its learning curve.

A generator can hardly add more than as many new real faces would. Where even these would add less than the test can
see, no synthetic faces can be shown to help, and nobody need generate any to know that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy import stats

from augface.arrays import Floats64
from augface.data.dataset import FaceDataset
from augface.data.groups import Subgroup, combinations
from augface.downstream.arms import ARMS, Arm
from augface.downstream.experiment import Experiment, precisions
from augface.metrics.effects import LEVEL, POWER

DOUBLINGS = 3
"""The curve is measured from an eighth of the rarer class on, and extended to eight times as many faces."""
TIMES = 2**DOUBLINGS
REPEATS = {"frozen": 6, "full": 2}
"""Subsets of each size, by the learner's mode."""
DRAWS = 200
"""Of the bootstrap over test people."""
FEWEST = 2 * TIMES
"""Training faces of the rarer class, below which there is no curve."""
SHRINKAGE = 0.65
"""Each doubling gains this share of what the one before it gained: the distance to what endless faces would give falls
with the number of faces to the power of -0.62. Fitted to nine attributes of CelebA (docs/map.md)."""
SHRINKAGES = (0.5, 0.8)
"""Of curves that flatten early and late: two standard deviations of the model to either side."""
SUBSETS = tuple(
    Arm(f"1/{2**k} of the rarer class", "some of the rarer class, all of the other", minority=2.0**-k)
    for k in range(DOUBLINGS, 0, -1)
)
PLAIN = ARMS[0]


class Point(NamedTuple):
    """One point of a learning curve: the training faces of the rarer class, and the average precision on test."""

    faces: int
    precision: float


@dataclass(frozen=True)
class Headroom:
    """What `TIMES` as many real faces of the rarer class would add to plain training, in average precision.

    Attributes:
        value: the estimate.
        low: the lower end of its 95 % interval; below 0 where more faces may not help on these test people.
        high: its upper end; never beyond an average precision of 1.
        visible: about the smallest effect that the test can see in four of five cases: that of the last doubling.
        curve: the learning curve, in order of faces.
    """

    value: float
    low: float
    high: float
    visible: float
    curve: tuple[Point, ...]

    @property
    def nothing_to_gain(self) -> bool:
        """Whether all that could be gained lies below what the test can see."""
        return self.high < self.visible

    def __str__(self) -> str:
        return f"{self.value:+.3f} (95 % interval {self.low:+.3f} to {self.high:+.3f})"


def lacking(train: FaceDataset, attributes: Sequence[str]) -> list[Subgroup]:
    """The combinations of these attributes that are all but absent: what faces of them add, no learning curve shows."""
    return [each for each in combinations(attributes) if int(train.matching(each).sum()) < FEWEST]


def headroom(experiment: Experiment) -> Headroom | None:
    """The headroom of plain training, from subsets of the real faces of the rarer class; synthetic faces play no part.

    Average precision is taken to approach its limit as a power of the number of faces (Hestness et al. 2017; Viering
    and Loog 2023 compare such curves). The interval knows of the test people, of the luck of the faces that there
    are, and of curves that flatten earlier or later than `SHRINKAGE` has it.

    Args:
        experiment: the question; its runs are kept with the others.

    Returns:
        None where there are fewer than `FEWEST` training faces of the rarer class.
    """
    data = experiment.data
    labels = data.real.labels[:, 0]
    have = int(min((labels > 0).sum(), (labels < 0).sum()))
    if have < FEWEST:
        return None
    nothing = data.synthetic.take(np.arange(0))
    learner = replace(experiment.learner, data=replace(data, synthetic=nothing))  # type: ignore[type-var]
    experiment = replace(experiment, learner=learner, seeds=REPEATS[learner.mode])
    decisions = experiment.run(SUBSETS)
    decisions |= replace(experiment, seeds=1).run([PLAIN])  # on all faces, whose order changes nothing that counts
    rows, shown = data.test.known(0)
    people = data.test.people[rows]
    curves = [
        precisions(shown, people, [run["test"][rows, 0] for run in decisions[arm.name]], experiment.seed, DRAWS)
        for arm in (*SUBSETS, PLAIN)
    ]
    return from_curve(curves, have, len(np.unique(people)))


def from_curve(curves: list[Floats64], have: int, people: int) -> Headroom:
    """The headroom that a measured learning curve has.

    Args:
        curves: from `1 / TIMES` of the faces to all of them, (R, 1 + B) each: the average precision of each subset on
            all test faces, then on those of each draw of test people.
        have: all faces of the rarer class.
        people: in the test set.
    """
    means = np.stack([each.mean(axis=0) for each in curves])
    deviations = [float(each[:, 0].std(ddof=1)) for each in curves[:-1]]
    luck = 0.7 * deviations[-1]  # of all faces; halves of them vary by the square root of two more
    errors = np.array([*(each / len(curves[0]) ** 0.5 for each in deviations), 0.0]) + luck + 1e-6
    gain: Callable[[float], Floats64] = partial(_gain, means, errors)
    found = gain(SHRINKAGE)
    value = float(found[0])
    shift = (float(gain(SHRINKAGES[1])[0]) - float(gain(SHRINKAGES[0])[0])) / 4
    error = float(np.sqrt(found[1:].var(ddof=1) + deviations[-1] ** 2 + shift**2))
    quantile = float(stats.norm.ppf(1 - LEVEL))
    doubling = float((means[-1] - means[-2])[1:].std(ddof=1))
    most = 1 - float(means[-1, 0])
    return Headroom(
        value=min(value, most),
        low=value - quantile * error,
        high=min(value + quantile * error, most),
        visible=float(stats.t.ppf(1 - LEVEL, people - 1) + stats.t.ppf(POWER, people - 1)) * doubling,
        curve=tuple(
            Point(round(have / 2**k), float(precision))
            for k, precision in zip(range(DOUBLINGS, -1, -1), means[:, 0], strict=True)
        ),
    )


def _gain(means: Floats64, errors: Floats64, shrinkage: float) -> Floats64:
    """(1 + B,) what `DOUBLINGS` more doublings add, by weighted least squares.

    Args:
        means: (DOUBLINGS + 1, 1 + B) average precision at each number of faces.
        errors: (DOUBLINGS + 1,) their standard errors.
        shrinkage: of what each doubling gains.
    """
    distance = shrinkage ** np.arange(-DOUBLINGS, 1)  # to the limit, in units of that at all faces
    centred = distance - np.average(distance, weights=errors**-2)
    weights = centred / errors**2
    slope: Floats64 = -(weights @ means) / (weights @ distance)
    return np.maximum(slope, 0.0) * (1 - shrinkage**DOUBLINGS)
