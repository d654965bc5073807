"""What generators share that are steered by codes: faces found in pictures, requests and edits by strength."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from augface.arrays import Floats32, Floats64, Pixels
from augface.data.dataset import FaceDataset
from augface.data.pixels import ImageRows
from augface.data.readers.containers import some
from augface.errors import DataError, UsageError, require, spelled
from augface.generators._calibration import DRAWN, GENERATED, TUNED, Faces, calibrate, draw_rows
from augface.generators._codes import Codes
from augface.generators._inversion import FACES, FaceCheck, realness
from augface.generators._networks import DiscriminatorNetwork
from augface.generators.base import Arrays, Generator, GeneratorConfig
from augface.seeds import derive_seed, random_generator

if TYPE_CHECKING:
    from augface.classifiers.attributes import AttributeClassifier
    from augface.generators._adversarial import AdversarialConfig

ENCODER, FACE_CHECK = "encoder.", "face_check"
"""What is saved of the encoder."""
SURE = 0.5
"""From how large a condition on, of at most 1, a face of codes is labelled with an attribute."""

log = logging.getLogger("augface")


class SteerableGenerator(Generator):
    """Makes faces of codes. A subclass fills in `codes` and `_look`, and keeps its encoder."""

    config: AdversarialConfig

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self._encoder: DiscriminatorNetwork | None = None
        """The discriminator, which sees what faces are made of; None where it was not saved."""
        self._face_check: FaceCheck | None = None

    @abstractmethod
    def _look(self, codes: Codes) -> Pixels:
        """Faces (N, H, W, 3) of codes, where their last bits are of no matter."""

    def _new_encoder(self, size: int, channels: int, conditions: int) -> DiscriminatorNetwork:
        """A discriminator that knows nothing yet."""
        spectral = self.config.spectral_norm
        return DiscriminatorNetwork(size, channels, conditions, self.config.latent, spectral=spectral)

    def _keep_encoder(self, discriminator: DiscriminatorNetwork, images: ImageRows | Pixels, seed: int) -> None:
        """Take the trained discriminator as encoder, and learn which pictures are faces from (N, H, W, 3)."""
        self._encoder = discriminator.cpu().eval().requires_grad_(False)
        rows = np.sort(random_generator(seed, "face check's faces").permutation(len(images))[:FACES])
        self._face_check = FaceCheck.fit(self._encoder, images[rows], seed=seed)

    def _encoder_arrays(self) -> Arrays:
        if self._encoder is None or self._face_check is None:
            return {}
        encoder = {f"{ENCODER}{key}": tensor.numpy() for key, tensor in self._encoder.state_dict().items()}
        return {**encoder, FACE_CHECK: self._face_check.weights}

    def _restore_encoder(self, arrays: Arrays, size: int, channels: int, conditions: int) -> None:
        """Take what `_encoder_arrays` gave out of the arrays, where it is among them."""
        encoder = {key.removeprefix(ENCODER): arrays.pop(key) for key in list(arrays) if key.startswith(ENCODER)}
        face_check = arrays.pop(FACE_CHECK, None)
        if encoder and face_check is not None:
            self._encoder = self._new_encoder(size, channels, conditions)
            self._encoder.load_state_dict({key: torch.from_numpy(array) for key, array in encoder.items()})
            self._encoder.to(memory_format=torch.channels_last).eval().requires_grad_(False)
            self._face_check = FaceCheck(face_check)

    def realness(self, images: Pixels) -> Floats32 | None:
        """See `Generator.realness`."""
        if self._encoder is None or images.shape[1] != 2 ** (len(self._encoder.blocks) + 2):
            return None
        return realness(self._encoder, images)

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
        # what is not editable by a label may be by a direction of the noise
        chosen = self.editable.intersection(attributes or self.editable) or attributes
        conditional = bool(self.conditionable)
        generated = self.codes(self.sample(GENERATED if conditional else DRAWN, seed=derive_seed(seed, "calibration")))
        some_faces = replace(draw_rows(data, 3 * TUNED, seed), factors=None)
        tuned = self.codes(some_faces.select(np.flatnonzero(self._scores(some_faces) >= 0)[:TUNED]))
        faces = Faces(self._look, lambda images: self._scores(FaceDataset.from_arrays(images)) < 0)
        self.calibration = calibrate(
            self.fingerprint,
            data,
            generated,
            tuned,
            faces,
            chosen=chosen,
            classifier=classifier,
            seed=seed,
            # a change of the picture itself reaches far enough alone, and leaves the person
            accompanied="latent" in self.capabilities,
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

    def _check_codes(self, codes: Codes) -> None:
        if codes.generator != self.fingerprint:
            raise UsageError(f"These codes are of another generator than this {self.name}: make them with this one.")
        if not len(codes):
            raise UsageError("There are no codes to render.")
