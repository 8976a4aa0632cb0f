"""What one cycle tells to all that is published about a bridge."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.model.leadership import Holder
from bridge.model.memory import Outcome
from bridge.model.plan import Plan
from bridge.model.world import World


@dataclass(frozen=True, kw_only=True, slots=True)
class CycleReport:
    """One cycle of a running bridge, as it ended.

    Attributes:
        at: When it ended, seconds since the epoch.
        took: How many seconds it took.
        leader: Host of the bridge that leads, where it is another one; then this one only watches.
        trouble: Why the cycle failed, in words without a value; empty where it did not.
        world: What it saw; None where it did not look, or failed.
        plan: What it decided; None where there is no world.
        outcomes: What it did, in order.
        holder: Who leads by the leader's lease, this bridge too; None where that is not known.
        credential_ends: When our own credential for Vault ends, seconds since the epoch; None
            where Vault does not tell, or nobody wants to know.
    """

    at: float
    took: float
    leader: str = ""
    trouble: str = ""
    world: World | None = None
    plan: Plan | None = None
    outcomes: tuple[Outcome, ...] = ()
    holder: Holder | None = None
    credential_ends: float | None = None

    @property
    def leads(self) -> bool:
        """Whether this bridge led in the cycle, as far as that is known."""
        return self.plan is not None and not self.leader
