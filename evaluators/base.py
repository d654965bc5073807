"""What an evaluator is, what it is given, and the check that every one must pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd

from augface.data.dataset import FaceDataset
from augface.downstream.settings import DownstreamSettings
from augface.errors import UsageError
from augface.evaluators._judge import Judge
from augface.evaluators._sides import Sides
from augface.features import DEFAULT_SPACE, create_feature_space
from augface.features.base import Features, FeatureSpace
from augface.features.extraction import cached_features, features_in_spaces
from augface.generators.base import Generator
from augface.results import Artifact, Measurement, Section, Skipped


@dataclass(frozen=True)
class Context:
    """All that evaluators may look at. Parts that there are not are None."""

    reference: FaceDataset
    """Held-out real faces: the other side of generator measures."""
    samples: FaceDataset
    """Synthetic faces as they came out of the generator, unfiltered."""
    train: FaceDataset | None = None
    """The real faces that the generator learnt from."""
    valid: FaceDataset | None = None
    """Real faces on which the downstream classifier is selected."""
    test: FaceDataset | None = None
    """Real faces on which the downstream classifier is scored."""
    accepted: FaceDataset | None = None
    """The synthetic faces that passed the filters and would be added to `train`."""
    external_test: FaceDataset | None = None
    """Real faces of another source, on which the downstream classifier is scored besides `test`."""
    targets: tuple[str, ...] = ()
    """The attributes that were requested."""
    by: tuple[str, ...] = ()
    """The attributes whose combinations are measured each for itself, besides the subgroups of single attributes."""
    downstream: DownstreamSettings = field(default_factory=DownstreamSettings)
    """How the downstream question is asked."""
    generator: Generator | None = None
    """The generator, where it is at hand and not only its samples."""
    references: tuple[FaceDataset, ...] = ()
    """Faces of generators that learnt from other people than this one."""
    copies_on_purpose: bool = False
    """Whether the generator repeats training faces and says so (capability `copies`)."""
    seed: int = 0
    show_real: bool = True
    """Whether pictures may show real faces."""
    spaces: tuple[str, ...] = (DEFAULT_SPACE,)
    """The feature spaces to measure in; the pictures are of the first."""
    missing_spaces: Mapping[str, str] = field(default_factory=dict)
    """Spaces that would be measured in if their weights were here, with the reasons why they are not."""
    folder: Path | None = None
    """Where an evaluator may keep what is of use later, such as a detector; None where nothing is kept."""

    @cached_property
    def sides(self) -> Sides:
        """Which rows are compared with which."""
        return Sides(self.reference, self.samples, self.train, self.seed)

    def space(self, name: str = DEFAULT_SPACE) -> FeatureSpace:
        """A feature space, ready to extract."""
        if name not in self._spaces:
            self._spaces[name] = create_feature_space(name)
        return self._spaces[name]

    def features(self, data: FaceDataset, space: str = DEFAULT_SPACE) -> Features:
        """Features of a set, computed once; those of the compared sides in all spaces from one decoding."""
        if (id(data), space) not in self._features:
            compared = data in (self.reference, self.samples, self.sides.other)
            names = list(dict.fromkeys([space, *(self.spaces if compared else ())]))
            computed = self._extracted(data, [self.space(name) for name in names])
            for name, features in zip(names, computed, strict=True):
                self._features[id(data), name] = data, features  # the set is kept, so that its id stays its own
        return self._features[id(data), space][1]

    def _extracted(self, data: FaceDataset, spaces: list[FeatureSpace]) -> list[Features]:
        """Those of the other real faces from those of all training faces, where the cache has these already."""
        rows = self.sides.other_of_train
        if data is self.sides.other and rows is not None and self.train is not None:
            known = [features for space in spaces if (features := cached_features(self.train, space)) is not None]
            if len(known) == len(spaces):
                return [features[rows] for features in known]
        return features_in_spaces(data, spaces)

    @cached_property
    def judge(self) -> Judge | None:
        """The judge of attributes, trained on the labelled faces of `train`; None where there are none."""
        if self.train is None or not self.train.attributes.notna().to_numpy().any():
            return None
        return Judge.train(self.train, self.features(self.train), seed=self.seed)

    def judged(self, data: FaceDataset) -> pd.DataFrame | None:
        """What the judge sees: one column of float32 probabilities an attribute, N rows; None without a judge.

        It is surer of faces of `train`, on which it was trained, than of others.
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

    measurements: list[Measurement] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        """Take over what another found, after what is there."""
        self.measurements.extend(other.measurements)
        self.artifacts.extend(other.artifacts)
        self.skipped.extend(other.skipped)


@dataclass(frozen=True)
class Argument:
    """What measurements say about using the synthetic faces.

    One argument against decides against them; else one in favour decides for them; `undecided` says that the question
    was asked and has no answer, `pointless` that no faces could be shown to help; a caveat goes with whatever is
    decided, unless that is against the faces.
    """

    side: Literal["for", "against", "undecided", "pointless", "caveat"]
    text: str
    """One or more whole sentences."""


NEXT = "+1"


@dataclass(frozen=True)
class Suggestion:
    """What to do next, as the measurements of one evaluator have it."""

    urgency: int
    """What is most urgent has the smallest number; see `Urgency`."""
    title: str
    """What to do, in a short imperative sentence without its full stop."""
    reason: str
    """Why, with the numbers that say so: one or two whole sentences."""
    evidence: Sequence[Measurement] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    """Options of the command that made these results, to be changed when it is given again; `NEXT` as a value is the
    number after the one that there is."""
    train_longer: bool = False
    """Whether the command is to be given again with a longer training."""


