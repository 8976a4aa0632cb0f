"""A bridge that stands by makes sure that it can log in, and is unfit where that helps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from bridge.errors import LoginRefused, SwarmUnreachable, VaultUnreachable
from bridge.model.vitals import Vitals, judge
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from bridge.stand_by import StandBy
from tests.support.processes import eventually

Json = dict[str, Any]
REFUSED = LoginRefused("Vault refused the AppRole login")


class _Vault:
    """A Vault whose answers to a login are given; the last one again and again."""

    def __init__(self, *answers: Exception | None) -> None:
        self._answers = list(answers)
        self.asked = 0

    def warm_up(self) -> None:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer:
            raise answer


class _Swarm:
    """A swarm with one service and its task."""

    def __init__(self, state: str | None, container: str = "c1") -> None:
        self._status: Json | None = {"State": state} if state else None
        self._container = container

    def tasks(self) -> list[Json]:
        status = {"State": "running", "ContainerStatus": {"ContainerID": self._container}}
        return [{"Status": {"State": "new"}}, {"Status": status, "ServiceID": "s1"}]

    def service(self, service_id: str) -> Json:
        assert service_id == "s1"
        return {"UpdateStatus": self._status} if self._status else {}


class _Away(_Swarm):
    def tasks(self) -> list[Json]:
        raise SwarmUnreachable("no answer")


def _stand_by(vault: _Vault, swarm: _Swarm, container: str = "c1") -> StandBy:
    return StandBy(cast("Vault", vault), cast("Swarm", swarm), container)


def _looked(stand_by: StandBy, vault: _Vault, times: int = 1) -> str:
    """Look until Vault was asked so often, and once more; returns what that look found."""

    def look_until(asked: int) -> str:
        while True:
            found = stand_by.look()
            if vault.asked >= asked:
                return found

    look_until(times)
    return look_until(times + 1)


def test_a_refused_bridge_is_unfit_while_its_service_is_being_updated() -> None:
    vault = _Vault(REFUSED)
    unfit = _looked(_stand_by(vault, _Swarm("updating")), vault)
    assert "Vault refused the AppRole login" in unfit
    health = judge(Vitals(at=0.0, cycles=1, leader="other", unfit=unfit), 1.0)
    assert not health.healthy
    assert health.message.startswith("unfit: it was started with a credential")


@pytest.mark.parametrize(
    ("swarm", "container"),
    [
        (_Swarm(None), "c1"),
        (_Swarm("completed"), "c1"),
        (_Swarm("rollback_started"), "c1"),
        (_Swarm("updating", container="c2"), "c1"),
        (_Swarm("updating"), ""),
        (_Away("updating"), "c1"),
    ],
)
def test_at_any_other_time_it_waits_since_each_restart_is_one_more_refusal(
    swarm: _Swarm, container: str
) -> None:
    vault = _Vault(REFUSED)
    assert _looked(_stand_by(vault, swarm, container), vault) == ""


@pytest.mark.parametrize("answer", [None, VaultUnreachable("no answer"), RuntimeError("odd")])
def test_a_vault_that_is_away_says_nothing_of_the_credential(answer: Exception | None) -> None:
    vault = _Vault(answer)
    assert _looked(_stand_by(vault, _Swarm("updating")), vault) == ""


def test_a_fresh_credential_makes_it_fit_again() -> None:
    vault = _Vault(REFUSED, None)
    assert _looked(_stand_by(vault, _Swarm("updating")), vault, times=3) == ""


def test_a_vault_that_hangs_keeps_it_from_nothing() -> None:
    release: list[Callable[[], None]] = []

    class _Hangs(_Vault):
        def warm_up(self) -> None:
            over = threading.Event()
            release.append(over.set)
            over.wait(60)

    stand_by = _stand_by(_Hangs(None), _Swarm("updating"))
    assert [stand_by.look() for _ in range(3)] == [""] * 3
    eventually(lambda: len(release) == 1)
    release[0]()
