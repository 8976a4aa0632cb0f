"""Servers that answer at once and do nothing else: what a measure then shows is the bridge's own.

``VaultStub`` has the metadata of many paths, ``EngineStub`` a swarm in memory at rest.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from bridge.model.content.payload import Concealed
from bridge.model.identity import Identity
from bridge.model.labels import GOOD, labels_of
from bridge.sources.kv.source import KvPath
from tests.support.fakes.store import Clock, Json
from tests.support.fakes.swarm import FakeSwarm

MOUNT = "secret"
_WRITTEN = "2026-11-01T00:00:00.5Z"
_GOOD = "2026-11-02T00:00:00Z"
_API = "1.47"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: Any

    def setup(self) -> None:
        super().setup()
        if self.request.family != socket.AF_UNIX:
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def address_string(self) -> str:
        return ""

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def _any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        status, answer = self.stub.answer(self.command, self.path, body)
        head = f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nApi-Version: {_API}\r\n"
        if answer is None:  # a stream of which nothing comes
            self.wfile.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            self.stub.over.wait()
            self.close_connection = True
            return
        self.wfile.write(f"{head}Content-Length: {len(answer)}\r\n\r\n".encode() + answer)

    do_GET = do_POST = do_LIST = do_PUT = _any  # noqa: N815 - the names that the library calls


class _UnixServer(ThreadingHTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)


class _Stub:
    def __init__(self, server: Callable[[Any], ThreadingHTTPServer]) -> None:
        self.over = threading.Event()
        self.requests = 0
        self._server = server(cast("Any", type("Handler", (_Handler,), {"stub": self})))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop it."""
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


class VaultStub(_Stub):
    """Metadata of KV v2 paths, all at version 1.

    Args:
        flat: Whether they are in one folder, which it lists whole as OpenBao does; else each is
            in a folder of its own, so that it is read alone.

    Attributes:
        address: Where it listens.
        requests: How many paths were read, by themselves or in a list.
    """

    def __init__(self, count: int, *, flat: bool = False) -> None:
        super().__init__(lambda handler: ThreadingHTTPServer(("127.0.0.1", 0), handler))
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        version = {"created_time": _WRITTEN, "deletion_time": "", "destroyed": False}
        document = {
            "created_time": _WRITTEN,
            "updated_time": _WRITTEN,
            "current_version": 1,
            "oldest_version": 0,
            "max_versions": 0,
            "custom_metadata": None,
            "cas_required": False,
            "delete_version_after": "0s",
            "versions": {"1": version},
        }
        self._info, self._flat = document, flat
        self._document = json.dumps({"request_id": "x", "data": document}).encode()
        paths = [path_of(number, flat=flat) for number in range(count)]
        self._places = {f"/v1/{MOUNT}/metadata/{path}" for path in paths}
        self._names = sorted(path.removeprefix("apps/") for path in paths)
        self._pages: dict[str, tuple[int, bytes]] = {}

    def answer(self, method: str, path: str, _body: Any) -> tuple[int, bytes]:
        """Return status and body for a request."""
        if method == "GET" and path in self._places:
            self.requests += 1
            return 200, self._document
        if self._flat and path.startswith(f"/v1/{MOUNT}/detailed-metadata/apps/?"):
            count, page = self._page(path)
            self.requests += count
            return 200, page
        if path == "/v1/sys/health":
            return 200, b'{"initialized": true, "sealed": false, "standby": false}'
        if path == "/v1/auth/token/lookup-self":
            return 200, b'{"data": {"ttl": 0, "renewable": false, "policies": ["root"]}}'
        return 404, b'{"errors": []}'

    def _page(self, path: str) -> tuple[int, bytes]:
        """Return how many names a list has, and the list."""
        if path not in self._pages:
            query = parse_qs(urlsplit(path).query)
            after, limit = query["after"][0], int(query["limit"][0])
            names = [name for name in self._names if name > after][:limit]
            data = {"keys": names, "key_info": dict.fromkeys(names, self._info)}
            answer = json.dumps({"request_id": "x", "data": data}).encode()
            self._pages[path] = len(names), answer
        return self._pages[path]


