"""`FaceOverSampler`: synthetic faces where imbalanced-learn's samplers stand, between arrays and a classifier."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from augface.arrays import Pixels
from augface.data.dataset import FaceDataset
from augface.data.groups import Subgroup
from augface.errors import DataError, UsageError
from augface.generators import DEFAULT_GENERATOR
from augface.generators.base import Generator
from augface.rebalancing.drawing import draw_accepted
from augface.rebalancing.filters import Filters
from augface.rebalancing.generator import generator_for
from augface.rebalancing.settings import MAX_DRAWS
from augface.rebalancing.strategy import SubgroupPlan, given_total, wanted_faces
from augface.seeds import derive_seed

Labels = npt.NDArray[Any]
LABELS = {"not majority": "auto"}
"""imbalanced-learn's words for our own."""


class FaceOverSampler(BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """Adds synthetic faces of the rarer classes, with the conventions of imbalanced-learn and scikit-learn.

    A generator learns from all the faces that it is given, so give it training faces only, as in each fold of a
    cross-validation a pipeline of imbalanced-learn does. It gives no evidence whether the faces help; `rebalance` does.

    Args:
        generator: a registered name (`augface list generators`), or a generator with settings of its own.
        sampling_strategy: `auto` or `not majority` (every class is raised to the largest), `minority` (only the
            smallest is), a number (the ratio of minority to majority afterwards, for two classes), a mapping of
            classes to the numbers of faces that they are to have, or a function of `y` that gives one.
        budget: the generator's training: time (`5m`) or images (`200k`).
        generator_settings: settings of a generator that is given by its name.
        filters: whether faces must pass the filters of `rebalance`: they show their class, are no copies and look
            undamaged. Without them the generator must be one that can be asked for a class.
        max_draws: faces drawn for each one wanted, before a shortfall is accepted, with a warning.
        random_state: a seed, a NumPy `RandomState`, or None for another draw each time.

    Attributes:
        sampling_strategy_: how many faces of each class were wanted.
        generated_: how many there are.
        generator_: the generator, fitted.

    Example::

        sampler = augface.FaceOverSampler("resample", filters=False, random_state=0)
        balanced_images, balanced_labels = sampler.fit_resample(images, labels)
        print(sampler.generated_)
    """

    def __init__(
        self,
        generator: str | Generator = DEFAULT_GENERATOR,
        *,
        sampling_strategy: str | float | Mapping[Any, int] | Callable[[Labels], Mapping[Any, int]] = "auto",
        budget: str = "5m",
        generator_settings: Mapping[str, Any] | None = None,
        filters: bool = True,
        max_draws: int = MAX_DRAWS,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.generator = generator
        self.sampling_strategy = sampling_strategy
        self.budget = budget
        self.generator_settings = generator_settings
        self.filters = filters
        self.max_draws = max_draws
        self.random_state = random_state

    def fit_resample(self, X: Any, y: Any) -> tuple[Pixels, Any]:
        """Train the generator on the faces, and add what is missing of the rarer ones.

        Args:
            X: faces, uint8 (N, H, W, 3), or what `FaceDataset.from_arrays` takes for them.
            y: (N,) the class of each: numbers, words or booleans; an array, a list or a Series.

        Returns:
            All faces, uint8 (M, H, W, 3), those given first and unchanged; and their classes, (M,), a Series where `y`
            is one.

        Raises:
            DataError: images that are not understood, as many classes as one, or another number of them than of images.
            UsageError: a strategy that makes no sense here, or a generator that cannot be asked for a class.
        """
        labels = np.asarray(y)
        if labels.ndim != 1 or pd.isna(labels).any():
            raise DataError(f"y holds one class for each face and none is missing; its shape is {labels.shape}.")
        classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
        if len(classes) < 2:
            raise DataError(f"All {len(labels):,} faces are of one class: there is nothing to balance.")
        groups = _groups(classes)
        columns = {name: np.array([group[name] for group in groups])[codes] for name in groups[0]}
        data = FaceDataset.from_arrays(X, columns)
        self.sampling_strategy_ = self._wanted(labels, dict(zip(classes.tolist(), counts.tolist(), strict=True)))
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        self.generator_ = self._fitted(data, list(columns), seed)
        filters = Filters.fit(data, seed=derive_seed(seed, "gates")) if self.filters else None
        parts, added = [np.asarray(data.images)], [labels]
        self.generated_ = {}
        for label, group, have in zip(classes.tolist(), groups, counts.tolist(), strict=True):
            if wanted := self.sampling_strategy_[label]:
                faces = self._drawn(SubgroupPlan(group, have, wanted), filters, seed)
                parts.append(faces)
                added.append(np.full(len(faces), label, dtype=labels.dtype))
                self.generated_[label] = len(faces)
        resampled = np.concatenate(added)
        if isinstance(y, pd.Series):
            return np.concatenate(parts), pd.Series(resampled, name=y.name).astype(y.dtype)
        return np.concatenate(parts), resampled

    def _wanted(self, labels: Labels, counts: dict[Any, int]) -> dict[Any, int]:
        """How many faces of each class are to be added."""
        strategy = self.sampling_strategy
        if callable(strategy):
            strategy = strategy(labels)
        if isinstance(strategy, Mapping):
            totals = dict(strategy)
            wanted = {label: given_total(label, have, totals) for label, have in counts.items()}
            if totals:
                raise UsageError(f"The sampling strategy names {list(totals)}; the classes are {list(counts)}.")
            return wanted
        return wanted_faces(counts, LABELS.get(strategy, strategy) if isinstance(strategy, str) else strategy)

    def _fitted(self, data: FaceDataset, attributes: list[str], seed: int) -> Generator:
        generator = generator_for(self.generator, attributes, self.generator_settings or {})
        if not self.filters and "conditional" not in generator.capabilities:
            raise UsageError(
                f"The {generator.name} generator cannot be asked for a class: only the filters find its faces. Leave "
                "filters=True, or take another generator."
            )
        generator.fit(data, budget=self.budget, seed=derive_seed(seed, "fit"))
        return generator

    def _drawn(self, plan: SubgroupPlan, filters: Filters | None, seed: int) -> Pixels:
        """Faces of one class, uint8 (N, H, W, 3)."""
        generator, where = self.generator_, plan.subgroup
        if filters is None:
            faces = generator.sample(plan.wanted, where=where, seed=derive_seed(seed, "made", where.label))
            return np.asarray(faces.images)
        accepted = draw_accepted(generator, filters, plan, seed=seed, max_draws=self.max_draws).faces
        return np.asarray(filters.train.images)[:0] if accepted is None else np.asarray(accepted.images)


def _groups(classes: Labels) -> list[Subgroup]:
    """Each class as attributes: one attribute for two classes, else one for each class."""
    names = [f"class {label}" for label in classes]
    if len(set(names)) < len(names) or any(re.search("[=,]", name) for name in names):
        names = [f"class {number}" for number in range(len(classes))]
    kept = names[1:] if len(names) == 2 else names
    return [Subgroup({name: name == own for name in kept}) for own in names]
