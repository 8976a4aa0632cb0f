"""How a bridge is: unhealthy only where a restart helps, and the reason in words."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import pytest

from bridge import health_socket
from bridge.errors import SwarmUnreachable
from bridge.health_socket import answering, ask, ask_view
from bridge.model.reasons import Reason
from bridge.model.source import Source
from bridge.model.swarm_view import SwarmView
from bridge.model.vault_view import NOT_YET, Document, Unreadable, VaultView
from bridge.model.vitals import STUCK, Health, Vitals, judge
from bridge.model.world import World
from bridge.pulse import Pulse
from bridge.sources.kv.source import KvPath

AWAY = Unreadable(Reason.VAULT_UNREACHABLE, "connection refused", everywhere=True)
DENIED = Unreadable(Reason.PERMISSION_DENIED, "no right")


class _Hand:
    """A clock's hand that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _world(*documents: Document | Unreadable) -> World:
    paths: dict[Source, Document | Unreadable] = {
        KvPath("", "kv", f"p{i}"): found for i, found in enumerate(documents)
    }
    return World(
        VaultView(as_of=0.0, paths=paths), SwarmView(as_of=0.0, secrets=(), services=(), tasks=())
    )


def _message(pulse: Pulse) -> str:
    found = judge(*pulse.look())
    assert found.healthy
    return found.message


def test_it_says_who_leads_and_what_it_waits_for() -> None:
    clock = _Hand()
    pulse = Pulse(clock)
    assert _message(pulse) == "starts: the first cycle has not ended yet"
    pulse.failed("no engine", 1.0)
    assert _message(pulse) == "waits: no cycle has run yet: no engine"
    pulse.ended(5.0, "", _world(DENIED))
    clock.now += 3
    assert _message(pulse) == "leads; last cycle 3 s ago; Vault answers"
    pulse.ended(5.0, "other", None)
    assert _message(pulse) == "stands by, the bridge on other leads; last cycle 0 s ago"
    pulse.failed("no engine", 1.0)
    assert _message(pulse) == "waits: no engine"


@pytest.mark.parametrize(
    ("world", "words"),
    [
        (_world(DENIED, AWAY), "Vault cannot be used: connection refused"),
        (_world(replace(AWAY, everywhere=False)), "Vault cannot be used: connection refused"),
        (_world(DENIED, replace(AWAY, everywhere=False)), "Vault answers"),
        (_world(), "Vault answers"),
        (_world(NOT_YET, NOT_YET), "the first look at Vault is under way"),
        (_world(NOT_YET, DENIED), "Vault answers"),
        (_world(NOT_YET, replace(AWAY, everywhere=False)), "cannot be used: connection refused"),
    ],
)
def test_a_vault_that_is_away_is_no_illness(world: World, words: str) -> None:
    pulse = Pulse(_Hand())
    pulse.ended(5.0, "", world)
    assert _message(pulse).endswith(words)


def test_it_is_stuck_once_neither_cycles_nor_answers_come() -> None:
    clock = _Hand()
    pulse = Pulse(clock)
    pulse.ended(60.0, "", _world())
    clock.now += 60 + STUCK
    assert judge(*pulse.look()).healthy
    clock.now += 1
    assert judge(*pulse.look()) == Health(
        False, "stuck: no sign of life for 241 s, and the next one was due after 60 s"
    )
    answered = clock.now
    pulse.follow(lambda: answered)  # a long cycle, in which a server has just answered
    assert judge(*pulse.look()).healthy
    clock.now += 60 + STUCK + 1
    pulse.failed(str(SwarmUnreachable("away")), 1.0)
    assert judge(*pulse.look()).healthy


def test_the_running_bridge_answers_until_it_ends() -> None:
    vitals = Vitals(at=0.0, pause=1.0, cycles=1, vault="")
    with answering("unit-answers", lambda: judge(vitals, 1.0)):
        for _ in range(2):
            found = ask("unit-answers")
            assert found == Health(True, "leads; last cycle 1 s ago; Vault answers")
        with answering("unit-answers", lambda: Health(False, "the second one")):
            assert ask("unit-answers") == found  # the name belongs to the first one
    assert ask("unit-answers") == Health(False, "no bridge of the instance unit-answers runs here")
    with answering("unit-answers", lambda: Health(True, "a new one")):
        assert ask("unit-answers") == Health(True, "a new one")


def test_it_tells_of_vault_besides_and_one_question_holds_up_no_other() -> None:
    asked, over = threading.Event(), threading.Event()

    def tell(again: Sequence[str]) -> dict[str, Any]:
        asked.set()
        over.wait()
        return {"again": list(again)}

    assert ask_view("unit-tells") is None
    with (
        answering("unit-tells", lambda: Health(True, "fine"), tell),
        ThreadPoolExecutor() as beside,
    ):
        told = beside.submit(ask_view, "unit-tells", ["one", "two"])
        asked.wait()
        assert ask("unit-tells") == Health(True, "fine")
        over.set()
        assert told.result() == {"again": ["one", "two"]}
    with answering("unit-tells", lambda: Health(True, "fine")):
        assert ask_view("unit-tells") is None


def test_a_question_that_is_not_understood_is_not_answered() -> None:
    with answering("unit-odd", lambda: Health(True, "fine")):
        for question in (b"health\n", b"[]\n", b"\xff\n"):
            with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as stranger:
                stranger.connect("\0vault-bridge-unit-odd")
                stranger.sendall(question)
                assert stranger.recv(1) == b""
        assert ask("unit-odd") == Health(True, "fine")


def test_one_that_hangs_gives_no_answer() -> None:
    over = threading.Event()

    def hang() -> Health:
        over.wait()
        return Health(True, "too late")

    with answering("unit-hangs", hang):
        found = ask("unit-hangs", 0.1)
        over.set()
    assert not found.healthy
    assert "gives no answer within 0.1 s" in found.message


def test_nobody_else_is_asked_or_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where another user has taken the name: it is the kernel that tells who it is."""
    with answering("unit-user", lambda: Health(True, "fine")):
        monkeypatch.setattr(health_socket, "_is_ours", lambda _: False)
        assert "another user answers" in ask("unit-user").message
        assert ask_view("unit-user") is None
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as stranger:
            stranger.connect("\0vault-bridge-unit-user")
            with suppress(ConnectionError):
                assert stranger.recv(1) == b""
