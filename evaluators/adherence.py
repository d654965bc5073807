"""Do the synthetic faces show what was requested, and what else changes with the request?

A judge that was trained on real faces looks at the synthetic ones; its errors are known from held-out real faces. A
classifier that is trained on the synthetic faces and tested on real ones shows whether their labels can be learnt from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from augface.arrays import Booleans, Integers
from augface.data.dataset import FaceDataset
from augface.data.splits import inner_fold
from augface.errors import require
from augface.evaluators._compared import most_of
from augface.evaluators._judge import IMAGES, PASSES, PIXELS_SHARE, STRENGTH, LinearProbe
from augface.evaluators.base import Context, Evaluator, Findings, Suggestion, Urgency
from augface.features.base import Features
from augface.metrics.intervals import NORMAL, Interval
from augface.metrics.multiple_testing import holm
from augface.metrics.prevalence import (
    EXPECTED,
    MINIMUM,
    AdherenceEstimate,
    AttributeLeakage,
    adherence_test,
    classification_scores,
    leakage_test,
)
from augface.results import Artifact, Baseline, Measurement, Section
from augface.results.artifacts import image_grid, table
from augface.results.severity import severity
from augface.seeds import random_generator

LEVEL = 0.05
"""Of the alarm, over all attributes that were requested and both values of each."""
MOST = 8
"""Attributes that leakage, the classification score and pictures are of, where none was named: the most balanced."""
GUESSED = 0.5
"""The share of faces that a generator gets right which takes no notice of requests, where either value is as likely."""
ROWS = 30
"""Of the table of leakages."""
SHOWN = 12


class Adherence(Evaluator):
    """Adherence to the request, leakage into what was not requested, and the classification accuracy score."""

    section: ClassVar[Section] = Section(
        key="adherence",
        title="Adherence",
        meaning="Whether synthetic faces show the attributes that were requested.",
        key_measures=("adherence",),
        one_each=True,
        by_group="adherence",
        lights={"obeys": ("adherence",)},
    )
    needs: ClassVar[frozenset[str]] = frozenset({"train"})

    def evaluate(self, context: Context) -> Findings:
        """All three, for the attributes that synthetic, held-out and training faces have labels of, targets first."""
        attributes, reasons = _attributes(context)
        skipped = [self.skip(reason) for reason in reasons]
        if not attributes:
            return Findings(skipped=skipped)
        views = {name: _View.of(context, name) for name in attributes}
        family = [name for name in attributes if name in context.targets or not context.targets]
        shown = sorted(family, key=lambda name: -views[name].real.rarer)[:MOST] if not context.targets else family
        parts = [
            _adherence(context, views, family),
            _leakage(context, {name: views[name] for name in shown}),
            *(_classification(context, views[name]) for name in shown),
        ]
        return Findings(
            [measurement for part in parts for measurement in part.measurements],
            [*(artifact for part in parts for artifact in part.artifacts), *_wrong_faces(context, views, shown)],
            [*skipped, *(reason for part in parts for reason in part.skipped)],
        )

    @classmethod
    def suggestions(cls, measurements: Sequence[Measurement]) -> list[Suggestion]:
        """The attribute that is obeyed least, where any is not."""
        shares = [one for one in measurements if one.name == "adherence" and one.baseline is not None]
        disobeyed = [one for one in shares if one.verdict == "fail"]
        if not disobeyed:
            return []
        worst = min(disobeyed, key=lambda one: require(one.value))
        reason = (
            f"{require(worst.value):.0%} of the faces show what was requested in {worst.attribute}; of real faces with "
            f"their own labels it is {require(require(worst.baseline).value):.0%}."
        )
        title = f"Do not rely on requests for {worst.attribute}: train longer, or weigh the attributes more"
        return [Suggestion(Urgency.WEAK + 1, title, reason, [worst], train_longer=True)]


@dataclass(frozen=True)
class _Faces:
    """The faces of a set that have a label of one attribute."""

    rows: Integers
    labels: Booleans
    people: Integers | None
    """(n,) who is on them, where that is known."""

    @classmethod
    def of(cls, data: FaceDataset, attribute: str) -> _Faces:
        rows = np.flatnonzero(data.attributes[attribute].notna()) if attribute in data.attributes else np.arange(0)
        labels = data.attributes[attribute].iloc[rows].to_numpy(dtype=np.bool_) if len(rows) else np.zeros(0, np.bool_)
        return cls(rows, labels, None if data.identity is None else data.identity[rows])

    def where(self, chosen: Booleans) -> _Faces:
        """Some of them."""
        return _Faces(self.rows[chosen], self.labels[chosen], None if self.people is None else self.people[chosen])

    @property
    def rarer(self) -> int:
        """How many there are of the rarer kind."""
        return int(min(self.labels.sum(), (~self.labels).sum()))


@dataclass(frozen=True)
class _View:
    """One attribute on both sides, with what the judge sees of all attributes."""

    attribute: str
    synthetic: _Faces
    real: _Faces
    synthetic_seen: pd.DataFrame
    """One row a face of `synthetic`, one column an attribute."""
    real_seen: pd.DataFrame

    @classmethod
    def of(cls, context: Context, attribute: str) -> _View:
        synthetic, real = _Faces.of(context.samples, attribute), _Faces.of(context.reference, attribute)
        synthetic_seen, real_seen = (require(context.judged(side)) for side in (context.samples, context.reference))
        return cls(attribute, synthetic, real, synthetic_seen.iloc[synthetic.rows], real_seen.iloc[real.rows])

    def estimate(self) -> AdherenceEstimate:
        """Of the synthetic faces."""
        return adherence_test(
            self.synthetic_seen[self.attribute],
            self.synthetic.labels,
            self.real_seen[self.attribute],
            self.real.labels,
            people=self.real.people,
            fake_people=self.synthetic.people,
        )

    def baseline(self, half: Booleans) -> AdherenceEstimate | None:
        """Of one half of the real faces with their own labels, with the judge's errors of the other."""
        ours = half[self.real.rows]
        held_out = self.real.where(~ours)
        if held_out.rarer < MINIMUM:
            return None
        faces = _View(self.attribute, self.real.where(ours), held_out, self.real_seen[ours], self.real_seen[~ours])
        return faces.estimate()


