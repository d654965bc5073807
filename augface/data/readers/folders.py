"""What folders mean: splits, classes, persons, or nothing but a place for some of the files."""

from __future__ import annotations

import itertools
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from augface.arrays import Booleans, Integers, Strings
from augface.data.readers.containers import some
from augface.data.readers.labels import MAX_CLASSES, SPLIT_WORDS, resolve_splits, split_word
from augface.errors import DataError

NO_CLASS = re.compile(
    r"(image|img|photo|picture|mask|thumb|thumbnail|preview|sample|annotation|segmentation|landmark|original|backup|raw|"
    r"processed|cropped|aligned|doc|figure|log|tmp|temp)s?",
    re.IGNORECASE,
)
"""Names of folders that are hardly classes."""
MAY_BE_SPLIT = re.compile("(train|valid|val|dev|eval|test)")


@dataclass(frozen=True, eq=False)
class SplitFolders:
    """The split of N images by their folders.

    Attributes:
        split: (N,) of `train`, `valid`, `test`, or an empty text; None where no folder is called after a split.
        below: (N,) the images' names without the folder that holds all of them and those that say the split.
        warnings: what had to be interpreted.
    """

    split: Strings | None
    below: Strings
    warnings: list[str]


def split_folders(members: Strings, where: str) -> SplitFolders:
    """The split of each image by the folder on its way that is called after one.

    A folder that holds all images says something only where no folder below it does.

    Raises:
        DataError: some images are in one split and the others in none, or an image is in two.
    """
    common = common_folder(members)
    ways = [posixpath.dirname(member[len(common) :]) for member in members.tolist()]
    meanings = {way: _split_of(way, where) for way in set(ways)}
    if not any(meanings.values()):
        meanings = dict.fromkeys(meanings, _split_of(common, where))
    words = np.array([meanings[way] for way in ways], dtype=np.str_)
    without = {way: "/".join(part for part in way.split("/") if not split_word(part)) for way in meanings}
    files = [posixpath.basename(member) for member in members.tolist()]
    names = [posixpath.join(without[way], file) for way, file in zip(ways, files, strict=True)]
    below = np.array([unicodedata.normalize("NFC", name) for name in names], dtype=np.str_)
    present = set(words.tolist())
    if present == {""}:
        return SplitFolders(None, below, [])
    if "" in present and len(present) == 2:
        inside, outside = members[words != ""], members[words == ""]
        raise DataError(
            f"{where}: {len(inside):,} images lie in a folder of one split ({some(inside[:1])}), {len(outside):,} in "
            f"none ({some(outside)}). Put these into a folder train, valid or test, or rename the other."
        )
    split, said = resolve_splits(words, where)
    return SplitFolders(split, below, [said] if said else [])


def common_folder(members: Strings) -> str:
    """The folder that holds all images, `""` or ending with `/`."""
    common = posixpath.commonpath([posixpath.dirname(member) for member in members.tolist()])
    return f"{common}/" if common else ""


def _split_of(way: str, where: str) -> str:
    words = {word for part in way.split("/") if (word := split_word(part))}
    if len(words) > 1:
        raise DataError(f"{where}: the folder {some([way])} is called after two splits. Rename a part of it.")
    return words.pop() if words else ""


@dataclass(frozen=True, eq=False)
class Classes:
    """The class folder of each of N images.

    Attributes:
        folder: (N,) its name; an empty text where an image lies in none.
        loose: (N,) whether an image lies beside the folders, or beside the one that holds them.
        top: the folder that holds them, `""` or ending with `/`.
        spread: whether the folders only spread files.
    """

    folder: Strings
    loose: Booleans
    top: str
    spread: bool

    @property
    def names(self) -> list[str]:
        """The different folders, sorted."""
        return sorted(set(self.folder.tolist()) - {""})

    @property
    def are_classes(self) -> bool:
        """Whether the folders are classes: two or more, with most images in them."""
        most_inside = 2 * int(self.loose.sum()) <= len(self.loose)
        return 2 <= len(self.names) <= MAX_CLASSES and most_inside and not self.spread

    @property
    def are_persons(self) -> bool:
        """Whether the folders are persons, as there are so many."""
        return len(self.names) > MAX_CLASSES and not self.spread

    def attributes(self) -> pd.DataFrame:
        """N rows of an attribute for each class, unknown for what lies in none."""
        columns = {name: self.folder == name for name in self.names if self.are_classes}
        table = pd.DataFrame(columns, index=pd.RangeIndex(len(self.folder))).astype("boolean")
        return table.mask(np.broadcast_to((self.folder == "")[:, None], table.shape))

    def persons(self) -> Integers | None:
        """(N,) one number a person; who lies in no folder is a person alone. None where folders are no persons."""
        if not self.are_persons:
            return None
        codes = pd.factorize(self.folder, sort=True)[0].astype(np.int64)
        alone = self.folder == ""
        codes[alone] = codes.max() + 1 + np.arange(alone.sum())
        return codes


