"""Splits that keep what belongs together on one side: all pictures of a person, or all copies of a picture."""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from augface.arrays import Booleans, Floats32, Floats64, Integers, Pixels, Strings
from augface.data.dataset import SPLITS, FaceDataset
from augface.data.pixels import area_averages
from augface.errors import DataError, UsageError
from augface.seeds import derive_seed, random_generator

SIDE = 16
"""Descriptors are grey pictures of so many pixels a side."""
SAME_PICTURE = 0.98
"""Correlation of two descriptors from which on they are taken for one picture.

On 9,034 CelebA faces (half size) and 4,000 toy faces, the nearest picture of another person reaches 0.972 and 0.975.
Copies in JPEG quality 30, at 48 pixels or with less contrast stay above 0.994, those made 20 % brighter above 0.984 in
99 of 100 cases, and CelebA's own repeated pictures reach 0.989 and more. Copies that were cropped or shifted by a
pixel or more are not found: they are as far away as non-mates are.
"""
NEIGHBOURS = 8
"""How many neighbours of each picture are looked at; chains of them reach the rest of a group."""
FRACTIONS = (0.7, 0.15, 0.15)
"""Shares of train, valid and test."""
BLOCK = 4096
BLOCK_BYTES = 6_000_000

log = logging.getLogger("augface")


def with_default_split(
    data: FaceDataset, seed: int = 0, fractions: tuple[float, float, float] = FRACTIONS
) -> FaceDataset:
    """The data with a split into train, valid and test where they have none of their own.

    Groups (`groups_of`) are never torn apart. The split depends on the pictures and the seed, not on their order.

    Args:
        data: any faces; those with a split are returned as they are.
        seed: another seed, another split.
        fractions: shares of train, valid and test; met as nearly as whole groups allow.

    Raises:
        UsageError: the fractions are not three shares that add up to 1.
    """
    if data.split is not None:
        return data
    if len(fractions) != len(SPLITS) or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise UsageError(f"The fractions of a split are three shares that add up to 1, not {fractions}.")
    split = _split_at(_positions(data, seed, "split"), fractions)
    if lacking := [name for name, share in zip(SPLITS, fractions, strict=True) if share > 0 and name not in split]:
        log.warning(f"{data.source.spec} has too few separate groups of faces for a {' and a '.join(lacking)} split.")
    return data.with_split(split)


def with_splits(data: FaceDataset, seed: int, *, look: bool = True) -> FaceDataset:
    """The data with train, valid and test; those without splits get a deterministic one, which is said.

    Args:
        data: any faces.
        seed: of the split that they get.
        look: whether to look at the pictures, so that copies of one another are kept together. A plan may do without.

    Raises:
        UsageError: the data have splits, but lack one of the three.
        DataError: they have none, and are too few for three.
    """
    if data.split is None:
        log.info(
            "%s has no splits; train, valid and test are drawn by seed %d, keeping people together.",
            data.source.spec,
            seed,
        )
        data = with_default_split(data, seed) if look else _with_split_of_rows(data, seed)
        if missing := _missing_splits(data):
            raise DataError(
                f"{data.source.spec} has {len(data):,} faces, too few or too much alike for three splits: there would "
                f"be no {' and no '.join(missing)} split. Give more faces of more people, or splits of your own."
            )
    if missing := _missing_splits(data):
        raise UsageError(f"{data.source.spec} has no {' and no '.join(missing)} split; give it one, or none at all.")
    return data


def _missing_splits(data: FaceDataset) -> list[str]:
    return [name for name in SPLITS if data.split is None or not (data.split == name).any()]


def _split_at(positions: Floats64, fractions: tuple[float, ...]) -> Strings:
    """The split of each face by where it lies from 0 to 1."""
    return np.array(SPLITS, dtype=np.str_)[np.searchsorted(np.cumsum(fractions)[:-1], positions, side="right")]


def _with_split_of_rows(data: FaceDataset, seed: int) -> FaceDataset:
    """A split as large as the default one, drawn by the people, or by the rows where people are not known."""
    groups = np.arange(len(data)) if data.identity is None else np.unique(data.identity, return_inverse=True)[1]
    sizes = np.bincount(groups)
    order = random_generator(seed, "split of rows").permutation(len(sizes))
    middle = np.empty(len(sizes))
    middle[order] = (np.cumsum(sizes[order]) - sizes[order] / 2) / len(data)
    return data.with_split(_split_at(middle[groups], FRACTIONS))


