"""What a rebalancing costs on this machine, stage by stage: how fast the machine is now, times what there is to do.

Each kind of work is tried for a moment on random pixels, so that a plan need not read the images.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import psutil
from threadpoolctl import threadpool_limits

from augface.classifiers import plausibility
from augface.classifiers.attributes import IMAGES, AttributeClassifier
from augface.classifiers.copies import CopyFinder
from augface.classifiers.plausibility import PlausibilityClassifier
from augface.data.dataset import FaceDataset
from augface.downstream import full, headroom, linear
from augface.downstream.arms import ARMS, REAL_ONLY
from augface.downstream.experiment import SEEDS
from augface.downstream.frozen import COPIES, STRENGTHS, Frozen
from augface.downstream.full import Full
from augface.downstream.settings import DownstreamSettings
from augface.errors import AugfaceError
from augface.evaluators import _judge, real_vs_fake, regions
from augface.features import create_feature_space
from augface.features.pixels import PixelSpace
from augface.files import human_bytes
from augface.generators.base import CHUNK, Generator
from augface.progress import in_words
from augface.rebalancing.filters import INNER_SHARE
from augface.seeds import random_generator
from augface.threads import cores, free_memory
from augface.training.budget import Budget

FACES = 64
"""Random pictures that the work is tried on."""
ROWS = 4_000
"""Of random features that a linear classifier is tried on."""
SHORT, LONG = 64, 832
"""Images of two trainings, whose difference shows the speed of the generator's."""
PASSING = 0.75
"""The share of generated faces that pass the filters, which nobody knows beforehand: 45 to 95 % of good ones do."""
NORMALISED = 3
"""Sides whose pictures are compression-normalised before they are told apart."""
STATISTICS = 2_500_000, 0.3
"""What the statistics of the evaluators take, in rows of a linear classifier: in all, and for each pair of compared
faces. A third of it is for the first look."""
HARDER = 1.6
"""Rows of real features over random ones, in time: it takes more steps to their minimum."""
BYTE = 5e-8
"""Seconds to compress and write a byte of a picture."""
START = 10.0
"""Seconds for what is imported and loaded once, before the first stage; as long for the report in the end."""
WORKING = 9e8
"""Bytes that networks and statistics take, whatever the number of faces."""

Result = TypeVar("Result")


class Cost(NamedTuple):
    """What one stage takes.

    Attributes:
        stage: what is done.
        seconds: by the clock.
        memory: bytes that the process holds at most.
        disk: bytes that stay in the run folder or in the cache.
    """

    stage: str
    seconds: float
    memory: float
    disk: float


@dataclass(frozen=True)
class Work:
    """How much there is to do.

    Attributes:
        train: training faces.
        valid: held-out faces that are compared, as many as samples.
        test: faces that classifiers are scored on, those of an external test set among them.
        wanted: faces to be generated.
        size: height and width in pixels.
        targets: attributes that are balanced.
        downstream: how classifiers are trained with and without them.
        budget: of the generator's training; None where there is none.
    """

    train: int
    valid: int
    test: int
    wanted: int
    size: int
    targets: int
    downstream: DownstreamSettings
    budget: Budget | None


