"""Which measures of fidelity and diversity pass simple checks? Tables and a figure for docs/sanity.md.

    python experiments/sanity.py --out docs

The checks are those of Räisä, van Breugel & van der Schaar 2025, "Position: All Current Generative Fidelity and
Diversity Metrics are Flawed" (arXiv:2505.22450), written anew from the paper: the same distributions, sizes, doses,
questions and tolerances, on coarser grids and with the mean of fewer draws. Data are scaled by the mean and the
deviation of the real side first, as there. The bounded pair was made with these checks in view, and no other one was.

Beside our measures run those of the packages that are here: `prdc`, and `torch_fidelity`, whose neighbourhoods are of
three neighbours.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from augface.metrics.bounded import Bounded
from augface.metrics.clipped import clipped_coverage, clipped_density
from augface.metrics.neighbourhoods import Neighbourhoods
from augface.metrics.probabilistic import p_precision, p_recall
from augface.metrics.symmetric import symmetric_precision, symmetric_recall

Matrix = npt.NDArray[np.float64]
K = 5
ROWS = 1000
NEAR = 0.05
"""Tolerance of a value that is to be 0, 1 or another, and of a line that is to be level."""


def in_balls(distances: Neighbourhoods) -> npt.NDArray[np.bool_]:
    inside: npt.NDArray[np.bool_] = distances.between <= distances.real_radii(K)[:, None]
    return inside


PAIRS: Mapping[str, tuple[Callable[[Neighbourhoods], float], Callable[[Neighbourhoods], float]]] = {
    "precision, recall": (
        lambda distances: float(in_balls(distances).any(axis=0).mean()),
        lambda distances: float(in_balls(distances.turned()).any(axis=0).mean()),
    ),
    "density, coverage": (
        lambda distances: float(in_balls(distances).sum() / K / distances.between.shape[1]),
        lambda distances: float(in_balls(distances).any(axis=1).mean()),
    ),
    "clipped density, clipped coverage": (clipped_density, clipped_coverage),
    "symmetric precision, symmetric recall": (symmetric_precision, symmetric_recall),
    "P-precision, P-recall": (p_precision, p_recall),
}
BOUNDED = "bounded precision, bounded coverage"
"""Of real, synthetic and other real rows."""
BESIDE_REAL = "clipped density, coverage; over that of real rows"
"""As the report reads them: divided by the same of other real rows."""
PEERS = ("prdc: precision, recall", "prdc: density, coverage", "torch-fidelity: precision, recall")


def measured(real: Matrix, fake: Matrix, other: Matrix, peers: bool) -> dict[str, tuple[float, float]]:
    """Fidelity and diversity by every pair of measures; `other` are other real rows."""
    centre, deviation = real.mean(axis=0), real.std(axis=0)
    real, fake, other = ((side - centre) / deviation for side in (real, fake, other))
    distances, null = Neighbourhoods.of(real, fake), Neighbourhoods.of(real, other)
    found = {name: (fidelity(distances), diversity(distances)) for name, (fidelity, diversity) in PAIRS.items()}
    bounded = Bounded.of(real, fake, other)
    found[BOUNDED] = min(1.0, bounded.precision()), min(1.0, bounded.coverage())
    density, coverage = PAIRS["clipped density, clipped coverage"][0], PAIRS["density, coverage"][1]
    found[BESIDE_REAL] = density(distances) / density(null), coverage(distances) / coverage(null)
    if peers and len(real) == len(fake):
        import contextlib
        import io

        import torch
        from prdc import compute_prdc
        from torch_fidelity.metric_prc import calculate_precision_recall_full

        with contextlib.redirect_stdout(io.StringIO()):
            theirs = compute_prdc(real, fake, nearest_k=K)
        found[PEERS[0]] = theirs["precision"], theirs["recall"]
        found[PEERS[1]] = theirs["density"], theirs["coverage"]
        found[PEERS[2]] = calculate_precision_recall_full(torch.from_numpy(fake), torch.from_numpy(real))
    return found


Draw = Callable[[np.random.Generator], tuple[Matrix, Matrix]]
"""Real and synthetic rows."""
Question = Callable[[Matrix, Matrix], bool | str]
"""Whether values (P,) at doses (P,) are right. Of a diversity that may rise or fall: "low" or "high" where it is."""


def at(place: float | str, value: float) -> Question:
    """The value at a dose, or at the first or the last one."""

    def ask(doses: Matrix, values: Matrix) -> bool:
        index = {"first": 0, "last": -1}.get(str(place))
        found = values[int(abs(doses - float(place)).argmin())] if index is None else values[index]
        return bool(abs(found - value) <= NEAR)

    return ask


def either_at(place: str) -> Question:
    """0 or 1: both are taken for the diversity of faces that are far too varied."""
    return lambda doses, values: at(place, 0)(doses, values) or at(place, 1)(doses, values)


def level(doses: Matrix, values: Matrix) -> bool:
    return bool(np.ptp(values) <= NEAR)


def settled(doses: Matrix, values: Matrix) -> bool:
    """Level in the upper half of the doses."""
    return level(doses, values[doses >= np.median(doses)])


def bell(middle: float) -> Question:
    """Highest in the middle, and lowest at an end."""

    def ask(doses: Matrix, values: Matrix) -> bool:
        top = values[int(abs(doses - middle).argmin())]
        ends = values[[0, -1]]
        return bool((top - ends >= 0.2).all() and values.max() - top <= 0.1 and (ends - values.min() <= 0.1).any())

    return ask


def falling(doses: Matrix, values: Matrix) -> bool:
    first, last = values[0], values[-1]
    return bool(first - last >= 0.2 and values.max() - first <= 0.1 and last - values.min() <= 0.1)


def rising(doses: Matrix, values: Matrix) -> bool:
    return falling(doses, values[::-1])


def falling_early(quantile: float) -> Question:
    """Falling, and lower by a tenth already at this quantile of the doses."""

    def ask(doses: Matrix, values: Matrix) -> bool:
        middle = values[int(abs(doses - np.quantile(doses, quantile, method="nearest")).argmin())]
        return falling(doses, values) and bool(values[0] - middle >= 0.1)

    return ask


def one_of(first: Question, second: Question) -> Question:
    return lambda doses, values: bool(first(doses, values)) or bool(second(doses, values))


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        title: what is done to the synthetic side.
        curves: of each variant, such as a number of dimensions, the doses and how rows are drawn at each.
        fidelity, diversity: the questions that a measure of each kind must answer right, in words.
    """

    title: str
    curves: Mapping[str, Sequence[tuple[float, Draw]]]
    fidelity: Mapping[str, Question]
    diversity: Mapping[str, Question]


