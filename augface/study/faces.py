"""The faces of a study: drawn at random from folders, archives, data sets or generators, and brought to one size."""

from __future__ import annotations

import hashlib
import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from augface.arrays import Pixels
from augface.data import load_data, read_place, recognise
from augface.data.crops import Crop, crop_box
from augface.data.images import MAX_BYTES, BadImage, decode_face, picture_size, quiet_decoding, resize_faces
from augface.data.readers.containers import UnreadableFile
from augface.data.readers.listing import Listing
from augface.data.sources import REAL, SYNTHETIC
from augface.errors import DataError
from augface.generators import find_generator, load_generator
from augface.seeds import derive_seed, random_generator

LOOKED_AT = 64
"""Files whose headers tell how large the pictures of a side are."""
LARGEST = 512
"""Pixels; larger pictures are shown at this size."""
TOY_FACES = 1000
TOY_SIZE = 128
HELD_OUT = ("valid", "test")
CELEBA_SIZES = {(178, 218), (89, 109)}

log = logging.getLogger("augface")


class Source(ABC):
    """Faces of one kind that can be drawn from.

    Attributes:
        name: what to call them.
        spec: what was asked for.
        people: whether they show real people.
        celeba: whether they are CelebA's, as far as can be seen.
        picture: width and height of the pictures as they are, the median.
        side: height and width of the square that is shown of them, in their own pixels.
    """

    name: str
    spec: str
    people: bool
    celeba: bool = False
    picture: tuple[int, int]
    side: int

    @abstractmethod
    def __len__(self) -> int:
        """How many there are."""

    @abstractmethod
    def face(self, row: int, size: int) -> Pixels:
        """One face, uint8 (size, size, 3).

        Raises:
            BadImage: it cannot be used; the text is the reason.
        """

    @abstractmethod
    def called(self, row: int) -> str:
        """What the face is called where it comes from."""


