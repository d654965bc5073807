"""How data sets, faces, plans and generators look in a notebook: small cards of HTML, and a preview while training.

A card brings its own style, which applies to nothing outside it, and takes its colours from the page around it, light
or dark. All texts are escaped: names of attributes and files can be anybody's. Evaluations and comparisons are shown by
the report (`augface.report.render`).
"""

from __future__ import annotations

import base64
import importlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from augface.arrays import Pixels
from augface.progress import in_notebook, in_words
from augface.text import counted

if TYPE_CHECKING:
    from augface.data.dataset import Face, FaceDataset
    from augface.generators.base import Generator
    from augface.rebalancing.rebalance import Plan

THUMBNAIL = 96
"""Pixels of a face on a card, at most."""
COLUMNS, ROWS = 12, 2
MOST_BARS = 10
"""Attributes that are shown at first; the others are folded away."""

STYLE = """
& { display: block; box-sizing: border-box; max-width: 60em; margin: 4px 0; padding: 14px 16px; text-align: left;
  border: 1px solid rgb(128 128 128 / .35); border-radius: 10px; background: rgb(128 128 128 / .05);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
& > div { container-type: inline-size; }
& * { box-sizing: border-box; }
& .title { margin: 0; font-size: 16px; font-weight: 650; overflow-wrap: anywhere; }
& .soft, & .bars small, & .facts dt, & summary { opacity: .72; }
& .subtitle { margin: 1px 0 0; overflow-wrap: anywhere; }
& .sheet { display: block; width: 100%; height: auto; margin: 12px 0 0; border-radius: 6px; }
& .facts { display: flex; flex-wrap: wrap; gap: 8px 26px; margin: 12px 0 0; }
& .facts div { min-width: 0; }
& .facts dt { font-size: 12px; }
& .facts dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
& .bars { display: grid; grid-template-columns: 1fr 1fr; gap: 3px 28px; margin: 12px 0 0; padding: 0; }
& .bars li { display: grid; grid-template-columns: minmax(0, 9.5em) minmax(0, 1fr) max-content; gap: 10px;
  align-items: center; }
& .bars span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
& .bars small { font-size: 12px; font-variant-numeric: tabular-nums; text-align: right; min-width: 9.2em; }
& .bar { display: flex; height: 9px; border-radius: 5px; overflow: hidden; background: rgb(128 128 128 / .22); }
& .bar i { display: block; height: 100%; background: #2f86c1; }
& .bar i + i { background: #e0762f; }
& .wide { grid-template-columns: 1fr; }
& .wide li { grid-template-columns: minmax(0, 15em) minmax(0, 1fr) max-content; }
& .note { margin: 10px 0 0; font-size: 12.5px; }
& details { margin-top: 8px; }
& summary { cursor: pointer; font-size: 12.5px; }
& code { font: 12px/1.5 ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere; white-space: pre-wrap; }
@container (max-width: 34em) {
  & .bars { grid-template-columns: 1fr; }
  & .wide li { grid-template-columns: minmax(0, 1fr) max-content; }
  & .wide .bar { grid-column: 1 / -1; grid-row: 2; }
}
"""
TEMPLATE = """
{% macro bars(shown, wide) %}
<ul class="bars{{ ' wide' if wide }}">
{% for bar in shown %}
<li><span title="{{ bar.name }}"><bdi>{{ bar.name }}</bdi></span><span class="bar" aria-hidden="true">
{%- for share in bar.shares %}<i style="width: {{ '%.2f' | format(100 * share) }}%"></i>{% endfor -%}
</span><small>{{ bar.text }}</small></li>
{% endfor %}
</ul>
{% endmacro %}
<div class="augface-card"><style>{{ style }}</style><div>
<p class="title"><bdi>{{ card.title }}</bdi></p>
{% if card.subtitle %}<p class="subtitle soft"><bdi>{{ card.subtitle }}</bdi></p>{% endif %}
{% if sheet %}
<img class="sheet" style="max-width: {{ card.width }}px" src="data:image/webp;base64,{{ sheet }}"
  alt="{{ card.caption }}">
{% endif %}
{% if card.facts %}
<dl class="facts">
{% for name, value in card.facts %}
<div><dt><bdi>{{ name }}</bdi></dt><dd><bdi>{{ value }}</bdi></dd></div>
{% endfor %}
</dl>
{% endif %}
{% if card.bars %}{{ bars(card.bars[:most], card.wide) }}{% endif %}
{% if card.bars | length > most %}
<details><summary>{{ card.bars | length - most }} more</summary>{{ bars(card.bars[most:], card.wide) }}</details>
{% endif %}
{% for note in card.notes %}<p class="note soft"><bdi>{{ note }}</bdi></p>{% endfor %}
{% if card.code %}<details><summary>{{ card.code_title }}</summary><code>{{ card.code }}</code></details>{% endif %}
</div></div>
"""


