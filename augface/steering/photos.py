"""Photos as faces of a generator's size, and as its codes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from augface.alignment.align import faces_in
from augface.alignment.aligned import FaceRefused
from augface.alignment.like import template_like
from augface.arrays import Pixels
from augface.data.crops import has_celeba_shape
from augface.data.dataset import FaceDataset
from augface.data.images import BadImage, decode_face, picture_size, quiet_decoding
from augface.data.pictures import picture_files
from augface.errors import DataError, UsageError

if TYPE_CHECKING:
    from augface.generators._codes import Codes
    from augface.generators.base import Generator

SMALLEST = 16
"""Pixels of the shorter side, below which a photo shows nobody."""


def invert(
    generator: Generator,
    photos: str | Path | FaceDataset | Sequence[str | Path],
    *,
    steps: int | None = None,
    like: str | Path | None = None,
) -> Codes:
    """The codes of photos: what a generator makes those very faces of.

    They are biometric data. `Codes.vary`, `generator.edit` and `generator.render` take them.

    Args:
        generator: a `latent` one.
        photos: files that are cropped to the face as the training faces are, or faces of the generator's size.
        steps: of the tuning of the generator to each photo; see `Generator.codes`.
        like: what photos of any kind are turned and cropped like; see `load_photos`.

    Raises:
        UsageError: the generator is not `latent`, or was saved without its encoder.
        DataError: a file cannot be read, or is no face; says which.

    Example::

        generator = augface.load_generator("run/generator")
        codes = augface.invert(generator, ["photo.png"])
        print(generator.render(codes.vary(0.4, 16)))
    """
    if not isinstance(photos, FaceDataset):
        several = [photos] if isinstance(photos, str | Path) else photos
        photos = load_photos(several, generator.sample(1).size, like=like)
    return generator.codes(photos, steps=steps)


def load_photos(paths: Sequence[str | Path], size: int, *, like: str | Path | None = None) -> FaceDataset:
    """Photos as faces.

    Args:
        paths: of photos; folders and zips of photos are looked into.
        size: of the faces, in pixels.
        like: the folder of a run, or `celeba`: the largest face of each photo is found, turned upright and cropped as
            the training faces of the run are, or as CelebA's; see `augface.align`. Without it the photos are cropped to
            the face already: they give the middle square, or CelebA's crop of pictures of that shape.

    Raises:
        UsageError: there are none.
        DataError: one cannot be read, or is too small; says which and why.
    """
    faces, names = [], []
    template = None if like is None else template_like(like)
    with quiet_decoding():
        for name, content in picture_files(map(Path, paths)):
            try:
                if template is None:
                    faces.append(_cropped(content, size))
                else:
                    faces.append(faces_in(content, template, size)[0].pixels)
            except (BadImage, FaceRefused) as error:
                raise DataError(f"The photo {name} cannot be used: {str(error).rstrip('.')}.") from error
            names.append(Path(name).name)
    if not faces:
        raise UsageError("Give at least one photo.")
    return FaceDataset.from_arrays(np.stack(faces), names=_numbered(names), spec="photos")


def _cropped(content: bytes | str, size: int) -> Pixels:
    if isinstance(content, str):
        raise BadImage(content)
    width, height = picture_size(content)
    if min(width, height) < SMALLEST:
        raise BadImage(f"{width} x {height} pixels show no face")
    return decode_face(content, "celeba" if has_celeba_shape(width, height) else "centre", size)


def _numbered(names: Sequence[str]) -> list[str]:
    """The names, numbered where several are the same."""
    return [
        name if names.count(name) == 1 else f"{Path(name).stem}-{row}{Path(name).suffix}"
        for row, name in enumerate(names)
    ]