class EngineStub(_Stub):
    """A swarm at rest, in which the first version of each secret is mirrored and good.

    Args:
        count: How many secrets it has.
        services: How many services share them, with one task each.
        flat: As of the ``VaultStub``.
    """

    def __init__(self, path: Path, count: int, services: int, *, flat: bool = False) -> None:
        self.swarm = FakeSwarm(Clock())
        references: list[list[Json]] = [[] for _ in range(services)]
        for number in range(count):
            name = name_of(number)
            source = KvPath("", MOUNT, path_of(number, flat=flat))
            labels = labels_of("default", name, Identity(source, _WRITTEN, 1, _WRITTEN))
            labels = {**labels, GOOD: _GOOD}
            made = self.swarm.create_secret(f"{name}_v1", Concealed(b"v"), labels)
            if services:
                file = {"Name": name, "UID": "0", "GID": "0", "Mode": 0o444}
                reference = {"SecretID": made, "SecretName": f"{name}_v1", "File": file}
                references[number % services].append(reference)
        for number, each in enumerate(references):
            self.swarm.deploy(service_of(number), 1, "pause", secrets=each)
        self._lock = threading.Lock()
        self._known: dict[str, bytes] = {}
        super().__init__(lambda handler: _UnixServer(cast("Any", str(path)), handler))

    def answer(self, method: str, path: str, body: Any) -> tuple[int, bytes | None]:
        """Return status and body for a request; no body for the stream of events."""
        self.requests += 1
        parts = urlsplit(path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        words = parts.path.strip("/").split("/")
        if words[0].startswith("v1."):
            words = words[1:]
        if words == ["events"]:
            return 200, None
        with self._lock:
            return 200, self._answer(method, words, query, body)

    def _answer(self, method: str, words: list[str], query: Json, body: Any) -> bytes:
        swarm = self.swarm
        match method, words:
            case "GET", ["version"]:
                return json.dumps({"ApiVersion": _API, "Version": "28.0"}).encode()
            case "GET", ["configs"]:
                (name,) = json.loads(query["filters"])["name"]
                found = swarm.config(name)
                return json.dumps([found] if found else []).encode()
            case "POST", ["configs", "create"]:
                made = swarm.create_config(body["Name"], b"", body["Labels"])
                return json.dumps({"ID": made}).encode()
            case "POST", ["configs", config_id, "update"]:
                config = {
                    "ID": config_id,
                    "Spec": body,
                    "Version": {"Index": int(query["version"])},
                }
                swarm.set_config_labels(config, body["Labels"])
                return b""
            case "GET", ["services" | "tasks" | "nodes" | "secrets" as kind]:
                if kind not in self._known:
                    self._known[kind] = json.dumps(getattr(swarm, kind)()).encode()
                return self._known[kind]
            case _:
                return b"{}"


def name_of(number: int) -> str:
    """Return the name of a secret."""
    return f"app_{number:05d}_password"


def path_of(number: int, *, flat: bool = False) -> str:
    """Return where a secret is in Vault: all in one folder, or each in its own."""
    return f"apps/app{number:05d}" + ("" if flat else "/db")


def service_of(number: int) -> str:
    """Return the name of a service."""
    return f"shop_{number:05d}_api"


def configuration(
    folder: Path, count: int, services: int, *, flat: bool = False, **settings: Any
) -> Path:
    """Write a configuration of so many secrets; returns its path.

    Args:
        flat: As of the ``VaultStub``.
        settings: ``vault`` has the address, and all else besides the secrets as the file has it.
    """
    (folder / "token").write_text("t")
    vault = {"auth": {"method": "token", "token_file": "token"}, **settings.pop("vault")}
    head = json.dumps({"vault": vault, **settings})[1:-1]
    entries = []
    for number in range(count):
        users = f"{service_of(number % services)}: {{}}" if services else ""
        entries.append(
            f"  {name_of(number)}:\n"
            f"    kv: {{mount: {MOUNT}, path: {path_of(number, flat=flat)}, field: password}}\n"
            f"    services: {{{users}}}\n"
        )
    file = folder / "bridge.yaml"
    lines = [f"{key}: {json.dumps(value)}\n" for key, value in json.loads(f"{{{head}}}").items()]
    file.write_text("".join(lines) + "secrets:\n" + "".join(entries))
    return file
