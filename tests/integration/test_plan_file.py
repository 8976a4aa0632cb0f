"""A plan that was reviewed is carried out as it is, or refused with what differs."""

from __future__ import annotations

import stat
from pathlib import Path

from tests.support.lab import Lab
from tests.support.proxy import Exchange, Phase


def _plan(lab: Lab) -> Path:
    file = lab.folder / "plan.json"
    lab.cli("plan", "--out", str(file))
    return file


def test_a_plan_is_carried_out_or_refused_with_what_differs(lab: Lab) -> None:
    lab.settings(rollout={"bake": "1s", "max_in_flight": 1})
    for name in ("api", "worker"):
        lab.service(name, replicas=1)
    lab.secret("db", {"api": {}, "worker": {}})
    value = lab.rotate("db")
    file = _plan(lab)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert value not in file.read_text()
    lab.cli("sync", "--plan", str(file))
    assert {s["version"] for s in lab.status()["db"]["services"]} == {1}

    # 1. What was planned is done, and it is no longer due.
    lab.rotate("db")
    refused = lab.run("sync", "--plan", str(file), code=3).stderr
    assert f"no longer due: create {lab.name('db_v1')}" in refused
    assert f"{lab.name('api')}: planned add" in refused

    # 2. Somebody updates a service, another writes a version.
    file = _plan(lab)
    lab.swarm.update_service(lab.name("api"), lambda spec: spec["Labels"].update(by="somebody"))
    refused = lab.run("sync", "--plan", str(file), code=3).stderr
    assert f"the service {lab.name('api')} was updated since (version index " in refused
    assert lab.name("worker") not in refused
    file = _plan(lab)
    lab.rotate("db")
    refused = lab.run("sync", "--plan", str(file), code=3).stderr
    assert f"due now and not in the plan: create {lab.name('db_v3')}" in refused
    assert lab.versions("db") == {1}

    # 3. Another configuration, and a file that is no plan.
    file = _plan(lab)
    lab.settings(rollout={"bake": "2s", "max_in_flight": 1})
    refused = lab.run("sync", "--plan", str(file), code=3).stderr
    assert "the configuration is not the one that it was made with" in refused
    assert "no plan that" in lab.run("sync", "--plan", str(lab.config), code=2).stderr


def test_what_is_not_in_the_plan_waits_for_another(lab: Lab) -> None:
    """A version that is written meanwhile; and beside a bridge that leads no plan is taken."""
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {}})
    lab.secret("other", {"api": {}})
    lab.rotate("db")
    file = lab.folder / "plan.json"
    lab.cli("plan", "--out", str(file), code=3)  # `other` is not there yet
    _, engine = lab.through_proxies()
    written: list[str] = []

    def write_another(exchange: Exchange, phase: Phase) -> None:
        if phase == Phase.BEFORE and exchange.path.endswith("/secrets/create") and not written:
            written.append(lab.rotate("other"))

    engine.hook = write_another
    lab.cli("sync", "--plan", str(file), code=3)
    assert written
    assert (lab.versions("db"), lab.versions("other")) == ({1}, set())
    assert lab.swarm.references(lab.name("api")) == {lab.name("db"): lab.name("db_v1")}

    file.unlink()
    lab.cli("plan", "--out", str(file))
    process = lab.start()
    process.wait_for("good", secret=lab.name("other"))
    refused = lab.run("sync", "--plan", str(file), code=3).stderr
    assert "leads, and carries out changes as it finds them" in refused
