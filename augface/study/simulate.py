"""Simulated raters in a study's own answers: the whole way from a question to a kept answer, without people."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from augface.metrics.staircase import FRAME
from augface.seeds import random_generator
from augface.study.answers import Answer, Answers
from augface.study.crowd import Crowd, Panel
from augface.study.design import Trial
from augface.study.folder import Study
from augface.study.power import kinds_of
from augface.study.session import Session

SIDES = {1: "left", 0: "same", -1: "right"}


class SimulatedRaters:
    """People and faces drawn from a population, who answer the questions of a study.

    Args:
        study: the study.
        crowd: the population.
        raters: how many people.
        seed: other seeds draw other people, faces and answers.
    """

    def __init__(self, study: Study, crowd: Crowd, raters: int, seed: int = 0) -> None:
        self._kinds = kinds_of(study.plan)
        self._panel: Panel = crowd.panel(raters, self._kinds, random_generator(seed, "simulated raters"))
        self._seed, self._raters = seed, raters

    def answer(self, slot: int, trial: Trial, exposure: float | None) -> Answer:
        """What a rater says to a question; the same one always says the same."""
        random = random_generator(self._seed, "answer", slot, trial.number)
        rater = np.array([slot % self._raters])
        left, right = np.array([trial.images[0]]), np.array([trial.images[-1]])
        detail: dict[str, object] = {"rt": round(float(np.exp(random.normal(7.2, 0.4))), 1)}
        if len(trial.images) == 2:
            return Answer(trial.number, SIDES[int(self._panel.preferences(rater, left, right, random)[0])], detail)
        if trial.block == "rating":
            return Answer(trial.number, str(self._panel.ratings(rater, left, random)[0]), detail)
        shown = None if exposure is None else np.array([exposure])
        chance = float(self._panel.chance_generated(rater, left, shown)[0])
        if exposure is not None:
            frames = max(1, round(exposure / FRAME))
            detail |= {
                "exposure": exposure,
                "frame_ms": round(FRAME, 3),
                "frames_asked": frames,
                "frames_shown": frames,
            }
        return Answer(trial.number, "generated" if random.random() < chance else "real", detail)

    def session(self, study: Study, slot: int) -> Iterator[tuple[Trial, Answer]]:
        """One rater's whole session, question by question."""
        session = Session(study, "simulated", slot, [])
        while (trial := session.next()) is not None:
            answer = self.answer(slot, trial, session.exposure(trial))
            session.add(answer)
            yield trial, answer


def simulate(study: Study, answers: Answers, raters: SimulatedRaters, number: int, seed: int = 0) -> int:
    """Let so many simulated raters answer everything; returns how many answers were kept.

    They are kept apart from people: a report looks at them only where nobody else answered.
    """
    kept = 0
    first = 1 + max((rater.slot for rater in answers.raters() if rater.group == "simulated"), default=-1)
    for slot in range(first, first + number):
        name = f"simulated:{seed}:{slot}"
        said = [(f"{name}:{trial.number}", answer) for trial, answer in raters.session(study, slot)]
        if answers.add_session("simulated", slot, name, {"frame_ms": FRAME}, said):
            kept += len(said)
    return kept
