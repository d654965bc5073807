"""Codes: the noise and the conditions that faces are generated from, to be kept, varied, edited and rendered again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from augface.arrays import Floats32, Integers
from augface.checked_arrays import Arrays, about, read_arrays, write_arrays
from augface.errors import DataError, UsageError
from augface.seeds import random_generator

FORMAT = 1
"""Goes up when codes that were saved before can no longer be read."""
MOST = 100_000
"""Faces that variations are made of at once."""


@dataclass(frozen=True, eq=False)
class Codes:
    """What N faces are generated from. The codes of a photo are biometric data: they show whose face it is.

    Attributes:
        noise: float32 (N, latent).
        conditions: float32 (N, attributes): 1 present, -1 absent, 0 unknown, and anything between or beyond.
        names: N file names.
        generator: the fingerprint of the generator that they are of; no other understands them.
        tuning: (N,) which of `tuned` each face is rendered with; -1 for the generator as it was trained.
        tuned: weights of generators that were tuned to one photo each.
    """

    noise: Floats32
    conditions: Floats32
    names: tuple[str, ...]
    generator: str
    tuning: Integers
    tuned: tuple[Arrays, ...] = ()

    def __len__(self) -> int:
        return len(self.noise)

    @property
    def is_of_photo(self) -> npt.NDArray[np.bool_]:
        """(N,) whether the generator was tuned to a photo for each face."""
        return self.tuning >= 0

    def select(self, rows: npt.ArrayLike) -> Codes:
        """The codes of these row numbers, in their order."""
        index = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            noise=self.noise[index],
            conditions=self.conditions[index],
            names=tuple(self.names[row] for row in index),
            tuning=self.tuning[index],
        )

    def vary(self, distance: float, n: int, *, seed: int = 0) -> Codes:
        """Variations of each face: N times `n` codes, face after face.

        The noise z becomes sqrt(1 - d²) z + d e, with e standard normal: as typical of noise at any distance d.

        Args:
            distance: d, from 0 (the same face) to 1 (any face with these conditions).
            n: how many of each face; the first of more are the same.
            seed: of e, which is the same for all faces.

        Raises:
            UsageError: a distance out of range, or too many or no variations.
        """
        if not 0 <= distance <= 1:
            raise UsageError(f"The distance of variations is from 0 (the same face) to 1 (any face), not {distance:g}.")
        if not 1 <= n * len(self) <= MOST:
            raise UsageError(f"{n:,} variations of {len(self):,} faces: give a number so that there are 1 to {MOST:,}.")
        noise = np.stack(
            [random_generator(seed, "variation", one).standard_normal(self.noise.shape[1]) for one in range(n)]
        )
        copies = self.select(np.repeat(np.arange(len(self)), n))
        varied = np.sqrt(1 - distance**2) * copies.noise + distance * np.tile(noise, (len(self), 1))
        stems = [Path(name).stem for name in self.names]
        return replace(
            copies,
            noise=varied.astype(np.float32),
            names=tuple(f"{stem}-{one:03d}.png" for stem in stems for one in range(n)),
        )

    def save(self, path: str | Path, *, weights: bool = False) -> None:
        """Write a safetensors file.

        Args:
            path: of the file.
            weights: whether to keep the tuned weights, too. Without them a photo's codes give a face that is merely
                like it; with them, nearly the photo itself. They take some megabytes for each photo.
        """
        arrays: dict[str, npt.NDArray[Any]] = {
            "noise": self.noise,
            "conditions": self.conditions,
            "tuning": self.tuning,
        }
        if weights:
            for number, tuned in enumerate(self.tuned):
                arrays |= {f"tuned.{number}.{key}": array for key, array in tuned.items()}
        header = {"format": FORMAT, "names": self.names, "generator": self.generator, "tuned": len(self.tuned)}
        notice = "Codes of a photo are biometric data: they show whose face it is."
        write_arrays(Path(path), arrays, {"codes": json.dumps(header), "notice": notice})

    @classmethod
    def load(cls, path: str | Path) -> Codes:
        """The codes in a file that `save` wrote; without tuned weights where the file has none.

        Raises:
            DataError: there is none, or it is damaged, or of another version.
        """
        path = Path(path)
        arrays = read_arrays(path)
        try:
            header = json.loads(about(path.read_bytes())["codes"])
            if header["format"] != FORMAT:
                raise DataError(
                    f"The codes in {path} are of another version of augface (format {header['format']}; this one reads "
                    f"{FORMAT}). Make them again."
                )
            noise, conditions, tuning = (arrays[name] for name in ("noise", "conditions", "tuning"))
            tuned = [_below(arrays, f"tuned.{number}.") for number in range(int(header["tuned"]))]
            tuned = tuned if all(tuned) else []
            codes = cls(
                noise=noise,
                conditions=conditions,
                names=tuple(map(str, header["names"])),
                generator=str(header["generator"]),
                tuning=tuning if tuned else np.full_like(tuning, -1),
                tuned=tuple(tuned),
            )
            codes._check()
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise DataError(f"{path} holds no codes of faces: {error or type(error).__name__}.") from error
        return codes

    def _check(self) -> None:
        """Refuse shapes and kinds that codes cannot have."""
        shapes = (self.noise.ndim, self.conditions.ndim, self.tuning.ndim)
        kinds = [array.dtype.name for array in (self.noise, self.conditions, self.tuning)]
        counts = {len(self.noise), len(self.conditions), len(self.tuning), len(self.names)}
        if shapes != (2, 2, 1) or kinds != ["float32", "float32", "int64"] or len(counts) > 1:
            raise ValueError("its arrays do not fit together")
        if len(self.tuning) and not -1 <= self.tuning.min() <= self.tuning.max() < max(len(self.tuned), 1):
            raise ValueError("it names weights that it does not have")


def concatenate_codes(parts: Sequence[Codes]) -> Codes:
    """The codes of several sets, one after another; all of one generator."""
    shift = np.cumsum([0, *(len(part.tuned) for part in parts[:-1])])
    return replace(
        parts[0],
        noise=np.concatenate([part.noise for part in parts]),
        conditions=np.concatenate([part.conditions for part in parts]),
        names=tuple(name for part in parts for name in part.names),
        tuning=np.concatenate(
            [np.where(part.tuning >= 0, part.tuning + by, -1) for part, by in zip(parts, shift, strict=True)]
        ),
        tuned=tuple(weights for part in parts for weights in part.tuned),
    )


def _below(arrays: Arrays, prefix: str) -> Arrays:
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
