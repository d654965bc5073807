"""Is what was changed on purpose the part of the distance that is named first?

    python experiments/decomposition_proofs.py celeba:/data/celeba-mini

All faces are split by person into held-out ones, other real ones and a pool of real faces of other people, which are
changed: their features are shifted or scaled, they are blurred, or modes are dropped. Each repeat draws another split.
Blur is named right where the shift comes first and is taken for that of blur.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from tqdm import trange

from augface.classifiers.plausibility import damaged
from augface.data import load_data
from augface.data.dataset import FaceDataset
from augface.evaluators.decomposition import ALIKE, DAMAGE, DAMAGED
from augface.features import create_feature_space
from augface.features.extraction import features_of
from augface.metrics.decomposition import decompose, explained_shift

Matrix = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
CHANGED = 2_100
"""Faces that there are blurred and noisy versions of."""


@dataclass(frozen=True)
class World:
    """All faces.

    Attributes:
        features: (N, D).
        person: (N,).
        men: (N,) who is a man.
        clusters: of each number of k-means clusters of features, which one each face is in.
        changed: (CHANGED,) rows of the faces that there are other versions of; their features by kind.
        directions: (K, D) in which the kinds of damage move features.
    """

    features: Matrix
    person: Rows
    men: npt.NDArray[np.bool_]
    clusters: dict[int, Rows]
    changed: Rows
    versions: dict[str, Matrix]
    directions: Matrix


def prepare(spec: str) -> World:
    faces = load_data(spec, size=64)
    assert faces.identity is not None
    space = create_feature_space()
    features = features_of(faces, space).astype(np.float64)
    random = np.random.default_rng(0)
    changed = np.sort(random.choice(len(faces), min(CHANGED, len(faces)), replace=False))
    versions = {}
    for name, pixels in (("blur 1 px", 1), ("blur 2 px", 2)):
        images = [
            np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(pixels)))
            for image in faces.images[changed]
        ]
        versions[name] = features_of(FaceDataset.from_arrays(np.stack(images)), space).astype(np.float64)
    noisy = np.asarray(faces.images[changed]) + random.normal(0, 12, (len(changed), 64, 64, 3))
    noisy_faces = FaceDataset.from_arrays(noisy.clip(0, 255).round().astype(np.uint8))
    versions["noise"] = features_of(noisy_faces, space).astype(np.float64)
    some = np.asarray(faces.images[:DAMAGED])
    directions = [
        features_of(FaceDataset.from_arrays(damaged(some, random, (kind,))), space).mean(axis=0)
        - features[:DAMAGED].mean(axis=0)
        for kind in DAMAGE
    ]
    reduced = PCA(20, random_state=0).fit_transform(features)
    return World(
        features=features,
        person=np.unique(faces.identity, return_inverse=True)[1],
        men=faces.attributes["Male"].fillna(False).to_numpy(dtype=bool),
        clusters={count: KMeans(count, n_init=1, random_state=count).fit_predict(reduced) for count in (4, 10)},
        changed=changed,
        versions=versions,
        directions=np.array(directions, dtype=np.float64),
    )


Plant = Callable[[World, Rows, int, np.random.Generator], Matrix]
"""From the rows of the pool and a number of faces to the features of what stands for synthetic ones."""


def unchanged(world: World, pool: Rows, count: int, random: np.random.Generator) -> Matrix:
    return np.asarray(world.features[random.choice(pool, min(count, len(pool)), replace=False)])


def shifted(length: float) -> Plant:
    """By so many standard deviations, in a random direction of those in which real faces vary."""

    def plant(world: World, pool: Rows, count: int, random: np.random.Generator) -> Matrix:
        rows = unchanged(world, pool, count, random)
        directions = PCA(30, svd_solver="randomized", random_state=0).fit(rows).components_
        direction = random.standard_normal(30) @ directions
        spread = np.sqrt(rows.var(axis=0).sum())
        return np.asarray(rows + length * spread * direction / np.linalg.norm(direction))

    return plant


def scaled(factor: float) -> Plant:
    def plant(world: World, pool: Rows, count: int, random: np.random.Generator) -> Matrix:
        rows = unchanged(world, pool, count, random)
        return np.asarray(rows.mean(axis=0) + factor * (rows - rows.mean(axis=0)))

    return plant


def version(name: str) -> Plant:
    def plant(world: World, pool: Rows, count: int, random: np.random.Generator) -> Matrix:
        own = np.flatnonzero(np.isin(world.changed, pool))
        return np.asarray(world.versions[name][random.choice(own, min(count, len(own)), replace=False)])

    return plant


def dropped(count_of_clusters: int) -> Plant:
    """Without one of so many clusters of faces."""

    def plant(world: World, pool: Rows, count: int, random: np.random.Generator) -> Matrix:
        clusters = world.clusters[count_of_clusters]
        return unchanged(world, pool[clusters[pool] != random.integers(count_of_clusters)], count, random)

    return plant


def without_men(world: World, pool: Rows, count: int, random: np.random.Generator) -> Matrix:
    return unchanged(world, pool[~world.men[pool]], count, random)


PLANTS: dict[str, tuple[Plant, str]] = {
    "nothing": (unchanged, ""),
    "shift of 0.15 SD": (shifted(0.15), "shift"),
    "shift of 0.3 SD": (shifted(0.3), "shift"),
    "deviations x 0.9": (scaled(0.9), "scale"),
    "deviations x 0.8": (scaled(0.8), "scale"),
    "blur of 1 px": (version("blur 1 px"), "blur"),
    "blur of 2 px": (version("blur 2 px"), "blur"),
    "noise": (version("noise"), "noise"),
    "one of 10 clusters dropped": (dropped(10), "composition"),
    "one of 4 clusters dropped": (dropped(4), "composition"),
    "men dropped": (without_men, "composition"),
}
"""What is done, and what is to be named first."""


def named(world: World, real: Rows, other: Rows, fake: Matrix, random: np.random.Generator) -> str:
    parts = decompose(
        world.features[real],
        fake,
        world.features[other],
        real_groups=world.person[real],
        other_groups=world.person[other],
        random=random,
    )
    if parts.largest != "shift":
        return parts.largest
    held_out = world.features[real]
    noise = sum(side.var(axis=0).sum() / len(side) for side in (held_out, fake))
    explained = explained_shift(fake.mean(axis=0) - held_out.mean(axis=0), world.directions, noise)
    return DAMAGE[int(explained.argmax())] if explained.max() >= ALIKE else "shift"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="celeba:DIR or toy:N, with identities")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--plants", nargs="*", default=list(PLANTS))
    options = parser.parse_args()
    world = prepare(options.data)
    print("| changed | named first, in percent of splits | right |")
    print("|---|---|---|")
    for name in options.plants:
        plant, right = PLANTS[name]
        found: Counter[str] = Counter()
        for repeat in trange(options.repeats, desc=name, disable=not sys.stderr.isatty()):
            random = np.random.default_rng([repeat, *name.encode()])
            part = random.integers(0, 3, world.person.max() + 1)[world.person]
            held_out, other, pool = (np.flatnonzero(part == number) for number in range(3))
            fake = plant(world, pool, options.count, random)
            real, others = (random.permutation(side)[: len(fake)] for side in (held_out, other))
            found[named(world, real, others, fake, random) or "nothing"] += 1
        said = ", ".join(f"{part} {100 * count / options.repeats:.0f}" for part, count in found.most_common())
        share = found[right or "nothing"] / options.repeats
        print(f"| {name} | {said} | {share:.0%} |", flush=True)


if __name__ == "__main__":
    main()
