"""What the swarm's events tell is not waited for."""

from __future__ import annotations

from contextlib import closing

import pytest

from bridge import cadence
from bridge.config import load
from bridge.loop import Loop
from tests.support.lab import Lab
from tests.support.processes import PATIENCE


def test_a_roll_is_followed_by_events_alone(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else brings a cycle before the test has failed, but the end of a bake."""
    lab.settings(poll={"interval": "1h"})
    lab.secret("db", {"api": {"target": "db"}})
    lab.service("api", replicas=2, update={"Order": "stop-first"})
    lab.rotate("db")
    lab.sync()
    value = lab.rotate("db")
    monkeypatch.setattr(cadence, "ROLLING_LOOK", 3600.0)
    with closing(Loop(load(str(lab.write_config()), {}), ttl=3600.0)) as loop:
        plan, finished = loop.sync(PATIENCE)
    assert finished, plan.conditions
    assert lab.swarm.read(lab.name("api"), "db") == [value, value]
