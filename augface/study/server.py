"""The server of a study: the page, the pictures, the answers. It listens on this machine only, unless told otherwise.

A rater's secret comes in a header and never in an address or a cookie, so that no other page can use it. What leaves
the server says nothing of what is true: pictures have another name in each trial, and only those of the question at
hand are given out.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from augface.errors import AugfaceError, DataError, OutputError
from augface.study.answers import Answers
from augface.study.folder import Study, Token
from augface.study.page import POLICY, SERVED, admin_page, asset, served_page
from augface.study.session import Session, check_answer

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
MOST_BYTES = 16_384
"""Of a request's body."""
BURST, EACH_SECOND = 240.0, 60.0
"""Requests that one secret, or one address without any, may make at once, and go on making."""
WRONG_BURST, WRONG_EACH_SECOND = 10.0, 0.2
"""Wrong secrets from one address."""
MOST_LINKS = 1_000
MOST_CONNECTIONS = 500
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

log = logging.getLogger("augface")


@dataclass
class Buckets:
    """How many more requests each may make just now (token buckets)."""

    burst: float
    each_second: float
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def allows(self, who: str) -> bool:
        """Whether `who` may make one more, which is then counted."""
        now = time.monotonic()
        if len(self._left) > 10_000:  # those who have been silent for long have all of it again
            full = self.burst / self.each_second
            self._left = {name: (left, then) for name, (left, then) in self._left.items() if now - then < full}
        left, then = self._left.get(who, (self.burst, now))
        left = min(self.burst, left + (now - then) * self.each_second)
        self._left[who] = (left - 1 if left >= 1 else left, now)
        return left >= 1


class Guard:
    """What every request has to pass: a known host, the own origin, a short body, not too many; and headers for all."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)
        self._buckets = Buckets(BURST, EACH_SECOND)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or refuse it in one line."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *own]}
            await send(message)

        request = Request(scope, receive)
        refused = self._refusal(request)
        content = b""
        if refused is None and request.method == "POST":
            content, whole = await _body(receive)
            refused = None if whole else (413, "The request is too long.")
        if refused is not None:
            await PlainTextResponse(refused[1], refused[0])(scope, receive, send_with_headers)
            return

        async def receive_again() -> Message:
            return {"type": "http.request", "body": content, "more_body": False}

        await self.app(scope, receive_again if request.method == "POST" else receive, send_with_headers)

    def _refusal(self, request: Request) -> tuple[int, str] | None:
        host = request.headers.get("host", "").lower()
        if host not in self.hosts:
            return 421, "This server does not answer to that name."
        if request.method not in ("GET", "HEAD", "POST"):
            return 405, "Only GET and POST are known here."
        if request.method == "POST":
            if request.headers.get("origin", "").lower() != f"http://{host}":
                return 403, "Only the page of the study itself may send this."
            length = request.headers.get("content-length", "")
            if length.isdigit() and int(length) > MOST_BYTES:
                return 413, "The request is too long."
        who = request.headers.get("authorization") or _address(request)
        if not self._buckets.allows(who[:100]):
            return 429, "Too many requests. Wait a moment."
        return None


async def _body(receive: Receive) -> tuple[bytes, bool]:
    """The body of a request, and whether it was short enough to be read to its end."""
    parts, length = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"", True  # the other side has gone
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        if length > MOST_BYTES:
            return b"", False
        if not message.get("more_body", False):
            return b"".join(parts), True


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


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
        def post(path: str, work: Callable[[Request, dict[str, Any]], Any]) -> Route:
            async def endpoint(request: Request) -> Response:
                content = await _json(request)
                return await _told(work, request, content)

            return Route(path, endpoint, methods=["POST"])

        def get(path: str, work: Callable[[Request], Any]) -> Route:
            async def endpoint(request: Request) -> Response:
                return await _told(work, request)

            return Route(path, endpoint, methods=["GET"])

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
        if not self._wrong.allows(_address(request)):
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


async def _json(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise HTTPException(415, "Only JSON is taken.")
    try:
        content = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "The request is not JSON.") from error
    if not isinstance(content, dict):
        raise HTTPException(400, "The request is not a JSON object.")
    return content


async def _told(work: Callable[..., Any], *arguments: Any) -> Response:
    """What `work` gives, run beside the event loop; errors for people as one line."""
    try:
        result = await run_in_threadpool(work, *arguments)
    except OutputError as error:
        log.error("%s", error)
        return PlainTextResponse(str(error), 507)
    except AugfaceError as error:
        return PlainTextResponse(str(error), 400)
    return result if isinstance(result, Response) else JSONResponse(result)


async def _plain(request: Request, error: Exception) -> Response:
    """Refusals in one line of plain text."""
    status, detail = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "A bug.")
    return PlainTextResponse(detail, status)


def create_app(study: Study, answers: Answers, *, address: str, hosts: Sequence[str]) -> ASGIApp:
    """The application.

    Args:
        study: the study.
        answers: where answers go.
        address: what links begin with, such as `http://127.0.0.1:8000`.
        hosts: the names, with the port, that requests may be addressed to.
    """
    routes = _Routes(study, answers, address).routes()
    handlers: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {HTTPException: _plain}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), hosts)


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


def listening_socket(port: int, *, lan: bool) -> socket.socket:
    """A socket on this machine's own address, or on all of them.

    Raises:
        OutputError: the port is taken, or not allowed.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((EVERYWHERE if lan else LOOPBACK, port))
    except OSError as error:
        listener.close()
        raise OutputError(f"Port {port} cannot be used: {error.strerror}. Choose another with --port.") from error
    return listener


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


def run_server(app: ASGIApp, listener: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=MOST_BYTES,
        lifespan="off",
        ws="none",
    )
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))
