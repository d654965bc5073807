"""Does the downstream verdict say what is so? Plants what helps, what harms and what does nothing, and asks.

    python experiments/downstream_proofs.py toy:16000 --attr Narrow_Eyes --repeats 100
    python experiments/downstream_proofs.py celeba:/data/celeba --attr Eyeglasses --null 1000

Every repeat draws people anew: some to learn from, some to choose on, some to score on, and some to play the generator.
The null gives both sides the same arms, each with draws of its own: whatever difference is found is chance.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

import augface
from augface.data.dataset import signed_labels
from augface.downstream.analysis import compare_arms, effect_on, people_of
from augface.downstream.arms import ALL, ARMS
from augface.downstream.data import ExperimentData, Part
from augface.downstream.experiment import Experiment, best_arm
from augface.downstream.frozen import Frozen
from augface.features import create_feature_space
from augface.features.extraction import features_of
from augface.metrics import proportion_interval
from augface.metrics.effects import LEVEL
from augface.seeds import random_generator

SHARES = {"real": 0.25, "valid": 0.15, "test": 0.25, "synthetic": 0.35}
POSITIVES = 25
ADDED = 300
DIMENSIONS = 32
NULL_DRAWS = 200
"""Of the bootstrap over people in each repeat of the null; the rate of alarms does not need more."""
NULL_ARMS = tuple(arm for arm in ARMS if arm.name in ("synthetic 25%", "synthetic 50%", ALL))
PLANTS = ("real faces of the rare kind", "wrong labels", "duplicates")

Rows = npt.NDArray[np.int64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--attr", required=True)
    parser.add_argument("--repeats", type=int, default=0, help="of each planted case")
    parser.add_argument("--null", type=int, default=0, help="repeats without any difference")
    arguments = parser.parse_args()
    faces = augface.load_data(arguments.data)
    features = PCA(DIMENSIONS, random_state=0).fit_transform(features_of(faces, create_feature_space()))
    everyone = Part(features, signed_labels(faces.attributes[[arguments.attr]]), people_of(faces))
    print(f"{arguments.attr} in {len(faces):,} faces\n\n| planted | repeats | helps | harms |\n|---|---|---|---|")
    for plant in PLANTS if arguments.repeats else ():
        report(plant, [verdict(planted(everyone, plant, repeat), repeat) for repeat in range(arguments.repeats)])
    if arguments.null:
        report("the same arms on both sides", [null(everyone, repeat) for repeat in range(arguments.null)])


def report(name: str, verdicts: list[str]) -> None:
    counts = Counter(verdicts)
    cells = []
    for kind in ("helps", "harms"):
        share, low, high = proportion_interval(counts[kind], len(verdicts))
        cells.append(f"{share:.1%} ({low:.1%} to {high:.1%})")
    print(f"| {name} | {len(verdicts):,} | {' | '.join(cells)} |", flush=True)


def planted(everyone: Part, plant: str, repeat: int) -> ExperimentData:
    """A question whose answer is known. Few real faces to learn from show the attribute."""
    random = random_generator(repeat, "planted")
    rows = parts(everyone, random)
    shown = everyone.labels[:, 0] > 0
    few = random.choice(rows["real"][shown[rows["real"]]], POSITIVES, replace=False)
    real = np.concatenate([few, rows["real"][~shown[rows["real"]]]])
    synthetic = {
        "real faces of the rare kind": rows["synthetic"][shown[rows["synthetic"]]],
        "wrong labels": rows["synthetic"][~shown[rows["synthetic"]]],
        "duplicates": few,  # each as often as any other: drawn at random, some would weigh more, which is a change
    }[plant]
    synthetic = (
        random.choice(synthetic, ADDED, replace=False) if len(synthetic) > ADDED else np.resize(synthetic, ADDED)
    )
    data = question(everyone, {**rows, "real": real})
    added = Part(everyone.inputs[synthetic], np.ones((ADDED, 1), np.float32), -1 - np.arange(ADDED))
    return replace(data, synthetic=added)


def verdict(data: ExperimentData, seed: int) -> str:
    found = compare_arms(Experiment(Frozen(data), seed))
    if found.best.p_helps <= LEVEL:
        return "helps"
    return "harms" if min(found.best.p_harms, found.of_all.p_harms) <= LEVEL / 2 else "no evidence"


def null(everyone: Part, repeat: int) -> str:
    """The same arms against each other, each side with its own draws; the best of either side is chosen on valid."""
    rows = parts(everyone, random_generator(repeat, "null"))
    data = question(everyone, rows)
    sides = [Experiment(Frozen(data), 2 * repeat + side).run(NULL_ARMS) for side in (0, 1)]
    chosen = [side[best_arm(data.valid, side, [arm.name for arm in NULL_ARMS])] for side in sides]
    found = effect_on(data.test, *chosen, seed=repeat, draws=NULL_DRAWS)
    return "helps" if found.p_helps <= LEVEL else "harms" if found.p_harms <= LEVEL else "no evidence"


def question(everyone: Part, rows: dict[str, Rows]) -> ExperimentData:
    """Real faces of four sets of people."""
    taken = {name: everyone.take(chosen) for name, chosen in rows.items()}
    held_out = {name: taken[name] for name in ("valid", "test")}
    return ExperimentData(
        ["target"], taken["real"], taken["synthetic"], np.zeros(len(rows["real"]), np.int64), held_out
    )


def parts(everyone: Part, random: np.random.Generator) -> dict[str, Rows]:
    """Rows of each part; no person is in two."""
    people = random.permutation(np.unique(everyone.people))
    ends = np.cumsum([round(share * len(people)) for share in SHARES.values()])[:-1]
    return {
        name: np.flatnonzero(np.isin(everyone.people, chosen))
        for name, chosen in zip(SHARES, np.split(people, ends), strict=True)
    }


if __name__ == "__main__":
    main()
