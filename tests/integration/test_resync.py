"""The current version made anew, since the configuration asks for another content of it."""

from __future__ import annotations

import json

from tests.support.lab import Lab
from tests.support.processes import eventually
from tests.support.swarm import SLEEP


def test_a_changed_format_is_pending_until_resync(lab: Lab) -> None:
    """With no bridge running; what would have the same bytes is not made and rolls nothing."""
    name = lab.name("db")
    _, engine = lab.through_proxies()
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    value = lab.rotate("db")
    lab.sync()
    lab.secret("db", {"api": {"target": "db"}}, format="json")
    lab.cli("sync")
    (notice,) = lab.json("plan")["notices"]
    assert (notice["reason"], notice["secret"]) == ("ContentChanged", name)
    status = lab.status()["db"]
    assert (status["state"], status["reason"]) == ("Synced", "ContentChanged")
    assert f"vault-bridge resync {name}" in status["message"]
    assert lab.updates(engine, "api") == 1

    assert "made anew" in lab.cli("resync", name)
    lab.cli("sync")
    (text,) = lab.swarm.read(lab.name("api"), "db")
    assert json.loads(text) == {"password": value}
    assert lab.updates(engine, "api") == 2
    names = lab.swarm.secret_names(name)
    assert len(names) == 2
    assert lab.status()["db"]["reason"] == "UpToDate"
    assert lab.status()["db"]["unused"] == []

    lab.secret("db", {"api": {"target": "db"}}, template='{"password":{{ password | tojson }}}')
    for _ in range(2):  # the second finds nothing to do
        lab.cli("resync", name)
        lab.cli("sync")
        assert lab.status()["db"]["reason"] == "UpToDate"
    assert lab.updates(engine, "api") == 2
    assert lab.swarm.secret_names(name) == names


def test_a_content_that_a_service_cannot_read_goes_back(lab: Lab) -> None:
    """Carried out by the bridge that runs, which also refuses what it cannot read again."""
    name = lab.name("db")
    command = ["sh", "-c", f"grep -q {{ /run/secrets/db && exit 3; {SLEEP}"]
    lab.service("api", replicas=1, command=command)
    lab.secret("db", {"api": {"target": "db"}})
    value = lab.rotate("db")
    lab.sync()
    lab.secret("db", {"api": {"target": "db"}}, format="json")
    process = lab.start()
    process.wait_for("state", reason="ContentChanged")
    lab.cli("resync", name, "--wait", "--reason", "the new reader")
    process.wait_for("set_aside", reason="RollFailed")
    eventually(lambda: lab.swarm.references(lab.name("api")) == {"db": f"{name}_v1"})
    lab.swarm.wait_running(lab.name("api"), 1)
    assert lab.swarm.read(lab.name("api"), "db") == [value]
    status = lab.status(code=5)["db"]
    assert (status["state"], status["reason"]) == ("Degraded", "RollFailed")
    refused = lab.run("resync", name, "--wait", code=3).stderr
    assert f"vault-bridge retry {name}" in refused
    assert process.stop() == 0
