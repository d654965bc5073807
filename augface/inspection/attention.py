"""Where a classifier looks: integrated gradients, and the test of whether their maps depend on what it has learnt.

Maps that are the same for random weights say nothing of the classifier (Adebayo et al. 2018, arXiv:1810.03292).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata
from torch import Tensor, nn

from augface.arrays import Floats32, Floats64, Pixels
from augface.metrics.intervals import Interval, t_quantile
from augface.seeds import derive_seed
from augface.tensors import from_pixels

STEPS = 16
"""Points on the way from the baseline to a face."""
DRAWS = 4
"""Of random weights."""
DEPENDS = 0.3
"""The rank correlation with the maps of random weights, below which maps count as depending on what was learnt."""
SMOOTHING = 1 / 64
"""Standard deviation by which maps are smoothed, of the side of the images."""


@dataclass(frozen=True)
class Attention:
    """Where a classifier looks in n faces.

    Attributes:
        maps: (n, H, W) from 0 up.
        correlation: Spearman's, with the maps of random weights, over faces and draws.
    """

    maps: Floats32
    correlation: Interval

    @property
    def depends_on_weights(self) -> bool:
        """Whether the maps pass the randomisation test."""
        return self.correlation.high < DEPENDS


def attention(
    network: nn.Module, score: Callable[[nn.Module, Tensor], Tensor], faces: Pixels, *, seed: int
) -> Attention:
    """Maps of a classifier, with their test.

    Args:
        network: in evaluation mode; a copy of it gets random weights.
        score: of (n, 3, H, W) images in [-1, 1] by a network: (n,).
        faces: uint8 (n, H, W, 3).
        seed: of the random weights.
    """
    images = from_pixels(faces)
    trained = integrated_gradients(partial(score, network), images)
    ranks = _ranks(trained)
    correlations = []
    for draw in range(DRAWS):
        untrained = randomised(network, derive_seed(seed, "random weights", draw))
        others = _ranks(integrated_gradients(partial(score, untrained), images))
        correlations.append((ranks * others).mean(axis=1))
    each = np.concatenate(correlations)
    by_draw = np.array([one.mean() for one in correlations])
    reach = t_quantile(DRAWS - 1) * float(by_draw.std(ddof=1)) / np.sqrt(DRAWS)
    value = float(each.mean())
    return Attention(trained, Interval(value, value - reach, value + reach))


def integrated_gradients(score: Callable[[Tensor], Tensor], images: Tensor) -> Floats32:
    """(n, H, W) how much each place adds to a score on the way from the mean image (Sundararajan et al. 2017).

    The absolute attributions of the three colours together, a little smoothed.
    """
    baseline = images.mean(dim=0, keepdim=True)
    total = torch.zeros_like(images)
    for step in range(STEPS):
        between = (baseline + (step + 0.5) / STEPS * (images - baseline)).requires_grad_()
        (gradient,) = torch.autograd.grad(score(between).sum(), between)
        total += gradient
    attributions = ((images - baseline) * total / STEPS).sum(dim=1).abs().numpy()
    return np.stack([gaussian_filter(each, SMOOTHING * each.shape[-1]) for each in attributions])


def randomised(network: nn.Module, seed: int) -> nn.Module:
    """A copy of a network, every weight drawn anew: normal, with the mean and deviation that its tensor had."""
    untrained = copy.deepcopy(network)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in untrained.parameters():
            drawn = torch.randn(weights.shape, generator=random)
            weights.copy_(weights.mean() + weights.std(unbiased=False) * drawn)
    return untrained


def _ranks(maps: Floats32) -> Floats64:
    """Standardised ranks of each map's pixels, (n, H x W), so that a mean of products is Spearman's correlation."""
    ranks = rankdata(maps.reshape(len(maps), -1), axis=1)
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    return np.asarray(ranks / ranks.std(axis=1, keepdims=True))
