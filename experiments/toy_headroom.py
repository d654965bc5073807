"""Is there something to gain on ToyFaces? Plain training on the built-in data set, and with more real wearers added.

    python experiments/toy_headroom.py

A demonstration on data where plain training is perfect cannot succeed, and one on data that no number of faces helps
teaches nothing.
"""

from __future__ import annotations

import argparse

import numpy as np

import augface
from augface.data.dataset import FaceDataset, signed_labels
from augface.data.toyfaces import render, sample_population
from augface.downstream.analysis import effect_on, people_of
from augface.downstream.arms import ALL, ARMS
from augface.downstream.data import ExperimentData, Part
from augface.downstream.experiment import Experiment, valid_score
from augface.downstream.frozen import Frozen
from augface.features import create_feature_space
from augface.features.extraction import features_of
from augface.metrics.scores import average_precisions


def main() -> None:
    """Print the average precision of both, and the effect of the added faces with its interval."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="toy")
    parser.add_argument("--attr", default="Eyeglasses")
    parser.add_argument("--test", type=int, default=6000, help="faces of other people to score on")
    parser.add_argument("--added", type=int, default=2000, help="faces of other people that show the attribute")
    parser.add_argument("--seed", type=int, default=1000, help="of the added people")
    arguments = parser.parse_args()
    faces = augface.load_data(arguments.data)
    space = create_feature_space()

    def fresh(count: int, seed: int, first_person: int, attribute: str | None = None) -> FaceDataset:
        """New people; with an attribute named, those who show it."""
        factors, labels, identity = sample_population(count, seed)
        rows = np.arange(count) if attribute is None else np.flatnonzero(labels[attribute])
        images = render(factors.iloc[rows], faces.size)
        return FaceDataset.from_arrays(images, labels.iloc[rows], identity=first_person + identity[rows])

    def part(data: FaceDataset) -> Part:
        return Part(features_of(data, space), signed_labels(data.attributes[[arguments.attr]]), people_of(data))

    train, valid = (part(split) for split in (faces.train, faces.valid) if split is not None)
    test = part(fresh(arguments.test, arguments.seed + 1, 2_000_000))
    share = float((train.labels[:, 0] > 0).mean())
    more = part(fresh(round(1.1 * arguments.added / share), arguments.seed, 1_000_000, arguments.attr))
    more = more.take(np.arange(min(arguments.added, len(more))))
    data = ExperimentData(
        [arguments.attr], train, more, np.zeros(len(train), dtype=np.int64), {"valid": valid, "test": test}
    )
    arms = [arm for arm in ARMS if arm.name in ("plain", ALL)]
    decisions = Experiment(Frozen(data)).run(arms)
    shown = data.test.known(0)[1]
    print(f"{arguments.attr}: {int((train.labels > 0).sum())} of {len(train):,} training faces")
    for name, runs in decisions.items():
        scores = [average_precisions(shown, run["test"][:, 0])[0] for run in runs]
        print(f"{name}: average precision {np.mean(scores):.4f} on test, {valid_score(data.valid, runs):.4f} on valid")
    effect = effect_on(data.test, decisions[ALL], decisions["plain"], seed=0)
    print(f"{len(more):,} real ones more: {effect.value:+.4f} ({effect.low:+.4f} to {effect.high:+.4f})")


if __name__ == "__main__":
    main()
