"""Which layer decides an attribute: its label is turned in one conditional normalisation at a time, all else held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from augface.arrays import Floats64, Pixels
from augface.generators._networks import GeneratorNetwork
from augface.inspection.units import layer_name
from augface.metrics.intervals import Interval, normal_interval
from augface.tensors import to_pixels


@dataclass(frozen=True)
class Turned:
    """The same n faces with one attribute's label absent, and present in one place or in all.

    Attributes:
        faces: of each place its n faces: all absent, then each place alone, then all places.
        changes: (places, n) how much more of the attribute the judge sees in each place's faces than in the first.
    """

    faces: list[Pixels]
    changes: Floats64

    def share(self, place: int) -> Interval:
        """How much of the whole change one place makes, with its interval over faces."""
        own, whole = self.changes[place], self.changes[-1]
        ratio = float(own.mean() / whole.mean())
        error = float((own - ratio * whole).std(ddof=1) / abs(whole.mean()) / np.sqrt(len(own)))
        return normal_interval(ratio, error)


def places(network: GeneratorNetwork) -> list[str]:
    """The places where a label acts: the first linear layer, and the normalisation of each layer, by its resolution."""
    return ["input", *map(layer_name, range(len(network.norms)))]


@torch.inference_mode()
def turn_label(
    network: GeneratorNetwork,
    noise: Tensor,
    conditions: Tensor,
    column: int,
    seen: Callable[[Pixels], Floats64],
) -> Turned:
    """Turn one label.

    Args:
        network: conditional, in evaluation mode.
        noise: (n, latent).
        conditions: (n, C).
        column: of the label in the conditions.
        seen: how much of the attribute faces (N, H, W, 3) show, (N,).
    """
    absent, present = conditions.clone(), conditions.clone()
    absent[:, column], present[:, column] = -1, 1
    count = 1 + len(network.norms)
    sides = [[absent] * count]
    sides += [[present if place == turned else absent for place in range(count)] for turned in range(count)]
    sides += [[present] * count]
    faces = [_rendered(network, noise, side) for side in sides]
    responses = seen(np.concatenate(faces)).reshape(len(sides), len(noise))
    return Turned(faces, responses[1:] - responses[0])


def _rendered(network: GeneratorNetwork, noise: Tensor, conditions: list[Tensor]) -> Pixels:
    """Faces of conditions that differ from place to place."""
    maps = network.first(noise, conditions[0])
    for number in range(len(network.norms)):
        maps = network.layer(number, maps, conditions[number + 1])
    return to_pixels(network.image(maps))
