"""What a reader finds: which images there are, and what is known of each. No pixel is read yet."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pandas as pd

from augface.arrays import Booleans, Integers, Strings
from augface.data.crops import Crop
from augface.data.readers.containers import Container


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

    def __len__(self) -> int:
        return len(self.members)

    def select(self, mask: Booleans) -> Listing:
        """The images of a boolean mask."""
        return replace(
            self,
            members=self.members[mask],
            names=self.names[mask],
            attributes=self.attributes[mask].reset_index(drop=True),
            identity=None if self.identity is None else self.identity[mask],
            split=None if self.split is None else self.split[mask],
            factors=None if self.factors is None else self.factors[mask].reset_index(drop=True),
        )


def without_unknown_split(listing: Listing) -> Listing:
    """Leave out the images that no split claims, and say so; nothing may learn from an image that may be a test's.

    An image without a split has an empty text in `split`; where all have, there is no split at all.
    """
    if listing.split is None or (known := listing.split != "").all():
        return listing
    if not known.any():
        return replace(listing, split=None)
    warning = f"{(~known).sum():,} images belong to no split and are left out."
    return replace(listing.select(known), warnings=[*listing.warnings, warning])
