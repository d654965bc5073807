"""Who is compared with whom: as many held-out real faces, synthetic faces and other real faces, so that numbers have
baselines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from augface.arrays import Integers
from augface.data.dataset import FaceDataset
from augface.data.groups import Subgroup, combinations
from augface.data.splits import inner_fold
from augface.seeds import random_generator


@dataclass(frozen=True)
class Match:
    """Row numbers, as many on each side: synthetic and other real faces are both compared with `reference`."""

    reference: Integers
    synthetic: Integers
    other: Integers

    def __len__(self) -> int:
        return len(self.reference)


class Sides:
    """The held-out real faces, the synthetic ones, and `other` real ones, which give the real-against-real baseline.

    The other real faces are drawn from the faces that the generator learnt from. Where those are not known they are
    half of the held-out ones, of other people.
    """

    def __init__(
        self, reference: FaceDataset, synthetic: FaceDataset, train: FaceDataset | None = None, seed: int = 0
    ) -> None:
        self.reference, self.synthetic, self.other = reference, synthetic, reference
        self.other_of_train: Integers | None = None
        """Which training faces the other real faces are; None where they are held-out ones."""
        random = random_generator(seed, "sides")
        reference_rows, other_rows = np.arange(len(reference)), np.arange(len(reference))
        if train is None:
            half = inner_fold(reference, 0.5, seed) if len(reference) else np.zeros(0, dtype=np.bool_)
            reference_rows, other_rows = np.flatnonzero(~half), np.flatnonzero(half)
        else:
            self.other_of_train = np.sort(random.permutation(len(train))[: len(reference)])
            self.other = train.select(self.other_of_train)
            other_rows = np.arange(len(self.other))
        # in random order, so that the first rows of any kind are a random sample of it
        self._reference, self._other = random.permutation(reference_rows), random.permutation(other_rows)
        self._synthetic = random.permutation(len(synthetic))

    def match(self, where: Mapping[str, bool] | None = None, most: int | None = None) -> Match:
        """As many rows of each side as the smallest has, at most `most`, of the faces with these attributes."""
        sides = ((self.reference, self._reference), (self.synthetic, self._synthetic), (self.other, self._other))
        rows = [rows[data.matching(where)[rows]] if where else rows for data, rows in sides]
        count = min(*map(len, rows), len(self.reference) if most is None else most)
        return Match(*(part[:count] for part in rows))

    def groups(self, by: Sequence[str] = ()) -> Iterator[Subgroup]:
        """The subgroups that all sides have labels for: both of each attribute, and all combinations of `by`."""
        known = set(self.synthetic.attributes) & set(self.other.attributes)
        for name in map(str, self.reference.attributes.columns):
            if name in known:
                yield from combinations([name])
        if len(by) > 1 and known.issuperset(by):
            yield from combinations(by)
