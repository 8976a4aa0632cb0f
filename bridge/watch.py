"""Looks at both servers, each at its own pace; what Vault answered is kept until it is due."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

from bridge.cadence import VaultPace
from bridge.clock import Clock
from bridge.config import Configuration
from bridge.lease_lookups import Lookups
from bridge.model.actions import MintGeneration, Tend, TendGeneration
from bridge.model.memory import Outcome
from bridge.model.swarm_view import SwarmView
from bridge.model.vault_view import VaultView
from bridge.model.world import World
from bridge.observe_swarm import look_at_swarm
from bridge.observe_vault import look_at_vault
from bridge.wiring import Wiring

JITTER = 0.1

LOOKUPS = 0.25
"""Part of the requests that ``max_rps`` allows which may be spent on asking about leases."""


class Watch:
    """What one bridge sees of both servers.

    A long look at Vault keeps the leader's lease, and is given up when that is lost.

    Args:
        clock: Seconds since the epoch.
    """

    def __init__(self, configuration: Configuration, wiring: Wiring, clock: Clock) -> None:
        settings = configuration.settings
        self._desired = configuration.desired
        self._vault, self._swarm = wiring.vault, wiring.swarm
        self._clock = clock
        self._keep_lead = wiring.lead.keep
        self._pace = VaultPace(
            settings.poll_interval,
            lambda: random.uniform(-JITTER, JITTER),  # noqa: S311 - no secret depends on it
        )
        budget = settings.vault.max_rps * settings.poll_interval * LOOKUPS
        self._lookups = Lookups(self._vault, self._desired.instance, budget)
        self._vault_view: VaultView | None = None

    @property
    def vault_due(self) -> float:
        """When the next look at Vault is due."""
        return self._pace.due

    def look(self, *, vault: bool = True) -> World:
        """Look at both servers; at Vault only where ``vault`` says so or its time has come.

        Raises:
            SwarmUnreachable: The swarm gives no usable answer.
        """
        now = self._clock()
        self._vault.keep()
        if vault or self._vault_view is None or now >= self._pace.due:
            self._vault_view = look_at_vault(self._vault, self._desired, now, self._keep_lead)
            self._pace.looked(self._vault_view, self._clock())
            self._lookups.age()
        swarm = self.look_at_swarm()
        self._lookups.look(swarm, self._vault_view, self._clock, self._keep_lead)
        sooner = self._lookups.next_look(self._clock())
        if sooner is not None:
            self._pace.bring_forward(sooner)
        return World(replace(self._vault_view, generations=self._lookups.views), swarm)

    def look_at_swarm(self) -> SwarmView:
        """Look at the swarm alone. Raises ``SwarmUnreachable``."""
        return look_at_swarm(self._swarm, self._desired.instance, self._clock())

    def look_soon(self, seconds: float) -> None:
        """Let Vault be looked at again within so many seconds."""
        self._pace.bring_forward(self._clock() + seconds)

    def forget(self) -> None:
        """Let the next look ask Vault about everything anew."""
        self._vault_view = None
        self._lookups.forget()

    def forget_what_changed(self, outcomes: Iterable[Outcome]) -> None:
        """Let the next look ask Vault again about what we have written there."""
        for outcome in outcomes:
            match outcome.action:
                case TendGeneration(step=Tend.ROTATE) | MintGeneration(rotate=True):
                    self._pace.look_at_once()  # the paths tell when static roles were rotated
                case TendGeneration(secret_id=secret_id):
                    self._lookups.forget([secret_id])
                case _:
                    pass

    def move(self, by: float) -> None:
        """Follow a clock that was set by so many seconds."""
        self._vault_view = self._vault_view and self._vault_view.moved(by)
        self._pace.move(by)
        self._lookups.move(by)
