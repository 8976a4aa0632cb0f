"""What is to be done about leases in a cycle, gathered from those who say it."""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.model.actions import Chain, Tend, TendGeneration
from bridge.model.conditions import Hold, LeaseCondition
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason

Said = tuple[str, float | None] | tuple[str, float | None, str]
"""What happens to a generation next, when, and why."""


@dataclass(slots=True)
class Care:
    """What the leases need.

    Attributes:
        wake: Times at which time alone changes something.
        conditions: How each generation stands, by secret's name.
        ending: Whether a lease is on its way to its end.
    """

    chains: list[Chain] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    wake: list[float] = field(default_factory=list)
    conditions: dict[str, list[LeaseCondition]] = field(default_factory=dict)
    ending: bool = False


def tending(
    mirror: Mirror,
    step: Tend,
    reason: Reason,
    why: str,
    *,
    grace: float = 0.0,
    patience: float = 0.0,
    absent: frozenset[str] = frozenset(),
    even_used: bool = False,
    at: float = 0.0,
) -> TendGeneration:
    """Make the action that does one thing about a generation."""
    return TendGeneration(
        secret=mirror.secret,
        secret_id=mirror.id,
        docker_name=mirror.docker_name,
        step=step,
        reason=reason,
        why=why,
        grace=grace,
        patience=patience,
        absent=absent,
        even_used=even_used,
        at=at,
    )
