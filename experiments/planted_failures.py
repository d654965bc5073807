"""Does every evaluator see the failures that it is for, in known doses, and nothing where there is nothing?

    python experiments/planted_failures.py toy:9000
    python experiments/planted_failures.py celeba:/data/celeba-mini

All faces of a data set are split by person into three: those that a generator learns from, held-out ones, and a pool
that plays a perfect generator: real faces of other people. Failures are planted among the faces of the pool. Each
repeat draws another split. Features, likenesses and judged attributes of each face are computed once; a repeat runs
what is statistical in each evaluator on them, and raises the alarms that the evaluator would raise.
"""

from __future__ import annotations

import argparse
import io
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageFilter
from scipy import stats
from sklearn.cluster import KMeans
from tqdm import trange

from augface.classifiers.copies import CANDIDATES, CopyFinder
from augface.data import load_data
from augface.data.dataset import FaceDataset
from augface.evaluators._judge import Judge
from augface.evaluators.memorisation import CROWD, NON_MATES_NEARER
from augface.evaluators.modes import DUPLICATES_LEVEL, GROUP_FACES
from augface.features import DEFAULT_SPACE, create_feature_space
from augface.features.extraction import features_of
from augface.metrics import kernel_estimate, prdc_intervals, squared_interval
from augface.metrics.bin_shares import share_test
from augface.metrics.classification import two_sample_test
from augface.metrics.copying import Nearest, copied_share, copy_test, nearest_distance_ratio
from augface.metrics.duplicates import duplicate_test
from augface.metrics.multiple_testing import holm, weighted_bonferroni
from augface.metrics.neighbours import Neighbours
from augface.metrics.prevalence import MINIMUM, Requested, adherence_test

Rows = npt.NDArray[np.int64]
Image8 = npt.NDArray[np.uint8]

LISTED = 45
"""Nearest faces of each that are remembered: enough of them are real ones in any split."""
ATTRIBUTES = ("Smiling", "Eyeglasses", "Male")
GROUPS = ("Male", "Young", "Smiling", "Eyeglasses", "Wearing_Hat", "Blond_Hair", "Bangs")


def shifted(image: Image8, random: np.random.Generator) -> Image8:
    down, right = random.choice([-2, 2], 2)
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="edge")
    return padded[2 + down :, 2 + right :][: len(image), : len(image)]


def gamma(image: Image8, random: np.random.Generator) -> Image8:
    return np.asarray(255 * (image / 255) ** random.choice([0.8, 1.25]), dtype=np.uint8)


def jpeg(image: Image8, random: np.random.Generator) -> Image8:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "JPEG", quality=75)
    return np.asarray(Image.open(file))


def blur(image: Image8, random: np.random.Generator) -> Image8:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(2)))


def noise(image: Image8, random: np.random.Generator) -> Image8:
    return np.asarray((image + random.normal(0, 12, image.shape)).clip(0, 255), dtype=np.uint8)


CHANGES: dict[str, Callable[[Image8, np.random.Generator], Image8]] = {
    "flip": lambda image, random: image[:, ::-1],
    "shift": shifted,
    "gamma": gamma,
    "JPEG": jpeg,
    "all": lambda image, random: jpeg(gamma(shifted(image[:, ::-1], random), random), random),
    "blur": blur,
    "noise": noise,
}
COPIES = ("flip", "shift", "gamma", "JPEG", "all")
CHANGED = 2_100
"""Faces of which there is a changed version of each kind."""


@dataclass(frozen=True)
class World:
    """All faces as they are, and changed ones after them, with what is known of each.

    Attributes:
        features: (N, D) in the default space.
        pixels: (N, 768) small pixels.
        base: (N,) the unchanged face that each is or was.
        person: (N,) who is on it.
        labels: (N, attributes) of bool, of unchanged faces.
        judged: (N, attributes) probabilities by judges that have not learnt from the person.
        near, distance: (N, K) rows of unchanged faces that may be copied, and how near they are when laid over it.
        near_features, distance_features: the same in the default space.
        changed: of each kind of change the rows of the changed faces, and of what they were.
        clusters: of each number of clusters in pixels, which one each face is in.
    """

    features: npt.NDArray[np.float32]
    pixels: npt.NDArray[np.float32]
    base: Rows
    person: Rows
    labels: pd.DataFrame
    judged: pd.DataFrame
    near: Rows
    distance: npt.NDArray[np.float32]
    near_features: Rows
    distance_features: npt.NDArray[np.float32]
    changed: dict[str, tuple[Rows, Rows]]
    clusters: dict[int, Rows]


