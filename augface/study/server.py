"""The server of a study: the page, the pictures, the answers. It listens on this machine only, unless told otherwise.

A rater's secret comes in a header and never in an address or a cookie, so that no other page can use it. What leaves
the server says nothing of what is true: pictures have another name in each trial, and only those of the question at
hand are given out.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from augface.errors import DataError, OutputError
from augface.loopback import Buckets, client_address, get, guarded, post
from augface.study.answers import Answers
from augface.study.folder import Study, Token
from augface.study.page import SERVED, admin_page, asset, served_page
from augface.study.session import Session, check_answer

WRONG_BURST, WRONG_EACH_SECOND = 10.0, 0.2
"""Wrong secrets from one address."""
MOST_LINKS = 1_000


@dataclass
class Seat:
    """Where one rater stands."""

    token: Token
    rater: int = -1
    """Their number among the answers, once they have agreed."""
    session: Session | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Two windows with one link may not answer at the same time."""

    def state(self) -> dict[str, Any]:
        """What the page is told."""
        assert self.session is not None
        trial = self.session.next()
        return {
            "state": "finished" if trial is None else "going",
            "trial": None if trial is None else self.session.shown(trial),
            "progress": self.session.progress(),
            "preview": self.token.group == "preview",
        }


class _Routes:
    """The answers to requests."""

    def __init__(self, study: Study, answers: Answers, address: str) -> None:
        self.study, self.answers, self.address = study, answers, address
        self._wrong = Buckets(WRONG_BURST, WRONG_EACH_SECOND)
        self._seats: dict[Token, Seat] = {}
        self._lock = threading.Lock()
        self._page, self._admin_page = served_page(study), admin_page(study)

    def routes(self) -> list[Route]:
        return [
            get("/", lambda request: Response(self._page, media_type="text/html; charset=utf-8")),
            get("/admin", lambda request: Response(self._admin_page, media_type="text/html; charset=utf-8")),
            get("/static/{name}", self.static),
            get("/api/session", self.session),
            post("/api/agree", self.agree),
            post("/api/answers", self.answer),
            post("/api/withdraw", self.withdraw),
            get("/api/pictures/{name}", self.picture),
            get("/api/masks/{number:int}", self.mask),
            get("/api/admin/status", self.admin_status),
            post("/api/admin/withdraw", self.admin_withdraw),
        ]

    def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in SERVED:
            raise HTTPException(404, "There is no such file.")
        return Response(asset(name), media_type=f"{SERVED[name]}; charset=utf-8")

    # Raters

    def session(self, request: Request) -> dict[str, Any]:
        seat = self._seat(request)
        return seat.state() if seat.session else {"state": "new", "preview": seat.token.group == "preview"}

    def agree(self, request: Request, content: dict[str, Any]) -> dict[str, Any]:
        seat = self._seat(request)
        with seat.lock:
            if seat.session is None:
                token = seat.token
                seat.rater = self.answers.join(token.group, token.slot, _name(token), _device(content.get("device")))
                seat.session = Session(self.study, token.group, token.slot, self.answers.of(seat.rater))
            return seat.state()

    def answer(self, request: Request, content: dict[str, Any]) -> dict[str, Any]:
        seat = self._seat(request)
        number, identifier = content.get("trial"), content.get("id")
        if not isinstance(number, int) or isinstance(number, bool) or not isinstance(identifier, str):
            raise HTTPException(400, "An answer needs the number of its trial and an id.")
        if not re.fullmatch(r"[0-9a-f]{32}", identifier):
            raise HTTPException(400, "The id of an answer is 32 hexadecimal digits.")
        with seat.lock:
            session = seat.session
            if session is None:
                raise HTTPException(403, "Nobody has agreed to take part with this link yet.")
            if number not in session.answers:
                trial = session.next()
                if trial is None or number != trial.number:
                    raise HTTPException(409, "That is not the question at hand.")
                answer = check_answer(trial, content.get("answer"), content.get("detail", {}))
                if (exposure := session.exposure(trial)) is not None and "exposure" in answer.detail:
                    answer.detail["exposure"] = exposure  # what was asked for is not for the page to say
                self.answers.add(seat.rater, answer, identifier)
                session.add(answer)
                if session.next() is None:
                    self.answers.finish(seat.rater)
            return seat.state()

    def withdraw(self, request: Request, content: dict[str, Any]) -> dict[str, Any]:
        self._withdraw(self._seat(request).token)
        return {"state": "withdrawn"}

    def picture(self, request: Request) -> Response:
        seat = self._seat(request)
        if seat.session is not None and (trial := seat.session.next()) is not None:
            for name, image in zip(seat.session.names(trial), trial.images, strict=True):
                if request.path_params["name"] == name:
                    return Response(self.study.picture_path(image).read_bytes(), media_type="image/jpeg")
        raise HTTPException(404, "That is not a picture of the question at hand.")

    def mask(self, request: Request) -> Response:
        self._seat(request)
        number = request.path_params["number"]
        if number >= self.study.plan.masks:
            raise HTTPException(404, "There is no such mask.")
        return Response(self.study.mask_path(number).read_bytes(), media_type="image/jpeg")

    def _seat(self, request: Request) -> Seat:
        """Where the rater whose link this is stands; kept between requests, as nobody else may write the answers."""
        token = self.study.read_token(self._secret(request))
        if token is None:
            self._refuse(request)
            raise HTTPException(401, "This link is not of this study.")
        with self._lock:
            seat = self._seats.get(token)
            if seat is None:
                rater = self.answers.find(_name(token))
                if rater is not None and rater.withdrawn is not None:
                    raise HTTPException(410, "The answers of this link were deleted, and it does not work any more.")
                seat = self._seats[token] = Seat(token)
                if rater is not None:
                    seat.rater = rater.number
                    seat.session = Session(self.study, token.group, token.slot, self.answers.of(rater.number))
            return seat

    def _withdraw(self, token: Token) -> int:
        """Delete all that was answered with a link."""
        with self._lock:
            self._seats.pop(token, None)
            return self.answers.withdraw(_name(token), token.group, token.slot)

    def _secret(self, request: Request) -> str:
        kind, _, secret = request.headers.get("authorization", "").partition(" ")
        return secret if kind == "Bearer" else ""

    def _refuse(self, request: Request) -> None:
        """Count a wrong secret; who tries too many has to wait."""
        if not self._wrong.allows(client_address(request)):
            raise HTTPException(429, "Too many wrong links. Wait a minute.")

    # The organiser

    def _admin(self, request: Request) -> None:
        if not self.study.is_admin(self._secret(request)):
            self._refuse(request)
            raise HTTPException(401, "This is not the organiser's link of this study.")

    def admin_status(self, request: Request) -> dict[str, Any]:
        self._admin(request)
        wished = request.query_params.get("links", "0")
        counts = self.answers.counts()
        known = self.answers.raters()
        own = {rater.slot: rater for rater in known if rater.group == "rater"}
        links = int(wished) if wished.isdigit() else 0
        number = min(MOST_LINKS, max(self.study.plan.raters, links, max(own, default=-1) + 1))
        raters = []
        for slot in range(number):
            rater = own.get(slot)
            state = "not yet begun"
            if rater is not None:
                state = "withdrawn" if rater.withdrawn else "finished" if rater.finished else "on the way"
            raters.append(
                {
                    "number": slot + 1,
                    "answers": counts.get(rater.number, 0) if rater else 0,
                    "of": len(self.study.schedule.trials(slot)),
                    "state": state,
                    "link": rater_link(self.study, self.address, slot),
                }
            )
        previews = sum(rater.group == "preview" for rater in known)
        return {
            "planned": self.study.plan.raters,
            "finished": sum(one["state"] == "finished" for one in raters),
            "going": sum(one["state"] == "on the way" for one in raters),
            "raters": raters,
            "preview": f"{self.address}/#{self.study.token(previews, 'preview')}",
        }

    def admin_withdraw(self, request: Request, content: dict[str, Any]) -> dict[str, Any]:
        self._admin(request)
        number = content.get("number")
        if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MOST_LINKS:
            raise HTTPException(400, "There is no such rater.")
        return {"deleted": self._withdraw(Token("rater", number - 1))}


