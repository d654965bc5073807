"""Real faces with other attributes: more of a smile, glasses, another age."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from augface.arrays import Floats32, Floats64, Integers, Pixels
from augface.data.dataset import FaceDataset, signed_labels
from augface.data.pixels import ImageRows
from augface.errors import UnknownNameError, UsageError, require
from augface.generators._adversarial import PREVIEWS, AdversarialConfig, checked_channels, images_of, learn
from augface.generators._codes import Codes
from augface.generators._hosts import ComposingGenerator, half_mirrored
from augface.generators._inversion import encode
from augface.generators._networks import ConditionalNorm, stages
from augface.generators._steerable import SteerableGenerator
from augface.generators.base import CHUNK, Arrays, GeneratorConfig, check_images
from augface.seeds import derive_seed, random_generator
from augface.tensors import from_pixels
from augface.training.loop import Batches

SECOND = 0.25
"""The share of the training's edits that change a second attribute, too."""


class AttGANConfig(AdversarialConfig):
    """Settings of edits. Faces have no noise here, so `latent` and `noise_weight` matter to nothing."""

    latent: int = Field(default=1, ge=1, le=65_536)
    noise_weight: float = Field(default=0.0, ge=0)
    balance: tuple[str, ...] = ()
    """The attributes that it learns to change: the fewer, the sooner. Where not given, all that some of the training
    faces have and others lack."""
    edit_weight: float = Field(default=20.0, gt=0)
    """How much more an attribute that is to change counts in the attribute loss than one that is to stay."""
    change_weight: float = Field(default=0.5, ge=0)
    """Weight of the mean absolute change of the pixels: the more, the less is changed that need not be."""
    strength: float = Field(default=1.5, gt=0, le=3)
    """How strongly faces get what is requested: 1 is as strongly as in training."""


