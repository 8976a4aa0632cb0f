"""Which failures of the bridge must others know, who have not seen them?

Commands are processes of their own: without this `status` would show what the bridge tries in vain
as on its way.
"""

from __future__ import annotations

from bridge.decide.target import Target
from bridge.model.memory import Memory
from bridge.model.mirror import Trouble
from bridge.model.naming import TROUBLE, timestamp
from bridge.model.plan import MintGeneration, NoteState
from bridge.model.reasons import Reason
from bridge.model.world import World

MANY_TRIES = 2
"""Times that a generation could not be made, after which it is not said only in the log."""


def troubles(
    before: Target, after: Target, world: World, memory: Memory, now: float
) -> list[NoteState]:
    """Keep in the swarm why no generation can be made, so that `status` knows it; or that one can.

    Args:
        before: The target as it is wanted.
        after: The same without what failed a moment ago.
    """
    name = before.secret.name
    kept = world.swarm.troubles.get(name)
    backoff = memory.backoffs.get(f"mint {name}")
    if backoff and isinstance(before.create, MintGeneration) and not after.create:
        told = kept is not None and kept.message == backoff.message
        if backoff.passes or backoff.tries < MANY_TRIES or told:
            return []
        trouble = Trouble(backoff.reason, backoff.message, timestamp(now))
        why = f"no new generation of {name} can be made: {backoff.message}"
        return [NoteState(name, {f"{TROUBLE}{name}": trouble.write()}, {}, backoff.reason, why)]
    if kept is None or before.create or before.hold:
        return []
    why = f"generations of {name} can be made again"
    return [NoteState(name, {}, {f"{TROUBLE}{name}": kept.write()}, Reason.SUPERSEDED, why)]
