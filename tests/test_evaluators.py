"""The contract of every evaluator, and that each finds the truths that were planted for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

import augface
from augface.arrays import Pixels
from augface.data.dataset import FaceDataset, signed_labels
from augface.data.toyfaces import load_toyfaces, render, sample_population
from augface.downstream import arms as all_arms
from augface.downstream import linear
from augface.downstream.settings import DownstreamSettings
from augface.errors import DataError, UnknownNameError
from augface.evaluation.evaluate import run_evaluators
from augface.evaluation.verdict import decide
from augface.evaluators import EVALUATORS, base, downstream, real_vs_fake
from augface.evaluators import _judge as judge
from augface.evaluators.base import Context, check_evaluator
from augface.evaluators.prdc import BOUNDED, MEASURES
from augface.features.base import Features, FeatureSpace
from augface.features.pixels import PixelSpace
from augface.generators import create_generator
from augface.generators._codes import Codes
from augface.generators.base import Generator, GeneratorConfig
from augface.results import Measurement, Table

SIZE = 32
TARGET = "Male"


class CoarseSpace(FeatureSpace):
    """Mean colours of 4 x 4 fields: few enough dimensions for a Fréchet distance of a few faces."""

    name: ClassVar[str] = "coarse"
    dimension: ClassVar[int] = 48

    @property
    def protocol(self) -> dict[str, str | int | float]:
        return {"space": self.name}

    def prepare(self, image: Pixels) -> Features:
        fields = image.reshape(4, SIZE // 4, 4, SIZE // 4, 3).astype(np.float32)
        return np.asarray(fields.mean(axis=(1, 3)).ravel(), dtype=np.float32)

    def forward(self, prepared: Features) -> Features:
        return prepared


def use_space(patch: pytest.MonkeyPatch, kind: type[FeatureSpace]) -> None:
    for module in (base, downstream):
        patch.setattr(module, "create_feature_space", lambda name="": kind())


@pytest.fixture(autouse=True)
def quick_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels in place of the default space, fewer draws, and short trainings."""
    use_space(monkeypatch, PixelSpace)
    monkeypatch.setattr(linear, "DIMENSIONS", 24)
    monkeypatch.setattr(judge, "IMAGES", 1280)
    monkeypatch.setattr(real_vs_fake, "NETWORK_IMAGES", 1280)


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return load_toyfaces(600, SIZE)


@pytest.fixture(scope="module")
def fresh() -> FaceDataset:
    """What a perfect generator makes: faces of the same population, of other people."""
    people = load_toyfaces(400, SIZE, seed=9)
    return FaceDataset.from_arrays(people.images, people.attributes, spec="perfect")


@pytest.fixture(scope="module")
def context(faces: FaceDataset, fresh: FaceDataset) -> Context:
    train, valid, test = faces.train, faces.valid, faces.test
    assert train is not None
    assert valid is not None
    assert test is not None
    return Context(
        reference=valid,
        samples=fresh,
        train=train,
        valid=valid,
        test=test,
        accepted=fresh,
        targets=(TARGET,),
        generator=Planted({TARGET: "masculinity"}),
        seed=2,
    )


class Planted(Generator):
    """Draws toy faces, so that it is known what changes with a request: the factors of an attribute, and no others."""

    name: ClassVar[str] = "planted"
    capabilities: ClassVar[frozenset[str]] = frozenset({"conditional", "latent"})

    def __init__(self, requested: dict[str, str], leaked: str = "") -> None:
        super().__init__(GeneratorConfig())
        self.requested, self.leaked = requested, leaked
        self.factors, labels, _ = sample_population(64, 5)
        self.labels = labels[list(requested)].astype("boolean")

    def fit(self, data: FaceDataset, **settings: Any) -> None:
        raise NotImplementedError

    _generate = _arrays = _restore = fit  # type: ignore[assignment]

    def sample(self, n: int, **settings: Any) -> FaceDataset:
        return FaceDataset.from_arrays(render(self.factors[:n], SIZE), self.labels)

    def codes(self, faces: FaceDataset, *, steps: int | None = None) -> Codes:
        rows = np.arange(len(faces), dtype=np.float32)[:, None]
        conditions = signed_labels(faces.attributes)
        return Codes(rows, conditions, tuple(faces.names), "", np.full(len(faces), -1))

    def request(self, codes: Codes, where: Mapping[str, bool]) -> Codes:
        (name, value), conditions = next(iter(where.items())), codes.conditions.copy()
        conditions[:, list(self.requested).index(name)] = 1 if value else -1
        return dataclasses.replace(codes, conditions=conditions)

    def render(self, codes: Codes) -> FaceDataset:
        factors = self.factors.iloc[codes.noise[:, 0].astype(int)].copy()
        for column, factor in zip(codes.conditions.T, self.requested.values(), strict=True):
            if factor == "masculinity":
                factors[factor] = np.where(column > 0, 0.85, 0.15)
            elif factor:
                factors[factor] = column > 0
            if self.leaked:
                factors[self.leaked] = column > 0
        return FaceDataset.from_arrays(render(factors, SIZE))


