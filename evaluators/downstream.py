"""Does a classifier of the target get better with the synthetic faces? Answered against honest alternatives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from augface.arrays import Booleans
from augface.data.dataset import FaceDataset
from augface.data.splits import identity_overlap
from augface.downstream.analysis import (
    FEWEST,
    ArmComparison,
    ExperimentResult,
    compare_arms,
    effect_on,
    experiment_on,
    group_masks,
    group_names,
    precision_on_test,
    run_scores,
)
from augface.downstream.arms import ARMS, REAL_ONLY, matched_control
from augface.downstream.data import KEPT, ExperimentData
from augface.downstream.experiment import SEEDS, Learner
from augface.downstream.headroom import TIMES, Headroom, headroom, lacking
from augface.errors import require
from augface.evaluators.base import Argument, Context, Evaluator, Findings, Suggestion, Urgency
from augface.features import DEFAULT_SPACE, create_feature_space
from augface.metrics.effects import LEVEL, Effect, seed_interval
from augface.metrics.multiple_testing import holm
from augface.results import Artifact, Measurement, Section
from augface.results.artifacts import table


@dataclass(frozen=True)
class Score:
    """A score of an arm."""

    label: str
    direction: Literal["lower", "higher"]
    meaning: str


SCORES: Mapping[str, Score] = {
    "average_precision": Score(
        "Average precision", "higher", "How well the arm ranks test faces by the attribute, from 0 to 1."
    ),
    "balanced_accuracy": Score(
        "Balanced accuracy", "higher", "Mean of the accuracies in both classes, at the threshold chosen on valid."
    ),
    "minority_recall": Score(
        "Minority recall", "higher", "The share of the rarer class that is found, at the threshold chosen on valid."
    ),
    "balanced_average_precision": Score(
        "Average precision, groups alike", "higher", "Average precision with each class in each group weighted alike."
    ),
    "worst_group": Score("Worst group", "higher", "The smallest accuracy in any class of any group."),
    "equal_opportunity": Score(
        "Unequal opportunity", "lower", "The largest difference between groups in the true positive rate."
    ),
    "equalised_odds": Score(
        "Unequal odds", "lower", "The same, or the largest difference in false positive rates, whichever is larger."
    ),
    "calibration_error": Score(
        "Calibration error", "lower", "How far predicted probabilities are from the shares that they stand for."
    ),
}
"""The scores of each arm."""
PLAIN = "plain"
"""The arm that trains on the real faces as they are."""
CEILING = 0.98
"""Average precision from which on nothing is to be gained."""
WANTED_EFFECT = 0.02
"""An effect that a test should be able to see."""
INTERVAL = "t over seeds and bootstrap over people, degrees of freedom by Satterthwaite"


@dataclass(frozen=True)
class _Experiment:
    """The finished experiment on one target."""

    target: str
    data: ExperimentData
    learner: Learner
    result: ExperimentResult
    strata: list[str]
    test: FaceDataset
    external_test: FaceDataset | None
    seed: int
    headroom: Headroom | None
    """None where it cannot be known."""

    @property
    def common(self) -> dict[str, Any]:
        """What all measurements of this experiment carry."""
        return {"evaluator": Downstream.name, "attribute": self.target, "space": self.space}

    @property
    def protocol(self) -> dict[str, Any]:
        """What changes the numbers."""
        return {
            **(create_feature_space().protocol if self.learner.mode == "frozen" else {}),
            **self.learner.protocol,
            "mode": self.learner.mode,
            "seeds": SEEDS,
            "seed": self.seed,
            "kept": KEPT,
        }

    @property
    def space(self) -> str | None:
        """The feature space that is trained on, if any."""
        return DEFAULT_SPACE if self.learner.mode == "frozen" else None

    @property
    def comparisons(self) -> dict[str, ArmComparison]:
        """The two that may raise the alarm, by measurement."""
        return {"effect": self.result.best, "effect_of_all": self.result.of_all}

    def compared(self, part: str, mask: Booleans | None = None) -> Effect:
        """The effect on a held-out part, or on some of its faces."""
        decisions = self.result.decisions
        treatment, control = decisions[self.result.best.arm], decisions[self.result.best_real_arm]
        return effect_on(self.data.held_out[part], treatment, control, part=part, mask=mask, seed=self.seed)


class Downstream(Evaluator):
    """Trains every arm and compares them on real test faces."""

    section: ClassVar[Section] = Section(
        key="downstream",
        title="Does it help?",
        meaning="A classifier trained with and without the synthetic faces by several methods, called arms, and scored "
        "on real faces that nothing here has seen. The effect is the best arm with synthetic faces minus the best that "
        "real faces alone can do: above zero it helps.",
        key_measures=("effect",),
        by_group="group_effect",
        decides=True,
        lights={"helps": ("effect",)},
    )
    needs: ClassVar[frozenset[str]] = frozenset({"downstream", "labels", "train", "valid", "test", "accepted"})

    def evaluate(self, context: Context) -> Findings:
        """The effect of the synthetic faces on each target, on groups and on other attributes; scores of all arms."""
        findings = Findings()
        done = []
        for target in context.targets:
            if reason := _problem(context, target):
                findings.skipped.append(self.skip(reason))
            else:
                done.append(_run(context, target))
        helps = holm({one.target: one.result.best.p_helps for one in done})
        harms = holm({(one.target, name): found.p_harms for one in done for name, found in one.comparisons.items()})
        for one in done:
            findings.measurements.extend(_effects(one, helps[one.target], harms))
            if one.headroom is not None:
                findings.measurements.append(_headroom(one, one.headroom))
            if (beyond := one.result.best.beyond_copies) is not None:
                findings.measurements.append(
                    _secondary(
                        one,
                        "effect_beyond_copies",
                        beyond,
                        "all test faces",
                        len(one.data.test),
                        label="Effect beyond repeated real faces",
                        control=matched_control(one.result.best.arm),
                    )
                )
            if one.external_test is not None:
                found = one.compared("external test")
                findings.measurements.append(
                    _secondary(
                        one,
                        "effect_outside",
                        found,
                        "the external test set",
                        len(one.external_test),
                        label="Effect on the external test set",
                    )
                )
            findings.measurements.extend(_group_effects(one) + _on_others(one))
            runs, undefined = _runs(one)
            findings.measurements.extend(_arm_measurements(one, runs))
            findings.artifacts.extend(_tables(one, runs))
            findings.skipped.extend(map(self.skip, undefined))
            if one.result.left_out:
                names = ", ".join(arm.name for arm in one.result.left_out)
                why = (
                    "mean nothing for features that are extracted once; downstream=full trains them"
                    if one.learner.mode == "frozen"
                    else "are for features that are extracted once; downstream=frozen trains them"
                )
                reason = f"{names}: {why}."
                findings.skipped.append(self.skip(reason))
        return findings

    @classmethod
    def arguments(cls, measurements: Sequence[Measurement]) -> list[Argument]:
        """Whether the faces help, harm, or neither is shown, by the effect that decides.

        For each attribute two effects count: that of the best use of the faces, and, where that does not help, that of
        adding them all as they are.
        """
        effects = [one for one in measurements if one.name in ("effect", "effect_of_all")]
        if not effects:
            return []
        helps = [one for one in effects if one.verdict == "pass"]
        helped = {one.attribute for one in helps}
        failed = [one for one in effects if one.verdict == "fail"]
        harms = [one for one in failed if one.name == "effect" or one.attribute not in helped]
        shown = (harms or helps or effects)[0]
        value, low, high = require(shown.value), require(shown.low), require(shown.high)
        digits = max(3, 1 - math.floor(math.log10(max(high - low, 1e-9))))  # two that the interval allows
        numbers = f"{value:+z.{digits}f} in average precision (95 % interval {low:+z.{digits}f} to {high:+z.{digits}f})"
        control, treatment = shown.found.get("control", "?"), shown.found.get("treatment", "?")
        against = f"({treatment}) than with the best training without them ({control})"
        classifier = f"A classifier of {shown.attribute}"
        if harms:
            return [Argument("against", f"{classifier} does worse with the synthetic faces {against}: {numbers}.")]
        if helps:
            others = [one for one in measurements if one.name == "effect_on_others" and one.found.get("harmed")]
            worse = f" It does worse with {', '.join(others[0].found['harmed'][:3])}." if others else ""
            return [Argument("for", f"{classifier} does better with the synthetic faces {against}: {numbers}.{worse}")]
        visible = shown.found.get("smallest_visible_effect")
        if below := _all_below_sight(effects, measurements):
            room, seen = max(below, key=lambda pair: require(pair[0].high))
            text = (
                f"Even {TIMES} times as many real faces of the rarer class would add at most "
                f"{require(room.high):.{digits}f} to the average precision of a classifier of {room.attribute}, and "
                f"this test sees effects from {seen:.{digits}f} on. With the synthetic faces it changed by {numbers}."
            )
            return [Argument("pointless", text)]
        power = (
            "" if visible is None else f" An effect of {visible:.{digits}f} would have been seen in 4 of 5 such tests."
        )
        return [
            Argument(
                "undecided",
                f"{classifier} is not shown to do better or worse with the synthetic faces {against}: "
                f"{numbers}.{power}",
            )
        ]

    @classmethod
    def suggestions(cls, measurements: Sequence[Measurement]) -> list[Suggestion]:
        """Which training method to use, whether there is anything to gain, and what would make the answer surer."""
        suggestions: list[Suggestion] = []
        for effect in (one for one in measurements if one.name == "effect" and one.value is not None):
            suggestions.extend(_suggested(effect, measurements))
        return suggestions


def _all_below_sight(
    effects: Sequence[Measurement], measurements: Sequence[Measurement]
) -> list[tuple[Measurement, float]]:
    """The headroom of each attribute and the smallest effect that the test sees, where all of the first are smaller."""
    rooms = {one.attribute: one for one in measurements if one.name == "headroom"}
    visible = {one.attribute: one.found.get("smallest_visible_effect") for one in effects if one.name == "effect"}
    pairs = [(rooms[name], seen) for name, seen in visible.items() if name in rooms and seen is not None]
    below = [(room, seen) for room, seen in pairs if require(room.high) < seen]
    return below if len(below) == len(visible) else []


def _suggested(effect: Measurement, measurements: Sequence[Measurement]) -> list[Suggestion]:
    """What follows from the effect on one attribute."""
    target, value = effect.attribute or "the attribute", require(effect.value)
    control, treatment = str(effect.found.get("control", "?")), str(effect.found.get("treatment", "?"))
    precision = {
        one.arm: one
        for one in measurements
        if one.name == "average_precision" and one.attribute == effect.attribute and one.value is not None
    }
    best, plain = precision.get(control), precision.get(PLAIN)
    evidence = [effect, *([best] if best is not None else [])]
    gain = f"average precision {value:+.3f} ({require(effect.low):+.3f} to {require(effect.high):+.3f})"
    if effect.verdict == "pass":
        title = f"Add the synthetic faces as “{treatment}” does"
        return [Suggestion(Urgency.ANSWERED, title, f"A classifier of {target} gets better: {gain}.", evidence)]
    harmful = [one for one in measurements if one.name in ("effect", "effect_of_all") and one.verdict == "fail"]
    if any(one.attribute == effect.attribute for one in harmful):
        title = f"Leave the synthetic faces out, and train with “{control}”"
        return [Suggestion(Urgency.HARMFUL, title, f"A classifier of {target} gets worse with them.", harmful)]
    if best is not None and require(best.value) >= CEILING:
        title = f"Keep training with “{control}”: there is nothing to gain for {target}"
        reason = f"Without synthetic faces its average precision is {best.value:.3f} already."
        return [Suggestion(Urgency.ANSWERED, title, reason, evidence)]
    found = []
    if best is not None and plain is not None and control != PLAIN and require(best.low) > require(plain.value):
        title = f"Train with “{control}” in place of plain training"
        reason = f"It needs no synthetic faces and raises average precision from {plain.value:.3f} to {best.value:.3f}."
        found.append(Suggestion(Urgency.ANSWERED, title, reason, [best, plain]))
    visible = effect.found.get("smallest_visible_effect")
    if below := _all_below_sight([effect], measurements):
        room = below[0][0]
        title = f"Look for other ways than more faces to classify {target} better"
        reason = f"{TIMES} times as many real ones would add {require(room.value):+.3f} in average precision."
        found.append(Suggestion(Urgency.ANSWERED, title, reason, [room, effect]))
    elif visible is not None and visible > WANTED_EFFECT and effect.n_real:
        more = math.ceil(effect.n_real * ((visible / WANTED_EFFECT) ** 2 - 1) / 100) * 100
        reason = (
            f"With {effect.n_real:,} test faces an effect below {visible:.3f} goes unseen; to see one of "
            f"{WANTED_EFFECT:g} in four of five such tests takes about {more:,} more."
        )
        title = f"Collect about {more:,} more test faces with labels of {target}"
        found.append(Suggestion(Urgency.UNSURE, title, reason, [effect]))
    return found


def _problem(context: Context, target: str) -> str:
    """Why the question cannot be asked, or nothing."""
    sides = {
        "train": context.train,
        "valid": context.valid,
        "test": context.test,
        "external test": context.external_test,
    }
    parts = {name: data for name, data in sides.items() if data is not None}
    for name, data in parts.items():
        if data.attribute(target).nunique() < 2:
            return f"the {name} split has faces of one class of {target} only, so nothing can be scored."
    if not require(context.accepted).attribute(target).notna().any():
        return f"no synthetic face has a label of {target}."
    # people of another source have numbers of their own
    overlap = identity_overlap({name: data for name, data in parts.items() if name != "external test"})
    if overlap and not context.downstream.allow_identity_overlap:
        return f"{overlap}; scores on people who were trained on say little (allow_identity_overlap=True asks anyway)."
    return ""


def _run(context: Context, target: str) -> _Experiment:
    train, valid, test = require(context.train), require(context.valid), require(context.test)
    groups = [name for name in context.by if name not in context.targets]
    external = context.external_test
    held_out = {"valid": valid, "test": test, **({"external test": external} if external is not None else {})}
    experiment = experiment_on(
        target,
        train,
        require(context.accepted),
        held_out,
        context.downstream,
        context.features,
        by=groups,
        seed=context.seed,
        run_dir=context.folder,
    )
    absent = lacking(train, [target, *groups])
    more = absent or context.downstream.arms == "all"  # where a combination is absent, they are the ones to beat
    return _Experiment(
        target,
        experiment.data,
        experiment.learner,
        compare_arms(experiment, ARMS + REAL_ONLY if more else ARMS),
        group_names(test, groups, target),
        test,
        external,
        context.seed,
        None if absent else headroom(experiment),
    )


def _effects(one: _Experiment, p_helps: float, harms: Mapping[tuple[str, str], float]) -> list[Measurement]:
    """The best use of the synthetic faces, and that of the data set as it is written, each against the best without.

    Args:
        one: the finished experiment.
        p_helps: one-sided, adjusted for all targets.
        harms: the one-sided p-values of both, adjusted for both and all targets.
    """
    control = one.result.best_real_arm
    without = precision_on_test(one.data, one.result.decisions[control], seed=one.seed).value
    said = {
        "effect": (
            "Effect of added faces",
            f"{one.result.best.arm}, the best arm with synthetic faces on the valid split",
            p_helps,
        ),
        "effect_of_all": ("Effect of adding them all", "training on all synthetic faces as they are", None),
    }
    measurements = []
    for name, (label, words, helping) in said.items():
        arm, found, p_harms = one.comparisons[name].arm, one.comparisons[name].effect, harms[one.target, name]
        measurements.append(
            Measurement(
                **one.common,
                name=name,
                label=label,
                signed=True,
                value=found.value,
                low=found.low,
                high=found.high,
                p_value=min(1.0, 2 * min(found.p_helps if helping is None else helping, p_harms)),
                direction="higher",
                verdict="pass" if helping is not None and helping <= LEVEL else "fail" if p_harms <= LEVEL else "info",
                meaning=f"Average precision of {words}, minus that of {control}, the best without them.",
                n_real=len(one.data.test),
                n_fake=len(one.data.synthetic),
                protocol={
                    **one.protocol,
                    "interval": INTERVAL,
                    "tests": f"one-sided at {LEVEL}, Holm over what was requested",
                },
                found={
                    "control": control,
                    "treatment": arm,
                    "smallest_visible_effect": float(f"{found.smallest_visible:.3g}"),
                    "without": round(without, 4),
                },
            )
        )
    return measurements


def _headroom(one: _Experiment, found: Headroom) -> Measurement:
    """What more real faces would add to plain training."""
    return Measurement(
        **one.common,
        name="headroom",
        label="What could be gained",
        signed=True,
        value=found.value,
        low=found.low,
        high=found.high,
        direction="higher",
        meaning=f"What {TIMES} times as many real faces of the rarer class would add to plain training in average "
        "precision, from its learning curve. Synthetic faces can hardly add more.",
        n_real=len(one.data.test),
        protocol={**one.protocol, "interval": "bootstrap over people, draws of the faces, and the curve's shape"},
        found={"curve": {str(point.faces): round(point.precision, 4) for point in found.curve}},
    )


def _secondary(
    one: _Experiment,
    name: str,
    effect: Effect,
    where: str,
    n: int,
    *,
    label: str,
    group: dict[str, bool] | None = None,
    control: str | None = None,
) -> Measurement:
    """An effect that decides nothing: on some faces, or against another arm."""
    control = control or one.result.best_real_arm
    return Measurement(
        **one.common,
        name=name,
        label=label,
        signed=True,
        value=effect.value,
        low=effect.low,
        high=effect.high,
        p_value=min(1.0, 2 * min(effect.p_helps, effect.p_harms)),
        direction="higher",
        meaning=f"The effect on {where}: average precision of {one.result.best.arm} minus that of {control}.",
        n_real=n,
        n_fake=len(one.data.synthetic),
        protocol={**one.protocol, "interval": INTERVAL},
        found={"control": control, "treatment": one.result.best.arm},
        group=group or {},
    )


def _group_effects(one: _Experiment) -> list[Measurement]:
    """The effect within each group that has test faces enough of both classes."""
    measurements = []
    labels = one.data.test.labels[:, 0]
    for name in one.strata:
        for value in (True, False):
            mask = one.test.matching({name: value})
            if min((labels[mask] > 0).sum(), (labels[mask] < 0).sum()) >= FEWEST:
                found = one.compared("test", mask)
                measurements.append(
                    _secondary(
                        one,
                        "group_effect",
                        found,
                        "one group",
                        int(mask.sum()),
                        label="Effect within a group",
                        group={name: value},
                    )
                )
    return measurements


def _on_others(one: _Experiment) -> list[Measurement]:
    """What it costs or gives attributes that were not requested: the mean, and a warning where any is harmed."""
    others = one.result.others
    if not others:
        return []
    harms = holm({other.attribute: other.effect.p_harms for other in others})
    harmed = sorted(name for name, p_value in harms.items() if p_value <= LEVEL)
    values = [other.effect.value for other in others]
    return [
        Measurement(
            **one.common,
            name="effect_on_others",
            label="Effect on other attributes",
            signed=True,
            value=float(np.mean(values)),
            direction="higher",
            verdict="warn" if harmed else "pass",
            meaning=f"The mean effect on the average precision of {len(others)} attributes that were not requested"
            + (f"; worse, Holm over all of them: {', '.join(harmed)}." if harmed else "; none is shown to be worse."),
            n_real=len(one.data.test),
            n_fake=len(one.data.synthetic),
            protocol=one.protocol,
            found={"control": one.result.best_real_arm, "treatment": one.result.best.arm, "harmed": harmed},
        )
    ]


def _runs(one: _Experiment) -> tuple[pd.DataFrame, list[str]]:
    """Scores of every arm and seed on each test set; and which scores are not defined, with the reason."""
    parts = {"test": one.test, **({"external test": one.external_test} if one.external_test is not None else {})}
    records = []
    for part, data in parts.items():
        groups = group_masks(data, [name for name in one.strata if name in data.attributes])
        for arm in one.result.arms:
            for seed, decisions in enumerate(one.result.decisions[arm.name]):
                scores = run_scores(one.data, decisions, groups, part)
                records.append({"faces": part, "arm": arm.name, "seed": seed, **scores})
    runs = pd.DataFrame(records)
    undefined = [name for name in SCORES if runs[name].isna().all()]
    within = " and ".join(one.strata)
    why = (
        f"a group of {within} lacks test faces that show it, or that do not"
        if one.strata
        else "there is no attribute to group people by"
    )
    return runs, [f"{', '.join(undefined)} of {one.target}: {why}."] if undefined else []


def _arm_measurements(one: _Experiment, runs: pd.DataFrame) -> list[Measurement]:
    """Mean scores of each arm on test, with an interval over seeds; that of average precision is over people too."""
    measurements = []
    for name, score in SCORES.items():
        for arm in one.result.arms:
            values = runs.loc[(runs.faces == "test") & (runs.arm == arm.name), name].dropna()
            if len(values) < 2:
                continue
            value, low, high = seed_interval(values.tolist())
            interval = "t over seeds"
            if name == "average_precision":
                found = precision_on_test(one.data, one.result.decisions[arm.name], seed=one.seed)
                value, low, high, interval = found.value, found.low, found.high, INTERVAL
            measurements.append(
                Measurement(
                    **one.common,
                    name=name,
                    label=score.label,
                    arm=arm.name,
                    value=value,
                    low=max(low, 0.0),
                    high=min(high, 1.0),
                    direction=score.direction,
                    meaning=score.meaning,
                    n_real=len(one.data.test),
                    n_fake=len(one.data.synthetic) if arm.uses_synthetic else None,
                    protocol={**one.protocol, "interval": interval},
                )
            )
    return measurements


def _tables(one: _Experiment, runs: pd.DataFrame) -> list[Artifact]:
    """What each arm does, every seed, and the other attributes."""
    target = one.target
    arms = pd.DataFrame([(arm.name, arm.meaning) for arm in one.result.arms], columns=["arm", "what is done"])
    tables: list[Artifact] = [
        table(
            arms,
            name=f"downstream-arms-{target}",
            title=f"The arms, or training methods, for {target}",
            caption="All train as long, with the same seeds, and are selected by the same rule on valid.",
            section=Downstream.name,
            attribute=target,
        ),
        table(
            runs[runs.faces == "test"].drop(columns="faces").round(4),
            name=f"downstream-{target}",
            title=f"Every arm and seed, for {target}",
            caption=f"Scores on {len(one.data.test):,} real test faces of each arm for each seed.",
            section=Downstream.name,
            figure="seeds",
            attribute=target,
        ),
    ]
    if one.external_test is not None:
        tables.append(
            table(
                runs[runs.faces == "external test"].drop(columns="faces").round(4),
                name=f"downstream-outside-{target}",
                title=f"Every arm and seed on the external test set, for {target}",
                caption=f"Scores on {len(one.external_test):,} real faces of {one.external_test.source.spec}: another "
                "source than all others here, so thresholds and probabilities may not fit.",
                section=Downstream.name,
                attribute=target,
            )
        )
    if one.result.others:
        harms = holm({other.attribute: other.effect.p_harms for other in one.result.others})
        rows = [
            (
                other.attribute,
                *(round(value, 4) for value in (other.without, other.with_synthetic, other.effect.value)),
                *(round(value, 4) for value in (other.effect.low, other.effect.high)),
                "worse" if harms[other.attribute] <= LEVEL else "",
            )
            for other in sorted(one.result.others, key=lambda other: other.effect.value)
        ]
        columns = ["attribute", one.result.best_real_arm, one.result.best.arm, "difference", "low", "high", "verdict"]
        tables.append(
            table(
                pd.DataFrame(rows, columns=columns),
                name=f"downstream-others-{target}",
                title=f"Attributes that were not requested, with and without faces generated for {target}",
                caption="Average precision on the same test faces, the most harmed first; worse where that is shown "
                "after adjusting for all of them (Holm).",
                section=Downstream.name,
                attribute=target,
            )
        )
    return tables
