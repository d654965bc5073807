"""Which pipelines of the installed diffusers are accepted, written into docs/diffusers.md at its end.

    python docs/diffusers_table.py

What is accepted follows from what a pipeline's `__call__` takes; nothing is downloaded, and no pipeline is opened.
"""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path

import diffusers
import transformers

from augface.generators._pipelines import use_of

PAGE = Path(__file__).with_name("diffusers.md")
FIRST = "diffusers 0."
"""How the list begins; what is above it stays."""


def main() -> None:
    """Write the page anew."""
    warnings.simplefilter("ignore")
    page = PAGE.read_text(encoding="utf-8")
    kept, first, _ = page.partition(FIRST)
    if not first:
        raise SystemExit(f"{PAGE} has no line that begins with {FIRST!r}.")
    PAGE.write_text(kept + table(), encoding="utf-8")


def table() -> str:
    """The pipelines as a table in Markdown, with the versions that they are of."""
    rows, missing = [], []
    for name in sorted(name for name in dir(diffusers) if name.endswith("Pipeline")):
        kind = getattr(diffusers, name)
        if not (inspect.isclass(kind) and issubclass(kind, diffusers.DiffusionPipeline)):
            continue
        if "dummy" in kind.__module__ or "Onnx" in name:
            missing.append(name)
            continue
        needed = [
            parameter.name
            for parameter in inspect.signature(kind.__call__).parameters.values()
            if parameter.default is parameter.empty
            and parameter.name != "self"
            and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ]
        use, why = use_of(kind)
        rows.append((use is None, f"| `{name}` | {', '.join(needed) or '–'} | {use or f'no: {why}'} |"))
    accepted = sum(not refused for refused, _ in rows)
    lines = [
        f"diffusers {diffusers.__version__} with transformers {transformers.__version__}: {accepted} of {len(rows)} "
        f"pipelines are accepted. {len(missing)} more need other packages, or are of ONNX, and are not.",
        "",
        "| pipeline | must be given | accepted as |",
        "|---|---|---|",
        *(line for _, line in sorted(rows)),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
