"""What `dcgan` and `cgan` share: the networks, learnt by the training loop, and how they make faces."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor, nn

from augface.arrays import Floats32, Floats64, Pixels
from augface.data.dataset import FaceDataset
from augface.devices import compute_device
from augface.errors import DataError, UsageError, require
from augface.files import atomic_path
from augface.generators._codes import Codes
from augface.generators._inversion import STEPS, encode, render, tune
from augface.generators._latent import LatentGenerator
from augface.generators._networks import DiscriminatorNetwork, GeneratorNetwork, Networks, stages
from augface.generators._steerable import SteerableGenerator
from augface.generators.base import CHUNK, Arrays, Generator, GeneratorConfig
from augface.locks import locked
from augface.processes import is_main_process
from augface.progress import in_notebook, progress
from augface.seeds import derive_seed
from augface.tensors import normal_noise, to_pixels
from augface.training.budget import parse_budget
from augface.training.checkpoints import TrainingState
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


class AdversarialGenerator(SteerableGenerator, LatentGenerator):
    """A generator network trained against a discriminator."""

    Config: ClassVar[type[GeneratorConfig]] = AdversarialConfig
    config: AdversarialConfig

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self._copy: tuple[nn.Module, nn.Module] | None = None
        """The network, and its copy on the GPU."""

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
        channels = checked_channels(self.name, data, self.config.channels)
        self.labels = data.attributes
        conditions = self._conditions(data.attributes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "weights"))
            network = self._new_network(data.size, channels, conditions.shape[1])
            discriminator = self._new_encoder(data.size, channels, conditions.shape[1])
        state = learn(
            self,
            network,
            discriminator,
            Batches(data.images, conditions, self._weights(data.attributes)),
            data=data,
            channels=channels,
            budget=budget,
            run_dir=folder,
            resume=resume,
            seed=seed,
            draw=self._preview(seed),
        )
        self._network = cast(GeneratorNetwork, state.average.cpu().eval())
        self._keep_encoder(discriminator, data.images, seed)

    def _preview(self, seed: int) -> Callable[[nn.Module], Pixels]:
        conditions = self._conditions(next(iter(self._label_chunks(PREVIEWS, {}, seed))))
        noise = self._noise(seed, 0)[:PREVIEWS]
        return lambda network: images_of(network, noise, conditions)

    def _new_network(self, size: int, channels: int, conditions: int) -> GeneratorNetwork:
        return GeneratorNetwork(size, channels, self.config.latent, conditions)

    def networks(self) -> Networks:
        """See `Generator.networks`."""
        if self.labels is None:
            raise UsageError(f"The {self.name} generator is not fitted yet: call fit or load first.")
        return Networks(self._network, self._encoder)

    def _noise(self, seed: int, chunk: int) -> Floats32:
        return normal_noise((CHUNK, self.config.latent), seed, chunk).numpy()

    def _draw(self, noise: Floats32, conditions: Floats32) -> Pixels:
        return images_of(self._on_device(), noise, conditions)

    def _on_device(self) -> nn.Module:
        """The network where it computes: itself, or a copy on the GPU where there is one."""
        device = compute_device()
        if device.type == "cpu":
            return self._network
        if self._copy is None or self._copy[0] is not self._network:
            self._copy = self._network, copy.deepcopy(self._network).to(device)
        return self._copy[1]

    def codes(self, faces: FaceDataset, *, steps: int | None = None) -> Codes:
        """See `Generator.codes`."""
        fingerprint, names = self.fingerprint, tuple(map(str, faces.names))
        if faces.factors is not None and {"seed", "number"} <= set(faces.factors):
            labels, factors, _ = next(self._again(len(faces), {}, faces, chunk=len(faces)))
            known = self._latents(factors), self._conditions(labels)
            return Codes(*known, names, fingerprint, np.full(len(faces), -1))
        images = self._checked_faces(faces)
        encoder = require(self._encoder)
        noise, conditions = encode(encoder, images)
        steps = STEPS if steps is None else steps
        if not steps:
            return Codes(noise, conditions, names, fingerprint, np.full(len(faces), -1))
        rows = zip(images, noise, conditions, strict=True)
        tuned = [
            tune(self._network, image, own_noise, condition, steps)
            for image, own_noise, condition in progress(
                iterable=rows, total=len(faces), desc="tuning to faces", unit="faces"
            )
        ]
        return Codes(noise, conditions, names, fingerprint, np.arange(len(faces)), tuple(tuned))

    def _look(self, codes: Codes) -> Pixels:
        """Faces (N, H, W, 3) of codes, where their last bits are of no matter: those of the same weights at once."""
        pictures: dict[int, Pixels] = {}
        for tuning, kept in sorted(set(zip(codes.tuning.tolist(), codes.kept.tolist(), strict=True))):
            same = np.flatnonzero((codes.tuning == tuning) & (codes.kept == np.float32(kept)))
            weights = None if tuning < 0 else codes.tuned[tuning]
            for start in range(0, len(same), CHUNK):
                rows = same[start : start + CHUNK]
                drawn = render(self._network, codes.noise[rows], codes.conditions[rows], weights, kept)
                pictures |= dict(zip(rows.tolist(), drawn, strict=True))
        return np.stack([pictures[row] for row in range(len(codes))])

    def _arrays(self) -> Arrays:
        weights = {key: tensor.numpy() for key, tensor in self._network.state_dict().items()}
        return {**weights, **self._encoder_arrays()}

    def _restore(self, arrays: Arrays) -> None:
        size = 2 ** (sum(key.startswith("blocks.") for key in arrays) + 3)
        channels = arrays["to_rgb.weight"].shape[0]
        conditions = self._conditions(require(self.labels)[:0]).shape[1]
        self._restore_encoder(arrays, size, channels, conditions)
        self._network = self._new_network(size, channels, conditions)
        self._network.load_state_dict({key: torch.from_numpy(array) for key, array in arrays.items()})
        self._network.to(memory_format=torch.channels_last).eval()


def checked_channels(name: str, data: FaceDataset, channels: int | None) -> int:
    """The narrowest width of networks for these data, which are checked to be of some use.

    Raises:
        UsageError: their size is no power of two from 16 up.
        DataError: they are one face, or all the same.
    """
    size = data.size
    if size < 16 or math.log2(size) % 1:
        raise UsageError(f"The {name} generator makes faces of 16, 32, 64, … pixels, not {size}.")
    if len(data) < 2:
        raise DataError(f"{len(data)} face is too few to train on.")
    if _all_alike(data):
        raise DataError(f"All {len(data):,} faces are the same image: there is nothing to learn from them.")
    if len(data) < FEW:
        log.warning(f"{len(data):,} faces are few: synthetic faces will mostly be copies of them.")
    return channels or max(4, WIDEST >> (stages(size) - 1))


def learn(
    generator: Generator,
    network: nn.Module,
    discriminator: DiscriminatorNetwork,
    batches: Batches,
    *,
    data: FaceDataset,
    channels: int,
    budget: str,
    run_dir: Path | None,
    resume: bool,
    seed: int,
    draw: Callable[[nn.Module], Pixels],
) -> TrainingState:
    """Train the networks of a generator; `draw` makes the faces of a preview."""
    config = cast(AdversarialConfig, generator.config)

    def preview(average: nn.Module, images_seen: int) -> Pixels:
        from PIL import Image

        picture = np.concatenate(list(draw(average)), axis=1)
        if run_dir is not None:
            with atomic_path(run_dir / "previews" / f"{images_seen:09d}.png") as path:
                Image.fromarray(picture).save(path, format="PNG")
        return picture

    with locked(run_dir) if run_dir and is_main_process() else nullcontext():
        return train(
            network,
            discriminator,
            batches,
            config,
            latent=config.latent,
            budget=parse_budget(budget),
            seed=seed,
            run_dir=run_dir,
            resume=resume,
            identity={
                "generator": generator.name,
                "config": config.model_dump(mode="json") | {"channels": channels},
                "data": data.source.content_hash,
                "images": len(data),
            },
            preview=preview if run_dir or in_notebook() else None,
        )


def _all_alike(data: FaceDataset) -> bool:
    """Whether all images are equal; where they are not, the first few show it."""
    first = data.images[:1]
    return all((data.images[start : start + CHUNK] == first).all() for start in range(0, len(data), CHUNK))


@torch.no_grad()
def images_of(network: nn.Module, *inputs: Floats32 | Tensor) -> Pixels:
    """What a network makes of its inputs, uint8 (N, H, W, 3)."""
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):  # the same bits each time
        images = network(*(torch.as_tensor(each).to(device) for each in inputs))
    network.train(was_training)
    return to_pixels(images)
