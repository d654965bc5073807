"""The downstream experiment: its scores, its statistics, its arms, its two ways of learning, and what stops it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import special
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from augface.data.dataset import FaceDataset
from augface.data.pixels import ImageRows
from augface.data.toyfaces import load_toyfaces
from augface.downstream.analysis import compare_arms, experiment_data, group_masks
from augface.downstream.arms import ALL, ARMS, REAL_ONLY, Arm
from augface.downstream.data import KEPT, ExperimentData, Part, TrainingSet, training_set
from augface.downstream.experiment import Experiment, effect
from augface.downstream.frozen import Frozen
from augface.downstream.full import Full, _augmented
from augface.downstream.linear import fit_logistic
from augface.downstream.real_only import Problem, rebalanced_mixup
from augface.errors import UnknownNameError, UsageError
from augface.metrics.effects import Effect, paired_effect, people_weights
from augface.metrics.scores import (
    average_precisions,
    balanced_average_precision,
    calibration_error,
    group_scores,
)
from augface.rebalancing.rebalance import plan_rebalance, rebalance

BY_NAME = {arm.name: arm for arm in ARMS}


class TestScores:
    def test_average_precision_is_that_of_scikit_learn_under_every_weighting(self) -> None:
        random = np.random.default_rng(0)
        labels = random.random(300) < 0.2
        decisions = np.round(random.normal(size=300) + labels, 1)  # many ties
        weights = random.poisson(1, (20, 300)).astype(float)
        expected = [average_precision_score(labels, decisions, sample_weight=row) for row in weights]
        assert average_precisions(labels, decisions, weights) == pytest.approx(expected, abs=1e-12)
        assert average_precisions(labels, decisions)[0] == pytest.approx(average_precision_score(labels, decisions))

    def test_nothing_to_find_is_not_a_number(self) -> None:
        assert np.isnan(average_precisions(np.zeros(3, dtype=bool), [1.0, 2.0, 3.0])[0])

    def test_groups_that_are_served_unlike(self) -> None:
        labels = np.array([True] * 8 + [False] * 8)
        predicted = np.array([True] * 6 + [False] * 2 + [False] * 7 + [True])
        first = np.arange(16) % 2 == 0
        scores = group_scores(labels, predicted, {"a": first, "b": ~first})
        assert scores.worst_group == 0.75
        assert scores.equal_opportunity == 0
        assert scores.equalised_odds == 0.25

    def test_a_group_without_positives_leaves_scores_undefined(self) -> None:
        labels = np.array([True, True, False, False])
        first = np.array([True, True, False, False])
        assert group_scores(labels, labels, {"a": first, "b": ~first}) == (None, None, None)

    def test_calibration(self) -> None:
        random = np.random.default_rng(0)
        probabilities = random.random(20_000)
        labels = random.random(20_000) < probabilities
        assert calibration_error(labels, probabilities) < 0.02
        assert calibration_error(labels, probabilities**3) > 0.15


def simulated(size: float, of_people: float, random: np.random.Generator) -> Effect:
    """The effect found of 5 seeds and 60 people, each pair of which has a difference of its own."""
    people = size + random.normal(0, of_people, 60)
    table = people + random.normal(0, 0.05, (5, 1)) + random.normal(0, 0.6, (5, 60))
    weights = random.multinomial(60, np.full(60, 1 / 60), size=200) / 60
    return paired_effect(table.mean(axis=1), table @ weights.T, people=60)


class TestEffects:
    @pytest.mark.parametrize("of_people", [0.0, 0.3])
    def test_the_level_is_kept(self, of_people: float) -> None:
        """Seeds, people and what one seed makes of one person vary; of no effect either side tells 2.5 of 100 times."""
        random = np.random.default_rng(0)
        helps = harms = 0
        for _ in range(1500):
            found = simulated(0.0, of_people, random)
            helps += found.p_helps <= 0.025
            harms += found.p_harms <= 0.025
        assert 20 <= helps <= 60
        assert 20 <= harms <= 60

    def test_the_smallest_visible_effect_is_seen_in_four_of_five_cases(self) -> None:
        random = np.random.default_rng(1)
        size = float(np.median([simulated(0.0, 0.3, random).smallest_visible for _ in range(50)]))
        seen = sum(simulated(size, 0.3, random).low > 0 for _ in range(500))
        assert 0.7 < seen / 500 < 0.9

    def test_all_pictures_of_a_person_are_drawn_together(self) -> None:
        people = np.array([3, 3, 3, 9, 9, 4])
        weights = people_weights(people, np.random.default_rng(0), 50)
        assert (weights[:, :3] == weights[:, :1]).all()
        assert (weights[:, 3] == weights[:, 4]).all()
        assert (weights[:, [0, 3, 5]].sum(axis=1) == 3).all()


def part(count: int, seed: int, *, shift: float = 1.5, rate: float = 0.3, style: float = 0.0) -> Part:
    """Faces whose first feature tells the attribute and whose last tells a style."""
    random = np.random.default_rng(seed)
    labels = np.where(random.random(count) < rate, 1.0, -1.0).astype(np.float32)
    features = random.normal(size=(count, 6)).astype(np.float32)
    features[:, 0] += shift * labels
    features[:, 5] += style
    return Part(features, labels[:, None], np.arange(count) + 1000 * seed)


def data(made: Part | None = None, real: Part | None = None) -> ExperimentData:
    real = real or part(120, 1)
    held_out = {"valid": part(150, 2), "test": part(400, 3)}
    groups = np.arange(len(real)) % 2
    return ExperimentData(["target"], real, made or part(60, 4, rate=1.0), groups, held_out)


def drawn(arm: str | Arm, question: ExperimentData, seed: int = 0) -> TrainingSet:
    return training_set(BY_NAME[arm] if isinstance(arm, str) else arm, question, seed, 0)


class TestArms:
    def test_all_arms_learn_from_all_real_faces(self) -> None:
        """A generator has seen them all: an arm that saw fewer would be beaten by what it missed."""
        question = data()
        for arm in ("plain", "oversampled", "duplicates", ALL, "synthetic 25%"):
            assert (drawn(arm, question).shown[: len(question.real)] > 0).all()

    def test_each_seed_draws_other_synthetic_faces_and_all_arms_the_same(self) -> None:
        question = data()
        synthetic = slice(len(question.real), None)
        first, second = (drawn(ALL, question, seed).shown[synthetic] for seed in (0, 1))
        assert first.sum() == second.sum() == round(KEPT * len(question.synthetic))
        assert not np.array_equal(first, second)
        assert np.array_equal(first, drawn("synthetic, last-layer retraining", question).shown[synthetic])

    def test_ratios_nest(self) -> None:
        question = data()
        synthetic = slice(len(question.real), None)
        quarter, half, all_of_them = (
            drawn(arm, question).shown[synthetic] for arm in ("synthetic 25%", "synthetic 50%", ALL)
        )
        assert [int(each.sum()) for each in (quarter, half, all_of_them)] == [12, 24, 48]
        assert (quarter <= half).all()
        assert (half <= all_of_them).all()

    def test_balances(self) -> None:
        question = data()
        positive = np.concatenate([question.real.labels[:, 0], question.synthetic.labels[:, 0]]) > 0
        weighted = drawn("class-weighted", question)
        both = weighted.shown * weighted.loss
        assert both[positive].sum() == pytest.approx(both[~positive].sum())
        repeated = drawn("oversampled", question).shown
        assert repeated[positive].sum() == repeated[~positive].sum()
        copies, plain = drawn("duplicates", question).shown, drawn("plain", question).shown
        assert copies.sum() - plain.sum() == round(KEPT * len(question.synthetic)) == (copies - plain)[positive].sum()
        grouped = drawn("group-balanced", question).shown[: len(question.real)]
        cells = [
            grouped[(question.groups == group) & ((question.real.labels[:, 0] > 0) == value)].sum()
            for group in (0, 1)
            for value in (True, False)
        ]
        assert cells == pytest.approx([cells[0]] * 4)

    def test_every_arm_with_synthetic_faces_has_its_matched_control_with_copies(self) -> None:
        question = data()
        for arm in ARMS:
            if arm.uses_synthetic and arm.real:
                control = BY_NAME[arm.name.replace("synthetic", "duplicates")]
                assert dataclasses.replace(
                    control, name="", meaning="", synthetic=control.copies, copies=0.0
                ) == dataclasses.replace(arm, name="", meaning="")
                assert drawn(arm, question).shown.sum() == drawn(control, question).shown.sum()

    def test_synthetic_only_keeps_the_real_faces_of_kinds_that_were_not_made(self) -> None:
        question = data()
        shown = drawn("synthetic only", question).shown[: len(question.real)]
        positive = question.real.labels[:, 0] > 0
        assert not shown[positive].any()
        assert shown[~positive].any()

    def test_made_first_is_real_later(self) -> None:
        question = data()
        found = drawn("synthetic first", question)
        assert found.shown[len(question.real) :].any()
        assert not found.later[len(question.real) :].any()


class TestLinear:
    def test_it_is_the_minimum_that_scikit_learn_finds(self) -> None:
        faces = part(200, 5)
        inputs = np.concatenate([faces.inputs, np.ones((200, 1))], axis=1, dtype=np.float32)
        weights = np.random.default_rng(0).integers(0, 3, 200)
        found = fit_logistic(inputs, faces.labels[:, 0] > 0, weights, 0.05)
        other = LogisticRegression(C=1 / (0.05 * weights.sum()), tol=1e-8, max_iter=1000)
        other.fit(faces.inputs, faces.labels[:, 0] > 0, sample_weight=weights)
        assert found[:-1] == pytest.approx(other.coef_[0], abs=1e-3)
        assert found[-1] == pytest.approx(other.intercept_[0], abs=1e-3)

    def test_a_strong_prior_is_hard_to_leave(self) -> None:
        faces = part(100, 5)
        inputs = np.concatenate([faces.inputs, np.ones((100, 1))], axis=1, dtype=np.float32)
        prior = np.full(7, 0.5, np.float32)
        near, far = (fit_logistic(inputs, faces.labels[:, 0] > 0, np.ones(100), s, prior=prior) for s in (100.0, 0.01))
        assert np.abs(near[:-1] - prior[:-1]).max() < 0.02
        assert np.abs(far[:-1] - prior[:-1]).max() > 0.2


def verdict(question: ExperimentData) -> str:
    found = compare_arms(Experiment(Frozen(question)))
    return "helps" if found.best.p_helps <= 0.025 else "harms" if found.of_all.p_harms <= 0.025 else "no evidence"


class TestHarness:
    def test_what_is_missing_helps(self) -> None:
        few = part(120, 1, rate=0.02, shift=0.7)
        held_out = {"valid": part(300, 2, shift=0.7), "test": part(800, 3, shift=0.7)}
        question = dataclasses.replace(data(part(400, 4, rate=1.0, shift=0.7), few), held_out=held_out)
        assert verdict(question) == "helps"

    def test_wrong_labels_harm(self) -> None:
        wrong = part(400, 4)
        assert verdict(data(dataclasses.replace(wrong, labels=-wrong.labels))) == "harms"

    def test_nothing_new_is_no_evidence(self) -> None:
        real = part(300, 1)
        assert verdict(data(dataclasses.replace(real), real)) == "no evidence"

    def test_harm_to_an_attribute_that_was_not_asked_for_is_seen(self) -> None:
        def two(count: int, seed: int, sign: float = 1.0) -> Part:
            first = part(count, seed)
            second = np.where(np.random.default_rng(seed).random(count) < 0.5, 1.0, -1.0).astype(np.float32)
            features = np.array(first.inputs)
            features[:, 1] += 1.5 * sign * second
            return Part(features, np.column_stack([first.labels, second]), first.people)

        held_out = {"valid": two(200, 2), "test": two(500, 3)}
        for sign, harmed in ((1.0, False), (-1.0, True)):
            question = ExperimentData(
                ["target", "other"], two(150, 1), two(300, 4, sign), np.zeros(150, np.int64), held_out
            )
            (other,) = compare_arms(Experiment(Frozen(question)), [BY_NAME["plain"], BY_NAME[ALL]]).others
            assert other.attribute == "other"
            assert (other.effect.p_harms < 0.001) == harmed
            assert (other.with_synthetic < other.without - 0.1) == harmed

    def test_two_identical_arms_have_no_effect(self) -> None:
        shown = part(200, 3).labels[:, 0] > 0
        decisions = [np.random.default_rng(seed).normal(size=200).astype(np.float32) for seed in range(3)]
        found = effect(shown, np.arange(200), decisions, decisions, draws=50)
        assert found.value == 0
        assert found.p_helps == pytest.approx(0.5)

    def test_help_and_harm_are_told_only_where_the_same_recipe_with_copies_says_so_too(self) -> None:
        found = compare_arms(Experiment(Frozen(data()), seeds=2))
        for compared_with_controls in (found.best, found.of_all):
            assert compared_with_controls.beyond_copies is not None
            sure = dataclasses.replace(compared_with_controls.effect, p_helps=0.001, p_harms=0.002)
            unsure = dataclasses.replace(compared_with_controls.effect, p_helps=0.4, p_harms=0.6)
            for pair in ((sure, unsure), (unsure, sure)):
                told = dataclasses.replace(compared_with_controls, effect=pair[0], beyond_copies=pair[1])
                assert (told.p_helps, told.p_harms) == (0.4, 0.6)
            alone = dataclasses.replace(compared_with_controls, effect=sure, beyond_copies=None)
            assert (alone.p_helps, alone.p_harms) == (0.001, 0.002)

    def test_copies_that_lose_to_a_better_recipe_do_not_harm(self) -> None:
        real = part(300, 3, shift=0.5, rate=0.05)
        copies = real.take(np.repeat(np.flatnonzero(real.labels[:, 0] > 0), 20))
        held_out = {"valid": part(300, 12, shift=0.5), "test": part(1500, 13, shift=0.5)}
        found = compare_arms(Experiment(Frozen(dataclasses.replace(data(copies, real), held_out=held_out))))
        assert found.of_all.effect.p_harms < 0.001
        assert found.of_all.p_harms > 0.5

    def test_pixel_arms_are_dropped_and_named(self) -> None:
        found = compare_arms(Experiment(Frozen(data()), seeds=2))
        assert {arm.name for arm in found.left_out} == {"flip", "flip and crop", "RandAugment"}


class Counting(Frozen):
    """Counts what it learns, one run after the other, and can be stopped."""

    workers = 1
    learnt = 0
    stop_at = 10**9

    def learn(self, *arguments: Any) -> dict[str, Any]:
        type(self).learnt += 1
        if type(self).learnt > type(self).stop_at:
            raise KeyboardInterrupt
        return super().learn(*arguments)


class TestResume:
    def test_finished_runs_are_not_done_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        arms = [BY_NAME["mixup"], BY_NAME[ALL]]
        monkeypatch.setattr(Counting, "learnt", 0)
        monkeypatch.setattr(Counting, "stop_at", 3)
        with pytest.raises(KeyboardInterrupt):
            Experiment(Counting(data()), folder=tmp_path).run(arms)
        monkeypatch.setattr(Counting, "stop_at", 10**9)
        monkeypatch.setattr(Counting, "learnt", 0)
        resumed = Experiment(Counting(data()), folder=tmp_path).run(arms)
        assert Counting.learnt == 2 * 5 - 3
        fresh = Experiment(Frozen(data())).run(arms)
        for name, runs in fresh.items():
            for first, second in zip(runs, resumed[name], strict=True):
                assert np.array_equal(first["test"], second["test"])

    def test_other_material_is_learnt_anew(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Counting, "learnt", 0)
        for made in (part(60, 4), part(60, 5)):
            Experiment(Counting(data(made)), seeds=2, folder=tmp_path).run([BY_NAME["mixup"]])
        assert Counting.learnt == 4

    def test_what_no_seed_changes_is_learnt_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Counting, "learnt", 0)
        arms = [arm for arm in ARMS if Frozen.supports(arm)]
        runs = Experiment(Counting(data()), seeds=3).run(arms)
        assert all(len(each) == 3 for each in runs.values())
        assert Counting.learnt == 4 + 3 * (len(arms) - 4)
        for arm in arms:
            first, second = (
                Frozen(data()).learn(arm, training_set(arm, data(), seed, 0), [0], np.random.default_rng(seed))["test"]
                for seed in (0, 1)
            )
            assert np.array_equal(first, second) != arm.draws, arm.name

    def test_a_run_that_was_cut_short_is_done_again(self, tmp_path: Path) -> None:
        experiment = Experiment(Frozen(data()), seeds=1, folder=tmp_path)
        first = experiment.run([BY_NAME["plain"]])["plain"][0]["test"]
        (kept,) = tmp_path.iterdir()
        kept.write_bytes(kept.read_bytes()[:40])
        assert np.array_equal(experiment.run([BY_NAME["plain"]])["plain"][0]["test"], first)


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return load_toyfaces(400, 32)


@pytest.fixture(scope="module")
def question(faces: FaceDataset) -> ExperimentData:
    def images(data: FaceDataset) -> ImageRows:
        return data.images

    assert faces.train is not None
    assert faces.valid is not None
    assert faces.test is not None
    made = load_toyfaces(60, 32, seed=5)
    return experiment_data("Male", faces.train, made, {"valid": faces.valid, "test": faces.test}, images, ["Young"])


class TestFull:
    @pytest.mark.parametrize(
        "arm", ["plain", "class-weighted", "flip and crop", "RandAugment", "mixup", "synthetic first"]
    )
    def test_every_arm_learns(self, arm: str, question: ExperimentData) -> None:
        learner = Full(question, images=256)
        found = learner.learn(BY_NAME[arm], drawn(arm, question), [0, 1], np.random.default_rng(0))
        assert found["test"].shape == (len(question.test), 2)
        assert np.isfinite(found["valid"]).all()

    def test_faces_are_mirrored_whole_or_not_at_all(self) -> None:
        batch = torch.rand(20, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        changed = _augmented(batch, BY_NAME["flip"], torch.Generator().manual_seed(1))
        same, mirrored = ((changed == one).flatten(1).all(dim=1) for one in (batch, batch.flip(3)))
        assert (same ^ mirrored).all()
        assert 3 < same.sum() < 17

    def test_it_tells_what_it_learnt_and_the_same_seed_tells_the_same(self, question: ExperimentData) -> None:
        learner = Full(question, images=3200)
        plain, again = (
            learner.learn(BY_NAME["plain"], drawn("plain", question), [0], np.random.default_rng(0)) for _ in range(2)
        )
        rows, shown = question.test.known(0)
        assert average_precisions(shown, plain["test"][rows, 0])[0] > shown.mean() + 0.2
        assert np.array_equal(plain["test"], again["test"])

    @pytest.mark.parametrize("network", ["small", "test_resnet"])
    def test_last_layer_retraining_leaves_the_other_attributes_alone(
        self, network: str, question: ExperimentData
    ) -> None:
        learner = Full(question, network, images=640)
        before, after = (
            learner.learn(arm, drawn(arm, question), [0, 1], np.random.default_rng(0))
            for arm in (BY_NAME["plain"], BY_NAME["last-layer retraining"])
        )
        assert after["test"][:, 1] == pytest.approx(before["test"][:, 1], abs=1e-4)
        rows, shown = question.valid.known(0)
        gain = average_precisions(shown, after["valid"][rows, 0]) - average_precisions(shown, before["valid"][rows, 0])
        assert gain[0] >= -1e-3

    def test_a_misspelt_network_is_refused_with_the_near_ones(self, question: ExperimentData) -> None:
        with pytest.raises(UnknownNameError, match="resnet18"):
            Full(question, "resnet81")


class TestBadInput:
    def test_people_in_two_splits_are_refused_before_any_work(self, faces: FaceDataset) -> None:
        assert faces.identity is not None
        mixed = dataclasses.replace(faces, identity=faces.identity % 7)
        with pytest.raises(UsageError, match=r"7 people are in both train and valid.*--allow-identity-overlap"):
            plan_rebalance(mixed, attr="Male")
        assert plan_rebalance(mixed, attr="Male", allow_identity_overlap=True).wanted
        assert plan_rebalance(mixed, attr="Male", downstream="off").wanted

    def test_a_misspelt_network_is_refused_before_any_work(self, faces: FaceDataset) -> None:
        with pytest.raises(UnknownNameError, match="network"):
            plan_rebalance(faces, attr="Male", downstream="full", network="smal")

    def test_an_external_test_set_that_cannot_be_scored_are_refused_before_any_work(
        self, faces: FaceDataset, tmp_path: Path
    ) -> None:
        women = faces.select(faces.matching({"Male": False}))
        with pytest.raises(UsageError, match="with and without Male"):
            rebalance(faces, attr="Male", run_dir=tmp_path / "run", external_test=women)
        assert not (tmp_path / "run").exists()

    def test_labels_that_are_not_known_count_nowhere(self) -> None:
        question = data()
        question.real.labels[:40] = 0
        assert not drawn("plain", question).shown[:40].any()

    def test_groups_of_unknown_labels_hold_nobody(self) -> None:
        data = FaceDataset.from_arrays(np.zeros((3, 8, 8, 3), np.uint8), {"Male": [True, None, False]})
        masks = group_masks(data, ["Male"])
        assert {name: mask.tolist() for name, mask in masks.items()} == {
            "Male=1": [True, False, False],
            "Male=0": [False, False, True],
        }


def shortcut(seed: int, count: int, *, share: float) -> tuple[Part, np.ndarray[Any, Any]]:
    """Faces of two groups; of those of the second that show the attribute a share is there."""
    random = np.random.default_rng(seed)
    labels, groups = np.where(random.random(count) < 0.3, 1.0, -1.0), random.random(count) < 0.5
    features = random.normal(size=(count, 8)).astype(np.float32)
    features[:, 0] += labels
    features[:, 1] += 3 * groups
    kept = np.flatnonzero((random.random(count) < share) | ~groups | (labels < 0))
    faces = Part(features, labels[:, None].astype(np.float32), np.arange(count) + 10_000 * seed)
    return faces.take(kept), groups[kept]


def balanced_scores(arms: Sequence[Arm], share: float) -> dict[str, float]:
    """How well the arms rank all combinations alike, where they learn from a share of one of them."""
    (real, groups), (valid, _), (test, of_test) = (
        shortcut(seed, count, share=some) for seed, count, some in ((1, 800, share), (2, 300, share), (3, 1500, 1))
    )
    held_out = {"valid": valid, "test": test}
    question = ExperimentData(["target"], real, real.take(np.arange(0)), groups.astype(np.int64), held_out)
    decisions = Experiment(Frozen(question), seeds=1).run(arms)
    masks = {"first": ~of_test, "second": of_test}
    found = {
        arm: balanced_average_precision(test.labels[:, 0] > 0, run["test"][:, 0], masks)
        for arm, (run,) in decisions.items()
    }
    return {arm: score for arm, score in found.items() if score is not None}


@pytest.fixture(scope="module")
def scores() -> dict[str, float]:
    return balanced_scores([BY_NAME["plain"], *REAL_ONLY], 0)


class TestRealOnly:
    """A group without positives: whoever learns "not of this group" ranks badly where all combinations are there."""

    def test_methods_for_missing_groups_find_what_plain_training_misses(self, scores: dict[str, float]) -> None:
        for arm in REAL_ONLY:
            if arm.method not in ("SMOTE", "LISA", "Remix", "JTT", "self-training"):
                assert scores[arm.name] > scores["plain"] + 0.015, arm.name

    def test_the_others_change_little_there(self, scores: dict[str, float]) -> None:
        for name in ("SMOTE", "rebalanced mixup", "mistakes again", "self-training"):
            assert abs(scores[name] - scores["plain"]) < 0.04, name

    def test_blends_across_groups_help_where_a_combination_is_rare(self) -> None:
        (arm,) = (arm for arm in REAL_ONLY if arm.method == "LISA")
        found = balanced_scores([BY_NAME["plain"], arm], 0.05)
        assert found[arm.name] > found["plain"] + 0.01

    def test_a_blend_that_is_half_of_the_rarer_class_has_its_label(self) -> None:
        labels = np.where(np.arange(40_000) % 10, -1.0, 1.0).astype(np.float32)
        nothing = np.append(np.zeros((40_000, 1)), np.ones((40_000, 1)), axis=1).astype(np.float32)  # but the constant
        problem = Problem(nothing, labels, np.zeros(40_000, np.int64), [1e-2], np.random.default_rng(0))
        (head,) = rebalanced_mixup(problem)
        both = 2 * 0.1 * 0.9  # the share of blends of both classes; a quarter of the rarer one in those below a half
        assert special.expit(head[-1]) == pytest.approx(0.1**2 + both * (0.5 + 0.5 * 0.25), abs=0.004)
        even = dataclasses.replace(problem, labels=np.where(np.arange(40_000) % 3, -1.0, 1.0).astype(np.float32))
        assert special.expit(rebalanced_mixup(even)[0][-1]) == pytest.approx(1 / 3, abs=0.004)

    def test_faces_without_a_label_are_learnt_from(self) -> None:
        question = data(real=part(150, 1))
        hidden = question.real.labels.copy()
        hidden[40:] = 0
        few = data(real=dataclasses.replace(question.real, labels=hidden))
        (arm,) = (arm for arm in REAL_ONLY if arm.method == "self-training")
        with_them, without = (
            Frozen(few).learn(each, training_set(each, few, 0, 0), [0], np.random.default_rng(0))["test"]
            for each in (arm, BY_NAME["plain"])
        )
        shown = few.test.labels[:, 0] > 0
        assert not np.array_equal(with_them, without)
        assert average_precisions(shown, with_them[:, 0])[0] > average_precisions(shown, without[:, 0])[0] - 0.02

    def test_only_a_network_trains_on_pixels(self) -> None:
        assert not any(Full.supports(arm) for arm in REAL_ONLY)


def test_groups_alike() -> None:
    labels = np.array([True, False, True, False, False, False])
    first = np.array([True, True, False, False, False, False])
    decisions = np.array([0.9, 0.1, 0.5, 0.6, 0.2, 0.3])
    expected = average_precision_score(labels, decisions, sample_weight=[1, 1, 1, 1 / 3, 1 / 3, 1 / 3])
    assert balanced_average_precision(labels, decisions, {"a": first, "b": ~first}) == pytest.approx(expected)
    assert balanced_average_precision(labels, decisions, {"a": first}) is None
    assert balanced_average_precision(first, decisions, {"a": first, "b": ~first}) is None


def test_some_of_the_rarer_class() -> None:
    question = data(real=part(200, 1))
    half = drawn(Arm("half", "", minority=0.5), question).shown[: len(question.real)]
    shown = question.real.labels[:, 0] > 0
    assert (half[shown] > 0).sum() == round(shown.sum() / 2)
    assert (half[~shown] > 0).all()
    other = drawn(Arm("half", "", minority=0.5), question, seed=1).shown[: len(question.real)]
    assert not np.array_equal(half, other)
