"""What `dcgan` and `cgan` share: the networks, learnt by the training loop, and how they make faces."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import nn

from augface.arrays import Floats32, Floats64, Pixels
from augface.data.dataset import FaceDataset
from augface.errors import DataError, UsageError, require
from augface.generators._latent import LatentGenerator
from augface.generators._networks import DiscriminatorNetwork, GeneratorNetwork, stages
from augface.generators._tensors import normal_noise, to_pixels
from augface.generators.base import CHUNK, Arrays, GeneratorConfig
from augface.locks import locked
from augface.processes import is_main_process
from augface.progress import in_notebook
from augface.seeds import derive_seed
from augface.training.budget import parse_budget
from augface.training.loop import Batches, TrainingSettings, train

FEW = 200
"""Training faces below which a warning is given."""
WIDEST = 256
"""Feature maps at 4 x 4, where `channels` does not say otherwise: at every size the networks know as much of whole
faces, and an image of 128 pixels takes less than twice the time of one of 64, not six times."""
PREVIEWS = 16
"""Faces of each preview: the same noise every time."""

log = logging.getLogger("augface")


class AdversarialConfig(TrainingSettings, GeneratorConfig):
    """Settings of the networks, beside those of their training."""

    channels: int | None = Field(default=None, ge=4, le=4096)
    """Feature maps at half the size of the faces; each halving doubles them, up to `WIDEST` where not given."""
    latent: int = Field(default=64, ge=1, le=65_536)
    """Numbers of noise of a face."""
    spectral_norm: bool = False
    """Whether spectral norms keep the discriminator smooth, which goes with the loss `hinge`."""


class AdversarialGenerator(LatentGenerator):
    """A generator network trained against a discriminator."""

    Config: ClassVar[type[GeneratorConfig]] = AdversarialConfig
    config: AdversarialConfig

    def _weights(self, labels: pd.DataFrame) -> Floats64:
        """(N,) how often each training face is shown, in proportion."""
        return np.ones(len(labels))

    def fit(
        self,
        data: FaceDataset,
        *,
        budget: str = "5m",
        run_dir: str | Path | None = None,
        resume: bool = False,
        seed: int = 0,
    ) -> None:
        """Train; see `Generator.fit`. Image sides must be a power of two from 16 up."""
        folder = None if run_dir is None else Path(run_dir)
        data = self.prepared(data)
        size = data.size
        if size < 16 or math.log2(size) % 1:
            raise UsageError(f"The {self.name} generator makes faces of 16, 32, 64, … pixels, not {size}.")
        if len(data) < 2:
            raise DataError(f"{len(data)} face is too few to train on.")
        if _all_alike(data):
            raise DataError(f"All {len(data):,} faces are the same image: there is nothing to learn from them.")
        if len(data) < FEW:
            log.warning(f"{len(data):,} faces are few: synthetic faces will mostly be copies of them.")
        self.labels = data.attributes
        conditions = self._conditions(data.attributes)
        channels = self.config.channels or max(4, WIDEST >> (stages(size) - 1))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "weights"))
            self._network: nn.Module = self._new_network(size, channels, conditions.shape[1])
            discriminator = DiscriminatorNetwork(
                size, channels, conditions.shape[1], self.config.latent, spectral=self.config.spectral_norm
            )
        with locked(folder) if folder and is_main_process() else nullcontext():
            state = train(
                self._network,
                discriminator,
                Batches(data.images, conditions, self._weights(data.attributes)),
                self.config,
                latent=self.config.latent,
                budget=parse_budget(budget),
                seed=seed,
                run_dir=folder,
                resume=resume,
                identity={
                    "generator": self.name,
                    "config": self.config.model_dump(mode="json") | {"channels": channels},
                    "data": data.source.content_hash,
                    "images": len(data),
                },
                preview=self._preview(folder, seed) if folder or in_notebook() else None,
            )
        self._network = state.average.cpu()

    def _preview(self, run_dir: Path | None, seed: int) -> Callable[[nn.Module, int], Pixels]:
        conditions = self._conditions(next(iter(self._label_chunks(PREVIEWS, {}, seed))))
        noise = self._noise(seed, 0)[:PREVIEWS]

        def draw(network: nn.Module, images_seen: int) -> Pixels:
            from PIL import Image

            from augface.files import atomic_path

            faces = _render(network, noise, conditions)
            picture = np.concatenate(list(faces), axis=1)
            if run_dir is not None:
                with atomic_path(run_dir / "previews" / f"{images_seen:09d}.png") as path:
                    Image.fromarray(picture).save(path, format="PNG")
            return picture

        return draw

    def _new_network(self, size: int, channels: int, conditions: int) -> GeneratorNetwork:
        return GeneratorNetwork(size, channels, self.config.latent, conditions)

    def _noise(self, seed: int, chunk: int) -> Floats32:
        return normal_noise((CHUNK, self.config.latent), seed, chunk).numpy()

    def _draw(self, noise: Floats32, conditions: Floats32) -> Pixels:
        return _render(self._network, noise, conditions)

    def _arrays(self) -> Arrays:
        return {key: tensor.numpy() for key, tensor in self._network.state_dict().items()}

    def _restore(self, arrays: Arrays) -> None:
        size = 2 ** (sum(key.startswith("blocks.") for key in arrays) + 3)
        channels = arrays["to_rgb.weight"].shape[0]
        self._network = self._new_network(size, channels, self._conditions(require(self.labels)[:0]).shape[1])
        self._network.load_state_dict({key: torch.from_numpy(array) for key, array in arrays.items()})
        self._network.to(memory_format=torch.channels_last)


def _all_alike(data: FaceDataset) -> bool:
    """Whether all images are equal; where they are not, the first few show it."""
    first = data.images[:1]
    return all((data.images[start : start + CHUNK] == first).all() for start in range(0, len(data), CHUNK))


@torch.no_grad()
def _render(network: nn.Module, noise: Floats32, conditions: Floats32) -> Pixels:
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    images = network(torch.from_numpy(noise).to(device), torch.from_numpy(conditions).to(device))
    network.train(was_training)
    return to_pixels(images)