class Urgency(IntEnum):
    """In which order suggestions are given."""

    USELESS = 0
    """The faces cannot be used as they are: nothing else matters before."""
    HARMFUL = 10
    INPUT = 20
    """The data are at fault, not the generator."""
    ANSWERED = 30
    """The question has an answer, and this is what follows from it."""
    WEAK = 40
    """The faces can be much better."""
    UNSURE = 50
    """The answer can be surer."""
    FINE = 60
    """Something can be improved."""


NEEDS: Mapping[str, tuple[Callable[[Context], bool], str]] = {
    "labels": (
        lambda context: bool(context.targets),
        "an attribute that was requested, with labels (give it as `attr`)",
    ),
    "train": (
        lambda context: context.train is not None,
        "the real faces that the generator learnt from (give them as `train`)",
    ),
    "valid": (lambda context: context.valid is not None, "a valid split of the real data"),
    "test": (lambda context: context.test is not None, "a test split of the real data"),
    "accepted": (
        lambda context: context.accepted is not None,
        "synthetic faces with labels, to be added to the training faces",
    ),
    "downstream": (
        lambda context: context.downstream.mode != "off",
        "the downstream question to be asked, and it was switched off",
    ),
    "steerable": (
        lambda context: context.generator is not None and bool(context.generator.editable),
        "a generator at hand (give its folder or run as the synthetic faces) whose faces can be made again with other "
        "attributes",
    ),
    "networks": (
        lambda context: _has_networks(context.generator),
        "a generator at hand (give its folder or run as the synthetic faces) whose layers augface knows",
    ),
    "no copies on purpose": (
        lambda context: not context.copies_on_purpose,
        "a generator that does not repeat training faces on purpose",
    ),
}
"""What an evaluator may need: whether a context has it, and what it is."""


def _has_networks(generator: Generator | None) -> bool:
    try:
        return generator is not None and bool(generator.networks())
    except UsageError:
        return False


class Evaluator(ABC):
    """Measures one side of a synthetic set, and owns all that is said of it.

    A subclass declares its `section`, whose key is the name that it is registered by, and fills in `evaluate`.
    """

    section: ClassVar[Section]
    """Title, meaning and key measures, as results and reports have them."""
    name: ClassVar[str]
    """The key of the section; filled in from it."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """Keys of `NEEDS`. Where one is not met the evaluator is listed as skipped, with the reason."""
    before_filters: ClassVar[bool] = False
    """Whether this is asked before faces are filtered: an argument of its against the samples stops the run there."""
    caveat_if_missing: ClassVar[str] = ""
    """A sentence that goes with a verdict in favour of the faces where this was not measured."""

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        if "section" in cls.__dict__:
            cls.name = cls.section.key

    @abstractmethod
    def evaluate(self, context: Context) -> Findings:
        """Measure. The same context gives the same findings."""

    @classmethod
    def skip(cls, reason: str) -> Skipped:
        """A note that something was not measured, and why."""
        return Skipped(evaluator=cls.name, reason=reason)

    @classmethod
    def unmet_needs(cls, context: Context) -> str:
        """Why this cannot be measured in a context, as the rest of a sentence; empty where it can."""
        unmet = [what for need, (is_met, what) in NEEDS.items() if need in cls.needs and not is_met(context)]
        return f"needs {'; '.join(unmet)}." if unmet else ""

    @classmethod
    def arguments(cls, measurements: Sequence[Measurement]) -> list[Argument]:
        """What this evaluator's own measurements say for or against using the faces; nothing unless it overrides it."""
        return []

    @classmethod
    def suggestions(cls, measurements: Sequence[Measurement]) -> list[Suggestion]:
        """What this evaluator's own measurements suggest to do next; nothing unless it overrides it."""
        return []


def check_evaluator(kind: type[Evaluator], context: Context) -> None:
    """Check the contract that the rest of augface relies on. For the tests of those who write evaluators.

    Args:
        kind: the evaluator's class.
        context: a small one that meets all its needs.

    Raises:
        AssertionError: a part of the contract does not hold; the text says which.
    """
    assert getattr(kind, "section", None) is not None, "the class declares no section"
    section = kind.section
    assert section.title, "the section has no title"
    assert section.meaning, "the section must say what its numbers mean"
    assert kind.needs <= NEEDS.keys(), f"unknown needs {set(kind.needs) - NEEDS.keys()}"
    assert not (unmet := kind.unmet_needs(context)), f"the context does not do: the evaluator {unmet}"
    findings = kind().evaluate(context)
    assert findings.measurements or findings.skipped, "an evaluator must measure something or say why not"
    for measurement in findings.measurements:
        assert measurement.evaluator == kind.name, f"{measurement.name} must name its evaluator {kind.name!r}"
        assert measurement.label, f"{measurement.name} must have a label for people"
        assert measurement.protocol, f"{measurement.name} must carry its protocol"
        assert measurement.meaning, f"{measurement.name} must say what it means"
        if measurement.low is not None and measurement.high is not None and measurement.value is not None:
            assert measurement.low <= measurement.value <= measurement.high, (
                f"{measurement.name} is outside its interval"
            )
    for artifact in findings.artifacts:
        assert artifact.section == kind.name, f"{artifact.name} must name its section {kind.name!r}"
    for argument in kind.arguments(findings.measurements):
        assert argument.text.endswith("."), f"an argument is whole sentences, not {argument.text!r}"
    for suggestion in kind.suggestions(findings.measurements):
        assert not suggestion.title.endswith("."), f"a title has no full stop, as {suggestion.title!r} has"
        assert suggestion.reason.endswith("."), f"a reason is whole sentences, not {suggestion.reason!r}"
    again = kind().evaluate(context)
    assert again.measurements == findings.measurements, "the same context must give the same numbers"
