"""The written data set, read by the libraries that it is for."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from augface.data import load_data
from augface.data.dataset import FaceDataset
from augface.data.export import layout, writer
from augface.data.export.naming import class_names, safe_names
from augface.data.export.png import TYPES, encode_png
from augface.data.export.writer import Manifest, write_dataset
from augface.data.readers.celeba import CITATION, TERMS
from augface.errors import DataError, OutputError, UnknownNameError

GENERATOR = {"generator": "cgan", "generator_hash": "ab" * 32, "seed": 3}
SPLITS = ["valid"] + ["train"] * 20 + ["valid"] * 4 + ["test"] * 5
HOSTILE = "<script>alert(1)</script> | `a` ../../x\n# title"


def faces(count: int, seed: int, size: int = 16) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def real() -> FaceDataset:
    random = np.random.default_rng(0)
    attributes = pd.DataFrame(
        {
            "Eyeglasses": pd.array(np.arange(30) % 5 == 0, dtype="boolean"),
            "Male": pd.array(random.random(30) < 0.5, dtype="boolean"),
            HOSTILE: pd.array([pd.NA] * 30, dtype="boolean"),
        }
    )
    attributes.loc[2, "Eyeglasses"] = pd.NA
    data = FaceDataset.from_arrays(
        faces(30, 0),
        attributes,
        identity=np.arange(30) // 2 + 7,
        split=SPLITS,
        names=[f"in/{number}.jpg" for number in range(30)],
        spec="celeba:/home/somebody/celeba-mini",
    )
    return dataclasses.replace(data, source=dataclasses.replace(data.source, terms=TERMS, citation=CITATION))


@pytest.fixture(scope="module")
def made() -> FaceDataset:
    factors = pd.DataFrame(
        {"seed": [2**62 + 1] * 9, "number": range(9), "verified_Eyeglasses": [0.9] * 8 + [np.nan], "other": "x"}
    )
    labels: dict[str, list[bool | None]] = {"Eyeglasses": [True] * 9, "Male": [True, None, False] * 3}
    return FaceDataset.from_arrays(faces(9, 1), labels, factors=factors, spec="cgan")


@pytest.fixture(scope="module")
def written(real: FaceDataset, made: FaceDataset, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    card = {"verdict": "Do not use *them*: <b>no</b> gain.", "yields": {"no copy": 0.93}, "kernel distance": 0.01234}
    folder = tmp_path_factory.mktemp("written") / "dataset"
    return write_dataset(folder, real, made, target=["Eyeglasses"], card=card, **GENERATOR)  # type: ignore[arg-type]


def pixels(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as image:
        return np.asarray(image)


def note(path: Path) -> dict[str, Any]:
    with Image.open(path) as image:
        content: dict[str, Any] = json.loads(image.text["augface"])  # type: ignore[attr-defined]
        return content


def test_only_train_grows_with_originals_first_and_every_pixel_kept(
    written: Manifest, real: FaceDataset, made: FaceDataset
) -> None:
    table = written.table
    assert table["split"].to_list() == [*SPLITS, *["train"] * 9]
    assert table["source"].to_list() == ["real"] * 30 + ["synthetic"] * 9
    assert table["original_name"].to_list()[:30] == list(real.names)
    everything = np.concatenate([np.asarray(real.images), np.asarray(made.images)])
    for path, expected in zip(table["path"], everything, strict=True):
        np.testing.assert_array_equal(pixels(written.directory / path), expected)
    assert written.summary.before == {"Eyeglasses": 4, "no_Eyeglasses": 15, "unlabelled": 1}
    assert written.summary.after == {"Eyeglasses": 13, "no_Eyeglasses": 15, "unlabelled": 1}


def test_image_folder_gives_the_train_split_alone(written: Manifest) -> None:
    from torchvision.datasets import ImageFolder

    table = written.table
    for split, root in layout.ROOTS.items():
        folder = ImageFolder(str(written.directory / root))
        expected = table[table["split"] == split]
        assert folder.classes == sorted(expected["class"].unique())
        found = {
            str(Path(path).relative_to(written.directory)): folder.classes[label] for path, label in folder.samples
        }
        assert found == dict(zip(expected["path"], expected["class"], strict=True))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection can be opened, so that what reads the data set must do without."""
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")


