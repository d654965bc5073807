"""The pages as HTML: what raters see, from a server or as one file that holds everything, and the organiser's page."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from augface.pages import inline_policy, templates
from augface.study.folder import Study

STATIC = Path(__file__).parent / "static"
SCRIPTS = ("jspsych.min.js", "parts.js", "plugin-screen.js", "plugin-look.js", "plugin-flash.js", "study.js")
"""In the order in which they depend on each other."""
SERVED = {
    **dict.fromkeys((*SCRIPTS, "admin.js"), "text/javascript"),
    "study.css": "text/css",
    "jspsych-LICENSE.txt": "text/plain",
}
"""What a server gives to everybody, and of which type it is."""


@cache
def asset(name: str) -> str:
    """The text of a file that comes with the package."""
    return (STATIC / name).read_text(encoding="utf-8")


def served_page(study: Study) -> str:
    """The page for raters that talks to the server it comes from; the same for everybody."""
    return _rendered("page.html.j2", study, _config(study), inline=False)


def admin_page(study: Study) -> str:
    """The organiser's page."""
    return _rendered("admin.html.j2", study, {}, inline=False)


def whole_page(study: Study, sessions: Mapping[str, Any], pictures: Mapping[str, bytes], masks: list[bytes]) -> str:
    """One file that holds the sessions with all their pictures, and asks nothing of any server.

    Args:
        study: the study.
        sessions: by the number of the rater, their trials as the page may know them.
        pictures: by their public names, JPEG.
        masks: JPEG.
    """
    config = _config(study) | {
        "sessions": sessions,
        "pictures": {name: _address(content) for name, content in pictures.items()},
        "masks": [_address(content) for content in masks],
    }
    return _rendered("page.html.j2", study, config, inline=True)


def _config(study: Study) -> dict[str, Any]:
    plan = study.plan
    return {
        "id": plan.id,
        "title": plan.title,
        "contact": plan.contact,
        "minutes": max(1, round(study.schedule.seconds() / 60)),
        "parts": len(plan.blocks),
        "size": plan.size,
        "flash": "flash" in plan.tasks,
        "texts": study.texts,
    }


def _address(content: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(content).decode()


def _rendered(template: str, study: Study, config: Mapping[str, Any], *, inline: bool) -> str:
    data = json.dumps(config, ensure_ascii=False).replace("<", "\\u003c")  # no text may end the script element
    style = asset("study.css")
    scripts = [asset(name) for name in SCRIPTS] if inline else list(SCRIPTS)
    return (
        templates(STATIC)
        .get_template(template)
        .render(
            texts=study.texts,
            title=study.plan.title,
            config=Markup(data),
            inline=inline,
            style=Markup(style),
            scripts=[Markup(script) for script in scripts],
            policy=inline_policy(style, scripts) if inline else "",
        )
    )
