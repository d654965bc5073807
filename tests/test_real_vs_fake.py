"""Synthetic faces told from real ones: that the test is honest where there is nothing to tell, and sees what was
planted.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageFilter

from augface.arrays import Pixels
from augface.classifiers.detector import compression_normalised
from augface.data import load_data
from augface.data.dataset import FaceDataset
from augface.data.toyfaces import load_toyfaces
from augface.errors import DataError
from augface.evaluators import base, real_vs_fake
from augface.evaluators.base import Context, Findings, check_evaluator
from augface.evaluators.real_vs_fake import RealVsFake, occlusion_maps
from augface.features import create_feature_space
from augface.features.pixels import PixelSpace
from augface.metrics.classification import (
    accuracy_interval,
    auc_interval,
    fit_logistic,
    joined_people,
    platt_scaled,
    roc_at,
    split_people,
    two_sample_test,
)
from augface.metrics.spectrum import radial_spectrum
from augface.results import ImageGrid, Measurement, Series

SIZE = 32

Floats = npt.NDArray[np.float64]


PERSONS = np.concatenate([np.repeat(np.arange(20), 10), np.arange(20, 120)])
"""Some people with many rows, and many with one."""


def rows_of(random: np.random.Generator, shift: float = 0.0) -> Floats:
    """Rows of `PERSONS`; those of one are much alike."""
    rows = random.normal(size=(120, 20))[PERSONS] + 0.3 * random.normal(size=(len(PERSONS), 20))
    return np.asarray(rows + shift, dtype=np.float64)


# The maths


def test_nothing_is_found_where_there_is_nothing_however_alike_the_rows_of_a_person_are() -> None:
    random = np.random.default_rng(0)
    p_values, covered = [], 0
    for _ in range(250):
        real, fake = rows_of(random), rows_of(random)
        test = two_sample_test(real, fake, real_people=PERSONS, fake_people=PERSONS + 120, random=random)
        p_values.append(test.p_value)
        covered += test.auc.low <= 0.5 <= test.auc.high
    assert 0.02 <= np.mean(np.array(p_values) < 0.05) <= 0.09  # without people it would be 0.2
    assert covered / 250 >= 0.91


def test_a_shift_is_found() -> None:
    random = np.random.default_rng(0)
    real, fake = rows_of(random), rows_of(random, 0.6)
    test = two_sample_test(real, fake, real_people=PERSONS, fake_people=PERSONS + 120, random=random)
    assert test.p_value < 0.001
    assert test.auc.low > 0.6
    assert test.accuracy.low > 0.5


def test_nobody_is_on_both_sides_of_the_split() -> None:
    random = np.random.default_rng(3)
    real, fake, others = rows_of(random), rows_of(random), PERSONS + 60  # half of them are the same people
    test = two_sample_test(real, fake, real_people=PERSONS, fake_people=others, random=random)
    tested = {*PERSONS[test.real_tested], *others[test.fake_tested]}
    learnt = {*PERSONS[~test.real_tested], *others[~test.fake_tested]}
    assert not tested & learnt
    assert len(set(PERSONS[test.real_tested])) == 60
    assert test.people == min(60, len(set(others[test.fake_tested])))


def test_galleries_are_scored_by_a_classifier_that_has_not_seen_the_row() -> None:
    """In many dimensions a classifier separates whatever it has learnt on."""
    random = np.random.default_rng(0)
    real, fake = random.normal(size=(2, 60, 300))
    test = two_sample_test(real, fake, random=random)
    for rows in (test.fake_tested, ~test.fake_tested):
        assert 0.25 < (test.fake_scores[rows] > np.median(test.real_scores)).mean() < 0.75
    assert np.array_equal(test.tested_scores[1], test.model.scores(fake)[test.fake_tested])


def test_too_few_people_are_refused() -> None:
    random = np.random.default_rng(0)
    with pytest.raises(DataError, match="too few people"):
        two_sample_test(np.ones((9, 2)), np.ones((9, 2)), real_people=np.zeros(9), random=random)


def test_rows_without_people_share_theirs_with_nobody() -> None:
    real, fake = joined_people(3, 2, None, [0, 1])
    assert len({*real, *fake}) == 5
    real, fake = joined_people(2, 2, [7, 8], [8, 9])
    assert real[1] == fake[0]


def test_each_half_gets_its_share_of_both_sides() -> None:
    learns = split_people(np.arange(100), np.arange(100, 120), random=np.random.default_rng(0), share=0.7)
    assert [int(side.sum()) for side in learns] == [70, 14]


def test_the_auc_is_that_of_the_textbook_ties_included() -> None:
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(0)
    real, fake = random.integers(0, 9, 50), random.integers(2, 11, 70)
    expected = roc_auc_score(np.repeat([0, 1], [50, 70]), np.concatenate([real, fake]))
    assert auc_interval(real, fake)[0].value == pytest.approx(expected)


@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
def test_intervals_hold_the_truth(shift: float) -> None:
    from scipy import stats

    random = np.random.default_rng(1)
    auc, accuracy = stats.norm.cdf(shift / np.sqrt(2)), (0.5 + stats.norm.cdf(shift)) / 2
    held: list[list[bool]] = []
    for _ in range(400):
        real, fake = random.normal(size=(2, 120))[:, PERSONS]  # all pictures of a person are alike
        fake = fake + shift
        first = auc_interval(real, fake, PERSONS, PERSONS + 120)[0]
        second = accuracy_interval(real, fake, PERSONS, PERSONS + 120)
        held.append([first.low <= auc <= first.high, second.low <= accuracy <= second.high])
    assert (np.mean(held, axis=0) >= 0.92).all()
    if shift < 3:  # near 1, so few people allow only a wide one
        assert (np.mean(held, axis=0) <= 0.985).all()


def test_perfect_separation_is_not_certain_of_itself() -> None:
    interval, p_value = auc_interval(np.zeros(100), np.ones(100))
    assert interval.value == 1
    assert interval.high == pytest.approx(1)
    assert 0.97 < interval.low < 0.99
    assert 0 < p_value < 1e-20


def test_a_single_error_is_no_better_known() -> None:
    real, fake = np.arange(100.0), np.arange(100.0, 200.0)
    fake[0] = 98.5
    interval, _ = auc_interval(real, fake)
    assert interval.value == pytest.approx(1 - 1e-4)
    assert interval.low < 0.985


def test_scores_without_a_difference_are_a_coin() -> None:
    interval, p_value = auc_interval(np.ones(50), np.ones(50))
    assert (interval.value, p_value) == (0.5, 0.5)
    assert interval.low < 0.5 < interval.high


def test_sides_of_different_sizes_weigh_the_same() -> None:
    random = np.random.default_rng(0)
    model = fit_logistic(random.normal(-1, 1, (2000, 1)), random.normal(1, 1, (100, 1)), 1e-3)
    assert -model.bias / model.weights[0] == pytest.approx(0, abs=0.15)


def test_scaled_scores_are_honest() -> None:
    """Whatever the model's own scale, log-odds are those of the two normal populations."""
    random = np.random.default_rng(0)
    model = fit_logistic(random.normal(0, 1, (50, 1)), random.normal(1, 1, (50, 1)), 1e-3)
    sure = model._replace(weights=9 * model.weights, bias=9 * model.bias)
    scaled = platt_scaled(sure, random.normal(0, 1, (4000, 1)), random.normal(1, 1, (4000, 1)))
    assert scaled.scores([[0.0], [0.5], [2.0]]) == pytest.approx([-0.5, 0.0, 1.5], abs=0.15)
    backwards = model._replace(weights=-model.weights)
    assert not platt_scaled(backwards, random.normal(0, 1, (400, 1)), random.normal(1, 1, (400, 1))).weights.any()


