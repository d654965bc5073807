"""A server of pages for people at this machine: what every request has to pass, and how the server begins and ends.

It listens on this machine alone, unless told otherwise. It answers to its own names only, so that no page from
elsewhere can reach it under another name (DNS rebinding), takes what its own page sends and nothing else, and its
policy lets a page load nothing from elsewhere and run nothing inline.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
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

from augface.errors import AugfaceError, OutputError
from augface.pages import SERVED_POLICY

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
MOST_BYTES = 16_384
"""Of a request's body."""
BURST, EACH_SECOND = 240.0, 60.0
"""Requests that one secret, or one address without any, may make at once, and go on making."""
MOST_CONNECTIONS = 500
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": SERVED_POLICY,
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
                return 403, "Only the page itself may send this."
            length = request.headers.get("content-length", "")
            if length.isdigit() and int(length) > MOST_BYTES:
                return 413, "The request is too long."
        who = request.headers.get("authorization") or client_address(request)
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


def client_address(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else "unknown"


def get(path: str, work: Callable[[Request], Any]) -> Route:
    """The route of a GET request: what `work` gives, a `Response` or something that JSON can say."""

    async def endpoint(request: Request) -> Response:
        return await _told(work, request)

    return Route(path, endpoint, methods=["GET"])


def post(path: str, work: Callable[[Request, dict[str, Any]], Any]) -> Route:
    """The route of a POST request, whose body is a JSON object."""

    async def endpoint(request: Request) -> Response:
        content = await _json(request)
        return await _told(work, request, content)

    return Route(path, endpoint, methods=["POST"])


def guarded(routes: Sequence[Route], hosts: Sequence[str]) -> ASGIApp:
    """An application of these routes, behind a `Guard`.

    Args:
        routes: made by `get` and `post`.
        hosts: the names, with the port, that requests may be addressed to.
    """
    handlers: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {HTTPException: _plain}
    return Guard(Starlette(routes=list(routes), exception_handlers=handlers), hosts)


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


def run_server(app: ASGIApp, listener: socket.socket) -> None:
    """Serve until Ctrl-C, which ends it as it should, or SIGTERM, of which whoever asked wants to know."""
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
    try:
        asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))
    except KeyboardInterrupt as interrupt:
        if type(interrupt) is not KeyboardInterrupt:
            raise
    finally:
        listener.close()
