"""I10: ``kill -9`` at any mutating request, then a restart, ends as without the crash."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.support.lab import BridgeProcess, Lab
from tests.support.processes import eventually
from tests.support.proxy import Cut, Exchange, Phase, Proxy

REQUESTS = 13
"""Mutating requests that one rotation of two secrets on two services has at least, with the one
that takes the leader's lease."""


def _scene(lab: Lab) -> Proxy:
    """Two secrets and two services, one with both, at version 2."""
    lab.service("api", replicas=1)
    lab.service("worker", replicas=1)
    lab.secret("db", {"api": {"target": "db"}, "worker": {"target": "db"}})
    lab.secret("key", {"api": {"target": "key"}})
    _, engine = lab.through_proxies()
    for _ in range(2):
        _rotate(lab)
        lab.sync()
    return engine


def _rotate(lab: Lab) -> dict[str, str]:
    return {path: lab.rotate(path) for path in ("db", "key")}


def _outcome(lab: Lab, values: dict[str, str]) -> dict[str, Any]:
    """Return the state that does not depend on times and ids."""
    newest = max(lab.versions("db"))
    secrets = {}
    for name in ("db", "key"):
        assert lab.versions(name) == {newest - 1, newest}
        for age, version in enumerate((newest, newest - 1)):
            labels = lab.swarm.secret(lab.name(f"{name}_v{version}"))["Spec"]["Labels"]
            kinds = {key.removeprefix("vault-bridge.") for key in labels}
            secrets[f"{name} {age}"] = {k for k in kinds if k.startswith(("good", "aside"))}
    for service, target in (("api", "db"), ("worker", "db"), ("api", "key")):
        assert lab.swarm.references(lab.name(service))[target] == lab.name(f"{target}_v{newest}")
        assert lab.swarm.read(lab.name(service), target) == [values[target]]
    status = {name: (s["state"], s["reason"]) for name, s in lab.status().items()}
    return {"secrets": secrets, "status": status}


def _crash(lab: Lab, engine: Proxy, number: int, phase: Phase) -> str:
    """Run a rotation that is killed at its ``number``-th mutating request; returns that request."""
    seen: list[str] = []
    process: list[BridgeProcess] = []

    def kill(exchange: Exchange, now: Phase) -> None:
        if not exchange.writes:
            return
        if now == Phase.BEFORE:
            seen.append(f"{exchange.method} {exchange.path}")
        if len(seen) == number and now == phase:
            eventually(lambda: bool(process))  # it may be here before we know of it
            process[0].kill()
            raise Cut

    engine.hook = kill
    try:
        process.append(lab.start("sync"))
        assert process[0].wait() == -9, process[0].log.read_text()
    finally:
        engine.hook = lambda _exchange, _phase: None
    return seen[-1]


EXPECTED = {
    "secrets": {"db 0": {"good"}, "db 1": {"good"}, "key 0": {"good"}, "key 1": {"good"}},
    "status": {"db": ("Synced", "UpToDate"), "key": ("Synced", "UpToDate")},
}


_EVERY = tuple(range(1, REQUESTS + 1))


@pytest.mark.parametrize(
    ("phases", "numbers"),
    [
        pytest.param((Phase.BEFORE, Phase.AFTER), (1, 5, 7), id="sample"),
        pytest.param((Phase.BEFORE,), _EVERY, id="before", marks=pytest.mark.acceptance),
        pytest.param((Phase.AFTER,), _EVERY, id="after", marks=pytest.mark.acceptance),
    ],
)
def test_killed_at_a_request(lab: Lab, phases: tuple[Phase, ...], numbers: tuple[int, ...]) -> None:
    engine = _scene(lab)
    _a_whole_rotation(lab, engine)
    killed_at = []
    for phase, number in itertools.product(phases, numbers):
        values = _rotate(lab)
        engine.exchanges.clear()
        killed_at.append(_crash(lab, engine, number, phase))
        lab.cli("sync")
        assert _outcome(lab, values) == EXPECTED
        done = [e for e in engine.exchanges if "/services/" in e.path and e.writes]
        assert sum(e.status == 200 for e in done) == 2  # one update per service, crash or not
    if len(numbers) == REQUESTS:
        kinds = {(request.split()[0], request.split("/")[2]) for request in killed_at}
        assert kinds == {
            ("POST", "configs"),
            ("POST", "secrets"),
            ("POST", "services"),
            ("DELETE", "secrets"),
        }


def _a_whole_rotation(lab: Lab, engine: Proxy) -> None:
    """It has so many requests: with fewer the kills would come after the end."""
    engine.exchanges.clear()
    values = _rotate(lab)
    lab.cli("sync")
    assert len(engine.writes()) >= REQUESTS
    assert _outcome(lab, values) == EXPECTED
