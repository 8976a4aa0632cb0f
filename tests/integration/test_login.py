"""Logins: AppRole and token file, read again when they change, and nothing else picked up."""

from __future__ import annotations

import codecs
import signal
from pathlib import Path

import pytest

from tests.support.certificates import Authority, Signer
from tests.support.lab import Lab
from tests.support.processes import eventually
from tests.support.vault import VaultServer


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


def test_a_byte_order_mark_is_no_part_of_a_credential(lab: Lab, approle: tuple[str, Path]) -> None:
    """PowerShell and some editors begin a file with one."""
    _, secret_id = approle
    token = lab.folder / "token"
    token.write_text(lab.vault.token)
    for file in (secret_id.with_name("role_id"), secret_id, token):
        file.write_bytes(codecs.BOM_UTF8 + file.read_bytes())
    lab.rotate("db")
    lab.cli("check")
    auth = {"method": "token", "token_file": str(token)}
    lab.settings(vault={"address": lab.vault_address, "auth": auth})
    lab.cli("check")
    token.write_text("\n")
    messages = [finding["message"] for finding in lab.json("check", code=4)["findings"]]
    assert any(message.startswith(f"{token} is empty") for message in messages)


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


# --- JWT, certificates, TLS ----------------------------------------------------------------------


def _grant(server: VaultServer, lab: Lab) -> str:
    """Let a policy read the test's mount; returns its name."""
    policy = lab.name("policy")
    server.policy(policy, f'path "{lab.mount}/*" {{ capabilities = ["read"] }}')
    return policy


def test_jwt(lab: Lab, tmp_path: Path) -> None:
    """The file is read again at each login: whoever issues the tokens keeps it fresh."""
    signer, mount, policy = Signer(tmp_path / "jwt"), lab.name("jwt"), _grant(lab.vault, lab)
    lab.vault.put(f"sys/auth/{mount}", type="jwt")
    lab.vault.put(f"auth/{mount}/config", jwt_validation_pubkeys=[signer.public])
    lab.vault.put(
        f"auth/{mount}/role/bridge",
        role_type="jwt",
        user_claim="sub",
        bound_audiences=["vault"],
        bound_subject="bridge",
        token_policies=[policy],
    )
    file = tmp_path / "token.jwt"
    auth = {"method": "jwt", "mount": mount, "role": "bridge", "jwt_file": str(file)}
    lab.settings(vault={"address": lab.vault_address, "auth": auth})
    lab.secret("db", {})
    lab.rotate("db")
    for ill in (signer.sign("somebody else"), signer.sign("bridge", -3600)):
        file.write_text(ill)
        lab.canaries.append(ill)
        said = lab.run("sync", code=4)
        assert "Vault refused the JWT login" in said.stdout + said.stderr
    good = signer.sign("bridge")
    lab.canaries.append(good)
    file.write_text(f"{good}\n")
    with lab.loop() as loop:
        plan, _ = loop.sync(60)
        assert lab.versions("db") == {1}, plan.holds[0].message
        lab.vault.put(f"sys/leases/revoke-prefix/auth/{mount}")
        assert not loop.step(vault=True).plan.holds
    lab.vault.call("DELETE", f"sys/auth/{mount}")


