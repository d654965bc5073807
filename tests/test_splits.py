"""Splits tear nothing apart that belongs together, and depend on pictures and seed alone."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from augface.arrays import Pixels
from augface.data.dataset import FaceDataset
from augface.data.splits import groups_of, inner_fold, near_duplicates, with_default_split
from augface.errors import UsageError


def pictures(count: int, seed: int = 0, size: int = 24) -> Pixels:
    """Smooth random pictures, each unlike the others."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    resized = [np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)) for image in small]
    return np.stack(resized)


def jpeg(image: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def test_copies_are_grouped_and_strangers_are_not() -> None:
    originals = pictures(60)
    brighter = np.clip(originals[0].astype(float) * 0.9 + 5, 0, 255).astype(np.uint8)
    copies = [originals[0], originals[0][:, ::-1], brighter, jpeg(originals[0], 50), jpeg(originals[1], 50)]
    groups = near_duplicates(FaceDataset.from_arrays(np.concatenate([originals, np.stack(copies)])))
    assert len(set(groups.tolist())) == 60
    assert set(groups[60:64].tolist()) == {groups[0]}
    assert groups[64] == groups[1]


def test_more_copies_than_neighbours_are_one_group() -> None:
    image = pictures(1)
    many = np.concatenate(
        [np.repeat(image, 30, axis=0), jpeg(image[0], 60)[None], np.zeros_like(image), pictures(3, 1)]
    )
    groups = near_duplicates(FaceDataset.from_arrays(many))
    assert set(groups[:31].tolist()) == {groups[0]}
    assert len(set(groups.tolist())) == 5


def test_persons_are_never_torn_apart() -> None:
    identity = np.random.default_rng(1).integers(0, 80, 400)
    data = with_default_split(FaceDataset.from_arrays(pictures(400), identity=identity))
    assert data.split is not None
    for person in range(80):
        assert len(set(data.split[identity == person].tolist())) <= 1
    shares = [float((data.split == name).mean()) for name in ("train", "valid", "test")]
    assert shares == pytest.approx([0.7, 0.15, 0.15], abs=0.03)


def test_copies_are_never_torn_apart() -> None:
    originals = pictures(100)
    data = with_default_split(FaceDataset.from_arrays(np.concatenate([originals, originals[:, :, ::-1]])))
    assert data.split is not None
    assert (data.split[:100] == data.split[100:]).all()


def test_a_split_follows_the_pictures_not_their_order() -> None:
    data = FaceDataset.from_arrays(pictures(100))
    order = np.random.default_rng(2).permutation(100)
    split, shuffled = with_default_split(data).split, with_default_split(data.select(order)).split
    assert split is not None
    assert shuffled is not None
    assert (split[order] == shuffled).all()
    other = with_default_split(data, seed=1).split
    assert other is not None
    assert other.tolist() != split.tolist()


def test_a_split_of_its_own_stays() -> None:
    data = FaceDataset.from_arrays(pictures(4), split=["train", "test", "test", "train"])
    assert with_default_split(data) is data


def test_a_part_that_stays_empty_is_told(caplog: pytest.LogCaptureFixture) -> None:
    data = with_default_split(FaceDataset.from_arrays(pictures(4), identity=[7, 7, 7, 7]))
    assert data.split is not None
    assert len(set(data.split.tolist())) == 1
    assert "too few separate groups" in caplog.text


def test_an_inner_fold_is_apart_by_persons_and_of_its_size() -> None:
    identity = np.random.default_rng(3).integers(0, 100, 500)
    data = FaceDataset.from_arrays(pictures(500), identity=identity)
    fold = inner_fold(data, 0.2, seed=0)
    assert not set(identity[fold].tolist()) & set(identity[~fold].tolist())
    assert fold.mean() == pytest.approx(0.2, abs=0.02)
    assert (fold != inner_fold(data, 0.2, seed=1)).any()
    assert (fold == inner_fold(data, 0.2, seed=0)).all()


def test_groups_are_persons_where_they_are_known() -> None:
    same = np.repeat(pictures(1), 4, axis=0)
    assert groups_of(FaceDataset.from_arrays(same, identity=[9, 5, 9, 5])).tolist() == [1, 0, 1, 0]


def test_shares_that_make_no_sense_are_refused() -> None:
    data = FaceDataset.from_arrays(pictures(4))
    with pytest.raises(UsageError, match="add up to 1"):
        with_default_split(data, fractions=(0.7, 0.7, 0.1))
    with pytest.raises(UsageError, match="between 0 and 1"):
        inner_fold(data, 1.5, seed=0)
