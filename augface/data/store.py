"""The image cache: every image is decoded once, into a memory-mapped array that the next start just opens.

An entry is a folder, named by what determines its pixels:

    images.npy       uint8 (N, size, size, 3); rows of bad images stay black and are never shown
    progress.jsonl   one line a finished chunk, with its checksum and bad images: what a restart goes on from
    bad.json         the images that could not be used, each with its reason
    entry.json       what it is; `pixels` (a checksum) stands in it once all is there, and what shows that it still is
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np

from augface.alignment.template import VERSION, Template
from augface.arrays import Pixels
from augface.cache import check_space, open_entry, prepare_cache, read_entry, touch, write_entry
from augface.data.crops import Crop, crop_name, crop_side
from augface.data.dataset import FaceDataset, Source
from augface.data.images import DECODER, BadImage, decode_face, decode_picture, image_content, quiet_decoding
from augface.data.pixels import ImageRows, blank_images
from augface.data.readers.containers import UnreadableFile, some
from augface.data.readers.listing import Listing
from augface.errors import DataError, OutputError
from augface.files import atomic_write, cache_dir, output_errors
from augface.progress import progress
from augface.threads import cores, in_order

CHUNK_BYTES = 6_000_000
"""Pixels of one chunk, the unit of parallel work and of what a killed start loses."""
SAMPLE = 64
"""Images that a plan looks at."""
PIXELS = "images.npy"
TOLERATED = 10
"""Bad images that are always tolerated, unless they are more than half of all."""

log = logging.getLogger("augface")


@dataclass(frozen=True)
class Chunk:
    """What is known of one finished chunk."""

    sha256: str
    bad: dict[int, str]
    """Row numbers of the images that cannot be used, and why."""


def load_images(
    listing: Listing,
    *,
    crop: Crop | Template,
    size: int,
    workers: int | None = None,
    max_bad: float = 0.05,
    originals: bool = False,
) -> FaceDataset:
    """The faces of a listing, through the cache. Images that cannot be used are skipped, with a warning.

    Args:
        listing: what a reader found.
        crop: which part of each image is the face, or where the points of its face are to lie.
        size: height and width of the faces in pixels.
        workers: threads that decode; as many as there are cores where not given.
        max_bad: the largest share of images that may be bad. Up to `TOLERATED` always may, if they are at most half;
            0 allows none.
        originals: whether measures are to look at the files themselves, in their own size.

    Raises:
        DataError: too many images are bad.
        OutputError: the cache cannot be written.
    """
    folder = cache_dir() / "images" / _key(listing, crop, size)
    allowed = int(max(max_bad * len(listing), min(TOLERATED, len(listing) // 2))) if max_bad > 0 else 0
    stored = _open(folder, (len(listing), size, size, 3))
    if stored is None:
        if read_entry(folder).get("files"):
            log.warning(f"The cached images in {folder} are damaged; what is damaged is read again.")
        with output_errors(folder):
            _ingest(folder, listing, crop, size, workers or cores(), allowed)
        stored = _open(folder, (len(listing), size, size, 3))
        if stored is None:
            raise OutputError(f"The cache entry {folder} vanished or changed while it was written. Try again.")
    touch(folder)
    entry = read_entry(folder)
    bad = {int(row): str(reason) for row, reason in entry["bad"].items()}
    _check_bad(folder, listing, bad, allowed)
    if bad:
        log.warning(f"{len(bad):,} of {len(listing):,} images cannot be used and are skipped: {_named(listing, bad)}.")
    good = np.setdiff1d(np.arange(len(listing), dtype=np.int64), np.array(list(bad), dtype=np.int64))
    kept = listing.select(np.isin(np.arange(len(listing)), good)) if bad else listing
    faces = _as_dataset(kept, ImageRows(stored, good), crop, _content_hash(entry["pixels"], kept))
    return replace(faces, originals=kept.files) if originals else faces


def without_images(listing: Listing, *, size: int, originals: bool = False) -> FaceDataset:
    """The faces of a listing with black images, as far as names, labels and a sample of the files say.

    Raises:
        DataError: all files of the sample are bad.
    """
    rows = np.unique(np.linspace(0, len(listing) - 1, SAMPLE).astype(np.int64))
    bad = {}
    with quiet_decoding():
        for row in rows.tolist():
            try:
                with image_content(listing.container, str(listing.members[row])) as content:
                    decode_face(content, listing.crop, size)
            except (UnreadableFile, BadImage) as error:
                bad[row] = str(error)
    if bad:
        found = f"{len(bad):,} of {len(rows):,} images that were looked at cannot be used: {_named(listing, bad)}."
        if len(bad) == len(rows):
            raise DataError(f"{listing.spec}: {found} Give images that can be opened.")
        log.warning(f"{listing.spec}: {found}")
    faces = _as_dataset(listing, blank_images(len(listing), size), listing.crop, "")
    return replace(faces, originals=listing.files) if originals else faces


def _as_dataset(listing: Listing, images: ImageRows, crop: Crop | Template, content_hash: str) -> FaceDataset:
    if isinstance(crop, Template):
        part, detail = crop.name, None
    else:
        size = listing.files.typical_size
        part, detail = crop_name(crop, *size), crop_side(crop, *size)
    return FaceDataset(
        images=images,
        attributes=listing.attributes,
        identity=listing.identity,
        split=listing.split,
        source=Source(
            listing.spec,
            content_hash,
            terms=listing.terms,
            citation=listing.citation,
            crop=part,
            detail=detail,
        ),
        names=listing.names,
        factors=listing.factors,
    )


def _face(content: bytes, crop: Crop | Template, size: int) -> Pixels:
    """One face; raises `BadImage` where there is none."""
    if not isinstance(crop, Template):
        return decode_face(content, crop, size)
    from augface.alignment.aligned import FaceRefused, align_photo

    try:
        return align_photo(decode_picture(content), crop, size).pixels
    except FaceRefused as refusal:
        raise BadImage(str(refusal)) from refusal


def _key(listing: Listing, crop: Crop | Template, size: int) -> str:
    """What determines the pixels: which files, by name, size and time or checksum, and what is made of them."""
    part = ["aligned", VERSION, crop.points.tolist()] if isinstance(crop, Template) else crop
    digest = hashlib.sha256(json.dumps([DECODER, "lanczos", part, size, CHUNK_BYTES]).encode())
    for member in listing.members.tolist():
        digest.update(f"{member}\n{listing.container.names[member]}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _content_hash(pixels: str, listing: Listing) -> str:
    digest = hashlib.sha256(f"{pixels} {list(listing.attributes.columns)}".encode())
    digest.update(listing.attributes.astype("Int8").fillna(-1).to_numpy(dtype=np.int8).tobytes())
    for column in (listing.identity, listing.split):
        digest.update(b"-" if column is None else column.tobytes())
    return digest.hexdigest()


def _open(folder: Path, shape: tuple[int, int, int, int]) -> Pixels | None:
    """The pixels of a finished entry; None where there is none or it is broken."""
    if open_entry(folder) is None:
        return None
    try:
        stored: Pixels = np.load(folder / PIXELS, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return stored if stored.shape == shape and stored.dtype == np.uint8 else None


def _ingest(folder: Path, listing: Listing, crop: Crop | Template, size: int, workers: int, allowed: int) -> None:
    """Decode what is missing of an entry, and finish it.

    Two processes may do this at the same time: they write the same bytes to the same places, and neither shortens
    what the other has written. Writing goes through the file and not through a map, where a full disk kills.
    """
    prepare_cache()
    folder.mkdir(parents=True, exist_ok=True)
    rows_a_chunk = max(1, CHUNK_BYTES // (size * size * 3))
    chunks = [range(start, min(start + rows_a_chunk, len(listing))) for start in range(0, len(listing), rows_a_chunk)]
    pixels = _PixelFile(folder / PIXELS, (len(listing), size, size, 3))
    done = _finished(folder, chunks, pixels)
    todo = [number for number in range(len(chunks)) if number not in done]
    check_space(folder, sum(len(chunks[number]) for number in todo) * size * size * 3, "The image cache")
    description = f"{listing.spec}, {len(listing):,} images of {size} x {size}"
    try:
        write_entry(folder, f"{description}, unfinished")
        pixels.allocate()
        bar = progress(
            total=len(listing),
            initial=sum(len(chunks[number]) for number in done),
            unit=" images",
            desc="reading",
        )
        with bar, quiet_decoding(), (folder / "progress.jsonl").open("ab", buffering=0) as journal:
            for number, faces, bad in _decoded(listing, chunks, todo, crop, size, workers):
                pixels.write(chunks[number].start, faces)
                done[number] = Chunk(hashlib.sha256(faces.data).hexdigest(), bad)
                # The line begins with a line break, so that one that was cut short spoils no other.
                journal.write(b"\n" + json.dumps({"chunk": number, **vars(done[number])}).encode())
                bar.update(len(faces))
                if bad:
                    _check_bad(folder, listing, _all_bad(done), allowed)
        _write_bad(folder, listing, _all_bad(done))
        write_entry(
            folder,
            description,
            files=[PIXELS],
            pixels=hashlib.sha256("".join(done[number].sha256 for number in sorted(done)).encode()).hexdigest(),
            bad=_all_bad(done),
        )
    except (OSError, OutputError):
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _decoded(
    listing: Listing, chunks: list[range], todo: list[int], crop: Crop | Template, size: int, workers: int
) -> Iterator[tuple[int, Pixels, dict[int, str]]]:
    """Number, faces and bad rows of each chunk to do, in order; only a few are in memory at a time.

    Threads, as Pillow decodes and resizes outside Python's lock: nearly as fast as processes, and nothing to start.
    """

    def decode(number: int) -> tuple[int, Pixels, dict[int, str]]:
        faces = np.zeros((len(chunks[number]), size, size, 3), dtype=np.uint8)
        bad = {}
        for position, row in enumerate(chunks[number]):
            try:
                with image_content(listing.container, str(listing.members[row])) as content:
                    faces[position] = _face(content, crop, size)
            except (UnreadableFile, BadImage) as error:
                bad[row] = str(error)
        return number, faces, bad

    yield from in_order(decode, todo, workers=workers, ahead=2 * workers)


class _PixelFile:
    """`images.npy`, written and read in pieces."""

    def __init__(self, path: Path, shape: tuple[int, int, int, int]) -> None:
        header = BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
        self.path = path
        self.header = header.getvalue()
        self.shape = shape
        self.row_bytes = shape[1] * shape[2] * shape[3]

    def allocate(self) -> None:
        """Give the file its full length and header, and keep the pixels that it has."""
        with open(os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b") as file:
            file.truncate(len(self.header) + self.shape[0] * self.row_bytes)
            file.write(self.header)

    def write(self, row: int, faces: Pixels) -> None:
        """Write rows from `row` on."""
        with self.path.open("r+b") as file:
            file.seek(len(self.header) + row * self.row_bytes)
            file.write(faces.data)

    def read(self, rows: range) -> bytes:
        """The bytes of some rows, fewer where the file ends before."""
        with self.path.open("rb") as file:
            file.seek(len(self.header) + rows.start * self.row_bytes)
            return file.read(len(rows) * self.row_bytes)


def _finished(folder: Path, chunks: list[range], pixels: _PixelFile) -> dict[int, Chunk]:
    """The chunks of an earlier start whose pixels are there as they were written."""
    done = {}
    try:
        lines = (folder / "progress.jsonl").read_bytes().splitlines()
        for line in filter(None, lines):
            chunk = _parse(line)
            if chunk is None or not 0 <= chunk[0] < len(chunks) or chunk[0] in done:
                continue
            if hashlib.sha256(pixels.read(chunks[chunk[0]])).hexdigest() == chunk[1].sha256:
                done[chunk[0]] = chunk[1]
    except FileNotFoundError:
        return {}
    return done


def _parse(line: bytes) -> tuple[int, Chunk] | None:
    try:
        fields = json.loads(line)
        bad = {int(row): str(reason) for row, reason in fields["bad"].items()}
        return int(fields["chunk"]), Chunk(str(fields["sha256"]), bad)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):  # cut short when the process was killed
        return None


def _all_bad(done: dict[int, Chunk]) -> dict[int, str]:
    return {row: reason for number in sorted(done) for row, reason in done[number].bad.items()}


def _check_bad(folder: Path, listing: Listing, bad: dict[int, str], allowed: int) -> None:
    """Refuse bad images where they are too many.

    Raises:
        DataError: more are bad than are allowed, or all are.
    """
    if len(bad) > allowed or len(bad) == len(listing):
        _write_bad(folder, listing, bad)
        raise DataError(
            f"At least {len(bad):,} of the {len(listing):,} images of {listing.spec} cannot be used, and {allowed:,} "
            f"may be bad (max_bad): {_named(listing, bad)}. All that were found are listed in {folder / 'bad.json'}."
        )


def _named(listing: Listing, bad: dict[int, str]) -> str:
    return some([f"{listing.names[row]} ({reason})" for row, reason in bad.items()])


def _write_bad(folder: Path, listing: Listing, bad: dict[int, str]) -> None:
    rows = [{"name": str(listing.names[row]), "reason": reason} for row, reason in bad.items()]
    atomic_write(folder / "bad.json", json.dumps(rows, indent=1) + "\n")
