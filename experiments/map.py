"""Where do synthetic faces help? Regimes with few or no faces of a kind, against every method that does without them.

    python experiments/map.py celeba:/data/celeba --out runs/map plan
    python experiments/map.py celeba:/data/celeba --out runs/map absent --generator composite
    python experiments/map.py celeba:/data/celeba --out runs/map absent --generator composite --confirm
    python experiments/map.py celeba:/data/celeba --out runs/map scarce --generator composite
    python experiments/map.py celeba:/data/celeba --out runs/map null --repeats 400
    python experiments/map.py celeba:/data/celeba --out runs/map summary --figure docs/images/map.webp

`plan` writes what is going to be tested, before any test face is looked at: the cells to develop on and those to
confirm on, the budgets, the arms and the test. The other steps refuse to run without it, or with another one. Each
finished case is a file in the output folder, and the same command goes on from there. All learn on features that are
extracted once.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter
from sklearn.decomposition import PCA

import augface
from augface.data.dataset import FaceDataset, signed_labels
from augface.downstream import linear
from augface.downstream.analysis import people_of
from augface.downstream.arms import ARMS, PAIRS, REAL_ONLY, Arm
from augface.downstream.data import ExperimentData, Part
from augface.downstream.experiment import Experiment
from augface.downstream.frozen import Frozen
from augface.features import create_feature_space
from augface.features.base import Features
from augface.features.extraction import features_of
from augface.files import atomic_write
from augface.generators import GENERATORS
from augface.metrics import proportion_interval
from augface.metrics.effects import LEVEL, Effect, paired_effect, people_weights
from augface.metrics.multiple_testing import holm
from augface.metrics.scores import average_precisions
from augface.metrics.thresholds import balanced_threshold
from augface.seeds import random_generator

PLAN: dict[str, Any] = {
    "group": "Male",
    "develop": [["Black_Hair", 0], ["Smiling", 1]],
    "confirm": [["Smiling", 0], ["Mouth_Slightly_Open", 1], ["Bangs", 1], ["Big_Nose", 0]],
    "scarce": ["Eyeglasses", "Wearing_Hat"],
    "budgets": [10, 25, 50, 100, 200, 0],
    "synthetic_arms": ["synthetic 25%", "synthetic", "synthetic, last-layer retraining", "pairs"],
    "primary": "pairs",
    "pairs_share": 0.3,
    "faces": 500,
    "seeds": 3,
    "dimensions": 64,
    "score": "average precision, the four cells of attribute and group weighted alike where a cell is absent",
    "test": "the primary arm against the best real-only arm on test, one-sided at 2.5 %, Holm over confirmation cells",
}
"""A budget of 0 is all positives; a cell is an attribute that is present in a group of this value."""
LEVELS = (0, 10, 25, 50, 100, 200, 400)
"""Positives of the table's rows: none in a cell, then the budgets; the last stands for all."""
BOOTSTRAPS = 300
EVERY_ARM = tuple(arm for arm in (*ARMS, *REAL_ONLY, PAIRS) if Frozen.supports(arm))
NULL_DRAWS = 100
NULL_ARMS = ("plain", "group-balanced", "complete groups, balanced", "logit adjustment")
CORRUPTIONS = 4
BLOCK = 50
"""Repeats of the null that make one finished case."""

Rows = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """Scores of each arm: (S, 1 + B) weighted average precisions, and the worst accuracy of any cell of each seed."""

    precisions: dict[str, Array]
    worst: dict[str, list[float]]
    people: int

    def effect(self, arm: str, other: str) -> Effect:
        """One arm minus another, over seeds and test people."""
        differences = self.precisions[arm] - self.precisions[other]
        return paired_effect(differences[:, 0], differences[:, 1:], self.people)

    def best(self, arms: Sequence[str]) -> str:
        """The arm with the highest score on test: the hardest to beat."""
        return max((arm for arm in arms if arm in self.precisions), key=lambda arm: self.precisions[arm][:, 0].mean())