class AttGAN(SteerableGenerator, ComposingGenerator):
    """Changes attributes of real faces, and of photos by strength (He et al. 2019, arXiv:1711.10678).

    A network is told which attributes are to be had more and which less (as in STGAN, Liu et al. 2019,
    arXiv:1904.09709), and gives what has to be added to the picture. The rest of the picture stays: who it is, hair,
    background. The discriminator and its judgement of attributes are those of the conditional GAN.
    """

    name: ClassVar[str] = "attgan"
    capabilities: ClassVar[frozenset[str]] = ComposingGenerator.capabilities | {"trainable", "edits"}
    source: ClassVar[str] = "edited"
    Config: ClassVar[type[GeneratorConfig]] = AttGANConfig
    config: AttGANConfig

    @property
    def editable(self) -> frozenset[str]:
        """See `Generator.editable`."""
        return frozenset(self._edited) if self.labels is not None else frozenset()

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
        channels = checked_channels(self.name, data, self.config.channels)
        images, conditions = np.asarray(data.images), signed_labels(data.attributes)
        self._take(data.attributes, images)
        columns = self._columns()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "weights"))
            network = EditingNetwork(data.size, channels, len(columns))
            discriminator = self._new_encoder(data.size, channels, conditions.shape[1])
        shown = np.sort(random_generator(seed, "preview").permutation(len(data))[:PREVIEWS])
        turned = np.zeros((len(shown), len(columns)), np.float32)
        places = np.arange(len(shown)), np.arange(len(shown)) % len(columns)
        turned[places] = -np.sign(conditions[shown][:, columns][places])
        pictures = from_pixels(images[shown])
        state = learn(
            self,
            network,
            discriminator,
            _Edits(data.images, conditions, columns, self.config),
            data=data,
            channels=channels,
            budget=budget,
            run_dir=None if run_dir is None else Path(run_dir),
            resume=resume,
            seed=seed,
            draw=lambda average: _edited(average, pictures, turned),
        )
        self._network = cast(EditingNetwork, state.average.cpu().eval())
        self._keep_encoder(discriminator, images, seed)

    def _take(self, labels: pd.DataFrame, images: Pixels) -> None:
        """Take these faces as hosts."""
        for name in self.config.balance:
            if name not in labels:
                raise UnknownNameError("attribute", name, labels.columns)
        self._keep(labels, images, self.config.balance)
        self._edited = [name for name in self._varied if name in self.config.balance or not self.config.balance]
        if not self._edited:
            alike = ", ".join(self.config.balance)
            raise UsageError(f"All training faces are alike in {alike}: no edit can be learnt.")

    def _columns(self) -> Integers:
        """The numbers of the attributes that are changed."""
        return require(self.labels).columns.get_indexer(pd.Index(self._edited)).astype(np.int64)

    def _moved(self, where: Collection[str]) -> list[str]:
        return [name for name in where if name in self._edited]

    def _generate(self, labels: pd.DataFrame, seed: int, chunk: int) -> Pixels:
        rows = labels.index.to_numpy()
        hosts, own = self._images[rows], signed_labels(require(self.labels).iloc[rows])
        if self.config.mirror:
            hosts = half_mirrored(hosts, seed, chunk)
        difference = np.sign(signed_labels(labels) - own)[:, self._columns()] * np.float32(self.config.strength)
        return _edited(self._network, from_pixels(hosts), difference)

    def codes(self, faces: FaceDataset, *, steps: int | None = None) -> Codes:
        """The pictures themselves, and the attributes that the encoder finds in them; nothing is tuned.

        See `Generator.codes`.
        """
        own = faces.factors is not None and {"seed", "number", "host"} <= set(faces.factors)
        images = np.asarray(faces.images) if own else self._checked_faces(faces)
        conditions = encode(require(self._encoder), images).conditions
        pictures = tuple({"picture": one, "conditions": found} for one, found in zip(images, conditions, strict=True))
        names, noise = tuple(map(str, faces.names)), np.zeros((len(faces), 0), np.float32)
        return Codes(noise, conditions, names, self.fingerprint, np.arange(len(faces)), pictures)

    def request(self, codes: Codes, where: Mapping[str, bool]) -> Codes:
        """See `Generator.request`; attributes that it did not learn to change cannot be requested of a face."""
        for name in self._spelled(where):
            if name not in self.editable and name in require(self.labels):
                raise UsageError(f"This {self.name} generator learnt to change {', '.join(self._edited)} alone.")
        return super().request(codes, where)

    def _look(self, codes: Codes) -> Pixels:
        if (codes.tuning < 0).any():
            raise UsageError("These codes were saved without their pictures: save them with weights=True.")
        found = [codes.tuned[number] for number in codes.tuning.tolist()]
        pictures, own = (np.stack([one[key] for one in found]) for key in ("picture", "conditions"))
        difference = (codes.conditions - own)[:, self._columns()] / 2
        parts = [slice(start, start + CHUNK) for start in range(0, len(codes), CHUNK)]
        return np.concatenate([_edited(self._network, from_pixels(pictures[part]), difference[part]) for part in parts])

    def _arrays(self) -> Arrays:
        weights = {f"network.{key}": tensor.numpy() for key, tensor in self._network.state_dict().items()}
        return {"images": self._images, **weights, **self._encoder_arrays()}

    def _restore(self, arrays: Arrays) -> None:
        labels = require(self.labels)
        images = check_images(arrays.pop("images"), labels)
        self._take(labels, images)
        channels, size = arrays["network.encoder.0.weight"].shape[0], images.shape[1]
        self._restore_encoder(arrays, size, channels, labels.shape[1])
        weights = {key.removeprefix("network."): torch.from_numpy(array) for key, array in arrays.items()}
        self._network = EditingNetwork(size, channels, len(self._edited))
        self._network.load_state_dict(weights)
        self._network.to(memory_format=torch.channels_last).eval()