def _name(token: Token) -> str:
    """What the rater of a link is called among the answers."""
    return f"{token.group}:{token.slot}"


def _device(content: object) -> dict[str, Any]:
    """What the page says of the screen, as far as it is what it should be."""
    known = content if isinstance(content, dict) else {}
    numbers = {
        name: float(value)
        for name in ("frame_ms", "width", "height", "ratio")
        if isinstance(value := known.get(name), int | float) and not isinstance(value, bool) and 0 <= value < 1e5
    }
    return {**numbers, "touch": known.get("touch") is True}


def create_app(study: Study, answers: Answers, *, address: str, hosts: Sequence[str]) -> ASGIApp:
    """The application.

    Args:
        study: the study.
        answers: where answers go.
        address: what links begin with, such as `http://127.0.0.1:8000`.
        hosts: the names, with the port, that requests may be addressed to.
    """
    return guarded(_Routes(study, answers, address).routes(), hosts)


def rater_link(study: Study, address: str, slot: int) -> str:
    """The link of a rater."""
    return f"{address}/#{study.token(slot)}"


def admin_link(study: Study, address: str) -> str:
    """The organiser's link."""
    return f"{address}/admin#{study.admin_token}"


# Running


@contextlib.contextmanager
def only_server(study: Study) -> Iterator[None]:
    """Hold the study for this process, until it ends in whatever way; another one that tries is told so.

    Raises:
        OutputError: another process serves the study, or its folder cannot be written.
    """
    path = study.folder / "server.lock"
    with contextlib.ExitStack() as held:
        try:
            connection = held.enter_context(contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)))
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise OutputError(f"Cannot write {path}: {error}.") from error
            raise OutputError(
                f"{study.folder} is being served already, by another process. End that one first; nothing was changed."
            ) from error
        yield


def lan_address() -> str:
    """The address of this machine in its local network.

    Raises:
        DataError: it is in none.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))  # sends nothing: it only asks which way that would go
            address = str(probe.getsockname()[0])
        except OSError as error:
            raise DataError("This machine is in no network that others could reach it by.") from error
    if ipaddress.ip_address(address).is_loopback:
        raise DataError("This machine is in no network that others could reach it by.")
    return address