def normal(random: np.random.Generator, dimension: int, mean: float = 0, deviation: float = 1, n: int = ROWS) -> Matrix:
    return random.normal(mean, deviation, (n, dimension))


def mixture(random: np.random.Generator, means: Matrix, deviation: float, shares: Matrix) -> Matrix:
    chosen = random.choice(len(means), ROWS, p=shares / shares.sum())
    return means[chosen] + random.normal(0, deviation, (ROWS, means.shape[1]))


def sphere(random: np.random.Generator, dimension: int, radius: float) -> Matrix:
    rows = normal(random, dimension)
    return np.asarray(radius * rows / np.linalg.norm(rows, axis=1, keepdims=True))


def ball(random: np.random.Generator, dimension: int, radius: float, n: int) -> Matrix:
    rows = normal(random, dimension, n=n)
    lengths = radius * random.random((n, 1)) ** (1 / dimension)
    return np.asarray(lengths * rows / np.linalg.norm(rows, axis=1, keepdims=True))


def torus(random: np.random.Generator, n: int) -> Matrix:
    angles, section = random.uniform(0, 2 * np.pi, n), ball(random, 2, 0.1, n)
    outward = 1 + section[:, 0]
    return np.stack([outward * np.cos(angles), outward * np.sin(angles), section[:, 1]], axis=1)


def with_outlier(rows: Matrix, place: float) -> Matrix:
    return np.concatenate([rows, np.full((1, rows.shape[1]), place)])


