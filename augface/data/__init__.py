"""Faces from anywhere: `load_data` reads what a spec names, through the image cache."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from augface.errors import DataError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from augface.alignment.template import Template
    from augface.data.crops import Crop
    from augface.data.dataset import FaceDataset
    from augface.data.readers.listing import Listing

DEFAULT_SIZE = 64
SIZES = range(8, 1025)
SOURCES = ("toy", "celeba", "folder", "hf", "wds")
Kind = Literal["toy", "celeba", "folder", "hf", "wds"]

IN_FILES: tuple[Kind, ...] = ("celeba", "folder", "hf", "wds")
"""The kinds that are read from files."""

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
"""How the address of data begins that fsspec fetches."""
PATH_OF_ADDRESS = re.compile(rf"((?:{'|'.join(IN_FILES)}):)?([A-Za-z][A-Za-z0-9+.-]+):/(?!/)")
"""What `Path` makes of such an address, with a kind before it or not."""

log = logging.getLogger("augface")


class SizedIndexable(Protocol):
    """What has a number of items, and gives each by its number, such as a data set of torch."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


class Place(NamedTuple):
    """What a spec was taken for."""

    kind: Kind
    path: Path
    """The folder or file; unused for `toy`, and for an address of which nothing has been looked at."""
    faces: int | None = None
    """How many faces; for `toy` only."""
    address: str = ""
    """The URL of data that are elsewhere."""

    def local(self) -> Path:
        """The folder or file on this machine; what is elsewhere is copied into the cache first.

        Raises:
            AugfaceError: as `augface.data.remote.local_copy`.
        """
        if not self.address or self.path != Path():
            return self.path
        from augface.data.remote import local_copy

        return local_copy(self.address)

    def __str__(self) -> str:
        where = self.address or self.path
        if self.kind == "toy":
            return "ToyFaces, the embedded data set of drawn faces"
        if self.kind == "celeba":
            return f"CelebA files in {where}"
        if self.kind == "hf":
            return f"a table with images in {where}"
        if self.kind == "wds":
            return f"tar files of a WebDataset in {where}"
        is_archive = self.address.lower().endswith(".zip") if self.address else self.path.is_file()
        return f"images in the {'zip archive' if is_archive else 'folder'} {where}"


