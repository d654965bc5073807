"""Data sets in Parquet and WebDataset: what is written is read again, and nothing is overwritten."""

from __future__ import annotations

from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest

from augface.cli import main
from augface.data import load_data
from augface.data.dataset import FaceDataset
from augface.data.export.shards import Format, write_shards
from augface.errors import OutputError, UsageError, require

SIZE = 16


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return load_data("toy:60", size=SIZE)


def check_equal(again: FaceDataset, faces: FaceDataset) -> None:
    """The same faces, whatever their order."""
    names = [[str(name).rpartition("/")[2] for name in each.names] for each in (again, faces)]  # without the archive's
    assert sorted(names[0]) == sorted(names[1])
    again, faces = (each.select(np.argsort(by)) for each, by in zip((again, faces), names, strict=True))
    assert np.array_equal(again.images, faces.images)
    assert again.attributes.astype(object).equals(faces.attributes[list(again.attributes)].astype(object))
    assert again.split is not None
    assert again.split.tolist() == require(faces.split).tolist()
    people = [pd.factorize(require(each.identity))[0].tolist() for each in (again, faces)]
    assert people[0] == people[1], "the same people, by whatever numbers"


@pytest.mark.parametrize("format", ["parquet", "webdataset"])
def test_what_is_written_is_read_again(format: Format, faces: FaceDataset, tmp_path: Path) -> None:
    names = write_shards(faces, tmp_path / "out", format=format, shard=20)
    assert len(names) > 3, "several files of a split"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    check_equal(load_data(tmp_path / "out", size=SIZE), faces)


def test_an_address_gets_the_same_files(faces: FaceDataset, tmp_path: Path) -> None:
    names = write_shards(faces, "memory://shards/out", format="webdataset", shard=20)
    write_shards(faces, tmp_path / "out", format="webdataset", shard=20)
    system = fsspec.filesystem("memory")
    for name in names:
        assert system.cat(f"/shards/out/{name}") == (tmp_path / "out" / name).read_bytes()
    with pytest.raises(OutputError, match="not empty"):
        write_shards(faces, "memory://shards/out")


def test_nothing_is_overwritten_and_unknown_formats_are_refused(faces: FaceDataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="not empty"):
        write_shards(faces, tmp_path)
    with pytest.raises(UsageError, match="parquet or webdataset"):
        write_shards(faces, tmp_path / "out", format="zip")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="nowhere://x cannot be written to"):
        write_shards(faces, "nowhere://x")


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data", "export", "toy:60", "--size", str(SIZE), "--out", str(tmp_path / "out")]
    assert main(words) == 0
    assert "60 faces in 3 files" in capsys.readouterr().out
    assert main(words) == 4
