"""What a planned study can see, by simulation: its own schedule, simulated raters, and the analysis of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from augface.metrics.crossed import CrossedEstimate, crossed_difference, crossed_mean
from augface.metrics.equivalence import EQUIVALENCE_LEVEL, equivalence_p_value
from augface.metrics.psychometric import threshold
from augface.metrics.staircase import EXPOSURES
from augface.seeds import random_generator
from augface.study.crowd import Crowd, Panel
from augface.study.design import STAIRCASES, Block, Plan, Schedule, Task, Trial

POWER = 0.8
"""The share of studies that are to see a difference."""
LEVEL = 0.05
COARSE, FINE, FEW = 100, 600, 40
"""Studies that are simulated."""
STEPS = np.array([0.01, 0.02, 0.035, 0.05, 0.07, 0.1, 0.14, 0.2, 0.28, 0.38, 0.48])
"""Shares of right answers above one half that are tried."""
PLAIN = 0.95
"""Share of right answers to long exposures where a threshold is looked for."""

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PlannedTrials:
    """The trials under test of one part and one generator, of all planned raters: (T,) each.

    Attributes:
        raters: who is asked.
        left: number of the picture, or of the one on the left.
        right: number of the one on the right; the same as `left` where there is one.
        items: what answers are alike over.
        rows: the trials themselves.
    """

    raters: Labels
    left: Labels
    right: Labels
    items: Labels
    rows: tuple[Trial, ...]


def planned_trials(plan: Plan, schedule: Schedule, block: Block, generator: int) -> PlannedTrials:
    """What is asked of the planned raters about one generator."""
    found = [
        (rater, trial)
        for rater in range(plan.raters)
        for trial in schedule.trials(rater)
        if trial.block == block and trial.role == "test" and _is_about(plan, trial, generator)
    ]
    return PlannedTrials(
        raters=np.array([rater for rater, _ in found], dtype=np.int64),
        left=np.array([trial.images[0] for _, trial in found], dtype=np.int64),
        right=np.array([trial.images[-1] for _, trial in found], dtype=np.int64),
        items=np.array([trial.item for _, trial in found], dtype=np.int64),
        rows=tuple(trial for _, trial in found),
    )


def _is_about(plan: Plan, trial: Trial, generator: int) -> bool:
    kinds = {plan.pictures[image].kind for image in trial.images}
    if trial.block == "flash":
        return trial.generator == generator
    return kinds == {0, generator} if len(trial.images) == 2 else kinds <= {0, generator}


def kinds_of(plan: Plan) -> Labels:
    """(P,) the kind of each picture; -1 for distorted faces."""
    return np.array([-1 if one.role == "distorted" else one.kind for one in plan.pictures], dtype=np.int64)


def visible(plan: Plan, schedule: Schedule, crowd: Crowd | None = None) -> dict[str, dict[str, float]]:
    """What 4 of 5 such studies would see, by task.

    `untimed`: `right`, the share of right answers; `shown_equal`, the share of studies that would show people to be
    unable to distinguish the faces if they were. `pairs`: `preferred`, how often the real face is preferred.
    `rating`: `points`. `flash`: `factor`, by which the threshold may be larger or smaller than it is found.

    Args:
        plan: the study.
        schedule: what its raters are asked.
        crowd: the simulated people; typical ones where not given. How well they distinguish faces is varied.
    """
    crowd = crowd or Crowd(right=(0.5,) * len(plan.generators))
    powers: dict[Task, Callable[[], dict[str, float]]] = {
        "flash": lambda: _flash(plan, schedule, crowd),
        "untimed": lambda: _untimed(plan, schedule, crowd),
        "pairs": lambda: _pairs(plan, schedule, crowd),
        "rating": lambda: _rating(plan, schedule, crowd),
    }
    return {task: powers[task]() for task in plan.tasks}


Study = Callable[[Crowd, np.random.Generator], CrossedEstimate]
"""The estimate of a difference that is 0 where there is none, in one simulated study."""


def _untimed(plan: Plan, schedule: Schedule, crowd: Crowd) -> dict[str, float]:
    trials, kinds = planned_trials(plan, schedule, "untimed", 1), kinds_of(plan)

    def study(people: Crowd, random: np.random.Generator) -> CrossedEstimate:
        chance = people.panel(plan.raters, kinds, random).chance_generated(trials.raters, trials.left)
        called = random.random(len(chance)) < chance
        return crossed_difference(called, kinds[trials.left] == 1, trials.raters, trials.items)

    right, _ = _smallest(study, plan, crowd)
    return {"right": right, "shown_equal": _shown_equal(study, plan, crowd)}


def _pairs(plan: Plan, schedule: Schedule, crowd: Crowd) -> dict[str, float]:
    trials, kinds = planned_trials(plan, schedule, "pairs-real", 1), kinds_of(plan)
    real_left = kinds[trials.left] == 0

    def study(people: Crowd, random: np.random.Generator) -> CrossedEstimate:
        panel = people.panel(plan.raters, kinds, random)
        chosen = panel.preferences(trials.raters, trials.left, trials.right, random)
        return crossed_mean(np.where(real_left, chosen, -chosen), trials.raters, trials.items)

    _, mean = _smallest(study, plan, crowd)
    return {"preferred": 0.5 + mean / 2, "shown_equal": _shown_equal(study, plan, crowd)}


def _rating(plan: Plan, schedule: Schedule, crowd: Crowd) -> dict[str, float]:
    trials, kinds = planned_trials(plan, schedule, "rating", 1), kinds_of(plan)

    def study(people: Crowd, random: np.random.Generator) -> CrossedEstimate:
        points = people.panel(plan.raters, kinds, random).ratings(trials.raters, trials.left, random)
        return crossed_difference(points, kinds[trials.left] == 0, trials.raters, trials.items)

    return {"points": _smallest(study, plan, crowd)[1]}


def _flash(plan: Plan, schedule: Schedule, crowd: Crowd) -> dict[str, float]:
    people = replace(crowd, right=(PLAIN,) * len(plan.generators))
    trials, kinds = planned_trials(plan, schedule, "flash", 1), kinds_of(plan)
    reach = []
    for number in range(FEW):
        random = random_generator(plan.seed, "power", number)
        exposures, right = follow_staircases(people.panel(plan.raters, kinds, random), trials, kinds, random)
        found = threshold(exposures, right, trials.raters, trials.items).log2_milliseconds
        reach.append(found.quantile() * found.standard_error)
    return {"factor": float(2 ** np.mean(reach))}


def follow_staircases(
    panel: Panel, trials: PlannedTrials, kinds: Labels, random: np.random.Generator
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Exposures in ms, and whether the answers were right, (T,) each, of staircases that follow the answers."""
    levels = np.array(EXPOSURES)
    chains = np.array([trial.staircase for trial in trials.rows], dtype=np.int64)
    level = np.array([[rule.start for rule in STAIRCASES]] * (int(trials.raters.max()) + 1))
    order = _steps(trials.raters)
    exposures, right = np.empty(len(chains)), np.empty(len(chains), dtype=np.bool_)
    for rows in order:
        raters, chain = trials.raters[rows], chains[rows]
        exposures[rows] = levels[level[raters, chain]]
        called = random.random(len(rows)) < panel.chance_generated(raters, trials.left[rows], exposures[rows])
        right[rows] = called == (kinds[trials.left[rows]] > 0)
        step = np.where(right[rows], -STAIRCASES[0].down, STAIRCASES[0].up)
        level[raters, chain] = np.clip(level[raters, chain] + step, 0, len(levels) - 1)
    return exposures, right


