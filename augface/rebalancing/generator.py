"""The generator of a job: one with settings of its own, or one that is made by its name for what is to be balanced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from augface.errors import UsageError
from augface.generators import GENERATORS, create_generator
from augface.generators.base import Generator


def generator_for(generator: str | Generator, attributes: Sequence[str], settings: Mapping[str, Any]) -> Generator:
    """The generator; one that is made by its name and can show rare classes more often gets their attributes.

    Args:
        generator: a registered name, or a generator.
        attributes: what is to be balanced.
        settings: of one that is given by its name.

    Raises:
        UsageError: settings for a generator that has its own, or that it cannot have.
    """
    if isinstance(generator, Generator):
        if settings:
            raise UsageError("Settings are for a generator that is given by its name; this one has its own already.")
        return generator
    rare = {"balance": list(attributes)} if "balance" in GENERATORS.get(generator).Config.model_fields else {}
    return create_generator(generator, **{**rare, **settings})