class _Edits(Batches):
    """Training batches whose generated faces are the real ones with one attribute, sometimes two, the other way.

    As many faces get each attribute as lose it: those whose value is rare are drawn, and changed in it, more often.
    """

    def __init__(self, images: ImageRows, conditions: Floats32, columns: Integers, config: AttGANConfig) -> None:
        own = conditions[:, columns]
        self.rarity = {value: 1 / np.maximum(1, (own == value).sum(axis=0)) for value in (-1, 1)}
        self.columns = torch.from_numpy(columns)
        self.config = config
        super().__init__(images, conditions, self._chances(own).sum(axis=1))

    def _chances(self, own: Floats32) -> Floats64:
        """(N, C) in proportion to which each attribute of a face is changed; what is not known is not."""
        chances: Floats64 = np.where(own > 0, self.rarity[1], self.rarity[-1]) * (own != 0)
        return chances

    def requested(self, real: Tensor, condition: Tensor, random: np.random.Generator) -> tuple[Tensor, ...]:
        """What the faces are to show, their pictures, and the change of each attribute that is changed: -1, 0 or 1."""
        own = condition[:, self.columns].cpu().numpy()
        up_to = self._chances(own).cumsum(axis=1)
        changed = np.zeros(own.shape, dtype=bool)
        for share in (1.0, SECOND):
            drawn = (up_to <= random.random((len(own), 1)) * up_to[:, -1:]).sum(axis=1)
            done = random.random(len(own)) < share
            changed[done, drawn[done].clip(max=own.shape[1] - 1)] = True
        difference = torch.from_numpy(-own * changed).to(condition.device)
        wanted = condition.clone()
        wanted[:, self.columns] += 2 * difference
        return wanted, real, difference

    def attribute_weights(self, condition: Tensor, *others: Tensor) -> Tensor:
        """What is changed counts more than what is to stay."""
        weights = torch.ones_like(condition)
        weights[:, self.columns] += (self.config.edit_weight - 1) * others[1].abs()
        return weights

    def generator_penalty(self, generated: Tensor, *others: Tensor) -> Tensor:
        """The mean absolute change of the pixels."""
        return self.config.change_weight * (generated - others[0]).abs().mean()


class EditingNetwork(nn.Module):
    """Pictures (N, 3, size, size) and the wanted change of C attributes (N, C) to changed pictures.

    An encoder's maps of each size join those of the decoder (Ronneberger et al. 2015, arXiv:1505.04597), which gives
    what is added to the picture. It is in proportion to the largest change: none where no attribute is to change.
    """

    def __init__(self, size: int, channels: int, changes: int) -> None:
        super().__init__()
        widths = [channels * 2**i for i in reversed(range(stages(size)))]
        self.encoder = nn.ModuleList(
            nn.Conv2d(narrow, wide, 4, stride=2, padding=1) for narrow, wide in itertools.pairwise([3, *widths[::-1]])
        )
        self.stem = nn.Linear(changes, widths[0] * 16, bias=False)
        self.blocks = nn.ModuleList(
            nn.ConvTranspose2d(2 * wide if number else wide, narrow, 4, stride=2, padding=1, bias=False)
            for number, (wide, narrow) in enumerate(itertools.pairwise(widths))
        )
        self.norms = nn.ModuleList(ConditionalNorm(width, changes) for width in widths)
        self.to_rgb = nn.ConvTranspose2d(2 * widths[-1], 3, 4, stride=2, padding=1)
        nn.init.normal_(self.to_rgb.weight, std=0.01)  # so that pictures are changed little at first
        nn.init.zeros_(require(self.to_rgb.bias))

    def forward(self, noise: Tensor, condition: Tensor, pictures: Tensor, difference: Tensor) -> Tensor:
        """Changed pictures, which may leave [-1, 1]; noise and condition are of no matter."""
        amount = difference.abs().amax(dim=1, keepdim=True)
        difference = difference / amount.clamp(min=1e-6)
        maps, seen = pictures.contiguous(memory_format=torch.channels_last), []
        for layer in self.encoder:
            maps = leaky_relu(layer(maps), 0.2)
            seen.append(maps)
        maps = seen.pop() + self.stem(difference).unflatten(1, (-1, 4, 4))
        maps = self.norms[0](maps.contiguous(memory_format=torch.channels_last), difference).relu()
        for number, (block, norm) in enumerate(zip(self.blocks, list(self.norms)[1:], strict=True)):
            maps = torch.cat([maps, seen.pop()], dim=1) if number else maps
            maps = norm(block(maps), difference).relu()
        change: Tensor = self.to_rgb(torch.cat([maps, seen.pop()], dim=1)).float()
        return pictures + amount[:, :, None, None] * change


def _edited(network: nn.Module, pictures: Tensor, difference: Floats32) -> Pixels:
    nothing = torch.zeros(len(pictures), 0)
    return images_of(network, nothing, nothing, pictures, difference)
