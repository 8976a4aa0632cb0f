"""The world: what was last seen of Vault and of the swarm, each with the time of the look."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.model.swarm_view import SwarmView
from bridge.model.vault_view import VaultView


@dataclass(frozen=True, slots=True)
class World:
    """Everything that one cycle knows about the servers.

    The two looks need not be of the same time: each server is looked at at its own pace.
    """

    vault: VaultView
    swarm: SwarmView
