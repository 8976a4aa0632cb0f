"""The main job on real servers: rotate in Vault, and the service rolls to ``name_vN``."""

from __future__ import annotations

import pytest

from tests.support.lab import Lab


@pytest.mark.parametrize("rotations", [3, pytest.param(10, marks=pytest.mark.acceptance)])
def test_rotations_reach_every_task_with_one_update_each(lab: Lab, rotations: int) -> None:
    """One update per service and rotation, one where both secrets changed, two versions left."""
    _, engine = lab.through_proxies()
    for service in ("api", "both", "worker"):
        lab.service(service)
    lab.secret("db", {"api": {"target": "db"}, "both": {"target": "db"}})
    lab.secret("key", {"both": {"target": "key"}, "worker": {"target": "key"}})
    for rotation in range(1, rotations + 1):
        db, key = lab.rotate("db"), lab.rotate("key")
        lab.sync()
        for service, target, value in (
            ("api", "db", db),
            ("both", "db", db),
            ("both", "key", key),
            ("worker", "key", key),
        ):
            assert lab.swarm.read(lab.name(service), target) == [value, value]
            assert lab.updates(engine, service) == rotation
        kept = {rotation, rotation - 1} - {0}
        assert lab.versions("db") == lab.versions("key") == kept
    db = lab.rotate("db")
    lab.sync()
    assert [lab.updates(engine, s) - rotations for s in ("api", "both", "worker")] == [1, 1, 0]
    assert lab.swarm.read(lab.name("both"), "db") == [db, db]
