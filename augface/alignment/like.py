"""The template of a run: where the points of its own training faces lie."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
from PIL import Image

from augface.alignment.faces import find_faces
from augface.alignment.template import CELEBA, Template
from augface.data import load_data
from augface.data.dataset import FaceDataset
from augface.errors import DataError, OutputError
from augface.files import atomic_write
from augface.runs import data_of_run

FILE = "landmarks.json"
"""Where a run keeps its template, once it was asked for."""
LOOKED_AT = 256
"""Training faces whose median is taken."""
DECIMALS = 5
MIN_FOUND = 0.5
"""The share of them that the detector must find."""


def template_like(like: str | Path | Template | FaceDataset) -> Template:
    """The template that a name, a run folder or a set of faces stands for.

    That of a run is made of its training faces when it is first asked for, which takes some seconds and its data, and
    kept in the run folder.

    Args:
        like: `celeba`, the folder of a run, faces, or a template.

    Raises:
        DataError: there is no run, its data are not here any more, or most of its faces are not found as faces.
    """
    if isinstance(like, Template):
        return like
    if isinstance(like, FaceDataset):
        return median_template(like)
    if str(like) == "celeba":
        return CELEBA
    folder = Path(like).expanduser()
    place = folder / FILE
    if place.is_file():
        return _read(place)
    settings = data_of_run(folder)
    if settings is None:
        raise DataError(f"{like} is neither `celeba` nor the folder of a run, which has a config.toml.")
    spec, size = settings
    faces = load_data(spec, size=size)
    template = median_template(faces if faces.train is None else faces.train)
    template = Template(template.points.round(DECIMALS), template.source)
    with contextlib.suppress(OutputError):  # of a run that can only be read it is made anew each time
        atomic_write(place, json.dumps({"source": template.source, "points": template.points.tolist()}) + "\n")
    return template


def median_template(faces: FaceDataset) -> Template:
    """The medians of the points of some of these faces.

    Raises:
        DataError: less than half of them are found as faces.
    """
    rows = np.unique(np.linspace(0, len(faces) - 1, LOOKED_AT).astype(np.int64))
    found = [face for row in rows.tolist() for face in find_faces(Image.fromarray(faces.images[row]))[:1]]
    if len(found) < MIN_FOUND * len(rows):
        raise DataError(
            f"{len(found):,} of {len(rows):,} faces of {faces.source.spec} were found as faces, so photos cannot "
            "be aligned like them. Use `celeba`, or crop the photos by hand."
        )
    points = np.median([face.points for face in found], axis=0) / faces.size
    return Template(points, faces.source.spec)


def _read(path: Path) -> Template:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        points = np.array(content["points"], dtype=np.float64)
        if points.shape != (5, 2) or not np.all((points > -1) & (points < 2)):
            raise ValueError("its points are not five in a crop")
        return Template(points, str(content["source"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path} is damaged: {error}. Delete it, and it is made again.") from error