def scoped(name: str, style: str) -> str:
    """A style sheet that applies to the elements within those of a class alone, and to them before any other.

    What notebooks say of tables, headings and lists is taken back first. `&` stands for the element of the class.
    """
    return f".{name}.{name} *:not(svg, svg *, img, style) {{ all: revert; }}\n.{name}.{name}.{name} {{\n{style}\n}}"


@dataclass(frozen=True)
class Bar:
    """A named share, or several on top of one another, with what they are in words."""

    name: str
    shares: Sequence[float]
    text: str


@dataclass(frozen=True)
class Card:
    """What is shown of an object."""

    title: str
    subtitle: str = ""
    facts: Sequence[tuple[str, str]] = ()
    sheet: bytes = b""
    """Faces side by side, as a WebP file."""
    width: int = 0
    """Pixels of the sheet on the page, at most."""
    caption: str = ""
    bars: Sequence[Bar] = ()
    wide: bool = False
    """Whether bars have long names."""
    notes: Sequence[str] = field(default_factory=list)
    code_title: str = ""
    code: str = ""

    def html(self) -> str:
        """The card as HTML with its own style."""
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup

        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        text = environment.from_string(TEMPLATE).render(
            card=self,
            sheet=base64.b64encode(self.sheet).decode(),
            style=Markup(scoped("augface-card", STYLE)),
            most=MOST_BARS,
        )
        # Half of a surrogate pair, which names of files may hold, is nothing that a notebook could be saved with.
        return text.encode("utf-8", "replace").decode()


def dataset_card(data: FaceDataset) -> Card:
    """Some of the faces, the sizes of the splits and how many show each attribute."""
    facts = [("Faces", f"{len(data):,}")] if data.split is not None else []
    if data.split is not None:
        facts += [
            (name, f"{count:,}") for name in ("train", "valid", "test") if (count := int((data.split == name).sum()))
        ]
    if data.identity is not None:
        facts.append(("People", f"{len(np.unique(data.identity)):,}"))
    if data.factors is not None and data.factors.shape[1]:
        facts.append(
            ("Also known", ", ".join(map(str, data.factors.columns[:4])) + (" …" if data.factors.shape[1] > 4 else ""))
        )
    terms = [f"Terms of use: {data.source.terms}"] if data.source.terms else []
    sheet, width = thumbnails(data)
    return Card(
        title=counted(len(data), "face"),
        subtitle=f"{data.size} × {data.size} pixels · {data.source.spec}",
        facts=facts,
        sheet=sheet,
        width=width,
        caption="Some of the faces.",
        bars=[_attribute_bar(str(name), data.attributes[name]) for name in data.attributes],
        notes=terms if data.attributes.shape[1] else ["No attribute labels.", *terms],
    )


def _attribute_bar(name: str, column: Any) -> Bar:
    known = column.dropna()
    present = int(known.sum())
    share = present / len(known) if len(known) else 0.0
    missing = f", {len(column) - len(known):,} unknown" if len(known) < len(column) else ""
    return Bar(name, [share], f"{present:,} ({share:.1%}){missing}" if len(known) else "unknown")


def face_card(face: Face) -> Card:
    """One face and what is known of it."""
    shown, absent = ([name for name, value in face.labels.items() if value is wanted] for wanted in (True, False))
    facts = [("Split", face.split)] if face.split else []
    facts += [("Person", str(face.identity))] if face.identity is not None else []
    side = face.image.shape[0]
    return Card(
        title=face.name,
        subtitle=f"{side} × {side} pixels",
        facts=facts,
        sheet=_webp(face.image),
        width=max(side, min(192, 3 * side)),
        caption=f"The face {face.name}.",
        notes=[", ".join(shown) or ("No attribute is present." if absent else "No attribute is known.")],
        code_title=f"{counted(len(absent), 'attribute')} that it does not show",
        code=", ".join(absent),
    )


