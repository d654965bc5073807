"""What changes in a face when one attribute is requested of it and then not, all else held: as much as it should, and
nothing else?

The same noise is rendered with the attribute absent and present. The judge of attributes, which no generator
learns from, says how much more sure it becomes of the attribute, beside how much it differs between real faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy import special

from augface.arrays import Booleans, Floats64
from augface.data.dataset import FaceDataset, concatenate
from augface.data.face_region import CENTRE, EDGE, RADII, face_mask
from augface.errors import require
from augface.evaluators.base import Context, Evaluator, Findings, Suggestion, Urgency
from augface.features import weights_status
from augface.metrics.intervals import Interval, normal_interval, proportion_interval
from augface.results import Baseline, ImageGrid, Measurement, Section
from augface.results.artifacts import image_grid
from augface.results.severity import severity
from augface.seeds import derive_seed

MOST = 3
"""Attributes, where none was named: the most balanced."""
FACES = 64
"""Faces of each attribute: enough for the mean of a change, and each is looked at twice."""
COMPARED = 20
"""Of those, the ones that the identity space looks at."""
FEWEST = 10
"""Held-out real faces with the attribute and without, and synthetic ones."""
LEAKED = 0.3
"""Standard deviations of real faces that another attribute may change beyond what goes with the edited one."""
SAME_PERSON = 0.6
"""The distance in the identity space up to which dlib takes two faces for one person."""
SHOWN = 8
STATES = {"absent": False, "present": True}


class Steering(Evaluator):
    """Span, direction, leakage, identity kept and change outside the face, when one condition is turned."""

    section: ClassVar[Section] = Section(
        key="steering",
        title="Editing one attribute",
        meaning="What changes when the same face is generated with an attribute and without: whether the attribute "
        "changes as much as it differs between real faces, and whether the rest of the face stays.",
        key_measures=("edit_span", "edit_leakage", "edit_identity"),
        one_each=True,
    )
    needs: ClassVar[frozenset[str]] = frozenset({"train", "steerable"})

    def evaluate(self, context: Context) -> Findings:
        """All five, for the attributes that were named, or for some."""
        findings = Findings()
        judged = context.judged(context.reference)
        if judged is None:
            return Findings(skipped=[self.skip("no attribute has training faces of both kinds to train the judge on.")])
        names, lacking = _attributes(context, judged)
        if lacking:
            reason = f"{', '.join(lacking)}: fewer than {FEWEST} held-out real faces show it or do not."
            findings.skipped.append(self.skip(reason))
        with_identity, why = weights_status("identity")
        if not with_identity and names:
            findings.skipped.append(self.skip(f"whether the person stays the same: {why}"))
        for name in names:
            turned = _turn(context, name)
            measured = [
                _span(context, turned),
                _right_way(context, turned),
                _leakage(context, turned),
                *([_identity(context, turned)] if with_identity else []),
                _outside(context, turned),
            ]
            findings.measurements.extend(measured)
            findings.artifacts.append(_picture(turned))
        return findings

    @classmethod
    def suggestions(cls, measurements: Sequence[Measurement]) -> list[Suggestion]:
        """To train longer, where an attribute hardly answers."""
        weak = [one for one in measurements if one.name == "edit_span" and one.verdict == "fail"]
        if not weak:
            return []
        worst = min(weak, key=lambda one: require(one.value))
        reason = (
            f"Turning {worst.attribute} on and off changes a face by {require(worst.value):.0%} of what separates real "
            "faces with it from those without."
        )
        title = "Train longer: requests hardly change a face"
        return [Suggestion(Urgency.WEAK + 2, title, reason, [worst], train_longer=True)]


@dataclass(frozen=True)
class _Turned:
    """The same faces with one attribute absent and present."""

    attribute: str
    faces: dict[str, FaceDataset]
    log_odds: dict[str, pd.DataFrame]
    """What the judge says: one row a face, one column an attribute."""


def _attributes(context: Context, judged: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The attributes to turn, and those that were named and cannot be looked at."""
    editable = require(context.generator).editable
    known = [name for name in map(str, judged) if name in editable and name in context.reference.attributes]
    rarer = {name: min(_mask(context, name, True).sum(), _mask(context, name, False).sum()) for name in known}
    enough = [name for name in known if rarer[name] >= FEWEST]
    if not context.targets:
        return sorted(enough, key=lambda name: -rarer[name])[:MOST], []
    return [name for name in context.targets if name in enough], [
        name for name in context.targets if name not in enough
    ]