@dataclass(frozen=True)
class Study:
    """The data, their features, and where results are kept."""

    data: FaceDataset
    out: Path

    @cached_property
    def features(self) -> Features:
        """Of all faces."""
        return features_of(self.data, create_feature_space())

    @cached_property
    def male(self) -> npt.NDArray[np.bool_]:
        """(N,) who is in the group."""
        return self.data.matching({PLAN["group"]: True})

    def part(self, rows: Rows, attribute: str, features: Features | None = None) -> Part:
        """Faces of the data, or others in their place."""
        labels = signed_labels(self.data.attributes[[attribute]])[rows]
        return Part(self.features[rows] if features is None else features, labels, people_of(self.data)[rows])

    def rows(self, split: str) -> Rows:
        """Of a split."""
        return np.flatnonzero(self.data.split == split)

    def made(self, generator: str, left: Rows, where: dict[str, bool], attribute: str, seed: int, budget: str) -> Part:
        """Synthetic faces with the attribute, and their twins without it, by a generator that has seen `left` alone."""
        file = (
            self.out
            / "made"
            / f"{generator}-{'-'.join(f'{k}{int(v)}' for k, v in where.items())}-{len(left)}-{seed}.npz"
        )
        if not file.is_file():
            fields = GENERATORS.get(generator).Config.model_fields
            settings = {"balance_share": 0.1} if "balance_share" in fields else {}
            created = augface.create_generator(generator, balance=(attribute,), **settings)
            train = self.data.select(left)
            created.fit(train, budget=budget, seed=seed)
            faces = created.sample(PLAN["faces"], where=where, seed=seed)
            images = [np.asarray(faces.images)]
            hosts = None if faces.factors is None else faces.factors.get("host")
            if hosts is None:
                twins = created.sample(PLAN["faces"], where={**where, attribute: False}, seed=seed)
                images.append(np.asarray(twins.images))
            elif not train.matching({**where, attribute: True})[hosts.to_numpy(int)].any():
                images.append(np.asarray(train.images)[hosts.to_numpy(int)])
            whole = FaceDataset.from_arrays(np.concatenate(images))
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(
                file, features=features_of(whole, create_feature_space()), faces=len(faces), images=whole.images[:24]
            )
        with np.load(file) as saved:
            found, count = saved["features"], int(saved["faces"])
        labels = np.where(np.arange(len(found)) < count, 1, -1).astype(np.float32)[:, None]
        return Part(found, labels, -1 - np.arange(len(found)))

    def score(
        self,
        data: ExperimentData,
        arms: Sequence[Arm],
        test: Rows,
        *,
        cells: bool,
        seed: int = 0,
        seeds: int = 0,
        draws: int = BOOTSTRAPS,
    ) -> Scored:
        """Run the arms and score them on test faces."""
        decisions = Experiment(Frozen(data), seed, seeds or PLAN["seeds"]).run(arms)
        known, shown = data.test.known(0)
        people, male = data.test.people[known], self.male[test][known]
        weights = people_weights(people, random_generator(seed, "test people"), draws)
        weights = np.concatenate([np.ones((1, len(known))), weights])
        cell = 2 * shown.astype(int) + male
        if cells:
            for number in range(4):
                weights[:, cell == number] /= np.maximum(weights[:, cell == number].sum(axis=1, keepdims=True), 1e-9)
        found, worst = {}, {}
        for arm, runs in decisions.items():
            found[arm] = np.array([average_precisions(shown, run["test"][known, 0], weights) for run in runs])
            worst[arm] = [_worst(data.valid, run, shown, cell, known) for run in runs]
        return Scored(found, worst, len(np.unique(people)))


def _worst(valid: Part, run: dict[str, Any], shown: npt.NDArray[np.bool_], cell: Rows, known: Rows) -> float:
    """The smallest accuracy in any cell, at the threshold that is balanced on valid, in the cells that are there."""
    rows, right = valid.known(0)
    named = run["test"][known, 0] >= balanced_threshold(right, run["valid"][rows, 0])
    return min(float((named == shown)[cell == number].mean()) for number in np.unique(cell))


