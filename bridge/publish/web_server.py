"""A small HTTP server in a thread of its own, which nobody can fill up, and on which nothing waits.

1. At most ``PLACES`` connections are open. The one that has been open longest gives its place to a
   new one, so that clients who send nothing or read nothing keep nobody out.
2. None is open for longer than ``PATIENCE``, whatever it does, TLS handshakes included.
3. Each has one request. Nothing but ``GET`` and ``HEAD`` is answered, and no body is read.
4. Answers are made one at a time, from values that the cycles have left here.

It is uvicorn's, but for what listens, secures and ends its connections.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from email.utils import formatdate
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from bridge.logs import where
from bridge.model.events import Event
from bridge.report.answers import Answer

PLACES = 64
"""Connections that may be open at the same time. A scrape takes one for some milliseconds."""

PATIENCE = 10.0
"""Seconds for which a connection may be open. Prometheus gives a scrape up after as long."""

LONGEST_HEAD = 16 << 10
"""Bytes that a request's line and headers may have."""

BACKLOG = 128
GRACE = 1.0
"""Seconds that answers have when the server ends."""

_METHODS = ("GET", "HEAD")

WORTH_PACKING = 1400
"""Bytes of a text that are compressed: what is shorter fits into one packet as it is."""

Respond = Callable[[str, str, dict[str, str]], Answer]
"""Makes the answer for a path and a query, with the headers by their names in lower case."""

Secure = Callable[[], ssl.SSLContext]
"""Returns what a new connection is secured with."""


class _Places:
    """The connections that are open, the one that was opened first in front."""

    def __init__(self) -> None:
        self._open: dict[_Connection, asyncio.BaseTransport] = {}

    def take(self, connection: _Connection, transport: asyncio.BaseTransport) -> None:
        """Give a new connection a place; where there is none, the oldest one loses its own."""
        self._open[connection] = transport
        while len(self._open) > PLACES:
            self.abort(next(iter(self._open)))

    def abort(self, connection: _Connection) -> None:
        """End a connection at once, whatever is still to be sent."""
        transport = self._open.pop(connection, None)
        if transport is not None:
            cast("asyncio.WriteTransport", transport).abort()

    def leave(self, connection: _Connection) -> None:
        """Note that a connection has ended."""
        self._open.pop(connection, None)

    def abort_all(self) -> None:
        """End all connections."""
        for connection in tuple(self._open):
            self.abort(connection)


class _Connection(H11Protocol):
    """uvicorn's connection, with a place, an end, and TLS where it is asked for."""

    places: _Places
    secure: Secure | None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._begun = False
        self._early = b""
        self._handshake: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()
        self._end = loop.call_later(PATIENCE, self.places.abort, self)
        self.places.take(self, transport)
        if self.secure is None:
            self._begin(transport)
        elif not transport.is_closing():
            cast("asyncio.ReadTransport", transport).pause_reading()
            self._handshake = loop.create_task(self._secured(transport, self.secure))

    async def _secured(self, transport: asyncio.BaseTransport, secure: Secure) -> None:
        """Begin the connection once its handshake is done; one that fails is nobody's concern."""
        try:
            secured = await asyncio.get_running_loop().start_tls(
                cast("asyncio.WriteTransport", transport), self, secure(), server_side=True
            )
        except (OSError, ssl.SSLError, asyncio.CancelledError):
            self.places.abort(self)
            self._leave()
            return
        if secured is None or secured.is_closing():
            self.places.abort(self)
            self._leave()
        else:
            self._begin(secured)

    def _begin(self, transport: asyncio.BaseTransport) -> None:
        self._begun = True
        super().connection_made(cast("asyncio.Transport", transport))
        if self._early:
            super().data_received(self._early)

    def data_received(self, data: bytes) -> None:
        if self._begun:
            super().data_received(data)
        else:
            self._early += data  # what came with the end of the handshake

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        if self._begun:
            super().connection_lost(exc)

    def _leave(self) -> None:
        self._end.cancel()
        self.places.leave(self)


