"""A bridge that is told to stop does so, whatever its servers do, and hands over.

The bounds of the waits are far below what the servers would take, and far above what is needed.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bridge.config import load
from bridge.leader_lease import holder_of
from bridge.loop import Loop
from bridge.model.settings import DockerSettings
from bridge.servers.swarm import Swarm
from tests.support.lab import BridgeProcess, Lab
from tests.support.processes import eventually
from tests.support.proxy import Answer, Exchange, Hook, Phase, Proxy

PATHS = 300


@pytest.fixture
def open_again() -> Iterator[threading.Event]:
    """What a hook waits for that lets requests hang; set when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def _hang(what: str, until: threading.Event, when: Phase = Phase.BEFORE) -> Hook:
    """Let requests hang that have something in their line."""

    def hook(exchange: Exchange, phase: Phase) -> None:
        if phase == when and what in f"{exchange.method} {exchange.path}":
            until.wait(120)

    return hook


def _is_held(lab: Lab) -> bool:
    """Tell whether somebody has the leader's lease."""
    swarm = Swarm(DockerSettings(lab.swarm.host))
    try:
        return holder_of(swarm, lab.name("bridge")) is not None
    finally:
        swarm.close()


def _hands_over(lab: Lab, process: BridgeProcess, code: int = 0) -> None:
    assert process.wait(15) == code, process.log.read_text()
    assert not _is_held(lab)


def _many_slow_paths(lab: Lab, until: threading.Event) -> tuple[list[Exchange], Proxy]:
    """Map more paths than can be looked at in a minute.

    Returns the requests to Vault, and the engine's proxy.
    """
    for number in range(PATHS):
        lab.secret(f"s{number}", {})
    vault, engine = lab.through_proxies()

    def slow(_exchange: Exchange, phase: Phase) -> None:
        if phase == Phase.BEFORE:
            until.wait(0.3)

    vault.hook = slow
    return vault.exchanges, engine


@pytest.mark.parametrize(
    ("command", "number", "code"), [("run", signal.SIGTERM, 0), ("sync", signal.SIGINT, 3)]
)
def test_in_a_look_at_many_paths(
    lab: Lab, open_again: threading.Event, command: str, number: int, code: int
) -> None:
    asked, _ = _many_slow_paths(lab, open_again)
    process = lab.start(command)
    eventually(lambda: len(asked) > 5)
    process.process.send_signal(number)
    _hands_over(lab, process, code)
    assert len(asked) < PATHS / 2


def test_in_a_request_to_vault_that_hangs(lab: Lab, open_again: threading.Event) -> None:
    lab.secret("db", {})
    vault, _ = lab.through_proxies()
    vault.hook = _hang("/metadata/", open_again)
    process = lab.start()
    eventually(lambda: any("/metadata/" in e.path for e in vault.exchanges))
    before = len(vault.exchanges)
    process.process.send_signal(signal.SIGTERM)
    _hands_over(lab, process)
    assert len(vault.exchanges) == before  # after a time-out it would ask how Vault is


def test_in_a_wait_for_a_turn(lab: Lab) -> None:
    """``max_rps`` is low, so that most of a look is waiting."""
    lab.secret("db", {})
    vault, _ = lab.through_proxies()
    lab.settings(vault={**_vault(lab), "max_rps": 0.02})
    process = lab.start()
    eventually(lambda: bool(vault.exchanges))
    process.process.send_signal(signal.SIGTERM)
    _hands_over(lab, process)


def _vault(lab: Lab) -> dict[str, object]:
    auth = {"method": "token", "token_file": str(lab.token_file)}
    return {"address": lab.vault_address, "auth": auth}


@pytest.mark.parametrize("what", ["GET", ""], ids=["looks", "everything"])
def test_in_a_request_to_an_engine_that_hangs(
    lab: Lab, open_again: threading.Event, what: str
) -> None:
    """Where everything hangs the lease cannot be released, and the bridge ends all the same."""
    lab.secret("db", {})
    lab.rotate("db")
    _, engine = lab.through_proxies()
    process = lab.start()
    process.wait_for("mirrored")
    place = "/services" if what else ""
    engine.hook = _hang(place, open_again)
    seen = len(engine.exchanges)
    eventually(lambda: any(place in e.path for e in engine.exchanges[seen:]))
    process.process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    assert _is_held(lab) == (not what)


def test_a_write_in_flight_is_waited_for(lab: Lab) -> None:
    """The engine takes its time with the first Docker secret; the second is not begun."""
    for name in ("one", "two"):
        lab.secret(name, {})
        lab.rotate(name)
    _, engine = lab.through_proxies()
    stopped = threading.Event()
    engine.hook = _slow_create(stopped)
    process = lab.start()
    eventually(lambda: any("/secrets/create" in e.path for e in engine.exchanges))
    process.process.send_signal(signal.SIGTERM)
    stopped.set()
    _hands_over(lab, process)
    assert len(process.lines("mirrored")) == 1


def _slow_create(stopped: threading.Event) -> Hook:
    def hook(exchange: Exchange, phase: Phase) -> None:
        if phase == Phase.BEFORE and "/secrets/create" in exchange.path:
            stopped.wait(60)
            threading.Event().wait(1)

    return hook


def test_a_write_whose_answer_does_not_come_keeps_others_away(
    lab: Lab, open_again: threading.Event
) -> None:
    """I13: it may yet be carried out, so the lease runs out by itself."""
    lab.secret("db", {})
    lab.rotate("db")
    _, engine = lab.through_proxies()
    engine.hook = _hang("/secrets/create", open_again, Phase.AFTER)
    process = lab.start()
    eventually(lambda: lab.versions("db") == {1})
    process.process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert _is_held(lab)


@contextmanager
def _running(loop: Loop) -> Iterator[None]:
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield
    finally:
        loop.stop()
        thread.join(60)
        loop.close()


def test_a_look_ends_when_the_lease_is_lost(lab: Lab, open_again: threading.Event) -> None:
    """Heartbeats fail in a long look: it is given up, and nothing rests on it."""
    asked, engine = _many_slow_paths(lab, open_again)
    config = load(str(lab.write_config()), {})

    def refuse(exchange: Exchange, phase: Phase) -> None:
        if phase == Phase.BEFORE and exchange.writes and "/configs/" in exchange.path:
            raise Answer(500, b'{"message": "node lost leader status"}')

    loop = Loop(config, ttl=3.0)
    with _running(loop):
        eventually(lambda: len(asked) > 5)
        engine.hook = refuse
        eventually(lambda: "cycle_cancelled" in lab.said())
        assert len(asked) < PATHS / 2
