"""Loggers: what a training and its measurements give to accelerate's trackers, of which stand-ins record the calls."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_trust import fail_at, fit

from augface.cli import main
from augface.data.dataset import FaceDataset
from augface.data.toyfaces import load_toyfaces
from augface.errors import UnknownNameError, UsageError
from augface.results import Evaluation, Measurement, Verdict
from augface.training.loggers import TRACKERS, Loggers, active_loggers, check_loggers

EVALUATION = Evaluation(
    verdict=Verdict(decision="not assessed", reason="A test."),
    measurements=[
        Measurement(evaluator="prdc", name="precision", value=0.5, direction="higher", group={"Male": False}),
        Measurement(evaluator="prdc", name="recall", value=None, direction="higher"),
    ],
)


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return load_toyfaces(80, 16)


class Services:
    """Stand-ins for the packages of all services; what they are given, by service: name, numbers or picture, step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened: list[tuple[str, Any]] = []
        self.given: dict[str, list[tuple[str, Any, int]]] = {name: [] for name in TRACKERS}
        self.closed: list[str] = []
        self.broken = ""
        services = self

        class Writer:
            def __init__(self, folder: str, purge_step: int | None) -> None:
                services.opened.append(("tensorboard", (Path(folder).name, purge_step)))

            def add_scalar(self, name: str, value: float, global_step: int) -> None:
                services.take("tensorboard", name, value, global_step)

            def add_text(self, name: str, value: str, global_step: int) -> None:
                services.take("tensorboard", name, value, global_step)

            def add_images(self, name: str, pixels: Any, global_step: int, dataformats: str) -> None:
                assert dataformats == "NHWC"
                services.take("tensorboard", name, pixels[0].shape, global_step)

            def flush(self) -> None:
                pass

            def close(self) -> None:
                services.closed.append("tensorboard")

        def run(name: str) -> Any:
            def log(values: dict[str, Any], step: int | None = None) -> None:
                values = dict(values)
                for key, value in values.items():
                    if key != "images":
                        services.take(name, key, value, values.get("images", step))

            return SimpleNamespace(
                log=log,
                define_metric=lambda *_, **__: None,
                finish=lambda: services.closed.append(name),
                info=SimpleNamespace(run_id="of-mlflow"),
            )

        def opening(name: str) -> Any:
            def start(**options: Any) -> Any:
                known = options.get("id") or options.get("run_id") or options.get("name")
                services.opened.append((name, known))
                return run(name)

            return start

        def log_metrics(values: dict[str, Any], step: int) -> None:
            for key, value in values.items():
                services.take("mlflow", key, value, step)

        config = SimpleNamespace(update=lambda values, **_: None)
        validation = SimpleNamespace(MAX_PARAM_VAL_LENGTH=500, MAX_PARAMS_TAGS_PER_BATCH=100)
        modules: dict[str, dict[str, Any]] = {
            "torch.utils.tensorboard": {"SummaryWriter": Writer},
            "wandb": {"init": opening("wandb"), "Image": np.shape, "config": config},
            "trackio": {"init": opening("trackio"), "Image": np.shape, "config": config},
            "mlflow": {
                "search_experiments": lambda **_: [],
                "create_experiment": lambda **_: "1",
                "start_run": opening("mlflow"),
                "utils": SimpleNamespace(validation=validation),
                "log_params": lambda values: None,
                "log_metrics": log_metrics,
                "log_image": lambda pixels, key, step: services.take("mlflow", key, pixels.shape, step),
                "end_run": lambda: services.closed.append("mlflow"),
            },
        }
        for name, members in modules.items():
            module = ModuleType(name)
            vars(module).update(members)
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr("torch.utils.tensorboard", sys.modules["torch.utils.tensorboard"], raising=False)

    def take(self, service: str, name: str, value: Any, step: Any) -> None:
        if service == self.broken:
            raise ConnectionError("nobody answers")
        self.given[service].append((name, value, step))


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Services:
    return Services(monkeypatch)


def logged(faces: FaceDataset, folder: Path, names: list[str], **options: Any) -> Any:
    with Loggers(names, folder, {"seed": 0}) as loggers:
        weights = fit(faces, folder, **options)
        loggers.measurements(EVALUATION)
    return weights


def test_each_service_gets_curves_previews_and_measurements(
    faces: FaceDataset,
    tmp_path: Path,
    services: Services,
) -> None:
    plain = fit(faces, tmp_path / "plain")
    assert logged(faces, tmp_path / "run", list(TRACKERS)) == plain
    for name, given in services.given.items():
        steps = [step for key, _, step in given if key == "training/generator_loss"]
        assert steps == sorted(set(steps)), name
        assert steps[-1] == 240
        assert ("faces", (16, 16 * 16, 3), 240) in given
        assert ("prdc/precision/Male 0", 0.5, 240) in given
        assert not [key for key, _, _ in given if "recall" in key]
    assert sorted(services.closed) == sorted(TRACKERS)
    assert active_loggers().names == ()


def test_a_resumed_run_goes_on_where_each_service_knows_it(tmp_path: Path, services: Services) -> None:
    for _ in range(2):
        with Loggers(list(TRACKERS), tmp_path) as loggers:
            loggers.measurements(EVALUATION)
    first, second = services.opened[:4], services.opened[4:]
    assert dict(first)["tensorboard"] == ("tensorboard", None), "a training that is over loses no curves"
    assert dict(first)["mlflow"] is None
    assert dict(second)["mlflow"] == "of-mlflow"
    for name in ("wandb", "trackio"):
        assert dict(first)[name] == dict(second)[name]
    assert set(json.loads((tmp_path / "checkpoints/loggers.json").read_text())) == set(TRACKERS)


def test_a_rollback_takes_curves_back(
    faces: FaceDataset,
    tmp_path: Path,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_at(monkeypatch, {10})
    logged(faces, tmp_path / "run", ["tensorboard"])
    assert services.opened == [("tensorboard", ("tensorboard", 0)), ("tensorboard", ("tensorboard", 72))]


def test_a_service_that_fails_costs_no_training(
    faces: FaceDataset,
    tmp_path: Path,
    services: Services,
    caplog: pytest.LogCaptureFixture,
) -> None:
    services.broken = "wandb"
    logged(faces, tmp_path / "run", ["wandb", "trackio"], budget="32")
    warnings = [record.message for record in caplog.records if "wandb" in record.message]
    assert warnings == ["The logger wandb takes no numbers and is left out from now on: nobody answers"]
    assert services.given["trackio"]


def test_what_is_unknown_or_not_installed_is_said_before_any_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'wandb'"):
        check_loggers(["WandB"])
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UsageError, match=r"pip install 'augface\[mlflow\]'"):
        check_loggers(["mlflow"])
    for command in ("train --generator dcgan --out nowhere", "rebalance --attr Eyeglasses"):
        assert main([*command.split(), "--logger", "mlflow,wandb", "--dry-run"]) == 2
        assert "not installed" in capsys.readouterr().err
