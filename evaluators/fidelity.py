"""How far the synthetic faces are from held-out real ones, beside how far real ones are from each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
import pandas as pd

from augface.arrays import Floats64
from augface.evaluators._compared import GROUP_MINIMUM, Compared, compared_groups, most_of, small_groups
from augface.evaluators.base import Argument, Context, Evaluator, Findings, Suggestion, Urgency
from augface.features.base import Features
from augface.features.inception import InceptionSpace
from augface.features.timm_spaces import DinoSpace, LargeClipSpace
from augface.metrics.frechet import ENOUGH, FrechetEstimate, corrected_frechet, frechet_estimate
from augface.metrics.inception_score import inception_score
from augface.metrics.intervals import Interval, clustered_variance, normal_interval, squared_interval, t_quantile
from augface.metrics.kernel import (
    CMMD_BANDWIDTH,
    CMMD_SCALE,
    KernelEstimate,
    cmmd_estimate,
    distance_of_halves,
    kernel_estimate,
    kernel_test,
)
from augface.metrics.mind import DIRECTIONS, SCALE, monge_inception_distance
from augface.results import Artifact, Measurement, Section
from augface.results.artifacts import image_grid, table
from augface.seeds import random_generator

TESTED = 2_000
"""Faces of each side in the permutation test, whose memory and time grow with their square."""
MINIMUM = 20
"""Faces on each side, below which no distance is given."""
MIND_MOST = 5_000
"""Faces of each side that MIND is of: as many as are usual."""
SHOWN = 24
SPLITS = 10
"""Parts of the Inception score."""

KERNEL = {
    "kernel": "(x.y / D + 1)^3",
    "estimator": "unbiased, all pairs",
    "interval": "jackknife over people where known, else over faces; of the root where above 0",
}
UNTRAINED = 3.0
"""Kernel distance over that of the real faces' most different halves, from which on a generator counts as not trained:
real faces of CelebA blurred by 4 of their 64 pixels are that far."""
FRECHET = {"interval": "delta method; wider than need be below 10 D faces"}


class Fidelity(Evaluator):
    """Fréchet and kernel distance in each feature space, of all faces and of each subgroup.

    Also the numbers that other tools give: FID, KID, MIND and Inception score in Inception's space, FD-DINOv2
    in DINOv2's, CMMD in the large CLIP's.
    """

    section: ClassVar[Section] = Section(
        key="fidelity",
        title="Fidelity",
        meaning="How far the synthetic faces are from real ones as a set. The baseline is the distance that real faces "
        "have from other real faces, which no generator can be expected to beat.",
        key_measures=("fid", "kid", "frechet_distance", "kernel_distance"),
        lights={"realistic": ("kernel_distance",)},
        by_group="kernel_distance",
        depends_on_n=True,
    )

    before_filters: ClassVar[bool] = True

    def evaluate(self, context: Context) -> Findings:
        """All distances at one n, with the same distances between real faces; what n does not allow is skipped."""
        match = context.sides.match()
        if len(match) < MINIMUM:
            halves = " (half of the real faces are the baseline)" if context.train is None else ""
            reason = f"{len(match)} faces on each side are too few; at least {MINIMUM} are needed{halves}."
            return Findings(skipped=[self.skip(reason)])
        findings = Findings()
        for space in context.spaces:
            everything = Compared(self.name, context, space, match)
            useless = distance_of_halves(everything.reference)
            measurement, kernel = kernel_distance(everything, useless, test=True)
            findings.measurements.append(measurement)
            frechet = _frechet(everything, findings)
            _as_other_tools(everything, findings)
            if space == context.spaces[0]:
                findings.artifacts.extend(_costliest(everything, kernel, frechet))
            for group in compared_groups(self.name, context, space):
                findings.measurements.append(kernel_distance(group, useless)[0])
            enough = ENOUGH * everything.dimension
            for group in compared_groups(self.name, context, space, least=enough, most=enough):
                _frechet(group, findings)
        if InceptionSpace.name in context.missing_spaces:
            reason = context.missing_spaces[InceptionSpace.name]
            findings.skipped.append(self.skip(f"FID, KID and Inception score: {reason}"))
        if small := small_groups(context):
            shown = "; ".join(small[:6]) + ("; …" if len(small) > 6 else "")
            reason = f"fewer than {GROUP_MINIMUM} faces on a side, no numbers of their own: {shown}."
            findings.skipped.append(self.skip(reason))
        return findings

    @classmethod
    def arguments(cls, measurements: Sequence[Measurement]) -> list[Argument]:
        """Faces that are farther from real ones than any real face from the others speak against themselves."""
        return [
            Argument("against", f"The generator is not trained: {_distance_in_words(one)}.")
            for one in _kernel_distances(measurements)[:1]
            if _share_of_halves(one, one.low) >= UNTRAINED
        ]

    @classmethod
    def suggestions(cls, measurements: Sequence[Measurement]) -> list[Suggestion]:
        """A longer training, where the faces are far from real ones."""
        found = _kernel_distances(measurements)[:1]
        if not found or found[0].verdict not in ("warn", "fail"):
            return []
        reason = _distance_in_words(found[0])
        reason = f"{reason[0].upper()}{reason[1:]}."
        if _share_of_halves(found[0], found[0].low) >= UNTRAINED:
            title = "Train the generator before its faces are used"
            return [Suggestion(Urgency.USELESS, title, reason, found, train_longer=True)]
        if found[0].verdict == "fail":
            return [Suggestion(Urgency.WEAK, "Train the generator longer", reason, found, train_longer=True)]
        return []


def _kernel_distances(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Those of all faces whose scale is known."""
    found = [one for one in measurements if one.name == "kernel_distance" and not one.group]
    return [one for one in found if one.value is not None and (one.found.get("halves") or 0) > 0]


