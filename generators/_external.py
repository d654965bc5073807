"""What external generators share, whose faces or network come from elsewhere: files, their SHA-256, batches, pixels.

Such a generator is not trained here. Its settings name the files and their SHA-256, so that a run goes on, and is made
again, with the very same ones; the folder that `save` writes holds the files themselves and needs no other.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import math
import re
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from augface.arrays import Pixels
from augface.data.dataset import FaceDataset, signed_labels
from augface.data.images import resize_faces
from augface.data.readers.containers import refuse_escape
from augface.errors import AugfaceError, DataError, UnknownNameError, UsageError, require
from augface.files import sha256_of_file
from augface.generators.base import CHUNK, SAVED, Arrays, Generator, GeneratorConfig
from augface.seeds import derive_seed
from augface.tensors import normal_noise, to_pixels

RANGES = {"-1..1": (-1.0, 1.0), "0..1": (0.0, 1.0), "0..255": (0.0, 255.0)}
"""What black and white are in the output of a network."""
BEYOND = 0.5
"""How far beyond its range an output may go, as a share of it. Networks that do not end in tanh overshoot a little."""

MOST_NOISE = 1 << 20
"""Numbers of noise of one face; many more than any network takes, and few enough for the memory."""

log = logging.getLogger("augface")


class ExternalConfig(GeneratorConfig):
    """Settings that name files."""

    path: str = Field(min_length=1)
    """Where they are."""
    sha256: str = Field(default="", validate_default=True)
    """Of the file; of several, of the lines that `sha256sum` prints of them, sorted by name. Found where it is not
    given; where it is, files that differ are refused."""

    @classmethod
    def files(cls, path: Path) -> dict[str, Path]:
        """The files at `path`, by the names that they are kept under.

        Raises:
            DataError: there are none, or none of the right kind.
        """
        if not path.is_file():
            raise DataError(f"There is no file {path}.")
        return {path.name: path}

    @field_validator("sha256")
    @classmethod
    def _found(cls, value: str, info: ValidationInfo) -> str:
        if info.context == SAVED and not re.fullmatch(r"[0-9a-fA-F]{64}", value):
            raise ValueError("a saved generator has one")  # and what it calls a path is not looked at
        if value or "path" not in info.data:
            return value
        return combined_sha256(
            {name: sha256_of_file(path) for name, path in cls.files(Path(info.data["path"]).expanduser()).items()}
        )


def combined_sha256(digests: Mapping[str, str]) -> str:
    """One SHA-256 for the files of these names and SHA-256s; that of the file itself where there is one only."""
    if len(digests) == 1:
        return next(iter(digests.values()))
    return hashlib.sha256("".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()).hexdigest()


def check_unchanged(config: ExternalConfig, digests: Mapping[str, str], place: str = "") -> None:
    """Refuse files that are not those that the settings speak of; `place` is what to call them, if not by their path.

    Raises:
        DataError: they have another SHA-256.
    """
    if (found := combined_sha256(digests)) != config.sha256.lower():
        raise DataError(f"{place or config.path} has changed: its SHA-256 is {found}, not {config.sha256}.")


def optional_package(name: str, generator: str, extra: str) -> Any:
    """Import a package that not everybody has.

    Raises:
        UsageError: it is not installed; says how to.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(
            f"The {generator} generator needs {name} ({error}). Install it by: pip install 'augface[{extra}]'"
        ) from error


class ExternalNetworkConfig(ExternalConfig):
    """Settings of a network that was trained elsewhere."""

    batch: int = Field(default=32, ge=1, le=CHUNK)
    """Faces that the network makes at once: always as many, so that a face does not depend on how many are wanted."""


class ExternalNetwork(Generator):
    """A network that was trained elsewhere, kept as the bytes of its files. A subclass opens them and makes batches."""

    Config: ClassVar[type[GeneratorConfig]] = ExternalNetworkConfig
    config: ExternalNetworkConfig

    def fit(
        self,
        data: FaceDataset,
        *,
        budget: str = "5m",
        run_dir: str | Path | None = None,
        resume: bool = False,
        seed: int = 0,
    ) -> None:
        """Take note of the labels and the size of the faces, and try the network; nothing is learnt.

        Raises:
            DataError: its file is not there, has changed, or makes something else than faces.
            UsageError: it cannot be used with these settings.
        """
        paths = self.config.files(Path(self.config.path).expanduser())
        self._take({name: path.read_bytes() for name, path in paths.items()}, data.attributes, data.size, "")
        self._try()

    def _take(self, files: dict[str, bytes], labels: pd.DataFrame, size: int, place: str) -> None:
        for name in files:
            refuse_escape(name, place or self.config.path)
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        check_unchanged(self.config, digests, place)
        self._files, self.labels, self._size = files, labels, size
        self._open(files)

    @abstractmethod
    def _open(self, files: dict[str, bytes]) -> None:
        """Make the network of its files."""

    @abstractmethod
    def _batch(self, labels: pd.DataFrame, seed: int, *stream: int) -> Tensor:
        """A whole batch of images (batch, 3, H, W), the first of them for these attribute rows, from this stream."""

    def _try(self) -> Tensor:
        """Make one batch, refuse what is no faces, and return it."""
        labels = next(self._label_chunks(self.config.batch, {}, 0))
        images = self._checked(self._batch(labels, 0, 0))
        if not torch.equal(images, self._batch(labels, 0, 0)):
            raise DataError(
                f"{self.config.path} makes other images of the same noise the second time: it draws random numbers "
                "that no seed reaches."
            )
        side = images.shape[-1]
        if side != self._size:
            log.info(f"{self.config.path} makes faces of {side} pixels, which are resized to {self._size}.")
        return images

    def _checked(self, images: Tensor) -> Tensor:
        """The images, where they are square colour images with a number in each pixel."""
        shape = tuple(images.shape)
        if len(shape) != 4 or shape[:2] != (self.config.batch, 3) or shape[2] != shape[3]:
            fixed = " A network of a fixed batch needs the setting batch." if shape[:1] != (self.config.batch,) else ""
            raise DataError(
                f"{self.config.path} makes an array {shape}; what is needed is ({self.config.batch}, 3, height, "
                f"width), with equal height and width.{fixed}"
            )
        if not torch.isfinite(images).all():
            raise DataError(f"{self.config.path} makes images with pixels that are not numbers (NaN or infinite).")
        return images

    def _range(self) -> tuple[float, float]:
        """What black and white are."""
        return 0.0, 1.0

    def _generate(self, labels: pd.DataFrame, seed: int, chunk: int) -> Pixels:
        parts = []
        for start in range(0, len(labels), self.config.batch):
            wanted = labels.iloc[start : start + self.config.batch]
            images = self._checked(self._batch(wanted, seed, chunk, start))[: len(wanted)]
            faces = to_pixels(images, *self._range())
            parts.append(faces if faces.shape[1] == self._size else resize_faces(faces, self._size))
        return np.concatenate(parts)

    def _arrays(self) -> Arrays:
        files = {f"file.{name}": np.frombuffer(content, np.uint8) for name, content in self._files.items()}
        return {"size": np.array([self._size]), **files}

    def _restore(self, arrays: Arrays) -> None:
        (size,) = arrays.pop("size")
        files = {key.removeprefix("file."): array.tobytes() for key, array in arrays.items()}
        self._take(files, require(self.labels), int(size), f"What was kept of {self.config.path}")


