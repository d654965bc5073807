"""Measures and whole evaluations beside the packages that people use today: time, processor time, memory, results.

    python experiments/benchmarks.py frechet kernel prdc
    python experiments/benchmarks.py extraction evaluation --images FOLDER [FOLDER]
    python experiments/benchmarks.py one_line neighbours

Every figure is that of a process of its own, which tells what it computed; a peer runs right before or after augface,
so that a busy machine slows both. Needs the packages of the `test` extra. Where the official Inception weights are not
at hand, a network of the same shape with random weights stands in for speed and agreement.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Features = npt.NDArray[np.float32]
Run = Callable[..., dict[str, float]]

TESTS = Path(__file__).resolve().parent.parent / "tests"


def features(seed: int, count: int, dimension: int = 2048, shift: float = 0.0) -> Features:
    """Non-negative, skewed and correlated with a quickly falling spectrum, as pooled Inception features are."""
    mixing = np.random.default_rng(0).standard_normal((dimension, 256), dtype=np.float32)
    mixing *= np.exp(-np.arange(256, dtype=np.float32) / 40)
    random = np.random.default_rng(seed)
    rows = random.standard_normal((count, 256), dtype=np.float32) @ mixing.T * np.float32(0.08)
    rows += random.standard_normal((count, dimension), dtype=np.float32) * np.float32(0.15)
    rows += np.float32(0.3 + shift)
    np.maximum(rows, 0, out=rows)
    return rows


# What is run, each in a process of its own: the figures of the measure are taken inside, without loading and making


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """The result with seconds, processor seconds of all threads and child processes, and the growth of peak memory."""

    def used() -> tuple[float, float]:
        parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(part.ru_utime + part.ru_stime for part in parts), max(part.ru_maxrss for part in parts) / 1000

    (cpu, memory), start = used(), time.perf_counter()
    result = work()
    seconds, (cpu_after, memory_after) = time.perf_counter() - start, used()
    figures = {
        "seconds": seconds,
        "cpu s": cpu_after - cpu,
        "memory MB": memory_after - memory,
        "peak MB": memory_after,
    }
    return result, figures


def moments(count: int) -> list[npt.NDArray[np.float64]]:
    """Mean and covariance of two sets of features."""
    sides = [features(1, count).astype(np.float64), features(2, count, shift=0.02).astype(np.float64)]
    return [moment for side in sides for moment in (side.mean(axis=0), np.cov(side, rowvar=False))]


def frechet_augface(count: int) -> dict[str, float]:
    from augface.metrics import frechet_distance

    real, fake = features(1, count), features(2, count, shift=0.02)
    value, figures = timed(lambda: frechet_distance(real, fake))
    return {**figures, "result": value}


def frechet_augface_of_moments(count: int) -> dict[str, float]:
    from augface.metrics import frechet_distance_of_moments

    given = moments(count)
    value, figures = timed(lambda: frechet_distance_of_moments(*given))
    return {**figures, "result": value}


def frechet_clean_fid(count: int) -> dict[str, float]:
    from cleanfid.fid import fid_from_feats

    real, fake = features(1, count), features(2, count, shift=0.02)
    value, figures = timed(lambda: fid_from_feats(real.astype(np.float64), fake.astype(np.float64)))
    return {**figures, "result": value}


def frechet_clean_fid_of_moments(count: int) -> dict[str, float]:
    from cleanfid.fid import frechet_distance

    given = moments(count)
    value, figures = timed(lambda: frechet_distance(*given))
    return {**figures, "result": value}


def kernel_augface(count: int) -> dict[str, float]:
    from augface.metrics import kernel_estimate

    real, fake = features(1, count), features(2, count, shift=0.02)
    estimate, figures = timed(lambda: kernel_estimate(real, fake))
    return {**figures, "result": estimate.value, "error": estimate.standard_error}


def kernel_torch_fidelity(count: int) -> dict[str, float]:
    import torch
    from torch_fidelity.metric_kid import kid_features_to_metric

    real, fake = torch.from_numpy(features(1, count)), torch.from_numpy(features(2, count, shift=0.02))
    metric, figures = timed(lambda: kid_features_to_metric(real, fake, verbose=False))
    mean, deviation = metric["kernel_inception_distance_mean"], metric["kernel_inception_distance_std"]
    return {**figures, "result": mean, "error": deviation}


def prdc_augface(count: int) -> dict[str, float]:
    from augface.metrics import prdc

    real, fake = features(1, count), features(2, count, shift=0.02)
    measures, figures = timed(lambda: prdc(real, fake, k=5))
    return {**figures, **measures}


def prdc_prdc(count: int) -> dict[str, float]:
    from prdc import compute_prdc

    real, fake = features(1, count), features(2, count, shift=0.02)
    measures, figures = timed(lambda: compute_prdc(real, fake, nearest_k=5))
    return {**figures, **{name: float(value) for name, value in measures.items()}}


def extraction_augface(folder: str, out: str) -> dict[str, float]:
    from augface.data import load_data
    from augface.features import create_feature_space
    from augface.features.extraction import features_of

    space = create_feature_space("inception")
    space.extract(np.zeros((1, 8, 8, 3), dtype=np.uint8))  # the network is ready, as the peer's is
    result, figures = timed(lambda: features_of(load_data(folder, originals=True), space))
    np.save(out, result)
    return {**figures, "images/s": len(result) / figures["seconds"]}


def extraction_augface_torch(folder: str, out: str) -> dict[str, float]:
    sys.modules["openvino"] = None  # type: ignore[assignment]  # as where the `fast` extra is not installed
    return extraction_augface(folder, out)


def clean_fid_model() -> Callable[[Any], Any]:
    """clean-fid's own network, with the weights that stand in for its own, on what its own resizer gives."""
    import torch
    from cleanfid import inception_pytorch

    weights = torch.load(os.environ["AUGFACE_INCEPTION_WEIGHTS"], weights_only=True)
    inception_pytorch.load_state_dict_from_url = lambda *_, **__: weights
    model = inception_pytorch.InceptionV3([3], resize_input=False, normalize_input=False).eval()
    return lambda batch: model((batch - 128) / 128)[0].squeeze(-1).squeeze(-1)


