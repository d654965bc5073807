"""CelebA as it is distributed: its label files, and its images in a folder or straight from the zip.

Liu et al., "Deep Learning Face Attributes in the Wild", ICCV 2015. Subsets, other image sizes and other numbers of
attributes are welcome. Kaggle's `.csv` files are read as well.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augface.arrays import Integers, Strings
from augface.data.readers.containers import Container, image_names, open_container, refuse_escape, some
from augface.data.readers.labels import as_identity, signs_to_booleans
from augface.data.readers.listing import Listing, without_unknown_split
from augface.data.readers.metadata import read_metadata
from augface.errors import DataError

LABEL_FOLDERS = ("", "Anno", "Eval")
IMAGES = "img_align_celeba"
PARTITIONS = {"0": "train", "1": "valid", "2": "test"}
TERMS = (
    "The real faces are from CelebA (https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html). CelebA is for non-commercial "
    "research only. Its images must not be redistributed, sold or published, in whole or in part; the rights in them "
    "stay with their owners. This data set holds them, and synthetic faces of a generator that was trained on them, so "
    "all of it stands under these terms: keep it to yourself."
)
CITATION = "Ziwei Liu, Ping Luo, Xiaogang Wang, Xiaoou Tang: Deep Learning Face Attributes in the Wild. ICCV 2015."


def find_labels(folder: Path, name: str) -> Path | None:
    """The label file of this name, `.txt` or `.csv`, in the folder or where the official download has it."""
    places = [folder / place / f"{name}{suffix}" for suffix in (".txt", ".csv") for place in LABEL_FOLDERS]
    return next((place for place in places if place.is_file()), None)


def find_images(folder: Path) -> Path | None:
    """The folder or zip of the images."""
    places = [folder / place / f"{IMAGES}{suffix}" for suffix in ("", ".zip") for place in ("", "Img")]
    return next((place for place in places if place.is_dir() or (place.suffix == ".zip" and place.is_file())), None)


def is_celeba(folder: Path) -> bool:
    """Whether there are CelebA's own labels or images in the folder."""
    return find_labels(folder, "list_attr_celeba") is not None or find_images(folder) is not None


