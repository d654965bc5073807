"""The answers as one table, and which of them count: the plan's rules, applied in the same way to everybody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from augface.errors import DataError
from augface.study.answers import Answer, Answers, Rater
from augface.study.design import Plan, Trial
from augface.study.folder import Group, Study
from augface.study.session import SKIP, is_late, is_right

PEOPLE: tuple[Group, ...] = ("rater", "file")
"""Whose answers are the study's; simulated ones are looked at where there are no others."""


@dataclass(frozen=True)
class Records:
    """What raters said.

    Attributes:
        plan: the study.
        answers: those that count, one row each: `rater`, `block`, `role`, `generator`, `left`, `right` (pictures; the
            same where there is one), `left_kind`, `right_kind`, `item`, `answer`, `rt` (ms), `exposure` (ms that a
            brief exposure lasted), `frames_off`, `trial`, `repeats`. Checks and practice are not among them.
        raters: one row a rater: `rater`, `group`, `answers`, `checks`, `passed`, `counts`, `finished`, `frame_ms`.
        left_out: why answers do not count, and how many.
        simulated: whether nobody but simulated raters answered.
    """

    plan: Plan
    answers: pd.DataFrame
    raters: pd.DataFrame
    left_out: dict[str, int]
    simulated: bool

    def of(self, block: str, *roles: str) -> pd.DataFrame:
        """The answers of one part, of certain roles; those under test where none is named."""
        wanted = roles or ("test",)
        return self.answers[(self.answers["block"] == block) & self.answers["role"].isin(wanted)]


def collect(study: Study, answers: Answers) -> Records:
    """All answers of the study, and which of them count.

    Raises:
        DataError: nobody has answered, or nobody whose answers count.
    """
    raters = [rater for rater in answers.raters() if rater.withdrawn is None]
    people = [rater for rater in raters if rater.group in PEOPLE]
    simulated = not people
    chosen = people or [rater for rater in raters if rater.group == "simulated"]
    rows, about, dropped = [], [], dict.fromkeys(REASONS, 0)
    for rater in chosen:
        trials, given = study.schedule_of(rater.group).trials(rater.slot), answers.of(rater.number)
        if not given:
            continue
        kept, summary = _judged(study.plan, rater, trials, given, dropped)
        rows += kept
        about.append(summary)
    if not about:
        raise DataError(f"Nobody has answered anything in {study.folder} yet.")
    if not rows:
        raise DataError(
            f"None of the {len(about)} raters has answers that count: too few of the questions, or of the attention "
            "checks passed."
        )
    return Records(
        plan=study.plan,
        answers=pd.DataFrame(rows),
        raters=pd.DataFrame(about),
        left_out={reason: count for reason, count in dropped.items() if count},
        simulated=simulated,
    )


CHECKS_FAILED = "by raters who failed too many of the attention checks"
UNFINISHED = "in parts of which a rater answered less than the plan's share"
LATE = "to brief exposures that were late, by the plan's rule"
FAST = "faster than anybody can look"
REASONS = (CHECKS_FAILED, UNFINISHED, LATE, FAST)


def _judged(
    plan: Plan, rater: Rater, trials: tuple[Trial, ...], given: list[Answer], dropped: dict[str, int]
) -> tuple[list[dict[str, object]], dict[str, object]]:
    """The rows of one rater that count, and what is said of the rater; `dropped` is added to."""
    rules = plan.rules
    said = {answer.trial: answer for answer in given if answer.answer != SKIP}
    checks = [is_right(plan, trials[number], one) for number, one in said.items() if trials[number].role == "check"]
    passed = float(np.mean(checks)) if checks else 1.0
    counts = passed >= rules.checks_passed
    rows: list[dict[str, object]] = []
    for block in plan.blocks:
        asked = [trial for trial in trials if trial.block == block and trial.role in ("test", "control", "repeat")]
        answered = [trial for trial in asked if trial.number in said]
        if not counts:
            dropped[CHECKS_FAILED] += len(answered)
        elif len(answered) < rules.answered * len(asked):
            dropped[UNFINISHED] += len(answered)
        else:
            for trial in answered:
                answer = said[trial.number]
                if block == "flash" and is_late(answer, rules):
                    dropped[LATE] += 1
                elif answer.detail.get("rt", np.inf) < rules.fastest_milliseconds:
                    dropped[FAST] += 1
                else:
                    rows.append(_row(plan, rater, trial, answer))
    summary = {
        "rater": rater.number,
        "group": rater.group,
        "answers": len(said),
        "checks": len(checks),
        "passed": passed,
        "counts": counts and bool(rows),
        "finished": rater.finished is not None,
        "frame_ms": rater.device.get("frame_ms", np.nan),
    }
    return rows, summary


def _row(plan: Plan, rater: Rater, trial: Trial, answer: Answer) -> dict[str, object]:
    detail = answer.detail
    frame, shown, asked = (detail.get(name) for name in ("frame_ms", "frames_shown", "frames_asked"))
    lasted = frame * shown if frame and shown else detail.get("exposure")
    return {
        "rater": rater.number,
        "block": trial.block,
        "role": trial.role,
        "generator": trial.generator,
        "left": trial.images[0],
        "right": trial.images[-1],
        "left_kind": plan.pictures[trial.images[0]].kind,
        "right_kind": plan.pictures[trial.images[-1]].kind,
        "item": trial.item,
        "answer": answer.answer,
        "rt": detail.get("rt", np.nan),
        "exposure": np.nan if lasted is None else float(lasted),
        "frames_off": np.nan if shown is None or asked is None else shown - asked,
        "trial": trial.number,
        "repeats": -1 if trial.repeats is None else trial.repeats,
    }