def extraction_clean_fid(folder: str, out: str, workers: int = 2) -> dict[str, float]:
    import torch
    from cleanfid.fid import get_folder_features

    model = clean_fid_model()
    settings = {"num_workers": workers, "batch_size": 32, "device": torch.device("cpu"), "verbose": False}
    result, figures = timed(lambda: get_folder_features(folder, model, mode="clean", **settings))
    np.save(out, result)
    return {**figures, "images/s": len(result) / figures["seconds"]}


def evaluation_clean_fid(real: str, fake: str) -> dict[str, float]:
    import torch
    from cleanfid.fid import fid_from_feats, get_folder_features

    model = clean_fid_model()
    settings = {"num_workers": 2, "batch_size": 32, "device": torch.device("cpu"), "verbose": False}

    def work() -> float:
        sides = [get_folder_features(folder, model, mode="clean", **settings) for folder in (real, fake)]
        return float(fid_from_feats(*sides))

    value, figures = timed(work)
    return {**figures, "FID": value}


def evaluation_augface(real: str, fake: str) -> dict[str, float]:
    from augface.cli import main
    from augface.results import Evaluation

    with tempfile.TemporaryDirectory() as folder:
        words = ["evaluate", real, fake, "--spaces", "inception", "--evaluators", "fidelity,prdc"]
        code, figures = timed(lambda: main([*words, "--out", f"{folder}/out"]))
        assert code == 0
        evaluation = Evaluation.from_json(f"{folder}/out/results.json")
    (fid,) = evaluation.select("fidelity", "fid")
    return {**figures, "FID": float(fid.value or 0), "measurements": len(evaluation.measurements)}


