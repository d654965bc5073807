"""The contract of every generator, and that a training that was stopped goes on as if it had not been."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from augface.data.dataset import FaceDataset
from augface.data.toyfaces import load_toyfaces
from augface.errors import AugfaceError, DataError, UnknownNameError, UsageError
from augface.generators import GENERATORS, create_generator, load_generator
from augface.generators._adversarial import AdversarialGenerator
from augface.generators.base import CHUNK, Generator, check_generator
from augface.training import loop
from augface.training.budget import parse_budget
from augface.training.checkpoints import TrainingState
from augface.training.losses import generator_loss, noise_loss

TINY: dict[str, Any] = {"channels": 4, "latent": 8, "batch_size": 8}
ADVERSARIAL = ["cgan", "dcgan"]
HINGE: dict[str, Any] = {"loss": "hinge", "gradient_penalty_weight": 0.0}
RECIPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cross-entropy": ({}, {"loss": "bce"}),
    "hinge": ({}, {"loss": "hinge"}),
    "spectral norms": (HINGE, {"spectral_norm": True}),
    "R1": ({"gradient_penalty_weight": 0.0}, {"gradient_penalty_weight": 0.5}),
    "R2": ({"gradient_penalty_every": 2}, {"generated_gradient_penalty_weight": 1.0}),
    "noise not looked for": ({}, {"noise_weight": 0.0}),
    "labels not looked for": ({}, {"attribute_weight": 0.0}),
}
"""Settings, and the one that is changed."""
OWN = [*ADVERSARIAL, "resample", "composite"]
"""The generators that need nothing but data; those of networks and images from elsewhere have tests of their own."""


def settings_of(name: str) -> dict[str, Any]:
    return TINY if name in ADVERSARIAL else {}


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    data = load_toyfaces(80, 32)
    assert data.attributes["Male"].nunique() == 2
    return data


@pytest.fixture(scope="module")
def fitted(faces: FaceDataset) -> dict[str, Generator]:
    generators = {name: create_generator(name, **settings_of(name)) for name in OWN}
    for generator in generators.values():
        generator.fit(faces, budget="32", seed=5)
    return generators


def pixels(faces: FaceDataset) -> np.ndarray[Any, Any]:
    return np.asarray(faces.images)


@pytest.mark.parametrize("name", OWN)
class TestEveryGenerator:
    def test_the_contract_holds(self, name: str, faces: FaceDataset) -> None:
        check_generator(GENERATORS.get(name), faces, settings_of(name))

    def test_the_registry_tells_its_capabilities(self, name: str) -> None:
        assert GENERATORS.entries()[name].capabilities == GENERATORS.get(name).capabilities
        assert GENERATORS.get(name).name == name

    def test_the_seed_of_the_fit_matters_only_where_something_is_learnt(self, name: str, faces: FaceDataset) -> None:
        prints = []
        for seed in (5, 5, 6):
            generator = create_generator(name, **settings_of(name))
            generator.fit(faces, budget="16", seed=seed)
            prints.append(generator.fingerprint)
        assert prints[0] == prints[1]
        assert (prints[1] != prints[2]) == ("trainable" in generator.capabilities)

    def test_fitting_and_sampling_leave_the_global_random_state_alone(self, name: str, faces: FaceDataset) -> None:
        before = torch.random.get_rng_state()
        generator = create_generator(name, **settings_of(name))
        generator.fit(faces, budget="8")
        generator.sample(2)
        assert torch.equal(before, torch.random.get_rng_state())

    def test_long_runs_begin_with_the_faces_of_short_ones(self, name: str, fitted: dict[str, Generator]) -> None:
        generator = fitted[name]
        long = generator.sample(CHUNK + 3, seed=2)
        assert np.array_equal(pixels(long)[:7], pixels(generator.sample(7, seed=2)))
        assert long.factors is not None
        assert long.factors["number"].tolist() == list(range(CHUNK + 3))
        assert not np.array_equal(pixels(long)[:3], pixels(long)[CHUNK:])

    def test_an_unknown_setting_brings_close_ones(self, name: str) -> None:
        with pytest.raises(UnknownNameError, match=f"setting of the {name} generator named 'batchsize'"):
            create_generator(name, batchsize=3)

    @pytest.mark.parametrize("count", [0, -1])
    def test_no_faces_cannot_be_asked_for(self, name: str, count: int, fitted: dict[str, Generator]) -> None:
        with pytest.raises(UsageError, match="at least 1"):
            fitted[name].sample(count)

    def test_damaged_weights_are_refused(self, name: str, fitted: dict[str, Generator], tmp_path: Path) -> None:
        fitted[name].save(tmp_path / "saved")
        weights = tmp_path / "saved" / "weights.safetensors"
        content = weights.read_bytes()
        for damaged in (content[: len(content) // 2], b"", b"\x80\x04pickle"):
            weights.write_bytes(damaged)
            with pytest.raises(DataError, match="cannot be read"):
                load_generator(tmp_path / "saved")
        weights.unlink()
        with pytest.raises(DataError, match="cannot be read"):
            load_generator(tmp_path / "saved")

    def test_a_damaged_header_is_refused(self, name: str, fitted: dict[str, Generator], tmp_path: Path) -> None:
        with pytest.raises(DataError, match="holds no generator"):
            load_generator(tmp_path)
        fitted[name].save(tmp_path / "saved")
        header = tmp_path / "saved" / "config.json"
        content = json.loads(header.read_text())
        for damaged in (
            "{",
            "[]",
            "{}",
            json.dumps(content | {"config": 3}),
            json.dumps(content | {"attributes": "A"}),
        ):
            header.write_text(damaged)
            with pytest.raises(DataError, match=r"config\.json"):
                load_generator(tmp_path / "saved")
        header.write_text(json.dumps(content | {"attributes": ["one"]}))
        with pytest.raises(DataError, match="cannot be read"):
            load_generator(tmp_path / "saved")
        header.write_text(json.dumps(content | {"name": "no-such"}))
        with pytest.raises(UnknownNameError, match="no-such"):
            load_generator(tmp_path / "saved")


@pytest.mark.parametrize("name", ["cgan", "resample"])  # a composite may be what no training face is
class TestAsking:
    def test_a_kind_that_no_training_face_has_is_refused(self, name: str, fitted: dict[str, Generator]) -> None:
        with pytest.raises(UsageError, match="No training face has Male=0,Goatee=1"):
            fitted[name].sample(1, where={"Male": False, "Goatee": True})

    def test_an_unknown_attribute_brings_close_ones(self, name: str, fitted: dict[str, Generator]) -> None:
        with pytest.raises(UnknownNameError, match="Did you mean 'Eyeglasses'"):
            fitted[name].sample(1, where={"Eyeglases": True})

    def test_what_is_not_asked_for_is_as_among_the_training_faces(
        self, name: str, fitted: dict[str, Generator], faces: FaceDataset
    ) -> None:
        made = fitted[name].sample(400, where={"Male": True}, seed=1).attributes
        among = faces.attributes[faces.matching({"Male": True})]
        assert made["Male"].all()
        assert set(map(tuple, made.to_numpy())) <= set(map(tuple, among.to_numpy()))
        assert made["Smiling"].mean() == pytest.approx(among["Smiling"].mean(), abs=0.1)


def test_labels_may_be_missing(faces: FaceDataset) -> None:
    attributes = faces.attributes.copy()
    attributes.loc[::2, "Male"] = pd.NA
    attributes["Unlabelled"] = pd.array([pd.NA] * len(faces), dtype="boolean")
    holes = FaceDataset.from_arrays(pixels(faces), attributes)
    for name in OWN:
        check_generator(GENERATORS.get(name), holes, settings_of(name))


def test_labels_that_are_not_known_do_not_steer(faces: FaceDataset) -> None:
    """A synthetic face of unknown sex must differ from one asked to be a man, else the condition does nothing."""
    generator = create_generator("cgan", **TINY)
    assert isinstance(generator, AdversarialGenerator)
    conditions = generator._conditions(pd.DataFrame({"A": [True, False, None]}, dtype="boolean"))
    assert conditions.tolist() == [[1], [-1], [0]]


def test_faces_without_any_labels_can_be_learnt(faces: FaceDataset) -> None:
    bare = FaceDataset.from_arrays(pixels(faces))
    for name in [*ADVERSARIAL, "resample"]:
        generator = create_generator(name, **settings_of(name))
        generator.fit(bare, budget="8")
        assert generator.sample(3).attributes.shape == (3, 0)


def test_rare_kinds_are_shown_more_often(faces: FaceDataset) -> None:
    rare = np.arange(len(faces)) < 4
    labelled = FaceDataset.from_arrays(pixels(faces), pd.DataFrame({"Rare": rare}))
    generator = create_generator("cgan", balance=["Rare"], balance_share=0.25)
    assert isinstance(generator, AdversarialGenerator)
    weights = generator._weights(labelled.attributes)
    assert weights[rare].sum() / weights.sum() == pytest.approx(0.25)


@pytest.mark.parametrize("name", ["resample", "cgan"])
def test_a_run_folder_may_be_a_text(faces: FaceDataset, tmp_path: Path, name: str) -> None:
    generator = create_generator(name, **settings_of(name))
    generator.fit(faces, budget="64", run_dir=str(tmp_path / "run"), seed=1)
    assert len(generator.sample(2, seed=0)) == 2


def test_resampled_faces_are_training_faces_some_of_them_mirrored(
    fitted: dict[str, Generator], faces: FaceDataset
) -> None:
    real = pixels(faces)
    made = fitted["resample"].sample(60, where={"Male": True})
    men = real[faces.matching({"Male": True})]
    as_they_are = (pixels(made)[:, None] == men[None]).all(axis=(2, 3, 4)).any(axis=1)
    mirrored = (pixels(made)[:, None] == men[None, :, :, ::-1]).all(axis=(2, 3, 4)).any(axis=1)
    assert (as_they_are | mirrored).all()
    assert as_they_are.any()
    assert mirrored.any()
    assert np.array_equal(pixels(faces), real), "sampling must not change the training faces"


@pytest.mark.parametrize(("size", "settings", "channels"), [(16, {}, 128), (32, {}, 64), (32, {"channels": 4}, 4)])
def test_feature_maps_follow_the_size_where_they_are_not_asked_for(
    size: int, settings: dict[str, Any], channels: int, tmp_path: Path
) -> None:
    generator = create_generator("dcgan", batch_size=2, **settings)
    generator.fit(load_toyfaces(10, size), budget="2")
    assert generator._arrays()["to_rgb.weight"].shape[0] == channels
    generator.save(tmp_path / "saved")
    again = load_generator(tmp_path / "saved")
    assert np.array_equal(pixels(again.sample(2)), pixels(generator.sample(2)))


@pytest.mark.parametrize("size", [24, 8])
def test_sizes_that_the_networks_cannot_make_are_refused(size: int) -> None:
    with pytest.raises(UsageError, match=f"not {size}"):
        create_generator("dcgan", **TINY).fit(load_toyfaces(10, size), budget="8")


@pytest.mark.parametrize(
    ("key", "value"), [("learning_rate", -1.0), ("channels", 1), ("loss", "wasserstein"), ("precision", "fp8")]
)
def test_settings_out_of_range_are_refused_by_name(key: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"Setting {key} of the cgan generator"):
        create_generator("cgan", **{key: value})


class TestBudget:
    @pytest.mark.parametrize(
        ("text", "amount", "unit"),
        [
            ("64", 64, "images"),
            ("200k", 200_000, "images"),
            ("1.5M", 1_500_000, "images"),
            ("30s", 30, "seconds"),
            ("10m", 600, "seconds"),
            ("0.5h", 1800, "seconds"),
            (" 5 m ", 300, "seconds"),
        ],
    )
    def test_it_is_read(self, text: str, amount: float, unit: str) -> None:
        budget = parse_budget(text)
        assert (budget.amount, budget.unit) == (amount, unit)

    @pytest.mark.parametrize("text", ["", "0", "0m", "0.5", "-5m", "5 minutes", "1e3", "m", "5K", "nan", "inf"])
    def test_nonsense_is_refused(self, text: str) -> None:
        with pytest.raises(UsageError, match="is neither images"):
            parse_budget(text)


class Stop(KeyboardInterrupt):
    """What Ctrl-C raises, told from a real one."""


def stop_after(monkeypatch: pytest.MonkeyPatch, saves: int) -> None:
    """Interrupt the training right after so many checkpoints."""
    left = iter(range(saves - 1))
    stop_when(monkeypatch, lambda state: next(left, None) is None)


def stop_once_the_length_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt a training on time at the first checkpoint that knows how many images there will be."""
    stop_when(monkeypatch, lambda state: state.total_images > 0)


