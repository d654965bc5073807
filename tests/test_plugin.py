"""A package of somebody else joins by an entry point alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from augface.results import Evaluation

EXAMPLE = Path(__file__).parent / "plugin_example"

CHECK = """
from augface.data.toyfaces import load_toyfaces
from augface.generators import GENERATORS, create_generator, load_generator
from augface.generators.base import check_generator

check_generator(GENERATORS.get("noisy-mean"), load_toyfaces(60, 16), {"noise": 5.0})
generator = create_generator("noisy-mean")
generator.fit(load_toyfaces(60, 16))
generator.save("saved")
print(type(load_generator("saved")).__module__)
"""


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that finds the installed example."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    command += ["--disable-pip-version-check", "--target", str(folder / "site"), str(folder / "source")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {**os.environ, "PYTHONPATH": str(folder / "site")}


def test_a_generator_from_outside_is_listed(outside: dict[str, str], tmp_path: Path) -> None:
    code = "from augface.cli import main; raise SystemExit(main(['list', 'generators']))"
    command = [sys.executable, "-c", code]
    listed = subprocess.run(command, capture_output=True, text=True, env=outside, cwd=tmp_path, check=False)
    assert listed.returncode == 0, listed.stderr
    assert "noisy-mean" in listed.stdout
    assert "augface-noisy-mean" in listed.stdout


def test_a_generator_from_outside_passes_the_check_and_is_loaded_by_name(
    outside: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-W", "error", "-c", CHECK]
    checked = subprocess.run(command, capture_output=True, text=True, env=outside, cwd=tmp_path, check=False)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.strip() == "augface_noisy_mean"


REBALANCE = """
import shutil
import augface.evaluators.base
from augface.classifiers.attributes import AttributeClassifier
from augface.cli import main
from augface.evaluators import EVALUATORS
from augface.evaluators.base import Context, check_evaluator
from augface.data.toyfaces import load_toyfaces
from augface.features.pixels import PixelSpace

learn = AttributeClassifier.train
AttributeClassifier.train = lambda *data, **options: learn(*data, **{**options, "images": 640})
augface.evaluators.base.create_feature_space = lambda name="": PixelSpace()
for name, entry in EVALUATORS.entries().items():
    if entry.built_in and name != "fidelity":
        del EVALUATORS._built_in[name]
check_evaluator(EVALUATORS.get("sharpness"), Context(load_toyfaces(60, 16), load_toyfaces(60, 16, seed=1)))
rebalance = "rebalance --attr Male --data toy:120 --size 16 --downstream off --generator noisy-mean --out run"
assert main(rebalance.split()) == 0
shutil.copytree("run", "again")
assert main(["compare", "run", "again", "--out", "comparison.csv"]) == 0
"""


def test_an_evaluator_of_another_package_is_in_the_run_the_report_and_the_comparison(
    outside: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", REBALANCE]
    done = subprocess.run(command, capture_output=True, text=True, env=outside, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    results = Evaluation.from_json(tmp_path / "run" / "results.json")
    (measurement,) = results.select("sharpness")
    assert measurement.baseline is not None
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    chapter = page[page.index("<bdi>Sharpness</bdi></h2>") :]
    chapter = chapter[: chapter.index('<details class="chapter"')]
    assert 'id="sharpness"' in chapter
    assert "How much neighbouring pixels differ" in chapter
    assert "Contrast of neighbouring pixels" in chapter
    assert "Contrast of neighbouring pixels" in done.stdout
    table = pd.read_csv(tmp_path / "comparison.csv")
    ranked = table[table["evaluator"] == "sharpness"]
    assert ranked["rank"].tolist() == [1, 1]
    # one that cannot be loaded is skipped, and costs nobody a run
    reasons = {one.evaluator: one.reason for one in results.skipped}
    assert "failed: UsageError" in reasons["broken"]
    assert "The evaluator broken" in done.stderr
