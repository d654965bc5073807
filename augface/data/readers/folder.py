"""A folder or zip of images, with what labels there are: metadata files, class folders, split folders."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from augface.arrays import Booleans, Strings
from augface.data.export.png import marked_source
from augface.data.readers.celeba import ATTRIBUTES, find_labels
from augface.data.readers.columns import Columns, read_columns
from augface.data.readers.containers import SYSTEM, Container, image_names, is_image, open_container, some
from augface.data.readers.folders import Classes, class_folders, class_warnings, common_folder, split_folders
from augface.data.readers.labels import SPLIT_WORDS, split_word
from augface.data.readers.listing import Listing, agreed, left_out, without_unknown_split
from augface.data.readers.matching import mismatch
from augface.data.readers.metadata import FILES, Metadata, read_metadata
from augface.errors import DataError

TABLES = (".csv", ".tsv", ".xlsx", ".xls", ".ods", ".parquet", ".arrow", ".jsonl", ".ndjson")
"""How files end that may hold labels or a split, whatever they are called."""
ABOUT_LABELS = re.compile(
    r"(label|attr|split|partition|identit|train|val|test|anno|class|person|subject|meta|list|dataset)[^/]*"
    r"\.(txt|json|mat|npy|npz|pkl|ya?ml|xml|zip)$",
    re.IGNORECASE,
)
"""What other files are called that may."""
MARKED = 2048
"""Bytes at the start of a PNG file, in which the mark of its source lies if it has one."""


def read_folder(path: Path) -> Listing:
    """List all images below a folder or in a zip, by name.

    Metadata files give the labels (`metadata`). Without labels there, two or more folders are classes: each becomes an
    attribute, true for what is in it; more than 100 are persons. Folders that are called after splits are the split,
    above the classes or below them (`folders`).

    Raises:
        DataError: no such place, no images, unsafe names, or labels or a split that cannot be understood.
    """
    container = open_container(path)
    members = np.array(image_names(container), dtype=np.str_)
    if not len(members):
        raise DataError(f"{path} holds no images{_instead(container)}.")
    where = str(path)
    by_folder = split_folders(members, where)
    metadata = read_metadata(container, members)
    columns = read_columns(metadata.cells, members.tolist(), metadata.where)
    split = agreed(by_folder.split, columns.split, members, where)
    counted = np.full(len(members), not metadata.stylegan) if split is None else split != ""
    classes = class_folders(by_folder.below, counted & (not metadata.stylegan))
    labelled = bool(columns.attributes.shape[1])
    warnings = [*left_out(container), *_unread(container, metadata), *by_folder.warnings]
    warnings += mismatch(metadata.where, metadata.unmatched, members[metadata.lacking].tolist(), "have no labels")
    warnings += columns.warnings
    if not labelled:
        warnings += class_warnings(classes, members, where, has_split=split is not None)
    elif classes.are_classes and not _says(metadata, classes, counted):
        warnings.append(
            f"{where}: the folders {some(classes.names)} are no attributes, as the metadata have labels. Give these a "
            "column for each folder that is to be one."
        )
    if split is None:
        warnings += _splits_in_names(members, where)
    listing = Listing(
        spec=f"folder:{path}",
        description=f"{len(members):,} images in {path}, {_described(columns, classes)}",
        container=container,
        members=members,
        names=_short_names(members),
        attributes=columns.attributes if labelled else classes.attributes(),
        identity=classes.persons() if columns.identity is None else columns.identity,
        split=split,
        factors=_with_sources(columns.factors, container, members),
        crop="centre",
        warnings=[*warnings, *_above(path, metadata)],
        notes=_hidden(container),
    )
    return without_unknown_split(listing)


def _says(metadata: Metadata, classes: Classes, counted: Booleans) -> bool:
    """Whether a column of the tables says the class folder of every image."""
    given = counted & metadata.given
    return any((column.to_numpy()[given] == classes.folder[given]).all() for _, column in metadata.cells.items())


def _with_sources(factors: pd.DataFrame | None, container: Container, members: Strings) -> pd.DataFrame | None:
    """The factors, with the sources that the files themselves name where no table does and any of them is not real."""
    if factors is not None and "source" in factors:
        return factors
    sources = np.array([_source(container, name) for name in members.tolist()], dtype=object)
    if (sources == "real").all():
        return factors
    return (pd.DataFrame(index=range(len(members))) if factors is None else factors).assign(source=sources)


def _source(container: Container, name: str) -> str:
    """What an image is by the mark that augface writes into its PNG files before the pixels."""
    if not name.lower().endswith(".png"):
        return "real"
    try:
        with container.open(name) as file:
            return marked_source(file.read(MARKED))
    except Exception:  # as in `Zip.read`; what cannot be read is reported when its pixels are
        return "real"


def _short_names(members: Strings) -> Strings:
    """The images' names without the folder that holds all of them, but with one that says which split they are of."""
    parts = common_folder(members).split("/")[:-1]
    depth = next((number for number, part in enumerate(parts) if split_word(part)), len(parts))
    top = "".join(f"{part}/" for part in parts[:depth])
    return np.array([member.removeprefix(top) for member in members.tolist()], dtype=np.str_)