def absent(study: Study, attribute: str, value: int, generator: str, budget: str) -> dict[str, Any]:
    """One cell is taken out of train and valid."""
    hole = study.data.matching({attribute: True, PLAN["group"]: bool(value)})
    train, valid, test = (study.rows(split) for split in ("train", "valid", "test"))
    left = train[~hole[train]]
    held_out = {"valid": study.part(valid[~hole[valid]], attribute), "test": study.part(test, attribute)}
    where = {attribute: True, PLAN["group"]: bool(value)}
    if generator == "real":  # the perfect generator: the faces that were taken out, and those of its other class
        twins = train[(study.male[train] == bool(value)) & ~study.data.matching({attribute: True})[train]]
        made = study.part(np.append(train[hole[train]], twins), attribute)
    else:
        made = study.made(generator, left, where, attribute, 0, budget)
    groups = study.male[left].astype(np.int64)
    data = ExperimentData([attribute], study.part(left, attribute), made, groups, held_out)
    return summarised(study.score(data, EVERY_ARM, test, cells=True))


def scarce(
    study: Study, attribute: str, positives: int, generator: str, budget: str, corrupted: Features | None
) -> dict[str, Any]:
    """Of the positives only some are left in train and, in proportion, in valid."""
    shown = study.data.matching({attribute: True})
    train, valid, test = (study.rows(split) for split in ("train", "valid", "test"))
    share = positives / shown[train].sum() if positives else 1.0
    random = random_generator(positives, "scarce", attribute)
    kept = [np.sort(np.append(rows[~shown[rows]], few(rows[shown[rows]], share, random))) for rows in (train, valid)]
    left, choose = kept
    if generator == "real":
        made = study.part(np.setdiff1d(train, left), attribute)
    else:
        made = study.made(generator, left, {attribute: True}, attribute, 0, budget)
    held_out = {"valid": study.part(choose, attribute), "test": study.part(test, attribute, corrupted)}
    groups = study.male[left].astype(np.int64)
    data = ExperimentData([attribute], study.part(left, attribute), made, groups, held_out)
    return summarised(study.score(data, EVERY_ARM, test, cells=False))


def few(rows: Rows, share: float, random: np.random.Generator) -> Rows:
    """Some of the rows; five at least."""
    return random.permutation(rows)[: max(5, round(share * len(rows)))]


def summarised(scored: Scored) -> dict[str, Any]:
    """Every arm's score, and each synthetic arm against the best real-only arm on test."""
    real_only = [arm.name for arm in EVERY_ARM if not arm.uses_synthetic]
    best = scored.best(real_only)
    effects = {arm: vars(scored.effect(arm, best)) for arm in PLAN["synthetic_arms"]}
    return {
        "scores": {arm: float(found[:, 0].mean()) for arm, found in scored.precisions.items()},
        "worst": {arm: float(np.mean(found)) for arm, found in scored.worst.items()},
        "best real-only arm": best,
        "beyond plain": vars(scored.effect(best, "plain")) if best != "plain" else None,
        "effects": effects,
    }


def corrupted_test(study: Study) -> Features:
    """Features of the test faces, each with one of four corruptions (after Hendrycks and Dietterich 2019)."""
    file = study.out / "corrupted.npy"
    if not file.is_file():
        random = random_generator(0, "corruptions")
        pixels = []
        for number, image in enumerate(np.asarray(study.data.select(study.rows("test")).images)):
            picture = Image.fromarray(image)
            if number % CORRUPTIONS == 0:
                picture = picture.filter(ImageFilter.GaussianBlur(1.5))
            elif number % CORRUPTIONS == 1:
                noisy = np.asarray(picture) + random.normal(0, 25, image.shape)
                picture = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
            elif number % CORRUPTIONS == 2:
                picture = ImageEnhance.Brightness(picture).enhance(0.4)
            else:
                picture = ImageEnhance.Contrast(picture).enhance(0.35)
            pixels.append(np.asarray(picture))
        np.save(file, features_of(FaceDataset.from_arrays(np.stack(pixels)), create_feature_space()))
    found: Features = np.load(file)
    return found


