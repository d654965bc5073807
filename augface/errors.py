"""Errors for people: what is wrong, where, and what to do. Each class carries the exit code that scripts see."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


class AugfaceError(Exception):
    """Any error that a user can act on. The command line prints its text alone, without a traceback.

    Example::

        try:
            augface.load_data("folder:nowhere")
        except augface.AugfaceError as error:
            print(error, error.exit_code)
    """

    exit_code = 1


class UsageError(AugfaceError):
    """A wrong option, name or value."""

    exit_code = 2


class DataError(AugfaceError):
    """Input that cannot be used: a folder, an image, a label file, a results file."""

    exit_code = 3


class OutputError(AugfaceError):
    """Output that cannot be written: a folder that is not empty, a full disk, no permission."""

    exit_code = 4


class CheckFailed(AugfaceError):
    """A measurement that crosses a threshold which was set for it; `augface check` is there to say so."""

    exit_code = 5


class UnknownNameError(UsageError):
    """A name that is not among the known ones; the closest known names are suggested."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        by_lower = {known_name.lower(): known_name for known_name in names}
        close = [by_lower[match] for match in difflib.get_close_matches(name.lower(), list(by_lower), n=3, cutoff=0.5)]
        if close:
            hint = f"Did you mean {' or '.join(repr(match) for match in close)}?"
        else:
            shown = ", ".join(names[:40]) + (", …" if len(names) > 40 else "")
            hint = f"Known: {shown or 'none'}."
        super().__init__(f"There is no {kind} named {name!r}. {hint}")
        self.name = name
        self.close = close


def spelled(kind: str, name: str, known: Iterable[str]) -> str:
    """The known name that a name means: the very same, or the only one that differs in case alone.

    >>> spelled("attribute", "eyeglasses", ["Eyeglasses", "Male"])
    'Eyeglasses'

    Raises:
        UnknownNameError: there is none, or several differ in case alone.
    """
    names = [str(known_name) for known_name in known]
    alike = [known_name for known_name in names if known_name.casefold() == name.casefold()]
    if name not in names and len(alike) != 1:
        raise UnknownNameError(kind, name, names)
    return name if name in names else alike[0]


def require(value: T | None) -> T:
    """The value, where what was checked before says that there is one; its absence is a bug."""
    if value is None:
        raise AssertionError("a value that was checked before is missing")
    return value
