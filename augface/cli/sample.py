"""`augface sample`: faces of a trained generator, as files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from augface.cli.console import check_output, parse_where, print_paths, shown, when_interrupted
from augface.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from augface.data.dataset import FaceDataset
    from augface.generators.base import Generator

PROBE = 16
"""Faces that are made to estimate what all will cost."""


def sample(
    generator_dir: Path,
    /,
    *,
    n: Annotated[int, Parameter(name="-n")],
    out: Path,
    where: list[str] | None = None,
    seed: int = 0,
    dry_run: bool = False,
) -> None:
    """Make faces with a trained generator, as PNG files and a metadata.csv.

    Args:
        generator_dir: The folder of a trained generator, or the run folder that holds one.
        n: How many faces.
        out: The folder for the faces.
        where: Attribute values that all faces are to have, such as Eyeglasses=1. Repeat it, or put commas between.
            Attributes that are not named vary as they do among the training faces.
        seed: The same seed gives the same faces.
        dry_run: Say what would be done and what it would cost, and stop.
    """
    if n < 1:
        raise UsageError(f"-n takes a number of faces from 1 up, not {n}.")
    wanted = parse_where(where or [])
    check_output(out)

    import pandas as pd
    from tqdm import tqdm

    from augface.files import atomic_path, human_bytes
    from augface.generators import load_generator

    inner = generator_dir / "generator"
    generator = load_generator(inner if inner.is_dir() else generator_dir)

    started = time.perf_counter()
    probe = generator.sample(min(PROBE, n), where=wanted, seed=seed)
    size = sum(map(len, _pngs(probe, generator))) / len(probe)
    seconds = (time.perf_counter() - started) / len(probe)
    print(f"Make {n:,} faces of {probe.size} x {probe.size} pixels.")
    print(f"Estimated: {max(1, round(seconds * n)):,} s; {human_bytes(size * n)} in {shown(out)}.", flush=True)
    if dry_run:
        return
    with when_interrupted(f"nothing was written to {shown(out)}."), atomic_path(out) as folder:
        folder.mkdir()
        with tqdm(total=n, desc="making faces", unit="face", disable=None) as progress:
            tables = []
            for part in generator.iter_samples(n, where=wanted, seed=seed):
                tables.append(_write(part, generator, folder))
                progress.update(len(part))
        pd.concat(tables).to_csv(folder / "metadata.csv", index=False)
    print_paths({"faces": out, "labels": out / "metadata.csv"})


def _write(faces: FaceDataset, generator: Generator, folder: Path) -> pd.DataFrame:
    """Write PNG files; return their rows of the metadata: the attributes are those that were asked for."""
    for name, png in zip(faces.names, _pngs(faces, generator), strict=True):
        (folder / name).write_bytes(png)
    table = faces.attributes.astype("Int8")
    table.insert(0, "file_name", faces.names)
    return table


def _pngs(faces: FaceDataset, generator: Generator) -> list[bytes]:
    import numpy as np

    from augface.data.marks import encode_png

    # `resample` gives real faces again, which must not be marked as made.
    synthetic = generator.name != "resample"
    notes: list[dict[Any, Any]] = [{}] * len(faces) if faces.factors is None else faces.factors.to_dict("records")
    return [
        encode_png(image, {"generator": generator.name, **note}, synthetic=synthetic)
        for image, note in zip(np.asarray(faces.images), notes, strict=True)
    ]