# What is there besides


def _others(container: Container) -> list[str]:
    return sorted(name for name in container.names if not is_image(name))


def _unread(container: Container, metadata: Metadata) -> list[str]:
    """Warnings of files that are not read, those first that may hold labels or a split."""
    others = [name for name in _others(container) if name not in metadata.read]
    tables = [name for name in others if name.lower().endswith(TABLES) or ABOUT_LABELS.search(name)]
    rest = sorted(set(others) - set(tables))
    warnings = []
    if tables:
        warnings.append(
            f"{container.path}: {len(tables):,} files that may hold labels or a split are not read ({some(tables)}). "
            "Labels are read from metadata.csv with a column file_name, and from the folders of CelebA as celeba:DIR."
        )
    if rest:
        warnings.append(f"{container.path}: {len(rest):,} files are not images and are left out ({some(rest)}).")
    return warnings


def _hidden(container: Container) -> list[str]:
    hidden = container.left_out.get(SYSTEM, [])
    note = f"{container.path}: {len(hidden):,} hidden files and folders are left out ({some(hidden)})."
    return [note] if hidden else []


def _instead(container: Container) -> str:
    """What there is in place of images."""
    others = _others(container)
    found = [f"{len(names):,} {reason} ({some(names)})" for reason, names in container.left_out.items()]
    found = [f"{len(others):,} other files ({some(others)})", *found] if others else found
    return f", only {' and '.join(found)}" if found else "; it is empty"


def _above(path: Path, metadata: Metadata) -> list[str]:
    """Warnings of labels that lie beside the folder or zip, where there are none in it."""
    folder = path.absolute().parent
    beside = [folder / name for name in sorted(FILES) if (folder / name).is_file()]
    if metadata.read or not (beside or find_labels(folder, ATTRIBUTES)):
        return []
    if not beside:
        return [f"The labels of CelebA that lie beside {path} are not read. Say celeba:{folder} to use them."]
    return [f"{beside[0]} is not read, as it lies outside of {path}. Say folder:{folder} to use it."]


def _splits_in_names(members: Strings, where: str) -> list[str]:
    """A warning where the files' names begin with words for splits."""
    begins = [re.match(r"[^\W\d_]*", name.rpartition("/")[2]) for name in members.tolist()]
    words = [SPLIT_WORDS.get(match[0].lower(), "") if match else "" for match in begins]
    if all(words) and len(set(words)) > 1:
        return [
            f"{where}: the files are called after splits ({some(members.tolist())}), which are not read from their "
            "names. Put them into folders train, valid and test to use these."
        ]
    return []


def _described(columns: Columns, classes: Classes) -> str:
    """Where the labels are from, and what else is known."""
    if not columns.attributes.shape[1]:
        found = f"in {len(classes.names):,} class folders ({some(classes.names, 10)})" if classes.are_classes else ""
    else:
        found = f"{columns.attributes.shape[1]:,} attributes from metadata ({some(map(str, columns.attributes), 10)})"
    kept = "" if columns.factors is None else f"beside them {some(map(str, columns.factors), 10)}"
    return ", ".join(part for part in (found or "without labels", kept) if part)
