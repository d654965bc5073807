"""Exact nearest neighbours, and the measures that are made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from augface.errors import DataError
from augface.metrics.arrays import feature_pair

Distances = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


class Neighbours:
    """Exact nearest neighbours among fixed references: (M, D), floating point."""

    def __init__(self, references: npt.ArrayLike) -> None:
        import faiss

        among = _floats(references)
        self._centre = among.mean(axis=0, dtype=np.float64).astype(
            among.dtype
        )  # float32 loses digits far from the origin
        self._index = faiss.IndexFlatL2(among.shape[1])
        self._index.add(np.ascontiguousarray(among - self._centre, dtype=np.float32))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(self, queries: npt.ArrayLike, k: int, block: int = 1024) -> tuple[Distances, Indices]:
        """The `k` nearest references of each query, nearest first.

        Args:
            queries: (N, D).
            k: how many; at most M. For the neighbours of a set within itself ask for k + 1 and drop the first.
            block: queries at a time; memory is O(block M + N k).

        Returns:
            Euclidean distances float32 (N, k) and row numbers of references int64 (N, k).
        """
        if k > len(self):
            raise DataError(f"{k} neighbours were asked for, but there are only {len(self)} references.")
        found = np.ascontiguousarray(_floats(queries) - self._centre, dtype=np.float32)
        parts = [self._index.search(found[start : start + block], k) for start in range(0, len(found), block)]
        squared = np.concatenate([part[0] for part in parts])
        return np.sqrt(squared.clip(min=0)), np.concatenate([part[1] for part in parts])


def k_nearest(
    queries: npt.ArrayLike, references: npt.ArrayLike, k: int, block: int = 1024
) -> tuple[Distances, Indices]:
    """The `k` nearest references of each query; see `Neighbours.search`."""
    return Neighbours(references).search(queries, k, block)


def _floats(values: npt.ArrayLike) -> npt.NDArray[np.floating[Any]]:
    array = np.asarray(values)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float32)


def prdc(real: npt.ArrayLike, fake: npt.ArrayLike, k: int = 5) -> dict[str, float]:
    """Precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991), density and coverage (Naeem et al. 2020,
    arXiv:2002.09797).

    A point lies in a ball when its distance is at most the radius: the distance of the centre to its k-th nearest
    neighbour in its own set, itself left out.

    Args:
        real, fake: (N, D) and (M, D), both with more than k rows.
        k: the neighbour that makes the radius.

    Returns:
        `precision`, `recall`, `density`, `coverage`. Swapping real and fake swaps precision and recall.
    """
    first, second = feature_pair(real, fake, minimum=k + 1)
    centre = first.mean(axis=0)
    first, second = first - centre, second - centre
    real_radii, fake_radii = _radii(first, k), _radii(second, k)
    in_real_balls = np.zeros(len(second), dtype=np.int64)
    fakes_in_ball = np.zeros(len(first), dtype=np.bool_)
    reals_covered = np.zeros(len(first), dtype=np.bool_)
    for start in range(0, len(first), 1024):
        rows = slice(start, start + 1024)
        distances = _distances(first[rows], second)
        inside = distances <= real_radii[rows, None]
        in_real_balls += inside.sum(axis=0)
        fakes_in_ball[rows] = inside.any(axis=1)
        reals_covered[rows] = (distances <= fake_radii).any(axis=1)
    return {
        "precision": float((in_real_balls > 0).mean()),
        "recall": float(reals_covered.mean()),
        "density": float(in_real_balls.sum() / (k * len(second))),
        "coverage": float(fakes_in_ball.mean()),
    }


def _distances(rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    squared = np.square(rows).sum(axis=1)[:, None] + np.square(columns).sum(axis=1) - 2 * rows @ columns.T
    distances: npt.NDArray[np.float64] = np.sqrt(squared.clip(min=0))
    return distances


def _radii(points: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.float64]:
    """(N,) distance of each point to its k-th nearest other point."""
    radii = np.empty(len(points))
    for start in range(0, len(points), 1024):
        distances = _distances(points[start : start + 1024], points)
        distances[np.arange(len(distances)), np.arange(start, start + len(distances))] = np.inf
        radii[start : start + 1024] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return radii
