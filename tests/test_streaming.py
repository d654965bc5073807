"""Streaming metrics: what the functions give of all images at once, in one process or two."""

from __future__ import annotations

import importlib
import multiprocessing
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

torchmetrics = pytest.importorskip("torchmetrics", reason="torchmetrics is not installed")

import augface.torchmetrics as streaming  # noqa: E402
from augface.arrays import Floats32, Pixels  # noqa: E402
from augface.errors import DataError, UnknownNameError, UsageError  # noqa: E402
from augface.features.base import FeatureSpace  # noqa: E402
from augface.metrics import cmmd_estimate, frechet_distance, kernel_distance, prdc  # noqa: E402
from augface.metrics.frechet import TooFewRowsWarning  # noqa: E402


class SmallSpace(FeatureSpace):
    """Every fourth pixel."""

    name: ClassVar[str] = "small"
    dimension: ClassVar[int] = 16

    @property
    def protocol(self) -> dict[str, str | int | float]:
        return {"space": self.name}

    def prepare(self, image: Pixels) -> Floats32:
        return image[::4, ::4, 0].ravel().astype(np.float32)

    def forward(self, prepared: Floats32) -> Floats32:
        return prepared


def images(seed: int, count: int = 24) -> Tensor:
    """uint8 (N, 3, 16, 16)."""
    return torch.randint(0, 256, (count, 3, 16, 16), dtype=torch.uint8, generator=torch.manual_seed(seed))


REAL, FAKE = images(0), images(1) // 2


def features(batch: Tensor) -> Any:
    return SmallSpace().extract(batch.permute(0, 2, 3, 1).numpy())


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """The numbers of the functions, by class."""
    real, fake = features(REAL), features(FAKE)
    with pytest.warns(TooFewRowsWarning):
        distance = frechet_distance(fake, real)
    return {
        "FrechetDistance": distance,
        "KernelDistance": kernel_distance(fake, real),
        "CMMD": cmmd_estimate(fake, real).value,
        "PrecisionRecall": prdc(real, fake),
    }


def feed(metric: Any, real: Tensor, fake: Tensor, size: int = 10) -> None:
    for images_of_side, is_real in ((real, True), (fake, False)):
        for start in range(0, len(images_of_side), size):
            metric.update(images_of_side[start : start + size], real=is_real)


def value(metric: Any) -> Any:
    computed = metric.compute()
    return {name: float(one) for name, one in computed.items()} if isinstance(computed, dict) else float(computed)


@pytest.mark.filterwarnings("ignore::augface.metrics.frechet.TooFewRowsWarning")
@pytest.mark.parametrize("kind", streaming.__all__)
class TestAll:
    def test_batches_give_what_all_images_give(self, kind: str, expected: dict[str, Any]) -> None:
        metric = getattr(streaming, kind)(SmallSpace())
        feed(metric, REAL, FAKE)
        assert isinstance(metric, torchmetrics.Metric)
        assert value(metric) == pytest.approx(expected[kind], rel=1e-5)
        metric = getattr(streaming, kind)(SmallSpace())
        feed(metric, REAL / 255, FAKE.double() / 255, size=7)
        assert value(metric) == pytest.approx(expected[kind], rel=1e-5)

    def test_reset_forgets_and_may_keep_the_real_ones(self, kind: str, expected: dict[str, Any]) -> None:
        metric = getattr(streaming, kind)(SmallSpace(), reset_real_features=False)
        feed(metric, REAL, images(5))
        metric.reset()
        metric.update(FAKE, real=False)
        assert value(metric) == pytest.approx(expected[kind], rel=1e-5)
        metric = getattr(streaming, kind)(SmallSpace())
        feed(metric, images(7), images(8))
        metric.reset()
        metric.update(REAL[:1], real=True)
        with pytest.raises(DataError, match="too few"):
            metric.compute()
        feed(metric, REAL[1:], FAKE)
        assert value(metric) == pytest.approx(expected[kind], rel=1e-5)


def one_of_two(rank: int, store: str, results: Any) -> None:
    """One process: its part of the images, and then a part in which all synthetic ones are on the other process."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    real, fake = (REAL[:10], FAKE[:7]) if rank == 0 else (REAL[10:], FAKE[7:])
    for shown in (fake, FAKE if rank else FAKE[:0]):
        for kind in streaming.__all__:
            metric = getattr(streaming, kind)(SmallSpace())
            feed(metric, real, shown, size=4)
            results.put((kind, value(metric)))
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked, as loading torch again takes long")
@pytest.mark.filterwarnings("ignore::augface.metrics.frechet.TooFewRowsWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forking beside threads, from Python 3.12 on
def test_two_processes_give_what_one_gives(expected: dict[str, Any], tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    results: Any = context.Queue()
    processes = [
        context.Process(target=one_of_two, args=(rank, str(tmp_path / "store"), results), daemon=True)
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    found = [results.get(timeout=120) for _ in range(4 * len(streaming.__all__))]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    for kind, number in found:
        assert number == pytest.approx(expected[kind], rel=1e-5)


class TestInput:
    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (torch.zeros(2, 16, 16, 3), r"\(N, 3, H, W\), not \(2, 16, 16, 3\)"),
            (torch.zeros(3, 16, 16), r"not \(3, 16, 16\)"),
            (torch.full((2, 3, 16, 16), -0.5), r"from 0 to 1, not from -0\.5 to -0\.5"),
            (torch.full((2, 3, 16, 16), 200.0), "not from 200 to 200"),
            (torch.full((2, 3, 16, 16), float("nan")), "not from nan"),
            (torch.zeros(2, 3, 16, 16, dtype=torch.int64), r"uint8, or floats from 0 to 1, not torch\.int64"),
        ],
    )
    def test_nothing_is_guessed(self, wrong: Tensor, said: str) -> None:
        with pytest.raises(DataError, match=said):
            streaming.KernelDistance("pixels").update(wrong, real=True)

    def test_names_and_settings_are_checked(self) -> None:
        with pytest.raises(UnknownNameError, match="pixels"):
            streaming.KernelDistance("pixel")
        with pytest.raises(UsageError, match="at least 1"):
            streaming.PrecisionRecall("pixels", k=0)

    def test_too_few_for_a_frechet_distance_is_said(self) -> None:
        metric = streaming.FrechetDistance(SmallSpace())
        feed(metric, REAL, FAKE)
        with pytest.warns(TooFewRowsWarning, match="24 rows are fewer"):
            metric.compute()


def test_moments_lose_nothing_far_from_the_origin() -> None:
    class Far(SmallSpace):
        def forward(self, prepared: Floats32) -> Floats32:
            return prepared + np.float32(10_000)

    near, far = streaming.FrechetDistance(SmallSpace()), streaming.FrechetDistance(Far())
    for metric in (near, far):
        feed(metric, REAL, FAKE)
    with pytest.warns(TooFewRowsWarning):
        assert float(far.compute()) == pytest.approx(float(near.compute()), rel=1e-3)


def test_without_torchmetrics_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    monkeypatch.delitem(sys.modules, "augface.torchmetrics")
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("augface.torchmetrics")
    assert str(caught.value) == "augface.torchmetrics needs torchmetrics: pip install augface[torchmetrics]"
