"""Augmentation of real and generated images alike, so that a discriminator cannot learn a small set by heart.

The operations are those of DiffAugment (Zhao et al. 2020, arXiv:2006.10738); all are differentiable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

Augmentation = Literal["translate", "colour"]


def mirror(images: Tensor, random: torch.Generator) -> Tensor:
    """Half of the images (N, 3, H, W) mirrored left to right."""
    chosen = torch.rand(len(images), generator=random) < 0.5
    return torch.where(chosen.to(images.device)[:, None, None, None], images.flip(3), images)


def augment(images: Tensor, kinds: Sequence[Augmentation], random: torch.Generator) -> Tensor:
    """Apply the chosen augmentations to images (N, 3, H, W) in [-1, 1], each image with its own draw."""
    for kind in kinds:
        images = translate(images, random) if kind == "translate" else colour(images, random)
    return images


def translate(images: Tensor, random: torch.Generator, share: float = 1 / 16) -> Tensor:
    """Shift each image by up to `share` of its side in either direction; what comes in is mid-grey."""
    count, _, height, width = images.shape
    reach = max(1, round(height * share))
    offsets = torch.randint(0, 2 * reach + 1, (2, count, 1, 1), generator=random).to(images.device)
    rows = offsets[0] + torch.arange(height, device=images.device)[None, :, None]
    columns = offsets[1] + torch.arange(width, device=images.device)[None, None, :]
    padded = pad(images, (reach, reach, reach, reach)).permute(0, 2, 3, 1)
    return padded[torch.arange(count, device=images.device)[:, None, None], rows, columns].permute(0, 3, 1, 2)


def colour(images: Tensor, random: torch.Generator) -> Tensor:
    """Change each image's brightness by up to 0.25, its saturation and its contrast by up to a quarter."""
    brightness, saturation, contrast = (torch.rand(3, len(images), 1, 1, 1, generator=random) - 0.5).to(images.device)
    images = images + brightness / 2
    grey = images.mean(dim=1, keepdim=True)
    images = (images - grey) * (1 + saturation / 2) + grey
    level = images.mean(dim=(1, 2, 3), keepdim=True)
    contrasted: Tensor = (images - level) * (1 + contrast / 2) + level
    return contrasted
