"""Features of data sets: computed once, from one decoding, and the same however they are computed."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from augface.arrays import Pixels
from augface.data import load_data
from augface.data.dataset import FaceDataset
from augface.data.originals import Originals
from augface.data.toyfaces import load_toyfaces
from augface.errors import DataError
from augface.features import extraction
from augface.features.base import Features, FeatureSpace
from augface.features.extraction import features_in_spaces, features_of, input_protocol
from augface.features.pixels import PixelSpace
from augface.files import cache_dir

pytestmark = pytest.mark.usefixtures("own_cache")


class MeanSpace(FeatureSpace):
    """Mean colours of the whole picture."""

    name: ClassVar[str] = "mean"
    dimension: ClassVar[int] = 3
    version: ClassVar[int] = 1

    @property
    def protocol(self) -> dict[str, str | int | float]:
        return {"space": self.name, "version": self.version}

    def prepare(self, image: Pixels) -> Features:
        means: Features = image.mean(axis=(0, 1)).astype(np.float32)
        return means

    def forward(self, prepared: Features) -> Features:
        assert len(prepared) == self.batch
        return prepared


class BrokenSpace(MeanSpace):
    def forward(self, prepared: Features) -> Features:
        return prepared * np.float32(np.nan)


@pytest.fixture
def faces(tmp_path: Path) -> FaceDataset:
    """Files of many sizes."""
    random = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for number in range(21):
        height, width = random.integers(5, 60, 2)
        picture = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / "images" / f"{number:02d}.png")
    return load_data(tmp_path / "images", originals=True)


def forget() -> None:
    for path in (cache_dir() / "features").glob("*"):
        path.unlink()


def test_the_whole_file_is_looked_at(faces: FaceDataset) -> None:
    assert faces.originals is not None
    expected = [faces.originals.picture(row).mean(axis=(0, 1)) for row in range(len(faces))]
    assert features_of(faces, MeanSpace()) == pytest.approx(np.array(expected), rel=1e-6)
    assert input_protocol(faces) == {"input": "files in their own size"}


def test_order_and_batch_change_nothing(faces: FaceDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    order = np.random.default_rng(1).permutation(len(faces))
    features = features_of(faces, PixelSpace())
    assert np.array_equal(features_of(faces.select(order), PixelSpace()), features[order])
    forget()
    monkeypatch.setattr(PixelSpace, "batch", 5)
    monkeypatch.setattr(extraction, "cores", lambda: 7)
    assert np.array_equal(features_of(faces, PixelSpace()), features)


def test_every_file_is_decoded_once_for_all_spaces(faces: FaceDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    picture = Originals.picture

    def counted(self: Originals, row: int) -> Pixels:
        decoded.append(row)
        return picture(self, row)

    monkeypatch.setattr(Originals, "picture", counted)
    forget()
    mean, pixels = features_in_spaces(faces, [MeanSpace(), PixelSpace()])
    assert sorted(decoded) == list(range(len(faces)))
    again = features_in_spaces(faces, [PixelSpace(), MeanSpace()])
    assert len(decoded) == len(faces)
    assert np.array_equal(again[0], pixels)
    assert np.array_equal(again[1], mean)


def test_what_one_space_lacks_is_computed_alone(faces: FaceDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    forget()
    features_of(faces, PixelSpace())
    monkeypatch.setattr(PixelSpace, "prepare", None)
    mean, _ = features_in_spaces(faces, [MeanSpace(), PixelSpace()])
    assert mean.shape == (21, 3)


def test_the_key_is_bytes_and_protocol(faces: FaceDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    forget()
    features_of(faces, MeanSpace())
    assert faces.originals is not None
    renamed = faces.originals.container.path.rename(faces.originals.container.path.with_name("elsewhere"))
    moved = load_data(renamed, originals=True)
    features_of(moved, MeanSpace())
    assert len(list((cache_dir() / "features").glob("*"))) == 1
    monkeypatch.setattr(MeanSpace, "version", 2)
    features_of(moved, MeanSpace())
    assert len(list((cache_dir() / "features").glob("*"))) == 2
    Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(renamed / "00.png")
    assert not features_of(load_data(renamed, originals=True), MeanSpace())[0].any()


def test_what_was_computed_before_a_stop_is_kept(faces: FaceDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    forget()
    monkeypatch.setattr(extraction, "PART", 8)
    picture = Originals.picture
    looked_at: list[int] = []

    def until_stopped(self: Originals, row: int) -> Pixels:
        looked_at.append(row)
        if len(looked_at) == 20:
            raise KeyboardInterrupt
        return picture(self, row)

    monkeypatch.setattr(Originals, "picture", until_stopped)
    with pytest.raises(KeyboardInterrupt):
        features_of(faces, MeanSpace())
    assert len(list((cache_dir() / "features").glob("*"))) == 2
    looked_at.clear()
    features = features_of(faces, MeanSpace())
    assert len(looked_at) == 5
    forget()
    monkeypatch.undo()
    assert np.array_equal(features_of(faces, MeanSpace()), features)


def test_a_cache_entry_that_was_cut_short_is_made_again(faces: FaceDataset) -> None:
    forget()
    features = features_of(faces, MeanSpace())
    (path,) = (cache_dir() / "features").glob("*")
    content = path.read_bytes()
    for length in (0, 5, 40, len(content) - 1):
        path.write_bytes(content[:length])
        assert np.array_equal(features_of(faces, MeanSpace()), features)
        assert path.stat().st_size == len(content)


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(
    faces: FaceDataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AUGFACE_CACHE", str(tmp_path / "file"))
    assert features_of(faces, MeanSpace()).shape == (21, 3)


def test_broken_weights_are_no_silent_number(faces: FaceDataset) -> None:
    forget()
    with pytest.raises(DataError, match=r"mean features of 00\.png hold NaN"):
        features_of(faces, BrokenSpace())
    assert not list((cache_dir() / "features").glob("*"))


def _extract(number: int) -> float:
    return float(features_of(load_toyfaces(300, 16), PixelSpace()).sum())


def test_two_processes_share_the_cache() -> None:
    forget()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        sums = pool.map(_extract, range(4), chunksize=1)
    assert len(set(sums)) == 1
    assert len(list((cache_dir() / "features").glob("*"))) == 1


def test_no_faces_have_no_features() -> None:
    none = FaceDataset.from_arrays(np.zeros((0, 8, 8, 3), dtype=np.uint8))
    assert features_of(none, MeanSpace()).shape == (0, 3)
