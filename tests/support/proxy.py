"""An HTTP proxy before one server: it notes every request and can make trouble at any of them."""

from __future__ import annotations

import contextlib
import http.client
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

_HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})


class Phase(StrEnum):
    """When a hook is called."""

    BEFORE = "before"  # the server has not seen the request
    AFTER = "after"  # the server has answered, the client does not know it yet


@dataclass(slots=True)
class Exchange:
    """One request.

    Attributes:
        path: With its query; a hook may let the server see another one.
        status: Of the answer; 0 before there is one.
        headers: What the client sees in place of the answer's own ones.
    """

    method: str
    path: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def writes(self) -> bool:
        """Whether it may change something."""
        return self.method not in {"GET", "HEAD"}


class Cut(Exception):
    """Raised by a hook: the client's connection is closed without an answer."""


class Answer(Exception):
    """Raised by a hook: what the client is told instead.

    Args:
        missing: How many bytes more are promised than are sent.
        headers: Besides those of the body.
    """

    def __init__(
        self,
        status: int,
        body: bytes,
        content_type: str = "application/json",
        missing: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.content_type = content_type
        self.missing = missing
        self.headers = headers or {}


Hook = Callable[[Exchange, Phase], None]


def no_trouble(_exchange: Exchange, _phase: Phase) -> None:
    """Let everything pass."""


class Proxy:
    """A proxy before a server.

    Args:
        upstream: ``http://host:port`` or ``unix:///path``.
        folder: Where the socket is made for a ``unix://`` upstream.
    """

    def __init__(self, upstream: str, folder: Path) -> None:
        self.exchanges: list[Exchange] = []
        self.hook: Hook = no_trouble
        self._upstream = upstream
        self._streams: set[http.client.HTTPConnection] = set()
        self._server: socketserver.BaseServer
        handler = cast("Any", type("Handler", (_Handler,), {"proxy": self}))
        if upstream.startswith("unix://"):
            listen = folder / "proxy.sock"
            self._server = _UnixServer(str(listen), handler)
            self.address = f"unix://{listen}"
        else:
            tcp = _TcpServer(("127.0.0.1", 0), handler)
            self._server = tcp
            self.address = f"http://127.0.0.1:{tcp.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop it and cut what streams."""
        self._server.shutdown()
        for stream in tuple(self._streams):
            if stream.sock:
                with contextlib.suppress(OSError):
                    stream.sock.shutdown(socket.SHUT_RDWR)
        self._server.server_close()

    def writes(self) -> list[str]:
        """Return the requests that may have changed something, as ``METHOD path``."""
        return [f"{e.method} {e.path}" for e in tuple(self.exchanges) if e.writes]

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection to the server."""
        if self._upstream.startswith("unix://"):
            connection = http.client.HTTPConnection("localhost", timeout=60)
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(self._upstream.removeprefix("unix://"))
        else:
            parts = urlsplit(self._upstream)
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self._streams.add(connection)
        return connection

    def done(self, connection: http.client.HTTPConnection) -> None:
        """Close a connection to the server."""
        self._streams.discard(connection)
        connection.close()


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _forward(self) -> None:
        exchange = Exchange(self.command, self.path)
        self.proxy.exchanges.append(exchange)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection: http.client.HTTPConnection | None = None
        try:
            self.proxy.hook(exchange, Phase.BEFORE)
            connection = self.proxy.connect()
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
            connection.request(self.command, exchange.path, body, headers)
            answer = connection.getresponse()
            exchange.status = answer.status
            if "/events" in self.path:
                self._stream(answer, exchange.headers)
                return
            content = answer.read()
            self.proxy.hook(exchange, Phase.AFTER)
            self._head(answer, exchange.headers)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except Answer as answer_instead:
            exchange.status = answer_instead.status
            self.send_response(answer_instead.status)
            self.send_header("Content-Type", answer_instead.content_type)
            for key, value in answer_instead.headers.items():
                self.send_header(key, value)
            length = len(answer_instead.body) + answer_instead.missing
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(answer_instead.body)
            self.close_connection = self.close_connection or answer_instead.missing > 0
        except (Cut, OSError, http.client.HTTPException):
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
        finally:
            if connection:
                self.proxy.done(connection)

    def _head(self, answer: http.client.HTTPResponse, instead: Mapping[str, str]) -> None:
        self.send_response(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in _HOP_BY_HOP:
                self.send_header(key, instead.get(key, value))

    def _stream(self, answer: http.client.HTTPResponse, instead: Mapping[str, str]) -> None:
        self._head(answer, instead)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        while piece := answer.read1(65536):
            self.wfile.write(piece)
            self.wfile.flush()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _forward  # noqa: N815
