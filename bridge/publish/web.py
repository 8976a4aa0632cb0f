"""The outlet that answers over HTTP: it keeps the latest cycle for whoever asks."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bridge.config import Configuration
from bridge.errors import BridgeError
from bridge.logs import where
from bridge.model.cycle_report import CycleReport
from bridge.model.events import Event
from bridge.model.settings import HttpSettings
from bridge.pulse import Pulse

if TYPE_CHECKING:
    from bridge.publish.web_server import WebServer
    from bridge.report.answers import Answer, Page
    from bridge.report.metrics import Metrics

RETRY = 5.0
"""Seconds before it is tried again to listen, where the port is taken or a file cannot be used."""

END = 3.0
"""Seconds that the thread has to end."""


class Web:
    """Shows how the bridge is over HTTP, where ``http`` is configured; otherwise it does nothing.

    Args:
        pulse: What the bridge knows of itself.
        log: A structlog logger.
    """

    name = "http"

    def __init__(self, pulse: Pulse, log: Any) -> None:
        self._pulse = pulse
        self._log = log
        self._configuration: Configuration | None = None
        self._latest: tuple[CycleReport | None, CycleReport | None] = None, None
        """The latest cycle, and what was seen: one value, as another thread reads it."""
        self._listening: _Listening | None = None
        self._metrics: Metrics | None = None

    def configure(self, configuration: Configuration) -> None:
        """Listen as the configuration says; a server goes on where nothing of that has changed."""
        self._configuration = configuration
        settings = configuration.settings.http
        if self._listening is not None and self._listening.settings == settings:
            return
        self.close()
        if settings is not None:
            # Only where it is asked for is any of it imported.
            from bridge.publish.routes import pages  # noqa: PLC0415
            from bridge.report.metrics import Metrics  # noqa: PLC0415

            self._metrics = self._metrics or Metrics()
            self._listening = _Listening(settings, self, pages(self._metrics), self._log)

    def publish(self, report: CycleReport) -> None:
        """Keep a cycle for whoever asks."""
        _, seen = self._latest
        if report.leads:
            seen = report
        elif not report.trouble:
            seen = None
        self._latest = report, seen
        if self._metrics is not None:
            self._metrics.observe(report)

    def close(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def answer(self, page: Page, query: str = "", accept: str = "") -> Answer:
        """Make the answer of a page, of what is known now.

        Args:
            query: What follows the ``?`` in the address that was asked for.
            accept: The header of that name of the request.
        """
        from bridge.report.answers import Known  # noqa: PLC0415 - as above

        configuration = self._configuration
        if configuration is None:
            raise AssertionError("nothing is asked before there is a configuration")
        report, seen = self._latest
        vitals, age = self._pulse.look()
        known = Known(
            now=time.time(),
            desired=configuration.desired,
            settings=configuration.settings,
            vitals=vitals,
            age=age,
            report=report,
            seen=seen,
            refused=self._pulse.refused,
            query=query,
            accept=accept,
        )
        return page(known)


class _Listening:
    """A thread that listens by some settings, and tries again where it cannot."""

    def __init__(
        self, settings: HttpSettings, web: Web, pages: Mapping[str, Page], log: Any
    ) -> None:
        self.settings = settings
        self._web = web
        self._pages = pages
        self._log = log
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._server: WebServer | None = None
        self._told = ""
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._over.set()
        with self._lock:
            if self._server is not None:
                self._server.stop()
        self._thread.join(END)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._listen()
            except (OSError, BridgeError) as error:
                self._tell(self._words(error))
            except Exception as error:  # noqa: BLE001 - rotations go on, and it is tried again
                self._tell(f"unexpected error: {where(error)}")
            self._over.wait(RETRY)

    def _listen(self) -> None:
        """Listen until it is over. Raises ``OSError`` and ``BridgeError`` where that cannot be."""
        from bridge.http_files import Followed, Token, server_context  # noqa: PLC0415
        from bridge.publish.web_server import BACKLOG, WebServer  # noqa: PLC0415

        given = self.settings
        pair = given.cert_file, given.key_file
        secure = (
            Followed(pair, lambda: server_context(*pair), self._log) if given.cert_file else None
        )
        file = given.token_file
        token = Followed((file,), lambda: Token(file), self._log) if file else None

        def respond(path: str, query: str, headers: Mapping[str, str]) -> Answer:
            if token is not None and not token().admits(headers.get("authorization", "")):
                return _denied()
            page = self._pages.get(path)
            accept = headers.get("accept", "")
            return self._web.answer(page, query, accept) if page else _missing()

        family, place = _resolved(given.host, given.port)
        both = given.host == "::" and socket.has_dualstack_ipv6()
        listening = socket.create_server(place, family=family, backlog=BACKLOG, dualstack_ipv6=both)
        server = WebServer(respond, secure, self._log)
        with self._lock:
            if self._over.is_set():
                listening.close()
                return
            self._server = server
        host, port = listening.getsockname()[:2]
        self._told = ""
        scheme = "https" if secure else "http"
        shown = f"[{host}]" if ":" in host else host
        self._log.info(Event.HTTP_LISTENING, address=f"{scheme}://{shown}:{port}")
        try:
            server.run(listening)
        finally:
            listening.close()

    def _words(self, error: Exception) -> str:
        if isinstance(error, BridgeError):
            return str(error)
        words = getattr(error, "strerror", None) or type(error).__name__
        return f"cannot listen on {self.settings.host}:{self.settings.port} ({words})"

    def _tell(self, words: str) -> None:
        """Log why nobody can ask, once while it is the same."""
        if words != self._told:
            self._told = words
            self._log.error(
                Event.HTTP_FAILED,
                message=f"{words}: see `http`; it is tried again every few seconds",
            )


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Return where to listen. Raises ``OSError`` where a name is not known."""
    flags = socket.AI_PASSIVE
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    family, _, _, _, place = found[0]
    return family, (str(place[0]), int(place[1]))


def _denied() -> Answer:
    from bridge.report.answers import Answer  # noqa: PLC0415 - as above

    words = "a token is needed, see `http.token_file`\n"
    asked = (("www-authenticate", 'Bearer, Basic realm="vault-bridge", charset="UTF-8"'),)
    return Answer(401, "text/plain; charset=utf-8", words.encode(), asked)


def _missing() -> Answer:
    from bridge.report.answers import Answer  # noqa: PLC0415 - as above

    return Answer.of_text("there is nothing here", 404)
