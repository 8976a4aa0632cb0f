"""Many paths and services: one rotation among them, and a stop at any moment."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from tests.support.lab import Json, Lab
from tests.support.leases import LeasedDatabase
from tests.support.processes import eventually

LARGE = pytest.param(1000, 100, marks=pytest.mark.acceptance)
ROTATED = 7


def _deploy(lab: Lab, paths: int, services: int) -> None:
    """Map paths to services that have no tasks, besides the one that is rotated."""
    for number in range(services):
        lab.service(f"s{number}", replicas=1 if number == ROTATED else 0)
    for number in range(paths):
        users: dict[str, Json] = {f"s{number}": {}} if number < services else {}
        lab.secret(f"p{number}", users)
        lab.rotate(f"p{number}")


@pytest.mark.parametrize(("paths", "services"), [(60, 10), LARGE])
def test_one_rotation_among_many(
    lab: Lab, leased_database: Callable[..., LeasedDatabase], paths: int, services: int
) -> None:
    """It is noticed with the next request for its path, and a lease of 30 s is kept meanwhile."""
    _deploy(lab, paths, services)
    leased = leased_database(services=(), default_ttl="30s", poll={"interval": "2s"})
    leased.first()
    lab.sync()
    vault, engine = lab.through_proxies()
    lab.settings(vault={**lab.vault_settings(), "address": lab.vault_address})
    process = lab.start()
    process.wait_for("state", state="Synced")
    place = f"/metadata/p{ROTATED}"
    seen, done = len(vault.exchanges), len(lab.writes(engine))
    value = lab.rotate(f"p{ROTATED}")
    process.wait_for("good", docker_secret=lab.name(f"p{ROTATED}_v2"))
    assert lab.swarm.read(lab.name(f"s{ROTATED}"), lab.name(f"p{ROTATED}")) == [value]
    asked = [e.path for e in vault.exchanges[seen:]]
    read = next(n for n, path in enumerate(asked) if f"/data/p{ROTATED}" in path)
    assert sum(path.endswith(place) for path in asked[:read]) <= 2
    updates = [write for write in lab.writes(engine)[done:] if "/services/" in write]
    assert len(updates) == 1
    assert lab.updates(engine, f"s{ROTATED}") == 1
    renewed = len([e for e in vault.exchanges if e.path.endswith("/leases/renew")])
    eventually(
        lambda: len([e for e in vault.exchanges if e.path.endswith("/leases/renew")]) > renewed
    )
    assert not process.lines("set_aside")
    assert not process.lines("cycle_failed")
    assert lab.status()["db"]["state"] == "Synced"
    assert process.stop() == 0


@pytest.mark.parametrize(
    ("paths", "moments"), [(60, 4), pytest.param(1000, 50, marks=pytest.mark.acceptance)]
)
def test_a_stop_at_any_moment(lab: Lab, paths: int, moments: int) -> None:
    _deploy(lab, paths, ROTATED + 1)
    lab.settings(poll={"interval": "1s"})
    dice, took = random.Random(1), []
    stopped_in_work = 0
    for _ in range(moments):
        process = lab.start()
        pause = dice.uniform(0.0, 4.0)
        began = time.monotonic()
        eventually(lambda end=began + pause: time.monotonic() > end)  # type: ignore[misc]
        began = time.monotonic()
        code = process.stop()
        assert code == 0 or not process.lines()  # before it had begun
        took.append(time.monotonic() - began)
        stopped_in_work += bool(process.lines())
        assert not process.lines("cycle_failed")
    assert stopped_in_work
    print(f"stopped within {max(took):.2f} s")
    lab.sync()
