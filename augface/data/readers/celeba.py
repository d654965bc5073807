"""CelebA as it is distributed: its label files, and its images in a folder or straight from the zip.

Liu et al., "Deep Learning Face Attributes in the Wild", ICCV 2015. Subsets, other image sizes and other numbers of
attributes are welcome. Kaggle's `.csv` files are read as well. Names of images may be written in other ways; see
`matching`.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from augface.arrays import Integers, Strings
from augface.data.readers.columns import is_about_image, read_columns
from augface.data.readers.containers import image_names, open_container, some
from augface.data.readers.folders import split_folders
from augface.data.readers.labels import as_identity, as_splits
from augface.data.readers.listing import Listing, agreed, left_out, without_unknown_split
from augface.data.readers.matching import FILE_NAME, NAME_COLUMNS, Aligned, align, mismatch
from augface.data.readers.metadata import read_metadata
from augface.data.readers.tables import BLANK, Rows, as_table, parse_rows
from augface.errors import DataError

ATTRIBUTES, PARTITION, IDENTITY = "list_attr_celeba", "list_eval_partition", "identity_CelebA"
SUFFIXES = (".txt", ".csv")
OFFICIAL = ("Anno", "Eval")
"""The folders of the label files in the official download."""
IMAGES = "img_align_celeba"
TERMS = (
    "The real faces are from CelebA (https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html). CelebA is for non-commercial "
    "research only. Its images must not be redistributed, sold or published, in whole or in part; the rights in them "
    "stay with their owners. This data set holds them, and synthetic faces of a generator that was trained on them, so "
    "all of it stands under these terms: keep it to yourself."
)
CITATION = "Ziwei Liu, Ping Luo, Xiaogang Wang, Xiaoou Tang: Deep Learning Face Attributes in the Wild. ICCV 2015."


def find_labels(folder: Path, name: str) -> list[Path]:
    """The label files of this name, `.txt` before `.csv`, in the folder or one below it; whatever the case."""
    wanted = [f"{name}{suffix}".lower() for suffix in SUFFIXES]
    places = [folder, *sorted(place for place in _entries(folder) if place.is_dir() and place.name != IMAGES)]
    found = [path for place in places for path in _entries(place) if path.name.lower() in wanted and path.is_file()]
    return sorted(found, key=lambda path: (wanted.index(path.name.lower()), len(path.parts), path))


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError:  # no permission: what is there cannot be found
        return []


def find_images(folder: Path) -> Path | None:
    """The folder or zip of the images."""
    places = [folder / place / f"{IMAGES}{suffix}" for suffix in ("", ".zip") for place in ("", "Img")]
    return next((place for place in places if place.is_dir() or (place.suffix == ".zip" and place.is_file())), None)


def is_celeba(folder: Path) -> bool:
    """Whether there are CelebA's own labels or images in the folder."""
    own = [path for path in find_labels(folder, ATTRIBUTES) if path.parent == folder or path.parent.name in OFFICIAL]
    return bool(own) or find_images(folder) is not None