def drawn_faces(folder: str) -> list[str]:
    """Two folders of 300 drawn faces of 64 pixels, as JPEGs."""
    from PIL import Image

    from augface.data.toyfaces import load_toyfaces

    folders = [f"{folder}/real", f"{folder}/synthetic"]
    for seed, place in enumerate(folders):
        os.mkdir(place)
        for number, image in enumerate(load_toyfaces(300, 64, seed=seed).images[:]):
            Image.fromarray(image).save(f"{place}/{number}.jpg", quality=90)
    return folders


def one_line_clean_fid(real: str, fake: str) -> dict[str, float]:
    import torch
    from cleanfid.fid import compute_fid

    model = clean_fid_model()
    settings = {"num_workers": 0, "device": torch.device("cpu"), "verbose": False}
    value, figures = timed(lambda: compute_fid(real, fake, mode="clean", custom_feat_extractor=model, **settings))
    return {**figures, "FID": float(value)}


def one_line_augface(real: str, fake: str) -> dict[str, float]:
    import augface

    value, figures = timed(lambda: augface.fid(real, fake))
    return {**figures, "FID": float(value)}


def one_line_augface_torch(real: str, fake: str) -> dict[str, float]:
    sys.modules["openvino"] = None  # type: ignore[assignment]  # as where the `fast` extra is not installed
    return one_line_augface(real, fake)


def nearest_faiss(count: int) -> dict[str, float]:
    from augface.metrics import k_nearest

    real = features(1, count)
    (distances, _), figures = timed(lambda: k_nearest(real, real, 6))
    return {**figures, "mean radius": float(distances[:, 5].mean())}


def nearest_augface(count: int) -> dict[str, float]:
    """The radii alone, as both sides of `prdc` need them: the scan of one side within itself."""
    from concurrent.futures import ThreadPoolExecutor

    from augface.metrics.distances import common_points
    from augface.metrics.manifolds import _both_balls

    real = features(1, count)

    def work() -> float:
        first, second = common_points(real, real[:6])
        with ThreadPoolExecutor() as pool:
            balls, _ = _both_balls(first, second, 5, pool)
        return float((balls.radii / first.scale).mean())

    radius, figures = timed(work)
    return {**figures, "mean radius": radius}


RUNS: dict[str, Run] = {
    run.__name__: run
    for run in (
        *(frechet_augface, frechet_augface_of_moments, frechet_clean_fid, frechet_clean_fid_of_moments),
        *(kernel_augface, kernel_torch_fidelity),
        *(prdc_augface, prdc_prdc),
        *(extraction_augface, extraction_augface_torch, extraction_clean_fid),
        *(evaluation_augface, evaluation_clean_fid),
        *(one_line_augface, one_line_augface_torch, one_line_clean_fid),
        *(nearest_augface, nearest_faiss),
    )
}


# The tables


def run(name: str, *arguments: object, **environment: str) -> dict[str, float]:
    """The figures of one run in a process of its own."""
    words = [sys.executable, __file__, "one", name, json.dumps(arguments)]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **environment}, check=False)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-3000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def show(title: str, rows: dict[str, dict[str, float]], digits: int = 6) -> None:
    """One table in Markdown."""
    table = pd.DataFrame(rows).T
    for column in table:
        places = 0 if "MB" in str(column) else 1 if str(column) in ("seconds", "cpu s", "images/s") else None
        table[column] = [
            "" if pd.isna(value) else f"{value:,.{places}f}" if places is not None else f"{value:.{digits}g}"
            for value in table[column]
        ]
    lines = [["", *map(str, table.columns)], ["---"] * (len(table.columns) + 1)]
    lines += [[str(name), *row] for name, row in zip(table.index, table.to_numpy(), strict=True)]
    print(f"\n{title}\n", *("| " + " | ".join(line) + " |" for line in lines), sep="\n", flush=True)


def frechet(_: list[str]) -> None:
    rows = {
        "clean-fid, from features": run("frechet_clean_fid", 5000),
        "clean-fid's `frechet_distance` alone, from moments": run("frechet_clean_fid_of_moments", 5000),
        "augface, from moments": run("frechet_augface_of_moments", 5000),
        "augface, from features": run("frechet_augface", 5000),
    }
    show("Fréchet distance, 5,000 x 2,048 each", rows, digits=9)


