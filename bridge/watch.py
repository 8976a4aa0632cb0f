"""What a cycle sees of both servers: the newest view of Vault, the swarm as it is now.

Vault is watched beside the cycle (``vault_watcher``). Leases are looked up in the cycle, some of
them in each period: what keeps one alive follows at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace

from bridge.clock import Clock
from bridge.config import Configuration
from bridge.lease_lookups import Lookups
from bridge.model.actions import MintGeneration, Tend, TendGeneration, concerns
from bridge.model.leased import GenerationView
from bridge.model.memory import Outcome
from bridge.model.source import Source
from bridge.model.vault_view import VaultView
from bridge.model.world import World
from bridge.vault_watcher import VaultWatcher
from bridge.watch_swarm import SwarmWatch
from bridge.wiring import Wiring

LOOKUPS = 0.25
"""Part of the requests that ``max_rps`` allows which may be spent on asking about leases."""

LOOKUP_PERIOD = 10.0
"""Seconds between two rounds of those, unless ``poll.interval`` says otherwise."""


class Watch:
    """What one bridge sees of both servers.

    Many look-ups of leases keep the leader's lease, and are given up when that is lost.

    Args:
        clock: Seconds since the epoch.

    Attributes:
        swarm: Looks at the swarm.
    """

    def __init__(self, configuration: Configuration, wiring: Wiring, clock: Clock) -> None:
        settings = configuration.settings
        self._desired = configuration.desired
        self._vault = wiring.vault
        self.swarm = SwarmWatch(wiring.swarm, self._desired.instance, clock)
        self._stopping = lambda: wiring.cancellation.asked
        self._clock = clock
        self._keep_lead = wiring.lead.keep
        self._watcher = VaultWatcher(
            self._vault,
            lambda: self._vault.beside(wiring.cancellation.in_place()),
            self._desired,
            settings,
            clock,
        )
        self._lookups = Lookups(self._vault, self._desired.instance)
        self._interval, self._max_rps = settings.poll_interval, settings.vault.max_rps
        self._lookups_due = 0.0
        self._generations: Mapping[str, GenerationView] = {}

    def watching(self, ring: Callable[[], object]) -> AbstractContextManager[None]:
        """Watch Vault in threads until the block ends.

        Args:
            ring: Wakes the loop.
        """
        return self._watcher.watching(ring)

    def pause(self) -> None:
        """Leave Vault alone until the next look: another bridge leads."""
        self._watcher.pause()

    @property
    def period(self) -> float:
        """Seconds between two requests for one path, as far as ``max_rps`` allows."""
        return self._watcher.period

    def told(self, patience: float, again: Collection[Source] = ()) -> VaultView | None:
        """Return what is known of Vault, for a command beside this bridge; safe in any thread.

        None while Vault is left alone. Leases are as the latest cycle knew them.

        Args:
            patience: Seconds for which answers are waited for at most.
            again: What is asked for anew, even where everything takes longer than that.
        """
        view = self._watcher.told(patience, again)
        return replace(view, generations=self._generations) if view else None

    @property
    def due(self) -> float:
        """When the next look is due for what no event tells, seconds since the epoch."""
        vault = self._watcher.due
        leases = self._lookups_due if self._lookups.views else float("inf")
        return min(leases, float("inf") if vault is None else vault + self._clock.ahead)

    def look(self, *, vault: bool = False) -> World:
        """Look at the swarm, and take what is known of Vault.

        Args:
            vault: Ask Vault for everything, even if its time has not come.

        Raises:
            SwarmUnreachable: The swarm gives no usable answer.
        """
        self._vault.keep()
        if vault:
            self._watcher.forget_all()
            self._lookups_due = 0.0
        self._watcher.go_on(self._stopping)
        view = self._watcher.view()
        swarm = self.swarm.look()
        now = self._clock()
        if now >= self._lookups_due:
            # The period follows what was learnt of folders.
            pause = max(self._watcher.period, self._interval or LOOKUP_PERIOD)
            self._lookups.age(self._max_rps * pause * LOOKUPS)
            self._lookups_due = now + pause
        self._lookups.look(swarm, view, self._clock, self._keep_lead)
        sooner = self._lookups.next_look(self._clock())
        if sooner is not None:
            self._lookups_due = min(self._lookups_due, sooner)
            self._watcher.hurry(sooner - self._clock())
        self._generations = self._lookups.views
        return World(replace(view, generations=self._generations), swarm)

    def look_soon(self, names: Iterable[str], seconds: float) -> None:
        """Let what some secrets are made from be looked at again within so many seconds."""
        self._watcher.want(self._sources_of(names), seconds)
        self._lookups_due = min(self._lookups_due, self._clock() + seconds)

    def prefer(self, names: Iterable[str]) -> None:
        """Let what some secrets are made from come first among what is due."""
        self._watcher.prefer(self._sources_of(names))

    def forget(self) -> None:
        """Let the next look ask Vault about everything anew."""
        self._watcher.forget_all()
        self.swarm.cache.forget()
        self._lookups.forget()

    def forget_what_changed(self, outcomes: Iterable[Outcome]) -> None:
        """Let the next look ask Vault again about what we have written there."""
        for outcome in outcomes:
            match outcome.action:
                case TendGeneration(step=Tend.ROTATE) | MintGeneration(rotate=True):
                    # The path tells when static roles were rotated.
                    self._watcher.forget(self._sources_of(concerns(outcome.action)[0]))
                case TendGeneration(secret_id=secret_id):
                    self._lookups.forget([secret_id])
                case _:
                    pass

    def move(self, by: float) -> None:
        """Follow a clock that was set by so many seconds."""
        self.swarm.cache.forget()  # its time is that of the clock before
        self._lookups.move(by)
        self._lookups_due += by

    def _sources_of(self, names: Iterable[str]) -> list[Source]:
        wanted = set(names)
        return [s.source for s in self._desired.secrets if s.name in wanted]
