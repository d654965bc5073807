"""From faces to an experiment, and from its decisions to scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import special
from sklearn.metrics import balanced_accuracy_score

from augface.arrays import Booleans, Floats32, Integers
from augface.data.dataset import FaceDataset, signed_labels
from augface.data.groups import combinations
from augface.data.pixels import ImageRows
from augface.downstream.arms import ALL, ARMS, Arm, matched_control
from augface.downstream.data import ExperimentData, Part
from augface.downstream.experiment import Experiment, Learner, best_arm, effect, precisions
from augface.downstream.frozen import Frozen
from augface.downstream.full import Full
from augface.downstream.settings import DownstreamSettings
from augface.features.base import Features
from augface.metrics.effects import BOOTSTRAPS, Effect, paired_effect
from augface.metrics.scores import (
    average_precisions,
    balanced_average_precision,
    calibration_error,
    group_scores,
)
from augface.metrics.thresholds import balanced_threshold

GROUPED = ("Male", "Young")
"""The attributes whose groups are looked at where none are requested, as far as the data have them."""
FEWEST = 5
"""Test faces of either kind below which nothing is said of a group or of another attribute."""
OTHER_DRAWS = 200
"""Of the bootstrap over people, for each attribute that was not requested."""


def group_names(data: FaceDataset, asked: Sequence[str], target: str) -> list[str]:
    """The attributes that part people into groups: those requested, else `GROUPED`; never the target."""
    return [name for name in (asked or GROUPED) if name in data.attributes and name != target]


def group_masks(data: FaceDataset, names: Sequence[str]) -> dict[str, Booleans]:
    """(N,) which faces belong to each joint group, by the group's name; none where nothing parts them."""
    return {group.label: data.matching(group) for group in combinations(names)} if names else {}


def people_of(data: FaceDataset) -> Integers:
    """(N,) whose face each is; where that is not known every face is a person of its own."""
    return data.identity if data.identity is not None else np.arange(len(data), dtype=np.int64)


def experiment_data(
    target: str,
    train: FaceDataset,
    synthetic: FaceDataset,
    held_out: Mapping[str, FaceDataset],
    inputs: Callable[[FaceDataset], Features | ImageRows],
    strata: Sequence[str] = (),
) -> ExperimentData:
    """The question whether `synthetic` helps to classify `target`.

    Args:
        target: the attribute that is classified.
        train: real faces to learn from.
        synthetic: faces to add to them.
        held_out: real faces by name; `valid` to choose on, `test` to score on.
        inputs: what is learnt from a set of faces: their features, or their images.
        strata: attributes that part people into groups.
    """
    names = [
        target,
        *(str(name) for name in train.attributes if name != target and train.attributes[name].notna().any()),
    ]

    def part(data: FaceDataset) -> Part:
        labels = data.attributes.reindex(columns=names).astype("boolean")
        return Part(inputs(data), signed_labels(labels), people_of(data))

    groups = np.zeros(len(train), dtype=np.int64)
    for number, mask in enumerate(group_masks(train, strata).values()):
        groups[mask] = number + 1
    return ExperimentData(
        names, part(train), part(synthetic), groups, {name: part(data) for name, data in held_out.items()}
    )


def experiment_on(
    target: str,
    train: FaceDataset,
    synthetic: FaceDataset,
    held_out: Mapping[str, FaceDataset],
    settings: DownstreamSettings,
    features: Callable[[FaceDataset], Features],
    *,
    by: Sequence[str] = (),
    seed: int = 0,
    run_dir: Path | None = None,
) -> Experiment:
    """The experiment that the settings ask for, on faces.

    Args:
        target: the attribute that is classified.
        train: real faces to learn from.
        synthetic: faces to add to them.
        held_out: real faces by name; see `experiment_data`.
        settings: how the classifiers learn.
        features: of a set of faces, for learning on frozen features.
        by: attributes that part people into groups; the usual ones where there are none.
        seed: of all draws.
        run_dir: the run folder, where finished runs are kept; None where they are not.
    """
    strata = [name for name in group_names(held_out["test"], by, target) if name in train.attributes]
    frozen = settings.mode == "frozen"
    data = experiment_data(
        target, train, synthetic, held_out, features if frozen else lambda faces: faces.images, strata
    )
    learner: Learner = Frozen(data) if frozen else Full(data, settings.network)
    return Experiment(learner, seed, folder=None if run_dir is None else run_dir / "checkpoints" / "downstream")


