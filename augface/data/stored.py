"""A data set as files of its own, to be opened again at once: pixels that are mapped into memory, and a table."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from augface.arrays import Pixels
from augface.data.dataset import FaceDataset, Source
from augface.data.pixels import ImageRows

PIXELS, TABLE, SOURCE = "images.npy", "labels.parquet", "source.json"
FILES = (PIXELS, TABLE, SOURCE)


def write_faces(folder: Path, faces: FaceDataset) -> None:
    """Write all that is known of the faces into a folder, which may be there; `originals` are not kept."""
    folder.mkdir(exist_ok=True)
    table = faces.attributes.add_prefix("attribute:").assign(name=faces.names)
    if faces.factors is not None:
        table = table.join(faces.factors.add_prefix("factor:"))
    if faces.identity is not None:
        table["identity"] = faces.identity
    if faces.split is not None:
        table["split"] = faces.split
    np.save(folder / PIXELS, np.asarray(faces.images), allow_pickle=False)
    table.to_parquet(folder / TABLE, index=False)
    (folder / SOURCE).write_text(json.dumps(asdict(faces.source)) + "\n", encoding="utf-8")


def read_faces(folder: Path) -> FaceDataset:
    """The faces that `write_faces` wrote. Whether the files are whole is for those to check who keep them."""
    stored: Pixels = np.load(folder / PIXELS, mmap_mode="r", allow_pickle=False)
    table = pd.read_parquet(folder / TABLE)
    factors = _prefixed(table, "factor:")
    return FaceDataset(
        images=ImageRows(stored, np.arange(len(stored), dtype=np.int64)),
        attributes=_prefixed(table, "attribute:").astype("boolean"),
        identity=table["identity"].to_numpy(dtype=np.int64) if "identity" in table else None,
        split=table["split"].to_numpy(dtype=np.str_) if "split" in table else None,
        source=Source(**json.loads((folder / SOURCE).read_text(encoding="utf-8"))),
        names=table["name"].to_numpy(dtype=np.str_),
        factors=factors if factors.shape[1] else None,
    )


def _prefixed(table: pd.DataFrame, prefix: str) -> pd.DataFrame:
    chosen = table[[name for name in table.columns if name.startswith(prefix)]]
    return chosen.rename(columns=lambda name: name.removeprefix(prefix))