class _Server(uvicorn.Server):
    """uvicorn's server, which waits to be stopped where that one looks ten times a second."""

    def __init__(self, config: uvicorn.Config, places: _Places) -> None:
        super().__init__(config)
        self._places = places
        self.stopping = asyncio.Event()

    async def main_loop(self) -> None:
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._places.abort_all()
        await super().shutdown(sockets)


class WebServer:
    """Answers on one socket until it is told to stop.

    Args:
        respond: Makes the answers; called by the server's thread, one at a time.
        secure: What connections are secured with; None for clear text.
        log: A structlog logger.
    """

    def __init__(self, respond: Respond, secure: Secure | None, log: Any) -> None:
        self._respond = respond
        self._secure = secure
        self._log = log
        self._lock = threading.Lock()
        self._stopped = False
        self._stop: Callable[[], object] = lambda: None
        self._failing = ""

    def run(self, listening: socket.socket) -> None:
        """Answer on a bound socket, in this thread, until ``stop`` is called; then it is closed."""
        asyncio.run(self._run(listening))

    def stop(self) -> None:
        """Let ``run`` end; safe in any thread, and before it has begun."""
        with self._lock:
            self._stopped = True
            self._stop()

    async def _run(self, listening: socket.socket) -> None:
        places = _Places()
        config = uvicorn.Config(
            cast("Any", self._answer),
            http=cast("Any", type("Connection", (_Connection,), self._of_connections(places))),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="critical",  # its tracebacks may quote a request
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            backlog=BACKLOG,
            h11_max_incomplete_event_size=LONGEST_HEAD,
            timeout_graceful_shutdown=int(GRACE),
        )
        server = _Server(config, places)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._report)
        with self._lock:
            if self._stopped:
                server.stopping.set()
            self._stop = lambda: loop.call_soon_threadsafe(server.stopping.set)
        try:
            await server.serve(sockets=[listening])
        finally:
            with self._lock:
                self._stop = lambda: None

    def _report(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log what nobody has caught, once while it is the same."""
        error = context.get("exception")
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self._tell(Event.HTTP_SERVER_FAILED, error)

    def _tell(self, event: str, error: Exception, **more: str) -> None:
        words = where(error)
        if words != self._failing:
            self._failing = words
            self._log.error(event, error=words, **more)

    def _of_connections(self, places: _Places) -> dict[str, Any]:
        secure = self._secure
        return {"places": places, "secure": None if secure is None else staticmethod(secure)}

    async def _answer(self, scope: dict[str, Any], _receive: Any, send: Any) -> None:
        """Answer one request, as ASGI has it; its body is never asked for."""
        method = scope["method"]
        asked = _headers(scope["headers"])
        answer = self._made(method, scope["path"], scope["query_string"].decode("latin-1"), asked)
        answer = _packed(answer, asked)
        headers = [
            ("content-type", answer.content_type),
            ("content-length", str(len(answer.body))),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("date", formatdate(usegmt=True)),
            ("connection", "close"),
            *answer.headers,
        ]
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        body = b"" if method == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})

    def _made(self, method: str, path: str, query: str, headers: dict[str, str]) -> Answer:
        if method not in _METHODS:
            return _refused(405, "only GET and HEAD are answered", ("allow", ", ".join(_METHODS)))
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            return _refused(413, "no body is read")
        try:
            return self._respond(path, query, headers)
        except Exception as error:  # noqa: BLE001 - one page must not end the others
            self._tell(Event.HTTP_PAGE_FAILED, error, path=path[:80])
            return _refused(500, "this page cannot be made, the log has the place")


def _refused(status: int, words: str, *headers: tuple[str, str]) -> Answer:
    answer = Answer.of_text(words, status)
    return Answer(status, answer.content_type, answer.body, headers)


def _packed(answer: Answer, headers: Mapping[str, str]) -> Answer:
    """Return a long text compressed, for whoever takes that: a page repeats much."""
    taken = "gzip" in headers.get("accept-encoding", "")
    text = answer.content_type.startswith(("text/", "application/json"))
    if not taken or not text or len(answer.body) < WORTH_PACKING:
        return answer
    own = (("content-encoding", "gzip"), ("vary", "accept-encoding"))
    body = gzip.compress(answer.body, compresslevel=3)
    return replace(answer, body=body, headers=(*answer.headers, *own))


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return a request's headers by their names."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}
