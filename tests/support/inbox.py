"""Receivers of notifications in the test: over HTTP, by mail, and one that never answers."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.processes import free_port

Json = dict[str, Any]


class WebInbox:
    """A webhook that keeps what it gets.

    Attributes:
        status: What it answers with.
        location: Where it sends who posts, with a status of a redirect.
    """

    def __init__(self) -> None:
        self.got: list[Json] = []
        self.paths: list[str] = []
        self.status = 200
        self.location = ""
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                inbox.paths.append(self.path)
                if inbox.status == 200:
                    inbox.got.append(json.loads(body))
                self.send_response(inbox.status)
                if inbox.location:
                    self.send_header("Location", inbox.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST  # noqa: N815

            def log_message(self, *arguments: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def address(self) -> str:
        """Its host and port."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def titles(self) -> list[str]:
        """The titles of all messages, in the order in which they came."""
        return [message["title"] for message in self.got]

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class MailInbox:
    """An SMTP server that keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[Envelope] = []
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())
        self._controller.start()

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Keep a mail."""
        self.got.append(envelope)
        return "250 OK"

    @property
    def address(self) -> str:
        """Its host and port."""
        return f"127.0.0.1:{self._controller.port}"

    def close(self) -> None:
        """End it."""
        self._controller.stop()


class HangingInbox:
    """Takes connections and never answers."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._taken: list[socket.socket] = []
        self._thread = threading.Thread(target=self._take)
        self._thread.start()

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                self._taken.append(self._listening.accept()[0])

    @property
    def connections(self) -> int:
        """How many connections it has taken."""
        return len(self._taken)

    @property
    def address(self) -> str:
        """Its host and port."""
        return f"127.0.0.1:{self._listening.getsockname()[1]}"

    def close(self) -> None:
        """Take no more, and cut all."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()
        for taken in self._taken:
            taken.close()
