"""What goes wrong in a training, or around it, is noticed and said, and what was good is kept."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load, save

import augface
from augface.cli import TERMINATED, main
from augface.data.dataset import FaceDataset
from augface.data.toyfaces import load_toyfaces
from augface.errors import AugfaceError, DataError, OutputError, UsageError
from augface.generators import create_generator
from augface.training import loop
from augface.training.instability import (
    JUDGED_FROM,
    LEAST_STANDARD_DEVIATION,
    NO_NUMBER,
    WIDEST_GAP,
    find_instability,
    is_sound,
    standard_deviation,
)
from augface.training.losses import generator_loss

TINY: dict[str, Any] = {"channels": 4, "latent": 8, "batch_size": 8}


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return load_toyfaces(80, 16)


def fit(faces: FaceDataset, run_dir: Path | None, budget: str = "240", resume: bool = False, **settings: Any) -> str:
    generator = create_generator("cgan", **{**TINY, **settings})
    generator.fit(faces, budget=budget, run_dir=run_dir, seed=3, resume=resume)
    return generator.fingerprint


def checkpoint_of(run_dir: Path) -> Path:
    return run_dir / "checkpoints" / "last.safetensors"


def progress_of(run_dir: Path) -> dict[str, Any]:
    content = checkpoint_of(run_dir).read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return dict(json.loads(header["__metadata__"]["progress"]))


def fail_at(monkeypatch: pytest.MonkeyPatch, calls: set[int], factor: float = float("nan")) -> None:
    """Multiply the generator's loss by `factor` at these calls."""
    count = iter(range(10_000))

    def failing(*arguments: Any) -> torch.Tensor:
        return generator_loss(*arguments) * (factor if next(count) in calls else 1)

    monkeypatch.setattr(loop, "generator_loss", failing)


def entry(images: float = JUDGED_FROM, **changed: float) -> dict[str, float]:
    sound = {
        "images": images,
        "real_logit": 1.0,
        "fake_logit": -1.0,
        "real_standard_deviation": 0.5,
        "generated_standard_deviation": 0.4,
    }
    return sound | changed


class TestSigns:
    def test_a_sound_history_is_stable(self) -> None:
        assert find_instability([entry()] * 5) is None
        assert is_sound(entry())

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_what_is_no_number_is_instability_at_once(self, value: float) -> None:
        assert find_instability([entry(images=1, generator_loss=value)]) is NO_NUMBER
        assert not is_sound(entry(generator_loss=value))

    @pytest.mark.parametrize(
        ("sign", "what"),
        [
            ({"generated_standard_deviation": 0.5 * LEAST_STANDARD_DEVIATION * 0.9}, "collapsed"),
            ({"real_logit": WIDEST_GAP}, "lost its balance"),
            ({"fake_logit": WIDEST_GAP + 2}, "lost its balance"),
        ],
    )
    def test_signs_are_instability_when_they_last(self, sign: dict[str, float], what: str) -> None:
        found = find_instability([entry(), *[entry(**sign)] * 3])
        assert found is not None
        assert found.what == what
        assert find_instability([entry(), *[entry(**sign)] * 2]) is None
        assert find_instability([entry(**sign), entry(), entry(**sign)]) is None
        assert find_instability([entry(**sign)] * 2 + [entry()]) is None
        assert not is_sound(entry(**sign))

    def test_a_generator_that_has_learnt_nothing_yet_is_left_alone(self) -> None:
        assert find_instability([entry(images=JUDGED_FROM - 1, generated_standard_deviation=0.0)] * 3) is None

    def test_made_faces_may_be_alike_where_real_ones_are(self) -> None:
        assert find_instability([entry(generated_standard_deviation=0.0, real_standard_deviation=0.001)] * 3) is None

    def test_the_standard_deviation_is_that_of_pixels_over_images(self) -> None:
        images = torch.tensor([-1.0, 1.0])[:, None, None, None].expand(2, 3, 4, 4)
        assert standard_deviation(images) == pytest.approx(2**0.5)
        assert standard_deviation(images[:1].expand(5, -1, -1, -1)) == 0


