"""Random data sets with known truth: layouts x label formats x faults. Shares no code with the readers.

`make(seed, folder)` writes one and says what it is. A fault is harmless, where a reader that knows it finds the truth
(names without `.jpg`, an index column, a picture in a system's folder), or harmful, where something is lost or cannot
be known: then the truth is what is left, and it has to be said, or the data set refused.
"""

from __future__ import annotations

import csv
import io
import json
import random
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd
from PIL import Image

Attributes = dict[str, bool | None]
WORDS = {
    "train": ("train", "Training", "training set", "train_images", "TRAIN"),
    "valid": ("valid", "val", "Validation", "dev", "validation_set"),
    "test": ("test", "Testing", "test-images", "holdout", "eval"),
}
SPELLINGS = (("1", "0"), ("1", "-1"), ("True", "False"), ("yes", "no"), ("Y", "N"), ("1.0", "0.0"))


@dataclass
class Picture:
    """One picture: a grey known by its number, and all that is true of it."""

    number: int
    path: str
    attributes: Attributes
    split: str | None
    person: str | None


@dataclass
class Table:
    """A label file before it is written: the names of its columns, and rows with the name of the picture first."""

    path: str
    header: list[str]
    rows: list[list[str]]


@dataclass
class Case:
    """A data set on the disk.

    Attributes:
        spec: what to ask `load_data` for.
        pictures: those that should be found, with what should be known of them.
        said: what has to be in a warning, or in the error.
        readable: whether it has to be read; else it may be refused too.
        about: what it is, for messages.
        file: what an error has to name.
    """

    spec: str
    pictures: list[Picture]
    said: list[str] = field(default_factory=list)
    readable: bool = True
    about: list[str] = field(default_factory=list)
    file: str = ""


