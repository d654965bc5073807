"""Codes: the noise and the conditions that faces are generated from, to be kept, varied, edited and rendered again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from augface.arrays import Floats32, Integers
from augface.checked_arrays import Arrays, about, read_arrays, write_arrays
from augface.errors import DataError, UsageError
from augface.seeds import random_generator

FORMAT = 2
"""Goes up when earlier versions cannot read what is saved."""
READ = (1, 2)
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
        kept: (N,) from 0 to 1, how much of its tuning each face is rendered with: 0 is the generator as it was trained.
    """

    noise: Floats32
    conditions: Floats32
    names: tuple[str, ...]
    generator: str
    tuning: Integers
    tuned: tuple[Arrays, ...] = ()
    kept: Floats32 = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        if not len(self.kept):
            object.__setattr__(self, "kept", np.ones(len(self.tuning), np.float32))

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
            kept=self.kept[index],
        )

    def vary(self, distance: float, n: int, *, seed: int = 0) -> Codes:
        """Variations of each face: N times `n` codes, face after face.

        The noise z becomes sqrt(1 - d²) z + d e, with e standard normal: as typical of noise at any distance d. What
        the generator was tuned to is kept as far as the noise is, sqrt(1 - d²) of it, since it shows the person, too.

        Args:
            distance: d, from 0 (the same face) to 1 (any face with these conditions).
            n: how many of each face; the first of more are the same.
            seed: of e, which is the same for all faces.

        Raises:
            UsageError: a distance out of range, too many or no variations, or codes without noise.
        """
        if not self.noise.shape[1]:
            raise UsageError(
                "These codes have no noise to vary: their generator changes attributes of a face and nothing else. "
                "Use one that is called latent by `augface list generators`."
            )
        if not 0 <= distance <= 1:
            raise UsageError(f"The distance of variations is from 0 (the same face) to 1 (any face), not {distance:g}.")
        if not 1 <= n * len(self) <= MOST:
            raise UsageError(f"{n:,} variations of {len(self):,} faces: give a number so that there are 1 to {MOST:,}.")
        noise = np.stack(
            [random_generator(seed, "variation", one).standard_normal(self.noise.shape[1]) for one in range(n)]
        )
        copies = self.select(np.repeat(np.arange(len(self)), n))
        rest = np.sqrt(1 - distance**2)
        varied = rest * copies.noise + distance * np.tile(noise, (len(self), 1))
        stems = [Path(name).stem for name in self.names]
        return replace(
            copies,
            noise=varied.astype(np.float32),
            kept=(rest * copies.kept).astype(np.float32),
            names=tuple(f"{stem}-{one:03d}.png" for stem in stems for one in range(n)),
        )

    def towards(self, others: Codes, share: float) -> Codes:
        """The codes a share of the way from each face to another: noise along the sphere, conditions straight.

        What the generator was tuned to fades on the way; where only the other face has a tuning, it comes up.

        Args:
            others: as many codes of the same generator.
            share: from 0 (these faces) to 1 (the others).

        Raises:
            UsageError: a share out of range, or codes that do not go together.
        """
        if not 0 <= share <= 1:
            raise UsageError(f"The share of the way is from 0 (the first face) to 1 (the second), not {share:g}.")
        if len(others) != len(self) or others.generator != self.generator:
            raise UsageError("Faces are mixed one to one, and are of one generator.")
        both = concatenate_codes([self, others])
        untuned, here = both.tuning[: len(self)] < 0, np.arange(len(self))
        comes_up = both.select(np.where(untuned, here + len(self), here))
        return replace(
            comes_up,
            noise=along_the_sphere(self.noise, others.noise, share),
            conditions=((1 - share) * self.conditions + share * others.conditions).astype(np.float32),
            names=self.names,
            kept=(np.where(untuned, share, 1 - share) * comes_up.kept).astype(np.float32),
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
            "kept": self.kept,
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
            if header["format"] not in READ:
                raise DataError(
                    f"The codes in {path} are of another version of augface (format {header['format']}; this one reads "
                    f"{FORMAT}). Make them again."
                )
            noise, conditions, tuning = (arrays[name] for name in ("noise", "conditions", "tuning"))
            kept = arrays["kept"] if header["format"] > 1 else np.ones(len(tuning), np.float32)
            tuned = [_below(arrays, f"tuned.{number}.") for number in range(int(header["tuned"]))]
            tuned = tuned if all(tuned) else []
            codes = cls(
                noise=noise,
                conditions=conditions,
                names=tuple(map(str, header["names"])),
                generator=str(header["generator"]),
                tuning=tuning if tuned else np.full_like(tuning, -1),
                tuned=tuple(tuned),
                kept=kept,
            )
            codes._check()
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise DataError(f"{path} holds no codes of faces: {error or type(error).__name__}.") from error
        return codes

    def _check(self) -> None:
        """Refuse shapes and kinds that codes cannot have."""
        arrays = (self.noise, self.conditions, self.tuning, self.kept)
        shapes, kinds = [array.ndim for array in arrays], [array.dtype.name for array in arrays]
        counts = {len(self.names), *(len(array) for array in arrays)}
        if shapes != [2, 2, 1, 1] or kinds != ["float32", "float32", "int64", "float32"] or len(counts) > 1:
            raise ValueError("its arrays do not fit together")
        if len(self.kept) and not 0 <= self.kept.min() <= self.kept.max() <= 1:
            raise ValueError("it keeps less than nothing of a tuning, or more than all")
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
        kept=np.concatenate([part.kept for part in parts]),
    )


def along_the_sphere(first: Floats32, second: Floats32, share: float) -> Floats32:
    """Noise (N, ...) a share of the way from one to another: along the sphere (White 2016, arXiv:1609.04468).

    On a straight line the middle would be shorter than noise ever is, and its face a duller one. Straight nevertheless
    where both lie in the same direction, or one of them has none. At 0 and 1 it is exactly the first and the second.
    """
    flat = [each.reshape(len(each), -1).astype(np.float64) for each in (first, second)]
    lengths = np.prod([np.linalg.norm(each, axis=1) for each in flat], axis=0)
    cosine = np.divide((flat[0] * flat[1]).sum(axis=1), lengths, out=np.ones(len(first)), where=lengths > 0)
    angle = np.arccos(cosine.clip(-1, 1))
    sine = np.sin(angle)
    bent = sine > 1e-6
    safe = np.where(bent, sine, 1.0)
    weights = [
        np.where(bent, np.sin(part * angle) / safe, part).reshape(-1, *[1] * (first.ndim - 1))
        for part in (1 - share, share)
    ]
    return np.asarray(weights[0] * first + weights[1] * second, dtype=np.float32)


def _below(arrays: Arrays, prefix: str) -> Arrays:
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
