"""Progress: lines in a log where there is no terminal, with what is done and how long the rest may take."""

from __future__ import annotations

import logging
import time

import pytest

from augface import progress as module
from augface.progress import LogBar, progress


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.05)
    caplog.set_level(logging.INFO, logger="augface")


def test_a_log_gets_a_line_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    started = time.perf_counter()
    with progress(total=200, desc="counting", unit="img") as bar:
        assert isinstance(bar, LogBar)
        for _ in range(200):
            time.sleep(0.001)
            bar.update()
            bar.set_postfix(loss="0.1")
    said = lines(caplog)
    assert 1 <= len(said) <= 1 + (time.perf_counter() - started) / module.SECONDS, "not a line a step"
    assert all(line.startswith("counting: ") and line.endswith(" left") for line in said)
    assert " 100%" not in said[-1]


def test_without_a_total_it_is_told_how_much_is_done(caplog: pytest.LogCaptureFixture) -> None:
    bar = progress(desc="reading", unit="faces")
    for _ in range(3):
        time.sleep(0.06)
        bar.update(1000)
    bar.close()
    assert lines(caplog)[-1].startswith("reading: 3,000 faces in ")


def test_what_takes_no_time_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert list(progress(iterable=range(3), desc="counting")) == [0, 1, 2]
    assert lines(caplog) == []


def test_the_time_left_is_about_right(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    bar = progress(total=1000, desc="counting")
    monkeypatch.setattr(LogBar, "format_dict", {"elapsed": 60.0, "initial": 400, "rate": None})
    bar.n = 600
    assert bar.line() == "counting: 60%, about 2 minutes left"  # type: ignore[attr-defined]
    bar.close()
