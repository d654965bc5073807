"""What the commands share: what they say and ask, lists of names, folders for output, paths as people like them.

All text for the terminal goes through here, and is cleaned here.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augface.errors import OutputError, UnknownNameError, UsageError
from augface.files import LOCK, RUN_CONFIG, is_vacant
from augface.text import one_line, printable

if TYPE_CHECKING:
    from augface.data.groups import Subgroup
    from augface.registry import Registry


class StderrHandler(logging.Handler):
    """Shows log records as `augface: text`, above a progress bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        text = f"augface: {level}{one_line(record.getMessage())}"
        if "tqdm" in sys.modules:
            from tqdm import tqdm

            tqdm.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr)


def say(text: str = "") -> None:
    """Show text on stdout, at once; names in it may be anybody's."""
    print(printable(text), flush=True)


def complain(text: str) -> None:
    """Show one line on stderr, whatever the text."""
    print(f"augface: {one_line(text)}", file=sys.stderr)


def confirm(question: str, *, option: str) -> None:
    """Ask before something that cannot be undone.

    Args:
        question: what to ask, to be answered by yes or no.
        option: what says yes without being asked.

    Raises:
        UsageError: the answer is not yes, or nobody is there to give one.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"{question} Say {option}, as nobody can be asked here. Nothing was done.")
    print(f"{printable(question)} [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("Nothing was done.")


def show_log_on_stderr() -> None:
    """Let people see what augface has to say from level INFO up; once, however often it is called.

    Libraries that set up logging for all find a handler there already, so that they do not repeat augface's lines.
    """
    logger = logging.getLogger("augface")
    logger.setLevel(logging.INFO)
    if not any(isinstance(handler, StderrHandler) for handler in logger.handlers):
        logger.addHandler(StderrHandler())
        others = logging.StreamHandler()
        others.setLevel(logging.WARNING)
        others.addFilter(lambda record: record.name.partition(".")[0] != "augface")
        logging.getLogger().addHandler(others)


@contextlib.contextmanager
def when_interrupted(text: str) -> Iterator[None]:
    """Let Ctrl-C within the block say `text`, after what it says already: what is kept, and how to go on."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        interrupt.args = (" ".join([*map(str, interrupt.args), text]),)
        raise


def split_names(values: Iterable[str]) -> list[str]:
    """The names of an option that may be repeated and may hold several with commas between.

    >>> split_names(["Eyeglasses,Male", "Young"])
    ['Eyeglasses', 'Male', 'Young']
    """
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def parse_where(conditions: Iterable[str]) -> Subgroup:
    """The subgroup that texts such as `Eyeglasses=1` or `Male=no` name.

    >>> parse_where(["Eyeglasses=1", "Male=no"])
    Subgroup({'Eyeglasses': True, 'Male': False})

    Raises:
        UsageError: no `=`, or a value that is neither yes nor no.
    """
    from augface.data.groups import Subgroup

    return Subgroup.parse(",".join(conditions))


def parse_settings(words: Iterable[str]) -> dict[str, str]:
    """Settings of a generator from texts such as `latent=128`; the generator itself knows which it has.

    >>> parse_settings(["path=models/a=b.pt", "latent=128"])
    {'path': 'models/a=b.pt', 'latent': '128'}

    Raises:
        UsageError: no `=`, or a name that is given twice.
    """
    settings: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise UsageError(f"--set takes NAME=VALUE, such as latent=128, not {word!r}.")
        if name in settings:
            raise UsageError(f"--set gives {name} twice: {settings[name]!r} and {value!r}.")
        settings[name] = value
    return settings


def check_registered(registry: Registry[Any], names: Iterable[str]) -> None:
    """Fail before any work where a name is unknown, without importing what it stands for.

    Raises:
        UnknownNameError: one of the names is not registered; close matches are named.
    """
    for name in names:
        if name not in registry:
            raise UnknownNameError(registry.kind, name, registry)


def run_name(command: str, *details: str) -> str:
    """A folder name for a run.

    >>> run_name("rebalance", "Eyeglasses", "within", "Male/Young")
    'rebalance-Eyeglasses-within-Male_Young'
    """
    return "-".join([command, *(re.sub(r"[^\w.-]+", "_", detail) for detail in details)])


def check_output(folder: Path, *, resume: bool | None = None) -> Path:
    """Fail before any work where `folder` cannot take the output, or is in use. It is not created.

    Args:
        folder: where the output is to go.
        resume: whether to go on with what is there; None for commands that cannot.

    Raises:
        OutputError: it is a file, not writable, in use, or holds something and `resume` was not asked for.
    """
    existing = next(place for place in [folder, *folder.absolute().parents] if place.exists())
    if not existing.is_dir():
        raise OutputError(f"{shown(existing)} is a file; the output needs a folder. Choose another with --out.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(f"The folder {shown(existing)} cannot be written. Choose another with --out.")
    if existing == folder and (folder / LOCK).exists():
        from augface.locks import locked

        with locked(folder):  # which tells whether it is in use
            pass
    goes_on = resume and (folder / RUN_CONFIG).exists()
    if existing == folder and not goes_on and not is_vacant(folder):
        go_on = "Go on with what is there by --resume, or choose" if resume is False else "Choose"
        raise OutputError(f"The output folder {shown(folder)} is not empty. {go_on} another with --out.")
    return folder


def need_server() -> None:
    """Say what to install where the packages of servers are missing.

    Raises:
        UsageError: they are.
    """
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise UsageError(f"The server needs {' and '.join(missing)}: pip install augface[study]")


def shown(path: Path) -> str:
    """A path as people like it: relative to the working folder where that is shorter."""
    absolute = os.path.abspath(path)
    with contextlib.suppress(ValueError):  # another drive on Windows
        return min(os.path.relpath(absolute), absolute, key=len)
    return absolute


def print_paths(paths: Mapping[str, Path]) -> None:
    """Say where things are, one a line."""
    width = max(len(label) for label in paths)
    for label, path in paths.items():
        say(f"{label:{width}}  {one_line(shown(path))}")


def print_table(rows: Iterable[Iterable[str]]) -> None:
    """Aligned columns with two spaces between."""
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        say("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
