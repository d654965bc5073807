"""From the bytes of one file to one face: decoded, upright, RGB, cropped, resized. Hostile files end as a reason.

What becomes of unusual images: greyscale, palette and CMYK are converted; 16 bits are scaled to 8; transparent parts
become white; the EXIF orientation is followed where it can be read; of an animation or a multi-page file the first
picture counts; colour profiles, texts and whatever else is no pixel are ignored, so that no fault in them costs a
picture. JPEG's reduced-size decoding is not used, so a face does not depend on the size of its file's blocks.
"""

from __future__ import annotations

import io
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from augface.arrays import Pixels
from augface.data.crops import Crop, crop_box
from augface.data.pixels import ImageRows
from augface.errors import DataError
from augface.threads import Allowance

if TYPE_CHECKING:
    from augface.data.readers.containers import Container

DECODER = "2"
"""Goes up when the same file would give other pixels; part of the key of every cached image."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
MAX_PIXELS = 100_000_000
MAX_BYTES = 512_000_000
LARGE = 16_000_000
MOST_PIXELS_A_BYTE = 1_000
"""Pixels to a byte of the file, beyond which a large image is none: the emptiest photographs have a few."""
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture of each EXIF orientation upright."""
PNG = b"\x89PNG\r\n\x1a\n"
PNG_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
"""The parts of a PNG file that make its pixels."""
LFS_POINTER = b"version https://git-lfs"
SIGNATURES = re.compile(rb"\xff\xd8\xff|\x89PNG|RIFF....WEBP|BM|GIF8|II[*+]\0|MM\0[*+]|P[1-7fF]\s", re.DOTALL)
"""How files of the known formats begin."""
MEMORY = Allowance(500_000_000)
"""Bytes of files and pixels that all threads together decode at a time; a larger image has its turn alone."""
SMALL = 4_000_000
"""Bytes of a file that is read whole before its header is looked at."""
UNKNOWN = 64_000_000
"""Bytes of a file that is read although its header cannot be."""


class BadImage(Exception):
    """An image that cannot be used; the text is the reason."""


def decode_face(content: bytes, crop: Crop, size: int) -> Pixels:
    """One face, uint8 (size, size, 3), RGB, resized with the Lanczos filter over the whole area (no aliasing).

    Call it within `quiet_decoding()`.

    Raises:
        BadImage: not an image, broken or cut short, larger than `MAX_PIXELS`, or smaller than the crop.
    """
    with _decoded(content) as picture:
        try:
            box = crop_box(crop, *picture.size)
        except DataError as error:  # the crop does not lie in it
            raise BadImage(str(error)) from error
        return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS, box=box))


def resize_faces(faces: Pixels | ImageRows, size: int) -> Pixels:
    """Faces, uint8 (N, H, W, 3), as (N, size, size, 3): the square in the middle, resized as `decode_face` does."""
    box = crop_box("centre", faces.shape[2], faces.shape[1])
    pictures = (Image.fromarray(faces[row]) for row in range(len(faces)))
    return np.stack(
        [np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS, box=box)) for picture in pictures]
    )


def decode_picture(content: bytes) -> Pixels:
    """The whole picture in its own size, uint8 (H, W, 3), RGB. Within `quiet_decoding()`; raises as `decode_face`."""
    with _decoded(content) as picture:
        return np.array(picture)  # of its own, which may be written to


def picture_size(content: bytes) -> tuple[int, int]:
    """Width and height in the file's header, without decoding it; raises as `decode_face`."""
    with _opened(content) as image:
        width, height = image.size
        return width, height


@contextmanager
def image_content(container: Container, name: str) -> Iterator[bytes]:
    """The bytes of an image file, within the memory that all threads share.

    Header first: what is no image, or a too large one, is not read at all.

    Raises:
        UnreadableFile: it cannot be read, or is longer than `MAX_BYTES`.
        BadImage: its header is not that of an image that could be decoded.
    """
    size = container.size(name)
    if size <= SMALL or size > MAX_BYTES:
        yield container.read(name, MAX_BYTES)
        return
    with container.open(name) as stream:
        needed = _needed_by_header(stream, size)
    with MEMORY.taken(size + needed):
        yield container.read(name, MAX_BYTES)