REACH = {1: 6.0, 8: 3.0, 64: 1.0}
"""The largest shift in so many dimensions."""
WIDTHS = {1: 3.0, 8: 1.0, 64: 0.5}
"""The largest power of ten of the deviation in so many dimensions."""
MODE_WIDTHS = {1: 1 / 6, 8: 1 / 3, 64: 1.0}
SIZES = (100, 180, 320, 560, 1000, 1800, 3000)
PLACES = 2 * np.pi * np.array([0, 2, 4, 6, 8, 1, 3, 5, 7, 9]) / 10
INVENTED = 20 * np.stack([np.cos(PLACES), np.sin(PLACES)], axis=1)
"""Well separated modes on a circle, the first five of them real."""


def shift_curve(dimension: int, outlier: str = "") -> list[tuple[float, Draw]]:
    def draw(shift: float) -> Draw:
        def rows(random: np.random.Generator) -> tuple[Matrix, Matrix]:
            real, fake = normal(random, dimension), normal(random, dimension, shift)
            if outlier == "real":
                real = with_outlier(real, REACH[dimension])
            if outlier == "synthetic":
                fake = with_outlier(fake, REACH[dimension])
            return real, fake

        return rows

    return [(shift, draw(shift)) for shift in np.linspace(-REACH[dimension], REACH[dimension], 13)]


