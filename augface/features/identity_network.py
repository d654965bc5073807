"""dlib's face recognition network in torch, with the affine layers behind its convolutions folded into them.

The layout is that of dlib's `dnn_face_recognition_ex.cpp`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from augface.arrays import Floats32
from augface.errors import DataError
from augface.features.dlib_weights import Layer, read_dlib_layers
from augface.features.weights import load_into

BLOCKS = (32, 32, 32, 64, 64, 64, 64, 128, 128, 128, 256, 256, 256, 256)
"""Channels that each residual block gives."""
HALVING = (3, 7, 10, 13)
"""The blocks that halve the picture."""


class Residual(nn.Module):
    """Two convolutions, and a way around them."""

    def __init__(self, channels: int, outputs: int, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        self.first = nn.Conv2d(channels, outputs, 3, stride=2 if halves else 1, padding=0 if halves else 1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Adds what is not of one shape as dlib does: the smaller is filled up with zeros, at the end of each axis."""
        deep = self.second(functional.relu(self.first(images)))
        around = functional.avg_pool2d(images, 2) if self.halves else images
        shape = [max(lengths) for lengths in zip(deep.shape[1:], around.shape[1:], strict=True)]
        return functional.relu(_filled(deep, shape) + _filled(around, shape))


def _filled(images: Tensor, shape: list[int]) -> Tensor:
    missing = [wanted - length for wanted, length in zip(shape, images.shape[1:], strict=True)]
    return functional.pad(images, (0, missing[2], 0, missing[1], 0, missing[0])) if any(missing) else images


class IdentityNetwork(nn.Module):
    """Images (N, 3, 150, 150), as (x - mean) / 256, to vectors (N, 128)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, BLOCKS[0], 7, stride=2)
        channels = pairwise((BLOCKS[0], *BLOCKS))
        self.blocks = nn.Sequential(
            *(Residual(inputs, outputs, number in HALVING) for number, (inputs, outputs) in enumerate(channels))
        )
        self.last = nn.Linear(BLOCKS[-1], 128, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Float32 (N, 128)."""
        seen = functional.max_pool2d(functional.relu(self.first(images)), 3, stride=2)
        vectors: Tensor = self.last(self.blocks(seen).mean(dim=(2, 3)))
        return vectors


def identity_network(path: Path) -> IdentityNetwork:
    """The network with the weights of dlib's file.

    Raises:
        DataError: the file cannot be read, or holds another network.
    """
    network = IdentityNetwork()
    wanted = network.state_dict()
    try:
        found = list(_folded(read_dlib_layers(path)))
        state = {
            name: torch.from_numpy(values.reshape(tensor.shape))
            for values, (name, tensor) in zip(found, wanted.items(), strict=True)
        }
    except ValueError as error:
        raise DataError(f"{path} holds the weights of another network.") from error
    load_into(network, state, path)
    return network


def _folded(layers: list[Layer]) -> Iterator[Floats32]:
    """Weights and biases of each convolution, with the affine layer behind it taken in, and the matrix.

    Raises:
        ValueError: no affine layer is behind a convolution, or one of other size.
    """
    for layer, following in pairwise([*layers, layers[-1]]):
        if layer.name == "con_4":
            filters = layer.settings[0]
            weights, biases = np.split(layer.parameters, [-filters])
            factors, summands = following.parameters.reshape(2, filters)
            yield weights.reshape(filters, -1) * factors[:, None]
            yield biases * factors + summands
        elif layer.name == "fc_2":
            yield np.ascontiguousarray(layer.parameters.reshape(layer.settings[::-1]).T)
