"""What a rebalancing is expected to cost: each stage grows with what it has to do, at the speed of this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from augface.data.dataset import FaceDataset
from augface.downstream.settings import DownstreamSettings
from augface.generators import create_generator
from augface.rebalancing import costs as module
from augface.rebalancing.costs import Speed, Work, costs, describe_costs
from augface.training.budget import Budget

WORK = Work(
    train=1_000,
    valid=500,
    test=500,
    wanted=600,
    size=16,
    targets=1,
    downstream=DownstreamSettings(),
    budget=Budget(120, "seconds"),
)
SPEED = Speed(
    features=0.01,
    learnt=0.001,
    classified=0.0002,
    trained=0.005,
    generated=0.002,
    laid_over=0.005,
    judged=0.001,
    damaged=0.003,
    row=2e-5,
    product=2e-11,
    memory=1_000_000_000,
)


def by_stage(work: Work, speed: Speed = SPEED) -> dict[str, module.Cost]:
    return {one.stage: one for one in costs(work, speed)}


@pytest.fixture(scope="module")
def train() -> FaceDataset:
    random = np.random.default_rng(0)
    labels = pd.DataFrame({"Hat": random.random(40) < 0.3, "Male": random.random(40) < 0.5})
    return FaceDataset.from_arrays(np.zeros((40, 16, 16, 3), np.uint8), labels)


def test_more_to_generate_costs_more_where_it_is_generated_filtered_written_and_learnt() -> None:
    less, more = by_stage(WORK), by_stage(replace(WORK, wanted=6_000))
    changed = {"generating", "writing the data set", "classifiers with and without"}
    for stage, one in less.items():
        assert (more[stage].seconds > one.seconds) == (stage in changed), stage
        assert (more[stage].disk > one.disk) == (stage in changed), stage
    assert more["generating"].memory > less["generating"].memory


def test_a_time_is_a_time_and_images_take_what_this_machine_needs() -> None:
    assert by_stage(WORK)["training the generator"].seconds == 120
    assert by_stage(replace(WORK, budget=Budget(10_000, "images")))["training the generator"].seconds == 50
    assert by_stage(replace(WORK, budget=None))["training the generator"].seconds == 0


def test_a_question_that_is_not_asked_costs_nothing() -> None:
    asked, off = by_stage(WORK), by_stage(replace(WORK, downstream=DownstreamSettings(mode="off")))
    assert set(asked) - set(off) == {"classifiers with and without"}
    full = by_stage(replace(WORK, downstream=DownstreamSettings(mode="full")))
    assert full["classifiers with and without"].seconds > asked["classifiers with and without"].seconds


def test_a_machine_of_half_the_speed_takes_twice_as_long() -> None:
    slower = Speed(**{name: 2 * value for name, value in vars(SPEED).items()})
    work = replace(WORK, budget=Budget(10_000, "images"), train=100_000, valid=50_000)
    fast, slow = (sum(one.seconds for one in costs(work, speed)) for speed in (SPEED, slower))
    assert slow / fast == pytest.approx(2, rel=0.15), "but for starting and writing"


def test_the_disk_is_known_without_measuring() -> None:
    assert [one.disk for one in costs(WORK, Speed())] == [one.disk for one in costs(WORK, SPEED)]


def test_it_is_told_by_stage() -> None:
    stages = costs(WORK, SPEED)
    first, *lines = describe_costs(stages)
    assert first.startswith("About ")
    assert len(lines) == len(stages)
    assert "2 minutes" in lines[1]
    assert "of memory" in first


@pytest.mark.parametrize("name", ["cgan", "resample"])
def test_every_kind_of_work_is_tried(name: str, train: FaceDataset) -> None:
    generator = create_generator(name, **({"channels": 4} if name == "cgan" else {}))
    trained = name == "cgan"
    speed = Speed.measured(generator, train, replace(WORK, budget=Budget(500, "images") if trained else None))
    assert generator.labels is None, "another one was tried"
    for what, value in vars(speed).items():
        assert value > 0 or (what == "trained" and not trained), what
    assert speed.features < 1


def test_what_cannot_be_tried_is_not_counted(
    train: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "face.png")
    monkeypatch.setattr("augface.generators.images.Images.fit", lambda *_, **__: pytest.fail("it is somebody's own"))
    speed = Speed.measured(create_generator("images", path=str(tmp_path)), train, replace(WORK, budget=None))
    assert speed.generated == 0
