"""Whoever asks over HTTP gets an answer, whatever others do, and sees nothing without the token."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.check.http_server import check_http
from bridge.config import Configuration, load
from bridge.model.cycle_report import CycleReport
from bridge.model.findings import Level
from bridge.model.settings import HttpSettings
from bridge.publish import routes, web, web_server
from bridge.publish.web import Web
from bridge.publish.web_server import PLACES
from bridge.pulse import Pulse
from bridge.report.answers import Answer, Known
from tests.support.certificates import Authority
from tests.support.processes import eventually, free_port

TOKEN = "canary-token-of-the-http-server"
LARGE = b"x" * (8 << 20)
"""More than the buffers of both sides hold."""


ASKS_MUCH = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
ASKS_HALF = b"GET /livez HTTP/1.1\r\nHost:"


def _received(client: socket.socket) -> bytes:
    parts = []
    with suppress(ConnectionResetError):
        while part := client.recv(1 << 20):
            parts.append(part)
    return b"".join(parts)


class _Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        return lambda event, **fields: self.lines.append((event, fields))

    def of(self, event: str) -> list[dict[str, Any]]:
        return [fields for found, fields in self.lines if found == event]


class _Shown:
    """An outlet that listens, and its configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = _Log()
        self.pulse = Pulse()
        self.port = free_port()
        self.outlet = Web(self.pulse, self.log)

    def configure(self, **http: str) -> None:
        """Go by a configuration with these keys of ``http``, and wait until it answers."""
        self.outlet.configure(self.configuration(listen=f":{self.port}", **http))
        self.wait()

    def configuration(self, **http: str) -> Configuration:
        file = self.folder / "bridge.yaml"
        file.write_text(
            "vault: {address: 'http://127.0.0.1:1', auth: {method: token, token_file: t}}\n"
            f"http: {json.dumps(http)}\n"
        )
        return load(str(file), {})

    def wait(self, times: int = 1) -> None:
        eventually(lambda: len(self.log.of("http_listening")) >= times)

    def get(
        self,
        path: str,
        method: str = "GET",
        body: bytes = b"",
        tls: ssl.SSLContext | None = None,
        **headers: str,
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask; returns status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        if tls:
            connection = http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=30, context=tls
            )
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        content = answer.read()
        connection.close()
        return answer.status, found, content

    def open_connections(self) -> int:
        """Return how many connections to the port this process has accepted and not ended."""
        rows = [row.split() for row in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
        ours = [row for row in rows if row[1].endswith(f":{self.port:04X}")]
        listens, nobody = "0A", "0"
        return sum(row[3] != listens and row[9] != nobody for row in ours)

    def client(self, send: bytes = b"") -> socket.socket:
        """Connect, send something, and do nothing more."""
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", self.port))
        slow.sendall(send)
        return slow


class _Tls:
    """A certificate, which can be renewed by another authority."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = folder / "tls.pem", folder / "tls.key"
        self.keys = {"cert_file": str(self.certificate), "key_file": str(self.key)}
        self._folder = folder

    def renew(self, name: str) -> ssl.SSLContext:
        """Put another pair in place; returns what trusts that alone."""
        authority = Authority(self._folder / name)
        for file, new in zip((self.certificate, self.key), authority.issue(name), strict=True):
            file.write_bytes(new.read_bytes())
        return ssl.create_default_context(cafile=str(authority.file))


@pytest.fixture
def tls(tmp_path: Path) -> _Tls:
    return _Tls(tmp_path)


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Shown]:
    def large(_: Known) -> Answer:
        return Answer(200, "text/plain", LARGE)

    def broken(_: Known) -> Answer:
        raise ValueError(TOKEN)

    def query(known: Known) -> Answer:
        return Answer.of_text(known.query)

    whole = routes.pages
    more = {"/large": large, "/broken": broken, "/query": query}
    monkeypatch.setattr(routes, "pages", lambda metrics: {**whole(metrics), **more})
    monkeypatch.setattr(web, "RETRY", 0.05)
    made = _Shown(tmp_path)
    yield made
    made.outlet.close()
    assert TOKEN not in str(made.log.lines)


def test_it_answers_what_it_knows_and_nothing_else(shown: _Shown) -> None:
    shown.configure()
    status, headers, body = shown.get("/livez")
    assert (status, body) == (200, b"starts: the first cycle has not ended yet\n")
    assert headers["connection"] == "close"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers
    assert shown.get("/livez", "HEAD") == (
        200,
        {**headers, "date": shown.get("/livez")[1]["date"]},
        b"",
    )
    assert shown.get("/livez?x=1")[0] == 200
    assert shown.get("/etc/passwd")[0] == 404
    assert shown.get("/livez", "POST", b"{}")[0] == 405
    assert shown.get("/livez", "GET", b"a body")[0] == 413
    status, _, body = shown.get("/broken")
    assert status == 500
    assert TOKEN.encode() not in body
    shown.get("/broken")
    assert len(shown.log.of("http_page_failed")) == 1


def test_a_bridge_is_ready_when_it_has_what_it_needs(shown: _Shown) -> None:
    shown.configure()
    status, _, body = shown.get("/readyz")
    assert status == 503
    assert json.loads(body)["reasons"] == ["no cycle has ended yet"]
    stands_by = CycleReport(at=time.time(), took=0.1, leader="other-host")
    shown.outlet.publish(stands_by)
    status, _, body = shown.get("/readyz")
    assert (status, json.loads(body)["role"]) == (200, "stands by")
    status, _, body = shown.get("/status.json")
    assert status == 503
    assert "other-host" in json.loads(body)["message"]
    shown.pulse.refused = ("bridge.yaml:3: secrets: it is not taken",)
    status, _, body = shown.get("/readyz")
    assert status == 503
    assert "it is not taken" in json.loads(body)["reasons"][0]
    shown.pulse.refused = ()
    shown.outlet.publish(replace(stands_by, trouble="no usable answer from the engine"))
    assert json.loads(shown.get("/readyz")[2])["reasons"] == ["no usable answer from the engine"]


def test_the_status_page_is_there_with_its_policy_and_compressed(shown: _Shown) -> None:
    shown.configure()
    shown.outlet.publish(CycleReport(at=time.time(), took=0.1, leader="other-host"))
    shown.pulse.ended(1.0, "other-host", None)
    status, headers, plain = shown.get("/?q=a&state=needs")
    assert status == 200
    assert b"the one on other-host leads" in plain
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-security-policy"].startswith("default-src 'none'; ")
    assert "content-encoding" not in headers
    takes: dict[str, Any] = {"accept-encoding": "br, gzip"}
    _, headers, packed = shown.get("/", **takes)
    assert headers["content-encoding"] == "gzip"
    assert len(packed) < len(plain) / 2
    assert b"the one on other-host leads" in gzip.decompress(packed)
    assert shown.get("/query?q=a+b")[2] == b"q=a+b\n"
    assert "content-encoding" not in shown.get("/query?q", **takes)[1]


def test_slow_clients_keep_nobody_out(shown: _Shown) -> None:
    """More of them than there are places: some send nothing, some half, and some read nothing."""
    shown.configure()
    with ExitStack() as clients:
        for _ in range(PLACES // 2):
            for words in (
                b"",
                b"GET /livez HTTP/1.1\r\nHost:",
                b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
            ):
                clients.enter_context(shown.client(words))
            assert shown.get("/livez")[0] == 200
        assert len(shown.get("/large")[2]) == len(LARGE)
        assert 0 < shown.open_connections() <= PLACES


def test_slow_clients_of_tls_keep_nobody_out(shown: _Shown, tls: _Tls) -> None:
    trusting = tls.renew("first")
    shown.configure(**tls.keys)
    with ExitStack() as clients:
        for _ in range(PLACES):
            clients.enter_context(shown.client(b""))
            clients.enter_context(shown.client(b"\x16\x03\x01"))
        clients.enter_context(shown.client(b"GET / HTTP/1.1\r\n\r\n"))
        assert shown.get("/livez", tls=trusting)[0] == 200
        assert 0 < shown.open_connections() <= PLACES


def test_no_connection_is_open_for_ever(shown: _Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "PATIENCE", 0.1)
    shown.configure()
    with shown.client() as idle, shown.client(ASKS_MUCH) as deaf:
        assert idle.recv(1) == b""
        assert len(_received(deaf)) < len(LARGE)


def test_a_renewed_certificate_is_used_and_a_bad_one_never(shown: _Shown, tls: _Tls) -> None:
    first = tls.renew("first")
    shown.configure(**tls.keys)
    assert shown.get("/livez", tls=first)[0] == 200
    key = tls.key.read_bytes()
    tls.key.write_text("-----BEGIN PRIVATE KEY-----\n")
    assert shown.get("/livez", tls=first)[0] == 200
    assert len(shown.log.of("http_file_rejected")) == 1
    tls.key.write_bytes(key)
    second = tls.renew("second")
    assert shown.get("/livez", tls=second)[0] == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        shown.get("/livez", tls=first)


def test_nothing_is_shown_without_the_token(shown: _Shown) -> None:
    file = shown.folder / "token"
    file.write_text(f"{TOKEN}\n")
    shown.configure(token_file=str(file))
    status, headers, body = shown.get("/livez")
    assert (status, "cycle" in body.decode()) == (401, False)
    assert headers["www-authenticate"].startswith("Bearer, Basic ")
    for wrong in ("Bearer", "Bearer x", f"Bearer {TOKEN}x", f"Digest {TOKEN}", "Basic ?", TOKEN):
        assert shown.get("/livez", Authorization=wrong)[0] == 401
    assert shown.get("/unknown", Authorization="Bearer x")[0] == 401
    assert shown.get("/livez", Authorization=f"Bearer {TOKEN}")[0] == 200
    basic = base64.b64encode(f"anybody:{TOKEN}".encode()).decode()
    assert shown.get("/livez", Authorization=f"Basic {basic}")[0] == 200
    file.write_text("another")
    assert shown.get("/livez", Authorization=f"Bearer {TOKEN}")[0] == 401
    assert shown.get("/livez", Authorization="Bearer another")[0] == 200


def test_check_names_a_file_that_cannot_be_used(tmp_path: Path, tls: _Tls) -> None:
    trusted = HttpSettings(host="0.0.0.0", port=1)
    tls.renew("first")
    token = tmp_path / "token"
    token.write_text(TOKEN)
    certificate, key = tls.keys["cert_file"], tls.keys["key_file"]
    whole = replace(trusted, cert_file=certificate, key_file=key, token_file=str(token))
    (finding,) = check_http(whole)
    assert finding.level == Level.OK
    assert finding.message == "answers for other machines too, with TLS; a token is needed"
    for broken in (
        replace(whole, token_file=f"{tmp_path}/none"),
        replace(whole, key_file=str(token)),
        replace(whole, cert_file=f"{tmp_path}/none"),
    ):
        (finding,) = check_http(broken)
        assert finding.level == Level.ERROR
        assert str(tmp_path) in finding.message
        assert TOKEN not in finding.message


@contextmanager
def _taken(port: int) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", port)):
        yield


def test_it_listens_as_soon_as_it_can(shown: _Shown) -> None:
    with _taken(shown.port):
        shown.outlet.configure(shown.configuration(listen=f":{shown.port}"))
        eventually(lambda: bool(shown.log.of("http_failed")))
    shown.wait()
    assert shown.get("/livez")[0] == 200
    (line,) = shown.log.of("http_failed")
    assert "Address already in use" in line["message"]


def test_it_waits_for_its_files(shown: _Shown) -> None:
    file = shown.folder / "not-yet"
    shown.outlet.configure(shown.configuration(listen=f":{shown.port}", token_file=str(file)))
    eventually(lambda: bool(shown.log.of("http_failed")))
    file.write_text(TOKEN)
    shown.wait()
    assert shown.get("/livez", Authorization=f"Bearer {TOKEN}")[0] == 200


def test_it_follows_its_configuration(shown: _Shown) -> None:
    shown.configure()
    former = shown.port
    shown.configure()
    assert len(shown.log.of("http_listening")) == 1  # the same server goes on
    shown.port = free_port()
    shown.outlet.configure(shown.configuration(listen=f":{shown.port}"))
    shown.wait(2)
    assert shown.get("/livez")[0] == 200
    with _taken(former):
        pass
    configuration = shown.configuration(listen=":1")
    settings = replace(configuration.settings, http=None)
    shown.outlet.configure(replace(configuration, settings=settings))
    with _taken(shown.port):
        pass


def test_it_listens_on_any_network_that_it_is_told(shown: _Shown) -> None:
    shown.outlet.configure(shown.configuration(listen=f"[::1]:{shown.port}"))
    shown.wait()
    (line,) = shown.log.of("http_listening")
    assert line["address"] == f"http://[::1]:{shown.port}"
    for times, everywhere in enumerate(("0.0.0.0", "[::]"), 2):
        shown.outlet.configure(shown.configuration(listen=f"{everywhere}:{shown.port}"))
        shown.wait(times)
        assert shown.get("/livez")[0] == 200