def pixels(faces: FaceDataset) -> np.ndarray[Any, Any]:
    return np.asarray(faces.images)


def blurred(faces: FaceDataset) -> FaceDataset:
    """Mean colours of 8 x 8 fields."""
    fields = pixels(faces).reshape(len(faces), 4, 8, 4, 8, 3).mean(axis=(2, 4), keepdims=True)
    wide = np.broadcast_to(fields, (len(faces), 4, 8, 4, 8, 3)).reshape(len(faces), SIZE, SIZE, 3)
    return FaceDataset.from_arrays(wide.astype(np.uint8))


def noise(count: int) -> FaceDataset:
    return FaceDataset.from_arrays(np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3)).astype(np.uint8))


def confetti(count: int) -> FaceDataset:
    """Fields of pure colours, far from any face in what a coarse look tells."""
    fields = np.random.default_rng(0).integers(0, 2, (count, 4, 1, 4, 1, 3)) * 255
    images = np.broadcast_to(fields, (count, 4, 8, 4, 8, 3)).reshape(count, SIZE, SIZE, 3)
    return FaceDataset.from_arrays(images.astype(np.uint8))


def only(context: Context, name: str, measure: str) -> Measurement:
    found = EVALUATORS.get(name)().evaluate(dataclasses.replace(context)).measurements  # with no features yet
    (measurement,) = [each for each in found if each.name == measure and not each.group]
    return measurement


@pytest.mark.parametrize("name", list(EVALUATORS))
def test_the_contract_holds(name: str, context: Context) -> None:
    check_evaluator(EVALUATORS.get(name), context)


@pytest.mark.parametrize("name", list(EVALUATORS))
def test_the_section_has_the_registered_name_and_key_measures(name: str) -> None:
    evaluator = EVALUATORS.get(name)
    assert evaluator.name == evaluator.section.key == name
    assert evaluator.section.key_measures
    assert evaluator.section.key_measures


@pytest.fixture(scope="module")
def of_all(context: Context) -> Context:
    """One context for all planted generators, so that one judge is trained."""
    return dataclasses.replace(context)


class TestSteering:
    def found(self, of_all: Context, generator: Planted, target: str = "Wearing_Hat") -> dict[str, Measurement]:
        of_all.judge  # noqa: B018
        context = dataclasses.replace(of_all, generator=generator, targets=(target,))
        for name in ("judge", "_features", "_judged", "_spaces"):
            context.__dict__[name] = getattr(of_all, name)
        return {one.name: one for one in EVALUATORS.get("steering")().evaluate(context).measurements}

    def test_a_planted_edit_is_found_whole_and_alone(self, of_all: Context) -> None:
        found = self.found(of_all, Planted({"Wearing_Hat": "hat"}))
        span = found["edit_span"]
        assert span.low is not None
        assert span.high is not None
        assert 0.3 < span.low < 1 < span.high
        assert span.verdict == "pass"
        assert (found["edit_right_way"].value or 0) > 0.9

    def test_a_generator_that_takes_no_notice_fails(self, of_all: Context) -> None:
        found = self.found(of_all, Planted({"Wearing_Hat": ""}))
        assert found["edit_span"].value == pytest.approx(0, abs=1e-6)
        assert found["edit_span"].verdict == "fail"
        suggestions = EVALUATORS.get("steering").suggestions(list(found.values()))
        assert "Wearing_Hat" in suggestions[0].reason

    def test_a_planted_leakage_is_seen(self, of_all: Context) -> None:
        clean, leaky = (
            self.found(of_all, Planted({TARGET: "masculinity"}, leaked), TARGET)["edit_leakage"]
            for leaked in ("", "hat")
        )
        assert clean.value is not None
        assert leaky.value is not None
        assert leaky.value > clean.value + 0.5
        assert leaky.verdict == "warn"

    def test_without_a_generator_at_hand_it_is_skipped(self, of_all: Context) -> None:
        for generator in (None, create_generator("resample")):
            assert "needs a generator at hand" in EVALUATORS.get("steering").unmet_needs(
                dataclasses.replace(of_all, generator=generator)
            )


