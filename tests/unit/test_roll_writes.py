"""What it takes to roll many services to one version: counted, since a request costs the engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from bridge.apply import Applier
from bridge.decide.cycle import decide
from bridge.errors import SwarmRefused
from bridge.model.content.payload import Concealed
from bridge.model.labels import ROLL, labels_of
from bridge.model.memory import Memory, Result
from bridge.model.names import state_config_name
from bridge.model.vault_view import VaultView
from bridge.model.world import World
from bridge.observe_swarm import look_at_swarm
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from tests.support.builders import PATH, desired_of, document, identity
from tests.support.fakes import Clock, FakeSwarm

SERVICES = 20
NAMES = [f"api{number}" for number in range(SERVICES)]
DESIRED = desired_of(*NAMES)
AT_ONCE = replace(DESIRED, rollout=replace(DESIRED.rollout, max_in_flight=SERVICES))


class _Scene:
    """A second version is there, and all services are on the first."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.clock = Clock()
        self.fake = FakeSwarm(self.clock)
        first, self.second = (self._mirror(number) for number in (1, 2))
        file = {"Name": "db", "UID": "0", "GID": "0", "Mode": 0o444}
        reference = {"SecretID": first, "SecretName": "db_v1", "File": file}
        self.fake.create_config(state_config_name("default"), b"x", {})
        for name in NAMES:
            self.fake.deploy(name, 1, "rollback", secrets=[reference])
        self.applier = Applier(
            cast("Vault", None),
            cast("Swarm", self),
            instance="default",
            look=lambda: self._view.swarm,
            fence=lambda: True,
            clock=self.clock,
        )

    def __getattr__(self, call: str) -> Any:
        self.asked.append(call)
        return getattr(self.fake, call)

    def _mirror(self, number: int) -> str:
        labels = labels_of("default", "db", identity(number))
        return self.fake.create_secret(f"db_v{number}", Concealed(b"x"), labels)

    @property
    def _view(self) -> World:
        now = self.clock()
        swarm = look_at_swarm(cast("Swarm", self.fake), "default", now)
        return World(VaultView(as_of=now, paths={PATH: document(2)}), swarm)

    def apply(self) -> list[Result]:
        """Decide and apply once; only rolls and their records are wanted."""
        plan = decide(AT_ONCE, self._view, Memory(), self.clock())
        rolls = replace(plan, chains=tuple(c for c in plan.chains if len(c) == 2))
        assert len(rolls.chains) == SERVICES
        return [outcome.result for outcome in self.applier.apply(rolls, lambda: False)]

    def records(self) -> set[str]:
        """Return the ids of the services with a record on the second version."""
        labels = self.fake.secret(self.second)["Spec"]["Labels"]
        return {label.removeprefix(ROLL) for label in labels if label.startswith(ROLL)}

    def moved(self) -> set[str]:
        """Return the ids of the services that are on the second version."""
        return {s["ID"] for s in self.fake.services() if self.second in str(s["Spec"])}


@pytest.fixture
def scene() -> _Scene:
    return _Scene()


def test_one_write_has_the_records_of_all_rolls_and_each_service_is_read_and_written_once(
    scene: _Scene,
) -> None:
    assert scene.apply() == [Result.DONE] * 2 * SERVICES
    assert scene.asked == ["secret", "set_secret_labels", *["service", "update_service"] * SERVICES]
    assert len(scene.records()) == len(scene.moved()) == SERVICES


def test_records_that_are_refused_together_are_written_one_by_one(
    scene: _Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where there is no more room for labels: then one service does not hold up the others."""
    write = scene.fake.set_secret_labels

    def refuse(secret_id: str, index: int, name: str, labels: dict[str, str]) -> None:
        if len([label for label in labels if label.startswith(ROLL)]) > SERVICES - 1:
            raise SwarmRefused("too much")
        write(secret_id, index, name, labels)

    monkeypatch.setattr(scene.fake, "set_secret_labels", refuse)
    assert scene.apply() == [*[Result.DONE] * 2 * (SERVICES - 1), Result.FAILED]
    assert scene.records() == scene.moved()
    assert len(scene.moved()) == SERVICES - 1