def load_with_hugging_face(folder: Path, cache: Path) -> Any:
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    import datasets

    return datasets.load_dataset(str(folder), cache_dir=str(cache))


@pytest.mark.usefixtures("offline")
def test_hugging_face_reads_all_splits_with_types(written: Manifest, tmp_path: Path) -> None:
    loaded = load_with_hugging_face(written.directory, tmp_path)
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 29, "validation": 5, "test": 5}
    types = {name: feature.dtype for name, feature in loaded["test"].features.items() if name != "image"}
    assert types["Eyeglasses"] == "bool"
    assert types["seed"] == types["identity"] == "int64"
    assert types["verified_Eyeglasses"] == "float64"
    assert loaded["train"].features == loaded["test"].features
    table = written.table
    for split, rows in (("train", loaded["train"]), ("valid", loaded["validation"]), ("test", loaded["test"])):
        expected = table[table["split"] == split].reset_index(drop=True)
        assert rows["original_name"][:] == expected["original_name"].to_list()
        for number, row in enumerate(rows):
            np.testing.assert_array_equal(
                np.asarray(row["image"]), pixels(written.directory / str(expected.loc[number, "path"]))
            )
    first_made = loaded["train"][20]
    assert first_made["source"] == "synthetic"
    assert first_made["seed"] == 2**62 + 1
    assert first_made["generator_hash"] == "ab" * 32
    assert first_made["requested"] == first_made["verified"] == "Eyeglasses"
    assert loaded["train"][1]["Eyeglasses"] is None


def test_our_celeba_reader_gives_the_same_faces_again(written: Manifest, real: FaceDataset, made: FaceDataset) -> None:
    loaded = load_data(f"celeba:{written.directory / 'celeba'}", size=16)
    assert loaded.split is not None
    assert loaded.split.tolist() == written.table["split"].to_list()
    np.testing.assert_array_equal(
        np.asarray(loaded.images), np.concatenate([np.asarray(real.images), np.asarray(made.images)])
    )
    for name in ("Eyeglasses", "Male"):
        expected = pd.concat([real.attributes[name], made.attributes[name]], ignore_index=True)
        pd.testing.assert_series_equal(loaded.attributes[name], expected, check_names=False)
    assert loaded.identity is not None
    assert real.identity is not None
    persons = loaded.identity[:30]
    assert (pd.factorize(persons)[0] == pd.factorize(real.identity)[0]).all()
    assert len(set(loaded.identity[30:]) - set(persons)) == 9, "each synthetic face must be a nobody of its own"


def test_torchvision_celeba_reads_the_label_files(written: Manifest, tmp_path: Path) -> None:
    from torchvision.datasets import CelebA

    class Subset(CelebA):  # type: ignore[misc]
        """The reader without its check that all 202,599 images are there, and with the two files that are not ours."""

        def _check_integrity(self) -> bool:
            return True

        def _load_csv(self, filename: str, header: int | None = None) -> Any:
            ours = not filename.startswith(("list_bbox", "list_landmarks"))
            return super()._load_csv(filename if ours else "list_attr_celeba.txt", header)

    for split in ("train", "valid", "test"):
        rows = written.table[written.table["split"] == split]
        data = Subset(str(written.directory), split=split)
        assert data.attr_names[:2] == ["Eyeglasses", "Male"]
        assert len(data) == len(rows)
        image, labels = data[0]
        np.testing.assert_array_equal(np.asarray(image), pixels(written.directory / rows["path"].iloc[0]))
        assert labels[:2].tolist() == rows[["Eyeglasses", "Male"]].fillna(False).iloc[0].astype(int).to_list()


