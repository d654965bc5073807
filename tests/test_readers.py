"""Readers: CelebA's files, folders, zips, metadata, and how a bare path is recognised."""

from __future__ import annotations

import io
import logging
import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from augface.data import load_data, recognise
from augface.data.dataset import FaceDataset
from augface.errors import DataError, UnknownNameError, UsageError

pytestmark = pytest.mark.usefixtures("own_cache")


def picture(number: int, width: int = 20, height: int = 20) -> bytes:
    """A picture of one grey, known by its number."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (number, number, number)).save(buffer, "PNG")
    return buffer.getvalue()


def put(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def numbers(data: FaceDataset) -> list[int]:
    return [int(image[0, 0, 0]) for image in np.asarray(data.images)]


def column(data: FaceDataset, name: str) -> list[bool | None]:
    return [None if pd.isna(value) else bool(value) for value in data.attributes[name]]


NAMES = [f"{number:06d}.png" for number in range(1, 7)]


def make_celeba(folder: Path, names: list[str] | None = None, *, labels: Path | None = None) -> Path:
    names = names or NAMES
    labels = labels or folder
    for number, name in enumerate(names, 1):
        put(folder / "img_align_celeba" / name, picture(number))
    rows = "".join(f"{name} {'1' if number % 2 else '-1'} -1\n" for number, name in enumerate(names, 1))
    put(labels / "list_attr_celeba.txt", f"{len(names)}\nEyeglasses Male \n{rows}")
    put(labels / "list_eval_partition.txt", "".join(f"{name} {number % 3}\n" for number, name in enumerate(names)))
    put(labels / "identity_CelebA.txt", "".join(f"{name} {100 + number // 2}\n" for number, name in enumerate(names)))
    return folder


def zip_folder(source: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(source.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(source.parent).as_posix())
    return target


class TestCelebA:
    def test_labels_splits_and_identities_are_read(self, tmp_path: Path) -> None:
        data = load_data(f"celeba:{make_celeba(tmp_path / 'c')}", size=16)
        assert data.images.shape == (6, 16, 16, 3)
        assert numbers(data) == [1, 2, 3, 4, 5, 6]
        assert column(data, "Eyeglasses") == [True, False] * 3
        assert data.split is not None
        assert list(data.split) == ["train", "valid", "test"] * 2
        assert data.identity is not None
        assert [int(person) for person in data.identity] == [0, 0, 1, 1, 2, 2]
        assert list(data.names) == NAMES

    def test_zip_and_folder_give_the_same(self, tmp_path: Path) -> None:
        folder = make_celeba(tmp_path / "c")
        unpacked = load_data(f"celeba:{folder}", size=16)
        zip_folder(folder / "img_align_celeba", folder / "img_align_celeba.zip")
        for path in (folder / "img_align_celeba").iterdir():
            path.unlink()
        (folder / "img_align_celeba").rmdir()
        zipped = load_data(folder, size=16)
        assert np.array_equal(unpacked.images, zipped.images)
        assert unpacked.source.content_hash == zipped.source.content_hash

    def test_official_layout_is_found(self, tmp_path: Path) -> None:
        folder = make_celeba(tmp_path / "c" / "Img", labels=tmp_path / "c" / "Anno").parent
        (folder / "Eval").mkdir()
        (folder / "Anno" / "list_eval_partition.txt").rename(folder / "Eval" / "list_eval_partition.txt")
        data = load_data(folder, size=16)
        assert len(data) == 6
        assert data.split is not None

    def test_class_folders_below_the_images_are_found(self, tmp_path: Path) -> None:
        names = ["with glasses/000001.png", "plain/000001.png", "plain/000002.png"]
        folder = make_celeba(tmp_path / "c", [name.replace(" ", "_") for name in names])
        data = load_data(folder, size=16)
        assert list(data.names) == ["with_glasses/000001.png", "plain/000001.png", "plain/000002.png"]
        assert numbers(data) == [1, 2, 3]

    def test_optional_files_may_lack(self, tmp_path: Path) -> None:
        folder = make_celeba(tmp_path / "c")
        (folder / "identity_CelebA.txt").unlink()
        (folder / "list_eval_partition.txt").unlink()
        data = load_data(folder, size=16)
        assert data.identity is None
        assert data.split is None

    def test_missing_images_and_labels_are_counted_and_skipped(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        folder = make_celeba(tmp_path / "c")
        (folder / "img_align_celeba" / NAMES[0]).unlink()
        put(folder / "img_align_celeba" / "stranger.png", picture(99))
        data = load_data(folder, size=16)
        assert list(data.names) == NAMES[1:]
        assert f"1 names mean no image, or several ({NAMES[0]})" in caplog.text
        assert "1 images are not in it and are left out (stranger.png)" in caplog.text

    def test_images_without_a_partition_are_left_out(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        folder = make_celeba(tmp_path / "c")
        put(folder / "list_eval_partition.txt", "".join(f"{name} 0\n" for name in NAMES[:4]))
        assert len(load_data(folder, size=16)) == 4
        assert "2 images belong to no split" in caplog.text

    def test_zero_is_unknown_beside_minus_one_and_false_otherwise(self, tmp_path: Path) -> None:
        folder = make_celeba(tmp_path / "c", NAMES[:3])
        put(folder / "list_attr_celeba.txt", f"3\nMale\n{NAMES[0]} 1\n{NAMES[1]} 0\n{NAMES[2]} -1\n")
        assert column(load_data(folder, size=16), "Male") == [True, None, False]
        put(folder / "list_attr_celeba.txt", f"3\nMale\n{NAMES[0]} 1\n{NAMES[1]} 0\n{NAMES[2]} 1\n")
        assert column(load_data(folder, size=16), "Male") == [True, False, True]

    def test_comma_separated_files_are_read(self, tmp_path: Path) -> None:
        folder = make_celeba(tmp_path / "c", NAMES[:2])
        for name in ("list_attr_celeba", "list_eval_partition", "identity_CelebA"):
            (folder / f"{name}.txt").unlink()
        put(folder / "list_attr_celeba.csv", f"image_id,Male,Bald\n{NAMES[0]},1,-1\n{NAMES[1]},-1,-1\n")
        put(folder / "list_eval_partition.csv", f"image_id,partition\n{NAMES[0]},0\n{NAMES[1]},2\n")
        (folder / "img_align_celeba").rename(folder / "inner")
        (folder / "img_align_celeba").mkdir()
        (folder / "inner").rename(folder / "img_align_celeba" / "img_align_celeba")
        data = load_data(folder, size=16)
        assert column(data, "Male") == [True, False]
        assert data.split is not None
        assert list(data.split) == ["train", "test"]

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (f"1\nMale\n{NAMES[0]} 3\n", f"{NAMES[0]} has '3' for Male"),
            (f"1\nMale\n{NAMES[0]} x\n", f"{NAMES[0]} has 'x' for Male"),
            (f"2\nMale Bald\n{NAMES[0]} 1 1\n{NAMES[1]} 1\n", "line 4 has 2 cells, and the header names 3"),
            (f"1\nMale\n{NAMES[0]} 1 1\n{NAMES[1]} 1 1\n", "line 3 has 3 cells, and the header names 2"),
            (f"1\nMale\n{NAMES[0]} 1\n{NAMES[1]} 1 1 1\n", "line 4 has 4 cells"),
            (f"2\nMale\n{NAMES[0]} 1\n{NAMES[0]} -1\n", r"more than once \(lines 3, 4\)"),
            ("1\nMale\n../outside.png 1\n", "leads out of its folder"),
            ("1\nMale\nother.png 1\n", r"none of its 1 names \(other.png\) means one of the 6 images \(000001.png"),
            ("", "it is empty"),
            ("0\nMale\n", "no rows"),
        ],
    )
    def test_labels_that_make_no_sense_are_refused(self, tmp_path: Path, labels: str, message: str) -> None:
        folder = make_celeba(tmp_path / "c")
        put(folder / "list_attr_celeba.txt", labels)
        with pytest.raises(DataError, match=message):
            load_data(folder, size=16)

    def test_a_partition_that_makes_no_sense_is_refused(self, tmp_path: Path) -> None:
        folder = make_celeba(tmp_path / "c")
        put(folder / "list_eval_partition.txt", f"{NAMES[0]} 7\n")
        with pytest.raises(DataError, match="'7'"):
            load_data(folder, size=16)

    def test_no_images_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"neither img_align_celeba/ nor img_align_celeba\.zip"):
            load_data(f"celeba:{tmp_path}")


class TestFolder:
    def test_plain_images_in_order_of_names(self, tmp_path: Path) -> None:
        for number in (3, 1, 2):
            put(tmp_path / "f" / f"{number}.png", picture(number, 20, 30))
        data = load_data(f"folder:{tmp_path / 'f'}")
        assert data.images.shape == (3, 64, 64, 3)
        assert numbers(data) == [1, 2, 3]
        assert data.attributes.shape == (3, 0)
        assert data.identity is None
        assert data.split is None

    def test_class_folders_become_attributes(self, tmp_path: Path) -> None:
        put(tmp_path / "f" / "Eyeglasses" / "deeper" / "1.png", picture(1))
        put(tmp_path / "f" / "None" / "2.png", picture(2))
        data = load_data(tmp_path / "f", size=16)
        assert column(data, "Eyeglasses") == [True, False]
        assert column(data, "None") == [False, True]

    def test_split_folders_become_the_split(self, tmp_path: Path) -> None:
        for number, name in enumerate(["train/a/1.png", "train/b/2.png", "val/a/3.png", "test/b/4.png"], 1):
            put(tmp_path / "f" / name, picture(number))
        data = load_data(tmp_path / "f", size=16)
        assert dict(zip(data.names.tolist(), data.split.tolist() if data.split is not None else [], strict=True)) == {
            "train/a/1.png": "train",
            "train/b/2.png": "train",
            "val/a/3.png": "valid",
            "test/b/4.png": "test",
        }
        assert set(data.attributes) == {"a", "b"}

    def test_many_folders_are_persons(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        for person in range(101):
            put(tmp_path / "f" / f"person {person:03d}" / "1.png", picture(person))
        data = load_data(tmp_path / "f", size=16)
        assert data.identity is not None
        assert len(set(data.identity.tolist())) == 101
        assert not data.attributes.shape[1]
        assert "taken for persons" in caplog.text

    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    def test_metadata_gives_labels_split_identity_and_the_rest(self, tmp_path: Path, suffix: str) -> None:
        for number in range(1, 5):
            put(tmp_path / "f" / "images" / f"{number}.png", picture(number))
        table = pd.DataFrame(
            {
                "file_name": [f"images/{number}.png" for number in range(1, 5)],
                "Male": ["True", "no", "", "1"],
                "Bald": ["-1", "0", "1", ""],
                "split": ["train", "val", "test", "train"],
                "identity": ["ann", "bob", "ann", ""],
                "age": ["30", "41.5", "", "7"],
                "note": ["x", "y", "", "z"],
                "seed": ["0", "1", "0", "1"],
            }
        )
        path = tmp_path / "f" / f"metadata.{suffix}"
        if suffix == "csv":
            table.to_csv(path, index=False)
        else:
            table.assign(Male=pd.array([True, False, None, True], dtype="boolean")).to_parquet(path)
        data = load_data(tmp_path / "f", size=16)
        assert column(data, "Male") == [True, False, None, True]
        assert column(data, "Bald") == [False, None, True, None]
        assert list(data.attributes) == ["Male", "Bald"]
        assert data.split is not None
        assert list(data.split) == ["train", "valid", "test", "train"]
        assert data.identity is not None
        first, second, third, fourth = data.identity.tolist()
        assert first == third
        assert len({first, second, fourth}) == 3
        assert data.factors is not None
        assert list(data.factors) == ["age", "note", "seed"]
        assert data.factors["age"].tolist()[1] == 41.5

    def test_metadata_in_split_folders(self, tmp_path: Path) -> None:
        for split, value in (("train", "1"), ("validation", "0")):
            put(tmp_path / "f" / split / "1.png", picture(1))
            put(tmp_path / "f" / split / "metadata.csv", f"file_name,Male\n1.png,{value}\n")
        data = load_data(tmp_path / "f", size=16)
        assert column(data, "Male") == [True, False]
        assert data.split is not None
        assert list(data.split) == ["train", "valid"]

    def test_images_without_a_row_stay_and_rows_without_an_image_go(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        put(tmp_path / "f" / "1.png", picture(1))
        put(tmp_path / "f" / "2.png", picture(2))
        put(tmp_path / "f" / "metadata.csv", "file_name,Male\n1.png,1\ngone.png,1\n")
        data = load_data(tmp_path / "f", size=16)
        assert column(data, "Male") == [True, None]
        assert "1 names mean no image, or several (gone.png); 1 images are not in it and have no labels (2.png)" in (
            caplog.text
        )

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("file_name,Male\n../../secret.png,1\n", "leads out"),
            ("file_name,Male\n/etc/secret.png,1\n", "leads out"),
            ("file_name,Male\nC:\\secret.png,1\n", "leads out"),
            ("title,Male\nsunset,1\n", "no column file_name"),
            ("file_name,Male\n1.png,1\n1.png,0\n", "more than once"),
            ("file_name,split\n1.png,elsewhere\n", "'elsewhere'"),
            ("file_name,Male\nother.png,1\n", "none of its 1 names"),
            ("", "Cannot read"),
            ("file_name\n\xff\xfe\x00", "None of|Cannot read|leads out"),
        ],
    )
    def test_metadata_that_make_no_sense_are_refused(self, tmp_path: Path, content: str, message: str) -> None:
        put(tmp_path / "f" / "1.png", picture(1))
        put(tmp_path / "f" / "metadata.csv", content.encode("latin-1"))
        with pytest.raises(DataError, match=message):
            load_data(tmp_path / "f", size=16)

    def test_broken_parquet_is_refused(self, tmp_path: Path) -> None:
        put(tmp_path / "f" / "1.png", picture(1))
        put(tmp_path / "f" / "metadata.parquet", "PAR1 no")
        with pytest.raises(DataError, match="Cannot read"):
            load_data(tmp_path / "f", size=16)

    def test_zip_is_read_like_its_folder(self, tmp_path: Path) -> None:
        folder = tmp_path / "faces"
        put(folder / "a" / "1.png", picture(1))
        put(folder / "b" / "2.png", picture(2))
        put(folder / ".hidden.png", picture(3))
        archive = zip_folder(folder, tmp_path / "faces.zip")
        data = load_data(archive, size=16)
        assert data.names.tolist() == ["a/1.png", "b/2.png"]
        assert column(data, "a") == [True, False]

    @pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "a/../../evil.png", "..\\evil.png", "C:/evil.png"])
    def test_archives_that_lead_out_are_refused(self, tmp_path: Path, name: str) -> None:
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            archive.writestr(name, picture(1))
        with pytest.raises(DataError, match="leads out of its folder"):
            load_data(f"folder:{tmp_path / 'x.zip'}")

    def test_links_that_lead_out_are_not_followed(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        secret = put(tmp_path / "secret" / "s.png", picture(200))
        inside = put(tmp_path / "f" / "1.png", picture(1))
        os.symlink(secret, tmp_path / "f" / "2.png")
        os.symlink(inside, tmp_path / "f" / "3.png")
        os.symlink(secret.parent, tmp_path / "f" / "folder")
        assert numbers(load_data(tmp_path / "f", size=16)) == [1, 1]
        assert "2 links that lead out" in caplog.text

    def test_snapshots_of_the_hub_are_read_through_their_links(self, tmp_path: Path) -> None:
        snapshot = tmp_path / "datasets--x--faces" / "snapshots" / "abc"
        for number in (1, 2):
            blob = put(tmp_path / "datasets--x--faces" / "blobs" / f"{number}", picture(number))
            (snapshot / "a").mkdir(parents=True, exist_ok=True)
            (snapshot / "a" / f"{number}.png").symlink_to(blob)
        assert numbers(load_data(snapshot, size=16)) == [1, 2]

    def test_links_of_which_none_can_be_followed_are_told_of(self, tmp_path: Path) -> None:
        secret = put(tmp_path / "secret" / "s.png", picture(200))
        (tmp_path / "f").mkdir()
        (tmp_path / "f" / "1.png").symlink_to(secret)
        with pytest.raises(DataError, match="links that lead out"):
            load_data(tmp_path / "f", size=16)

    def test_other_files_are_counted(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        put(tmp_path / "f" / "1.png", picture(1))
        put(tmp_path / "f" / "notes.txt", "hello")
        assert len(load_data(tmp_path / "f", size=16)) == 1
        assert "1 files are not images and are left out (notes.txt)" in caplog.text

    def test_a_folder_without_images_is_refused(self, tmp_path: Path) -> None:
        put(tmp_path / "f" / "notes.txt", "hello")
        with pytest.raises(DataError, match=r"no images, only 1 other files \(notes\.txt\)"):
            load_data(tmp_path / "f")
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError, match="it is empty"):
            load_data(tmp_path / "empty")


class TestRecognition:
    def test_written_data_sets_are_found_from_every_level(self, tmp_path: Path) -> None:
        run = tmp_path / "run"
        folder = make_celeba(run / "dataset" / "celeba", ["a/1.png", "b/1.png"])
        put(
            folder / "img_align_celeba" / "metadata.csv",
            "file_name,Eyeglasses,source,seed\na/1.png,True,real,\nb/1.png,False,synthetic,7\n",
        )
        put(run / "report.html", "<html></html>")
        put(run / "samples.png", picture(1))
        for spec in (run, run / "dataset", folder, f"celeba:{folder}"):
            data = load_data(spec, size=16)
            assert column(data, "Eyeglasses") == [True, False]
            assert data.factors is not None
            assert data.factors["source"].tolist() == ["real", "synthetic"]
        by_folder = load_data(f"folder:{run / 'dataset'}", size=16)
        assert column(by_folder, "Eyeglasses") == [True, False]

    def test_what_a_path_was_taken_for_is_said(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        make_celeba(tmp_path / "c")
        put(tmp_path / "f" / "1.png", picture(1))
        assert "CelebA files" in str(recognise(tmp_path / "c"))
        assert "images in the folder" in str(recognise(tmp_path / "f"))
        with caplog.at_level(logging.INFO, logger="augface"):
            load_data(tmp_path / "f", size=16)
        assert "is taken for images in the folder" in caplog.text

    def test_a_path_that_can_be_two_things_is_refused(self, tmp_path: Path) -> None:
        put(make_celeba(tmp_path / "c") / "metadata.csv", "file_name\n")
        with pytest.raises(DataError, match=r"more than one way.*celeba:.*folder:"):
            load_data(tmp_path / "c")

    def test_unknown_prefixes_places_and_files_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UnknownNameError, match="'celeba'"):
            recognise("celebA:/data")
        with pytest.raises(DataError, match="There is no data set"):
            recognise(tmp_path / "nowhere")
        with pytest.raises(DataError, match="There is no folder"):
            load_data(f"celeba:{tmp_path / 'nowhere'}")
        with pytest.raises(DataError, match="There is no folder or zip"):
            load_data(f"folder:{tmp_path / 'nowhere'}")
        with pytest.raises(DataError, match="neither a folder nor a zip"):
            load_data(put(tmp_path / "x.zip", "no zip"))
        for nothing in ("", "folder:", "celeba:"):
            with pytest.raises(UsageError, match="names no path"):
                recognise(nothing)
        with pytest.raises(UsageError, match="toy:N"):
            recognise("toy:many")

    @pytest.mark.parametrize(
        "options", [{"size": 4}, {"size": 5000}, {"max_bad": 2.0}, {"workers": 0}, {"crop": "nose"}]
    )
    def test_options_out_of_range_are_refused(self, tmp_path: Path, options: dict[str, object]) -> None:
        put(tmp_path / "f" / "1.png", picture(1))
        with pytest.raises(UsageError):
            load_data(tmp_path / "f", **options)  # type: ignore[arg-type]

    def test_toy_faces_are_cached(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from augface.data import toyfaces

        first = load_data("toy:20", size=16)
        monkeypatch.setattr(toyfaces, "load_toyfaces", None)
        again = load_data("toy:20", size=16)
        assert np.array_equal(first.images, again.images)
        pd.testing.assert_frame_equal(first.attributes, again.attributes)
        assert first.factors is not None
        assert again.factors is not None
        pd.testing.assert_frame_equal(first.factors, again.factors)
        assert first.source == again.source
        assert (first.identity == again.identity).all()  # type: ignore[union-attr]
        assert (first.split == again.split).all()  # type: ignore[union-attr]


@pytest.mark.real_data
def test_real_celeba_is_read_straight_from_the_zip(real_data: Path) -> None:
    data = load_data(real_data / "celeba-mini")
    assert len(data) == 9034
    train = data.train
    assert train is not None
    assert len(train) == 6296
    assert int(train.attributes["Eyeglasses"].sum()) == 415
    assert data.images.shape == (9034, 64, 64, 3)
    assert data.identity is not None
    persons = [set(part.identity.tolist()) for part in (data.train, data.valid, data.test) if part is not None]  # type: ignore[union-attr]
    assert not persons[0] & persons[1]
    assert not persons[0] & persons[2]
