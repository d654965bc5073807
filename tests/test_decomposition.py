"""What the distance is made of: what was changed on purpose is what is named."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter

from augface.data.dataset import FaceDataset
from augface.data.toyfaces import load_toyfaces
from augface.errors import DataError
from augface.evaluators.base import Context, check_evaluator
from augface.evaluators.decomposition import DistanceParts
from augface.metrics.decomposition import (
    PARTS,
    Decomposition,
    decompose,
    explained_shift,
    mean_shift,
    variance_ratio,
)
from augface.results import ImageGrid

Matrix = npt.NDArray[np.float64]
ROWS, DIMENSION, MODES = 300, 12, 6


def modes(seed: int, shares: npt.ArrayLike = (1,) * MODES) -> Matrix:
    """Rows of six overlapping modes."""
    weights = np.asarray(shares, dtype=np.float64)
    centres = 1.5 * np.random.default_rng(99).standard_normal((MODES, DIMENSION))
    random = np.random.default_rng(seed)
    return centres[random.choice(MODES, ROWS, p=weights / weights.sum())] + random.standard_normal((ROWS, DIMENSION))


def scaled(factor: npt.ArrayLike) -> Matrix:
    """Rows whose deviations from the mean are scaled."""
    rows = modes(2)
    return np.asarray(rows.mean(axis=0) + np.asarray(factor) * (rows - rows.mean(axis=0)))


def divided(fake: Matrix) -> Decomposition:
    return decompose(modes(0), fake, modes(1), random=np.random.default_rng(0))


def test_nothing_is_divided_where_there_is_no_distance() -> None:
    parts = divided(modes(2))
    assert parts.largest == ""
    assert parts.distance.low < 0.005
    assert all(math.isnan(parts.shares[part].value) for part in PARTS)


@pytest.mark.parametrize(
    ("part", "fake"),
    [
        ("shift", modes(2) + 0.5),
        ("scale", scaled(0.7)),
        ("scale", scaled(1.4)),
        ("composition", modes(2, (1, 1, 1, 1, 0, 0))),
        ("shape", scaled(np.where(np.arange(DIMENSION) < 6, 1.4, 0.1))),
    ],
    ids=["shift", "smaller", "larger", "two modes dropped", "flattened"],
)
def test_what_was_changed_is_the_largest_part(part: str, fake: Matrix) -> None:
    parts = divided(fake)
    assert parts.largest == part
    assert parts.distance.low > 0
    assert sum(share.value for share in parts.shares.values()) == pytest.approx(1)
    assert parts.shares[part].value > 0.8
    for share in parts.shares.values():
        assert 0 <= share.low <= share.value <= share.high <= 1


def test_a_shift_is_not_taken_for_modes_nor_modes_for_a_shift() -> None:
    """Both move the mean; only fitted together they can be distinguished."""
    dropped = modes(2, (1, 1, 1, 1, 0, 0))
    moved = modes(2) + (dropped.mean(axis=0) - modes(2).mean(axis=0))
    assert divided(dropped).largest == "composition"
    assert divided(moved).largest == "shift"


def test_too_few_rows() -> None:
    with pytest.raises(DataError, match="59 fake features are too few"):
        decompose(modes(0), modes(1)[:59], modes(2), random=np.random.default_rng(0))


def test_too_few_people(faces: FaceDataset, people: npt.NDArray[np.uint8]) -> None:
    groups = np.arange(ROWS) % 19
    with pytest.raises(DataError, match="fewer than 20 people"):
        decompose(modes(0), modes(1), modes(2), real_groups=groups, random=np.random.default_rng(0))
    context = context_of(faces, people)
    alike = replace(context.reference, identity=np.arange(len(context.reference)) % 19)
    findings = DistanceParts().evaluate(replace(context, reference=alike))
    assert "fewer than 20 people" in findings.skipped[0].reason


def test_mean_shift_is_in_standard_deviations() -> None:
    random = np.random.default_rng(0)
    real, fake = random.standard_normal((2, 500, 100))
    number = mean_shift(real, fake + 0.3)  # 3 in all, of a spread of 10
    assert number.low < 0.3 < number.high
    assert number.high - number.low < 0.05
    none = mean_shift(real, fake)
    assert none.low == 0
    assert none.high < 0.1


def test_variance_ratio_and_its_interval() -> None:
    random = np.random.default_rng(0)
    real, fake = random.standard_normal((2, 500, 20))
    number = variance_ratio(real, 0.8 * fake + 3)
    assert number.low < 0.64 < number.high
    assert number.high / number.low < 1.15
    people = np.repeat(np.arange(100), 5)
    assert variance_ratio(real[people], fake, people).high > variance_ratio(real[people], fake).high


def test_a_shift_is_explained_by_what_it_looks_like() -> None:
    shares = explained_shift([2.0, 1.0, 0.0], [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert shares == pytest.approx([0.8, 0.0])
    assert explained_shift([2.0, 1.0, 0.0], [[1.0, 0.0, 0.0]], noise=1.0) == pytest.approx([1.0])
    assert explained_shift([0.0, 0.0], [[1.0, 0.0]]).tolist() == [0]


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return load_toyfaces(480, 32)


@pytest.fixture(scope="module")
def people() -> npt.NDArray[np.uint8]:
    return np.asarray(load_toyfaces(120, 32, seed=9).images)


def context_of(faces: FaceDataset, images: npt.NDArray[np.uint8], *, show_real: bool = True) -> Context:
    assert faces.valid is not None
    return Context(faces.valid, FaceDataset.from_arrays(images), faces.train, show_real=show_real)


def test_contract(faces: FaceDataset, people: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augface.metrics.decomposition.NULLS", 2)  # for speed alone: the contract is not of precision
    monkeypatch.setattr("augface.metrics.decomposition.HALVES", 2)
    check_evaluator(DistanceParts, context_of(faces, people))


def test_real_faces_pass_and_suggest_nothing(faces: FaceDataset, people: npt.NDArray[np.uint8]) -> None:
    findings = DistanceParts().evaluate(context_of(faces, people))
    verdicts = {one.name: one.verdict for one in findings.measurements}
    assert verdicts["mean_shift"] == verdicts["variance_ratio"] == "pass"
    assert DistanceParts.suggestions(findings.measurements) == []
    assert not [one for one in findings.artifacts if isinstance(one, ImageGrid)]


def test_blurred_faces_are_shifted_as_by_blur(faces: FaceDataset, people: npt.NDArray[np.uint8]) -> None:
    blurred = gaussian_filter(people, (0, 1.5, 1.5, 0))
    findings = DistanceParts().evaluate(context_of(faces, blurred, show_real=False))
    shift = next(one for one in findings.measurements if one.name == "mean_shift")
    assert shift.verdict in ("warn", "fail")
    assert shift.found["damage"] == "blur"
    assert shift.meaning.endswith("That is how real faces move when they have blur.")
    (grid,) = (one for one in findings.artifacts if isinstance(one, ImageGrid))
    assert not grid.shows_real_people
    assert grid.rows == 2, "real faces are not to be shown"
    assert any("blur" in suggestion.title for suggestion in DistanceParts.suggestions(findings.measurements))


def test_too_few_faces_are_skipped(faces: FaceDataset, people: npt.NDArray[np.uint8]) -> None:
    findings = DistanceParts().evaluate(context_of(faces, people[:50]))
    assert not findings.measurements
    assert "50 faces on each side are too few" in findings.skipped[0].reason
