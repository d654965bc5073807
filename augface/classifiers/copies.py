"""Finds the reference that a face may be a copy of, though flipped, shifted by a pixel or two, recompressed or darker.

Small contrast-normalised pixels of the face and of its mirror image name a few candidates, which are then laid over it
at every shift. How isolated the nearest one is distinguishes a copy from a likeness: a copy is near to one picture and
far from the rest, while a blurred face is about as near to many (Carlini et al. 2023, arXiv:2301.13188, section 4.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from augface.arrays import Floats32, Integers, Pixels
from augface.data.pixels import ImageRows
from augface.errors import require
from augface.features.pixels import PixelSpace
from augface.metrics.copying import nearest_distance_ratio
from augface.metrics.neighbours import Neighbours
from augface.metrics.registration import registered_distances
from augface.threads import cores, in_order

SIDE = 64
"""Larger faces are compared at this size."""
REACH = 1 / 32
"""Shifts of up to this share of the side are found: 2 pixels of 64."""
CANDIDATES = 20
"""References that are laid over each face. The original of a changed copy is among them in 99 of 100 cases."""
SPARE = 20
"""Candidates that may drop out because they show the same person."""
CHUNK = 1024
AHEAD = 64


@dataclass(frozen=True)
class Likeness:
    """(N,) what is nearest to each face.

    Attributes:
        nearest: row of the reference.
        distance_ratio: its distance over that of the other candidates; below 0.3 for copies, 0.6 to 1 for non-mates.
    """

    nearest: Integers
    distance_ratio: Floats32


class CopyFinder:
    """Looks for the originals of faces among references of the same size."""

    protocol: ClassVar[Mapping[str, Any]] = {
        "candidates": CANDIDATES,
        "side": SIDE,
        "shift": REACH,
        "flip": True,
        "brightness": "normalised",
    }
    """What changes the scores."""

    def __init__(self, references: ImageRows, people: Integers | None = None) -> None:
        """Index the references; `people` (N,) says who is on each, for searches that leave a person out."""
        self._references, self._people = references, people
        self._index = Neighbours(np.concatenate([PixelSpace().extract(images) for images in _chunks(references)]))

    def search(self, faces: ImageRows, people: Integers | None = None) -> Likeness:
        """What is nearest to each face, and how isolated it is; see `candidates`."""
        rows, distances = self.candidates(faces, people)
        scores, places = nearest_distance_ratio(distances)
        return Likeness(rows[np.arange(len(rows)), places], scores)

    def candidates(
        self, faces: ImageRows, people: Integers | None = None, count: int = CANDIDATES
    ) -> tuple[Integers, Floats32]:
        """The references that small pixels name for each face, and how near they are when laid over it.

        Args:
            faces: of the references' size.
            people: (N,) who is on each face, where references of the same person are not to count.
            count: C, how many references.

        Returns:
            (N, C) rows of references, and distances from 0 for equal over √2 for unrelated pictures; infinite where
            there are fewer references.
        """
        rows: list[Integers] = []
        distances: list[Floats32] = []
        start = 0
        for images in _chunks(faces):
            named = self._named(images, None if people is None else people[start : start + len(images)], count)
            tasks = zip(_grey(images), named, strict=True)
            distances.extend(in_order(self._compare, tasks, workers=cores(), ahead=AHEAD))
            rows.append(named)
            start += len(images)
        return np.concatenate(rows), np.stack(distances)

    def _named(self, images: Pixels, people: Integers | None, count: int) -> Integers:
        """(N, count) the references nearest to each face or its mirror image; -1 where there are fewer."""
        wanted = min(count + (0 if people is None else SPARE), len(self._index))
        sides = [self._index.search(PixelSpace().extract(side), wanted) for side in (images, images[:, :, ::-1])]
        distances, references = (np.concatenate(parts, axis=1) for parts in zip(*sides, strict=True))
        references = np.take_along_axis(references, distances.argsort(axis=1, kind="stable"), axis=1)
        counted = np.ones(references.shape, dtype=np.bool_)
        if people is not None:
            counted = require(self._people)[references] != people[:, None]
        named = np.full((len(images), count), -1)
        for row, (candidates, own) in enumerate(zip(references, counted, strict=True)):
            unique = list(dict.fromkeys(candidates[own].tolist()))[:count]  # one may be near to both sides
            named[row, : len(unique)] = unique
        return named

    def _compare(self, task: tuple[Floats32, Integers]) -> Floats32:
        """(C,) distances of one grey face to its candidates."""
        face, candidates = task
        there = candidates >= 0
        distances = np.full(len(candidates), np.inf, dtype=np.float32)
        others = _grey(self._references[candidates[there]])
        both = registered_distances(np.stack([face, face[:, ::-1]]), others, round(REACH * len(face)))
        distances[there] = both.min(axis=0)
        return distances


def _chunks(faces: ImageRows) -> Iterator[Pixels]:
    for start in range(0, len(faces), CHUNK):
        yield faces[start : start + CHUNK]


def _grey(images: Pixels) -> Floats32:
    """Luminance, float32 (N, S, S), at most `SIDE` pixels a side."""
    import torch
    from torch.nn.functional import adaptive_avg_pool2d

    grey = np.asarray(images @ np.array([0.299, 0.587, 0.114], dtype=np.float32), dtype=np.float32)
    if grey.shape[1] > SIDE:
        grey = adaptive_avg_pool2d(torch.from_numpy(grey), SIDE).numpy()
    return grey
