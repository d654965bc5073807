"""`compare`: runs beside each other, ranked by each measurement, where their numbers can be compared at all.

Two numbers can be compared where they were measured alike: the same protocol, the same real faces and, for measures
that depend on how many faces they see, as many of them. What differs else is said, and the measurement is not ranked.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from augface.errors import require
from augface.metrics.intervals import NORMAL
from augface.results import Evaluation, Measurement, Section
from augface.text import one_line

if TYPE_CHECKING:
    import pandas as pd

MOST_VALUES = 4
"""Differing values of one thing that are named before the others are only counted."""


@dataclass(frozen=True)
class Key:
    """What a number is about: measurements of several runs with the same key stand in one row."""

    evaluator: str
    name: str
    group: tuple[tuple[str, bool], ...] = ()
    """Sorted by attribute; empty for all faces."""
    space: str | None = None
    arm: str | None = None
    attribute: str | None = None
    """The attribute that the number is about, where it is about one."""
    occurrence: int = 0
    """Counts the measurements of one run for which all else is the same."""


@dataclass(frozen=True)
class Row:
    """One measurement in all runs."""

    key: Key
    measurements: Mapping[str, Measurement | None]
    """By run, in the order of the runs; None where a run has no such measurement."""
    ranks: Mapping[str, int] = field(default_factory=dict)
    """By run, 1 for the best, the best first; empty where the row is not ranked. Runs without a value have no rank."""
    differences: tuple[str, ...] = ()
    """Why the row is not ranked, such as `k: 3 and 5`."""
    notes: tuple[str, ...] = ()
    """What a reader of the ranks should know, such as `seed: 0 and 1`."""

    @property
    def ranked(self) -> bool:
        """Whether the numbers can be compared."""
        return bool(self.ranks)

    def tied(self, run: str) -> bool:
        """Whether `run` shares its rank."""
        return run in self.ranks and list(self.ranks.values()).count(self.ranks[run]) > 1


@dataclass(frozen=True, repr=False)
class Comparison:
    """Runs beside each other: plain data, for the terminal and for pages."""

    runs: tuple[str, ...]
    rows: tuple[Row, ...]
    """In the order in which the runs hold the measurements."""
    sections: tuple[Section, ...] = ()
    """What the measurements belong to, in the order in which the runs have them."""

    def __repr__(self) -> str:
        ranked = sum(row.ranked for row in self.rows)
        return f"Comparison({', '.join(self.runs)}; {len(self.rows):,} measurements, {ranked:,} of them ranked)"

    def _repr_html_(self) -> str:
        from augface.report.render import leaderboard

        return leaderboard(self)

    def to_frame(self) -> pd.DataFrame:
        """One row a measurement and run, also where the run lacks it; `rank` is missing where nothing is ranked."""
        import pandas as pd

        records = [_record(row, run) for row in self.rows for run in self.runs]
        counts = dict.fromkeys(("rank", "n_real", "n_fake"), "Int64")
        return pd.DataFrame(records, columns=list(_COLUMNS)).astype(counts)


_COLUMNS = (
    *("evaluator", "name", "group", "space", "arm", "attribute", "occurrence", "run", "value", "low", "high"),
    *("baseline_value", "direction", "unit", "n_real", "n_fake", "rank", "tied", "differences", "notes"),
)


def _record(row: Row, run: str) -> dict[str, Any]:
    measurement = row.measurements[run]
    fields = {"value", "low", "high", "direction", "unit", "n_real", "n_fake"}
    baseline = measurement.baseline if measurement else None
    return {
        **vars(row.key),
        "group": dict(row.key.group),
        "run": run,
        **(measurement.model_dump(include=fields) if measurement else {}),
        "baseline_value": baseline.value if baseline else None,
        "rank": row.ranks.get(run),
        "tied": row.tied(run),
        "differences": "; ".join(row.differences),
        "notes": "; ".join(row.notes),
    }


def compare(evaluations: Mapping[str, Evaluation]) -> Comparison:
    """Rank runs by each measurement.

    A row is ranked where at least two runs have the number and all of these can be compared with each other.

    Ranks are those of competitions (1, 1, 3). The best run has rank 1 and opens a group. Each next run joins the group
    that is open unless it is significantly worse than the best of it, by more than 1.96 standard errors of the
    difference; then it opens the next group. Each run's standard error comes from its own 95 % interval. Runs that were
    held against the same real faces share a part of their errors, which is not subtracted: ties are reported rather too
    often than too seldom. Where an interval is missing, only equal values tie, and a note says so.

    Args:
        evaluations: by the names of the runs.
    """
    found: dict[Key, dict[str, Measurement]] = {}
    for run, evaluation in evaluations.items():
        for key, measurement in _by_key(evaluation):
            found.setdefault(key, {})[run] = measurement
    real = {run: _real_faces(evaluation) for run, evaluation in evaluations.items()}
    sections = {section.key: section for evaluation in evaluations.values() for section in evaluation.sections}
    rows = (
        _row(
            key,
            {run: numbers.get(run) for run in evaluations},
            real,
            bound=key.evaluator not in sections or sections[key.evaluator].depends_on_n,
        )
        for key, numbers in found.items()
    )
    return Comparison(tuple(evaluations), tuple(rows), tuple(sections.values()))


def _by_key(evaluation: Evaluation) -> Iterator[tuple[Key, Measurement]]:
    seen: Counter[Key] = Counter()
    for measurement in evaluation.measurements:
        about: dict[str, Any] = {
            "evaluator": measurement.evaluator,
            "name": measurement.name,
            "group": tuple(sorted(measurement.group.items())),
            "space": measurement.space,
            "arm": None if measurement.arm is None else _one_line(measurement.arm),
            "attribute": None if measurement.attribute is None else _one_line(measurement.attribute),
        }
        seen[Key(**about)] += 1
        yield Key(**about, occurrence=seen[Key(**about)] - 1), measurement


@dataclass(frozen=True)
class _RealFaces:
    """What provenance says of the real faces."""

    content_hash: str | None
    spec: str


def _real_faces(evaluation: Evaluation) -> _RealFaces:
    """Of `evaluate` under `real`, of `rebalance` under `data`."""
    data = evaluation.provenance.get("real") or evaluation.provenance.get("data")
    if not isinstance(data, Mapping):
        return _RealFaces(None, "unknown")
    content_hash = data.get("content_hash")
    return _RealFaces(str(content_hash) if content_hash else None, str(data.get("spec", "unknown")))


def _row(
    key: Key, measurements: Mapping[str, Measurement | None], real: Mapping[str, _RealFaces], *, bound: bool
) -> Row:
    """One measurement in all runs; `bound` where its numbers depend on how many faces there are."""
    numbers = _with_value(measurements)
    if len(numbers) < 2:
        return Row(
            key, measurements, differences=(f"only {next(iter(numbers))} has it" if numbers else "no run has it",)
        )
    protocol, seeds = _protocol_differences(numbers)
    nature = _differences({run: {("direction",): n.direction, ("unit",): n.unit} for run, n in numbers.items()})
    counts = _differences({run: {("n_real",): n.n_real, ("n_fake",): n.n_fake} for run, n in numbers.items()})
    other_data, unknown_data = _data_differences({run: real[run] for run in numbers})
    differences = [*nature, *protocol, *(counts if bound else []), *other_data]
    losses = {run: _loss(number) for run, number in numbers.items()}
    if aimless := [run for run, loss in losses.items() if loss is None]:
        differences.append(f"no baseline to be near to ({_some(aimless)})")
    notes = [*seeds, *([] if bound else counts), *unknown_data]
    if differences:
        return Row(key, measurements, differences=tuple(differences), notes=tuple(notes))
    errors = {run: _error(number) for run, number in numbers.items()}
    if bare := [run for run, error in errors.items() if error is None]:
        notes.append(f"without intervals, so no ties are reported ({_some(bare)})")
    ranks = _ranks({run: loss for run, loss in losses.items() if loss is not None}, errors)
    return Row(key, measurements, ranks, notes=tuple(notes))


# Ranks


def _with_value(measurements: Mapping[str, Measurement | None]) -> dict[str, Measurement]:
    return {run: number for run, number in measurements.items() if number is not None and number.value is not None}


def _loss(number: Measurement) -> float | None:
    """The value so that lower is better: for a target, how far it is from the baseline. None without a baseline."""
    value = require(number.value)
    if number.direction == "lower":
        return value
    if number.direction == "higher":
        return -value
    target = number.baseline.value if number.baseline else None
    return None if target is None else abs(value - target)


def _error(number: Measurement) -> float | None:
    """The standard error that the 95 % interval implies, as if it were a normal one; None without an interval."""
    if number.low is None or number.high is None:
        return None
    return abs(number.high - number.low) / (2 * NORMAL)


def _ranks(losses: Mapping[str, float], errors: Mapping[str, float | None]) -> dict[str, int]:
    """Competition ranks from 1 for the lowest loss; see `compare`."""

    def worse(run: str, best: str) -> bool:
        one, other = errors[run], errors[best]
        error = 0.0 if one is None or other is None else math.hypot(one, other)
        return losses[run] - losses[best] > NORMAL * error

    ranks: dict[str, int] = {}
    order = sorted(losses, key=lambda run: losses[run])
    best = order[0]
    for place, run in enumerate(order, start=1):
        if worse(run, best):
            best = run
        ranks[run] = place if run == best else ranks[best]
    return ranks


# What differs, in words

_Facts = Mapping[tuple[str, ...], Any]
_ABSENT = object()


def _protocol_differences(numbers: Mapping[str, Measurement]) -> tuple[list[str], list[str]]:
    """What forbids to compare, and what is only a note: other seeds draw other samples of the same measure."""
    facts = {run: _flat(number.protocol) for run, number in numbers.items()}
    seeds = {
        run: {path: str(value) for path, value in each.items() if path[-1] == "seed"} for run, each in facts.items()
    }
    others = {run: {path: value for path, value in each.items() if path[-1] != "seed"} for run, each in facts.items()}
    return _differences(others), _differences(seeds)


def _flat(protocol: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """The leaves of nested mappings by their paths."""
    leaves: dict[tuple[str, ...], Any] = {}
    for name, value in protocol.items():
        place = (*path, str(name))
        leaves |= _flat(value, place) if isinstance(value, Mapping) and value else {place: value}
    return leaves


def _differences(facts: Mapping[str, _Facts]) -> list[str]:
    """Each fact in which runs differ, by its dotted name and the values."""
    paths = dict.fromkeys(path for each in facts.values() for path in each)
    texts = {path: _differing({run: each.get(path, _ABSENT) for run, each in facts.items()}) for path in paths}
    return [f"{_one_line('.'.join(path))}: {text}" for path, text in texts.items() if text]


def _differing(values: Mapping[str, Any]) -> str:
    """The unlike values, such as `3 and 5`; of more than two runs with the runs that have them. Empty if all agree."""
    runs: dict[str, list[str]] = {}
    texts: dict[str, str] = {}
    for run, value in values.items():
        exact = "" if value is _ABSENT else json.dumps(value, sort_keys=True, default=str)
        runs.setdefault(exact, []).append(run)
        texts[exact] = _text(value)
    if len(runs) < 2:
        return ""
    short = {exact: _shorten(text) for exact, text in texts.items()}
    if len(set(short.values())) == len(short):
        texts = short
    if len(values) == 2:
        return " and ".join(texts.values())
    return _some([f"{texts[exact]} ({_some(having)})" for exact, having in runs.items()])


def _data_differences(real: Mapping[str, _RealFaces]) -> tuple[list[str], list[str]]:
    """Whether the real faces are other ones, and of which runs nobody knows."""
    known = {run: faces for run, faces in real.items() if faces.content_hash is not None}
    unknown = [run for run in real if run not in known]
    notes = [f"real faces: not known which ({_some(unknown)})"] if unknown else []
    specs = {faces.content_hash: faces.spec for faces in known.values()}
    if len(specs) < 2:
        return [], notes
    if len(set(specs.values())) < len(specs):
        specs = {content_hash: f"{spec} of hash {str(content_hash)[:8]}…" for content_hash, spec in specs.items()}
    shown = [_one_line(spec) for spec in specs.values()]
    return [f"real faces: other data ({_some(shown)})"], notes


def _text(value: Any) -> str:
    if value is _ABSENT:
        return "not given"
    if isinstance(value, str):
        return _one_line(value) or "empty"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "none" if value is None else _one_line(json.dumps(value, sort_keys=True, default=str))


def _one_line(text: str) -> str:
    return one_line(" ".join(text.split()))


def _shorten(text: str) -> str:
    """The start of a long hash or sentence."""
    most, kept = (60, 50) if " " in text else (24, 12)
    return text if len(text) <= most else f"{text[:kept]}…"


def _some(texts: Sequence[str]) -> str:
    """The first few with commas, and how many more there are."""
    more = len(texts) - MOST_VALUES
    return ", ".join(texts[:MOST_VALUES]) + (f" and {more:,} more" if more > 0 else "")
