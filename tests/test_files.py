"""Files are written whole or not at all, folders are never overwritten by surprise, and seeds give separate streams."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from augface.errors import OutputError
from augface.files import (
    atomic_path,
    atomic_write,
    cache_dir,
    human_bytes,
    new_directory,
    output_errors,
    sha256_of_file,
)
from augface.seeds import derive_seed, random_generator


def test_a_file_is_written_with_its_folders_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a/b/file.txt"
    atomic_write(path, "é")
    assert path.read_bytes() == "é".encode()
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"
    assert [found.name for found in path.parent.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt])
def test_a_write_that_fails_keeps_the_old_file_and_leaves_nothing_else(
    stop: type[BaseException], tmp_path: Path
) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise stop

    with pytest.raises(stop):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_replaces_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").touch()
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
        assert [path.name for path in folder.iterdir()] == ["old"], "the old one stands until the new one is whole"
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_full_disk_says_so_and_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=f"No space left .*{tmp_path.name}"), output_errors(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_path_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Cannot write"):
        atomic_write(tmp_path / "file/below", "text")


def test_a_new_directory_is_made_and_an_empty_one_is_taken(tmp_path: Path) -> None:
    assert new_directory(tmp_path / "a/b").is_dir()
    assert list(new_directory(tmp_path / "a/b").iterdir()) == []


def test_a_new_directory_is_neither_a_file_nor_full(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        new_directory(tmp_path / "file")
    with pytest.raises(OutputError, match="is not empty"):
        new_directory(tmp_path)


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUGFACE_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.setenv("AUGFACE_CACHE", "")
    assert cache_dir().name == "augface"


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert sha256_of_file(tmp_path / "empty").startswith("e3b0c44298fc1c14")


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2.5e9, "2.5 GB"), (7e15, "7000.0 TB")]
)
def test_sizes_are_told_in_units_of_people(count: float, text: str) -> None:
    assert human_bytes(count) == text


def test_a_stream_depends_on_the_seed_and_on_every_name() -> None:
    streams = [(0,), (1,), (0, "a"), (0, "b"), (0, "a", 1), (0, "a", "1"), (0, "a1"), (0, 1, "a")]
    seeds = {derive_seed(seed, *names) for seed, *names in streams}  # type: ignore[arg-type]
    assert len(seeds) == len(streams)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_stream_is_the_same_on_every_machine_and_day() -> None:
    assert derive_seed(0, "noise", 1) == derive_seed(0, "noise", 1)
    first = random_generator(3, "noise").integers(0, 1000, 4)
    np.testing.assert_array_equal(first, random_generator(3, "noise").integers(0, 1000, 4))
