"""What a bridge works with: its servers, its lead, and the cancellation that ends their waits."""

from __future__ import annotations

from contextlib import suppress

from bridge.cancellation import Cancellation
from bridge.clock import Clock
from bridge.config import Configuration
from bridge.errors import Cancelled
from bridge.lead import Lead
from bridge.leader_lease import Lease
from bridge.model.leadership import TTL
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault

RELEASE = 2.0
"""Seconds in which the leader's lease is released at the end."""


class Wiring:
    """Both servers and the lead of one bridge.

    Requests are given up when a stop is asked for or the lead is lost. The leader's lease has a
    connection of its own: it is renewed while other requests wait for their answers.

    Args:
        ttl: Seconds for which the leader's lease keeps other bridges away.
        vault: A session to go on with, which outlives this.
        swarm: A connection to use in place of own ones.

    Attributes:
        cancellation: Ends what waits for a server.
        work: The same for what the cycles wait for, and not for the lease's own requests.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        clock: Clock,
        ttl: float = TTL,
        vault: Vault | None = None,
        swarm: Swarm | None = None,
    ) -> None:
        settings, desired = configuration.settings, configuration.desired
        self.cancellation = Cancellation()
        work = self.cancellation.also(lambda: not self.lead.keep())
        self.work = work
        self.vault = vault or Vault(settings.vault)
        self.vault.heed(work)
        self._owns_vault = vault is None
        self.swarm = swarm or Swarm(settings.docker, work)
        renewal = self.cancellation.also(lambda: self.lease.lapsed, hasty=True)
        self._leases = swarm or Swarm(settings.docker, renewal)
        self.lease = Lease(
            self._leases,
            instance=desired.instance,
            configuration=desired.digest,
            ttl=ttl,
            clock=clock.boot,
        )
        self.lead = Lead(self.lease, lambda: self.cancellation.asked)

    def must_not_act(self) -> bool:
        """Return whether a stop was asked for, or another bridge may lead."""
        return self.cancellation.asked or not self.lead.keep()

    def close(self) -> None:
        """Let another bridge lead, and close the connections to both servers.

        Where a write of ours may yet be carried out, the lease is left to run out instead.
        """
        if not self.cancellation.unfinished:
            with suppress(Cancelled), self.cancellation.grace(RELEASE):
                self.lease.release()
        if self._owns_vault:
            self.vault.close()
        self.swarm.close()
        self._leases.close()