def read_celeba(folder: Path) -> Listing:
    """List a CelebA folder: the images that have labels, in the order of the label file.

    Raises:
        DataError: no such folder, no images, a label file that cannot be understood, or no image has labels.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.")
    place = find_images(folder)
    if place is None:
        raise DataError(
            f"{folder} holds no CelebA images: there is neither {IMAGES}/ nor {IMAGES}.zip, in it or in Img/ below it."
        )
    container = open_container(place)
    found = _by_label_name(image_names(container))
    if not found:
        raise DataError(f"{place} holds no images.")
    warnings: list[str] = []
    if not place.resolve().is_relative_to(folder.resolve()):
        warnings.append(f"{place} is a link; the images are read from {place.resolve()}.")
    if container.links_left_out:
        warnings.append(f"{container.links_left_out:,} links that lead out of {place} are not followed.")

    attributes = _read_attributes(folder, warnings)
    if attributes is None:
        attributes = pd.DataFrame(index=list(found))
    labelled: list[str] = attributes.index.tolist()
    for name in labelled:
        refuse_escape(name, f"The attribute list of {folder}")
    here = np.array([name in found for name in labelled], dtype=np.bool_)
    if missing := [name for name in labelled if name not in found]:
        warnings.append(f"{len(missing):,} labels name images that are not in {place}: {some(missing)}.")
    if unlabelled := sorted(found.keys() - set(labelled)):
        warnings.append(f"{len(unlabelled):,} images have no labels and are left out: {some(unlabelled)}.")
    attributes = attributes[here]
    if not len(attributes):
        raise DataError(f"None of the {len(missing):,} labels in {folder} names an image in {place}: {some(missing)}.")
    names = np.array([name for name in labelled if name in found], dtype=np.str_)
    members = np.array([found[name] for name in names], dtype=np.str_)
    return without_unknown_split(
        Listing(
            spec=f"celeba:{folder}",
            description=f"CelebA: {len(names):,} labelled images in {place}",
            container=container,
            members=members,
            names=names,
            attributes=attributes.reset_index(drop=True),
            identity=_read_identity(folder, names, warnings),
            split=_read_split(folder, names),
            factors=_read_factors(container, members),
            crop="celeba",
            terms=TERMS,
            citation=CITATION,
            warnings=warnings,
        )
    )


def _by_label_name(members: list[str]) -> dict[str, str]:
    """Each image by the name that label files call it: without the folder that archives begin with."""
    names = members
    while names and all(name.startswith(f"{IMAGES}/") for name in names):
        names = [name.removeprefix(f"{IMAGES}/") for name in names]
    return dict(zip(names, members, strict=True))


def _read_attributes(folder: Path, warnings: list[str]) -> pd.DataFrame | None:
    path = find_labels(folder, "list_attr_celeba")
    if path is None:
        warnings.append(f"{folder} has no list_attr_celeba.txt, so its images have no labels.")
        return None
    if path.suffix == ".csv":
        table = _read_table(path, sep=",", header=0, index_col=0)
    else:
        with path.open(encoding="utf-8", errors="replace") as file:
            file.readline()
            attribute_names = file.readline().split()
        table = _read_table(path, sep=r"\s+", skiprows=2, header=None, index_col=0)
        if table.shape[1] != len(attribute_names):
            raise DataError(f"{path} names {len(attribute_names)} attributes, and its rows have {table.shape[1]}.")
        table.columns = pd.Index(attribute_names)
    table.index = table.index.astype(str)
    if table.index.has_duplicates:
        raise DataError(f"{path} names {some(table.index[table.index.duplicated()])} more than once.")
    if table.columns.has_duplicates:
        raise DataError(f"{path} has the attribute {table.columns[table.columns.duplicated()][0]} more than once.")
    try:
        numbers = table.to_numpy(dtype=np.float64)
    except ValueError as error:
        raise DataError(f"{path} has a label that is not a number: {error}.") from error
    wrong = ~np.isin(numbers, (-1, 0, 1))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise DataError(
            f"{path}: {table.index[row]} has {numbers[row, column]:g} for {table.columns[column]}. Labels are 1 and -1."
        )
    signed = bool((numbers == -1).any())
    columns = {
        str(name): signs_to_booleans(numbers[:, column], signed=signed) for column, name in enumerate(table.columns)
    }
    return pd.DataFrame(columns).set_axis(table.index)


def _read_column(folder: Path, name: str, names: Strings) -> pd.Series[str] | None:
    """One value for each of the names, missing where the file does not have it; None without a file."""
    path = find_labels(folder, name)
    if path is None:
        return None
    csv_file = path.suffix == ".csv"
    table = _read_table(
        path, sep="," if csv_file else r"\s+", header=0 if csv_file else None, index_col=0, dtype=str, usecols=[0, 1]
    )
    column: pd.Series[str] = table.iloc[:, 0]
    column.index = column.index.astype(str)
    return column[~column.index.duplicated()].reindex(names)


def _read_identity(folder: Path, names: Strings, warnings: list[str]) -> Integers | None:
    column = _read_column(folder, "identity_CelebA", names)
    if column is None or column.isna().all():
        return None
    if unknown := int(column.isna().sum()):
        warnings.append(f"{unknown:,} images are not in the list of identities; each is taken for a person alone.")
    return as_identity(column)


def _read_split(folder: Path, names: Strings) -> Strings | None:
    column = _read_column(folder, "list_eval_partition", names)
    if column is None:
        return None
    splits = column.map(PARTITIONS)
    if (unknown := column[splits.isna() & column.notna()]).size:
        raise DataError(
            f"list_eval_partition in {folder} puts {unknown.index[0]} into {unknown.iloc[0]!r}; known are 0, 1 and 2."
        )
    return splits.fillna("").to_numpy(dtype=np.str_)


def _read_factors(container: Container, members: Strings) -> pd.DataFrame | None:
    """What the `metadata.csv` of a written data set says of its images beyond labels."""
    metadata = read_metadata(container)
    return None if metadata is None else metadata.factors_of(members)


def _read_table(path: Path, **options: Any) -> pd.DataFrame:
    try:
        table: pd.DataFrame = pd.read_csv(path, quoting=csv.QUOTE_NONE, encoding="utf-8", low_memory=False, **options)
    except (ValueError, OSError, IndexError) as error:  # pandas' parser errors and decoding errors are ValueErrors
        raise DataError(f"Cannot read {path}: {str(error).strip().rstrip('.')}.") from error
    return table
