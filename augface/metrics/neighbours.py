"""Exact nearest neighbours among fixed references."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from augface.arrays import Floats, Floats32, Integers
from augface.errors import DataError


class Neighbours:
    """Exact nearest neighbours among fixed references: (M, D), floating point."""

    def __init__(self, references: npt.ArrayLike) -> None:
        import faiss

        among = _floats(references, "references")
        self._centre = among.mean(axis=0, dtype=np.float64).astype(
            among.dtype
        )  # float32 loses digits far from the origin
        self._index = faiss.IndexFlatL2(among.shape[1])
        self._index.add(np.ascontiguousarray(among - self._centre, dtype=np.float32))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(self, queries: npt.ArrayLike, k: int, block: int = 1024) -> tuple[Floats32, Integers]:
        """The `k` nearest references of each query, nearest first.

        Args:
            queries: (N, D).
            k: how many; at most M. For the neighbours of a set within itself ask for k + 1 and drop the first.
            block: queries at a time; memory is O(block M + N k).

        Returns:
            Euclidean distances float32 (N, k) and row numbers of references int64 (N, k).

        Raises:
            DataError: fewer than `k` references, NaN or infinity.
        """
        if k > len(self):
            raise DataError(f"{k} neighbours were requested, but there are only {len(self)} references.")
        found = np.ascontiguousarray(_floats(queries, "queries") - self._centre, dtype=np.float32)
        parts = [self._index.search(found[start : start + block], k) for start in range(0, len(found), block)]
        squared = np.concatenate([part[0] for part in parts])
        return np.sqrt(squared.clip(min=0)), np.concatenate([part[1] for part in parts])


def k_nearest(
    queries: npt.ArrayLike, references: npt.ArrayLike, k: int, block: int = 1024
) -> tuple[Floats32, Integers]:
    """The `k` nearest references of each query; see `Neighbours.search`."""
    return Neighbours(references).search(queries, k, block)


def _floats(values: npt.ArrayLike, name: str) -> Floats:
    array = np.asarray(values)
    if not np.isfinite(array).all():  # the index would answer with row -1
        raise DataError(f"The {name} hold NaN or infinity, which is near to nothing.")
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float32)
