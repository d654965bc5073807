"""Adherence lies in its interval, wrong labels raise the alarm and right ones do not; the judge tells attributes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import StandardScaler

from augface.data.dataset import FaceDataset
from augface.data.toyfaces import label, load_toyfaces, render
from augface.errors import DataError
from augface.evaluators import EVALUATORS, base
from augface.evaluators._judge import STRENGTH, Judge, LinearProbe
from augface.evaluators.adherence import learnt_decisions
from augface.evaluators.base import Context, Findings, check_evaluator
from augface.features.pixels import PixelSpace
from augface.metrics.multiple_testing import holm
from augface.metrics.prevalence import (
    MINIMUM,
    AdherenceEstimate,
    adherence_test,
    classification_scores,
    leakage_test,
)
from augface.results import ImageGrid, Measurement, Table

SIZE = 32
TARGET = "Eyeglasses"
LABELS = [TARGET, "Male", "Smiling", "Young"]


class Draw(NamedTuple):
    """A judge's probabilities of faces of people with one or two pictures each, and what they show."""

    probabilities: np.ndarray[Any, Any]
    truth: np.ndarray[Any, Any]
    people: np.ndarray[Any, Any]


def draw(random: np.random.Generator, count: int, apart: float = 1.3, share: float = 0.4) -> Draw:
    """Log-odds of two normal kinds; a person's pictures are judged alike in part."""
    people = np.sort(random.integers(0, count * 3 // 4, count))
    truth = (random.random(count) < share)[people]
    looks = 0.5**0.5 * (random.normal(0, 1, count)[people] + random.normal(0, 1, count))
    evidence = 2 * apart * (looks + np.where(truth, apart, -apart)) + np.log(share / (1 - share))
    return Draw(1 / (1 + np.exp(-evidence)), truth, people)


def estimate(fake: Draw, real: Draw, asked: np.ndarray[Any, Any] | None = None) -> AdherenceEstimate:
    return adherence_test(
        fake.probabilities,
        fake.truth if asked is None else asked,
        real.probabilities,
        real.truth,
        people=real.people,
        fake_people=fake.people,
    )


def flipped(random: np.random.Generator, labels: np.ndarray[Any, Any], dose: float) -> np.ndarray[Any, Any]:
    return np.asarray(labels ^ (random.random(len(labels)) < dose))


class TestEstimate:
    @pytest.mark.parametrize("dose", [0.1, 0.3])
    def test_the_truth_lies_in_19_of_20_intervals(self, dose: float) -> None:
        random = np.random.default_rng(1)
        hits, widths, alarms = [], [], []
        for _ in range(200):
            fake, real = draw(random, 500), draw(random, 500)
            found = estimate(fake, real, flipped(random, fake.truth, dose))
            hits.append(found.share.low <= 1 - dose <= found.share.high)
            widths.append(found.share.high - found.share.low)
            alarms.append(min(asked.p_value for asked in found.requested.values()) < 0.01)
        assert 0.91 <= np.mean(hits) <= 0.99
        assert np.mean(widths) < 0.16
        assert np.mean(alarms) > 0.9

    @pytest.mark.parametrize(("apart", "least"), [(0.8, 0.025), (1.6, 0.02), (3.0, 0.0)])  # the last hardly errs
    def test_right_labels_raise_the_nominal_alarms(self, apart: float, least: float) -> None:
        random = np.random.default_rng(2)
        p_values = []
        for _ in range(200):
            found = estimate(draw(random, 200, apart), draw(random, 300, apart))
            p_values += [asked.p_value for asked in found.requested.values()]
        assert least <= np.mean(np.array(p_values) < 0.05) < 0.075
        assert np.mean(np.array(p_values) < 0.01) < 0.022

    def test_it_falls_with_the_dose(self) -> None:
        random = np.random.default_rng(3)
        fake, real = draw(random, 2000), draw(random, 2000)
        order = random.random(2000)
        doses = (0, 0.05, 0.1, 0.2, 0.5)
        shares = [estimate(fake, real, fake.truth ^ (order < dose)).share.value for dose in doses]
        assert shares == pytest.approx([1 - dose for dose in doses], abs=0.04)
        assert sorted(shares, reverse=True) == shares

    def test_a_judge_without_errors_counts(self) -> None:
        truth = np.arange(100) % 2 == 0
        asked = truth.copy()
        asked[:10] = ~asked[:10]
        found = adherence_test(truth.astype(float), asked, truth.astype(float), truth)
        assert found.share.value == pytest.approx(0.9)
        assert (found.sensitivity.value, found.specificity.value) == (1, 1)
        assert found.requested[True].faces == found.requested[True].real_faces == 50

    def test_a_judge_that_guesses_says_nothing(self) -> None:
        random = np.random.default_rng(4)
        found = adherence_test(random.random(300), np.arange(300) < 150, random.random(300), np.arange(300) < 150)
        assert np.isnan(found.share.value)

    def test_people_widen_the_interval(self) -> None:
        random = np.random.default_rng(5)
        fake, real = draw(random, 400), draw(random, 150)
        twice = Draw(*(np.repeat(part, 2) for part in real))
        together, apart = estimate(fake, twice).share, estimate(fake, twice._replace(people=np.arange(300))).share
        alone = estimate(fake, real).share
        assert together.value == apart.value == pytest.approx(alone.value)
        assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=0.02)
        assert apart.high - apart.low < 0.95 * (together.high - together.low)

    def test_few_faces_of_a_kind_are_left_out(self) -> None:
        random = np.random.default_rng(6)
        fake, real = draw(random, 300), draw(random, 300)
        asked = np.arange(300) < MINIMUM - 1
        found = estimate(fake, real, asked)
        assert set(found.requested) == {False}
        assert found.share == found.requested[False].share
        with pytest.raises(DataError, match="Fewer than 20 of the real faces"):
            adherence_test(fake.probabilities, fake.truth, real.probabilities, asked)

    def test_a_few_faces_more_are_no_alarm(self) -> None:
        """Five wrong of 300 against none of 300 come by chance in 3 of 100; a normal curve has 1."""
        made, real = np.full(300, 0.9999), np.full(600, 0.9999)
        made[:5], real[300:] = 0.0001, 0.0001
        found = adherence_test(made, np.ones(300), real, np.arange(600) < 300)
        assert 0.015 < found.requested[True].p_value < 0.04

    def test_holm_is_that_of_statsmodels(self) -> None:
        p_values = dict(zip("abcde", (0.03, 0.001, 0.2, 0.01, 0.9), strict=True))
        assert holm(p_values) == pytest.approx({"b": 0.005, "d": 0.04, "a": 0.09, "c": 0.4, "e": 0.9})


class TestLeakage:
    def test_what_comes_along_is_seen_and_what_belongs_is_not(self) -> None:
        random = np.random.default_rng(17)
        asked, truth = np.arange(400) % 2 == 0, np.arange(600) % 3 == 0
        real_seen = np.where(truth, 0.6, 0.3) + random.normal(0, 0.05, 600)
        alike = leakage_test(np.where(asked, 0.6, 0.3) + random.normal(0, 0.05, 400), asked, real_seen, truth)
        assert alike.synthetic.value == pytest.approx(0.3, abs=0.03)
        assert alike.p_value > 0.01
        more = leakage_test(np.where(asked, 0.8, 0.3) + random.normal(0, 0.05, 400), asked, real_seen, truth)
        assert more.excess.low < 0.2 < more.excess.high
        assert more.p_value < 1e-6

    def test_few_faces_raise_no_more_than_the_nominal_alarms(self) -> None:
        random = np.random.default_rng(8)
        kinds = np.arange(200) < MINIMUM
        found = [leakage_test(random.random(200), kinds, random.random(200), kinds).p_value for _ in range(400)]
        assert 0.02 < np.mean(np.array(found) < 0.05) < 0.08


class TestClassificationScore:
    def test_it_is_the_balanced_accuracy_of_both(self) -> None:
        random = np.random.default_rng(9)
        truth = random.random(500) < 0.2
        made, real = (truth ^ (random.random(500) < error) for error in (0.3, 0.1))
        scores = classification_scores(truth, made, real, people=np.arange(500) // 2)
        assert scores.synthetic.value == pytest.approx(balanced_accuracy_score(truth, made))
        assert scores.real.value == pytest.approx(balanced_accuracy_score(truth, real))
        assert scores.ratio.value == pytest.approx(scores.synthetic.value / scores.real.value)
        assert scores.ratio.high < 1

    def test_its_intervals_hold_the_truth(self) -> None:
        random = np.random.default_rng(10)
        hits = []
        for _ in range(300):
            truth = random.random(300) < 0.3
            made, real = (truth ^ (random.random(300) < error) for error in (0.3, 0.1))
            scores = classification_scores(truth, made, real)
            hits.append(
                [scores.synthetic.low < 0.7 < scores.synthetic.high, scores.ratio.low < 0.7 / 0.9 < scores.ratio.high]
            )
        assert (np.mean(hits, axis=0) >= 0.92).all()

    @pytest.fixture
    def telling(self) -> tuple[Any, Any, Any, Any]:
        """Pairs of features of which only the difference tells, so that one step of training does not get there."""
        random = np.random.default_rng(1)
        labels, common = random.random(900) < 0.5, random.normal(0, 1, (900, 20))
        first = common + 0.2 * (labels[:, None] - 0.5)
        features = np.concatenate([first, common + 0.2 * random.normal(0, 1, (900, 20))], axis=1).astype(np.float32)
        return features[:400], labels[:400], features[400:], labels[400:]

    def test_it_learns(self, telling: tuple[Any, Any, Any, Any]) -> None:
        features, labels, tested, truth = telling
        assert balanced_accuracy_score(truth, learnt_decisions(features, labels, tested)) > 0.78

    def test_it_would_not_learn_if_gradients_were_not_zeroed(
        self, telling: tuple[Any, Any, Any, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As in StudioGAN's classification score, whose gradients add up from step to step."""
        features, labels, tested, truth = telling
        monkeypatch.setattr(torch.optim.Optimizer, "zero_grad", lambda self, set_to_none=True: None)
        assert balanced_accuracy_score(truth, learnt_decisions(features, labels, tested)) < 0.68

    def test_what_is_learnt_is_the_optimum(self, telling: tuple[Any, Any, Any, Any]) -> None:
        features, labels, tested, _ = telling
        table = pd.DataFrame({"label": labels}).astype("boolean")
        scaler = StandardScaler().fit(features)
        rival = LogisticRegression(C=1 / (STRENGTH * len(features)), class_weight="balanced", tol=1e-8, max_iter=1000)
        rival.fit(scaler.transform(features), labels)
        ours = LinearProbe.train(features, table, balanced=True).log_odds(tested)[:, 0]
        assert ours == pytest.approx(rival.decision_function(scaler.transform(tested)), abs=1e-3)

    def test_labels_that_mean_nothing_score_by_chance(self) -> None:
        """They can be learnt by heart: measured on the faces that were learnt from, the score would be perfect."""
        random = np.random.default_rng(12)
        features, labels = random.normal(0, 1, (200, 400)).astype(np.float32), random.random(200) < 0.5
        tested, truth = random.normal(0, 1, (600, 400)).astype(np.float32), random.random(600) < 0.5
        assert balanced_accuracy_score(labels, learnt_decisions(features, labels, features)) > 0.95
        assert balanced_accuracy_score(truth, learnt_decisions(features, labels, tested)) < 0.6


@pytest.fixture(autouse=True)
def quick_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "create_feature_space", lambda name="": PixelSpace())


def drawn(count: int, seed: int) -> FaceDataset:
    """Drawn faces, every second with dark glasses, which pixels show, with some of their labels."""
    faces = load_toyfaces(count, SIZE, seed=seed)
    assert faces.factors is not None
    factors = faces.factors.assign(glasses=np.arange(count) % 2 == 0, glasses_dark=True, glasses_slid=0.0)
    return FaceDataset.from_arrays(render(factors, SIZE), label(factors)[LABELS], identity=faces.identity, spec="toy")


@pytest.fixture(scope="module")
def context() -> Context:
    """Fakes of a perfect generator. The judge is learnt once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "create_feature_space", lambda name="": PixelSpace())
        whole = Context(
            reference=drawn(500, 8),
            samples=drawn(400, 9),
            train=drawn(700, 7),
            targets=(TARGET,),
        )
        assert whole.judge is not None
    return whole


def changed(context: Context, **parts: Any) -> Context:
    """Another context with the same judge, where the train set is the same."""
    other = dataclasses.replace(context, **parts)
    if "train" not in parts:
        other.__dict__["judge"] = context.judge
    return other


def with_labels(context: Context, attributes: Any) -> Context:
    return changed(context, samples=dataclasses.replace(context.samples, attributes=attributes))


def mislabelled(context: Context, dose: float) -> Context:
    table = context.samples.attributes.copy()
    table[TARGET] = flipped(np.random.default_rng(0), table[TARGET].to_numpy(dtype=bool), dose)
    return with_labels(context, table)


def evaluate(context: Context) -> Findings:
    return EVALUATORS.get("adherence")().evaluate(context)


def found(findings: Findings, name: str = "adherence", group: dict[str, bool] | None = None) -> Measurement:
    (only,) = [
        one
        for one in findings.measurements
        if one.name == name and one.group == (group or {}) and one.attribute == TARGET
    ]
    return only


class TestEvaluator:
    def test_the_contract_holds(self, context: Context) -> None:
        check_evaluator(EVALUATORS.get("adherence"), changed(context))

    def test_perfect_faces_pass(self, context: Context) -> None:
        findings = evaluate(context)
        assert not [one for one in findings.measurements if one.verdict == "fail" or one.alarm]
        shares = [one for one in findings.measurements if one.name == "adherence"]
        assert all(
            0 <= number <= 1 for one in shares for number in (one.low, one.value, one.high) if number is not None
        )
        share = found(findings)
        assert share.verdict == "pass"
        assert share.value is not None
        assert share.value > 0.97
        assert share.baseline is not None
        assert share.baseline.value == pytest.approx(1, abs=0.03)
        assert found(findings, "leakage").verdict == "pass"
        assert found(findings, "classification_accuracy_score").verdict == "pass"
        assert {found(findings, group={TARGET: value}).verdict for value in (True, False)} == {"pass"}

    def test_wrong_labels_are_found_measured_and_shown(self, context: Context) -> None:
        wrong = mislabelled(context, 0.1)
        findings = evaluate(wrong)
        share = found(findings)
        truth = (wrong.samples.attributes[TARGET] == context.samples.attributes[TARGET]).mean()
        assert share.alarm
        assert share.verdict in ("warn", "fail")
        assert share.low is not None
        assert share.high is not None
        assert share.low <= truth <= share.high
        assert share.high - share.low < 0.1
        (grid,) = [one for one in findings.artifacts if isinstance(one, ImageGrid)]
        assert grid.row_labels == [TARGET]
        assert not grid.shows_real_people

    def test_labels_of_no_meaning_cannot_be_learnt_from(self, context: Context) -> None:
        findings = evaluate(mislabelled(context, 0.5))
        share, score = found(findings), found(findings, "classification_accuracy_score")
        assert share.value == pytest.approx(0.5, abs=0.1)
        assert score.verdict in ("warn", "fail")
        assert score.value == pytest.approx(0.5, abs=0.15)
        ratio = found(findings, "classification_score_ratio").value
        assert ratio is not None
        assert ratio < 0.75

    def test_attributes_that_were_not_asked_for_raise_no_alarm(self, context: Context) -> None:
        table = context.samples.attributes.copy()
        table["Male"] = ~table["Male"]
        findings = evaluate(with_labels(context, table))
        male = [one for one in findings.measurements if one.name == "adherence" and one.attribute == "Male"]
        assert {one.verdict for one in male} == {"fail"}
        assert {one.alarm for one in male} == {None}
        everything = evaluate(changed(with_labels(context, table), targets=()))
        assert True in {one.alarm for one in everything.measurements if one.attribute == "Male"}

    def test_what_comes_along_is_named(self, context: Context) -> None:
        """Only men were given glasses."""
        men = context.samples.matching({"Male": True})
        glasses = context.samples.matching({TARGET: True})
        findings = evaluate(changed(context, samples=context.samples.select(men | ~glasses)))
        leakage = found(findings, "leakage")
        assert leakage.verdict == "warn"
        assert "Male" in leakage.meaning.split("otherwise than among real faces")[1]
        (table,) = [one for one in findings.artifacts if isinstance(one, Table) and one.name == "adherence-matrix"]
        assert table.columns == ["seen", TARGET, f"not {TARGET}"]

    def test_faces_all_alike_with_both_labels_fail(self, context: Context) -> None:
        alike = context.samples.images[np.zeros(200, dtype=int)]
        fakes = FaceDataset.from_arrays(alike, {TARGET: [True, False] * 100})
        assert found(evaluate(changed(context, samples=fakes))).verdict == "fail"

    def test_the_training_faces_themselves_pass(self, context: Context) -> None:
        assert context.train is not None
        assert found(evaluate(changed(context, samples=context.train))).verdict == "pass"

    def test_labels_of_one_kind_are_judged_by_what_they_asked(self, context: Context) -> None:
        glasses = context.samples.select(context.samples.matching({TARGET: True}))
        findings = evaluate(changed(context, samples=glasses))
        assert found(findings).value == found(findings, group={TARGET: True}).value
        reasons = [skipped.reason for skipped in findings.skipped]
        assert any(reason.startswith(f"leakage of {TARGET}") for reason in reasons)
        assert any(reason.startswith(f"classification score of {TARGET}") for reason in reasons)

    @pytest.mark.parametrize("side", ["samples", "reference", "train"])
    def test_sides_without_labels_are_said(self, side: str, context: Context) -> None:
        data = getattr(context, side)
        parts: dict[str, Any] = {side: FaceDataset.from_arrays(data.images), "targets": ()}
        findings = evaluate(changed(context, **parts))
        assert not findings.measurements
        assert "no attribute has labels on all" in findings.skipped[0].reason

    def test_few_faces_and_empty_sides_are_said(self, context: Context) -> None:
        few = evaluate(changed(context, samples=context.samples.select(slice(0, 15))))
        assert not few.measurements
        assert f"fewer than {MINIMUM} synthetic faces" in few.skipped[0].reason
        for side in ("samples", "reference"):
            none = evaluate(changed(context, **{side: getattr(context, side).select(slice(0, 0))}))
            assert not none.measurements
            assert none.skipped

    def test_missing_labels_are_left_out(self, context: Context) -> None:
        table = context.samples.attributes.copy()
        table.loc[::4, TARGET] = pd.NA
        assert found(evaluate(with_labels(context, table))).n_fake == 300


class TestJudge:
    def test_it_tells_faces_of_other_people(self, context: Context) -> None:
        seen = context.judged(context.reference)
        assert seen is not None
        assert (seen.dtypes == np.float32).all()
        assert len(seen) == len(context.reference)
        truth = context.reference.attributes[TARGET].to_numpy(dtype=bool)
        assert balanced_accuracy_score(truth, seen[TARGET] > 0.5) > 0.85

    def test_it_learns_from_what_is_known(self) -> None:
        faces = drawn(60, 3)
        table = faces.attributes.copy()
        table.loc[::3, TARGET] = pd.NA
        table["Nobody"] = pd.array([False] * 60, dtype="boolean")
        table["Unknown"] = pd.array([pd.NA] * 60, dtype="boolean")
        labelled = FaceDataset.from_arrays(faces.images, table)
        features = PixelSpace().extract(np.asarray(faces.images))
        judge = Judge.train(labelled, features)
        assert judge is not None
        assert TARGET in judge.attributes
        assert not {"Nobody", "Unknown"} & set(judge.attributes)
        assert np.isfinite(judge.probabilities(labelled, features)).all()
        assert Judge.train(FaceDataset.from_arrays(faces.images, table[["Nobody", "Unknown"]]), features) is None

    def test_the_probe_may_weight_both_kinds_alike(self) -> None:
        random = np.random.default_rng(13)
        labels = random.random(1000) < 0.05
        features = (random.normal(0, 1, (1000, 5)) + labels[:, None] * 0.5).astype(np.float32)
        table = pd.DataFrame({"rare": labels}).astype("boolean")
        shares = [
            (LinearProbe.train(features, table, balanced=balanced).log_odds(features) > 0).mean()
            for balanced in (False, True)
        ]
        assert shares[0] < 0.05 < 0.15 < shares[1]


@pytest.mark.real_data
def test_the_judge_tells_smiles_of_real_faces(real_data: Path) -> None:
    from augface.data import load_data

    faces = load_data(real_data / "celeba-mini", size=SIZE)
    assert faces.train is not None
    assert faces.valid is not None
    train, valid = faces.train[:800], faces.valid[:600]
    space = PixelSpace()
    features = [space.extract(np.asarray(side.images)) for side in (train, valid)]
    learnt = Judge.train(train, features[0])
    assert learnt is not None
    seen = learnt.probabilities(valid, features[1])[:, learnt.attributes.index("Smiling")]
    assert balanced_accuracy_score(valid.attributes["Smiling"].to_numpy(dtype=bool), seen > 0.5) > 0.8
