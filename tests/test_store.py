"""The image cache: once, whole, resumable, and honest about what it skipped."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augface.data import load_data, store
from augface.data.images import decode_face
from augface.errors import DataError, OutputError

COUNT = 40


@pytest.fixture(autouse=True)
def _small_chunks_in_an_own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUGFACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "CHUNK_BYTES", 16 * 16 * 3 * 4)  # chunks of 4 images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "faces"
    path.mkdir()
    random = np.random.default_rng(0)
    for number in range(COUNT):
        Image.fromarray(random.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(path / f"{number:03d}.png")
    return path


def load(folder: Path, **options: Any) -> Any:
    return load_data(f"folder:{folder}", size=16, **options)


def entry_of(tmp_path: Path) -> Path:
    (entry,) = (tmp_path / "cache" / "images").iterdir()
    return entry


class Counter:
    """Counts the images that are decoded, and does something at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int = -1, error: BaseException | None = None) -> None:
        self.count = 0
        decode = decode_face

        def counting(*arguments: Any) -> Any:
            self.count += 1
            if self.count == at and error is not None:
                raise error
            return decode(*arguments)

        monkeypatch.setattr(store, "decode_face", counting)


def test_the_second_start_decodes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(folder)
    counter = Counter(monkeypatch)
    again = load(folder)
    assert counter.count == 0
    assert np.array_equal(first.images, again.images)
    assert first.source == again.source
    assert isinstance(again.images.stored, np.memmap)


def test_workers_and_moving_the_folder_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = load(folder, workers=1)
    shutil.rmtree(os.environ["AUGFACE_CACHE"])
    four = load(folder, workers=4)
    assert np.array_equal(one.images, four.images)
    assert one.source == four.source
    folder.rename(folder.with_name("elsewhere"))
    counter = Counter(monkeypatch)
    assert load(folder.with_name("elsewhere")).source.content_hash == one.source.content_hash
    assert counter.count == 0


def test_another_size_or_crop_or_content_is_another_entry(folder: Path) -> None:
    plain = load(folder)
    assert not np.array_equal(plain.images, load(folder, crop=(0, 0, 10, 10)).images)
    assert load_data(f"folder:{folder}", size=8).size == 8
    Image.new("RGB", (20, 20)).save(folder / "000.png")
    changed = load(folder)
    assert changed.images[0].max() == 0
    assert changed.source.content_hash != plain.source.content_hash


def test_other_pictures_of_the_same_names_sizes_and_times_are_another_entry(tmp_path: Path) -> None:
    image = tmp_path / "faces" / "1.bmp"  # as long whatever its pixels
    image.parent.mkdir()
    Image.new("RGB", (20, 20), (9, 9, 9)).save(image)
    before = image.stat()
    assert load(image.parent).images[0].max() == 9
    Image.new("RGB", (20, 20), (7, 7, 7)).save(image)
    os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (image.stat().st_size, image.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert load(image.parent).images[0].max() == 7


def test_labels_are_part_of_the_content_hash(folder: Path) -> None:
    plain = load(folder).source.content_hash
    (folder / "metadata.csv").write_text("file_name,Male\n000.png,1\n001.png,0\n")
    labelled = load(folder).source.content_hash
    (folder / "metadata.csv").write_text("file_name,Male\n000.png,0\n001.png,1\n")
    assert len({plain, labelled, load(folder).source.content_hash}) == 3


def test_bad_images_are_skipped_listed_and_told(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = load(folder)
    shutil.rmtree(tmp_path / "cache")
    (folder / "003.png").write_bytes(b"no image")
    (folder / "010.png").write_bytes((folder / "010.png").read_bytes()[:300])
    for _ in range(2):  # fresh and from the cache
        caplog.clear()
        data = load(folder)
        kept = [row for row in range(COUNT) if row not in (3, 10)]
        assert data.names.tolist() == [f"{row:03d}.png" for row in kept]
        assert np.array_equal(data.images, np.asarray(whole.images)[kept])
        assert len(data.attributes) == len(kept)
        assert "2 of 40 images cannot be used" in caplog.text
        assert "003.png (not an image of a known format)" in caplog.text
    listed = json.loads((entry_of(tmp_path) / "bad.json").read_text())
    assert [image["name"] for image in listed] == ["003.png", "010.png"]
    assert "broken" in listed[1]["reason"]


def test_too_many_bad_images_are_refused_and_named(folder: Path, tmp_path: Path) -> None:
    for number in range(11):
        (folder / f"{number:03d}.png").write_bytes(b"no image")
    for _ in range(2):
        with pytest.raises(DataError, match=r"000\.png \(not an image of a known format\), 001\.png"):
            load(folder)
    assert json.loads((entry_of(tmp_path) / "bad.json").read_text())
    assert len(load(folder, max_bad=0.5)) == COUNT - 11
    with pytest.raises(DataError, match="10 may be bad"):
        load(folder)


def test_ten_bad_images_are_tolerated_but_none_if_none_may_be(folder: Path) -> None:
    for number in range(10):
        (folder / f"{number:03d}.png").write_bytes(b"")
    assert len(load(folder)) == COUNT - 10
    with pytest.raises(DataError, match="empty file"):
        load(folder, max_bad=0)


def test_a_set_of_bad_images_only_is_refused(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "1.png").write_bytes(b"")
    for share in (0.05, 1.0):
        with pytest.raises(DataError, match="cannot be used"):
            load(tmp_path / "faces", max_bad=share)


def test_an_interrupted_start_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as patch:
        Counter(patch, at=30, error=KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            load(folder, workers=1)
    counter = Counter(monkeypatch)
    resumed = load(folder)
    assert 0 < counter.count <= COUNT - 24
    shutil.rmtree(tmp_path / "cache")
    fresh = load(folder)
    assert np.array_equal(resumed.images, fresh.images)
    assert resumed.source == fresh.source


PROGRAM = """
import os, signal, sys
from augface.data import load_data, store
from augface.data.images import decode_face

store.CHUNK_BYTES = 16 * 16 * 3 * 4
decode, count = store.decode_face, 0
def counting(*arguments):
    global count
    count += 1
    if count == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return decode(*arguments)
store.decode_face = counting
print(load_data(sys.argv[1], size=16, workers=1).source.content_hash, count)
"""


def program(folder: Path, kill_at: int = -1) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), str(kill_at)], stdout=subprocess.PIPE, text=True
    )