class Builder:
    """A data set in the making."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.images: dict[str, int] = {}
        self.files: dict[str, bytes] = {}
        self.tables: list[Table] = []
        self.text: list[Callable[[str], str]] = []
        self.encoding = "utf-8"
        self.case = Case("", [])
        self.kind = "folder"
        self.zipped = ""
        self.links = False
        self.suffix = self.random.choice([".png", ".png", ".PNG", ".jfif"])
        count = self.random.randint(9, 14)
        style = self.random.choice(["{:06d}", "img_{:d}", "Zoë Bülow {:d}"])
        splits = [("train", "valid", "test")[number % 3] for number in range(count)]
        self.random.shuffle(splits)
        for number in range(count):
            male = self.random.random() < 0.5 if number > 1 else number == 0
            attributes: Attributes = {"Glasses": number % 2 == 0, "male": male}
            person = f"p{number // 2}"
            picture = Picture(number + 1, style.format(number + 1), attributes, splits[number], person)
            self.case.pictures.append(picture)

    def about(self, text: str) -> None:
        self.case.about.append(text)

    def place(self, path: Callable[[Picture], str]) -> None:
        """Give each picture its place below the top."""
        for picture in self.case.pictures:
            picture.path = path(picture)
            self.images[picture.path] = picture.number

    def forget(self, *what: str) -> None:
        """What is written nowhere is not to be known."""
        for picture in self.case.pictures:
            picture.split = None if "split" in what else picture.split
            picture.person = None if "person" in what else picture.person
            picture.attributes = {} if "attributes" in what else picture.attributes


# Layouts


def flat(make: Builder) -> None:
    make.place(lambda picture: f"{picture.path}{make.suffix}")
    _table_or_nothing(make, "")


def nested(make: Builder) -> None:
    make.place(lambda picture: f"set/images/{picture.path}{make.suffix}")
    _table_or_nothing(make, make.random.choice(["", "set/", "set/images/"]))


def by_class(make: Builder) -> None:
    make.place(lambda picture: f"{_class_of(picture)}/{picture.path}{make.suffix}")
    make.forget("split", "person")
    _classes_are_attributes(make)


def by_split(make: Builder) -> None:
    words = {split: make.random.choice(choices) for split, choices in WORDS.items()}
    make.place(lambda picture: f"{words[str(picture.split)]}/{picture.path}{make.suffix}")
    if make.random.random() < 0.5:
        _metadata(make, "", split=False)
    else:
        make.about("one table a split")
        _metadata(make, "", split=False)
        whole = make.tables.pop()
        for word in words.values():
            rows = [row for row in whole.rows if row[0].startswith(f"{word}/")]
            rows = [[row[0].removeprefix(f"{word}/"), *row[1:]] for row in rows]
            make.tables.append(Table(f"{word}/{whole.path}", list(whole.header), rows))


def by_split_and_class(make: Builder) -> None:
    words = {split: make.random.choice(choices) for split, choices in WORDS.items()}
    if make.random.random() < 0.5:
        make.place(lambda picture: f"{words[str(picture.split)]}/{_class_of(picture)}/{picture.path}{make.suffix}")
    else:
        make.place(lambda picture: f"{_class_of(picture)}/{words[str(picture.split)]}/{picture.path}{make.suffix}")
    make.forget("person")
    _classes_are_attributes(make)


def stylegan(make: Builder) -> None:
    make.place(lambda picture: f"{picture.number // 4:05d}/img{picture.number:08d}.png")
    make.forget("split", "person")
    kind = make.random.choice(["number", "vector", "none"])
    make.about(f"dataset.json with {kind}")
    labels = []
    for picture in make.case.pictures:
        glasses = bool(picture.attributes["Glasses"])
        labels.append([picture.path, int(glasses) if kind == "number" else [float(not glasses), float(glasses)]])
        picture.attributes = {} if kind == "none" else {"label_0": not glasses, "label_1": glasses}
    make.files["dataset.json"] = json.dumps({"labels": None if kind == "none" else labels}).encode()


def celeba(make: Builder) -> None:
    make.kind = "celeba"
    make.suffix = make.random.choice([".png", ".jpg"])
    for picture in make.case.pictures:
        picture.path = f"{picture.number:06d}"
    make.place(lambda picture: f"img_align_celeba/{picture.path}{make.suffix}")
    ending, place = make.random.choice([(".txt", ""), (".txt", "Anno/"), (".csv", ""), (".csv", "labels/")])
    make.about(f"lists {place}*{ending}")
    names = {picture.number: picture.path.rpartition("/")[2] for picture in make.case.pictures}
    attributes = ["Glasses", "male"]
    yes, no = make.random.choice([("1", "-1"), ("1", "0")])
    rows = [
        [names[picture.number], *(yes if picture.attributes[name] else no for name in attributes)]
        for picture in make.case.pictures
    ]
    make.tables.append(Table(f"{place}list_attr_celeba{ending}", ["image_id", *attributes], rows))
    number = {"train": "0", "valid": "1", "test": "2"}
    if make.random.random() < 0.8:
        rows = [[names[picture.number], number[str(picture.split)]] for picture in make.case.pictures]
        make.tables.append(Table(f"{place}list_eval_partition{ending}", ["image_id", "partition"], rows))
    else:
        make.forget("split")
    if make.random.random() < 0.6:
        rows = [[names[picture.number], str(picture.person)[1:]] for picture in make.case.pictures]
        name = make.random.choice(["identity_CelebA", "identity_celeba"])
        make.tables.append(Table(f"{place}{name}{ending}", ["image_id", "identity"], rows))
    else:
        make.forget("person")


def _class_of(picture: Picture) -> str:
    return "glasses" if picture.attributes["Glasses"] else "plain"


def _classes_are_attributes(make: Builder) -> None:
    for picture in make.case.pictures:
        glasses = bool(picture.attributes["Glasses"])
        picture.attributes = {"glasses": glasses, "plain": not glasses}


def _table_or_nothing(make: Builder, place: str) -> None:
    if make.random.random() < 0.85:
        _metadata(make, place, split=True)
    else:
        make.about("without labels")
        make.forget("split", "person", "attributes")


def _metadata(make: Builder, place: str, *, split: bool) -> None:
    """A table of all, in the folder `place`; with a column for the split or without."""
    yes, no = make.random.choice(SPELLINGS)
    header = ["file_name", "Glasses", "male"]
    columns: list[Callable[[Picture], str]] = [
        lambda picture: yes if picture.attributes["Glasses"] else no,
        lambda picture: yes if picture.attributes["male"] else no,
    ]
    if split and make.random.random() < 0.7:
        name, numbers = make.random.choice([("split", 0), ("Split", 0), ("partition", 1), ("set", 1), ("Usage", 0)])
        words = {split: make.random.choice(choices) for split, choices in WORDS.items()}
        words = {"train": "0", "valid": "1", "test": "2"} if numbers else words
        header.append(name)
        columns.append(lambda picture: words[str(picture.split)])
    elif split:
        make.forget("split")
    if make.random.random() < 0.5:
        header.append(make.random.choice(["identity", "person_id", "Subject"]))
        columns.append(lambda picture: str(picture.person))
    else:
        make.forget("person")
    if make.random.random() < 0.3:
        header.append("age")
        columns.append(lambda picture: str(20 + picture.number))
    rows = [
        [picture.path.removeprefix(place), *(column(picture) for column in columns)] for picture in make.case.pictures
    ]
    ending = make.random.choice(["csv", "csv", "csv", "tsv", "jsonl", "parquet"])
    make.tables.append(Table(f"{place}metadata.{ending}", header, rows))
    make.about(f"{place}metadata.{ending} with {', '.join(header)}")


LAYOUTS = (flat, nested, by_class, by_split, by_split_and_class, stylegan, celeba)

# Harmless faults: the truth can be found


def _each_name(change: Callable[[Builder, str], str]) -> Callable[[Builder], None]:
    def fault(make: Builder) -> None:
        for table in make.tables:
            for row in table.rows:
                row[0] = change(make, row[0])

    return fault


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _each_text(change: Callable[[str], str]) -> Callable[[Builder], None]:
    def fault(make: Builder) -> None:
        make.text.append(change)

    return fault


def index_column(make: Builder) -> None:
    for table in make.tables:
        if table.path.endswith((".csv", ".tsv")):
            table.header.insert(0, "")
            for number, row in enumerate(table.rows):
                row.insert(0, str(number))


def shuffled_rows(make: Builder) -> None:
    for table in make.tables:
        make.random.shuffle(table.rows)


def system_folders(make: Builder) -> None:
    for path in (
        "@eaDir/1.png",
        "__MACOSX/._1.png",
        ".thumbnails/2.png",
        "lost+found/3.png",
        "._x.png",
        "#recycle/a.png",
    ):
        make.files[f"img_align_celeba/{path}" if make.kind == "celeba" else path] = picture(250)


def other_files(make: Builder) -> None:
    make.files["README.md"] = b"# Faces\n"
    make.files["notes.pdf"] = b"%PDF"


def as_zip(make: Builder) -> None:
    make.zipped = make.random.choice(["/", "\\"])
    make.about(f"zip with {make.zipped}")


def as_links(make: Builder) -> None:
    make.links = True


def utf16(make: Builder) -> None:
    make.encoding = "utf-16" if make.encoding == "utf-8" else make.encoding


HARMLESS: dict[str, Callable[[Builder], None]] = {
    "names without ending": _each_name(lambda make, name: _stem(name)),
    "names with another ending": _each_name(lambda make, name: f"{_stem(name)}.jpeg"),
    "names in capitals": _each_name(lambda make, name: name.upper()),
    "names with a folder in front": _each_name(lambda make, name: f"data/faces/{name}"),
    "names beginning with ./": _each_name(lambda make, name: f"./{name}"),
    "names with backslashes": _each_name(lambda make, name: name.replace("/", "\\")),
    "names in decomposed Unicode": _each_name(lambda make, name: unicodedata.normalize("NFD", name)),
    "index column": index_column,
    "shuffled rows": shuffled_rows,
    "byte order mark": _each_text(lambda text: f"\ufeff{text}"),
    "Windows' ends of lines": _each_text(lambda text: text.replace("\n", "\r\n")),
    "blank lines": _each_text(lambda text: text.replace("\n", "\n\n")),
    "a comment": _each_text(lambda text: f"# labels of faces\n{text}"),
    "UTF-16": utf16,
    "system folders": system_folders,
    "other files": other_files,
    "zip": as_zip,
    "links": as_links,
}

# Harmful faults: something is lost, or cannot be known


def _text_table(make: Builder) -> Table | None:
    return next((table for table in make.tables if table.path.endswith((".csv", ".tsv"))), None)


def header_too_short(make: Builder) -> bool:
    table = _text_table(make)
    if table is None:
        return False
    table.header.pop()
    return _must_be_refused(make, table)


def header_too_long(make: Builder) -> bool:
    table = _text_table(make)
    if table is None:
        return False
    table.header.append("Bald")
    return _must_be_refused(make, table)


def ragged_row(make: Builder) -> bool:
    table = _text_table(make)
    if table is None:
        return False
    make.random.choice(table.rows).append("1")
    return _must_be_refused(make, table)


def column_twice(make: Builder) -> bool:
    table = _text_table(make)
    if table is None or len(table.header) < 3:
        return False
    table.header[2] = table.header[1]
    return _must_be_refused(make, table)


def no_names_match(make: Builder) -> bool:
    if not make.tables:
        return False
    table = make.random.choice(make.tables)
    for number, row in enumerate(table.rows):
        row[0] = f"other-{number}.png"
    return _must_be_refused(make, table)


def contradiction(make: Builder) -> bool:
    table = next((table for table in make.tables if len(table.header) > 2), None)
    if table is None or len(table.rows) < 2:
        return False
    first = table.rows[0]
    yes, no = sorted({row[1] for row in table.rows}) if len({row[1] for row in table.rows}) == 2 else ("1", "0")
    table.rows.append([first[0], no if first[1] == yes else yes, *first[2:]])
    return _must_be_refused(make, table)


def unknown_split(make: Builder) -> bool:
    for table in make.tables:
        for column, name in enumerate(table.header):
            if name.lower() in ("split", "partition", "usage"):
                make.random.choice(table.rows)[column] = "elsewhere"
                return _must_be_refused(make, table)
    return False


def no_rows(make: Builder) -> bool:
    if not make.tables or not make.tables[0].path.endswith((".csv", ".tsv", ".txt")):
        return False
    make.tables[0].rows.clear()
    return _must_be_refused(make, make.tables[0])


def bad_cell(make: Builder) -> bool:
    table = next((table for table in make.tables if table.header[1:2] == ["Glasses"] and len(table.rows) > 4), None)
    if table is None:
        return False
    row = make.random.choice(table.rows)
    found = next(picture for picture in make.case.pictures if picture.path.endswith(row[0]))
    row[1] = make.random.choice(["?", "maybe", "0.5"])
    found.attributes["Glasses"] = None
    make.case.said.append(repr(row[1]))
    return True


def lost_row(make: Builder) -> bool:
    table = next((table for table in make.tables if table.path.endswith("metadata.csv") and len(table.rows) > 4), None)
    if table is None or "split" in "".join(table.header).lower() or table.header[-1] in ("partition", "set", "Usage"):
        return False
    if any(name in ("identity", "person_id", "Subject", "partition", "set", "Usage") for name in table.header):
        return False
    row = table.rows.pop()
    found = next(picture for picture in make.case.pictures if picture.path.endswith(row[0]))
    found.attributes = dict.fromkeys(found.attributes)
    make.case.said.append(found.path)
    return True


def lost_partition(make: Builder) -> bool:
    table = next((table for table in make.tables if "list_eval_partition" in table.path), None)
    if table is None:
        return False
    row = table.rows.pop()
    make.case.pictures = [picture for picture in make.case.pictures if not picture.path.endswith(row[0])]
    make.case.said.append(row[0])
    return True


def stray_picture(make: Builder) -> bool:
    if make.kind == "celeba" or not make.case.pictures[0].split or make.tables:
        return False
    place = make.random.choice(["preview.png", "samples/grid.png", "docs/a/b.png"])
    make.files[place] = picture(251)
    make.case.said.append(place)
    return True


def labels_elsewhere(make: Builder) -> bool:
    if make.kind == "celeba" or make.tables:
        return False
    make.files["labels.csv"] = b"id,Bald\n1,1\n"
    make.case.said.append("labels.csv")
    return True


def not_utf8(make: Builder) -> bool:
    table = _text_table(make)
    if table is None:
        return False
    make.encoding = "latin-1"
    table.header.append("Größe")
    for row in table.rows:
        row.append("1")
    make.case.file, make.case.readable = table.path.rpartition("/")[2], False
    return True


def header_missing(make: Builder) -> bool:
    table = _text_table(make)
    if table is None or len(table.rows) < 2 or "list_" in table.path:
        return False
    table.header = table.rows.pop(0)
    return _must_be_refused(make, table)


def empty_file(make: Builder) -> bool:
    table = _text_table(make)
    if table is None:
        return False
    make.text.append(lambda text: "")
    return _must_be_refused(make, table)


def three_held_out(make: Builder) -> bool:
    if make.kind == "celeba" or make.tables or not make.case.pictures[0].split:
        return False
    for split in ("train", "val", "test", "eval"):
        make.images[f"more/{split}/{split}.png"] = 200 + len(split)
    make.case.readable, make.case.file, make.case.pictures = False, "set", []
    return True


def folder_against_column(make: Builder) -> bool:
    table = next((table for table in make.tables if table.path == "metadata.csv"), None)
    picture = make.case.pictures[0]
    if table is None or len(table.rows) < 4 or not picture.split or "/" not in picture.path or "set/" in picture.path:
        return False
    table.header.append("split")
    for row in table.rows:
        row.append("test" if row[0] == picture.path and picture.split == "train" else "train")
    make.case.readable, make.case.file, make.case.pictures = False, "set", []
    return True


def open_quote(make: Builder) -> bool:
    table = _text_table(make)
    if table is None:
        return False
    make.text.append(lambda text: text.rstrip("\n") + '\n"')
    return _must_be_refused(make, table)


def _must_be_refused(make: Builder, table: Table) -> bool:
    make.case.readable = False
    make.case.file = table.path.rpartition("/")[2]
    make.case.pictures = []  # nothing that could be read is right
    return True


HARMFUL: dict[str, Callable[[Builder], bool]] = {
    function.__name__: function
    for function in (
        *(header_too_short, header_too_long, ragged_row, column_twice, no_names_match, contradiction, unknown_split),
        *(no_rows, bad_cell, lost_row, lost_partition, stray_picture, labels_elsewhere, not_utf8, open_quote),
        *(header_missing, empty_file, three_held_out, folder_against_column),
    )
}

# Writing


def picture(number: int) -> bytes:
    """A picture of one grey, known by its number."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8), number).save(buffer, "PNG")
    return buffer.getvalue()