def null(study: Study, repeats: range, generator: str, budget: str) -> dict[str, int]:
    """In the first cell to develop on, people drawn anew: pairs with shuffled labels, and the cell's real faces."""
    attribute, value = PLAN["develop"][0]
    where = {attribute: True, PLAN["group"]: bool(value)}
    hole, train = study.data.matching(where), study.rows("train")
    made = study.made(generator, train[~hole[train]], where, attribute, 0, budget)
    components = PCA(PLAN["dimensions"], random_state=0).fit(study.features)
    reduced, synthetic = (components.transform(np.asarray(each)) for each in (study.features, made.inputs))
    people = people_of(study.data)
    alone = [arm for arm in EVERY_ARM if arm.name in NULL_ARMS]
    helps = {"pairs with shuffled labels": 0, "real faces of the absent cell": 0}
    for repeat in repeats:
        random = random_generator(repeat, "map null")
        drawn = random.permutation(np.unique(people))
        ends = [round(share * len(drawn)) for share in (0.35, 0.45, 0.7)]
        left, choose, more, test = (np.flatnonzero(np.isin(people, part)) for part in np.split(drawn, ends))
        left, choose, more = left[~hole[left]], choose[~hole[choose]], more[study.male[more] == bool(value)]
        real, valid, others, faces = (study.part(rows, attribute, reduced[rows]) for rows in (left, choose, more, test))
        shuffled = Part(synthetic, random.permutation(made.labels), made.people)
        controls: dict[str, Array] = {}
        for name, added in zip(helps, (shuffled, others), strict=True):
            groups = study.male[left].astype(np.int64)
            data = ExperimentData([attribute], real, added, groups, {"valid": valid, "test": faces})
            if not controls:  # they learn the same with each seed
                once = study.score(data, alone, test, cells=True, seed=repeat, seeds=1, draws=NULL_DRAWS)
                controls = {arm: np.repeat(each, 2, axis=0) for arm, each in once.precisions.items()}
            twice = study.score(data, [PAIRS], test, cells=True, seed=repeat, seeds=2, draws=NULL_DRAWS)
            found = Scored(controls | twice.precisions, {}, twice.people)
            helps[name] += found.effect("pairs", found.best(list(controls))).p_helps <= LEVEL
    return {name: int(count) for name, count in helps.items()}


def quality(study: Study, attribute: str, value: int, generator: str) -> dict[str, float]:
    """How often a classifier that learnt from all real faces sees the attribute, in synthetic and in real faces."""
    everyone, where = study.rows("train"), {attribute: True, PLAN["group"]: bool(value)}
    hole = study.data.matching(where)
    made = study.made(generator, everyone[~hole[everyone]], where, attribute, 0, "")
    shown = {"synthetic": made.take(np.flatnonzero(made.labels[:, 0] > 0))}
    rows = {part: study.rows(part) for part in ("valid", "test")}
    shown |= {"valid": study.part(rows["valid"], attribute)}
    shown |= {"real": study.part(rows["test"][hole[rows["test"]]], attribute)}
    real = study.part(everyone, attribute)
    data = ExperimentData([attribute], real, real.take(np.arange(0)), np.zeros(len(real), np.int64), shown)
    (run,) = Experiment(Frozen(data), seeds=1).run([ARMS[0]])["plain"]
    threshold = balanced_threshold(shown["valid"].labels[:, 0] > 0, run["valid"][:, 0])
    return {name: float((run[name][:, 0] >= threshold).mean()) for name in ("synthetic", "real")}


