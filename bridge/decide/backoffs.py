"""What waits for another try of an action that failed a moment ago?"""

from __future__ import annotations

from bridge.decide.situation import Situation
from bridge.model.actions import Action, Chain, action_key
from bridge.model.conditions import Hold
from bridge.model.memory import Backoff


def backoff_of(action: Action, known: Situation) -> Backoff | None:
    """Return what an earlier failure of an action makes it wait for; None where nothing does."""
    backoff = known.memory.backoffs.get(action_key(action))
    return backoff if backoff and backoff.until > known.now else None


def backoffs_of(chain: Chain, known: Situation) -> list[Backoff]:
    """Return what earlier failures of a chain's actions make it wait for."""
    return [backoff for action in chain if (backoff := backoff_of(action, known))]


def trying_again(name: str, service: str, backoff: Backoff) -> Hold:
    """Return the hold on what waits for another try.

    Args:
        name: Name of the secret.
        service: Name of the service; empty where none is concerned.
    """
    return Hold(
        secret=name,
        reason=backoff.reason,
        message=backoff.message,
        service=service,
        until=backoff.until,
        waits=backoff.passes,
    )
