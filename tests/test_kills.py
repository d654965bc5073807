"""What is killed at any moment, again and again, ends as if it had never been stopped: the very same bits."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from augface.files import content_hash
from augface.generators import load_generator

WORDS = (
    "train --generator cgan --data toy:64 --size 16 --budget 3200 --seed 5 "
    "--set channels=8 --set latent=8 --set batch_size=8"
)
KILLS = 2


def start(out: Path, *more: str) -> subprocess.Popen[bytes]:
    """`augface train` in a process of its own."""
    program = "import sys; from augface.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, *WORDS.split(), "--out", str(out), *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> None:
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said.decode()


def kill_in_training(process: subprocess.Popen[bytes], run: Path, delay: float) -> bool:
    """Kill it so many seconds after it has written a checkpoint; False where it had ended before."""
    checkpoint = run / "checkpoints" / "last.safetensors"
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
    while process.poll() is None and (not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before):
        time.sleep(0.005)
    time.sleep(delay)
    process.kill()
    process.communicate()
    return process.returncode < 0


def test_killed_trainings_end_as_one_that_was_not(tmp_path: Path) -> None:
    finish(start(tmp_path / "whole"))
    random = np.random.default_rng(0)
    killed = 0
    for delay in random.uniform(0, 0.3, KILLS):
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
KILLED = """
import os, signal, sys
from pathlib import Path
import augface.files
import augface.rebalancing.rebalance
from augface.classifiers.attributes import AttributeClassifier
from augface.cli import main

augface.rebalancing.rebalance.EVALUATORS = ["fidelity"]  # one will do
train = AttributeClassifier.train
AttributeClassifier.train = lambda *data, seed, images=0: train(*data, seed=seed, images=1280)
place, made, replace = sys.argv[1], sys.argv[2], Path.replace

def dying(path, target):
    if Path(target) == Path(place):
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(path, target)

Path.replace = dying
from augface.runs import Run
stage = Run.stage

def noting(run, place, what, write, **more):
    def noted(path):
        with open(made, "a") as file:
            file.write(place + "\\n")
        return write(path)
    return stage(run, place, what, noted, **more)

Run.stage = noting
sys.exit(main(sys.argv[3:]))
"""


def rebalance(run: Path, kill_at: Path | None = None) -> list[str]:
    """The stages that `augface rebalance --resume` made, in a process that dies where `kill_at` gets its name."""
    made = run.with_suffix(".made")
    made.write_text("")
    command = [sys.executable, "-c", KILLED, str(kill_at or ""), str(made), *REBALANCE.split(), "--out", str(run)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == (0 if kill_at is None else -signal.SIGKILL), ended.stderr
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
