"""Pages of HTML: how they are filled in, and what they may load and run.

That is what lies inside a page or comes from its own server, and nothing from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

SERVED_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Of a page that a server of ours gives: nothing from elsewhere, and nothing inline."""


def templates(folder: Path) -> Environment:
    """The templates of a folder: what is filled in is escaped, and has to be there."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def inline_policy(style: str, scripts: Sequence[str]) -> str:
    """Of a page that is one file: its style sheet and its scripts, pictures inside it, and nothing else."""

    def allowed(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    return (
        f"default-src 'none'; img-src data:; style-src {allowed(style)}; "
        f"script-src {' '.join(map(allowed, scripts))}; base-uri 'none'; form-action 'none'"
    )
