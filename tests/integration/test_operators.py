"""What operators ask for, with Docker only, and what the bridge makes of it."""

from __future__ import annotations

from tests.support.lab import Lab
from tests.support.processes import eventually
from tests.support.swarm import SLEEP


def _three_versions(lab: Lab) -> list[str]:
    """Two services on the third version; returns all three values."""
    lab.settings(retain={"versions": 5, "min_age": "0s"})
    lab.service("api", replicas=1)
    lab.service("worker", replicas=1)
    lab.secret("db", {"api": {"target": "db"}, "worker": {"target": "db"}})
    values = []
    for _ in range(3):
        values.append(lab.rotate("db"))
        lab.sync()
    return values


def _read(lab: Lab) -> set[str]:
    return {value for name in ("api", "worker") for value in lab.swarm.read(lab.name(name), "db")}


def test_rollback_goes_back_and_stays_until_something_newer_comes(lab: Lab) -> None:
    """While Vault is away too; `--wait` follows it; repeating it does nothing. `resume` ends it."""
    values = _three_versions(lab)
    _, engine = lab.through_proxies()
    process = lab.start()
    process.wait_for("state", state="Synced")
    lab.vault.stop()
    try:
        name = lab.name("db")
        assert "version 2" in lab.cli("rollback", name, "--reason", "it leaks", "--wait")
        assert _read(lab) == {values[1]}
        lab.cli("rollback", name, "--to", "1", "--wait")
        assert _read(lab) == {values[0]}
        before = lab.updates(engine, "api")
        lab.cli("rollback", name, "--to", "1", "--wait")
        assert lab.updates(engine, "api") == before
        assert "is not mirrored" in _error(lab, 3, "rollback", name, "--to", "9")
    finally:
        lab.vault.start()
    process.wait_for("no_longer_held", reason="VaultUnreachable")
    status = lab.status(code=3)["db"]
    assert (status["state"], status["reason"]) == ("Held", "SetAside")
    newer = lab.rotate("db")
    process.wait_for("good", docker_secret=lab.name("db_v4"))
    assert _read(lab) == {newer}
    assert process.stop() == 0

    lab.cli("rollback", name)
    lab.cli("sync", code=3)
    assert _read(lab) == {values[0]}  # the second and the third were gone back from
    lab.cli("resume", name)
    lab.cli("sync")
    assert _read(lab) == {newer}


def test_what_touches_too_many_services_waits_for_approve(lab: Lab) -> None:
    """It is mirrored, and held; the approval is for this version, and the next waits again."""
    lab.settings(limits={"max_services": 1})
    name = lab.name("db")
    lab.service("api", replicas=1)
    lab.service("worker", replicas=1)
    lab.secret("db", {"api": {"target": "db"}, "worker": {"target": "db"}})
    first = lab.rotate("db")
    said = lab.cli("sync", code=3)
    assert "NeedsApproval" in said
    assert "approve" in said
    assert lab.versions("db") == {1}
    assert lab.swarm.references(lab.name("api")) == {}
    assert "Version 1" in lab.cli("approve", name, "--reason", "it is meant")
    lab.cli("sync")
    assert _read(lab) == {first}
    assert "no version of" in _error(lab, 3, "approve", name)
    lab.rotate("db")
    lab.cli("sync", code=3)
    assert _read(lab) == {first}
    lab.vault.write(lab.mount, "db", other="no such field")
    assert "Version 2" in lab.cli("approve", name)


def test_a_pause_and_a_state_config_that_is_lost_hold_everything_until_resume(lab: Lab) -> None:
    """A version that comes meanwhile is mirrored and waits; a restart does not unpause."""
    values = _three_versions(lab)
    lab.cli("pause", "--reason", "holidays")
    newer = lab.rotate("db")
    lab.cli("sync", code=3)
    status = lab.status(code=3)["db"]
    assert (status["state"], status["reason"]) == ("Held", "Paused")
    assert "holidays" in status["message"]
    assert 4 in lab.versions("db")
    assert _read(lab) == {values[2]}
    process = lab.start()
    process.wait_for("held", reason="Paused")
    lab.cli("resume", "--wait")
    eventually(lambda: _read(lab) == {newer})
    assert process.stop() == 0

    (config,) = [
        c["ID"]
        for c in lab.swarm.call("GET", "/configs")
        if c["Spec"]["Name"] == f"vault-bridge.{lab.name('bridge')}.state"
    ]
    lab.swarm.call("DELETE", f"/configs/{config}")
    newest = lab.rotate("db")
    lab.cli("sync", code=3)
    assert lab.status(code=3)["db"]["reason"] == "StateLost"
    lab.cli("resume")
    lab.cli("sync")
    assert _read(lab) == {newest}


def test_retry_after_the_service_was_mended(lab: Lab) -> None:
    lab.settings(rollout={"bake": "1s"})
    poison = f"grep -q poison /run/secrets/db && [ ! -e /etc/cured ] && exit 3; {SLEEP}"
    lab.secret("db", {"api": {"target": "db"}})
    lab.rotate("db")
    lab.sync()
    references = [(lab.name("db_v1"), "db")]
    lab.service("api", replicas=1, command=["sh", "-c", poison], secrets=references)
    lab.sync()
    assert "no version" in _error(lab, 3, "retry", lab.name("db"))
    lab.vault.write(lab.mount, "db", password="poison")
    lab.cli("sync", code=5)
    cured = ["sh", "-c", SLEEP]

    def cure(spec: dict[str, dict[str, dict[str, list[str]]]]) -> None:
        spec["TaskTemplate"]["ContainerSpec"]["Command"] = cured

    lab.swarm.update_service(lab.name("api"), cure)
    lab.cli("retry", lab.name("db"), "--reason", "cured")
    lab.cli("sync")
    assert lab.swarm.read(lab.name("api"), "db") == ["poison"]


def test_forget_lets_go_of_what_is_no_longer_configured(lab: Lab) -> None:
    lab.secret("db", {})
    lab.secret("other", {})
    lab.rotate("db")
    lab.rotate("other")
    lab.sync()
    assert "in the configuration" in _error(lab, 3, "forget", lab.name("db"))
    lab.without("db")
    lab.cli("sync", code=None)
    assert lab.status(code=None)["db"]["reason"] == "Unmapped"
    lab.cli("forget", lab.name("db"))
    lab.cli("sync", code=None)
    assert lab.versions("db") == set()
    assert lab.versions("other") == {1}
    assert "there is no secret" in _error(lab, 2, "forget", lab.name("db"))


def _error(lab: Lab, code: int, *arguments: str) -> str:
    return lab.run(*arguments, code=code).stderr
