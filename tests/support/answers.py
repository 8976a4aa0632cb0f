"""A small HTTP server that answers what a test tells it, and notes what it is asked."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer.

    Attributes:
        body: What is sent; anything but bytes is sent as JSON.
        length: The Content-Length that is claimed; that of the body where absent.
        before: Called before it is sent: to wait, or to raise ``ConnectionError`` for no answer.
    """

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    before: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as it came."""

    method: str
    path: str
    headers: dict[str, str]


class Answers:
    """The server.

    Attributes:
        reply: Gives the answer to a request.
        requests: All that came.
    """

    def __init__(self) -> None:
        self.reply: Callable[[Request], Reply] = lambda _request: Reply(404, {"errors": []})
        self.requests: list[Request] = []
        handler = cast("Any", type("Handler", (_Handler,), {"answers": self}))
        self._server = _Server(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()

    def asked(self, part: str) -> list[Request]:
        """Return the requests whose path has this in it."""
        return [request for request in self.requests if part in request.path]


@contextmanager
def answers() -> Iterator[Answers]:
    """Run a server."""
    server = Answers()
    try:
        yield server
    finally:
        server.close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    answers: Answers
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, dict(self.headers.items()))
        self.answers.requests.append(request)
        reply = self.answers.reply(request)
        try:
            reply.before()
        except ConnectionError:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for key, value in reply.headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body) if reply.length is None else reply.length))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.close_connection or reply.length is not None

    do_GET = do_POST = do_PUT = do_LIST = _answer  # noqa: N815
