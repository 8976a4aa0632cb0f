"""Whether this bridge acts: it does while it holds the leader's lease and has not lost it since."""

from __future__ import annotations

from collections.abc import Callable

from bridge.errors import Cancelled, SwarmError
from bridge.leader_lease import Lease
from bridge.model.leadership import Holder


class Lead:
    """What this bridge knows of who leads.

    Args:
        lease: The leader's lease, as this bridge sees it.
        stopping: Returns whether this bridge was asked to stop.

    Attributes:
        leads: Whether this bridge led when it last took the lease.
        leader: Host of the bridge that leads, where it is another one.
        begun: Whether the latest ``take`` began a lead: what was known before it is outdated, since
            another bridge may have acted in between.
    """

    def __init__(self, lease: Lease, stopping: Callable[[], bool]) -> None:
        self.lease = lease
        self._stopping = stopping
        self.leads = False
        self.leader = ""
        self.begun = False
        self._lost = False

    def take(self) -> bool:
        """Take or keep the lease, if it can be had; returns whether this bridge leads.

        Raises:
            SwarmError: The swarm gives no usable answer.
        """
        leads = self.lease.hold()
        self.leader = self.lease.other.host if self.lease.other else ""
        self.begun = leads and (self._lost or not self.leads)
        self.leads, self._lost = leads, False
        return leads

    @property
    def holder(self) -> Holder | None:
        """Who leads, as far as this bridge knows: itself or another one."""
        return self.lease.other or (self.lease.mine if self.leads else None)

    def keep(self) -> bool:
        """Renew the lease in time, as in a long look; returns False once it is lost.

        A bridge that does not lead has nothing to lose.
        """
        if not self.leads or self._lost:
            return not self._lost
        try:
            self._lost = not self.lease.hold()
        except SwarmError:
            self._lost = True
        except Cancelled:
            if self._stopping():
                raise
            self._lost = True
        return not self._lost

    def fence(self) -> bool:
        """Renew the lease by a write, as before what cannot be undone; returns whether it is ours.

        An answer that does not come counts as a no.
        """
        try:
            return self.lease.renew()
        except SwarmError:
            return False