def _attributes(context: Context) -> tuple[list[str], list[str]]:
    """The attributes that can be looked at, targets first, and why others, or all, can't."""
    names = [*context.targets, *(str(name) for name in context.samples.attributes if name not in context.targets)]
    enough: list[str] = []
    lacking: list[str] = []
    for name in names:
        sides = [_Faces.of(data, name) for data in (context.samples, context.reference, require(context.train))]
        if not all(len(side.rows) for side in sides):
            continue
        requested = max(sides[0].labels.sum(), (~sides[0].labels).sum())
        (enough if requested >= MINIMUM and min(sides[1].rarer, sides[2].rarer) >= MINIMUM else lacking).append(name)
    if not enough and not lacking:
        return [], [
            "no attribute has labels on all of the synthetic faces (what was requested), the held-out real faces (to "
            "know the judge's errors) and the training faces (to train the judge)."
        ]
    reason = (
        f"{', '.join(lacking)}: fewer than {MINIMUM} synthetic faces were requested, or fewer than {MINIMUM} held-out "
        "or training faces show it or do not."
    )
    return enough, [reason] if lacking else []


def _adherence(context: Context, views: Mapping[str, _View], family: Sequence[str]) -> Findings:
    """The share of synthetic faces that show what was requested, in all and by what was requested, with the alarm."""
    findings = Findings()
    estimates = {name: view.estimate() for name, view in views.items()}
    known = {name: estimate for name, estimate in estimates.items() if _is_informative(estimate.share)}
    if unknown := [name for name in estimates if name not in known]:
        reason = (
            f"{', '.join(unknown)}: on held-out real faces the judge errs too often to say whether synthetic ones do."
        )
        findings.skipped.append(Adherence.skip(reason))
    adjusted = holm(
        {
            (name, value): requested.p_value
            for name in family
            if name in known
            for value, requested in known[name].requested.items()
        }
    )
    half = inner_fold(context.reference, 0.5, context.seed)
    rows = []
    for name, estimate in known.items():
        view, base = views[name], views[name].baseline(half)
        p_values = [adjusted[name, value] for value in estimate.requested if (name, value) in adjusted]
        findings.measurements.append(
            _share(
                context,
                view,
                estimate.share,
                base.share if base else None,
                min(p_values, default=None),
                f"The share of synthetic faces that show what was requested in {name}, as a classifier of real faces "
                "sees it, corrected for its errors.",
            )
        )
        for value, requested in estimate.requested.items():
            if _is_informative(requested.share):
                wish = name if value else f"no {name}"
                findings.measurements.append(
                    _share(
                        context,
                        view,
                        requested.share,
                        base.requested[value].share if base and value in base.requested else None,
                        adjusted.get((name, value)),
                        f"Of the synthetic faces that were requested to show {wish}, the share that do.",
                        value,
                    )
                )
            rows.append(
                {
                    "attribute": name,
                    "requested": value,
                    "faces": requested.faces,
                    "share": requested.share.value,
                    "low": requested.share.low,
                    "high": requested.share.high,
                    "p": requested.p_value,
                    "sensitivity": estimate.sensitivity.value,
                    "specificity": estimate.specificity.value,
                }
            )
    if rows:
        findings.artifacts.append(
            table(
                pd.DataFrame(rows).round(4),
                name="adherence",
                title="What was requested, and what is shown",
                caption="The share of synthetic faces that show what was requested, corrected for the judge's errors, "
                "not yet cut at 0 and 1; p of the hypothesis that all do, for itself. The judge's sensitivity and "
                "specificity are those on held-out real faces where both kinds are equally likely.",
                section=Adherence.name,
            )
        )
    return findings


