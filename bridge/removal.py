"""Removes Docker secrets, each by a look immediately before (I1): one look serves a small batch.

With 1,000 removals in one application a look for each of them is 1,000 looks at the whole swarm, in
which nothing else is done. One look for them all would be none immediately before. What may happen
between a look and a removal, and what keeps it from doing harm:

1. A Spec comes to refer to the secret. The engine itself refuses to remove it: it compares with all
   Specs in the same transaction.
2. A task comes to refer to it. It has that from a Spec of after the look, as in 1.
3. A ``PreviousSpec`` comes to refer to it. It was a Spec before, so there were two writes of one
   service after the look: one that takes up a version that nothing used, and one that leaves it.
4. A roll record comes to refer to it. Only the leader writes those, which is us, and a batch ends
   with any other action.

Only 3 is left, and it is there with a look for each removal too, since a look is several requests
and takes as long as a batch. So a look serves as long as ``FRESH`` seconds and for ``BATCH``
removals, whichever ends first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bridge.clock import boot_clock
from bridge.decide.versions.prune import last_usable
from bridge.model.actions import RemoveSecret
from bridge.model.memory import Outcome, Result
from bridge.model.swarm_view import SwarmView
from bridge.servers.swarm import Swarm

BATCH = 25
"""Removals that one look serves at most."""

FRESH = 1.0
"""Seconds from the beginning of a look in which it serves."""


@dataclass(slots=True)
class _Look:
    """A look at the swarm, and how much longer it serves."""

    view: SwarmView
    until: float
    left: int = BATCH


class Remover:
    """Removes Docker secrets that nothing needs.

    Args:
        look: Looks at the swarm anew.
        clock: Seconds that pass.
    """

    def __init__(
        self,
        swarm: Swarm,
        *,
        instance: str,
        look: Callable[[], SwarmView],
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self._swarm = swarm
        self._instance = instance
        self._look = look
        self._clock = clock
        self._seen: _Look | None = None

    def end_batch(self) -> None:
        """Let the next removal look anew: something else was done."""
        self._seen = None

    def remove(self, action: RemoveSecret) -> Outcome:
        """Remove a Docker secret, unless something needs it."""
        seen = self._seen
        if seen is None or not seen.left or self._clock() >= seen.until:
            until = self._clock() + FRESH
            view = self._look()
            seen = self._seen = _Look(view, until)
        seen.left -= 1
        mirror = seen.view.mirror_by_id.get(action.secret_id)
        if mirror is None or mirror.instance != self._instance:
            return Outcome(action, Result.MOVED, "it is gone, or no longer ours")
        if action.secret_id in seen.view.needed_ids:
            return Outcome(action, Result.MOVED, "something refers to it again")
        own = seen.view.mirrors_of(mirror.instance, mirror.secret)
        if action.prunes and mirror.id in last_usable(own, action.prunes):
            return Outcome(action, Result.MOVED, "all that is newer is set aside now")
        self._swarm.remove_secret(action.secret_id)
        return Outcome(action, Result.DONE)