def inner_fold(data: FaceDataset, fraction: float, seed: int) -> Booleans:
    """(N,) which faces to hold out of a train split for tuning: about `fraction` of them, in whole groups.

    Raises:
        UsageError: the fraction is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise UsageError(f"The fraction of an inner fold is between 0 and 1, not {fraction}.")
    return _positions(data, seed, "inner fold") < fraction


def identity_overlap(data: Mapping[str, FaceDataset]) -> str:
    """Which of these sets share people and how many, in words; empty where none do or people are not known.

    >>> identity_overlap({})
    ''
    """
    people = {name: set(part.identity.tolist()) for name, part in data.items() if part.identity is not None}
    return "; ".join(
        f"{len(both):,} people are in both {first} and {second}"
        for first, second in itertools.combinations(people, 2)
        if (both := people[first] & people[second])
    )


def in_content_order(data: FaceDataset) -> FaceDataset:
    """The faces in an order that follows from their pixels alone, so that names and order of files do not matter."""
    return data.select(np.argsort(_digests(data, 0, "order"), kind="stable"))


def equal_faces(data: FaceDataset, other: FaceDataset) -> int:
    """How many faces equal one of another set in every pixel."""
    if data.size != other.size:
        return 0
    return int(np.isin(_digests(data, 0, "order"), _digests(other, 0, "order")).sum())


def groups_of(data: FaceDataset) -> Integers:
    """(N,) a group number for each face: its person where persons are known, else its near-duplicates."""
    if data.identity is not None:
        return np.unique(data.identity, return_inverse=True)[1].astype(np.int64)
    return near_duplicates(data)


def near_duplicates(data: FaceDataset) -> Integers:
    """(N,) a group number for each face; pictures that are copies of one another, also mirrored, share theirs.

    Connected components of pairs whose descriptors correlate by `SAME_PICTURE` or more, in O(N) memory.
    """
    import faiss
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # Exact copies first: a picture with more of them than neighbours would else hide its near copies behind them.
    unique, inverse = np.unique(_descriptors(data), axis=0, return_inverse=True)
    index = faiss.IndexFlatIP(unique.shape[1])
    index.add(unique)
    neighbours = min(NEIGHBOURS, len(unique))
    rows, columns = [], []
    for start in range(0, len(unique), BLOCK):
        upright = unique[start : start + BLOCK]
        mirrored = upright.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(len(upright), -1)
        for queries in (upright, np.ascontiguousarray(mirrored)):
            correlation, neighbour = index.search(queries, neighbours)
            row, rank = np.nonzero(correlation >= SAME_PICTURE)
            rows.append(row + start)
            columns.append(neighbour[row, rank])
    row, column = np.concatenate(rows), np.concatenate(columns)
    pairs = coo_array((np.ones(len(row), dtype=np.int8), (row, column)), shape=(len(unique), len(unique)))
    return np.asarray(connected_components(pairs, directed=False)[1][inverse], dtype=np.int64)


def _descriptors(data: FaceDataset) -> Floats32:
    """Tiny grey pictures of mean 0 and length 1, float32 (N, SIDE²)."""
    tiny = np.empty((len(data), SIDE * SIDE), dtype=np.float32)
    for rows, images in _blocks(data):
        tiny[rows] = _tiny_grey(images).reshape(len(images), -1)
    tiny -= tiny.mean(axis=1, keepdims=True)
    lengths = np.sqrt((tiny * tiny).sum(axis=1, keepdims=True))
    tiny /= np.maximum(lengths, np.float32(1))  # a picture of one colour stays near 0: its noise is no content
    return tiny


def _blocks(data: FaceDataset) -> Iterator[tuple[slice, Pixels]]:
    """All pictures, a few megabytes at a time."""
    count = max(1, BLOCK_BYTES // (data.size * data.size * 3))
    for start in range(0, len(data), count):
        yield slice(start, start + count), data.images[start : start + count]


def _tiny_grey(images: Pixels) -> Floats32:
    """Area averages of the luminance, float32 (N, SIDE, SIDE)."""
    grey = images @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    across = area_averages(grey.shape[1], SIDE)
    return np.asarray(across @ grey @ across.T, dtype=np.float32)


def _positions(data: FaceDataset, seed: int, purpose: str) -> Floats64:
    """(N,) where each face's group lies, from 0 to 1, when all groups are lined up in random order.

    A group is known by the smallest digest of its pictures, so that neither order nor names matter.
    """
    if not len(data):
        return np.zeros(0)
    groups = groups_of(data)
    count = int(groups.max()) + 1
    smallest = np.full(count, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(smallest, groups, _digests(data, seed, purpose))
    sizes = np.bincount(groups, minlength=count)
    order = np.argsort(smallest, kind="stable")
    middle = np.empty(count)
    middle[order] = (np.cumsum(sizes[order]) - sizes[order] / 2) / len(data)
    return np.asarray(middle[groups])


def _digests(data: FaceDataset, seed: int, purpose: str) -> npt.NDArray[np.uint64]:
    """(N,) a random number for each face, drawn from its pixels, the seed and the purpose."""
    salt = derive_seed(seed, purpose).to_bytes(8, "big")
    digests = np.empty(len(data), dtype=np.uint64)
    for rows, images in _blocks(data):
        for row, image in enumerate(images, rows.start):
            digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8, key=salt).digest()
            digests[row] = int.from_bytes(digest, "big")
    return digests
