"""What people have in memory, as data sets hold it: images of any kind as pixels, labels of any kind as booleans."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from augface.arrays import Integers, Pixels, Strings
from augface.data.images import BadImage, resize_faces, to_rgb
from augface.data.pixels import ImageRows
from augface.data.readers.containers import some
from augface.data.readers.labels import Labels, as_identity, as_splits
from augface.errors import DataError

ValueRange = tuple[float, float]
"""What is black and what is white in images, such as (-1, 1)."""
RANGES: dict[str, ValueRange] = {"0 to 1": (0.0, 1.0), "-1 to 1": (-1.0, 1.0), "0 to 255": (0.0, 255.0)}
"""What black and white may be in images of floating-point numbers."""
ROUNDING = 1e-3
"""How far beyond its range a floating-point image may go, as a share of it."""
DARK, BRIGHT = -0.5, 25.0
"""Images from -1 to 1 have some pixel that is darker than this, and those from 0 to 255 some that is brighter. What is
in between could be images from 0 to 1 that were sharpened or shifted, and is no such image without being told so."""
WANTED = "Give images as uint8 (N, H, W, 3), or as floats from 0 to 1."

log = logging.getLogger("augface")


def as_pixels(images: Any, *, value_range: ValueRange | None = None, size: int | None = None) -> Pixels:
    """Images as uint8 (N, H, W, 3), RGB.

    Args:
        images: an array or tensor, or a list of PIL images, arrays or tensors. Channels may come first, and there may
            be one (grey) or four (of which the last, opacity, must be whole). Whole numbers go from 0 to 255;
            floating-point numbers from 0 to 1, -1 to 1 or 0 to 255, as their least and greatest show.
        value_range: what is black and what is white, where the numbers do not show it; what lies beyond is cut off.
        size: height and width to bring them to, by the square in the middle of each and the Lanczos filter. Without
            it, they must be square and of one size.

    Raises:
        DataError: another shape, kind or range.
    """
    if isinstance(images, ImageRows):
        pixels = np.asarray(images)
        return pixels if size in (None, images.shape[1]) else resize_faces(pixels, size)
    arrays = _as_arrays(images, several_sizes=size is not None)
    black, white = _black_and_white(arrays, value_range)
    parts = [_rgb(_as_uint8(array, black, white)) for array in arrays]
    if size is not None:
        return np.concatenate([part if part.shape[1:3] == (size, size) else resize_faces(part, size) for part in parts])
    if parts[0].shape[1] != parts[0].shape[2]:
        raise DataError(
            f"Faces are square, and these are {parts[0].shape[1]} x {parts[0].shape[2]}. Crop them first, or give a "
            "size to augface.load_data, which takes the square in the middle."
        )
    return parts[0]


def as_photo(image: Any) -> Pixels:
    """One image of any shape, a PIL image, array or tensor, as uint8 (H, W, 3), RGB; its values as `as_pixels` says."""
    arrays = _as_arrays([image], several_sizes=False)
    black, white = _black_and_white(arrays, None)
    photo: Pixels = _rgb(_as_uint8(arrays[0], black, white))[0]
    return photo


def _as_arrays(images: Any, *, several_sizes: bool) -> list[npt.NDArray[Any]]:
    """Arrays (N, H, W, C): one, or, where several sizes are allowed, one for each image."""
    if not isinstance(images, list | tuple):
        return [_channels_last(as_array_of_one(images))]
    parts = [as_array_of_one(image) for image in images]
    if not parts:
        return [np.zeros((0, 1, 1, 3), dtype=np.uint8)]
    if len(kinds := {"f" if part.dtype.kind == "f" else "whole" for part in parts}) > 1:
        raise DataError(f"Some of the {len(parts):,} images are whole numbers and some are floats: {sorted(kinds)}.")
    if len(shapes := {part.shape for part in parts}) == 1:
        return [_channels_last(np.stack(parts))]
    if not several_sizes:
        raise DataError(
            f"The images have different shapes: {some(map(str, sorted(shapes)))}. Bring them to one size, or give a "
            "size to augface.load_data."
        )
    return [_channels_last(part[None, ..., None] if part.ndim == 2 else part[None]) for part in parts]


def as_array_of_one(image: Any) -> npt.NDArray[Any]:
    """A PIL image, tensor or array as an array of numbers.

    Raises:
        DataError: it is none.
    """
    if isinstance(image, Image.Image):
        try:
            return np.asarray(to_rgb(image))
        except (BadImage, OSError, SyntaxError) as error:  # an image whose file is read only now, and is broken
            raise DataError(f"One of the images cannot be used: {error}.") from error
    if hasattr(image, "detach"):  # a tensor of torch, on any device and of any precision
        image = image.detach().cpu()
        image = image.float() if image.is_floating_point() else image
    try:
        array = np.asarray(image)
    except (TypeError, ValueError) as error:
        raise DataError(f"The images are no array: {error}. {WANTED}") from error
    if array.dtype.kind not in "uif":
        raise DataError(f"The images are an array of {array.dtype}, not of numbers. {WANTED}")
    return array


def _channels_last(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(N, H, W, C), wherever the channels were."""
    channels = (1, 3, 4)
    if array.ndim == 3 and array.shape[0] not in channels and array.shape[2] not in channels:
        return array[..., None]
    if array.ndim == 4 and array.shape[3] in channels:
        return array
    if array.ndim == 4 and array.shape[1] in channels:
        return array.transpose(0, 2, 3, 1)
    raise DataError(f"Images of the shape {array.shape} are not understood. {WANTED}")


