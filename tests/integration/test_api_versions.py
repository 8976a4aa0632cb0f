"""Engines whose oldest or newest API version is another one than that of the engine here.

A proxy answers as such an engine: it names its versions, refuses requests at others in the engine's
words, and hands the rest on at the version of the engine behind it.
"""

from __future__ import annotations

import json
import re

import pytest

from tests.support.lab import Lab
from tests.support.processes import eventually
from tests.support.proxy import Answer, Exchange, Hook, Phase, Proxy


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _engine(lab: Lab, least: str, newest: str) -> Hook:
    """Return what makes a proxy answer as an engine of other versions."""
    real = str(lab.swarm.call("GET", "/version")["ApiVersion"])

    def hook(exchange: Exchange, phase: Phase) -> None:
        if phase == Phase.AFTER:
            return
        found = re.match(r"/v(\d+\.\d+)(/.*)", exchange.path)
        if exchange.path == "/version" or (found and found[2] == "/version"):
            about = {"Version": "29.0.0", "ApiVersion": newest, "MinAPIVersion": least}
            raise Answer(200, json.dumps(about).encode())
        assert found, f"{exchange.path} names no version"
        if _numbers(found[1]) < _numbers(least):
            words = f"too old. Minimum supported API version is {least}, please upgrade your client"
        elif _numbers(found[1]) > _numbers(newest):
            words = f"too new. Maximum supported API version is {newest}"
        else:
            exchange.path = f"/v{real}{found[2]}"
            exchange.headers["Api-Version"] = newest
            return
        raise Answer(400, json.dumps({"message": f"client version {found[1]} is {words}"}).encode())

    return hook


def _through(lab: Lab, least: str, newest: str) -> Proxy:
    _, engine = lab.through_proxies()
    lab.vault_address = lab.vault.address
    engine.hook = _engine(lab, least, newest)
    return engine


@pytest.mark.parametrize(("least", "newest"), [("1.44", "1.52"), ("1.12", "1.41")])
def test_everything_works_between_the_floor_and_the_newest(
    lab: Lab, least: str, newest: str
) -> None:
    engine = _through(lab, least, newest)
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    lab.rotate("db")
    process = lab.start()
    eventually(lambda: lab.versions("db") == {1})
    for _ in range(2):
        value = lab.rotate("db")
        eventually(lambda v=value: lab.swarm.read(lab.name("api"), "db") == [v])  # type: ignore[misc]
    eventually(lambda: 1 not in lab.versions("db"))
    assert process.stop() == 0
    refused = [e for e in engine.exchanges if e.status == 400]
    assert refused == []
    assert f"API {newest}" in " ".join(lab.cli("check", code=None).split())


def test_an_engine_that_is_too_old_is_refused_in_words(lab: Lab) -> None:
    engine = _through(lab, "1.12", "1.40")
    lab.secret("db", {})
    for command in ("status", "sync", "plan"):
        said = lab.run(command, code=4).stderr
        assert "has API version 1.40, and the bridge needs 1.41 or newer" in said
        assert "update this manager to Docker 20.10" in said
    assert {exchange.path for exchange in engine.exchanges} == {"/version"}
