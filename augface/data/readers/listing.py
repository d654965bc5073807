"""What a reader finds: which images there are, and what is known of each. No pixel is read yet."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from augface.arrays import Booleans, Integers, Strings
from augface.data.crops import Crop
from augface.data.originals import Originals
from augface.data.readers.containers import SYSTEM, Container, some
from augface.errors import DataError


@dataclass(frozen=True, eq=False)
class Listing:
    """N images by name, each with its labels.

    Attributes:
        spec: what the user may ask for to get the same again.
        description: what was found, in a few words.
        container: the folder or zip that holds the images.
        members: (N,) names of the images in the container.
        names: (N,) what to call them.
        attributes: N rows of nullable booleans.
        identity: (N,) one number a person, or None.
        split: (N,) of `train`, `valid`, `test`, or None.
        factors: N rows of whatever else is known, or None.
        crop: which part of each image is the face, unless the user says otherwise.
        terms: the terms of use of the images, as far as the source has any.
        citation: what users of the images are asked to cite.
        warnings: what is wrong with the data, but not so wrong that they cannot be used.
        notes: what else is worth knowing of how they were read.
    """

    spec: str
    description: str
    container: Container
    members: Strings
    names: Strings
    attributes: pd.DataFrame
    identity: Integers | None
    split: Strings | None
    factors: pd.DataFrame | None
    crop: Crop
    terms: str = ""
    citation: str = ""
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.members)

    @property
    def files(self) -> Originals:
        """The image files."""
        return Originals(self.container, self.members)

    def select(self, rows: Booleans | Integers) -> Listing:
        """The images of a boolean mask, or of row numbers in their order."""
        return replace(
            self,
            members=self.members[rows],
            names=self.names[rows],
            attributes=self.attributes.iloc[rows].reset_index(drop=True),
            identity=None if self.identity is None else self.identity[rows],
            split=None if self.split is None else self.split[rows],
            factors=None if self.factors is None else self.factors.iloc[rows].reset_index(drop=True),
        )


def agreed(first: Strings | None, second: Strings | None, images: Strings, where: str) -> Strings | None:
    """The split that two sources agree on, each (N,) with an empty text where it says nothing, or None.

    Raises:
        DataError: they contradict each other.
    """
    if first is None or second is None:
        return second if first is None else first
    if (unlike := np.flatnonzero((first != second) & (first != "") & (second != ""))).size:
        row = unlike[0]
        raise DataError(
            f"{where} puts {some([images[row]])} into two splits: {first[row]} by its folder or list, {second[row]} by "
            "its metadata. Make them agree."
        )
    return np.where(first == "", second, first)


def without_unknown_split(listing: Listing) -> Listing:
    """Leave out the images that no split claims, and say so; nothing may learn from an image that may be a test's.

    An image without a split has an empty text in `split`; where all have, there is no split at all.
    """
    if listing.split is None or (known := listing.split != "").all():
        return listing
    if not known.any():
        return replace(listing, split=None)
    unknown = listing.names[~known].tolist()
    warning = (
        f"{listing.spec}: {len(unknown):,} images belong to no split and are left out ({some(unknown)}). Put them into "
        "train, valid or test to use them."
    )
    return replace(listing.select(known), warnings=[*listing.warnings, warning])


def left_out(container: Container) -> list[str]:
    """Warnings of what was passed over in a container, but for hidden files and a system's own."""
    return [
        f"{container.path}: {len(names):,} {reason} are left out ({some(sorted(names))}). Copy what they stand for to "
        "their place, if it belongs to the data."
        for reason, names in container.left_out.items()
        if reason != SYSTEM
    ]
