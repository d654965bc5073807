"""`augface align`: faces out of photos, cropped as a generator's training faces are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from augface.cli.console import check_output, print_paths, print_table, say
from augface.errors import DataError, UsageError

if TYPE_CHECKING:
    from augface.alignment.aligned import AlignedFace

REFUSED = DataError.exit_code
"""The exit code where some photos gave no face; those of the others are written all the same."""
SHOWN = 3
"""Photos whose reasons a message gives, where none has a face."""
POINTS = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")
"""The columns of the table, each with its x and y; right and left are the person's."""


def align(
    *photos: Annotated[Path, Parameter(negative=())],
    out: Path,
    like: str = "celeba",
    size: int | None = None,
    every: Annotated[bool, Parameter(name="--all")] = False,
    points: str | None = None,
) -> int:
    """Find the faces of photos, and crop them so that eyes and mouth lie where those of the training faces do.

    Exit code 3 means that some photos gave no face; they are named, with the reason.

    Args:
        photos: Photos, or folders or zips of them.
        out: The folder for the faces.
        like: What the crops are to be like: celeba, or the folder of a run, for its training faces.
        size: Height and width of the crops, in pixels; those of the run, or 64, where not given.
        every: All faces of each photo, each in a file of its own; otherwise the largest.
        points: Where the face of a single photo is, if it is not found: x and y of five points in pixels, such as
            70,111,108,111,88,135,72,152,105,152: one eye, the other, the tip of the nose, and the corners of the mouth;
            first the eye and the corner that are on the left in an upright face.
    """
    if not photos:
        raise UsageError("Say which photos to align, such as `augface align holiday.jpg --out faces`.")
    given = None if points is None else _numbers(points)
    if every and given is not None:
        raise UsageError("--points says where one face is, and --all asks for all of them: leave one out.")
    check_output(out)

    from augface.alignment.align import faces_in
    from augface.alignment.aligned import FaceRefused
    from augface.alignment.like import template_like
    from augface.data import checked_size
    from augface.data.images import quiet_decoding
    from augface.data.pictures import picture_files
    from augface.files import atomic_path
    from augface.runs import data_of_run

    run = None if like == "celeba" else data_of_run(Path(like))
    size = checked_size(run[1] if size is None and run is not None else size)
    template = template_like(like)
    lines: list[tuple[str, str]] = []
    refused: list[str] = []
    rows: list[dict[str, Any]] = []
    with quiet_decoding(), atomic_path(out) as folder:
        folder.mkdir()
        for name, content in picture_files(photos):
            if given is not None and lines:
                raise UsageError("--points says where the face of one photo is, and there is more than one photo.")
            try:
                found = faces_in(content, template, size, every=every, points=given)
            except FaceRefused as refusal:
                refused.append(f"{name}: {refusal}")
                lines.append((name, f"refused: {refusal}"))
                continue
            written = _write(found, name, content, Path(like).name, folder)
            rows += written
            lines.append((name, ", ".join(row["file_name"] for row in written) + _others(found)))
        if not rows:
            raise DataError(f"There is no face to write. {'; '.join(refused[:SHOWN])}{'; …' * (len(refused) > SHOWN)}.")
        _write_table(rows, folder)
        check_output(out)  # nobody has put anything there in the meantime
    print_table(lines)
    say(f"\n{len(rows):,} faces of {len(lines):,} photos, {size} x {size} pixels, like those of {template.source}.")
    print_paths({"faces": out})
    return REFUSED if refused else 0


def _numbers(points: str) -> list[float]:
    try:
        return [float(number) for number in points.split(",")]
    except ValueError as error:
        raise UsageError(f"--points takes ten numbers with commas between, not {points!r}.") from error


def _write(faces: list[AlignedFace], name: str, content: bytes | str, like: str, folder: Path) -> list[dict[str, Any]]:
    """Write the faces of a photo as PNG files; return their rows of the table.

    The faces of a photo that says of itself that it is none of the real world as it was taken say so, too.
    """
    from augface.data.export.png import encode_png, marked_source

    rows = []
    for number, face in enumerate(faces, 1):
        stem = Path(name).stem + (f"-{number}" if len(faces) > 1 else "")
        file = next(file for file in _file_names(stem) if not (folder / file).exists())
        points = face.points.round(1)
        note = {"photo": Path(name).name, "like": like, "points": points.tolist()}
        (folder / file).write_bytes(encode_png(face.pixels, note, source=marked_source(content)))
        places = {
            f"{point}_{axis}": value
            for point, pair in zip(POINTS, points, strict=True)
            for axis, value in zip("xy", pair, strict=True)
        }
        rows.append({"file_name": file, "photo": name, "score": round(face.score, 3), **places})
    return rows


def _file_names(stem: str) -> Iterator[str]:
    """Names for a file, the first of which may be taken by a face of another photo."""
    yield f"{stem}.png"
    for number in count(2):
        yield f"{stem} ({number}).png"


def _others(faces: list[AlignedFace]) -> str:
    others = faces[0].others
    return f" (the largest of {others + 1} faces; --all gives them all)" if others else ""


def _write_table(rows: list[dict[str, Any]], folder: Path) -> None:
    import pandas as pd

    from augface.text import csv_text

    (folder / "metadata.csv").write_text(csv_text(pd.DataFrame(rows)), encoding="utf-8", newline="")
