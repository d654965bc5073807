"""Whose photos a generator learnt from: level, power by training-set size, and a planted leak.

    python experiments/membership.py celeba:/data/celeba-mini --folder runs/membership

Generators are trained on 50, 500 and 5,000 faces of the train split, and one more on other people of it, which serves
as the reference of the likelihood ratio. `resample` repeats its training faces: the leak that must be found. Held-out
people are those of the other splits. For the level, held-out people are drawn and split at random into two halves, of
which the reference generator has learnt neither, and everything is computed anew.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import stats
from tqdm import trange

from augface.data import load_data
from augface.data.dataset import FaceDataset
from augface.features import create_feature_space
from augface.features.extraction import features_of
from augface.generators import create_generator, load_generator
from augface.generators.base import Generator
from augface.metrics import Interval, auc_interval, face_scores, found_at, membership_test, person_scores

Matrix = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
SIZES = (50, 500, 5_000)
REFERENCE = 1_000
"""Faces of the reference generator, of people whom no other generator has seen."""
SAMPLES = 1_000
LOOKED_AT = 2_000
"""Training faces that are looked at, where there are more."""
POWER_PEOPLE, POWER_REPEATS = 20, 50
"""Training people of each repeat that power is told for, and repeats."""


def people_in_order(faces: FaceDataset) -> Rows:
    """Rows in a random order that keeps the photos of a person together."""
    assert faces.identity is not None
    names, numbers = np.unique(faces.identity, return_inverse=True)
    return np.argsort(np.random.default_rng(0).permutation(len(names))[numbers], kind="stable")


def trained(name: str, faces: FaceDataset, folder: Path, budget: str, channels: int) -> Generator:
    """A generator from the folder, or trained into it."""
    if not folder.exists():
        generator = create_generator(name, **({"channels": channels} if name == "dcgan" else {}))
        generator.fit(faces, budget=budget, seed=0)
        generator.save(folder)
    return load_generator(folder)


def scores_of(
    real: Matrix, people: Rows, synthetic: Matrix, references: list[Matrix], seed: int, realness: Matrix | None = None
) -> dict[str, npt.NDArray[np.float64]]:
    found = face_scores(real, synthetic, people, references=references, random=np.random.default_rng(seed))
    if realness is not None:
        found["generator"] = realness.astype(np.float64)
    return {name: person_scores(values, people) for name, values in found.items()}


def shown(number: Interval) -> str:
    return f"{number.value:.3f} ({number.low:.3f} to {number.high:.3f})"


def line(name: str, scores: dict[str, npt.NDArray[np.float64]], member: npt.NDArray[np.bool_]) -> str:
    """A row of the table."""
    random = np.random.default_rng(0)
    test = membership_test(scores, member, random)
    found = [found_at(rate, test.joined[member], test.joined[~member], random) for rate in (0.01, 0.05)]
    auc, _ = auc_interval(test.joined[~member], test.joined[member])
    each = ", ".join(f"{key} {auc_interval(one[~member], one[member])[0].value:.2f}" for key, one in scores.items())
    power = np.mean([_power(scores, member, repeat) for repeat in range(POWER_REPEATS)])
    cells = [name, f"{member.sum()}", f"{test.p_value:.4f}", shown(auc), *map(shown, found), each, f"{power:.2f}"]
    return f"| {' | '.join(cells)} |"


def _power(scores: dict[str, npt.NDArray[np.float64]], member: npt.NDArray[np.bool_], repeat: int) -> bool:
    """Whether so few training people against as many held-out ones as there are, up to 200, raise the alarm."""
    random = np.random.default_rng(repeat)
    own, others = np.flatnonzero(member), np.flatnonzero(~member)
    chosen = np.concatenate(
        [random.permutation(own)[:POWER_PEOPLE], random.permutation(others)[: min(200, len(others))]]
    )
    return membership_test({key: one[chosen] for key, one in scores.items()}, member[chosen], random).p_value <= 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="celeba:DIR or another data set with splits and identities")
    parser.add_argument("--folder", type=Path, required=True, help="where generators are kept")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--budget", default="20k")
    parser.add_argument("--channels", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=1000)
    options = parser.parse_args()
    faces, space = load_data(options.data, size=options.size), create_feature_space()
    assert faces.train is not None
    assert faces.split is not None
    train, held_out = faces.train, faces.select(faces.split != "train")
    order = people_in_order(train)
    held_features = features_of(held_out, space)
    looked_at = np.sort(order[:LOOKED_AT])
    train_features = np.zeros((len(train), space.dimension), dtype=np.float32)
    train_features[looked_at] = features_of(train.select(looked_at), space)
    assert held_out.identity is not None
    assert train.identity is not None

    def generator(name: str, rows: Rows, label: str) -> Generator:
        return trained(name, train.select(rows), options.folder / label, options.budget, options.channels)

    def samples(drawn: Generator) -> Matrix:
        return features_of(drawn.sample(SAMPLES, seed=1), space)

    reference = samples(generator("dcgan", np.sort(order[-REFERENCE:]), "dcgan-reference"))
    rejected, called = [], []
    for repeat in trange(options.repeats, disable=not sys.stderr.isatty()):
        random = np.random.default_rng(repeat)
        names = random.choice(np.unique(held_out.identity), 200, replace=False)
        chosen = np.flatnonzero(np.isin(held_out.identity, names))
        unique, people = np.unique(held_out.identity[chosen], return_inverse=True)
        drawn = reference[random.choice(len(reference), 500, replace=False)]
        scores = scores_of(held_features[chosen], people, drawn, [], repeat)
        member = random.permutation(len(unique)) < len(unique) // 2
        test = membership_test(scores, member, random)
        rejected.append(test.p_value <= 0.05)
        called.append(np.mean(test.person_p_values[member] <= 0.05))
    ends = stats.binomtest(int(np.sum(rejected)), len(rejected)).proportion_ci(method="exact")
    print(
        f"Nothing learnt: alarm in {np.mean(rejected):.3f} ({ends.low:.3f} to {ends.high:.3f}) of {len(rejected):,} "
        f"splits; people called training people at 5 %: {np.mean(called):.4f}.\n",
        flush=True,
    )
    print("| generator | people | p | AUC | found at 1 % | found at 5 % | AUC of each score | power with 20 people |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name in ("dcgan", "resample"):
        for count in SIZES:
            rows = np.sort(order[:count])
            model = generator(name, rows, f"{name}-{count}")
            synthetic = samples(model)
            some = np.intersect1d(rows, looked_at)
            real = np.concatenate([train_features[some], held_features])
            names, people = np.unique(np.concatenate([train.identity[some], held_out.identity]), return_inverse=True)
            images = np.concatenate([train.images[some], np.asarray(held_out.images)])
            for label, others in (("", []), (", beside a reference generator", [reference])):
                scores = scores_of(real, people, synthetic, others, 0, model.realness(images))
                member = np.isin(names, train.identity[some])
                print(line(f"{name}, {count:,} faces{label}", scores, member), flush=True)


if __name__ == "__main__":
    main()
