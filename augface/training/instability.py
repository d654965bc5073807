"""Is a training still sound? It is checked where it is logged, from numbers that a step has anyway.

Only what no training recovers from by itself counts: values that are not finite, synthetic faces that are all the same,
a discriminator that has left the generator behind. A generator that has lost modes is not unstable; evaluators find it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

PATIENCE = 3
"""Log points in a row at which synthetic faces must be alike, or the logits apart, to count as unstable."""
JUDGED_FROM = 1_000
"""Images from which a training is rolled back for it: a generator that has learnt nothing yet may make faces alike."""
LEAST_STANDARD_DEVIATION = 0.05
"""How much synthetic faces must differ among themselves, where real ones differ by 1. Healthy ones: docs/results.md."""
WIDEST_GAP = 100.0
"""How far the logits of real and synthetic faces may be apart, on average. Healthy ones: docs/results.md."""
ALIKE = 1 / 127.5
"""A standard deviation of one grey level: real faces that differ less are alike themselves, and so may synthetic ones
be.
"""


class Instability(NamedTuple):
    """What is wrong with a training."""

    what: str
    """What it did: "diverged", "collapsed", "lost its balance"."""
    sign: str
    """By what that is seen."""


NO_NUMBER = Instability("diverged", "a loss or a weight is no longer a number")


def standard_deviation(images: Tensor) -> float:
    """How much images (N, 3, H, W) differ: the standard deviation of a pixel over the images, averaged over pixels."""
    images = images.detach().float()
    apart = images - images.mean(dim=0)  # several times faster than torch.std over the first axis
    return float(apart.square().sum(dim=0).div(len(images) - 1).sqrt().mean())


def find_instability(history: Sequence[Mapping[str, float]]) -> Instability | None:
    """What is wrong with a training at the end of its history; None where nothing is.

    Args:
        history: log entries with `images`, `real_logit`, `fake_logit`, `real_standard_deviation`,
            `generated_standard_deviation` and losses.
    """
    recent = [_judge(entry) for entry in history[-PATIENCE:]]
    if recent[-1] is NO_NUMBER:
        return NO_NUMBER
    lasting = len(recent) == PATIENCE and all(recent) and history[-1]["images"] >= JUDGED_FROM
    return recent[-1] if lasting else None


def is_sound(entry: Mapping[str, float]) -> bool:
    """Whether a state with this log entry is worth going back to: there is no sign of instability, not even a first
    one.
    """
    return _judge(entry) is None


def _judge(entry: Mapping[str, float]) -> Instability | None:
    if not all(math.isfinite(value) for value in entry.values()):
        return NO_NUMBER
    ratio = entry["generated_standard_deviation"] / max(entry["real_standard_deviation"], ALIKE)
    if ratio < LEAST_STANDARD_DEVIATION and entry["real_standard_deviation"] > ALIKE:
        return Instability("collapsed", f"synthetic faces differ among themselves by {ratio:.1%} of what real faces do")
    gap = abs(entry["real_logit"] - entry["fake_logit"])
    if gap > WIDEST_GAP:
        return Instability("lost its balance", f"the logits of real and synthetic faces are {gap:,.0f} apart")
    return None
