"""I5: when nothing changed, nothing happens; and Vault is asked as little as can be."""

from __future__ import annotations

import re

from tests.support.lab import Lab
from tests.support.processes import eventually


def test_idle_cycles_restarts_and_second_syncs_change_nothing(lab: Lab) -> None:
    """100 forced cycles, two syncs and a run: no update, no new secret, no value read."""
    lab.service("api", replicas=1)
    lab.service("worker", replicas=1)
    lab.secret("db", {"api": {}, "worker": {}})
    lab.secret("user", {"api": {}}, kv={"path": "db", "field": "user"})
    lab.rotate("db", user="shop")
    vault, engine = lab.through_proxies()
    lab.sync()
    lab.rotate("db", user="shop")
    lab.sync()
    assert sum("/services/" in write for write in lab.writes(engine)) == 4
    vault.exchanges.clear()
    engine.exchanges.clear()

    with lab.loop() as loop:
        for _ in range(100):
            step = loop.step(vault=True)
            assert not step.plan.chains
            assert step.plan.finished
    asked = [exchange.path for exchange in vault.exchanges]
    path = f"/v1/{lab.mount}/metadata/db"
    assert asked.count(path) == 100  # one look per cycle, though two secrets use the path
    assert {p for p in asked if p != path} <= {"/v1/auth/token/lookup-self"}

    lab.cli("sync")
    lab.cli("sync")
    process = lab.start()
    process.wait_for("started")
    process.wait_for("state", secret=lab.name("db"))
    assert process.stop() == 0
    assert lab.writes(engine) == []
    assert not [e.path for e in vault.exchanges if "/data/" in e.path]


def test_only_the_newest_of_several_versions_is_mirrored(lab: Lab) -> None:
    """The value is read once, with its explicit version."""
    vault, _ = lab.through_proxies()
    lab.secret("db", {})
    lab.sync()
    for _ in range(4):
        newest = lab.rotate("db")
    lab.sync()
    assert lab.versions("db") == {4}
    reads = [e.path for e in vault.exchanges if "/data/" in e.path]
    assert reads == [f"/v1/{lab.mount}/data/db?version=4"]
    assert newest


def test_an_idle_bridge_asks_the_engine_nothing_and_one_that_rolls_what_moves(lab: Lab) -> None:
    """But for its heartbeat and the stream of events."""
    for name in ("api", "other"):
        lab.service(name, replicas=1)
        lab.secret(f"db-{name}", {name: {}})
        lab.rotate(f"db-{name}")
    _, engine = lab.through_proxies()
    lab.sync()

    def asked() -> list[str]:
        """Run a cycle; returns what it looked at, but for the lease."""
        engine.exchanges.clear()
        loop.step()
        paths = [exchange.path for exchange in engine.exchanges if exchange.method == "GET"]
        looks = [re.sub(r"/v[\d.]+", "", path) for path in paths]
        return [look for look in looks if not look.startswith(("/configs", "/events", "/version"))]

    with lab.loop() as loop, loop.listening():
        eventually(lambda: not asked())  # all was looked at since the stream is open
        for _ in range(30):
            assert asked() == []
        lab.rotate("db-api")
        loop.step(vault=True)
        api, other = (lab.swarm.service(lab.name(name))["ID"] for name in ("api", "other"))
        partial: list[str] = []

        def rolled() -> bool:
            looks = asked()
            if "/nodes" not in looks:
                partial.extend(looks)
            return not looks and lab.versions("db-api") == {1, 2}

        eventually(rolled)
        assert any(api in look for look in partial)
        assert not any(other in look for look in partial)
        assert not {"/tasks", "/services?status=true", "/secrets"} & set(partial)
