"""What the bridge calls is what the list has: no more, and no less."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bridge.errors import BridgeError, NotGranted, SwarmRefused
from bridge.model.content.payload import Concealed
from bridge.model.engine_rights import RIGHTS, Right
from bridge.model.leadership import lease_config_name
from bridge.model.names import state_config_name
from bridge.model.settings import DockerSettings
from bridge.report.engine_policy import haproxy, table
from bridge.servers.swarm import Swarm
from tests.support.fakes import FakeEngine

ID = "z4zcj5ryg0yzjcq8cyiwj3a0t"
OTHER = "0y2gbl9rfs5mq1xkfvtt3w8ap"

CALLS: dict[str, Callable[[Swarm], object]] = {
    "info": Swarm.info,
    "version": Swarm.version,
    "autolock": Swarm.autolock,
    "image": lambda s: s.image("team/app:1.2@sha256:0f"),
    "secrets": Swarm.secrets,
    "services": lambda s: (s.services(), s.services([ID]), s.services([ID, OTHER])),
    "tasks": lambda s: (s.tasks(), s.tasks([ID]), s.tasks([ID, OTHER])),
    "nodes": Swarm.nodes,
    "config": lambda s: (s.config(state_config_name("a-b")), s.config(lease_config_name("x.y"))),
    "service": lambda s: s.service(ID),
    "secret": lambda s: s.secret(ID),
    "create_secret": lambda s: s.create_secret("db_v1", Concealed(b"x"), {}),
    "holds": lambda s: s.holds(ID, "db_v1", Concealed(b"x")),
    "set_secret_labels": lambda s: s.set_secret_labels(ID, 7, "db_v1", {}),
    "remove_secret": lambda s: s.remove_secret(ID),
    "create_config": lambda s: s.create_config("c", b"x", {}),
    "set_config_labels": lambda s: s.set_config_labels(
        {"ID": ID, "Version": {"Index": 7}, "Spec": {}}, {}
    ),
    "update_service": lambda s: s.update_service(ID, 7, {"TaskTemplate": {"ContainerSpec": {}}}),
    "events": lambda s: next(s.events()),
}
"""Each call that the class can make, with arguments as they really are."""


def test_every_call_is_known_here() -> None:
    public = {name for name in vars(Swarm) if not name.startswith("_")} - {"close"}
    assert public == CALLS.keys()


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[str]]]:
    """What each call asks an engine for, as it is sent."""
    engine = FakeEngine(tmp_path_factory.mktemp("engine"))
    engine.services[ID] = {"TaskTemplate": {"ContainerSpec": {}}}
    found: dict[str, list[str]] = {}
    for name, call in CALLS.items():
        del engine.targets[:]
        with closing(Swarm(DockerSettings(engine.address))) as swarm:
            try:
                call(swarm)
            except SwarmRefused:
                assert name == "holds"  # the fake engine accepts what no engine accepts
        found[name] = list(engine.targets)
    yield found
    engine.close()


def _granting(request: str) -> list[Right]:
    method, target = request.split(" ", 1)
    return [r for r in RIGHTS if r.method == method and re.search(r.pattern, target)]


def test_each_request_has_one_right_and_each_right_is_used(asked: dict[str, list[str]]) -> None:
    requests = [request for each in asked.values() for request in each]
    granting = {request: _granting(request) for request in requests}
    assert {request: len(rights) for request, rights in granting.items()} == dict.fromkeys(
        requests, 1
    )
    assert {right for rights in granting.values() for right in rights} == set(RIGHTS)


OWN = "filters=%7B%22name%22%3A+%5B%22vault-bridge.x%22%5D%7D"


@pytest.mark.parametrize(
    "request_",
    [
        "GET /v1.41/services",
        f"GET /v1.41/services/{ID}?insertDefaults=true",
        f"POST /v1.41/services/{ID}/update?version=7&rollback=previous",
        f"POST /v1.41/services/{ID}/update?registryAuthFrom=spec&version=7",
        "POST /v1.41/services/create",
        f"DELETE /v1.41/services/{ID}",
        "GET /v1.41/configs",
        "GET /v1.41/configs?filters=%7B%22name%22%3A+%5B%22vault-bridge.x%22%2C+%22other%22%5D%7D",
        f"GET /v1.41/configs?%66ilters=%7B%7D&{OWN}",
        f"GET /v1.41/configs?{OWN}&filters=%7B%7D",
        f"GET /v1.41/configs/{ID}",
        "GET /v1.41/events",
        "GET /v1.41/secrets/db_v1",
        "GET /v1.41//secrets",
        "GET /v1.41/secrets/../containers/json",
        "GET /secrets",
        "PUT /v1.41/secrets",
        "GET /v1.41/images/..%2F..%2Fcontainers/json",
    ],
)
def test_what_looks_like_a_call_is_none(request_: str) -> None:
    assert _granting(request_) == []


def test_rules_that_are_not_needed_are_off() -> None:
    rules = [line.strip() for line in haproxy().splitlines() if "http-request allow" in line]
    assert len(rules) == len(RIGHTS)
    assert [rule.startswith("#") for rule in rules] == [right.optional for right in RIGHTS]
    assert [right.optional for right in RIGHTS if right.path == "/swarm"] == [True]


def test_the_table_has_them_all() -> None:
    assert len(list(table())) == len(RIGHTS) + 2


def test_a_right_that_is_missing_is_named(tmp_path: Path) -> None:
    engine = FakeEngine(tmp_path)
    with closing(Swarm(DockerSettings(engine.address))) as swarm:
        for name, engine.forbidden, words in (
            ("services", "/services", "GET /services is not granted at unix"),
            ("update_service", "/update", "POST /services/{id}/update is not granted at unix"),
            ("events", "/events", "GET /events is not granted at unix"),
            ("tasks", "/version", "GET /version is not granted at unix"),
        ):
            swarm.close()
            with pytest.raises(NotGranted) as raised:
                CALLS[name](swarm)
            assert words in str(raised.value), name
            assert "`vault-bridge policy --engine`" in str(raised.value)
            assert isinstance(raised.value, BridgeError)
    engine.close()
