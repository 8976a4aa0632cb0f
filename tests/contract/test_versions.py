"""What the bridge takes for granted of API versions: errors, headers, and what is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from tests.support.fakes import FakeEngine, Json
from tests.support.swarm import IMAGE


class Side:
    """An engine, spoken to at any version."""

    def __init__(self, host: str) -> None:
        self._api: Any = docker.APIClient(base_url=host, version="1.41")
        engine = self.ask("GET", "/version").json()
        self.own, self.least = engine["ApiVersion"], engine["MinAPIVersion"]

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        answer: requests.Response = self._api.request(
            method, f"{self._api.base_url}{path}", timeout=60, **more
        )
        return answer

    def close(self) -> None:
        self._api.close()


@pytest.fixture(params=["fake", "real"])
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Side]:
    if request.param == "real":
        made = Side(request.getfixturevalue("swarm").host)
        yield made
        made.close()
        return
    fake = FakeEngine(tmp_path)
    made = Side(fake.address)
    yield made
    made.close()
    fake.close()


def _beside(version: str, by: int) -> str:
    major, minor = version.split(".")
    return f"{major}.{int(minor) + by}"


def test_a_version_that_is_too_new_is_refused(side: Side) -> None:
    newer = _beside(side.own, 1)
    answer = side.ask("GET", f"/v{newer}/info")
    words = f"client version {newer} is too new. Maximum supported API version is {side.own}"
    assert (answer.status_code, answer.json()["message"]) == (400, words)


def _message(answer: requests.Response) -> str:
    """Return an error's message; to API versions below 1.24 it is plain text."""
    return str(
        answer.json()["message"] if "json" in answer.headers["Content-Type"] else answer.text
    )


def test_a_version_that_is_too_old_is_refused(side: Side) -> None:
    older = _beside(side.least, -1)
    answer = side.ask("GET", f"/v{older}/info")
    words = (
        f"client version {older} is too old. Minimum supported API version is {side.least},"
        " please upgrade your client to a newer version"
    )
    assert (answer.status_code, _message(answer).strip()) == (400, words)


def test_a_refused_write_was_not_carried_out(side: Side) -> None:
    newer = _beside(side.own, 1)
    assert side.ask("POST", f"/v{newer}/services/create", json=_spec()).status_code == 400
    made = side.ask("POST", f"/v{side.own}/services/create", json=_spec())
    assert made.status_code == 201  # the name is free
    _remove(side, made)


@pytest.mark.parametrize("status", [200, 404])
def test_an_answer_names_the_engines_own_version(side: Side, status: int) -> None:
    path = "/info" if status == 200 else "/services/none"
    for version in (side.own, "1.40"):
        answer = side.ask("GET", f"/v{version}{path}")
        assert (answer.status_code, answer.headers["Api-Version"]) == (status, side.own)


def test_an_older_version_loses_fields_without_a_word(side: Side) -> None:
    made = side.ask("POST", f"/v{side.own}/services/create", json=_spec())
    place = f"/services/{made.json()['ID']}"
    raw = side.ask("GET", f"/v1.40{place}").json()
    assert raw["Spec"]["TaskTemplate"]["ContainerSpec"]["CapabilityAdd"] == ["CAP_NET_RAW"]
    index = {"version": raw["Version"]["Index"]}
    answer = side.ask("POST", f"/v1.40{place}/update", params=index, json=raw["Spec"])
    assert answer.status_code == 200
    spec = side.ask("GET", f"/v{side.own}{place}").json()["Spec"]
    assert "CapabilityAdd" not in spec["TaskTemplate"]["ContainerSpec"]
    _remove(side, made)


def _spec() -> Json:
    container = {"Image": IMAGE, "CapabilityAdd": ["CAP_NET_RAW"]}
    return {
        "Name": "vbc-versions",
        "TaskTemplate": {"ContainerSpec": container},
        "Mode": {"Replicated": {"Replicas": 0}},
    }


def _remove(side: Side, made: requests.Response) -> None:
    side.ask("DELETE", f"/v{side.own}/services/{made.json()['ID']}")
