"""Beside a bridge that runs here, commands need no login and no look at Vault of their own."""

from __future__ import annotations

from tests.support.lab import Lab
from tests.support.processes import eventually


def test_plan_takes_the_view_of_the_bridge_that_runs_here(lab: Lab) -> None:
    """As it is now: the bridge asks Vault anew. What it does not watch is asked for besides."""
    vault, _ = lab.through_proxies()
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {}})
    lab.rotate("db")
    own = lab.folder / "own-token"
    own.write_text(lab.token_file.read_text())
    lab.settings(poll={"interval": "1h"})
    bridge = lab.start()
    bridge.wait_for("good", secret=lab.name("db"))

    auth = {"method": "token", "token_file": str(own)}
    lab.settings(vault={"address": lab.vault_address, "auth": auth, "max_rps": 1000})
    own.write_text("not-a-token")
    lab.cli("plan", "--vault", code=4)
    shown = lab.json("plan")
    assert (shown["actions"], shown["vault"]["from"]) == ([], "bridge")
    assert "as the bridge that runs here knows it, 0s old at most;" in lab.cli("plan")
    assert lab.json("status")["leader"]["watch_period"] == 3600.0
    assert "asks for each path of Vault every 1h" in lab.cli("status")

    lab.rotate("db")  # of which the bridge would hear within the hour
    lab.cli("plan", code=None)
    eventually(lambda: lab.status(code=None)["db"]["running_version"] == 2)

    own.write_text(lab.vault.token)
    lab.secret("new", {"api": {}})
    lab.rotate("new")
    before = len(vault.exchanges)
    said = lab.cli("plan")
    assert "and Vault was asked for 1 more; `plan --vault` asks Vault itself." in said
    assert f"{lab.name('new')}_v1" in said
    reads = [e for e in vault.exchanges[before:] if "/metadata/" in e.path]
    assert [e.path.rpartition("/")[2] for e in reads if "new" in e.path] == ["new"]

    bridge.kill()
    assert lab.json("plan")["vault"]["from"] == "vault"