def _share_of_halves(one: Measurement, value: float | None) -> float:
    return 0.0 if value is None else value / float(one.found["halves"])


def _distance_in_words(one: Measurement) -> str:
    times = _share_of_halves(one, one.value)
    return (
        f"the kernel distance of the faces from real ones is {one.value:.3g}, {times:.2g} times that of the two "
        f"halves of real faces that differ most ({one.found['halves']:.3g})"
    )


def kernel_distance(compared: Compared, useless: float, *, test: bool = False) -> tuple[Measurement, KernelEstimate]:
    """The kernel distance beside that of real faces, and where `test` is set the p-value of a permutation test.

    Args:
        compared: the faces.
        useless: the kernel distance that faces of no use would have.
        test: whether to test that both sides come from one population, which takes time.
    """
    synthetic, reference, people = compared.synthetic, compared.reference, compared.reference_people
    headline = kernel_estimate(synthetic, reference, None, people)
    null = kernel_estimate(compared.other, reference, compared.other_people, people)
    p_value = None
    if test:
        # two faces of one person are more alike than two of different people: one of each person is tested
        one_each = np.arange(len(reference)) if people is None else np.sort(np.unique(people, return_index=True)[1])
        random = random_generator(compared.context.seed, "kernel test", compared.space)
        p_value = kernel_test(synthetic[:TESTED], reference[one_each[:TESTED]], random)
    measurement = compared.measurement(
        "kernel_distance",
        label="Kernel distance",
        number=squared_interval(headline.value, headline.standard_error),
        null=squared_interval(null.value, null.standard_error),
        useless=useless,
        p_value=p_value,
        protocol={**KERNEL, **({"tested": TESTED} if test else {})},
        found={"halves": useless},
        meaning="How unlike real faces the synthetic ones are as a whole; 0 would be perfect.",
    )
    return measurement, headline


def frechet_distance(compared: Compared) -> tuple[Measurement, FrechetEstimate, FrechetEstimate]:
    """The raw Fréchet distance beside that of real faces, and the estimates of both."""
    synthetic, reference, people = compared.synthetic, compared.reference, compared.reference_people
    headline, null = frechet_estimate(synthetic, reference), frechet_estimate(compared.other, reference)
    measurement = compared.measurement(
        "frechet_distance",
        label=f"Fréchet distance ({compared.space})",
        number=normal_interval(headline.value, headline.standard_error(None, people)),
        null=normal_interval(null.value, null.standard_error(compared.other_people, people)),
        useless=float(reference.var(axis=0, dtype=np.float64).sum()),  # what the mean face alone would have
        protocol={**FRECHET, "estimator": "raw, biased by n"},
        meaning="How unlike real faces the synthetic ones are; real ones among themselves are at the baseline."
        + ("" if compared.space == InceptionSpace.name else " Not FID, which is in Inception's space."),
    )
    return measurement, headline, null


