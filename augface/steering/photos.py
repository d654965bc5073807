"""Photos as faces of a generator's size, and as its codes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from augface.data.crops import has_celeba_shape
from augface.data.dataset import FaceDataset
from augface.data.images import MAX_BYTES, BadImage, decode_face, picture_size, quiet_decoding
from augface.errors import DataError, UsageError

if TYPE_CHECKING:
    from augface.generators._codes import Codes
    from augface.generators.base import Generator

SMALLEST = 16
"""Pixels of the shorter side, below which a photo shows nobody."""


def invert(
    generator: Generator, photos: str | Path | FaceDataset | Sequence[str | Path], *, steps: int | None = None
) -> Codes:
    """The codes of photos: what a generator makes those very faces of.

    They are biometric data. `Codes.vary`, `generator.edit` and `generator.render` take them.

    Args:
        generator: a `latent` one.
        photos: files that are cropped to the face as the training faces are, or faces of the generator's size.
        steps: of the tuning of the generator to each photo; see `Generator.codes`.

    Raises:
        UsageError: the generator is not `latent`, or was saved without its encoder.
        DataError: a file cannot be read, or is no face; says which.
    """
    if not isinstance(photos, FaceDataset):
        photos = load_photos([photos] if isinstance(photos, str | Path) else photos, generator.sample(1).size)
    return generator.codes(photos, steps=steps)


def load_photos(paths: Sequence[str | Path], size: int) -> FaceDataset:
    """Photos that are cropped to the face: the middle square, or CelebA's crop of pictures of that shape.

    Raises:
        UsageError: there are none.
        DataError: one cannot be read, or is too small; says which and why.
    """
    if not paths:
        raise UsageError("Give at least one photo.")
    faces = []
    with quiet_decoding():
        for path in map(Path, paths):
            try:
                content = _content(path)
                width, height = picture_size(content)
                if min(width, height) < SMALLEST:
                    raise BadImage(f"{width} x {height} pixels show no face")
                faces.append(decode_face(content, "celeba" if has_celeba_shape(width, height) else "centre", size))
            except BadImage as error:
                raise DataError(f"The photo {path} cannot be used: {error}.") from error
    return FaceDataset.from_arrays(np.stack(faces), names=_names(paths), spec="photos")


def _content(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise BadImage("it is not a file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadImage(error.strerror or str(error)) from error
    if len(content) > MAX_BYTES:
        raise BadImage(f"longer than {MAX_BYTES:,} bytes")
    return content


def _names(paths: Sequence[str | Path]) -> list[str]:
    """The files' names, numbered where several have the same."""
    names = [Path(path).name for path in paths]
    return [
        name if names.count(name) == 1 else f"{Path(name).stem}-{row}{Path(name).suffix}"
        for row, name in enumerate(names)
    ]
