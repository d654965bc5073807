"""The folder of a study: the plan, the pictures, the words on the page, the answers, and the key of all links."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from augface.errors import DataError
from augface.study.design import Plan, Schedule

PLAN, TEXTS, KEY, ANSWERS, IMAGES, MASKS = "study.json", "texts.json", "key.txt", "answers.sqlite", "images", "masks"
Group = Literal["rater", "preview", "simulated", "file"]
"""Who answers: a person over the server, somebody who tries the page, a simulated rater, a person elsewhere."""
SERVED: dict[str, Group] = {"r": "rater", "p": "preview"}
ADMIN = "admin"


@dataclass(frozen=True)
class Token:
    """Who a link belongs to."""

    group: Group
    slot: int
    """Number of the rater among those of their group: it determines what they see."""


@dataclass(frozen=True)
class Study:
    """A study on disk.

    Attributes:
        folder: where it lies.
        plan: what is asked.
    """

    folder: Path
    plan: Plan

    @classmethod
    def open(cls, folder: str | Path) -> Study:
        """The study in a folder that `augface study new` wrote.

        Raises:
            DataError: there is none, it is of a newer format, or it is damaged.
        """
        place = Path(folder).expanduser()
        try:
            content = json.loads((place / PLAN).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DataError(f"{place} is not the folder of a study: it has no {PLAN}.") from error
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"{place / PLAN} cannot be read: {error}.") from error
        if isinstance(content, dict) and isinstance(content.get("format"), int) and content["format"] > 1:
            raise DataError(f"{place} was made by a newer augface. Install that.")
        try:
            study = cls(place, Plan.model_validate(content))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the whole file"
            raise DataError(f"{place / PLAN} is not the plan of a study: {where}: {first['msg']}.") from error
        missing = [
            path for number in range(len(study.plan.pictures)) if not (path := study.picture_path(number)).is_file()
        ]
        if missing:
            raise DataError(f"{len(missing)} pictures of the study are gone, such as {missing[0]}.")
        return study

    @cached_property
    def schedule(self) -> Schedule:
        """What each rater is asked."""
        return Schedule(self.plan)

    @cached_property
    def constant_schedule(self) -> Schedule:
        """The same with constant exposures, for pages without a server."""
        return Schedule(self.plan, constant=True)

    def schedule_of(self, group: Group) -> Schedule:
        """What the raters of a group are asked."""
        return self.constant_schedule if group == "file" else self.schedule

    def picture_path(self, number: int) -> Path:
        """Where a picture lies."""
        return self.folder / IMAGES / f"{number:05d}.jpg"

    def mask_path(self, number: int) -> Path:
        """Where a mask lies."""
        return self.folder / MASKS / f"{number:02d}.jpg"

    @cached_property
    def texts(self) -> dict[str, Any]:
        """The words on the page: the folder's own, which may be a translation, over the English ones.

        Raises:
            DataError: the file is no JSON, or has keys that the page does not know.
        """
        english = english_texts()
        path = self.folder / TEXTS
        if not path.is_file():
            return english
        try:
            own = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"{path} cannot be read: {error}.") from error
        if not isinstance(own, dict) or (strange := [key for key in own if key not in english]):
            raise DataError(
                f"{path} must hold the same names as the English texts"
                + (
                    f", and these are not among them: {', '.join(map(str, strange[:3]))}."
                    if isinstance(own, dict)
                    else "."
                )
            )
        wrong = [key for key, value in own.items() if not isinstance(value, type(english[key]))]
        if wrong:
            raise DataError(f"{path}: {wrong[0]} must be a {type(english[wrong[0]]).__name__}, as in English.")
        return english | own

    # Links

    @cached_property
    def _key(self) -> bytes:
        try:
            key = bytes.fromhex((self.folder / KEY).read_text(encoding="ascii").strip())
        except (OSError, ValueError) as error:
            raise DataError(f"{self.folder / KEY}, which all links of the study depend on, cannot be read.") from error
        if len(key) < 16:
            raise DataError(f"{self.folder / KEY} is too short to be the key of a study.")
        return key

    def _signature(self, text: str) -> str:
        return hmac.new(self._key, f"{self.plan.id}:{text}".encode(), hashlib.sha256).hexdigest()[:32]

    def token(self, slot: int, group: Group = "rater") -> str:
        """The secret part of a rater's link."""
        letter = next(letter for letter, served in SERVED.items() if served == group)
        return f"{letter}{slot}-{self._signature(f'{letter}{slot}')}"

    @property
    def admin_token(self) -> str:
        """The secret part of the organiser's link."""
        return self._signature(ADMIN)

    def is_admin(self, token: str) -> bool:
        """Whether this is the organiser's token."""
        return hmac.compare_digest(token.encode(), self.admin_token.encode())

    def read_token(self, token: str) -> Token | None:
        """Whom a token belongs to; None for one that this study never gave."""
        found = re.fullmatch(r"([rp])(\d{1,6})-([0-9a-f]{32})", token)
        if found is None or not hmac.compare_digest(found[3], self._signature(found[1] + found[2])):
            return None
        return Token(SERVED[found[1]], int(found[2]))

    def public_id(self, group: Group, slot: int, trial: int, place: int) -> str:
        """What a picture is called outside: another name in each trial, that says nothing of what it shows."""
        return self._signature(f"picture:{group}:{slot}:{trial}:{place}")


def english_texts() -> dict[str, Any]:
    """The words on the page in English."""
    text = (files("augface.study") / "static" / "texts.en.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def new_key() -> str:
    """A key that nobody can guess."""
    return secrets.token_hex(32)
