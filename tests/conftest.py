"""What all tests share: a cache that is not the user's, no windows, one thread a process (pytest-xdist runs several).

A run ends with what it did not check: the tests that were skipped, by what they would have needed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

os.environ["MPLBACKEND"] = "Agg"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["COLUMNS"] = "120"
os.environ["AUGFACE_OFFLINE"] = "1"
for name in [
    name for name in os.environ if name.startswith("AUGFACE_") and name.endswith(("_WEIGHTS", "_SHA256", "_DEBUG"))
]:
    del os.environ[name]


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache of the session and all its processes: the user's own is neither read nor filled."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUGFACE_CACHE", str(folder))
        yield folder


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, empty: other tests fill that of the session at the same time."""
    monkeypatch.setenv("AUGFACE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real faces that AUGFACE_TEST_DATA names; the test is skipped without it."""
    folder = os.environ.get("AUGFACE_TEST_DATA")
    if not folder:
        pytest.skip("AUGFACE_TEST_DATA is not set: no real faces here")
    return Path(folder)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    """Say what was not checked, below all else that pytest says."""
    yield
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or hasattr(session.config, "workerinput"):  # a worker of pytest-xdist says nothing
        return
    reasons: Counter[str] = Counter()
    for report in terminal.stats.get("skipped", []):
        said = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[said.removeprefix("Skipped: ")] += 1
    if reasons:
        listed = "; ".join(f"{count} ({reason})" for reason, count in reasons.most_common())
        terminal.write_line(f"Not checked: {sum(reasons.values())} skipped: {listed}.", yellow=True)
