"""What two processes of one thread gain over one, and what is left of a job when one of its processes is killed.

    OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 experiments/several_processes.py
    OMP_NUM_THREADS=1 python experiments/several_processes.py --kill

The first keeps each process on a core of its own, extracts features and draws samples in the main process alone, then
in both, and prints seconds by the clock and of the processors: on a machine that does other things, the gain is the
processor time of one process over that of the busier one of two. The second kills (SIGKILL) each process of an
`augface train` in turn when there is a checkpoint, prints what the other one says, and whether `--resume` ends in the
weights of a training that was never stopped.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import psutil
from safetensors.numpy import load_file

from augface import processes
from augface.data import load_data
from augface.features import create_feature_space
from augface.features.extraction import features_of
from augface.generators import create_generator
from augface.processes import run_command, spread, world_size

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "augface"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=4_096, help="to extract; eight times as many are drawn")
    parser.add_argument("--kill", action="store_true")
    arguments = parser.parse_args()
    return kill() if arguments.kill else on_one_core(lambda: speed(arguments.faces))


def on_one_core(command: Callable[[], int]) -> int:
    """Run it with each process on the core of its number, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        available = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {available[processes.local_rank() % len(available)]})
    return run_command(command)


def speed(count: int) -> int:
    """Extraction and sampling by one process, and by all."""
    faces, space = load_data(f"toy:{count}"), create_feature_space()
    generator = create_generator("cgan")
    generator.fit(faces.select(slice(200)), budget="32")
    space.extract(np.asarray(faces.images[: space.batch]))  # what is loaded once is not counted
    list(spread(_warm, range(world_size())))
    print(
        "| | one process | of them: processor | "
        f"{world_size()} processes | of them: processor, the busiest | gain by the clock | by processor time |"
    )
    print("|---|---|---|---|---|---|---|")
    works: dict[str, Callable[[], np.ndarray]] = {
        f"extraction of {count:,} faces": lambda: features_of(faces, space),
        f"{8 * count:,} samples": lambda: np.asarray(generator.sample(8 * count).images),
    }
    for name, work in works.items():
        job = processes._job
        assert job is not None
        with job.busy():
            one, clock, (processor, *_) = _timed(work)
        several, clocks, processors = _timed(work)
        assert np.array_equal(one, several), "the bits differ"
        print(
            f"| {name} | {clock:.1f} s | {processor:.1f} s | {clocks:.1f} s | {max(processors):.1f} s | "
            f"{clock / clocks:.2f} | {processor / max(processors):.2f} |",
            flush=True,
        )
    return 0


def _warm(_: int) -> None:
    space = create_feature_space()
    space.extract(np.zeros((space.batch, 64, 64, 3), np.uint8))


def _processor_time(_: int) -> float:
    return time.process_time()


def _timed(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, float, list[float]]:
    """What the work gives, with an empty cache; seconds by the clock, and of the processor in each process."""
    with tempfile.TemporaryDirectory() as cache, mock.patch.dict(os.environ, AUGFACE_CACHE=cache):
        before, started = list(spread(_processor_time, range(world_size()))), time.perf_counter()
        result = work()
        clock = time.perf_counter() - started
        after = list(spread(_processor_time, range(world_size())))
    return result, clock, [late - early for early, late in zip(before, after, strict=True)]


def kill() -> int:
    """Kill each process of a training in turn."""
    words = ["train", "--generator", "cgan", "--set", "channels=8", "--data", "toy:300", "--size", "32", "--seed", "1"]
    words += ["--budget", "1600"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*LAUNCH, *words, "--out", f"{folder}/whole"], check=True, capture_output=True)
        print("| killed | exit code | what the other one says | weights after --resume |\n|---|---|---|---|")
        for rank in ("1", "0"):
            run = Path(folder, f"killed-{rank}")
            process = subprocess.Popen([*LAUNCH, *words, "--out", run], stderr=subprocess.PIPE, text=True)
            while not (run / "checkpoints" / "last.safetensors").exists():
                time.sleep(0.1)
            for child in psutil.Process(process.pid).children():
                if child.environ().get("RANK") == rank:
                    child.send_signal(signal.SIGKILL)
            _, text = process.communicate()
            said = [line for line in text.splitlines() if line.startswith(("augface: error", "augface: stopped"))]
            subprocess.run([*LAUNCH, *words, "--resume", "--out", run], check=True, capture_output=True)
            weights = [load_file(place / "generator" / "weights.safetensors") for place in (Path(folder, "whole"), run)]
            same = all(np.array_equal(array, weights[1][name]) for name, array in weights[0].items())
            print(
                f"| rank {rank} | {process.returncode} | {' '.join(said)} | {'equal' if same else 'different'} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
