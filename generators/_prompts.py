"""What pipelines are told of a face: prompts of words for its attributes, and numbers of classes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from augface.data.groups import Subgroup
from augface.errors import DataError, UnknownNameError, UsageError
from augface.text import one_line

SHIPPED = Path(__file__).with_name("prompts.toml")
"""Words for the 40 attributes of CelebA, some of which ToyFaces have too."""
SLOT = "{words}"
TEXTS = ("template", "negative", "instruction")


@dataclass(frozen=True)
class Prompts:
    """A template, and words for attributes.

    Attributes:
        template: the prompt, in which `{words}` stands for those of one face.
        negative: what no face should show.
        instruction: what pipelines that follow instructions are told, in which `{words}` stands for what changes.
        words: of each attribute, what is said where it is present and where it is absent; nothing where empty.
        classes: of each subgroup, the number of its class, for pipelines that are conditional on classes.
    """

    template: str
    negative: str
    instruction: str
    words: Mapping[str, tuple[str, str]]
    classes: Mapping[Subgroup, int]

    @classmethod
    def read(cls, content: bytes, place: str) -> Prompts:
        """The prompts in a TOML file such as `prompts.toml`.

        Raises:
            DataError: it is no such file; says what is wrong in it.
        """
        try:
            table = tomllib.loads(content.decode())
        except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
            raise DataError(f"{place} is not TOML: {one_line(str(error))}.") from error
        shipped = {} if place == str(SHIPPED) else tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
        if unknown := sorted(table.keys() - {*TEXTS, "words", "classes"}):
            raise DataError(f"{place}: {unknown[0]!r} is none of {', '.join(TEXTS)}, words and classes.")
        texts: dict[str, Any] = {name: table.get(name, shipped.get(name)) for name in TEXTS}
        for name, text in texts.items():
            if not isinstance(text, str) or text.count(SLOT) != (name != "negative"):
                raise DataError(f"{place}: {name} is a text{'' if name == 'negative' else f' with {SLOT} in it once'}.")
        words, classes = (table.get(name, {}) for name in ("words", "classes"))
        return cls(**texts, words=_words(words, place), classes=_classes(classes, place))

    def check_attributes(self, known: Sequence[str]) -> None:
        """Refuse words for attributes that the data lack.

        Raises:
            UnknownNameError: there are some; suggests what may have been meant.
        """
        for name in [*self.words, *(name for group in self.classes for name in group)]:
            if name not in known:
                raise UnknownNameError("attribute", name, known)

    def prompts(self, labels: pd.DataFrame, first: Sequence[str] = ()) -> list[str]:
        """A prompt for each row of attributes, nullable boolean; the attributes that come `first` are named first."""
        return [self._filled(self._said(row, first)) for row in _rows(labels)]

    def negatives(self, labels: pd.DataFrame, first: Sequence[str] = ()) -> list[str]:
        """A negative prompt for each row: the words of those attributes among `first` that are to be absent, too.

        Text encoders read over "without", so what must not be seen is named where they are told what to avoid.
        """
        return [
            ", ".join([*(self._word(name, True) for name in first if row.get(name) is False), self.negative]).strip(
                ", "
            )
            for row in _rows(labels)
        ]

    def instructions(self, labels: pd.DataFrame, changed: Sequence[str]) -> list[str]:
        """What to make of each face, of the words of the changed attributes alone."""
        said = [
            [self._word(name, value) for name in changed if (value := row.get(name)) is not None]
            for row in _rows(labels)
        ]
        return [self.instruction.replace(SLOT, ", ".join(word for word in words if word)) for words in said]

    def numbers(self, labels: pd.DataFrame) -> list[int]:
        """The number of the class of each row.

        Raises:
            UsageError: a row is of none of the classes.
        """
        found = []
        for row in _rows(labels):
            fitting = [number for group, number in self.classes.items() if group.items() <= row.items()]
            if not fitting:
                raise UsageError(
                    f"No class is given for faces with {Subgroup({k: v for k, v in row.items() if v is not None})}; "
                    "name one for each combination of the attributes in [classes]."
                )
            found.append(fitting[0])
        return found

    def _said(self, row: Mapping[str, bool | None], first: Sequence[str]) -> list[str]:
        named = [name for name in [*first, *(name for name in self.words if name not in first)] if name in self.words]
        words = [self._word(name, value) for name in named if (value := row.get(name)) is not None]
        return [word for word in words if word]

    def _word(self, name: str, value: bool) -> str:
        return self.words.get(name, ("", ""))[0 if value else 1]

    def _filled(self, words: Sequence[str]) -> str:
        return self.template.replace(SLOT, ", ".join(words)).strip(", ")


def _rows(labels: pd.DataFrame) -> list[dict[str, bool | None]]:
    return [
        {str(name): None if pd.isna(value) else bool(value) for name, value in row.items()}
        for row in labels.to_dict("records")
    ]


def _words(table: Any, place: str) -> dict[str, tuple[str, str]]:
    if not isinstance(table, dict):
        raise DataError(f"{place}: [words] is a table of attributes.")
    for name, said in table.items():
        if not (isinstance(said, list) and len(said) == 2 and all(isinstance(word, str) for word in said)):
            raise DataError(
                f'{place}: {name} takes two texts, for present and absent, such as ["wearing glasses", ""].'
            )
    return {name: (said[0], said[1]) for name, said in table.items()}


def _classes(table: Any, place: str) -> dict[Subgroup, int]:
    if not isinstance(table, dict) or not all(type(number) is int and number >= 0 for number in table.values()):
        raise DataError(f'{place}: [classes] is a table of subgroups and numbers, such as "Eyeglasses=1" = 3.')
    return {Subgroup.parse(text): number for text, number in table.items()}
