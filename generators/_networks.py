"""DCGAN-shaped networks (Radford et al. 2016, arXiv:1511.06434), with or without a condition."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class Networks(NamedTuple):
    """A trained generator's networks, in evaluation mode."""

    generator: GeneratorNetwork
    discriminator: DiscriminatorNetwork | None
    """None where it was not saved."""


def stages(size: int) -> int:
    """How many doublings lead from 4 x 4 to `size`."""
    return round(math.log2(size)) - 2


class GeneratorNetwork(nn.Module):
    """Noise (N, latent) and condition (N, conditions) to images (N, 3, size, size) in [-1, 1].

    The condition has one value an attribute: 1 wanted, -1 unwanted, 0 unknown. Every stage is a transposed
    convolution whose batch normalisation is scaled and shifted by the condition (de Vries et al. 2017), so that an
    attribute can act on the coarse shape as well as on fine detail.
    """

    def __init__(self, size: int, channels: int, latent: int, conditions: int) -> None:
        super().__init__()
        widths = [channels * 2**i for i in reversed(range(stages(size)))]
        self.stem = nn.Linear(latent + conditions, widths[0] * 16, bias=False)
        self.blocks = nn.ModuleList(
            nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1, bias=False)
            for wide, narrow in itertools.pairwise(widths)
        )
        self.norms = nn.ModuleList(ConditionalNorm(width, conditions) for width in widths)
        self.to_rgb = nn.ConvTranspose2d(widths[-1], 3, 4, stride=2, padding=1)

    def forward(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Images of noise and condition."""
        maps = self.first(noise, condition)
        for number in range(len(self.norms)):
            maps = self.layer(number, maps, condition)
        return self.image(maps)

    def first(self, noise: Tensor, condition: Tensor) -> Tensor:
        """What layer 0 is made of, (N, width, 4, 4)."""
        maps: Tensor = self.stem(torch.cat([noise, condition], dim=1)).unflatten(1, (-1, 4, 4))
        return maps.contiguous(memory_format=torch.channels_last)

    def layer(self, number: int, maps: Tensor, condition: Tensor) -> Tensor:
        """The maps of a layer, (N, width, H, H) and none below 0, made of those of the layer before."""
        if number:
            maps = self.blocks[number - 1](maps)
        activated: Tensor = self.norms[number](maps, condition).relu()
        return activated

    def image(self, maps: Tensor) -> Tensor:
        """Images, (N, 3, size, size) in [-1, 1], of the maps of the last layer."""
        return torch.tanh(self.to_rgb(maps).float())


class ConditionalNorm(nn.Module):
    """Batch normalisation with a scale and shift that are linear in the condition, at first plain."""

    def __init__(self, width: int, conditions: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width)
        self.modulation = nn.Linear(conditions, 2 * width, bias=False) if conditions else None
        if self.modulation is not None:
            nn.init.zeros_(self.modulation.weight)

    def forward(self, maps: Tensor, condition: Tensor) -> Tensor:
        """Maps of the same shape (N, width, H, W)."""
        normalised: Tensor = self.norm(maps)
        if self.modulation is None:
            return normalised
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(normalised + shift, normalised, scale)


class Judgement(NamedTuple):
    """What a discriminator says of N images."""

    realness: Tensor
    """(N,) logits: higher means more real."""
    attributes: Tensor
    """(N, conditions) logits: which attributes they show."""
    noise: Tensor
    """(N, latent): the noise of which they may have been generated."""


class DiscriminatorNetwork(nn.Module):
    """Images (N, 3, size, size) in [-1, 1] and their conditions (N, conditions) to a `Judgement`.

    Realness is conditioned by projection (Miyato & Koyama 2018, arXiv:1802.05637); the attribute logits are the
    auxiliary classifier of Odena et al. 2017 (arXiv:1610.09585), the noise is that of InfoGAN (Chen et al. 2016,
    arXiv:1606.03657). No layer is batch-normalised: a gradient penalty, or spectral norms (Miyato et al. 2018,
    arXiv:1802.05957) of the convolutions, keep the discriminator smooth, and faces of one batch do not depend on each
    other.
    """

    def __init__(self, size: int, channels: int, conditions: int, latent: int, *, spectral: bool = False) -> None:
        super().__init__()
        widths = [3, *(channels * 2**i for i in range(stages(size)))]
        convolutions = [nn.Conv2d(narrow, wide, 4, stride=2, padding=1) for narrow, wide in itertools.pairwise(widths)]
        self.blocks = nn.ModuleList(map(spectral_norm, convolutions) if spectral else convolutions)
        features = widths[-1] * 16
        self.realness = nn.Linear(features, 1)
        self.projection = nn.Linear(conditions, features, bias=False) if conditions else None
        if self.projection is not None:
            nn.init.zeros_(self.projection.weight)
        self.attributes = nn.Linear(features, conditions) if conditions else None
        self.noise = nn.Linear(features, latent)

    def maps(self, images: Tensor) -> Tensor:
        """The coarsest feature maps, (N, F, 4, 4), of which all is said that is said of images."""
        maps = images
        for block in self.blocks:
            maps = nn.functional.leaky_relu(block(maps), 0.2)
        return maps

    def forward(self, images: Tensor, condition: Tensor) -> Judgement:
        """Of images and the conditions that they are said to show."""
        features = self.maps(images).flatten(1)
        realness, noise = self.realness(features).squeeze(1), self.noise(features)
        if self.projection is None or self.attributes is None:
            return Judgement(realness, condition.new_zeros(len(images), 0), noise)
        realness = realness + (self.projection(condition) * features).mean(1)
        return Judgement(realness, self.attributes(features), noise)
