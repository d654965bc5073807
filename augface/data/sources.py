"""Which faces of a data set that augface wrote are real ones, and which were added."""

from __future__ import annotations

import logging

import numpy as np

from augface.data.dataset import FaceDataset

REAL = ("real",)
SYNTHETIC = ("synthetic", "resampled")
"""What the column `source` of a data set that augface wrote says of faces that are not real ones."""

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
