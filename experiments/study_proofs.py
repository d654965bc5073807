"""Do the intervals, tests and promises of human studies hold? Simulated studies, a server under load, kills.

    python experiments/study_proofs.py coverage|methods|equivalence|power|staircase [--studies 400]

Each prints the table that docs/study.md cites. Simulated people and faces come from a population whose true values are
known exactly or from half a million answers; every study draws new people and new faces, and deals them by the schedule
of a real plan.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special, stats
from tqdm import tqdm

from augface.metrics.agreement import krippendorff_alpha
from augface.metrics.crossed import CrossedEstimate, crossed_difference, crossed_mean, pigeonhole_bootstrap
from augface.metrics.equivalence import EQUIVALENCE_LEVEL, equivalence_p_value
from augface.metrics.intervals import Interval, proportion_interval
from augface.metrics.paired_comparisons import davidson
from augface.metrics.psychometric import threshold
from augface.metrics.signal_detection import detection
from augface.metrics.staircase import EXPOSURES, Staircase, simulated_share_right
from augface.study.crowd import Crowd
from augface.study.design import Block, Kind, Picture, Plan, Schedule, Task
from augface.study.power import PlannedTrials, follow_staircases, kinds_of, planned_trials, visible

Floats = npt.NDArray[np.float64]
MANY = 500_000
"""Answers of which true values are taken where no formula gives them."""


def plan_of(
    tasks: tuple[Task, ...], *, raters: int, faces: int, trials: int, generators: int = 1, margin: float = 0.05
) -> Plan:
    """A plan with as many real faces as generated ones, and pictures that nobody looks at."""
    kinds = tuple(Kind(name=name, spec="", content_hash="", people=False) for name in ("real", *"abc"[:generators]))
    pictures = [Picture(kind=0, role="test", source="") for _ in range(faces * generators)]
    pictures += [Picture(kind=kind, role="test", source="") for kind in range(1, generators + 1) for _ in range(faces)]
    pictures += [Picture(kind=0, role=role, source="") for role in ("reserve", "distorted") for _ in range(8)]
    return Plan(
        id="0", title="", contact="", created="", augface="", command=[], seed=0, tasks=tasks, raters=raters,
        faces=faces, trials=trials, size=64, margin=margin, kinds=kinds, pictures=tuple(pictures), masks=8,
    )  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """A study and a population."""

    name: str
    crowd: Crowd
    raters: int = 30
    faces: int = 100
    trials: int = 20
    generators: int = 1

    def plan(self, task: Task) -> Plan:
        """Of a study that asks this alone."""
        return plan_of((task,), raters=self.raters, faces=self.faces, trials=self.trials, generators=self.generators)


TYPICAL = Crowd(right=(0.7,), threshold=100)
SETTINGS = (
    Setting("typical", TYPICAL),
    Setting("people differ much", replace(TYPICAL, lean=0.8, skill=0.8, threshold_spread=1.0, rating_lean=0.7)),
    Setting("faces differ much", replace(TYPICAL, image=1.0, rating_image=0.8)),
    Setting(
        "neither differs",
        replace(TYPICAL, lean=0, skill=0, image=0, threshold_spread=0.05, rating_lean=0, rating_image=0),
    ),
    Setting("bad faces", replace(TYPICAL, right=(0.9,))),
    Setting("indistinguishable", replace(TYPICAL, right=(0.5,))),
    Setting("50 faces, each seen by all 30", TYPICAL, faces=50, trials=50),
    Setting("12 raters, 30 faces", TYPICAL, raters=12, faces=30),
    Setting("two generators", replace(TYPICAL, right=(0.65, 0.8)), generators=2),
)


# Estimates of one simulated study


Estimates = dict[str, Interval]


def untimed(
    trials: PlannedTrials, kinds: npt.NDArray[np.int64], plan: Plan, crowd: Crowd, random: np.random.Generator
) -> Estimates:
    chance = crowd.panel(plan.raters, kinds, random).chance_generated(trials.raters, trials.left)
    called = random.random(len(chance)) < chance
    found = detection(called, kinds[trials.left] == 1, trials.raters, trials.items)
    return {
        "error rate": found.error_rate.share_interval(),
        "fool rate": found.fool_rate.share_interval(),
        "gap": found.gap.interval(),
        "d'": found.d_prime.interval(),
        "bias": found.bias.interval(),
        "agreement (alpha)": krippendorff_alpha(called, trials.raters, trials.items).interval(),
    }


def untimed_truth(plan: Plan, crowd: Crowd) -> dict[str, float]:
    real, generated = crowd.rates()[:2]
    z_real, z_generated = special.ndtri([real, generated])
    return {
        "error rate": (real + 1 - generated) / 2,
        "fool rate": 1 - generated,
        "gap": generated - real,
        "d'": z_generated - z_real,
        "bias": -(z_generated + z_real) / 2,
    }


def pairs(
    trials: PlannedTrials, kinds: npt.NDArray[np.int64], plan: Plan, crowd: Crowd, random: np.random.Generator
) -> Estimates:
    schedule_trials = trials
    panel = crowd.panel(plan.raters, kinds, random)
    chosen = panel.preferences(trials.raters, trials.left, trials.right, random)
    left, right = kinds[trials.left], kinds[trials.right]
    direct = np.minimum(left, right) + np.maximum(left, right) == 1  # real against the first generator
    sign = np.where(left[direct] == 1, chosen[direct], -chosen[direct])
    preferred = crowd_share(sign, schedule_trials, direct)
    found = {"preference": preferred.share_interval()}
    names = ("real", *plan.generators)
    worths = davidson(left, right, chosen, names, trials.raters, trials.items).worths
    for name, worth in worths.items():
        found[f"worth of {name}"] = worth.interval()
    return found


def crowd_share(sign: npt.NDArray[np.int64], trials: PlannedTrials, rows: npt.NDArray[np.bool_]) -> CrossedEstimate:
    return crossed_mean(0.5 + sign / 2, trials.raters[rows], trials.items[rows])


def pairs_truth(plan: Plan, crowd: Crowd) -> dict[str, float]:
    random = np.random.default_rng(1)
    kinds = np.repeat(np.arange(len(plan.kinds)), MANY // 2)
    panel = crowd.panel(MANY, kinds, random)
    count = len(plan.kinds)
    both = [(one, other) for one in range(count) for other in range(one + 1, count)]
    each = MANY // 2
    left = np.concatenate([one * each + np.arange(each) for one, _ in both])
    right = np.concatenate([other * each + np.arange(each) for _, other in both])
    raters = np.tile(np.arange(each), len(both))
    chosen = panel.preferences(raters, left, right, random)
    direct = (kinds[left] == 0) & (kinds[right] == 1)
    found = {"preference": float((0.5 - chosen[direct] / 2).mean())}
    some = random.permutation(len(left))[:100_000]  # the fit weighs each pair of kinds alike, as the schedule does
    worths = davidson(
        kinds[left][some], kinds[right][some], chosen[some], ("real", *plan.generators), raters[some], left[some]
    )
    return found | {f"worth of {name}": worth.value for name, worth in worths.worths.items()}


def rating(
    trials: PlannedTrials, kinds: npt.NDArray[np.int64], plan: Plan, crowd: Crowd, random: np.random.Generator
) -> Estimates:
    points = crowd.panel(plan.raters, kinds, random).ratings(trials.raters, trials.left, random)
    own = kinds[trials.left] == 1
    return {
        "mean opinion score": crossed_mean(points[own], trials.raters[own], trials.items[own]).interval(),
        "score difference": crossed_difference(points, own, trials.raters, trials.items).interval(),
    }


def rating_truth(plan: Plan, crowd: Crowd) -> dict[str, float]:
    random = np.random.default_rng(1)
    kinds = np.repeat([0, 1], MANY)
    panel = crowd.panel(2 * MANY, kinds, random)
    points = panel.ratings(np.arange(2 * MANY), np.arange(2 * MANY), random)
    real, generated = points[:MANY].mean(), points[MANY:].mean()
    return {"mean opinion score": float(generated), "score difference": float(generated - real)}


def flash(
    trials: PlannedTrials, kinds: npt.NDArray[np.int64], plan: Plan, crowd: Crowd, random: np.random.Generator
) -> Estimates:
    exposures, right = follow_staircases(crowd.panel(plan.raters, kinds, random), trials, kinds, random)
    return {
        "threshold (log2 ms)": threshold(exposures, right, trials.raters, trials.items).log2_milliseconds.interval()
    }


def flash_truth(plan: Plan, crowd: Crowd) -> dict[str, float]:
    """The mean over people of log2 of the exposure at which a person is right in 75 % of answers to faces."""
    random = np.random.default_rng(1)
    kinds = np.array([0, 1])
    people = 100_000
    panel = replace(crowd, image=0.0).panel(people, kinds, random)
    raters = np.arange(people)
    spread = np.sqrt(1 + crowd.image**2)

    def share_right(log_exposure: Floats) -> Floats:
        chances = [
            special.ndtr(special.ndtri(panel.chance_generated(raters, np.full(people, kind), 2**log_exposure)) / spread)
            for kind in (0, 1)
        ]
        return np.asarray((1 - chances[0] + chances[1]) / 2)

    # The means of a crowd allow for the spread of its faces; taken out above, it is put back here.
    scale = crowd.spread / replace(crowd, image=0.0).spread
    panel._means = panel._means * scale
    panel._middle = panel._middle * scale
    low, high = np.full(people, -5.0), np.full(people, 25.0)
    for _ in range(50):
        middle = (low + high) / 2
        above = share_right(middle) >= 0.75
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return {"threshold (log2 ms)": float(((low + high) / 2).mean())}


class Measure(NamedTuple):
    """How a task is estimated, and what is true of a population."""

    block: Block
    estimate: Callable[[PlannedTrials, npt.NDArray[np.int64], Plan, Crowd, np.random.Generator], Estimates]
    truth: Callable[[Plan, Crowd], dict[str, float]]


MEASURES: dict[Task, Measure] = {
    "untimed": Measure("untimed", untimed, untimed_truth),
    "pairs": Measure("pairs-real", pairs, pairs_truth),
    "rating": Measure("rating", rating, rating_truth),
    "flash": Measure("flash", flash, flash_truth),
}
SEEN = 0.98
"""The share of answers to long exposures that is right, for `flash`: there has to be a threshold to find."""


def all_pairs(plan: Plan, schedule: Schedule) -> PlannedTrials:
    """The comparisons under test between all kinds."""
    rows = [
        (rater, trial)
        for rater in range(plan.raters)
        for trial in schedule.trials(rater)
        if trial.block == "pairs-real" and trial.role == "test"
    ]
    return PlannedTrials(
        raters=np.array([rater for rater, _ in rows]),
        left=np.array([trial.images[0] for _, trial in rows]),
        right=np.array([trial.images[1] for _, trial in rows]),
        items=np.array([trial.item for _, trial in rows]),
        rows=tuple(trial for _, trial in rows),
    )


def coverage(studies: int) -> Iterator[str]:
    """How many 95 % intervals hold the true value."""
    yield f"| measure | {' | '.join(setting.name for setting in SETTINGS)} | width | bias |"
    yield "| --- " * (len(SETTINGS) + 3) + "|"
    for task, (block, estimate, truth) in MEASURES.items():
        cells: dict[str, dict[str, str]] = {}
        widths: dict[str, list[float]] = {}
        biases: dict[str, list[float]] = {}
        for setting in SETTINGS:
            crowd = setting.crowd
            if task == "flash":
                if setting.name in ("indistinguishable", "bad faces"):
                    continue
                crowd = replace(crowd, right=(SEEN,) * setting.generators)
            plan = setting.plan(task)
            schedule, kinds = Schedule(plan), kinds_of(plan)
            trials = all_pairs(plan, schedule) if task == "pairs" else planned_trials(plan, schedule, block, 1)
            true = truth(plan, crowd)
            found: dict[str, list[Interval]] = {}
            for study in tqdm(range(studies), desc=f"{task}, {setting.name}", disable=not sys.stderr.isatty()):
                for name, interval in estimate(trials, kinds, plan, crowd, np.random.default_rng([7, study])).items():
                    found.setdefault(name, []).append(interval)
            for name, intervals in found.items():
                values = np.array([one.value for one in intervals])
                target, spread = true.get(name, float(values.mean())), values.std(ddof=1)
                held = np.mean([one.low <= target <= one.high for one in intervals])
                cells.setdefault(name, {})[setting.name] = f"{100 * held:.1f}"
                width = np.mean([one.high - one.low for one in intervals]) / (2 * 1.96 * spread)
                widths.setdefault(name, []).append(float(width))
                biases.setdefault(name, []).append(float((values.mean() - target) / spread))
        for name, own in cells.items():
            row = " | ".join(own.get(setting.name, "–") for setting in SETTINGS)
            width = f"{min(widths[name]):.2f} to {max(widths[name]):.2f}"
            yield f"| {task}: {name} | {row} | {width} | {max(biases[name], key=abs):+.2f} |"


def methods(studies: int) -> Iterator[str]:
    """The share of wrong answers, with the intervals that others use."""
    yield "| setting | Wilson | bootstrap over raters | pigeonhole bootstrap | moments and t |"
    yield "| --- | --- | --- | --- | --- |"
    for setting in SETTINGS[:4] + SETTINGS[6:8]:
        plan = setting.plan("untimed")
        kinds, trials = kinds_of(plan), planned_trials(plan, Schedule(plan), "untimed", 1)
        true = untimed_truth(plan, setting.crowd)["error rate"]
        held = np.zeros((studies, 4))
        for study in range(studies):
            random = np.random.default_rng([11, study])
            chance = setting.crowd.panel(plan.raters, kinds, random).chance_generated(trials.raters, trials.left)
            wrong = (random.random(len(chance)) < chance) != (kinds[trials.left] == 1)
            sums = np.bincount(trials.raters, wrong)
            counts = np.bincount(trials.raters)
            drawn = random.integers(plan.raters, size=(1000, plan.raters))
            intervals = [
                proportion_interval(wrong.sum(), len(wrong)),
                Interval(0, *np.quantile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [0.025, 0.975])),
                pigeonhole_bootstrap(
                    lambda weights, wrong=wrong: float(weights @ wrong / weights.sum()),  # type: ignore[misc]
                    trials.raters,
                    trials.items,
                    random=random,
                    repeats=300,
                ),
                detection(
                    wrong == (kinds[trials.left] == 0), kinds[trials.left] == 1, trials.raters, trials.items
                ).error_rate.share_interval(),
            ]
            held[study] = [one.low <= true <= one.high for one in intervals]
        yield f"| {setting.name} | " + " | ".join(f"{share:.1%}" for share in held.mean(axis=0)) + " |"


def equivalence(studies: int) -> Iterator[str]:
    """How often faces are called indistinguishable that differ by the margin."""
    yield "| task | setting | truth | called indistinguishable |"
    yield "| --- | --- | --- | --- |"
    for task in ("untimed", "pairs"):
        for setting in (*SETTINGS[:4], *SETTINGS[6:8]):
            for right, where in ((0.55, "at the margin"), (0.45, "at the margin, the wrong way round"), (0.5, "equal")):
                crowd = replace(setting.crowd, right=(right,))
                plan = setting.plan(task)
                kinds = kinds_of(plan)
                trials = planned_trials(plan, Schedule(plan), "untimed" if task == "untimed" else "pairs-real", 1)
                if task == "pairs":
                    crowd = replace(crowd, right=(right_for_preference(crowd, 2 * right - 1),))
                claimed = 0
                for study in range(studies):
                    random = np.random.default_rng([13, study])
                    panel = crowd.panel(plan.raters, kinds, random)
                    if task == "untimed":
                        called = random.random(len(trials.left)) < panel.chance_generated(trials.raters, trials.left)
                        gap = crossed_difference(called, kinds[trials.left] == 1, trials.raters, trials.items)
                    else:
                        chosen = panel.preferences(trials.raters, trials.left, trials.right, random)
                        gap = crossed_mean(
                            np.where(kinds[trials.left] == 0, chosen, -chosen), trials.raters, trials.items
                        )
                    claimed += equivalence_p_value(gap, 2 * plan.margin) < EQUIVALENCE_LEVEL
                yield f"| {task} | {setting.name} | {where} | {claimed / studies:.1%} |"


def right_for_preference(crowd: Crowd, wanted: float) -> float:
    """The share of right answers of a population that prefers real faces in so many more pairs than generated ones."""
    low, high = 0.3, 0.7
    for _ in range(25):
        middle = (low + high) / 2
        random = np.random.default_rng(3)
        panel = replace(crowd, right=(middle,)).panel(200_000, np.repeat([0, 1], 200_000), random)
        rows = np.arange(200_000)
        mean = panel.preferences(rows, rows, rows + 200_000, random).mean()
        low, high = (middle, high) if mean < wanted else (low, middle)
    return (low + high) / 2


def power(studies: int) -> Iterator[str]:
    """What `augface study new` promises, against other simulated studies at that very difference."""
    yield "| task | study | promised: seen in 80 % of studies | seen in | promised: shown equal | shown equal in |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for raters, faces, trials in ((30, 100, 20), (30, 50, 20), (12, 30, 20), (60, 100, 20)):
        for task in ("untimed", "pairs", "rating"):
            plan = plan_of((task,), raters=raters, faces=faces, trials=trials)
            schedule, kinds = Schedule(plan), kinds_of(plan)
            promised = visible(plan, schedule)[task]
            planned = planned_trials(plan, schedule, MEASURES[task].block, 1)
            seen, equal, at = 0, 0, share_right(task, promised)
            for study in range(studies):
                random = np.random.default_rng([17, study])
                for right in (at, 0.5):
                    panel = Crowd(right=(right,)).panel(plan.raters, kinds, random)
                    gap = difference(task, panel, planned, kinds, random)
                    if right == 0.5:
                        equal += equivalence_p_value(gap, 2 * plan.margin) < EQUIVALENCE_LEVEL
                    else:
                        seen += gap.p_value() < 0.05
            shown = ", ".join(f"{name} {value:.3f}" for name, value in promised.items() if name != "shown_equal")
            ends = stats.binomtest(seen, studies).proportion_ci()
            both = f"{promised['shown_equal']:.1%} | {equal / studies:.1%}" if "shown_equal" in promised else "– | –"
            yield (
                f"| {task} | {raters} raters, {faces} faces, {trials} each | {shown} | {seen / studies:.1%} "
                f"({ends.low:.0%} to {ends.high:.0%}) | {both} |"
            )


def share_right(task: str, promised: dict[str, float]) -> float:
    """The share of right answers at which the promised difference is true."""
    if task == "untimed":
        return promised["right"]
    low, high = 0.5, 0.98
    for _ in range(20):
        middle = (low + high) / 2
        crowd = Crowd(right=(middle,))
        if task == "rating":
            mean = -rating_truth(plan_of(("rating",), raters=2, faces=12, trials=8), crowd)["score difference"]
            wanted = promised["points"]
        else:
            random = np.random.default_rng(3)
            rows = np.arange(200_000)
            panel = crowd.panel(200_000, np.repeat([0, 1], 200_000), random)
            mean, wanted = panel.preferences(rows, rows, rows + 200_000, random).mean() / 2, promised["preferred"] - 0.5
        low, high = (middle, high) if mean < wanted else (low, middle)
    return (low + high) / 2


def difference(
    task: str, panel: object, trials: PlannedTrials, kinds: npt.NDArray[np.int64], random: np.random.Generator
) -> CrossedEstimate:
    from augface.study.crowd import Panel

    assert isinstance(panel, Panel)
    if task == "untimed":
        called = random.random(len(trials.left)) < panel.chance_generated(trials.raters, trials.left)
        return crossed_difference(called, kinds[trials.left] == 1, trials.raters, trials.items)
    if task == "pairs":
        chosen = panel.preferences(trials.raters, trials.left, trials.right, random)
        return crossed_mean(np.where(kinds[trials.left] == 0, chosen, -chosen), trials.raters, trials.items)
    points = panel.ratings(trials.raters, trials.left, random)
    return crossed_difference(points, kinds[trials.left] == 0, trials.raters, trials.items)


def staircase(studies: int) -> Iterator[str]:
    """The share of right answers that the staircases settle at."""
    yield "| threshold (75 % right) | slope | right in the second half of 20 answers | of 40 | of 400 |"
    yield "| --- | --- | --- | --- | --- |"
    random = np.random.default_rng(0)
    for milliseconds in (40.0, 100.0, 250.0, 600.0):
        for slope in (0.5, 1.0, 2.0):
            shares = [
                np.mean([
                    simulated_share_right(Staircase(start=start), milliseconds, slope, answers=answers, random=random)
                    for start in (11, 13)
                ])
                for answers in (20, 40, 400)
            ]  # fmt: skip
            yield f"| {milliseconds:.0f} ms | {slope} | " + " | ".join(f"{share:.1%}" for share in shares) + " |"
    yield f"\nLevels: {', '.join(f'{level:g}' for level in EXPOSURES)} ms."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    simulations = {one.__name__: one for one in (coverage, methods, equivalence, power, staircase)}
    parser.add_argument("what", choices=list(simulations))
    parser.add_argument("--studies", type=int, default=400)
    arguments = parser.parse_args()
    if arguments.what in simulations:
        for line in simulations[arguments.what](arguments.studies):
            print(line, flush=True)


if __name__ == "__main__":
    main()
