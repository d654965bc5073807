"""One-liners: the numbers of `evaluate` and of the peers, as floats that carry their measurement."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from test_examples import examples

import augface
from augface.arrays import Floats32, Pixels
from augface.cli import main
from augface.data.toyfaces import load_toyfaces
from augface.errors import DataError
from augface.evaluation import measures
from augface.evaluators import base
from augface.features.base import FeatureSpace
from augface.metrics import cmmd_estimate
from augface.metrics.frechet import TooFewRowsWarning, raw_frechet_distance
from augface.results.score import Score

SIDE = 24
FACES, FAKES = 70, 60


class SmallSpace(FeatureSpace):
    """Mean colours of 2 x 2 fields under any name, in place of networks whose weights are not here."""

    dimension: ClassVar[int] = 12
    name: ClassVar[str] = "small"

    def __init__(self, name: str = "small") -> None:
        self.called = name

    @property
    def protocol(self) -> dict[str, str | int | float]:
        return {"space": self.called}

    def prepare(self, image: Pixels) -> Floats32:
        fields = image.reshape(2, SIDE // 2, 2, SIDE // 2, 3).astype(np.float32)
        return np.asarray(fields.mean(axis=(1, 3)).ravel() / 255, dtype=np.float32)

    def forward(self, prepared: Floats32) -> Floats32:
        return prepared


@pytest.fixture(scope="module")
def faces() -> Pixels:
    return np.asarray(load_toyfaces(FACES + FAKES, SIDE, seed=5).images)


@pytest.fixture
def sides(faces: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Pixels, Pixels]:
    """Real and synthetic faces, also as the folders `real` and `synthetic` of the working folder."""
    monkeypatch.chdir(tmp_path)
    real, synthetic = faces[:FACES], (faces[FACES:] // 2 + 60).astype(np.uint8)
    for name, images in (("real", real), ("synthetic", synthetic)):
        Path(name).mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(f"{name}/{number:03d}.png")
    return real, synthetic


@pytest.fixture
def small_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (base, measures):
        monkeypatch.setattr(module, "create_feature_space", SmallSpace)


def features(images: Pixels) -> Floats32:
    return SmallSpace().extract(images)


class TestScores:
    def test_a_score_is_a_float_with_its_measurement(self) -> None:
        measurement = augface.Measurement(
            evaluator="any", name="kid", value=0.25, low=0.2, high=0.3, direction="lower", n_real=7
        )
        score = Score(measurement)
        assert isinstance(score, float)
        assert score < 1
        assert score == 0.25
        assert f"{score:.3f}" == "0.250"
        assert float(np.mean([score, score])) == 0.25
        assert json.dumps({"kid": score}) == '{"kid": 0.25}'
        assert repr(score) == f"{score}" == "0.25 [0.2, 0.3]"
        assert (score.low, score.high, score.n_real, score.measurement) == (0.2, 0.3, 7, measurement)
        with pytest.raises(AttributeError, match="no_such"):
            _ = score.no_such
        for other in (pickle.loads(pickle.dumps(score)), copy.deepcopy(score), copy.copy(score)):
            assert other == score
            assert other.measurement == measurement

    def test_what_has_no_value_is_not_a_number(self) -> None:
        score = Score(augface.Measurement(evaluator="any", name="kid", value=None, direction="lower"))
        assert np.isnan(score)
        assert repr(score) == "nan"


@pytest.mark.usefixtures("small_spaces")
class TestMeasures:
    def test_they_are_the_numbers_of_evaluate(self, sides: tuple[Pixels, Pixels], monkeypatch: Any) -> None:
        monkeypatch.setattr("augface.evaluation.evaluate.create_feature_space", SmallSpace)
        monkeypatch.setattr("augface.evaluators.prdc.MINIMUM", 20)
        spaces = ["pixels", "dinov2", "clip_large"]
        evaluation = augface.evaluate(*sides, evaluators=["fidelity", "prdc"], spaces=spaces)
        found = {(one.name, one.space): one for one in evaluation.measurements}
        recall = augface.precision_recall(*sides, space="pixels").recall
        scores: list[Any] = [
            augface.kernel_distance(*sides, space="pixels"),
            augface.frechet_distance(*sides, space="pixels"),
            augface.fd_dinov2(*sides),
            augface.cmmd(*sides),
            recall,
        ]
        for score in scores:
            assert score.measurement == found[score.name, score.space]
        assert scores[0].baseline.n == scores[0].n_real == FACES // 2
        assert scores[2].n_real == FACES

    def test_folders_arrays_and_tensors_give_the_same(self, sides: tuple[Pixels, Pixels]) -> None:
        by_arrays = augface.kid(*sides)
        by_tensors = augface.kid(*(torch.from_numpy(side).permute(0, 3, 1, 2) / 255 for side in sides))
        assert by_arrays == by_tensors
        assert augface.kid("real", "synthetic") == pytest.approx(by_arrays, rel=1e-4)  # rounded in another order
        assert by_arrays > 0

    def test_fid_is_of_all_images(self, sides: tuple[Pixels, Pixels]) -> None:
        real, synthetic = map(features, sides)
        assert augface.fid(*sides) == pytest.approx(raw_frechet_distance(real, synthetic))

    def test_too_few_for_a_frechet_distance_is_said_where_it_was_asked_for(self, sides: tuple[Pixels, Pixels]) -> None:
        few = sides[0][:23], sides[1]
        for measure in (augface.fid, augface.fd_dinov2):
            with pytest.warns(TooFewRowsWarning, match="23 rows are fewer than 2 x 12") as caught:
                measure(*few)
            assert caught[0].filename == __file__
        with pytest.warns(TooFewRowsWarning) as caught:
            augface.frechet_distance(sides[0][:45], sides[1])
        assert caught[0].filename == __file__

    def test_too_few_faces_are_refused(self, sides: tuple[Pixels, Pixels]) -> None:
        with pytest.raises(DataError, match=r"faces on each side are too few; at least 20 .*half of the real"):
            augface.kernel_distance(sides[0][:30], sides[1])
        with pytest.raises(DataError, match=r"10 faces on each side are too few; at least 20 are needed.$"):
            augface.kernel_distance(sides[0], sides[1][:10], train=sides[0])

    def test_the_command_says_it_to_people_and_programs(
        self, sides: tuple[Pixels, Pixels], monkeypatch: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("augface.evaluators.prdc.MINIMUM", 20)
        assert main(["fid", "real", "synthetic"]) == 0
        said = capsys.readouterr().out
        assert said.startswith("FID  ")
        assert f"{FACES} real, {FAKES} synthetic" in said
        assert main(["fid", "real", "synthetic", "--json", "--metric", "kid"]) == 0
        assert json.loads(capsys.readouterr().out)["value"] == augface.kid("real", "synthetic")
        assert main(["fid", "real", "synthetic", "--json", "--metric", "precision_recall", "--space", "x"]) == 0
        assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["precision", "recall"]
        assert main(["fid", "real", "synthetic", "--metric", "fidd"]) == 2
        assert "Did you mean 'fid'" in capsys.readouterr().err
        assert main(["fid", "real", "synthetic", "--space", "pixels"]) == 2
        assert "fid has a feature space of its own" in capsys.readouterr().err


def test_cmmd_is_that_of_its_authors_formula() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(1, 1, (50, 6)).astype(np.float32), random.normal(0.5, 1, (40, 6)).astype(np.float32)
    unit = [side.astype(np.float64) / np.linalg.norm(side, axis=1, keepdims=True) for side in (x, y)]

    def mean_kernel(a: Any, b: Any) -> float:
        return float(np.exp(-np.square(a[:, None] - b[None]).sum(axis=-1) / 200).mean())

    wanted = 1000 * (mean_kernel(unit[0], unit[0]) + mean_kernel(unit[1], unit[1]) - 2 * mean_kernel(*unit))
    estimate = cmmd_estimate(x, y)
    assert estimate.value == pytest.approx(wanted, rel=1e-4)
    without = [cmmd_estimate(np.delete(x, row, axis=0), y).value for row in range(50)]
    without_y = [cmmd_estimate(x, np.delete(y, row, axis=0)).value for row in range(40)]
    error = np.sqrt(np.var(without) * 49 + np.var(without_y) * 39)
    assert estimate.standard_error == pytest.approx(error, rel=0.1)


@pytest.mark.usefixtures("small_spaces")
@pytest.mark.parametrize("name", sorted(measures.MEASURES))
def test_examples_of_measures_run(name: str, sides: tuple[Pixels, Pixels], monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr("augface.evaluators.prdc.MINIMUM", 20)
    (example,) = examples(getattr(augface, name).__doc__)
    exec(example, {"augface": augface})
    assert capsys.readouterr().out
