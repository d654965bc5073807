"""A folder or zip of images, with what labels there are: a metadata table, class folders, split folders."""

from __future__ import annotations

import posixpath
from pathlib import Path

import numpy as np
import pandas as pd

from augface.arrays import Strings
from augface.data.readers.containers import Container, image_names, open_container, some
from augface.data.readers.labels import SPLIT_NAMES
from augface.data.readers.listing import Listing, without_unknown_split
from augface.data.readers.metadata import FILES, Metadata, read_metadata
from augface.errors import DataError

MAX_CLASSES = 100
"""More folders than this are persons, not classes."""


def read_folder(path: Path) -> Listing:
    """List all images below a folder or in a zip, by name.

    `metadata.csv` or `metadata.parquet` at the top gives the labels. Without labels there, two or more folders at the
    top are classes: each becomes an attribute, true for what is in it. More than `MAX_CLASSES` folders are persons.
    Folders named train, valid and test (or val, validation) are the split. A folder that holds all others is passed
    through.

    Raises:
        DataError: no such place, no images, unsafe names, or metadata that cannot be understood.
    """
    container = open_container(path)
    members = np.array(image_names(container), dtype=np.str_)
    if not len(members):
        raise DataError(f"{path} holds no images{_instead(container)}.")
    top = _common_folder(members)
    names = np.array([member[len(top) :] for member in members], dtype=np.str_)
    split, below = _split_folders(names)
    groups = _top_folders(below)
    folders = ("", top, *(f"{top}{name}/" for name in {name.split("/")[0] for name in names if split is not None}))
    warnings = _warnings(container)

    metadata = read_metadata(container, folders)
    attributes = pd.DataFrame(index=pd.RangeIndex(len(members)))
    identity, factors = None, None
    if metadata is not None:
        attributes = metadata.attributes_of(members)
        identity, factors = metadata.identity_of(members), metadata.factors_of(members)
        split = metadata.split_of(members) if "split" in metadata.table else split
        warnings += _mismatches(metadata, members, path)
    if groups is not None and len(set(groups)) > MAX_CLASSES and identity is None:
        identity = pd.factorize(groups, sort=True)[0].astype(np.int64)
        warnings.append(f"{path} has {len(set(groups)):,} folders; they are taken for persons, not for classes.")
    elif groups is not None and 2 <= len(set(groups)) <= MAX_CLASSES and not attributes.shape[1]:
        attributes = pd.DataFrame({str(name): groups == name for name in np.unique(groups)}).astype("boolean")
    return without_unknown_split(
        Listing(
            spec=f"folder:{path}",
            description=f"{len(members):,} images in {path}, {_labels(metadata, attributes)}",
            container=container,
            members=members,
            names=names,
            attributes=attributes,
            identity=identity,
            split=split,
            factors=factors,
            crop="centre",
            warnings=warnings,
        )
    )


def _common_folder(members: Strings) -> str:
    """The folder that holds all images (sorted names), `""` or ending with `/`, but none that is a split."""
    # The names are sorted, so what the first and the last share, all share.
    common = posixpath.commonpath([posixpath.dirname(members[0]), posixpath.dirname(members[-1])])
    parts = common.split("/") if common else []
    depth = next((i for i, part in enumerate(parts) if part.lower() in SPLIT_NAMES), len(parts))
    return "".join(f"{part}/" for part in parts[:depth])


def _split_folders(names: Strings) -> tuple[Strings | None, Strings]:
    """The split of each image by its top folder, if all are splits, and the names below."""
    pairs = [name.partition("/") for name in names]
    splits = [SPLIT_NAMES.get(first.lower(), "") if slash else "" for first, slash, _ in pairs]
    if not all(splits):
        return None, names
    return np.array(splits, dtype=np.str_), np.array([rest for _, _, rest in pairs], dtype=np.str_)


def _top_folders(names: Strings) -> Strings | None:
    """The top folder of each image; None where an image lies in none."""
    pairs = [name.partition("/") for name in names]
    return np.array([first for first, _, _ in pairs], dtype=np.str_) if all(slash for _, slash, _ in pairs) else None


def _warnings(container: Container) -> list[str]:
    warnings = []
    if container.links_left_out:
        warnings.append(f"{container.links_left_out:,} links that lead out of {container.path} are not followed.")
    if others := _others(container):
        warnings.append(f"{len(others):,} files are not images and are left out: {some(others)}.")
    return warnings


def _others(container: Container) -> list[str]:
    images = set(image_names(container))
    return sorted(name for name in container.names if name not in images and not name.endswith(FILES))


def _instead(container: Container) -> str:
    others = _others(container)
    return f", only {len(others):,} other files: {some(others)}" if others else "; it is empty"


def _mismatches(metadata: Metadata, members: Strings, path: Path) -> list[str]:
    warnings = []
    index = metadata.table.index
    if missing := list(index[~index.isin(members)]):
        if len(missing) == len(index):
            raise DataError(
                f"None of the {len(index):,} rows of {metadata.place} names an image there: {some(missing)}."
            )
        warnings.append(f"{len(missing):,} rows of {metadata.place} name images that are not there: {some(missing)}.")
    unlabelled = members[~np.isin(members, index.to_numpy(dtype=np.str_))]
    if len(unlabelled):
        warnings.append(
            f"{len(unlabelled):,} images of {path} are not in the metadata and have no labels: {some(unlabelled)}."
        )
    return warnings


def _labels(metadata: Metadata | None, attributes: pd.DataFrame) -> str:
    if metadata is not None:
        return "labels from metadata" if attributes.shape[1] else "metadata without labels"
    return f"in {attributes.shape[1]} class folders" if attributes.shape[1] else "without labels"