def checks() -> dict[str, Check]:
    """All checks by name."""
    dimensions = (1, 8, 64)
    bounds: dict[str, Question] = {
        "1 where equal": at(0, 1),
        "0 at the left": at("first", 0),
        "0 at the right": at("last", 0),
    }
    bell_shape: dict[str, Question] = {**bounds, "bell": bell(0)}
    steps = np.linspace(0, 1, 11)

    def widths(dimension: int) -> list[tuple[float, Draw]]:
        powers = np.linspace(-WIDTHS[dimension], WIDTHS[dimension], 13)
        return [
            (power, lambda random, power=power: (normal(random, dimension), normal(random, dimension, 0, 10**power)))  # type: ignore[misc]
            for power in powers
        ]

    def modes(dimension: int, shares: Callable[[float], Matrix], doses: Sequence[float]) -> list[tuple[float, Draw]]:
        means = np.tile(np.linspace(0, 10, 10)[:, None], dimension)
        width = MODE_WIDTHS[dimension]
        return [
            (
                dose,
                lambda random, dose=dose: (  # type: ignore[misc]
                    mixture(random, means, width, np.ones(10)),
                    mixture(random, means, width, shares(dose)),
                ),
            )
            for dose in doses
        ]

    def all_but_first(dose: float) -> Matrix:
        return np.array([1.0, *9 * [1 - dose]])

    def first_ones(dose: float) -> Matrix:
        return (np.arange(10) < 10 - dose).astype(float)

    def invented(dose: float) -> Draw:
        real, fake = ((np.arange(10) < count).astype(float) for count in (5, dose))
        return lambda random: (mixture(random, INVENTED, 0.25, real), mixture(random, INVENTED, 0.25, fake))

    def cubes(dimension: int, both: bool) -> list[tuple[float, Draw]]:
        start = 1 - 0.2 ** (1 / dimension)
        return [
            (
                np.log10(n),
                lambda random, n=n: (  # type: ignore[misc]
                    random.uniform(0, 1, (n if both else ROWS, dimension)),
                    random.uniform(start, start + 1, (n, dimension)),
                ),
            )
            for n in SIZES
        ]

    def two_modes(dimension: int) -> list[tuple[float, Draw]]:
        return [
            (
                apart,
                lambda random, apart=apart: (  # type: ignore[misc]
                    mixture(random, np.array([[-apart / 2], [apart / 2]]) * np.ones(dimension), 1, np.ones(2)),
                    normal(random, dimension, 0, np.sqrt(1 + apart**2)),
                ),
            )
            for apart in np.linspace(0, 5, 11)
        ]

    def one_scaled(power: float) -> Draw:
        factors = np.array([1, 10**power])
        return lambda random: (normal(random, 2) * factors, (normal(random, 2) + 6 * np.eye(2)[0]) * factors)

    def heavy(shift: float) -> Draw:
        def rows(random: np.random.Generator) -> tuple[Matrix, Matrix]:
            tails = [1 + random.pareto(1.01, ROWS) for _ in range(2)]
            return (
                np.stack([random.normal(0, 1, ROWS), tails[0]], axis=1),
                np.stack([random.normal(shift, 1, ROWS), tails[1]], axis=1),
            )

        return rows

    def disjoint(power: float) -> Draw:
        more = int(10**power)
        return lambda random: (normal(random, more + 1), normal(random, more + 1) + 6 * (np.arange(more + 1) == 0))

    def rounded(power: float, side: str) -> Draw:
        def rows(random: np.random.Generator) -> tuple[Matrix, Matrix]:
            real, fake = (10**power * normal(random, 1) for _ in range(2))
            return (np.round(real), fake) if side == "real" else (real, np.round(fake))

        return rows

    discrete = [(power, power) for power in np.linspace(0, 3, 7)]
    return {
        "shift": Check(
            "Gaussian, the mean shifted", {f"{d}-D": shift_curve(d) for d in dimensions}, bell_shape, bell_shape
        ),
        "real outlier": Check(
            "the same, with one outlier among real rows",
            {f"{d}-D": shift_curve(d, "real") for d in dimensions},
            bell_shape,
            bell_shape,
        ),
        "synthetic outlier": Check(
            "the same, with one outlier among synthetic rows",
            {f"{d}-D": shift_curve(d, "synthetic") for d in dimensions},
            bell_shape,
            bell_shape,
        ),
        "scale": Check(
            "Gaussian, the standard deviation scaled",
            {f"{d}-D": widths(d) for d in dimensions},
            {"1 where equal": at(0, 1), "1 if narrow": at("first", 1), "0 if wide": at("last", 0), "falls": falling},
            {
                "1 where equal": at(0, 1),
                "0 if narrow": at("first", 0),
                "0 or 1 if wide": either_at("last"),
                "rises, or a bell": one_of(bell(0), rising),
            },
        ),
        "modes dropped together": Check(
            "9 of 10 modes get rarer together",
            {f"{d}-D": modes(d, all_but_first, list(steps)) for d in dimensions},
            {"1 where equal": at("first", 1), "1 if dropped": at("last", 1), "level": level},
            {"1 where equal": at("first", 1), "falls early": falling_early(0.95)},
        ),
        "modes dropped in turn": Check(
            "modes are dropped one after the other",
            {f"{d}-D": modes(d, first_ones, list(range(10))) for d in dimensions},
            {"1 where equal": at("first", 1), "1 if dropped": at("last", 1), "level": level},
            {"1 where equal": at("first", 1), "falls early": falling_early(0.5)},
        ),
        "modes invented": Check(
            "1 to 10 modes, 5 of which are real",
            {"2-D": [(count, invented(count)) for count in range(1, 11)]},
            {"1 where equal": at(5, 1), "1 if few": at("first", 1), "falls": falling},
            {"1 where equal": at(5, 1), "1 if invented": at("last", 1), "rises": rising},
        ),
        "sphere": Check(
            "surfaces of spheres of another radius",
            {
                f"{d}-D": [
                    (radius, lambda random, d=d, radius=radius: (sphere(random, d, 1), sphere(random, d, radius)))  # type: ignore[misc]
                    for radius in np.linspace(0.1, 1.9, 13)
                ]
                for d in (2, 16, 128)
            },
            {"1 where equal": at(1, 1), "0 if small": at("first", 0), "0 if large": at("last", 0), "bell": bell(1)},
            {"1 where equal": at(1, 1), "0 if small": at("first", 0), "0 if large": at("last", 0), "bell": bell(1)},
        ),
        "size": Check(
            "cubes that overlap by a fifth, 100 to 3,000 rows",
            {f"{d}-D": cubes(d, both=True) for d in dimensions},
            {"settles": settled, "0.2 in the end": at("last", 0.2)},
            {"settles": settled, "0.2 in the end": at("last", 0.2)},
        ),
        "synthetic size": Check(
            "the same, with 1,000 real rows",
            {f"{d}-D": cubes(d, both=False) for d in dimensions},
            {"settles": settled, "0.2 in the end": at("last", 0.2)},
            {"settles": settled, "0.2 in the end": at("last", 0.2)},
        ),
        "sphere in torus": Check(
            "a ball and the torus around it, which do not touch",
            {
                "real ball": [
                    (np.log10(n), lambda random, n=n: (ball(random, 3, 0.8, ROWS), torus(random, n)))  # type: ignore[misc]
                    for n in SIZES
                ],
                "real torus": [
                    (np.log10(n), lambda random, n=n: (torus(random, ROWS), ball(random, 3, 0.8, n)))  # type: ignore[misc]
                    for n in SIZES
                ],
            },
            {"settles": settled, "0 in the end": at("last", 0)},
            {"settles": settled, "0 in the end": at("last", 0)},
        ),
        "one for two modes": Check(
            "one wide mode in place of two",
            {f"{d}-D": two_modes(d) for d in dimensions},
            {"1 where equal": at("first", 1), "falls": falling},
            {"1 where equal": at("first", 1), "falls, or level": one_of(falling, level)},
        ),
        "one dimension scaled": Check(
            "another dimension gets another unit",
            {"2-D": [(power, one_scaled(power)) for power in np.linspace(-3, 3, 7)]},
            {"level": level, "0 at the left": at("first", 0), "0 at the right": at("last", 0)},
            {"level": level, "0 at the left": at("first", 0), "0 at the right": at("last", 0)},
        ),
        "heavy tails": Check(
            "Gaussian shift, beside a dimension with Pareto tails",
            {"2-D": [(shift, heavy(shift)) for shift in np.linspace(-6, 6, 13)]},
            bell_shape,
            bell_shape,
        ),
        "one dimension disjoint": Check(
            "one dimension has nothing in common, up to 1,000 others are equal",
            {"1 to 1,000": [(power, disjoint(power)) for power in np.linspace(0, 3, 7)]},
            {"level": level, "0 at the left": at("first", 0), "0 at the right": at("last", 0)},
            {"level": level, "0 at the left": at("first", 0), "0 at the right": at("last", 0)},
        ),
        "real rounded": Check(
            "real numbers are whole, synthetic ones are not",
            {"1-D": [(dose, rounded(power, "real")) for dose, power in discrete]},
            {"level": level, "0 if coarse": at("first", 0), "0 if fine": at("last", 0)},
            {"level": level, "0 or 1 if coarse": either_at("first"), "0 or 1 if fine": either_at("last")},
        ),
        "synthetic rounded": Check(
            "synthetic numbers are whole, real ones are not",
            {"1-D": [(dose, rounded(power, "synthetic")) for dose, power in discrete]},
            {"level": level, "1 if coarse": at("first", 1), "1 if fine": at("last", 1)},
            {"level": level, "0 if coarse": at("first", 0), "0 if fine": at("last", 0)},
        ),
    }


