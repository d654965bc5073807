"""A small study for tests: faces that are mere patterns, planned in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augface.study import power
from augface.study.folder import Study
from augface.study.planning import Settings, plan_study, write_study


def write_faces(folder: Path, count: int, *, seed: int, size: int | tuple[int, int] = 32, suffix: str = "png") -> Path:
    """Pictures of smooth colours, all different."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    width, height = (size, size) if isinstance(size, int) else size
    for number in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{number:03d}.{suffix}")
    return folder


def quick_power(patch: pytest.MonkeyPatch) -> None:
    """Few simulated studies: what they say is looked at elsewhere."""
    for name, value in (("COARSE", 6), ("FINE", 8), ("FEW", 1)):
        patch.setattr(power, name, value)


def small_study(folder: Path, patch: pytest.MonkeyPatch, generators: int = 1, **settings: Any) -> Study:
    """A study of 16 faces of each kind, of which each of 6 raters judges 8 in a task."""
    quick_power(patch)
    real = write_faces(folder / "real", 16 * generators + 8, seed=0)
    fakes = [write_faces(folder / f"fake{number}", 16, seed=number) for number in range(1, generators + 1)]
    chosen = Settings(**{"faces": 16, "trials": 8, "raters": 6, **settings})
    return write_study(plan_study(str(real), [str(fake) for fake in fakes], chosen), folder / "study")
