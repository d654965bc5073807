"""Faces in whatever holds them in memory: arrays, lists, streams, loaders and data sets of torch and Hugging Face.

`faces_of` is the one place that decides what such a thing is. It knows no library by its classes, only what is common
to them: something that gives items, or batches of them, each with one picture and perhaps labels.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from augface.data.conversion import ValueRange, as_array_of_one, as_attributes, as_pixels
from augface.data.dataset import FaceDataset, resized
from augface.data.images import SIGNATURES, BadImage, decode_picture, quiet_decoding
from augface.data.pixels import ImageRows
from augface.data.readers.columns import read_columns
from augface.data.readers.containers import some
from augface.data.readers.labels import BOOLEANS, numbered_classes, split_word, texts_of
from augface.data.readers.matching import names_in
from augface.errors import DataError, UsageError
from augface.progress import progress

KEYS = ("image", "images", "img", "face", "faces", "pixel_values", "picture", "jpg", "jpeg", "png", "webp")
"""What the picture of an item may be called where it has several."""
LABEL = "label"
"""What a label without a name is called."""
LABELS = (LABEL, "labels", "class", "cls", "target", "targets", "attributes", "attr")
"""What numbers of classes and lists of labels are called."""
MOST_NUMBERS = 1_000
"""The longest list of numbers of an item that is taken for labels."""

log = logging.getLogger("augface")


def faces_of(
    holder: Any, labels: Any = None, *, size: int | None = None, value_range: ValueRange | None = None
) -> FaceDataset:
    """The faces that something in memory holds, with the labels that it gives with them.

    Args:
        holder: a `FaceDataset`; images as `FaceDataset.from_arrays` takes them; a data set or a loader of torch; a
            `Dataset`, `IterableDataset` or `DatasetDict` of Hugging Face; anything else that gives items or batches
            one by one. An item is a picture, or a tuple that begins with one, or a mapping that holds one. A mapping
            from splits, such as `{"train": …, "test": …}`, to any of these is one data set with these splits.
        labels: of all faces in their order, in place of those that the holder gives; see `conversion.as_attributes`.
        size: height and width to bring the faces to; as they are where not given.
        value_range: what is black and what is white in them; see `conversion.as_pixels`.

    >>> items = ((np.full((8, 8, 3), 9 * number, np.uint8), number % 2) for number in range(3))
    >>> faces_of(items).attributes["label"].tolist()
    [False, True, False]

    Raises:
        DataError: nothing that holds faces, no faces, or images or labels that are not understood.
        UsageError: labels for a loader that shuffles its faces.
    """
    if labels is not None and type(getattr(holder, "sampler", None)).__name__ == "RandomSampler":
        raise UsageError("The loader shuffles its faces, so no labels can go with it. Make it with shuffle=False.")
    if isinstance(holder, FaceDataset):
        faces = holder
    elif _is_array(holder):
        faces = FaceDataset.from_arrays(holder, value_range=value_range, size=size)
        if len(faces):
            faces = _with_detail(faces, _side(as_array_of_one(holder[0])))
    else:
        faces = _Gathering(size, value_range).read(holder)
    if labels is not None:
        attributes = as_attributes(labels, faces.names)
        digest = hashlib.sha256(f"{faces.source.content_hash} {attributes.to_csv(index=False)}".encode())
        faces = replace(faces, attributes=attributes, source=replace(faces.source, content_hash=digest.hexdigest()))
    return faces if size is None else resized(faces, size)


def _with_detail(faces: FaceDataset, side: int) -> FaceDataset:
    """With how many pixels a side the faces had, where they have another number now."""
    return faces if side == faces.size else replace(faces, source=replace(faces.source, detail=side))


def _side(picture: npt.NDArray[Any]) -> int:
    """The shorter side of one picture, whether its channels are first, last or none."""
    return int(sorted(picture.shape)[-2])


def _is_array(holder: Any) -> bool:
    """Whether these are nothing but images."""
    if isinstance(holder, list | tuple):
        return all(_is_picture(item) and not isinstance(item, tuple) for item in holder)
    return isinstance(holder, ImageRows | np.ndarray) or hasattr(holder, "detach")


def _is_picture(value: Any, dimensions: int = 2) -> bool:
    """Whether a value is a picture, or several: of PIL, the bytes of a file, or numbers in so many dimensions."""
    if isinstance(value, Image.Image) or (isinstance(value, bytes) and SIGNATURES.match(value)):
        return True
    if isinstance(value, Mapping):  # as Hugging Face holds files that are not decoded
        return value.keys() == {"bytes", "path"} and isinstance(value["bytes"], bytes)
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(each, Image.Image) or np.ndim(each) >= dimensions for each in value)
    return hasattr(value, "shape") and len(value.shape) >= dimensions


class _Gathering:
    """Goes through a holder once and keeps what there is: pictures, and the other values of each by their names."""

    def __init__(self, size: int | None, value_range: ValueRange | None) -> None:
        self.size = size
        self.value_range = value_range
        self.side = 0
        """Pixels a side of the first picture, as it was given."""
        self.pictures: list[npt.NDArray[Any]] = []
        self.values: dict[str, list[Any]] = {}
        self.bytes = 0

    def read(self, holder: Any) -> FaceDataset:
        """The faces of a holder, or of a mapping from splits to holders."""
        spec = type(holder).__name__
        if isinstance(holder, Mapping) and holder and all(split_word(str(name)) for name in holder):
            if len(holder) == 1 and split_word(next(iter(holder))) == "train":
                log.info(f"All faces of the {spec} are called train, which is taken for no split.")
                return self.read(next(iter(holder.values())))
            for name, part in holder.items():
                before = len(self.pictures)
                self._go_through(part)
                self._add("split", [split_word(str(name))] * (len(self.pictures) - before), before)
        else:
            self._go_through(holder)
        if not self.pictures:
            raise DataError(f"The {spec} holds no faces.")
        pixels = as_pixels(self.pictures, value_range=self.value_range, size=self.size)
        names, cells = names_in(self._cells())
        names = names or [f"{number:06d}.png" for number in range(len(pixels))]
        columns = read_columns(cells, names, f"the {spec}")
        for warning in columns.warnings:
            log.warning(warning)
        if columns.attributes.shape[1]:
            log.info(f"The {spec} gives the attributes {some(map(str, columns.attributes), 10)}.")
        faces = FaceDataset.from_arrays(
            pixels,
            columns.attributes,
            identity=columns.identity,
            split=columns.split,
            names=names,
            factors=columns.factors,
            spec=spec,
        )
        return _with_detail(faces, self.side)

    def _go_through(self, holder: Any) -> None:
        meanings = _Meanings(holder)
        in_batches = getattr(holder, "batch_size", None) is not None
        drops = in_batches and getattr(holder, "drop_last", False) and hasattr(holder.dataset, "__len__")
        if drops and (dropped := len(holder.dataset) % holder.batch_size):
            log.warning(f"The loader leaves out its last {dropped:,} faces, which are no whole batch (drop_last).")
        bar = progress(desc="reading", unit=" images")
        with closing(bar), quiet_decoding():
            for item in _items(holder):
                picture, others = _unpacked(item, meanings)
                pictures = _several(picture, in_batches)
                before = len(self.pictures)
                self._keep([picture] if pictures is None else pictures)
                count = len(self.pictures) - before
                for name, value in others.items():
                    values = [value] if pictures is None else _one_each(value, count, name)
                    self._add(name, [meanings.of(name, each) for each in values], before)
                bar.update(count)

    def _keep(self, pictures: Any) -> None:
        for picture in pictures:
            array = _decoded(picture)
            self.side = self.side or _side(array)
            if self.value_range is not None or (self.size is not None and array.dtype == np.uint8):
                array = as_pixels([array], value_range=self.value_range, size=self.size)[0]
            self.pictures.append(array)
            self.bytes += array.nbytes
        if self.bytes > _memory() / 2:
            raise DataError(
                f"The first {len(self.pictures):,} faces take half of this machine's memory. Take fewer of them "
                "(itertools.islice, or `take` of Hugging Face), give a size, or write them to a folder and give that."
            )

    def _add(self, name: str, values: list[Any], start: int) -> None:
        column = self.values.setdefault(name, [])
        column += [None] * (start - len(column))
        column += values

    def _cells(self) -> pd.DataFrame:
        """All other values as columns of texts."""
        cells: dict[str, list[str]] = {}
        left_out = []
        for name, column in self.values.items():
            column = [*column, *[None] * (len(self.pictures) - len(column))]
            for part, values in _columns(name, column).items():
                if any(isinstance(value, Mapping | list | tuple | bytes | np.ndarray) for value in values):
                    left_out.append(name)
                else:
                    cells[part] = texts_of(values)
        if left_out:
            log.warning(f"{some(left_out)} of the faces are neither labels nor texts, and are left out.")
        return pd.DataFrame(cells, index=pd.RangeIndex(len(self.pictures)), dtype=object)


class _Meanings:
    """What a holder says of its labels: the names of classes, and of the numbers in a list."""

    def __init__(self, holder: Any) -> None:
        inside = [holder]
        while (holder := getattr(holder, "dataset", None)) is not None:  # of a loader, or of a part
            inside.append(holder)

        def first(name: str) -> Any:
            return next((found for one in inside if (found := getattr(one, name, None)) is not None), None)

        self.features = first("features")  # of Hugging Face
        self.classes = first("classes")  # as torchvision's ImageFolder has them
        self.attributes = first("attr_names")  # as torchvision's CelebA has them

    def of(self, name: str, value: Any) -> Any:
        """A value with the number of a class as the class's name, and a list of attributes under their names."""
        value = _plain(value)
        feature = self.features.get(name) if isinstance(self.features, Mapping) else None
        classes = getattr(feature, "names", self.classes if name == LABEL else None)
        if isinstance(value, int) and not isinstance(value, bool) and classes is not None:
            return str(classes[value]) if 0 <= value < len(classes) else None
        if isinstance(value, list) and name == LABEL and self.attributes is not None:
            named = [str(each) for each in self.attributes if each]
            return dict(zip(named, value, strict=True)) if len(named) == len(value) else value
        return value


