"""Does a training that is killed again and again end as one that was never stopped?

    OMP_NUM_THREADS=1 python experiments/kills.py --kills 20

Trains the conditional GAN by `augface train` once in peace, and once killed (SIGKILL) at random moments, from when the
program has hardly started to the middle of a step or of the writing of a checkpoint, and each time gone on with by
`--resume`. Prints where each kill fell, and whether weights, averages, moments of the optimisers and samples are equal
bit for bit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file

from augface.generators import load_generator

PROGRAM = "import sys; from augface.cli import main; sys.exit(main())"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--images", type=int, default=16_000)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    words = f"train --generator cgan --data toy:500 --size {arguments.size} --budget {arguments.images} --seed 1"
    settings = ["--set", "channels=8"]
    with tempfile.TemporaryDirectory() as folder:
        whole, parts = Path(folder, "whole"), Path(folder, "parts")

        def start(run: Path) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-c", PROGRAM, *words.split(), *settings, "--out", str(run), "--resume"]
            return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        begun = time.monotonic()
        process = start(whole)
        while process.poll() is None and not checkpoint_of(whole).exists():
            time.sleep(0.01)
        to_first = time.monotonic() - begun
        if process.wait():
            raise SystemExit("The training in peace did not end well.")
        between = (time.monotonic() - begun - to_first) / 19
        random = np.random.default_rng(arguments.seed)
        print("| kill | seconds after the start | images kept | half-written files |\n|---|---|---|---|")
        killed = 0
        for number, moment in enumerate(random.uniform(0.5 * to_first, to_first + 2 * between, arguments.kills), 1):
            process = start(parts)
            try:
                process.wait(timeout=moment)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed += 1
            left = len(list(parts.rglob(".*.partial")))
            print(f"| {number} | {moment:.2f} | {images_in(checkpoint_of(parts)):,} | {left} |", flush=True)
        if start(parts).wait():
            raise SystemExit("The last resumption did not end well.")
        weights, states = (
            differing(*(load_file(path(run)) for run in (whole, parts)))
            for path in (lambda run: run / "generator" / "weights.safetensors", checkpoint_of)
        )
        made = [np.asarray(load_generator(run / "generator").sample(256).images) for run in (whole, parts)]
        faces = (made[0] != made[1]).any(axis=(1, 2, 3)).sum()
        left = len(list(parts.rglob(".*.partial")))
        print(
            f"\n{killed} kills in a training of {arguments.images:,} images. What differs: {weights} arrays of the "
            f"generator, {states} of the training state, {faces} of 256 faces. Half-written files left: {left}."
        )


def checkpoint_of(run: Path) -> Path:
    return run / "checkpoints" / "last.safetensors"


def images_in(checkpoint: Path) -> int:
    if not checkpoint.exists():
        return 0

    with safe_open(checkpoint, framework="np") as file:
        return int(json.loads(file.metadata()["progress"])["images_seen"])


def differing(first: dict[str, np.ndarray[Any, Any]], second: dict[str, np.ndarray[Any, Any]]) -> int:
    """How many arrays are not the same, bit for bit."""
    names = first.keys() | second.keys()
    return sum(
        name not in first or name not in second or first[name].tobytes() != second[name].tobytes() for name in names
    )


if __name__ == "__main__":
    main()
