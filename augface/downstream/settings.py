"""How the downstream question is asked."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Mode = Literal["frozen", "full", "off"]
"""`frozen`: a linear head on features of the default space; `full`: a network on pixels, trained from random weights;
`off`: the question is not asked."""


Arms = Literal["default", "all"]
"""`default`: those that are the strongest for what they cost; `all`: more that need no synthetic faces, in `frozen`."""


class DownstreamSettings(BaseModel):
    """How classifiers are trained with and without the synthetic faces, and on what they are scored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode = "frozen"
    arms: Arms = "default"
    """Which training methods are compared."""
    network: str = "small"
    """What is trained in `full` mode: `small`, or the name of a timm model."""
    external_test: str = ""
    """Where the labelled real faces of another source are from that classifiers are scored on too; empty for none."""
    allow_identity_overlap: bool = False
    """Whether the question is asked although the same people are in more than one split."""