def _steps(raters: Labels) -> list[Labels]:
    """The rows that are each rater's first, second, … answer."""
    places = np.concatenate([np.arange(count) for count in np.unique(raters, return_counts=True)[1]])
    return [np.flatnonzero(places == place) for place in range(int(places.max()) + 1)]


def power_of(study: Study, crowd: Crowd, plan: Plan, right: float, studies: int) -> tuple[float, float]:
    """The share of simulated studies that see a difference, and the mean of what they estimate."""
    people = replace(crowd, right=(right,) * len(plan.generators))
    found = [study(people, random_generator(plan.seed, "power", number)) for number in range(studies)]
    level = LEVEL / len(plan.generators)
    return float(np.mean([one.p_value() < level for one in found])), float(np.mean([one.value for one in found]))


def _smallest(study: Study, plan: Plan, crowd: Crowd) -> tuple[float, float]:
    """The share of right answers at which 4 of 5 studies see a difference, and that difference on average.

    NaN where none of those that are tried is seen so often.
    """
    coarse = [power_of(study, crowd, plan, 0.5 + step, COARSE)[0] for step in STEPS]
    above = next((place for place, power in enumerate(coarse) if power >= POWER), None)
    if above is None:
        return float("nan"), float("nan")
    edges = STEPS[[max(0, above - 2), max(0, above - 1), above, min(above + 1, len(STEPS) - 1)]]
    tried = np.linspace(edges[0] if above > 1 else 0.002, edges[-1], 7)
    fine = [power_of(study, crowd, plan, 0.5 + step, FINE) for step in tried]
    powers = np.maximum.accumulate([power for power, _ in fine])
    powers = powers + 1e-9 * np.arange(len(powers))  # interpolation wants them to rise
    step = float(np.interp(POWER, powers, tried))
    return 0.5 + step, float(np.interp(step, tried, [mean for _, mean in fine]))


def _shown_equal(study: Study, plan: Plan, crowd: Crowd) -> float:
    """The share of studies that show people to be right within the margin of one half, where they do guess."""
    people = replace(crowd, right=(0.5,) * len(plan.generators))
    found = [study(people, random_generator(plan.seed, "equal", number)) for number in range(FINE)]
    level = EQUIVALENCE_LEVEL / len(plan.generators)
    return float(np.mean([equivalence_p_value(one, 2 * plan.margin) < level for one in found]))