def _frechet(compared: Compared, findings: Findings) -> FrechetEstimate | None:
    """The raw distance, what it has more than that of real faces, and what is left of it without bias."""
    n, dimension, people = len(compared), compared.dimension, compared.reference_people
    if n < ENOUGH * dimension:
        reason = (
            f"Fréchet distance with a baseline: {n:,} faces on each side are fewer than twice the {dimension:,} "
            f"dimensions of the {compared.space} space, where it is mostly bias; the kernel distance serves instead."
        )
        findings.skipped.append(Fidelity.skip(reason))
        return None
    measurement, headline, null = frechet_distance(compared)
    findings.measurements.append(measurement)
    excess_variance = (
        clustered_variance(headline.x_influence)
        + clustered_variance(null.x_influence, compared.other_people)
        + clustered_variance(headline.y_influence - null.y_influence, people)  # both are compared with these
    )
    findings.measurements.append(
        compared.measurement(
            "frechet_excess",
            label=f"Fréchet distance beyond that of real faces ({compared.space})",
            number=normal_interval(headline.value - null.value, float(np.sqrt(excess_variance))),
            protocol={**FRECHET, "estimator": "distance less that of real faces at the same n"},
            meaning="What the synthetic faces add to the Fréchet distance that real faces have among themselves.",
        )
    )
    if n >= 2 * ENOUGH * dimension and not compared.group:
        synthetic, reference, other = compared.synthetic, compared.reference, compared.other
        random = random_generator(compared.context.seed, "frechet halves", compared.space)
        corrected, null_corrected = (corrected_frechet(side, reference, random) for side in (synthetic, other))
        findings.measurements.append(
            compared.measurement(
                "frechet_corrected",
                label=f"Fréchet distance without bias ({compared.space})",
                number=normal_interval(corrected, headline.standard_error(None, people)),
                null=normal_interval(null_corrected, null.standard_error(compared.other_people, people)),
                useless=float(reference.var(axis=0, dtype=np.float64).sum()),
                protocol={**FRECHET, "estimator": "extrapolated in 1/n from halves"},
                meaning="The Fréchet distance that infinitely many faces would have, as far as these show.",
            )
        )
    return headline


def fid(compared: Compared) -> Measurement:
    """The Fréchet Inception distance of all images."""
    meaning = "Fréchet Inception distance of all images on both sides, as other tools give it."
    return _frechet_of_all(compared, "fid", "FID", meaning)


def fd_dinov2(compared: Compared) -> Measurement:
    """The Fréchet distance of all images in DINOv2's space (Stein et al. 2023, arXiv:2306.04675)."""
    meaning = "Fréchet distance of all images on both sides in DINOv2's features, which agrees with people best."
    return _frechet_of_all(compared, "fd_dinov2", "FD-DINOv2", meaning)


def _frechet_of_all(compared: Compared, name: str, label: str, meaning: str) -> Measurement:
    synthetic, real = _all_features(compared)
    estimate = frechet_estimate(synthetic, real)
    return compared.measurement(
        name,
        label=label,
        number=normal_interval(estimate.value, estimate.standard_error(None, compared.context.reference.identity)),
        protocol={**FRECHET, "estimator": "raw, biased by n"},
        meaning=meaning,
        sizes=(len(real), len(synthetic)),
    )


def kid(compared: Compared) -> Measurement:
    """The kernel Inception distance of all images."""
    synthetic, real = _all_features(compared)
    estimate = kernel_estimate(synthetic, real, None, compared.context.reference.identity)
    return compared.measurement(
        "kid",
        label="KID",
        number=squared_interval(estimate.value, estimate.standard_error),
        protocol=KERNEL,
        meaning="Kernel Inception distance of all images on both sides; not multiplied by anything.",
        sizes=(len(real), len(synthetic)),
    )


def cmmd(compared: Compared) -> Measurement:
    """CMMD of all images (Jayasumana et al. 2024, arXiv:2401.09603): times 1,000, as its authors' code gives it."""
    synthetic, real = _all_features(compared)
    estimate = cmmd_estimate(synthetic, real, None, compared.context.reference.identity)
    return compared.measurement(
        "cmmd",
        label="CMMD",
        number=squared_interval(estimate.value, estimate.standard_error),
        protocol={
            "kernel": f"exp(-|x - y|^2 / (2 x {CMMD_BANDWIDTH:g}^2)) of unit vectors, times {CMMD_SCALE:,}",
            "estimator": "biased, with the pairs of each image with itself",
            "interval": KERNEL["interval"],
        },
        meaning="Maximum mean discrepancy of all images on both sides in CLIP's features, times 1,000.",
        sizes=(len(real), len(synthetic)),
    )