def test_certificate_over_tls_with_a_private_ca(lab: Lab, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    server = VaultServer(tmp_path / "tls", (*authority.issue("vault"), authority.file))
    server.start()
    try:
        server.mount_kv(lab.mount)
        server.put("sys/auth/cert", type="cert")
        pem = authority.file.read_text()
        policies = [_grant(server, lab)]
        server.put("auth/cert/certs/bridge", certificate=pem, token_policies=policies)
        certificate, key = authority.issue("bridge")
        auth = {"method": "cert", "role": "bridge"}
        auth |= {"cert_file": str(certificate), "key_file": str(key)}
        vault = {"address": server.address, "auth": auth}
        lab.settings(vault={**vault, "ca_file": str(authority.file)})
        lab.secret("db", {})
        value = lab.canary()
        server.write(lab.mount, "db", password=value)
        lab.cli("sync")
        assert lab.versions("db") == {1}
        lab.settings(vault=vault)
        assert "its certificate is not trusted" in lab.run("sync", code=4).stdout
        strangers = Authority(tmp_path / "strangers").issue("bridge")
        for name, file in zip(("cert_file", "key_file"), strangers, strict=True):
            auth[name] = str(file)
        lab.settings(vault={**vault, "ca_file": str(authority.file)})
        assert "Vault refused the certificate login" in lab.run("sync", code=4).stdout
    finally:
        server.close()


def test_a_namespace(lab: Lab) -> None:
    """Login and paths are in it; another namespace's path of the same name is another.

    Vault lists both as they are written here, with a slash at the end.
    """
    namespace = lab.name("team")
    lab.vault.put(f"sys/namespaces/{namespace}")
    lab.vault.put(f"{namespace}/sys/mounts/{lab.mount}", type="kv", options={"version": "2"})
    eventually(lambda: lab.vault.takes_writes(f"{namespace}/{lab.mount}"))
    value = lab.canary()
    body = {"data": {"password": value}}
    lab.vault.call("POST", f"{namespace}/{lab.mount}/data/db", body)
    lab.rotate("db")
    rules = f'path "{lab.mount}/*" {{ capabilities = ["read"] }}'
    lab.vault.put(f"{namespace}/sys/policies/acl/bridge", policy=rules)
    token = lab.vault.put(f"{namespace}/auth/token/create", policies=["bridge"])
    lab.token_file.write_text(token["auth"]["client_token"])
    lab.settings(vault={**lab.vault_settings(), **_at(lab), "namespace": f"{namespace}/"})
    kv = {"mount": f"{lab.mount}/", "path": "/db", "field": "password"}
    lab.secret("db", {"api": {"target": "db"}}, kv=kv)
    lab.service("api", replicas=1)
    lab.cli("sync")
    assert lab.swarm.read(lab.name("api"), "db") == [value]
    lab.settings(vault={**_at(lab), "namespace": "nowhere"})
    assert lab.status(code=None)["db"]["reason"] in {"NamespaceMissing", "LoginRefused"}


def _at(lab: Lab) -> dict[str, object]:
    return {
        "address": lab.vault_address,
        "auth": {"method": "token", "token_file": str(lab.token_file)},
    }


# --- The life of a token -------------------------------------------------------------------------


def test_a_wrapped_secret_id_serves_one_start(lab: Lab, approle: tuple[str, Path]) -> None:
    """It is opened once and kept in memory; a second start says what that means."""
    mount, file = approle
    auth = {**lab.vault_settings()["auth"], "secret_id_wrapped": True}
    lab.settings(vault={"address": lab.vault_address, "auth": auth})
    wrapped = lab.vault.make_wrapped_secret_id(mount)
    lab.canaries.append(wrapped)
    file.write_text(wrapped)
    lab.rotate("db")
    with lab.loop() as loop:
        loop.sync(60)
        lab.vault.put(f"sys/leases/revoke-prefix/auth/{mount}")
        assert not loop.step(vault=True).plan.holds  # it logs in again with what it has in memory
    said = lab.run("sync", code=4)
    assert "was opened before" in said.stdout + said.stderr


def test_a_reload_keeps_the_session_of_a_wrapped_secret_id(
    lab: Lab, approle: tuple[str, Path]
) -> None:
    mount, file = approle
    auth = {**lab.vault_settings()["auth"], "secret_id_wrapped": True}
    lab.settings(vault={"address": lab.vault_address, "auth": auth})
    file.write_text(lab.vault.make_wrapped_secret_id(mount))
    lab.rotate("db")
    process = lab.start()
    process.wait_for("good", docker_secret=lab.name("db_v1"))
    process.process.send_signal(signal.SIGHUP)
    process.wait_for("configuration_reloaded")
    lab.rotate("db")
    process.wait_for("good", docker_secret=lab.name("db_v2"))
    assert not process.lines("held")
    assert process.stop() == 0


@pytest.mark.parametrize(
    ("ttl", "longest", "renewals"),
    [
        (3, 9, 3),
        pytest.param(20, 60, 8, marks=pytest.mark.acceptance),
    ],
    ids=["short", "three-minutes"],
)
def test_a_short_lived_token_through_a_long_run(
    lab: Lab, approle: tuple[str, Path], ttl: int, longest: int, renewals: int
) -> None:
    """Renewed and replaced in time: no read ever meets a dead token; the id's file changes too."""
    mount, file = approle
    lab.vault.put(f"auth/{mount}/role/bridge", token_ttl=f"{ttl}s", token_max_ttl=f"{longest}s")
    vault, _ = lab.through_proxies()
    lab.settings(vault={**lab.vault_settings(), "address": lab.vault_address})
    values = [lab.rotate("db")]
    process = lab.start()

    def count(part: str) -> int:
        return sum(part in e.path and e.status == 200 for e in tuple(vault.exchanges))

    for number in range(1, 4):
        eventually(lambda n=number: count("renew-self") >= renewals * n // 3, 400)  # type: ignore[misc]
        file.write_text(lab.vault.make_secret_id(mount))
        values.append(lab.rotate("db"))
        eventually(lambda: lab.swarm.read(lab.name("api"), "db") == values[-1:])
    eventually(lambda: count("/login") >= 3, 400)
    assert process.stop() == 0
    assert [e.path for e in vault.exchanges if e.status in {400, 403}] == []
    assert not process.lines("held")


def test_when_our_own_secret_id_ends_is_shown(lab: Lab, approle: tuple[str, Path]) -> None:
    mount, file = approle
    lab.rotate("db")
    assert lab.json("status", code=None)["credential"] == {"ends": None}
    lab.vault.policy(
        lab.name("policy"),
        f"""
        path "{lab.mount}/*" {{ capabilities = ["read"] }}
        path "auth/{mount}/role/bridge/secret-id/lookup" {{ capabilities = ["update"] }}
        """,
    )
    lab.vault.put(f"auth/{mount}/role/bridge", secret_id_ttl="1h")
    file.write_text(lab.vault.make_secret_id(mount))
    lab.cli("sync")
    assert lab.json("status")["credential"]["ends"].endswith("Z")
    assert "Our secret id for Vault ends at" in lab.cli("status")
    said = [finding["message"] for finding in lab.json("check")["findings"]]
    assert any("put a fresh one into its file" in message for message in said)