@pytest.mark.filterwarnings("ignore::DeprecationWarning:mlcroissant")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:rdflib")
@pytest.mark.usefixtures("offline")
def test_croissant_is_valid_and_gives_images_with_their_labels(written: Manifest) -> None:
    import mlcroissant

    data = mlcroissant.Dataset(str(written.directory / "croissant.json"))
    assert not data.metadata.ctx.issues.errors
    assert {warning.split("Property ")[1] for warning in data.metadata.ctx.issues.warnings} <= {
        '"https://schema.org/datePublished" is recommended, but does not exist.'
    }
    table = written.table.set_index("path")
    for split, folder in (("train", "celeba"), ("test", "test")):
        records = list(data.records(split))
        assert len(records) == (table["split"] == split).sum()
        for record in records:
            path = f"{folder}/{record[f'{split}/file_name'].decode()}"
            np.testing.assert_array_equal(np.asarray(record[f"{split}/image"]), pixels(written.directory / path))
            assert record[f"{split}/source"].decode() == table.loc[path, "source"]


def test_croissant_says_what_neurips_2026_requires_of_responsible_use_and_provenance(written: Manifest) -> None:
    """The names are those of the conference's hosting guidelines; none may be empty."""
    content = json.loads((written.directory / "croissant.json").read_text())
    assert "http://mlcommons.org/croissant/1.1" in content["conformsTo"]
    responsible = ("dataLimitations", "dataBiases", "personalSensitiveInformation", "dataUseCases", "dataSocialImpact")
    for name in (*(f"rai:{name}" for name in responsible), "prov:wasDerivedFrom", "prov:wasGeneratedBy"):
        assert content[name], name
    assert content["rai:hasSyntheticData"] is True
    prefixes = {name.partition(":")[0] for name in content if ":" in name}
    assert prefixes <= content["@context"].keys()
    assert [step["prov:label"] for step in content["prov:wasGeneratedBy"]] == ["Training", "Generation", "Filtering"]


def test_made_faces_carry_the_mark_and_real_ones_never(written: Manifest) -> None:
    for path, source in written.table[["path", "source"]].itertuples(index=False):
        assert (TYPES["synthetic"].encode() in (written.directory / path).read_bytes()) == (source != "real")
    path = written.directory / written.table["path"].iloc[30]
    with Image.open(path) as image:
        packet = ElementTree.fromstring(image.info["XML:com.adobe.xmp"])
    (description,) = packet.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    mark = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
    assert description.attrib[mark] == f"http://cv.iptc.org/newscodes/digitalsourcetype/{TYPES['synthetic']}"
    assert note(path) == {
        "source": "synthetic",
        "generator": "cgan",
        "generator_hash": "ab" * 32,
        "seed": 2**62 + 1,
        "number": 0,
        "requested": {"Eyeglasses": True, "Male": True},
        "verified": {"Eyeglasses": 0.9},
    }
    assert note(written.directory / written.table["path"].iloc[0]) == {"source": "real", "original_name": "in/0.jpg"}


def test_faces_of_the_control_are_not_marked_as_made(real: FaceDataset, made: FaceDataset, tmp_path: Path) -> None:
    settings = {**GENERATOR, "generator": "resample"}
    manifest = write_dataset(tmp_path / "out", real, made, target=["Eyeglasses"], source="resampled", **settings)  # type: ignore[arg-type]
    path = manifest.directory / manifest.table["path"].iloc[30]
    assert b"trainedAlgorithmicMedia" not in path.read_bytes()
    assert note(path)["source"] == manifest.table["source"].iloc[30] == "resampled"


def test_each_source_of_a_face_has_its_news_code() -> None:
    codes = {
        "synthetic": "trainedAlgorithmicMedia",
        "photo-based": "compositeWithTrainedAlgorithmicMedia",
        "edited": "compositeWithTrainedAlgorithmicMedia",
        "composed": "compositeCapture",
    }
    black = np.zeros((2, 2, 3), np.uint8)
    for source, code in codes.items():
        assert f"digitalsourcetype/{code}".encode() in encode_png(black, {}, source=source)
    assert b"digitalsourcetype" not in encode_png(black, {}, source="real")


