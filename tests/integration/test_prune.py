"""Why I1 is there: Swarm's own rollback needs what must not be pruned in the middle of a roll."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from bridge.decide.versions.prune import Pruning
from bridge.decide.versions.target import Target
from bridge.model.actions import RemoveSecret
from bridge.model.desired import Retain
from bridge.model.reasons import Reason
from bridge.model.swarm_view import SwarmView
from tests.integration.test_failure import POISON
from tests.support.lab import Lab
from tests.support.processes import eventually


def _in_specs(swarm: SwarmView) -> frozenset[str]:
    """Return what the engine itself would refuse to remove, and nothing more."""
    return frozenset[str]().union(*(service.secret_ids for service in swarm.services))


def _prune(target: Target, swarm: SwarmView, retain: Retain, _now: float) -> Pruning:
    """Prune as scripts do: all but the newest that no service has."""
    old = target.mirrors[retain.versions :]
    name = target.secret.name
    return Pruning(
        tuple(
            RemoveSecret(
                secret=name,
                secret_id=mirror.id,
                docker_name=mirror.docker_name,
                reason=Reason.OUTDATED,
                why="it is old",
            )
            for mirror in old
            if mirror.id not in _in_specs(swarm)
        ),
        (),
    )


@contextmanager
def _unprotected() -> Iterator[None]:
    with (
        patch("bridge.decide.upkeep.prune", _prune),
        patch.object(SwarmView, "needed_ids", property(_in_specs)),
    ):
        yield


@contextmanager
def _protected() -> Iterator[None]:
    yield


@pytest.mark.parametrize(("protection", "running"), [(_protected, 1), (_unprotected, 0)])
def test_swarms_rollback_needs_what_a_careless_prune_removes(
    lab: Lab, protection: object, running: int
) -> None:
    """A poisoned version, and a service that Swarm rolls back: 1/1 with I1, and 0/1 without."""
    lab.settings(retain={"versions": 1, "min_age": "0s"}, rollout={"bake": "1s", "timeout": "20s"})
    lab.secret("pw", {"api": {"target": "pw"}})
    lab.rotate("pw")
    lab.sync()
    lab.service(
        "api",
        replicas=1,
        command=POISON,
        secrets=[(lab.name("pw_v1"), "pw")],
        update={"FailureAction": "rollback", "Order": "stop-first"},
    )
    lab.swarm.wait_running(lab.name("api"), 1)
    lab.sync()
    lab.vault.write(lab.mount, "pw", password="poison")
    with protection(), lab.loop() as loop:  # type: ignore[operator]

        def rolled_back() -> bool:
            loop.step(vault=True)
            status = lab.swarm.service(lab.name("api")).get("UpdateStatus") or {}
            return status.get("State") in {"rollback_completed", "rollback_paused"}

        eventually(rolled_back)
        assert (lab.versions("pw") == {1, 2}) == bool(running)
    if running:
        lab.swarm.wait_running(lab.name("api"), 1)
    assert len(lab.swarm.tasks(lab.name("api"))) == running
    lab.rotate("pw")  # whatever happened, a good version mends it
    lab.sync()
    assert len(lab.swarm.tasks(lab.name("api"))) == 1
