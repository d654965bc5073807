"""Whether training people can be told: the test's level and power, planted leaks, and what the report says of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from augface.data.dataset import FaceDataset
from augface.data.toyfaces import load_toyfaces
from augface.errors import DataError
from augface.evaluators.base import Context, Findings, check_evaluator
from augface.evaluators.membership import Membership
from augface.metrics import membership
from augface.metrics.membership import face_scores, found_at, membership_test, person_scores

SIZE = 32


def normal(seed: int, rows: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, 12)) + shift


def test_the_level_is_exact_however_scores_depend_on_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "RESAMPLES", 199)
    member = np.repeat([True, False], 60)
    rejected = []
    for seed in range(300):
        random = np.random.default_rng(seed)
        common = random.normal(size=120)
        scores = {"first": common, "second": common + random.normal(size=120), "third": random.normal(size=120)}
        rejected.append(membership_test(scores, member, random).p_value <= 0.05)
    assert 0.02 <= np.mean(rejected) <= 0.09


def test_a_few_that_stand_out_are_found_as_many_who_are_a_little_higher_are() -> None:
    random, member = np.random.default_rng(0), np.repeat([True, False], 300)
    few, many = random.normal(size=600), random.normal(size=600)
    few[:12] += 6
    many[:300] += 0.4
    for scores in (few, many):
        assert membership_test({"nearest": scores}, member, random).p_value < 0.01
    found = membership_test({"nearest": few}, member, random)
    assert np.argsort(found.person_p_values[:300])[:12].max() < 12
    assert np.isnan(found.person_p_values[300:]).all()
    assert membership_test({"nearest": -many}, member, random).p_value > 0.05


def test_every_score_finds_copied_people_and_none_is_there_by_chance() -> None:
    people = np.arange(400) // 2
    real, learnt = normal(0, 400), people < 100
    copied = real[learnt] + normal(1, 200) / 20
    blind = normal(2, 200)
    for synthetic, low, high in ((copied, 0.8, 1.0), (blind, 0.35, 0.65)):
        scores = face_scores(real, synthetic, people, random=np.random.default_rng(0))
        for name in ("nearest", "likelihood"):
            ours = person_scores(scores[name], people)
            assert low <= np.mean(ours[:100, None] > ours[100:]) <= high, name
        assert set(scores) == {"nearest", "likelihood", "discriminator"}


def test_reference_generators_take_away_what_is_easy_for_all() -> None:
    """Faces in the middle are likely under any generator: only beside another one do they stand for nothing."""
    people = np.arange(200)
    real = np.concatenate([normal(0, 100) * 0.3, normal(1, 100)])
    synthetic, reference = normal(2, 300), normal(3, 300)
    scores = face_scores(real, synthetic, people, references=[reference], random=np.random.default_rng(0))
    middle, outside = scores["likelihood"][:100], scores["likelihood"][100:]
    assert abs(np.mean(middle[:, None] > outside) - 0.5) < 0.15
    with pytest.raises(DataError, match="dimensions"):
        face_scores(real, synthetic[:, :5], people, random=np.random.default_rng(0))
    with pytest.raises(DataError, match="too few"):
        face_scores(real[:30], synthetic, people[:30], random=np.random.default_rng(0))


def test_photos_of_one_person_count_together() -> None:
    scores = np.concatenate([np.arange(90), [75.0, 79.5, 85.0]])
    people = np.concatenate([np.arange(90), [90, 90, 90]])
    joined = person_scores(scores, people)
    assert joined[90] > joined[80]
    assert np.argsort(joined[:90]).tolist() == list(range(90))


def test_the_share_found_is_that_above_the_threshold() -> None:
    others, random = np.arange(100.0), np.random.default_rng(0)
    found = found_at(0.05, np.array([93.0, 94.0, 95.0, 99.0]), others, random)
    assert found.value == 0.5
    assert found.low <= 0.5 <= found.high
    assert found_at(0.01, others, others, random).value == 0.01


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return load_toyfaces(700, SIZE)


def context(faces: FaceDataset, copied: int) -> Context:
    """Other toy faces, of which some are replaced by training faces."""
    assert faces.identity is not None
    people = np.unique(faces.identity)
    learnt = np.isin(faces.identity, people[: len(people) // 2])
    train = faces.select(learnt)
    pixels = np.array(load_toyfaces(200, SIZE, seed=9).images)
    pixels[:copied] = train.images[:copied]
    return Context(faces.select(~learnt), FaceDataset.from_arrays(pixels), train, spaces=("pixels",))


def test_a_planted_leak_is_found_and_said(faces: FaceDataset) -> None:
    leak = context(faces, 150)
    check_evaluator(Membership, leak)
    found = Membership().evaluate(leak)
    by_name = {one.name: one for one in found.measurements}
    assert by_name["membership_auc"].alarm
    assert (by_name["membership_auc"].low or 0) > 0.5
    assert (by_name["people_found_5"].value or 0) > 0.05
    assert "who was in the training set" in Membership.arguments(found.measurements)[0].text
    assert Membership.suggestions(found.measurements)
    exposed = next(artifact for artifact in found.artifacts if artifact.name == "most-exposed")
    assert "one of their files" in str(exposed)
    assert not Membership.arguments(Membership().evaluate(context(faces, 0)).measurements)


def test_reference_generators_are_looked_at_and_said(faces: FaceDataset) -> None:
    alone = context(faces, 60)
    beside = replace(alone, references=(load_toyfaces(100, SIZE, seed=11),))
    found = [Membership().evaluate(one).measurements for one in (alone, beside)]
    values = [{one.name: one.value for one in measured} for measured in found]
    assert values[0]["membership_auc_nearest"] == values[1]["membership_auc_nearest"]
    assert values[0]["membership_auc_likelihood"] != values[1]["membership_auc_likelihood"]
    assert [measured[0].protocol["reference_generators"] for measured in found] == [0, 1]


def test_too_few_people_are_said(faces: FaceDataset) -> None:
    few = context(faces.select(slice(0, 60)), 10)
    assert isinstance(few.reference.attributes, pd.DataFrame)
    found = Membership().evaluate(few)
    assert isinstance(found, Findings)
    assert "too few" in found.skipped[0].reason
