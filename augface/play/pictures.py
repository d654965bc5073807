"""Faces as addresses that hold the picture itself, marked as what they are; for pages that ask nothing of anybody."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

from PIL import Image

from augface.arrays import Pixels
from augface.data.export.png import encode_png, xmp_mark
from augface.data.sources import PHOTO_BASED


def source_of(of_photo: bool) -> str:
    """What the mark of a face says that it is."""
    return PHOTO_BASED if of_photo else "synthetic"


def png_address(pixels: Pixels, note: Mapping[str, Any], *, of_photo: bool = False) -> str:
    """A face, uint8 (H, W, 3), with the mark and the note that every face written as a file has."""
    return _address("png", encode_png(pixels, note, source=source_of(of_photo)))


def webp_address(pixels: Pixels, quality: int, *, of_photo: bool = False, side: int | None = None) -> str:
    """A face in a tenth of the bytes, with the same mark; at most `side` pixels high."""
    image = Image.fromarray(pixels)
    if side is not None and image.height > side:
        image = image.resize((round(image.width * side / image.height), side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=4, xmp=xmp_mark(source_of(of_photo)).encode())
    return _address("webp", buffer.getvalue())


def _address(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
