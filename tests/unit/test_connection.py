"""The engine's API version is always its own, and nothing but the engine sees a request."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from bridge.clock import boot_clock
from bridge.errors import BridgeError, SwarmUnreachable
from bridge.model.content.payload import Concealed
from bridge.model.settings import DockerSettings
from bridge.servers.swarm import Swarm, connection
from tests.support.certificates import Authority
from tests.support.fakes import FakeEngine, Json


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    made = FakeEngine(tmp_path)
    yield made
    made.close()


@pytest.fixture
def swarm(engine: FakeEngine) -> Iterator[Swarm]:
    made = Swarm(DockerSettings(engine.address))
    yield made
    made.close()


def _write(swarm: Swarm) -> None:
    swarm.create_secret("db_v1", Concealed(b"x"), {})


def _read(swarm: Swarm) -> None:
    swarm.info()


@pytest.mark.parametrize("call", [_read, _write])
@pytest.mark.parametrize(("before", "after"), [("1.41", "1.52"), ("1.52", "1.41")])
def test_another_engine_that_refuses_the_version_is_asked_for_its_own(
    engine: FakeEngine, swarm: Swarm, before: str, after: str, call: Callable[[Swarm], None]
) -> None:
    engine.api = before
    call(swarm)
    engine.api, engine.least = after, "1.41" if after == "1.41" else "1.44"
    call(swarm)
    call(swarm)
    path = "/info" if call is _read else "/secrets/create"
    assert engine.versions(path) == [before, before, after, after]


def test_another_engine_that_accepts_the_old_version_loses_no_field(
    engine: FakeEngine, swarm: Swarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I3: it was exchanged between the look at the service and the write."""
    container: Json = {"Image": "i", "CapabilityAdd": ["CAP_CHOWN"]}
    engine.services["s0"] = {"TaskTemplate": {"ContainerSpec": container}}
    raw = swarm.service("s0")
    now = boot_clock()
    monkeypatch.setattr(connection, "boot_clock", lambda: now + 1.0)  # what an exchange takes
    engine.api = "1.52"
    container["OomScoreAdj"] = 7
    swarm.update_service("s0", raw["Version"]["Index"], engine.services["s0"])
    kept = engine.services["s0"]["TaskTemplate"]["ContainerSpec"]
    assert kept == {"Image": "i", "CapabilityAdd": ["CAP_CHOWN"], "OomScoreAdj": 7}


def test_an_update_takes_the_version_that_the_look_before_it_has_told(
    engine: FakeEngine, swarm: Swarm
) -> None:
    """The engine starts a process for each answer on its version."""
    engine.services["s0"] = {"TaskTemplate": {"ContainerSpec": {"OomScoreAdj": 7}}}
    for api in ("1.52", "1.46", "1.46"):
        engine.api = api
        raw = swarm.service("s0")
        swarm.update_service("s0", raw["Version"]["Index"], raw["Spec"])
    assert engine.versions("/services/s0/update") == ["1.52", "1.46", "1.46"]
    assert engine.requests.count("GET /version") == 2
    assert engine.services["s0"]["TaskTemplate"]["ContainerSpec"] == {"OomScoreAdj": 7}


def test_the_first_answer_of_another_engine_tells_its_version(
    engine: FakeEngine, swarm: Swarm
) -> None:
    swarm.info()
    engine.api = "1.52"
    swarm.info()
    swarm.info()
    assert engine.versions("/info") == ["1.41", "1.41", "1.52"]


def test_an_engine_that_stays_is_asked_once(engine: FakeEngine, swarm: Swarm) -> None:
    for _ in range(3):
        swarm.info()
    assert engine.requests.count("GET /version") == 1


def test_each_opening_of_the_event_stream_asks_anew(engine: FakeEngine, swarm: Swarm) -> None:
    swarm.info()
    for version in ("1.52", "1.41"):
        engine.api = version
        stream = swarm.events()
        assert next(stream) == {}
        stream.close()  # type: ignore[attr-defined]
    assert engine.versions("/events") == ["1.52", "1.41"]


