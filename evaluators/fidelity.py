"""How far the synthetic faces are from held-out real ones, beside how far real ones are from each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pandas as pd

from augface.arrays import Floats64
from augface.evaluators._compared import GROUP_MINIMUM, Compared, compared_groups, most_of, small_groups
from augface.evaluators.base import Argument, Context, Evaluator, Findings, Suggestion, Urgency
from augface.features.base import Features
from augface.features.inception import InceptionSpace
from augface.metrics.frechet import ENOUGH, FrechetEstimate, corrected_frechet, frechet_estimate
from augface.metrics.inception_score import inception_score
from augface.metrics.intervals import Interval, clustered_variance, normal_interval, squared_interval, t_quantile
from augface.metrics.kernel import KernelEstimate, distance_of_halves, kernel_estimate, kernel_test
from augface.results import Artifact, Measurement, Section
from augface.results.artifacts import image_grid, table
from augface.seeds import random_generator

TESTED = 2_000
"""Faces of each side in the permutation test, whose memory and time grow with their square."""
MINIMUM = 20
"""Faces on each side, below which no distance is given."""
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

    In Inception's space also FID, KID and Inception score of all images, as other tools give them.
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
            kernel = _kernel(everything, findings, useless, test=True)
            frechet = _frechet(everything, findings)
            if space == InceptionSpace.name:
                _as_other_tools(everything, findings)
            if space == context.spaces[0]:
                findings.artifacts.extend(_costliest(everything, kernel, frechet))
            for group in compared_groups(self.name, context, space):
                _kernel(group, findings, useless)
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


def _kernel(compared: Compared, findings: Findings, useless: float, *, test: bool = False) -> KernelEstimate:
    synthetic, reference, people = compared.synthetic, compared.reference, compared.reference_people
    headline = kernel_estimate(synthetic, reference, None, people)
    null = kernel_estimate(compared.other, reference, compared.other_people, people)
    p_value = None
    if test:
        # two faces of one person are more alike than two of different people: one of each person is tested
        one_each = np.arange(len(reference)) if people is None else np.sort(np.unique(people, return_index=True)[1])
        random = random_generator(compared.context.seed, "kernel test", compared.space)
        p_value = kernel_test(synthetic[:TESTED], reference[one_each[:TESTED]], random)
    findings.measurements.append(
        compared.measurement(
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
    )
    return headline


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
    synthetic, reference, other = compared.synthetic, compared.reference, compared.other
    headline, null = frechet_estimate(synthetic, reference), frechet_estimate(other, reference)
    error = headline.standard_error(None, people)
    null_error = null.standard_error(compared.other_people, people)
    findings.measurements.append(
        compared.measurement(
            "frechet_distance",
            label=f"Fréchet distance ({compared.space})",
            number=normal_interval(headline.value, error),
            null=normal_interval(null.value, null_error),
            useless=float(reference.var(axis=0, dtype=np.float64).sum()),  # what the mean face alone would have
            protocol={**FRECHET, "estimator": "raw, biased by n"},
            meaning="How unlike real faces the synthetic ones are; real ones among themselves are at the baseline."
            + ("" if compared.space == InceptionSpace.name else " Not FID, which is in Inception's space."),
        )
    )
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
        random = random_generator(compared.context.seed, "frechet halves", compared.space)
        findings.measurements.append(
            compared.measurement(
                "frechet_corrected",
                label=f"Fréchet distance without bias ({compared.space})",
                number=normal_interval(corrected_frechet(synthetic, reference, random), error),
                null=normal_interval(corrected_frechet(other, reference, random), null_error),
                useless=float(reference.var(axis=0, dtype=np.float64).sum()),
                protocol={**FRECHET, "estimator": "extrapolated in 1/n from halves"},
                meaning="The Fréchet distance that infinitely many faces would have, as far as these show.",
            )
        )
    return headline


def _as_other_tools(compared: Compared, findings: Findings) -> None:
    """FID, KID and Inception score: the first two of all images, without a baseline, as published ones are."""
    context = compared.context
    real = context.features(context.reference, compared.space)
    synthetic = context.features(context.samples, compared.space)
    people, sizes = context.reference.identity, (len(real), len(synthetic))
    if min(sizes) >= ENOUGH * compared.dimension:
        fid = frechet_estimate(synthetic, real)
        findings.measurements.append(
            compared.measurement(
                "fid",
                label="FID",
                number=normal_interval(fid.value, fid.standard_error(None, people)),
                protocol={**FRECHET, "estimator": "raw, biased by n"},
                meaning="Fréchet Inception distance of all images on both sides, as other tools give it.",
                sizes=sizes,
            )
        )
    else:
        reason = (
            f"FID: {min(sizes):,} images on the smaller side are fewer than {ENOUGH * compared.dimension:,}, twice the "
            "dimensions of Inception's features, where it is mostly bias; the KID serves instead."
        )
        findings.skipped.append(Fidelity.skip(reason))
    kid = kernel_estimate(synthetic, real, None, people)
    findings.measurements.append(
        compared.measurement(
            "kid",
            label="KID",
            number=squared_interval(kid.value, kid.standard_error),
            protocol=KERNEL,
            meaning="Kernel Inception distance of all images on both sides; not multiplied by anything.",
            sizes=sizes,
        )
    )
    findings.measurements.append(_inception_score(compared))


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
