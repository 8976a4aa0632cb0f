"""`status` is a process of its own: it shows what the bridge meets, and asks Vault if it must."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.lab import Lab
from tests.support.leases import LeasedDatabase
from tests.support.processes import eventually
from tests.support.proxy import Answer, Exchange, Phase


def test_an_update_that_the_engine_refuses_is_shown_by_the_next_status(lab: Lab) -> None:
    """Not as on its way, once `sync` has reported it; and it is over once it is carried out."""
    _, engine = lab.through_proxies()
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {}})
    lab.rotate("db")
    refusal = b'{"message": "the engine refuses it"}'

    def refuse(exchange: Exchange, phase: Phase) -> None:
        if phase == Phase.BEFORE and exchange.writes and "/services/" in exchange.path:
            raise Answer(400, refusal)

    engine.hook = refuse
    lab.cli("sync", code=3)
    shown = lab.status(code=3)["db"]
    assert (shown["state"], shown["reason"]) == ("Held", "SwarmRefused")
    assert "the engine refuses it" in shown["message"]
    assert shown["services"][0]["state"] == "Held"
    engine.hook = lambda _exchange, _phase: None
    lab.cli("sync")
    assert lab.status()["db"]["state"] == "Synced"


@pytest.mark.parametrize(
    ("login", "remedy"),
    [({"token_type": "batch"}, "token_type=service"), ({"token_num_uses": 60}, "token_num_uses=0")],
    ids=["batch", "use-limited"],
)
def test_a_login_that_can_hold_no_lease_is_shown_with_the_remedy(
    lab: Lab,
    leased_database: Callable[..., LeasedDatabase],
    login: dict[str, Any],
    remedy: str,
) -> None:
    leased = leased_database(services=())
    lab.vault.put(f"auth/{leased.mount}/role/bridge", **login)
    lab.cli("sync", code=3)
    lab.vault.put(f"auth/{leased.mount}/role/bridge", token_type="service", token_num_uses=0)
    shown = lab.status(code=3)["db"]
    assert (shown["state"], shown["reason"]) == ("Held", "CustodyRefused")
    assert remedy in shown["message"]


def test_beside_a_bridge_that_leads_vault_is_not_asked(lab: Lab) -> None:
    """No login, so that none is used up, and none is refused while the bridge is well."""
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {}}, max_age="1s")
    lab.secret("gone", {})
    lab.rotate("db")
    process = lab.start()
    process.wait_for("good", secret=lab.name("db"))
    process.wait_for("overdue", secret=lab.name("db"))
    process.wait_for("held", reason="PathMissing")
    vault, _ = lab.through_proxies()
    wrong = lab.folder / "wrong"
    wrong.write_text("not-a-token")
    auth = {"method": "token", "token_file": str(wrong)}
    lab.settings(vault={"address": lab.vault_address, "auth": auth})
    shown = lab.json("status", code=3)
    secrets = {secret["name"].removeprefix(lab.prefix): secret for secret in shown["secrets"]}
    assert (secrets["db"]["state"], secrets["db"]["vault_version"]) == ("Synced", 1)
    assert (secrets["db"]["reason"], secrets["db"]["overdue"]) == ("Overdue", True)
    assert secrets["gone"]["reason"] == "PathMissing"
    assert shown["vault_asked"] is False
    assert vault.exchanges == []
    assert "`status --vault` asks Vault itself" in lab.cli("status", code=3)
    lab.cli("status", "--vault", code=4)
    assert vault.exchanges
    lab.rotate("gone")
    eventually(lambda: lab.status(code=None)["gone"]["state"] == "Synced")


def test_a_long_look_at_vault_is_waited_for_only_where_it_is_asked_for(lab: Lab) -> None:
    """Without a bridge too: what the swarm shows is printed at once, and that it is this."""
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {}})
    lab.secret("other", {})
    lab.rotate("db")
    lab.rotate("other")
    lab.sync()
    vault, _ = lab.through_proxies()
    login = {"method": "token", "token_file": str(lab.token_file)}
    lab.settings(vault={"address": lab.vault_address, "auth": login, "max_rps": 0.9})
    shown = lab.json("status")
    states = [(each["state"], each["vault_version"]) for each in shown["secrets"]]
    assert states == [("Synced", 1), ("Synced", 1)]
    assert shown["vault_asked"] is False
    assert "This is what the swarm shows; `status --vault` asks Vault" in lab.cli("status")
    assert vault.exchanges == []
    assert lab.json("status", "--vault")["vault_asked"] is True
    assert vault.exchanges
