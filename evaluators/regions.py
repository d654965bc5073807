"""Is it the face that falls short, or what is around it? Distance and variety of both regions, each for itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from augface.arrays import Floats64
from augface.data.dataset import FaceDataset
from augface.data.face_region import CENTRE, EDGE, RADII, face_mask
from augface.evaluators._compared import Compared
from augface.evaluators.base import Context, Evaluator, Findings, Suggestion, Urgency
from augface.metrics.intervals import Interval, squared_interval
from augface.metrics.kernel import distance_of_halves, kernel_estimate
from augface.metrics.manifolds import REPLICATES, prdc_intervals
from augface.results import ImageGrid, Measurement, Section
from augface.results.artifacts import image_grid
from augface.seeds import random_generator

MINIMUM = 100
"""Faces on each side, below which neighbourhoods are too large to mean anything."""
MOST = 300
"""Faces of each side: enough to tell the regions apart, and each is looked at twice more."""
K = 5
SHOWN = 12

Region = Literal["face", "surroundings"]
REGIONS: Mapping[Region, str] = {"face": "the face", "surroundings": "hair, clothes and background"}


@dataclass(frozen=True)
class Masked:
    """The compared faces with one region left and the other replaced by that of the mean held-out real face."""

    reference: FaceDataset
    synthetic: FaceDataset
    other: FaceDataset


class Regions(Evaluator):
    """Kernel distance, precision, recall and coverage of the face and of its surroundings, in the default space.

    What is outside a region is replaced by the mean held-out real face, on all sides alike, behind a soft edge. So a
    face drawn well before a smeared background has a face as near as real ones and surroundings that are not.
    """

    section: ClassVar[Section] = Section(
        key="regions",
        title="Face and surroundings",
        meaning="Whether it is the face that falls short, or hair, clothes and background.",
        key_measures=("surroundings_share", "face_kernel_distance", "surroundings_kernel_distance"),
        one_each=True,
        depends_on_n=True,
    )

    def evaluate(self, context: Context) -> Findings:
        """Measure both regions at one n, each with the numbers of other real faces."""
        match = context.sides.match(most=MOST)
        if len(match) < MINIMUM:
            reason = f"{len(match)} faces on each side are too few for neighbourhoods; at least {MINIMUM} are needed."
            return Findings(skipped=[self.skip(reason)])
        compared = Compared(self.name, context, context.spaces[0], match)
        sides = [context.reference.select(match.reference), context.samples.select(match.synthetic)]
        sides.append(context.sides.other.select(match.other))
        mean_face = np.asarray(sides[0].images).mean(axis=0)
        findings = Findings()
        distances = {}
        for region in REGIONS:
            masked = Masked(*(_masked(side, region, mean_face) for side in sides))
            distances[region] = _measure(compared, region, masked, findings)
            findings.artifacts.append(_picture(region, masked, real=context.show_real))
        findings.measurements.insert(0, _share(compared, distances))
        return findings

    @classmethod
    def suggestions(cls, measurements: Sequence[Measurement]) -> list[Suggestion]:
        """A tighter crop, where what is around the face falls short and the face does not."""
        found = {one.name: one for one in measurements}
        share, surroundings = found.get("surroundings_share"), found.get("surroundings_kernel_distance")
        if share is None or surroundings is None or surroundings.verdict not in ("warn", "fail"):
            return []
        if (share.low or 0) < 0.5 or share.value is None:
            return []
        reason = (
            f"{share.value:.0%} of the distance to real faces is in hair, clothes and background, which no attribute "
            "of a face needs."
        )
        return [Suggestion(Urgency.FINE, "Crop the faces more tightly", reason, [share, surroundings])]


def _masked(faces: FaceDataset, region: Region, mean_face: Floats64) -> FaceDataset:
    """The faces with everything outside a region replaced by the mean face."""
    kept = face_mask(faces.size)[:, :, None]
    kept = kept if region == "face" else 1 - kept
    images = np.asarray(faces.images) * kept + mean_face * (1 - kept)
    return replace(faces, images=FaceDataset.from_arrays(images.round().astype(np.uint8)).images, originals=None)


def _measure(compared: Compared, region: Region, masked: Masked, findings: Findings) -> Interval:
    """The region's kernel distance, which is returned, and its precision, recall and coverage."""
    context, what = compared.context, REGIONS[region]
    reference, synthetic, other = (
        context.features(side, compared.space) for side in (masked.reference, masked.synthetic, masked.other)
    )
    people, other_people = masked.reference.identity, masked.other.identity
    protocol = {
        "input": f"{masked.reference.size} x {masked.reference.size} pixels",
        "region": region,
        "ellipse": {"centre": list(CENTRE), "radii": list(RADII), "edge": EDGE, "unit": "image sizes"},
        "outside_region": "the mean of the held-out real faces",
    }
    useless = distance_of_halves(reference)
    distance, null = (
        squared_interval(estimate.value, estimate.standard_error)
        for estimate in (
            kernel_estimate(synthetic, reference, None, people),
            kernel_estimate(other, reference, other_people, people),
        )
    )
    findings.measurements.append(
        compared.measurement(
            f"{region}_kernel_distance",
            distance,
            label=f"Kernel distance of {what}",
            null=null,
            useless=useless,
            protocol={**protocol, "estimator": "unbiased, all pairs", "interval": "jackknife"},
            found={"halves": useless},
            meaning=f"How unlike real ones {what} of synthetic images are; the rest is the same on both sides.",
        )
    )
    numbers, nulls = (
        prdc_intervals(
            reference,
            side,
            K,
            real_groups=people,
            fake_groups=groups,
            random=random_generator(context.seed, "regions groups"),
        )
        for side, groups in ((synthetic, None), (other, other_people))
    )
    meanings = {
        "precision": f"The share of synthetic images whose region, {what}, lies where real ones do.",
        "recall": f"The share of real images whose region, {what}, lies where synthetic ones do.",
        "coverage": f"The share of real images that have a synthetic one near them in this region, {what}.",
    }
    for name, meaning in meanings.items():
        findings.measurements.append(
            compared.measurement(
                f"{region}_{name}",
                numbers[name],
                label=f"{name.capitalize()} of {what}",
                null=nulls[name],
                useless=0.0,
                direction="higher",
                protocol={
                    **protocol,
                    "k": K,
                    "interval": f"{REPLICATES} random halves of the people where known, else of the faces",
                },
                meaning=meaning,
            )
        )
    return distance


