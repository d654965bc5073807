"""Copies are found, however they were changed; what only resembles training faces raises no alarm."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageFilter

from augface.classifiers.copies import CopyFinder
from augface.data.dataset import FaceDataset
from augface.data.pixels import ImageRows
from augface.data.toyfaces import load_toyfaces
from augface.evaluation.evaluate import run_evaluators
from augface.evaluation.verdict import decide
from augface.evaluators.base import Context, Findings, check_evaluator
from augface.evaluators.memorisation import Memorisation
from augface.metrics.copying import Nearest, copied_share, copy_test, copying_score
from augface.metrics.registration import registered_distances
from augface.results import ImageGrid, Measurement, Table

SIZE = 64
Images = npt.NDArray[np.uint8]


# The measures


def test_a_shifted_picture_is_found_at_its_place() -> None:
    random = np.random.default_rng(0)
    picture, other = random.normal(size=(2, 20, 20)).astype(np.float32)
    shifted = np.roll(picture, (2, -1), (0, 1))
    distances = registered_distances(picture[None], np.stack([shifted * 3 + 5, other]), 2)[0]
    assert distances[0] < 1e-3
    assert distances[1] > 1
    assert registered_distances(picture[None], shifted[None], 1)[0, 0] > 1  # beyond its reach
    flat = np.ones((1, 20, 20), np.float32)
    assert registered_distances(flat, picture[None], 2)[0, 0] == pytest.approx(2**0.5)


def null_space(random: np.random.Generator, count: int, share: float, people: int) -> Nearest:
    """Synthetic faces that fall beside anybody, several beside one person, whatever the side."""
    side = random.random(people) < share
    person = random.integers(0, people, count)
    return Nearest(random.random(count), person, side[person])


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_the_alarm_is_calibrated_over_two_spaces(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augface.metrics.copying.RESAMPLES", 499)
    random = np.random.default_rng(1)
    p_values = []
    for _ in range(400):
        first = null_space(random, 600, share, 400)
        second = dataclasses.replace(
            first, distance_ratio=first.distance_ratio + 0.2 * random.random(600)
        )  # they agree a lot
        p_values.append(copy_test([first, second], share, random).p_value)
    assert 0.02 < np.mean(np.array(p_values) < 0.05) < 0.08


def test_many_made_faces_beside_one_picture_are_one_piece_of_evidence() -> None:
    random = np.random.default_rng(2)
    nearest = null_space(random, 1000, 0.5, 800)
    one = (
        np.where(np.arange(1000) < 300, -1, nearest.distance_ratio),
        np.where(np.arange(1000) < 300, 5000, nearest.person),
    )
    collapsed = Nearest(one[0], one[1], np.where(np.arange(1000) < 300, True, nearest.from_train))
    assert copy_test([collapsed], 0.5, random).p_value > 0.01
    twenty = np.arange(1000) < 20
    ratios = np.where(twenty, -1, nearest.distance_ratio)
    copied = Nearest(ratios, np.where(twenty, 5000 + np.arange(1000), nearest.person), nearest.from_train | twenty)
    assert copy_test([copied], 0.5, random).p_value < 0.001


def test_with_fewer_held_out_faces_more_copies_are_needed() -> None:
    random = np.random.default_rng(3)
    needed = [copy_test([null_space(random, 1000, share, 900)], share, random).visible for share in (0.5, 0.8)]
    assert 5 <= needed[0] <= 10
    assert needed[1] > 2 * needed[0]


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_the_copied_share_is_right_in_the_mean_and_its_interval_holds_it(share: float) -> None:
    random = np.random.default_rng(4)
    values, held = [], 0
    for _ in range(200):
        near = null_space(random, 2000, share, 4000)  # 1 in 100 is near by chance
        copies = random.random(2000) < 0.03
        planted = Nearest(
            np.where(copies, 0.0, near.distance_ratio), np.where(copies, 9000 + np.arange(2000), near.person),
            near.from_train | copies,
        )  # fmt: skip
        value, low, high = copied_share(planted, 0.01, share)
        values.append(value)
        held += low <= copies.mean() <= high
    assert np.mean(values) == pytest.approx(0.03, abs=0.001)
    assert held >= 186


def test_without_a_near_face_the_copied_share_is_nought_with_an_honest_upper_end() -> None:
    nearest = Nearest(np.ones(1000), np.arange(1000), np.ones(1000, dtype=np.bool_))
    value, low, high = copied_share(nearest, 0.5, 0.5)
    assert (value, low) == (0, 0)
    assert 0.002 < high < 0.006


def test_the_copying_score_sees_what_is_too_near() -> None:
    random = np.random.default_rng(5)
    held_out, cells = random.random(500), random.integers(0, 4, 500)
    assert abs(copying_score(random.random(500), held_out, cells, cells).value) < 2
    assert copying_score(random.random(500) * 0.5, held_out, cells, cells).high < -3
    assert copying_score(random.random(500) * 2, held_out, cells, cells).low > 3
    assert np.isnan(copying_score(held_out[:5], held_out, cells[:5], cells).value)


# Finding copies


@pytest.fixture(autouse=True, scope="module")
def few_strangers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("augface.evaluators.memorisation.NON_MATES_MOST", 200)
        yield


@pytest.fixture(scope="module")
def train() -> FaceDataset:
    return load_toyfaces(700, SIZE, seed=1)


def jpeg(image: Images) -> Images:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=75)
    return np.asarray(Image.open(file))


def gamma(image: Images, power: float) -> Images:
    return np.asarray(255 * (image / 255) ** power, dtype=np.uint8)


CHANGES: dict[str, Callable[[Images], Images]] = {
    "exact": lambda image: image,
    "flipped": lambda image: image[:, ::-1],
    "shifted": lambda image: np.roll(image, (2, -2), (0, 1)),
    "darker": lambda image: gamma(image, 1.25),
    "brighter": lambda image: gamma(image, 0.8),
    "JPEG": jpeg,
    "all": lambda image: jpeg(gamma(np.roll(image[:, ::-1], (-2, 1), (0, 1)), 1.25)),
}


def changed(images: Images, change: str) -> Images:
    return np.stack([CHANGES[change](image) for image in images])


def rows(images: Images) -> ImageRows:
    return FaceDataset.from_arrays(images).images


@pytest.fixture(scope="module")
def finder(train: FaceDataset) -> CopyFinder:
    return CopyFinder(train.images, train.identity)


@pytest.mark.parametrize("change", CHANGES)
def test_the_originals_of_changed_copies_are_found(change: str, train: FaceDataset, finder: CopyFinder) -> None:
    chosen = np.arange(0, 600, 12)
    found = finder.search(rows(changed(train.images[chosen], change)))
    assert (found.nearest == chosen).mean() >= 0.98
    assert np.quantile(found.distance_ratio, 0.95) < 0.35


def test_strangers_are_not_isolated_and_people_can_be_left_out(train: FaceDataset, finder: CopyFinder) -> None:
    non_mates = load_toyfaces(100, SIZE, seed=2)
    assert finder.search(non_mates.images).distance_ratio.min() > 0.4
    assert train.identity is not None
    own = finder.search(train.images.take(np.arange(50)), train.identity[:50])
    assert (train.identity[own.nearest] != train.identity[:50]).all()
    assert own.distance_ratio.min() > 0.4


# The evaluator


@pytest.fixture(scope="module")
def context(train: FaceDataset) -> Context:
    """As many held-out faces, and 300 synthetic ones by a perfect generator; in pixels only, which is quick."""
    fakes = load_toyfaces(300, SIZE, seed=4)
    return Context(
        reference=load_toyfaces(700, SIZE, seed=3),
        samples=FaceDataset.from_arrays(fakes.images, names=[f"made{row}.png" for row in range(300)]),
        train=train,
        spaces=("pixels",),
        seed=1,
    )


def with_fakes(context: Context, images: Images) -> Context:
    return dataclasses.replace(context, samples=FaceDataset.from_arrays(images))


def plant(context: Context, count: int, change: str) -> Context:
    assert context.train is not None
    images = np.asarray(context.samples.images).copy()
    images[:count] = changed(context.train.images[np.arange(count) * 3], change)
    return with_fakes(context, images)


def one(findings: Findings, name: str) -> Measurement:
    return next(measurement for measurement in findings.measurements if measurement.name == name)


def number(value: float | None) -> float:
    assert value is not None
    return value


@pytest.fixture(scope="module")
def clean(context: Context) -> Findings:
    return Memorisation().evaluate(context)


def test_the_contract_and_the_default_space(context: Context) -> None:
    few = np.arange(100)
    assert context.train is not None
    small = dataclasses.replace(
        context, reference=context.reference.select(few), samples=context.samples.select(few),
        train=context.train.select(few), spaces=("efficientnet",),
    )  # fmt: skip
    check_evaluator(Memorisation, small)
    findings = Memorisation().evaluate(small)
    assert {m.space for m in findings.measurements if m.name == "copied"} == {"pixels", "efficientnet"}


def test_a_perfect_generator_raises_no_alarm(clean: Findings) -> None:
    copied = one(clean, "copied")
    assert copied.verdict == "pass"
    assert number(copied.low) == 0
    assert number(copied.high) < 0.04
    assert one(clean, "exact_copies").value == 0
    authenticity = one(clean, "authenticity")
    assert authenticity.baseline is not None
    assert number(authenticity.low) <= number(authenticity.baseline.high)
    assert abs(number(one(clean, "copying_score").value)) < 3


@pytest.mark.parametrize("change", ["flipped", "all"])
def test_copies_raise_the_alarm_are_counted_and_head_the_gallery(change: str, context: Context) -> None:
    findings = Memorisation().evaluate(plant(context, 15, change))
    copied = one(findings, "copied")
    assert copied.verdict == "fail"
    assert number(copied.low) <= 0.05 <= number(copied.high)
    assert number(copied.low) > 0
    names = next(part for part in findings.artifacts if isinstance(part, Table))
    assert all(int(str(row[1])[:6]) < 15 for row in names.rows[:10])
    grid = next(part for part in findings.artifacts if isinstance(part, ImageGrid))
    assert not grid.shows_real_people  # drawn faces are nobody


def test_exact_copies_alone_decide(context: Context) -> None:
    planted = plant(context, 2, "exact")
    findings, _ = run_evaluators(planted, ["memorisation"])
    exact = next(m for m in findings.measurements if m.name == "exact_copies")
    assert (exact.value, exact.verdict) == (2, "fail")
    verdict = decide(findings.measurements, findings.skipped)
    assert verdict.decision == "do not use"
    assert "2 synthetic faces equal one" in verdict.reason


def test_blurred_non_mates_are_no_copies(context: Context) -> None:
    blurred = [
        np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(3)))
        for image in np.asarray(context.samples.images)
    ]
    findings = Memorisation().evaluate(with_fakes(context, np.stack(blurred)))
    assert one(findings, "copied").verdict == "pass"
    assert number(one(findings, "copied").low) == 0


def test_identical_fakes_are_no_copies_but_the_training_set_is(context: Context) -> None:
    assert context.train is not None
    alike = Memorisation().evaluate(with_fakes(context, np.repeat(context.samples.images[:1], 150, axis=0)))
    assert one(alike, "copied").verdict == "pass"
    same = Memorisation().evaluate(dataclasses.replace(context, samples=context.train.select(slice(0, 200))))
    assert one(same, "copied").verdict == one(same, "exact_copies").verdict == "fail"
    assert number(one(same, "copied").value) > 0.95


def test_without_other_held_out_faces_it_says_what_cannot_be_known(context: Context) -> None:
    assert context.train is not None
    findings = Memorisation().evaluate(dataclasses.replace(plant(context, 3, "exact"), reference=context.train))
    assert [m.name for m in findings.measurements] == ["exact_copies"]
    assert findings.measurements[0].verdict == "fail"
    assert "0 held-out" in findings.skipped[0].reason


def test_pictures_of_people_can_be_left_out_and_no_train_set_is_said(context: Context) -> None:
    hidden = Memorisation().evaluate(dataclasses.replace(context, show_real=False))
    assert not [part for part in hidden.artifacts if isinstance(part, ImageGrid)]
    findings, _ = run_evaluators(dataclasses.replace(context, train=None), ["memorisation"])
    assert "learnt from" in findings.skipped[0].reason
