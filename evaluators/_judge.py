"""The judge of attributes: who shows what, learnt from the real train split by two unlike classifiers.

It shares neither seed, features nor thresholds with the classifier that the filters let faces through by.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from scipy import special
from torch.nn import functional

from augface.arrays import Floats32
from augface.classifiers.attributes import AttributeClassifier
from augface.data.dataset import FaceDataset, signed_labels
from augface.features.base import Features
from augface.seeds import derive_seed, random_generator

STRENGTH = 0.1
"""Weight of the squared coefficients, on features of unit variance."""
ITERATIONS = 100
MOST = 20_000
"""Faces that the judge learns from: more would teach it little, and take memory."""
PASSES, IMAGES = 8, 40_000
"""How often the small network sees each face, and how many images in all at most."""
PIXELS_SHARE = 2 / 3
"""Weight of the small network's log-odds; the rest is the linear probe's. Chosen on CelebA faces of other people."""


@dataclass(frozen=True)
class LinearProbe:
    """Logistic regressions on scaled features, one an attribute.

    Attributes:
        attributes: what it predicts, in the order of its columns.
    """

    attributes: list[str]
    _centre: Floats32
    _scale: Floats32
    _weights: Floats32
    _bias: Floats32

    @classmethod
    def train(cls, features: Features, attributes: pd.DataFrame, *, balanced: bool = False) -> LinearProbe:
        """Learn from (N, D) features and their labels; attributes of one kind only are left out.

        Args:
            features: of faces.
            attributes: what they show, missing where that is not known.
            balanced: whether both kinds count alike, however many faces there are of each.
        """
        known = [str(name) for name in attributes if attributes[name].nunique() == 2]
        centre, scale = features.mean(axis=0), features.std(axis=0).clip(min=1e-3)
        inputs = torch.from_numpy((features - centre) / scale)
        signs = torch.from_numpy(signed_labels(attributes[known]))
        counts = signs.abs()
        if balanced:
            counts = (signs > 0) / (signs > 0).sum(dim=0) + (signs < 0) / (signs < 0).sum(dim=0)
        counts = counts / counts.sum(dim=0)
        weights = torch.zeros(inputs.shape[1], len(known), requires_grad=True)
        bias = torch.zeros(len(known), requires_grad=True)
        optimiser = torch.optim.LBFGS([weights, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

        def loss() -> float:
            optimiser.zero_grad()
            losses = functional.softplus(-signs * (inputs @ weights + bias)) * counts
            total = losses.sum() + STRENGTH / 2 * weights.square().sum()
            total.backward()  # type: ignore[no-untyped-call]
            return float(total.detach())

        if known:
            optimiser.step(loss)  # type: ignore[no-untyped-call]
        return cls(known, centre, scale, weights.detach().numpy(), bias.detach().numpy())

    def log_odds(self, features: Features) -> Floats32:
        """Float32 (N, attributes): above 0 where a face rather shows the attribute."""
        return np.asarray((features - self._centre) / self._scale @ self._weights + self._bias, dtype=np.float32)


@dataclass(frozen=True)
class Judge:
    """A linear probe of the default space and a small network on pixels: each errs where the other does not.

    Attributes:
        probe: the first; its attributes are those that the judge predicts.
        network: the second, on faces and their mirror images.
    """

    probe: LinearProbe
    network: AttributeClassifier

    @property
    def attributes(self) -> list[str]:
        """What it predicts, in the order of its columns."""
        return self.probe.attributes

    @classmethod
    def train(cls, faces: FaceDataset, features: Features, *, seed: int = 0) -> Judge | None:
        """Learn from labelled real faces and their (N, D) features. Attributes of one kind only are left out.

        Returns:
            The judge, or None where no attribute has faces of both kinds.
        """
        rows = np.sort(random_generator(seed, "judge's faces").permutation(len(faces))[:MOST])
        learnt = faces.select(rows)
        known = [str(name) for name in learnt.attributes if learnt.attributes[name].nunique() == 2]
        if not known:
            return None
        learnt = replace(learnt, attributes=learnt.attributes[known])
        images = min(IMAGES, PASSES * len(learnt))
        network = AttributeClassifier.train(learnt, seed=derive_seed(seed, "judge"), images=images, kept=True)
        return cls(LinearProbe.train(features[rows], learnt.attributes), network)

    def probabilities(self, faces: FaceDataset, features: Features) -> Floats32:
        """Float32 (N, attributes): how likely each face shows each attribute."""
        by_pixels = self.network.log_odds(faces.images) + self.network.log_odds(faces.images, mirrored=True)
        log_odds = PIXELS_SHARE * by_pixels / 2 + (1 - PIXELS_SHARE) * self.probe.log_odds(features)
        return np.asarray(special.expit(log_odds), dtype=np.float32)
