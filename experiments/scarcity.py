"""Do synthetic faces help where real ones are few? Cuts the positives down, trains a generator on what is left, and
asks.

    python experiments/scarcity.py celeba:/data/celeba --positives 50 --out runs/scarcity
    python experiments/scarcity.py celeba:/data/celeba --positives 50 --mode full --seeds 2 --out runs/scarcity
    python experiments/scarcity.py toy:16000 --positives 50 --budget 60k --out runs/scarcity
    python experiments/scarcity.py celeba:/data/celeba --positives 50 --mode full --seeds 2 --generator composite \
        --attrs Eyeglasses --out runs/scarcity

Every draw keeps other positives (the rest is removed, not relabelled), trains another generator on them, and makes
other faces; whatever is chosen is chosen on valid faces with as few positives in proportion. Held-out people are scored
in two folds: chosen on valid and scored on test, and the other way round. The ceiling learns from the positives that
were removed. Generators and finished runs are kept in the output folder, and the same command goes on from there.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import augface
from augface.data.dataset import FaceDataset
from augface.data.groups import Subgroup
from augface.data.pixels import ImageRows
from augface.data.toyfaces import load_toyfaces
from augface.downstream.analysis import ArmComparison, experiment_data
from augface.downstream.arms import ALL, ARMS, Arm, matched_control
from augface.downstream.data import ExperimentData, Part
from augface.downstream.experiment import Experiment, Learner, best_arm, precisions
from augface.downstream.frozen import Frozen
from augface.downstream.full import Full
from augface.features import create_feature_space
from augface.features.base import Features
from augface.features.extraction import features_of
from augface.files import atomic_path, atomic_write
from augface.generators import GENERATORS, load_generator
from augface.generators.base import Generator
from augface.metrics.effects import LEVEL, Effect, paired_effect
from augface.rebalancing.drawing import draw_accepted
from augface.rebalancing.filters import Filters
from augface.rebalancing.strategy import SubgroupPlan
from augface.seeds import derive_seed, random_generator

CEILING = Arm("ceiling", "the real faces that were removed, added again", synthetic=1.0)
FULL_ARMS = (
    *("plain", "class-weighted", "oversampled", "flip", "flip and crop", "RandAugment", "mixup"),
    *("synthetic 25%", ALL, "synthetic first", "duplicates"),
)
"""Those that are trained in the full mode, which takes its time."""
MADE = 2000
FOLDS = (("valid", "test"), ("test", "valid"))
"""Which held-out people are chosen on, and which are scored."""

Rows = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]
Decisions = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Fold:
    """Average precisions of one draw and fold: (1 + B,) for each arm and seed, the first without redrawing people."""

    precisions: dict[str, Array]
    ours: str
    rival: str

    @property
    def twin(self) -> str:
        """The recipe of `ours` with repeated real faces; the rival where it has none."""
        twin = matched_control(self.ours)
        return twin if twin in self.precisions else self.rival


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--attrs", default="Eyeglasses,Wearing_Hat", help="cut down together; one generator for all")
    parser.add_argument("--ask", default="", help="the attributes to tell; those of --attrs where not given")
    parser.add_argument("--positives", type=int, help="of each attribute; all where not given")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first draw, where earlier ones are to be left out")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--generator", default="cgan", help="conditional, with a setting `balance`")
    parser.add_argument("--budget", default="120k", help="of each generator")
    parser.add_argument("--mode", choices=["frozen", "full"], default="frozen")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    data = augface.load_data(arguments.data)
    attributes = arguments.attrs.split(",")
    asked = arguments.ask.split(",") if arguments.ask else attributes
    found: dict[str, list[list[Fold]]] = {name: [] for name in asked}
    for draw in range(arguments.first, arguments.first + arguments.draws):
        study = Study(data, attributes, arguments.positives, draw, arguments.generator, arguments.budget, arguments.out)
        for name in asked:
            found[name].append(study.folds(name, arguments.mode, arguments.seeds))
    count = arguments.positives or "all"
    assert data.identity is not None
    people = len(np.unique(data.identity[data.split != "train"]))
    results = {name: summary(folds, people) for name, folds in found.items()}
    for name, (text, _) in results.items():
        print(f"\n**{name}, {count} positives, {arguments.mode}, {arguments.data}**\n\n{text}", flush=True)
    title = f"{arguments.data.split(':')[0]}-{count}-{arguments.mode}-{arguments.generator}-{'-'.join(asked)}.json"
    atomic_write(arguments.out / title, json.dumps({name: numbers for name, (_, numbers) in results.items()}, indent=1))


@dataclass(frozen=True)
class Study:
    """One draw: what is left of the real faces, and the generator that has seen no more than that."""

    data: FaceDataset
    attributes: list[str]
    positives: int | None
    draw: int
    made_by: str
    budget: str
    out: Path

    @property
    def left(self) -> FaceDataset:
        """The training faces that are left."""
        train = _split(self.data, "train")
        return train.select(scarce_rows(train, self.attributes, self.positives, self.draw))

    @property
    def name(self) -> str:
        """Of the draw's folder."""
        return f"{self.data.source.spec.split(':')[0]}-{self.positives or 'all'}-{self.draw}-{self.made_by}"

    def generator(self) -> Generator:
        """Trained on what is left, or read again."""
        folder = self.out / self.name / "generator"
        if (folder / "config.json").is_file():
            return load_generator(folder)
        settings = {"balance_share": 0.1} if "balance_share" in GENERATORS.get(self.made_by).Config.model_fields else {}
        generator = augface.create_generator(self.made_by, balance=tuple(self.attributes), **settings)
        generator.fit(self.left, budget=self.budget, seed=self.draw, run_dir=folder.parent, resume=True)
        generator.save(folder)
        return generator

    def made(self, name: str) -> FaceDataset:
        """Faces that passed the filters, which have seen no more than the generator."""
        path = self.out / self.name / f"{name}.npz"
        if not path.is_file():
            plan = SubgroupPlan(Subgroup({name: True}), int(self.left.matching({name: True}).sum()), MADE)
            filters = Filters.fit(self.left, seed=self.draw)
            faces = draw_accepted(self.generator(), filters, plan, seed=self.draw, max_draws=10).faces
            assert faces is not None, "no face passed the filters"
            labels = faces.attributes.astype("Int8").fillna(-1).to_numpy(dtype=np.int8)
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(file, images=np.asarray(faces.images), labels=labels)
        with np.load(path) as saved:
            images, labels = saved["images"], saved["labels"]
        table = {str(column): labels[:, i] == 1 for i, column in enumerate(self.data.attributes)}
        return FaceDataset.from_arrays(images, {key: value.tolist() for key, value in table.items()}, spec="made")

    def folds(self, name: str, mode: str, seeds: int) -> list[Fold]:
        """The two folds of held-out people, and their arms."""
        whole = {part: _split(self.data, part) for part in ("valid", "test")}
        rows = {part: self.few_to_choose_on(faces, name) for part, faces in whole.items()}
        if mode == "full":  # networks choose nothing on valid, so one training serves both folds
            data, decisions = self.run(name, Full, whole, seeds)
            parts = data.held_out
            return [
                _fold(
                    parts[choose].take(rows[choose]),
                    parts[score],
                    {
                        arm: [{"valid": run[choose][rows[choose]], "test": run[score]} for run in runs]
                        for arm, runs in decisions.items()
                    },
                    score,
                )
                for choose, score in FOLDS
            ]
        folds = []
        for choose, score in FOLDS:
            held_out = {"valid": whole[choose].select(rows[choose]), "test": whole[score]}
            data, decisions = self.run(name, Frozen, held_out, seeds)
            folds.append(_fold(data.valid, data.test, decisions, score))
        return folds

    def run(
        self, name: str, kind: type[Frozen] | type[Full], held_out: dict[str, FaceDataset], seeds: int
    ) -> tuple[ExperimentData, dict[str, list[dict[str, Decisions]]]]:
        """The decisions of all arms, and of the ceiling where there are real faces for it."""
        frozen = kind is Frozen
        decisions: dict[str, list[dict[str, Decisions]]] = {}
        arms = [arm for arm in ARMS if kind.supports(arm) and (frozen or arm.name in FULL_ARMS)]
        removed = self.removed(name)
        for extra, some in ((removed, [CEILING] if len(removed) else []), (self.made(name), arms)):
            inputs = self.features if frozen else _images
            data = experiment_data(name, self.left, extra, held_out, inputs, ["Male"])
            learner: Learner = Frozen(data) if frozen else Full(data)
            decisions |= Experiment(learner, self.draw, seeds, self.out / self.name / "runs").run(some)
        return data, decisions

    def removed(self, name: str) -> FaceDataset:
        """Real faces for the ceiling: those that were taken away; of drawn ones as many new ones as synthetic faces."""
        train = _split(self.data, "train")
        if not train.shows_people:
            new = load_toyfaces(20 * MADE, self.data.size, seed=1000 + self.draw)
            return new.select(np.flatnonzero(new.matching({name: True}))[:MADE])
        kept = np.zeros(len(train), dtype=np.bool_)
        kept[scarce_rows(train, self.attributes, self.positives, self.draw)] = True
        return train.select(~kept & train.matching({name: True}))

    def few_to_choose_on(self, faces: FaceDataset, name: str) -> Rows:
        """Rows: of the faces that show the attribute as few, in proportion, as are left to learn from; all others."""
        shown = np.flatnonzero(faces.matching({name: True}))
        count = len(shown)
        if self.positives is not None:
            share = self.positives / int(_split(self.data, "train").matching({name: True}).sum())
            count = max(5, round(share * len(shown)))
        few = random_generator(self.draw, "few to choose on", name).choice(shown, count, replace=False)
        return np.sort(np.append(np.flatnonzero(~faces.matching({name: True})), few))

    def features(self, faces: FaceDataset) -> Features:
        """In the default space; those of the whole data set are extracted once."""
        space = create_feature_space()
        if faces.images.stored is not self.data.images.stored:
            return features_of(faces, space)
        place = {int(row): number for number, row in enumerate(self.data.images.rows)}
        return features_of(self.data, space)[[place[int(row)] for row in faces.images.rows]]


