"""What a face says of itself inside its PNG file, so that it stays true when the file travels alone.

Synthetic faces carry the IPTC digital source type `trainedAlgorithmicMedia` (those made from a photo
`compositeWithTrainedAlgorithmicMedia`) as XMP, which search engines, social
networks and picture editors read, and every face carries a JSON text `augface`. Real faces never carry the mark.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping
from typing import Any

from augface.arrays import Pixels

TRAINED_ALGORITHMIC_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC NewsCodes, digital source type: media made by a trained model."""
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""The same: media in which a trained model changed or added to a picture of the real world."""

MARKS = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia")
"""The last words of the source types that a trained model had a part in."""

XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" \
Iptc4xmpExt:DigitalSourceType="DIGITAL_SOURCE_TYPE"/>\
</rdf:RDF></x:xmpmeta><?xpacket end="r"?>"""
"""The XMP packet of a synthetic face, in which the type is filled in."""

COMPRESSION = {"compress_level": 1, "compress_type": zlib.Z_RLE}
"""The fastest that packs at all: against Pillow's default, half the time for 64x64 photographs at the same size."""


def encode_png(pixels: Pixels, note: Mapping[str, Any], *, synthetic: bool, of_photo: bool = False) -> bytes:
    """One face as the bytes of a PNG file.

    Args:
        pixels: uint8, (H, W, 3), RGB.
        note: what the text chunk `augface` says, as JSON.
        synthetic: whether a model generated the face; only then it carries the mark.
        of_photo: whether it was generated from a photo of somebody, which the mark then says.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    chunks = PngInfo()
    if synthetic:
        kind = COMPOSITE if of_photo else TRAINED_ALGORITHMIC_MEDIA
        chunks.add_itxt("XML:com.adobe.xmp", XMP.replace("DIGITAL_SOURCE_TYPE", kind))
    chunks.add_text("augface", json.dumps(note, separators=(",", ":")))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=chunks, **COMPRESSION)
    return buffer.getvalue()


def is_marked(content: bytes | str) -> bool:
    """Whether the bytes of an image file say anywhere that a trained model made it, or a part of it."""
    return isinstance(content, bytes) and any(mark.encode() in content for mark in MARKS)