def test_a_killed_start_goes_on(folder: Path, tmp_path: Path) -> None:
    # the 34th image is of the 9th chunk of four, which is begun once the 6th is written
    with program(folder, kill_at=34) as killed:
        assert killed.wait() != 0
    with program(folder) as resumed:
        content_hash, count = resumed.communicate()[0].split()
    assert 0 < int(count) <= COUNT - 24
    shutil.rmtree(tmp_path / "cache")
    assert load(folder).source.content_hash == content_hash


def test_two_starts_at_once_agree(folder: Path) -> None:
    both = [program(folder), program(folder)]
    hashes = {process.communicate()[0].split()[0] for process in both}
    assert all(process.returncode == 0 for process in both)
    assert hashes == {load(folder).source.content_hash}


def test_what_was_damaged_is_made_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = load(folder)
    entry = entry_of(tmp_path)
    pixels = (entry / "images.npy").read_bytes()
    journal = (entry / "progress.jsonl").read_bytes()
    content = np.asarray(fresh.images)

    (entry / "images.npy").write_bytes(pixels[: len(pixels) // 2])  # cut short
    counter = Counter(monkeypatch)
    assert np.array_equal(load(folder).images, content)
    assert COUNT / 4 < counter.count < COUNT

    (entry / "entry.json").write_text("{")  # nothing is known but the journal, whose last line is cut short
    (entry / "progress.jsonl").write_bytes(journal[:-20])
    counter.count = 0
    assert np.array_equal(load(folder).images, content)
    assert counter.count == 4

    (entry / "entry.json").unlink()  # a chunk was written wrongly
    (entry / "images.npy").write_bytes(pixels[:-1] + bytes([pixels[-1] ^ 1]))
    counter.count = 0
    assert np.array_equal(load(folder).images, content)
    assert counter.count == 4


def test_a_full_disk_leaves_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def write(self: Any, row: int, faces: Any) -> None:
        written.append(row)
        if len(written) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store._PixelFile, "write", write)
        with pytest.raises(OutputError, match="No space left"):
            load(folder)
    assert not list((tmp_path / "cache" / "images").iterdir())
    assert len(load(folder)) == COUNT


def test_too_little_space_is_told_before_the_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(100, 99, 1))
    counter = Counter(monkeypatch)
    with pytest.raises(OutputError, match=r"needs 30\.7 kB .* 1 B are free"):
        load(folder)
    assert counter.count == 0


def test_a_cache_that_cannot_be_written_is_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUGFACE_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="Cannot write"):
        load(folder)