def kernel(_: list[str]) -> None:
    rows = {
        "torch-fidelity, 100 subsets of 1,000": run("kernel_torch_fidelity", 10_000),
        "augface, all pairs and standard error": run("kernel_augface", 10_000),
    }
    show("Kernel distance, 10,000 x 2,048 each", rows)


def prdc(_: list[str]) -> None:
    show(
        "Precision, recall, density, coverage, 2,048 dimensions",
        {
            "prdc, 20,000 each": run("prdc_prdc", 20_000),
            "augface, 20,000 each": run("prdc_augface", 20_000),
            "augface, 50,000 each": run("prdc_augface", 50_000),
        },
    )


def extraction(folders: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        rows = {}
        for label, name in (
            ("clean-fid, batches of 32, 2 workers", "extraction_clean_fid"),
            ("augface", "extraction_augface_torch"),
            ("augface with the `fast` extra", "extraction_augface"),
        ):
            rows[label] = run(name, folders[0], f"{place}/{name}.npy", AUGFACE_CACHE=f"{place}/{name}")
        clean = np.load(f"{place}/extraction_clean_fid.npy")
        for label, name in zip(list(rows)[1:], ("extraction_augface_torch", "extraction_augface"), strict=True):
            own = np.load(f"{place}/{name}.npy")
            rows[label]["largest relative difference"] = float(np.abs(own - clean).max() / np.abs(clean).max())
        show(f"Inception features of {len(clean):,} JPEGs, from files", rows, digits=2)


def evaluation(folders: list[str]) -> None:
    with tempfile.TemporaryDirectory() as cache:
        rows = {
            "clean-fid, FID alone": run("evaluation_clean_fid", *folders),
            "augface, all measures with baselines": run("evaluation_augface", *folders, AUGFACE_CACHE=cache),
            "augface, second run": run("evaluation_augface", *folders, AUGFACE_CACHE=cache),
        }
    show("A whole evaluation, real against made", rows, digits=7)


def one_line(_: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folders = drawn_faces(place)
        rows = {
            label: run(name, *folders, AUGFACE_CACHE=f"{place}/{name}")
            for label, name in (
                ("clean-fid, `compute_fid(a, b)`", "one_line_clean_fid"),
                ("augface, `fid(a, b)`", "one_line_augface_torch"),
                ("augface with the `fast` extra", "one_line_augface"),
            )
        }
    show("FID of two folders of 300 faces, in one call", rows, digits=7)


def neighbours(_: list[str]) -> None:
    rows = {
        "faiss, exact": run("nearest_faiss", 10_000),
        "augface, blocks": run("nearest_augface", 10_000),
    }
    show("Distances to the fifth neighbour, 10,000 x 2,048", rows)


TABLES = {table.__name__: table for table in (frechet, kernel, prdc, extraction, evaluation, one_line, neighbours)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", choices=TABLES)
    parser.add_argument("--images", nargs="*", default=[], help="one folder for extraction, two for evaluation")
    arguments = parser.parse_args()
    os.environ["AUGFACE_OFFLINE"] = "1"
    if not os.environ.get("AUGFACE_INCEPTION_WEIGHTS"):
        sys.path.insert(0, str(TESTS))
        from inception_standin import make_standin

        standin = make_standin(Path(tempfile.mkdtemp(prefix="inception")))
        os.environ.update(AUGFACE_INCEPTION_WEIGHTS=str(standin.path), AUGFACE_INCEPTION_SHA256=standin.sha256)
    for name in arguments.tables:
        TABLES[name](arguments.images)


def one(name: str, arguments: str) -> None:
    """One run, for `run`: its figures as the last line of JSON."""
    warnings.simplefilter("ignore")  # the peers call what their own requirements have deprecated
    print("\n" + json.dumps(RUNS[name](*json.loads(arguments))))


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(*sys.argv[2:])
    else:
        main()
