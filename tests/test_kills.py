"""A training that is killed at any moment, again and again, ends as one that was never stopped: the very same bits."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

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
