"""Thresholds that measurements are held to, such as `copied > 0.01`, and their outcomes as a JUnit file.

Nothing is evaluated as code: an expression is a measure, one of four operators and a number.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from augface.data.groups import Subgroup
from augface.errors import DataError, UnknownNameError, UsageError
from augface.results import Evaluation, Measurement
from augface.text import one_line

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
FIELDS = ("value", "low", "high", "p_value")
QUALIFIERS = ("space", "arm", "attribute")
GRAMMAR = re.compile(r"\s*([^\s\[\]<>=]+)\s*(?:\[(.*)\])?\s*(<=|>=|<|>)\s*(\S+)\s*")
ALL_FACES = Subgroup()
MOST_SHOWN = 8
"""Forms of a measure that are named where the one that was asked for is not among them."""


@dataclass(frozen=True)
class Outcome:
    """One measurement and whether it failed."""

    name: str
    """The number as a condition names it."""
    number: float
    failed: bool

    def __str__(self) -> str:
        return f"{self.name} is {self.number:.4g}"


@dataclass(frozen=True)
class Check:
    """A condition under which results fail.

    >>> check = Check.parse("memorisation.copied.low > 0.01")
    >>> check.evaluator, check.name, check.field, check.comparison, check.threshold
    ('memorisation', 'copied', 'low', '>', 0.01)
    """

    expression: str
    name: str
    comparison: str
    threshold: float
    evaluator: str | None = None
    field: str = "value"
    group: Subgroup = ALL_FACES
    qualifiers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, expression: str) -> Check:
        """Read `[EVALUATOR.]MEASURE[.FIELD][[QUALIFIER,...]] OPERATOR NUMBER`.

        A qualifier is `space=NAME`, `arm=NAME`, `attribute=NAME`, or `NAME=1` and `NAME=0` for faces that have an
        attribute or have it not. The field is `value`, or `low` and `high` of the 95 % interval, or `p_value`.

        Raises:
            UsageError: the expression is not of that form.
        """
        found = GRAMMAR.fullmatch(expression)
        if found is None:
            raise UsageError(
                f"{expression!r} is no condition. Write a measure, one of < <= > >=, and a number, such as "
                "'copied > 0.01' or 'precision[space=inception,Male=0] < 0.3'."
            )
        words = found[1].split(".")
        field = words.pop() if len(words) > 1 and words[-1] in FIELDS else "value"
        if len(words) > 2 or not all(words):
            raise UsageError(f"{found[1]!r} in {expression!r} is no measure. Write MEASURE or EVALUATOR.MEASURE.")
        threshold = _number(found[4], expression)
        qualifiers, groups = {}, []
        for part in (part.strip() for part in (found[2] or "").split(",")):
            name, _, value = (word.strip() for word in part.partition("="))
            if name in QUALIFIERS:
                qualifiers[name] = value
            else:
                groups.append(f"{name}={value}" if value else part)
        return cls(
            expression=" ".join(expression.split()),
            name=words[-1],
            comparison=found[3],
            threshold=threshold,
            evaluator=words[0] if len(words) == 2 else None,
            field=field,
            group=Subgroup.parse(",".join(groups)),
            qualifiers=tuple(qualifiers.items()),
        )

    def outcomes(self, evaluation: Evaluation) -> list[Outcome]:
        """Every measurement that is meant, with its outcome: without a group those of all faces, in any space and arm.

        Raises:
            UnknownNameError: these results have no such measure, space, arm, attribute or group.
            DataError: the measure was not taken, or not of these faces, or has no such number.
        """
        named = self._named(evaluation)
        for qualifier, value in self.qualifiers:
            known = {str(held) for one in named if (held := getattr(one, qualifier)) is not None}
            if value not in known:
                raise UnknownNameError(f"{qualifier} of {self.name} in these results", value, known)
            named = [one for one in named if getattr(one, qualifier) == value]
        meant = [one for one in named if one.group == dict(self.group)]
        if not meant:
            attributes = {name for one in named for name in one.group}
            for name in self.group:
                if name not in attributes:
                    raise UnknownNameError(f"attribute of a group of {self.name} in these results", name, attributes)
            forms = list(dict.fromkeys(map(spelled_out, named)))
            more = f" and {len(forms) - MOST_SHOWN} more" if len(forms) > MOST_SHOWN else ""
            raise DataError(
                f"{self.name} was not measured of {self.group.label or 'all faces'}, only as "
                f"{', '.join(forms[:MOST_SHOWN])}{more}."
            )
        return [self._outcome(one) for one in meant]

    def _named(self, evaluation: Evaluation) -> list[Measurement]:
        """The measurements of that name, of all groups, spaces and arms."""
        evaluators = {one.evaluator for one in evaluation.measurements} | {one.evaluator for one in evaluation.skipped}
        if self.evaluator is not None and self.evaluator not in evaluators:
            raise UnknownNameError("evaluator in these results", self.evaluator, evaluators)
        of_it = [one for one in evaluation.measurements if self.evaluator in (None, one.evaluator)]
        named = [one for one in of_it if one.name == self.name]
        if named:
            return named
        owners = {section.key for section in evaluation.sections if self.name in section.key_measures}
        for skipped in evaluation.skipped:
            if skipped.evaluator in owners or skipped.evaluator == self.evaluator:
                raise DataError(f"{self.name} was not measured: {one_line(skipped.reason)}")
        raise UnknownNameError("measure in these results", self.name, {one.name for one in of_it})

    def _outcome(self, measurement: Measurement) -> Outcome:
        number = getattr(measurement, self.field)
        if number is None:
            raise DataError(f"{spelled_out(measurement)} has no {self.field.replace('_', '-')} in these results.")
        return Outcome(spelled_out(measurement, self.field), number, OPERATORS[self.comparison](number, self.threshold))


def spelled_out(measurement: Measurement, field: str = "value") -> str:
    """How a condition names this number of a measurement."""
    qualifiers = [f"{name}={value}" for name in QUALIFIERS if (value := getattr(measurement, name)) is not None]
    if measurement.group:
        qualifiers.append(Subgroup(measurement.group).label)
    name = measurement.name if field == "value" else f"{measurement.name}.{field}"
    return one_line(name + (f"[{','.join(qualifiers)}]" if qualifiers else ""))


def junit(outcomes: Iterable[tuple[Check, Sequence[Outcome]]], source: str) -> str:
    """The outcomes as JUnit XML, which build servers show: one test case for each measurement of each condition.

    Args:
        outcomes: each condition with the measurements that it is about.
        source: what was checked, which becomes the name of the test cases' class.
    """
    suite = ElementTree.Element("testsuite", name="augface check")
    for check, found in outcomes:
        for outcome in found:
            name = f"{outcome.name}: fail if {one_line(check.expression)}"
            case = ElementTree.SubElement(suite, "testcase", classname=one_line(source), name=name, time="0")
            if outcome.failed:
                ElementTree.SubElement(case, "failure", message=str(outcome), type="threshold")
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", "0")
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _number(text: str, expression: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{text!r} in {expression!r} is no finite number.")
    return number