def _black_and_white(arrays: Sequence[npt.NDArray[Any]], given: ValueRange | None) -> ValueRange:
    """What is black and what is white in all of these images together."""
    filled = [array for array in arrays if array.size]
    if given is not None and not given[0] < given[1]:
        raise DataError(f"value_range is what is black and what is white, such as (-1, 1), not {given}.")
    if not filled or (given is None and all(array.dtype == np.uint8 for array in filled)):
        return RANGES["0 to 255"]
    low, high = min(float(array.min()) for array in filled), max(float(array.max()) for array in filled)
    if given is not None and np.isfinite([low, high]).all():
        if low < given[0] or high > given[1]:
            log.info("The images are numbers from %.3g to %.3g; what is beyond %s is cut off.", low, high, given)
        return given
    if all(array.dtype.kind in "ui" for array in filled):
        if low < 0 or high > 255:
            raise DataError(f"The images are whole numbers from {low:g} to {high:g}, not from 0 to 255. {WANTED}")
        return RANGES["0 to 255"]
    name = _range_of(low, high)
    log.info("The images are numbers from %.3g to %.3g, which are taken for %s.", low, high, name)
    return RANGES[name]


def _range_of(low: float, high: float) -> str:
    for name, (black, white) in RANGES.items():
        reach = ROUNDING * (white - black)
        shows_it = {"0 to 1": True, "-1 to 1": low < DARK, "0 to 255": high > BRIGHT}[name]
        if shows_it and black - reach <= low and high <= white + reach:
            return name
    raise DataError(
        f"The images are numbers from {low:g} to {high:g}, which do not show what is black and what is white. Say it: "
        "augface.load_data(images, value_range=(-1, 1)), or (0, 1), or (0, 255). Where a mean was taken away and a "
        "deviation divided by (Normalize), give the images from before that."
    )


def _as_uint8(array: npt.NDArray[Any], black: float, white: float) -> Pixels:
    if (black, white) == RANGES["0 to 255"] and array.dtype.kind in "ui":
        return array.clip(0, 255).astype(np.uint8, copy=False)
    pixels: Pixels = np.rint((array.clip(black, white) - black) * (255 / (white - black))).astype(np.uint8)
    return pixels


def _rgb(pixels: Pixels) -> Pixels:
    if pixels.shape[-1] == 4:
        if (pixels[..., 3] != 255).any():
            raise DataError("The images have transparent parts. Lay them over a background; give three channels.")
        return np.ascontiguousarray(pixels[..., :3])
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels


def hold_no_picture(pixels: Pixels) -> bool:
    """Whether images hold nothing but 0 and 1, as those of floats from 0 to 1 do once they were made whole numbers."""
    return bool(pixels.size) and int(pixels.max()) <= 1


