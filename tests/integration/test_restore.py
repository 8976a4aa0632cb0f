"""Vault is restored from a snapshot, or somebody destroys what is no longer current."""

from __future__ import annotations

from tests.support.lab import Lab
from tests.support.processes import eventually


def test_one_write_is_enough_after_a_restore(lab: Lab) -> None:
    """Held while only older numbers are there; what is written since is newer, with any number."""
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    lab.rotate("db")
    snapshot = lab.vault.snapshot()
    for _ in range(2):
        third = lab.rotate("db")
        lab.sync()
    _, engine = lab.through_proxies()
    lab.vault.restore(snapshot)
    lab.cli("sync", code=3)
    status = lab.status(code=3)["db"]
    assert (status["reason"], status["vault_version"]) == ("VersionWentBack", 1)
    assert lab.writes(engine) == []
    assert lab.swarm.read(lab.name("api"), "db") == [third]

    since = lab.rotate("db")
    lab.cli("sync")
    assert lab.swarm.read(lab.name("api"), "db") == [since]
    status = lab.status()["db"]
    assert (status["state"], status["vault_version"], status["running_version"]) == ("Synced", 2, 2)
    assert lab.updates(engine, "api") == 1
    lab.vault.stop()
    try:
        lab.cli("sync", code=4)
        assert lab.updates(engine, "api") == 1  # its number is no reason to go to version 3
    finally:
        lab.vault.start()
    again = lab.rotate("db")  # version 3 of another content than the one that was mirrored
    lab.cli("sync")
    assert lab.swarm.read(lab.name("api"), "db") == [again]


def test_a_lagging_answer_is_looked_at_twice(lab: Lab) -> None:
    """One odd answer holds nothing and is not said; the second look finds all well."""
    lab.secret("db", {})
    lab.rotate("db")
    lab.sync()
    vault, _ = lab.through_proxies()
    process = lab.start()
    process.wait_for("state", state="Synced")
    lab.vault.call("DELETE", f"{lab.mount}/metadata/db")
    process.wait_for("held", reason="PathMissing")
    lines = [(line["state"], line["reason"]) for line in process.lines("state")]
    assert lines[0] == ("Synced", "UpToDate")
    assert all(state == "Rolling" for state, _ in lines[1:])  # one line for the hold is enough
    looks = [e for e in vault.exchanges if "/metadata/" in e.path and e.status == 404]
    assert len(looks) >= 2
    assert process.stop() == 0


def test_what_is_destroyed_in_vault_goes_as_soon_as_nothing_needs_it(lab: Lab) -> None:
    """Though `retain` would keep it; the former spec of a service keeps it until the next roll."""
    lab.settings(retain={"versions": 5, "min_age": "30d"})
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    for _ in range(3):
        lab.rotate("db")
        lab.sync()
    lab.vault.put(f"{lab.mount}/destroy/db", versions=[1, 2])
    lab.sync()
    assert lab.versions("db") == {2, 3}
    lab.rotate("db")
    lab.sync()
    eventually(lambda: lab.versions("db") == {3, 4})
