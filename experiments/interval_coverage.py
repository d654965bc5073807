"""How often the 95 % intervals of the measures hold what they should: simulation on real features.

    python experiments/interval_coverage.py celeba:/data/one celeba:/data/another
    python experiments/interval_coverage.py celeba:/data/one --by Male --only neighbourhoods moments

The features of two data sets, or of the two values of an attribute, are two populations that differ. Small samples are
drawn from both again and again, without replacement, since neighbour measures mistake duplicates for structure. What an
interval should hold is the expectation of the measure at its n: for the kernel distance that of all faces, for the
others the mean of all repeats.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy import stats
from tqdm import trange

from augface.data import load_data
from augface.evaluators.prdc import MEASURES
from augface.features import create_feature_space
from augface.features.extraction import features_of
from augface.metrics import (
    Interval,
    auc_drop,
    balanced_calibration_error,
    bounded_precision_coverage,
    default_bandwidth,
    found_at,
    fourier_mode_count,
    frechet_estimate,
    kernel_distance,
    kernel_estimate,
    mode_count,
    monge_inception_distance,
    normal_interval,
    overrepresented_mode,
    prdc_intervals,
    squared_interval,
)
from augface.metrics.classification import fit_logistic
from augface.metrics.decomposition import mean_shift, variance_ratio
from augface.metrics.intervals import group_numbers, random_part
from augface.metrics.neighbourhoods import with_intervals

Matrix = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator], tuple[Matrix, Matrix, npt.NDArray[np.int64] | None]]

KINDS = ["kernel", "frechet", "variety", "mind", "bounded", "scores", "neighbours", "neighbourhoods", "moments"]
DIMENSIONS = 64
"""Principal directions that most measures are taken in, so that samples can be small and have rows enough."""
FREQUENCIES = 128
"""Of the Fourier features, and directions of MIND: fewer than in reports, since there are fewer rows."""


def kernel(x: Matrix, y: Matrix, people: npt.NDArray[np.int64] | None, _: np.random.Generator) -> dict[str, Interval]:
    estimate = kernel_estimate(x, y, people)
    return {
        "kernel distance": squared_interval(estimate.value, estimate.standard_error),
        "kernel distance, symmetric interval": normal_interval(estimate.value, estimate.standard_error),
    }


def frechet(x: Matrix, y: Matrix, people: npt.NDArray[np.int64] | None, _: np.random.Generator) -> dict[str, Interval]:
    estimate = frechet_estimate(x, y)
    return {"Fréchet distance": normal_interval(estimate.value, estimate.standard_error(people))}


def neighbours(
    x: Matrix, y: Matrix, people: npt.NDArray[np.int64] | None, random: np.random.Generator
) -> dict[str, Interval]:
    return prdc_intervals(x, y, real_groups=people, random=random)


def neighbourhoods(
    x: Matrix, y: Matrix, people: npt.NDArray[np.int64] | None, random: np.random.Generator
) -> dict[str, Interval]:
    return with_intervals(MEASURES, x, y, real_groups=people, random=random)


def moments(x: Matrix, y: Matrix, people: npt.NDArray[np.int64] | None, _: np.random.Generator) -> dict[str, Interval]:
    return {"mean shift": mean_shift(x, y, people), "variance ratio": variance_ratio(x, y, people)}


def variety(
    x: Matrix, y: Matrix, people: npt.NDArray[np.int64] | None, random: np.random.Generator, width: float
) -> dict[str, Interval]:
    return {
        "modes, in effect": mode_count(x, width, people),
        "the same, by Fourier features": fourier_mode_count(x, width, np.random.default_rng(0), people, FREQUENCIES),
        "generated too often": overrepresented_mode(y, x, width, fake_groups=people, random=random).excess,
    }


def mind(
    x: Matrix, y: Matrix, people: npt.NDArray[np.int64] | None, random: np.random.Generator
) -> dict[str, Interval]:
    directions = np.random.default_rng(0)
    return {"MIND": monge_inception_distance(x, y, directions, real_groups=people, directions=FREQUENCIES)}


def bounded(
    x: Matrix, y: Matrix, people: npt.NDArray[np.int64] | None, random: np.random.Generator
) -> dict[str, Interval]:
    """Half of x are the real rows, half the other ones."""
    kept = random_part(group_numbers(people, len(x)), 0.5, random)
    return bounded_precision_coverage(
        x[kept],
        y[: kept.sum()],
        x[~kept],
        real_groups=None if people is None else people[kept],
        other_groups=None if people is None else people[~kept],
        random=random,
    )


def scores(
    x: Matrix, y: Matrix, people: npt.NDArray[np.int64] | None, random: np.random.Generator
) -> dict[str, Interval]:
    """Of the columns of x and y: log-odds by one classifier and by another, higher for x."""
    both = np.concatenate([y[:, 0], x[:, 0]])
    of_x = np.repeat([False, True], [len(y), len(x)])
    unknown = None if people is None else people.max() + 1 + np.arange(len(y))
    groups = None if people is None or unknown is None else np.concatenate([unknown, people])
    return {
        "drop of the AUC": auc_drop((y[:, 0], y[:, 1]), (x[:, 0], x[:, 1]), unknown, people),
        "found at 5 %": found_at(0.05, x[:, 0], y[:, 0], random),
        "calibration error": balanced_calibration_error(1 / (1 + np.exp(-both)), of_x, groups=groups, random=random),
    }


def log_odds(x: Matrix, y: Matrix) -> tuple[Matrix, Matrix]:
    """Columns of two classifiers' log-odds: of all directions, and of the last ones alone."""
    strong, weak = (fit_logistic(y[::3, part], x[::3, part], 0.3) for part in (slice(None), slice(0, 20)))
    of_x, of_y = (np.stack([strong.scores(side), weak.scores(side[:, :20])], axis=1) for side in (x, y))
    return of_x, of_y


