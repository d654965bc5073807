"""Do synthetic faces help to teach a small network what a large one knows? Knowledge distillation (Hinton et al. 2015,
arXiv:1503.02531) where positives are few.

    python experiments/distillation.py celeba:/data/celeba --attrs Eyeglasses --positives 50 --out runs/scarcity

The teacher is a linear head on frozen features, fitted to the real faces that are left; its probabilities of the target
take the place of the labels, of real and synthetic faces alike. The student is the network on pixels of
`--downstream full`. The output folder may be that of `experiments/scarcity.py --mode full`: its draws, its generators
and its networks that learnt from labels are taken from there. No arm, strength or weight is chosen on held-out faces.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from scarcity import CEILING, FOLDS, Array, Study
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

import augface
from augface.arrays import Floats32
from augface.data.dataset import FaceDataset
from augface.data.pixels import ImageRows
from augface.downstream.analysis import experiment_data
from augface.downstream.arms import ALL, ARMS
from augface.downstream.experiment import Experiment, Learner, precisions
from augface.downstream.full import TARGET_SHARE, Full
from augface.downstream.linear import Projection, fit_logistic
from augface.files import atomic_write
from augface.metrics.effects import paired_effect
from augface.seeds import derive_seed
from augface.training.losses import attribute_loss

STRENGTH = 1e-2
"""Of the teacher's regularisation: the middle one of those that the frozen learner chooses from."""
FROM_LABELS = ("plain", "oversampled", "mixup", "duplicates", "synthetic 25%", ALL)
DISTILLED = ("plain", "mixup", "duplicates", "synthetic 25%", ALL)
PRIMARY = f"distilled: {ALL}"
"""What is tested, against each arm without synthetic faces."""


@dataclass(frozen=True)
class Student(Full):
    """The network on pixels, which learns the target from a teacher's log-odds and all else from labels.

    Attributes:
        teacher: (N,) log-odds of the target for the real faces, then the synthetic ones.
    """

    teacher: Floats32 = field(kw_only=True)
    mode: ClassVar[str] = "distilled"

    @property
    def protocol(self) -> dict[str, object]:
        """What changes the numbers."""
        return {**super().protocol, "teacher": "logistic regression", "strength": STRENGTH}

    @cached_property
    def _learn(self) -> tuple[ImageRows, Tensor]:
        images, conditions = super()._learn
        targets = torch.tanh(torch.from_numpy(self.teacher) / 2)  # probabilities, from -1 to 1
        return images, torch.cat([targets[:, None], conditions[:, 1:]], dim=1)

    @staticmethod
    def _loss(logits: Tensor, condition: Tensor, weights: Tensor) -> Tensor:
        target = binary_cross_entropy_with_logits(logits[:, 0], (condition[:, 0] + 1) / 2, weights)
        return TARGET_SHARE * target + (1 - TARGET_SHARE) * attribute_loss(logits[:, 1:], condition[:, 1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--attrs", default="Eyeglasses", help="one attribute")
    parser.add_argument("--positives", type=int, default=50)
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2], help="which ones")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--generator", default="composite")
    parser.add_argument("--budget", default="120k", help="of each generator that is trained")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    data = augface.load_data(arguments.data)
    assert data.identity is not None
    people = len(np.unique(data.identity[data.split != "train"]))
    found = []
    for draw in arguments.draws:
        study = Study(
            data, [arguments.attrs], arguments.positives, draw, arguments.generator, arguments.budget, arguments.out
        )
        found.append(scores(study, arguments.attrs, arguments.seeds))
    results = table(found, people)
    print(json.dumps(results, indent=1))
    name = f"distilled-{arguments.attrs}-{arguments.positives}-{arguments.generator}.json"
    atomic_write(arguments.out / name, json.dumps(results, indent=1) + "\n")


def scores(study: Study, target: str, seeds: int) -> dict[str, Array]:
    """(seeds, 1 + B) average precision of each arm in one draw, the mean over both folds of held-out people."""
    held_out = {part: study.data.select(study.data.split == part) for part in ("valid", "test")}
    by_name = {arm.name: arm for arm in ARMS}
    teacher = fitted_teacher(study, target)
    decisions: dict[str, list[dict[str, Floats32]]] = {}
    for faces, labelled, distilled in (
        (study.removed(target), [CEILING], [CEILING]),
        (study.made(target), [by_name[name] for name in FROM_LABELS], [by_name[name] for name in DISTILLED]),
    ):
        data = experiment_data(target, study.left, faces, held_out, lambda some: some.images, ["Male"])
        student = Student(data, teacher=np.concatenate([teacher(study.left), teacher(faces)]))
        learners: tuple[tuple[Learner, str], ...] = ((Full(data), ""), (student, "distilled: "))
        for (learner, prefix), arms in zip(learners, (labelled, distilled), strict=True):
            runs = Experiment(learner, study.draw, seeds, study.out / study.name / "runs").run(arms)
            decisions |= {f"{prefix}{name}": of_arm for name, of_arm in runs.items()}
    decisions["teacher"] = [{part: teacher(faces)[:, None] for part, faces in held_out.items()}] * seeds
    found: dict[str, list[Array]] = {name: [] for name in decisions}
    for _, part in FOLDS:
        rows, shown = data.held_out[part].known(0)
        people, seed = data.held_out[part].people[rows], derive_seed(0, "fold", part)
        for name, of_seeds in decisions.items():
            found[name].append(precisions(shown, people, [run[part][rows, 0] for run in of_seeds], seed))
    return {name: np.mean(of_folds, axis=0) for name, of_folds in found.items()}


def fitted_teacher(study: Study, target: str) -> Callable[[FaceDataset], Floats32]:
    """What gives faces their log-odds of the target; it has learnt from the real faces that are left."""
    known = study.features(study.left)
    projection = Projection.of(known)
    head = fit_logistic(projection(known), study.left.matching({target: True}), np.ones(len(known)), STRENGTH)
    return lambda faces: projection(study.features(faces)) @ head


def table(draws: list[dict[str, Array]], people: int) -> dict[str, dict[str, float]]:
    """Each arm's score, and what the primary arm has more: over draws and people, of one draw over seeds and people."""
    results = {}
    for name in draws[0]:
        more = [draw[PRIMARY] - draw[name] for draw in draws]
        each = more[0] if len(draws) == 1 else np.mean(more, axis=1)
        score = float(np.mean([draw[name][:, 0].mean() for draw in draws]))
        results[name] = {"score": score, **vars(paired_effect(each[:, 0], each[:, 1:], people))}
    return results


if __name__ == "__main__":
    main()
