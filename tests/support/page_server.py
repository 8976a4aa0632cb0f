"""The status page of a made up scene, on a port of this machine, as a browser gets it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bridge.report.answers import Known
from bridge.report.page.html_page import status_page


class PageServer:
    """Serves the page of one moment, which tests change.

    Attributes:
        known: What the bridge knows now; None while it does not answer.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.known: Known | None = None


@contextmanager
def serving() -> Iterator[PageServer]:
    """Serve until the end of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(lambda: shown.known))
    shown = PageServer(f"http://127.0.0.1:{server.server_port}/")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield shown
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(look: Callable[[], Known | None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            known = look()
            if known is None or path != "/":
                self.send_error(404 if known else 503)
                return
            answer = status_page(replace(known, query=query))
            self.send_response(answer.status)
            self.send_header("content-type", answer.content_type)
            self.send_header("content-length", str(len(answer.body)))
            for name, value in answer.headers:
                self.send_header(name, value)
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):  # the browser went on
                self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
            """Print nothing."""

    return Handler
