"""How many threads compute: what is fastest now, unless it was said; a training that is slowed down looks again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from augface import threads
from augface.runs import RunSettings, open_run
from augface.threads import adopt_threads, choose_threads, computing_threads
from augface.training.budget import parse_budget
from augface.training.loop import Pace


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing says how many threads to compute with, and there are two cores."""
    before = torch.get_num_threads()
    limits = threadpool_limits()  # as they are
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(threads, "_chosen", [])
    monkeypatch.setattr(threads, "cores", lambda: 2)
    yield
    torch.set_num_threads(before)
    limits.restore_original_limits()


@pytest.mark.usefixtures("free")
@pytest.mark.parametrize(("speeds", "chosen"), [({1: 140, 2: 14}, 1), ({1: 100, 2: 160}, 2), ({1: 100, 2: 105}, 1)])
def test_the_fastest_number_is_chosen_and_fewer_where_it_hardly_matters(
    speeds: dict[int, float], chosen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "_speed", speeds.__getitem__)
    assert computing_threads() == torch.get_num_threads() == chosen
    of_products = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert of_products
    assert set(of_products) == {chosen}
    monkeypatch.setattr(threads, "_speed", lambda count: pytest.fail("it is measured once"))
    assert computing_threads() == chosen


@pytest.mark.usefixtures("free")
def test_the_speed_is_really_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "LOOK_SECONDS", 0.02)
    assert choose_threads() in (1, 2)


def test_what_the_environment_says_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    assert choose_threads() == adopt_threads(before + 3) == torch.get_num_threads() == before


@pytest.mark.usefixtures("free")
def test_a_run_goes_on_with_as_many_threads_as_it_was_begun_with(tmp_path: Path) -> None:
    def settings(count: int) -> RunSettings:
        return RunSettings(data="toy", data_hash="0" * 64, size=64, generator={"name": "x"}, threads=count)

    with open_run(tmp_path / "run", settings(2), resume=False):
        pass
    with open_run(tmp_path / "run", settings(1), resume=True) as run:
        assert run.settings.threads == torch.get_num_threads() == 2


class TestPace:
    def test_half_the_speed_is_slow_once(self) -> None:
        pace = Pace(parse_budget("5m"), 0, 0.0)
        found = []
        for images, seconds in ((300, 2), (600, 4), (650, 6), (700, 8), (1000, 10)):
            pace.measure(images, seconds)
            found.append(pace.is_slow())
        assert found == [False, False, True, False, False]

    def test_a_number_of_images_never_depends_on_the_speed(self) -> None:
        pace = Pace(parse_budget("200k"), 0, 0.0)
        assert pace.measure(300, 1) == 300
        assert pace.measure(301, 2) == 1
        assert not pace.is_slow()

    @pytest.mark.parametrize(
        ("budget", "said"),
        [
            (
                "5m",
                "5 images a second: 5m is enough for about 1,500 images; good faces take about 75,000, in 4.2 hours.",
            ),
            ("200k", "5 images a second: 200k take about 11.1 hours."),
            ("20s", None),
        ],
    )
    def test_it_is_told_once_what_a_long_budget_is_enough_for(
        self, budget: str, said: str | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, logger="augface")
        pace = Pace(parse_budget(budget), 1000, 100.0)  # gone on with
        for images, seconds in ((1001, 102.0), (1011, 104.0), (1012, 106.0)):
            pace.measure(images, seconds)
            pace.announce()
        assert [record.getMessage() for record in caplog.records] == ([said] if said else [])