class TestFidelity:
    @pytest.fixture(autouse=True)
    def coarse(self, monkeypatch: pytest.MonkeyPatch, quick_space: None) -> None:
        use_space(monkeypatch, CoarseSpace)

    @pytest.mark.parametrize("measure", ["kernel_distance", "frechet_distance"])
    def test_perfect_faces_are_as_near_as_real_ones(self, measure: str, context: Context) -> None:
        measurement = only(context, "fidelity", measure)
        assert measurement.verdict == "pass"
        assert measurement.baseline is not None
        assert measurement.n_real == measurement.n_fake == measurement.baseline.n

    @pytest.mark.parametrize("measure", ["kernel_distance", "frechet_distance"])
    def test_noise_is_worse_than_real_faces(self, measure: str, context: Context) -> None:
        noisy = dataclasses.replace(context, samples=noise(200))
        measurement = only(noisy, "fidelity", measure)
        assert measurement.verdict in ("warn", "fail")
        good = only(context, "fidelity", measure)
        assert measurement.value is not None
        assert good.high is not None
        assert measurement.value > good.high

    def test_the_permutation_test_tells_noise_from_faces(self, context: Context) -> None:
        noisy = dataclasses.replace(context, samples=noise(200))
        assert only(noisy, "fidelity", "kernel_distance").p_value == pytest.approx(1 / 501)
        p_value = only(context, "fidelity", "kernel_distance").p_value
        assert p_value is not None
        assert p_value > 0.01

    def test_blurred_faces_are_worse_than_sharp_ones(self, monkeypatch: pytest.MonkeyPatch, context: Context) -> None:
        use_space(monkeypatch, PixelSpace)
        blur = only(dataclasses.replace(context, samples=blurred(context.samples)), "fidelity", "kernel_distance")
        sharp = only(context, "fidelity", "kernel_distance")
        assert blur.value is not None
        assert sharp.value is not None
        assert blur.value > sharp.value

    def test_without_a_train_split_half_of_the_reals_are_the_baseline(self, context: Context) -> None:
        measurement = only(dataclasses.replace(context, train=None), "fidelity", "kernel_distance")
        assert measurement.n_real == pytest.approx(len(context.reference) / 2, abs=4)  # people stay together
        assert measurement.verdict == "pass"

    def test_too_few_faces_are_said(self, context: Context) -> None:
        few = dataclasses.replace(context, samples=noise(19))
        findings = EVALUATORS.get("fidelity")().evaluate(few)
        assert not findings.measurements
        assert "19 faces on each side are too few" in findings.skipped[0].reason

    def test_no_frechet_distance_is_given_where_it_is_mostly_bias(self, context: Context) -> None:
        few = dataclasses.replace(context, samples=noise(95))
        findings = EVALUATORS.get("fidelity")().evaluate(few)
        assert {measurement.name for measurement in findings.measurements} == {"kernel_distance"}
        assert "fewer than twice the 48 dimensions" in findings.skipped[0].reason


