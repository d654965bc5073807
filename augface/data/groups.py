"""Subgroups of faces: those that have certain values of some attributes, such as eyeglasses and not male."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from augface.errors import UsageError

VALUES = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "-1": False}


class Subgroup(Mapping[str, bool]):
    """Attribute values that faces of a subgroup have, in order. An empty one is all faces.

    It is a mapping from names to values, so it goes wherever `where` goes, and it can be a key of a dictionary.

    >>> women_with_glasses = Subgroup({"Eyeglasses": True, "Male": False})
    >>> women_with_glasses.label, str(women_with_glasses)
    ('Eyeglasses=1,Male=0', 'Eyeglasses, not Male')
    """

    def __init__(self, where: Mapping[str, bool] | None = None) -> None:
        self._where = {str(name): bool(value) for name, value in (where or {}).items()}

    @classmethod
    def parse(cls, text: str) -> Subgroup:
        """The subgroup that a text such as `Eyeglasses=1,Male=no` names.

        >>> Subgroup.parse("Eyeglasses=1,Male=no")
        Subgroup({'Eyeglasses': True, 'Male': False})

        Raises:
            UsageError: a part without `=`, or with a value that is neither yes nor no.
        """
        where = {}
        for part in (part.strip() for part in text.split(",")):
            name, _, value = part.partition("=")
            if part and (not name or value.lower() not in VALUES):
                raise UsageError(f"A subgroup is written NAME=1 or NAME=0, such as Eyeglasses=1, not {part!r}.")
            if part:
                where[name] = VALUES[value.lower()]
        return cls(where)

    @property
    def label(self) -> str:
        """The subgroup as options and files have it, such as `Eyeglasses=1,Male=0`; see `parse`."""
        return ",".join(f"{name}={int(value)}" for name, value in self._where.items())

    def __str__(self) -> str:
        return ", ".join(name if value else f"not {name}" for name, value in self._where.items())

    def __repr__(self) -> str:
        return f"Subgroup({self._where!r})"

    def __getitem__(self, name: str) -> bool:
        return self._where[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)

    def __hash__(self) -> int:
        return hash(frozenset(self._where.items()))

    def __or__(self, other: Mapping[str, bool]) -> Subgroup:
        """The faces of both, such as those of a stratum that show an attribute."""
        return Subgroup({**self._where, **other})


def combinations(attributes: Sequence[str]) -> list[Subgroup]:
    """Every combination of values of these attributes; all faces where there are none.

    >>> [str(group) for group in combinations(["Male"])]
    ['Male', 'not Male']
    """
    return [
        Subgroup(dict(zip(attributes, values, strict=True)))
        for values in itertools.product((True, False), repeat=len(attributes))
    ]
