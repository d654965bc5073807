"""`FaceDataset`: faces with their attributes, identities and split, selected without copying pixels."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from augface.arrays import Booleans, Floats32, Integers, Pixels, Strings
from augface.data.conversion import ValueRange, as_attributes, as_people, as_pixels, as_split, hold_no_picture
from augface.data.images import resize_faces
from augface.data.pixels import ImageRows
from augface.data.readers.containers import some
from augface.errors import DataError, spelled
from augface.text import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL import Image

    from augface.data.interchange import TorchFaces
    from augface.data.originals import Originals

log = logging.getLogger("augface")

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


@dataclass(frozen=True)
class Source:
    """Where faces come from."""

    spec: str
    """What was asked for, such as `celeba:/data/celeba`, or the generator's name for synthetic faces."""
    content_hash: str
    """SHA-256 over the pixels and labels, or over what determines them."""
    shows_people: bool = True
    """Whether the faces, where they are real ones, are of real people: all but drawn ones are."""
    terms: str = ""
    """The terms of use of the faces, as far as they are known."""
    citation: str = ""
    """What users of the faces are asked to cite."""
    crop: str = ""
    """Which part of their files the faces are: `celeba`, `centre`, a box, or `whole` where the files are square; empty
    where there are no files."""
    detail: int | None = None
    """How many pixels a side that part typically had, before it was resized; None where it was not."""


@dataclass(frozen=True, eq=False)
class Face:
    """One face of a data set, with what is known of it.

    Attributes:
        image: uint8, (H, W, 3), RGB.
        labels: the value of each attribute; None where it is not known.
        name: its file name.
        split: `train`, `valid` or `test`; empty where the data have no split.
        identity: a number for the person, or None where unknown.
    """

    image: Pixels
    labels: dict[str, bool | None]
    name: str
    split: str
    identity: int | None

    def to_pil(self) -> Image.Image:
        """The image as Pillow has it."""
        from PIL import Image

        return Image.fromarray(self.image)

    def __repr__(self) -> str:
        shown = [name for name, value in self.labels.items() if value]
        return f"Face({self.name!r}, {self.image.shape[0]} x {self.image.shape[1]}; {some(shown, 6) or 'no label'})"

    def _repr_html_(self) -> str:
        from augface.notebooks import face_card

        return face_card(self).html()


