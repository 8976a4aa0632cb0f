"""Services that are rolled one after the other."""

from __future__ import annotations

import pytest

from tests.support.lab import Lab
from tests.support.processes import eventually


@pytest.mark.parametrize("action", ["rollback", "continue"])
def test_a_place_is_handed_over_as_soon_as_the_engine_is_done(lab: Lab, action: str) -> None:
    """Monitor is waited for once: the engine has watched the tasks for as long."""
    lab.settings(rollout={"bake": "1h", "max_in_flight": 1})
    lab.secret("db", {"first": {"target": "db"}, "second": {"target": "db"}})
    update = {"FailureAction": action, "Order": "stop-first", "Monitor": 5_000_000_000}
    for service in ("first", "second"):
        lab.service(service, replicas=1, update=update)
    lab.rotate("db")

    def state(service: str) -> str | None:
        status = lab.swarm.service(lab.name(service)).get("UpdateStatus") or {}
        return status.get("State")

    with lab.loop() as loop:
        loop.step(vault=True)
        loop.step()
        eventually(lambda: state("first") == "updating")
        step = loop.step()
        assert state("second") is None
        assert [hold.reason for hold in step.plan.holds] == ["WaitingForTurn"]
        eventually(lambda: state("first") == "completed")
        loop.step()
        assert lab.swarm.references(lab.name("second")) == {"db": lab.name("db_v1")}