def _content(make: Builder, table: Table) -> bytes:
    """The bytes of a label file."""
    ending = table.path.rpartition(".")[2]
    if ending == "parquet":
        buffer = io.BytesIO()
        pd.DataFrame(table.rows, columns=table.header, dtype=object).to_parquet(buffer)
        return buffer.getvalue()
    if ending == "jsonl":
        lines = [json.dumps(dict(zip(table.header, row, strict=True))) for row in table.rows]
        return ("\n".join(lines) + "\n").encode()
    if ending == "txt":
        header = [] if len(table.header) == 2 and "list_attr" not in table.path else [" ".join(table.header[1:])]
        header = [str(len(table.rows)), *header] if header else []
        text = "\n".join([*header, *(" ".join(row) for row in table.rows)]) + "\n"
    else:
        target = io.StringIO()
        delimiter = "\t" if ending == "tsv" else make.random.choice([",", ",", ";"])
        quoting: Literal[0, 1] = csv.QUOTE_ALL if make.random.random() < 0.5 else csv.QUOTE_MINIMAL
        writer = csv.writer(target, delimiter=delimiter, quoting=quoting, lineterminator="\n")
        writer.writerow(table.header)
        commas = [""] if make.random.random() < 0.2 and len({len(row) for row in table.rows}) == 1 else []
        commas = commas if table.rows and len(table.rows[0]) == len(table.header) else []
        writer.writerows([*row, *commas] for row in table.rows)
        text = target.getvalue()
    for change in make.text:
        text = change(text)
    return text.encode(make.encoding, errors="strict" if make.encoding.startswith("utf") else "ignore")


