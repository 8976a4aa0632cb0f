"""An engine that is too old, and one that is exchanged for another while the bridge runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.support.engines import engine_of
from tests.support.exchange import ExchangeableSwarm
from tests.support.lab import ROOT, Lab
from tests.support.processes import eventually
from tests.support.proxy import Answer, Exchange, Phase
from tests.support.vault import VaultServer

_OLD = json.dumps({"Version": "19.03.15", "ApiVersion": "1.40", "MinAPIVersion": "1.12"}).encode()


def test_an_engine_that_is_too_old_is_refused_until_it_is_updated(lab: Lab) -> None:
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {}})
    value = lab.rotate("db")
    _, engine = lab.through_proxies()

    def old(exchange: Exchange, _phase: Phase) -> None:
        if exchange.path.endswith("/version"):
            raise Answer(200, _OLD)

    engine.hook = old
    (finding,) = [f for f in lab.json("check", code=4)["findings"] if f["where"] == "docker"]
    words = "(19.03.15) has API version 1.40, and the bridge needs 1.41 or newer"
    assert words in finding["message"]
    bridge = lab.start()
    bridge.wait_for("swarm_unreachable")
    assert words in bridge.lines("swarm_unreachable")[0]["message"]
    assert {exchange.path for exchange in engine.exchanges} == {"/version"}
    engine.hook = lambda _exchange, _phase: None
    bridge.wait_for("good")
    assert lab.swarm.read(lab.name("api"), lab.name("db")) == [value]


# --- exchanged -----------------------------------------------------------------------------------


@pytest.fixture
def exchangeable(
    tmp_path: Path, run_directory: Path, vault: VaultServer
) -> Iterator[tuple[Lab, ExchangeableSwarm]]:
    swarm = ExchangeableSwarm(run_directory / f"exchange-{tmp_path.name[-8:]}")
    lab = Lab(tmp_path, swarm, vault)
    yield lab, swarm
    lab.close()
    swarm.close()


@pytest.mark.engines
@pytest.mark.parametrize("least", ["1.24", "1.44"])
def test_an_engine_exchanged_underneath_is_spoken_to_in_its_own_version(
    exchangeable: tuple[Lab, ExchangeableSwarm], least: str
) -> None:
    """I3: behind a proxy that keeps its port meanwhile, as proxies of the socket do."""
    lab, swarm = exchangeable
    newer = engine_of("sid", ROOT / ".engines")
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    lab.rotate("db")
    _, engine = lab.through_proxies()

    def kept_open(exchange: Exchange, phase: Phase) -> None:
        if phase == Phase.BEFORE and away:
            raise Answer(503, b'{"message": "no server is available"}')

    away: list[bool] = []
    engine.hook = kept_open
    bridge = lab.start()
    bridge.wait_for("good")
    away.append(True)
    swarm.exchange(newer, DOCKER_MIN_API_VERSION=least)
    swarm.update_service(lab.name("api"), _with_a_new_field)
    away.clear()
    value = lab.rotate("db")
    eventually(lambda: _read(lab) == [value])
    assert (
        lab.swarm.service(lab.name("api"))["Spec"]["TaskTemplate"]["ContainerSpec"]["OomScoreAdj"]
        == 7
    )
    assert bridge.process.poll() is None


def _with_a_new_field(spec: dict[str, Any]) -> None:
    spec["TaskTemplate"]["ContainerSpec"]["OomScoreAdj"] = 7


def _read(lab: Lab) -> list[str]:
    try:
        return lab.swarm.read(lab.name("api"), "db")
    except docker.errors.APIError:
        return []  # the task has just ended
