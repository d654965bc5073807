"""The two sides of an evaluation: shown alike or it is said, and measured without regard to names and order."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import augface
from augface.arrays import Pixels
from augface.checked_arrays import read_arrays
from augface.data import load_data, preview_data
from augface.data.dataset import FaceDataset
from augface.data.images import decode_face
from augface.data.splits import equal_faces, in_content_order
from augface.data.store import SAMPLE
from augface.errors import DataError
from augface.evaluation.inputs import open_faces
from augface.evaluators.base import Context
from augface.features.pixels import PixelSpace
from augface.files import cache_dir
from augface.metrics.neighbours import k_nearest

pytestmark = pytest.mark.usefixtures("own_cache")


def pictures(count: int, *, height: int = 32, width: int = 32, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def put(folder: Path, images: Pixels, name: str = "{:06d}.png") -> Path:
    folder.mkdir(parents=True)
    for number, image in enumerate(images, 1):
        Image.fromarray(image).save(folder / name.format(number))
    return folder


def celeba(folder: Path, images: Pixels) -> Path:
    put(folder / "img_align_celeba", images)
    rows = (f"{number:06d}.png {1 if number % 2 else -1}\n" for number in range(1, len(images) + 1))
    (folder / "list_attr_celeba.txt").write_text(f"{len(images)}\nMale\n" + "".join(rows))
    return folder


def measured(real: Any, synthetic: Any) -> augface.Evaluation:
    return augface.evaluate(real, synthetic, evaluators=["fidelity"], spaces=["pixels"])


def warnings(real: Any, synthetic: Any) -> str:
    return "\n".join(measured(real, synthetic).provenance["warnings"])


def test_files_of_the_shape_of_celeba_are_cropped_alike(tmp_path: Path) -> None:
    faces = celeba(tmp_path / "set", pictures(20, height=109, width=89))
    real, synthetic, *_ = sides = open_faces(f"celeba:{faces}", f"folder:{faces / 'img_align_celeba'}", size=32)
    assert sides.train is None
    assert real.source.crop == synthetic.source.crop == "celeba"
    assert (np.asarray(real.images) == np.asarray(synthetic.images)).all()


def test_unlike_crops_are_said(tmp_path: Path) -> None:
    real = celeba(tmp_path / "set", pictures(20, height=109, width=89))
    other = put(tmp_path / "other", pictures(20, height=100, width=60, seed=1))
    assert "The crops differ" in warnings(f"celeba:{real}", f"folder:{other}")
    square = put(tmp_path / "square", pictures(20, height=64, width=64, seed=1))
    assert "crops" not in warnings(f"celeba:{real}", f"folder:{square}")


def test_sides_of_unlike_sizes_are_said() -> None:
    large, small = FaceDataset.from_arrays(pictures(20)), FaceDataset.from_arrays(pictures(20, height=16, width=16))
    assert "32 pixels a side and synthetic ones 16; the smaller are enlarged" in warnings(large, small)
    assert "enlarged" not in warnings(large, FaceDataset.from_arrays(pictures(20, seed=1)))


def test_the_same_faces_on_both_sides_are_said(tmp_path: Path) -> None:
    faces = put(tmp_path / "faces", pictures(20))
    assert "20 of 20 synthetic faces equal a held-out real one" in warnings(faces, faces)
    assert warnings(faces, put(tmp_path / "others", pictures(20, seed=1))) == ""


def test_equal_faces_are_counted() -> None:
    first, second = pictures(8), pictures(8, seed=1)
    second[3:5] = first[:2]
    assert equal_faces(FaceDataset.from_arrays(second), FaceDataset.from_arrays(first)) == 2
    assert equal_faces(FaceDataset.from_arrays(second[:, ::2, ::2]), FaceDataset.from_arrays(first)) == 0


def test_names_and_order_of_files_change_no_number(tmp_path: Path) -> None:
    real, synthetic = pictures(40), pictures(40, seed=1)
    before = measured(put(tmp_path / "real", real), put(tmp_path / "synthetic", synthetic))
    order = np.random.default_rng(2).permutation(40)
    after = measured(put(tmp_path / "r", real[order], "x{:d}.png"), put(tmp_path / "s", synthetic[order[::-1]]))
    assert [(item.name, item.value) for item in before.measurements] == [
        (item.name, item.value) for item in after.measurements
    ]


def test_the_order_follows_from_the_pixels() -> None:
    images = pictures(30)
    labels = {"First": np.arange(30) < 10}
    order = np.random.default_rng(1).permutation(30)
    data = in_content_order(FaceDataset.from_arrays(images, labels))
    again = in_content_order(FaceDataset.from_arrays(images, labels).select(order))
    assert (np.asarray(data.images) == np.asarray(again.images)).all()
    assert data.attributes.equals(again.attributes)
    assert (np.asarray(data.images) != images).any()


def test_nan_is_near_to_nothing() -> None:
    points = np.zeros((9, 4), dtype=np.float32)
    points[3, 1] = np.nan
    for queries, references in ((points, np.ones_like(points)), (np.ones_like(points), points)):
        with pytest.raises(DataError, match="hold NaN or infinity"):
            k_nearest(queries, references, 2)


class TestPlans:
    def test_a_plan_looks_at_a_sample_and_caches_nothing(
        self, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = put(tmp_path / "train" / "a", pictures(200, height=8, width=8)).parent.parent
        put(tmp_path / "test" / "b", pictures(20, height=8, width=8, seed=1))
        opened = []

        def counting(*given: Any) -> Pixels:
            opened.append(given)
            return decode_face(*given)

        monkeypatch.setattr("augface.data.store.decode_face", counting)
        plan = preview_data(f"folder:{folder}", size=16)
        assert 0 < len(opened) <= SAMPLE < 220
        assert not own_cache.exists() or not [path for path in own_cache.rglob("*") if path.is_file()]
        real = load_data(f"folder:{folder}", size=16)
        assert plan.split is not None
        assert real.split is not None
        assert plan.attributes.equals(real.attributes)
        assert (plan.split == real.split).all()
        assert (plan.names == real.names).all()

    def test_a_plan_tells_of_pictures_that_cannot_be_used(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        folder = put(tmp_path / "faces", pictures(30))
        (folder / "000004.png").write_bytes(b"no picture")
        preview_data(f"folder:{folder}", size=16)
        assert "1 of 30 images that were looked at cannot be used: 000004.png" in caplog.text
        for path in folder.iterdir():
            path.write_bytes(b"no picture")
        with pytest.raises(augface.AugfaceError, match="Give images that can be opened"):
            preview_data(f"folder:{folder}", size=16)


def test_a_budget_of_a_few_images_is_remarked_on(caplog: pytest.LogCaptureFixture) -> None:
    from augface.training.budget import parse_budget

    with caplog.at_level(logging.WARNING, logger="augface"):
        parse_budget("13k"), parse_budget("13m"), parse_budget("13000")
        assert not caplog.records
        parse_budget("13"), parse_budget("13")
    assert [record.getMessage()[:40] for record in caplog.records] == ["The budget 13 is taken for 13 images. Sa"]


def test_other_real_faces_take_their_features_from_those_of_the_training_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    train, valid, made = (FaceDataset.from_arrays(pictures(count, seed=count)) for count in (40, 12, 13))
    fresh = Context(valid, made, train=train, spaces=("pixels",))
    expected = fresh.features(fresh.sides.other, "pixels")
    fresh.features(train, "pixels")
    monkeypatch.setattr(PixelSpace, "prepare", lambda *_: pytest.fail("they are in the cache already"))
    (cache_dir() / "features").rename(cache_dir() / "kept")
    (cache_dir() / "features").mkdir()
    for path in (cache_dir() / "kept").iterdir():
        if read_arrays(path)["features"].shape[0] == len(train):
            path.rename(cache_dir() / "features" / path.name)
    again = Context(valid, made, train=train, spaces=("pixels",))
    assert np.array_equal(again.features(again.sides.other, "pixels"), expected)
