"""Where faces come from: which of a data set that augface wrote are real, and whether two sets were cropped alike."""

from __future__ import annotations

import logging

import numpy as np

from augface.data.dataset import FaceDataset
from augface.errors import UsageError

REAL = ("real",)
SYNTHETIC = ("synthetic", "resampled", "composed", "edited")
"""What the column `source` of a data set that augface wrote says of faces that are not real ones."""
PHOTO_BASED = "photo-based"
"""What it says of faces that were made from a photo of somebody."""

log = logging.getLogger("augface")


def of_source(faces: FaceDataset, wanted: tuple[str, ...]) -> FaceDataset:
    """Of a data set that augface wrote the faces of these sources, where it has any; else all."""
    if faces.factors is None or "source" not in faces.factors:
        return faces
    chosen = faces.factors["source"].isin(wanted).to_numpy(dtype=np.bool_)
    if not chosen.any() or chosen.all():
        return faces
    log.info(f"{faces.source.spec}: {chosen.sum():,} of {len(faces):,} faces are {' or '.join(wanted)}.")
    return faces.select(chosen)


def refuse_photo_based(faces: FaceDataset) -> None:
    """Refuse to learn from faces that were made from photos of people, who may not have agreed to it.

    Raises:
        UsageError: there are some.
    """
    if faces.factors is None or "source" not in faces.factors:
        return
    count = int((faces.factors["source"] == PHOTO_BASED).sum())
    if count:
        raise UsageError(
            f"{count:,} of {len(faces):,} faces of {faces.source.spec} were made from photos of people (source "
            f"{PHOTO_BASED}), so nothing is trained on them. Where those people agree, `augface train "
            "--allow-photo-based` does it."
        )


def crop_difference(first: FaceDataset, second: FaceDataset) -> str:
    """A warning where two sets show different parts of their files; empty where they do not, or files are square."""
    crops = first.source.crop, second.source.crop
    if crops[0] == crops[1] or {"", "whole"} & set(crops):
        return ""
    return (
        f"The crops differ: of the files of {first.source.spec} the part {crops[0]!r} is looked at, and of those of "
        f"{second.source.spec} the part {crops[1]!r}. Measures see that difference too; crop the files alike."
    )