def _listen(swarm: Swarm) -> None:
    next(swarm.events())


@pytest.mark.parametrize("call", [_read, _write, _listen])
def test_an_engine_that_is_too_old_is_refused_until_it_is_updated(
    engine: FakeEngine, swarm: Swarm, call: Callable[[Swarm], None]
) -> None:
    engine.api = "1.40"
    for _ in range(2):
        with pytest.raises(SwarmUnreachable) as raised:
            call(swarm)
        assert "has API version 1.40, and the bridge needs 1.41 or newer" in str(raised.value)
        assert "update this manager to Docker 20.10" in str(raised.value)
    assert engine.requests == ["GET /version"] * 2
    engine.api = "1.41"
    call(swarm)


def test_what_is_no_engine_is_named(engine: FakeEngine, swarm: Swarm) -> None:
    engine.api = ""
    with pytest.raises(SwarmUnreachable, match="is no Docker engine"):
        swarm.info()


def test_an_engine_that_refuses_what_it_names_is_not_asked_for_ever(
    engine: FakeEngine, swarm: Swarm
) -> None:
    engine.api, engine.least = "1.41", "1.44"
    with pytest.raises(SwarmUnreachable, match=r"client version 1\.41 is too old"):
        swarm.info()
    assert len(engine.requests) == 4


# --- nothing but the engine ----------------------------------------------------------------------


class _Recorder:
    """A proxy that only counts who comes."""

    def __init__(self) -> None:
        seen = self.seen = []  # type: list[bytes]

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                seen.append(self.request.recv(65536))

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Recorder]:
    """The proxy that the environment names for everything."""
    made = _Recorder()
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, made.address)
        monkeypatch.setenv(name.upper(), made.address)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield made
    made.close()


@pytest.mark.parametrize("tls", [False, True])
def test_no_proxy_of_the_environment_sees_anything(
    recorder: _Recorder, tmp_path: Path, tls: bool
) -> None:
    engine = FakeEngine()
    ca_file = str(Authority(tmp_path / "ca").file) if tls else ""
    swarm = Swarm(DockerSettings(engine.address, plaintext=not tls, ca_file=ca_file))
    if tls:  # the other side knows no TLS, but it is what is spoken to
        with pytest.raises(BridgeError):
            _write(swarm)
    else:
        _write(swarm)
        _listen(swarm)
    swarm.close()
    engine.close()
    assert recorder.seen == []


@pytest.mark.parametrize("unix", [False, True])
def test_no_netrc_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unix: bool) -> None:
    netrc = tmp_path / "netrc"
    hosts = ("localhost", "127.0.0.1")
    netrc.write_text("".join(f"machine {host} login l password p\n" for host in hosts))
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    engine = FakeEngine(tmp_path if unix else None)
    swarm = Swarm(DockerSettings(engine.address, plaintext=True))
    _write(swarm)
    swarm.close()
    engine.close()
    assert "Authorization" not in engine.headers


def test_no_redirect_is_followed() -> None:
    engine, elsewhere = FakeEngine(), FakeEngine()
    engine.moved = elsewhere.address.replace("tcp://", "http://")
    swarm = Swarm(DockerSettings(engine.address, plaintext=True))
    with pytest.raises(BridgeError):
        _write(swarm)
    with pytest.raises(BridgeError):
        _listen(swarm)
    swarm.close()
    for each in (engine, elsewhere):
        each.close()
    assert elsewhere.requests == []


def test_a_socket_that_we_may_not_use_comes_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Root may use any socket, so the refusal is made up."""

    def refuse(*_: object, **__: object) -> None:
        raise requests.exceptions.ConnectionError("PermissionError(13, 'Permission denied')")

    monkeypatch.setattr(requests.Session, "get", refuse)
    swarm = Swarm(DockerSettings("unix:///run/x/docker.sock"))
    with pytest.raises(SwarmUnreachable, match="we may not use the socket") as caught:
        swarm.info()
    swarm.close()
    assert "unix:///run/x/docker.sock" in str(caught.value)
    assert "run as root or in the socket's group (`docker`)" in str(caught.value)
