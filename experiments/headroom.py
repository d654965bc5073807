"""Does the headroom's interval cover the truth? Held-out real faces are added, and what they gain is compared with it.

    python experiments/headroom.py celeba:/data/celeba --ask Eyeglasses:25,Smiling:300 --repeats 100
    python experiments/headroom.py toy:16000 --ask Eyeglasses:50,Wearing_Hat:25 --repeats 100

Each repeat draws people anew, to learn from, to choose on and to score on. So many faces that show the attribute are
given to the headroom; the truth is what seven times as many others add to them, on the same test faces. On features
that are extracted once; to be quick on so many repeats, with fewer faces without the attribute and fewer features
than `rebalance` takes.
"""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.decomposition import PCA

import augface
from augface.data.dataset import signed_labels
from augface.downstream.analysis import people_of
from augface.downstream.arms import Arm
from augface.downstream.data import KEPT, ExperimentData, Part
from augface.downstream.experiment import Experiment, precisions
from augface.downstream.frozen import Frozen
from augface.downstream.headroom import PLAIN, TIMES, Headroom, headroom
from augface.features import create_feature_space
from augface.features.extraction import features_of
from augface.metrics import proportion_interval
from augface.seeds import random_generator

SHARES = (0.2, 0.15)
"""Of the people: to score on and to choose on; the others are learnt from."""
ALL = Arm("all", "the held-out real faces added", synthetic=1 / KEPT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--ask", required=True, help="attributes and how many faces show them: Eyeglasses:25,...")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--dimensions", type=int, default=48)
    parser.add_argument("--others", type=int, default=1200, help="faces without the attribute")
    arguments = parser.parse_args()
    faces = augface.load_data(arguments.data)
    features = PCA(arguments.dimensions, random_state=0).fit_transform(features_of(faces, create_feature_space()))
    print("| attribute | faces | truth | headroom | covered | within what is seen, and said to be |", flush=True)
    print("|---|---|---|---|---|---|", flush=True)
    for name, faces_of_it in (each.split(":") for each in arguments.ask.split(",")):
        everyone = Part(features.astype(np.float32), signed_labels(faces.attributes[[name]]), people_of(faces))
        found = [
            once(everyone, name, int(faces_of_it), arguments.others, repeat) for repeat in range(arguments.repeats)
        ]
        print(row(name, int(faces_of_it), found), flush=True)


def row(name: str, count: int, found: list[tuple[Headroom, float]]) -> str:
    """One line of the table."""
    truths = np.array([truth for _, truth in found])
    rooms = [room for room, _ in found]
    covered = sum(room.low <= truth <= room.high for room, truth in found)
    share, low, high = proportion_interval(covered, len(found))
    said = sum(room.nothing_to_gain for room in rooms)
    right = sum(room.nothing_to_gain and truth < room.visible for room, truth in found)
    means = [np.mean([getattr(room, key) for room in rooms]) for key in ("value", "low", "high")]
    return (
        f"| {name} | {count} | {truths.mean():+.3f} | {means[0]:+.3f} ({means[1]:+.3f} to {means[2]:+.3f}) | "
        f"{share:.0%} ({low:.0%} to {high:.0%}) | {right} of {said} |"
    )


def once(everyone: Part, name: str, count: int, others: int, repeat: int) -> tuple[Headroom, float]:
    """The headroom of some faces, and what others really add."""
    random = random_generator(repeat, "headroom")
    people = random.permutation(np.unique(everyone.people))
    ends = np.cumsum([round(share * len(people)) for share in SHARES])
    test, valid, pool = (np.flatnonzero(np.isin(everyone.people, group)) for group in np.split(people, ends))
    pool = random.permutation(pool)
    shown = everyone.labels[pool, 0] > 0
    positives, negatives = pool[shown], pool[~shown][:others]
    if len(positives) < TIMES * count:
        raise SystemExit(f"{name}: {len(positives)} faces to learn from show it, and {TIMES * count} are needed.")
    real = everyone.take(np.append(positives[:count], negatives))
    more = everyone.take(positives[count : TIMES * count])
    held_out = {"valid": everyone.take(valid), "test": everyone.take(test)}
    data = ExperimentData([name], real, more, np.zeros(len(real), np.int64), held_out)
    experiment = Experiment(Frozen(data), repeat, seeds=1)
    decisions = experiment.run([PLAIN, ALL])
    rows, scored = data.test.known(0)
    without, with_more = (
        precisions(scored, data.test.people[rows], [decisions[arm.name][0]["test"][rows, 0]], draws=1)[0, 0]
        for arm in (PLAIN, ALL)
    )
    room = headroom(experiment)
    assert room is not None
    return room, float(with_more - without)


if __name__ == "__main__":
    main()
