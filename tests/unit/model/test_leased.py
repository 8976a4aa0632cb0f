"""Which lease a Docker secret names, and whether it is one that the bridge may touch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.errors import ContentRefused
from bridge.model.desired import KvLease
from bridge.model.docker_secret import DockerSecret
from bridge.model.labels import labels_of
from bridge.model.leased import Gone, Leased, Unknown, held_by, lease_labels
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.source import Source
from bridge.sources.database.source import DatabaseRole
from bridge.sources.kv.source import KvPath
from bridge.sources.static.source import StaticRoles
from tests.support.builders import NOW, ROLE, custody, generation_secret, identity, life, seen

LEASE = KvLease("lease_id", "accessor", ROLE)
OURS = f"{ROLE.lease_prefix}abc"
FIELDS = {"username": "v-shop", "password": "p", "lease_id": OURS, "accessor": "hmac"}


def leased_of(secret: DockerSecret) -> tuple[Source, Leased]:
    """Return the source of a Docker secret, and what its labels say of a lease."""
    mirror = Mirror.read(secret)
    assert mirror is not None
    assert mirror.leased is not None
    return mirror.identity.source, mirror.leased


def test_a_version_without_a_lease_is_all_content() -> None:
    assert held_by(FIELDS, None) == (FIELDS, {})


def test_the_fields_of_a_lease_are_labels_and_no_content() -> None:
    content, labels = held_by(FIELDS, LEASE)
    assert content == {"username": "v-shop", "password": "p"}
    assert labels == {
        **lease_labels(OURS, "hmac", "shop"),
        "vault-bridge.user": "v-shop",
    }


@pytest.mark.parametrize(
    "lease_id",
    [
        "database/creds/other/abc",
        "auth/token/create/abc",
        "abc",
        ROLE.lease_prefix,  # all leases of the role
        f"{ROLE.lease_prefix}../other/abc",
        f"{ROLE.lease_prefix}abc/def",
    ],
)
def test_whoever_writes_the_path_can_name_no_other_lease(lease_id: str) -> None:
    """I6 too: the id is the writer's text, and may be a value that was put into the wrong field."""
    with pytest.raises(ContentRefused) as caught:
        held_by({**FIELDS, "lease_id": lease_id}, LEASE)
    assert caught.value.reason == Reason.FOREIGN_LEASE
    assert lease_id not in str(caught.value).replace(str(ROLE), "")


def test_a_lease_whose_token_is_not_named_cannot_be_kept() -> None:
    with pytest.raises(ContentRefused, match="'accessor' is empty") as caught:
        held_by({**FIELDS, "accessor": ""}, LEASE)
    assert caught.value.reason == Reason.FIELD_MISSING


def test_labels_that_name_a_lease_of_another_role_give_no_role() -> None:
    """Whoever may write labels could have any lease of Vault ended."""
    source, leased = leased_of(generation_secret(1))
    assert source.lease_role(leased) == ROLE
    assert source.lease_role(replace(leased, lease="database/creds/other/abc")) is None
    assert StaticRoles("", "database", ("a",)).lease_role(leased) is None


def test_the_role_of_a_kv_version_is_read_from_its_lease() -> None:
    path = KvPath("team", "secret", "apps/db")
    made = labels_of("default", "db", identity(1, path)) | lease_labels(OURS, "hmac", "shop")
    source, leased = leased_of(DockerSecret("id", "db_v1", NOW, made))
    assert source.lease_role(leased) == DatabaseRole("team", "database", "shop")
    assert source.lease_role(replace(leased, lease="database/creds/other/abc")) is None


def test_a_lease_that_should_have_ended_is_looked_up_again_once_a_second() -> None:
    view = seen(life(left=5.0))
    assert not view.is_outdated(NOW + 4.9)
    assert view.is_outdated(NOW + 5.0)
    just_asked = replace(view, as_of=NOW + 4.5)
    assert not just_asked.is_outdated(NOW + 5.4)
    assert just_asked.is_outdated(NOW + 5.5)
    assert not seen(Gone()).is_outdated(NOW + 1e6)


def test_only_what_was_found_alive_is_plain() -> None:
    away = Unknown(Reason.VAULT_UNREACHABLE, "no answer")
    assert seen(life(), custody()).is_plain
    assert not seen(Gone(), custody()).is_plain
    assert not seen(life(), away).is_plain
    assert away.away
    assert not Unknown(Reason.PERMISSION_DENIED, "403").away
