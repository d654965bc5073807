"""The filters refuse what they should, and let fresh real faces through."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from augface.classifiers.attributes import AttributeClassifier
from augface.classifiers.plausibility import DAMAGES, damaged
from augface.data.dataset import FaceDataset
from augface.data.toyfaces import label, load_toyfaces, render
from augface.errors import DataError, UnknownNameError
from augface.rebalancing.filters import Filters

SIZE = 32
MAN = {"Male": True}


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return load_toyfaces(2000, SIZE)


@pytest.fixture(scope="module")
def train(faces: FaceDataset) -> FaceDataset:
    """Every second one wears glasses that are easily seen, so that a short training suffices."""
    assert faces.train is not None
    assert faces.train.factors is not None
    clear: dict[str, Any] = {"glasses_rim": 1.0, "glasses_frame": "whole", "glasses_tint": 0.0}
    factors = faces.train.factors.assign(glasses=np.arange(len(faces.train)) % 2 == 0, **clear)
    return FaceDataset.from_arrays(render(factors, SIZE), label(factors), identity=faces.train.identity)


@pytest.fixture(scope="module")
def non_mates(faces: FaceDataset) -> FaceDataset:
    assert faces.test is not None
    return faces.test


@pytest.fixture(scope="module")
def gates(train: FaceDataset) -> Filters:
    with pytest.MonkeyPatch.context() as patch:
        learn = AttributeClassifier.train
        patch.setattr(
            AttributeClassifier, "train", lambda *data, **options: learn(*data, **{**options, "images": 10_000})
        )
        return Filters.fit(train, seed=1)


def made(images: np.ndarray[Any, Any]) -> FaceDataset:
    return FaceDataset.from_arrays(images)


def rerendered(faces: FaceDataset, glasses: bool) -> FaceDataset:
    """The same faces in all but their glasses, which have a thick rim all around."""
    assert faces.factors is not None
    factors = faces.factors.assign(glasses=glasses, glasses_rim=1.0, glasses_frame="whole")
    assert (label(factors)["Eyeglasses"] == glasses).all()
    return made(render(factors, SIZE))


def test_copies_are_refused_also_mirrored_ones(gates: Filters, train: FaceDataset) -> None:
    rows = np.arange(0, len(train), 17)
    images = train.images[rows]
    for copies in (images, images[:, :, ::-1]):
        passed = gates.check(made(copies), {})
        assert not passed.copy.any()
        assert np.array_equal(passed.nearest, rows)


@pytest.mark.parametrize("change", ["darker", "noisy", "shifted"])
def test_copies_are_refused_when_slightly_changed(change: str, gates: Filters, train: FaceDataset) -> None:
    images = train.images[:80].astype(np.float64)
    noise = np.random.default_rng(0).normal(0, 4, images.shape)
    changed = {"darker": images * 0.9, "noisy": images + noise, "shifted": np.roll(images, (1, -1), (1, 2))}[change]
    passed = gates.check(made(changed.clip(0, 255).astype(np.uint8)), {})
    assert passed.copy.mean() < 0.05


def test_fresh_real_faces_are_no_copies_and_plausible(gates: Filters, non_mates: FaceDataset) -> None:
    passed = gates.check(non_mates, {})
    assert passed.copy.mean() >= 0.9
    assert passed.plausible.mean() >= 0.95
    assert passed.attribute.all(), "nothing was requested"


def test_noise_is_implausible(gates: Filters) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, SIZE, SIZE, 3)).astype(np.uint8)
    assert gates.check(made(noise), {}).plausible.mean() < 0.05


@pytest.mark.parametrize("kind", ["blur", "noise", "checkerboard", "coarse pixels", "mixed halves"])
def test_most_visibly_broken_faces_are_refused(kind: str, gates: Filters, non_mates: FaceDataset) -> None:
    broken = damaged(np.asarray(non_mates.images), np.random.default_rng(1), (kind,))
    assert gates.check(made(broken), {}).plausible.mean() < 0.5


def test_damage_changes_every_face_and_keeps_its_form(non_mates: FaceDataset) -> None:
    images = np.asarray(non_mates.images)[:100]
    for kind in DAMAGES:
        broken = damaged(images, np.random.default_rng(0), (kind,))
        assert broken.shape == images.shape
        assert broken.dtype == np.uint8
        assert (broken != images).any(axis=(1, 2, 3)).mean() > 0.95, kind


def test_faces_of_the_wrong_kind_are_refused(gates: Filters, non_mates: FaceDataset) -> None:
    plain = non_mates.select(np.flatnonzero(~non_mates.matching({"Eyeglasses": True}))[:150])
    with_glasses, without = rerendered(plain, True), rerendered(plain, False)
    for asked in (True, False):
        where = {"Eyeglasses": asked}
        right, wrong = (with_glasses, without) if asked else (without, with_glasses)
        assert gates.check(right, where).attribute.mean() > 0.7
        assert gates.check(wrong, where).attribute.mean() < 0.2


def test_every_attribute_that_was_asked_for_must_be_seen(gates: Filters, non_mates: FaceDataset) -> None:
    men, smiling = (gates.check(non_mates, where).attribute for where in (MAN, {"Smiling": True}))
    both = gates.check(non_mates, {**MAN, "Smiling": True})
    assert np.array_equal(both.attribute, men & smiling)
    assert set(both.probabilities) == {"Male", "Smiling"}
    assert np.array_equal(both.all, both.attribute & both.copy & both.plausible)


def test_thresholds_are_told_with_how_good_they_are(gates: Filters) -> None:
    threshold = gates.classifier.thresholds["Male"]
    assert 0 < threshold.value < 1
    assert threshold.balanced_accuracy > 0.8
    with pytest.raises(UnknownNameError, match="Did you mean 'Male'"):
        gates.classifier.threshold("male")


def test_the_same_seed_gives_the_same_gates() -> None:
    train = load_toyfaces(300, 16).train
    assert train is not None
    with pytest.MonkeyPatch.context() as patch:
        learn = AttributeClassifier.train
        patch.setattr(AttributeClassifier, "train", lambda *data, **options: learn(*data, **{**options, "images": 640}))
        first, second = Filters.fit(train, seed=4), Filters.fit(train, seed=4)
    assert (first.smallest_distance_ratio, first.plausibility.highest_score) == (
        second.smallest_distance_ratio,
        second.plausibility.highest_score,
    )
    assert np.array_equal(first.check(train, {}).plausible, second.check(train, {}).plausible)


def test_too_few_faces_are_refused() -> None:
    one_person = load_toyfaces(40, 16)
    one_person = FaceDataset.from_arrays(one_person.images, one_person.attributes, identity=np.zeros(40))
    with pytest.raises(DataError, match="too few people"):
        Filters.fit(one_person)