def test_a_curve_of_equals_is_the_diagonal() -> None:
    rates = np.linspace(0, 1, 11)
    assert roc_at(rates, np.zeros(5), np.zeros(5)) == pytest.approx(rates)


def test_the_spectrum_of_stripes_is_their_frequency() -> None:
    wave = np.rint(127 + 100 * np.cos(2 * np.pi * 5 * np.arange(32) / 32)).astype(np.uint8)
    cycles, power = radial_spectrum(np.broadcast_to(wave[None, None, :, None], (3, 32, 32, 3)))
    assert cycles[np.argmax(power)] == 5
    assert list(cycles) == list(range(1, 17))
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3)).astype(np.uint8)
    assert np.ptp(radial_spectrum(noise)[1]) < 0.2


# The evaluator


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels in place of the default space, and a network that learns a little."""
    monkeypatch.setattr(base, "create_feature_space", lambda name="": PixelSpace())
    monkeypatch.setattr(real_vs_fake, "NETWORK_IMAGES", 2_000)


@pytest.fixture(scope="module")
def context() -> Context:
    """A perfect generator: faces of the same population, of other people."""
    fresh = load_toyfaces(300, SIZE, seed=9)
    return Context(
        reference=load_toyfaces(300, SIZE),
        samples=FaceDataset.from_arrays(fresh.images, identity=np.asarray(fresh.identity) + 10_000),
        train=load_toyfaces(300, SIZE, seed=5),
        seed=4,
    )


def changed(context: Context, change: Callable[[Image.Image], Image.Image]) -> Context:
    images = np.stack([np.asarray(change(Image.fromarray(image))) for image in np.asarray(context.samples.images)])
    return dataclasses.replace(context, samples=FaceDataset.from_arrays(images, identity=context.samples.identity))


def blurred(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(2))


def spotted(image: Image.Image) -> Image.Image:
    """A red spot in the lower right corner."""
    image.paste((255, 40, 40), (24, 24, 30, 30))
    return image


def jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=75)
    return Image.open(file)


@pytest.fixture(scope="module")
def perfect(context: Context) -> Findings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "create_feature_space", lambda name="": PixelSpace())
        patch.setattr(real_vs_fake, "NETWORK_IMAGES", 2_000)
        return RealVsFake().evaluate(dataclasses.replace(context))


@pytest.fixture(scope="module")
def planted(context: Context) -> Findings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "create_feature_space", lambda name="": PixelSpace())
        patch.setattr(real_vs_fake, "NETWORK_IMAGES", 2_000)
        return RealVsFake().evaluate(changed(context, spotted))


def named(findings: Findings, name: str) -> Measurement:
    (measurement,) = [each for each in findings.measurements if each.name == name]
    return measurement


def test_the_contract_holds(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_vs_fake, "NETWORK_IMAGES", 300)
    check_evaluator(RealVsFake, context)


def test_a_perfect_generator_is_not_distinguished(perfect: Findings) -> None:
    for measurement in perfect.measurements:
        assert measurement.low is not None
        assert measurement.low < 0.5
        assert measurement.verdict in ("info", "pass")
        assert measurement.n_real == measurement.n_fake
        assert measurement.p_value is None or measurement.p_value > 0.02
    assert "no better than chance" in perfect.skipped[0].reason


def test_planted_spots_are_told_apart_by_all_and_decide_nothing(planted: Findings) -> None:
    for measurement in (one for one in planted.measurements if one.name != "fine_detail"):
        assert measurement.low is not None
        assert measurement.low > 0.7
        assert measurement.verdict in ("info", "warn", "fail")
        assert measurement.alarm is None
    auc = named(planted, "detection_auc")
    assert auc.p_value is not None
    assert auc.p_value < 1e-6
    assert auc.baseline is not None
    assert auc.baseline.low is not None
    assert auc.baseline.low < 0.5
    assert auc.protocol["compression_jpeg_quality"] == 75
    assert "compression_jpeg_quality" not in named(planted, "detection_auc_raw").protocol


def test_the_pictures_and_curves_are_there(planted: Findings) -> None:
    artifacts = {artifact.name: artifact for artifact in planted.artifacts}
    assert set(artifacts) == {"convincing", "convincing-names", "roc", "spectrum", "where"}
    assert not any(grid.shows_real_people for grid in planted.artifacts if isinstance(grid, ImageGrid))
    roc = artifacts["roc"]
    assert isinstance(roc, Series)
    middle = roc.x.index(0.5)
    assert roc.lines["synthetic"][middle] == 1.0
    assert 0.2 < float(roc.lines["other real faces"][middle] or 0) < 0.8


def test_the_map_shows_where_the_spot_is(context: Context) -> None:
    spots = changed(context, spotted)
    pixels = [compression_normalised(np.asarray(side.images)) for side in (context.reference, spots.samples)]
    flat = [side.reshape(len(side), -1).astype(np.float32) for side in pixels]
    test = two_sample_test(*flat, random=np.random.default_rng(0))
    network = real_vs_fake._network(context, pixels[0], pixels[1], test)
    heat = occlusion_maps(network, pixels[1][:6]).mean(axis=0)
    row, column = np.unravel_index(np.argmax(heat), heat.shape)
    assert min(row, column) >= len(heat) // 2
    assert heat[:8, :8].max() < heat.max() / 2
    assert heat.max() > -2 * heat.min()


def test_the_spectrum_shows_what_blur_takes_away(context: Context) -> None:
    blur = changed(context, blurred)
    spectrum = real_vs_fake._spectra(context.reference, blur.samples, context.sides.other)
    assert isinstance(spectrum, Series)
    last = {label: line[-1] or 0.0 for label, line in spectrum.lines.items()}
    assert last["synthetic"] < last["held-out real"] - 1
    assert last["other real"] == pytest.approx(last["held-out real"], abs=0.3)


def test_the_most_convincing_faces_are_those_without_the_spot(context: Context) -> None:
    spots = np.asarray(changed(context, spotted).samples.images).copy()
    clean = np.arange(0, len(spots), 10)
    spots[clean] = np.asarray(context.samples.images)[clean]
    mixed = dataclasses.replace(context, samples=FaceDataset.from_arrays(spots))
    features = [
        PixelSpace().extract(compression_normalised(np.asarray(side.images)))
        for side in (mixed.reference, mixed.samples)
    ]
    test = two_sample_test(*features, random=np.random.default_rng(0))
    table = real_vs_fake._most_and_least_convincing(mixed.samples, test)[1]
    files = [str(row[1]) for row in table.rows if row[0] == "most convincing"]  # type: ignore[union-attr]
    assert np.mean([int(name[:6]) % 10 == 0 for name in files]) > 0.8


@pytest.mark.parametrize(
    ("synthetic", "reason"),
    [
        (np.zeros((99, SIZE, SIZE, 3), dtype=np.uint8), "99 faces on each side are too few"),
        (np.zeros((0, SIZE, SIZE, 3), dtype=np.uint8), "0 faces on each side are too few"),
    ],
)
def test_too_few_faces_are_said(synthetic: Pixels, reason: str, context: Context) -> None:
    findings = RealVsFake().evaluate(dataclasses.replace(context, samples=FaceDataset.from_arrays(synthetic)))
    assert not findings.measurements
    assert reason in findings.skipped[0].reason


def test_too_few_people_are_said(context: Context) -> None:
    few = dataclasses.replace(context.reference, identity=np.arange(len(context.reference)) % 7)
    findings = RealVsFake().evaluate(dataclasses.replace(context, reference=few))
    assert not findings.measurements
    assert "of 7 people" in findings.skipped[0].reason


def test_one_face_again_and_again_is_told_apart(context: Context) -> None:
    one = FaceDataset.from_arrays(np.repeat(context.samples.images[:1], 200, axis=0))
    findings = RealVsFake().evaluate(dataclasses.replace(context, samples=one))
    assert named(findings, "detection_auc").value == pytest.approx(1, abs=0.01)


def test_the_real_faces_themselves_are_not_told_apart(context: Context) -> None:
    """Without known people on the made side nothing tells that they are copies; with less than half it shows."""
    copies = FaceDataset.from_arrays(np.asarray(context.reference.images))
    findings = RealVsFake().evaluate(dataclasses.replace(context, samples=copies, train=None))
    measurement = named(findings, "detection_auc")
    assert measurement.value is not None
    assert measurement.value < 0.6


def test_normalisation_takes_the_traces_of_jpeg_away(context: Context) -> None:
    """Of pictures, one saved as JPEG and the other not, what is left differs less than before."""
    image = np.asarray(context.reference.images[:20])
    saved = np.stack([np.asarray(jpeg(Image.fromarray(each))) for each in image])
    before = np.abs(image.astype(float) - saved).mean()
    after = np.abs(compression_normalised(image).astype(float) - compression_normalised(saved)).mean()
    assert after < before / 4
    assert compression_normalised(image).shape == (20, 24, 24, 3)
    assert compression_normalised(np.zeros((1, 300, 300, 3), dtype=np.uint8)).shape == (1, 96, 96, 3)


def test_the_headline_is_of_normalised_faces_and_the_other_of_the_files(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where normalisation leaves nothing, there is nothing to distinguish."""
    monkeypatch.setattr(
        real_vs_fake, "compression_normalised", lambda images: np.zeros((len(images), 24, 24, 3), dtype=np.uint8)
    )
    findings = RealVsFake().evaluate(changed(context, spotted))
    assert named(findings, "detection_auc").value == 0.5
    assert named(findings, "detection_auc_network").value == 0.5
    raw = named(findings, "detection_auc_raw")
    assert raw.low is not None
    assert raw.low > 0.7


@pytest.mark.real_data
def test_jpeg_on_one_side_is_seen_in_the_files_and_not_after_normalisation(real_data: Path) -> None:
    faces = load_data(f"celeba:{real_data / 'celeba-mini'}", size=64)
    assert faces.identity is not None
    random = np.random.default_rng(0)
    people = random.permutation(np.unique(faces.identity))
    real, fake = (
        faces.select(random.permutation(np.flatnonzero(np.isin(faces.identity, part)))[:250])
        for part in np.array_split(people, 2)
    )
    pixels = np.asarray(real.images), np.stack([np.asarray(jpeg(Image.fromarray(each))) for each in fake.images[:]])
    space = create_feature_space()

    def told_apart(sides: tuple[Pixels, ...]) -> Any:
        return two_sample_test(
            *(space.extract(side) for side in sides),
            real_people=real.identity,
            fake_people=fake.identity,
            random=np.random.default_rng(1),
        ).auc

    assert told_apart(pixels).low > 0.7
    clean = told_apart(tuple(compression_normalised(side) for side in pixels))
    assert clean.low < 0.5
    assert clean.value < 0.58
