"""What is held while the engine lists an object that is not understood?

No more than what it may concern (I8). It might use any version, so nothing is removed, no lease is
ended and nothing counts as left by all until it is understood, or gone: see ``SwarmView.used_ids``.
"""

from __future__ import annotations

from dataclasses import replace

from bridge.decide.versions.target import Target
from bridge.model.conditions import Hold
from bridge.model.reasons import Reason
from bridge.model.swarm_view import SwarmView, Unread

_SHOWN = 3


def not_understood(swarm: SwarmView) -> list[Hold]:
    """Report the objects that are not understood, as one thing."""
    if not swarm.unread:
        return []
    shown = ", ".join(str(unread) for unread in swarm.unread[:_SHOWN])
    more = len(swarm.unread) - _SHOWN
    shown += f" and {more} more" if more > 0 else ""
    message = f"the engine's answer is not understood: {shown}"
    if swarm.blind:
        message += "; nothing is removed and no lease is ended while that is so"
    return [Hold(secret="", reason=Reason.NOT_UNDERSTOOD, message=message)]


def with_unread(target: Target, swarm: SwarmView) -> Target:
    """Hold a secret of which a Docker secret is not understood: it may be the newest version."""
    name = target.secret.name
    odd = next((unread for unread in swarm.unread if unread.may_be_of(name)), None)
    if odd is None:
        return target
    return replace(target, create=None, unread=True, hold=_hold(name, odd))


def unread_service(name: str, service: str, swarm: SwarmView) -> Hold | None:
    """Return the hold for a service that is there and not understood; None where there is none."""
    found = (odd for odd in swarm.unread if odd.kind == "service" and odd.name == service)
    odd = next(found, None)
    return _hold(name, odd, service) if odd else None


def _hold(name: str, odd: Unread, service: str = "") -> Hold:
    return Hold(
        secret=name,
        reason=Reason.NOT_UNDERSTOOD,
        message=f"the engine's answer on {odd} is unclear",
        service=service,
    )
