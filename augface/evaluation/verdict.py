"""From what evaluators argue to the answer whether to use the synthetic faces."""

from __future__ import annotations

from collections.abc import Sequence

from augface.evaluators import loaded_evaluators
from augface.results import Measurement, Skipped, Verdict

UNANSWERED = "Whether the faces help a classifier was not measured"


def decide(measurements: Sequence[Measurement], skipped: Sequence[Skipped] = ()) -> Verdict:
    """The answer, from the arguments of the evaluators that measured something.

    Do not use: there is an argument against the faces. Use: there is one in favour and none against. No evidence: the
    question was asked and has no answer. Nothing to gain: nor could any other faces have been shown to help. Not
    assessed: it was not asked.

    Args:
        measurements: those of all evaluators.
        skipped: what was not measured, for the reason where the question was not asked.
    """
    evaluators = loaded_evaluators()
    own = {name: [one for one in measurements if one.evaluator == name] for name in evaluators}
    arguments = [argument for name, found in own.items() if found for argument in evaluators[name].arguments(found)]
    against, favour, undecided, pointless, caveats = (
        [argument.text for argument in arguments if argument.side == side]
        for side in ("against", "for", "undecided", "pointless", "caveat")
    )
    if against:
        return Verdict(decision="do not use", reason=against[0])
    if favour:
        missing = [evaluators[name].caveat_if_missing for name, found in own.items() if not found]
        return Verdict(decision="use", reason=" ".join(filter(None, [favour[0], *caveats, *missing])))
    if undecided:
        return Verdict(decision="no evidence", reason=" ".join([undecided[0], *caveats]))
    if pointless:
        return Verdict(decision="nothing to gain", reason=" ".join([pointless[0], *caveats]))
    deciding = {name for name, evaluator in evaluators.items() if evaluator.section.decides}
    reasons = [one.reason for one in skipped if one.evaluator in deciding]
    why = f": it {reasons[0].split(';')[0].rstrip('.')}." if reasons else "."
    return Verdict(decision="not assessed", reason=f"{UNANSWERED}{why}")
