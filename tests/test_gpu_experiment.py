"""The experiment for a GPU at hand runs to its end without one, in its small mode."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

SCRIPT = Path(__file__).parents[1] / "experiments" / "gpu.py"


def test_all_of_it_runs_on_a_processor(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--small", "--out", str(tmp_path / "results")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results" / "gpu.json").read_text())
    assert results["agreement"]["holds"]
    assert set(results["agreement"]["differences"]) == set(results["agreement"]["bounds"])
    assert results["speed"]["extraction"] > 0
    assert results["resume"]["bit_for_bit"]
    assert results["best"]["images"] >= 96
    with Image.open(tmp_path / "results" / "faces.webp") as picture:
        assert picture.width == 12 * 32
    assert sum(path.stat().st_size for path in (tmp_path / "results").glob("*.*")) < 16_000_000
