"""How far a piece of work has come: a bar in terminals and notebooks, and elsewhere a line in the log now and then."""

from __future__ import annotations

import io
import logging
import sys
from typing import TYPE_CHECKING, Any

from tqdm import TqdmWarning
from tqdm.std import tqdm

if TYPE_CHECKING:
    Bar = tqdm[Any]
else:
    Bar = tqdm

from augface.processes import is_main_process

log = logging.getLogger("augface")

SECONDS = 30.0
"""Between two lines of a log."""


def progress(**options: Any) -> Bar:
    """A progress bar with the options of `tqdm.tqdm`, in the form that suits where it is seen.

    >>> with progress(total=2, desc="counting") as bar:
    ...     bar.update(2)
    """
    if sys.stderr.isatty():
        return tqdm(**{"disable": not is_main_process(), **options})
    if in_notebook():
        import warnings

        with warnings.catch_warnings():
            # one is of an experiment, the other of ipywidgets, without which the bar is a line of text
            warnings.simplefilter("ignore", TqdmWarning)
            from tqdm.autonotebook import tqdm as notebook_bar
        return notebook_bar(**options)
    return LogBar(file=io.StringIO(), mininterval=SECONDS, maxinterval=SECONDS, **options)  # which draws nothing


def in_notebook() -> bool:
    """Whether this runs in the kernel of a notebook, which shows HTML."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and hasattr(shell, "kernel")


class LogBar(Bar):
    """A progress bar that is a line of the log every half minute: how much is done, and how long the rest may take."""

    said = 0.0
    """Seconds after the start, when the last line was logged."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Log a line, once anything is done and the last line is long enough ago."""
        elapsed = self.format_dict["elapsed"]
        if 0 < self.n != self.total and elapsed - self.said >= SECONDS:
            self.said = elapsed
            log.info(self.line())

    def line(self) -> str:
        """What has been done, in words."""
        state = self.format_dict
        elapsed, done, start = state["elapsed"], self.n, state["initial"]
        if not self.total:
            return f"{self.desc.removesuffix(': ')}: {done:,} {self.unit} in {in_words(elapsed)}"
        rate = state["rate"] or ((done - start) / elapsed if elapsed else 0)
        left = f", about {in_words((self.total - done) / rate)} left" if rate else ""
        return f"{self.desc.removesuffix(': ')}: {done / self.total:.0%}{left}"

    def close(self) -> None:
        """End, with a last line where nobody could know the end beforehand and a line was logged."""
        if not self.total and self.said and not self.disable:
            log.info(self.line())
        self.disable = True


def in_words(seconds: float) -> str:
    """A duration as people say it.

    >>> in_words(40), in_words(200), in_words(9000)
    ('40 seconds', '3 minutes', '2.5 hours')
    """
    if seconds < 100:
        return f"{max(1, round(seconds))} seconds"
    if seconds < 6000:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"