def make(seed: int, folder: Path) -> Case:
    """Write the data set of this seed into a folder that is empty."""
    builder = Builder(seed)
    layout = builder.random.choice(LAYOUTS)
    builder.about(layout.__name__)
    layout(builder)
    if builder.random.random() < 0.5:
        names = builder.random.sample(sorted(HARMFUL), len(HARMFUL))
        builder.about(next((name.upper() for name in names if HARMFUL[name](builder)), "no fault fits"))
    for name in sorted(builder.random.sample(list(HARMLESS), builder.random.randint(0, 2)), reverse=True):
        builder.about(name)  # a byte order mark comes last, and so does it in the text
        HARMLESS[name](builder)
    return _written(builder, folder)


def _written(builder: Builder, folder: Path) -> Case:
    case = builder.case
    everything = {path: picture(number) for path, number in builder.images.items()}
    everything |= builder.files
    everything |= {table.path: _content(builder, table) for table in builder.tables}
    root = folder / "set"
    case.spec = f"{builder.kind}:{root}"
    if builder.zipped and builder.kind == "celeba":
        images = {path: content for path, content in everything.items() if path.startswith("img_align_celeba/")}
        everything = {path: content for path, content in everything.items() if path not in images}
        everything["img_align_celeba.zip"] = _zip(images, builder.zipped)
    elif builder.zipped:
        root.mkdir()
        (root / "faces.zip").write_bytes(_zip(everything, builder.zipped))
        case.spec = f"folder:{root / 'faces.zip'}"
        return case
    for number, (path, content) in enumerate(everything.items()):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
        if builder.links and path in builder.images:
            store = root / "img_align_celeba" / ".store" / str(number)
            store.parent.mkdir(parents=True, exist_ok=True)
            (root / path).rename(store)
            (root / path).symlink_to(store)
    return case


def _zip(files: dict[str, bytes], separator: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in files.items():
            info = zipfile.ZipInfo("x")
            info.filename = path.replace("/", separator)
            archive.writestr(info, content)
    return buffer.getvalue()