def _mask(context: Context, name: str, value: bool) -> Booleans:
    return context.reference.matching({name: value})


def _turn(context: Context, name: str) -> _Turned:
    generator = require(context.generator)
    codes = generator.codes(generator.sample(FACES, seed=derive_seed(context.seed, "steering")))
    faces = {state: generator.render(generator.request(codes, {name: value})) for state, value in STATES.items()}
    both = concatenate(list(faces.values()), spec=generator.name)
    seen = _log_odds(require(context.judged(both)))
    parts = (seen.iloc[:FACES].reset_index(drop=True), seen.iloc[FACES:].reset_index(drop=True))
    return _Turned(name, faces, dict(zip(STATES, parts, strict=True)))


def _log_odds(probabilities: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(special.logit(probabilities.astype(np.float64).clip(1e-6, 1 - 1e-6)))


def _change(turned: _Turned) -> pd.DataFrame:
    return turned.log_odds["present"] - turned.log_odds["absent"]


def _difference(context: Context, name: str) -> pd.DataFrame:
    """How real faces with the attribute differ from those without: means and squared standard errors, by attribute."""
    seen = _log_odds(require(context.judged(context.reference)))
    present, absent = seen[_mask(context, name, True)], seen[_mask(context, name, False)]
    variance = present.var() / len(present) + absent.var() / len(absent)
    return pd.DataFrame({"mean": present.mean() - absent.mean(), "variance": variance})


def _span(context: Context, turned: _Turned) -> Measurement:
    change = _change(turned)[turned.attribute]
    real = _difference(context, turned.attribute)
    mean, variance = (float(real[name][turned.attribute]) for name in ("mean", "variance"))
    ratio = float(change.mean()) / mean
    error = float(np.sqrt(float(change.var()) / len(change) + ratio**2 * variance)) / abs(mean)
    interval = normal_interval(ratio, error)
    return _measurement(
        context,
        turned,
        "edit_span",
        interval,
        label="Change when the attribute is turned on",
        unit="%",
        direction="target",
        baseline=Baseline(value=1.0, n=len(context.reference)),
        verdict=severity(interval, (1.0, 1.0, 1.0), useless=0.0),
        meaning=f"How much surer the judge becomes of {turned.attribute} when it is requested of the same face, of "
        "what separates real faces with it from those without, in mean log-odds.",
    )


def _right_way(context: Context, turned: _Turned) -> Measurement:
    rises = _change(turned)[turned.attribute] > 0
    return _measurement(
        context,
        turned,
        "edit_right_way",
        proportion_interval(int(rises.sum()), len(rises)),
        label="Faces that change the right way",
        unit="%",
        direction="higher",
        meaning=f"The share of faces in which {turned.attribute} is seen more where it is requested than where its "
        "absence is.",
    )


def _leakage(context: Context, turned: _Turned) -> Measurement:
    """The attribute that changes most beyond what goes with the edited one among real faces."""
    change, real = _change(turned).drop(columns=turned.attribute), _difference(context, turned.attribute)
    scale = _log_odds(require(context.judged(context.reference)))[change.columns].std().clip(lower=1e-6)
    mean, natural = change.mean(), real.loc[change.columns, "mean"]
    # what goes with the attribute may come along, wholly, in part or not at all
    excess = (mean - mean.clip(np.minimum(natural, 0), np.maximum(natural, 0))) / scale
    error = np.sqrt(change.var() / len(change) + real.loc[change.columns, "variance"]) / scale
    if not len(excess):
        interval, seen = Interval(0.0, 0.0, 0.0), "nothing else"
    else:
        seen = str(excess.abs().idxmax())
        # as wide as all attributes together ask for, since the largest is picked
        reach = NormalDist().inv_cdf(1 - 0.025 / len(excess)) * float(error[seen])
        value = float(abs(excess[seen]))
        interval = Interval(value, max(0.0, value - reach), value + reach)
    return _measurement(
        context,
        turned,
        "edit_leakage",
        interval,
        label="Leakage of the edit",
        unit="standard deviations",
        direction="lower",
        verdict="pass" if interval.low <= LEAKED else "warn",
        meaning=f"How far the most affected other attribute, {seen}, changes with {turned.attribute} beyond what goes "
        "with it among real faces, in standard deviations of real faces.",
        found={"seen": seen},
    )


def _identity(context: Context, turned: _Turned) -> Measurement:
    first, second = (
        context.space("identity").extract(np.asarray(faces.images[:COMPARED])) for faces in turned.faces.values()
    )
    same = np.linalg.norm(first - second, axis=1) < SAME_PERSON
    return _measurement(
        context,
        turned,
        "edit_identity",
        proportion_interval(int(same.sum()), len(same)),
        label="Same person after the edit",
        unit="%",
        direction="higher",
        n_fake=len(same),
        meaning=f"The share of faces that a face recognition network takes for one person with and without "
        f"{turned.attribute}.",
    )


def _outside(context: Context, turned: _Turned) -> Measurement:
    mask = face_mask(turned.faces["present"].size)
    first, second = (np.asarray(faces.images).astype(np.float64) for faces in turned.faces.values())
    change = np.abs(second - first).mean(axis=3)
    inside, outside = ((change * part).sum(axis=(1, 2)) / part.sum() for part in (mask, 1 - mask))
    return _measurement(
        context,
        turned,
        "edit_outside",
        _share(outside, inside),
        label="Change outside the face",
        unit="%",
        direction="lower",
        meaning=f"How much hair, clothes and background change when {turned.attribute} is turned on, of how much the "
        "face does: mean absolute differences of pixels.",
    )


def _share(part: Floats64, whole: Floats64) -> Interval:
    """The ratio of two means over faces, by the delta method."""
    if not whole.mean():
        return Interval(0.0, 0.0, 0.0)
    ratio = float(part.mean() / whole.mean())
    error = float((part - ratio * whole).std(ddof=1) / whole.mean() / np.sqrt(len(part)))
    return normal_interval(ratio, error)


def _measurement(
    context: Context, turned: _Turned, name: str, interval: Interval, *, n_fake: int = FACES, **more: object
) -> Measurement:
    return Measurement.model_validate(
        {
            "evaluator": Steering.name,
            "name": name,
            "attribute": turned.attribute,
            "value": interval.value,
            "low": interval.low,
            "high": interval.high,
            "n_real": len(context.reference),
            "n_fake": n_fake,
            "protocol": {
                **context.space().protocol,
                "seed": context.seed,
                "conditions": "absent and present, the noise and all others held",
                "ellipse": {"centre": list(CENTRE), "radii": list(RADII), "edge": EDGE, "unit": "image sizes"},
                "same_person": SAME_PERSON,
                "interval": "over faces",
            },
            **more,
        }
    )


def _picture(turned: _Turned) -> ImageGrid:
    return image_grid(
        [np.asarray(faces.images[:SHOWN]) for faces in turned.faces.values()],
        name=f"steering-{turned.attribute}",
        title=f"{turned.attribute}, off and on",
        caption=f"The same generated faces with {turned.attribute} absent (above) and present (below), none picked.",
        section=Steering.name,
        row_labels=list(turned.faces),
    )
