"""`augface sample`: faces of a trained generator, as files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from augface.cli.console import check_output, parse_where, print_paths, run_name, say, shown, when_interrupted
from augface.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from augface.data.dataset import FaceDataset
    from augface.generators.base import Generator

PROBE = 16
"""Faces that are generated to estimate what all will cost."""


def sample(
    generator_dir: Path,
    /,
    *,
    n: Annotated[int, Parameter(name="-n")],
    out: Path,
    where: list[str] | None = None,
    psi: float = 1.0,
    flip: str | None = None,
    seed: int = 0,
    dry_run: bool = False,
) -> None:
    """Generate faces with a trained generator, as PNG files and a metadata.csv.

    Args:
        generator_dir: The folder of a trained generator, or the run folder that holds one.
        n: How many faces.
        out: The folder for the faces.
        where: Attribute values that all faces are to have, such as Eyeglasses=1. Repeat it, or put commas between.
            Attributes that are not named vary as they do among the training faces.
        psi: What the noise is multiplied by. Less than 1 gives faces that are more alike and more typical; 0 gives one
            face for each combination of attributes.
        flip: An attribute. Each face is generated twice from the same noise, with it and without it: -n pairs.
        seed: The same seed gives the same faces; on another machine or with other threads (OMP_NUM_THREADS) up to
            rounding.
        dry_run: Say what would be done and what it would cost, and stop.
    """
    if n < 1:
        raise UsageError(f"-n takes a number of faces from 1 up, not {n}.")
    wanted = parse_where(where or [])
    if flip in wanted:
        raise UsageError(f"--flip {flip} gives faces with and without it, so --where cannot request either.")
    check_output(out)

    import pandas as pd

    from augface.files import atomic_path, human_bytes
    from augface.generators import load_generator
    from augface.progress import progress
    from augface.text import csv_text

    generator = load_generator(generator_dir)

    def make(count: int) -> Iterator[tuple[FaceDataset, list[bytes]]]:
        encode = partial(_pngs, generator=generator.name, source=generator.source)
        for part, files in generator.map_samples(encode, count, where=wanted, seed=seed, psi=psi):
            if flip is None:
                yield part, files
            else:
                yield from ((faces, encode(faces)) for faces in _pairs(generator, part, flip))

    if n > PROBE:
        next(make(1))  # what is done once is not counted for each face
    started = time.perf_counter()
    probe, files = next(make(min(PROBE, n)))
    total = n if flip is None else 2 * n
    size = sum(map(len, files)) / len(probe)
    seconds = (time.perf_counter() - started) / len(probe)
    say(f"Generate {total:,} faces of {probe.size} x {probe.size} pixels.")
    say(f"Estimated: {max(1, round(seconds * total)):,} s; {human_bytes(size * total)} in {shown(out)}.")
    if dry_run:
        return
    with when_interrupted(f"nothing was written to {shown(out)}."), atomic_path(out) as folder:
        folder.mkdir()
        with progress(total=total, desc="generating faces", unit="faces") as bar:
            tables = []
            for part, files in make(n):
                tables.append(_write(part, files, folder))
                bar.update(len(part))
        check_output(out)  # nobody has put anything there in the meantime
        (folder / "metadata.csv").write_text(csv_text(pd.concat(tables)), encoding="utf-8", newline="")
    print_paths({"faces": out, "labels": out / "metadata.csv"})


def _pairs(generator: Generator, faces: FaceDataset, attribute: str) -> Iterator[FaceDataset]:
    """The faces with the attribute, and without it; their names say which."""
    from dataclasses import replace

    import numpy as np

    for value in (True, False):
        again = generator.sample(len(faces), where={attribute: value}, like=faces)
        names = [run_name(Path(name).stem, attribute, f"{value:d}") + ".png" for name in again.names]
        yield replace(again, names=np.array(names))


def _write(faces: FaceDataset, pngs: list[bytes], folder: Path) -> pd.DataFrame:
    """Write PNG files; return their rows of the metadata: the attributes are those that were requested."""
    for name, png in zip(faces.names, pngs, strict=True):
        (folder / name).write_bytes(png)
    table = faces.attributes.astype("Int8")
    table.insert(0, "file_name", faces.names)
    return table


def _pngs(faces: FaceDataset, generator: str, source: str) -> list[bytes]:
    import numpy as np

    from augface.data.export.png import encode_png

    notes: list[dict[Any, Any]] = [{}] * len(faces) if faces.factors is None else faces.factors.to_dict("records")
    return [
        encode_png(image, {"generator": generator, **note}, source=source)
        for image, note in zip(np.asarray(faces.images), notes, strict=True)
    ]
