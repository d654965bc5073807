"""`augface check`: results held to thresholds, for build servers."""

from __future__ import annotations

from pathlib import Path

from augface.cli.console import print_paths, print_table, shown
from augface.errors import CheckFailed, OutputError, UsageError


def check(results: Path, /, *, fail_if: list[str], junit: Path | None = None) -> None:
    """Fail where measurements cross thresholds, as a step of continuous integration does.

    A condition is a measure, one of < <= > >= and a number, such as "copied > 0.01". More precisely:

    * memorisation.copied: the measure of this evaluator;
    * precision[space=inception,Male=0]: in this feature space, of the faces that are not Male; also arm=, attribute=;
    * copied.low: the lower end of the 95 % interval; also high and p_value.

    Without a group all faces are meant; without a space, arm or attribute, each of them. A measure that the results do
    not have is an error, and never a pass. The exit code is 5 where a condition holds.

    Args:
        results: A results.json, or the run folder that holds one.
        fail_if: A condition under which to fail. Repeat it for several.
        junit: Also write the outcomes as a JUnit file, which build servers show.
    """
    from augface.report.checks import Check
    from augface.report.checks import junit as junit_text
    from augface.results import Evaluation

    conditions = [Check.parse(expression) for expression in fail_if]
    if not conditions:
        raise UsageError("check needs a condition, such as --fail-if 'copied > 0.01'.")
    source = results / "results.json" if results.is_dir() else results
    if junit is not None and junit.is_dir():
        raise OutputError(f"{shown(junit)} is a folder; --junit takes the file to write, such as junit.xml.")
    evaluation = Evaluation.from_json(source)
    outcomes = [(condition, condition.outcomes(evaluation)) for condition in conditions]
    print_table(
        ["FAIL" if outcome.failed else "ok", str(outcome), f"fails if {condition.expression}"]
        for condition, found in outcomes
        for outcome in found
    )
    if junit is not None:
        from augface.files import atomic_write

        atomic_write(junit, junit_text(outcomes, shown(source)))
        print_paths({"JUnit": junit})
    failed = [outcome for _, found in outcomes for outcome in found if outcome.failed]
    if failed:
        total = sum(len(found) for _, found in outcomes)
        raise CheckFailed(f"{len(failed)} of {total} checks failed: {'; '.join(map(str, failed))}.")
