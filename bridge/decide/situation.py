"""What one cycle knows when it decides: the question, to which the plan is the answer."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.model.desired import Desired, Rollout
from bridge.model.memory import Memory
from bridge.model.swarm_view import SwarmView
from bridge.model.vault_view import VaultView
from bridge.model.world import World


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a decision rests on; the same situation always gives the same plan.

    Attributes:
        now: Seconds since the epoch. No rule reads a clock.
    """

    desired: Desired
    world: World
    memory: Memory
    now: float

    @property
    def instance(self) -> str:
        """Name of this bridge."""
        return self.desired.instance

    @property
    def rollout(self) -> Rollout:
        """How services are to be rolled."""
        return self.desired.rollout

    @property
    def swarm(self) -> SwarmView:
        """The latest look at the swarm."""
        return self.world.swarm

    @property
    def vault(self) -> VaultView:
        """The latest look at Vault."""
        return self.world.vault