@dataclass(frozen=True, eq=False, repr=False)
class FaceDataset:
    """A set of face images with what is known of them.

    `data[0]` is a face, `data[:100]` and `data[data.attributes["Male"]]` are data sets that share its images; it has a
    length and can be gone through face by face.

    >>> from augface import load_data
    >>> data = load_data("toy:200")
    >>> data.train
    FaceDataset(100 faces of 64 x 64 from toy:200; train 100; 24 attributes: Bald, Bangs, Black_Hair, …; 23 people)
    >>> data[-1].name, len(data[:10]), len(data[data.attributes["Bald"]])
    ('000199.png', 10, 7)
    >>> sum(face.labels["Bald"] for face in data)
    7

    Attributes:
        images: uint8, (N, H, W, 3), RGB.
        attributes: one nullable boolean column an attribute, N rows; `pd.NA` where a label is missing.
        identity: (N,) int64, one number a person, or None where unknown.
        split: (N,) of `train`, `valid`, `test`, or None where the data have no split.
        source: where the faces come from.
        names: (N,) file names, for data sets that are written out and for messages.
        factors: what else is known of each image, N rows: the true generating factors of toy faces, the seed and
            the requested label of synthetic ones; None where nothing is.
        originals: the files that the images are small copies of, where measures are to look at those instead.
    """

    images: ImageRows
    attributes: pd.DataFrame
    identity: Integers | None
    split: Strings | None
    source: Source
    names: Strings
    factors: pd.DataFrame | None = None
    originals: Originals | None = None

    def __post_init__(self) -> None:
        for name, column in (
            ("attributes", self.attributes),
            ("identity", self.identity),
            ("split", self.split),
            ("names", self.names),
            ("factors", self.factors),
            ("originals", self.originals),
        ):
            if column is not None and len(column) != len(self.images):
                raise DataError(f"{len(self.images)} images but {len(column)} rows of {name}.")

    @classmethod
    def from_arrays(
        cls,
        images: Any,
        attributes: Any = None,
        *,
        identity: Any = None,
        split: Any = None,
        names: Sequence[str] | None = None,
        factors: pd.DataFrame | None = None,
        spec: str = "array",
        content_hash: str | None = None,
        value_range: ValueRange | None = None,
        size: int | None = None,
    ) -> FaceDataset:
        """A data set of arrays in memory.

        Args:
            images: uint8, (N, H, W, 3), RGB; or what `conversion.as_pixels` understands: floats, tensors, PIL images.
            attributes: N rows of yes, no or missing in columns; see `conversion.as_attributes`. Rows go by position,
                whatever the index of a table or column, unless it holds the names.
            identity: N whole numbers or names of persons.
            split: N of `train`, `valid`, `test`.
            names: N file names; numbered where not given.
            factors: a table of N rows of anything else that is known of each image.
            spec: what to call the source.
            content_hash: what to know the content by; computed from pixels and labels where not given.
            value_range: what is black and what is white in the images, such as (-1, 1), where their least and greatest
                do not show it.
            size: height and width to bring the images to; see `conversion.as_pixels`.

        >>> faces = FaceDataset.from_arrays(np.zeros((2, 8, 8, 3), np.uint8) + 9, {"Male": ["yes", "no"]})
        >>> faces.attributes["Male"].tolist()
        [True, False]

        Raises:
            DataError: images that are not understood or not square, labels that are neither yes nor no, a number of
                rows that is not that of the images, or a split that is unknown.
        """
        pixels = as_pixels(images, value_range=value_range, size=size)
        if hold_no_picture(pixels):
            log.warning(
                f"The images of {spec} hold nothing but 0 and 1. Were they floats from 0 to 1? Multiply by 255."
            )
        count = len(pixels)
        called = np.asarray(names if names is not None else [f"{i:06d}.png" for i in range(count)], dtype=np.str_)
        if len(called) != count:
            raise DataError(f"There are {count:,} images, but {len(called):,} names.")
        table = as_attributes({} if attributes is None else attributes, called)
        if content_hash is None:
            digest = hashlib.sha256(np.ascontiguousarray(pixels).data)
            digest.update(table.to_csv(index=False).encode())
            content_hash = digest.hexdigest()
        return cls(
            images=ImageRows(pixels, np.arange(count, dtype=np.int64)),
            attributes=table,
            identity=None if identity is None else as_people(identity, called),
            split=None if split is None else as_split(split, called),
            source=Source(spec, content_hash),
            names=called,
            factors=None if factors is None else factors.reset_index(drop=True),
        )

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, index: int) -> Face: ...
    @overload
    def __getitem__(self, index: slice | npt.ArrayLike) -> FaceDataset: ...
    def __getitem__(self, index: int | slice | npt.ArrayLike) -> Face | FaceDataset:
        """A face by its number, or the faces of a slice, of numbers or of a mask; where a mask is unknown, no face."""
        if not isinstance(index, int | np.integer):
            return self.select(index)
        row = range(len(self))[index]
        values = self.attributes.iloc[row]
        return Face(
            image=self.images[row],
            labels={str(name): None if pd.isna(value) else bool(value) for name, value in values.items()},
            name=str(self.names[row]),
            split="" if self.split is None else str(self.split[row]),
            identity=None if self.identity is None else int(self.identity[row]),
        )

    def __iter__(self) -> Iterator[Face]:
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        height, width = self.images.shape[1:3]
        parts = [f"{counted(len(self), 'face')} of {height} x {width} from {some([self.source.spec])}"]
        if self.split is not None:
            sizes = {name: int((self.split == name).sum()) for name in SPLITS}
            parts.append(", ".join(f"{name} {count:,}" for name, count in sizes.items() if count))
        names = [str(name) for name in self.attributes]
        parts.append(f"{counted(len(names), 'attribute')}: {some(names)}" if names else "no attributes")
        if self.identity is not None:
            parts.append(f"{len(np.unique(self.identity)):,} people")
        return f"FaceDataset({'; '.join(parts)})"

    def _repr_html_(self) -> str:
        from augface.notebooks import dataset_card

        return dataset_card(self).html()

    def plot(self, attributes: Sequence[str] | None = None, *, ax: Axes | None = None) -> Axes:
        """Draw the share of faces that show each attribute, split by split, as bars of seaborn.

        Args:
            attributes: which; all where not given.
            ax: where to draw; a new figure where not given.

        Raises:
            DataError: the data have no labels.
            UnknownNameError: no attribute of this name.
        """
        from augface.data.plots import plot_attributes

        return plot_attributes(self, attributes, ax)

    def to_frame(self) -> pd.DataFrame:
        """All that is known of the faces but their images: one row a face.

        >>> FaceDataset.from_arrays(np.zeros((2, 8, 8, 3), np.uint8) + 9, {"Male": [1, 0]}).to_frame()
                 name   Male
        0  000000.png   True
        1  000001.png  False
        """
        columns: dict[str, Any] = {"name": pd.Series(self.names, dtype=object)}
        columns |= {} if self.split is None else {"split": pd.Series(self.split, dtype=object)}
        columns |= {} if self.identity is None else {"identity": self.identity}
        columns |= {str(name): self.attributes[name] for name in self.attributes}
        for name, column in ({} if self.factors is None else self.factors).items():
            columns[f"factor_{name}" if name in columns else str(name)] = column
        return pd.DataFrame(columns)

    def to_torch(self, transform: Callable[[Any], Any] | None = None) -> TorchFaces:
        """A data set of torch: each item is an image, float32 (3, H, W) from 0 to 1, and its labels, float32 (A,).

        Labels are 1 where an attribute is present, 0 where it is absent, and NaN where it is not known; `attributes`
        says which is which. Images are read when they are requested, also by the workers of a loader.

        Args:
            transform: what is done to each image.

        >>> faces = FaceDataset.from_arrays(np.zeros((2, 8, 8, 3), np.uint8) + 51, {"Male": [1, None]}).to_torch()
        >>> image, labels = faces[0]
        >>> image.shape, round(float(image.max()), 3), labels, faces.attributes
        (torch.Size([3, 8, 8]), 0.2, tensor([1.]), ['Male'])
        """
        from augface.data.interchange import TorchFaces

        return TorchFaces(self, transform)

    def to_hf(self) -> Any:
        """A `datasets.Dataset` of Hugging Face, or a `DatasetDict` where the data have splits.

        Its columns are `image`, `file_name`, `identity` where it is known, and one for each attribute; `factors` stay
        behind, as they could be taken for attributes. `augface.load_data` reads it, and what its `save_to_disk` and
        `to_parquet` write.

        Raises:
            UsageError: the package `datasets` is not installed; it comes with `pip install 'augface[datasets]'`.
        """
        from augface.data.interchange import to_hugging_face

        return to_hugging_face(self)

    @property
    def size(self) -> int:
        """Height of the images in pixels; they are square."""
        return self.images.shape[1]

    @property
    def shows_people(self) -> bool:
        """Whether these, where they are real faces, are of real people; see `Source`."""
        return self.source.shows_people

    def select(self, rows: npt.ArrayLike | slice) -> FaceDataset:
        """The faces of a boolean mask, of row numbers (in their order) or of a slice, as a view."""
        chosen = np.arange(len(self))[rows if isinstance(rows, slice) else _row_index(rows)]
        return replace(
            self,
            images=self.images.take(chosen),
            attributes=self.attributes.iloc[chosen].reset_index(drop=True),
            identity=None if self.identity is None else self.identity[chosen],
            split=None if self.split is None else self.split[chosen],
            names=self.names[chosen],
            factors=None if self.factors is None else self.factors.iloc[chosen].reset_index(drop=True),
            originals=None if self.originals is None else self.originals.select(chosen),
        )

    def matching(self, where: Mapping[str, bool]) -> Booleans:
        """(N,) whether each face is known to have all the given attribute values."""
        return rows_with(self.attributes, ((self.attribute_name(name), value) for name, value in where.items()))

    def attribute(self, name: str) -> pd.Series[bool]:
        """One attribute's column; raises as `attribute_name`."""
        return self.attributes[self.attribute_name(name)]

    def attribute_name(self, name: str) -> str:
        """What an attribute is called here that is called so, but for upper and lower case.

        Raises:
            DataError: the data have no labels at all.
            UnknownNameError: no attribute of this name; close matches are named.
        """
        if not self.attributes.shape[1]:
            raise DataError(f"The data set {self.source.spec} has no attribute labels, so {name!r} cannot be used.")
        return spelled("attribute", name, self.attributes.columns)

    def with_split(self, split: npt.ArrayLike) -> FaceDataset:
        """The same faces with another split."""
        return replace(self, split=np.asarray(split, dtype=np.str_))

    def _part(self, split: Split) -> FaceDataset | None:
        if self.split is None or not (mask := self.split == split).any():
            return None
        return self.select(mask)

    @property
    def train(self) -> FaceDataset | None:
        """The faces that anything may learn from; None where there are none."""
        return self._part("train")

    @property
    def valid(self) -> FaceDataset | None:
        """The faces that generators are measured against; None where there are none."""
        return self._part("valid")

    @property
    def test(self) -> FaceDataset | None:
        """The faces that the downstream classifier is scored on; None where there are none."""
        return self._part("test")


