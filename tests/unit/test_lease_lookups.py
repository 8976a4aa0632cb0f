"""What is known of leases: when Vault is asked again, also on a clock that was set."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.lease_lookups import Lookups
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
    lookups = Lookups(vault, "default", 10.0)
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