@dataclass(frozen=True)
class OtherEffect:
    """What the synthetic faces do to an attribute that was not requested, in average precision."""

    attribute: str
    without: float
    effect: Effect

    @property
    def with_synthetic(self) -> float:
        """Average precision with the synthetic faces."""
        return self.without + self.effect.value


@dataclass(frozen=True)
class ArmComparison:
    """An arm with synthetic faces against the best arm without them, and against its matched control.

    Help and harm are reported only where both comparisons say so (an intersection-union test). The best arm without
    them would not do alone: where few valid faces choose badly any training method beats a bad choice, and a good
    method beats a plain one, whatever faces were added.

    Attributes:
        arm: its name.
        effect: it minus the best arm without synthetic faces on test, in average precision.
        beyond_copies: it minus the same method with repeated real faces; None where there is no such arm.
    """

    arm: str
    effect: Effect
    beyond_copies: Effect | None

    @property
    def p_helps(self) -> float:
        """One-sided, small where the arm is better than both."""
        return max(self.effect.p_helps, self.beyond_copies.p_helps if self.beyond_copies else 0.0)

    @property
    def p_harms(self) -> float:
        """One-sided, small where the arm is worse than both."""
        return max(self.effect.p_harms, self.beyond_copies.p_harms if self.beyond_copies else 0.0)


@dataclass(frozen=True)
class ExperimentResult:
    """What came of all arms.

    Attributes:
        arms: those that were run.
        left_out: those that mean nothing in this mode.
        decisions: by arm, one array a held-out part and seed.
        best_real_arm: the arm that is best on valid of those without synthetic faces.
        best: the arm that is best on valid of those with them.
        of_all: that which adds all synthetic faces as they are (`ALL`).
        others: what the best arm does to the other attributes.
    """

    arms: list[Arm]
    left_out: list[Arm]
    decisions: dict[str, list[dict[str, Floats32]]]
    best_real_arm: str
    best: ArmComparison
    of_all: ArmComparison
    others: list[OtherEffect]


def compare_arms(experiment: Experiment, arms: Sequence[Arm] = ARMS) -> ExperimentResult:
    """Run the arms, choose the best of each side on valid, and compare the two on test."""
    data, learner = experiment.data, experiment.learner
    possible = [arm for arm in arms if learner.supports(arm)]
    columns = list(range(len(data.attributes)))
    decisions = experiment.run(possible, columns if learner.joint else [0])
    treatment = best_arm(data.valid, decisions, [arm.name for arm in possible if arm.uses_synthetic])
    control = best_arm(data.valid, decisions, [arm.name for arm in possible if not arm.uses_synthetic])

    def compared_with_controls(arm: str) -> ArmComparison:
        def against(other: str) -> Effect:
            return effect_on(data.test, decisions[arm], decisions[other], seed=experiment.seed)

        matched = matched_control(arm)
        return ArmComparison(arm, against(control), against(matched) if matched in decisions else None)

    others = [column for column in columns[1:] if _can_be_scored(data, column)]
    pair = {name: decisions[name] for name in (control, treatment)}
    found = {column: (pair, column) for column in others}
    if others and not learner.joint:
        again = experiment.run([arm for arm in possible if arm.name in pair], others)
        found = {column: (again, position) for position, column in enumerate(others)}
    return ExperimentResult(
        arms=possible,
        left_out=[arm for arm in arms if not learner.supports(arm)],
        decisions=decisions,
        best_real_arm=control,
        best=compared_with_controls(treatment),
        of_all=compared_with_controls(ALL),
        others=[_other(experiment, column, *found[column], control, treatment) for column in others],
    )


