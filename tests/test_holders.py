"""Whatever holds faces is read to the same faces: loaders, streams, Hugging Face, Parquet, WebDataset; and out again.

Each row of the tables "Tables with images", "WebDataset" and "Loaders, data sets and streams" of docs/inputs.md has its
test here.
"""

from __future__ import annotations

import io
import itertools
import json
import pickle
import sys
import tarfile
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as arrow
import pytest
import torch
from PIL import Image
from pyarrow import parquet
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

import augface
from augface.data.dataset import FaceDataset
from augface.data.readers import image_tables
from augface.errors import AugfaceError, DataError, UsageError
from augface.evaluation.inputs import open_faces
from augface.threads import in_order

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
PIXELS[0, 0, 0], PIXELS[0, 0, 1] = 0, 255
TENSOR = torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 255
PICTURES = [Image.fromarray(image) for image in PIXELS]
LABELS = torch.tensor([0, 1, 0, 1, 0, 1])
Item = namedtuple("Item", ["image", "label"])


class ImageFolder(Dataset[Any]):
    """As torchvision's: a picture and the number of a class, whose names are known."""

    classes = ("hat", "plain", "glasses")

    def __len__(self) -> int:
        return len(PICTURES)

    def __getitem__(self, index: int) -> Any:
        return PICTURES[index], index % 3


class CelebA(Dataset[Any]):
    """As torchvision's: a picture and a list of labels, whose names are known, the last of them empty."""

    attr_names = ("Male", "Hat", "")

    def __len__(self) -> int:
        return len(PICTURES)

    def __getitem__(self, index: int) -> Any:
        return TENSOR[index] * 2 - 1, torch.tensor([index % 2, 1])


def stream() -> Iterator[dict[str, Any]]:
    for number, image in enumerate(PIXELS):
        yield {"jpg": png(image), "cls": number % 2, "__key__": f"face-{number}"}


