"""Where a rater stands: the next question, what the page may know of it, and what their answers so far set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from augface.errors import DataError
from augface.study.answers import Answer
from augface.study.design import STAIRCASES, Block, Plan, Rules, Task, Trial, task_of
from augface.study.folder import Group, Study

CHOICES: dict[Task, tuple[str, ...]] = {
    "flash": ("real", "generated"),
    "untimed": ("real", "generated"),
    "pairs": ("left", "same", "right"),
    "rating": ("1", "2", "3", "4", "5"),
}
SKIP = "skip"
"""Leaves out the rest of a part: the only way on for somebody who cannot see brief exposures, for one."""
MOST_DETAIL = {"rt": 86_400_000.0, "exposure": 60_000.0, "frame_ms": 1_000.0, "frames_asked": 10_000.0,
               "frames_shown": 1_000_000.0}  # fmt: skip
"""Numbers that come with an answer, and the largest that is taken."""


class Session:
    """One rater's way through the trials.

    Args:
        study: the study.
        group: whom the rater belongs to.
        slot: their number.
        answers: what they answered so far.
    """

    def __init__(self, study: Study, group: Group, slot: int, answers: Sequence[Answer]) -> None:
        self.plan = study.plan
        self._study, self._group, self._slot = study, group, slot
        self.trials = study.schedule_of(group).trials(slot)
        self.answers: dict[int, Answer] = {}
        self._skipped: set[Block] = set()
        for answer in answers:
            self.add(answer)

    def add(self, answer: Answer) -> None:
        """One more answer."""
        self.answers[answer.trial] = answer
        if answer.answer == SKIP:
            self._skipped.add(self.trials[answer.trial].block)

    def next(self) -> Trial | None:
        """The first trial that is still to come; None at the end."""
        return next(
            (one for one in self.trials if one.number not in self.answers and one.block not in self._skipped), None
        )

    def exposure(self, trial: Trial) -> float | None:
        """How long the face is to be shown, in ms; None for tasks without a limit.

        A staircase goes by what was answered to the faces that it set the exposure of before; late ones do not move it.
        """
        if task_of(trial.block) != "flash":
            return None
        if trial.staircase is None:
            return trial.exposure
        right = [
            is_right(self.plan, one, answer)
            for one in self.trials[: trial.number]
            if (one.block, one.generator, one.staircase) == (trial.block, trial.generator, trial.staircase)
            and (answer := self.answers.get(one.number)) is not None
            and answer.answer != SKIP
            and not is_late(answer, self.plan.rules)
        ]
        return STAIRCASES[trial.staircase].exposure(right)

    def names(self, trial: Trial) -> list[str]:
        """What the pictures of a trial are called outside, from left to right."""
        return [
            self._study.public_id(self._group, self._slot, trial.number, place) for place in range(len(trial.images))
        ]

    def shown(self, trial: Trial) -> dict[str, Any]:
        """What the page is told of a trial: nothing of its truth, nor of why it is asked."""
        block = [one.number for one in self.trials if one.block == trial.block]
        return {
            "trial": trial.number,
            "block": trial.block,
            "task": task_of(trial.block),
            "choices": list(CHOICES[task_of(trial.block)]),
            "images": self.names(trial),
            "exposure": self.exposure(trial),
            "mask": trial.number % self.plan.masks,
            "practice": trial.role == "practice",
            "starts": trial.number == block[0],
            "part": self.plan.blocks.index(trial.block) + 1,
        }

    def progress(self) -> dict[str, int]:
        """How many trials there are, and how many are behind the rater."""
        done = [one for one in self.trials if one.number in self.answers or one.block in self._skipped]
        return {"done": len(done), "of": len(self.trials), "parts": len(self.plan.blocks)}


def check_answer(trial: Trial, choice: object, detail: object) -> Answer:
    """An answer as it came from a page, checked.

    Raises:
        DataError: it is none that the trial allows, or its details are not numbers within bounds.
    """
    if choice not in (*CHOICES[task_of(trial.block)], SKIP) or not isinstance(choice, str):
        raise DataError(f"Trial {trial.number} cannot be answered so.")
    if not isinstance(detail, dict):
        raise DataError("The details of an answer must be names with numbers.")
    kept: dict[str, Any] = {}
    for name, value in detail.items():
        if name == "hidden" and isinstance(value, bool):
            kept[name] = value
        elif (
            name in MOST_DETAIL
            and isinstance(value, int | float)
            and not isinstance(value, bool)
            and 0 <= value <= MOST_DETAIL[name]
        ):
            kept[name] = round(float(value), 3)
        elif value is not None:
            raise DataError("The details of an answer are not what this study asks for.")
    return Answer(trial.number, choice, kept)


def is_right(plan: Plan, trial: Trial, answer: Answer) -> bool:
    """Whether a face was judged rightly, or a distorted face seen through."""
    distorted = [plan.pictures[image].role == "distorted" for image in trial.images]
    if trial.block == "rating":
        return not distorted[0] or int(answer.answer) <= 2
    if len(trial.images) == 2:
        return answer.answer == ("right" if distorted[0] else "left")
    generated = distorted[0] or plan.pictures[trial.images[0]].kind > 0
    return (answer.answer == "generated") == generated


def is_late(answer: Answer, rules: Rules) -> bool:
    """Whether a brief exposure was not what was asked for, by the plan's rule."""
    asked, shown = answer.detail.get("frames_asked"), answer.detail.get("frames_shown")
    if answer.detail.get("hidden"):
        return True
    return asked is not None and shown is not None and abs(shown - asked) > rules.late_frames
