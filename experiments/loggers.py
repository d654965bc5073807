"""What TensorBoard, Weights & Biases, MLflow and Trackio hold of a training, read back from each; nobody is called.

python experiments/loggers.py [NAME...]   needs: pip install 'augface[tensorboard,wandb,mlflow,trackio]'
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from augface.data.toyfaces import load_toyfaces
from augface.generators import create_generator
from augface.results import Evaluation, Measurement, Verdict
from augface.training.loggers import TRACKERS, Loggers
from augface.training.run import train_run

CURVE, FINAL = "training/generator_loss", "prdc/precision"


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "WANDB_MODE": "offline",
            "WANDB_SILENT": "true",
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
            "TRACKIO_DIR": f"{folder}/trackio",
        }
        os.chdir(folder)
        run = Path(folder, "run")
        generator = create_generator("cgan", channels=4, latent=8)
        for resume in (False, True):  # the second time only what is missing, on the same runs
            train_run(generator, load_toyfaces(80, 16), run, budget="320", resume=resume, loggers=names)
        measured = Measurement(evaluator="prdc", name="precision", value=0.5, direction="higher")
        with Loggers(names, run) as loggers:
            loggers.measurements(
                Evaluation(verdict=Verdict(decision="not assessed", reason="A test."), measurements=[measured])
            )
        for name in names:
            points, final, pictures = globals()[f"read_{name}"](run)
            print(f"{name}: {points} points of {CURVE}, {FINAL} is {final}, {pictures} pictures", flush=True)


def read_tensorboard(run: Path) -> tuple[int, Any, int]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    return len(events.Scalars(CURVE)), events.Scalars(FINAL)[-1].value, len(events.Images("faces"))


def read_wandb(run: Path) -> tuple[int, Any, int]:
    """By the names in the files that `wandb sync` would send; a point is named in the history and in the summary."""
    content = b"".join(path.read_bytes() for path in sorted(run.glob("wandb/offline-run-*/*.wandb")))
    pictures = list(run.glob("wandb/offline-run-*/files/media/images/faces_*.png"))
    return content.count(CURVE.encode()) // 2, 0.5 if FINAL.encode() in content else None, len(pictures)


def read_mlflow(run: Path) -> tuple[int, Any, int]:
    from mlflow import MlflowClient

    client = MlflowClient()
    (experiment,) = client.search_experiments(filter_string="name = 'augface'")
    (found,) = client.search_runs([experiment.experiment_id])
    pictures = [each for each in client.list_artifacts(found.info.run_id, "images") if each.path.endswith(".png")]
    return len(client.get_metric_history(found.info.run_id, CURVE)), found.data.metrics[FINAL], len(pictures)


def read_trackio(run: Path) -> tuple[int, Any, int]:
    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    (found,) = trackio.Api().runs("augface")
    rows = SQLiteStorage.get_logs("augface", found.name, run_id=found.id)
    final = [row[FINAL] for row in rows if FINAL in row]
    return sum(CURVE in row for row in rows), final[-1], sum("faces" in row for row in rows)


if __name__ == "__main__":
    main(sys.argv[1:] or list(TRACKERS))
