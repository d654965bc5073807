"""The face and its surroundings, each for itself: what was changed on purpose is the region that is named."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from augface.arrays import Floats64, Pixels
from augface.data.dataset import FaceDataset
from augface.data.face_region import face_mask
from augface.data.toyfaces import load_toyfaces
from augface.evaluators.base import Context, check_evaluator
from augface.evaluators.regions import Regions
from augface.results import ImageGrid, Measurement

SIZE = 32


def smeared(images: Pixels, where: Floats64 | float) -> Floats64:
    """Images blurred where `where` is 1."""
    blurred = gaussian_filter(images.astype(np.float64), (0, 2.5, 2.5, 0))
    return blurred * where + images * (1.0 - where)


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return load_toyfaces(480, SIZE)


@pytest.fixture(scope="module")
def people() -> Pixels:
    return np.asarray(load_toyfaces(120, SIZE, seed=9).images)


def measured(faces: FaceDataset, images: Floats64 | Pixels, *, show_real: bool = True) -> dict[str, Measurement]:
    context = context_of(faces, images, show_real=show_real)
    return {one.name: one for one in Regions().evaluate(context).measurements}


def context_of(faces: FaceDataset, images: Floats64 | Pixels, *, show_real: bool = True) -> Context:
    samples = FaceDataset.from_arrays(images.round().astype(np.uint8))
    assert faces.valid is not None
    return Context(faces.valid, samples, faces.train, show_real=show_real)


def test_contract(faces: FaceDataset, people: Pixels) -> None:
    check_evaluator(Regions, context_of(faces, people))


def test_unchanged_faces_fall_short_nowhere(faces: FaceDataset, people: Pixels) -> None:
    found = measured(faces, people)
    verdicts = {name: one.verdict for name, one in found.items() if one.baseline}
    assert len(verdicts) == 8
    assert set(verdicts.values()) == {"pass"}
    share = found["surroundings_share"]
    assert share.low is not None
    assert share.high is not None
    assert share.low < 0.2, "where there is no distance, its share is not known"
    assert share.high > 0.8


@pytest.mark.parametrize("worse", ["face", "surroundings"])
def test_the_smeared_region_is_named(faces: FaceDataset, people: Pixels, worse: str) -> None:
    mask = face_mask(SIZE)[:, :, None]
    found = measured(faces, smeared(people, mask if worse == "face" else 1 - mask))
    better = "surroundings" if worse == "face" else "face"
    assert found[f"{worse}_kernel_distance"].verdict in ("warn", "fail")
    assert found[f"{worse}_recall"].verdict in ("warn", "fail")
    assert found[f"{better}_recall"].verdict == "pass"
    share = found["surroundings_share"]
    assert share.low is not None
    assert share.high is not None
    if worse == "face":
        assert share.high < 0.3
    else:
        assert share.low > 0.7


def test_real_faces_are_shown_only_where_they_may_be(faces: FaceDataset, people: Pixels) -> None:
    for show_real in (True, False):
        grids = Regions().evaluate(context_of(faces, people, show_real=show_real)).artifacts
        assert [grid.name for grid in grids] == ["region-face", "region-surroundings"]
        for grid in grids:
            assert isinstance(grid, ImageGrid)
            assert grid.row_labels == (["synthetic", "held-out real"] if show_real else ["synthetic"])
            assert not grid.shows_real_people, "toy faces are of no one"


def test_too_few_faces_are_said(faces: FaceDataset, people: Pixels) -> None:
    findings = Regions().evaluate(context_of(faces, people[:50]))
    assert not findings.measurements
    assert "50 faces on each side are too few" in findings.skipped[0].reason


def test_mask_is_whole_inside_and_nothing_at_the_sides() -> None:
    for size in (16, 64, 128):
        mask = face_mask(size)
        assert mask.shape == (size, size)
        np.testing.assert_allclose(mask, mask[:, ::-1], err_msg="left and right alike")
        assert mask[size // 2, size // 2] > 0.999
        assert max(mask[0].max(), mask[:, 0].max(), mask[-1, 0]) < 0.05
