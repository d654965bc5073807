"""The server of the page: it makes faces of the recipes that the page sends."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from augface.loopback import get, guarded, post
from augface.play.page import SERVED, asset, served_page
from augface.play.pictures import png_address
from augface.play.player import Player, Recipe


def create_app(player: Player, subject: str, *, hosts: Sequence[str], strengths_note: str = "") -> ASGIApp:
    """The application.

    Args:
        player: the faces.
        subject: what the page says that it is of.
        hosts: the names, with the port, that requests may be addressed to.
        strengths_note: why there are no sliders of attributes; empty where there are.
    """
    return guarded(_routes(player, served_page(player, subject, strengths_note)), hosts)


def _routes(player: Player, page: str) -> list[Route]:
    lock = threading.Lock()  # one face at a time: two at once would only be slower

    def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in SERVED:
            raise HTTPException(404, "There is no such file.")
        return Response(asset(name), media_type=f"{SERVED[name]}; charset=utf-8")

    def face(request: Request, content: dict[str, Any]) -> dict[str, Any]:
        recipe = _recipe(content)
        with lock:
            shown = player.show(recipe)
        return {
            "image": png_address(shown.pixels, player.note(recipe), of_photo=shown.of_photo),
            "requested": shown.requested,
            "answers": {
                name: {"low": answer.low, "high": answer.high, "reached": answer.reached}
                for name, answer in shown.answers.items()
            },
        }

    def turned(request: Request, content: dict[str, Any]) -> list[dict[str, Any]]:
        recipe = _recipe(content)
        with lock:
            pictures = player.turned(recipe)
            of_photo = player.show(recipe).of_photo
        return [
            {
                "attribute": one.attribute,
                "value": one.value,
                "image": png_address(one.pixels, {**player.note(recipe), one.attribute: one.value}, of_photo=of_photo),
            }
            for one in pictures
        ]

    def frame(request: Request) -> Any:
        number = request.path_params["number"]
        picture = player.frame(number) if number < len(player.previews) else None
        if picture is None:
            raise HTTPException(404, "There is no such preview.")
        seen = player.previews[number][0]
        return {"image": png_address(picture, {"generator": player.generator.name, "images_seen": seen})}

    return [
        get("/", lambda request: Response(page, media_type="text/html; charset=utf-8")),
        get("/static/{name}", static),
        get("/api/frames/{number:int}", frame),
        post("/api/face", face),
        post("/api/turned", turned),
    ]


def _recipe(content: dict[str, Any]) -> Recipe:
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise HTTPException(400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from error