def _mind(compared: Compared) -> Measurement:
    """MIND (Berthet et al. 2026, arXiv:2605.06797) beside that of real faces."""
    sides = [
        (compared.synthetic, compared.context.samples.identity, compared.match.synthetic),
        (compared.other, compared.context.sides.other.identity, compared.match.other),
    ]
    people = compared.reference_people
    reference = compared.reference[:MIND_MOST]
    number, null = (
        monge_inception_distance(
            reference,
            rows[:MIND_MOST],
            random_generator(compared.context.seed, "MIND"),
            real_groups=None if people is None else people[:MIND_MOST],
            fake_groups=None if own is None else own[numbers[:MIND_MOST]],
        )
        for rows, own, numbers in sides
    )
    return compared.measurement(
        "mind",
        label="MIND",
        number=number,
        null=null,
        useless=SCALE * float(reference.var(axis=0, dtype=np.float64).sum()),  # what the mean face alone would have
        protocol={
            "directions": DIRECTIONS,
            "most": MIND_MOST,
            "estimator": "raw, biased by n",
            "interval": "random halves of the people where known, else of the faces",
        },
        meaning="Monge Inception distance: how unlike real faces the synthetic ones are along random directions.",
        sizes=(len(reference), min(len(compared), MIND_MOST)),
    )


def _all_features(compared: Compared) -> tuple[Features, Features]:
    """Of all synthetic faces, and of all held-out real ones."""
    context = compared.context
    return context.features(context.samples, compared.space), context.features(context.reference, compared.space)


def _inception_score(compared: Compared) -> Measurement:
    space = compared.context.space(compared.space)
    assert isinstance(space, InceptionSpace)

    def score(features: Features) -> Interval:  # the rows are in random order already
        mean, deviation = inception_score(space.class_probabilities(features), SPLITS)
        reach = t_quantile(SPLITS - 1) * deviation / float(np.sqrt(SPLITS - 1))
        return Interval(mean, mean - reach, mean + reach)

    return compared.measurement(
        "inception_score",
        label="Inception score",
        number=score(compared.synthetic),
        null=score(compared.reference),
        direction="higher",
        verdict="info",
        protocol={"splits": SPLITS, "interval": "t over splits"},
        meaning="How sure an ImageNet classifier is of each image, and how varied its answers are. It knows no faces: "
        "read it only beside that of real ones.",
    )


PUBLISHED: Mapping[str, tuple[Callable[[Compared], Measurement], ...]] = {
    InceptionSpace.name: (fid, kid, _mind, _inception_score),
    DinoSpace.name: (fd_dinov2,),
    LargeClipSpace.name: (cmmd,),
}
"""The numbers that other tools give in a space; most of all images, without a baseline, as published ones are."""


def _as_other_tools(compared: Compared, findings: Findings) -> None:
    """The published numbers of a space; none that so few images do not allow."""
    fewest = min(len(compared.context.reference), len(compared.context.samples))
    for measure in PUBLISHED.get(compared.space, ()):
        if measure in (fid, fd_dinov2) and fewest < ENOUGH * compared.dimension:
            label, other = ("FID", "KID") if measure is fid else ("FD-DINOv2", "kernel distance")
            reason = (
                f"{label}: {fewest:,} images on the smaller side are fewer than {ENOUGH * compared.dimension:,}, twice "
                f"the dimensions of the {compared.space} features, where it is mostly bias; the {other} serves instead."
            )
            findings.skipped.append(Fidelity.skip(reason))
        else:
            findings.measurements.append(measure(compared))


def _costliest(compared: Compared, kernel: KernelEstimate, frechet: FrechetEstimate | None) -> list[Artifact]:
    """The synthetic faces that raise the distance most, as pictures and by name."""
    cost: Floats64 = kernel.x_witness if frechet is None else frechet.x_influence
    distance = "kernel distance" if frechet is None else "Fréchet distance"
    worst = most_of(cost, SHOWN)
    faces, rows = compared.context.samples, compared.match.synthetic[worst]
    return [
        image_grid(
            faces.images[rows],
            name="costliest",
            title="The synthetic faces that cost most",
            caption=f"The {len(rows)} synthetic faces without which the {distance} would fall most, the worst first.",
            section=Fidelity.name,
            columns=min(12, len(rows)),
        ),
        table(
            pd.DataFrame({"file": faces.names[rows], "influence": cost[worst]}),
            name="costliest-names",
            title="The synthetic faces that cost most, by name",
            caption=f"Influence: how fast the {distance} grows with the weight of this face.",
            section=Fidelity.name,
        ),
    ]
