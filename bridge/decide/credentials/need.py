"""What one generation needs in a cycle, and what is reported to happen to it next."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.decide.decision import NOTHING, Decision
from bridge.model.actions import Tend, TendGeneration
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason


@dataclass(frozen=True, slots=True)
class Need:
    """What a generation needs.

    Attributes:
        following: What happens to it next, in words.
        at: When, seconds since the epoch; None where that is not known.
        why: Why, in words.
        decision: What is done now, and when to look again.
    """

    following: str
    at: float | None = None
    why: str = ""
    decision: Decision = NOTHING


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
    """Return the action that takes one step with a generation."""
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