class LatentNetworkConfig(ExternalNetworkConfig):
    """Settings of a network that makes faces of noise."""

    latent: tuple[int, ...] = ()
    """Shape of the noise of one face, such as `128`, or `100,1,1` for networks that begin with a convolution."""
    attributes: tuple[str, ...] = ()
    """The attributes that the network takes beside the noise, in its order; none where it takes noise only."""
    absent: Literal[-1, 0] = -1
    """Its input for an attribute that is absent; present is 1, and unknown half-way between."""
    output_range: Literal["", "-1..1", "0..1", "0..255"] = ""
    """What black and white are in its output; found out where not given."""

    @field_validator("absent", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return int(value) if value in ("-1", "0") else value

    @field_validator("latent")
    @classmethod
    def _of_positive_lengths(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(length < 1 for length in value):
            raise ValueError("all lengths must be 1 or more")
        if math.prod(value) > MOST_NOISE:
            raise ValueError(f"a face has at most {MOST_NOISE:,} numbers of noise")
        return value


class LatentNetwork(ExternalNetwork):
    """A network that makes faces of noise, and of attributes where it takes them."""

    capabilities: ClassVar[frozenset[str]] = frozenset({"conditional"})
    Config: ClassVar[type[GeneratorConfig]] = LatentNetworkConfig
    config: LatentNetworkConfig

    @property
    def conditionable(self) -> frozenset[str]:
        """The attributes that the network takes."""
        return frozenset(self.config.attributes)

    @abstractmethod
    def _run(self, inputs: list[Tensor]) -> Tensor:
        """Images (batch, 3, H, W) of noise (batch, *latent) and, where it takes any, attributes (batch, A)."""

    def _batch(self, labels: pd.DataFrame, seed: int, *stream: int) -> Tensor:
        inputs = [normal_noise((self.config.batch, *self.config.latent), seed, *stream)]
        if names := list(self.config.attributes):
            conditions = torch.zeros(self.config.batch, len(names))
            conditions[: len(labels)] = torch.from_numpy(signed_labels(labels[names]))
            inputs.append(conditions if self.config.absent == -1 else (conditions + 1) / 2)
        try:
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                torch.manual_seed(derive_seed(seed, "inside", *stream))  # for a network that draws noise of its own
                return self._run(inputs)
        except AugfaceError:
            raise
        except Exception as error:  # whatever an external network raises
            shapes = " and ".join(str(tuple(each.shape)) for each in inputs)
            raise UsageError(
                f"{self.config.path} does not take inputs of the shape {shapes}: {last_line(error)} Does the setting "
                "latent (or attributes) say what it was trained with? Networks that begin with a convolution take a "
                "latent such as 100,1,1."
            ) from error

    def _range(self) -> tuple[float, float]:
        return RANGES[self.config.output_range]

    def _try(self) -> Tensor:
        known = require(self.labels).columns
        for name in self.config.attributes:
            if name not in known:
                raise UnknownNameError("attribute", name, known)
        images = super()._try()
        lowest, highest = float(images.min()), float(images.max())
        said = f"The output of {self.config.path} goes from {lowest:.3g} to {highest:.3g}"
        if not self.config.output_range:
            found = _range_of(lowest, highest)
            log.info(f"{said}, which is taken for {found}; the setting output_range says otherwise.")
            self.config = self.config.model_copy(update={"output_range": found})
        low, high = self._range()
        beyond = BEYOND * (high - low)
        if lowest < low - beyond or highest > high + beyond:
            raise DataError(f"{said}, far beyond {self.config.output_range}: it is no image, or of another range.")
        return images


def _range_of(lowest: float, highest: float) -> str:
    """The range that an output with this lowest and highest value has."""
    if lowest < -0.1:
        return "-1..1"
    return "0..1" if highest <= 10 else "0..255"


def last_line(error: Exception) -> str:
    """What an error says in the end, as a sentence; networks put long traces before it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].strip().rstrip(".") + "."