def as_attributes(attributes: Any, names: Strings) -> pd.DataFrame:
    """Labels as nullable booleans, one row a face.

    Columns go by position, whatever their index, unless the index holds the faces' names: then they go by these.

    Args:
        attributes: a table or mapping of columns of True and False, 1 and 0, 1 and -1 (0 is unknown then) or words for
            them, or missing; or one such column, which is called by its name or else `label`; or an array (N, A), whose
            columns are `label_0`, `label_1`, … .
        names: (N,) the faces' names.

    Raises:
        DataError: a column has another length, holds something else, or has the name of another.
    """
    if isinstance(attributes, pd.DataFrame) and attributes.columns.has_duplicates:
        again = attributes.columns[attributes.columns.duplicated()][0]
        raise DataError(f"The attribute {again!r} comes more than once. Give each a name of its own.")
    read = {}
    for name, column in _label_columns(attributes).items():
        read[str(name)] = _as_booleans(in_order(column, names, f"attribute {name}"), str(name), names)
    return pd.DataFrame(read, index=pd.RangeIndex(len(names)))


def _label_columns(attributes: Any) -> Mapping[Any, Any]:
    """The columns of a table, or of what is one column, or several without names."""
    if isinstance(attributes, pd.Series):
        return {"label" if attributes.name is None else attributes.name: attributes}
    if isinstance(attributes, Mapping | pd.DataFrame):
        return cast(Mapping[Any, Any], attributes)
    values = attributes.detach().cpu().numpy() if hasattr(attributes, "detach") else attributes
    if np.ndim(values) == 2:
        return {f"label_{number}": column for number, column in enumerate(np.asarray(values).T)}
    return {"label": values}


def _as_booleans(column: Any, name: str, names: Strings) -> pd.Series[bool]:
    series = pd.Series(column)
    if series.dtype.name in ("bool", "boolean"):
        return series.astype("boolean")
    labels = Labels(series)
    if len(labels.wrong):
        row = labels.wrong[0]
        raise DataError(
            f"The attribute {name} is {labels.texts[row]!r} for {names[row]} (row {row}). Labels are True and False, 1 "
            "and 0, or 1 and -1, or missing."
        )
    if labels.zeros:
        log.warning(f"The attribute {name} is -1 where it is absent, so that its {labels.zeros:,} zeros are unknown.")
    return labels.values


def in_order(values: Any, names: Sequence[str] | Strings, what: str) -> Any:
    """Values in the order of the faces: by position, or by the names of the faces where an index of texts holds these.

    Raises:
        DataError: they are not as many, or an index holds some of the names and not all.
    """
    values = values.detach().cpu().numpy() if hasattr(values, "detach") else values
    if len(values) != len(names):
        raise DataError(f"There are {len(names):,} images, but {len(values):,} values of the {what}.")
    if not isinstance(values, pd.Series):
        return values
    called = list(map(str, names))
    found = {label for label in values.index if isinstance(label, str)} & set(called)
    if not found or values.index.tolist() == called:
        return values.reset_index(drop=True)
    if len(found) < len(called):
        lacking = sorted(set(called) - found) or ["another face of the same name"]
        raise DataError(f"The index of the {what} holds names of faces, and lacks {some(lacking)}. Give all or none.")
    return values.reindex(called).reset_index(drop=True)


def as_split(values: Any, names: Strings) -> Strings:
    """The split of each face, of `train`, `valid`, `test`.

    Raises:
        DataError: another word, none, or another number of them.
    """
    splits, said = as_splits(in_order(values, names, "split"), names.tolist(), "The split")
    if said:
        log.warning(said)
    if (missing := np.flatnonzero(splits == "")).size:
        raise DataError(f"The split of {len(missing):,} faces is missing ({some(names[missing])}). Give all or none.")
    return splits


def as_people(values: Any, names: Strings) -> Integers:
    """One number a person for each face: whole numbers as they are; other numbers and names are counted.

    Raises:
        DataError: another number of them.
    """
    column = pd.Series(in_order(values, names, "identity"))
    if column.dtype.kind in "ui":
        return column.to_numpy(dtype=np.int64)
    return as_identity(column)
