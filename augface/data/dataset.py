"""`FaceDataset`: faces with their attributes, identities and split, selected without copying pixels."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from augface.arrays import Booleans, Floats32, Integers, Strings
from augface.data.conversion import as_attributes, as_people, as_pixels, as_split, hold_no_picture
from augface.data.pixels import ImageRows
from augface.errors import DataError, spelled

if TYPE_CHECKING:
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
class FaceDataset:
    """A set of face images with what is known of them.

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
        attributes: pd.DataFrame | Mapping[str, Any] | None = None,
        *,
        identity: Any = None,
        split: Any = None,
        names: Sequence[str] | None = None,
        factors: pd.DataFrame | None = None,
        spec: str = "array",
        content_hash: str | None = None,
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

        Raises:
            DataError: images that are not understood or not square, labels that are neither yes nor no, a number of
                rows that is not that of the images, or a split that is unknown.
        """
        pixels = as_pixels(images)
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
        mask = np.ones(len(self), dtype=np.bool_)
        for name, value in where.items():
            mask &= (self.attribute(name) == value).fillna(False).to_numpy(dtype=np.bool_)
        return mask

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
    index = np.asarray(rows)
    return index.astype(np.int64) if index.size == 0 else index


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