def _needed_by_header(stream: BinaryIO, size: int) -> int:
    """Bytes that it takes to decode a file of this size, as its header says."""
    try:
        if not SIGNATURES.match(stream.read(16)):
            raise BadImage("not an image of a known format")
        stream.seek(0)
        with Image.open(stream, formats=FORMATS) as image:
            return _needed(image, size)
    except BadImage:
        raise
    except Image.DecompressionBombError as error:
        raise BadImage(f"more than {MAX_PIXELS // 1_000_000} million pixels") from error
    except Exception as error:  # its decoder may get along with what is wrong here
        if size > UNKNOWN:
            raise BadImage(f"broken: {str(error) or type(error).__name__}") from error
        return MEMORY.amount


def _needed(image: Image.Image, size: int) -> int:
    """Bytes that it takes to decode an image whose header was read, from a file of this size.

    Raises:
        BadImage: it has too many pixels.
    """
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BadImage(f"{width:,} x {height:,} pixels are more than {MAX_PIXELS // 1_000_000} million")
    if width * height > max(LARGE, MOST_PIXELS_A_BYTE * size):
        raise BadImage(f"{width:,} x {height:,} pixels in {size:,} bytes are no photograph")
    copies = 1 + (image.mode != "RGB") + 2 * image.has_transparency_data + ("exif" in image.info)
    return 4 * width * height * copies


def header_size(stream: BinaryIO) -> tuple[int, int]:
    """Width and height in the header at the start of a file; 0 where it cannot be read, but perhaps by its decoder."""
    try:
        with Image.open(stream, formats=FORMATS) as image:
            width, height = image.size
            return width, height
    except Exception:
        return 0, 0


@contextmanager
def _decoded(content: bytes) -> Iterator[Image.Image]:
    """The upright RGB picture; whatever decoders raise on files that are broken, or made to break them, is a reason."""
    with _opened(content) as image, MEMORY.taken(_needed(image, len(content))):
        yield to_rgb(_upright(image))


@contextmanager
def _opened(content: bytes) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(_pixels_only(content)), formats=FORMATS) as image:
            yield image
    except BadImage:
        raise
    except UnidentifiedImageError as error:
        raise BadImage(_not_an_image(content)) from error
    except Image.DecompressionBombError as error:
        raise BadImage(f"more than {MAX_PIXELS // 1_000_000} million pixels") from error
    except Exception as error:  # decoders raise almost anything on files that are broken or made to break them
        raise BadImage(f"broken: {str(error) or type(error).__name__}") from error


def _not_an_image(content: bytes) -> str:
    if content.startswith(LFS_POINTER):
        return "only a pointer to a file in Git LFS: `git lfs pull` gets it"
    return "not an image of a known format" if content else "empty file"


def _pixels_only(content: bytes) -> bytes:
    """A PNG file without the parts that are no pixels; any other file as it is."""
    if not content.startswith(PNG):
        return content
    kept, start = [PNG], len(PNG)
    while start + 8 <= len(content):
        length, kind = int.from_bytes(content[start : start + 4], "big"), content[start + 4 : start + 8]
        end = start + 12 + length
        if kind in PNG_CHUNKS or (kind == b"eXIf" and _checksum_fits(content[start + 4 : end])):
            kept.append(content[start:end])
        start = end
    return b"".join(kept) if len(kept) > 1 else content


def _checksum_fits(chunk: bytes) -> bool:
    return zlib.crc32(chunk[:-4]) == int.from_bytes(chunk[-4:], "big")


@contextmanager
def quiet_decoding() -> Iterator[None]:
    """Silence Pillow's warnings, which every bad image brings as an error too. Enter it once, around all threads."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _upright(image: Image.Image) -> Image.Image:
    image.load()  # what is broken in the pixels is no matter of EXIF
    try:
        orientation = image.getexif().get(ORIENTATION)
    except Exception:  # a broken block of EXIF data makes its readers raise almost anything
        return image
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture in RGB, transparent parts white, 16 bits scaled to 8; see the module."""
    if image.mode == "RGB" and "transparency" not in image.info:
        image.load()
        return image
    if image.mode == "F":
        raise BadImage("its pixels are floating-point numbers, which say not what is white")
    if image.mode.startswith("I"):
        grey = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
        return Image.fromarray(np.round(grey / 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        face = image.convert("RGBA")
        white = Image.new("RGB", face.size, "white")
        white.paste(face, mask=face.getchannel("A"))
        return white
    return image.convert("RGB")