def class_folders(below: Strings, inside: Booleans) -> Classes:
    """The class folders of images, by their names below what holds all of them.

    Args:
        below: (N,) see `SplitFolders`.
        inside: (N,) which of the images count.
    """
    names = below[inside].tolist()
    top = ""
    while True:
        folders = Counter(_first_folder(name, top) for name in names)
        folders.pop("", None)
        if len(folders) != 1 or 2 * folders.total() <= len(names):
            break
        top += f"{next(iter(folders))}/"
    folder = np.array([_first_folder(name, top) for name in below.tolist()], dtype=np.str_)
    folder[~inside] = ""
    loose = inside & (folder == "") & (bool(folders) | ~np.char.startswith(below, top))
    return Classes(folder, loose, top, _only_spread(folder, below))


def _first_folder(name: str, top: str) -> str:
    first, slash, _ = name[len(top) :].partition("/") if name.startswith(top) else ("", "", "")
    return first if slash else ""


def _only_spread(folder: Strings, names: Strings) -> bool:
    """Whether folders only spread files: they are called by numbers, and the files' numbers go on from one to the next.

    So do FFHQ's (00000, 01000, …) and those of StyleGAN's dataset_tool. Or they hold the files that begin as they do.
    """
    files: dict[str, list[str]] = {}
    for place, name in zip(folder.tolist(), names.tolist(), strict=True):
        files.setdefault(place, []).append(posixpath.splitext(posixpath.basename(name))[0])
    files.pop("", None)
    lengths = {len(place) for place in files}
    if len(files) < 2 or len(lengths) > 1 or min(lengths) < 2:
        return False
    if all(place.isdecimal() for place in files):
        ranges = [(min(numbers), max(numbers)) for _, group in sorted(files.items()) if (numbers := _numbers(group))]
        return len(ranges) == len(files) and all(before[1] < after[0] for before, after in itertools.pairwise(ranges))
    hexadecimal = all(re.fullmatch(r"[0-9a-f]+", place) for place in files) and re.search(r"\d", "".join(files))
    return bool(hexadecimal) and all(name.startswith(place) for place, group in files.items() for name in group)


def _numbers(files: Sequence[str]) -> list[int]:
    """The last number in each name; nothing where one has none."""
    found = [re.search(r"(\d+)\D*$", file) for file in files]
    return [int(match[1]) for match in found if match] if all(found) else []


def class_warnings(classes: Classes, members: Strings, where: str, *, has_split: bool) -> list[str]:
    """What is to be said where folders are taken for classes or persons, or may be meant so.

    Args:
        classes: the folders of these images.
        members: (N,) the images.
        where: what to call the place.
        has_split: whether a split is known.
    """
    names, loose = classes.names, members[classes.loose].tolist()
    folders = f"{where}: {len(names):,} folders ({some(names)})"
    if classes.spread:
        return [f"{folders} only spread files by numbers, and are taken for no classes. Add metadata.csv for labels."]
    if classes.are_persons:
        return [f"{folders} are taken for persons, not for classes, as there are more than {MAX_CLASSES}."]
    warnings = []
    if loose:
        beside = some(f"{name}/" for name in names or [classes.top.rstrip("/")])
        so = "have no labels" if classes.are_classes else "make no classes of folders" if names else "are read, too"
        warnings.append(f"{where}: {len(loose):,} images ({some(loose)}) lie beside {beside} and {so}. Move them away.")
    if classes.are_classes and all(name.isdecimal() for name in names):
        warnings.append(f"{folders} are taken for classes, though they are numbers. Add metadata.csv if they are none.")
    if classes.are_classes and (odd := [name for name in names if NO_CLASS.fullmatch(name)]):
        warnings.append(f"{folders} are taken for classes. Move away what is none, such as {some(odd)}.")
    if classes.are_classes and len({name.casefold() for name in names}) < len(names):
        warnings.append(f"{folders} differ in upper and lower case alone, and are taken for classes each. Rename some.")
    begin = {SPLIT_WORDS[match[1]] for name in names if (match := MAY_BE_SPLIT.match(name.casefold()))}
    if classes.are_classes and not has_split and "train" in begin and len(begin) > 1:
        warnings.append(f"{folders} are taken for classes. If they are splits, call them train, valid and test.")
    return warnings