def load_data(
    spec: str | Path | FaceDataset | Iterable[Any] | SizedIndexable,
    *,
    labels: Any = None,
    size: int | None = None,
    value_range: tuple[float, float] | None = None,
    crop: str | tuple[int, int, int, int] | None = None,
    workers: int | None = None,
    max_bad: float = 0.05,
    originals: bool = False,
    beside: str = "",
    align: bool | Template = False,
) -> FaceDataset:
    """Load faces, from files or from whatever holds them in memory.

    Images in files are decoded, cropped and resized once; later calls open the cache.

    Args:
        spec: `toy` or `toy:N` (drawn faces, nothing to download), `celeba:DIR` (CelebA's own files), `folder:DIR` (any
            images, also in a zip; class folders or a `metadata.csv` give labels), `hf:DIR` (what `save_to_disk` of
            Hugging Face wrote, or Parquet with a column of images), `wds:DIR` (tar files of a WebDataset), or just a
            path, which is recognised by what is in it; a run folder of augface too. Each path may be an address that
            fsspec knows, such as `s3://bucket/faces`, whose files are copied once. Or what holds faces in memory: an
            array or tensor, a list of PIL images, a data set or loader of torch or Hugging Face, a generator of images
            or of images with labels; see `augface.data.holders.faces_of`.
        labels: of faces in memory, in their order, where they bring none or others are meant: a table, a mapping of
            columns or one column, of True and False, 1 and 0, 1 and -1, or yes and no.
        size: height and width of the faces in pixels. Where not given, 64 for files; faces in memory keep theirs.
        value_range: what is black and what is white in images in memory, such as (-1, 1), where their least and
            greatest numbers do not show it.
        crop: `centre`, `celeba`, or left, top, right, bottom in pixels; the source's own where not given.
        workers: threads that decode; one a core where not given.
        max_bad: the largest share of images that may be unusable. Up to 10 always may, if they are at most half; 0
            allows none.
        originals: whether measures are to look at the whole files in their own size instead; for folders and zips that
            are not cropped.
        beside: the crop of the faces that these are compared with. Where it is `celeba`, files of the shape of CelebA's
            pictures are cropped so, too, unless `crop` says otherwise.
        align: whether the images are photos, in which the faces are to be found, turned upright and cropped alike: as
            CelebA's aligned pictures are, or as a template says (`augface.alignment.like.template_like`). Of several
            faces in a photo the largest is taken; photos without one count as unusable.

    >>> load_data("toy:40").train[0].image.shape
    (64, 64, 3)
    >>> from PIL import Image
    >>> load_data([Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")], labels=["yes", "no"])
    FaceDataset(2 faces of 8 x 8 from array; 1 attribute: label)

    Raises:
        UsageError: a size, crop or spec that does not exist; labels for files, a crop for faces in
            memory, faces to be aligned that are drawn, cropped or in memory.
        DataError: nothing there, labels or images that cannot be understood, too many bad images.
        OutputError: the cache cannot be written.
    """
    if not isinstance(spec, str | os.PathLike):
        from augface.data.holders import faces_of

        if align:
            raise UsageError("align is for photos in files; augface.align takes those in memory.")
        if crop is not None:
            raise UsageError("A crop is for files. Crop faces in memory before, or give a size: the middle is taken.")
        return faces_of(spec, labels, size=None if size is None else checked_size(size), value_range=value_range)
    if labels is not None or value_range is not None:
        raise UsageError(
            f"labels and value_range are for faces in memory; {spec} is read from files, whose labels lie beside them "
            "(docs/inputs.md)."
        )
    size = checked_size(size)
    if not 0 <= max_bad <= 1:
        raise UsageError(f"max_bad is a share from 0 to 1, not {max_bad}.")
    if workers is not None and workers < 1:
        raise UsageError(f"There must be 1 worker or more, not {workers}.")
    place = recognise(spec)
    if align and (place.kind == "toy" or crop is not None):
        raise UsageError("align is for photos in files, and says itself where their faces are: leave crop out.")
    if place.kind == "toy":
        return _load_toyfaces(place.faces, size)
    log.info(f"{spec} is taken for {place}.")

    from augface.alignment.template import CELEBA
    from augface.data.crops import parse_crop
    from augface.data.store import load_images

    listing = read_place(place)
    part = _crop(listing, beside) if crop is None else parse_crop(crop)
    return load_images(
        listing,
        crop=CELEBA if align is True else align or part,
        size=size,
        workers=workers,
        max_bad=max_bad,
        originals=originals and place.kind == "folder" and crop is None and not align,
    )


def preview_data(spec: str | Path, *, size: int | None = None, originals: bool = False) -> FaceDataset:
    """What `load_data` would give, for plans: all labels, black images, and nothing written into the cache.

    Names and label files are read, and a sample of the images, so that those that cannot be used are told of.

    Raises:
        AugfaceError: as `load_data`; all images of the sample are bad.
    """
    size = checked_size(size)
    place = recognise(spec)
    if place.kind == "toy":
        from augface.data.toyfaces import load_toyfaces

        return load_toyfaces(place.faces, size, drawn=False)
    log.info(f"{spec} is taken for {place}.")

    from augface.data.store import without_images

    listing = read_place(place)
    return without_images(listing, size=size, originals=originals and place.kind == "folder")


def checked_size(size: int | None) -> int:
    """The size of faces in pixels, `DEFAULT_SIZE` where None; `UsageError` where it is not one of `SIZES`."""
    size = DEFAULT_SIZE if size is None else size
    if size not in SIZES:
        raise UsageError(f"The size of faces is from {SIZES[0]} to {SIZES[-1]} pixels, not {size}.")
    return size


def read_place(place: Place) -> Listing:
    """What lies there; all that is to be said of it is logged.

    Raises:
        AugfaceError: as `load_data`.
    """
    from augface.data.readers.celeba import read_celeba
    from augface.data.readers.folder import read_folder
    from augface.data.readers.image_tables import read_image_tables
    from augface.data.readers.webdataset import read_webdataset

    readers = {"celeba": read_celeba, "folder": read_folder, "hf": read_image_tables, "wds": read_webdataset}
    if place.address:
        from augface.data.remote import read_copy

        listing = read_copy(place.address, place.local(), readers[place.kind])
    else:
        listing = readers[place.kind](place.path)
    for note in (listing.description, *listing.notes):
        log.info(note)
    for warning in listing.warnings:
        log.warning(warning)
    return listing


