"""The main job from end to end on small toy faces, and what it does when it is stopped or asked for nonsense."""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import augface
from augface.classifiers.attributes import AttributeClassifier
from augface.data import load_data
from augface.data.dataset import FaceDataset
from augface.data.export.writer import Manifest
from augface.downstream import linear
from augface.downstream.frozen import Frozen
from augface.errors import DataError, OutputError, UnknownNameError, UsageError
from augface.evaluators import base, downstream, fidelity
from augface.features.pixels import PixelSpace
from augface.generators import create_generator
from augface.generators.base import Generator
from augface.rebalancing import outlook
from augface.rebalancing import rebalance as rebalancing
from augface.rebalancing.drawing import _is_hopeless
from augface.rebalancing.filters import Filters, Passed
from augface.rebalancing.rebalance import RebalanceOutcome, plan_rebalance, rebalance
from augface.rebalancing.settings import RebalanceSettings
from augface.report.figures import Drawing
from augface.runs import open_run
from augface.training import loop
from augface.training.checkpoints import TrainingState

TARGET = "Bangs"
HAVE, OTHERS = 25, 175
TINY: dict[str, Any] = {"channels": 4, "latent": 8, "batch_size": 16, "balance": [TARGET]}


class Stop(KeyboardInterrupt):
    """What Ctrl-C raises, told from a real one."""


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Pixels in place of the default space, short trainings of the filters' and the judge's networks, and each once.

    Every second face passes all filters but that of copies, so that also hardly trained generators are written.
    """
    learn, check = AttributeClassifier.train, Filters.check

    def half_pass(self: Filters, images: FaceDataset, where: Any, **more: Any) -> Passed:
        passed, second = check(self, images, where, **more), np.arange(len(images)) % 2 == 0
        return replace(passed, attribute=passed.attribute | second, plausible=passed.plausible | second)

    def learn_little(*data: Any, **options: Any) -> AttributeClassifier:
        return learn(*data, **{**options, "images": 1280, "kept": True})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AttributeClassifier, "train", learn_little)
        patch.setattr(linear, "DIMENSIONS", 24)
        patch.setattr(Filters, "check", half_pass)
        for module in (base, downstream, outlook):
            patch.setattr(module, "create_feature_space", lambda name="": PixelSpace())
        yield


def measure_little(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rebalancing, "EVALUATORS", ("fidelity",))
    patch.setattr(Drawing, "of", lambda *_, **__: Drawing("<svg/>", "<svg/>", ""))


@pytest.fixture
def few_evaluators(monkeypatch: pytest.MonkeyPatch) -> None:
    """One evaluator and no figures, where it does not matter what is measured."""
    measure_little(monkeypatch)


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    data = load_data("toy:400", size=32)
    assert data.train is not None
    assert int(data.train.attributes[TARGET].sum()) == HAVE
    assert len(data.train) == HAVE + OTHERS
    return data


@pytest.fixture(scope="module")
def people(faces: FaceDataset) -> FaceDataset:
    """The same faces as if they were of real people."""
    return FaceDataset.from_arrays(
        faces.images, faces.attributes, identity=faces.identity, split=faces.split, spec="people"
    )


@pytest.fixture(scope="module")
def measured(people: FaceDataset, tmp_path_factory: pytest.TempPathFactory) -> RebalanceOutcome:
    """A run with all evaluators."""
    return run(people, tmp_path_factory.mktemp("measured") / "run", generator=tiny_gan())


@pytest.fixture(scope="module")
def whole(faces: FaceDataset, tmp_path_factory: pytest.TempPathFactory) -> RebalanceOutcome:
    """A run with one evaluator, from its beginning to its end."""
    with pytest.MonkeyPatch.context() as patch:
        measure_little(patch)
        return run(faces, tmp_path_factory.mktemp("whole") / "run", generator=tiny_gan())


def tiny_gan() -> Generator:
    return create_generator("cgan", **TINY)


def run(faces: Any, run_dir: Path | None, **more: Any) -> RebalanceOutcome:
    settings: dict[str, Any] = {
        "attr": TARGET,
        "generator": "resample",
        "budget": "320",
        "downstream": "off",
        "anyway": True,
    }
    return rebalance(faces, run_dir=run_dir, **{**settings, **more})


def counts(run_dir: Path, names: Sequence[str] = (TARGET,)) -> pd.Series[Any]:
    table = pd.read_parquet(run_dir / "dataset" / "celeba" / "metadata.parquet")
    return table.groupby(["source", *names]).size()


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def values(outcome: RebalanceOutcome) -> dict[str, Any]:
    return {measurement.name: measurement.value for measurement in outcome.evaluation.select("rebalance")}


class TestWholeJob:
    def test_real_faces_again(self, faces: FaceDataset, tmp_path: Path) -> None:
        outcome = run(faces, tmp_path / "run", downstream="frozen")
        wanted = OTHERS - HAVE
        assert values(outcome)["made"] == values(outcome)["wanted"] == wanted
        assert values(outcome)["share_after"] == 0.5
        assert counts(tmp_path / "run").to_dict() == {
            ("real", False): OTHERS,
            ("real", True): HAVE,
            ("resampled", True): wanted,
        }
        names = {path.name for path in (tmp_path / "run").iterdir()}
        assert names == {"config.toml", "checkpoints", "generator", "dataset", "results.json", "report.html"}
        evaluation = augface.Evaluation.from_json(tmp_path / "run" / "results.json")
        assert evaluation == outcome.evaluation
        assert evaluation.verdict.decision in {"use", "do not use", "no evidence", "nothing to gain"}
        assert evaluation.select("downstream", "effect")
        planned = plan_rebalance(faces, attr=TARGET, generator="resample").headroom()[TARGET]
        (measured,) = evaluation.select("downstream", "headroom")
        assert (measured.value, measured.high) == pytest.approx((planned.value, planned.high))
        assert evaluation.provenance["threads"] == evaluation.provenance["settings"]["threads"] == 1
        assert evaluation.provenance["title"] == f"{TARGET} in toy:400, by resample"
        assert evaluation.provenance["command"].startswith(f"augface rebalance --attr {TARGET} --data toy:400")
        report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
        assert f"{TARGET} in toy:400, by resample" in report
        card = (outcome.run_dir / "dataset" / "README.md").read_text(encoding="utf-8")
        assert evaluation.verdict.decision in card

    def test_made_faces(self, measured: RebalanceOutcome) -> None:
        made = counts(measured.run_dir).get(("synthetic", True), 0)
        assert made == values(measured)["made"] > 0
        assert measured.evaluation.verdict.decision == "not assessed"
        assert "switched off" in measured.evaluation.verdict.reason
        names = {path.name for path in measured.run_dir.iterdir()}
        assert names >= {"config.toml", "generator", "dataset", "results.json", "report.html", "log.jsonl", "previews"}
        sections = {artifact.section for artifact in measured.evaluation.artifacts}
        assert {"balance", "samples", "training"} <= sections

    def test_each_made_face_is_known(self, whole: RebalanceOutcome) -> None:
        table = pd.read_parquet(whole.run_dir / "dataset" / "celeba" / "metadata.parquet")
        made = table[table["source"] == "synthetic"]
        assert made["seed"].notna().all()
        assert made["number"].is_unique
        assert made[f"verified_{TARGET}"].between(0, 1).all()
        assert set(made["requested"]) == {TARGET}

    @pytest.mark.usefixtures("few_evaluators")
    def test_the_data_set_is_read_again(self, faces: FaceDataset, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also where no run folder was given, from whatever holds faces, for as long as Python runs."""
        at_the_end: list[Any] = []
        monkeypatch.setattr("atexit.register", lambda *call, **more: at_the_end.append((call, more)))
        outcome = run(faces.to_hf(), None)
        for place in (outcome.run_dir, outcome.run_dir / "dataset", outcome.run_dir / "dataset" / "celeba"):
            again = load_data(place, size=32)
            assert again.train is not None
            assert int(again.train.attributes[TARGET].sum()) == OTHERS
            names = [str(name).removeprefix("is_") for name in again.attributes.columns]  # No_Beard is is_No_Beard
            assert names == list(faces.attributes.columns)
            for real, written in ((faces.valid, again.valid), (faces.test, again.test)):
                assert real is not None
                assert written is not None
                assert np.array_equal(np.asarray(real.images), np.asarray(written.images))
        balanced = outcome.data
        assert balanced is not None
        assert balanced.attributes.equals(again.attributes)
        [(remove, options)] = [(call[0], more) for call, more in at_the_end if call[1:] == (outcome.run_dir.parent,)]
        remove(outcome.run_dir.parent, **options)
        assert not outcome.run_dir.exists()
        assert np.array_equal(np.asarray(balanced.images), np.asarray(again.images)), "what was read stays usable"

    def test_a_run_without_a_folder_cannot_be_resumed(self, faces: FaceDataset) -> None:
        with pytest.raises(UsageError, match="resumed in its folder"):
            run(faces, None, resume=True)

    @pytest.mark.usefixtures("few_evaluators")
    def test_the_same_seed_gives_the_same_faces(
        self, faces: FaceDataset, whole: RebalanceOutcome, tmp_path: Path
    ) -> None:
        again, other = (run(faces, tmp_path / str(seed), generator=tiny_gan(), seed=seed) for seed in (0, 1))
        assert content(whole.run_dir / "dataset") == content(again.run_dir / "dataset")
        assert whole.evaluation.measurements == again.evaluation.measurements
        assert content(whole.run_dir / "dataset") != content(other.run_dir / "dataset")

    @pytest.mark.usefixtures("few_evaluators")
    def test_a_generator_that_cannot_be_asked_is_picked_from(self, faces: FaceDataset, tmp_path: Path) -> None:
        dcgan = create_generator("dcgan", channels=4, latent=8, batch_size=16)
        outcome = run(faces, tmp_path / "run", attr="Mouth_Slightly_Open", generator=dcgan, budget="64", max_draws=40)
        table = pd.read_parquet(outcome.run_dir / "dataset" / "celeba" / "metadata.parquet")
        made = table[table["source"] == "synthetic"]
        assert len(made) == values(outcome)["made"]
        assert len(made)
        assert made["Mouth_Slightly_Open"].all()
        assert made["Male"].isna().all(), "what was not asked for is not known"

    @pytest.mark.usefixtures("few_evaluators")
    def test_a_generator_named_alone_is_trained_with_its_own_settings(self, faces: FaceDataset, tmp_path: Path) -> None:
        """Those that are left to the data have no value, and so no place in TOML."""
        for resume in (False, True):
            outcome = run(faces, tmp_path / "run", generator="cgan", budget="16", max_draws=1, resume=resume)
        config = tomllib.loads((outcome.run_dir / "config.toml").read_text())
        assert config["generator"]["balance"] == [TARGET]
        assert "channels" not in config["generator"]
        assert "--set" not in outcome.evaluation.provenance["command"]

    def test_a_combination_that_the_data_lack(
        self, faces: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is composed, as the plan says; the methods for missing groups are compared; no headroom is claimed."""
        monkeypatch.setattr(rebalancing, "EVALUATORS", ("downstream",))
        few = ("plain", "synthetic", "duplicates", "complete groups, balanced")
        for name in ("ARMS", "REAL_ONLY"):
            monkeypatch.setattr(downstream, name, tuple(arm for arm in getattr(downstream, name) if arm.name in few))
        absent = faces.matching({"Smiling": True, "Male": True}) & (faces.split != "test")
        lacking, composite = faces.select(~absent), create_generator("composite", balance=["Smiling"])
        plan = plan_rebalance(lacking, attr="Smiling", within="Male", generator=composite)
        assert "Smiling=1,Male=1: 0 in the train split" in plan.describe()
        assert plan.describe().count("no face shows what this combination really looks like") == 1
        assert plan.headroom() == {}
        outcome = run(
            lacking, tmp_path / "run", attr="Smiling", within="Male", generator=composite, downstream="frozen"
        )
        assert counts(tmp_path / "run", ["Smiling", "Male"])["composed", True, True] > 0
        found = outcome.evaluation.select("downstream", "balanced_average_precision")
        assert {"complete groups, balanced", "plain", "synthetic"} <= {one.arm for one in found}
        assert not outcome.evaluation.select("downstream", "headroom")
        worst = {one.arm for one in outcome.evaluation.select("downstream", "worst_group")}
        assert "complete groups, balanced" in worst

    @pytest.mark.usefixtures("few_evaluators")
    def test_joint_kinds_within_strata(self, faces: FaceDataset, tmp_path: Path) -> None:
        run(faces, tmp_path / "run", within="Male", attr="Smiling")
        table = pd.read_parquet(tmp_path / "run" / "dataset" / "celeba" / "metadata.parquet")
        for _, stratum in table.groupby("Male"):
            assert stratum["Smiling"].mean() == 0.5


@pytest.mark.usefixtures("few_evaluators")
class TestUntrained:
    """Faces of a generator that has hardly been trained."""

    def test_nothing_is_written_unless_asked(
        self,
        faces: FaceDataset,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(fidelity, "UNTRAINED", 0.1)  # in pixels, where nothing is far from anything
        stopped = run(faces, tmp_path / "run", generator=tiny_gan(), anyway=False)
        assert stopped.dataset_dir is None
        assert not (tmp_path / "run" / "dataset").exists()
        assert stopped.evaluation.verdict.decision == "do not use"
        assert stopped.evaluation.verdict.reason.startswith("The generator is not trained")
        assert "--anyway" in caplog.text
        first = stopped.evaluation.advice[0]
        assert first.title == "Train the generator before its faces are used"
        assert "320 trained on 320 images" in first.reason
        assert "--budget 75k" in first.command
        others = {one.command.split("--generator ")[1].split()[0] for one in stopped.evaluation.advice[1:]}
        assert others >= {"composite"}, "what needs no training"
        assert "inpaint" not in others
        assert (tmp_path / "run" / "report.html").exists()
        again = run(faces, tmp_path / "run", generator=tiny_gan(), resume=True, anyway=False)
        assert again.evaluation == stopped.evaluation
        asked = run(faces, tmp_path / "run", generator=tiny_gan(), resume=True)
        assert asked.dataset_dir == tmp_path / "run" / "dataset"
        assert (asked.dataset_dir / "README.md").exists()
        assert asked.evaluation.verdict.decision == "do not use"

    def test_faces_that_are_real_ones_again_are_written(self, faces: FaceDataset, tmp_path: Path) -> None:
        assert run(faces, tmp_path / "run", anyway=False).dataset_dir == tmp_path / "run" / "dataset"


def test_a_generator_whose_faces_hardly_ever_pass_is_given_up_on() -> None:
    assert not _is_hopeless(0, 900, 10), "too early to tell"
    assert _is_hopeless(0, 1000, 10)
    assert _is_hopeless(5, 2000, 10)
    assert not _is_hopeless(20, 1000, 10), "a fifth of the wanted faces can be had"
    assert not _is_hopeless(0, 1000, 10_000)


@pytest.mark.usefixtures("few_evaluators")
class TestWarnings:
    def test_few_training_faces_are_warned_of(
        self, faces: FaceDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, logger="augface"):
            run(faces, tmp_path / "run")
        assert f"Only {HAVE} training faces are {TARGET}=1" in caplog.text
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="augface"):
            run(faces, tmp_path / "many", attr="Mouth_Slightly_Open")
        assert "Only" not in caplog.text

    def test_a_shortfall_is_said_and_recorded(
        self, faces: FaceDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("augface.rebalancing.filters.INNER_SHARE", 0.5)
        check = Filters.check

        def none_pass(self: Filters, images: FaceDataset, where: Any, **more: Any) -> Passed:
            return replace(check(self, images, where, **more), attribute=np.zeros(len(images), dtype=np.bool_))

        monkeypatch.setattr(Filters, "check", none_pass)
        stopped = run(faces, tmp_path / "stopped", max_draws=2, anyway=False)
        assert stopped.dataset_dir is None
        assert stopped.evaluation.verdict.decision == "do not use"
        assert stopped.evaluation.verdict.reason.startswith("The filters let 0.0% of the 300 generated faces pass")
        assert "they do not show what was requested (100%)" in stopped.evaluation.verdict.reason
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="augface"):
            outcome = run(faces, tmp_path / "run", max_draws=2, downstream="frozen")
        assert f"{TARGET}=1: 0 of {OTHERS - HAVE} wanted faces passed the filters" in caplog.text
        (made,) = outcome.evaluation.select("rebalance", "made")
        assert (made.value, made.verdict) == (0, "warn")
        assert outcome.evaluation.verdict.decision == "not assessed"
        assert counts(tmp_path / "run").sum() == OTHERS + HAVE
        assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.usefixtures("few_evaluators")
class TestResume:
    def test_stopped_before_the_data_set(
        self, faces: FaceDataset, whole: RebalanceOutcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.MonkeyPatch.context() as patch:

            def stop(*_: Any, **__: Any) -> None:
                raise Stop

            patch.setattr(Manifest, "write", stop)
            with pytest.raises(Stop):
                run(faces, tmp_path / "parts", generator=tiny_gan())
        monkeypatch.setattr("augface.generators._adversarial.train", None)  # the training is not made again
        parts = run(faces, tmp_path / "parts", generator=tiny_gan(), resume=True)
        assert content(parts.run_dir / "dataset") == content(whole.run_dir / "dataset")
        assert parts.evaluation.measurements == whole.evaluation.measurements
        assert parts.evaluation.verdict == whole.evaluation.verdict

    def test_stopped_while_training(self, faces: FaceDataset, whole: RebalanceOutcome, tmp_path: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            write = loop._write

            def write_and_stop(state: TrainingState, packed: bytes, checkpoint: Path | None) -> None:
                write(state, packed, checkpoint)
                if state.images_seen > 100:
                    raise Stop

            patch.setattr(loop, "_write", write_and_stop)
            with pytest.raises(Stop):
                run(faces, tmp_path / "parts", generator=tiny_gan())
        parts = run(faces, tmp_path / "parts", generator=tiny_gan(), resume=True)
        assert content(parts.run_dir / "dataset") == content(whole.run_dir / "dataset")

    def test_stopped_while_measuring(self, faces: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rebalancing, "EVALUATORS", ("downstream",))
        whole = run(faces, tmp_path / "whole", downstream="frozen")
        learn, learnt = Frozen.learn, 0

        def learn_and_stop(*arguments: Any) -> Any:
            nonlocal learnt
            learnt += 1
            if learnt == 8:
                raise Stop
            return learn(*arguments)

        monkeypatch.setattr(Frozen, "workers", 1)  # of two at a time, the one that is not stopped may be lost
        monkeypatch.setattr(Frozen, "learn", learn_and_stop)
        with pytest.raises(Stop):
            run(faces, tmp_path / "parts", downstream="frozen")
        kept = list((tmp_path / "parts" / "checkpoints" / "downstream").iterdir())
        assert len(kept) >= 7
        before = {path: path.stat().st_mtime_ns for path in kept}
        parts = run(faces, tmp_path / "parts", downstream="frozen", resume=True)
        assert parts.evaluation.measurements == whole.evaluation.measurements
        assert {path: path.stat().st_mtime_ns for path in kept} == before

    def test_a_finished_run_gives_its_results_at_once(
        self, faces: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = run(faces, tmp_path / "run")
        (tmp_path / "run" / "report.html").unlink()
        monkeypatch.setattr(rebalancing, "Filters", None)  # any work would fail
        leftover = tmp_path / "run" / ".dataset.abc.partial"
        leftover.mkdir()
        after = run(faces, tmp_path / "run", resume=True)
        assert not leftover.exists(), "what a killed process left is tidied up"
        assert after.evaluation == before.evaluation
        assert after.dataset_dir == before.dataset_dir
        assert (tmp_path / "run" / "report.html").exists()

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"seed": 1}, "seed"),
            ({"budget": "640"}, "budget"),
            ({"attr": "Male"}, "attr"),
            ({"within": "Male"}, "within"),
            ({"sampling_strategy": 0.9}, "sampling_strategy"),
            ({"downstream": "frozen"}, "downstream.mode"),
            ({"generator": "cgan"}, "generator.name"),
        ],
    )
    def test_changed_settings_are_refused_by_name(
        self, change: dict[str, Any], said: str, faces: FaceDataset, tmp_path: Path
    ) -> None:
        with open_run(tmp_path / "run", settings_of_a_run(faces), resume=False):
            pass
        with pytest.raises(UsageError, match=rf"Cannot resume .*: {said} changed since"):
            run(faces, tmp_path / "run", **change, resume=True)

    def test_other_data_are_refused(self, faces: FaceDataset, tmp_path: Path) -> None:
        with open_run(tmp_path / "run", settings_of_a_run(faces), resume=False):
            pass
        with pytest.raises(UsageError, match=r"data changed since \(.*toy:500\), data_hash changed since"):
            run(load_data("toy:500", size=32), tmp_path / "run", resume=True)

    def test_a_disk_too_small_is_told_before_any_work(self, faces: FaceDataset, tmp_path: Path) -> None:
        with (
            pytest.raises(OutputError, match=r"needs about 1000000\.0 TB, but its disk has"),
            open_run(tmp_path / "run", settings_of_a_run(faces), resume=False, needed=10**18),
        ):
            raise AssertionError("it was opened")
        assert not list((tmp_path / "run").iterdir())

    def test_resume_of_nothing_starts(self, faces: FaceDataset, tmp_path: Path) -> None:
        assert run(faces, tmp_path / "new", resume=True).evaluation.measurements


def settings_of_a_run(faces: FaceDataset) -> RebalanceSettings:
    """What `run` writes into the folder of a run before any work."""
    return plan_rebalance(faces, attr=TARGET, generator="resample", budget="320", downstream="off").settings


class TestRefusals:
    def test_a_folder_that_is_not_empty(self, faces: FaceDataset, tmp_path: Path) -> None:
        (tmp_path / "letter.txt").write_text("dear")
        for resume in (False, True):
            with pytest.raises(OutputError, match="not empty"):
                run(faces, tmp_path, resume=resume)
        assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]

    def test_an_unknown_attribute(self, faces: FaceDataset, tmp_path: Path) -> None:
        with pytest.raises(UnknownNameError, match="Did you mean 'Bangs'"):
            run(faces, tmp_path / "run", attr="Bang")
        assert not (tmp_path / "run").exists()

    def test_an_unknown_generator(self, faces: FaceDataset, tmp_path: Path) -> None:
        with pytest.raises(UnknownNameError, match="Did you mean 'cgan'"):
            run(faces, tmp_path / "run", generator="cgans")

    def test_an_attribute_of_one_value(self, faces: FaceDataset, tmp_path: Path) -> None:
        one = FaceDataset.from_arrays(
            faces.images, faces.attributes.assign(Bangs=False), identity=faces.identity, split=faces.split
        )
        with pytest.raises(DataError, match="nothing to learn the other class from"):
            run(one, tmp_path / "run")

    def test_what_is_balanced_already(self, faces: FaceDataset, tmp_path: Path) -> None:
        halves = pd.DataFrame({"Half": np.arange(len(faces)) % 2 == 0})
        split = np.sort(np.asarray(["test"] * 100 + ["valid"] * 100 + ["train"] * 200))
        balanced = FaceDataset.from_arrays(faces.images, halves, split=split)
        with pytest.raises(UsageError, match="balanced already in Half"):
            run(balanced, tmp_path / "run", attr="Half")

    def test_a_bad_budget(self, faces: FaceDataset, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="budget"):
            run(faces, tmp_path / "run", budget="soon")

    def test_a_missing_split(self, faces: FaceDataset, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no test split"):
            run(faces.select(faces.split != "test"), tmp_path / "run")


@pytest.mark.usefixtures("few_evaluators")
def test_data_without_splits_get_some(faces: FaceDataset, tmp_path: Path) -> None:
    bare = FaceDataset.from_arrays(faces.images, faces.attributes, identity=faces.identity, spec="bare")
    outcome = run(bare, tmp_path / "run")
    splits = outcome.evaluation.provenance["data"]["splits"]
    assert set(splits) == {"train", "valid", "test"}


def test_real_faces_of_people_can_be_left_out(people: FaceDataset, measured: RebalanceOutcome, tmp_path: Path) -> None:
    def shown(outcome: RebalanceOutcome) -> list[bool]:
        artifacts = outcome.evaluation.artifacts
        return [bool(artifact.shows_real_people) for artifact in artifacts if artifact.kind == "images"]

    assert any(shown(measured))
    without = run(people, tmp_path / "run", generator=tiny_gan(), real_images=False)
    assert len(shown(without)) > 0
    assert not any(shown(without))


def test_the_plan_tells_what_will_be_done(faces: FaceDataset) -> None:
    plan = plan_rebalance(faces, attr=TARGET, budget="2m")
    assert plan.wanted == OTHERS - HAVE
    lines = plan.describe(with_costs=False)
    assert f"{TARGET}=1: {HAVE} in the train split, {OTHERS - HAVE} to be generated" in lines
    assert "minutes" not in lines