def test_metadata_leaves_blank_what_is_not_known(written: Manifest) -> None:
    path = written.directory / layout.IMAGES / "metadata.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert table.loc[2, "Eyeglasses"] == ""
    assert table.loc[2, "class"] == "unlabelled"
    assert set(table.loc[:29, ["seed", "generator_hash", "requested", "verified"]].to_numpy().ravel()) == {""}
    last = table.iloc[-1]
    assert (last["seed"], last["verified"], last["identity"]) == (str(2**62 + 1), "", "")
    assert all((path.parent / name).is_file() for name in table["file_name"])
    attribute_lines = (written.directory / "celeba/list_attr_celeba.txt").read_text().splitlines()
    assert attribute_lines[0] == "39"
    assert attribute_lines[4].split()[1] == "0"


def test_held_out_faces_take_no_space_twice(written: Manifest) -> None:
    first = written.table.iloc[0]
    linked = written.directory / layout.IMAGES / first["file_name"]
    assert linked.samefile(written.directory / first["path"])


def test_card_tells_people_what_they_must_know(written: Manifest) -> None:
    text = (written.directory / "README.md").read_text()
    front_matter, card = text.split("\n---\n", 1)
    assert "| `Eyeglasses` | 4 | 9 | 13 |" in card
    assert r"Do not use \*them\*: &lt;b&gt;no&lt;/b&gt; gain." in card
    assert "| no copy | 0.93 |" in card
    assert "non-commercial research only" in card
    assert "not the truth about a person" in card
    assert "to identify, track or verify persons" in card
    assert "/home/somebody" not in text + (written.directory / "croissant.json").read_text()
    assert "configs:" in front_matter
    written.write_card({"verdict": "Use them."})
    again = (written.directory / "README.md").read_text()
    assert "**Do the synthetic faces help?** Use them." in again
    assert again.startswith(front_matter)


def test_hostile_attribute_names_reach_no_path_and_no_markup(written: Manifest) -> None:
    safe = "script_alert_1_script_a_.._.._x_title"
    assert list(written.table.columns)[-1] == safe
    lines = (written.directory / "README.md").read_text().splitlines()
    assert not [line for line in lines if line.startswith("# title")]
    assert f"| `<script>alert(1)</script> a ../../x # title` | `{safe}` |" in lines
    assert (written.directory / "celeba/list_attr_celeba.txt").read_text().splitlines()[1].split()[-1] == safe


def test_class_names_of_several_attributes() -> None:
    table = pd.DataFrame({"Eyeglasses": [True, False, None], "is Male": [False, True, True]}).astype("boolean")
    safe = safe_names(table.columns)
    names = class_names(table, ["Eyeglasses", "is Male"], safe).tolist()
    assert names == ["Eyeglasses_no_is_Male", "no_Eyeglasses_is_Male", "unlabelled"]


@pytest.mark.parametrize("name", ["No_Beard", "no"])
def test_an_attribute_that_begins_with_no_keeps_its_name_but_not_as_a_class(name: str) -> None:
    safe = safe_names([name])
    assert safe[name] == name
    table = pd.DataFrame({name: [True, False]}).astype("boolean")
    assert class_names(table, [name], safe).tolist() == [f"is_{name}", f"no_is_{name}"]


@pytest.mark.parametrize("name", ["no", "no_Male", "unlabelled", "CON", "..", "", "a" * 300, "é" * 300, "verified_x"])
def test_safe_names_suit_every_file_system(name: str) -> None:
    safe = safe_names([name, f"{name} "], taken=["Male"])
    first, second = safe.values()
    assert first.casefold() != second.casefold()
    for text in (first, second):
        assert 0 < len(text.encode()) < 80
        assert not text.startswith((".", "verified_"))
        assert text.casefold() not in {"con", "unlabelled"}


def test_names_of_the_metadata_stay_its_own(real: FaceDataset, made: FaceDataset, tmp_path: Path) -> None:
    images = faces(4, 0)
    columns: dict[str, list[bool | None]] = {
        "split": [True, False, True, None],
        "Source": [True] * 4,
        "image": [False] * 4,
    }
    data = FaceDataset.from_arrays(images, columns, split=["train"] * 2 + ["test"] * 2)
    manifest = write_dataset(tmp_path / "out", data, made.select(slice(0, 0)), target=["split"], **GENERATOR)  # type: ignore[arg-type]
    assert list(manifest.table.columns)[-3:] == ["split_2", "Source_2", "image_2"]
    assert manifest.table["split"].to_list() == ["train", "train", "test", "test"]
    assert not (manifest.directory / "valid").exists()
    assert not (manifest.directory / "celeba/identity_CelebA.txt").exists()


