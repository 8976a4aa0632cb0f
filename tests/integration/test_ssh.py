"""Engines behind ``ssh://``: everything works there, nothing hangs, and every failure is named."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from bridge.errors import BridgeError, SwarmUnreachable
from bridge.model.content.payload import Concealed
from bridge.model.settings import DockerSettings
from bridge.servers.swarm import Swarm, connection, ssh
from tests.support.lab import Lab
from tests.support.processes import eventually, free_port
from tests.support.ssh import SshServer
from tests.support.swarm import Engine

Connect = Callable[..., Swarm]


@pytest.fixture
def connect(
    ssh_server: SshServer, swarm: Engine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connect]:
    """Make a client of the private engine."""
    made: list[Swarm] = []

    def new(host: str = "", **client: str) -> Swarm:
        monkeypatch.setenv("PATH", ssh_server.client(**client))
        made.append(Swarm(DockerSettings(host or _address(ssh_server, swarm))))
        return made[-1]

    yield new
    for each in made:
        each.close()


def _address(server: SshServer, swarm: Engine) -> str:
    return server.address(swarm.host.removeprefix("unix://"))


def test_an_operator_rotates_and_rolls_back_from_a_desk(lab: Lab, ssh_server: SshServer) -> None:
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    first = lab.rotate("db")
    lab.docker_host = _address(ssh_server, lab.swarm)
    path = ssh_server.client()
    bridge = lab.start(PATH=path)  # a whole bridge there, with its event stream
    bridge.wait_for("good", docker_secret=lab.name("db_v1"))
    lab.rotate("db")
    bridge.wait_for("good", docker_secret=lab.name("db_v2"))
    lab.cli("rollback", lab.name("db"), PATH=path)
    eventually(lambda: lab.swarm.references(lab.name("api")) == {"db": lab.name("db_v1")})
    assert lab.name("db") in lab.cli("status", PATH=path, code=None)
    assert "is a swarm manager" in lab.cli("check", PATH=path, code=None)
    assert bridge.stop() == 0
    eventually(lambda: lab.swarm.read(lab.name("api"), "db") == [first])
    eventually(lambda: not ssh_server.sessions())


def test_a_secret_of_any_size_passes(connect: Connect, lab: Lab) -> None:
    swarm = connect()
    data = Concealed(bytes(range(256)) * 1999)
    made = swarm.create_secret(lab.name("big"), data, {})
    assert swarm.holds(made, lab.name("big"), data)
    swarm.remove_secret(made)


def test_a_connection_serves_many_calls_and_leaves_no_process(
    connect: Connect, ssh_server: SshServer
) -> None:
    swarm = connect()
    for _ in range(5):
        swarm.services()
    log = ssh_server.folder / "log"
    assert log.read_text().count("Accepted publickey") == 1
    swarm.close()
    eventually(lambda: not ssh_server.sessions())


def test_events_come(connect: Connect, lab: Lab) -> None:
    """The engine opens the stream a moment before it listens: what happens there is not told."""
    names = (lab.name(f"new{number}") for number in itertools.count())
    seen: list[str] = []

    def listen() -> None:
        for event in connect().events():
            if event:
                seen.append(event["Actor"]["Attributes"]["name"])
                return

    thread = threading.Thread(target=listen)
    thread.start()
    eventually(lambda: bool(lab.swarm.create_secret(next(names), b"x") and seen))
    thread.join()
    assert seen[0].startswith(lab.name("new"))


def test_a_key_that_is_good_for_the_engine_only(
    connect: Connect, ssh_server: SshServer, swarm: Engine
) -> None:
    """As the page for operators shows it."""
    ssh_server.allow(f'restrict,command="docker --host {swarm.host} system dial-stdio"')
    assert connect(ssh_server.address()).info()["Swarm"]["ControlAvailable"]


# --- nothing hangs -------------------------------------------------------------------------------


def _write(swarm: Swarm) -> None:
    swarm.create_config("never", b"x", {})


@pytest.mark.parametrize("call", [Swarm.services, _write])
def test_a_call_that_is_not_answered_ends(
    connect: Connect,
    ssh_server: SshServer,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[Swarm], object],
) -> None:
    """By its own deadline, long before the client misses a sign of life."""
    monkeypatch.setattr(ssh, "ALIVE", 600)
    swarm = connect()
    swarm.services()
    ssh_server.hang()
    monkeypatch.setattr(connection, "TIMEOUT", 0.5)
    with pytest.raises(BridgeError, match="no answer in time"):
        call(swarm)


def test_an_event_stream_whose_host_is_gone_ends(
    connect: Connect, ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "ALIVE", 1)
    stream = connect().events()
    assert next(stream) == {}
    ssh_server.hang()
    with pytest.raises(SwarmUnreachable, match="no answer in time"):
        next(stream)


def test_an_event_stream_that_is_silent_ends(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that answers for itself, with an engine that is not heard of any more."""
    monkeypatch.setattr(connection, "SILENCE", 0.5)
    stream = connect().events()
    assert next(stream) == {}
    with pytest.raises(SwarmUnreachable, match="no answer in time"):
        for _ in stream:
            pass


def test_a_host_that_accepts_and_says_nothing_is_given_up(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "CONNECT", 1)
    monkeypatch.setattr(connection, "TIMEOUT", 600.0)  # that of the request is not what ends it
    with socket.create_server(("127.0.0.1", 0)) as silent:
        swarm = connect(f"ssh://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(SwarmUnreachable, match="no answer in time"):
            swarm.info()


# --- every failure is named ----------------------------------------------------------------------


def _refused(swarm: Swarm) -> str:
    with pytest.raises(SwarmUnreachable) as raised:
        swarm.info()
    return str(raised.value)


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ({"known": "nobody"}, "(its ssh host key is not known): compare its fingerprint"),
        ({"known": "changed"}, "(its ssh host key is not the one in known_hosts)"),
        ({"key": "stranger"}, "(ssh: permission denied): see `ssh -o BatchMode=yes`"),
    ],
    ids=["unknown", "changed", "denied"],
)
def test_a_login_that_fails(connect: Connect, client: dict[str, str], words: str) -> None:
    assert words in _refused(connect(**client))


def test_no_docker_command_on_the_other_side(connect: Connect, ssh_server: SshServer) -> None:
    ssh_server.start("SetEnv PATH=/nowhere")
    assert "(there is no `docker` command on the other side)" in _refused(connect())


def test_no_engine_on_the_other_side(connect: Connect, ssh_server: SshServer) -> None:
    said = _refused(connect(ssh_server.address("/nowhere/docker.sock")))
    assert "(no engine answers at the socket there)" in said


def test_nobody_listens(connect: Connect) -> None:
    assert "(connection refused)" in _refused(connect(f"ssh://127.0.0.1:{free_port()}"))


def test_no_ssh_command_here(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = connect()
    monkeypatch.setenv("PATH", "/nowhere")
    assert "(there is no `ssh` command here): install the OpenSSH client" in _refused(swarm)


def test_it_goes_on_when_the_server_is_back(connect: Connect, ssh_server: SshServer) -> None:
    swarm = connect()
    swarm.info()
    ssh_server.close()
    _refused(swarm)  # the end of the connection that was there may be seen first
    assert "(connection refused)" in _refused(swarm)
    ssh_server.start()
    assert swarm.info()["Swarm"]["ControlAvailable"]
