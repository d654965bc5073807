"""One run of `pretrained.sh`: balance data whose positives were cut down to a few, with one generator.

    python experiments/pretrained.py celeba:/data/celeba --attr Eyeglasses --positives 50 --seed 0 \
        --generator diffusers --set path=/models/sd15 --out runs/pretrained/one

The other positives of the train split are removed, not relabelled. The run folder is one of `augface rebalance`, which
`augface compare` reads; the same command goes on with it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scarcity import scarce_rows

import augface


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--attr", required=True)
    parser.add_argument("--positives", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--budget", default="20m")
    parser.add_argument("--generator", required=True)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    data = augface.load_data(arguments.data, size=arguments.size)
    if data.train is None or data.split is None:
        raise SystemExit("The data need a train split.")
    kept = np.flatnonzero(data.split != "train")
    rows = scarce_rows(data.train, [arguments.attr], arguments.positives, arguments.seed)
    scarce = data.select(np.sort(np.concatenate([kept, np.flatnonzero(data.split == "train")[rows]])))
    outcome = augface.rebalance(
        scarce,
        attr=arguments.attr,
        generator=arguments.generator,
        generator_settings=dict(setting.split("=", 1) for setting in arguments.settings),
        budget=arguments.budget,
        seed=arguments.seed,
        run_dir=arguments.out,
        resume=True,
    )
    print(f"{arguments.out}: {outcome.evaluation.verdict.decision}. {outcome.evaluation.verdict.reason}")


if __name__ == "__main__":
    main()