Curve = tuple[Matrix, dict[str, Matrix]]
"""Doses (P,), and of each pair of measures (P, 2) fidelity and diversity."""


def curves(check: Check, repeats: int, peers: bool) -> dict[str, Curve]:
    """Of each variant the means of so many draws."""
    found = {}
    for variant, points in check.curves.items():
        values: dict[str, list[Matrix]] = {}
        for number, (_, draw) in enumerate(points):
            draws = []
            for repeat in range(repeats):
                real, fake = draw(np.random.default_rng([repeat, number]))
                other, _ = draw(np.random.default_rng([repeat, number, 1]))
                draws.append(measured(real, fake, other, peers))
            for pair in draws[0]:
                values.setdefault(pair, []).append(np.mean([each[pair] for each in draws], axis=0))
        doses = np.array([dose for dose, _ in points])
        found[variant] = doses, {pair: np.array(own) for pair, own in values.items() if len(own) == len(points)}
    return found


def failures(check: Check, found: Mapping[str, Curve], pair: str, kind: int) -> tuple[list[str], int]:
    """What a measure (0 fidelity, 1 diversity) answers wrong, in which variants; and how many questions there are."""
    questions = (check.fidelity, check.diversity)[kind]
    wrong: list[str] = []
    for question, ask in questions.items():
        variants = [
            name for name, (doses, values) in found.items() if pair in values and not ask(doses, values[pair][:, kind])
        ]
        if variants:
            wrong.append(f"{question} ({', '.join(variants)})" if len(found) > 1 else question)
    return wrong, len(questions) * len(found)


def count_wrong(check: Check, found: Mapping[str, Curve], pair: str, kind: int) -> int:
    questions = (check.fidelity, check.diversity)[kind]
    return sum(not ask(doses, values[pair][:, kind]) for ask in questions.values() for doses, values in found.values())


