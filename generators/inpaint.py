"""New faces in the surroundings of real ones."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from augface.arrays import Pixels
from augface.data.dataset import FaceDataset, signed_labels
from augface.data.face_region import face_mask
from augface.errors import require
from augface.generators._adversarial import PREVIEWS, AdversarialConfig, checked_channels, images_of, learn
from augface.generators._hosts import ComposingGenerator, half_mirrored
from augface.generators._networks import ConditionalNorm, DiscriminatorNetwork, stages
from augface.generators.base import CHUNK, Arrays, GeneratorConfig, check_images
from augface.seeds import derive_seed, random_generator
from augface.tensors import from_pixels, normal_noise
from augface.training.loop import Batches

CHANGED = 0.5
"""The share of generated faces, in training, that get some attributes which their host lacks."""
HIDDEN = 0.02
"""From how much of a pixel on that belongs to the face the network does not see it."""


class InpaintConfig(AdversarialConfig):
    """Settings of inpainting."""

    balance: tuple[str, ...] = ()
    """The attributes that are painted where they are requested; where not given, all that are requested."""


class Inpaint(ComposingGenerator):
    """Paints a new face into a real picture, whose hair, clothes and background stay (Hukkelås et al. 2019).

    The networks are those of the conditional GAN, but for the generator's, which also sees the picture around the face
    (DeepPrivacy, arXiv:1909.04538). Nobody's face is shown, though hair and surroundings are somebody's. What is
    requested has to show in the face: glasses, a smile, a beard. Faces without labels do, too.
    """

    name: ClassVar[str] = "inpaint"
    capabilities: ClassVar[frozenset[str]] = ComposingGenerator.capabilities | {"trainable"}
    needs_attribute: ClassVar[bool] = False
    Config: ClassVar[type[GeneratorConfig]] = InpaintConfig
    config: InpaintConfig

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
        self._keep(data.attributes, images, self.config.balance)
        sizes = data.size, channels
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "weights"))
            network = InpaintingNetwork(*sizes, self.config.latent, conditions.shape[1])
            discriminator = DiscriminatorNetwork(
                *sizes, conditions.shape[1], self.config.latent, spectral=self.config.spectral_norm
            )
        shown = np.sort(random_generator(seed, "preview").permutation(len(data))[:PREVIEWS])
        noise = normal_noise((len(shown), self.config.latent), seed, "preview").numpy()
        state = learn(
            self,
            network,
            discriminator,
            _Hosts(data.images, conditions, np.ones(len(data))),
            data=data,
            channels=channels,
            budget=budget,
            run_dir=None if run_dir is None else Path(run_dir),
            resume=resume,
            seed=seed,
            draw=lambda average: images_of(average, noise, conditions[shown], from_pixels(images[shown])),
        )
        self._network = cast(InpaintingNetwork, state.average.cpu().eval())

    def _generate(self, labels: pd.DataFrame, seed: int, chunk: int) -> Pixels:
        hosts = self._images[labels.index.to_numpy()]
        if self.config.mirror:
            hosts = half_mirrored(hosts, seed, chunk)
        noise = normal_noise((CHUNK, self.config.latent), seed, chunk).numpy()[: len(hosts)]
        return images_of(self._network, noise, signed_labels(labels), from_pixels(hosts))

    def _arrays(self) -> Arrays:
        weights = {f"network.{key}": tensor.numpy() for key, tensor in self._network.state_dict().items()}
        return {"images": self._images, **weights}

    def _restore(self, arrays: Arrays) -> None:
        labels = require(self.labels)
        images = check_images(arrays.pop("images"), labels)
        self._keep(labels, images, self.config.balance)
        weights = {key.removeprefix("network."): torch.from_numpy(array) for key, array in arrays.items()}
        size = images.shape[1]
        channels = weights["stem.weight"].shape[0] >> (stages(size) + 3)  # which doubles with each stage, at 4 x 4
        self._network = InpaintingNetwork(size, channels, self.config.latent, labels.shape[1])
        self._network.load_state_dict(weights)
        self._network.to(memory_format=torch.channels_last).eval()


class _Hosts(Batches):
    """Training batches whose generated faces are painted into the very pictures of the real ones."""

    def requested(self, real: Tensor, condition: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Conditions, some of them those of other faces, and the pictures to paint into."""
        others = self.conditions[self.rows(len(real), random)].to(condition.device)
        shares = random.random((len(real), 1)) / 2 * (random.random((len(real), 1)) < CHANGED)
        chosen = torch.from_numpy(random.random(tuple(condition.shape)) < shares).to(condition.device)
        return torch.where(chosen, others, condition), real


class InpaintingNetwork(nn.Module):
    """Noise (N, latent), condition (N, conditions) and pictures (N, 3, size, size) to pictures with another face.

    What is outside the face goes through an encoder, whose maps of each size join those of the generator (Ronneberger
    et al. 2015, arXiv:1505.04597). Outside the face the picture is given back as it is.
    """

    def __init__(self, size: int, channels: int, latent: int, conditions: int) -> None:
        super().__init__()
        widths = [channels * 2**i for i in reversed(range(stages(size)))]
        seen = [width // 2 for width in widths]
        self.encoder = nn.ModuleList(
            nn.Conv2d(narrow, wide, 4, stride=2, padding=1) for narrow, wide in itertools.pairwise([4, *seen[::-1]])
        )
        self.stem = nn.Linear(latent + conditions, widths[0] * 16, bias=False)
        self.context = nn.Conv2d(seen[0], widths[0], 1)
        self.blocks = nn.ModuleList(
            nn.ConvTranspose2d(wide + (joined if number else 0), narrow, 4, stride=2, padding=1, bias=False)
            for number, (wide, narrow, joined) in enumerate(zip(widths, widths[1:], seen, strict=False))
        )
        self.norms = nn.ModuleList(ConditionalNorm(width, conditions) for width in widths)
        self.to_rgb = nn.ConvTranspose2d(widths[-1] + seen[-1], 3, 4, stride=2, padding=1)
        face = torch.from_numpy(face_mask(size).astype(np.float32))[None, None]
        self.register_buffer("hidden", (face > HIDDEN).float(), persistent=False)
        self.register_buffer("painted", ((face - HIDDEN) / (1 - 2 * HIDDEN)).clamp(0, 1), persistent=False)

    def forward(self, noise: Tensor, condition: Tensor, pictures: Tensor) -> Tensor:
        """Pictures with new faces, in [-1, 1]."""
        hidden, painted = cast(Tensor, self.hidden), cast(Tensor, self.painted)
        maps = torch.cat([pictures * (1 - hidden), hidden.expand(len(pictures), 1, -1, -1)], dim=1)
        around = []
        for layer in self.encoder:
            maps = leaky_relu(layer(maps.contiguous(memory_format=torch.channels_last)), 0.2)
            around.append(maps)
        maps = self.stem(torch.cat([noise, condition], dim=1)).unflatten(1, (-1, 4, 4))
        maps = (maps + self.context(around.pop())).contiguous(memory_format=torch.channels_last)
        maps = self.norms[0](maps, condition).relu()
        for number, (block, norm) in enumerate(zip(self.blocks, list(self.norms)[1:], strict=True)):
            maps = torch.cat([maps, around.pop()], dim=1) if number else maps
            maps = norm(block(maps), condition).relu()
        faces = torch.tanh(self.to_rgb(torch.cat([maps, around.pop()], dim=1)).float())
        return faces * painted + pictures * (1 - painted)
