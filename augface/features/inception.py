"""Inception: the space of FID and KID, with the resizing and the network of clean-fid and the weights of pytorch-fid.

Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium" (FID);
Bińkowski et al. 2018, "Demystifying MMD GANs" (KID); Salimans et al. 2016, "Improved Techniques for Training GANs" (the
Inception score); Parmar et al. 2022, "On Aliased Resizing and Surprising Subtleties in GAN Evaluation" (clean-fid).
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from augface.arrays import Floats32, Floats64, Pixels
from augface.cache import prepare_cache
from augface.checked_arrays import read_arrays, write_arrays
from augface.errors import DataError, OutputError
from augface.features.base import Features, NetworkSpace
from augface.features.resize import resized
from augface.features.weights import Weights, WeightsFile, load_into, read_weights
from augface.files import cache_dir

if TYPE_CHECKING:
    import torch

    from augface.features.network import NetworkFunction

CLASSES = 1008


class InceptionSpace(NetworkSpace):
    """The last pooled features of Inception-v3, of whole images resized to 299 x 299 and scaled by (x - 128) / 128."""

    name: ClassVar[str] = "inception"
    dimension: ClassVar[int] = 2048
    batch: ClassVar[int] = 8
    """By torch on 2 cores 16 images/s go through, at 4 or 16 only 15; to OpenVINO it makes no difference."""
    resolution: ClassVar[int] = 299
    weights_file: ClassVar[WeightsFile] = WeightsFile(
        space="inception",
        name="pt_inception-2015-12-05-6726825d.pth",
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        bytes=95_628_359,
        url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        torch_names=("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"),
    )

    @property
    def protocol(self) -> dict[str, str | int | float]:
        """Version, weights and preprocessing. Only with `weights` "official" are distances comparable with others'."""
        return {
            "space": self.name,
            "version": 1,
            "weights": "official" if self.weights.official else "unofficial",
            "weights_sha256": self.weights.sha256,
            "resolution": self.resolution,
            "resize": "bicubic",
            "normalise": "(x - 128) / 128",
        }

    def prepare(self, image: Pixels) -> Floats32:
        """Float32 (3, 299, 299) from -1 to 1: what clean-fid's mode "clean" gives to its network, bit for bit."""
        planes = resized(image, self.resolution)
        planes -= 128
        planes /= 128
        return planes

    def forward(self, prepared: Floats32) -> Features:
        """Float32 (batch, 2048)."""
        return _network(self.weights)(prepared)

    def class_probabilities(self, features: Features) -> Floats64:
        """What the network's own classifier says of features (N, 2048): float64 (N, 1008), rows that sum to 1.

        As for the Inception score of TensorFlow and torch-fidelity, the classifier's bias is left out.
        """
        from scipy.special import softmax

        probabilities: Floats64 = softmax((features @ _classes(self.weights)).astype(np.float64), axis=1)
        return probabilities


def _state(weights: Weights) -> dict[str, torch.Tensor]:
    """The tensors of the file but those of the auxiliary classifier, which only its training used."""
    state = read_weights(weights.path)
    return {name: tensor for name, tensor in state.items() if not name.startswith("AuxLogits.")}


def inception_network() -> torch.nn.Module:
    """clean-fid's Inception without weights: float32 images (N, 3, 299, 299) from -1 to 1 give logits (N, 1008).

    Its state dict has the keys of pytorch-fid's file. With the identity for `fc` it gives pooled features (N, 2048).
    clean-fid's own functions that make it download its weights, unchecked, so its blocks are put together here.
    """
    from cleanfid.inception_pytorch import FIDInceptionA, FIDInceptionC, FIDInceptionE_1, FIDInceptionE_2
    from torchvision.models.inception import BasicConv2d, Inception3, InceptionAux, InceptionB, InceptionD

    blocks = [BasicConv2d, FIDInceptionA, InceptionB, FIDInceptionC, InceptionD, FIDInceptionE_1, InceptionAux]
    network = Inception3(CLASSES, aux_logits=False, transform_input=False, inception_blocks=blocks, init_weights=False)
    network.Mixed_7c = FIDInceptionE_2(2048)
    return network  # type: ignore[no-any-return]  # torchvision is not typed


@cache
def _network(weights: Weights) -> NetworkFunction:
    import torch

    from augface.features.network import network_function

    network = inception_network()
    load_into(network, _state(weights), weights.path)
    network.fc = torch.nn.Identity()
    side = InceptionSpace.resolution
    return network_function(network, (InceptionSpace.batch, 3, side, side))


@cache
def _classes(weights: Weights) -> Floats32:
    """The classifier's matrix, float32 (2048, 1008); in the cache, since to read it out of the weights takes torch."""
    path = cache_dir() / "weights" / f"inception-classes-{weights.sha256[:32]}.safetensors"
    try:
        matrix: Floats32 = read_arrays(path)["classes"]
    except (DataError, KeyError):
        matrix = np.ascontiguousarray(_state(weights)["fc.weight"].float().numpy().T)
        with suppress(OutputError):
            prepare_cache()
            write_arrays(path, {"classes": matrix}, {"description": f"the classifier of {weights.path.name}"})
    return matrix