@dataclass(frozen=True)
class Speed:
    """Seconds by the clock for one of each, and the memory of this process without faces.

    Attributes:
        features: of a face in the default space.
        learnt: an image that a small network learns from.
        classified: a face by such a network.
        trained: an image that the generator learns from; 0 where its budget is a time.
        generated: a face; 0 where that cannot be known before.
        laid_over: a face over the candidates that it may be a copy of.
        judged: a face, whether it is plausible.
        damaged: a real face to learn plausibility from.
        row: a row of a linear classifier, for all strengths, by one core.
        product: a multiplication in a product of matrices.
        memory: bytes.
    """

    features: float = 0.0
    learnt: float = 0.0
    classified: float = 0.0
    trained: float = 0.0
    generated: float = 0.0
    laid_over: float = 0.0
    judged: float = 0.0
    damaged: float = 0.0
    row: float = 0.0
    product: float = 0.0
    memory: int = 0

    @classmethod
    def measured(cls, generator: Generator, train: FaceDataset, work: Work) -> Speed:
        """Try each kind of work for a moment: some seconds in all.

        Args:
            generator: not trained yet; another one with its settings is tried.
            train: the training faces, whose labels alone are looked at.
            work: what there is to do.
        """
        random = random_generator(0, "speed")
        pixels = random.integers(0, 256, (FACES, work.size, work.size, 3), dtype=np.uint8)
        labels = train.attributes.iloc[random.choice(len(train), FACES, replace=len(train) < FACES)]
        faces = FaceDataset.from_arrays(pixels, labels.reset_index(drop=True), spec="random pixels")

        space = create_feature_space()
        few = min(FACES, 8 * space.batch)
        learning, classifier = _timed(partial(AttributeClassifier.train, faces, images=256))
        classifying, _ = _timed(partial(classifier.log_odds, np.concatenate(4 * [pixels])))
        comparing, _ = _timed(partial(CopyFinder(faces.images).search, faces.images))
        damaging, filters = _timed(partial(PlausibilityClassifier.fit, pixels, pixels, refused=0.01))
        judging, _ = _timed(partial(filters.scores, pixels))
        inputs = random.standard_normal((ROWS, linear.DIMENSIONS + 1)).astype(np.float32)
        shown = (inputs[:, 0] + random.standard_normal(ROWS) > 1).astype(np.float32)
        with threadpool_limits(1):
            fitting, _ = _timed(partial(linear.fit_path, inputs, shown, np.ones(ROWS), STRENGTHS))
        multiplying, _ = _timed(lambda: inputs @ inputs[: CHUNK * 4].T)
        trained, generated = _generator_speed(generator, faces, work.budget)
        return cls(
            features=_timed(partial(space.extract, pixels[:few]))[0] / few,
            learnt=learning / 256,
            classified=classifying / (4 * FACES),
            trained=trained,
            generated=generated,
            laid_over=comparing / FACES,
            judged=judging / FACES,
            damaged=damaging / FACES,
            row=fitting / ROWS,
            product=multiplying / (ROWS * inputs.shape[1] * CHUNK * 4),
            memory=psutil.Process().memory_info().rss,
        )


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds by the clock, the second time: the first one also pays for what is imported and loaded."""
    work()
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def _generator_speed(generator: Generator, faces: FaceDataset, budget: Budget | None) -> tuple[float, float]:
    """Seconds for an image of its training, where the budget is of images, and for a face of its own."""
    if "path" in type(generator).Config.model_fields:  # somebody's own model, whose loading alone takes long
        return 0.0, 0.0
    log = logging.getLogger("augface")
    level, log.level = log.level, logging.ERROR
    try:
        tried, trained = type(generator)(generator.config), 0.0
        shorter, _ = _timed(partial(tried.fit, faces, budget=str(SHORT)))
        if budget is not None and budget.unit == "images":
            started = time.perf_counter()
            tried.fit(faces, budget=str(LONG))
            trained = max(0.0, time.perf_counter() - started - shorter) / (LONG - SHORT)
        return trained, _timed(partial(tried.sample, FACES))[0] / FACES
    except (AugfaceError, ValueError, ArithmeticError):  # noise may be no face to it
        return 0.0, 0.0
    finally:
        log.level = level


def describe_costs(stages: list[Cost]) -> list[str]:
    """Lines for people: the sum, and each stage."""
    seconds, memory, disk = (
        sum(one.seconds for one in stages),
        max(one.memory for one in stages),
        sum(one.disk for one in stages),
    )
    lines = [
        f"About {in_words(seconds)} at this machine's present speed, {human_bytes(memory)} of memory and "
        f"{human_bytes(disk)} of disk:"
    ]
    for one in stages:
        numbers = [in_words(one.seconds), human_bytes(one.memory), human_bytes(one.disk)]
        lines.append(f"  {one.stage:31}" + "".join(f"{text:>12}" for text in numbers))
    return lines


def costs(work: Work, speed: Speed) -> list[Cost]:
    """What each stage takes, in their order."""
    mode = work.downstream.mode
    asked, frozen = mode != "off", mode == "frozen"
    labelled = work.train + work.valid + (work.test if frozen else 0)
    drawn = work.wanted / PASSING
    picture, row = 3 * work.size**2, 4 * create_feature_space().dimension
    laid_over = speed.laid_over + work.train * PixelSpace.dimension * speed.product
    statistics = (STATISTICS[0] + STATISTICS[1] * work.valid**2) * speed.row
    learnt = min(_judge.IMAGES, _judge.PASSES * work.train) + real_vs_fake.NETWORK_IMAGES
    changed = NORMALISED * min(real_vs_fake.MOST, work.valid) + 2 * NORMALISED * min(regions.MOST, work.valid)
    curve = work.targets * headroom.DOUBLINGS * headroom.REPEATS[mode] if asked else 0
    training = 0.0
    if work.budget is not None:
        training = work.budget.amount * (1.0 if work.budget.unit == "seconds" else speed.trained)

    held = speed.memory + WORKING + labelled * row
    index = 4 * PixelSpace.dimension * work.train
    kept = work.wanted * picture
    stages = [
        Cost(
            "features, what could be gained",
            START + labelled * speed.features + curve * _run_seconds(work.train, mode, speed),
            held + _run_bytes(work.train, mode),
            labelled * row,
        ),
        Cost("training the generator", training, held, 0.0 if work.budget is None else 6e7),
        Cost(
            "samples and a first look",
            work.valid * (speed.generated + speed.features) + statistics / 3,
            held + 8 * work.valid * row,
            work.valid * (picture + row),
        ),
        Cost(
            "fitting the filters",
            IMAGES * speed.learnt
            + INNER_SHARE * work.train * laid_over
            + min(plausibility.MOST, work.train) * speed.damaged,
            held + index,
            2e6,
        ),
        Cost(
            "generating",
            drawn * (speed.generated + speed.classified + laid_over + speed.judged),
            held + index + 2 * kept,
            kept,
        ),
        Cost(
            "writing the data set",
            BYTE * (labelled * picture + kept),
            held + 2 * kept,
            labelled * picture + kept,
        ),
        Cost(
            "measuring",
            START + changed * speed.features + learnt * speed.learnt + statistics,
            held + 8 * work.valid * row + 3 * min(_judge.MOST, work.train) * row,
            5e6,
        ),
    ]
    if asked:
        extracted = work.wanted if frozen else 0
        learning = work.targets * _runs(work.downstream) * _run_seconds(work.train + work.wanted, mode, speed)
        stages.append(
            Cost(
                "classifiers with and without",
                extracted * speed.features + learning,
                held + 2 * extracted * row + _run_bytes(work.train + work.wanted, mode),
                extracted * row,
            )
        )
    return stages


def _runs(settings: DownstreamSettings) -> int:
    """Runs of all arms; some are the same for all seeds where nothing is drawn."""
    learner = Full if settings.mode == "full" else Frozen
    arms = [arm for arm in (*ARMS, *(REAL_ONLY if settings.arms == "all" else ())) if learner.supports(arm)]
    return sum(SEEDS if arm.draws or not learner.deterministic else 1 for arm in arms)


def _run_seconds(rows: int, mode: str, speed: Speed) -> float:
    """One run by the clock; of linear ones as many are under way as there are cores."""
    return full.IMAGES * speed.learnt if mode == "full" else HARDER * rows * speed.row / cores()


def _run_bytes(rows: int, mode: str) -> float:
    """What the runs hold that are under way; linear ones take at most half of the free memory."""
    one = 4 * COPIES * rows * (linear.DIMENSIONS + 1)
    return min(cores() * one, max(one, free_memory() / 2)) if mode == "frozen" else 4e8