class TestRollback:
    def test_one_setback_is_rolled_back_and_gone_on_from_more_gently(
        self, faces: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        rates: list[float] = []
        step = loop._step

        def watched(state: Any, *arguments: Any) -> Any:
            rates.append(state.generator_optimiser.param_groups[0]["lr"])
            return step(state, *arguments)

        monkeypatch.setattr(loop, "_step", watched)
        fail_at(monkeypatch, {10})
        with caplog.at_level(logging.WARNING, "augface"):
            fit(faces, tmp_path, decay_share=0.0)
        assert "Training diverged after 88 images" in caplog.text
        assert "goes on from 72 images, at 0.5 times" in caplog.text
        assert rates[0] == pytest.approx(1e-3)
        assert rates[-1] == pytest.approx(5e-4)
        log = pd.read_json(tmp_path / "log.jsonl", lines=True)
        assert log["images"].is_unique
        assert log["images"].iloc[-1] == 240
        assert np.isfinite(log.to_numpy()).all()
        assert len(progress_of(tmp_path)["rollbacks"]) == 1

    def test_a_run_that_was_rolled_back_is_resumed_bit_for_bit(self, faces: FaceDataset, tmp_path: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            fail_at(patch, {10})
            whole = fit(faces, tmp_path / "whole")
        with pytest.MonkeyPatch.context() as patch:
            fail_at(patch, {10})
            write = loop._write

            def write_and_stop(state: Any, packed: bytes, checkpoint: Path | None) -> None:
                write(state, packed, checkpoint)
                if state.images_seen > 160:
                    raise KeyboardInterrupt

            patch.setattr(loop, "_write", write_and_stop)
            with pytest.raises(KeyboardInterrupt):
                fit(faces, tmp_path / "parts")
        assert fit(faces, tmp_path / "parts", resume=True) == whole

    def test_without_a_run_folder_it_is_rolled_back_as_well(self, faces: FaceDataset, tmp_path: Path) -> None:
        prints = []
        for run_dir in (tmp_path, None):
            with pytest.MonkeyPatch.context() as patch:
                fail_at(patch, {10})
                prints.append(fit(faces, run_dir))
        assert prints[0] == prints[1]

    def test_weights_that_are_no_numbers_are_found_though_the_losses_are(
        self, faces: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What a step breaks is seen before the checkpoint of the same step is written."""
        update = loop._update_average

        def breaking(state: Any, *arguments: Any) -> None:
            update(state, *arguments)
            if state.images_seen == 96 and not state.rollbacks:
                next(state.average.parameters()).data.fill_(float("nan"))

        monkeypatch.setattr(loop, "_update_average", breaking)
        fit(faces, tmp_path)
        assert "Training diverged after 96 images" in caplog.text
        assert all(tensor.isfinite().all() for tensor in load(checkpoint_of(tmp_path).read_bytes()).values())

    def test_a_training_that_cannot_work_is_given_up(self, faces: FaceDataset, tmp_path: Path) -> None:
        with pytest.raises(AugfaceError, match=r"Training (collapsed|lost its balance|diverged) after .* Before that"):
            fit(faces, tmp_path, budget="4000", learning_rate=1, discriminator_learning_rate=1)
        assert all(tensor.isfinite().all() for tensor in load(checkpoint_of(tmp_path).read_bytes()).values())

    @pytest.mark.parametrize("name", ["cgan", "dcgan"])
    @pytest.mark.parametrize("loss", ["relativistic", "hinge"])
    def test_healthy_trainings_are_left_alone(
        self, name: str, loss: str, faces: FaceDataset, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, "augface"):
            create_generator(name, **TINY, loss=loss).fit(faces, budget="2400", seed=1)
        assert "Training" not in caplog.text


class TestStops:
    def test_ctrl_c_says_where_the_run_stands(
        self, faces: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        interrupt_at(monkeypatch, 20, KeyboardInterrupt())
        words = f"train --generator dcgan --data toy:80 --size 16 --budget 240 --out {tmp_path / 'run'}"
        for setting in ("channels=4", "batch_size=8"):
            words += f" --set {setting}"
        assert main(words.split()) == 130
        said = capsys.readouterr().err
        assert "Training had come to 160 of 240 images; the last checkpoint is at 160" in said
        assert "--resume" in said
        assert not list(tmp_path.rglob("*.partial"))

    def test_a_stop_before_the_first_checkpoint_says_so(
        self, faces: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        interrupt_at(monkeypatch, 0, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt, match="there is no checkpoint yet"):
            fit(faces, tmp_path)

    def test_being_asked_to_end_is_like_ctrl_c(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = signal.getsignal(signal.SIGTERM)
        monkeypatch.setattr("augface.cli.app.run", lambda words: signal.raise_signal(signal.SIGTERM))
        assert main([]) == TERMINATED
        assert capsys.readouterr().err == "augface: stopped.\n"
        assert signal.getsignal(signal.SIGTERM) is before

    def test_leftovers_of_a_killed_process_are_removed(self, faces: FaceDataset, tmp_path: Path) -> None:
        leftover = tmp_path / "checkpoints" / ".last.safetensors.abc.partial"
        leftover.mkdir(parents=True)
        (leftover / "last.safetensors").write_bytes(b"half")
        fit(faces, tmp_path, budget="16", resume=True)
        assert not leftover.exists()


def interrupt_at(monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException) -> None:
    step, count = loop._step, iter(range(10_000))

    def stopping(*arguments: Any) -> Any:
        if next(count) == at:
            raise error
        return step(*arguments)

    monkeypatch.setattr(loop, "_step", stopping)


class TestFullDisk:
    def test_the_checkpoint_before_stays_and_is_gone_on_from(self, faces: FaceDataset, tmp_path: Path) -> None:
        whole = fit(faces, tmp_path / "whole")
        with pytest.MonkeyPatch.context() as patch:
            fill_disk_after(patch, writes=10)
            with pytest.raises(
                OutputError, match=r"No space left .* the last checkpoint is at \d+, from which"
            ) as caught:
                fit(faces, tmp_path / "parts")
        kept = progress_of(tmp_path / "parts")["images_seen"]
        assert 0 < kept < 240
        assert f"at {kept}," in str(caught.value)
        assert not list(tmp_path.rglob("*.partial"))
        assert fit(faces, tmp_path / "parts", resume=True) == whole


def fill_disk_after(monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """Only so many files more are flushed to the disk."""
    flush, count = os.fsync, iter(range(10_000))

    def full(descriptor: int) -> None:
        if next(count) >= writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", full)


class TestCheckpoints:
    @pytest.mark.parametrize("length", [0, 4, 100, 5000, -1])
    def test_one_that_is_cut_short_is_refused(self, length: int, faces: FaceDataset, tmp_path: Path) -> None:
        fit(faces, tmp_path, budget="16")
        path = checkpoint_of(tmp_path)
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(DataError, match=r"last\.safetensors cannot be read: .*Remove it to start anew"):
            fit(faces, tmp_path, budget="16", resume=True)

    @pytest.mark.parametrize("version", [1, 99])
    def test_one_of_another_version_is_refused(self, version: int, faces: FaceDataset, tmp_path: Path) -> None:
        fit(faces, tmp_path, budget="16")
        progress = json.dumps(progress_of(tmp_path) | {"format": version})
        path = checkpoint_of(tmp_path)
        path.write_bytes(save(load(path.read_bytes()), metadata={"progress": progress}))
        with pytest.raises(DataError, match=f"another version of augface .format {version}"):
            fit(faces, tmp_path, budget="16", resume=True)

    def test_a_file_of_something_else_is_refused(self, faces: FaceDataset, tmp_path: Path) -> None:
        checkpoint_of(tmp_path).parent.mkdir()
        checkpoint_of(tmp_path).write_bytes(save({"weights": torch.zeros(2)}))
        with pytest.raises(DataError, match="cannot be read"):
            fit(faces, tmp_path, budget="16", resume=True)


class TestOddData:
    def test_twenty_faces_are_learnt_with_a_warning(self, faces: FaceDataset, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING, "augface"):
            fit(faces.select(slice(20)), None, budget="1600")
        assert "20 faces are few" in caplog.text
        assert "Training" not in caplog.text

    def test_faces_that_are_all_the_same_image_are_refused(self, faces: FaceDataset) -> None:
        same = FaceDataset.from_arrays(np.asarray(faces.images)[np.zeros(300, int)])
        with pytest.raises(DataError, match="All 300 faces are the same image"):
            create_generator("dcgan", **TINY).fit(same, budget="16")

    def test_the_last_face_alone_may_differ(self, faces: FaceDataset) -> None:
        images = np.asarray(faces.images)[np.r_[np.zeros(299, int), 1]]
        create_generator("dcgan", **TINY).fit(FaceDataset.from_arrays(images), budget="16")

    def test_a_label_that_no_face_has_cannot_be_asked_for(self, faces: FaceDataset) -> None:
        labels = faces.attributes.assign(Nowhere=pd.array([pd.NA] * len(faces), dtype="boolean"))
        generator = create_generator("cgan", **TINY)
        generator.fit(FaceDataset.from_arrays(np.asarray(faces.images), labels), budget="16")
        assert generator.sample(3).attributes["Nowhere"].isna().all()
        with pytest.raises(UsageError, match="No training face has Nowhere=1"):
            generator.sample(1, where={"Nowhere": True})

    def test_images_smaller_than_the_size_are_enlarged(self, tmp_path: Path) -> None:
        random = np.random.default_rng(0)
        for number in range(20):
            Image.fromarray(random.integers(0, 255, (10, 12, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        data = augface.load_data(f"folder:{tmp_path}", size=16)
        assert data.size == 16
        create_generator("dcgan", **TINY).fit(data, budget="16")
