"""Which units of a generator are for which attribute, by cause: what changes when a unit is turned off and on.

A unit is a channel of a layer. Off, it is 0 everywhere (Bau et al. 2019, arXiv:1811.10597); on, it is as active at each
place as in the top `ACTIVE` of faces. The swing from off to on changes a face, and the judge's coordinates with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from augface.arrays import Booleans, Floats32, Floats64, Integers, Pixels
from augface.generators._networks import GeneratorNetwork
from augface.inspection.judge import Judge, Readout
from augface.progress import progress
from augface.tensors import to_pixels

ACTIVE = 0.02
"""The share of faces in which a unit is more active at a place than when it is turned on."""
RATE = 0.05
"""The false discovery rate."""
BATCH = 256
"""Faces rendered at once."""
LEAST, LOUDER = 0.05, 2.0
"""What a unit has to change an attribute by: so much of what separates real faces, and so many times as much as the
median unit of its layer."""


@dataclass(frozen=True)
class Swings:
    """What U units change in n faces.

    Attributes:
        layers: (U,) the layer of each unit.
        channels: (U,) its number in the layer.
        off: (U, n, K) changes of the judge's coordinates when it is turned off.
        on: (U, n, K) when it is turned on.
        places: (U, H, W) the mean absolute difference of pixels between off and on, 0 to 255.
    """

    layers: Integers
    channels: Integers
    off: Floats64
    on: Floats64
    places: Floats32

    def __len__(self) -> int:
        return len(self.layers)

    @property
    def swing(self) -> Floats64:
        """(U, n, K) from off to on."""
        return self.on - self.off


@dataclass(frozen=True)
class UnitEffects:
    """Which of U units are for which of A attributes.

    Attributes:
        effects: (U, A) mean responses of the swing: 1 is what separates real faces with an attribute and without.
        lows, highs: (U, A) ends of their 95 % intervals, over faces.
        p_values: (U, A) each for itself.
        adjusted: (U, A) the same, adjusted to control the false discovery rate over all units and attributes.
    """

    effects: Floats64
    lows: Floats64
    highs: Floats64
    p_values: Floats64
    adjusted: Floats64

    @property
    def found(self) -> Booleans:
        """(U, A) which are discoveries."""
        return np.asarray(self.adjusted <= RATE)

    def strongest(self, attribute: int, count: int) -> list[int]:
        """The units that are the surest to change an attribute, the surest first."""
        strongest: list[int] = np.argsort(self.p_values[:, attribute], kind="stable")[:count].tolist()
        return strongest


def unit_effects(swings: Swings, readout: Readout) -> UnitEffects:
    """Test every unit for every attribute.

    A discovery has to pass two tests, of which the larger p-value counts. Over real faces: the swing points along the
    attribute's direction more than labels that are permuted among the faces would have it (`Readout.alignment`). Over
    generated faces: the attribute changes more than by `LOUDER` times what the median unit of the layer changes of it,
    and more than by `LEAST` (a t test of either sign). The procedure of Benjamini and Hochberg (1995) then holds the
    share of false discoveries among all units and attributes.
    """
    responses = readout.responses(swings.swing)
    count = responses.shape[1]
    means = responses.mean(axis=1)
    errors = np.maximum(responses.std(axis=1, ddof=1) / np.sqrt(count), 1e-12)
    reach = stats.t.ppf(0.975, count - 1) * errors
    over_real = 2 * stats.norm.sf(np.abs(readout.alignment(swings.swing.mean(axis=1))))
    over_generated = 2 * stats.t.sf((np.abs(means) - _least(means, swings.layers)) / errors, count - 1)
    p_values = np.minimum(1.0, np.maximum(over_real, over_generated))
    adjusted = stats.false_discovery_control(p_values.ravel()).reshape(p_values.shape)
    return UnitEffects(means, means - reach, means + reach, p_values, np.asarray(adjusted))


def _least(means: Floats64, layers: Integers) -> Floats64:
    """(U, A) how much each unit of these layers (U,) has to change an attribute to stand out."""
    least = np.full(means.shape, LEAST)
    for layer in np.unique(layers):
        own = layers == layer
        least[own] = np.maximum(LEAST, LOUDER * np.median(np.abs(means[own]), axis=0))
    return least


def layer_name(layer: int) -> str:
    """A layer by the height of its maps.

    >>> layer_name(2)
    '16 px'
    """
    return f"{4 * 2**layer} px"


@torch.inference_mode()
def layer_maps(network: GeneratorNetwork, noise: Tensor, conditions: Tensor) -> list[Tensor]:
    """The maps of every layer, each (n, width, H, H)."""
    maps, every = network.first(noise, conditions), []
    for number in range(len(network.norms)):
        maps = network.layer(number, maps, conditions)
        every.append(maps)
    return every


@torch.inference_mode()
def finished(network: GeneratorNetwork, number: int, maps: Tensor, conditions: Tensor) -> Pixels:
    """Faces of the maps of a layer, uint8 (n, H, W, 3)."""
    for later in range(number + 1, len(network.norms)):
        maps = network.layer(later, maps, conditions)
    return to_pixels(network.image(maps))


def on_levels(network: GeneratorNetwork, noise: Tensor, conditions: Tensor) -> list[Tensor]:
    """How active units are when turned on: of every layer, (width, H, H), from many faces."""
    rank = max(1, round(ACTIVE * len(noise)))
    return [maps.topk(rank, dim=0).values[-1] for maps in layer_maps(network, noise, conditions)]


def swing_units(
    network: GeneratorNetwork, noise: Tensor, conditions: Tensor, levels: list[Tensor], judge: Judge
) -> Swings:
    """Turn every unit of every layer off and on.

    Args:
        network: in evaluation mode.
        noise: (n, latent).
        conditions: (n, C).
        levels: from `on_levels`.
        judge: of the changes.
    """
    every = layer_maps(network, noise, conditions)
    before = judge.coordinates(finished(network, len(every) - 1, every[-1], conditions))
    layers: list[int] = []
    channels: list[int] = []
    off: list[Floats64] = []
    on: list[Floats64] = []
    places: list[Floats32] = []
    units = [(layer, channel) for layer, maps in enumerate(every) for channel in range(maps.shape[1])]
    at_once = max(1, BATCH // len(noise))
    for part in progress(iterable=list(_parts(units, at_once)), desc="turning units off and on", unit="parts"):
        layer = part[0][0]
        own = [channel for _, channel in part]
        sides = [
            _rendered(network, layer, every[layer], conditions, own, level)
            for level in (torch.zeros_like(levels[layer]), levels[layer])
        ]
        for side, into in zip(sides, (off, on), strict=True):
            into.append(judge.coordinates(side).reshape(len(own), len(noise), -1) - before)
        difference = np.abs(sides[1].astype(np.int16) - sides[0]).mean(axis=-1, dtype=np.float32)
        places.append(difference.reshape(len(own), len(noise), *difference.shape[1:]).mean(axis=1))
        layers += [layer] * len(own)
        channels += own
    return Swings(np.array(layers), np.array(channels), np.concatenate(off), np.concatenate(on), np.concatenate(places))


def _parts(units: list[tuple[int, int]], at_once: int) -> Iterator[list[tuple[int, int]]]:
    """Units of one layer each, so many together at most."""
    start = 0
    while start < len(units):
        same = [unit for unit in units[start : start + at_once] if unit[0] == units[start][0]]
        yield same
        start += len(same)


@torch.inference_mode()
def _rendered(
    network: GeneratorNetwork, layer: int, maps: Tensor, conditions: Tensor, channels: list[int], level: Tensor
) -> Pixels:
    """All faces with the first of the channels at a level, all with the second, and so on."""
    repeated = maps.repeat(len(channels), 1, 1, 1).reshape(len(channels), *maps.shape)
    for place, channel in enumerate(channels):
        repeated[place, :, channel] = level[channel]
    return finished(network, layer, repeated.flatten(0, 1), conditions.repeat(len(channels), 1))


@torch.inference_mode()
def turned(
    network: GeneratorNetwork,
    noise: Tensor,
    conditions: Tensor,
    levels: list[Tensor],
    units: list[tuple[int, int, bool]],
) -> Pixels:
    """Faces, uint8 (n, H, W, 3), with several units turned on (True) or off at the same time: layer, channel, which."""
    maps = network.first(noise, conditions)
    for number in range(len(network.norms)):
        maps = network.layer(number, maps, conditions).clone()
        for layer, channel, is_on in units:
            if layer == number:
                maps[:, channel] = levels[number][channel] if is_on else 0.0
    return to_pixels(network.image(maps))
