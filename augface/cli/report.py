"""`augface report`: results as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from augface.cli.console import print_paths
from augface.errors import OutputError


def report(
    results: Path,
    /,
    *,
    out: Path | None = None,
    real_images: Annotated[bool, Parameter(negative="--no-real-images")] = True,
) -> None:
    """Write the report of a results file again: one self-contained HTML page.

    Args:
        results: A results.json, or the run folder that holds one.
        out: The page to write; report.html beside the results where not given.
        real_images: Show real faces in the report.
    """
    from augface.results import Evaluation

    source = results / "results.json" if results.is_dir() else results
    page = out or source.with_name("report.html")
    if page.is_dir():
        raise OutputError(f"{page} is a folder; --out takes the file to write, such as {page / 'report.html'}.")
    Evaluation.from_json(source).to_html(page, real_images=real_images)
    print_paths({"report": page})
