"""What the cache holds, shown and purged."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from augface.cache import entries, purge, touch, write_entry


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUGFACE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fill(root: Path) -> None:
    images = root / "images" / "abc"
    images.mkdir(parents=True)
    (images / "images.npy").write_bytes(b"x" * 1000)
    write_entry(images, "faces of 64 x 64")
    (root / "images" / "unfinished").mkdir()
    (root / "features").mkdir()
    save_file({"features": np.zeros((2, 3))}, root / "features" / "f.safetensors", metadata={"description": "features"})
    (root / "features" / "broken.safetensors").write_bytes(b"\xff" * 20)


def test_an_absent_cache_is_empty(root: Path) -> None:
    assert entries() == []
    assert purge() == 0


def test_folders_and_files_are_described(root: Path) -> None:
    fill(root)
    found = {(entry.kind, entry.key): entry for entry in entries()}
    assert {key: entry.description for key, entry in found.items()} == {
        ("images", "abc"): "faces of 64 x 64",
        ("images", "unfinished"): "unfinished",
        ("features", "f.safetensors"): "features",
        ("features", "broken.safetensors"): "",
    }
    assert found["images", "abc"].bytes > 1000
    assert abs(found["images", "abc"].last_used - time.time()) < 60


def test_purge_takes_a_kind_or_what_is_old(root: Path) -> None:
    fill(root)
    old = time.time() - 10 * 86_400
    os.utime(root / "images" / "abc" / "entry.json", (old, old))
    os.utime(root / "features" / "f.safetensors", (old, old))
    assert purge(kind="nothing") == 0
    assert purge(kind="images", older_than_days=5) > 1000
    assert {entry.key for entry in entries()} == {"unfinished", "f.safetensors", "broken.safetensors"}
    touch(root / "features" / "f.safetensors")
    assert purge(older_than_days=5) == 0
    assert purge() > 0
    assert entries() == []


def test_purge_does_not_follow_links(root: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    (root / "images").mkdir(parents=True)
    (root / "images" / "link").symlink_to(tmp_path / "precious")
    (root / "kind").symlink_to(tmp_path / "precious")
    purge()
    assert (tmp_path / "precious" / "file").exists()
    assert not (root / "images" / "link").exists()
