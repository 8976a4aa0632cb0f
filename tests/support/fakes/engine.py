"""An engine's HTTP API in memory, as strict as the real one about API versions."""

from __future__ import annotations

import copy
import json
import re
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

Json = dict[str, Any]
Version = tuple[int, ...]

_SINCE: dict[str, Version] = {"CapabilityAdd": (1, 41), "OomScoreAdj": (1, 46)}
"""Fields of a ContainerSpec, and the first API version that knows them."""


class FakeEngine:
    """An engine with services of which only the specs matter.

    Attributes:
        api: Its API version; it may change at any time, as if another engine had been started.
        least: The oldest API version that it accepts.
        requests: All that it was asked, as ``METHOD path`` without the query.
        targets: The same with the query, as it was sent.
        headers: The headers of the latest request.
        forbidden: The end of paths that it answers with 403; empty for none.
        services: Specs by id.
        moved: Where it redirects all but the question for its version; empty for nowhere.

    Args:
        folder: For its socket; None for a port.
    """

    def __init__(self, folder: Path | None = None, api: str = "1.41", least: str = "1.12") -> None:
        self.api = api
        self.least = least
        self.requests: list[str] = []
        self.targets: list[str] = []
        self.forbidden = ""
        self.headers: dict[str, str] = {}
        self.services: dict[str, Json] = {}
        self.moved = ""
        self.over = threading.Event()
        handler = cast("Any", type("Handler", (_Handler,), {"engine": self}))
        self._server: socketserver.BaseServer
        if folder:
            self._server = _UnixServer(str(folder / "fake.sock"), handler)
            self.address = f"unix://{folder}/fake.sock"
        else:
            tcp = _TcpServer(("127.0.0.1", 0), handler)
            self._server = tcp
            self.address = f"tcp://127.0.0.1:{tcp.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Stop it."""
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def versions(self, path: str) -> list[str]:
        """Return the API versions at which a path was asked for, in their order."""
        found = (re.fullmatch(rf"\w+ /v([\d.]+){re.escape(path)}", r) for r in self.requests)
        return [match[1] for match in found if match]

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Return the status and the body of an answer."""
        if self.forbidden and path.endswith(self.forbidden):
            return 403, {"message": "not for you"}
        if path == "/version":
            document = {"Version": "0", "ApiVersion": self.api, "MinAPIVersion": self.least}
            return 200, document if self.api else {}
        match = re.fullmatch(r"/v([\d.]+)(/.*)", path)
        version = match[1] if match else self.api
        refusal = self._refusal(version)
        if refusal:
            return 400, {"message": refusal}
        return self._answer(method, match[2] if match else path, _numbers(version), body)

    def _refusal(self, version: str) -> str:
        if _numbers(version) < _numbers(self.least):
            return (
                f"client version {version} is too old. Minimum supported API version is"
                f" {self.least}, please upgrade your client to a newer version"
            )
        if _numbers(version) > _numbers(self.api):
            return (
                f"client version {version} is too new. Maximum supported API version is {self.api}"
            )
        return ""

    def _answer(self, method: str, path: str, version: Version, body: Any) -> tuple[int, Any]:
        parts = path.strip("/").split("/")
        if (method, path) == ("POST", "/services/create"):
            made = f"s{len(self.services)}"
            self.services[made] = _known(body, version)
            return 201, {"ID": made}
        if parts[0] == "services" and len(parts) > 1 and parts[1] not in self.services:
            return 404, {"message": f"service {parts[1]} not found"}
        match method, parts:
            case "GET", ["services", service]:
                return 200, {"ID": service, "Version": {"Index": 1}, "Spec": self.services[service]}
            case "POST", ["services", service, "update"]:
                self.services[service] = _known(body, version)
                return 200, {"Warnings": None}
            case "DELETE", ["services", service]:
                del self.services[service]
                return 200, None
            case _:
                return 200, {"ID": "x"}


def _known(spec: Json, version: Version) -> Json:
    """Return what an API version keeps of a spec: it deletes what it does not know, silently."""
    made = copy.deepcopy(spec)
    container = made["TaskTemplate"]["ContainerSpec"]
    for field, since in _SINCE.items():
        if version < since:
            container.pop(field, None)
    return made


def _numbers(version: str) -> Version:
    return tuple(map(int, version.split(".")))


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    engine: FakeEngine
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _do(self) -> None:
        engine, path = self.engine, urlsplit(self.path).path
        engine.requests.append(f"{self.command} {path}")
        engine.targets.append(f"{self.command} {self.path}")
        engine.headers = dict(self.headers.items())
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, body = engine.answer(self.command, path, json.loads(content) if content else None)
        if engine.moved and path != "/version":
            status, body = 307, None
        self.send_response(status)
        if status == 307:
            self.send_header("Location", engine.moved + self.path)
        self.send_header("Content-Type", "application/json")
        self.send_header("Api-Version", engine.api)
        if path.endswith("/events") and status == 200:
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            self.wfile.flush()
            engine.over.wait()
            return
        answer = b"" if body is None else json.dumps(body).encode()
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_DELETE = _do  # noqa: N815
