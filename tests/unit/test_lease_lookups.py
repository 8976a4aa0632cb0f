"""What is known of leases: when Vault is asked again, also on a clock that was set."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.lease_lookups import REQUESTS, Lookups
from bridge.model.leased import Life
from bridge.model.swarm_view import SwarmView
from bridge.model.vault_view import VaultView
from bridge.servers.vault import Vault
from tests.support.builders import NOW, created, generation_secret


@pytest.mark.parametrize("by", [-7200.0, 7200.0])
def test_a_lease_ends_when_it_would_have_ended_without_the_step(by: float) -> None:
    asked: list[str] = []
    raw = {"ttl": 60, "issue_time": created(1), "expire_time": created(2)}

    def look(handle: str) -> Any:
        asked.append(handle)
        return raw

    leases = SimpleNamespace(lease=look, token=look, is_ours=lambda *_: True)
    vault = cast("Vault", SimpleNamespace(leases=leases, namespace=""))
    lookups = Lookups(vault, "default")
    secret = generation_secret(1)
    swarm, seen = (
        SwarmView(as_of=NOW, secrets=(secret,), services=(), tasks=()),
        VaultView(as_of=NOW, paths={}),
    )
    lookups.look(swarm, seen, lambda: NOW)
    lookups.move(by)
    lease = lookups.views[secret.id].lease
    assert isinstance(lease, Life)
    assert lease.ends == NOW + 60 + by
    lookups.look(swarm, seen, lambda: NOW + by + 59)
    assert len(asked) == 2  # the lease and its custody, once
    lookups.look(swarm, seen, lambda: NOW + by + 61)
    assert len(asked) == 4


def test_a_look_asks_again_about_as_many_as_its_budget_allows_and_the_oldest_first() -> None:
    """The budget follows the watch period, which is learnt while folders are looked at."""
    asked: list[str] = []
    raw = {"ttl": 600, "issue_time": created(1), "expire_time": created(2)}

    def look(handle: str) -> Any:
        asked.append(handle)
        return raw

    leases = SimpleNamespace(lease=look, token=look, is_ours=lambda *_: True)
    lookups = Lookups(cast("Vault", SimpleNamespace(leases=leases, namespace="")), "default")
    secrets = tuple(generation_secret(number) for number in range(1, 6))
    swarm, seen = (
        SwarmView(as_of=NOW, secrets=secrets, services=(), tasks=()),
        VaultView(as_of=NOW, paths={}),
    )
    lookups.look(swarm, seen, lambda: NOW)
    times = [NOW]
    for budget, count in ((4.0, 2), (6.0, 3), (0.0, 1)):
        asked.clear()
        times.append(times[-1] + 1)
        lookups.age(budget)
        lookups.look(swarm, seen, lambda: times[-1])
        assert len(asked) == REQUESTS * count
    assert NOW not in {view.as_of for view in lookups.views.values()}