def known_rows(out: Path) -> list[dict[str, Any]]:
    """What is known of composites on frozen features: a row for absent combinations, and one for each budget."""
    cases = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in _cases(out)}
    bounds = [0, *(round((low * high) ** 0.5) for low, high in itertools.pairwise(LEVELS[1:])), 100_000]
    rows = []
    for place, level in enumerate(LEVELS):
        start, end = ("absent", "") if not place else ("scarce", f"-{'all' if level == LEVELS[-1] else level}")
        found = {
            name.removesuffix("-composite"): case
            for name, case in cases.items()
            if name.startswith(start) and name.endswith(f"{end}-composite")
        }
        if not found:
            continue
        best = [max(case["effects"].values(), key=lambda effect: effect["value"]) for case in found.values()]
        free = [case["scores"][case["best real-only arm"]] - case["scores"]["plain"] for case in found.values()]
        real = [
            max(effect["value"] for effect in cases[f"{name}-real"]["effects"].values())
            for name in found
            if f"{name}-real" in cases
        ]
        p_values = {name: effect["p_helps"] for name, effect in zip(found, best, strict=True)}
        helped = sum(p_value <= LEVEL for p_value in holm(p_values).values())
        rows.append(
            {
                "learner": "frozen",
                "faces": "composed",
                "fewest": bounds[place - 1] + 1 if place else 0,
                "most": bounds[place] if place else 0,
                "studies": len(found),
                "helped": helped,
                "lowest": round(min(effect["value"] for effect in best), 3),
                "highest": round(max(effect["value"] for effect in best), 3),
                "free": round(float(np.mean(free)), 3),
                "real": round(float(np.mean(real)), 3) if real else "",
            }
        )
    return rows


def write_table(out: Path, file: Path) -> None:
    """Put the rows of composites on frozen features in the place of the old ones, in a table of what is known."""
    with file.open(encoding="utf-8", newline="") as opened:
        old = [row for row in csv.DictReader(opened) if (row["learner"], row["faces"]) != ("frozen", "composed")]
    rows = [*old, *known_rows(out)]
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    atomic_write(file, "\n".join(lines) + "\n")


def figure(out: Path, file: Path) -> None:
    """The effect of the best synthetic arm against the best real-only arm, by regime and by what makes the faces."""
    from matplotlib import pyplot

    cases = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in _cases(out)}
    regimes = sorted({name.rsplit("-", 1)[0] for name in cases}, key=_order, reverse=True)
    picture = pyplot.figure(figsize=(7.5, 0.28 * len(regimes) + 1.2), layout="constrained")
    axes = picture.gca()
    for shift, (generator, colour) in zip((-0.15, 0.15), (("composite", "C3"), ("real", "C0")), strict=True):
        label = "composites" if generator == "composite" else "real faces in their place"
        for place, regime in enumerate(regimes):
            if case := cases.get(f"{regime}-{generator}"):
                best = max(case["effects"].values(), key=lambda effect: effect["value"])
                reach = [[best["value"] - best["low"]], [best["high"] - best["value"]]]
                axes.errorbar(best["value"], place + shift, xerr=reach, fmt="o", color=colour, ms=4, label=label)
                label = ""
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set_yticks(range(len(regimes)), [_in_words(regime) for regime in regimes], fontsize=8)
    axes.set_xlabel("average precision, minus the best training without synthetic faces (95 %)", fontsize=8)
    axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    picture.savefig(file, dpi=110)


def _cases(out: Path) -> list[Path]:
    return [file for start in ("absent", "scarce", "corrupted") for file in sorted(out.glob(f"{start}-*.json"))]


def _order(regime: str) -> tuple[str, str, int]:
    start, attribute, number = regime.split("-")
    return start, attribute, 10**6 if number == "all" else int(number)


def _in_words(regime: str) -> str:
    start, attribute, number = regime.split("-")
    if start == "absent":
        return f"no {'men' if number == '1' else 'women'} with {attribute}"
    return f"{attribute}, {number} positives" + (", corrupted test faces" if start == "corrupted" else "")