def effect_on(
    faces: Part,
    treatment: Sequence[dict[str, Floats32]],
    control: Sequence[dict[str, Floats32]],
    *,
    part: str = "test",
    mask: Booleans | None = None,
    column: int = 0,
    position: int = 0,
    seed: int = 0,
    draws: int = BOOTSTRAPS,
) -> Effect:
    """The effect on a held-out part, or on some of its faces.

    Args:
        faces: the part.
        treatment: decisions of one arm, by part, one a seed.
        control: those of the other.
        part: the part's name.
        mask: (N,) the faces to look at; all where not given.
        column: of the labels: which attribute is classified.
        position: of the decisions: where it stands among those that were learnt.
        seed: of the bootstrap over people.
        draws: of it.
    """
    rows, shown = faces.known(column)
    if mask is not None:
        rows, shown = rows[mask[rows]], shown[mask[rows]]
    sides = ([each[part][rows, position] for each in side] for side in (treatment, control))
    return effect(shown, faces.people[rows], *sides, seed=seed, draws=draws)


def precision_on_test(data: ExperimentData, decisions: Sequence[dict[str, Floats32]], *, seed: int = 0) -> Effect:
    """An arm's own average precision, with the interval over seeds and people that effects have."""
    rows, shown = data.test.known(0)
    people = data.test.people[rows]
    found = precisions(shown, people, [each["test"][rows, 0] for each in decisions], seed=seed)
    return paired_effect(found[:, 0], found[:, 1:], len(np.unique(people)))


def _can_be_scored(data: ExperimentData, column: int) -> bool:
    labels = [part.labels[:, column] for part in (data.real, data.valid, data.test)]
    return all(min((part > 0).sum(), (part < 0).sum()) >= FEWEST for part in labels)


def _other(
    experiment: Experiment,
    column: int,
    decisions: dict[str, list[dict[str, Floats32]]],
    position: int,
    control: str,
    treatment: str,
) -> OtherEffect:
    test = experiment.data.test
    rows, shown = test.known(column)
    without = [average_precisions(shown, each["test"][rows, position])[0] for each in decisions[control]]
    found = effect_on(
        test,
        decisions[treatment],
        decisions[control],
        column=column,
        position=position,
        seed=experiment.seed,
        draws=OTHER_DRAWS,
    )
    return OtherEffect(experiment.data.attributes[column], float(np.mean(without)), found)


def run_scores(
    data: ExperimentData, decisions: dict[str, Floats32], groups: dict[str, Booleans], part: str = "test"
) -> dict[str, float | None]:
    """All scores of one run on one held-out part; what is not defined is None.

    Args:
        data: the question.
        decisions: log-odds of the target, by held-out part.
        groups: (N,) masks of the part's faces.
        part: the one to score on; the threshold is always chosen on valid.
    """
    valid_rows, valid_shown = data.valid.known(0)
    threshold = balanced_threshold(valid_shown, decisions["valid"][valid_rows, 0])
    rows, shown = data.held_out[part].known(0)
    log_odds = decisions[part][rows, 0]
    predicted = log_odds >= threshold
    rare = bool(shown.mean() < 0.5)
    masks = {name: mask[rows] for name, mask in groups.items()}
    of_groups = group_scores(shown, predicted, masks)
    return {
        "average_precision": float(average_precisions(shown, log_odds)[0]),
        "balanced_accuracy": float(balanced_accuracy_score(shown, predicted)),
        "minority_recall": float((predicted[shown == rare] == rare).mean()),
        "balanced_average_precision": balanced_average_precision(shown, log_odds, masks),
        **of_groups._asdict(),
        "calibration_error": calibration_error(shown, special.expit(log_odds.astype(np.float64))),
    }
