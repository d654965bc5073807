"""`FaceOverSampler` keeps the conventions of imbalanced-learn and scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import augface
from augface.arrays import Pixels
from augface.data.dataset import FaceDataset
from augface.data.toyfaces import load_toyfaces
from augface.errors import DataError, UsageError
from augface.rebalancing.filters import Filters, Passed

COUNTS = {"plain": 30, "hat": 12, "glasses": 6}


@pytest.fixture(scope="module")
def faces() -> tuple[Pixels, Any]:
    images = np.asarray(load_toyfaces(sum(COUNTS.values()), 16, seed=2).images)
    labels = np.repeat(list(COUNTS), list(COUNTS.values()))
    order = np.random.default_rng(0).permutation(len(labels))
    return images, labels[order]


def sampler(**settings: Any) -> augface.FaceOverSampler:
    return augface.FaceOverSampler("resample", **{"filters": False, "random_state": 0, **settings})


def counts(labels: Any) -> dict[Any, int]:
    return pd.Series(labels).value_counts().to_dict()


@pytest.mark.parametrize(
    ("strategy", "after"),
    [
        ("auto", {"plain": 30, "hat": 30, "glasses": 30}),
        ("not majority", {"plain": 30, "hat": 30, "glasses": 30}),
        ("minority", {"plain": 30, "hat": 12, "glasses": 30}),
        ({"glasses": 9}, {"plain": 30, "hat": 12, "glasses": 9}),
        (lambda y: {"hat": 2 * int((y == "hat").sum())}, {"plain": 30, "hat": 24, "glasses": 6}),
    ],
)
def test_strategies_are_those_of_imbalanced_learn(strategy: Any, after: Any, faces: tuple[Pixels, Any]) -> None:
    images, labels = faces
    made = sampler(sampling_strategy=strategy)
    resampled, classes = made.fit_resample(images, labels)
    assert counts(classes) == after
    assert made.generated_ == {name: after[name] - have for name, have in COUNTS.items() if after[name] > have}
    assert resampled.dtype == np.uint8
    assert np.array_equal(resampled[: len(images)], images)
    assert np.array_equal(classes[: len(labels)], labels)
    # each new face is one of its class, as this generator repeats and mirrors
    for image, label in zip(resampled[len(images) :], classes[len(labels) :], strict=True):
        same = images[labels == label]
        assert (same == image).all(axis=(1, 2, 3)).any() or (same == image[:, ::-1]).all(axis=(1, 2, 3)).any()


def test_a_ratio_is_for_two_classes(faces: tuple[Pixels, Any]) -> None:
    images, labels = faces
    binary = pd.Series(labels == "hat", name="hat")
    _, classes = sampler(sampling_strategy=0.5).fit_resample(images, binary)
    assert isinstance(classes, pd.Series)
    assert (classes.name, classes.dtype) == ("hat", binary.dtype)
    assert counts(classes) == {False: 36, True: 18}
    with pytest.raises(UsageError, match="ratio needs"):
        sampler(sampling_strategy=0.5).fit_resample(images, labels)


def test_the_seed_decides(faces: tuple[Pixels, Any]) -> None:
    first, again, other = (sampler(random_state=seed).fit_resample(*faces)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_it_is_an_estimator() -> None:
    made = sampler(sampling_strategy="minority", max_draws=3)
    params = made.get_params()
    assert (params["sampling_strategy"], params["max_draws"], params["filters"]) == ("minority", 3, False)
    assert clone(made).get_params() == params
    assert made.set_params(random_state=5).random_state == 5


class EveryThird:
    """Filters that let every third face pass; fitting real ones takes long."""

    def __init__(self, train: FaceDataset) -> None:
        self.train = train

    def check(self, faces: FaceDataset, where: Mapping[str, bool], *, copies_allowed: bool) -> Passed:
        count = len(faces)
        passed, rows = np.arange(count) % 3 == 0, np.arange(count)
        return Passed(
            passed, passed, passed, {name: np.ones(count, np.float32) for name in where}, rows, copies_allowed
        )


def test_faces_pass_the_filters(
    faces: tuple[Pixels, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    images, labels = faces
    monkeypatch.setattr(Filters, "fit", lambda train, seed: EveryThird(train))
    made = sampler(filters=True, sampling_strategy={True: 16}, max_draws=2)
    resampled, classes = made.fit_resample(images, labels == "hat")
    assert made.sampling_strategy_ == {False: 0, True: 4}
    assert made.generated_ == {True: 3}  # of 8 that were drawn
    assert "3 of 4 wanted faces passed the filters in 8 draws" in caplog.text
    assert len(resampled) == len(images) + 3
    assert classes[-3:].all()


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"y": ["a"] * 48}, DataError, "of one class"),
        ({"y": ["a", "b"] * 20}, DataError, "48 images"),
        ({"y": [["a"]] * 48}, DataError, "one class for each face"),
        ({"y": ["a", None] * 24}, DataError, "none is missing"),
        ({"sampling_strategy": {"cap": 9}}, UsageError, r"names \['cap'\]; the classes are \['glasses', "),
        ({"sampling_strategy": {"hat": 9}}, UsageError, "asks for 9 faces with hat, but there are 12"),
        ({"sampling_strategy": "majority"}, UsageError, "'majority' is neither"),
        ({"generator": "dcgan", "budget": "64"}, UsageError, "cannot be asked for a class"),
    ],
)
def test_what_makes_no_sense_is_said(
    change: dict[str, Any], error: type[Exception], said: str, faces: tuple[Pixels, Any]
) -> None:
    images, labels = faces
    given = change.pop("y", labels)
    with pytest.raises(error, match=said):
        sampler().set_params(**change).fit_resample(images, given)
