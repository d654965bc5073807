"""From answers to an `Evaluation`, whose first line says whether people can distinguish the faces from real ones."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal

import numpy as np

import augface
from augface.metrics.crossed import CrossedEstimate
from augface.metrics.equivalence import EQUIVALENCE_LEVEL, equivalence_p_value
from augface.metrics.multiple_testing import holm
from augface.metrics.psychometric import RIGHT_AT_THRESHOLD, Threshold
from augface.metrics.signal_detection import area_of_d_prime
from augface.results import Advice, Evaluation, Measurement, Section, Skipped, Verdict
from augface.study.answers import Answers
from augface.study.design import Plan
from augface.study.exhibits import RATERS_SECTION, exhibits
from augface.study.folder import Study
from augface.study.measures import INTERVAL, LEVEL, LONGEST, Findings, counted, measure, sections
from augface.study.records import Records, collect

NO_BREAK = "\N{NO-BREAK SPACE}"

Conclusion = Literal["yes", "hardly", "reversed", "no", "unclear"]
SENTENCES: dict[Conclusion, str] = {
    "yes": "Yes: {who} can distinguish these faces from real ones.",
    "hardly": "Hardly: {who} can distinguish these faces from real ones, but less often than the margin of the study.",
    "reversed": "Yes, but the wrong way round: {who} call these faces real more often than real ones.",
    "no": "No: {who} cannot distinguish these faces from real ones.",
    "unclear": "Not clear: these answers do not settle whether {who} can distinguish these faces from real ones.",
}
LISTED: dict[Conclusion, str] = {
    "yes": "{Who} can distinguish {names} from real faces.",
    "hardly": "{Who} can hardly distinguish {names} from real faces.",
    "reversed": "{Who} call {names} real more often than real faces.",
    "no": "{Who} cannot distinguish {names} from real faces.",
    "unclear": "It is not clear for {names}.",
}
NOT_ASKED = "These answers do not say whether {who} can distinguish the faces from real ones: it was not asked."
NOTHING = "There are not answers enough to say whether {who} can distinguish the faces from real ones."
RATERS = Section(
    key=RATERS_SECTION,
    title="Raters and faces",
    meaning="Who answered, which answers count, and what was said of every face.",
    key_measures=("raters",),
)


def analyse(study: Study, answers: Answers, *, classifier: Evaluation | None = None) -> Evaluation:
    """All that the answers say.

    Args:
        study: the study.
        answers: of its raters.
        classifier: results of `augface evaluate` on such faces, whose classifier people are compared with.

    Raises:
        DataError: there are no answers that count.
    """
    records = collect(study, answers)
    found = measure(records)
    conclusions = conclude(records, found)
    measurements = [_raters(records), *(one for findings in found.values() for one in findings.measurements)]
    skipped = [one for findings in found.values() for one in findings.skipped]
    if "untimed" in found:
        compared, reason = _beside_classifier(study, found["untimed"], classifier)
        measurements += compared
        skipped += [Skipped(evaluator="untimed", reason=reason)] if reason else []
    return Evaluation(
        verdict=Verdict(
            decision="not assessed",
            reason=_reason(records, found, conclusions),
            sentence=headline(study.plan.deciding is not None, conclusions, simulated=records.simulated),
        ),
        advice=advice(records, conclusions),
        measurements=measurements,
        sections=[*sections(study.plan), RATERS],
        skipped=skipped,
        artifacts=exhibits(study, records, found),
        provenance=_provenance(records),
    )


# The answer


def conclude(records: Records, found: Mapping[Any, Findings]) -> dict[str, Conclusion]:
    """For each generator whether people can distinguish its faces from real ones, by the task that decides.

    "No" takes a test of equivalence whose margin was fixed beforehand; where no difference was found and none excluded
    it is "unclear". Tests of several generators are adjusted together (Holm).
    """
    deciding = records.plan.deciding
    if deciding is None or deciding not in found:
        return {}
    if deciding == "flash":
        return {name: _concluded_from_threshold(one) for name, one in found["flash"].thresholds.items()}
    gaps = found[deciding].differences
    differs = holm({name: gap.p_value() for name, gap in gaps.items()})
    beyond = holm({name: equivalence_p_value(gap, 2 * records.plan.margin) for name, gap in gaps.items()})
    return {
        name: _concluded(gap, differs[name] < LEVEL, beyond[name] < EQUIVALENCE_LEVEL) for name, gap in gaps.items()
    }


def _concluded(gap: CrossedEstimate, differs: bool, equal: bool) -> Conclusion:
    if not differs:
        return "no" if equal else "unclear"
    if gap.value < 0:
        return "reversed"
    return "hardly" if equal else "yes"


def _concluded_from_threshold(found: Threshold) -> Conclusion:
    """A brief look can show that people distinguish faces; that they cannot takes an unlimited one."""
    return "yes" if found.milliseconds().high < LONGEST else "unclear"


def headline(asked: bool, conclusions: Mapping[str, Conclusion], *, simulated: bool = False) -> str:
    """The answer in a line.

    >>> headline(True, {"cgan": "yes"})
    'Yes: people can distinguish these faces from real ones.'
    >>> headline(True, {"a": "yes", "b": "no", "c": "yes"})
    'People can distinguish a and c from real faces. People cannot distinguish b from real faces.'
    """
    who = "simulated raters" if simulated else "people"
    if not conclusions:
        return (NOTHING if asked else NOT_ASKED).format(who=who)
    if len(conclusions) == 1:
        return SENTENCES[next(iter(conclusions.values()))].format(who=who)
    return " ".join(
        LISTED[answer].format(
            Who=who.capitalize(), names=_listed([name for name, one in conclusions.items() if one == answer])
        )
        for answer in LISTED
        if answer in conclusions.values()
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _reason(records: Records, found: Mapping[Any, Findings], conclusions: Mapping[str, Conclusion]) -> str:
    """The numbers behind the answer, and what would have been seen."""
    plan, deciding = records.plan, records.plan.deciding
    people = counted(int(records.raters["counts"].sum()), simulated=records.simulated)
    if deciding is None or not conclusions:
        return f"{people} answered."
    said = []
    for name in conclusions:
        of = f" of {name}" if len(conclusions) > 1 else ""
        if deciding == "flash":
            value, low, high = (min(end, LONGEST) for end in found["flash"].thresholds[name].milliseconds())
            limit = f"after {value:,.0f} ms" if value < LONGEST else f"at {LONGEST:,.0f} ms or later, if at all"
            said.append(
                f"They are right in {RIGHT_AT_THRESHOLD:.0%} of answers to faces{of} seen for a moment {limit} "
                f"(95 % interval {low:,.0f} to {high:,.0f} ms)."
            )
            continue
        gap = found[deciding].differences[name]
        held = gap.interval()
        value, low, high = (50 + 50 * end for end in held)
        what = "of their answers to single faces" if deciding == "untimed" else "of pairs, ties counting half,"
        said.append(f"They were right in {value:.1f} % {what}{of} (95 % interval {low:.1f} to {high:.1f} %).")
    if deciding != "flash":
        said.append(f"Guessing is 50 %; {50 - 100 * plan.margin:g} to {50 + 100 * plan.margin:g} % counts as equal.")
    return f"{people} took part. {' '.join(said)}".replace(" %", f"{NO_BREAK}%")


def advice(records: Records, conclusions: Mapping[str, Conclusion]) -> list[Advice]:
    """What to do next."""
    found = []
    if records.simulated:
        found.append(
            Advice(
                title="Ask people",
                reason="All raters of this report are simulated, so it says nothing of the faces.",
                command="augface study serve STUDY",
            )
        )
    deciding = records.plan.deciding
    if deciding == "flash" and "unclear" in conclusions.values():
        found.append(
            Advice(
                title="Plan a study with the task untimed",
                reason="A brief look can show that people distinguish the faces, and never that they cannot.",
                evidence=["flash.threshold"],
            )
        )
    elif deciding is not None and "unclear" in conclusions.values():
        found.append(
            Advice(
                title="Invite more raters",
                reason="Neither a difference is shown, nor that there is none beyond the margin. Plan the larger study "
                "as such: who stops as soon as the answer pleases finds differences by chance.",
                evidence=[f"{deciding}.largest_gap"],
            )
        )
    if deciding == "untimed" and {"yes", "hardly"} & set(conclusions.values()):
        found.append(
            Advice(
                title="Look at the faces that were called real least often",
                reason="They show what gives the generator away; all faces are in a table at the end.",
                evidence=["untimed.fool_rate"],
            )
        )
    return found


# What is said besides


def _raters(records: Records) -> Measurement:
    counting = int(records.raters["counts"].sum())
    return Measurement(
        evaluator=RATERS_SECTION,
        name="raters",
        label="Raters whose answers count",
        value=float(counting),
        direction="target",
        meaning=f"Raters whose answers count, of {len(records.raters)} who answered; {records.plan.raters} were "
        "planned.",
        protocol=records.plan.rules.model_dump(),
    )


def _beside_classifier(
    study: Study, untimed: Findings, classifier: Evaluation | None
) -> tuple[list[Measurement], str | None]:
    """How much better a classifier distinguishes the faces than people do, or why that is not known."""
    if classifier is None:
        return [], "no results of a classifier were given (--classifier RUN), so people are not compared with one."
    aucs = [
        one
        for section in classifier.sections
        for one in classifier.select(section.key, section.separability, group={})
        if section.separability and one.value is not None
    ]
    if not aucs:
        return [], "the results that were given hold no classifier of all faces to compare people with."
    if not untimed.detections:
        return [], "people gave too few answers to be compared with a classifier."
    auc, compared = aucs[0], []
    assert auc.value is not None
    for name, found in untimed.detections.items():
        people, low, high = (area_of_d_prime(end) for end in found.d_prime.interval())
        lead = auc.value - people
        half = 0.0 if auc.low is None or auc.high is None else (auc.high - auc.low) / 2
        reach = float(np.hypot((high - low) / 2, half))
        compared.append(
            Measurement(
                evaluator="untimed",
                name="classifier_lead",
                label="A classifier's AUC beyond that of people",
                value=lead,
                low=lead - reach,
                high=lead + reach,
                direction="lower",
                signed=True,
                meaning="What a classifier sees and people do not: its area under the ROC curve "
                f"({auc.value:.2f}) beyond that of people ({people:.2f}, from d'). The classifier saw other faces of "
                "the same sources, if its results are of them.",
                group={name: True} if len(untimed.detections) > 1 else {},
                n_real=len(study.plan.numbers(0)),
                n_fake=study.plan.faces,
                space=auc.space,
                protocol={"interval": "both errors added in squares", "people": INTERVAL, "classifier": auc.protocol},
            )
        )
    return compared, None


def _commands(plan: Plan) -> str:
    """What to type to ask the same again; the raters are others then."""
    if not plan.command:
        return ""
    return f"{shlex.join(plan.command)}\naugface study serve STUDY\naugface study report STUDY"


def _provenance(records: Records) -> dict[str, Any]:
    plan, warnings = records.plan, list(records.plan.warnings)
    groups = records.raters["group"].value_counts()
    if records.simulated:
        warnings.insert(
            0, "No person took part: all raters are simulated. The numbers show the analysis, not the faces."
        )
    if groups.get("file", 0):
        warnings.append(
            f"{groups['file']} of the raters answered elsewhere and sent files, which anybody could have written."
        )
    for reason, count in records.left_out.items():
        warnings.append(f"{count:,} answers do not count: {reason}.")
    if "flash" in plan.tasks:
        warnings.append(
            "Exposures are counted in the browser's frames; that the screen showed them so long, no page can prove."
        )
    if plan.kinds[0].people:
        warnings.append("Raters may know some of the people on the real pictures; the study did not ask.")
    return {
        "title": f"{plan.title} ({', '.join(plan.generators)})",
        "command": _commands(plan) or None,
        "warnings": warnings,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "augface": augface.__version__,
        "python": platform.python_version(),
        "versions": {package: version(package) for package in ("numpy", "scipy", "pandas")},
        "real": plan.kinds[0].model_dump(),
        "generated": {kind.name: kind.model_dump() for kind in plan.kinds[1:]},
        "study": {
            "id": plan.id,
            "created": plan.created,
            "tasks": list(plan.tasks),
            "raters_planned": plan.raters,
            "raters_by": {str(name): int(count) for name, count in groups.items()},
            "faces": plan.faces,
            "faces_a_rater": plan.trials,
            "size": plan.size,
            "margin": plan.margin,
            "seed": plan.seed,
            "could_see": plan.power,
        },
    }
