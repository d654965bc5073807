"""One image file: what becomes of unusual ones, and why broken ones are refused."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from augface.data.crops import crop_box, parse_crop
from augface.data.images import BadImage, decode_face, decode_picture, quiet_decoding
from augface.errors import UsageError


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def decoded(content: bytes, size: int = 8) -> Any:
    with quiet_decoding():
        return decode_face(content, "centre", size)


def colour(content: bytes) -> tuple[int, ...]:
    """The middle of the decoded image."""
    face = decoded(content)
    assert face.shape == (8, 8, 3)
    assert face.dtype == np.uint8
    return tuple(int(value) for value in face[4, 4])


def test_greyscale_becomes_rgb() -> None:
    assert colour(encoded(Image.new("L", (20, 20), 77))) == (77, 77, 77)


def test_one_bit_becomes_rgb() -> None:
    assert colour(encoded(Image.new("1", (20, 20), 1))) == (255, 255, 255)


def test_cmyk_jpeg_becomes_rgb() -> None:
    red, green, blue = colour(encoded(Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "JPEG"))
    assert red > 230
    assert max(green, blue) < 40


def test_palette_becomes_rgb() -> None:
    assert colour(encoded(Image.new("RGB", (20, 20), (10, 200, 30)).quantize(4), "GIF")) == (10, 200, 30)


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    grey = Image.fromarray(np.full((20, 20), 128 * 257, dtype=np.uint16))
    assert colour(encoded(grey)) == (128, 128, 128)
    assert colour(encoded(grey, "TIFF")) == (128, 128, 128)


def test_transparent_parts_become_white() -> None:
    assert colour(encoded(Image.new("RGBA", (20, 20), (0, 0, 0, 0)))) == (255, 255, 255)
    assert colour(encoded(Image.new("LA", (20, 20), (0, 0)))) == (255, 255, 255)
    assert colour(encoded(Image.new("RGBA", (20, 20), (9, 8, 7, 255)))) == (9, 8, 7)
    palette = Image.new("P", (20, 20), 0)
    assert colour(encoded(palette, transparency=0)) == (255, 255, 255)


def test_exif_orientation_is_followed() -> None:
    image = Image.new("RGB", (16, 16), "white")
    image.paste("black", (0, 0, 16, 8))  # black above
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees: what is above goes to the right
    face = decoded(encoded(image, "JPEG", exif=exif, quality=95)).astype(int)
    assert face[:, 6:].mean() < 40
    assert face[:, :2].mean() > 215


def test_large_pictures_are_reduced_without_aliasing() -> None:
    stripes = np.zeros((512, 512, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    assert abs(decoded(encoded(Image.fromarray(stripes))).astype(int) - 127).max() <= 3


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 9) + b"IDAT"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"this is a text", "not an image"),
        (b"%PDF-1.4 ...", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (png_header(12_000, 9_000), "100 million"),
        (png_header(60_000, 60_000), "100 million"),
        (encoded(Image.effect_noise((64, 64), 50), "JPEG")[:-700], "broken"),
        (encoded(Image.effect_noise((64, 64), 50))[:-700], "broken"),
        (encoded(Image.new("F", (20, 20), 0.5), "TIFF"), "floating-point"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
    ],
    ids=["empty", "text", "pdf", "eps", "huge", "bomb", "truncated jpeg", "truncated png", "float", "pointer"],
)
def test_bad_files_end_with_a_reason(content: bytes, reason: str) -> None:
    with pytest.raises(BadImage, match=reason):
        decoded(content)


def test_celeba_crop_is_the_same_share_at_every_size() -> None:
    assert crop_box("celeba", 89, 109) == (6, 19, 83, 96)
    left, top, right, bottom = crop_box("celeba", 178, 218)
    assert (left, top, right, bottom) == (12, 38, 166, 192)
    assert (top + bottom) / 2 == 218 / 2 + 6


def test_celeba_crop_of_other_shapes_is_a_square_inside() -> None:
    assert crop_box("celeba", 64, 64) == (0, 0, 64, 64)
    for width, height in ((300, 100), (100, 300), (90, 109)):
        left, top, right, bottom = crop_box("celeba", width, height)
        assert right - left == pytest.approx(bottom - top)
        assert min(left, top) >= 0
        assert right <= width
        assert bottom <= height


def test_crops_are_parsed_or_refused() -> None:
    assert parse_crop("center") == "centre"
    assert parse_crop("1,2,11,12") == (1, 2, 11, 12)
    for wrong in ("faces", "1,2,3", "0,0,10,20", (5, 5, 5, 5), (-1, 0, 9, 10)):
        with pytest.raises(UsageError, match="crop"):
            parse_crop(wrong)


def test_a_crop_beyond_the_picture_is_refused() -> None:
    with quiet_decoding(), pytest.raises(BadImage, match="does not lie"):
        decode_face(encoded(Image.new("RGB", (20, 20))), (0, 0, 30, 30), 8)


def chunk(kind: bytes, data: bytes, *, checksum: int | None = None) -> bytes:
    found = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", found)


@pytest.mark.parametrize(
    "fault",
    [
        chunk(b"eXIf", b"\0\x08\0\x02\x01\x12\0\x03"),
        chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1", checksum=1),
        chunk(b"tEXt", b"Software\0x", checksum=1),
        chunk(b"zTXt", b"prompt\0\0" + zlib.compress(b"x" * 5_000_000)),
        chunk(b"iCCP", b"profile\0\0no zlib"),
        chunk(b"pHYs", b"\1"),
    ],
    ids=["exif", "checksum of exif", "checksum of a text", "long text", "profile", "density"],
)
def test_faults_beside_the_pixels_cost_no_picture(fault: bytes) -> None:
    content = encoded(Image.new("RGB", (20, 20), (10, 200, 30)))
    assert colour(content[:33] + fault + content[33:]) == (10, 200, 30)


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_broken_exif_costs_no_picture(format: str) -> None:
    assert max(colour(encoded(Image.new("RGB", (20, 20), "black"), format, exif=b"Exif\0\0no exif"))) < 9


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_followed_as_pillow_does(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.effect_noise((12, 20), 50), exif=exif)
    with quiet_decoding():
        face = decode_picture(content)
    assert np.array_equal(face, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")))