def kept(study: Study, name: str, make: Any) -> dict[str, Any]:
    """A finished case, or one that is made now."""
    file = study.out / f"{name}.json"
    if not file.is_file():
        atomic_write(file, json.dumps(make(), indent=1) + "\n")
        print(f"{name} is done", flush=True)
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def summary(out: Path) -> None:
    """Print the tables that docs/map.md has."""
    print("| regime | generator | plain | best real-only | best synthetic | pairs | worst group: real-only, pairs |")
    print("|---|---|---|---|---|---|---|")
    p_values: dict[str, float] = {}
    confirm = {f"absent-{attribute}-{value}" for attribute, value in PLAN["confirm"]}
    for file in _cases(out):
        case = json.loads(file.read_text(encoding="utf-8"))
        regime, generator = file.stem.rsplit("-", 1)
        best, scores = case["best real-only arm"], case["scores"]
        top = max(case["effects"], key=lambda arm: case["effects"][arm]["value"])
        cells = [in_words(case["effects"][arm]) for arm in (top, PLAN["primary"])]
        print(
            f"| {regime} | {generator} | {scores['plain']:.3f} | {best}: {scores[best]:.3f} | {top}: {cells[0]} | "
            f"{cells[1]} | {case['worst'][best]:.2f} / {case['worst'][PLAN['primary']]:.2f} |"
        )
        if regime in confirm and generator != "real":
            p_values[file.stem] = case["effects"][PLAN["primary"]]["p_helps"]
    print({name: round(p, 4) for name, p in holm(p_values).items()})


def in_words(effect: dict[str, float]) -> str:
    return f"{effect['value']:+.3f} ({effect['low']:+.3f} to {effect['high']:+.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("step", choices=["plan", "absent", "scarce", "null", "quality", "summary"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--generator", default="composite", help="a registered one, or real: the faces taken out")
    parser.add_argument("--budget", default="20k", help="of a generator that is trained")
    parser.add_argument("--confirm", action="store_true", help="the confirmation cells, once all is fixed")
    parser.add_argument("--corrupted", action="store_true", help="score on corrupted test faces")
    parser.add_argument("--figure", type=Path, help="where the summary's picture is written")
    parser.add_argument("--table", type=Path, help="the table of what is known, whose rows are made anew")
    parser.add_argument("--positives", type=int, nargs="*", default=PLAN["budgets"], help="some of the plan's budgets")
    parser.add_argument("--repeats", type=int, default=400)
    arguments = parser.parse_args()
    out, step, generator, budget = arguments.out, arguments.step, arguments.generator, arguments.budget
    plan = out / "plan.json"
    if step == "plan":
        atomic_write(plan, json.dumps(PLAN, indent=1) + "\n")
        return
    if not plan.is_file() or json.loads(plan.read_text(encoding="utf-8")) != PLAN:
        raise SystemExit(f"{plan} is not there, or it is another plan: write it first, and change nothing afterwards.")
    if step == "summary":
        summary(out)
        if arguments.figure is not None:
            figure(out, arguments.figure)
        if arguments.table is not None:
            write_table(out, arguments.table)
        return
    linear.DIMENSIONS = PLAN["dimensions"]
    study = Study(augface.load_data(arguments.data), out)
    if step == "absent":
        for attribute, value in PLAN["confirm" if arguments.confirm else "develop"]:
            name = f"absent-{attribute}-{value}-{generator}"
            kept(study, name, lambda a=attribute, v=value: absent(study, a, v, generator, budget))
    elif step == "quality":
        for attribute, value in PLAN["develop"] + PLAN["confirm"]:
            name = f"quality-{attribute}-{value}-{generator}"
            print(attribute, value, kept(study, name, lambda a=attribute, v=value: quality(study, a, v, generator)))
    elif step == "scarce":
        corrupted = corrupted_test(study) if arguments.corrupted else None
        for attribute in PLAN["scarce"]:
            for positives in arguments.positives:
                if positives or generator != "real":
                    regime = "scarce" if corrupted is None else "corrupted"
                    name = f"{regime}-{attribute}-{positives or 'all'}-{generator}"
                    kept(
                        study,
                        name,
                        lambda a=attribute, p=positives: scarce(study, a, p, generator, budget, corrupted),
                    )
    else:
        total: dict[str, int] = {}
        for start in range(0, arguments.repeats, BLOCK):
            repeats = range(start, min(start + BLOCK, arguments.repeats))
            found = kept(study, f"null-{generator}-{start}", lambda r=repeats: null(study, r, generator, budget))
            total = {name: total.get(name, 0) + count for name, count in found.items()}
        for name, count in total.items():
            share, low, high = proportion_interval(count, arguments.repeats)
            print(f"{name}: {count} of {arguments.repeats} help, {share:.1%} ({low:.1%} to {high:.1%})")


if __name__ == "__main__":
    main()