def _share(compared: Compared, distances: Mapping[Region, Interval]) -> Measurement:
    """How much of both distances lies outside the face, between the ends of their intervals: never too sure."""
    face, surroundings = distances["face"], distances["surroundings"]

    def share(outside: float, inside: float) -> float:
        outside, inside = max(outside, 0.0), max(inside, 0.0)
        return outside / (outside + inside) if outside + inside > 0 else 0.5

    return compared.measurement(
        "surroundings_share",
        Interval(
            share(surroundings.value, face.value),
            share(surroundings.low, face.high),
            share(surroundings.high, face.low),
        ),
        label="Share of the distance outside the face",
        unit="%",
        direction="target",
        verdict="info",
        protocol={"of": "the kernel distances of both regions, summed", "interval": "from the ends of both intervals"},
        meaning="How much of what distinguishes synthetic images from real ones is in hair, clothes and background: "
        "above half, work on those (or crop tighter); below, on the face.",
    )


def _picture(region: Region, masked: Masked, *, real: bool) -> ImageGrid:
    """What was compared, so that anyone sees whether the ellipse suits these images."""
    sides = [(masked.synthetic, "synthetic"), *([(masked.reference, "held-out real")] if real else [])]
    return image_grid(
        [np.asarray(side.images[:SHOWN]) for side, _ in sides],
        name=f"region-{region}",
        title=f"What was compared of {REGIONS[region]}",
        caption="The rest is replaced by the mean held-out real face.",
        section=Regions.name,
        row_labels=[name for _, name in sides],
        shows_real_people=real and masked.reference.shows_people,
    )
