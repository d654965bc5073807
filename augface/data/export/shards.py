"""A data set in few large files, which travel and stream better than millions of small ones.

Parquet holds tables of images as Hugging Face has them (`load_dataset(folder)` reads the folder as it is); WebDataset
holds tar archives of samples, `000001.png` and `000001.json`. Both are named by their split, and read again by
`augface.load_data`. The place may be a folder, or any address that fsspec knows, such as `s3://bucket/faces`.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from augface.data.dataset import SPLITS, FaceDataset
from augface.data.export.layout import COLUMNS, is_probability
from augface.data.export.png import encode_png
from augface.data.sources import REAL
from augface.errors import OutputError, UsageError
from augface.files import atomic_path, new_directory
from augface.progress import progress

Format = Literal["parquet", "webdataset"]
FACES = 10_000
"""Faces of a shard: about 100 MB of faces of 64 pixels."""
SUFFIXES = {"parquet": "parquet", "webdataset": "tar"}


def write_shards(faces: FaceDataset, place: str | Path, *, format: Format = "parquet", shard: int = FACES) -> list[str]:
    """Write a data set in shards.

    Args:
        faces: what to write; without splits all are `train`.
        place: a folder that is empty or not there yet, or an address such as `s3://bucket/faces`.
        format: `parquet` or `webdataset`.
        shard: how many faces a file holds at most.

    Returns:
        The names of the files.

    Raises:
        UsageError: no such format, or fsspec lacks what the address needs.
        OutputError: the place holds something already, or cannot be written.

    Example::

        from augface.data.export.shards import write_shards

        write_shards(augface.load_data("toy:300"), "shards", format="webdataset")
    """
    if format not in get_args(Format):
        raise UsageError(f"A data set is written as {' or '.join(get_args(Format))}, not as {format!r}.")
    table = _table(faces)
    splits = np.full(len(faces), "train") if faces.split is None else faces.split
    names = []
    with _opened(place) as (system, root), progress(total=len(faces), desc="writing shards", unit="faces") as bar:
        for split in SPLITS:
            rows = np.flatnonzero(splits == split)
            parts = [rows[start : start + shard] for start in range(0, len(rows), shard)]
            for number, part in enumerate(parts):
                name = f"{split}-{number:05d}-of-{len(parts):05d}.{SUFFIXES[format]}"
                with system.open(f"{root}/{name}", "wb") as file:
                    write = _write_table if format == "parquet" else _write_archive
                    write(file, table.iloc[part], _encoded(faces, part, table))
                names.append(name)
                bar.update(len(part))
    return names


def _table(faces: FaceDataset) -> pd.DataFrame:
    """One row a face: its name, where it comes from as far as augface wrote it, and its labels last."""
    table = pd.DataFrame({"key": _keys(faces), "file_name": faces.names})
    table["split"] = "train" if faces.split is None else faces.split
    if faces.identity is not None:
        table["identity"] = faces.identity
    if faces.factors is not None:
        known = [name for name in faces.factors if name in COLUMNS or is_probability(str(name))]
        table = table.join(faces.factors[[name for name in known if name not in table]].reset_index(drop=True))
    return table.join(faces.attributes.reset_index(drop=True))


def _keys(faces: FaceDataset) -> list[str]:
    """What samples are called: by their files, where those differ up to their first dot; else by numbers."""
    keys = [str(name).replace("/", "_").partition(".")[0] for name in faces.names]
    return keys if len(set(keys)) == len(keys) and all(keys) else [f"{number:08d}" for number in range(len(faces))]


def _encoded(faces: FaceDataset, rows: np.ndarray[Any, Any], table: pd.DataFrame) -> list[bytes]:
    """The PNG files of some faces; what is no real face is marked."""
    sources = table["source"].iloc[rows].tolist() if "source" in table else [*REAL] * len(rows)
    return [
        encode_png(image, {"source": source, "original_name": str(name)}, source=source)
        for image, name, source in zip(faces.images[rows], faces.names[rows], sources, strict=True)
    ]


def _write_table(file: Any, rows: pd.DataFrame, pngs: list[bytes]) -> None:
    """A Parquet table whose column `image` Hugging Face knows for images."""
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    images = [{"bytes": png, "path": name} for png, name in zip(pngs, rows["file_name"], strict=True)]
    kind = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    table = arrow.Table.from_pandas(rows.drop(columns=["key", "file_name"]), preserve_index=False)
    table = table.add_column(0, "image", arrow.array(images, kind))
    parquet.write_table(table.replace_schema_metadata(), file, row_group_size=1_000)


def _write_archive(file: Any, rows: pd.DataFrame, pngs: list[bytes]) -> None:
    """A tar archive of samples: a picture, and what is known of it as JSON."""
    about = rows.drop(columns="key")
    records = about.astype(object).where(about.notna(), None).to_dict("records")
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
        for key, record, png in zip(rows["key"], records, pngs, strict=True):
            for suffix, content in (("png", png), ("json", json.dumps(record, default=_plain).encode())):
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def _plain(value: Any) -> Any:
    """A number of NumPy as one of Python."""
    return value.item()


@contextmanager
def _opened(place: str | Path) -> Iterator[tuple[Any, str]]:
    """A file system and where in it to write; a folder of this host appears whole or not at all."""
    import fsspec

    try:
        system, root = fsspec.core.url_to_fs(str(place))
    except (ImportError, ValueError) as error:
        raise UsageError(f"{place} cannot be written to: {error}.") from error
    if "local" in system.protocol or "file" in system.protocol:
        folder = Path(root)
        new_directory(folder)
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            yield system, str(temporary)
        return
    try:
        if system.exists(root) and system.ls(root, detail=False):
            raise OutputError(f"{place} is not empty. Choose another place, or empty it first.")
        system.makedirs(root, exist_ok=True)
        yield system, root
    except OSError as error:
        raise OutputError(f"Cannot write {place}: {error}.") from error