def plan_card(plan: Plan) -> Card:
    """What there is of each subgroup and what is to be generated, and what that takes."""
    from augface.files import human_bytes

    most = max([each.have + each.wanted for each in plan.subgroups], default=0) or 1
    settings = plan.settings
    within = f" within {' and '.join(settings.within)}" if settings.within else ""
    return Card(
        title=f"Plan: balance {' and '.join(settings.attr)}{within}",
        subtitle=f"{counted(plan.wanted, 'face')} to be generated by {plan.generator.name} · {settings.data}",
        facts=[
            ("Training", settings.budget),
            ("Seed", str(settings.seed)),
            ("Downstream", settings.downstream.mode),
            ("Disk", human_bytes(plan.bytes)),
        ],
        bars=[
            Bar(
                str(each.subgroup),
                [each.have / most, each.wanted / most],
                f"{each.have:,}" + (f" + {each.wanted:,} synthetic" if each.wanted else ""),
            )
            for each in plan.subgroups
        ],
        wide=True,
        notes=["Faces of the train split; blue: real, orange: to be generated."],
        code_title="The same from the command line",
        code=plan.command,
    )


def generator_card(generator: Generator) -> Card:
    """Its settings, what it learnt from, and some faces where these are quickly drawn."""
    fitted = generator.labels is not None
    changed = generator.config.model_dump(mode="json", exclude_defaults=True)
    facts = [(name, str(value)) for name, value in changed.items()]
    card = Card(
        title=f"Generator {generator.name}",
        subtitle=", ".join(sorted(generator.capabilities)) or "no special capabilities",
        facts=facts,
        notes=["Not fitted yet."] if not fitted else [_learnt(generator)],
        code_title="All settings",
        code="\n".join(f"{name}={value}" for name, value in generator.config.model_dump(mode="json").items()),
    )
    if not fitted or not {"latent", "trainable"} <= generator.capabilities:
        return card
    sheet, width = thumbnails(generator.sample(COLUMNS, seed=0))
    return Card(**{**vars(card), "sheet": sheet, "width": width, "caption": "Faces from this generator, of seed 0."})


def _learnt(generator: Generator) -> str:
    labels = generator.labels
    assert labels is not None
    requested = sorted(generator.conditionable)
    more = f" and {len(requested) - 8} more" if len(requested) > 8 else ""
    shown = f" Can be requested: {', '.join(requested[:8])}{more}." if requested else ""
    return f"Fitted to {counted(len(labels), 'face')} with {counted(labels.shape[1], 'attribute')}.{shown}"


# Pictures


def thumbnails(data: FaceDataset) -> tuple[bytes, int]:
    """Some faces from all over a data set side by side, as a WebP file, and how wide to show it, in pixels."""
    if not len(data):
        return b"", 0
    rows = np.unique(np.linspace(0, len(data) - 1, min(len(data), COLUMNS * ROWS)).astype(np.int64))
    faces = data.images[rows]
    if faces.shape[1] > THUMBNAIL:
        from augface.data.images import resize_faces

        faces = resize_faces(faces, THUMBNAIL)
    side, columns = faces.shape[1], min(COLUMNS, len(faces))
    lines = -(-len(faces) // columns)
    tiles = np.zeros((lines * columns, side, side, 4), dtype=np.uint8)  # places that are left empty are transparent
    tiles[: len(faces), ..., :3] = faces
    tiles[: len(faces), ..., 3] = 255
    sheet = tiles.reshape(lines, columns, side, side, 4).swapaxes(1, 2).reshape(lines * side, columns * side, 4)
    return _webp(sheet), columns * max(side, 64)


def _webp(pixels: Pixels) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="WEBP", quality=85)
    return file.getvalue()


class Preview:
    """A picture of the faces that is renewed while a generator learns, in notebooks alone."""

    def __init__(self) -> None:
        self._display: Any = None

    def show(self, picture: Pixels, images_seen: int, seconds: float) -> None:
        """Show a row of faces, uint8 (H, W, 3), in place of the one before."""
        if not in_notebook():
            return
        display: Any = importlib.import_module("IPython.display")
        card = Card(
            title="Training",
            subtitle=f"{images_seen:,} images seen in {in_words(seconds)}",
            sheet=_webp(picture),
            width=max(picture.shape[1], 640),
            caption="Faces from the generator as it is now.",
        )
        if self._display is None:
            self._display = display.display(display.HTML(card.html()), display_id=True)
        else:
            self._display.update(display.HTML(card.html()))
