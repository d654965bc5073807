"""What an evaluator is, what it is given, and the check that every one must pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd

from augface.data.dataset import FaceDataset
from augface.evaluators.judge import Judge
from augface.evaluators.sides import Sides
from augface.features import DEFAULT_SPACE, create_feature_space
from augface.features.base import Features, FeatureSpace
from augface.features.extraction import features_in_spaces
from augface.results import Artifact, Measurement, Skipped

Downstream = Literal["frozen", "full"]
"""`frozen`: a linear head on features of the default space; `full`: a network on pixels, trained from nothing."""


@dataclass(frozen=True)
class Context:
    """All that evaluators may look at. Parts that there are not are None."""

    reference: FaceDataset
    """Held-out real faces: the other side of generator measures."""
    synthetic: FaceDataset
    """Made faces as they came out of the generator, before any gate."""
    train: FaceDataset | None = None
    """The real faces that the generator learnt from."""
    valid: FaceDataset | None = None
    test: FaceDataset | None = None
    """Real faces for the downstream classifier: to choose on, and to score on."""
    made: FaceDataset | None = None
    """The made faces that passed the gates and would be added to `train`."""
    outside: FaceDataset | None = None
    """Real faces of another source, to score the downstream classifier on besides `test`."""
    targets: tuple[str, ...] = ()
    """The attributes that were asked for."""
    downstream: Downstream = "frozen"
    """How the downstream classifier learns."""
    network: str = "small"
    """What is trained where it learns from pixels; see `augface.downstream.full.Full`."""
    shared_people: bool = False
    """Whether the downstream question may be asked although the splits have people in common."""
    seed: int = 0
    show_real: bool = True
    spaces: tuple[str, ...] = (DEFAULT_SPACE,)
    """The feature spaces to measure in, the one for pictures first."""
    by: tuple[str, ...] = ()
    """The attributes whose joint groups are measured each for itself, besides the groups of single attributes."""
    folder: Path | None = None
    """Where an evaluator may keep what is of use later, such as a detector; None where nothing is kept."""

    @cached_property
    def sides(self) -> Sides:
        """Which rows are compared with which."""
        return Sides(self.reference, self.synthetic, self.train, self.seed)

    def space(self, name: str = DEFAULT_SPACE) -> FeatureSpace:
        """A feature space, ready to extract."""
        if name not in self._spaces:
            self._spaces[name] = create_feature_space(name)
        return self._spaces[name]

    def features(self, data: FaceDataset, space: str = DEFAULT_SPACE) -> Features:
        """Features of a set, computed once; those of the compared sides in all spaces from one decoding."""
        if (id(data), space) not in self._features:
            compared = data in (self.reference, self.synthetic, self.sides.other)
            names = list(dict.fromkeys([space, *(self.spaces if compared else ())]))
            computed = features_in_spaces(data, [self.space(name) for name in names])
            for name, features in zip(names, computed, strict=True):
                self._features[id(data), name] = data, features  # the set is kept, so that its id stays its own
        return self._features[id(data), space][1]

    @cached_property
    def judge(self) -> Judge | None:
        """Tells what faces show, learnt from the labelled faces of `train`; None where there are none."""
        if self.train is None or not self.train.attributes.notna().to_numpy().any():
            return None
        return Judge.train(self.train, self.features(self.train), seed=self.seed)

    def judged(self, data: FaceDataset) -> pd.DataFrame | None:
        """What the judge sees: one column of float32 probabilities an attribute, N rows; None without a judge.

        Of faces of `train`, which it has learnt from, it is surer than of others.
        """
        if self.judge is None:
            return None
        if id(data) not in self._judged:
            seen = self.judge.probabilities(data, self.features(data))
            self._judged[id(data)] = data, pd.DataFrame(seen, columns=self.judge.attributes)
        return self._judged[id(data)][1]

    @cached_property
    def _judged(self) -> dict[int, tuple[FaceDataset, pd.DataFrame]]:
        return {}

    @cached_property
    def _spaces(self) -> dict[str, FeatureSpace]:
        return {}

    @cached_property
    def _features(self) -> dict[tuple[int, str], tuple[FaceDataset, Features]]:
        return {}


@dataclass(frozen=True)
class Findings:
    """What an evaluator found."""

    measurements: list[Measurement]
    artifacts: list[Artifact] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


NEEDS: Mapping[str, str] = {
    "labels": "an attribute that was asked for, with labels (give it as `attr`)",
    "train": "the real faces that the generator learnt from (give them as `train`)",
    "valid": "a valid split of the real data",
    "test": "a test split of the real data",
    "made": "made faces with labels, to be added to the training faces",
}


class Evaluator(ABC):
    """Measures one side of a synthetic set. Where its needs are not met, it is listed as skipped."""

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    """Keys of `NEEDS`."""

    @abstractmethod
    def evaluate(self, context: Context) -> Findings:
        """Measure. The same context gives the same findings."""


def missing_needs(needs: Iterable[str], context: Context) -> list[str]:
    """Which of these needs (keys of `NEEDS`) a context does not meet."""
    parts = {"train": context.train, "valid": context.valid, "test": context.test, "made": context.made}
    missing = {need for need in needs if need in parts and parts[need] is None}
    if "labels" in needs and not context.targets:
        missing.add("labels")
    return sorted(missing, key=list(NEEDS).index)


def check_evaluator(kind: type[Evaluator], context: Context) -> None:
    """Check the contract that the rest of augface relies on. For the tests of those who write evaluators.

    Args:
        kind: the evaluator's class.
        context: a small one that meets all its needs.

    Raises:
        AssertionError: a part of the contract does not hold; the text says which.
    """
    assert kind.name, "the class has no name"
    assert kind.needs <= NEEDS.keys(), f"unknown needs {set(kind.needs) - NEEDS.keys()}"
    missing = missing_needs(kind.needs, context)
    assert not missing, f"the context lacks {missing}"
    findings = kind().evaluate(context)
    assert findings.measurements or findings.skipped, "an evaluator must measure something or say why not"
    for measurement in findings.measurements:
        assert measurement.evaluator == kind.name, f"{measurement.name} must name its evaluator {kind.name!r}"
        assert measurement.protocol, f"{measurement.name} must carry its protocol"
        assert measurement.meaning, f"{measurement.name} must say what it means"
        if measurement.low is not None and measurement.high is not None and measurement.value is not None:
            assert measurement.low <= measurement.value <= measurement.high, (
                f"{measurement.name} is outside its interval"
            )
    again = kind().evaluate(context)
    assert again.measurements == findings.measurements, "the same context must give the same numbers"
