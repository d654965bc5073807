"""Faces from anywhere: `load_data` reads what a spec names, through the image cache."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from augface.errors import DataError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from augface.data.crops import Crop
    from augface.data.dataset import FaceDataset
    from augface.data.readers.listing import Listing

DEFAULT_SIZE = 64
SIZES = range(8, 1025)
SOURCES = ("toy", "celeba", "folder")

log = logging.getLogger("augface")


class Place(NamedTuple):
    """What a spec was taken for."""

    kind: Literal["toy", "celeba", "folder"]
    path: Path
    """The folder or zip; unused for `toy`."""
    faces: int | None = None
    """How many faces; for `toy` only."""

    def __str__(self) -> str:
        if self.kind == "toy":
            return "ToyFaces, the embedded data set of drawn faces"
        if self.kind == "celeba":
            return f"CelebA files in {self.path}"
        return f"images in the {'zip archive' if self.path.is_file() else 'folder'} {self.path}"


def load_data(
    spec: str | Path,
    *,
    size: int | None = None,
    crop: str | tuple[int, int, int, int] | None = None,
    workers: int | None = None,
    max_bad: float = 0.05,
    originals: bool = False,
    beside: str = "",
) -> FaceDataset:
    """Load faces. Images are decoded, cropped and resized once; later calls open the cache.

    Args:
        spec: `toy` or `toy:N` (drawn faces, nothing to download), `celeba:DIR` (CelebA's own files), `folder:DIR` (any
            images, also in a zip; class folders or a `metadata.csv` give labels), or just a path, which is recognised
            by what is in it; a run folder of augface too.
        size: height and width of the faces in pixels; 64 where not given.
        crop: `centre`, `celeba`, or left, top, right, bottom in pixels; the source's own where not given.
        workers: threads that decode; one a core where not given.
        max_bad: the largest share of images that may be unusable. Up to 10 always may, if they are at most half; 0
            allows none.
        originals: whether measures are to look at the whole files in their own size instead; for folders and zips that
            are not cropped.
        beside: the crop of the faces that these are compared with. Where it is `celeba`, files of the shape of CelebA's
            pictures are cropped so, too, unless `crop` says otherwise.

    Raises:
        UsageError: a size, crop or spec that does not exist.
        DataError: nothing there, labels that cannot be understood, too many bad images.
        OutputError: the cache cannot be written.
    """
    size = _checked_size(size)
    if not 0 <= max_bad <= 1:
        raise UsageError(f"max_bad is a share from 0 to 1, not {max_bad}.")
    if workers is not None and workers < 1:
        raise UsageError(f"There must be 1 worker or more, not {workers}.")
    place = recognise(spec)
    if place.kind == "toy":
        return _load_toyfaces(place.faces, size)
    log.info(f"{spec} is taken for {place}.")

    from augface.data.crops import parse_crop
    from augface.data.store import load_images

    listing = _read(place)
    return load_images(
        listing,
        crop=_crop(listing, beside) if crop is None else parse_crop(crop),
        size=size,
        workers=workers,
        max_bad=max_bad,
        originals=originals and place.kind == "folder" and crop is None,
    )


def preview_data(spec: str | Path, *, size: int | None = None, originals: bool = False) -> FaceDataset:
    """What `load_data` would give, for plans: all labels, black images, and nothing written into the cache.

    Names and label files are read, and a sample of the images, so that those that cannot be used are told of.

    Raises:
        AugfaceError: as `load_data`; all images of the sample are bad.
    """
    size = _checked_size(size)
    place = recognise(spec)
    if place.kind == "toy":
        from augface.data.toyfaces import load_toyfaces

        return load_toyfaces(place.faces, size, drawn=False)
    log.info(f"{spec} is taken for {place}.")

    from augface.data.store import without_images

    listing = _read(place)
    return without_images(listing, size=size, originals=originals and place.kind == "folder")


def _checked_size(size: int | None) -> int:
    size = DEFAULT_SIZE if size is None else size
    if size not in SIZES:
        raise UsageError(f"The size of faces is from {SIZES[0]} to {SIZES[-1]} pixels, not {size}.")
    return size


def _read(place: Place) -> Listing:
    """What lies there, with all that is to be said of it."""
    from augface.data.readers.celeba import read_celeba
    from augface.data.readers.folder import read_folder

    listing = read_celeba(place.path) if place.kind == "celeba" else read_folder(place.path)
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
        UnknownNameError: a prefix that is none of `toy`, `celeba`, `folder`.
        DataError: a path where nothing is, or nothing that can be read, or more than one thing.
    """
    text = str(spec)
    prefix, colon, rest = text.partition(":")
    if text == "toy":
        return Place("toy", Path())
    if colon and prefix == "toy":
        if not re.fullmatch(r"\d{1,9}", rest):
            raise UsageError(f"toy:N takes the number of faces, such as toy:2000, not {rest!r}.")
        return Place("toy", Path(), int(rest))
    if text in ("", "celeba:", "folder:"):
        raise UsageError(f"The data set {text!r} names no path. Say `toy`, `celeba:DIR`, `folder:DIR` or a path.")
    if colon and prefix == "celeba":
        return Place("celeba", Path(rest).expanduser())
    if colon and prefix == "folder":
        return Place("folder", Path(rest).expanduser())
    path = Path(spec).expanduser()
    if not path.exists():
        if re.fullmatch(r"\w\w+:.*", text):
            raise UnknownNameError("data source", prefix, SOURCES)
        raise DataError(f"There is no data set {text!r}: neither `toy`, nor `celeba:DIR` or `folder:DIR`, nor a path.")
    return _recognise_path(path)


def _recognise_path(path: Path) -> Place:
    """A zip or a folder by what is in it: CelebA here or where augface writes it, or else images."""
    from augface.data.readers.celeba import is_celeba
    from augface.data.readers.metadata import FILES

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
