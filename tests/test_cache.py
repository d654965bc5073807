"""What the cache holds is shown, checked and emptied; what is damaged is not used, what is not ours not touched."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augface.cache import (
    MARKER,
    SIGNATURE,
    damaged_entries,
    entries,
    open_entry,
    prepare_cache,
    purge,
    read_entry,
    touch,
    write_entry,
)
from augface.checked_arrays import arrays_are_whole, read_arrays, write_arrays
from augface.classifiers import attributes
from augface.classifiers.attributes import AttributeClassifier
from augface.cli import main
from augface.data import load_data
from augface.data.dataset import FaceDataset
from augface.errors import DataError, OutputError, UnknownNameError
from augface.features import create_feature_space
from augface.features.extraction import features_of

KEY = "0123456789abcdef" * 2


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUGFACE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fill(root: Path) -> None:
    prepare_cache()
    images = root / "images" / KEY
    images.mkdir(parents=True)
    (images / "images.npy").write_bytes(b"x" * 1000)
    write_entry(images, "faces of 64 x 64", files=["images.npy"])
    (root / "images" / KEY[::-1]).mkdir()
    write_arrays(
        root / "features" / f"f-{KEY}.safetensors", {"features": np.zeros((2, 3))}, {"description": "features"}
    )
    (root / "features" / f"broken-{KEY}.safetensors").write_bytes(b"\xff" * 20)


FILLED = {KEY, KEY[::-1], f"f-{KEY}.safetensors", f"broken-{KEY}.safetensors"}


def test_an_absent_cache_is_empty(root: Path) -> None:
    assert entries() == []
    assert purge() == 0


def test_folders_and_files_are_described(root: Path) -> None:
    fill(root)
    found = {(entry.kind, entry.key): entry for entry in entries()}
    assert {key: entry.description for key, entry in found.items()} == {
        ("images", KEY): "faces of 64 x 64",
        ("images", KEY[::-1]): "unfinished",
        ("features", f"f-{KEY}.safetensors"): "features",
        ("features", f"broken-{KEY}.safetensors"): "",
    }
    assert found["images", KEY].bytes > 1000
    assert abs(found["images", KEY].last_used - time.time()) < 60


def test_purge_takes_a_kind_or_what_is_old(root: Path) -> None:
    fill(root)
    old = time.time() - 10 * 86_400
    os.utime(root / "images" / KEY / "entry.json", (old, old))
    os.utime(root / "features" / f"f-{KEY}.safetensors", (old, old))
    with pytest.raises(UnknownNameError, match="kind of cache entry named 'image'"):
        purge(kind="image")
    assert purge(kind="images", older_than_days=5) > 1000
    assert {entry.key for entry in entries()} == FILLED - {KEY}
    touch(root / "features" / f"f-{KEY}.safetensors")
    assert purge(older_than_days=5) == 0
    assert purge() > 0
    assert entries() == []


def test_purge_does_not_follow_links(root: Path, tmp_path: Path) -> None:
    prepare_cache()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    (tmp_path / "precious" / "entry.json").write_text("x")
    (root / "images").mkdir()
    (root / "images" / KEY).symlink_to(tmp_path / "precious")
    (root / "features").symlink_to(tmp_path / "precious")
    purge()
    assert {path.name for path in (tmp_path / "precious").iterdir()} == {"file", "entry.json"}
    assert not (root / "images" / KEY).exists()


class TestWhatIsOurs:
    def test_the_tag_is_that_of_caches(self, root: Path) -> None:
        prepare_cache()
        assert (root / MARKER).read_bytes().startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")
        prepare_cache()
        assert [path.name for path in root.iterdir()] == [MARKER]

    @pytest.mark.parametrize(
        "name",
        [
            "photos/wedding.jpg",
            "images/wedding.jpg",
            "images/2019/a.jpg",
            "letter.txt",
            "features",
            "weights/thesis.doc",
        ],
    )
    def test_a_folder_of_somebody_is_neither_used_nor_emptied(self, name: str, root: Path) -> None:
        """A tag there would keep it out of backups."""
        own = root / name
        own.parent.mkdir(parents=True)
        own.write_text("mine")
        with pytest.raises(OutputError, match=r"is no cache of augface\. Set AUGFACE_CACHE to a folder that is new"):
            load_data("toy:10", size=16)
        with pytest.raises(DataError, match="Nothing was deleted"):
            purge()
        (root / MARKER).write_text(f"{SIGNATURE}\n# of another program\n")
        with pytest.raises(DataError, match="Nothing was deleted"):
            purge()
        assert own.read_text() == "mine"

    def test_what_others_put_into_the_cache_stays(self, root: Path) -> None:
        fill(root)
        foreign = [
            root / "letter.txt",
            root / "photos" / "a.jpg",
            root / "images" / "holiday" / "a.jpg",
            root / "images" / KEY / "a.jpg",
            root / "features" / "notes.txt",
            root / "weights" / "thesis.doc",
            root / "images" / ".holiday.partial",
        ]
        for path in foreign:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("mine")
        ours = root / "images" / f".{KEY}.abcd1234.partial"
        ours.mkdir()
        purge()
        assert all(path.read_text() == "mine" for path in foreign)
        assert not ours.exists()
        assert sorted(path.name for path in (root / "images" / KEY).iterdir()) == ["a.jpg"]

    def test_a_cache_of_an_earlier_version_is_taken_over(self, root: Path) -> None:
        fill(root)
        (root / MARKER).unlink()
        with pytest.raises(DataError, match="Nothing was deleted"):
            purge()
        load_data("toy:10", size=16)
        assert (root / MARKER).exists()
        assert purge() > 0

    @pytest.mark.parametrize(
        ("answer", "code", "left"), [("y\n", 0, 0), ("n\n", 2, 4), ("\n", 2, 4), ("", 2, 4), (None, 2, 4)]
    )
    def test_purge_asks_first(
        self,
        answer: str | None,
        code: int,
        left: int,
        root: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        fill(root)

        class Terminal:
            def isatty(self) -> bool:
                return answer is not None

            def readline(self) -> str:
                return answer or ""

        monkeypatch.setattr("sys.stdin", Terminal())
        assert main(["data", "purge"]) == code
        said = "".join(capsys.readouterr())
        assert "Delete 4 entries (" in said
        assert (answer is None) == ("--yes" in said)
        assert len(entries()) == left
        assert main(["data", "purge", "--yes"]) == 0
        assert entries() == []
        assert main(["data", "purge"]) == 0, "where nothing is, nothing is asked"


# Damage


def flip(path: Path, place: float = 0.5) -> None:
    """Another bit, as a bad disk gives it: the same size, and another time, as the file is written."""
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 4
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def deep(path: Path) -> None:
    path.write_bytes(b"[" * 200_000)


DAMAGE: list[Callable[[Path], None]] = [flip, cut, empty, deep, Path.unlink]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    random = np.random.default_rng(0)
    for number in range(20):
        Image.fromarray(random.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(
    ("toy", "name"),
    [
        *((False, name) for name in ("images.npy", "entry.json", "progress.jsonl")),
        *((True, name) for name in ("images.npy", "entry.json", "labels.parquet", "source.json")),
    ],
)
def test_damaged_images_are_made_again(
    toy: bool, name: str, damage: Callable[[Path], None], root: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spec = "toy:20" if toy else str(folder)
    before = load_data(spec, size=16)
    pixels, source = np.array(before.images), before.source
    (entry,) = (root / "images").iterdir()
    damage(entry / name)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "augface"):
        after = load_data(spec, size=16)
    assert np.array_equal(np.asarray(after.images), pixels)
    assert after.source == source
    assert after.attributes.equals(before.attributes)
    if name == "images.npy":
        assert "damaged" in caplog.text
    assert open_entry(entry, fully=True)


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_features_are_extracted_again(
    damage: Callable[[Path], None], root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    faces, space = load_data("toy:20", size=16), create_feature_space("pixels")
    before = features_of(faces, space)
    (path,) = (root / "features").iterdir()
    damage(path)
    assert np.array_equal(features_of(faces, space), before)
    assert arrays_are_whole(path)
    assert ("damaged" in caplog.text) == (damage is not Path.unlink)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_classifier_is_trained_again(
    damage: Callable[[Path], None], root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    faces = load_data("toy:20", size=16)

    def log_odds() -> Any:
        return AttributeClassifier.train(faces, images=64, kept=True).log_odds(faces.images)

    before = log_odds()
    (path,) = (root / "classifiers").iterdir()
    damage(path)
    assert np.array_equal(log_odds(), before)
    assert arrays_are_whole(path)
    assert ("damaged" in caplog.text) == (damage is not Path.unlink)


def test_a_classifier_is_trained_once_for_the_same_faces(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = load_data("toy:20", size=16)
    trained: list[str] = []
    learn = attributes.descend

    def descend(*given: Any, **options: Any) -> None:
        trained.append("once more")
        learn(*given, **options)

    def log_odds(data: FaceDataset = faces, *, kept: bool = True, seed: int = 0) -> Any:
        return AttributeClassifier.train(data, images=64, kept=kept, seed=seed).log_odds(faces.images)

    monkeypatch.setattr(attributes, "descend", descend)
    first = log_odds(kept=False)
    assert not (root / "classifiers").exists(), "nobody asked for that"
    assert np.array_equal(log_odds(), first)
    assert np.array_equal(log_odds(), first)
    assert len(trained) == 2
    others = faces.attributes.assign(Male=~faces.attributes["Male"])
    assert not np.array_equal(log_odds(seed=1), first)
    for data in (replace(faces, attributes=others), faces.select(slice(1, None))):
        assert not np.array_equal(log_odds(data), first)
    assert len(trained) == 5
    assert len([entry for entry in entries() if entry.kind == "classifiers"]) == 4


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_not_used(value: float, root: Path) -> None:
    """Whoever wrote them, and with whatever checksum."""
    faces, space = load_data("toy:20", size=16), create_feature_space("pixels")
    before = features_of(faces, space)
    (path,) = (root / "features").iterdir()
    write_arrays(path, {"features": np.full_like(before, value)})
    assert np.array_equal(features_of(faces, space), before)


def test_what_was_not_touched_is_not_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = np.array(load_data("toy:20", size=16).images)
    with monkeypatch.context() as patch:
        patch.setattr("augface.cache.sha256_of_file", None)
        assert np.array_equal(load_data("toy:20", size=16).images, before)
    (entry,) = (root / "images").iterdir()
    os.utime(entry / "images.npy")  # a copy, or a backup that was played back
    load_data("toy:20", size=16)
    with monkeypatch.context() as patch:
        patch.setattr("augface.cache.sha256_of_file", None)
        assert np.array_equal(load_data("toy:20", size=16).images, before)


def test_verify_finds_what_a_start_does_not_see(
    root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for spec in ("toy:20", str(folder)):
        pixels = np.array(load_data(spec, size=16).images)
        features_of(load_data(spec, size=16), create_feature_space("pixels"))
    assert main(["data", "verify"]) == 0
    assert "4 entries read, 0 damaged" in capsys.readouterr().out
    for entry in (root / "images").iterdir():  # a bit that turned on the disk changes no time
        files = read_entry(entry)["files"]
        flip(entry / "images.npy")
        monkeypatch.setattr("augface.cache._stamp", lambda path, files=files: files[path.name]["stamp"])
        assert open_entry(entry)
    flip(next((root / "features").iterdir()))
    assert len(list(damaged_entries())) == 4
    assert main(["data", "verify"]) == 3
    assert "4 entries read, 3 damaged" in capsys.readouterr().out
    monkeypatch.undo()
    monkeypatch.setenv("AUGFACE_CACHE", str(root))
    assert np.array_equal(load_data(str(folder), size=16).images, pixels)


def test_arrays_say_whether_they_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "arrays.safetensors"
    arrays = {"a": np.arange(6.0).reshape(2, 3).T, "b": np.zeros((0, 3), np.int8), "c": np.array(True)}
    write_arrays(path, arrays, {"what": "a test"})
    again = read_arrays(path)
    assert again.keys() == arrays.keys()
    assert all(np.array_equal(again[name].reshape(array.shape), array) for name, array in arrays.items())
    content = path.read_bytes()
    for place in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        if arrays_are_whole(path):  # a letter of the text about them, which is not theirs
            assert place < int.from_bytes(content[:8], "little") + 8
            assert all(np.array_equal(read_arrays(path)[name], again[name]) for name in again)


def test_an_entry_that_was_changed_by_hand_is_not_believed(root: Path) -> None:
    fill(root)
    path = root / "images" / KEY / "entry.json"
    sealed = json.loads(path.read_text())
    sealed["fields"]["description"] = "others"
    path.write_text(json.dumps(sealed))
    assert read_entry(path.parent) == {}
    assert open_entry(path.parent) is None
