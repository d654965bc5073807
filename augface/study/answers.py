"""The answers on disk: SQLite with a write-ahead log, one committed row an answer, the same answer never twice."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from augface.errors import DataError, OutputError
from augface.study.folder import ANSWERS, Group, Study

FORMAT = 1
BUSY = 5.0
"""Seconds to wait for another process that writes, such as an import."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS study (id TEXT NOT NULL, format INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS raters (
    rater INTEGER PRIMARY KEY,
    grp TEXT NOT NULL,
    slot INTEGER NOT NULL,
    session TEXT NOT NULL UNIQUE,
    agreed TEXT NOT NULL,
    finished TEXT,
    withdrawn TEXT,
    device TEXT
);
CREATE TABLE IF NOT EXISTS answers (
    rater INTEGER NOT NULL REFERENCES raters (rater),
    trial INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    answer TEXT NOT NULL,
    detail TEXT NOT NULL,
    saved TEXT NOT NULL,
    PRIMARY KEY (rater, trial)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Answer:
    """What a rater said in one trial.

    Attributes:
        trial: the number of the trial.
        answer: the chosen answer, one of those that the trial allows, or `skip`.
        detail: how it came about: `rt` in ms, and for brief exposures `frame_ms`, `frames_asked`, `frames_shown`,
            `exposure` (ms asked for) and `hidden` (whether the page was out of sight).
    """

    trial: int
    answer: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class Rater:
    """Somebody who agreed to take part."""

    number: int
    group: Group
    slot: int
    agreed: str
    finished: str | None
    withdrawn: str | None
    device: dict[str, Any]


class Answers:
    """The answers of a study; may be used by several threads.

    Args:
        study: the study.
        create: whether to make the file where there is none.

    Raises:
        DataError: the file is not that of this study.
        OutputError: it cannot be written.
    """

    def __init__(self, study: Study, *, create: bool = True) -> None:
        self.path: Path = study.folder / ANSWERS
        self._lock = threading.RLock()
        if not create and not self.path.is_file():
            raise DataError(f"{study.folder} has no answers yet.")
        with _explained(self.path):
            self._connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=BUSY)
            with contextlib.suppress(OSError):
                os.chmod(self.path, 0o600)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._connection.executescript(SCHEMA)
            rows = self._connection.execute("SELECT id, format FROM study").fetchall()
            if not rows:
                self._connection.execute("INSERT INTO study VALUES (?, ?)", (study.plan.id, FORMAT))
            elif rows[0] != (study.plan.id, FORMAT):
                raise DataError(f"{self.path} holds the answers of another study, or of another version of augface.")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of the block is kept, or nothing."""
        with self._lock, _explained(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    def _read(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock, _explained(self.path):
            return self._connection.execute(query, values).fetchall()

    # Raters

    def join(self, group: Group, slot: int, session: str, device: dict[str, Any]) -> int:
        """The number of the rater who has this session, and who is noted now if this is the first time."""
        with self._writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO raters (grp, slot, session, agreed, device) VALUES (?, ?, ?, ?, ?)",
                (group, slot, session, _now(), json.dumps(device)),
            )
            number: int = connection.execute("SELECT rater FROM raters WHERE session = ?", (session,)).fetchone()[0]
        return number

    def find(self, session: str) -> Rater | None:
        """The rater who has this session; None where nobody agreed yet."""
        rows = self._read(f"SELECT {_RATER} FROM raters WHERE session = ?", session)
        return _rater(rows[0]) if rows else None

    def raters(self) -> list[Rater]:
        """Everybody, in the order of their coming."""
        return [_rater(row) for row in self._read(f"SELECT {_RATER} FROM raters ORDER BY rater")]

    def finish(self, rater: int) -> None:
        """Note that a rater has answered everything."""
        with self._writing() as connection:
            connection.execute("UPDATE raters SET finished = ? WHERE rater = ? AND finished IS NULL", (_now(), rater))

    def withdraw(self, session: str, group: Group, slot: int) -> int:
        """Delete all that a rater said, for good, and let nobody answer in their place; returns how many answers."""
        with self._writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO raters (grp, slot, session, agreed) VALUES (?, ?, ?, ?)",
                (group, slot, session, _now()),
            )
            (number,) = connection.execute("SELECT rater FROM raters WHERE session = ?", (session,)).fetchone()
            deleted = connection.execute("DELETE FROM answers WHERE rater = ?", (number,)).rowcount
            connection.execute(
                "UPDATE raters SET withdrawn = ?, device = NULL, finished = NULL WHERE rater = ?", (_now(), number)
            )
        with self._lock, _explained(self.path):  # nor may the log go on holding what was deleted
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return deleted

    # Answers

    def add(self, rater: int, answer: Answer, identifier: str) -> bool:
        """Keep an answer, for good when this returns. False where the trial was answered before: the first one stays.

        Args:
            rater: who answered.
            answer: what.
            identifier: a name that the page gave to this answer, so that sending it again does nothing.

        Raises:
            DataError: somebody else used the identifier, or the rater has withdrawn.
        """
        row = (rater, answer.trial, identifier, answer.answer, json.dumps(answer.detail), _now(), rater)
        try:
            with self._writing() as connection:
                added = connection.execute(
                    "INSERT INTO answers SELECT ?, ?, ?, ?, ?, ? "
                    "WHERE EXISTS (SELECT 1 FROM raters WHERE rater = ? AND withdrawn IS NULL)",
                    row,
                ).rowcount
        except sqlite3.IntegrityError as error:
            if self._read("SELECT 1 FROM answers WHERE rater = ? AND trial = ?", rater, answer.trial):
                return False
            raise DataError("The identifier of the answer was used before.") from error
        if not added:
            raise DataError("The answers of this rater were deleted; none is taken any more.")
        return True

    def add_session(
        self, group: Group, slot: int, session: str, device: dict[str, Any], answers: list[tuple[str, Answer]]
    ) -> bool:
        """Keep all answers of a rater at once, or none. False where the session is there already.

        Raises:
            DataError: an identifier of the answers was used before.
        """
        try:
            with self._writing() as connection:
                if connection.execute("SELECT 1 FROM raters WHERE session = ?", (session,)).fetchone():
                    return False
                values = (group, slot, session, _now(), _now(), json.dumps(device))
                inserted = connection.execute(
                    "INSERT INTO raters (grp, slot, session, agreed, finished, device) VALUES (?, ?, ?, ?, ?, ?)",
                    values,
                )
                connection.executemany(
                    "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?)",
                    [
                        (inserted.lastrowid, one.trial, name, one.answer, json.dumps(one.detail), _now())
                        for name, one in answers
                    ],
                )
        except sqlite3.IntegrityError as error:
            raise DataError("Some of the answers are in the study already.") from error
        return True

    def of(self, rater: int) -> list[Answer]:
        """The answers of a rater, in the order of the trials."""
        rows = self._read("SELECT trial, answer, detail FROM answers WHERE rater = ? ORDER BY trial", rater)
        return [Answer(trial, answer, json.loads(detail)) for trial, answer, detail in rows]

    def counts(self) -> dict[int, int]:
        """How many answers each rater gave."""
        return dict(self._read("SELECT rater, COUNT(*) FROM answers GROUP BY rater"))


_RATER = "rater, grp, slot, agreed, finished, withdrawn, device"


def _rater(row: tuple[Any, ...]) -> Rater:
    number, group, slot, agreed, finished, withdrawn, device = row
    return Rater(number, group, slot, agreed, finished, withdrawn, json.loads(device) if device else {})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """SQLite's refusals in words."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        text = str(error)
        if "disk is full" in text or "disk I/O error" in text:
            raise OutputError(
                f"No space left on the disk that holds {path}, or it cannot be written: nothing was lost, but no "
                "answer can be kept until there is some."
            ) from error
        if "not a database" in text or "malformed" in text:
            raise DataError(f"{path} is damaged: {text}.") from error
        raise OutputError(f"Cannot use {path}: {text}.") from error
