"""What could be gained, from learning curves of known shape; what is said of it; and what is known beforehand."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from augface.data.toyfaces import load_toyfaces
from augface.downstream import linear
from augface.downstream.data import ExperimentData, Part
from augface.downstream.experiment import Experiment
from augface.downstream.frozen import Frozen
from augface.downstream.headroom import FEWEST, TIMES, from_curve, headroom, lacking
from augface.downstream.settings import DownstreamSettings
from augface.evaluation.advice import advise
from augface.evaluation.verdict import decide
from augface.features.pixels import PixelSpace
from augface.generators import create_generator
from augface.rebalancing import outlook
from augface.rebalancing import rebalance as rebalancing
from augface.rebalancing.outlook import in_words, known_of, known_studies
from augface.rebalancing.rebalance import plan_rebalance
from augface.rebalancing.strategy import SubgroupPlan
from augface.results import Measurement


def curve(limit: float, far: float, noise: float, seed: int = 0) -> list[np.ndarray[Any, Any]]:
    """Average precisions that approach a limit as the number of faces to the power of -0.62."""
    random = np.random.default_rng(seed)
    people = random.normal(0, noise, 201) * (np.arange(201) > 0)
    return [
        np.stack([limit - far * 0.65**doubling + random.normal(0, noise) + people for _ in range(6)])
        for doubling in range(4)
    ]


def question(seed: int, rare: int, *, shift: float = 1.0) -> ExperimentData:
    """Faces of which `rare` show the attribute; others of the same kind play the synthetic ones."""
    random = np.random.default_rng(seed)

    def part(shown: int, others: int, first: int) -> Part:
        labels = np.repeat([1.0, -1.0], [shown, others]).astype(np.float32)
        features = random.normal(size=(len(labels), 12)).astype(np.float32)
        features[:, 0] += shift * labels
        return Part(features, labels[:, None], np.arange(len(labels)) + first)

    real, held_out = part(rare, 250, 0), {"valid": part(40, 100, 10_000), "test": part(150, 400, 20_000)}
    return ExperimentData(["target"], real, part(9, 9, 30_000), np.zeros(len(real), dtype=np.int64), held_out)


def test_a_curve_is_extended_to_where_it_leads() -> None:
    found = from_curve(curve(0.9, 0.4, 0.002), have=80, people=300)
    truth = 0.4 * (0.65**3 - 0.65**6)
    assert found.value == pytest.approx(truth, abs=0.01)
    assert found.low < truth < found.high
    assert [point.faces for point in found.curve] == [10, 20, 40, 80]
    assert not found.nothing_to_gain


def test_nothing_is_to_be_gained_where_the_curve_is_flat_or_at_its_top() -> None:
    flat = from_curve(curve(0.9, 0.0, 0.001), have=80, people=300)
    assert abs(flat.value) < 0.005
    top = from_curve(curve(1.0, 0.001, 0.0), have=80, people=300)
    assert top.high <= 1 - top.curve[-1].precision


def test_real_faces_have_more_to_gain_where_there_are_fewer() -> None:
    few, many = (headroom(Experiment(Frozen(question(1, rare)), 0)) for rare in (16, 128))
    assert few is not None
    assert many is not None
    assert few.value > many.value
    assert few.high > many.high
    assert headroom(Experiment(Frozen(question(1, FEWEST - 1)))) is None


def test_synthetic_faces_play_no_part_and_finished_runs_are_kept(tmp_path: Any) -> None:
    data = question(2, 32)
    first = headroom(Experiment(Frozen(data), folder=tmp_path))
    runs = len(list(tmp_path.iterdir()))
    other = ExperimentData(data.attributes, data.real, data.real, data.groups, data.held_out)
    assert headroom(Experiment(Frozen(other), folder=tmp_path)) == first
    assert len(list(tmp_path.iterdir())) == runs == 19


def effect(visible: float, **more: Any) -> Measurement:
    found = {"control": "plain", "treatment": "synthetic", "smallest_visible_effect": visible, "without": 0.9}
    shared = {"evaluator": "downstream", "attribute": "Hat", "n_real": 900, "direction": "higher"}
    return Measurement(
        **{**shared, "name": "effect", "value": 0.001, "low": -0.01, "high": 0.01, "found": found, **more}
    )


def room(high: float, attribute: str = "Hat") -> Measurement:
    return Measurement(
        evaluator="downstream",
        name="headroom",
        attribute=attribute,
        value=high / 2,
        low=0.0,
        high=high,
        direction="higher",
    )


def test_nothing_to_gain_is_a_verdict_of_its_own() -> None:
    verdict = decide([effect(0.02), room(0.01)])
    assert verdict.decision == "nothing to gain"
    assert f"{TIMES} times as many real faces of the rarer class would add at most 0.010" in verdict.reason
    assert "other ways than more faces" in advise([effect(0.02), room(0.01)], verdict)[0].title
    assert decide([effect(0.02), room(0.03)]).decision == "no evidence"
    assert decide([effect(0.02)]).decision == "no evidence"
    assert decide([effect(0.02, verdict="fail"), room(0.01)]).decision == "do not use"
    assert decide([effect(0.02, verdict="pass"), room(0.01)]).decision == "use"
    both = [effect(0.02), effect(0.02, attribute="Bald"), room(0.01)]
    assert decide(both).decision == "no evidence"
    assert decide([*both, room(0.01, "Bald")]).decision == "nothing to gain"


def test_of_an_absent_combination_nothing_is_known() -> None:
    faces = load_toyfaces(400, 16, seed=0)
    women = faces.select(~faces.matching({"Male": True}) | ~faces.matching({"Smiling": True}))
    assert [each.label for each in lacking(women, ["Smiling", "Male"])] == ["Smiling=1,Male=1"]
    assert not lacking(women, ["Smiling"])


def test_what_is_known_is_said_before_anything_is_trained() -> None:
    assert all(row.helped <= row.studies and row.lowest <= row.highest for row in known_studies())
    plans = [SubgroupPlan({"Eyeglasses": True}, 50, 2000), SubgroupPlan({"Eyeglasses": False}, 2050, 0)]  # type: ignore[arg-type]
    (said,) = known_of(plans, create_generator("cgan"), DownstreamSettings())
    assert "learnt faces helped in 0 of" in said
    assert not known_of(plans, create_generator("resample"), DownstreamSettings())
    assert not known_of(plans, create_generator("cgan"), DownstreamSettings(mode="off"))
    assert "composed" in known_of(plans, create_generator("composite"), DownstreamSettings(mode="full"))[0]
    assert not known_of(plans, create_generator("inpaint"), DownstreamSettings(mode="full"))


def test_it_is_said_before_anything_is_trained(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(linear, "DIMENSIONS", 8)
    monkeypatch.setattr(outlook, "create_feature_space", PixelSpace)
    monkeypatch.setattr(rebalancing, "_generator", stop)
    plan = plan_rebalance(load_toyfaces(300, 16, seed=0), attr="Bangs", generator="resample")
    with caplog.at_level(logging.INFO, "augface"), pytest.raises(KeyboardInterrupt):
        rebalancing.carry_out(plan, tmp_path / "run")
    assert in_words("Bangs", plan.headroom(tmp_path / "run")["Bangs"]) in caplog.text
