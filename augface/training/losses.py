"""Losses of adversarial training as maths, nothing else. Logits are realness: higher means more real."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss, relu, softplus

Loss = Literal["hinge", "bce", "relativistic"]


def discriminator_loss(kind: Loss, real: Tensor, fake: Tensor) -> Tensor:
    """What the discriminator minimises.

    Args:
        kind: `hinge` (Lim & Ye 2017, arXiv:1705.02894, eq. 8), `bce` (Goodfellow et al. 2014, eq. 1) or
            `relativistic` pairing (Jolicoeur-Martineau 2018, arXiv:1807.00734, eq. 7).
        real: (N,) logits of real images.
        fake: (N,) logits of generated images.
    """
    if kind == "hinge":
        return relu(1 - real).mean() + relu(1 + fake).mean()
    if kind == "bce":
        return softplus(-real).mean() + softplus(fake).mean()
    return softplus(fake - real).mean()


def generator_loss(kind: Loss, real: Tensor, fake: Tensor) -> Tensor:
    """What the generator minimises; `bce` is the non-saturating form. `real` matters to `relativistic` alone."""
    if kind == "hinge":
        return -fake.mean()
    if kind == "bce":
        return softplus(-fake).mean()
    return softplus(real - fake).mean()


def attribute_loss(logits: Tensor, condition: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy of attribute logits (N, A) against a condition of 1, -1 and 0, where 0 (unknown) counts nothing.

    `weights`, where given, say how much each label counts; they broadcast to (N, A) and are 1 on average.
    """
    known = condition != 0
    losses = binary_cross_entropy_with_logits(logits, (condition > 0).to(logits.dtype), weights, reduction="none")
    return (losses * known).sum() / known.sum().clamp(min=1)


def noise_loss(found: Tensor, noise: Tensor) -> Tensor:
    """How far the noise (N, latent) found in generated images is from that which they were made of: mean squared error.

    Where both networks lessen it, the noise must be seen in the images: InfoGAN's bound of the mutual information
    (Chen et al. 2016, arXiv:1606.03657, eq. 5) with a normal distribution.
    """
    return mse_loss(found, noise)


def gradient_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Mean squared gradient norm at images, without a factor.

    At real images it is R1, at synthetic ones R2 (Mescheder et al. 2018, arXiv:1801.04406, eq. 9 and 10).
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.float().square().sum(dim=(1, 2, 3)).mean()