class TestGroups:
    def test_both_kinds_of_each_attribute_are_measured(self, context: Context) -> None:
        measured = EVALUATORS.get("fidelity")().evaluate(context).measurements
        (men,) = [one for one in measured if one.group == {TARGET: True} and one.name == "kernel_distance"]
        sides = (context.reference, context.samples, context.sides.other)
        assert men.n_real == men.n_fake == min(int(side.matching({TARGET: True}).sum()) for side in sides)
        assert men.baseline is not None
        assert men.verdict == "pass"
        assert {TARGET: False} in [one.group for one in measured]

    def test_joint_groups_are_those_that_were_asked_for(self, context: Context) -> None:
        joint = dataclasses.replace(context, by=(TARGET, "Young"))
        groups = list(joint.sides.groups(joint.by))
        assert {TARGET: True, "Young": False} in groups
        assert sum(len(group) == 2 for group in groups) == 4
        assert all(len(group) == 1 for group in context.sides.groups())

    def test_groups_for_which_one_side_has_no_labels_are_left_out(self, context: Context) -> None:
        unlabelled = dataclasses.replace(context.train, attributes=pd.DataFrame(index=context.train.attributes.index))  # type: ignore[type-var,union-attr]
        joint = dataclasses.replace(context, train=unlabelled, by=(TARGET, "Young"))
        assert not list(joint.sides.groups(joint.by))
        assert {one.name for one in EVALUATORS.get("fidelity")().evaluate(joint).measurements} >= {"kernel_distance"}

    def test_groups_that_are_too_small_are_said(self, context: Context) -> None:
        findings = EVALUATORS.get("fidelity")().evaluate(context)
        assert not [one for one in findings.measurements if one.group == {"Bald": True}]
        assert any("no numbers of their own" in skipped.reason for skipped in findings.skipped)

    def test_the_group_that_went_wrong_is_the_one_that_warns(
        self, context: Context, fresh: FaceDataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        men = fresh.matching({TARGET: True})
        images = pixels(fresh).copy()
        images[men] = pixels(noise(int(men.sum())))
        spoilt = dataclasses.replace(
            context, samples=FaceDataset.from_arrays(images, fresh.attributes), spaces=("any",)
        )
        for name, measure in (("fidelity", "kernel_distance"), ("prdc", "precision")):
            found = {
                one.group[TARGET]: one.verdict
                for one in EVALUATORS.get(name)().evaluate(spoilt).measurements
                if set(one.group) == {TARGET} and one.name == measure
            }
            if name == "fidelity":
                assert found == {True: "fail", False: "pass"}
            else:
                assert found.get(True, "fail") == "fail"


@pytest.fixture(scope="module")
def halves(faces: FaceDataset) -> Context:
    """Reals enough for neighbourhoods: half against half."""
    return Context(reference=faces.select(slice(0, 300)), samples=faces.select(slice(300, 600)))


class TestPrdc:
    @pytest.fixture(autouse=True)
    def coarse(self, monkeypatch: pytest.MonkeyPatch, quick_space: None) -> None:
        use_space(monkeypatch, CoarseSpace)

    def test_perfect_faces_pass(self, halves: Context) -> None:
        findings = EVALUATORS.get("prdc")().evaluate(halves)
        everything = {one.name: one for one in findings.measurements if not one.group}
        four = {"precision", "recall", "density", "coverage"}
        assert set(everything) == four | set(BOUNDED) | set(MEASURES)
        assert {one.verdict for one in everything.values()} == {"pass"}
        assert all(one.direction == "higher" and one.protocol["k"] in (4, 5, 10) for one in everything.values())

    def test_what_is_no_face_is_imprecise(self, halves: Context) -> None:
        noisy = dataclasses.replace(halves, samples=confetti(200))
        for measure in ("precision", "coverage", *BOUNDED):
            measurement = only(noisy, "prdc", measure)
            assert measurement.value == 0
            assert measurement.verdict == "fail"

    def test_few_kinds_of_faces_lose_recall_and_keep_precision(self, halves: Context) -> None:
        few = halves.samples.select(np.arange(300) % 12)
        narrow = dataclasses.replace(halves, samples=few)
        assert only(narrow, "prdc", "recall").verdict == "fail"
        for coverage, precision in (("coverage", "precision"), ("bounded_coverage", "bounded_precision")):
            assert only(narrow, "prdc", coverage).verdict == "fail"
            assert only(narrow, "prdc", precision).verdict == "pass"

    def test_the_extremes_are_shown_and_named(self, halves: Context) -> None:
        images = pixels(halves.samples).copy()
        images[4:9] = pixels(confetti(5))
        spoilt = FaceDataset.from_arrays(images, names=[f"face-{number}" for number in range(len(images))])
        findings = EVALUATORS.get("prdc")().evaluate(dataclasses.replace(halves, samples=spoilt))
        names = next(one for one in findings.artifacts if one.name == "extremes-names")
        assert isinstance(names, Table)
        worst = [row[1] for row in names.rows if row[0] == "least realistic"]
        match = dataclasses.replace(halves, samples=spoilt).sides.match()
        drawn = set(spoilt.names[4:9].tolist()) & set(spoilt.names[match.synthetic].tolist())
        assert drawn
        assert set(worst[: len(drawn)]) == drawn
        hidden = EVALUATORS.get("prdc")().evaluate(dataclasses.replace(halves, show_real=False))
        assert {"missed"} == {one.name for one in findings.artifacts} - {one.name for one in hidden.artifacts}

    def test_pictures_of_two_people_have_numbers_without_intervals(self, halves: Context) -> None:
        two = dataclasses.replace(halves.reference, identity=np.arange(300) % 2)
        findings = EVALUATORS.get("prdc")().evaluate(dataclasses.replace(halves, reference=two))
        assert {one.verdict for one in findings.measurements} == {"info"}
        assert all(one.low is None and one.value is not None for one in findings.measurements)

    def test_too_few_faces_are_said(self, halves: Context) -> None:
        findings = EVALUATORS.get("prdc")().evaluate(dataclasses.replace(halves, samples=noise(99)))
        assert not findings.measurements
        assert "at least 100" in findings.skipped[0].reason


class TestSides:
    def test_sides_are_of_one_size_and_share_nobody(self, faces: FaceDataset, fresh: FaceDataset) -> None:
        sides = Context(reference=faces, samples=fresh).sides
        match = sides.match()
        assert len(match.reference) == len(match.synthetic) == len(match.other) == len(match)
        assert faces.identity is not None
        assert not set(faces.identity[match.reference]) & set(faces.identity[match.other])

    def test_faces_of_training_are_the_other_reals(self, context: Context) -> None:
        sides = context.sides
        assert context.train is not None
        assert len(sides.other) == len(context.reference)
        assert set(sides.other.names) <= set(context.train.names)
        assert len(sides.match()) == len(context.reference)

    def test_the_seed_draws_the_rows(self, context: Context) -> None:
        again = dataclasses.replace(context).sides.match()
        assert np.array_equal(context.sides.match().synthetic, again.synthetic)
        other = dataclasses.replace(context, seed=3).sides.match()
        assert not np.array_equal(context.sides.match().synthetic, other.synthetic)

    def test_most_is_an_upper_end(self, context: Context) -> None:
        assert len(context.sides.match(most=17)) == 17
        men = context.sides.match({TARGET: True}, most=5)
        assert context.reference.attributes[TARGET].to_numpy(dtype=bool)[men.reference].all()
        assert context.sides.other.attributes[TARGET].to_numpy(dtype=bool)[men.other].all()


@pytest.fixture(scope="module")
def scarce(context: Context) -> Context:
    """Two men among the training faces."""
    assert context.train is not None
    men = np.flatnonzero(context.train.matching({TARGET: True}))
    rows = np.sort([*np.flatnonzero(context.train.matching({TARGET: False})), *men[:2]])
    return dataclasses.replace(context, train=context.train.select(rows))


class TestDownstream:
    def test_the_missing_faces_help(self, scarce: Context, fresh: FaceDataset) -> None:
        men = fresh.select(fresh.matching({TARGET: True}))
        effect = only(dataclasses.replace(scarce, accepted=men), "downstream", "effect")
        assert effect.value is not None
        assert effect.value > 0
        assert effect.verdict == "pass"
        assert decide([effect]).decision == "use"

    def test_wrong_labels_harm(self, context: Context, fresh: FaceDataset) -> None:
        wrong = FaceDataset.from_arrays(fresh.images, pd.DataFrame({TARGET: ~fresh.attributes[TARGET]}))
        effect = only(dataclasses.replace(context, accepted=wrong), "downstream", "effect_of_all")
        assert effect.value is not None
        assert effect.value < 0
        assert effect.verdict == "fail"
        assert decide([effect]).decision == "do not use"

    def test_nothing_new_is_no_evidence(self, context: Context) -> None:
        assert context.train is not None
        copies = context.train.select(np.random.default_rng(0).choice(len(context.train), 60))
        effect = only(dataclasses.replace(context, accepted=copies), "downstream", "effect")
        assert effect.verdict == "info"
        verdict = decide([effect])
        assert verdict.decision == "no evidence"
        assert "would have been seen" in verdict.reason

    def test_every_arm_is_reported(self, context: Context) -> None:
        findings = EVALUATORS.get("downstream")().evaluate(context)
        arms = {m.arm for m in findings.measurements if m.name == "average_precision"}
        assert arms == {arm.name for arm in all_arms.ARMS} - {"flip", "flip and crop", "RandAugment"}
        assert any("flip and crop, RandAugment" in skip.reason for skip in findings.skipped)
        assert findings.artifacts

    def test_groups_other_attributes_and_an_external_test_set_are_reported(self, context: Context) -> None:
        external = load_toyfaces(120, SIZE, seed=4)
        wide = dataclasses.replace(context, external_test=external, by=(TARGET, "Young"))
        found = EVALUATORS.get("downstream")().evaluate(wide)
        by_name = {m.name: m for m in found.measurements}
        groups = [m.group for m in found.measurements if m.name == "group_effect"]
        assert groups
        assert all(list(group) == ["Young"] for group in groups)
        assert by_name["effect_outside"].n_real == len(external)
        tables = {artifact.name: artifact for artifact in found.artifacts if isinstance(artifact, Table)}
        others = tables[f"downstream-others-{TARGET}"]
        assert TARGET not in [row[0] for row in others.rows]
        assert len(others.rows) > 5
        assert len(tables[f"downstream-outside-{TARGET}"].rows) == len(tables[f"downstream-{TARGET}"].rows) == 17 * 5

    def test_people_in_two_splits_are_not_scored_unless_wanted(self, context: Context) -> None:
        shared = dataclasses.replace(context, test=context.train)
        findings = EVALUATORS.get("downstream")().evaluate(shared)
        assert "people are in both train and test" in findings.skipped[0].reason
        wanted = dataclasses.replace(shared, downstream=DownstreamSettings(allow_identity_overlap=True))
        assert EVALUATORS.get("downstream")().evaluate(wanted).measurements

    def test_it_looks_at_the_labels_that_are_known(self, context: Context) -> None:
        assert context.train is not None
        attributes = context.train.attributes.copy()
        attributes.loc[::3, TARGET] = pd.NA
        train = FaceDataset.from_arrays(context.train.images, attributes, identity=context.train.identity)
        check_evaluator(EVALUATORS.get("downstream"), dataclasses.replace(context, train=train))

    @pytest.mark.parametrize("split", ["train", "valid", "test"])
    def test_a_split_of_one_kind_is_said(self, split: str, context: Context) -> None:
        one_kind = getattr(context, split)
        changed: dict[str, Any] = {split: one_kind.select(one_kind.matching({TARGET: True}))}
        findings = EVALUATORS.get("downstream")().evaluate(dataclasses.replace(context, **changed))
        assert not findings.measurements
        assert f"the {split} split has faces of one class of {TARGET} only" in findings.skipped[0].reason

    def test_made_faces_without_labels_are_said(self, context: Context) -> None:
        unlabelled = FaceDataset.from_arrays(context.samples.images, {TARGET: [None] * len(context.samples)})
        findings = EVALUATORS.get("downstream")().evaluate(dataclasses.replace(context, accepted=unlabelled))
        assert "no synthetic face has a label of Male" in findings.skipped[0].reason


class TestDecision:
    effect = Measurement(
        evaluator="downstream",
        name="effect",
        value=0.02,
        low=0.01,
        high=0.03,
        direction="higher",
        verdict="pass",
        attribute="Hat",
        found={"treatment": "synthetic", "control": "plain", "smallest_visible_effect": 0.01},
    )
    copies = Measurement(
        evaluator="memorisation", name="copied", value=0.3, low=0.2, high=0.4, direction="lower", verdict="fail"
    )

    def test_memorisation_vetoes(self) -> None:
        verdict = decide([self.effect, self.copies])
        assert verdict.decision == "do not use"
        assert "30.0% of the synthetic faces repeat one (95 % interval 20.0% to 40.0%)" in verdict.reason

    def test_an_alarm_without_a_copy_to_show_is_told_and_decides_nothing(self) -> None:
        alarm = self.copies.model_copy(update={"value": 0.0, "low": 0.0, "high": 0.001, "p_value": 0.028})
        verdict = decide([self.effect, alarm])
        assert verdict.decision == "use"
        assert "Memorisation raised its alarm (p = 0.028), but has no copy to show" in verdict.reason
        equal = self.copies.model_copy(update={"name": "exact_copies", "value": 1.0, "low": None, "high": None})
        assert decide([self.effect, equal]).decision == "do not use"

    def test_what_gets_worse_otherwise_is_told_with_the_help(self) -> None:
        others = self.effect.model_copy(
            update={"name": "effect_on_others", "verdict": "warn", "found": {"harmed": ["Bangs", "Young"]}}
        )
        assert "It does worse with Bangs, Young." in decide([self.effect, others]).reason

    def test_adding_them_all_counts_only_where_no_use_of_them_helps(self) -> None:
        harm = self.effect.model_copy(update={"name": "effect_of_all", "value": -0.02, "verdict": "fail"})
        assert decide([self.effect, harm]).decision == "use"
        unclear = self.effect.model_copy(update={"verdict": "info"})
        assert decide([unclear, harm]).decision == "do not use"

    def test_one_harm_outweighs_one_help(self) -> None:
        harm = self.effect.model_copy(update={"value": -0.02, "verdict": "fail"})
        assert decide([self.effect, harm]).decision == "do not use"

    def test_without_the_question_there_is_no_answer(self) -> None:
        assert decide([]).decision == "not assessed"


class TestSkipping:
    def test_unmet_needs_are_said(self, context: Context) -> None:
        bare = Context(reference=context.reference, samples=context.samples)
        findings, _ = run_evaluators(bare, ["fidelity", "downstream"])
        assert {measurement.evaluator for measurement in findings.measurements} == {"fidelity"}
        (reason,) = [skip.reason for skip in findings.skipped if skip.evaluator == "downstream"]
        for need in ("a test split", "a valid split", "give them as `train`", "give it as `attr`", "synthetic faces"):
            assert need in reason


class TestEvaluate:
    def test_data_sets(self, faces: FaceDataset, fresh: FaceDataset) -> None:
        evaluation = augface.evaluate(faces, fresh, attr=TARGET)
        assert evaluation.select("fidelity")
        assert evaluation.select("downstream", "effect")
        assert evaluation.verdict.decision != "not assessed"
        assert not [grid for grid in evaluation.artifacts if getattr(grid, "shows_real_people", False)]

    def test_arrays(self, faces: FaceDataset, fresh: FaceDataset) -> None:
        evaluation = augface.evaluate(pixels(faces), pixels(fresh))
        assert evaluation.verdict.decision == "not assessed"
        assert evaluation.select("fidelity", "kernel_distance")[0].n_real == 300
        assert {skip.evaluator for skip in evaluation.skipped} >= {"downstream"}

    def test_folders(self, faces: FaceDataset, fresh: FaceDataset, tmp_path: Path) -> None:
        from PIL import Image

        for name, side in (("real", faces), ("made", fresh)):
            (tmp_path / name).mkdir()
            for number, image in enumerate(side.images[:60]):
                Image.fromarray(image).save(tmp_path / name / f"{number:03d}.png")
        evaluation = augface.evaluate(tmp_path / "real", str(tmp_path / "made"), evaluators="fidelity")
        (measurement,) = evaluation.select("fidelity", "kernel_distance")
        assert measurement.n_real == 30
        again = augface.evaluate(tmp_path / "real", str(tmp_path / "made"), evaluators=["fidelity"])
        assert again.measurements == evaluation.measurements

    @pytest.mark.parametrize("count", [1, 2, 19])
    def test_few_images_are_no_crash(self, count: int, fresh: FaceDataset) -> None:
        evaluation = augface.evaluate(noise(count), fresh)
        assert not evaluation.measurements
        assert {skip.evaluator for skip in evaluation.skipped} == set(EVALUATORS)

    def test_identical_sets_are_at_zero(self, faces: FaceDataset) -> None:
        people = pixels(faces)
        evaluation = augface.evaluate(people, people, evaluators=["fidelity", "prdc"])
        assert {one.verdict for one in evaluation.measurements} <= {"pass", "info"}

    def test_all_fakes_alike_are_seen(self, faces: FaceDataset) -> None:
        alike = np.repeat(pixels(faces)[:1], 300, axis=0)
        evaluation = augface.evaluate(pixels(faces), alike, evaluators=["fidelity", "prdc"])
        verdicts = {one.name: one.verdict for one in evaluation.measurements}
        assert verdicts["kernel_distance"] == verdicts["recall"] == verdicts["coverage"] == "fail"

    def test_spaces_that_were_asked_for_are_measured_in(
        self, faces: FaceDataset, fresh: FaceDataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        evaluation = augface.evaluate(faces, fresh, evaluators="fidelity", spaces=["pixels"])
        assert {one.space for one in evaluation.measurements} == {"pixels"}
        with pytest.raises(DataError, match="AUGFACE_INCEPTION_WEIGHTS"):
            augface.evaluate(faces, fresh, spaces=["inception"])
        with pytest.raises(UnknownNameError, match="Did you mean 'pixels'"):
            augface.evaluate(faces, fresh, spaces=["pixel"])

    def test_without_weights_it_is_said_what_fid_lacks(self, faces: FaceDataset, fresh: FaceDataset) -> None:
        evaluation = augface.evaluate(faces, fresh, evaluators="fidelity")
        (reason,) = [skip.reason for skip in evaluation.skipped if skip.reason.startswith("FID, KID")]
        assert "pt_inception-2015-12-05-6726825d.pth" in reason

    def test_real_pictures_are_left_out_on_demand(self, faces: FaceDataset, fresh: FaceDataset) -> None:
        people = pixels(faces)
        shown = augface.evaluate(people, fresh, evaluators="fidelity")
        hidden = augface.evaluate(people, fresh, evaluators="fidelity", real_images=False)
        grids = {grid.name: grid for grid in shown.artifacts if grid.section == "samples"}
        assert list(grids) == ["glance", "samples-synthetic", "samples-real"]
        assert grids["glance"].caption.startswith("Synthetic faces and real faces")
        grids = {grid.name: grid for grid in hidden.artifacts if grid.section == "samples"}
        assert list(grids) == ["glance", "samples-synthetic"]
        assert grids["glance"].caption.startswith("Synthetic faces, ")

    def test_wrong_names_fail_before_any_work(self, faces: FaceDataset, fresh: FaceDataset) -> None:
        with pytest.raises(UnknownNameError, match="Did you mean 'fidelity'"):
            augface.evaluate("no such place", fresh, evaluators="fidelty")
        with pytest.raises(UnknownNameError, match="Did you mean 'Male'"):
            augface.evaluate(faces, fresh, attr="mal")

    def test_made_faces_without_labels_cannot_answer_for_an_attribute(self, faces: FaceDataset) -> None:
        with pytest.raises(DataError, match="no attribute labels"):
            augface.evaluate(faces, noise(40), attr=TARGET)

    def test_a_train_split_alone_is_not_enough(self, faces: FaceDataset, fresh: FaceDataset) -> None:
        with pytest.raises(DataError, match="train split only"):
            augface.evaluate(faces.train, fresh)  # type: ignore[arg-type]

    def test_the_train_set_may_come_apart(self, faces: FaceDataset, fresh: FaceDataset) -> None:
        assert faces.train is not None
        evaluation = augface.evaluate(pixels(faces)[300:], fresh, train=pixels(faces.train), evaluators="fidelity")
        assert evaluation.select("fidelity", "kernel_distance")[0].n_real == 300

    def test_results_survive_their_file(self, faces: FaceDataset, fresh: FaceDataset, tmp_path: Path) -> None:
        evaluation = augface.evaluate(faces, fresh, evaluators="fidelity")
        evaluation.to_json(tmp_path / "results.json")
        assert augface.Evaluation.from_json(tmp_path / "results.json") == evaluation
