"""Every layout and label format that is understood, and what is refused: each row of the table in docs/inputs.md.

`python tests/test_inputs.py` prints the tables of that page anew.
"""

from __future__ import annotations

import io
import json
import logging
import unicodedata
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from augface.data import load_data
from augface.errors import DataError

DOCS = Path(__file__).resolve().parent.parent / "docs" / "inputs.md"
NAMES = ("1.png", "2.png", "3.png", "4.png")
G = {"G": "1010"}
Content = str | bytes | None


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        what: the layout or format, as the page has it.
        becomes: what becomes of it.
        files: their contents; None is a picture, and a picture's number is the first one in its name.
        attributes: for the pictures by number, `1`, `0` or `-` where unknown; a picture that is left out is a blank.
        split: the first letter of each picture's split.
        people: a letter for each picture's person.
        warns: what a warning says.
        refused: what the error says.
        kind: `folder` or `celeba`.
    """

    what: str
    becomes: str
    files: Mapping[str, Content]
    attributes: Mapping[str, str] | None = None
    split: str = ""
    people: str = ""
    warns: str = ""
    refused: str = ""
    kind: str = "folder"


def flat(*tables: tuple[str, Content], names: tuple[str, ...] = NAMES) -> dict[str, Content]:
    """Four pictures, and label files."""
    return {**dict.fromkeys(names), **dict(tables)}


def table(text: str, name: str = "metadata.csv") -> dict[str, Content]:
    """Four pictures with one label file; `/` ends its lines."""
    return flat((name, text.replace("/", "\n") + "\n"))


def celeba(**lists: str) -> dict[str, Content]:
    """Four CelebA pictures with the official list of attributes and others; `/` ends lines and `#` is `00000`."""
    found: dict[str, Content] = {f"img_align_celeba/00000{number}.jpg": None for number in range(1, 5)}
    lists.setdefault("list_attr_celeba.txt", "4/G/#1.jpg  1/#2.jpg -1/#3.jpg  1/#4.jpg -1")
    for name, text in lists.items():
        if text:
            found[name] = text.replace("/", "\n").replace("#", "00000") + "\n"
    return found


def packed(separator: str) -> dict[str, Content]:
    """A zip of class folders in split folders, with `separator` between their names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, path in enumerate(("train/a/1.png", "train/b/2.png", "test/a/3.png", "valid/b/4.png"), 1):
            info = zipfile.ZipInfo("x")
            info.filename = path.replace("/", separator)
            archive.writestr(info, picture(number))
    return {"faces.zip": buffer.getvalue()}


def parquet(**columns: list[object]) -> dict[str, Content]:
    """Four pictures with their metadata in Parquet."""
    buffer = io.BytesIO()
    pd.DataFrame({"file_name": list(NAMES), **columns}).to_parquet(buffer)
    return flat(("metadata.parquet", buffer.getvalue()))


