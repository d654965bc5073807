"""The settings of a rebalancing: one model for the plan, `config.toml`, the check of a resumption and the command."""

from __future__ import annotations

import itertools
import shlex

from augface.downstream.settings import DownstreamSettings
from augface.generators.base import GeneratorConfig
from augface.runs import RunSettings

MAX_DRAWS = 10
"""Faces drawn for each one wanted, before a shortfall is accepted."""


class RebalanceSettings(RunSettings):
    """Everything that determines what a rebalancing gives."""

    attr: tuple[str, ...]
    """The attributes to balance."""
    within: tuple[str, ...] = ()
    """The attributes whose groups are balanced each for itself."""
    sampling_strategy: str | float | dict[str, int] = "auto"
    """How many faces; see `augface.rebalancing.strategy.Strategy`."""
    downstream: DownstreamSettings = DownstreamSettings()
    external_test_hash: str = ""
    """What the content of the external test set is known by."""
    max_draws: int = MAX_DRAWS
    """Faces drawn for each one wanted, before a shortfall is accepted."""

    def __repr__(self) -> str:
        within = f", within={self.within}" if self.within else ""
        return (
            f"RebalanceSettings(data={self.data!r}, attr={self.attr}{within}, generator={self.generator['name']!r}, "
            f"budget={self.budget!r}, seed={self.seed})"
        )

    __str__ = __repr__

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
        if self.downstream.arms != "default":
            options.append(("--downstream-arms", self.downstream.arms))
        if self.downstream.mode == "full":
            options.append(("--network", self.downstream.network))
        if self.downstream.external_test:
            options.append(("--external-test", self.downstream.external_test))
        if self.downstream.allow_identity_overlap:
            options.append(("--allow-identity-overlap",))
        return shlex.join(["augface", "rebalance", *itertools.chain.from_iterable(options)])