def tables(
    all_checks: Mapping[str, Check], found: Mapping[str, dict[str, Curve]], pairs: Sequence[str]
) -> Iterator[str]:
    """Of fidelity and of diversity: wrong answers of each measure in each check; then what they are."""
    for kind, title in enumerate(("Fidelity", "Diversity")):
        names = [pair.split(": ")[-1].split("; ")[0].split(", ")[kind] for pair in pairs]
        labels = [
            f"{name} ({pair.split(': ')[0] if ': ' in pair else pair.split('; ')[1]})"
            if pair in (BESIDE_REAL, *PEERS)
            else name
            for pair, name in zip(pairs, names, strict=True)
        ]
        yield f"\n### {title}\n"
        yield f"| check | {' | '.join(labels)} |"
        yield "|---|" + "---|" * len(pairs)
        wrong_of, failed_of = np.zeros(len(pairs), dtype=int), np.zeros(len(pairs), dtype=int)
        total = 0
        for name, check in all_checks.items():
            cells = []
            asked = failures(check, found[name], pairs[0], kind)[1]
            total += asked
            for column, pair in enumerate(pairs):
                if any(pair not in values for _, values in found[name].values()):
                    cells.append("")
                    continue
                wrong = count_wrong(check, found[name], pair, kind)
                wrong_of[column] += wrong
                failed_of[column] += wrong > 0
                cells.append(f"**{wrong} of {asked}**" if wrong else "pass")
            yield f"| {name} | {' | '.join(cells)} |"
        yield f"| checks failed, of {len(all_checks)} | {' | '.join(map(str, failed_of))} |"
        yield f"| wrong answers, of {total} | {' | '.join(map(str, wrong_of))} |"
        yield "\n<details><summary>What each fails</summary>\n"
        for pair, label in zip(pairs, labels, strict=True):
            if pair in PEERS:
                continue
            yield f"- **{label}**: " + "; ".join(
                f"{name}: {', '.join(cells)}"
                for name, check in all_checks.items()
                if (cells := failures(check, found[name], pair, kind)[0])
            )
        yield "\n</details>"


def draw_curves(all_checks: Mapping[str, Check], found: Mapping[str, dict[str, Curve]], path: Path) -> None:
    """One small picture for each check and variant: solid is fidelity, dashed diversity."""
    import matplotlib.pyplot as plt

    panels = [(name, variant) for name, check in all_checks.items() for variant in check.curves]
    columns = 6
    figure, axes = plt.subplots(-(-len(panels) // columns), columns, figsize=(2 * columns, 12.5), layout="constrained")
    for axis in axes.flat:
        axis.set_axis_off()
    colours = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    for axis, (name, variant) in zip(axes.flat, panels, strict=False):
        doses, values = found[name][variant]
        axis.set_axis_on()
        for colour, pair in zip(colours, (BOUNDED, *PAIRS), strict=False):
            axis.plot(doses, values[pair][:, 0], color=colour, linewidth=1, label=pair)
            axis.plot(doses, values[pair][:, 1], color=colour, linewidth=1, linestyle="--")
        axis.set_ylim(-0.05, 1.4)
        axis.set_title(f"{name}, {variant}", fontsize=7)
        axis.tick_params(labelsize=6)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
    figure.savefig(path, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="draws of each point, whose mean counts")
    parser.add_argument("--no-peers", action="store_true", help="our measures alone, in half of the time")
    parser.add_argument("--checks", nargs="*", default=[], help="only these")
    parser.add_argument("--out", type=Path, help="a folder, in whose images the figure is drawn")
    options = parser.parse_args()
    chosen = {name: check for name, check in checks().items() if name in (options.checks or [name])}
    start = time.process_time()
    found = {name: curves(check, options.repeats, not options.no_peers) for name, check in chosen.items()}
    print(*tables(chosen, found, [BOUNDED, *PAIRS, BESIDE_REAL, *(() if options.no_peers else PEERS)]), sep="\n")
    print(f"\n{(time.process_time() - start) / 60:.1f} minutes of processor time")
    if options.out:
        draw_curves(chosen, found, options.out / "images" / "sanity.webp")


if __name__ == "__main__":
    main()