def _row_index(rows: npt.ArrayLike) -> npt.NDArray[Any]:
    if isinstance(rows, pd.Series):
        rows = rows.fillna(False).to_numpy(dtype=np.bool_) if rows.dtype.name == "boolean" else rows.to_numpy()
    index = np.asarray(rows)
    return index.astype(np.int64) if index.size == 0 else index


def resized(faces: FaceDataset, size: int) -> FaceDataset:
    """The faces at another size, by the Lanczos filter; as they are where they have it, or files are looked at."""
    if faces.images.shape[1:3] == (size, size) or faces.originals is not None:
        return faces
    small = FaceDataset.from_arrays(resize_faces(faces.images, size), spec=faces.source.spec)
    source = replace(faces.source, content_hash=small.source.content_hash, detail=detail(faces))
    return replace(faces, images=small.images, source=source)


def detail(faces: FaceDataset) -> int:
    """How many pixels a side the faces have had at the least, which no enlargement adds to."""
    return faces.size if faces.source.detail is None else min(faces.size, faces.source.detail)


def rows_with(attributes: pd.DataFrame, values: Iterable[tuple[str, bool]]) -> Booleans:
    """(N,) which rows are known to have all these values of attributes."""
    mask = np.ones(len(attributes), dtype=np.bool_)
    for name, value in values:
        mask &= (attributes[name] == value).fillna(False).to_numpy(dtype=np.bool_)
    return mask


