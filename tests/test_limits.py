"""Small files that unpack to much: all threads share one allowance of memory, and headers are looked at first."""

from __future__ import annotations

import io
import struct
import threading
import time
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augface.data import images, load_data
from augface.data.images import BadImage, decode_face, decode_picture, image_content, quiet_decoding
from augface.data.readers.containers import Folder, UnreadableFile, Zip, open_container
from augface.errors import DataError
from augface.features import create_feature_space
from augface.features.extraction import features_of
from augface.threads import Allowance


class TestAllowance:
    def test_threads_together_take_no_more_than_there_is(self) -> None:
        allowance, taken, most, lock = Allowance(10), [0], [0], threading.Lock()

        def work(amount: int) -> None:
            with allowance.taken(amount):
                with lock:
                    taken[0] += min(amount, 10)
                    most[0] = max(most[0], taken[0])
                time.sleep(0.002)
                with lock:
                    taken[0] -= min(amount, 10)

        threads = [threading.Thread(target=work, args=(amount,)) for amount in [1, 2, 3, 5, 8, 13] * 5]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in threads)
        assert most[0] <= 10
        assert taken == [0]

    def test_a_thread_that_holds_some_never_waits_for_more(self) -> None:
        """Two that hold half and want the other half would wait for ever."""
        allowance, done = Allowance(10), []

        def work() -> None:
            with allowance.taken(5):
                time.sleep(0.05)
                with allowance.taken(10):
                    done.append(1)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        assert len(done) == 4

    def test_what_was_taken_is_given_back_after_an_error(self) -> None:
        allowance = Allowance(1)
        for _ in range(3):
            with pytest.raises(ValueError, match="x"), allowance.taken(1):
                raise ValueError("x")


def photograph(size: int = 40, kind: str = "PNG", seed: int = 0, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (size, size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def huge_png(side: int = 9_999) -> bytes:
    """A hundred million pixels in some kilobytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)  # one bit a pixel
    rows = zlib.compress(bytes((side + 7) // 8 + 1) * side, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def archive_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def noting(reading: Any, read: list[str]) -> Any:
    def noted(container: Any, name: str, limit: int) -> Any:
        read.append(name)
        return reading(container, name, limit)

    return noted


@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.parametrize(
    "content", [bytes(3_000_000), b"II" + bytes(3_000_000), b"\xff" * 3_000_000, b"RIFF" * 999_999]
)
def test_what_is_no_image_is_not_read(
    content: bytes, as_zip: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "SMALL", 1_000_000)
    files = {f"{number}.png": content for number in range(3)} | {"good.png": photograph()}
    if as_zip:
        place = archive_of(tmp_path / "a.zip", files)
    else:
        place = tmp_path
        for name, text in files.items():
            (tmp_path / name).write_bytes(text)
    read: list[str] = []
    for kind in (Zip, Folder):
        monkeypatch.setattr(kind, "read", noting(kind.read, read))
    container = open_container(place)
    for name in ("0.png", "1.png"):
        with pytest.raises(BadImage, match="not an image of a known format"), image_content(container, name):
            raise AssertionError("it was read")
    assert read == []
    with pytest.raises(DataError, match="3 of the 4 images"):
        load_data(place, size=16)
    assert set(read) <= {"good.png"}


@pytest.mark.parametrize("decode", [lambda content: decode_face(content, "centre", 16), decode_picture])
def test_pixels_that_no_photograph_has_are_not_decoded(decode: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    content = huge_png()
    assert len(content) < 20_000
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)
    with quiet_decoding(), pytest.raises(BadImage, match=r"9,999 x 9,999 pixels in 1\d,\d{3} bytes are no photograph"):
        decode(content)
    with quiet_decoding(), pytest.raises(BadImage, match="pixels are more than 100 million"):
        decode(huge_png(10_001))


def test_large_photographs_and_small_empty_pictures_are_decoded() -> None:
    buffer = io.BytesIO()
    gradient = np.linspace(0, 255, 4_100, dtype=np.uint8)
    Image.fromarray(np.broadcast_to(gradient[:, None, None], (4_100, 4_100, 3)).copy()).save(buffer, "JPEG")
    assert images.LARGE < 4_100**2
    with quiet_decoding():
        assert decode_face(buffer.getvalue(), "centre", 16).shape == (16, 16, 3)
        assert decode_face(huge_png(3_900), "centre", 16).max() == 0


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
def test_large_files_of_every_format_are_known_by_their_beginning(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read header first, they give the very same pixels."""
    content = photograph(kind=kind)
    place = archive_of(tmp_path / "a.zip", {"a.png": content})
    with quiet_decoding():
        expected = decode_picture(content)
        monkeypatch.setattr(images, "SMALL", 10)
        with image_content(open_container(place), "a.png") as read:
            assert np.array_equal(decode_picture(read), expected)


def test_a_header_that_its_own_decoder_may_understand_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"\x89PNG\r\n\x1a\n" + bytes(100)
    container = open_container(archive_of(tmp_path / "a.zip", {"a.png": content}))
    monkeypatch.setattr(images, "SMALL", 10)
    with image_content(container, "a.png") as read:
        assert read == content
    monkeypatch.setattr(images, "UNKNOWN", 50)
    with pytest.raises(BadImage, match="broken"), image_content(container, "a.png"):
        raise AssertionError("it was read")


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(photograph())
    container = open_container(tmp_path)
    (tmp_path / "a.png").unlink()
    with pytest.raises(UnreadableFile, match="No such file"), image_content(container, "a.png"):
        raise AssertionError("it was read")


def test_with_little_memory_all_is_read_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        (tmp_path / f"{number}.png").write_bytes(photograph(64, seed=number))
    faces = load_data(tmp_path, size=16, originals=True)
    expected = np.asarray(faces.images).copy(), features_of(faces, create_feature_space("pixels"))
    monkeypatch.setenv("AUGFACE_CACHE", str(tmp_path / "cache"))
    for module in ("augface.data.images", "augface.data.originals"):
        monkeypatch.setattr(f"{module}.MEMORY", Allowance(100))
    monkeypatch.setattr(images, "SMALL", 10)
    again = load_data(tmp_path, size=16, originals=True, workers=4)
    assert np.array_equal(np.asarray(again.images), expected[0])
    assert np.array_equal(features_of(again, create_feature_space("pixels")), expected[1])