def _items(holder: Any) -> Iterator[Any]:
    """Items or batches, one by one."""
    if isinstance(holder, Mapping):  # one batch
        yield holder
    elif hasattr(holder, "__iter__") and not isinstance(holder, str | bytes):
        yield from holder
    elif hasattr(holder, "__getitem__") and hasattr(holder, "__len__"):
        yield from (holder[number] for number in range(len(holder)))
    else:
        raise DataError(
            f"No faces are understood in what is of the type {type(holder).__name__}. Give a folder, an array or "
            "tensor, a list of images, or a data set or loader that gives pictures one by one."
        )


def _unpacked(item: Any, meanings: _Meanings) -> tuple[Any, dict[str, Any]]:
    """The picture, or pictures, of an item and what else it says, by names."""
    if hasattr(item, "_asdict"):
        item = item._asdict()
    if isinstance(item, Mapping) and not _is_picture(item):
        key = _picture_key(item, meanings)
        return item[key], {str(name): value for name, value in item.items() if name != key}
    if isinstance(item, list | tuple) and item:
        if isinstance(item, list) and all(isinstance(each, Image.Image) or np.ndim(each) == 3 for each in item):
            return item, {}  # a batch that nobody has stacked
        if not _is_picture(item[0]):
            raise DataError(f"An item begins with {type(item[0]).__name__}, not with a picture. Put the picture first.")
        if any(_is_picture(other, 3) for other in item[1:]):
            raise DataError("An item has several pictures. Give one, or name it in a mapping: {'image': …}.")
        return item[0], {LABEL if number == 1 else f"{LABEL}_{number}": item[number] for number in range(1, len(item))}
    if not _is_picture(item):
        raise DataError(f"An item is {type(item).__name__}, which is no picture, nor holds one.")
    return item, {}


