"""The page as HTML: one that talks to the server it comes from, or one that holds everything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from augface.pages import inline_policy, templates
from augface.play.player import PHOTO, Player

STATIC = Path(__file__).parent / "static"
SERVED = {"play.js": "text/javascript", "play.css": "text/css"}
"""What a server gives, and of which type it is."""


@cache
def asset(name: str) -> str:
    """The text of a file that comes with the package."""
    return (STATIC / name).read_text(encoding="utf-8")


def served_page(player: Player, subject: str, strengths_note: str) -> str:
    """The page that asks its server for faces."""
    return _rendered(player, subject, strengths_note, None)


def whole_page(player: Player, subject: str, strengths_note: str, prepared: Mapping[str, Any]) -> str:
    """The page with all that it can show."""
    return _rendered(player, subject, strengths_note, prepared)


def _rendered(player: Player, subject: str, strengths_note: str, prepared: Mapping[str, Any] | None) -> str:
    size = player.size
    frames = [seen for seen, _ in player.previews] if prepared is None else []
    config = {
        "sliders": list(player.sliders if prepared is None else next(iter(prepared["faces"].values()))["sliders"]),
        "requestable": bool(player.requestable),
        "photo": player.photo is not None,
        "photo_number": PHOTO,
        "frames": frames,
        "prepared": prepared,
    }
    style, script = asset("play.css"), asset("play.js")
    html = (
        templates(STATIC)
        .get_template("page.html.j2")
        .render(
            subject=subject,
            strengths_note=strengths_note,
            size=size,
            inline=prepared is not None,
            has_sliders=bool(config["sliders"]),
            has_frames=bool(frames if prepared is None else prepared["frames"]),
            has_turned=bool(player.requestable),
            has_photo=player.photo is not None,
            mixes=player.mixes,
            config=Markup(json.dumps(config, ensure_ascii=False).replace("<", "\\u003c")),  # no text ends the element
            style=Markup(style),
            script=Markup(script),
            policy=inline_policy(style, [script]) if prepared is not None else "",
        )
    )
    return html.encode("utf-8", "replace").decode()
