"""From answers that count to measurements, task by task: each with its interval over new raters and new faces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from augface.errors import DataError
from augface.metrics.agreement import krippendorff_alpha
from augface.metrics.crossed import CrossedEstimate, crossed_difference, crossed_mean
from augface.metrics.equivalence import EQUIVALENCE_LEVEL, equivalence_p_value
from augface.metrics.intervals import Interval
from augface.metrics.multiple_testing import holm
from augface.metrics.paired_comparisons import davidson, unconnected
from augface.metrics.psychometric import LAPSES, RIGHT_AT_THRESHOLD, Threshold, threshold
from augface.metrics.signal_detection import Detection, detection
from augface.metrics.staircase import EXPOSURES
from augface.results import Baseline, Measurement, Section, Skipped
from augface.results.severity import Severity, severity
from augface.seeds import random_generator
from augface.study.design import Block, Plan, Task
from augface.study.records import Records

LEVEL = 0.05
GUESSING = 0.5
FEWEST_ANSWERS = 10
"""Below which nothing is estimated."""
LONGEST = EXPOSURES[-1]
INTERVAL = "t over raters and faces, crossed (method of moments, Satterthwaite)"

Direction = Literal["lower", "higher", "target"]

SECTIONS: dict[Task, Section] = {
    "untimed": Section(
        key="untimed",
        title="Real or generated, without a time limit",
        meaning="People judged one face at a time and looked as long as they liked.",
        key_measures=("error_rate", "d_prime", "classifier_lead"),
        by_group="error_rate",
    ),
    "pairs": Section(
        key="pairs",
        title="Two faces side by side",
        meaning="People compared two faces: which looks more real, and which is the better picture.",
        key_measures=("preference_real", "preference_better"),
        by_group="preference_real",
    ),
    "flash": Section(
        key="flash",
        title="Real or generated, after a brief look",
        meaning="Faces were shown for fractions of a second and then covered; how long followed each person's answers.",
        key_measures=("threshold",),
        by_group="threshold",
    ),
    "rating": Section(
        key="rating",
        title="How good the pictures are",
        meaning="People rated the quality of single pictures from 1 to 5.",
        key_measures=("mean_opinion_score",),
        by_group="mean_opinion_score",
    ),
}
"""What each task is about, as reports have it."""


@dataclass
class Findings:
    """What a task says.

    Attributes:
        measurements: the numbers.
        skipped: what could not be measured.
        differences: by the name of the generator, how it differs from real faces: 0 for indistinguishable ones.
        detections: by the name of the generator, of the task without time pressure.
        thresholds: by the name of the generator, of the task with brief exposures.
    """

    measurements: list[Measurement] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    differences: dict[str, CrossedEstimate] = field(default_factory=dict)
    detections: dict[str, Detection] = field(default_factory=dict)
    thresholds: dict[str, Threshold] = field(default_factory=dict)


class _TaskMeasurements:
    """Builds the measurements of one task."""

    def __init__(self, records: Records, task: Task) -> None:
        self.records, self.plan, self.task = records, records.plan, task
        self.findings = Findings()

    def group(self, generator: str) -> dict[str, bool]:
        """Whose faces a number is about: named where there are several generators."""
        return {generator: True} if len(self.plan.generators) > 1 else {}

    def add(
        self,
        name: str,
        label: str,
        estimate: CrossedEstimate,
        *,
        meaning: str,
        direction: Direction,
        generator: str | None = None,
        share: bool = False,
        interval: Interval | None = None,
        unit: str = "",
        p_value: float | None = None,
        verdict: Severity = "info",
        signed: bool = False,
        baseline: Baseline | None = None,
        protocol: Mapping[str, Any] | None = None,
    ) -> None:
        """One more measurement."""
        held = interval or (estimate.share_interval() if share else estimate.interval())
        counts = f" {estimate.answers:,} answers of {estimate.raters:,} people to {estimate.items:,} faces."
        real, generated = self._faces(generator)
        self.findings.measurements.append(
            Measurement(
                evaluator=self.task,
                name=name,
                label=label,
                value=held.value,
                low=held.low,
                high=held.high,
                p_value=p_value,
                direction=direction,
                baseline=baseline,
                verdict=verdict,
                signed=signed,
                unit="%" if share else unit,
                meaning=meaning + counts,
                n_real=real,
                n_fake=generated,
                group={} if generator is None else self.group(generator),
                protocol={"interval": INTERVAL, **self._protocol(), **(protocol or {})},
            )
        )

    def skip(self, reason: str) -> None:
        """Something could not be measured."""
        self.findings.skipped.append(Skipped(evaluator=self.task, reason=reason))

    def _faces(self, generator: str | None) -> tuple[int, int | None]:
        return len(self.plan.numbers(0)), None if generator is None else self.plan.faces

    def _protocol(self) -> dict[str, Any]:
        rules = self.plan.rules.model_dump()
        return {"size": self.plan.size, "faces_a_rater": self.plan.trials, **rules}


def sections(plan: Plan) -> list[Section]:
    """The sections of the tasks that were asked, the one that decides first."""
    several = len(plan.generators) > 1
    return [
        SECTIONS[task].model_copy(update={"each_group": several, "decides": task == plan.deciding})
        for task in sorted(plan.tasks, key=lambda task: task != plan.deciding)
    ]


def measure(records: Records) -> dict[Task, Findings]:
    """All that the answers say, by task."""
    tasks = {"flash": _flash, "untimed": _untimed, "pairs": _pairs, "rating": _rating}
    return {task: tasks[task](records) for task in records.plan.tasks}


def counted(people: int, *, simulated: bool = False) -> str:
    """So many raters, in words.

    >>> counted(1), counted(30), counted(30, simulated=True)
    ('1 person', '30 people', '30 simulated raters')
    """
    if simulated:
        return f"{people} simulated rater{'s' * (people != 1)}"
    return f"{people} {'person' if people == 1 else 'people'}"


def half_of_real_faces(records: Records) -> npt.NDArray[np.int64]:
    """Pictures of half of the real faces, fixed by the seed: the "generated" ones of a study of real against real."""
    numbers = records.plan.numbers(0)
    return random_generator(records.plan.seed, "real against real").permutation(numbers)[: len(numbers) // 2]


def _baseline(estimate: CrossedEstimate, *, share: bool = False) -> Baseline:
    held = estimate.share_interval() if share else estimate.interval()
    return Baseline(value=held.value, low=held.low, high=held.high, n=estimate.answers)


def _about(answers: pd.DataFrame, generator: int) -> pd.DataFrame:
    """Answers to single faces of a generator, and to real ones."""
    return answers[answers["left_kind"].isin((0, generator))]


def _repeated(task: _TaskMeasurements, blocks: Iterable[Block]) -> None:
    """How often raters say the same again when a face comes again."""
    same, raters, items = [], [], []
    turned = {"left": "right", "right": "left"}
    for block in blocks:
        again = task.records.of(block, "repeat")
        said = task.records.of(block)
        first = dict(zip(zip(said["rater"], said["trial"], strict=True), said["answer"], strict=True))
        for row in again.itertuples():
            if (row.rater, row.repeats) in first:
                expected = str(first[row.rater, row.repeats])
                expected = turned.get(expected, expected) if block.startswith("pairs") else expected
                same.append(row.answer == expected)
                raters.append(row.rater)
                items.append(row.item)
    if len(same) >= FEWEST_ANSWERS:
        task.add(
            "repeated_answers",
            "Same answer to a repeated face",
            crossed_mean(np.array(same, dtype=np.float64), np.array(raters), np.array(items)),
            meaning="The share of faces that came a second time and were judged as the first time.",
            direction="higher",
            share=True,
        )


def _agreement(task: _TaskMeasurements, values: npt.ArrayLike, answers: pd.DataFrame, meaning: str) -> None:
    try:
        alpha = krippendorff_alpha(values, answers["rater"], answers["item"])
    except DataError as error:
        task.skip(f"agreement of raters: {error}")
        return
    task.add(
        "agreement",
        "Agreement of raters (alpha)",
        alpha,
        meaning=meaning,
        direction="higher",
        protocol={"interval": "jackknife over raters and faces"},
    )


def _few(task: _TaskMeasurements, answers: pd.DataFrame, generator: str) -> bool:
    """Whether there is too little to estimate anything from, which is then said."""
    people, faces = answers["rater"].nunique(), answers["item"].nunique()
    if len(answers) >= FEWEST_ANSWERS and people > 1 and faces > 1:
        return False
    task.skip(f"{generator}: too few answers that count ({len(answers)}, of {counted(people)}).")
    return True


# Without time pressure


def _untimed(records: Records) -> Findings:
    task, plan = _TaskMeasurements(records, "untimed"), records.plan
    answers = records.of("untimed")
    called = answers["answer"] == "generated"
    for number, name in enumerate(plan.generators, start=1):
        rows = _about(answers, number)
        if _few(task, rows, name) or rows["left_kind"].nunique() < 2:
            continue
        arrays = (rows["rater"].to_numpy(), rows["item"].to_numpy())
        found = detection(called[rows.index], rows["left_kind"] == number, *arrays)
        task.findings.detections[name] = found
        task.findings.differences[name] = found.gap
    real = answers[answers["left_kind"] == 0]
    half = half_of_real_faces(records)
    null: Detection | None = None
    if len(real) >= FEWEST_ANSWERS and 0 < real["left"].isin(half).sum() < len(real):
        null = detection(called[real.index], real["left"].isin(half), real["rater"], real["item"])
    differs, equal = _tests(task.findings.differences, plan.margin)
    for name, found in task.findings.detections.items():
        _add_detection(task, name, found, null, differs[name], equal[name])
    if task.findings.detections:
        first = next(iter(task.findings.detections.values()))
        task.add(
            "false_alarm_rate",
            "Real faces called generated",
            first.false_alarm_rate,
            meaning="The share of answers to real faces that are “generated”.",
            direction="target",
            share=True,
        )
        _agreement(
            task, called.to_numpy(dtype=np.float64), answers,
            "How much raters agree on which faces are generated, beyond chance (Krippendorff's alpha): 0 is none, 1 is "
            "in everything.",
        )  # fmt: skip
    _repeated(task, ["untimed"])
    return task.findings


def _tests(differences: Mapping[str, CrossedEstimate], margin: float) -> tuple[dict[str, float], dict[str, float]]:
    """P-values, adjusted for all generators: that there is no difference, and that there is one beyond the margin."""
    return (
        holm({name: one.p_value() for name, one in differences.items()}),
        holm({name: equivalence_p_value(one, 2 * margin) for name, one in differences.items()}),
    )


def _verdict(share: CrossedEstimate, differs: float, equal: float) -> Severity:
    """How bad it is that so large a share of answers is wrong, where guessing is one half; fooling everybody is fine.

    Faces pass only where they are shown to be indistinguishable; that no difference was found says nothing.

    Args:
        share: of the answers that take generated faces for real ones.
        differs: the p-value that there is no difference.
        equal: the p-value that there is one beyond the margin.
    """
    shown = differs < LEVEL
    found = severity(share.share_interval(), (GUESSING, GUESSING, GUESSING), useless=0.0) if shown else "pass"
    return "info" if found == "pass" and equal >= EQUIVALENCE_LEVEL else found


def _add_detection(
    task: _TaskMeasurements, name: str, found: Detection, null: Detection | None, differs: float, equal: float
) -> None:
    task.add(
        "error_rate",
        "Error rate of people",
        found.error_rate,
        meaning="The share of answers that are wrong, real and generated faces counting the same (HYPE-infinity); 50 % "
        "is guessing. Beside it half of the real faces, taken for generated ones.",
        direction="higher",
        generator=name,
        verdict=_verdict(found.error_rate, differs, equal),
        share=True,
        baseline=None if null is None else _baseline(null.error_rate, share=True),
    )
    task.add(
        "fool_rate",
        "Generated faces called real",
        found.fool_rate,
        meaning="The share of answers to generated faces that are “real”.",
        direction="higher",
        generator=name,
        share=True,
        baseline=None if null is None else _baseline(null.fool_rate, share=True),
    )
    task.add(
        "detection_gap",
        "Called generated more often than real faces",
        found.gap,
        meaning="How much more often generated faces than real ones are called generated; 0 for "
        "indistinguishable ones. The p-value is that of no difference.",
        direction="lower",
        signed=True,
        generator=name,
        p_value=differs,
        baseline=None if null is None else _baseline(null.gap),
    )
    _add_equivalence(task, name, found.gap, equal)
    task.add(
        "d_prime",
        "Sensitivity d′",
        found.d_prime,
        meaning="Sensitivity: how far apart real and generated faces are in the eyes of raters, in standard "
        "deviations, whatever answer they lean to; 0 is guessing.",
        direction="lower",
        generator=name,
        baseline=None if null is None else _baseline(null.d_prime),
    )
    task.add(
        "bias",
        "Leaning to “real”",
        found.bias,
        meaning="Leaning (criterion c): above 0 raters lean to “real”, below 0 to “generated”.",
        direction="target",
        signed=True,
        generator=name,
        baseline=Baseline(value=0.0, n=found.bias.answers),
    )


def _add_equivalence(task: _TaskMeasurements, name: str, gap: CrossedEstimate, p_value: float) -> None:
    """The largest difference that the answers allow, and whether it is below the margin."""
    held = gap.interval(1 - 2 * EQUIVALENCE_LEVEL)
    margin = task.plan.margin
    task.add(
        "largest_gap",
        "Largest difference left possible",
        gap,
        interval=Interval(max(abs(held.low), abs(held.high)), float("nan"), float("nan")),
        meaning=f"The largest difference that these answers leave possible (92 % interval). Below {2 * margin:.2g}, "
        f"fixed beforehand, people are shown to be right in {0.5 - margin:.0%} to {0.5 + margin:.0%} of answers at "
        "most, which is called indistinguishable. The p-value is that of a difference beyond it (two one-sided tests).",
        direction="lower",
        generator=name,
        p_value=p_value,
        verdict="pass" if p_value < EQUIVALENCE_LEVEL else "info",
        protocol={"margin": margin, "test": "two one-sided t tests at 4 %, Holm over generators"},
    )


# Brief exposures


def _flash(records: Records) -> Findings:
    task, plan = _TaskMeasurements(records, "flash"), records.plan
    answers = records.of("flash")
    right = (answers["answer"] == "generated") == (answers["left_kind"] > 0)
    for number, name in enumerate(plan.generators, start=1):
        rows = answers[(answers["generator"] == number) & answers["exposure"].notna()]
        if _few(task, rows, name):
            continue
        found = threshold(rows["exposure"], right[rows.index], rows["rater"], rows["item"])
        task.findings.thresholds[name] = found
        value, low, high = found.milliseconds()
        beyond = value >= LONGEST
        task.add(
            "threshold",
            "Exposure needed",
            found.log2_milliseconds,
            interval=Interval(min(value, LONGEST), min(low, LONGEST), float("nan") if beyond else high),
            meaning=f"The exposure at which people are right in {RIGHT_AT_THRESHOLD:.0%} of answers, the geometric "
            "mean over people"
            + (f"; it is longer than the longest exposure, {LONGEST:,.0f} ms." if beyond else ".")
            + " Longer is better for the generator.",
            direction="higher",
            generator=name,
            unit="ms",
            protocol={
                "right": RIGHT_AT_THRESHOLD,
                "lapses": LAPSES,
                "longest_ms": LONGEST,
                "interval": "normal population of thresholds; " + INTERVAL,
            },
        )
    return task.findings


# Pairs


def _pairs(records: Records) -> Findings:
    task, plan = _TaskMeasurements(records, "pairs"), records.plan
    questions: dict[Block, tuple[str, str]] = {
        "pairs-real": ("real", "looks more real"),
        "pairs-better": ("better", "is the better picture"),
    }
    for block, (short, asked) in questions.items():
        answers = records.of(block)
        control = records.of(block, "control")
        sides = control["answer"].map({"left": 1.0, "same": 0.5, "right": 0.0})
        null = (
            crossed_mean(sides, control["rater"], control["item"])
            if len(control) >= FEWEST_ANSWERS and control["rater"].nunique() > 1 and control["item"].nunique() > 1
            else None
        )
        gaps = {}
        for number, name in enumerate(plan.generators, start=1):
            kinds = answers[["left_kind", "right_kind"]]
            rows = answers[(kinds.min(axis=1) == 0) & (kinds.max(axis=1) == number)]
            if not _few(task, rows, name):
                won = rows["answer"].map({"left": 1.0, "same": 0.5, "right": 0.0})
                won = won.where(rows["left_kind"] == number, 1 - won)
                gaps[name] = crossed_mean(1 - 2 * won, rows["rater"], rows["item"])
        differs, equal = _tests(gaps, plan.margin)
        for name, gap in gaps.items():
            preferred = gap._replace(value=(1 - gap.value) / 2, standard_error=gap.standard_error / 2)
            task.add(
                f"preference_{short}",
                f"Generated face {asked}",
                preferred,
                meaning=f"How often the generated face of a pair with a real one {asked}, ties counting half; 50 % if "
                "they are indistinguishable. Beside it the left one of two real faces.",
                direction="higher",
                generator=name,
                verdict=_verdict(preferred, differs[name], equal[name]),
                share=True,
                p_value=differs[name],
                baseline=None if null is None else _baseline(null, share=True),
            )
            if short == "real":
                task.findings.differences[name] = gap
                _add_equivalence(task, name, gap, equal[name])
        _add_worths(task, answers, short, asked)
        if len(answers):
            ties = crossed_mean((answers["answer"] == "same").to_numpy(np.float64), answers["rater"], answers["item"])
            task.add(
                f"ties_{short}", f"Pairs of which neither {asked}", ties, share=True, direction="higher",
                meaning=f"The share of pairs of which neither {asked}.",
            )  # fmt: skip
    _repeated(task, questions)
    return task.findings


def _add_worths(task: _TaskMeasurements, answers: pd.DataFrame, short: str, asked: str) -> None:
    if not len(answers):
        return
    columns = answers.assign(outcome=answers["answer"].map({"left": 1, "same": 0, "right": -1}))
    kinds = ("real", *task.plan.generators)
    lost = unconnected(columns["left_kind"], columns["right_kind"], columns["outcome"], kinds)
    if lost:
        task.skip(
            f"worths of {', '.join(lost)}, of which one {asked}: one of a kind is always preferred, or was never "
            "compared."
        )
    kept = [kind for kind in kinds if kind not in lost]
    if len(kept) < 2:
        return
    numbers = {kinds.index(kind): number for number, kind in enumerate(kept)}
    left, right = columns["left_kind"].map(numbers), columns["right_kind"].map(numbers)
    own = columns[left.notna() & right.notna()]
    found = davidson(
        left[own.index].to_numpy(dtype=np.int64),
        right[own.index].to_numpy(dtype=np.int64),
        own["outcome"].to_numpy(dtype=np.int64),
        kept,
        own["rater"].to_numpy(),
        own["item"].to_numpy(),
    )
    for name, worth in found.worths.items():
        task.add(
            f"worth_{short}",
            f"Log worth: {asked}",
            worth,
            meaning=f"Davidson's log worth beyond that of real faces: the log odds that the generated one {asked}, "
            "where one does; 0 for real faces, below it real ones win.",
            direction="higher",
            signed=True,
            generator=name,
            baseline=Baseline(value=0.0, n=worth.answers),
            protocol={"model": "Davidson 1970"},
        )


# Ratings


def _rating(records: Records) -> Findings:
    task, plan = _TaskMeasurements(records, "rating"), records.plan
    answers = records.of("rating")
    points = answers["answer"].astype(np.float64)
    real = answers[answers["left_kind"] == 0]
    null = (
        crossed_mean(points[real.index], real["rater"], real["item"])
        if len(real) >= FEWEST_ANSWERS and real["rater"].nunique() > 1
        else None
    )
    scores, differences = {}, {}
    for number, name in enumerate(plan.generators, start=1):
        rows = _about(answers, number)
        own = rows[rows["left_kind"] == number]
        if _few(task, own, name) or null is None:
            continue
        scores[name] = crossed_mean(points[own.index], own["rater"], own["item"])
        differences[name] = crossed_difference(
            points[rows.index], rows["left_kind"] == number, rows["rater"], rows["item"]
        )
    differs, _ = _tests(differences, plan.margin)
    for name, score in scores.items():
        task.add(
            "mean_opinion_score",
            "Mean opinion score",
            score,
            meaning="Mean rating from 1 (bad) to 5 (excellent), beside that of real faces.",
            direction="higher",
            generator=name,
            baseline=None if null is None else _baseline(null),
        )
        task.add(
            "score_difference",
            "Rating minus that of real faces",
            differences[name],
            meaning="Mean rating of generated faces minus that of real ones; how each rater uses the scale cancels "
            "out.",
            direction="higher",
            signed=True,
            generator=name,
            unit="points",
            p_value=differs[name],
            baseline=Baseline(value=0.0, n=differences[name].answers),
        )
    if scores:
        _agreement(
            task, centred(answers).to_numpy(), answers,
            "How much raters agree on which faces are good, once each one's own mean is taken off (Krippendorff's "
            "alpha, interval scale): 0 is none, 1 is in everything.",
        )  # fmt: skip
    _repeated(task, ["rating"])
    return task.findings


def centred(answers: pd.DataFrame) -> pd.Series[float]:
    """Ratings with each rater's mean moved to the mean of all: some people are stricter than others.

    The mean of a rater is that of the means over kinds of faces, which not everybody rated equally many of.
    """
    points = answers["answer"].astype(np.float64)
    by_kind = points.groupby([answers["rater"], answers["left_kind"]]).mean()
    own = by_kind.groupby(level=0).mean()
    return points - answers["rater"].map(own) + own.mean()
