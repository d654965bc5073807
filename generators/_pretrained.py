"""A pretrained pipeline in a generator: its files and their SHA-256, its prompts, and faces in the size of the data."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from augface.arrays import Booleans, Pixels
from augface.cache import prepare_cache, touch
from augface.checked_arrays import arrays_are_whole, read_arrays, write_arrays
from augface.data.images import resize_faces
from augface.data.readers.containers import refuse_escape
from augface.errors import DataError, OutputError
from augface.files import cache_dir, sha256_of_file
from augface.generators._external import check_unchanged
from augface.generators._pipelines import Pipeline, PipelineConfig, Use, licence_of
from augface.generators._prompts import SHIPPED, Prompts
from augface.generators.base import Arrays
from augface.tensors import to_pixels

KEPT_BYTES = 1 << 28
"""Pipelines of up to so many bytes are kept in what a generator saves; of larger ones the path and SHA-256 are."""
LONG = 20.0
"""Seconds from which faces are kept in the cache, so that an interrupted job makes none of them twice."""
CLOSE = 0.1
"""How far the same face may differ when it is made twice: a GPU rounds otherwise each time."""
FILE = "file."

log = logging.getLogger("augface")


class Pretrained:
    """A pipeline with the words that it is given, which makes faces of one size."""

    def __init__(
        self,
        config: PipelineConfig,
        files: Mapping[str, bytes | Path],
        prompts: bytes,
        size: int,
        generator: str,
        *,
        licence: str,
        edits: Use | None = None,
        place: str = "",
    ) -> None:
        """Check and open a pipeline.

        Args:
            config: the settings of the generator.
            files: their contents, or where they are.
            prompts: the content of a file of prompts.
            size: height and width of the faces.
            generator: its name, for messages.
            licence: of the pipeline.
            edits: what the pipeline is to do with real faces.
            place: what to call the files, if not by their path.
        """
        for name in files:
            refuse_escape(name, place or config.path)
        check_unchanged(config, {name: _sha256(content) for name, content in files.items()}, place)
        if config.prompts and hashlib.sha256(prompts).hexdigest() != config.prompts_sha256.lower():
            raise DataError(f"{config.prompts} has changed: it has another SHA-256 than {config.prompts_sha256}.")
        self.config, self.size, self.licence = config, size, licence
        self._files, self._prompts = files, prompts
        self.prompts = Prompts.read(prompts, config.prompts or str(SHIPPED))
        self.pipeline = Pipeline(files, config, generator, edits=edits)
        self.variant = ""
        """What was changed of the pipeline since it was opened; part of what its faces are known by."""

    @classmethod
    def read(cls, config: PipelineConfig, size: int, generator: str, edits: Use | None = None) -> Pretrained:
        """The pipeline at the place that the settings name."""
        folder = Path(config.path).expanduser()
        paths = config.files(folder)
        small = sum(path.stat().st_size for path in paths.values()) <= KEPT_BYTES
        files = {name: path.read_bytes() if small else path for name, path in paths.items()}
        prompts = Path(config.prompts).expanduser() if config.prompts else SHIPPED
        return cls(config, files, prompts.read_bytes(), size, generator, licence=licence_of(folder), edits=edits)

    def arrays(self) -> Arrays:
        """What `restored` needs; of a large pipeline no more than its settings name, so that its files must stay."""
        kept = {FILE + name: content for name, content in self._files.items() if isinstance(content, bytes)}
        texts = {**kept, "prompts": self._prompts, "licence": self.licence.encode()}
        return {"size": np.array([self.size]), **{name: np.frombuffer(text, np.uint8) for name, text in texts.items()}}

    @classmethod
    def restored(cls, config: PipelineConfig, arrays: Arrays, generator: str, edits: Use | None = None) -> Pretrained:
        """The pipeline of what `arrays` gave.

        Raises:
            DataError: its files are no longer there, or are others.
        """
        kept = {name.removeprefix(FILE): one.tobytes() for name, one in arrays.items() if name.startswith(FILE)}
        files: Mapping[str, bytes | Path] = kept or config.files(Path(config.path).expanduser())
        # generators that were saved before there were prompts have neither these nor a licence
        prompts = arrays["prompts"].tobytes() if "prompts" in arrays else SHIPPED.read_bytes()
        return cls(
            config,
            files,
            prompts,
            int(arrays["size"].item()),
            generator,
            licence=arrays["licence"].tobytes().decode() if "licence" in arrays else "",
            edits=edits,
            place=f"What was kept of {config.path}" if kept else "",
        )

    @property
    def description(self) -> dict[str, str]:
        """Which pipeline it is, for results and cards; of its path the last part alone."""
        return {
            "name": Path(self.config.path).name,
            "pipeline": str(self.pipeline.kind.__name__),
            "sha256": self.config.sha256.lower(),
            "licence": self.licence,
        }

    def try_out(self, given: Callable[[], Mapping[str, Sequence[Any]]]) -> None:
        """Make one face twice, and refuse a pipeline that makes something else than faces.

        Args:
            given: what the pipeline is given for one face.
        """
        first, second = (self.pipeline.images([0], **given())[0] for _ in range(2))
        self._check(first, 1)
        if (first - second).abs().max() > CLOSE:
            raise DataError(
                f"{self.config.path} makes other images of the same noise the second time: it draws random numbers "
                "that no seed reaches."
            )
        if (side := first.shape[-1]) != self.size:
            log.info(f"{self.config.path} makes faces of {side} pixels, which are resized to {self.size}.")

    def faces(self, seeds: Sequence[int], given: Mapping[str, Sequence[Any]]) -> tuple[Pixels, Booleans]:
        """Faces (N, size, size, 3) of N seeds, and which of them the pipeline's safety checker blanked.

        They are made in whole batches, so that a face does not depend on how many are wanted.

        Args:
            seeds: of the noise of each face.
            given: what the pipeline is given, N values for each name.
        """
        kept = cache_dir() / "chunks" / f"{self._digest(seeds, given)[:32]}.safetensors"
        if kept.exists() and arrays_are_whole(kept):
            touch(kept)
            arrays = read_arrays(kept)
            return arrays["faces"], arrays["blanked"]
        started = time.perf_counter()
        more = -len(seeds) % self.pipeline.batch
        padded = {name: [*values, *[values[-1]] * more] for name, values in given.items()}
        images, marks = self.pipeline.images([*seeds, *[seeds[-1]] * more], **padded)
        faces = to_pixels(self._check(images, len(seeds) + more)[: len(seeds)], 0, 1)
        faces = faces if faces.shape[1] == self.size else resize_faces(faces, self.size)
        blanked = np.array(marks[: len(seeds)], dtype=np.bool_)
        if blanked.any():
            log.warning(f"The safety checker of {self.config.path} blanked {blanked.sum()} of {len(seeds)} faces.")
        if time.perf_counter() - started > LONG:
            _keep(kept, faces, blanked, f"{len(faces)} faces of {Path(self.config.path).name}")
        return faces, blanked

    def _check(self, images: Tensor, count: int) -> Tensor:
        """The images, where they are square colour images with a number in each pixel."""
        shape = tuple(images.shape)
        if len(shape) != 4 or shape[:2] != (count, 3) or shape[2] != shape[3]:
            raise DataError(
                f"{self.config.path} makes an array {shape}; what is needed is ({count}, 3, height, width), with equal "
                "height and width."
            )
        if not torch.isfinite(images).all():
            hint = (
                "" if self.config.dtype == "float32" else f" {self.config.dtype} may be too coarse for it: try float32."
            )
            raise DataError(
                f"{self.config.path} makes images with pixels that are not numbers (NaN or infinite).{hint}"
            )
        return images

    def _digest(self, seeds: Sequence[int], given: Mapping[str, Sequence[Any]]) -> str:
        """What faces are known by."""
        digest = hashlib.sha256(f"{self.config.model_dump_json()} {self.size} {self.variant} {list(seeds)}".encode())
        for name, values in sorted(given.items()):
            for value in values:
                digest.update(f"{name} ".encode())
                digest.update(value.tobytes() if hasattr(value, "tobytes") else repr(value).encode())
        return digest.hexdigest()


def _sha256(content: bytes | Path) -> str:
    return sha256_of_file(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()


def _keep(path: Path, faces: Pixels, blanked: Booleans, description: str) -> None:
    try:
        prepare_cache()
        path.parent.mkdir(exist_ok=True)
        write_arrays(path, {"faces": faces, "blanked": blanked}, {"description": description})
    except (OSError, OutputError) as error:  # no more than time is lost without it
        log.warning(f"These faces are not kept in the cache: {error}")
