"""`augface inspect`: a look inside the networks of a trained generator."""

from __future__ import annotations

from pathlib import Path

from augface.cli.console import print_paths, say, shown, split_names, when_interrupted
from augface.errors import OutputError


def inspect(
    run: Path,
    /,
    *,
    out: Path,
    data: str | None = None,
    attr: list[str] | None = None,
    seed: int = 0,
    dry_run: bool = False,
) -> None:
    """Look inside the networks of a generator: units, layers, directions, walks, and where classifiers look.

    Writes one self-contained HTML page, and the results beside it as JSON. Which units are for which attribute is found
    by turning each off and on; a classifier that the generator never saw says what that changes.

    Args:
        run: The run folder of a training or rebalancing, or the folder of a generator (with --data).
        out: The page to write, such as inside.html.
        data: The faces that the generator learnt from, where the run folder does not name them.
        attr: Attributes to look at closely; the four that the judge reads best where not given. Repeat it, or put
            commas between.
        seed: The same seed gives the same page; on another machine or with other threads (OMP_NUM_THREADS) up to
            rounding.
        dry_run: Say what would be done, and stop.
    """
    results = out.with_suffix(".json")
    for path in (out, results):
        if path.is_dir():
            raise OutputError(f"{shown(path)} is a folder; --out takes the file to write, such as inside.html.")
    if out == results:
        raise OutputError(f"The results go to {shown(results)}; --out takes the page, such as inside.html.")
    parent = next(folder for folder in out.absolute().parents if folder.exists())
    if not parent.is_dir():
        raise OutputError(f"{shown(parent)} is a file; choose another place with --out.")

    from augface.inspection.inspect import inspect_opened, open_inspected

    opened = open_inspected(run, data, split_names(attr or []))
    generator, faces, _ = opened
    say(f"Inspect {generator.name}, {faces.size} x {faces.size} pixels, with {len(faces):,} training faces.")
    say(f"Estimated: a minute or two at 64 x 64 pixels; under 1 MB in {shown(out.parent)}.")
    if dry_run:
        return
    with when_interrupted(f"nothing was written to {shown(out)}."):
        evaluation = inspect_opened(*opened, seed=seed)
        evaluation.to_json(results)
        evaluation.to_html(out)
    say(f"{evaluation.verdict.sentence} {evaluation.verdict.reason}")
    print_paths({"page": out, "results": results})
