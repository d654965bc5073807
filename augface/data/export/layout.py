"""Where things lie in a written data set, so that other tools read it as it is.

    README.md  croissant.json
    celeba/list_attr_celeba.txt  list_eval_partition.txt  identity_CelebA.txt
    celeba/img_align_celeba/<class>/000001.png …    the train split: real faces, then synthetic ones
    celeba/img_align_celeba/000003.png …            valid and test once more, as CelebA readers want them
    celeba/img_align_celeba/metadata.csv            all that is known of each of these, for people and other readers
    valid/<class>/000003.png …  test/<class>/…      the held-out splits, real faces only
    celeba|valid|test/metadata.parquet              the same of one split, for Hugging Face

Why so. `ImageFolder` knows no splits and takes every folder below its root for a class: were held-out faces in the
class folders, everybody who trains on them would have seen the test. So `celeba/img_align_celeba/` has class folders
of the train split alone, and `valid/` and `test/` are roots of their own. CelebA's label files must name every image
below `img_align_celeba/`; held-out faces therefore lie there loose as well, where `ImageFolder` does not look (hard
links: they take no space of their own). Hugging Face gives every row of a metadata file, so that each split needs
one, and infers the types of a CSV from its first rows, where seeds and missing labels are blank: hence Parquet, whose
types are fixed. No folder has both kinds, which readers refuse.

A face that was made of a real one says so in `made_of`, the file of that face, and has its identity.

CelebA's format knows 1 and -1 only. A missing label is 0 there, and blank in the metadata. Synthetic faces are nobody:
each has a negative identity of its own there, and none in the metadata.
"""

from __future__ import annotations

CELEBA = "celeba"
IMAGES = "celeba/img_align_celeba"

ROOTS = {"train": IMAGES, "valid": "valid", "test": "test"}
"""The image folder of each split: a root for `ImageFolder`."""

METADATA = {"train": "celeba/metadata.parquet", "valid": "valid/metadata.parquet", "test": "test/metadata.parquet"}
"""The metadata of each split for Hugging Face. Its files are named as seen from there."""

PARTITIONS = {"train": 0, "valid": 1, "test": 2}
"""CelebA's numbers for splits."""

COLUMNS = {
    "file_name": "string",
    "split": "string",
    "class": "string",
    "source": "string",
    "original_name": "string",
    "identity": "int64",
    "seed": "int64",
    "number": "int64",
    "made_of": "string",
    "generator_hash": "string",
    "requested": "string",
    "verified": "string",
}
"""The metadata's own columns and their Arrow types. Probabilities and attributes follow."""

PROBABILITY = "verified_"
"""How the column begins that says how probable a classifier finds an attribute. No attribute's name begins so."""


def is_probability(column: str) -> bool:
    """Whether a metadata column says how probable an attribute is."""
    return column.startswith(PROBABILITY)


def column_type(column: str) -> str:
    """The Arrow type of a metadata column."""
    return COLUMNS.get(column, "double" if is_probability(column) else "bool")