def prepare(spec: str, folder: Path) -> World:
    """Everything that is the same in each repeat; the likenesses, which take longest, are kept in the folder."""
    faces = load_data(spec, size=64)
    assert faces.identity is not None
    _, person = np.unique(faces.identity, return_inverse=True)
    random = np.random.default_rng(0)
    images, bases, changed = [np.asarray(faces.images)], [np.arange(len(faces))], {}
    for kind, change in CHANGES.items():
        base = np.sort(random.choice(len(faces), min(CHANGED, len(faces)), replace=False))
        start = sum(map(len, bases))
        images.append(np.stack([change(image, random) for image in faces.images[base]]))
        bases.append(base)
        changed[kind] = np.arange(start, start + len(base)), base
    everything = FaceDataset.from_arrays(np.concatenate(images), spec=spec)
    base = np.concatenate(bases)
    space = create_feature_space(DEFAULT_SPACE)
    features = np.concatenate(
        [features_of(faces, space), features_of(everything.select(slice(len(faces), None)), space)]
    )
    near, distance = likenesses(faces, everything, folder / f"{everything.source.content_hash[:16]}.npz")
    distance_features, near_features = Neighbours(features[: len(faces)]).search(features, 3 * LISTED)
    pixels = create_feature_space("pixels").extract(np.asarray(everything.images))
    return World(
        features=features,
        pixels=pixels,
        base=base,
        person=person[base],
        labels=faces.attributes.fillna(False).astype(bool),
        judged=judged(faces, everything, features, person[base], folder / f"{everything.source.content_hash[:16]}.csv"),
        near=near,
        distance=distance,
        near_features=near_features,
        distance_features=distance_features,
        changed=changed,
        clusters={
            count: KMeans(count, n_init=1, random_state=0).fit_predict(pixels[: len(faces)])
            for count in {round(1 / dose) for dose in DROPPED}
        },
    )


def likenesses(faces: FaceDataset, everything: FaceDataset, path: Path) -> tuple[Rows, npt.NDArray[np.float32]]:
    """The unchanged faces that each face may be a copy of, and their distances."""
    if not path.exists():
        rows, distances = CopyFinder(faces.images).candidates(everything.images, count=LISTED)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, rows=rows, distances=distances)
    kept = np.load(path)
    return kept["rows"], kept["distances"]


def judged(
    faces: FaceDataset, everything: FaceDataset, features: npt.NDArray[np.float32], person: Rows, path: Path
) -> pd.DataFrame:
    """What a judge sees on each face that has learnt from two thirds of the people, without the one on it."""
    if path.exists():
        return pd.read_csv(path, index_col=0)
    fold = np.random.default_rng(1).integers(0, 3, person.max() + 1)[person]
    tables = []
    for number in range(3):
        learn, told = np.flatnonzero(fold[: len(faces)] != number), np.flatnonzero(fold == number)
        judge = Judge.train(faces.select(learn), features[learn])
        assert judge is not None
        seen = judge.probabilities(everything.select(told), features[told])
        tables.append(pd.DataFrame(seen, index=told, columns=judge.attributes))
    table = pd.concat(tables).sort_index()
    table.to_csv(path)
    return table


@dataclass(frozen=True)
class Split:
    """Rows of unchanged faces: of the training, the held-out and the pool people."""

    train: Rows
    held_out: Rows
    pool: Rows


def split(world: World, random: np.random.Generator) -> Split:
    part = random.integers(0, 3, world.person.max() + 1)[world.person[: len(world.labels)]]
    return Split(*(np.flatnonzero(part == number) for number in range(3)))


Plant = Callable[[World, Split, float, int, np.random.Generator], Rows]
"""From a split, a dose and a number of faces to the rows of synthetic faces."""


def perfect(world: World, parts: Split, dose: float, count: int, random: np.random.Generator) -> Rows:
    return random.choice(parts.pool, min(count, len(parts.pool)), replace=False)


def copies(kind: str | None) -> Plant:
    """A share of the synthetic faces are training faces, as they are or changed."""

    def plant(world: World, parts: Split, dose: float, count: int, random: np.random.Generator) -> Rows:
        rows = perfect(world, parts, dose, count, random)
        number = round(dose * len(rows))
        originals = parts.train if kind is None else versions(world, kind, parts.train)
        rows[:number] = random.choice(originals, number, replace=False)
        return rows

    return plant


