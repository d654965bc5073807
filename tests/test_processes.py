"""Commands in two processes: rank 0 is this one, rank 1 a process that helps; results are those of one process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from augface.classifiers.attributes import AttributeClassifier
from augface.cli import main
from augface.data import load_data
from augface.data.dataset import FaceDataset
from augface.errors import DataError, UsageError
from augface.features.extraction import features_of
from augface.features.pixels import PixelSpace
from augface.files import content_hash
from augface.generators import create_generator
from augface.processes import is_main_process, run_command, spread, together
from augface.rebalancing import rebalance as rebalancing
from augface.rebalancing.filters import Filters
from augface.results import Evaluation

ROOT = Path(__file__).parents[1]
HELPER = """
import os, sys
from augface.cli import main
from augface.evaluators import base
from augface.features.pixels import PixelSpace
base.create_feature_space = lambda name="": PixelSpace()
for port in sys.argv[1:]:
    os.environ["MASTER_PORT"] = port
    if main(["help"]):
        sys.exit(1)
"""
JOBS = 8


class Pair:
    """Two processes for one job after another."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._ports = free_ports(JOBS)
        variables = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "LOCAL_WORLD_SIZE": "2"}
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
        self.helper = subprocess.Popen(
            [sys.executable, "-c", HELPER, *self._ports],
            env={**os.environ, **variables, "RANK": "1", "LOCAL_RANK": "1", "PYTHONPATH": path},
            stderr=subprocess.PIPE,
            text=True,
        )
        self._variables = {**variables, "RANK": "0", "LOCAL_RANK": "0"}

    def run(self, command: Callable[[], int]) -> int:
        """Run a job in both processes."""
        with self._patch.context() as patch:
            for name, value in {**self._variables, "MASTER_PORT": self._ports.pop(0)}.items():
                patch.setenv(name, value)
            return command()


def free_ports(count: int) -> list[str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)  # what earlier tests trained in was one process
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("augface.processes.PATIENCE", timedelta(minutes=3))
        pair = Pair(patch)
        yield pair
        pair.helper.kill()
        pair.helper.communicate()
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def generator(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator that two processes trained."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    settings = ["--set", "channels=4", "--set", "latent=8", "--set", "batch_size=16"]
    words = ["train", "--generator", "cgan", *settings, "--data", "toy:300", "--size", "16"]
    assert pair.run(lambda: main([*words, "--budget", "64", "--out", str(folder)])) == 0
    return folder


def test_a_generator_is_trained_by_both_and_saved_by_one(generator: Path) -> None:
    assert (generator / "generator" / "weights.safetensors").is_file()
    assert not list(generator.rglob("*.partial"))
    assert '"processes": 2' in (generator / "checkpoints" / "last.safetensors").read_bytes()[:100_000].decode(
        errors="replace"
    ).replace('\\"', '"')


def test_samples_are_those_of_one_process(pair: Pair, generator: Path, tmp_path: Path) -> None:
    words = ["sample", str(generator), "-n", "300", "--seed", "3", "--out"]
    assert main([*words, str(tmp_path / "one")]) == 0
    assert pair.run(lambda: main([*words, str(tmp_path / "two")])) == 0
    assert content_hash(tmp_path / "one") == content_hash(tmp_path / "two")


def test_measures_are_those_of_one_process(pair: Pair, generator: Path, tmp_path: Path) -> None:
    words = ["evaluate", "toy:300", str(generator), "--size", "16", "--spaces", "pixels", "--evaluators", "prdc"]
    found = []
    for name, run in (("one", lambda command: command()), ("two", pair.run)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AUGFACE_CACHE", str(tmp_path / f"cache-{name}"))
            assert run(partial(main, [*words, "--out", str(tmp_path / name)])) == 0
        found.append(Evaluation.from_json(tmp_path / name / "results.json").measurements)
    assert found[0] == found[1]


def test_features_are_those_of_one_process(pair: Pair, tmp_path: Path) -> None:
    faces = load_data("toy:300", size=16)
    found = []

    def extract() -> int:
        found.append(features_of(faces, PixelSpace()))
        return 0

    for name, run in (("one", lambda command: command()), ("two", pair.run)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AUGFACE_CACHE", str(tmp_path / name))
            run(lambda: run_command(extract))
    assert np.array_equal(found[0], found[1])


def test_a_data_set_is_balanced_as_by_one_process(
    pair: Pair, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = AttributeClassifier.train
    monkeypatch.setattr(
        AttributeClassifier, "train", lambda *data, **options: learn(*data, **{**options, "images": 640})
    )
    fitted: list[Filters] = []
    fit = Filters.fit

    def fit_once(train: FaceDataset, *, seed: int) -> Filters:
        fitted.extend([] if fitted else [fit(train, seed=seed)])
        return fitted[0]

    monkeypatch.setattr(Filters, "fit", fit_once)
    monkeypatch.setattr(rebalancing, "EVALUATORS", ("memorisation",))
    monkeypatch.setattr("augface.evaluators.base.create_feature_space", lambda name="": PixelSpace())
    words = ["rebalance", "--attr", "Eyeglasses", "--data", "toy:300", "--size", "16", "--generator", "resample"]
    words += ["--downstream", "off", "--anyway", "--out"]
    assert main([*words, str(tmp_path / "one")]) == 0
    assert pair.run(lambda: main([*words, str(tmp_path / "two")])) == 0
    for place in ("dataset", "checkpoints/samples", "checkpoints/accepted-0"):
        assert content_hash(tmp_path / "one" / place) == content_hash(tmp_path / "two" / place)
    one, two = (Evaluation.from_json(tmp_path / name / "results.json") for name in ("one", "two"))
    assert (one.verdict, one.measurements) == (two.verdict, two.measurements)


def test_what_the_main_process_trains_alone_waits_for_nobody(pair: Pair) -> None:
    faces = load_data("toy:300", size=16)

    def samples() -> np.ndarray:
        generator = create_generator("cgan", channels=4)
        generator.fit(faces, budget="32")
        return np.asarray(generator.sample(4).images)

    found: list[np.ndarray] = []

    def command() -> int:
        found.append(samples())
        return 0

    pair.run(lambda: run_command(command))
    assert np.array_equal(found[0], samples()), "as in one process"


def fail_in_helper() -> None:
    """One process fails where the others wait for it."""
    from torch import distributed

    if not is_main_process():
        raise DataError("nothing to be read here")
    distributed.barrier()


def test_an_error_in_one_process_is_said_once_by_the_main_one(pair: Pair) -> None:
    def apart() -> int:
        list(spread(create_generator, ["cgan", "nope", "cgan", "cgan"]))
        return 0

    with pytest.raises(UsageError, match="no generator named 'nope'"):
        pair.run(lambda: run_command(apart))
    with pytest.raises(DataError, match="nothing to be read here"):
        pair.run(lambda: run_command(lambda: together(fail_in_helper) or 0))
    assert pair.helper.wait(60) == 1
    assert pair.helper.stderr is not None
    assert pair.helper.stderr.read() == "", "the main process speaks for all"
    assert not torch.distributed.is_initialized(), "nothing of the job is left in this process"


def test_in_one_process_it_is_map() -> None:
    assert list(spread(str, [1, 2])) == ["1", "2"]
    assert together(lambda: 3) == 3
