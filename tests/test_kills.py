"""What is killed at any moment, again and again, ends as if it had never been stopped: the very same bits.

What is killed is a process of its own, forked from one that has imported augface once and for all.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from augface.classifiers.attributes import AttributeClassifier
from augface.cli import main
from augface.features.pixels import PixelSpace
from augface.files import content_hash
from augface.generators import load_generator
from augface.report.figures import Drawing
from augface.runs import Run

WORDS = (
    "train --generator cgan --data toy:64 --size 16 --budget 1600 --seed 5 "
    "--set channels=8 --set latent=8 --set batch_size=8"
)
KILLS = 2
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "augface.cli.app",
        "augface.cli.rebalance",
        "augface.data.toyfaces",
        "augface.generators.resample",
        "augface.evaluators.fidelity",
        "augface.inspection.inspect",
        "augface.report.figures",
        "augface.training.loop",
        "faiss",
        "sklearn.neural_network",
        "torch._dynamo",
    ]
)


def command(*words: str) -> None:
    """The command line, as the whole life of a process."""
    sys.exit(main(list(words)))


def start(out: Path, *more: str) -> BaseProcess:
    """`augface train` in a process of its own."""
    process = FORKS.Process(target=command, args=(*WORDS.split(), "--out", str(out), *more))
    process.start()
    return process


def finish(process: BaseProcess) -> None:
    process.join(timeout=120)
    assert process.exitcode == 0


def kill_in_training(process: BaseProcess, run: Path, delay: float) -> bool:
    """Kill it so many seconds after it has written a checkpoint; False where it had ended before."""
    checkpoint = run / "checkpoints" / "last.safetensors"
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
    while process.is_alive() and (not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before):
        time.sleep(0.005)
    time.sleep(delay)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def test_killed_trainings_end_as_one_that_was_not(tmp_path: Path) -> None:
    finish(start(tmp_path / "whole"))
    random = np.random.default_rng(0)
    killed = 0
    for delay in random.uniform(0, 0.1, KILLS):
        process = start(tmp_path / "parts", "--resume")
        killed += kill_in_training(process, tmp_path / "parts", delay)
    assert killed == KILLS, "the training is too short for this test"
    finish(start(tmp_path / "parts", "--resume"))
    weights = [load_file(tmp_path / run / "generator" / "weights.safetensors") for run in ("whole", "parts")]
    assert weights[0].keys() == weights[1].keys()
    for name, array in weights[0].items():
        assert array.tobytes() == weights[1][name].tobytes(), name
    states = [load_file(tmp_path / run / "checkpoints" / "last.safetensors") for run in ("whole", "parts")]
    assert all(array.tobytes() == states[1][name].tobytes() for name, array in states[0].items())
    made = [np.asarray(load_generator(tmp_path / run / "generator").sample(20).images) for run in ("whole", "parts")]
    assert np.array_equal(made[0], made[1])
    assert not list((tmp_path / "parts").rglob("*.partial"))


# The stages of a rebalancing

REBALANCE = "rebalance --attr Male --ratio 0.9 --generator resample --data toy:300 --size 16 --downstream off --resume"
STAGES = (
    "generator",
    "checkpoints/samples",
    "checkpoints/filters.safetensors",
    "checkpoints/accepted-0",
    "dataset",
    "results.json",
)


def killed_rebalance(place: Path | None, made: Path, words: list[str]) -> None:
    """Rebalance, note each stage that is made, and die where `place` gets its name."""
    patch = pytest.MonkeyPatch()
    patch.setattr("augface.rebalancing.rebalance.EVALUATORS", ["fidelity"])  # one will do
    patch.setattr("augface.evaluators.base.create_feature_space", lambda name="": PixelSpace())
    patch.setattr(AttributeClassifier, "train", partial(AttributeClassifier.train, images=320))
    patch.setattr(Drawing, "of", lambda *_, **__: Drawing("<svg/>", "<svg/>", ""))
    replace, stage = Path.replace, Run.stage

    def dying(path: Path, target: Path) -> Path:
        if Path(target) == place:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(path, target)

    def noting(run: Run, name: str, what: str, write: Any, **more: Any) -> Any:
        def noted(path: Path) -> Any:
            with made.open("a") as file:
                file.write(name + "\n")
            return write(path)

        return stage(run, name, what, noted, **more)

    patch.setattr(Path, "replace", dying)
    patch.setattr(Run, "stage", noting)
    command(*words)


def rebalance(run: Path, kill_at: Path | None = None) -> list[str]:
    """The stages that `augface rebalance --resume` made, in a process that dies where `kill_at` gets its name."""
    made = run.with_suffix(".made")
    made.write_text("")
    process = FORKS.Process(target=killed_rebalance, args=(kill_at, made, [*REBALANCE.split(), "--out", str(run)]))
    process.start()
    process.join(timeout=300)
    assert process.exitcode == (0 if kill_at is None else -signal.SIGKILL)
    return made.read_text().split()


def told(run: Path) -> dict[str, Any]:
    """The results, without what tells of time and place."""
    results: dict[str, Any] = json.loads((run / "results.json").read_text())
    for name in ("created", "seconds", "command"):
        results["provenance"].pop(name, None)
    for advice in results["advice"]:
        advice.pop("command", None)
    return results


def test_a_rebalancing_that_is_killed_in_each_stage_loses_that_stage_alone(tmp_path: Path) -> None:
    assert rebalance(tmp_path / "whole") == list(STAGES)
    parts = tmp_path / "parts"
    for number, stage in enumerate(STAGES):
        assert rebalance(parts, kill_at=parts / stage) == list(STAGES[max(0, number - 1) : number + 1])
    assert rebalance(parts) == [STAGES[-1]]
    assert rebalance(parts) == [], "what is finished is kept"
    assert told(parts) == told(tmp_path / "whole")
    for place in ("dataset/celeba", "generator", "checkpoints/samples", "checkpoints/accepted-0"):
        assert content_hash(parts / place) == content_hash(tmp_path / "whole" / place), place
    assert not list(parts.rglob("*.partial"))
