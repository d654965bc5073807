"""How far the made faces are from held-out real ones, beside how far real ones are from each other."""

from __future__ import annotations

from typing import ClassVar, Literal

from augface.evaluators.base import Context, Evaluator, Findings
from augface.features import DEFAULT_SPACE, create_feature_space
from augface.features.base import Features
from augface.metrics import Interval, frechet_distance, jackknife_interval
from augface.metrics.kernel import kernel_estimate, kernel_test
from augface.results import Baseline, Measurement, Skipped
from augface.seeds import random_generator

TESTED = 3_000
"""Faces of each side in the permutation test, whose memory grows with their square; the sides are in random order."""
MINIMUM = 20
"""Faces on each side, below which no distance is given."""


class Fidelity(Evaluator):
    """Fréchet and kernel distance in the default feature space."""

    name: ClassVar[str] = "fidelity"

    def evaluate(self, context: Context) -> Findings:
        """Both distances at one n, with the same distances between real faces; what n does not allow is skipped."""
        space = create_feature_space()
        reference, fake, other_real = self._sides(context)
        n = len(reference)
        if n < MINIMUM:
            reason = (
                f"{n} faces on each side are too few; at least {MINIMUM} are needed "
                "(half of the reals are the baseline)."
            )
            return Findings([], skipped=[Skipped(evaluator=self.name, reason=reason)])
        protocol = {**space.protocol, "seed": context.seed, "comparison": "made and real against held-out real, same n"}
        measurements = [_kernel(reference, fake, other_real, protocol, context.seed)]
        skipped = []
        if n >= 2 * space.dimension:
            measurements.insert(0, _frechet(reference, fake, other_real, protocol, context.seed))
        else:
            reason = (
                f"Fréchet distance: {n:,} faces on each side are fewer than twice the {space.dimension:,} dimensions "
                f"of the {space.name} space, where it is mostly bias; the kernel distance serves instead."
            )
            skipped.append(Skipped(evaluator=self.name, reason=reason))
        return Findings(measurements, skipped=skipped)

    @staticmethod
    def _sides(context: Context) -> tuple[Features, Features, Features]:
        """Features of as many held-out reals, fakes and other reals: the fakes and the others against the held-out."""
        random = random_generator(context.seed, "fidelity sides")
        fake = context.features(context.synthetic)
        reference = context.features(context.reference)
        if context.train is not None:
            other = context.features(context.train)
        else:
            order = random.permutation(len(reference))
            half = len(reference) // 2
            reference, other = reference[order[:half]], reference[order[half:]]
        n = min(len(reference), len(fake), len(other))
        first, second, third = (random.permutation(len(side))[:n] for side in (reference, fake, other))
        return reference[first], fake[second], other[third]


def _kernel(
    reference: Features, fake: Features, other: Features, protocol: dict[str, str | int | float], seed: int
) -> Measurement:
    headline, null = kernel_estimate(fake, reference), kernel_estimate(other, reference)
    baseline = Baseline(
        value=null.value,
        low=null.value - 1.96 * null.standard_error,
        high=null.value + 1.96 * null.standard_error,
        n=len(reference),
    )
    low, high = (headline.value + sign * 1.96 * headline.standard_error for sign in (-1, 1))
    return Measurement(
        evaluator="fidelity",
        name="kernel_distance",
        value=headline.value,
        low=low,
        high=high,
        p_value=kernel_test(fake[:TESTED], reference[:TESTED], random_generator(seed, "kernel test")),
        direction="lower",
        baseline=baseline,
        verdict=_verdict(low, baseline),
        meaning="How unlike real faces the made ones are as a whole; 0 would be perfect.",
        n_real=len(reference),
        n_fake=len(fake),
        space=DEFAULT_SPACE,
        protocol={
            **protocol,
            "kernel": "(x.y / D + 1)^3",
            "estimator": "unbiased, all pairs",
            "interval": "jackknife",
            "tested": TESTED,
        },
    )


def _frechet(
    reference: Features, fake: Features, other: Features, protocol: dict[str, str | int | float], seed: int
) -> Measurement:
    def interval(side: Features) -> Interval:
        return jackknife_interval(
            lambda rows: frechet_distance(side[rows], reference[rows]), len(side), random_generator(seed, "frechet")
        )

    headline, null = interval(fake), interval(other)
    baseline = Baseline(value=null.value, low=null.low, high=null.high, n=len(reference))
    return Measurement(
        evaluator="fidelity",
        name="frechet_distance",
        value=headline.value,
        low=headline.low,
        high=headline.high,
        direction="lower",
        baseline=baseline,
        verdict=_verdict(headline.low, baseline),
        meaning="How unlike real faces the made ones are as a whole; real faces among themselves give the baseline.",
        n_real=len(reference),
        n_fake=len(fake),
        space=DEFAULT_SPACE,
        protocol={**protocol, "estimator": "raw, biased by n", "interval": "jackknife of 10 groups"},
    )


def _verdict(low: float, baseline: Baseline) -> Literal["pass", "warn"]:
    """`warn` where the whole interval is worse than that of real faces."""
    assert baseline.high is not None
    return "warn" if low > baseline.high else "pass"
