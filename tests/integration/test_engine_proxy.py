"""A proxy before the engine lets through what the bridge calls, and nothing else.

Each rule is needed: without it something fails, and the message names the right that is missing.
"""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Callable, Iterator

import pytest

from bridge.model import engine_rights as rights
from bridge.model.engine_rights import RIGHTS, Right
from tests.support.haproxy import FilteringProxy
from tests.support.lab import Lab
from tests.support.processes import eventually

NEEDED = [right for right in RIGHTS if not right.optional]

Filtered = Callable[..., FilteringProxy]


def _used(proxy: FilteringProxy) -> set[Right]:
    """Return the rights by which requests were let through."""
    return {
        right
        for status, method, target in proxy.requests()
        for right in RIGHTS
        if status not in (403, 503) and right.method == method and re.search(right.pattern, target)
    }


def _has(lab: Lab, value: str) -> None:
    eventually(lambda: lab.swarm.read(lab.name("api"), "db") == [value])


def test_rotations_go_through_it_and_use_each_rule(lab: Lab, filtered: Filtered) -> None:
    proxy = filtered()
    lab.docker_host = proxy.address
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    lab.rotate("db")
    process = lab.start()
    eventually(lambda: lab.versions("db") == {1})
    for _ in range(2):
        _has(lab, lab.rotate("db"))
    eventually(lambda: 1 not in lab.versions("db"))  # pruned
    assert process.stop() == 0
    refused = [request for request in proxy.requests() if request[0] == 403]
    assert refused == []
    assert _used(proxy) == set(NEEDED)


FIRST = (rights.VERSION, rights.SERVICES, rights.TASKS, rights.NODES, rights.SECRETS)
LATER = [right for right in NEEDED if right not in (*FIRST, rights.EVENTS)]


@pytest.fixture
def scene(lab: Lab) -> Iterator[Lab]:
    """A service that has had two versions, so that the next one lets the first be pruned."""
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    lab.settings(rollout={"bake": "0s"})
    for _ in range(2):
        lab.rotate("db")
        lab.sync()
    yield lab
    lab.docker_host = lab.swarm.host
    lab.sync()  # all that was missed is done once the right is there


@pytest.mark.parametrize("right", FIRST, ids=str)
def test_without_what_a_look_needs_nothing_is_known(
    lab: Lab, filtered: Filtered, right: Right
) -> None:
    lab.docker_host = filtered(without=[right]).address
    lab.secret("db", {})
    assert f"{right} is not granted" in lab.run("status", code=3).stderr


def test_without_events_the_bridge_says_so_and_goes_on(lab: Lab, filtered: Filtered) -> None:
    lab.docker_host = filtered(without=[rights.EVENTS]).address
    lab.secret("db", {})
    lab.rotate("db")
    process = lab.start()
    process.wait_for("events_not_granted")
    assert "GET /events is not granted" in process.log.read_text()
    eventually(lambda: lab.versions("db") == {1})
    assert process.stop() == 0


def _fails_without(lab: Lab, filtered: Filtered, right: Right) -> None:
    lab.docker_host = filtered(without=[right]).address
    lab.rotate("db")
    process = lab.start()
    eventually(lambda: f"{right} is not granted" in process.log.read_text())
    process.kill()


@pytest.mark.parametrize("right", [rights.UPDATE_SERVICE], ids=str)
def test_without_what_a_roll_needs_it_fails_and_names_it(
    scene: Lab, filtered: Filtered, right: Right
) -> None:
    _fails_without(scene, filtered, right)


@pytest.mark.acceptance
@pytest.mark.parametrize("right", [r for r in LATER if r != rights.UPDATE_SERVICE], ids=str)
def test_without_any_other_right_something_fails_and_names_it(
    scene: Lab, filtered: Filtered, right: Right
) -> None:
    if right == rights.CREATE_CONFIG:
        scene.swarm.call("DELETE", f"/configs/vault-bridge.{scene.name('bridge')}.leader")
    _fails_without(scene, filtered, right)


FORBIDDEN = (
    ("GET", "/containers/json"),
    ("POST", "/containers/create"),
    ("POST", "/containers/x/exec"),
    ("POST", "/exec/x/start"),
    ("GET", "/containers/x/archive?path=/run/secrets"),
    ("GET", "/containers/x/logs?stdout=1"),
    ("POST", "/images/create?fromImage=x"),
    ("GET", "/images/json"),
    ("POST", "/build"),
    ("GET", "/swarm"),
    ("GET", "/swarm/unlockkey"),
    ("POST", "/swarm/update?version=1"),
    ("POST", "/swarm/leave"),
    ("POST", "/nodes/x/update?version=1"),
    ("DELETE", "/nodes/x"),
    ("POST", "/services/create"),
    ("DELETE", "/services/z4zcj5ryg0yzjcq8cyiwj3a0t"),
    ("POST", "/services/z4zcj5ryg0yzjcq8cyiwj3a0t/update?version=1&rollback=previous"),
    ("GET", "/services/z4zcj5ryg0yzjcq8cyiwj3a0t/logs?stdout=1"),
    ("GET", "/configs"),
    ("GET", "/configs/z4zcj5ryg0yzjcq8cyiwj3a0t"),
    ("GET", "/volumes"),
    ("POST", "/plugins/pull?remote=x"),
    ("GET", "/info"),
    ("POST", "/session"),
    ("POST", "/auth"),
)


def test_everything_else_is_refused(swarm: object, filtered: Filtered) -> None:
    proxy = filtered()
    answers = {(method, path): _status(proxy, method, path) for method, path in FORBIDDEN}
    assert answers == dict.fromkeys(FORBIDDEN, 403)
    assert _status(proxy, "GET", "/nodes") == 200


def _status(proxy: FilteringProxy, method: str, path: str) -> int:
    connection = http.client.HTTPConnection("engine", timeout=60)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(proxy.address.removeprefix("unix://"))
    connection.request(method, f"/v1.41{path}")
    with connection.getresponse() as answer:
        answer.read()
    connection.close()
    return answer.status


def test_check_does_without_what_is_not_needed_to_run(lab: Lab, filtered: Filtered) -> None:
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    lab.rotate("db")
    lab.docker_host = filtered().address
    said = lab.cli("check")
    for right in RIGHTS:
        noted = f"not looked at: {right} is not granted" in " ".join(said.split())
        assert noted == right.optional, right
    assert "no health check" not in said
    lab.docker_host = filtered(more=[right for right in RIGHTS if right.optional]).address
    said = lab.cli("check")
    assert "not looked at" not in said
    assert "no health check" in said
