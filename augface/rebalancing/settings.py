"""The settings of a rebalancing: one model for the plan, `config.toml`, the check of a resumption and the command."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import tomli_w
from pydantic import BaseModel, ConfigDict

from augface.downstream.settings import DownstreamSettings
from augface.generators.base import GeneratorConfig

MAX_DRAWS = 10
"""Faces drawn for each one wanted, before a shortfall is accepted."""


class RebalanceSettings(BaseModel):
    """Everything that determines what a rebalancing gives."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    """Where the faces come from, as `load_data` takes it."""
    data_hash: str
    """What the content of the data is known by."""
    size: int
    """Height and width of the faces, in pixels."""
    attr: tuple[str, ...]
    """The attributes to balance."""
    within: tuple[str, ...] = ()
    """The attributes whose groups are balanced each for itself."""
    sampling_strategy: str | float | dict[str, int] = "auto"
    """How many faces; see `augface.rebalancing.strategy.Strategy`."""
    generator: dict[str, Any]
    """The generator's `name`, and all its settings."""
    budget: str = "5m"
    """The generator's training: time or images."""
    seed: int = 0
    downstream: DownstreamSettings = DownstreamSettings()
    max_draws: int = MAX_DRAWS
    """Faces drawn for each one wanted, before a shortfall is accepted."""

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON and TOML have them; what is not set is left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_toml(self) -> str:
        """The content of `config.toml`."""
        return tomli_w.dumps(self.to_dict())

    def changes(self, before: Mapping[str, Any]) -> list[str]:
        """The dotted names of the settings that differ from those of a `config.toml`."""
        old, new = dict(_leaves(before)), dict(_leaves(self.to_dict()))
        changed = [name for name in old | new if old.get(name) != new.get(name)]
        if "generator.name" in changed:  # another generator has other settings, which go without saying
            changed = [name for name in changed if name == "generator.name" or not name.startswith("generator.")]
        return changed

    def command(self, config: GeneratorConfig) -> str:
        """The command line that makes this run again.

        Args:
            config: the generator's settings; those that differ from its defaults are named.
        """
        options: list[tuple[str, ...]] = [("--attr", name) for name in self.attr]
        options += [("--within", name) for name in self.within]
        if isinstance(self.sampling_strategy, float):
            options.append(("--ratio", f"{self.sampling_strategy:g}"))
        options += [(f"--{name}", str(getattr(self, name))) for name in ("data", "budget", "size", "seed")]
        options += [("--downstream", self.downstream.mode), ("--generator", self.generator["name"])]
        for name in config.model_dump(exclude_defaults=True, exclude_none=True):
            value = self.generator[name]
            if name != "balance" or tuple(value) != self.attr + self.within:  # these are balanced anyway
                text = ",".join(map(str, value)) if isinstance(value, list) else value
                options.append(("--set", f"{name}={text}"))
        if self.downstream.mode == "full":
            options.append(("--network", self.downstream.network))
        if self.downstream.external_test:
            options.append(("--external-test", self.downstream.external_test))
        if self.downstream.allow_identity_overlap:
            options.append(("--allow-identity-overlap",))
        return shlex.join(["augface", "rebalance", *itertools.chain.from_iterable(options)])


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The settings that are no tables, by their dotted names."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