def rows(first: Matrix, second: Matrix, count: int) -> Draw:
    """Samples of so many rows of each."""

    def draw(random: np.random.Generator) -> tuple[Matrix, Matrix, None]:
        x, y = (side[random.choice(len(side), count, replace=False)] for side in (first, second))
        return x, y, None

    return draw


def persons(first: Matrix, second: Matrix, identity: npt.NDArray[np.int64], count: int) -> Draw:
    """All pictures of so many people of the first, and about as many rows of the second."""
    names = np.unique(identity)

    def draw(random: np.random.Generator) -> tuple[Matrix, Matrix, npt.NDArray[np.int64]]:
        chosen = np.flatnonzero(np.isin(identity, random.choice(names, count, replace=False)))
        return first[chosen], second[random.choice(len(second), len(chosen), replace=False)], identity[chosen]

    return draw


def draws(
    first: Matrix,
    second: Matrix,
    identity: npt.NDArray[np.int64] | None,
    counts: Sequence[int],
    people: Sequence[int] = (60,),
) -> dict[str, Draw]:
    """Samples of so many rows, and of so many people where they are known."""
    found = {f"{count} rows": rows(first, second, count) for count in counts}
    if identity is not None:
        found.update({f"{count} people": persons(first, second, identity, count) for count in people})
    return found


def simulate(measure: Callable[..., dict[str, Interval]], draw: Draw, repeats: int) -> dict[str, list[Interval]]:
    found: dict[str, list[Interval]] = {}
    for repeat in trange(repeats, disable=not sys.stderr.isatty()):
        random = np.random.default_rng(repeat)
        for name, interval in measure(*draw(random), random).items():
            found.setdefault(name, []).append(interval)
    return found


def lines(label: str, found: dict[str, list[Interval]], truth: float | None = None) -> Iterator[str]:
    """A row of the table for each measure."""
    for name, intervals in found.items():
        values = np.array([interval.value for interval in intervals])
        target = values.mean() if truth is None else truth
        held = sum(interval.low <= target <= interval.high for interval in intervals)
        ends = stats.binomtest(held, len(intervals)).proportion_ci(method="exact")
        width = np.mean([interval.high - interval.low for interval in intervals]) / (2 * 1.96 * values.std(ddof=1))
        yield (
            f"| {name} | {label} | {target:.4g} | {held / len(intervals):.3f} | {ends.low:.3f} to {ends.high:.3f} | "
            f"{width:.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first")
    parser.add_argument("second", nargs="?")
    parser.add_argument("--by", help="an attribute, whose two values are the populations of one data set")
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--space", default="efficientnet")
    parser.add_argument("--dimensions", type=int, default=DIMENSIONS, help="principal directions")
    parser.add_argument("--only", nargs="*", default=KINDS, choices=KINDS)
    arguments = parser.parse_args()
    repeats: int = arguments.repeats
    if arguments.by:
        everything = load_data(arguments.first)
        sides = [everything.select(everything.matching({arguments.by: value})) for value in (True, False)]
    else:
        sides = [load_data(spec) for spec in (arguments.first, arguments.second)]
    x, y = (features_of(side, create_feature_space(arguments.space)).astype(np.float64) for side in sides)
    _, vectors = np.linalg.eigh(np.cov(np.concatenate([x, y]).T))
    dimensions: int = arguments.dimensions
    directions = vectors[:, -dimensions:]
    flat_x, flat_y = x @ directions, y @ directions
    print("| measure | samples | target | intervals that hold it | binomial interval | width over what it should be |")
    print("| --- | --- | --- | --- | --- | --- |")
    identity = sides[0].identity
    if "kernel" in arguments.only:
        for count in (100, 300):
            found = simulate(kernel, rows(x, y, count), repeats)
            print(*lines(f"{count} rows", found, kernel_distance(x, y)), sep="\n", flush=True)
        if identity is not None:
            print(*lines("60 people", simulate(kernel, persons(x, y, identity, 60), repeats)), sep="\n", flush=True)
    if "frechet" in arguments.only:
        for count in (2 * dimensions, 4 * dimensions, 10 * dimensions):
            found = simulate(frechet, rows(flat_x, flat_y, count), repeats)
            print(*lines(f"{count} rows, D = {dimensions}", found), sep="\n", flush=True)
    if "variety" in arguments.only:
        width = default_bandwidth(flat_y[:1_000])
        for label, draw in draws(flat_x, flat_y, identity, (200,)).items():
            found = simulate(partial(variety, width=width), draw, repeats)
            print(*lines(label, found), sep="\n", flush=True)
    # bounded measures take half of the rows for one side: with 60 people neighbours would be too few
    for name, small, people in (("mind", mind, (60,)), ("bounded", bounded, (120, 400))):
        if name in arguments.only:
            for label, draw in draws(flat_x, flat_y, identity, (400,), people).items():
                print(*lines(label, simulate(small, draw, repeats)), sep="\n", flush=True)
    if "scores" in arguments.only:
        for label, draw in draws(*log_odds(flat_x, flat_y), identity, (200, 500)).items():
            print(*lines(label, simulate(scores, draw, repeats)), sep="\n", flush=True)
    for name, measure in (("neighbours", neighbours), ("neighbourhoods", neighbourhoods), ("moments", moments)):
        if name not in arguments.only:
            continue
        for label, draw in draws(x, y, identity, (200, 500)).items():
            print(*lines(label, simulate(measure, draw, repeats)), sep="\n", flush=True)


if __name__ == "__main__":
    main()
