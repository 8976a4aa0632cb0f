"""I5: when nothing changed, nothing happens; and Vault is asked as little as can be."""

from __future__ import annotations

from tests.support.lab import Lab


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
    process.wait_for("bridge runs")
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