def read_celeba(folder: Path) -> Listing:
    """List a CelebA folder: the images that have labels, in the order of the label file.

    Raises:
        DataError: no such folder, no images, a label file that cannot be understood, or one none of whose names means
            an image.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.")
    place = find_images(folder)
    if place is None:
        raise DataError(
            f"{folder} holds no CelebA images: there is neither {IMAGES}/ nor {IMAGES}.zip, in it or in Img/ below it."
        )
    container = open_container(place)
    members = np.array(image_names(container), dtype=np.str_)
    if not len(members):
        raise DataError(f"{place} holds no images.")
    warnings = left_out(container)
    if not place.resolve().is_relative_to(folder.resolve()):
        warnings.append(f"{place} is a link; the images are read from {place.resolve()}.")
    names = np.array(_label_names(members.tolist()), dtype=np.str_)

    labels = _read_labels(folder, names, warnings)
    # A data set that augface wrote has its provenance there.
    metadata = read_metadata(container, members)
    more = read_columns(metadata.cells, members.tolist(), metadata.where)
    if unused := [str(name) for name in more.attributes if name not in labels.attributes]:
        warnings.append(f"{metadata.where}: {some(unused)} are not read. To read them, say folder:{place}.")
    identity = _read_identity(folder, names, warnings)
    split = agreed(_read_split(folder, names, warnings), labels.split, names, str(folder))
    split = agreed(split, more.split, names, str(folder))
    if split is None:
        by_folder = split_folders(members, str(place))
        split, warnings = by_folder.split, [*warnings, *by_folder.warnings]
    listing = Listing(
        spec=f"celeba:{folder}",
        description=f"CelebA: {len(labels.order):,} labelled images in {place}",
        container=container,
        members=members,
        names=names,
        attributes=labels.attributes,
        identity=next((known for known in (identity, labels.identity, more.identity) if known is not None), None),
        split=split,
        factors=more.factors,
        crop="celeba",
        terms=TERMS,
        citation=CITATION,
        warnings=warnings,
    )
    return without_unknown_split(listing.select(labels.order))


class _Labels(NamedTuple):
    """What the list of attributes says, and the rows of the images that it has, in its order."""

    attributes: pd.DataFrame
    identity: Integers | None
    split: Strings | None
    order: Integers


def _read_labels(folder: Path, images: Strings, warnings: list[str]) -> _Labels:
    found = _read_list(folder, ATTRIBUTES, images, warnings)
    if found is None:
        warnings.append(f"{folder} has no {ATTRIBUTES}.txt, so its images have no labels.")
        return _Labels(pd.DataFrame(index=pd.RangeIndex(len(images))), None, None, np.arange(len(images)))
    where, table = found
    columns = read_columns(table.cells, images.tolist(), where)
    for name in map(str, columns.factors if columns.factors is not None else []):
        cells = table.cells[name]
        row = next((row for row, text in enumerate(cells) if text), None)
        if row is not None and not is_about_image(name):
            raise DataError(
                f"{where}: {images[row]} has {cells[row]!r} for {name}. Labels are 1 and -1, or 1 and 0. Leave out "
                "what is no label."
            )
    warnings += mismatch(where, table.unmatched, images[table.lines == 0].tolist(), "are left out")
    warnings += columns.warnings
    order = np.argsort(table.lines, kind="stable")[int((table.lines == 0).sum()) :]
    return _Labels(columns.attributes, columns.identity, columns.split, order)


def _label_names(members: list[str]) -> list[str]:
    """Each image by the name that label files call it: without the folder that archives begin with."""
    names = members
    while all(name.startswith(f"{IMAGES}/") for name in names):
        names = [name.removeprefix(f"{IMAGES}/") for name in names]
    return names


def _read_list(folder: Path, name: str, images: Strings, warnings: list[str]) -> tuple[str, Aligned] | None:
    """One of CelebA's lists by the images, with what to call it; None where there is none."""
    found = find_labels(folder, name)
    if not found:
        return None
    where = str(found[0])
    if others := found[1:]:
        warnings.append(f"{where} is read, and {some(map(str, others))} is not. Leave the one that is right.")
    try:
        rows = parse_rows(found[0].read_bytes(), where)
    except OSError as error:
        raise DataError(f"Cannot read {where}: {error.strerror}.") from error
    header, rows = _header(rows, name, warnings)
    return where, align(as_table(rows, header), images.tolist(), where)


def _header(rows: Rows, name: str, warnings: list[str]) -> tuple[list[str], Rows]:
    """The names of the columns of a list, and its rows.

    The official list of attributes has a line with their number, one with their names, and rows that begin with the
    image, which the header does not name. The other official lists have two columns and no header. Kaggle's have one.
    """
    if name == ATTRIBUTES and len(rows) > 1 and len(rows.cells[0]) == 1 and rows.cells[0][0].isdecimal():
        if (count := int(rows.cells[0][0])) != len(rows) - 2:
            warnings.append(f"{rows.where} is to have {count:,} rows, and has {len(rows) - 2:,}. Was it cut short?")
        rows = rows.drop(1)
    first = rows.cells[0]
    names_images = any(cell.casefold() in NAME_COLUMNS for cell in first)
    if name != ATTRIBUTES:
        return (first, rows.drop(1)) if names_images else ([FILE_NAME, name], rows)
    return (first if names_images or rows.delimiter != BLANK else [FILE_NAME, *first]), rows.drop(1)


def _only_column(table: Aligned, where: str) -> pd.Series[str]:
    if table.cells.shape[1] != 1:
        raise DataError(
            f"{where} has {table.cells.shape[1]} columns beside the images' names ({some(map(str, table.cells))}). "
            "Leave the one that counts."
        )
    column: pd.Series[str] = table.cells.iloc[:, 0]
    return column


def _read_identity(folder: Path, images: Strings, warnings: list[str]) -> Integers | None:
    found = _read_list(folder, IDENTITY, images, warnings)
    if found is None:
        return None
    where, table = found
    lacking = images[table.lines == 0].tolist()
    warnings += mismatch(where, table.unmatched, lacking, "are each taken for a person alone")
    return as_identity(_only_column(table, where))


def _read_split(folder: Path, images: Strings, warnings: list[str]) -> Strings | None:
    found = _read_list(folder, PARTITION, images, warnings)
    if found is None:
        return None
    where, table = found
    warnings += mismatch(where, table.unmatched, [], "")  # images without a split are told of where they are left out
    split, said = as_splits(_only_column(table, where), images.tolist(), where, explain=False)
    warnings += [said] if said else []
    return split
