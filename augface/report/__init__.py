"""The report: one self-contained page and a few lines for the terminal, both pure functions of the results; and one
page of several runs beside each other.

Of an evaluation's provenance the report knows three keys: `title` (one line: what this is about), `command` (a text or
a list of words, shown to copy) and `warnings` (texts, shown among the caveats); everything else is listed as it is.
"""

from __future__ import annotations

from augface.report.render import render, render_comparison
from augface.report.terminal import terminal_summary

__all__ = ["render", "render_comparison", "terminal_summary"]
