"""What one cycle knows when it decides: the question, to which the plan is the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from bridge.model.desired import Desired, Rollout
from bridge.model.memory import Memory
from bridge.model.mirror import Mirror
from bridge.model.swarm_view import SwarmView
from bridge.model.vault_view import VaultView
from bridge.model.world import World


@dataclass(frozen=True)
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

    @cached_property
    def mirrors(self) -> tuple[Mirror, ...]:
        """The mirrors that this bridge made, also of names that are no longer configured."""
        instance = self.instance
        return tuple(mirror for mirror in self.swarm.mirrors if mirror.instance == instance)

    @cached_property
    def rolled_at(self) -> Mapping[str, float]:
        """When this process sent its latest update of a service, by the service's id."""
        sent: dict[str, float] = {}
        for (service_id, _), times in self.memory.rolls.items():
            sent[service_id] = max(times[-1], sent.get(service_id, times[-1]))
        return sent

    @cached_property
    def unmapped(self) -> dict[str, list[Mirror]]:
        """The same of names that the configuration does not have, by name."""
        configured = {secret.name for secret in self.desired.secrets}
        found: dict[str, list[Mirror]] = {}
        for mirror in self.mirrors:
            if mirror.secret not in configured:
                found.setdefault(mirror.secret, []).append(mirror)
        return found

    @property
    def swarm(self) -> SwarmView:
        """The latest look at the swarm."""
        return self.world.swarm

    @property
    def vault(self) -> VaultView:
        """The latest look at Vault."""
        return self.world.vault
