"""An evaluator of another package: whether synthetic faces are as sharp as real ones."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from augface.data.dataset import FaceDataset
from augface.evaluators.base import Context, Evaluator, Findings
from augface.metrics import normal_interval
from augface.results import Baseline, Measurement, Section

MINIMUM = 10
"""Faces on each side, below which nothing is said."""


class Sharpness(Evaluator):
    """Compares the mean difference of neighbouring pixels."""

    section: ClassVar[Section] = Section(
        key="sharpness",
        title="Sharpness",
        meaning="How much neighbouring pixels differ, in grey levels: less than in real faces is blur, more is noise.",
        key_measures=("contrast",),
        lights={"realistic": ("contrast",)},
    )

    def evaluate(self, context: Context) -> Findings:
        """Measure the synthetic faces, with held-out real ones as the baseline."""
        counts = len(context.samples), len(context.reference)
        if min(counts) < MINIMUM:
            return Findings(skipped=[self.skip(f"{min(counts)} faces are too few; {MINIMUM} are needed.")])
        synthetic, real = _contrasts(context.samples), _contrasts(context.reference)
        number, baseline = (
            normal_interval(float(side.mean()), float(side.std()) / len(side) ** 0.5) for side in (synthetic, real)
        )
        overlap = number.low <= baseline.high and baseline.low <= number.high
        return Findings(
            [
                Measurement(
                    evaluator=self.name,
                    name="contrast",
                    label="Contrast of neighbouring pixels",
                    value=number.value,
                    low=number.low,
                    high=number.high,
                    direction="target",
                    baseline=Baseline(value=baseline.value, low=baseline.low, high=baseline.high, n=len(real)),
                    verdict="pass" if overlap else "warn",
                    meaning="The mean difference of neighbouring pixels in grey levels.",
                    n_real=len(real),
                    n_fake=len(synthetic),
                    protocol={"size": context.samples.size},
                )
            ]
        )


def _contrasts(faces: FaceDataset) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """(N,) mean absolute difference of horizontal neighbours."""
    grey = np.asarray(faces.images).mean(axis=3)
    return np.asarray(np.abs(np.diff(grey, axis=2)).mean(axis=(1, 2)))