@pytest.mark.usefixtures("offline")
def test_data_without_splits_and_without_made_faces_are_all_train(tmp_path: Path, made: FaceDataset) -> None:
    data = FaceDataset.from_arrays(faces(3, 0), {"Eyeglasses": [True, False, None]})
    manifest = write_dataset(tmp_path / "out", data, made.select(slice(0, 0)), target=["Eyeglasses"], **GENERATOR)  # type: ignore[arg-type]
    assert manifest.summary.splits == ["train"]
    loaded = load_with_hugging_face(manifest.directory, tmp_path / "cache")
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 3}


def test_nothing_is_left_when_writing_fails_half_way(
    real: FaceDataset, made: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, "croissant", full)
    with pytest.raises(OutputError, match="No space left"):
        write_dataset(tmp_path / "out", real, made, target=["Eyeglasses"], **GENERATOR)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_an_interrupt_stops_at_once_and_leaves_nothing(
    real: FaceDataset, made: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(writer, "encode_png", interrupt)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "out", real, made, target=["Eyeglasses"], **GENERATOR)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
    assert threading.active_count() == before


def test_a_folder_of_something_else_is_never_replaced(real: FaceDataset, made: FaceDataset, tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"dear")
    with pytest.raises(OutputError, match="not empty"):
        write_dataset(tmp_path, real, made, target=["Eyeglasses"], **GENERATOR)  # type: ignore[arg-type]
    assert (tmp_path / "holiday.jpg").read_bytes() == b"dear"


def test_a_data_set_written_before_is_replaced_whole(real: FaceDataset, made: FaceDataset, tmp_path: Path) -> None:
    first = write_dataset(tmp_path / "out", real, made, target=["Eyeglasses"], **GENERATOR)  # type: ignore[arg-type]
    (first.directory / "stale.txt").write_text("old")
    second = write_dataset(tmp_path / "out", real, made, target=["Male", "Eyeglasses"], **GENERATOR)  # type: ignore[arg-type]
    assert not (second.directory / "stale.txt").exists()
    assert "Male_Eyeglasses" in second.summary.after


def test_wrong_input_is_refused_before_anything_is_written(
    real: FaceDataset, made: FaceDataset, tmp_path: Path
) -> None:
    small = FaceDataset.from_arrays(faces(2, 0, size=8), {"Eyeglasses": [True, True]})
    with pytest.raises(UnknownNameError, match="Eyeglasses"):
        write_dataset(tmp_path / "out", real, made, target=["Eyeglases"], **GENERATOR)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="sizes must agree"):
        write_dataset(tmp_path / "out", real, small, target=["Eyeglasses"], **GENERATOR)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="at least one"):
        write_dataset(tmp_path / "out", real, made, target=[], **GENERATOR)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_face_that_was_made_of_a_real_one_names_it_and_has_its_identity(
    real: FaceDataset, made: FaceDataset, tmp_path: Path
) -> None:
    train = np.flatnonzero(real.split == "train")
    hosts = np.arange(9) % len(train)
    composed = dataclasses.replace(made, factors=pd.DataFrame({"number": range(9), "host": hosts}))
    settings: dict[str, Any] = {**GENERATOR, "source": "composed"}
    table = write_dataset(tmp_path / "dataset", real, composed, target=["Eyeglasses"], **settings).table
    added = table[table["source"] == "composed"]
    originals = table.iloc[train[hosts]]
    assert added["made_of"].tolist() == originals["file_name"].tolist()
    assert added["identity"].tolist() == originals["identity"].tolist()
    assert (originals["split"] == "train").all()
    assert table.loc[table["source"] == "real", "made_of"].isna().all()
