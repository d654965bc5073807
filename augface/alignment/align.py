"""`align`: any photos to faces that are cropped alike, each photo with its faces or the reason why it has none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from augface.alignment.aligned import AlignedFace, FaceRefused, align_all, align_photo, align_points
from augface.alignment.like import template_like
from augface.alignment.template import Template
from augface.arrays import Pixels
from augface.data import DEFAULT_SIZE
from augface.data.conversion import as_photo
from augface.data.dataset import FaceDataset
from augface.data.images import BadImage, decode_picture, quiet_decoding
from augface.data.pictures import picture_files
from augface.errors import UsageError

Photos = str | Path | Any | Sequence[Any]
"""Paths of files, folders or zips; or photos in memory, each of any size, as `conversion.as_photos` takes them."""


@dataclass
class Alignment:
    """What became of photos.

    Attributes:
        faces: the faces, in the order of the photos and of their size in each.
        names: the photo of each face.
        refused: the photos of which there is no face, with the reason.
    """

    faces: list[AlignedFace] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def images(self) -> Pixels:
        """The crops, uint8 (N, size, size, 3); N may be 0."""
        return np.stack([face.pixels for face in self.faces]) if self.faces else np.zeros((0, 0, 0, 3), np.uint8)


def align(
    photos: Photos,
    *,
    like: str | Path | Template | FaceDataset = "celeba",
    size: int = DEFAULT_SIZE,
    every: bool = False,
    points: Sequence[float] | None = None,
) -> Alignment:
    """Find the faces of photos, and crop them so that eyes and mouth lie where those of other faces do.

    A photo that cannot be read, or has no face that can be used, is refused with its reason, and costs no other photo.

    Args:
        photos: paths, or photos in memory.
        like: what the crops are to be like: `celeba`, the folder of a run (its training faces), or faces.
        size: height and width of the crops in pixels.
        every: all faces of each photo; else the largest.
        points: where the face of a single photo is, as ten numbers; see `alignment.aligned.align_points`.

    Raises:
        UsageError: points for several photos, or points that cannot be those of a face.
        DataError: there is no such run, or its faces are not found as faces.

    Example::

        found = augface.align(["photo.png"], like="celeba", size=64)
        print(len(found.faces), found.refused)
    """
    template, result = template_like(like), Alignment()
    with quiet_decoding():
        for number, (name, content) in enumerate(_contents(photos)):
            if points is not None and number:
                raise UsageError("The points are those of one face, and there is more than one photo.")
            try:
                found = faces_in(content, template, size, every=every, points=points)
            except FaceRefused as refusal:
                result.refused[name] = str(refusal)
            else:
                result.faces += found
                result.names += [name] * len(found)
    return result


def faces_in(
    content: bytes | str | Pixels,
    template: Template,
    size: int,
    *,
    every: bool = False,
    points: Sequence[float] | None = None,
) -> list[AlignedFace]:
    """The faces of one photo. Call it within `quiet_decoding()`.

    Args:
        content: the bytes of its file, the reason why that cannot be read, or its pixels, uint8 (H, W, 3).
        template: as in `align_photo`.
        size: as in `align_photo`.
        every: as in `align`.
        points: as in `align`.

    Raises:
        FaceRefused: it cannot be read, or has no face that can be used.
    """
    if isinstance(content, str):
        raise FaceRefused(content)
    try:
        photo = decode_picture(content) if isinstance(content, bytes) else content
    except BadImage as error:
        raise FaceRefused(str(error)) from error
    if points is not None:
        return [align_points(photo, points, template, size)]
    return align_all(photo, template, size) if every else [align_photo(photo, template, size)]


def _contents(photos: Photos) -> Iterator[tuple[str, bytes | str | Pixels]]:
    several: Any = photos if isinstance(photos, list | tuple) or getattr(photos, "ndim", 0) == 4 else [photos]
    for number, photo in enumerate(several):
        if isinstance(photo, str | Path):
            yield from picture_files([Path(photo).expanduser()])
        else:
            yield f"photo {number}", as_photo(photo)
