"""One registry for everything that can be chosen by name: generators, evaluators, feature spaces.

A record names a class by a dotted target, so listing what exists imports nothing. Other packages join through
entry points of the registry's group.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar, cast

from augface.errors import UnknownNameError, UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """What is known of a registered thing before it is imported."""

    name: str
    target: str
    """`package.module:attribute`."""
    summary: str
    capabilities: frozenset[str] = frozenset()
    built_in: bool = True
    """Whether it comes with augface, and not from another package."""
    on_request: bool = False
    """Whether it is left out where all are taken, as what takes long is."""


class Registry(Generic[T]):
    """Names and their targets. `kind` is the word that errors use, `group` the entry point group for other packages."""

    def __init__(self, kind: str, group: str) -> None:
        self.kind = kind
        self.group = group
        self._built_in: dict[str, Entry] = {}

    def register(
        self, name: str, target: str, summary: str, capabilities: tuple[str, ...] = (), *, on_request: bool = False
    ) -> None:
        """Add a built-in.

        Raises:
            UsageError: the name is taken.
        """
        if name in self._built_in:
            raise UsageError(f"The {self.kind} name {name!r} is registered twice.")
        self._built_in[name] = Entry(name, target, summary, frozenset(capabilities), on_request=on_request)

    def entries(self) -> dict[str, Entry]:
        """All records by name; a built-in wins over one of another package with the same name."""
        return self._built_in | {name: entry for name, entry in self._outside.items() if name not in self._built_in}

    @cached_property
    def _outside(self) -> dict[str, Entry]:
        """The records of other packages, looked up once: that reads the metadata of all that is installed."""
        from importlib.metadata import entry_points  # a tenth of the time in which `augface --help` starts

        return {
            point.name: Entry(
                point.name, point.value, f"from the package {point.dist.name if point.dist else '?'}", built_in=False
            )
            for point in entry_points(group=self.group)
        }

    def __iter__(self) -> Iterator[str]:
        """The names of all but what is on request."""
        return (name for name, entry in self.entries().items() if not entry.on_request)

    def __contains__(self, name: object) -> bool:
        return name in self.entries()

    def get(self, name: str) -> T:
        """Import and return what `name` stands for.

        Raises:
            UnknownNameError: no such name; close matches are named.
            UsageError: its module or attribute cannot be imported.
        """
        entries = self.entries()
        if name not in entries:
            raise UnknownNameError(self.kind, name, entries)
        module_name, _, attribute = entries[name].target.partition(":")
        try:
            return cast(T, getattr(importlib.import_module(module_name), attribute))
        except (ImportError, AttributeError) as error:
            raise UsageError(f"The {self.kind} {name!r} ({entries[name].target}) cannot be loaded: {error}.") from error
