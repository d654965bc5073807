"""What `dcgan` and `cgan` share: the networks, learnt by the training loop, and how they make faces."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor, nn

from augface.arrays import Floats32, Floats64, Pixels
from augface.data.dataset import FaceDataset
from augface.data.readers.containers import some
from augface.devices import compute_device
from augface.errors import DataError, UsageError, require, spelled
from augface.files import atomic_path
from augface.generators._calibration import DRAWN, GENERATED, TUNED, Faces, calibrate, draw_rows
from augface.generators._codes import Codes
from augface.generators._inversion import FACES, STEPS, FaceCheck, encode, realness, render, tune
from augface.generators._latent import LatentGenerator
from augface.generators._networks import DiscriminatorNetwork, GeneratorNetwork, Networks, stages
from augface.generators.base import CHUNK, Arrays, Generator, GeneratorConfig
from augface.locks import locked
from augface.processes import is_main_process
from augface.progress import in_notebook, progress
from augface.seeds import derive_seed, random_generator
from augface.tensors import normal_noise, to_pixels
from augface.training.budget import parse_budget
from augface.training.checkpoints import TrainingState
from augface.training.loop import Batches, TrainingSettings, train

if TYPE_CHECKING:
    from augface.classifiers.attributes import AttributeClassifier

FEW = 200
"""Training faces below which a warning is given."""
WIDEST = 256
"""Feature maps at 4 x 4, where `channels` does not say otherwise: at every size the networks know as much of whole
faces, and an image of 128 pixels takes less than twice the time of one of 64, not six times."""
PREVIEWS = 16
"""Faces of each preview: the same noise every time."""
ENCODER, FACE_CHECK = "encoder.", "face_check"
"""What is saved of the encoder."""
SURE = 0.5
"""From how large a condition on, of at most 1, a face of codes is labelled with an attribute."""

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

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self._encoder: DiscriminatorNetwork | None = None
        """The discriminator, which finds the noise and the attributes of faces; None where it was not saved."""
        self._face_check: FaceCheck | None = None
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
        self._encoder = discriminator.cpu().eval().requires_grad_(False)
        rows = np.sort(random_generator(seed, "face check's faces").permutation(len(data))[:FACES])
        self._face_check = FaceCheck.fit(self._encoder, data.images[rows], seed=seed)

    def _preview(self, seed: int) -> Callable[[nn.Module], Pixels]:
        conditions = self._conditions(next(iter(self._label_chunks(PREVIEWS, {}, seed))))
        noise = self._noise(seed, 0)[:PREVIEWS]
        return lambda network: images_of(network, noise, conditions)

    def _new_network(self, size: int, channels: int, conditions: int) -> GeneratorNetwork:
        return GeneratorNetwork(size, channels, self.config.latent, conditions)

    def _new_encoder(self, size: int, channels: int, conditions: int) -> DiscriminatorNetwork:
        spectral = self.config.spectral_norm
        return DiscriminatorNetwork(size, channels, conditions, self.config.latent, spectral=spectral)

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

    def realness(self, images: Pixels) -> Floats32 | None:
        """See `Generator.realness`."""
        if self._encoder is None or images.shape[1] != 2 ** (len(self._encoder.blocks) + 2):
            return None
        return realness(self._encoder, images)

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

    def _checked_faces(self, faces: FaceDataset) -> Pixels:
        """The images, where each is a face that the encoder knows."""
        images, scores = np.asarray(faces.images), self._scores(faces)
        refused = np.flatnonzero(scores < 0)
        if len(refused):
            raise DataError(
                f"{some(map(str, faces.names[refused]))} {'is no face' if len(refused) == 1 else 'are no faces'} such "
                "as the generator learnt from. Crop pictures to the face as the training faces are cropped, upright "
                "and frontal."
            )
        return images

    def _scores(self, faces: FaceDataset) -> Floats64:
        """(N,) from 0 up where a picture is a face that the encoder knows."""
        if self.labels is None:
            raise UsageError(f"The {self.name} generator is not fitted yet: call fit or load first.")
        if self._encoder is None or self._face_check is None:
            raise UsageError(
                f"This {self.name} generator was saved by an earlier version of augface, without the encoder that "
                "finds the noise of a face. Train it again to vary or edit faces."
            )
        size = 2 ** (len(self._encoder.blocks) + 2)
        if faces.size != size:
            raise UsageError(f"The {self.name} generator makes faces of {size} pixels, and these have {faces.size}.")
        return self._face_check.scores(self._encoder, np.asarray(faces.images))

    def request(self, codes: Codes, where: Mapping[str, bool]) -> Codes:
        """See `Generator.request`."""
        wanted = self._spelled(where)
        columns = list(self._check_conditionable(wanted).columns)
        conditions = codes.conditions.copy()
        for name, value in wanted.items():
            conditions[:, columns.index(name)] = 1 if value else -1
        return replace(codes, conditions=conditions)

    def render(self, codes: Codes) -> FaceDataset:
        """See `Generator.render`."""
        self._check_codes(codes)
        images = [self._look(codes.select([row]))[0] for row in range(len(codes))]
        columns = require(self.labels).columns
        conditions = codes.conditions if codes.conditions.shape[1] else 0.0
        seen = pd.DataFrame(conditions, index=range(len(codes)), columns=columns)
        labels = (seen > 0).astype("boolean").mask(seen.abs() < SURE)
        return self._faces(np.stack(images), labels, codes.names, pd.DataFrame({"of_photo": codes.is_of_photo}))

    def calibrate(
        self,
        data: FaceDataset,
        *,
        attributes: Collection[str] | None = None,
        classifier: AttributeClassifier | None = None,
        seed: int = 0,
    ) -> None:
        """See `Generator.calibrate`."""
        data = self.prepared(data)
        if self.labels is None or list(data.attributes.columns) != list(self.labels.columns):
            raise UsageError(
                f"{data.source.spec} has other attributes than the faces that the {self.name} learnt from."
            )
        conditional = bool(self.conditionable)
        generated = self.codes(self.sample(GENERATED if conditional else DRAWN, seed=derive_seed(seed, "calibration")))
        some_faces = replace(draw_rows(data, 3 * TUNED, seed), factors=None)
        tuned = self.codes(some_faces.select(np.flatnonzero(self._scores(some_faces) >= 0)[:TUNED]))
        faces = Faces(self._look, lambda images: self._scores(FaceDataset.from_arrays(images)) < 0)
        self.calibration = calibrate(
            self.fingerprint, data, generated, tuned, faces, chosen=attributes, classifier=classifier, seed=seed
        )

    def edit(self, codes: Codes, strengths: Mapping[str, float]) -> Codes:
        """See `Generator.edit`."""
        self._check_codes(codes)
        if self.calibration is None or self.calibration.generator != self.fingerprint:
            raise UsageError(
                f"This {self.name} generator is not calibrated, so nobody knows what a strength means: call "
                "generator.calibrate(training_faces) first."
            )
        for name, strength in strengths.items():
            attribute = spelled("attribute", name, self.calibration.attributes)
            if attribute not in self.calibration.doses:
                raise UsageError(
                    f"{attribute} cannot be edited by strength: too few training faces have it or lack it, or the "
                    "generator does not answer to it."
                )
            if not np.isfinite(strength):
                raise UsageError(f"A strength is a number, not {strength:g}.")
            codes, reached = self.calibration.edit(codes, attribute, strength)
            short = np.abs(reached - strength) > 0.05 + 0.05 * abs(strength)
            if short.any():
                log.warning(
                    f"{attribute}: strength {strength:g} is beyond what is safe for {short.sum():,} of {len(codes):,} "
                    f"faces; they get {reached[short].mean():.2g} on average."
                )
        return codes

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

    def _check_codes(self, codes: Codes) -> None:
        if codes.generator != self.fingerprint:
            raise UsageError(f"These codes are of another generator than this {self.name}: make them with this one.")
        if not len(codes):
            raise UsageError("There are no codes to render.")

    def _arrays(self) -> Arrays:
        arrays = {key: tensor.numpy() for key, tensor in self._network.state_dict().items()}
        if self._encoder is None or self._face_check is None:
            return arrays
        encoder = {f"{ENCODER}{key}": tensor.numpy() for key, tensor in self._encoder.state_dict().items()}
        return {**arrays, **encoder, FACE_CHECK: self._face_check.weights}

    def _restore(self, arrays: Arrays) -> None:
        encoder = {key: arrays.pop(key) for key in list(arrays) if key.startswith(ENCODER)}
        face_check = arrays.pop(FACE_CHECK, None)
        size = 2 ** (sum(key.startswith("blocks.") for key in arrays) + 3)
        channels = arrays["to_rgb.weight"].shape[0]
        self._network = self._new_network(size, channels, self._conditions(require(self.labels)[:0]).shape[1])
        self._network.load_state_dict({key: torch.from_numpy(array) for key, array in arrays.items()})
        self._network.to(memory_format=torch.channels_last).eval()
        if encoder and face_check is not None:
            self._encoder = self._new_encoder(size, channels, self._conditions(require(self.labels)[:0]).shape[1])
            weights = {key.removeprefix(ENCODER): torch.from_numpy(array) for key, array in encoder.items()}
            self._encoder.load_state_dict(weights)
            self._encoder.to(memory_format=torch.channels_last).eval().requires_grad_(False)
            self._face_check = FaceCheck(face_check)


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
