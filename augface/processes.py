"""The processes of one job, as `torchrun` and `accelerate launch` start them: how many, and which of them this is."""

from __future__ import annotations

import os


def world_size() -> int:
    """How many processes do this job together; 1 where none were started for that."""
    return max(1, _number("WORLD_SIZE"))


def is_main_process() -> bool:
    """Whether this is the process that writes the files and speaks for all."""
    return _number("RANK") == 0


def _number(variable: str) -> int:
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() else 0
