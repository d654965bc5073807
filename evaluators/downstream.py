"""Does a classifier of the wanted attribute get better with the made faces? Answered against honest alternatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from augface.artifacts import table
from augface.data.dataset import FaceDataset
from augface.data.splits import people_in_common
from augface.downstream.arms import twin_of
from augface.downstream.experiment import SEEDS, Experiment, Learner
from augface.downstream.frozen import Frozen
from augface.downstream.full import Full
from augface.downstream.material import KEPT, Material
from augface.downstream.question import (
    FEWEST,
    Answer,
    Contest,
    answer,
    effect_on,
    group_masks,
    group_names,
    new_material,
    precision_on_test,
    run_scores,
)
from augface.evaluators.base import Context, Evaluator, Findings
from augface.features import DEFAULT_SPACE, create_feature_space
from augface.metrics import holm
from augface.metrics.effects import LEVEL, Effect, seed_interval
from augface.results import Artifact, Measurement, Skipped

SCORES: Mapping[str, tuple[Literal["lower", "higher"], str]] = {
    "average_precision": ("higher", "How well the arm ranks test faces by the attribute, from 0 to 1."),
    "balanced_accuracy": ("higher", "Mean of the shares of either kind told right, at the threshold chosen on valid."),
    "minority_recall": ("higher", "The share of the rarer kind that is found, at the threshold chosen on valid."),
    "worst_group": ("higher", "The smallest share told right in any kind of any group."),
    "equal_opportunity": ("lower", "The largest difference between groups in the share of shown attributes found."),
    "equalised_odds": ("lower", "The same, or the largest difference in false alarms, whichever is larger."),
    "calibration_error": ("lower", "How far the told probabilities are from the shares that they stand for."),
}
"""The scores of each arm: which way is better, and what they say."""
INTERVAL = "t over seeds and bootstrap over people, degrees of freedom by Satterthwaite"


@dataclass(frozen=True)
class _Answered:
    """One target with all that was found."""

    target: str
    material: Material
    learner: Learner
    answer: Answer
    strata: list[str]
    test: FaceDataset
    outside: FaceDataset | None
    seed: int

    @property
    def protocol(self) -> dict[str, Any]:
        """What changes the numbers."""
        return {
            **(create_feature_space().protocol if self.learner.mode == "frozen" else {}),
            **self.learner.protocol,
            "mode": self.learner.mode,
            "attribute": self.target,
            "seeds": SEEDS,
            "seed": self.seed,
            "kept": KEPT,
        }

    @property
    def space(self) -> str | None:
        """The feature space that is learnt from, if any."""
        return DEFAULT_SPACE if self.learner.mode == "frozen" else None

    @property
    def contests(self) -> dict[str, Contest]:
        """The two that may raise the alarm, by measurement."""
        return {"effect": self.answer.best, "effect_of_all": self.answer.of_all}

    def compared(self, part: str, mask: npt.NDArray[np.bool_] | None = None) -> Effect:
        """The effect on a held-out part, or on some of its faces."""
        decisions = self.answer.decisions
        ours, theirs = decisions[self.answer.best.arm], decisions[self.answer.rival]
        return effect_on(self.material.held_out[part], ours, theirs, part=part, mask=mask, seed=self.seed)


class Downstream(Evaluator):
    """Trains every arm and compares them on real test faces."""

    name: ClassVar[str] = "downstream"
    needs: ClassVar[frozenset[str]] = frozenset({"labels", "train", "valid", "test", "made"})

    def evaluate(self, context: Context) -> Findings:
        """The effect of the made faces on each attribute asked for, on groups and on the others; scores of all arms."""
        skipped, answered = [], []
        for target in context.targets:
            if reason := _problem(context, target):
                skipped.append(Skipped(evaluator=self.name, reason=reason))
            else:
                answered.append(_answered(context, target))
        helps = holm({one.target: one.answer.best.p_helps for one in answered})
        harms = holm({(one.target, name): found.p_harms for one in answered for name, found in one.contests.items()})
        measurements: list[Measurement] = []
        artifacts: list[Artifact] = []
        for one in answered:
            measurements += _effects(one, helps[one.target], harms)
            if (beyond := one.answer.best.beyond_copies) is not None:
                n, twin = len(one.material.test), twin_of(one.answer.best.arm)
                measurements.append(_secondary(one, "effect_beyond_copies", beyond, "all test faces", n, rival=twin))
            if one.outside is not None:
                found = one.compared("outside")
                measurements.append(
                    _secondary(one, "effect_outside", found, "faces of another source", len(one.outside))
                )
            measurements += _group_effects(one) + _on_others(one)
            runs, undefined = _runs(one)
            measurements += _arm_measurements(one, runs)
            artifacts += _tables(one, runs)
            skipped += [Skipped(evaluator=self.name, reason=reason) for reason in undefined]
            if one.answer.left_out:
                names = ", ".join(arm.name for arm in one.answer.left_out)
                reason = f"{names}: mean nothing for features that are extracted once; downstream=full trains them."
                skipped.append(Skipped(evaluator=self.name, reason=reason))
        return Findings(measurements, artifacts, skipped)


def _problem(context: Context, target: str) -> str:
    """Why the question cannot be asked, or nothing."""
    sides = {"train": context.train, "valid": context.valid, "test": context.test, "outside": context.outside}
    parts = {name: data for name, data in sides.items() if data is not None}
    for name, data in parts.items():
        if data.attribute(target).nunique() < 2:
            return f"the {name} split has faces of one kind of {target} only, so nothing can be scored."
    assert context.made is not None
    if not context.made.attribute(target).notna().any():
        return f"no made face has a label of {target}."
    # people of another source have numbers of their own
    shared = people_in_common({name: data for name, data in parts.items() if name != "outside"})
    if shared and not context.shared_people:
        return f"{shared}; scores on people who were learnt from say little (shared_people=True asks all the same)."
    return ""


def _answered(context: Context, target: str) -> _Answered:
    train, valid, test, made = context.train, context.valid, context.test, context.made
    assert train is not None
    assert valid is not None
    assert test is not None
    assert made is not None
    asked = [name for name in context.by if name not in context.targets]
    strata = group_names(test, asked, target)
    outside = context.outside
    held_out = {"valid": valid, "test": test, **({"outside": outside} if outside is not None else {})}
    frozen = context.downstream == "frozen"
    inputs = context.features if frozen else lambda data: data.images
    material = new_material(
        target, train, made, held_out, inputs, [name for name in strata if name in train.attributes]
    )
    learner: Learner = Frozen(material) if frozen else Full(material, context.network)
    folder = None if context.folder is None else context.folder / "checkpoints" / "downstream"
    found = answer(Experiment(learner, context.seed, folder=folder))
    return _Answered(target, material, learner, found, strata, test, outside, context.seed)


def _effects(one: _Answered, p_helps: float, harms: Mapping[tuple[str, str], float]) -> list[Measurement]:
    """The best use of the made faces, and that of the data set as it is written, each against the best without them.

    Args:
        one: what was found.
        p_helps: one-sided, adjusted for all attributes asked for.
        harms: the one-sided p-values of both, adjusted for both and all attributes asked for.
    """
    rival = one.answer.rival
    told = {
        "effect": (f"{one.answer.best.arm}, the best arm with made faces on the valid split", p_helps),
        "effect_of_all": ("training on all made faces as they are", None),
    }
    measurements = []
    for name, (words, helping) in told.items():
        arm, found, p_harms = one.contests[name].arm, one.contests[name].effect, harms[one.target, name]
        measurements.append(
            Measurement(
                evaluator="downstream",
                name=name,
                value=found.value,
                low=found.low,
                high=found.high,
                p_value=min(1.0, 2 * min(found.p_helps if helping is None else helping, p_harms)),
                direction="higher",
                verdict="pass" if helping is not None and helping <= LEVEL else "fail" if p_harms <= LEVEL else "info",
                meaning=f"Average precision of {words}, minus that of {rival}, the best without them.",
                n_real=len(one.material.test),
                n_fake=len(one.material.made),
                space=one.space,
                protocol={
                    **one.protocol,
                    "rival": rival,
                    "ours": arm,
                    "smallest_visible_effect": float(f"{found.smallest_visible:.3g}"),
                    "interval": INTERVAL,
                    "tests": f"one-sided at {LEVEL}, Holm over what was asked for",
                },
            )
        )
    return measurements


def _secondary(
    one: _Answered,
    name: str,
    found: Effect,
    where: str,
    n: int,
    *,
    group: dict[str, bool] | None = None,
    rival: str | None = None,
) -> Measurement:
    rival = rival or one.answer.rival
    return Measurement(
        evaluator="downstream",
        name=name,
        value=found.value,
        low=found.low,
        high=found.high,
        p_value=min(1.0, 2 * min(found.p_helps, found.p_harms)),
        direction="higher",
        meaning=f"The effect on {where}: average precision of {one.answer.best.arm} minus that of {rival}.",
        n_real=n,
        n_fake=len(one.material.made),
        space=one.space,
        protocol={**one.protocol, "rival": rival, "ours": one.answer.best.arm, "interval": INTERVAL},
        group=group or {},
    )


def _group_effects(one: _Answered) -> list[Measurement]:
    """The effect within each group that has test faces enough of both kinds."""
    measurements = []
    labels = one.material.test.labels[:, 0]
    for name in one.strata:
        for value in (True, False):
            mask = one.test.matching({name: value})
            if min((labels[mask] > 0).sum(), (labels[mask] < 0).sum()) >= FEWEST:
                found = one.compared("test", mask)
                measurements.append(
                    _secondary(one, "group_effect", found, "one group", int(mask.sum()), group={name: value})
                )
    return measurements


def _on_others(one: _Answered) -> list[Measurement]:
    """What it costs or gives the attributes that were not asked for: their mean, and a warning where any is harmed."""
    others = one.answer.others
    if not others:
        return []
    harms = holm({other.attribute: other.effect.p_harms for other in others})
    harmed = [name for name, p_value in harms.items() if p_value <= LEVEL]
    values = [other.effect.value for other in others]
    return [
        Measurement(
            evaluator="downstream",
            name="effect_on_others",
            value=float(np.mean(values)),
            direction="higher",
            verdict="warn" if harmed else "pass",
            meaning=f"The mean effect on the average precision of {len(others)} attributes that were not asked for"
            + (
                f"; worse, Holm over all of them: {', '.join(sorted(harmed))}."
                if harmed
                else "; none is shown to be worse."
            ),
            n_real=len(one.material.test),
            n_fake=len(one.material.made),
            space=one.space,
            protocol={**one.protocol, "rival": one.answer.rival, "ours": one.answer.best.arm, "harmed": sorted(harmed)},
        )
    ]


def _runs(one: _Answered) -> tuple[pd.DataFrame, list[str]]:
    """Scores of every arm and seed on test, and outside; and which scores are not defined, with the reason."""
    parts = {"test": one.test, **({"outside": one.outside} if one.outside is not None else {})}
    records = []
    for part, data in parts.items():
        groups = group_masks(data, [name for name in one.strata if name in data.attributes])
        for arm in one.answer.arms:
            for seed, decisions in enumerate(one.answer.decisions[arm.name]):
                scores = run_scores(one.material, decisions, groups, part)
                records.append({"faces": part, "arm": arm.name, "seed": seed, **scores})
    runs = pd.DataFrame(records)
    undefined = [name for name in SCORES if runs[name].isna().all()]
    within = " and ".join(one.strata)
    why = (
        f"a group of {within} lacks test faces that show it, or that do not"
        if one.strata
        else "nothing parts people into groups"
    )
    return runs, [f"{', '.join(undefined)} of {one.target}: {why}."] if undefined else []


def _arm_measurements(one: _Answered, runs: pd.DataFrame) -> list[Measurement]:
    """Mean scores of each arm on test, with an interval over seeds; that of average precision is over people too."""
    measurements = []
    for score, (direction, meaning) in SCORES.items():
        for arm in one.answer.arms:
            values = runs.loc[(runs.faces == "test") & (runs.arm == arm.name), score].dropna()
            if len(values) < 2:
                continue
            value, low, high = seed_interval(values.tolist())
            interval = "t over seeds"
            if score == "average_precision":
                found = precision_on_test(one.material, one.answer.decisions[arm.name], seed=one.seed)
                value, low, high, interval = found.value, found.low, found.high, INTERVAL
            measurements.append(
                Measurement(
                    evaluator="downstream",
                    name=score,
                    value=value,
                    low=max(low, 0.0),
                    high=min(high, 1.0),
                    direction=direction,
                    meaning=meaning,
                    n_real=len(one.material.test),
                    n_fake=len(one.material.made) if arm.synthetic else None,
                    space=one.space,
                    protocol={**one.protocol, "arm": arm.name, "interval": interval},
                )
            )
    return measurements


def _tables(one: _Answered, runs: pd.DataFrame) -> list[Artifact]:
    """What each arm does, every seed, and the other attributes."""
    target = one.target
    arms = pd.DataFrame([(arm.name, arm.meaning) for arm in one.answer.arms], columns=["arm", "what is done"])
    tables: list[Artifact] = [
        table(
            arms,
            name=f"downstream-arms-{target}",
            title=f"The arms: telling {target}",
            caption="All learn the same way, as long, with the same seeds, and are chosen by the same rule on valid.",
            section="downstream",
        ),
        table(
            runs[runs.faces == "test"].drop(columns="faces").round(4),
            name=f"downstream-{target}",
            title=f"Every arm and seed: telling {target}",
            caption=f"Scores on {len(one.material.test):,} real test faces of each arm for each seed.",
            section="downstream",
        ),
    ]
    if one.outside is not None:
        tables.append(
            table(
                runs[runs.faces == "outside"].drop(columns="faces").round(4),
                name=f"downstream-outside-{target}",
                title=f"Every arm and seed on faces from elsewhere: telling {target}",
                caption=f"Scores on {len(one.outside):,} real faces of {one.outside.source.spec}: another source than "
                "all others here, so thresholds and probabilities may not fit.",
                section="downstream",
            )
        )
    if one.answer.others:
        harms = holm({other.attribute: other.effect.p_harms for other in one.answer.others})
        rows = [
            (
                other.attribute,
                *(round(value, 4) for value in (other.without, other.with_made, other.effect.value)),
                *(round(value, 4) for value in (other.effect.low, other.effect.high)),
                "worse" if harms[other.attribute] <= LEVEL else "",
            )
            for other in sorted(one.answer.others, key=lambda other: other.effect.value)
        ]
        columns = ["attribute", one.answer.rival, one.answer.best.arm, "difference", "low", "high", "verdict"]
        tables.append(
            table(
                pd.DataFrame(rows, columns=columns),
                name=f"downstream-others-{target}",
                title=f"Attributes that were not asked for, with and without faces made for {target}",
                caption="Average precision on the same test faces, the most harmed first; worse where that is shown "
                "after adjusting for all of them (Holm).",
                section="downstream",
            )
        )
    return tables