def versions(world: World, kind: str, of: Rows) -> Rows:
    """The changed versions of these faces, of those that have one."""
    rows, base = world.changed[kind]
    return rows[np.isin(base, of)]


def spoiled(kind: str) -> Plant:
    """A share of the made faces are blurred, noisy or recompressed non-mates."""

    def plant(world: World, parts: Split, dose: float, count: int, random: np.random.Generator) -> Rows:
        changed = versions(world, kind, parts.pool)
        count = min(count, int(len(changed) / dose))
        rows = perfect(world, parts, dose, count, random)
        rows[: round(dose * count)] = random.choice(changed, round(dose * count), replace=False)
        return rows

    return plant


def dropped_group(world: World, parts: Split, dose: float, count: int, random: np.random.Generator) -> Rows:
    """Without the joint group of attributes whose share is nearest to the dose."""
    groups = []
    for first, second in itertools.combinations(GROUPS, 2):
        for values in itertools.product((True, False), repeat=2):
            members = ((world.labels[first] == values[0]) & (world.labels[second] == values[1])).to_numpy()
            groups.append((abs(members.mean() - dose), members))
    return without(min(groups, key=lambda group: group[0])[1], parts, count, random)


def dropped_cluster(world: World, parts: Split, dose: float, count: int, random: np.random.Generator) -> Rows:
    """Without a cluster of faces that look alike in pixels, one of 1 / dose."""
    clusters = world.clusters[round(1 / dose)]
    return without(clusters == random.choice(clusters), parts, count, random)


def without(members: npt.NDArray[np.bool_], parts: Split, count: int, random: np.random.Generator) -> Rows:
    left = parts.pool[~members[parts.pool]]
    return random.choice(left, min(count, len(left)), replace=False)


def few_faces(world: World, parts: Split, dose: float, count: int, random: np.random.Generator) -> Rows:
    """Collapse: only so many different faces, again and again."""
    return random.choice(random.choice(parts.pool, int(dose), replace=False), count)


def duplicates(world: World, parts: Split, dose: float, count: int, random: np.random.Generator) -> Rows:
    """A share of the synthetic faces repeats another synthetic face, in another brightness."""
    rows = perfect(world, parts, dose, count, random)
    again = versions(world, "gamma", parts.pool)
    again = random.choice(again, round(dose * len(rows)), replace=False)
    changed, base = world.changed["gamma"]
    rows[: len(again)] = again
    rows[len(again) : 2 * len(again)] = base[np.searchsorted(changed, again)]
    return rows


