"""Logins: AppRole and token file, read again when they change, and nothing else picked up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lab import Lab


@pytest.fixture
def approle(lab: Lab) -> tuple[str, Path]:
    """An AppRole that may read the test's mount; returns where it is mounted and its secret id."""
    policy, mount = lab.name("policy"), lab.name("approle")
    lab.vault.policy(
        policy,
        f"""
        path "{lab.mount}/metadata/db" {{ capabilities = ["read"] }}
        path "{lab.mount}/data/db" {{ capabilities = ["read"] }}
        """,
    )
    role_id, secret_id = lab.vault.make_approle(mount, policy)
    files = {"role_id_file": lab.folder / "role_id", "secret_id_file": lab.folder / "secret_id"}
    for file, value in zip(files.values(), (role_id, secret_id), strict=True):
        file.write_text(f"{value}\n")  # as `vault read -field` and an editor leave it
    lab.canaries.append(secret_id)
    auth = {"method": "approle", "mount": mount, **{k: str(v) for k, v in files.items()}}
    lab.settings(vault={"address": lab.vault_address, "auth": auth})
    lab.secret("db", {"api": {"target": "db"}})
    lab.service("api", replicas=1)
    return mount, files["secret_id_file"]


def test_approle_with_the_least_policy(lab: Lab, approle: tuple[str, Path]) -> None:
    """The two paths that the README grants are enough for a whole rotation, and for `check`."""
    lab.rotate("db")
    lab.cli("check")
    value = lab.rotate("db")
    lab.cli("sync")
    assert lab.swarm.read(lab.name("api"), "db") == [value]


def test_a_refused_secret_id_is_tried_once_and_a_fresh_one_at_once(
    lab: Lab, approle: tuple[str, Path]
) -> None:
    """Vault locks a role out after five refusals; the file is read again when it changes."""
    mount, file = approle
    vault, _ = lab.through_proxies()
    lab.settings(vault={**lab.vault_settings(), "address": lab.vault_address})
    lab.rotate("db")
    file.write_text("not-the-secret-id")
    with lab.loop() as loop:
        for _ in range(20):
            step = loop.step(vault=True)
        assert step.plan.conditions[0].reason == "LoginRefused"
        logins = [e.path for e in vault.exchanges if e.path.endswith("/login")]
        assert len(logins) == 1
        file.write_text(lab.vault.make_secret_id(mount))
        plan, finished = loop.sync(60)
    assert finished
    assert plan.conditions[0].reason == "UpToDate"


def test_a_dead_token_is_replaced(lab: Lab, approle: tuple[str, Path]) -> None:
    """Our token revoked in the middle of a run: one more login, nothing held."""
    mount, _ = approle
    lab.rotate("db")
    with lab.loop() as loop:
        loop.sync(60)
        lab.vault.put(f"sys/leases/revoke-prefix/auth/{mount}")
        step = loop.step(vault=True)
        assert not step.plan.holds


def test_a_token_file_is_read_again(lab: Lab) -> None:
    """An agent that keeps the file fresh needs no restart of the bridge."""
    lab.secret("db", {})
    lab.rotate("db")
    accessor = lab.vault.put("auth/token/create", policies=["root"])["auth"]
    lab.token_file.write_text(accessor["client_token"])
    with lab.loop() as loop:
        loop.sync(60)
        lab.vault.put("auth/token/revoke", token=accessor["client_token"])
        lab.token_file.write_text(lab.vault.token)
        assert not loop.step(vault=True).plan.holds


def test_nothing_is_picked_up_from_the_surroundings(lab: Lab) -> None:
    """Not ``$VAULT_TOKEN``, not ``~/.vault-token``, no proxy: the wrong ones lie in wait."""
    lab.secret("db", {})
    lab.rotate("db")
    (lab.folder / ".vault-token").write_text("not-to-be-used")
    nowhere = "http://127.0.0.1:9"
    lab.cli("sync", HTTP_PROXY=nowhere, http_proxy=nowhere, VAULT_TOKEN="not-to-be-used")
    assert lab.versions("db") == {1}