class _Files(Source):
    """Pictures in a folder or an archive."""

    def __init__(self, listing: Listing, crop: Crop, *, real: bool, celeba: bool) -> None:
        self._listing = listing
        self._crop = crop
        self.spec = listing.spec
        self.name = listing.container.path.stem
        self.people = real
        sizes = []
        for member in listing.members[:: max(1, len(listing) // LOOKED_AT)][:LOOKED_AT]:
            try:
                sizes.append(picture_size(listing.container.read(str(member), MAX_BYTES)))
            except (BadImage, UnreadableFile):
                continue
        if not sizes:
            raise DataError(f"None of the pictures of {listing.container.path} that were looked at can be read.")
        width, height = (int(number) for number in np.median(sizes, axis=0))
        self.picture = (width, height)
        self.celeba = celeba or (real and sizes.count(self.picture) == len(sizes) and self.picture in CELEBA_SIZES)
        left, _, right, _ = crop_box(crop, width, height)
        self.side = int(right - left)

    def __len__(self) -> int:
        return len(self._listing)

    def face(self, row: int, size: int) -> Pixels:
        try:
            content = self._listing.container.read(str(self._listing.members[row]), MAX_BYTES)
            if min(picture_size(content)) < size * 0.9 and self.side >= size:
                raise BadImage("it is smaller than the others")
            return decode_face(content, self._crop, size)
        except UnreadableFile as error:
            raise BadImage(str(error)) from error

    def called(self, row: int) -> str:
        return str(self._listing.names[row])


class _Array(Source):
    """Faces in memory, square and of one size."""

    def __init__(self, faces: Pixels, names: npt.NDArray[np.str_], *, name: str, spec: str) -> None:
        self._faces, self._names = faces, names
        self.name, self.spec, self.people = name, spec, False
        self.side = faces.shape[1]
        self.picture = (self.side, self.side)

    def __len__(self) -> int:
        return len(self._faces)

    def face(self, row: int, size: int) -> Pixels:
        face = self._faces[row : row + 1]
        sized: Pixels = (face if size == self.side else resize_faces(face, size))[0]
        return sized

    def called(self, row: int) -> str:
        return str(self._names[row])


def open_source(spec: str, *, real: bool, most: int, crop: Crop | None = None, seed: int = 0) -> Source:
    """What a user names: `toy`, `celeba:DIR`, `folder:DIR`, a path, or the folder of a run or generator to draw from.

    Args:
        spec: as `load_data` takes it.
        real: whether real faces are wanted. Held-out ones are taken where there are splits; of a data set that augface
            wrote, the real ones or the others.
        most: how many faces to draw from a generator.
        crop: which part of each picture is the face; the data set's own way where None.
        seed: of a generator's draws.

    Raises:
        AugfaceError: there is nothing that can be used.
    """
    folder = Path(spec).expanduser()
    if not real and find_generator(folder) is not None:
        generator = load_generator(folder)
        count = min(most, generator.available())
        log.info("%s holds the generator %s: %d faces are drawn.", spec, generator.name, count)
        drawn = generator.sample(count, seed=derive_seed(seed, "study"))
        return _Array(np.asarray(drawn.images), drawn.names, name=folder.name, spec=spec)
    place_found = recognise(spec)
    if place_found.kind == "toy":
        toy = load_data(f"toy:{place_found.faces or TOY_FACES}", size=TOY_SIZE)
        kept = np.flatnonzero(np.isin(toy.split, HELD_OUT)) if toy.split is not None else np.arange(len(toy))
        return _Array(toy.images[kept], toy.names[kept], name="toy", spec=toy.source.spec)
    celeba = place_found.kind == "celeba"
    listing = read_place(place_found)
    return _Files(_wanted(listing, real=real), crop or listing.crop, real=real, celeba=celeba)


def _wanted(listing: Listing, *, real: bool) -> Listing:
    """Of real faces those that no generator has learnt from, as far as splits and sources tell."""
    if listing.factors is not None and "source" in listing.factors:
        mask = listing.factors["source"].isin(REAL if real else SYNTHETIC).to_numpy(dtype=np.bool_)
        if mask.any():
            listing = listing.select(mask)
    if real and listing.split is not None:
        mask = np.isin(listing.split, HELD_OUT)
        if mask.any():
            listing = listing.select(mask)
    return listing


@dataclass(frozen=True)
class Drawn:
    """Faces of one kind, drawn at random.

    Attributes:
        faces: uint8 (N, size, size, 3).
        names: what each is called.
        left_out: why faces were passed over, and how many.
    """

    faces: Pixels
    names: list[str]
    left_out: dict[str, int]

    @property
    def content_hash(self) -> str:
        """SHA-256 over the pixels."""
        return hashlib.sha256(np.ascontiguousarray(self.faces).data).hexdigest()


def draw(source: Source, count: int, size: int, seen: set[bytes], seed: int) -> Drawn:
    """Up to `count` faces in random order, without those that cannot be read or that are there already.

    Args:
        source: the faces of one kind.
        count: how many are wanted.
        size: their height and width in pixels.
        seen: hashes of the faces that were drawn before; the new ones are added.
        seed: of the order.
    """
    faces: list[Pixels] = []
    names: list[str] = []
    left_out: dict[str, int] = {}
    with quiet_decoding():
        for row in random_generator(seed, "faces", source.spec).permutation(len(source)):
            if len(faces) == count:
                break
            try:
                face = source.face(int(row), size)
                digest = hashlib.sha256(face.tobytes()).digest()
                if digest in seen:
                    raise BadImage("the same picture again")
            except BadImage as error:
                reason = str(error).split(":")[0]
                left_out[reason] = left_out.get(reason, 0) + 1
                continue
            seen.add(digest)
            faces.append(face)
            names.append(source.called(int(row)))
    stacked = np.stack(faces) if faces else np.empty((0, size, size, 3), dtype=np.uint8)
    return Drawn(stacked, names, left_out)