def stop_when(monkeypatch: pytest.MonkeyPatch, wanted: Callable[[TrainingState], bool]) -> None:
    write = loop._write

    def write_and_stop(state: TrainingState, packed: bytes, checkpoint: Path | None) -> None:
        write(state, packed, checkpoint)
        if wanted(state):
            raise Stop

    monkeypatch.setattr(loop, "_write", write_and_stop)


def fit(faces: FaceDataset, run_dir: Path, name: str = "cgan", budget: str = "240", seed: int = 3, **more: Any) -> str:
    resume = more.pop("resume", False)
    generator = create_generator(name, **{**TINY, **more})
    generator.fit(faces, budget=budget, run_dir=run_dir, seed=seed, resume=resume)
    return generator.fingerprint


class TestResume:
    @pytest.fixture
    def faces(self) -> FaceDataset:
        """Smaller ones, for speed."""
        return load_toyfaces(80, 16)

    @pytest.mark.parametrize("name", ADVERSARIAL)
    @pytest.mark.parametrize("saves", [1, 7])
    def test_a_stopped_training_ends_as_one_that_was_not(
        self, name: str, saves: int, faces: FaceDataset, tmp_path: Path
    ) -> None:
        whole = fit(faces, tmp_path / "whole", name)
        with pytest.MonkeyPatch.context() as patch:
            stop_after(patch, saves)
            with pytest.raises(Stop):
                fit(faces, tmp_path / "parts", name)
        assert fit(faces, tmp_path / "parts", name, resume=True) == whole
        logs = [
            pd.read_json(tmp_path / part / "log.jsonl", lines=True).drop(columns=["seconds", "images_per_second"])
            for part in ("whole", "parts")
        ]
        pd.testing.assert_frame_equal(logs[0], logs[1])

    def test_steps_after_the_last_checkpoint_are_made_again(
        self, faces: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Stopped by a preview, which comes before the checkpoint of its step."""
        whole = fit(faces, tmp_path / "whole")
        preview = AdversarialGenerator._preview
        with pytest.MonkeyPatch.context() as patch:

            def stopping(self: AdversarialGenerator, seed: int) -> Any:
                previews = iter(range(6))

                def draw(network: torch.nn.Module) -> Any:
                    if next(previews) == 5:
                        raise Stop
                    return np.zeros((1, 2, 2, 3), np.uint8)

                return draw

            patch.setattr(AdversarialGenerator, "_preview", stopping)
            with pytest.raises(Stop):
                fit(faces, tmp_path / "parts")
        assert AdversarialGenerator._preview is preview
        assert fit(faces, tmp_path / "parts", resume=True) == whole

    def test_a_finished_training_is_not_made_again(self, faces: FaceDataset, tmp_path: Path) -> None:
        whole = fit(faces, tmp_path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "discriminator_loss", None)  # any step would fail
            assert fit(faces, tmp_path, resume=True) == whole

    def test_without_a_checkpoint_resume_starts_anew(self, faces: FaceDataset, tmp_path: Path) -> None:
        assert fit(faces, tmp_path / "a", budget="16", resume=True) == fit(faces, tmp_path / "b", budget="16")

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"latent": 9}, "config"),
            ({"batch_size": 16}, "batch_size"),
            ({"learning_rate": 3e-3}, r"learning_rate \(was 0.*, is 0.003\)"),
            ({"seed": 4}, r"seed \(was 3, is 4\)"),
            ({"budget": "480"}, r"budget \(was 240 images, is 480 images\)"),
            ({"name": "dcgan"}, r"generator \(was cgan, is dcgan\)"),
        ],
    )
    def test_changed_settings_are_refused_by_name(
        self, change: dict[str, Any], said: str, faces: FaceDataset, tmp_path: Path
    ) -> None:
        fit(faces, tmp_path)
        with pytest.raises(UsageError, match=f"Cannot resume.*{said}"):
            fit(faces, tmp_path, **change, resume=True)

    def test_other_data_are_refused(self, faces: FaceDataset, tmp_path: Path) -> None:
        fit(faces, tmp_path)
        other = FaceDataset.from_arrays(255 - pixels(faces), faces.attributes)
        with pytest.raises(UsageError, match=r"Cannot resume.*data \("):
            fit(other, tmp_path, resume=True)
        with pytest.raises(UsageError, match=r"Cannot resume.*images \(was 80, is 79\)"):
            fit(faces.select(slice(79)), tmp_path, resume=True)

    def test_a_damaged_checkpoint_is_refused(self, faces: FaceDataset, tmp_path: Path) -> None:
        fit(faces, tmp_path)
        checkpoint = tmp_path / "checkpoints" / "last.safetensors"
        checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
        with pytest.raises(DataError, match="cannot be read"):
            fit(faces, tmp_path, resume=True)

    def test_a_time_budget_becomes_images_and_stays_so(
        self, faces: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After a stop the machine may be faster or slower; the training is as long as it was to be."""
        states: list[tuple[int, int]] = []
        train = loop.train

        def watched(*arguments: Any, **named: Any) -> TrainingState:
            state = train(*arguments, **named)
            states.append((state.images_seen, state.total_images))
            return state

        monkeypatch.setattr("augface.generators._adversarial.train", watched)
        with pytest.MonkeyPatch.context() as patch:
            stop_once_the_length_is_known(patch)
            with pytest.raises(Stop):
                fit(faces, tmp_path, budget="1s")
        with safe_open(tmp_path / "checkpoints" / "last.safetensors", framework="pt") as file:
            stored = json.loads(file.metadata()["progress"])["total_images"]
        assert stored > 0
        fit(faces, tmp_path, budget="1s", resume=True)
        assert states[0][1] == stored
        assert stored <= states[0][0] < stored + TINY["batch_size"]

    def test_a_time_budget_of_less_than_a_step_ends(self, faces: FaceDataset, tmp_path: Path) -> None:
        fit(faces, tmp_path, budget="0.000001s")


def test_two_processes_train_one_generator(tmp_path: Path) -> None:
    """Each draws its own images; gradients and statistics are shared, so both end with the same generator."""
    program = tmp_path / "train.py"
    program.write_text(
        "from augface.data.toyfaces import load_toyfaces\n"
        "from augface.generators import create_generator\n"
        "from accelerate.state import PartialState\n"
        "generator = create_generator('cgan', channels=4, batch_size=8)\n"
        "generator.fit(load_toyfaces(80, 16), budget='160', seed=1)\n"
        "state = PartialState()\n"
        "open(f'rank-{state.process_index}', 'w').write(f'{state.num_processes} {generator.fingerprint}')\n"
        "state.destroy_process_group()\n"
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(program)]
    subprocess.run(launch, cwd=tmp_path, check=True, timeout=120, capture_output=True)
    first, second = ((tmp_path / f"rank-{rank}").read_text() for rank in (0, 1))
    assert first.startswith("2 ")
    assert first == second


class TestTraining:
    @pytest.fixture
    def faces(self) -> FaceDataset:
        """Smaller ones, for speed."""
        return load_toyfaces(80, 16)

    def test_what_a_run_leaves(self, faces: FaceDataset, tmp_path: Path) -> None:
        fit(faces, tmp_path)
        log = pd.read_json(tmp_path / "log.jsonl", lines=True)
        assert log["images"].iloc[-1] == 240
        assert log["images"].is_monotonic_increasing
        assert {"discriminator_loss", "generator_loss", "real_logit", "fake_logit"} <= set(log.columns)
        assert 9 <= len(list((tmp_path / "previews").glob("*.png"))) <= 11
        assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["last.safetensors"]

    def test_previews_do_not_change_what_is_learnt(self, faces: FaceDataset, tmp_path: Path) -> None:
        generator = create_generator("cgan", **TINY)
        generator.fit(faces, budget="240", seed=3)
        assert generator.fingerprint == fit(faces, tmp_path)

    def test_divergence_is_told(self, faces: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = iter(range(1000))

        def diverging(*arguments: Any) -> torch.Tensor:
            return generator_loss(*arguments) * (float("nan") if next(calls) >= 20 else 1)

        monkeypatch.setattr(loop, "generator_loss", diverging)
        with pytest.raises(AugfaceError, match=r"diverged after 168 images.*last good state is in .*last\.safetensors"):
            fit(faces, tmp_path)
        assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"last.safetensors"}

    @pytest.mark.parametrize("recipe", RECIPES)
    def test_every_recipe_goes_on_where_it_was_stopped(self, recipe: str, faces: FaceDataset, tmp_path: Path) -> None:
        before, change = RECIPES[recipe]
        settings = before | change
        whole = fit(faces, tmp_path / "whole", **settings)
        with pytest.MonkeyPatch.context() as patch:
            stop_after(patch, 7)
            with pytest.raises(Stop):
                fit(faces, tmp_path / "parts", **settings)
        assert fit(faces, tmp_path / "parts", resume=True, **settings) == whole
        fit(faces, tmp_path / "before", **before)
        weights = [
            load_file(tmp_path / name / "checkpoints" / "last.safetensors")["generator.to_rgb.weight"]
            for name in ("whole", "before")
        ]
        assert not torch.equal(*weights), "a setting without an effect"

    @pytest.mark.parametrize("loss", ["hinge", "bce", "relativistic"])
    def test_every_loss_and_penalty_learns(self, loss: str, faces: FaceDataset) -> None:
        generator = create_generator("cgan", **TINY, loss=loss, gradient_penalty_weight=1.0, gradient_penalty_every=2)
        generator.fit(faces, budget="32")
        assert generator.sample(2).images.shape == (2, 16, 16, 3)

    def test_noise_is_seen_in_made_faces(self, faces: FaceDataset, monkeypatch: pytest.MonkeyPatch) -> None:
        """A discriminator that sees none of it errs by 1, the variance of the noise."""
        errors: list[float] = []

        def remembering(found: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
            loss = noise_loss(found, noise)
            errors.append(loss.item())
            return loss

        monkeypatch.setattr(loop, "noise_loss", remembering)
        create_generator("dcgan", channels=8, latent=4, batch_size=16).fit(faces, budget="1600", seed=1)
        assert np.mean(errors[:10]) > 0.9
        assert np.mean(errors[-20:]) < 0.5

    def test_brightness_is_learnt(self) -> None:
        """The whole loop moves the faces towards the data: dark ones without the attribute, bright ones with it."""
        random = np.random.default_rng(0)
        bright = np.arange(200) % 2 == 0
        images = np.where(bright[:, None, None, None], 200, 50) + random.integers(-20, 20, (200, 16, 16, 3))
        data = FaceDataset.from_arrays(images.astype(np.uint8), {"Bright": bright.tolist()})
        generator = create_generator("cgan", channels=8, latent=8, batch_size=16, average_images=200)
        generator.fit(data, budget="3200", seed=1)
        asked = [pixels(generator.sample(32, where={"Bright": value})).mean() for value in (True, False)]
        assert asked[0] - asked[1] > 50