def picture(number: int) -> bytes:
    """A picture of one grey, known by its number."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8), number).save(buffer, "PNG")
    return buffer.getvalue()


CSV = "file_name,G/1.png,1/2.png,0/3.png,1/4.png,0"
SPLIT_CSV = "file_name,{}/1.png,{}/2.png,{}/3.png,{}/4.png,{}"
LABELS = '"labels": [["00000/img1.png", {}], ["00000/img2.png", {}], ["00001/img3.png", {}], ["00001/img4.png", {}]]'
BUCKETS = ("00000/img1.png", "00000/img2.png", "00001/img3.png", "00001/img4.png")
ZOE = unicodedata.normalize("NFC", "Zoë")

LAYOUTS = [
    Row("images in one folder, or in folders one in another", "no labels", flat(names=("x/1.png", "x/2.png")), {}),
    Row(
        "two folders or more, `glasses/` and `plain/`",
        "classes: an attribute each",
        flat(names=("glasses/1.png", "plain/2.png", "glasses/x/3.png")),
        {"glasses": "101", "plain": "010"},
    ),
    Row(
        "the same, with images beside them",
        "these have no label, with a warning",
        flat(names=("glasses/1.png", "plain/2.png", "3.png")),
        {"glasses": "10-", "plain": "01-"},
        warns="1 images (3.png) lie beside glasses/, plain/",
    ),
    Row(
        "one folder, with as many images beside it",
        "no classes, with a warning",
        flat(names=("glasses/1.png", "2.png")),
        {},
        warns="make no classes",
    ),
    Row(
        "more than 100 folders",
        "persons, with a warning",
        flat(names=tuple(f"p{number}/{number}.png" for number in range(1, 102))),
        {},
        people="".join(map(chr, range(200, 301))),
        warns="taken for persons",
    ),
    Row(
        "folders that are called by numbers, whose files go on counting from one to the next (FFHQ, StyleGAN)",
        "no classes, with a warning",
        flat(names=BUCKETS),
        {},
        warns="only spread files",
    ),
    Row(
        "other folders that are called by numbers, `0/` and `1/`",
        "classes, with a warning",
        flat(names=("0/1.png", "1/2.png", "0/3.png")),
        {"0": "101", "1": "010"},
        warns="though they are numbers",
    ),
    Row(
        "folders that are called `images`, `masks`, `thumbnails` and so on",
        "classes, with a warning",
        flat(names=("images/1.png", "masks/2.png")),
        {"images": "10", "masks": "01"},
        warns="Move away what is none",
    ),
    Row(
        "`train/`, `valid/`, `test/`, also `Training Set`, `val`, `dev`, `test_images`, …",
        "the split",
        flat(names=("Training Set/1.png", "val/2.png", "test_images/3.png")),
        {},
        split="tve",
    ),
    Row(
        "classes below splits, or splits below classes",
        "both",
        flat(names=("train/a/1.png", "test/b/2.png", "a/train/3.png", "b/test/4.png")),
        {"a": "1010", "b": "0101"},
        split="tete",
    ),
    Row(
        "`eval/` or `holdout/` beside `test/` or `valid/`",
        "the one of these two that is missing",
        flat(names=("train/1.png", "eval/2.png", "test/3.png")),
        {},
        split="tve",
    ),
    Row(
        "`eval/` or `holdout/` beside neither",
        "test, with a warning",
        flat(names=("train/1.png", "hold-out/2.png")),
        {},
        split="te",
        warns="taken for test",
    ),
    Row(
        "valid, test and `eval/`",
        "refused",
        flat(names=("train/1.png", "valid/2.png", "test/3.png", "eval/4.png")),
        refused="Rename or remove one",
    ),
    Row(
        "images beside the folders of two splits or more",
        "left out, with a warning",
        flat(names=("train/1.png", "test/2.png", "preview3.png", "docs/4.png")),
        {},
        split="te  ",
        warns="2 images belong to no split and are left out (docs/4.png, preview3.png)",
    ),
    Row(
        "images beside the folder of a single split",
        "refused",
        flat(names=("train/1.png", "2.png")),
        refused="1 images lie in a folder of one split (train/1.png), 1 in none (2.png)",
    ),
    Row(
        "class folders that begin as splits do, `trainA/` and `testA/`",
        "classes, with a warning",
        flat(names=("trainA/1.png", "testA/2.png")),
        {"trainA": "10", "testA": "01"},
        warns="If they are splits",
    ),
    Row(
        "files that are called after splits, `train_1.png`",
        "no split, with a warning",
        flat(names=("train_1.png", "test_2.png")),
        {},
        warns="called after splits",
    ),
    Row(
        "a zip of any of these, also with `\\` between names",
        "as the folder",
        packed("\\"),
        {"a": "1010", "b": "0101"},
        split="ttev",
    ),
    Row(
        "hidden files; `@eaDir`, `#recycle`, `__MACOSX`, `lost+found` and other folders of systems",
        "left out",
        flat(names=("a/1.png", "b/2.png", "@eaDir/3.png", "__MACOSX/4.png", ".thumbnails/5.png", "._6.png")),
        {"a": "10", "b": "01"},
    ),
    Row(
        "other files that may hold labels or a split, `labels.csv`, `train.txt`",
        "not read, with a warning",
        flat(("labels.csv", "1,2\n"), ("train.txt", "1.png\n")),
        {},
        warns="2 files that may hold labels or a split are not read (labels.csv, train.txt)",
    ),
]

TABLES = [
    Row(
        "`metadata.csv`, `.tsv` or `.jsonl` with a column `file_name`, beside the images or above them",
        "attributes",
        {
            **flat(names=("set/images/1.png", "set/images/2.png")),
            "set/metadata.csv": "file_name,G\nimages/1.png,1\nimages/2.png,0\n",
        },
        {"G": "10"},
    ),
    Row("the same in Parquet", "attributes", parquet(G=[True, False, True, None]), {"G": "101-"}),
    Row(
        "one in each folder, or several with different columns",
        "all of them; the folders are no classes then, with a warning",
        {
            **flat(names=("a/1.png", "b/2.png")),
            "a/metadata.csv": "file_name,G\n1.png,1\n",
            "b/metadata.jsonl": '{"file_name": "2.png", "G": false, "H": true}\n',
        },
        {"G": "10", "H": "-1"},
        warns="the folders a, b are no attributes, as the metadata have labels",
    ),
    Row(
        "several that contradict each other",
        "refused",
        flat(("metadata.csv", "file_name,G\n1.png,1\n"), ("metadata.jsonl", '{"file_name": "1.png", "G": 0}\n')),
        refused="Leave one of the files",
    ),
    Row("commas, semicolons or tabs between cells", "as they are", table(CSV.replace(",", ";")), G),
    Row(
        "a byte order mark, blank lines, `#` comments, quotes, commas at the ends of rows, UTF-16",
        "as without",
        flat(
            (
                "metadata.csv",
                '\ufeff# faces\n\n"file_name","G"\n"1.png","1",\n2.png,0,\n3.png,1,\n4.png,0,\n'.encode("utf-16"),
            )
        ),
        G,
    ),
    Row(
        "a column of row numbers without a name",
        "left out",
        table(",file_name,G/0,1.png,1/1,2.png,0/2,3.png,1/3,4.png,0"),
        G,
    ),
    Row(
        "a header with more or fewer names than rows have cells, or a row of another length",
        "refused",
        table("file_name/1.png,1/2.png,0"),
        refused="line 2 has 2 cells, and the header names 1 columns",
    ),
    Row(
        "two columns of one name", "refused", table("file_name,G,G/1.png,1,0"), refused="the column 'G' more than once"
    ),
    Row("no header", "refused", table("1.png,1/2.png,0/3.png,1/4.png,0"), refused="has no header"),
    Row("no rows, or nothing", "refused", table("file_name,G"), refused="no rows below"),
    Row(
        "text that is not UTF-8",
        "refused",
        flat(("metadata.csv", "file_name,Größe\n1.png,1\n".encode("latin-1"))),
        refused="not UTF-8",
    ),
    Row("a quote that does not end", "refused", table('file_name,G/1.png,1/"2.png,0'), refused="left open"),
    Row(
        "no `file_name`, but a column `image_id`, `image`, `path` or the like, or one that holds names of images",
        "that column",
        table("id,picture,G/9,1.png,1/8,2.png,0/7,3.png,1/6,4.png,0"),
        G,
    ),
    Row(
        "names without ending, or with another one (`1.jpg` for `1.png`)", "matched", table(CSV.replace(".png", "")), G
    ),
    Row("names in other upper and lower case", "matched", table(CSV.replace(".png", ".PNG")), G),
    Row(
        "names with more or fewer folders in front, or with `\\`",
        "matched",
        {
            **flat(names=("x/1.png", "x/2.png", "3.png")),
            "metadata.csv": "file_name,G\n1.png,1\nfaces\\x\\2.png,0\ndata/faces/3.png,1\n",
        },
        {"G": "101"},
    ),
    Row(
        "names in another Unicode form",
        "matched",
        {
            f"{ZOE} 1.png": None,
            f"{ZOE} 2.png": None,
            "metadata.csv": unicodedata.normalize("NFD", f"file_name,G\n{ZOE} 1.png,1\n{ZOE} 2.png,0\n"),
        },
        {"G": "10"},
    ),
    Row(
        "names of which none means an image, or could mean several",
        "refused, with the first names on both sides",
        table("file_name,G/a.png,1/b.png,0"),
        refused="none of its 2 names (a.png, b.png) means one of the 4 images (1.png, 2.png, 3.png, …)",
    ),
    Row(
        "names of which some mean no image, images without a row",
        "a warning with the first names; such images have no labels",
        table("file_name,G/1.png,1/2.png,0/gone.png,1"),
        {"G": "10--"},
        warns="1 names mean no image, or several (gone.png); 2 images are not in it and have no labels (3.png, 4.png)",
    ),
    Row("an image twice, with the same values", "once", table(f"{CSV}/4.png,0"), G),
    Row(
        "an image twice, with other values",
        "refused",
        table(f"{CSV}/4.png,1"),
        refused="4.png more than once (lines 5, 6)",
    ),
    Row(
        "names that lead out of their folder",
        "refused",
        table("file_name,G/..\\1.png,1"),
        refused="leads out of its folder",
    ),
]

VALUES = [
    Row(
        "True/False, yes/no, y/n, t/f, 1/0, on/off, present/absent; nothing, NaN, n/a, null",
        "an attribute; unknown",
        table("file_name,G,H/1.png,Yes,t/2.png,no,f/3.png,1.0,NaN/4.png,,null"),
        {"G": "101-", "H": "10--"},
    ),
    Row("1 and -1", "an attribute", table("file_name,G/1.png,1/2.png,-1/3.png,1/4.png,-1"), G),
    Row(
        "1, 0 and -1",
        "an attribute; 0 is unknown, with a warning",
        table("file_name,G/1.png,1/2.png,0/3.png,1/4.png,-1"),
        {"G": "1-10"},
        warns="1 zeros are taken for unknown",
    ),
    Row(
        "mostly yes and no, with other cells between (`?`, `0.5`)",
        "an attribute; these are unknown, with a warning",
        table("file_name,G/1.png,1/2.png,?/3.png,1/4.png,0"),
        {"G": "1-10"},
        warns="G of 2.png is '?'",
    ),
    Row(
        "a few words in a column `label`, `class`, `category` or `target`",
        "an attribute each",
        table("file_name,label/1.png,hat/2.png,plain/3.png,hat/4.png,"),
        {"hat": "101-", "plain": "010-"},
    ),
    Row(
        "a few words in another column",
        "no attribute, with a warning",
        table("file_name,sex/1.png,man/2.png,woman/3.png,man/4.png,man"),
        {},
        warns="sex ('man', 'woman')",
    ),
    Row(
        "numbers, texts, `id`, `index`, `seed`",
        "kept, no attribute",
        table("file_name,age,id/1.png,31,0/2.png,4,1/3.png,50,0/4.png,7,1"),
        {},
    ),
    Row(
        "names that differ in upper and lower case alone",
        "attributes each",
        table("file_name,male,Male/1.png,1,0/2.png,0,0"),
        {"male": "10--", "Male": "00--"},
        warns="3.png",
    ),
    Row(
        "a column `split`, `Split`, `partition`, `set`, `subset`, `Usage` with words for splits",
        "the split",
        table(SPLIT_CSV.format("Usage", "Training", "PublicTest", "PrivateTest", "Training")),
        {},
        split="tvet",
    ),
    Row(
        "the same with 0, 1 and 2",
        "train, valid and test, with a warning but for `partition`",
        table(SPLIT_CSV.format("Set", 0, 1, 2, 0)),
        {},
        split="tvet",
        warns="CelebA's numbers",
    ),
    Row(
        "any column that holds nothing but words for two splits or more",
        "the split",
        table(SPLIT_CSV.format("fold", "train", "val", "test", "train")),
        {},
        split="tvet",
    ),
    Row(
        "another word or number in such a column",
        "refused",
        table(SPLIT_CSV.format("split", 1, 2, 3, 1)),
        refused="puts 1.png into the split '1'",
    ),
    Row(
        "columns that put an image into two splits, or a column and a folder",
        "refused",
        table("file_name,split,partition/1.png,train,2"),
        refused="into two splits",
    ),
    Row(
        "no split for some of the images",
        "left out, with a warning",
        table(SPLIT_CSV.format("split", "train", "test", "", "train")),
        {},
        split="te t",
        warns="belong to no split",
    ),
    Row(
        "`is_train` and the like",
        "no split and no attribute, with a warning",
        table(SPLIT_CSV.format("is_train", 1, 1, 0, 0)),
        {},
        warns="may be about a split",
    ),
    Row(
        "a column `identity`, `person`, `person_id`, `subject`, `subject_id`",
        "persons; without a value a person alone",
        table(SPLIT_CSV.format("Subject", "ann", "bob", "ann", "")),
        {},
        people="abac",
    ),
]

STYLEGAN = [
    Row(
        "`dataset.json` with numbers as labels",
        "an attribute for each class, `label_0`, `label_1`, …",
        {**flat(names=BUCKETS), "dataset.json": f"{{{LABELS.format(0, 1, 0, 1)}}}"},
        {"label_0": "1010", "label_1": "0101"},
    ),
    Row(
        "`dataset.json` with lists as labels",
        "an attribute for each place in the list",
        {**flat(names=BUCKETS), "dataset.json": f"{{{LABELS.format([0, 1], [1, 1], [0, 0], [1, 0])}}}"},
        {"label_0": "0101", "label_1": "1100"},
    ),
    Row(
        "`dataset.json` without labels",
        "no labels, and no classes of folders",
        {**flat(names=BUCKETS), "dataset.json": '{"labels": null}'},
        {},
    ),
    Row(
        "`dataset.json` of another form",
        "not read, with a warning; refused where its labels are not one for each image",
        {**flat(names=BUCKETS), "dataset.json": json.dumps({"labels": [["00000/img1.png"]]})},
        refused="a name and a label",
    ),
]

CELEBA = [
    Row(
        "`list_attr_celeba.txt`, `list_eval_partition.txt`, `identity_CelebA.txt`, in the folder or one below it",
        "attributes, split, persons",
        celeba(
            **{
                "Eval/list_eval_partition.txt": "#1.jpg 0/#2.jpg 1/#3.jpg 2/#4.jpg 0",
                "identity_CelebA.txt": "#1.jpg 7/#2.jpg 8/#3.jpg 7/#4.jpg 9",
            }
        ),
        G,
        split="tvet",
        people="abac",
        kind="celeba",
    ),
    Row(
        "the same in other upper and lower case, or as Kaggle's `.csv`",
        "the same",
        celeba(
            **{
                "list_attr_celeba.txt": "",
                "list_attr_celeba.csv": "image_id,G/#1.jpg,1/#2.jpg,-1/#3.jpg,1/#4.jpg,-1",
                "identity_celeba.csv": "image_id,identity/#1.jpg,7/#2.jpg,8/#3.jpg,7/#4.jpg,9",
            }
        ),
        G,
        people="abac",
        kind="celeba",
    ),
    Row(
        "names without `.jpg`, with folders in front, quotes, an index column",
        "matched, as in tables",
        celeba(
            **{"list_eval_partition.csv": ',image_id,partition/0,"img\\#1",0/1,"img\\#2",1/2,"img\\#3",2/3,"img\\#4",0'}
        ),
        G,
        split="tvet",
        kind="celeba",
    ),
    Row(
        "a list with one name too few or too many in its header, or without one",
        "refused",
        celeba(**{"list_attr_celeba.txt": "", "list_attr_celeba.csv": "image_id,G/#1.jpg,1,-1/#2.jpg,-1,-1"}),
        refused="line 2 has 3 cells, and the header names 2 columns",
        kind="celeba",
    ),
    Row(
        "a list none of whose names means an image",
        "refused, with the first names on both sides",
        celeba(**{"list_eval_partition.txt": "1.jpg 0/2.jpg 1"}),
        refused="none of its 2 names (1.jpg, 2.jpg) means one of the 4 images (000001.jpg",
        kind="celeba",
    ),
    Row(
        "images that the list of attributes or of the partition lacks",
        "left out, with a warning",
        celeba(**{"list_eval_partition.txt": "#1.jpg 0/#2.jpg 1/#3.jpg 2"}),
        {"G": "101 "},
        split="tve ",
        warns="belong to no split and are left out (000004.jpg)",
        kind="celeba",
    ),
    Row(
        "images that the list of persons lacks",
        "each a person alone, with a warning",
        celeba(**{"identity_CelebA.txt": "#1.jpg 7/#2.jpg 8/#3.jpg 7"}),
        G,
        people="abac",
        warns="taken for a person alone (000004.jpg)",
        kind="celeba",
    ),
    Row(
        "a label other than 1, -1 and 0",
        "unknown, with a warning, as in tables; refused where no label is left",
        celeba(**{"list_attr_celeba.txt": "4/G H/#1.jpg 1 5/#2.jpg -1 6"}),
        refused="000001.jpg has '5' for H",
        kind="celeba",
    ),
    Row(
        "a list with other columns, such as a partition",
        "read as in tables",
        celeba(
            **{
                "list_attr_celeba.txt": "",
                "list_attr_celeba.csv": "image_id,G,partition/#1.jpg,1,0/#2.jpg,-1,1/#3.jpg,1,2/#4.jpg,-1,0",
            }
        ),
        G,
        split="tvet",
        kind="celeba",
    ),
    Row(
        "a list both as `.txt` and `.csv`",
        "the `.txt`, with a warning",
        celeba(**{"list_attr_celeba.csv": "image_id,H/#1.jpg,1"}),
        G,
        warns="list_attr_celeba.csv is not",
        kind="celeba",
    ),
    Row(
        "a number of rows other than the list's first line says",
        "a warning",
        celeba(**{"list_attr_celeba.txt": "9/G/#1.jpg  1/#2.jpg -1/#3.jpg  1/#4.jpg -1"}),
        G,
        warns="is to have 9 rows, and has 4",
        kind="celeba",
    ),
    Row(
        "folders for splits below the images, and no partition",
        "the split",
        {
            "img_align_celeba/train/1.jpg": None,
            "img_align_celeba/test/2.jpg": None,
            "list_attr_celeba.txt": "2\nG\n1.jpg 1\n2.jpg -1\n",
        },
        {"G": "10"},
        split="te",
        kind="celeba",
    ),
]

SECTIONS = {"Folders and zips": LAYOUTS, "Tables": TABLES, "Columns": VALUES, "StyleGAN": STYLEGAN, "CelebA": CELEBA}


pytestmark = pytest.mark.usefixtures("own_cache")


def put(folder: Path, files: Mapping[str, Content]) -> Path:
    """Write the files of a row, and return what to load."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        number = int("".join(filter(str.isdigit, path.stem.rpartition("_")[2] or path.stem))[-3:] or 0)
        path.write_bytes(
            picture(number) if content is None else content.encode() if isinstance(content, str) else content
        )
    return folder / "faces.zip" if "faces.zip" in files else folder


