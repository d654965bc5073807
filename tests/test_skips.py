"""A run of the tests says in its last line what it did not check."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

def test_well():
    pass

@pytest.mark.skipif(True, reason="chromium is not installed")
@pytest.mark.parametrize("number", [1, 2])
def test_of_pages(number):
    pass

def test_of_real_faces(real_data):
    pass
"""


def last_line(folder: Path, *options: str, tests: str = TESTS) -> str:
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_some.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, "."]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout.splitlines()[-1]


@pytest.mark.parametrize("options", [["-q"], ["-n", "2"]])
def test_what_was_skipped_is_counted_by_reason(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUGFACE_TEST_DATA", raising=False)
    assert last_line(tmp_path, *options) == (
        "Not checked: 3 skipped: 2 (chromium is not installed); 1 (AUGFACE_TEST_DATA is not set: no real faces here)."
    )


def test_modules_that_are_skipped_are_counted(tmp_path: Path) -> None:
    module = 'import pytest\npytest.importorskip("nonexistent_package", reason="it is not installed")\n'
    (tmp_path / "test_other.py").write_text(TESTS.split("@")[0])
    assert last_line(tmp_path, tests=module) == "Not checked: 1 skipped: 1 (it is not installed)."


def test_a_run_that_checked_all_says_nothing_of_it(tmp_path: Path) -> None:
    assert "1 passed" in last_line(tmp_path, tests=TESTS.split("@")[0])
