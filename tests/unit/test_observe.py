"""Looks at Vault: one path that fails or hangs holds no other up (I8)."""

from __future__ import annotations

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.errors import VaultUnreachable
from bridge.model.docker_secret import DockerSecret
from bridge.model.identity import ONE_LIFE, Identity
from bridge.model.labels import labels_of
from bridge.model.leased import Life, lease_labels
from bridge.model.mirror import Mirror
from bridge.model.vault_view import Document, Unreadable
from bridge.observe_swarm import look_at_swarm
from bridge.observe_vault import look_at_generation, look_at_vault, read_life
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from bridge.sources.database.source import DatabaseRole
from bridge.sources.kv.source import KvPath
from bridge.sources.units import Units
from bridge.vault_answers import MOST_HUNG
from tests.support.builders import NOW, created, desired_of, wanted
from tests.support.fakes import Clock, FakeSwarm, Json, NoFolders

DOCUMENT = {"created_time": "2026-11-01T00:00:00Z", "current_version": 0, "versions": {}}


class _Vault:
    """Some paths are in trouble."""

    folders = NoFolders()

    def __init__(self, trouble: dict[str, VaultUnreachable], *, up: bool) -> None:
        self.trouble = trouble
        self.up = up
        self.asked: list[str] = []

    def is_up(self) -> bool:
        return self.up

    @property
    def kv(self) -> _Vault:
        return self

    def metadata(self, path: KvPath, *, patient: bool = True) -> Any:
        self.asked.append(path.path)
        if path.path in self.trouble:
            raise self.trouble[path.path]
        return DOCUMENT


def _look(vault: _Vault, count: int = 6) -> dict[str, Document | Unreadable]:
    secrets = [wanted(f"s{n}", path=KvPath("", "kv", f"p{n}")) for n in range(count)]
    seen = look_at_vault(cast("Vault", vault), Units(desired_of(secrets=secrets).sources), 0.0)
    return {str(path): found for path, found in seen.paths.items()}


@pytest.mark.parametrize("hung", [False, True])
def test_paths_that_fail_by_themselves_hold_no_other_up(hung: bool) -> None:
    error = VaultUnreachable("no answer", everywhere=True, hung=hung)
    seen = _look(_Vault({"p0": error, "p1": error}, up=True))
    assert [isinstance(found, Unreadable) for found in seen.values()] == [True] * 2 + [False] * 4
    assert not any(f.everywhere for f in seen.values() if isinstance(f, Unreadable))


def test_where_vault_is_down_the_rest_is_not_asked() -> None:
    """And nothing is known of any path, whatever was read before."""
    error = VaultUnreachable("no answer", everywhere=True)
    vault = _Vault({"p1": error}, up=False)
    seen = _look(vault)
    assert vault.asked == ["p0", "p1"]
    assert [isinstance(found, Unreadable) for found in seen.values()] == [True] * 6


def test_a_look_does_not_wait_for_any_number_of_paths_that_hang() -> None:
    error = VaultUnreachable("no answer in time", everywhere=True, hung=True)
    vault = _Vault({f"p{n}": error for n in range(9)}, up=True)
    _look(vault, 9)
    assert len(vault.asked) == MOST_HUNG + 1


def test_a_custody_that_another_configuration_made_is_looked_up_all_the_same() -> None:
    """So its lease is known to be alive, and is kept."""
    role = DatabaseRole("", "database", "app")
    labels = labels_of("default", "db", Identity(role, ONE_LIFE, 1, created(1)))
    labels |= lease_labels(f"{role.lease_prefix}x", "accessor", "app")
    mirror = Mirror.read(DockerSecret("id-db_v1", "db_v1", NOW, labels))
    raw = {"ttl": 60, "issue_time": created(1), "expire_time": created(2)}
    leases = SimpleNamespace(lease=lambda _: raw, token=lambda _: raw, is_ours=lambda *_: False)
    assert mirror is not None
    view = look_at_generation(
        cast("Vault", SimpleNamespace(leases=leases, namespace="")), mirror, NOW
    )
    assert isinstance(view.lease, Life)
    assert isinstance(view.custody, Life)
    assert view.custody.foreign
    assert not view.lease.foreign


def test_a_token_without_an_end_is_read_too() -> None:
    """Such as root's, which a KV version may name; it has no ``issue_time`` either."""
    found = read_life({"ttl": 0, "expire_time": None, "creation_time": 1}, NOW)
    assert found.ends > NOW + 86400
    assert found.renewed


def test_a_service_that_only_one_of_the_two_lists_has_may_be_there() -> None:
    """What it is, nobody knows: it came, or went, while the swarm was looked at."""

    class Passing(FakeSwarm):
        """A service comes and another one goes between two lists."""

        def services(self, ids: Collection[str] = ()) -> list[Json]:
            found = super().services(ids)
            self.remove_service(former)
            self.deploy("new", 1, "pause")
            self.services = super().services  # type: ignore[method-assign]
            return found

    swarm = Passing(Clock())
    former = swarm.deploy("former", 1, "pause")
    stays = swarm.deploy("stays", 1, "pause")
    view = look_at_swarm(cast("Swarm", swarm), "default", NOW)
    assert {service.id: service.torn for service in view.services} == {former: True, stays: False}
    assert view.unclear == {s["ID"] for s in swarm.services()} - {stays}
