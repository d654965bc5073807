"""The experiment for a GPU at hand runs to its end without one, in its small mode."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[1] / "experiments" / "gpu.py"


@pytest.mark.filterwarnings("ignore::augface.metrics.frechet.TooFewRowsWarning")
def test_all_of_it_runs_on_a_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--small", "--out", str(tmp_path / "results")])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    results = json.loads((tmp_path / "results" / "gpu.json").read_text())
    assert results["agreement"]["holds"]
    assert set(results["agreement"]["differences"]) == set(results["agreement"]["bounds"])
    assert results["speed"]["extraction"] > 0
    assert results["resume"]["bit_for_bit"]
    assert results["best"]["images"] >= 64
    with Image.open(tmp_path / "results" / "faces.webp") as picture:
        assert picture.width == 12 * 16
    assert sum(path.stat().st_size for path in (tmp_path / "results").glob("*.*")) < 16_000_000
