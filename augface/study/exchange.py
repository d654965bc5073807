"""Raters elsewhere: a page that holds everything, and the files with answers that come back."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augface.errors import DataError, UsageError
from augface.study.answers import Answer, Answers
from augface.study.design import Trial
from augface.study.folder import Study
from augface.study.page import whole_page
from augface.study.session import SKIP, Session, check_answer

MOST_RATERS = 200
MOST_BYTES = 5_000_000
"""Of a file with answers."""
PAGE = "index.html"


def export_pages(study: Study, raters: int, *, celeba: bool = False) -> bytes:
    """A zip with one page for so many raters, each by their number, and a note on what to do with it.

    Exposures are constant: a staircase would need to know what is true, and a page that does tells it to anybody who
    looks.

    Args:
        study: the study.
        raters: for how many raters.
        celeba: that whoever asks may pass on pictures of CelebA.

    Raises:
        UsageError: too many raters, or pictures that may not be passed on.
    """
    if not 1 <= raters <= MOST_RATERS:
        raise UsageError(f"Pages are for 1 to {MOST_RATERS} raters, not {raters}.")
    if study.plan.terms == "celeba" and not celeba:
        raise UsageError(
            "The study shows CelebA's pictures, or pictures that look like them, and CelebA may not be passed on: "
            "the pages would hold copies. Use `augface study serve`; or, if you have the right to, add "
            "--redistribute-celeba."
        )
    sessions: dict[str, Any] = {}
    pictures: dict[str, bytes] = {}
    for slot in range(raters):
        session = Session(study, "file", slot, [])
        shown = [session.shown(trial) for trial in session.trials]
        for one, trial in zip(shown, session.trials, strict=True):
            # A picture has the same name wherever it stands on the page, which then holds it once.
            one["images"] = [picture_name(study, image) for image in trial.images]
            for name, image in zip(one["images"], trial.images, strict=True):
                pictures.setdefault(name, study.picture_path(image).read_bytes())
        sessions[str(slot + 1)] = shown
    pictures = dict(sorted(pictures.items()))  # their order says nothing
    masks = [study.mask_path(number).read_bytes() for number in range(study.plan.masks)]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as pages:
        pages.writestr(PAGE, whole_page(study, sessions, pictures, masks))
        pages.writestr("README.txt", _note(study, raters))
    return archive.getvalue()


def picture_name(study: Study, image: int) -> str:
    """What a picture is called on an exported page."""
    return study.public_id("file", 0, image, 0)


def _note(study: Study, raters: int) -> str:
    return f"""{study.plan.title}

{PAGE} holds the whole study for {raters} raters, with all pictures, and asks nothing of any server. Put it on any web
server, or send it. Each rater opens it with a number of their own at the end of the address, from {PAGE}#1 to
{PAGE}#{raters}, and at the end saves a file with the answers and sends it back to you.

Read the answers with: augface study import {study.folder.name} answers-*.json

Whoever has the page has the pictures. Answers in a file can be made up by anybody: the report says how many came so.
"""


@dataclass(frozen=True)
class Imported:
    """What became of a file."""

    path: Path
    answers: int
    """0 where it had been read before."""


def import_answers(study: Study, answers: Answers, path: Path) -> Imported:
    """Keep the answers of a file that an exported page saved; all of them, or none.

    Raises:
        DataError: it is no such file, is of another study, or holds what the page could not have written.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{path} is larger than {MOST_BYTES // 1_000_000} MB, and no file with answers.")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no file with answers: it is not JSON.") from error
    try:
        return _kept(study, answers, path, content)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _kept(study: Study, answers: Answers, path: Path, content: object) -> Imported:
    if not isinstance(content, dict) or not isinstance(content.get("study"), str):
        raise DataError("it is no file with answers of a study.")
    if content["study"] != study.plan.id:
        raise DataError("its answers are of another study; nothing was kept.")
    number, name = content.get("number"), content.get("session")
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MOST_RATERS:
        raise DataError("it does not say which rater it is of.")
    if not isinstance(name, str) or not re.fullmatch(r"[0-9a-f]{32}", name):
        raise DataError("it does not say which session it is of.")
    said = content.get("answers")
    if not isinstance(said, list) or not said:
        raise DataError("it holds no answers.")
    trials = study.constant_schedule.trials(number - 1)
    kept: list[tuple[str, Answer]] = []
    for one in said:
        trial = _trial(trials, one)
        answer = check_answer(trial, one.get("answer"), one.get("detail", {}))
        identifier = one.get("id")
        if not isinstance(identifier, str) or not re.fullmatch(r"[0-9a-f]{32}", identifier):
            raise DataError(f"the answer to trial {trial.number} has no id.")
        if trial.exposure is not None and answer.answer != SKIP:
            answer.detail["exposure"] = trial.exposure
        kept.append((identifier, answer))
    if len({answer.trial for _, answer in kept}) < len(kept):
        raise DataError("it answers a trial twice.")
    device = content.get("device")
    frame = device.get("frame_ms") if isinstance(device, dict) else None
    known = {"frame_ms": float(frame)} if isinstance(frame, int | float) and 0 <= frame < 1e5 else {}
    added = answers.add_session("file", number - 1, f"file:{name}", known, kept)
    return Imported(path, len(kept) if added else 0)


def _trial(trials: tuple[Trial, ...], one: object) -> Trial:
    number = one.get("trial") if isinstance(one, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(trials):
        raise DataError("it answers a trial that this rater was not asked.")
    return trials[number]
