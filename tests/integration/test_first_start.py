"""The first start: `init` makes what a bridge needs, and what is not there is waited for."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.lab import Lab
from tests.support.processes import eventually
from tests.support.swarm import Engine
from tests.support.vault import VaultServer

ROLE = "auth/approle/role/swarm-bridge"
CUSTODY = "sys/policies/acl/swarm-bridge-custody"


@pytest.fixture
def new(tmp_path: Path, swarm: Engine) -> Iterator[Lab]:
    """A lab with a Vault of its own: the policies have one name in each Vault."""
    with closing(VaultServer(tmp_path / "vault")) as server:
        server.start()
        with closing(Lab(tmp_path, swarm, server)) as lab:
            (tmp_path / "new").mkdir()
            yield lab


def _config(lab: Lab) -> Path:
    return lab.folder / "new/bridge.yaml"


def _init(lab: Lab, *more: str, code: int = 0) -> str:
    """Run `init --apply`; returns what it says of what it writes."""
    where = ("--address", lab.vault.address, "--docker-host", lab.swarm.host)
    admin = ("--apply", "--admin-token-file", str(lab.token_file))
    secret = ("--mount", lab.mount, "--instance", lab.name("bridge"))
    words = ("init", "-c", str(_config(lab)), *where, *admin, *secret, *more)
    return lab.run(*words, code=code).stderr


def _secret_ids(lab: Lab) -> list[str]:
    return list(lab.vault.call("LIST", f"{ROLE}/secret-id")["data"]["keys"])


def test_what_init_has_written_mirrors_and_rolls(new: Lab) -> None:
    lab = new
    lab.service("api", replicas=1)
    value = lab.rotate("db")
    what = ("--run-as", "machine", "--secret", f"{lab.name('db')}=db:password@{lab.name('api')}")
    said = _init(lab, *what)
    assert "Vault: sys/policies/acl/swarm-bridge: new" in said
    assert f"Vault: {ROLE}: written" in said
    for name in ("role_id", "secret_id"):
        file = lab.folder / "new" / name
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        lab.canaries.append(file.read_text())
    role = lab.vault.get(ROLE)
    assert role["token_no_default_policy"]
    assert (role["token_type"], role["token_policies"]) == ("service", ["swarm-bridge"])

    again = _init(lab, *what)  # I5: nothing changed, so nothing happens
    assert ": new" not in again
    assert ": written" not in again
    assert len(_secret_ids(lab)) == 1

    with _config(lab).open("a") as stream:
        stream.write('rollout: {bake: "1s"}\n')
    lab.cli("sync", "-c", str(_config(lab)))
    assert lab.swarm.read(lab.name("api"), lab.name("db")) == [value]
    lab.cli("check", "-c", str(_config(lab)))


def test_what_vault_has_otherwise_is_not_overwritten(new: Lab) -> None:
    lab = new
    lab.vault.put("sys/auth/approle", type="approle")
    lab.vault.put(ROLE, token_policies=["somebody-else"], token_ttl="20m")
    refused = _init(lab, code=3)
    assert f"{ROLE} (token_policies, token_no_default_policy, token_type)" in refused
    assert not _config(lab).exists()
    assert "swarm-bridge" not in lab.vault.get("sys/policies/acl?list=true")["keys"]
    assert ": written" in _init(lab, "--force")
    assert lab.vault.get(ROLE)["token_policies"] == ["swarm-bridge"]


def test_the_credential_goes_straight_into_docker_secrets(new: Lab) -> None:
    lab = new
    ca = lab.folder / "ca.pem"
    ca.write_text("a certificate\n")
    prefix = lab.name("own_")
    role = f"{lab.name('dsn')}=app@{lab.name('api')}"
    what = ("--docker-secrets", "--docker-prefix", prefix, "--database", role, "--ca", str(ca))
    said = _init(lab, *what)
    names = {f"{prefix}{what}" for what in ("role_id", "secret_id", "ca")}
    assert lab.swarm.secret_names(prefix) == names
    assert f"Vault: {CUSTODY}: written" in said
    custody: dict[str, Any] = lab.vault.get("auth/token/roles/swarm-bridge")
    assert custody["orphan"]
    assert sorted(each.name for each in _config(lab).parent.iterdir()) == ["bridge.yaml"]
    assert ": written" not in _init(lab, *what)
    assert len(_secret_ids(lab)) == 1


def test_a_token_that_may_not_writes_nothing(new: Lab) -> None:
    lab = new
    lab.token_file.write_text(lab.vault.make_token("default"))
    refused = _init(lab, code=3)
    assert "refuses the administrator's token at sys/policies/acl/swarm-bridge" in refused
    assert not _config(lab).exists()


# --- what is missing at a start -------------------------------------------------------------------


def test_a_credential_that_is_not_there_yet_is_waited_for_and_reported_once(lab: Lab) -> None:
    lab.secret("db", {})
    lab.rotate("db")
    token = lab.token_file.read_text()
    lab.token_file.unlink()
    process = lab.start()
    eventually(lambda: "Vault cannot be used: cannot read" in lab.cli("health", code=None))
    assert lab.json("health")["healthy"]
    lab.token_file.write_text(token)
    process.wait_for("mirrored", secret=lab.name("db"))
    eventually(lambda: lab.cli("health").strip().endswith("; Vault answers"))
    held = [line for line in process.lines("held") if line["reason"] == "LoginRefused"]
    assert len(held) == 1
    assert process.stop() == 0