def _fold(choose: Part, score: Part, decisions: dict[str, list[dict[str, Decisions]]], part: str) -> Fold:
    """Choose the best arm of each side on one part, and score all on the other."""
    rows, shown = score.known(0)
    people, seed = score.people[rows], derive_seed(0, "fold", part)  # in all draws the same people are drawn
    found = {
        arm: precisions(shown, people, [run["test"][rows, 0] for run in runs], seed) for arm, runs in decisions.items()
    }
    trained = [arm for arm in ARMS if arm.name in decisions]
    ours, rival = (
        best_arm(choose, decisions, [arm.name for arm in trained if arm.uses_synthetic == made])
        for made in (True, False)
    )
    return Fold(found, ours, rival)


def _split(data: FaceDataset, name: str) -> FaceDataset:
    return data.select(data.split == name)


def _images(faces: FaceDataset) -> ImageRows:
    return faces.images


def summary(draws: list[list[Fold]], people: int) -> tuple[str, dict[str, dict[str, Any]]]:
    """A table of all arms over all draws and folds, in words and in numbers."""

    def over(pair: Callable[[Fold], tuple[str, str]]) -> Effect:
        """One arm minus another: the mean over folds and seeds; the interval is over draws and people.

        Of a single draw it is over its seeds and people, and knows nothing of other draws.
        """
        of_seeds = [np.mean([_differences(fold, *pair(fold)) for fold in folds], axis=0) for folds in draws]
        each = of_seeds[0] if len(draws) == 1 else np.mean(of_seeds, axis=1)
        return paired_effect(each[:, 0], each[:, 1:], people)

    def beyond(ours: str, theirs: str) -> Effect:
        return over(lambda _: (ours, theirs))

    names = list(draws[0][0].precisions)
    numbers: dict[str, dict[str, Any]] = {}
    gap = beyond(CEILING.name, "plain").value if CEILING.name in names else 0.0
    lines = [
        f"| arm | average precision | minus plain | share of the gap closed | {ALL} minus it |",
        "|---|---|---|---|---|",
    ]
    without = {arm.name for arm in ARMS if not arm.uses_synthetic}
    for name in names:
        score = float(np.mean([fold.precisions[name][:, 0].mean() for folds in draws for fold in folds]))
        more = beyond(name, "plain")
        numbers[name] = {"score": score, **vars(more), "gap": gap}
        cells = ["", ""] if name == "plain" else [_text(more), f"{more.value / gap:.0%}" if gap > 0 else ""]
        if name in without:
            against = beyond(ALL, name)
            numbers[name]["against"] = vars(against)
            cells.append(_text(against))
        else:
            cells.append("")
        lines.append(f"| {name} | {score:.3f} | {' | '.join(cells)} |")
    best = ArmComparison(
        "the best", over(lambda fold: (fold.ours, fold.rival)), over(lambda fold: (fold.ours, fold.twin))
    )
    numbers["best against best"] = vars(best.effect)
    pairs = Counter(f"{fold.ours} against {fold.rival}" for folds in draws for fold in folds)
    chosen = "; ".join(f"{pair}, {times} of {pairs.total()} times" for pair, times in pairs.most_common())
    verdict = "helps" if best.p_helps <= LEVEL else "harms" if best.p_harms <= LEVEL else "no evidence"
    lines.append(
        f"\nBest against best, chosen on valid: {_text(best.effect)}: {verdict}. An effect of "
        f"{best.effect.smallest_visible:.3f} "
        f"would have been seen in 4 of 5 such studies. Chosen: {chosen}."
    )
    return "\n".join(lines), numbers


def _differences(fold: Fold, ours: str, theirs: str) -> Array:
    """(S, 1 + B) differences of two arms, by seed."""
    return fold.precisions[ours] - fold.precisions[theirs]


def _text(effect: Effect) -> str:
    return f"{effect.value:+.3f} ({effect.low:+.3f} to {effect.high:+.3f})"


def scarce_rows(faces: FaceDataset, attributes: Sequence[str], positives: int | None, seed: int) -> Rows:
    """Faces of which so many show each attribute; the others that show it are left out, not relabelled.

    Those that are kept show one of the attributes only, so that all counts are met.
    """
    shown = np.stack([faces.matching({name: True}) for name in attributes], axis=1)
    if positives is None:
        return np.arange(len(faces))
    kept = [np.flatnonzero(~shown.any(axis=1))]
    for column, name in enumerate(attributes):
        alone = np.flatnonzero(shown[:, column] & (shown.sum(axis=1) == 1))
        kept.append(random_generator(seed, "scarce", name).choice(alone, positives, replace=False))
    return np.sort(np.concatenate(kept))


if __name__ == "__main__":
    main()
