"""Steered faces as files that say what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from augface.data.dataset import FaceDataset
from augface.data.export.png import encode_png
from augface.data.sources import PHOTO_BASED
from augface.files import atomic_path
from augface.text import csv_text


def write_steered(
    out: Path, faces: FaceDataset, notes: Sequence[Mapping[str, Any]], *, of_photo: Sequence[bool]
) -> Path:
    """Write PNG files and a metadata.csv into a new folder; return the path of that table.

    Args:
        out: the folder, which is not there yet, or empty.
        faces: N faces; their names are those of the files.
        notes: N notes for the PNG files.
        of_photo: N times whether a face was made from a photo of somebody: its mark says so, and data sets with such
            faces are refused for training unless they are allowed.
    """
    with atomic_path(out) as folder:
        folder.mkdir()
        sources = [PHOTO_BASED if mark else "synthetic" for mark in of_photo]
        rows = zip(map(str, faces.names), np.asarray(faces.images), notes, sources, strict=True)
        for name, image, note, source in rows:
            (folder / name).write_bytes(encode_png(image, note, source=source))
        table = faces.attributes.astype("Int8")
        table.insert(0, "file_name", faces.names)
        table.insert(1, "source", sources)
        (folder / "metadata.csv").write_text(csv_text(table), encoding="utf-8", newline="")
    return out / "metadata.csv"
