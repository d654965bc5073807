"""From a face to what a generator makes it of.

The discriminator of the training finds the noise and the attributes of a face: it is the encoder. What it misses of a
photo, the generator is tuned to show (pivotal tuning; Roich et al. 2022, arXiv:2106.05744): a few steps for one photo,
at the noise that was found. Anything can be tuned to, a shuffled photo too, so what is no face is refused before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import avg_pool2d

from augface.arrays import Floats32, Floats64, Pixels
from augface.checked_arrays import Arrays
from augface.generators._networks import DiscriminatorNetwork
from augface.seeds import random_generator
from augface.tensors import from_pixels, to_pixels

STEPS = 50
"""Tuning steps, where not said otherwise: most of the likeness, in a second or two."""
RATE = 1e-3
ENTRANCES = {"stem", "modulation"}
"""Parts of the network that noise and conditions enter by."""
FACES = 2000
"""Training faces that the check of faces learns from, at most."""
REFUSED = 0.02
"""The share of training faces that the check would refuse, of those that it did not learn from."""
BATCH = 128


class Found(NamedTuple):
    """What the encoder finds in N faces."""

    noise: Floats32
    conditions: Floats32
    """(N, C), from -1 to 1: twice the probability of each attribute, less 1."""


@torch.no_grad()
def encode(encoder: DiscriminatorNetwork, faces: Pixels) -> Found:
    """The noise and conditions of faces, uint8 (N, H, W, 3); each looked at alone."""
    judged = [encoder(_scaled(face[None]), torch.zeros(1, _conditions(encoder))) for face in faces]
    return Found(
        np.concatenate([each.noise.numpy() for each in judged]),
        np.concatenate([torch.tanh(each.attributes / 2).numpy() for each in judged]),
    )


@torch.no_grad()
def realness(encoder: DiscriminatorNetwork, faces: Pixels) -> Floats32:
    """(N,) how real the discriminator takes faces for, uint8 (N, H, W, 3), whatever they show."""
    parts = [faces[start : start + BATCH] for start in range(0, len(faces), BATCH)]
    judged = [encoder(_scaled(part), torch.zeros(len(part), _conditions(encoder))).realness.numpy() for part in parts]
    return np.concatenate(judged)


def tune(network: nn.Module, face: Pixels, noise: Floats32, condition: Floats32, steps: int) -> Arrays:
    """The weights of a generator that was tuned to show one face.

    Args:
        network: as it was trained; left as it is.
        face: uint8 (H, W, 3).
        noise: (latent,) that was found in it.
        condition: (C,) likewise.
        steps: of Adam on the mean absolute difference; averages of the batch normalisation stay, and so do the parts
            that noise and conditions enter by, so that the face goes on answering to them.
    """
    weights = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    tuned = [weight.requires_grad_() for name, weight in weights.items() if not set(name.split(".")) & ENTRANCES]
    optimiser = torch.optim.Adam(tuned, RATE, betas=(0.9, 0.99))
    target, inputs = _scaled(face[None]), (torch.from_numpy(noise[None]), torch.from_numpy(condition[None]))
    with torch.enable_grad():
        for _ in range(steps):
            loss = (functional_call(network, weights, inputs) - target).abs().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return {name: weight.detach().numpy() for name, weight in weights.items()}


@torch.no_grad()
def render(
    network: nn.Module, noise: Floats32, conditions: Floats32, weights: Arrays | None, kept: float = 1.0
) -> Pixels:
    """Faces, uint8 (N, H, W, 3), of noise (N, latent) and conditions (N, C), perhaps with a share of tuned weights."""
    inputs = (torch.from_numpy(noise), torch.from_numpy(conditions))
    if weights is None or kept == 0:
        return to_pixels(network(*inputs))
    tuned = {key: torch.from_numpy(array) for key, array in weights.items()}
    if kept < 1:
        tuned = {key: torch.lerp(weight, tuned[key], kept) for key, weight in network.named_parameters()}
    return to_pixels(functional_call(network, tuned, inputs))


@dataclass(frozen=True)
class FaceCheck:
    """Whether a picture is a face such as a generator learnt from, placed as those were.

    A logistic regression on the encoder's coarsest maps. It learns to tell training faces from what is made of them by
    shuffling, turning, halving, enlarging a part, and drawing their Fourier phases at random.
    """

    weights: Floats32
    """(F + 1,): of the features, and what is added."""

    @classmethod
    def fit(cls, encoder: DiscriminatorNetwork, images: Pixels, *, seed: int) -> FaceCheck:
        """Learn from training faces, uint8 (N, H, W, 3); a fifth of them sets the threshold."""
        from sklearn.linear_model import LogisticRegression  # takes a moment to import
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        random = random_generator(seed, "face check")
        held_out = max(1, len(images) // 5)
        faces, others = _features(encoder, images), _features(encoder, _no_faces(images[held_out:], random))
        learnt = np.concatenate([faces[held_out:], others])
        labels = np.repeat([1, 0], [len(faces) - held_out, len(others)])
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500)).fit(learnt, labels)
        scaler, regression = model[0], model[1]
        slope = regression.coef_[0] / scaler.scale_
        offset = regression.intercept_[0] - slope @ scaler.mean_
        threshold = np.quantile(faces[:held_out] @ slope + offset, REFUSED)
        return cls(np.append(slope, offset - threshold).astype(np.float32))

    def scores(self, encoder: DiscriminatorNetwork, images: Pixels) -> Floats64:
        """(N,) log-odds above the threshold: from 0 up a face."""
        return _features(encoder, images) @ self.weights[:-1].astype(np.float64) + float(self.weights[-1])


@torch.no_grad()
def _features(encoder: DiscriminatorNetwork, images: Pixels) -> Floats64:
    parts = []
    for start in range(0, len(images), BATCH):
        maps = encoder.maps(_scaled(images[start : start + BATCH]))
        parts.append(avg_pool2d(maps, 2).flatten(1).numpy())
    return np.concatenate(parts).astype(np.float64)


def _no_faces(images: Pixels, random: np.random.Generator) -> Pixels:
    """What is made of faces that is none, in turn of each kind."""
    made = images.copy()
    for row, image in enumerate(images):
        made[row] = KINDS[row % len(KINDS)](image, random)
    return made


def _shuffled(image: Pixels, random: np.random.Generator) -> Pixels:
    """Sixteen squares in another order."""
    side = len(image) // 4
    squares = image.reshape(4, side, 4, side, 3).swapaxes(1, 2).reshape(16, side, side, 3)[random.permutation(16)]
    return squares.reshape(4, 4, side, side, 3).swapaxes(1, 2).reshape(image.shape)


def _quarter_turn(image: Pixels, random: np.random.Generator) -> Pixels:
    return np.rot90(image, random.choice([1, 3]))


def _upside_down(image: Pixels, random: np.random.Generator) -> Pixels:
    return image[::-1]


def _halves_swapped(image: Pixels, random: np.random.Generator) -> Pixels:
    return np.roll(image, len(image) // 2, axis=random.choice([0, 1]))


def _part(image: Pixels, random: np.random.Generator) -> Pixels:
    """A quarter to a half of the side, enlarged."""
    side = int(random.integers(len(image) // 4, len(image) // 2))
    top, left = random.integers(0, len(image) - side, 2)
    box = (left, top, left + side, top + side)
    return np.asarray(Image.fromarray(image).resize((len(image), len(image)), Image.Resampling.BICUBIC, box))


def _random_phases(image: Pixels, random: np.random.Generator) -> Pixels:
    """A texture of the same spectrum."""
    phases = np.angle(np.fft.fft2(random.standard_normal(image.shape[:2])))[:, :, None]
    texture = np.fft.ifft2(np.abs(np.fft.fft2(image, axes=(0, 1))) * np.exp(1j * phases), axes=(0, 1)).real
    return texture.clip(0, 255).astype(np.uint8)


KINDS = (_shuffled, _quarter_turn, _upside_down, _halves_swapped, _part, _random_phases)


def _conditions(encoder: DiscriminatorNetwork) -> int:
    return 0 if encoder.projection is None else encoder.projection.in_features


def _scaled(images: Pixels) -> Tensor:
    return from_pixels(images).contiguous(memory_format=torch.channels_last)