def _crop(listing: Listing, beside: str) -> Crop:
    """The listing's own crop, or CelebA's where what it is compared with has that and the pictures have the shape."""
    from augface.data.crops import has_celeba_shape

    if beside != "celeba" or listing.crop == "celeba" or not has_celeba_shape(*listing.files.typical_size):
        return listing.crop
    log.info(f"{listing.spec} has pictures of CelebA's shape, and gets CelebA's crop, as what it is compared with has.")
    return "celeba"


def recognise(spec: str | Path) -> Place:
    """What a spec names.

    Raises:
        UsageError: `toy:` with something that is not a number, or no path.
        UnknownNameError: a prefix that is none of `toy`, `celeba`, `folder`, `hf`, `wds`.
        DataError: a path where nothing is, or nothing that can be read, or more than one thing.
        AugfaceError: an address that cannot be read; see `augface.data.remote.local_copy`.
    """
    text = str(spec)
    if isinstance(spec, Path) and not spec.exists():  # paths have no `//`
        text = PATH_OF_ADDRESS.sub(r"\1\2://", text, count=1)
    prefix, colon, rest = text.partition(":")
    if text == "toy":
        return Place("toy", Path())
    if colon and prefix == "toy":
        if not re.fullmatch(r"\d{1,9}", rest):
            raise UsageError(f"toy:N takes the number of faces, such as toy:2000, not {rest!r}.")
        return Place("toy", Path(), int(rest))
    if not text or (colon and not rest and prefix in SOURCES):
        raise UsageError(f"The data set {text!r} names no path. Say `toy`, `celeba:DIR`, `folder:DIR` or a path.")
    if ADDRESS.match(text):
        return _recognise_address(text)
    for kind in IN_FILES:
        if colon and prefix == kind:
            return _place_elsewhere(kind, rest) if ADDRESS.match(rest) else Place(kind, Path(rest).expanduser())
    path = Path(spec).expanduser()
    if not path.exists():
        if re.fullmatch(r"\w\w+:.*", text):
            raise UnknownNameError("data source", prefix, SOURCES)
        raise DataError(f"There is no data set {text!r}: neither `toy`, nor `celeba:DIR` or `folder:DIR`, nor a path.")
    return _recognise_path(path)


def _place_elsewhere(kind: Kind, text: str) -> Place:
    from augface.data.remote import check_address, on_this_machine

    address = check_address(text)
    path = on_this_machine(address)
    return Place(kind, Path(), address=address) if path is None else Place(kind, path)


def _recognise_address(text: str) -> Place:
    """What is at an address, by its copy; as a part of it where that is CelebA."""
    from augface.data.remote import called_by_address

    place = _place_elsewhere("folder", text)
    path = place.local()
    if not place.address:
        return recognise(path)
    with called_by_address(place.address, path):
        found = _recognise_path(path)
    if not found.path.is_relative_to(path):  # the one file of an address has nothing beside it
        return place._replace(path=path)
    below = found.path.relative_to(path).as_posix()
    return found._replace(address=place.address if below == "." else f"{place.address}/{below}")


def _recognise_path(path: Path) -> Place:
    """A file or a folder by what is in it: CelebA here or where augface writes it, tables, tars, or else images."""
    from augface.data.readers.celeba import is_celeba
    from augface.data.readers.image_tables import is_image_tables
    from augface.data.readers.metadata import FILES
    from augface.data.readers.webdataset import is_webdataset

    if is_image_tables(path):
        return Place("hf", path)
    if is_webdataset(path):
        return Place("wds", path)
    if path.is_file():
        if path.name == "img_align_celeba.zip" and is_celeba(path.parent):
            return Place("celeba", path.parent)
        return Place("folder", path)
    found = [
        Place("celeba", folder) for folder in (path, path / "celeba", path / "dataset" / "celeba") if is_celeba(folder)
    ]
    # augface itself writes metadata.parquet beside CelebA's lists; it says the same, so the two do not compete
    rivals = FILES - {"metadata.parquet"} if is_celeba(path) else FILES
    if not found or any((path / name).is_file() for name in rivals):
        found.append(Place("folder", path))
    if len(found) > 1:
        choices = " or ".join(f"{place.kind}:{place.path}" for place in found)
        raise DataError(f"{path} can be read in more than one way. Say which you mean: {choices}.")
    return found[0]


def _load_toyfaces(count: int | None, size: int) -> FaceDataset:
    from augface.data import toyfaces
    from augface.data.toyfaces.cached import load_rendered

    seed = 0
    return load_rendered(
        "toyfaces",
        {"version": toyfaces.VERSION, "count": count, "size": size, "seed": seed},
        lambda: toyfaces.load_toyfaces(count, size, seed),
    )
