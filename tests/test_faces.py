"""The sides of an evaluation: every form that people have faces in, at the size and from the part that is meant."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from augface.arrays import Pixels
from augface.data.dataset import FaceDataset
from augface.data.export.writer import write_dataset
from augface.data.toyfaces import load_toyfaces
from augface.errors import DataError
from augface.evaluation.evaluate import size_warnings
from augface.evaluation.inputs import open_faces
from augface.evaluators.base import Context
from augface.generators import create_generator

SIZE = 24


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return load_toyfaces(60, SIZE)


def write_images(folder: Path, images: Pixels) -> Path:
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03d}.png")
    return folder


def test_files_are_looked_at_in_their_own_size(faces: FaceDataset, tmp_path: Path) -> None:
    real = write_images(tmp_path / "real", faces.images[:6])
    wide = np.random.default_rng(0).integers(0, 256, (5, 20, 40, 3), dtype=np.uint8)
    made = write_images(tmp_path / "made", wide)
    opened = open_faces(real, str(made))
    assert opened.synthetic.originals is not None
    assert np.array_equal(opened.synthetic.originals.picture(3), wide[3])
    assert opened.synthetic.images.shape[1:] == (64, 64, 3)
    assert opened.train is None


def test_a_zip_is_as_good_as_a_folder(faces: FaceDataset, tmp_path: Path) -> None:
    real = write_images(tmp_path / "real", faces.images[:6])
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as archive:
        for path in sorted(real.iterdir()):
            archive.write(path, f"inside/{path.name}")
    opened = open_faces(real, tmp_path / "made.zip")
    assert opened.real.originals is not None
    assert opened.synthetic.originals is not None
    assert opened.real.originals.digests() == opened.synthetic.originals.digests(3)


def test_a_given_size_is_that_of_all(faces: FaceDataset, tmp_path: Path) -> None:
    real = write_images(tmp_path / "real", faces.images[:6])
    opened = open_faces(real, faces, train=np.asarray(faces.images), size=16)
    assert opened.train is not None
    for side in (opened.real, opened.synthetic, opened.train):
        assert side is not None
        assert side.size == 16
        assert side.originals is None
    assert list(opened.synthetic.attributes) == list(faces.attributes)


def test_one_side_of_known_size_decides(faces: FaceDataset, tmp_path: Path) -> None:
    """Files in their own size against an array of another would be no fair match."""
    real = write_images(tmp_path / "real", faces.images[:6])
    opened = open_faces(real, np.asarray(faces.images))
    assert opened.real.size == SIZE
    assert opened.real.originals is None


def test_originals_on_one_side_only_are_not_used(faces: FaceDataset, tmp_path: Path) -> None:
    real = open_faces(*[write_images(tmp_path / name, faces.images[:6]) for name in ("real", "made")]).real
    assert real.originals is not None
    assert open_faces(real, faces.images[:4]).real.originals is None


def test_a_generator_folder_is_drawn_from_ungated(faces: FaceDataset, tmp_path: Path) -> None:
    generator = create_generator("resample")
    assert faces.train is not None
    generator.fit(faces.train)
    generator.save(tmp_path / "run" / "generator")
    for folder in (tmp_path / "run", tmp_path / "run" / "generator"):
        opened = open_faces(faces, folder)
        assert faces.valid is not None
        assert len(opened.synthetic) == len(faces.valid)
        assert opened.synthetic.size == SIZE
        assert opened.synthetic.source.spec == "resample"


def test_a_run_folder_stands_for_the_data_that_it_started_from(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('data = "toy:50"\nsize = 24\n')
    opened = open_faces(tmp_path, load_toyfaces(10, 24))
    assert len(opened.real) == 50
    assert opened.real.size == 24
    (tmp_path / "config.toml").write_text("data = 3")
    with pytest.raises(DataError, match="is not that of a run"):
        open_faces(tmp_path, load_toyfaces(10, 24))


def test_of_a_written_data_set_each_side_has_its_own(faces: FaceDataset, tmp_path: Path) -> None:
    made = FaceDataset.from_arrays(255 - np.asarray(faces.images)[:7], faces.attributes[:7])
    write_dataset(tmp_path / "dataset", faces, made, target=["Male"], generator="cgan", generator_hash="0" * 64, seed=0)
    opened = open_faces(tmp_path / "dataset", tmp_path / "dataset", size=SIZE)
    assert len(opened.real) == len(faces)
    assert np.array_equal(np.asarray(opened.synthetic.images), np.asarray(made.images))


def test_sides_of_other_sizes_are_warned_of(faces: FaceDataset, tmp_path: Path) -> None:
    large = np.repeat(np.repeat(np.asarray(faces.images[:6]), 2, axis=1), 2, axis=2)
    sides = [write_images(tmp_path / name, images) for name, images in (("a", faces.images[:6]), ("b", large))]
    unlike, alike = open_faces(*sides), open_faces(sides[0], sides[0])
    (warning,) = size_warnings(Context(reference=unlike.real, samples=unlike.synthetic))
    assert "24 x 24" in warning
    assert "48 x 48" in warning
    assert "size=24" in warning
    assert not size_warnings(Context(reference=alike.real, samples=alike.synthetic))


def test_a_file_that_changes_meanwhile_is_no_silent_error(faces: FaceDataset, tmp_path: Path) -> None:
    folder = write_images(tmp_path / "real", faces.images[:6])
    originals = open_faces(folder, folder).real.originals
    assert originals is not None
    (folder / "003.png").write_bytes(b"no picture any more")
    with pytest.raises(DataError, match=r"003\.png in .* has changed"):
        originals.picture(3)


def test_broken_files_are_left_out_on_both_sides_of_a_view(faces: FaceDataset, tmp_path: Path) -> None:
    folder = write_images(tmp_path / "real", faces.images[:12])
    (folder / "005.png").write_bytes(b"broken")
    opened = open_faces(folder, folder).real
    assert len(opened) == 11
    assert opened.originals is not None
    assert "005.png" not in opened.originals.members
    chosen = opened.select([2, 7])
    assert chosen.originals is not None
    assert list(chosen.originals.members) == list(chosen.names)


def test_an_array_that_is_no_picture_is_refused(faces: FaceDataset) -> None:
    with pytest.raises(DataError, match="uint8"):
        open_faces(faces, np.zeros((3, 4, 4)))


def test_labels_stay_with_their_faces_when_sizes_change(faces: FaceDataset) -> None:
    opened = open_faces(faces, faces, size=12)
    pd.testing.assert_frame_equal(opened.real.attributes, faces.attributes)
    assert opened.real.identity is not None
    assert faces.identity is not None
    assert np.array_equal(opened.real.identity, faces.identity)
