"""One bad secret holds itself up and nothing else (I8), and says why; what is gone ends nothing."""

from __future__ import annotations

import pytest

from tests.support.lab import Lab
from tests.support.processes import eventually
from tests.support.proxy import Answer, Exchange, Phase


def test_each_trouble_has_its_own_reason_and_the_others_rotate_on(lab: Lab) -> None:
    """A path deleted, one forbidden, a field missing, KV v1, a foreign name, no such path."""
    for secret in ("good", "gone", "forbidden", "field", "foreign", "destroyed", "number"):
        lab.secret(secret, {"api": {}})
        lab.rotate(secret)
    old = f"{lab.mount}-v1"
    lab.vault.mount_kv(old, version=1)
    lab.vault.put(f"{old}/one", password=lab.canary())
    lab.secret("version1", {"api": {}}, kv={"mount": old, "path": "one"})
    lab.secret("missing", {"api": {}})
    lab.secret("mountless", {"api": {}}, kv={"mount": "nowhere", "path": "x"})
    lab.vault.write(lab.mount, "field", other=lab.canary())
    lab.vault.write(lab.mount, "number", password=5)
    lab.vault.call("DELETE", f"{lab.mount}/data/gone")
    lab.vault.put(f"{lab.mount}/destroy/destroyed", versions=[1])
    lab.swarm.create_secret(lab.name("foreign_v1"), b"somebody else's")
    policy = lab.name("policy")
    lab.vault.policy(
        policy,
        f"""
        path "{lab.mount}/*" {{ capabilities = ["read"] }}
        path "{lab.mount}/metadata/forbidden" {{ capabilities = ["deny"] }}
        path "{old}/*" {{ capabilities = ["read"] }}
        path "nowhere/*" {{ capabilities = ["read"] }}
        """,
    )
    lab.token_file.write_text(lab.vault.make_token(policy))
    lab.service("api", replicas=1)

    lab.cli("sync", code=3)
    status = lab.status(code=3)
    assert {name: (s["state"], s["reason"]) for name, s in status.items()} == {
        "good": ("Synced", "UpToDate"),
        "gone": ("Held", "VersionDeleted"),
        "forbidden": ("Held", "PermissionDenied"),
        "field": ("Held", "FieldMissing"),
        "foreign": ("Held", "NotOwned"),
        "destroyed": ("Held", "VersionDestroyed"),
        "number": ("Held", "FieldNotText"),
        "version1": ("Held", "NotKvV2"),
        "missing": ("Held", "PathMissing"),
        "mountless": ("Held", "MountMissing"),
    }
    assert all(s["message"] for name, s in status.items() if name != "good")
    assert set(lab.swarm.references(lab.name("api")).values()) == {lab.name("good_v1")}

    value = lab.rotate("good")
    lab.cli("sync", code=3)
    assert lab.swarm.read(lab.name("api"), lab.name("good")) == [value]
    lab.vault.unmount(old)


def test_what_is_mended_goes_on_by_itself(lab: Lab) -> None:
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {}})
    lab.vault.write(lab.mount, "db", other="x")
    lab.cli("sync", code=3)
    value = lab.rotate("db")
    lab.sync()
    assert lab.swarm.read(lab.name("api"), lab.name("db")) == [value]


def test_deleting_in_vault_ends_nothing(lab: Lab) -> None:
    """I9: the current version deleted, destroyed, the path gone for good: services stay."""
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {}})
    value = lab.rotate("db")
    lab.sync()
    _, engine = lab.through_proxies()
    for method, path, body, reason in (
        ("DELETE", "data/db", None, "VersionDeleted"),
        ("PUT", "destroy/db", {"versions": [1]}, "VersionDestroyed"),
        ("DELETE", "metadata/db", None, "PathMissing"),
    ):
        lab.vault.call(method, f"{lab.mount}/{path}", body)
        lab.sync()
        assert lab.status(code=3)["db"]["reason"] == reason
        assert lab.versions("db") == {1}
        assert lab.swarm.read(lab.name("api"), lab.name("db")) == [value]
    assert lab.writes(engine) == []