def _picture_key(item: Mapping[Any, Any], meanings: _Meanings) -> Any:
    """What the picture of a mapping is called.

    Raises:
        DataError: there is none, or which of several it is cannot be known.
    """
    found = [key for key, value in item.items() if _is_picture(value, 3)]
    found = found or [key for key, value in item.items() if _is_picture(value) and str(key).lower() in KEYS]
    known = [key for key in found if str(key).lower() in KEYS]
    chosen = found if len(found) == 1 else known
    if len(chosen) == 1:
        return chosen[0]
    held = some(map(str, item), 10)
    if found:
        raise DataError(f"Which picture is the face? {some(map(str, found))} are pictures. Call one of them `image`.")
    raise DataError(f"An item holds no picture, only {held}.")


def _several(picture: Any, in_batches: bool) -> Any:
    """The pictures of a batch; None where it is one picture."""
    if isinstance(picture, list | tuple) or (hasattr(picture, "shape") and (in_batches or len(picture.shape) == 4)):
        return picture
    return None


def _one_each(values: Any, count: int, name: str) -> Any:
    if isinstance(values, str | bytes) or np.ndim(values) == 0 or len(values) != count:
        raise DataError(f"A batch has {count:,} pictures, and {name} is not one value for each of them.")
    return values


def _decoded(picture: Any) -> Any:
    """One picture as an array of numbers."""
    content = picture["bytes"] if isinstance(picture, Mapping) else picture
    if not isinstance(content, bytes):
        return as_array_of_one(picture)
    try:
        return decode_picture(content)
    except BadImage as error:
        raise DataError(f"One of the images cannot be used: {error}.") from error


def _plain(value: Any) -> Any:
    """A tensor, array or number of NumPy as Python has it."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return value.tolist() if hasattr(value, "tolist") else value


def _columns(name: str, column: list[Any]) -> dict[str, list[Any]]:
    """One column, or several: of mappings and lists, and for the classes that numbers stand for."""
    known = [value for value in column if value is not None]
    if known and all(isinstance(value, Mapping) for value in known):
        keys = dict.fromkeys(str(key) for value in known for key in value)
        return {key: [None if value is None else value.get(key) for value in column] for key in keys}
    lengths = {len(value) if isinstance(value, list | tuple) else 0 for value in known}
    are_labels = name.lower().partition("_")[0] in LABELS
    if are_labels and len(lengths) == 1 and 0 < min(lengths) <= MOST_NUMBERS and all(map(_are_numbers, known)):
        count = min(lengths)
        names = [name] if count == 1 else [f"{name}_{number}" for number in range(count)]
        return {
            part: [None if value is None else value[number] for value in column] for number, part in enumerate(names)
        }
    if are_labels and known == column and known and all(isinstance(value, int) and value >= 0 for value in known):
        return {name: column} if max(known) <= 1 else dict(numbered_classes(name, known))
    return {name: column}


def _are_numbers(values: Any) -> bool:
    return all(isinstance(value, bool | int | float) or str(value).lower() in BOOLEANS for value in values)


def _memory() -> float:
    """Bytes of this machine's memory; without end where it does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # not on every system
        return float("inf")
