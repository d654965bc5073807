"""What distinguishes the synthetic faces as a set: a shifted average, too little variance, missing modes, or shape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd

from augface.arrays import Floats64
from augface.classifiers.plausibility import damaged
from augface.data.dataset import FaceDataset
from augface.evaluators._compared import Compared, most_of
from augface.evaluators.base import Context, Evaluator, Findings, Suggestion, Urgency
from augface.metrics.decomposition import (
    CLUSTERS,
    COMPONENTS,
    FEWEST_GROUPS,
    HALVES,
    LEAST,
    NULLS,
    PARTS,
    Decomposition,
    decompose,
    explained_shift,
    mean_shift,
    variance_ratio,
)
from augface.metrics.kernel import most_different_halves
from augface.results import Artifact, Measurement, Section
from augface.results.artifacts import image_grid, table
from augface.results.severity import severity
from augface.seeds import random_generator

MINIMUM = max(100, LEAST)
"""Faces on each side, below which a mixture says little."""
MOST = 1_000
"""Faces of each side."""
DAMAGED = 64
"""Real faces that are damaged on purpose, to see in which direction that moves features."""
DAMAGE = ("blur", "noise", "checkerboard")
"""What the shift is compared with, of `augface.classifiers.plausibility.DAMAGES`."""
ALIKE = 0.4
"""Share of the squared shift that a kind of damage must explain to be named."""
SHOWN = 8

WORDS: Mapping[str, str] = {
    "shift": "the average face is another",
    "scale": "the faces vary by another amount",
    "composition": "modes are missing or too frequent",
    "shape": "faces are unlike real ones in other ways",
}


@dataclass(frozen=True)
class Shift:
    """From the mean of real features to that of synthetic ones.

    Attributes:
        direction: (D,).
        explained: of each kind of damage, the share of the squared shift that real faces have too when damaged so.
    """

    direction: Floats64
    explained: Mapping[str, float]

    @property
    def damage(self) -> str:
        """The kind of damage that the shift looks like; empty where it looks like none."""
        kind = max(self.explained, key=self.explained.__getitem__)
        return kind if self.explained[kind] >= ALIKE else ""


class DistanceParts(Evaluator):
    """The energy distance to real faces divided into shift, scale, composition and shape, in the default space."""

    section: ClassVar[Section] = Section(
        key="decomposition",
        title="What the distance is made of",
        meaning="Whether synthetic faces differ from real ones because their average is shifted, because they vary too "
        "little, because modes are missing, or in other ways: so that it is known what to mend.",
        key_measures=("mean_shift", "variance_ratio"),
        lights={"diverse": ("variance_ratio",)},
        one_each=True,
        depends_on_n=True,
    )

    def evaluate(self, context: Context) -> Findings:
        """Divide the distance, and show the faces at both ends of the shift."""
        match = context.sides.match(most=MOST)
        if len(match) < MINIMUM:
            reason = f"{len(match)} faces on each side are too few for a mixture; at least {MINIMUM} are needed."
            return Findings(skipped=[self.skip(reason)])
        compared = Compared(self.name, context, context.spaces[0], match)
        known = [people for people in (compared.reference_people, compared.other_people) if people is not None]
        if min((len(np.unique(people)) for people in known), default=MINIMUM) < FEWEST_GROUPS:
            reason = f"real faces of fewer than {FEWEST_GROUPS} people on a side do not say what is chance."
            return Findings(skipped=[self.skip(reason)])
        synthetic_people = None if context.samples.identity is None else context.samples.identity[match.synthetic]
        parts = decompose(
            compared.reference,
            compared.synthetic,
            compared.other,
            real_groups=compared.reference_people,
            fake_groups=synthetic_people,
            other_groups=compared.other_people,
            random=random_generator(context.seed, "decomposition"),
        )
        shift = _shift(compared)
        moments = _moments(compared, shift)
        findings = Findings([*moments, *_shares(compared, parts)])
        findings.artifacts.append(_table(parts, shift, moments))
        if moments[0].verdict != "pass":
            findings.artifacts.append(_ends(compared, shift))
        return findings

    @classmethod
    def suggestions(cls, measurements: Sequence[Measurement]) -> list[Suggestion]:
        """What to mend, where the average or the variance is certainly off."""
        found = {one.name: one for one in measurements}
        shift, ratio = found.get("mean_shift"), found.get("variance_ratio")
        suggestions = []
        if ratio is not None and ratio.verdict in ("warn", "fail") and (ratio.value or 0) < 1:
            title = "Train longer, or draw the faces less truncated: they vary too little"
            suggestions.append(Suggestion(Urgency.WEAK + 1, title, ratio.meaning, [ratio], train_longer=True))
        if shift is not None and shift.verdict in ("warn", "fail") and shift.found.get("damage"):
            damage = shift.found["damage"]
            title = f"Look at the faces at both ends of the shift: it is that of {damage}"
            suggestions.append(Suggestion(Urgency.WEAK + 3, title, shift.meaning, [shift], train_longer=True))
        return suggestions


def _shift(compared: Compared) -> Shift:
    """The difference of the means, beside the directions in which damage moves real faces."""
    real, synthetic = (np.asarray(side, dtype=np.float64) for side in (compared.reference, compared.synthetic))
    direction = synthetic.mean(axis=0) - real.mean(axis=0)
    noise = sum(float(side.var(axis=0).sum()) / (len(side) - 1) for side in (real, synthetic))
    context = compared.context
    faces = context.reference.select(np.sort(compared.match.reference[:DAMAGED]))
    faces = replace(faces, originals=None)  # both before and after at the size of the data set
    before = context.features(faces, compared.space).mean(axis=0, dtype=np.float64)
    directions = []
    for kind in DAMAGE:
        images = damaged(np.asarray(faces.images), random_generator(context.seed, "damage", kind), (kind,))
        changed = replace(faces, images=FaceDataset.from_arrays(images).images)
        directions.append(context.features(changed, compared.space).mean(axis=0, dtype=np.float64) - before)
    explained = explained_shift(direction, directions, noise)
    return Shift(direction, dict(zip(DAMAGE, map(float, explained), strict=True)))


def _moments(compared: Compared, shift: Shift) -> list[Measurement]:
    """The shift of the mean and the ratio of the total variances, in words too."""
    real, people = compared.reference, compared.reference_people
    distance = mean_shift(real, compared.synthetic, people)
    null = mean_shift(real, compared.other, people, compared.other_people)
    lower, upper = most_different_halves(real)
    useless = mean_shift(real[lower], real[upper]).value
    looks = f" That is how real faces move when they have {shift.damage}." if shift.damage else ""
    ratio = variance_ratio(real, compared.synthetic, people)
    ratio_null = variance_ratio(real, compared.other, people, compared.other_people)
    return [
        compared.measurement(
            "mean_shift",
            distance,
            label="Shift of the average face",
            null=null,
            useless=useless,
            unit="SD",
            protocol={
                "unit": "root of the total variance of held-out real faces",
                "estimator": "unbiased in the square",
                "interval": "normal, of the square; people kept together",
                "compared_with": list(DAMAGE),
                "damaged": DAMAGED,
            },
            found={"damage": shift.damage, "explained": {kind: round(x, 4) for kind, x in shift.explained.items()}},
            meaning=f"The average synthetic face is {distance.value:.2f} standard deviations of real faces away from "
            f"the average real one, and that of other real faces {null.value:.2f}.{looks}",
        ),
        compared.measurement(
            "variance_ratio",
            ratio,
            label="Variance, next to that of real faces",
            null=ratio_null,
            verdict=severity(ratio, ratio_null, useless=0.0 if ratio.value < 1 else 2.0),
            direction="target",
            protocol={"of": "total variance", "interval": "log ratio, people kept together"},
            meaning=f"The synthetic faces vary {_amount(ratio.value)} real ones.",
        ),
    ]


def _amount(ratio: float) -> str:
    """How a ratio of variances is said.

    >>> _amount(0.69), _amount(1.2), _amount(1.001)
    ('31 % less than', '20 % more than', 'as much as')
    """
    if math.isnan(ratio) or abs(ratio - 1) < 0.005:
        return "as much as"
    return f"{abs(ratio - 1):.0%} {'less' if ratio < 1 else 'more'} than".replace("%", " %")


def _shares(compared: Compared, parts: Decomposition) -> list[Measurement]:
    """The whole distance, and the share of each part; where there is nothing to divide, the distance alone."""
    protocol = {
        "distance": "energy distance beyond that of random splits of real faces",
        "null_splits": NULLS,
        "mixture": f"{CLUSTERS} Gaussians of one covariance in {COMPONENTS} principal components of other real faces",
        "division": "Shapley values of undoing shift, scale and shares of the mixture, fitted jointly",
        "interval": f"{HALVES} random halves of the people where known, else of the faces",
    }
    whole = compared.measurement(
        "energy_distance",
        parts.distance,
        label="Energy distance",
        protocol=protocol,
        found={"largest": parts.largest},
        meaning="How unlike real faces the synthetic ones are as a whole, in mean distances of two real faces; 0 would "
        "be perfect."
        + (f" Most of it is there because {WORDS[parts.largest]}." if parts.largest else " It cannot be divided."),
    )
    if not parts.largest:
        return [whole]
    return [
        whole,
        *(
            compared.measurement(
                f"{part}_share",
                parts.shares[part],
                label=f"Share of the distance: {part}",
                unit="%",
                direction="target",
                protocol=protocol,
                meaning=f"How much of the distance is there because {WORDS[part]}.",
            )
            for part in PARTS
        ),
    ]


def _table(parts: Decomposition, shift: Shift, moments: Sequence[Measurement]) -> Artifact:
    """The parts of the distance, the largest first, in words."""
    said = {
        "shift": moments[0].meaning,
        "scale": moments[1].meaning,
        "composition": "The shares of modes (clusters of real faces) differ.",
        "shape": "What is left after shift, scale and shares of modes are undone.",
    }
    order = sorted(PARTS, key=lambda part: -np.nan_to_num(parts.shares[part].value))
    frame = pd.DataFrame(
        {
            "part": order,
            "share of the distance": [parts.shares[part].value for part in order],
            "low": [parts.shares[part].low for part in order],
            "high": [parts.shares[part].high for part in order],
            "what it is": [said[part] for part in order],
        }
    ).round(3)
    likeness = ", ".join(f"{kind} {share:.0%}" for kind, share in shift.explained.items())
    return table(
        frame,
        name="parts",
        title="What the distance is made of",
        caption="Shares of the energy distance with 95 % intervals; none are given where the distance is not certainly "
        f"above that of real faces. Of the squared shift, damage of real faces explains: {likeness}.",
        section=DistanceParts.name,
    )


def _ends(compared: Compared, shift: Shift) -> Artifact:
    """Real and synthetic faces at both ends of the shifted direction."""
    context, match = compared.context, compared.match
    places = [np.asarray(side @ shift.direction, dtype=np.float64) for side in (compared.reference, compared.synthetic)]
    rows, labels = [], []
    sides = [("synthetic", context.samples.images, match.synthetic, places[1])]
    if context.show_real:
        sides.insert(0, ("real", context.reference.images, match.reference, places[0]))
    for end, sign in (("real", -1), ("synthetic", 1)):
        for name, images, numbers, along in sides:
            rows.append(np.asarray(images[numbers[most_of(sign * along, SHOWN)]]))
            labels.append(f"{name}, farthest on the {end} side")
    return image_grid(
        rows,
        name="shift",
        title="Faces at both ends of the shift",
        caption="The faces that lie farthest on either end of the line from the average real face to the average "
        "synthetic one: what the rows on the synthetic side have in common is what there is too much of.",
        section=DistanceParts.name,
        row_labels=labels,
        shows_real_people=context.show_real and context.reference.shows_people,
    )
