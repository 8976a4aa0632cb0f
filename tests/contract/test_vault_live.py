"""What the real server answers in states that a fake does not have, and what is made of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.errors import LoginRefused, VaultRefused, VaultUnreachable
from bridge.model.identity import Identity
from bridge.model.reasons import Reason
from bridge.model.settings import TokenFile, VaultSettings
from bridge.model.vault_view import KvDocument
from bridge.servers.vault import Vault
from bridge.sources.kv.kind import read_document
from bridge.sources.kv.source import KvPath
from tests.support.lab import Lab
from tests.support.processes import eventually


@contextlib.contextmanager
def _session(lab: Lab, token: str | None = None, namespace: str = "") -> Iterator[Vault]:
    file = Path(lab.folder / "token-of-session")
    file.write_text(token or lab.vault.token)
    vault = Vault(
        VaultSettings(
            address=lab.vault.address, auth=TokenFile(str(file)), namespace=namespace, max_rps=1e6
        )
    )
    try:
        yield vault
    finally:
        vault.close()


def _path(lab: Lab, path: str = "db") -> KvPath:
    return KvPath("", lab.mount, path)


def _current(lab: Lab, vault: Vault) -> Identity | tuple[Reason, str]:
    return _at(lab, read_document(vault.kv.metadata(_path(lab))), time.time())


def _at(lab: Lab, document: KvDocument, now: float) -> Identity | tuple[Reason, str]:
    _, current = _path(lab).current(document, now)
    assert current is not None
    return current


def _refused(vault: Vault, path: KvPath) -> str:
    with pytest.raises(VaultRefused) as raised:
        vault.kv.metadata(path)
    return raised.value.reason


def test_metadata_without_any_version(lab: Lab) -> None:
    lab.vault.put(f"{lab.mount}/metadata/db", custom_metadata={"owner": "shop"})
    with _session(lab) as vault:
        found = _current(lab, vault)
    assert isinstance(found, tuple)
    assert found[0] == Reason.NO_VERSION


def test_what_is_no_new_version_changes_no_identity(lab: Lab) -> None:
    """Custom metadata, a delete and its undoing; `updated_time` tells nothing either way."""
    lab.rotate("db")
    with _session(lab) as vault:
        first = _current(lab, vault)
        lab.vault.put(f"{lab.mount}/metadata/db", custom_metadata={"owner": "shop"})
        assert _current(lab, vault) == first
        lab.vault.call("DELETE", f"{lab.mount}/data/db")
        deleted = _current(lab, vault)
        assert isinstance(deleted, tuple)
        assert deleted[0] == Reason.VERSION_DELETED
        with pytest.raises(VaultRefused) as raised:
            vault.kv.read_version(_path(lab), 1)
        assert raised.value.reason == Reason.VERSION_DELETED
        lab.vault.put(f"{lab.mount}/undelete/db", versions=[1])
        assert _current(lab, vault) == first
        lab.vault.put(f"{lab.mount}/destroy/db", versions=[1])
        lab.vault.put(f"{lab.mount}/undelete/db", versions=[1])
        destroyed = _current(lab, vault)
    assert isinstance(destroyed, tuple)
    assert destroyed[0] == Reason.VERSION_DESTROYED


def test_the_same_value_written_again_is_a_new_version(lab: Lab) -> None:
    value = lab.rotate("db")
    with _session(lab) as vault:
        first = _current(lab, vault)
        lab.vault.write(lab.mount, "db", password=value)
        second = _current(lab, vault)
    assert isinstance(first, Identity)
    assert isinstance(second, Identity)
    assert first < second


def test_a_version_that_ends_by_itself_is_alive_until_then(lab: Lab) -> None:
    lab.vault.put(f"{lab.mount}/metadata/db", delete_version_after="1h")
    lab.rotate("db")
    with _session(lab) as vault:
        document = read_document(vault.kv.metadata(_path(lab)))
        ends = document.versions[1].deletion_time
        assert ends is not None
        assert isinstance(_at(lab, document, ends - 1), Identity)
        over = _at(lab, document, ends)
        assert vault.kv.read_version(_path(lab), 1)["data"]
    assert isinstance(over, tuple)
    assert over[0] == Reason.VERSION_DELETED


def test_versions_that_were_trimmed_are_not_there(lab: Lab) -> None:
    lab.vault.put(f"{lab.mount}/metadata/db", max_versions=2)
    for _ in range(12):
        lab.rotate("db")
    with _session(lab) as vault:
        document = read_document(vault.kv.metadata(_path(lab)))
        assert (document.current, sorted(document.versions)) == (12, [11, 12])
        with pytest.raises(VaultRefused) as raised:
            vault.kv.read_version(_path(lab), 3)
    assert raised.value.reason == Reason.PATH_MISSING


def test_what_is_not_there_is_told_apart(lab: Lab) -> None:
    old = f"{lab.mount}-v1"
    lab.vault.mount_kv(old, version=1)
    with _session(lab) as vault:
        assert _refused(vault, _path(lab, "nothing")) == Reason.PATH_MISSING
        assert _refused(vault, KvPath("", "nowhere", "db")) == Reason.MOUNT_MISSING
        assert _refused(vault, KvPath("", old, "db")) == Reason.NOT_KV_V2
    with _session(lab, namespace="nowhere") as vault:
        assert _refused(vault, _path(lab)) == Reason.NAMESPACE_MISSING
    lab.vault.unmount(old)


_API = {
    "data": ("{mount}", "data/apps/db", "`path: apps/db`"),
    "metadata": ("{mount}", "metadata/apps/db", "`path: apps/db`"),
    "mount": ("{mount}", "{mount}/apps/db", "`path: apps/db`"),
    "whole": ("{mount}", "v1/{mount}/data/apps/db", "`path: apps/db`"),
    "mount's": ("{mount}/data", "apps/db", "`mount: {mount}`"),
    "both": ("{mount}/metadata", "/metadata/apps/db", "`mount: {mount}` and `path: apps/db`"),
}


@pytest.mark.parametrize("spelling", _API)
def test_a_path_with_a_part_of_the_api_is_answered_with_the_one_that_is_there(
    lab: Lab, spelling: str
) -> None:
    """A token of the least policy gets a 403 for it, where root gets a 404."""
    lab.vault.write(lab.mount, "apps/db", password=lab.canary())
    rules = f'path "{lab.mount}/metadata/apps/db" {{ capabilities = ["read"] }}'
    lab.vault.policy(lab.name("least"), rules)
    mount, path, remedy = (part.format(mount=lab.mount) for part in _API[spelling])
    wrong = KvPath("", mount, path.strip("/"))
    for token in (lab.vault.token, lab.vault.make_token(lab.name("least"))):
        with _session(lab, token) as vault, pytest.raises(VaultRefused) as raised:
            vault.kv.metadata(wrong)
        assert raised.value.reason in {Reason.PATH_MISSING, Reason.PERMISSION_DENIED}
        assert f"write {remedy}" in str(raised.value)


def test_a_path_that_is_spelt_like_the_api_is_a_path(lab: Lab) -> None:
    """No other is spoken of where it is there, nor where there is none."""
    lab.vault.write(lab.mount, "data/apps/db", password=lab.canary())
    with _session(lab) as vault:
        assert vault.kv.metadata(_path(lab, "data/apps/db"))["current_version"] == 1
        with pytest.raises(VaultRefused) as raised:
            vault.kv.metadata(_path(lab, "metadata/apps/db"))
    assert raised.value.reason == Reason.PATH_MISSING
    assert "which is there" not in str(raised.value)


def test_a_dead_token_is_told_from_a_missing_policy(lab: Lab) -> None:
    lab.rotate("db")
    with _session(lab, lab.vault.make_token("default")) as vault:
        assert _refused(vault, _path(lab)) == Reason.PERMISSION_DENIED
    token = lab.vault.make_token(ttl="1h")
    with _session(lab, token) as vault:
        vault.kv.metadata(_path(lab))
        lab.vault.put("auth/token/revoke", token=token)
        with pytest.raises(LoginRefused) as raised:
            vault.kv.metadata(_path(lab))
    assert not raised.value.everywhere
    assert token not in str(raised.value)


def test_a_rate_limit_is_trouble_that_passes(lab: Lab) -> None:
    lab.rotate("db")
    place = f"sys/quotas/rate-limit/{lab.name('quota')}"
    lab.vault.put("sys/quotas/config", enable_rate_limit_response_headers=True)
    lab.vault.call("PUT", place, {"path": lab.mount, "rate": 0.1})
    try:
        with _session(lab) as vault, pytest.raises(VaultUnreachable) as raised:
            _read_for_ever(vault, _path(lab))
        assert raised.value.everywhere
        assert "429" in str(raised.value)
    finally:
        lab.vault.call("DELETE", place)


def _read_for_ever(vault: Vault, path: KvPath) -> None:
    while True:
        vault.kv.metadata(path)


@pytest.mark.parametrize("how", ["sealed", "stopped"])
def test_vault_itself_is_away(lab: Lab, how: str) -> None:
    """And back, with the same session."""
    lab.rotate("db")
    with _session(lab) as vault:
        assert vault.is_up()
        vault.kv.metadata(_path(lab))
        (lab.vault.seal if how == "sealed" else lab.vault.stop)()
        try:
            with pytest.raises(VaultUnreachable) as raised:
                vault.kv.metadata(_path(lab))
            assert raised.value.everywhere
            assert ("sealed" if how == "sealed" else "connection refused") in str(raised.value)
            assert not vault.is_up()
        finally:
            (lab.vault.unseal if how == "sealed" else lab.vault.start)()
        assert vault.is_up()
        eventually(lambda: bool(vault.kv.metadata(_path(lab))))