def png(image: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def pixels(faces: FaceDataset) -> Any:
    return np.asarray(faces.images)


def texts(faces: FaceDataset) -> dict[str, str]:
    """Attributes as texts of 1, 0 and - where unknown."""
    return {
        str(name): "".join("-" if pd.isna(value) else str(int(value)) for value in column)
        for name, column in faces.attributes.items()
    }


ALTERNATE = {"label": "010101"}
CLASSES = {"glasses": "001001", "hat": "100100", "plain": "010010"}


class TestHolders:
    @pytest.mark.parametrize(
        ("holder", "labels"),
        [
            pytest.param(lambda: TensorDataset(TENSOR, LABELS), ALTERNATE, id="torch data set"),
            pytest.param(lambda: TensorDataset(TENSOR), {}, id="without labels"),
            pytest.param(lambda: DataLoader(TensorDataset(TENSOR, LABELS), batch_size=4), ALTERNATE, id="loader"),
            pytest.param(lambda: DataLoader(CelebA(), batch_size=4), {"Male": "010101", "Hat": "111111"}, id="CelebA"),
            pytest.param(ImageFolder, CLASSES, id="ImageFolder"),
            pytest.param(lambda: Subset(ImageFolder(), range(6)), CLASSES, id="part of it"),
            pytest.param(
                lambda: DataLoader(ImageFolder(), batch_size=4, collate_fn=lambda items: [face for face, _ in items]),
                {},
                id="batches of PIL images",
            ),
            pytest.param(
                lambda: TensorDataset(TENSOR, torch.tensor([0, 1, 2, 2, 1, 0])),
                {"label_0": "100001", "label_1": "010010", "label_2": "001100"},
                id="numbers of classes",
            ),
            pytest.param(lambda: [Item(*item) for item in zip(PICTURES, LABELS, strict=True)], ALTERNATE, id="tuples"),
            pytest.param(lambda: iter(PICTURES), {}, id="generator of PIL images"),
            pytest.param(stream, {"cls": "010101"}, id="mappings with the bytes of files"),
            pytest.param(
                lambda: {"image": PIXELS, "Male": ["yes", "no", None] * 2}, {"Male": "10-10-"}, id="one batch"
            ),
        ],
    )
    def test_all_give_the_same_faces(self, holder: Callable[[], Any], labels: dict[str, str]) -> None:
        faces = augface.load_data(holder())
        assert (pixels(faces) == PIXELS).all()
        assert texts(faces) == labels

    def test_keys_name_the_faces(self) -> None:
        assert augface.load_data(stream()).names[0] == "face-0"

    def test_a_mapping_from_splits_is_one_data_set(self) -> None:
        faces = augface.load_data({"train": TENSOR[:4], "validation": (image for image in TENSOR[4:])})
        assert (pixels(faces) == PIXELS).all()
        assert faces.split is not None
        assert faces.split.tolist() == ["train"] * 4 + ["valid"] * 2
        assert augface.load_data({"train": TENSOR}).split is None

    def test_a_data_set_goes_through_as_it_is(self) -> None:
        faces = FaceDataset.from_arrays(PIXELS)
        assert augface.load_data(faces) is faces

    @pytest.mark.parametrize(
        ("labels", "read"),
        [
            (pd.Series([1, 0, 0, 1, 1, -1], name="Hat"), {"Hat": "1--110"}),
            ({"Male": ["yes", "no"] * 3}, {"Male": "101010"}),
            (pd.DataFrame({"Male": [True, False] * 3}), {"Male": "101010"}),
            (LABELS, ALTERNATE),
            (np.stack([LABELS, 1 - LABELS], 1), {"label_0": "010101", "label_1": "101010"}),
        ],
        ids=["Series", "dict", "DataFrame", "tensor", "array of two"],
    )
    def test_labels_given_beside(self, labels: Any, read: dict[str, str]) -> None:
        plain, labelled = augface.load_data(ImageFolder()), augface.load_data(ImageFolder(), labels=labels)
        assert texts(labelled) == read
        assert plain.source.content_hash != labelled.source.content_hash

    def test_labels_do_not_go_with_a_loader_that_shuffles(self) -> None:
        with pytest.raises(UsageError, match="shuffles its faces"):
            augface.load_data(DataLoader(TensorDataset(TENSOR), shuffle=True), labels=LABELS)

    def test_faces_that_a_loader_drops_are_told_of(self, caplog: pytest.LogCaptureFixture) -> None:
        assert len(augface.load_data(DataLoader(TensorDataset(TENSOR), batch_size=4, drop_last=True))) == 4
        assert "leaves out its last 2 faces" in caplog.text

    @pytest.mark.parametrize("several", [list, iter])
    def test_several_sizes_need_a_size(self, several: Any) -> None:
        wide = [Image.fromarray(np.repeat(np.repeat(image, 2, 0), 2 + row % 2, 1)) for row, image in enumerate(PIXELS)]
        with pytest.raises(DataError, match="different shapes"):
            augface.load_data(several(wide))
        faces = augface.load_data(several(wide), size=8)
        assert faces.images.shape == (6, 8, 8, 3)
        assert faces.source.detail == 16

    @pytest.mark.parametrize(
        ("holder", "says"),
        [
            ([(PIXELS[0], PIXELS[1])], "several pictures"),
            ([{"a": PIXELS[0], "b": PIXELS[1]}], "Which picture is the face"),
            ([("a", PIXELS[0])], "Put the picture first"),
            ([{"name": "a"}], "no picture, only name"),
            (["a.png"], "An item is str"),
            (iter([]), "holds no faces"),
            (3, "understood in what is of the type int"),
            ([{"image": b"\xff\xd8\xff broken"}], "cannot be used: not an image"),
        ],
    )
    def test_what_is_refused(self, holder: Any, says: str) -> None:
        with pytest.raises(DataError, match=says):
            augface.load_data(holder)

    def test_no_more_than_fits_into_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("augface.data.holders._memory", lambda: 10 * PIXELS[0].nbytes)
        with pytest.raises(DataError, match=r"first 6 faces .*islice"):
            augface.load_data(itertools.repeat(PIXELS[0]))

    def test_both_sides_of_an_evaluation(self) -> None:
        opened = open_faces(DataLoader(CelebA(), batch_size=4), iter(PICTURES), stream())
        assert opened.train is not None
        for faces in (opened.real, opened.synthetic, opened.train):
            assert (pixels(faces) == PIXELS).all()


class TestRange:
    @pytest.mark.parametrize(("low", "high"), [(-0.1, 1), (0, 1.5), (0, 10), (-2.1, 2.6)])
    def test_what_is_ambiguous_is_refused_with_the_way_out(self, low: float, high: float) -> None:
        images = PIXELS / 255 * (high - low) + low
        with pytest.raises(DataError, match=r"value_range=\(-1, 1\)"):
            augface.load_data(images)
        assert (pixels(augface.load_data(images, value_range=(low, high))) == PIXELS).all()

    @pytest.mark.parametrize("value_range", [(1, 0), (0, 0)])
    def test_a_range_has_two_ends(self, value_range: Any) -> None:
        with pytest.raises(DataError, match="black and what is white"):
            augface.load_data(TENSOR, value_range=value_range)

    def test_only_for_faces_in_memory(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="faces in memory"):
            augface.load_data(tmp_path, value_range=(0, 1))
        with pytest.raises(UsageError, match="A crop is for files"):
            augface.load_data(TENSOR, crop="celeba")


@pytest.fixture(scope="module")
def hugging_face() -> Any:
    """A data set of Hugging Face with what it may hold."""
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    return datasets.Dataset.from_dict(
        {
            "image": PICTURES,
            "label": [0, 1, -1] * 2,
            "Male": [True, None, False] * 2,
            "caption": list("abcdef"),
            "box": [[1, 2]] * 6,
        },
        features=datasets.Features(
            image=datasets.Image(),
            label=datasets.ClassLabel(names=["plain", "glasses"]),
            Male=datasets.Value("bool"),
            caption=datasets.Value("string"),
            box=datasets.List(datasets.Value("int32")),
        ),
    )


KNOWN = {"Male": "1-01-0", "glasses": "01-01-", "plain": "10-10-"}


class TestHuggingFace:
    def as_dict(self, data: Any) -> Any:
        import datasets

        return datasets.DatasetDict(train=data.select(range(4)), test=data.select(range(4, 6)))

    @pytest.mark.parametrize(
        "change",
        [lambda data: data, lambda data: data.to_iterable_dataset(), lambda data: data.with_format("torch")],
        ids=["data set", "stream", "as tensors"],
    )
    def test_in_memory(self, hugging_face: Any, change: Any, caplog: pytest.LogCaptureFixture) -> None:
        faces = augface.load_data(change(hugging_face))
        assert (pixels(faces) == PIXELS).all()
        assert texts(faces) == KNOWN
        assert "box of the faces are neither labels nor texts" in caplog.text

    def test_on_disk(self, hugging_face: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        hugging_face.save_to_disk(tmp_path / "saved")
        hugging_face.to_parquet(tmp_path / "one.parquet")
        for place in (tmp_path / "saved", f"hf:{tmp_path / 'saved'}", tmp_path / "one.parquet"):
            faces = augface.load_data(place, size=8)
            assert (pixels(faces) == PIXELS).all()
            assert texts(faces) == KNOWN
            assert faces.split is None
        assert "columns box are neither labels nor texts" in caplog.text

    @pytest.mark.parametrize("saved", [True, False], ids=["save_to_disk", "Parquet"])
    def test_splits(self, hugging_face: Any, saved: bool, tmp_path: Path) -> None:
        parts = self.as_dict(hugging_face)
        if saved:
            parts.save_to_disk(tmp_path)
        else:
            (tmp_path / "data").mkdir()
            for name, part in parts.items():
                part.to_parquet(tmp_path / "data" / f"{name}-00000-of-00001.parquet")
        (tmp_path / "README.md").write_text("A data set.")
        for faces in (augface.load_data(tmp_path, size=8), augface.load_data(parts)):
            assert faces.train is not None
            assert faces.test is not None
            assert (pixels(faces.train) == PIXELS[:4]).all()
            assert (pixels(faces.test) == PIXELS[4:]).all()
            assert texts(faces.train) == {name: text[:4] for name, text in KNOWN.items()}

    def test_what_goes_out_comes_back(self, tmp_path: Path) -> None:
        pytest.importorskip("datasets")
        faces = FaceDataset.from_arrays(
            PIXELS,
            {"Male": [1, 0, None] * 2},
            identity=[0, 0, 1, 1, 2, 2],
            split=["train"] * 4 + ["test"] * 2,
            names=[f"{letter}.png" for letter in "abcdef"],
        )
        out = faces.to_hf()
        assert list(out) == ["train", "test"]
        out.save_to_disk(tmp_path)
        for again in (augface.load_data(out), augface.load_data(tmp_path, size=8).select([2, 3, 4, 5, 0, 1])):
            order = np.argsort(again.names)
            assert (pixels(again)[order] == PIXELS).all()
            assert again.select(order).to_frame().astype(str).equals(faces.to_frame().astype(str))

    def test_a_missing_package_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "datasets", None)
        with pytest.raises(UsageError, match=r"augface\[datasets\]"):
            FaceDataset.from_arrays(PIXELS).to_hf()

    def test_a_name_on_the_hub_is_no_folder(self) -> None:
        with pytest.raises(DataError, match=r"datasets\.load_dataset"):
            augface.load_data("hf:someone/faces")


def write_table(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    parquet.write_table(arrow.table(columns), path, **options)
    return path


class TestImageTables:
    FILES = tuple(png(image) for image in PIXELS)

    def test_bytes_without_a_structure(self, tmp_path: Path) -> None:
        place = write_table(tmp_path / "a.parquet", {"picture": self.FILES, "Hat": ["yes", "no"] * 3})
        faces = augface.load_data(place, size=8)
        assert (pixels(faces) == PIXELS).all()
        assert texts(faces) == {"Hat": "101010"}

    def test_several_row_groups_and_files(self, tmp_path: Path) -> None:
        for name, part in (
            ("train-00000-of-00002", list(self.FILES[:4])),
            ("train-00001-of-00002", list(self.FILES[4:])),
        ):
            write_table(tmp_path / f"{name}.parquet", {"image": part}, row_group_size=3)
        assert (pixels(augface.load_data(tmp_path, size=8)) == PIXELS).all()

    def test_two_columns_of_images_must_be_told_apart(self, tmp_path: Path) -> None:
        place = write_table(tmp_path / "a.parquet", {"face": self.FILES, "mask": self.FILES})
        with pytest.raises(DataError, match="several columns of images"):
            augface.load_data(place)
        place = write_table(tmp_path / "b.parquet", {"image": self.FILES, "mask": self.FILES})
        assert len(augface.load_data(place)) == 6

    def test_a_table_without_images_is_none(self, tmp_path: Path) -> None:
        place = write_table(tmp_path / "a.parquet", {"label": [0, 1]})
        with pytest.raises(DataError, match="no column of images"):
            augface.load_data(f"hf:{place}")

    def test_paths_in_a_table_are_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "secret.png").write_bytes(self.FILES[0])
        images = [{"bytes": None, "path": str(tmp_path / "secret.png")}] * 3 + [
            {"bytes": file, "path": "../../x.png"} for file in self.FILES
        ]
        kind = arrow.struct({"bytes": arrow.binary(), "path": arrow.string()})
        place = write_table(tmp_path / "data.parquet", {"image": arrow.array(images, kind)})
        faces = augface.load_data(f"hf:{place}", size=8)
        assert len(faces) == 6
        assert not any("/" in name for name in faces.names)

    def test_broken_files_are_told_in_a_line(self, tmp_path: Path) -> None:
        good = write_table(tmp_path / "a.parquet", {"image": self.FILES}).read_bytes()
        for content in (b"", b"PAR1", good[:40] + good[60:], good[: len(good) // 2]):
            (tmp_path / "b.parquet").write_bytes(content)
            with pytest.raises(AugfaceError, match=r"b\.parquet"):
                augface.load_data(f"hf:{tmp_path / 'b.parquet'}")

    def test_row_groups_have_a_limit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        place = write_table(tmp_path / "a.parquet", {"image": self.FILES})
        monkeypatch.setattr(image_tables, "MAX_GROUP_BYTES", 100)
        with pytest.raises(DataError, match="in one row group"):
            augface.load_data(f"hf:{place}")

    def test_a_picture_that_is_repeated_takes_its_memory_once(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        table = arrow.table({"image": arrow.array([png(noise)] * 2_000)})
        parquet.write_table(table, tmp_path / "a.parquet")
        assert (tmp_path / "a.parquet").stat().st_size < 50_000
        before = arrow.total_allocated_bytes()
        images = image_tables._Parquet(tmp_path / "a.parquet", "a")
        images.image = image_tables._image_column(images.schema, "a")
        for batch in images.images(0):
            assert len(batch[0].as_py()) > 10_000
            assert arrow.total_allocated_bytes() - before < 5_000_000

    def test_images_are_unpacked_piece_by_piece_in_any_order(self, tmp_path: Path) -> None:
        random = np.random.default_rng(0)
        contents = [random.bytes(10_000) for _ in range(4_000)]
        table = arrow.table({"image": arrow.array(contents)})
        parquet.write_table(table, tmp_path / "a.parquet", row_group_size=3_000)
        with arrow.ipc.new_stream(str(tmp_path / "data.arrow"), table.schema) as writer:
            writer.write_table(table, max_chunksize=1_500)
        (tmp_path / "dataset_info.json").write_text("{}")
        (tmp_path / "state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
        del table
        for place in (tmp_path / "a.parquet", tmp_path):
            before = arrow.total_allocated_bytes()
            container = image_tables.ImageTables(place)
            names, most = list(container.names), 0
            for name, content in zip(names, contents, strict=True):
                assert container.read(name, 20_000) == content
                most = max(most, arrow.total_allocated_bytes() - before)
            assert most < 25_000_000, "of 40 MB"
            some = random.permutation(len(names))[:8].tolist()
            assert [container.read(names[row], 20_000) for row in some] == [contents[row] for row in some]
            rows = range(0, len(names), 40)
            read = in_order(lambda row: container.read(names[row], 20_000), rows, workers=3, ahead=6)  # noqa: B023
            assert list(read) == [contents[row] for row in rows]

    def test_offsets_that_lead_out_of_a_stream_are_refused(self, tmp_path: Path) -> None:
        batch = arrow.record_batch({"image": arrow.array(self.FILES)})
        file = io.BytesIO()
        with arrow.ipc.new_stream(file, batch.schema) as writer:
            writer.write_batch(batch)
        content = file.getvalue()
        end = sum(map(len, self.FILES))
        place = content.rindex(end.to_bytes(4, "little"))
        (tmp_path / "data.arrow").write_bytes(content[:place] + (2**30).to_bytes(4, "little") + content[place + 4 :])
        (tmp_path / "dataset_info.json").write_text("{}")
        (tmp_path / "state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
        with pytest.raises(DataError, match=r"Cannot read data\.arrow"):
            augface.load_data(tmp_path)

    @pytest.mark.parametrize(
        ("state", "says"),
        [
            ('{"_data_files": [{"filename": "../../x.arrow"}]}', "leads out of its folder"),
            ('{"_data_files": [{"filename": "x.arrow"}]}', "not there"),
            ('{"_data_files": [], "_indices_data_files": [{"filename": "i.arrow"}]}', "a list of their own"),
            ("[", "save_to_disk"),
        ],
    )
    def test_what_a_state_names_is_checked(self, state: str, says: str, tmp_path: Path) -> None:
        (tmp_path / "dataset_info.json").write_text("{}")
        (tmp_path / "state.json").write_text(state)
        with pytest.raises(DataError, match=says):
            augface.load_data(tmp_path)


def write_tar(path: Path, files: dict[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.name = name
            info.size = 0 if isinstance(content, tarfile.TarInfo) else len(content)
            tar.addfile(info, None if isinstance(content, tarfile.TarInfo) else io.BytesIO(content))
    return path


def samples(rows: range, **more: Callable[[int], bytes]) -> dict[str, bytes | tarfile.TarInfo]:
    return {
        name: content
        for row in rows
        for name, content in {
            f"{row:04d}.png": png(PIXELS[row]),
            **{f"{row:04d}.{extension}": make(row) for extension, make in more.items()},
        }.items()
    }


def said(row: int) -> bytes:
    return json.dumps({"Male": bool(row % 2), "box": [1, 2], "caption": f"face {row}"}).encode()


class TestWebDataset:
    def test_samples_with_labels(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        place = write_tar(
            tmp_path / "faces.tar", samples(range(6), json=said, cls=lambda row: b"%d" % (row % 3), pyd=lambda _: b"x")
        )
        faces = augface.load_data(place, size=8)
        assert (pixels(faces) == PIXELS).all()
        assert texts(faces) == {"Male": "010101", "cls_0": "100100", "cls_1": "010010", "cls_2": "001001"}
        assert faces.names[0] == "0000.png"
        assert "neither images nor labels (faces.tar/0000.pyd" in caplog.text

    def test_archives_of_splits(self, tmp_path: Path) -> None:
        write_tar(tmp_path / "train-0000.tar", samples(range(4), cls=lambda row: b"%d" % (row % 2)))
        write_tar(tmp_path / "val-0000.tar", samples(range(4, 6), cls=lambda row: b"%d" % (row % 2)))
        for spec in (tmp_path, f"wds:{tmp_path}"):
            faces = augface.load_data(spec, size=8)
            assert faces.split is not None
            assert faces.split.tolist() == ["train"] * 4 + ["valid"] * 2
            assert texts(faces) == {"class": "010101"}
        assert faces.names[0] == "train-0000/0000.png"

    def test_a_picture_beside_the_face(self, tmp_path: Path) -> None:
        masks = {f"{row:04d}.mask.png": png(PIXELS[0]) for row in range(6)}
        place = write_tar(tmp_path / "a.tar", {**samples(range(6)), **masks})
        assert (pixels(augface.load_data(place, size=8)) == PIXELS).all()
        place = write_tar(tmp_path / "b.tar", {"0.png": png(PIXELS[0]), "0.jpg": png(PIXELS[1])})
        with pytest.raises(DataError, match="several pictures"):
            augface.load_data(place)

    def test_links_and_devices_are_left_out(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        link, device = tarfile.TarInfo(), tarfile.TarInfo()
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        device.type = tarfile.CHRTYPE
        place = write_tar(tmp_path / "a.tar", {**samples(range(6)), "x.png": link, "y.png": device})
        assert len(augface.load_data(place, size=8)) == 6
        assert "2 links, devices and sparse files are left out" in caplog.text

    @pytest.mark.parametrize("name", ["../0.png", "/etc/0.png", "a/../../0.png", "C:/0.png"])
    def test_names_that_lead_out_are_refused(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="leads out of its folder"):
            augface.load_data(write_tar(tmp_path / "a.tar", {name: png(PIXELS[0])}))

    def test_what_is_broken_is_told(self, tmp_path: Path) -> None:
        whole = write_tar(tmp_path / "a.tar", samples(range(6))).read_bytes()
        with tarfile.open(tmp_path / "a.tar") as tar:
            third = tar.getmembers()[2]
        broken = whole[: third.offset] + b"?" * 512 + whole[third.offset + 512 :]
        for content in (whole[: third.offset_data + 9], whole[: third.offset + 9], whole[: third.offset], broken):
            (tmp_path / "a.tar").write_bytes(content)
            with pytest.raises(DataError, match=r"a\.tar"):
                augface.load_data(tmp_path / "a.tar", size=8)
        with tarfile.open(tmp_path / "b.tar", "w:gz") as tar:
            tar.add(tmp_path / "a.tar", "a.png")
        with pytest.raises(DataError, match="gunzip"):
            augface.load_data(tmp_path / "b.tar")

    @pytest.mark.parametrize("content", [b"[1]", b"{", b"[" * 100_000, b'"x"' + b" " * 1_000_001])
    def test_labels_that_are_not_understood(self, content: bytes, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"0000\.json"):
            augface.load_data(write_tar(tmp_path / "a.tar", samples(range(2), json=lambda _: content)))

    def test_no_images(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="tar files without images, only"):
            augface.load_data(write_tar(tmp_path / "a.tar", {"a.txt": b"x"}))


class TestOut:
    def test_torch(self) -> None:
        faces = augface.load_data("toy:40", size=16)
        loader = DataLoader(faces.to_torch(lambda image: 1 - image), batch_size=8, num_workers=1)
        images, labels = next(iter(loader))
        assert np.abs(images.permute(0, 2, 3, 1).numpy() - (1 - faces.images[:8] / 255)).max() < 1e-6
        assert (labels.numpy() == faces.attributes[:8].to_numpy(dtype=np.float32)).all()

    def test_pickled_a_mapped_file_is_named_and_not_copied(self) -> None:
        faces = augface.load_data("toy:40", size=16)
        packed = pickle.dumps(faces.images)
        assert len(packed) < 2000
        assert (np.asarray(pickle.loads(packed)) == np.asarray(faces.images)).all()
        part = FaceDataset.from_arrays(PIXELS)[4:]
        assert (np.asarray(pickle.loads(pickle.dumps(part.images))) == PIXELS[4:]).all()