def test_a_path_deleted_and_written_anew_is_another_content(lab: Lab) -> None:
    """I12: version 1 of the path's second life is not taken for the first one's."""
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {}})
    lab.rotate("db")
    lab.sync()
    first = lab.swarm.secret(lab.name("db_v1"))["ID"]
    lab.vault.call("DELETE", f"{lab.mount}/metadata/db")
    value = lab.rotate("db")
    lab.sync()
    assert lab.swarm.read(lab.name("api"), lab.name("db")) == [value]
    (name,) = lab.swarm.references(lab.name("api")).values()
    assert name.startswith(lab.name("db_v1_"))
    assert lab.swarm.secret(lab.name("db_v1"))["ID"] == first


@pytest.mark.parametrize("how", ["stop", "seal"])
def test_vault_away_and_back(lab: Lab, how: str) -> None:
    """I9: nothing rolls or goes while Vault is away; afterwards the rotation goes on by itself."""
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {}})
    first = lab.rotate("db")
    lab.sync()
    _, engine = lab.through_proxies()
    process = lab.start()
    process.wait_for("started")
    process.wait_for("state", state="Synced")
    (lab.vault.stop if how == "stop" else lab.vault.seal)()
    try:
        process.wait_for("held", reason="VaultUnreachable")
        assert lab.status(code=4)["db"]["versions"] == [1]  # the swarm's side is shown still
        assert lab.swarm.read(lab.name("api"), lab.name("db")) == [first]
    finally:
        (lab.vault.start if how == "stop" else lab.vault.unseal)()
    assert lab.writes(engine) == []
    second = lab.rotate("db")
    eventually(lambda: lab.swarm.references(lab.name("api")) == {lab.name("db"): lab.name("db_v2")})
    eventually(lambda: lab.swarm.read(lab.name("api"), lab.name("db")) == [second])
    process.wait_for("good", secret=lab.name("db"))
    assert len(process.lines("held")) == 1  # said once per change, not once per cycle
    assert process.stop() == 0


def test_a_value_that_may_not_be_read_is_said_and_not_waited_for(lab: Lab) -> None:
    """The policy shows the versions and not the values: `sync` ends, the others are mirrored."""
    lab.secret("db", {})
    lab.secret("key", {})
    lab.rotate("db")
    lab.rotate("key")
    policy = lab.name("policy")
    lab.vault.policy(
        policy,
        f"""
        path "{lab.mount}/metadata/*" {{ capabilities = ["read"] }}
        path "{lab.mount}/data/key" {{ capabilities = ["read"] }}
        """,
    )
    lab.token_file.write_text(lab.vault.make_token(policy))
    assert "PermissionDenied" in lab.cli("sync", "--timeout", "240", code=3)
    assert (lab.versions("db"), lab.versions("key")) == (set(), {1})


def test_one_path_that_fails_takes_no_other_down(lab: Lab) -> None:
    """I8: a 500, or an answer that is not Vault's, on the first path."""
    vault, _ = lab.through_proxies()
    for name in ("first", "second", "third"):
        lab.secret(name, {})
        lab.rotate(name)

    def trouble(exchange: Exchange, phase: Phase) -> None:
        if "/detailed-metadata/" in exchange.path:  # so that each path is asked for by itself
            raise Answer(403, b'{"errors": ["permission denied"]}')
        if phase == Phase.BEFORE and exchange.path.endswith("/metadata/first"):
            raise Answer(500, b'{"errors": ["internal error"]}')

    vault.hook = trouble
    lab.cli("sync", code=4)
    status = lab.status(code=4)
    assert status["first"]["reason"] == "VaultUnreachable"
    assert [status[name]["reason"] for name in ("second", "third")] == ["UpToDate", "UpToDate"]
