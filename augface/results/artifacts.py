"""Constructors of the pictures, tables and curves that results carry, from arrays and data frames."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from augface.arrays import Floats64
from augface.errors import DataError
from augface.results import ImageGrid, Series, Table

if TYPE_CHECKING:
    import pandas as pd

WEBP_QUALITY = 85
WEBP_MAXIMUM_SIDE = 16383
"""Pixels; more does not fit into the WebP format."""


def image_grid(
    images: npt.ArrayLike | Sequence[npt.ArrayLike],
    *,
    name: str,
    title: str,
    caption: str,
    section: str,
    columns: int | None = None,
    row_labels: Sequence[str] = (),
    shows_real_people: bool = False,
) -> ImageGrid:
    """Square faces side by side on one WebP sheet, tile touching tile; the same pixels give the same bytes.

    Args:
        images: uint8, RGB: (N, H, H, 3), broken into rows of `columns`; or a list of rows, each (n, H, H, 3). Places
            that a short row leaves empty are transparent.
        name: what to call the picture in files.
        title: the heading above it.
        caption: what it shows, in words: also read aloud by screen readers.
        section: where in the report it belongs.
        columns: faces a row; for a list of rows, the longest row where not given.
        row_labels: what each row shows, from the top.
        shows_real_people: whether any of the faces is of a real person.

    Raises:
        DataError: no images, images that are not square uint8 RGB of one size, a row longer than `columns`, another
            number of labels than rows, or more pixels than WebP holds.
    """
    from PIL import Image

    rows = [np.asarray(row) for row in _rows(images, columns)]
    if not any(len(row) for row in rows):
        raise DataError(f"The image grid {name!r} has no images.")
    tile = rows[0].shape[1] if rows[0].ndim == 4 else 0
    for row in rows:
        if row.dtype != np.uint8 or row.ndim != 4 or row.shape[1:] != (tile, tile, 3):
            raise DataError(
                f"The image grid {name!r} needs square uint8 images (N, H, H, 3) of one size, "
                f"not {row.dtype} {row.shape}."
            )
    columns = columns or max(len(row) for row in rows)
    if max(len(row) for row in rows) > columns:
        raise DataError(f"The image grid {name!r} has a row of more than its {columns} columns.")
    if row_labels and len(row_labels) != len(rows):
        raise DataError(f"The image grid {name!r} has {len(rows)} rows but {len(row_labels)} row labels.")
    if max(columns, len(rows)) * tile > WEBP_MAXIMUM_SIDE:
        raise DataError(
            f"The image grid {name!r} is wider or higher than {WEBP_MAXIMUM_SIDE} pixels: show fewer faces."
        )

    sheet = np.zeros((len(rows), tile, columns, tile, 4), dtype=np.uint8)
    for index, row in enumerate(rows):
        sheet[index, :, : len(row), :, :3] = row.transpose(1, 0, 2, 3)
        sheet[index, :, : len(row), :, 3] = 255
    pixels = sheet.reshape(len(rows) * tile, columns * tile, 4)
    is_full = all(len(row) == columns for row in rows)
    file = io.BytesIO()
    Image.fromarray(pixels[..., :3] if is_full else pixels).save(file, format="WEBP", quality=WEBP_QUALITY, method=4)
    return ImageGrid(
        name=name,
        title=title,
        caption=caption,
        section=section,
        tile=tile,
        columns=columns,
        rows=len(rows),
        row_labels=list(row_labels),
        webp=base64.b64encode(file.getvalue()).decode(),
        shows_real_people=shows_real_people,
    )


def _rows(images: Any, columns: int | None) -> list[npt.NDArray[Any]]:
    """The rows of a grid: a list is taken as rows, an array is broken into rows of `columns`."""
    if isinstance(images, (list, tuple)):
        return [np.asarray(row) for row in images]
    pixels = np.asarray(images)
    step = columns or max(len(pixels), 1)
    return [pixels[start : start + step] for start in range(0, len(pixels), step)]


def table(
    frame: pd.DataFrame,
    *,
    name: str,
    title: str,
    caption: str,
    section: str,
    figure: Literal["before and after", "matrix", "seeds", "shares"] | None = None,
    attribute: str | None = None,
) -> Table:
    """A data frame's columns (not its index) as a table of plain cells; what is missing becomes None."""
    cells = frame.astype(object).where(frame.notna(), None)
    return Table(
        name=name,
        title=title,
        caption=caption,
        section=section,
        figure=figure,
        attribute=attribute,
        columns=[str(column) for column in frame.columns],
        rows=[[_plain(cell) for cell in row] for row in cells.itertuples(index=False, name=None)],
    )


def _plain(cell: Any) -> str | int | float | bool | None:
    value = cell.item() if isinstance(cell, np.generic) else cell
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def series(
    x: npt.ArrayLike,
    lines: Mapping[str, npt.ArrayLike],
    *,
    name: str,
    title: str,
    caption: str,
    section: str,
    x_label: str,
    y_label: str,
    points: int = 300,
) -> Series:
    """Curves over a common axis; long ones are shortened to `points`, each the mean of its stretch.

    Args:
        x: (N,) the axis.
        lines: (N,) values of each curve by its name; what is not finite is a gap.
        name: what to call the curves in files.
        title: the heading above them.
        caption: what they show, in words.
        section: where in the report they belong.
        x_label: the axis's name with its unit.
        y_label: the values' name with their unit.
        points: the most points to keep.

    Raises:
        DataError: a curve has another length than `x`.
    """
    axis = np.asarray(x, dtype=np.float64)
    curves = {str(label): np.asarray(values, dtype=np.float64) for label, values in lines.items()}
    for label, values in curves.items():
        if values.shape != axis.shape:
            raise DataError(f"The curve {label!r} of {name!r} has {values.size} points, its axis {axis.size}.")
    return Series(
        name=name,
        title=title,
        caption=caption,
        section=section,
        x_label=x_label,
        y_label=y_label,
        x=_block_means(axis, points),
        lines={label: _block_means(values, points) for label, values in curves.items()},
    )


def _block_means(values: Floats64, points: int) -> list[float | None]:
    if not values.size:
        return []
    means: list[float | None] = []
    for block in np.array_split(values, min(points, values.size)):
        finite = block[np.isfinite(block)]
        means.append(float(finite.mean()) if finite.size else None)
    return means