@pytest.mark.parametrize("row", [row for rows in SECTIONS.values() for row in rows], ids=lambda row: row.what[:40])
def test_what_the_page_says_is_so(row: Row, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spec = f"{row.kind}:{put(tmp_path / 'set', row.files)}"
    if row.refused:
        with pytest.raises(DataError) as refusal:
            load_data(spec, size=8)
        assert row.refused in str(refusal.value)
        return
    data = load_data(spec, size=8)
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert any(row.warns in warning for warning in warnings) if row.warns else not warnings, warnings
    numbers = [int(image[0, 0, 0]) for image in np.asarray(data.images)]
    count = max(numbers)

    def by_number(values: list[str]) -> str:
        found = dict(zip(numbers, values, strict=True))
        return "".join(found.get(number, " ") for number in range(1, count + 1))

    attributes = {
        str(name): by_number(["-" if pd.isna(value) else str(int(value)) for value in data.attributes[name]])
        for name in data.attributes
    }
    assert attributes == {name: text.rstrip() for name, text in (row.attributes or {}).items()}
    letters = {"train": "t", "valid": "v", "test": "e"}
    assert (by_number([letters[split] for split in data.split]) if data.split is not None else "") == row.split.rstrip()
    people = [] if data.identity is None else by_number([chr(200 + person) for person in data.identity.tolist()])
    assert [people.index(person) for person in people] == [row.people.index(person) for person in row.people]


def tables() -> str:
    """The tables of the page."""
    parts = []
    for title, rows in SECTIONS.items():
        lines = [
            f"### {title}",
            "",
            "| given | becomes |",
            "|---|---|",
            *(f"| {row.what} | {row.becomes} |" for row in rows),
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def test_the_page_has_these_tables() -> None:
    assert tables() in DOCS.read_text(encoding="utf-8"), (
        "run `python tests/test_inputs.py` and put what it prints there"
    )


if __name__ == "__main__":
    print(tables())