def imbalanced(world: World, parts: Split, dose: float, count: int, random: np.random.Generator) -> Rows:
    """The share of one attribute is larger by the dose."""
    has = world.labels["Male"].to_numpy()[parts.pool]
    share = has.mean() + dose
    weights = np.where(has, share / has.sum(), (1 - share) / (~has).sum())
    return random.choice(parts.pool, min(count, len(parts.pool) // 2), replace=False, p=weights / weights.sum())


DROPPED = (0.05, 0.1, 0.5)
PLANTS: dict[str, tuple[Plant, tuple[float, ...]]] = {
    "nothing": (perfect, (0.0,)),
    "exact copies": (copies(None), (0.01, 0.02, 0.05, 0.2)),
    **{f"copies, {kind}": (copies(kind), (0.02, 0.05)) for kind in COPIES},
    "joint group dropped": (dropped_group, DROPPED),
    "cluster dropped": (dropped_cluster, DROPPED),
    "so many faces only": (few_faces, (500.0, 50.0)),
    "duplicates": (duplicates, (0.05, 0.2)),
    "more men": (imbalanced, (0.05, 0.2)),
    "blur": (spoiled("blur"), (0.1, 1.0)),
    "noise": (spoiled("noise"), (0.1, 1.0)),
    "JPEG": (spoiled("JPEG"), (0.1, 1.0)),
    "wrong labels": (perfect, (0.05, 0.1, 0.2, 0.5)),
}
REPEATING = ("so many faces only", "duplicates")


@dataclass(frozen=True)
class Trial:
    """One split with a failure planted among what is given out as made.

    Attributes:
        fakes: rows of the world.
        people: who is on them; each is somebody else where faces repeat each other, as nobody knows of synthetic ones.
        asked: their labels as they were requested.
        reference, other: as many held-out faces, and training faces, as the synthetic ones are compared with.
    """

    world: World
    parts: Split
    fakes: Rows
    people: Rows
    asked: pd.DataFrame
    reference: Rows
    other: Rows
    random: np.random.Generator


def trial(world: World, name: str, dose: float, count: int, random: np.random.Generator) -> Trial:
    parts = split(world, random)
    fakes = PLANTS[name][0](world, parts, dose, count, random)
    asked = world.labels.iloc[world.base[fakes]].reset_index(drop=True)
    if name == "wrong labels":
        wrong = random.random(asked.shape) < dose
        asked = asked ^ wrong
    reference, other = (random.permutation(side)[: len(fakes)] for side in (parts.held_out, parts.train))
    people = np.arange(len(fakes)) if name in REPEATING else world.person[fakes]
    return Trial(world, parts, fakes, people, asked, reference, other, random)


@dataclass(frozen=True)
class Answer:
    """What an evaluator says: whether it raises its alarm, and the number that is to grow with the dose."""

    alarm: bool
    value: float
    right: float = float("nan")
    """1 where an interval that is to hold a known truth holds it, else 0."""
    reach: float = float("nan")
    """Half of that interval."""


def memorisation(trial: Trial) -> dict[str, Answer]:
    world, parts = trial.world, trial.parts
    share = len(parts.train) / (len(parts.train) + len(parts.held_out))
    real = np.zeros(len(world.labels), dtype=np.int8)
    real[parts.held_out], real[parts.train] = 1, 2
    non_mates = trial.random.choice(parts.held_out, 600, replace=False)
    spaces, shares = [], []
    for near, distance, crowd in (
        (world.near, world.distance, CANDIDATES),
        (world.near_features, world.distance_features, CROWD),
    ):
        rows, scores = nearest_real(near[trial.fakes], distance[trial.fakes], real > 0, crowd)
        others = world.person[near[non_mates]] != world.person[non_mates][:, None]
        _, of_strangers = nearest_real(near[non_mates], np.where(others, distance[non_mates], np.inf), real > 0, crowd)
        from_train = real[rows] == 2
        spaces.append(Nearest(scores, 2 * world.person[rows] + from_train, from_train))
        shares.append(copied_share(spaces[-1], float(np.quantile(of_strangers, NON_MATES_NEARER)), share))
    test = copy_test(spaces, share, trial.random)
    truth = float(np.isin(world.base[trial.fakes], parts.train).mean())
    value, low, high = shares[0]
    return {"memorisation": Answer(test.p_value < 0.05, value, float(low <= truth <= high), (high - low) / 2)}


def nearest_real(
    near: Rows, distance: npt.NDArray[np.float32], real: npt.NDArray[np.bool_], crowd: int
) -> tuple[Rows, npt.NDArray[np.floating]]:
    """The real face nearest to each synthetic one, and its isolation, from those that are listed."""
    there = real[near] & np.isfinite(distance)
    listed = np.where(there & (there.cumsum(axis=1) <= crowd), distance, np.inf)
    scores, places = nearest_distance_ratio(listed)
    return near[np.arange(len(near)), places], scores


def modes(trial: Trial) -> dict[str, Answer]:
    world = trial.world
    reference, fake, other = (
        [space[rows] for space in (world.features, world.pixels)]
        for rows in (trial.reference, trial.fakes, trial.other)
    )
    test = share_test(
        reference,
        fake,
        other,
        reference_people=world.person[trial.reference],
        fake_people=trial.people,
        **groups(trial),
        random=trial.random,
    )
    repeated = duplicate_test(
        world.pixels[trial.fakes],
        [world.pixels[trial.reference], world.pixels[trial.other]],
        fake_people=trial.people,
        real_people=[world.person[trial.reference], world.person[trial.other]],
    )
    p_value, duplicates_p_value = weighted_bonferroni(
        (test.p_value, 1 - DUPLICATES_LEVEL), (repeated.p_value, DUPLICATES_LEVEL)
    )
    missing = test.spaces[0].missing
    return {
        "modes": Answer(min(p_value, duplicates_p_value) < 0.05, missing.value),
        "modes, duplicates": Answer(duplicates_p_value < 0.05, repeated.separate),
    }


def groups(trial: Trial) -> dict[str, npt.NDArray[np.bool_]]:
    """All combinations of pairs of attributes, as the judge sees them, that are frequent enough."""
    shown = trial.world.judged[list(GROUPS)].to_numpy() > 0.5
    members = [
        (shown[:, list(pair)] == values).all(axis=1)
        for pair in itertools.combinations(range(len(GROUPS)), 2)
        for values in itertools.product((True, False), repeat=2)
    ]
    sides = [np.stack(members, axis=1)[rows] for rows in (trial.reference, trial.fakes)]
    enough = sides[0].sum(axis=0) + sides[1].sum(axis=0) >= GROUP_FACES
    return {"reference_groups": sides[0][:, enough], "fake_groups": sides[1][:, enough]}


def real_vs_fake(trial: Trial) -> dict[str, Answer]:
    world = trial.world
    test = two_sample_test(
        world.features[trial.reference],
        world.features[trial.fakes],
        real_people=world.person[trial.reference],
        fake_people=trial.people,
        random=trial.random,
    )
    return {"real_vs_fake": Answer(test.p_value < 0.05, test.auc.value)}


def fidelity(trial: Trial) -> dict[str, Answer]:
    world = trial.world
    reference, fake, other = (world.features[rows] for rows in (trial.reference, trial.fakes, trial.other))
    people = world.person[trial.reference]
    made, null = (kernel_estimate(reference, side, people, persons) for side, persons in (
        (fake, trial.people), (other, world.person[trial.other])))  # fmt: skip
    intervals = [squared_interval(each.value, each.standard_error) for each in (made, null)]
    measured, nulls = (
        prdc_intervals(reference, side, real_groups=people, fake_groups=persons, random=trial.random)
        for side, persons in ((fake, trial.people), (other, world.person[trial.other]))
    )
    return {
        "kernel distance": Answer(intervals[0].low > intervals[1].high, made.value),
        **{name: Answer(measured[name].high < nulls[name].low, 1 - measured[name].value)
           for name in ("precision", "coverage")},
    }  # fmt: skip


def adherence(trial: Trial) -> dict[str, Answer]:
    """One family of three attributes; the baseline is of half of the held-out faces with their own labels."""
    world = trial.world
    answers: dict[str, Answer] = {}
    p_values: dict[tuple[str, bool], float] = {}
    worse: dict[tuple[str, bool], bool] = {}
    half = trial.random.permutation(world.person.max() + 1)[world.person[trial.reference]] % 2 == 0
    for name in ATTRIBUTES:
        judged, labels = world.judged[name].to_numpy(), world.labels[name].to_numpy()
        test = adherence_test(
            judged[trial.fakes],
            trial.asked[name],
            judged[trial.reference],
            labels[trial.reference],
            people=world.person[trial.reference],
            fake_people=trial.people,
        )
        ours, others = trial.reference[half], trial.reference[~half]
        base: Mapping[bool, Requested] = {}
        if min(labels[others].sum(), (~labels[others]).sum()) >= MINIMUM:
            base = adherence_test(
                judged[ours],
                labels[ours],
                judged[others],
                labels[others],
                people=world.person[others],
                fake_people=world.person[ours],
            ).requested
        truth = float((trial.asked[name] == labels[world.base[trial.fakes]]).mean())
        value, low, high = test.share
        for kind, asked in test.requested.items():
            p_values[name, kind] = asked.p_value
            worse[name, kind] = asked.share.value < (min(base[kind].share.low, 1) if kind in base else 1)
        answers[f"adherence, {name}"] = Answer(False, 1 - value, float(low <= truth <= high), (high - low) / 2)
    alarm = any(p_value < 0.05 and worse[family] for family, p_value in holm(p_values).items())
    return {"adherence": Answer(alarm, max(answer.value for answer in answers.values())), **answers}


ALARMS: tuple[Callable[[Trial], dict[str, Answer]], ...] = (modes, memorisation, adherence, real_vs_fake, fidelity)
UNCALIBRATED = (fidelity,)
"""What only warns, and is slow: it is not run in all of the many repeats with nothing planted."""


def run(world: World, name: str, dose: float, options: argparse.Namespace) -> Iterator[dict[str, object]]:
    """One row an evaluator and repeat."""
    repeats = options.null if name == "nothing" else options.repeats
    for repeat in trange(repeats, desc=f"{name} {dose_text(name, dose)}", disable=not sys.stderr.isatty()):
        random = np.random.default_rng([repeat, *name.encode(), round(1000 * dose)])
        planted = trial(world, name, dose, options.count, random)
        for alarm in ALARMS:
            if (options.only and alarm.__name__ not in options.only) or (
                alarm in UNCALIBRATED and repeat >= options.repeats
            ):
                continue
            for evaluator, answer in alarm(planted).items():
                yield {"evaluator": evaluator, "plant": name, "dose": dose, "repeat": repeat, **vars(answer)}


def dose_text(plant: str, dose: float) -> str:
    return {"nothing": "", "so many faces only": f"{dose:.0f}", "more men": f"+{dose:.0%}"}.get(plant, f"{dose:.0%}")


def markdown(frame: pd.DataFrame) -> str:
    lines = [list(map(str, frame.columns)), ["---"] * frame.shape[1], *frame.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def means_of_each(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """In the order in which they come."""
    means = rows.groupby(["plant", "dose", "evaluator"], sort=False)[column].mean().unstack()
    order = rows[["plant", "dose"]].drop_duplicates()
    return means.reindex(index=pd.MultiIndex.from_frame(order), columns=rows.evaluator.unique())


def of_each(rows: pd.DataFrame, column: str, form: str) -> pd.DataFrame:
    """One row a plant and dose, one column an evaluator: means."""
    means = means_of_each(rows, column)
    table = means.map(lambda value: "" if np.isnan(value) else format(value, form)).reset_index()
    table["dose"] = [dose_text(plant, dose) for plant, dose in zip(table["plant"], table["dose"], strict=True)]
    return table


def false_alarms(rows: pd.DataFrame) -> pd.DataFrame:
    """How often each alarm is raised by nothing, with the exact binomial interval."""
    lines = []
    for evaluator, own in rows[rows.plant == "nothing"].groupby("evaluator", sort=False):
        ends = stats.binomtest(int(own.alarm.sum()), len(own)).proportion_ci()
        lines.append([evaluator, f"{own.alarm.mean():.1%}", f"{ends.low:.1%} to {ends.high:.1%}", len(own)])
    return pd.DataFrame(lines, columns=["alarm", "raised by nothing", "95 % interval", "repeats"])


def draw(rows: pd.DataFrame, path: Path, title: str) -> None:
    """All alarms at a glance: how often each is raised, in colour and in numbers."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    rates = means_of_each(rows.assign(alarm=100.0 * rows.alarm), "alarm")
    rates.index = pd.Index([f"{plant} {dose_text(plant, dose)}".strip() for plant, dose in rates.index])
    figure, axes = plt.subplots(figsize=(1.1 * rates.shape[1] + 2.6, 0.27 * len(rates) + 1.4), layout="constrained")
    colours = sns.light_palette("#0b6e99", as_cmap=True)
    sns.heatmap(rates, annot=True, fmt=".0f", vmin=0, vmax=100, cmap=colours, linewidths=1, cbar=False, ax=axes)
    axes.set(xlabel="", ylabel="", title=title)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="celeba:DIR or toy:N, with identities")
    parser.add_argument("--repeats", type=int, default=20, help="splits of each failure and dose")
    parser.add_argument("--null", type=int, default=1000, help="splits with nothing planted")
    parser.add_argument("--count", type=int, default=1000, help="synthetic faces, and as many real ones")
    parser.add_argument("--only", nargs="*", default=[], help="evaluators")
    parser.add_argument("--plants", nargs="*", default=list(PLANTS), help="failures")
    parser.add_argument("--out", type=Path, default=Path("runs/proofs"), help="likenesses, rows and the figure")
    options = parser.parse_args()
    world = prepare(options.data, options.out)
    plants = [(name, dose) for name in options.plants for dose in PLANTS[name][1]]
    rows = pd.DataFrame(row for name, dose in plants for row in run(world, name, dose, options))
    name = options.data.partition(":")[0]
    rows.to_csv(options.out / f"{name}.csv", index=False)
    alarms = rows[~rows.evaluator.str.contains(",")]
    print(markdown(false_alarms(alarms)), "\n")
    print("How often each alarm is raised, in percent\n")
    print(markdown(of_each(alarms.assign(alarm=100 * alarms.alarm), "alarm", ".0f")), "\n")
    print("The measures\n")
    print(markdown(of_each(alarms, "value", ".4f")), "\n")
    known = rows[rows.right.notna()]
    print("How often intervals hold the truth, and half their width\n")
    print(markdown(of_each(known, "right", ".2f")), "\n")
    print(markdown(of_each(known, "reach", ".3f")))
    draw(alarms, options.out / f"{name}.webp", f"{name}: alarms in percent of splits")


if __name__ == "__main__":
    main()
