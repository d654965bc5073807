"""`augface list`: what can be chosen by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from augface.cli.console import print_table, say

if TYPE_CHECKING:
    from augface.registry import Registry

Kind = Literal["generators", "evaluators", "features"]


def list_names(kind: Kind | None = None, /) -> None:
    """List what can be chosen by name, those of installed plug-ins included.

    Args:
        kind: Which names to list; all three kinds where not given.
    """
    if kind is not None:
        _list_one(kind)
        return
    for each in get_args(Kind):
        say(f"{each}:")
        _list_one(each)
        say()


def _list_one(kind: Kind) -> None:
    titles = ["name", "what it is", "can"] if kind == "generators" else ["name", "what it is"]
    rows = [[*titles, *(["weights"] if kind == "features" else [])]]
    for name, entry in _registry(kind).entries().items():
        row = [name, entry.summary]
        if kind == "generators":
            row.append(", ".join(sorted(entry.capabilities)))
        if kind == "features":
            from augface.features import weights_status

            present, detail = weights_status(name)
            row.append(f"ready: {detail}" if present else f"weights missing: {detail}")
        rows.append(row)
    print_table(rows)


def _registry(kind: Kind) -> Registry[Any]:
    if kind == "generators":
        from augface.generators import GENERATORS

        return GENERATORS
    if kind == "evaluators":
        from augface.evaluators import EVALUATORS

        return EVALUATORS
    from augface.features import FEATURE_SPACES

    return FEATURE_SPACES