def _is_informative(share: Interval) -> bool:
    """Whether an interval leaves anything out."""
    return bool(np.isfinite(share.value)) and (share.low > 0 or share.high < 1)


def _share(
    context: Context,
    view: _View,
    share: Interval,
    base: Interval | None,
    p_value: float | None,
    meaning: str,
    value: bool | None = None,
) -> Measurement:
    """A share, cut at 0 and 1: of the faces requested one value, or of all."""
    share, base = _cut(share), None if base is None or np.isnan(base.value) else _cut(base)
    synthetic, real = (
        int(len(side.rows) if value is None else (side.labels == value).sum()) for side in (view.synthetic, view.real)
    )
    verdict = "info" if base is None else severity(share, base, useless=GUESSED)
    # where the judge is only a little less sure of synthetic faces, p is small and yet nothing is wrong
    alarm = None if p_value is None else p_value < LEVEL and share.value < (1 if base is None else base.low)
    if alarm and verdict != "fail":
        verdict = "warn"
    return Measurement(
        evaluator=Adherence.name,
        name="adherence",
        label="Adherence to the request",
        attribute=view.attribute,
        value=share.value,
        low=share.low,
        high=share.high,
        p_value=p_value,
        direction="higher",
        baseline=None if base is None else Baseline(value=base.value, low=base.low, high=base.high, n=real // 2),
        verdict=verdict,
        alarm=alarm,
        unit="%",
        meaning=meaning,
        n_real=real,
        n_fake=synthetic,
        group={} if value is None else {view.attribute: value},
        protocol={
            **_judge_protocol(context),
            "score": f"probability of being right where {EXPECTED:.0%} of faces are",
            "test": "synthetic against right real faces, Pearson III, Holm over all that was requested",
            "baseline": "half of the held-out real faces with their own labels, the judge's errors from the other half",
        },
    )


def _cut(share: Interval) -> Interval:
    return Interval(*(float(end) for end in np.clip(share, 0, 1)))


def _judge_protocol(context: Context) -> dict[str, Any]:
    return {
        **context.space().protocol,
        "seed": context.seed,
        "judge": f"logistic regressions on features (strength {STRENGTH}) and a network on pixels, {PASSES} passes "
        f"over the training faces and at most {IMAGES:,} images; the network's log-odds count {PIXELS_SHARE:.2f}",
    }


def _leakage(context: Context, views: Mapping[str, _View]) -> Findings:
    """What else the judge sees more, or less, often where an attribute was requested, beyond what goes with it."""
    findings = Findings()
    pairs: dict[tuple[str, str], AttributeLeakage] = {}
    seen: dict[str, pd.Series[float]] = {}
    for name, view in views.items():
        if view.synthetic.rarer < MINIMUM:
            reason = f"leakage of {name}: fewer than {MINIMUM} synthetic faces were requested to show it, or not to."
            findings.skipped.append(Adherence.skip(reason))
            continue
        for value in (True, False):
            seen[name if value else f"not {name}"] = view.synthetic_seen[view.synthetic.labels == value].mean()
        for other in view.synthetic_seen.columns.drop(name):
            pairs[name, other] = leakage_test(
                view.synthetic_seen[other],
                view.synthetic.labels,
                view.real_seen[other],
                view.real.labels,
                people=view.real.people,
                fake_people=view.synthetic.people,
            )
    if not pairs:
        return findings
    adjusted = holm({pair: leakage.p_value for pair, leakage in pairs.items()})
    # as wide as all pairs together ask for, since the largest of them is picked
    widening = NormalDist().inv_cdf(1 - LEVEL / 2 / len(pairs)) / NORMAL
    for name in dict.fromkeys(name for name, _ in pairs):
        other = min((pair[1] for pair in pairs if pair[0] == name), key=lambda other: pairs[name, other].p_value)
        leakage = pairs[name, other]
        excess = Interval(
            leakage.excess.value,
            *(leakage.excess.value + widening * (end - leakage.excess.value) for end in leakage.excess[1:]),
        )
        found = [pair[1] for pair, p_value in adjusted.items() if pair[0] == name and p_value < LEVEL]
        findings.measurements.append(
            Measurement(
                evaluator=Adherence.name,
                name="leakage",
                label="Leakage into other attributes",
                attribute=name,
                signed=True,
                value=excess.value,
                low=excess.low,
                high=excess.high,
                p_value=adjusted[name, other],
                direction="target",
                baseline=Baseline(value=0.0, n=len(views[name].real.rows)),
                verdict="warn" if found else "pass",
                unit="%",
                meaning=_in_words(name, other, leakage, found),
                n_real=len(views[name].real.rows),
                n_fake=len(views[name].synthetic.rows),
                protocol={
                    **_judge_protocol(context),
                    "comparison": "share seen where requested minus where not, synthetic faces minus real ones",
                    "interval": f"for all {len(pairs)} pairs together; p by Holm over them",
                },
                found={"seen": other},
            )
        )
    findings.artifacts.extend(_leakage_tables(pairs, adjusted, pd.DataFrame(seen)))
    return findings


def _in_words(name: str, other: str, leakage: AttributeLeakage, found: Sequence[str]) -> str:
    said = (
        f"Where {name} is requested, {other} is seen {100 * leakage.synthetic.value:+.0f} points more often than where "
        f"it is not; among real faces with and without {name} it is {100 * leakage.real.value:+.0f} points."
    )
    if not found:
        return f"{said} Nothing is shown to change with the request beyond what goes with the attribute."
    return f"{said} What changes otherwise than among real faces: {', '.join(found)}."


def _leakage_tables(
    pairs: Mapping[tuple[str, str], AttributeLeakage], adjusted: Mapping[tuple[str, str], float], seen: pd.DataFrame
) -> list[Artifact]:
    largest = sorted(pairs, key=lambda pair: -abs(pairs[pair].excess.value))[:ROWS]
    rows = [
        {
            "requested": pair[0],
            "seen": pair[1],
            "synthetic": pairs[pair].synthetic.value,
            "real": pairs[pair].real.value,
            "excess": pairs[pair].excess.value,
            "low": pairs[pair].excess.low,
            "high": pairs[pair].excess.high,
            "p": adjusted[pair],
        }
        for pair in largest
    ]
    return [
        table(
            pd.DataFrame(rows).round(4),
            name="leakage",
            title="What else changes with the request",
            caption="How much more often the judge sees an attribute where another was requested than where it was "
            "not, among synthetic faces and, by their own labels, among real ones; the excess of the first over the "
            "second with its own 95 % interval; p by Holm over all pairs. The largest first. Wrong labels make what "
            "goes with an attribute come along less.",
            section=Adherence.name,
        ),
        table(
            seen.round(4).rename_axis("seen").reset_index(),
            name="adherence-matrix",
            title="Requested and seen",
            figure="matrix",
            caption="The share of synthetic faces in which the judge sees each attribute (rows), of those that were "
            "requested to show another or not to show it (columns); not corrected for the judge's errors.",
            section=Adherence.name,
        ),
    ]


def _classification(context: Context, view: _View) -> Findings:
    """The classification accuracy score of one attribute, beside that of as many real training faces of each kind."""
    learnt_from = require(context.train)
    name, train = view.attribute, _Faces.of(learnt_from, view.attribute)
    counts = {
        value: int(min((side.labels == value).sum() for side in (view.synthetic, train))) for value in (True, False)
    }
    if min(counts.values()) < MINIMUM:
        reason = f"classification score of {name}: fewer than {MINIMUM} synthetic or training faces of one class."
        return Findings(skipped=[Adherence.skip(reason)])
    tested = context.features(context.reference)[view.real.rows]
    random = random_generator(context.seed, "classification score", name)
    decisions = []
    for data, side in ((context.samples, view.synthetic), (learnt_from, train)):
        chosen = np.concatenate(
            [random.choice(np.flatnonzero(side.labels == value), counts[value], replace=False) for value in counts]
        )
        decisions.append(learnt_decisions(context.features(data)[side.rows[chosen]], side.labels[chosen], tested))
    scores = classification_scores(view.real.labels, *decisions, people=view.real.people)
    learnt, n_real = sum(counts.values()), len(view.real.rows)
    protocol = {
        **context.space().protocol,
        "seed": context.seed,
        "classifier": f"logistic regression on features, both kinds weighted alike, strength {STRENGTH}",
        "learns_from": {f"{'' if value else 'no '}{name}": count for value, count in counts.items()},
        "interval": "over test people",
    }
    baseline = Baseline(value=scores.real.value, low=scores.real.low, high=scores.real.high, n=learnt)
    return Findings(
        [
            Measurement(
                evaluator=Adherence.name,
                name="classification_accuracy_score",
                label="Classification accuracy score",
                attribute=name,
                value=scores.synthetic.value,
                low=scores.synthetic.low,
                high=scores.synthetic.high,
                direction="higher",
                baseline=baseline,
                verdict=severity(scores.synthetic, scores.real, useless=GUESSED),
                meaning=f"Balanced accuracy in telling {name} on held-out real faces after learning from synthetic "
                "faces alone; the baseline learnt from as many real ones.",
                n_real=n_real,
                n_fake=learnt,
                protocol=protocol,
            ),
            Measurement(
                evaluator=Adherence.name,
                name="classification_score_ratio",
                label="Classification score, next to that of real faces",
                attribute=name,
                value=scores.ratio.value,
                low=scores.ratio.low,
                high=scores.ratio.high,
                direction="higher",
                meaning=f"What learning {name} from synthetic faces achieves, over what as many real ones achieve.",
                n_real=n_real,
                n_fake=learnt,
                protocol=protocol,
            ),
        ]
    )


def learnt_decisions(features: Features, labels: Booleans, tested: Features) -> Booleans:
    """What a classifier that learns from some faces says of others.

    A linear one on frozen features: a few hundred faces are enough for it, so that the score is about the labels and
    not about how many there are; training is convex, so that two scores differ by their faces alone.

    Args:
        features: (N, D) of the faces to learn from.
        labels: (N,) what they show; of both kinds.
        tested: (M, D) of faces that were not learnt from.

    Returns:
        (M,) whether each is said to show it.
    """
    probe = LinearProbe.train(features, pd.DataFrame({"label": pd.array(labels, dtype="boolean")}), balanced=True)
    return np.asarray(probe.log_odds(tested)[:, 0] > 0)


def _wrong_faces(context: Context, views: Mapping[str, _View], shown: Sequence[str]) -> list[Artifact]:
    """The synthetic faces that are most surely not what was requested, a row an attribute."""
    rows = {}
    for name in shown:
        view = views[name]
        seen = view.synthetic_seen[name].to_numpy(dtype=np.float64)
        wrong = np.where(view.synthetic.labels, 1 - seen, seen)
        worst = most_of(np.where(wrong > 0.5, wrong, np.nan), SHOWN)
        if len(worst):
            rows[name] = context.samples.images[view.synthetic.rows[worst]]
    if not rows:
        return []
    return [
        image_grid(
            list(rows.values()),
            name="not-as-requested",
            title="Synthetic faces that are most surely not what was requested",
            caption=f"From the top: {', '.join(rows)}. The judge is surest of the first in each row that they show it "
            "where they should not, or do not where they should.",
            section=Adherence.name,
            row_labels=list(rows),
        )
    ]