def signed_labels(attributes: pd.DataFrame) -> Floats32:
    """Attributes as networks take them, float32 (N, A): 1 where present, -1 where absent, 0 where missing."""
    return attributes.astype("Float32").fillna(0.5).to_numpy(dtype=np.float32) * 2 - 1


def concatenate(parts: Sequence[FaceDataset], *, spec: str) -> FaceDataset:
    """Several sets one after another, in memory; an attribute that one lacks is missing there. Sizes must agree.

    Identities, splits and factors are kept where every part has them.
    """
    sizes = {part.images.shape[1:] for part in parts}
    if len(sizes) > 1:
        raise DataError(f"Images of different sizes cannot be joined: {sorted(sizes)}.")
    identities = [part.identity for part in parts if part.identity is not None]
    splits = [part.split for part in parts if part.split is not None]
    factors = [part.factors for part in parts if part.factors is not None]
    return FaceDataset.from_arrays(
        np.concatenate([np.asarray(part.images) for part in parts]),
        pd.concat([part.attributes for part in parts], ignore_index=True),
        identity=np.concatenate(identities) if len(identities) == len(parts) else None,
        split=np.concatenate(splits) if len(splits) == len(parts) else None,
        names=[str(name) for part in parts for name in part.names],
        factors=pd.concat(factors, ignore_index=True) if len(factors) == len(parts) else None,
        spec=spec,
    )
