"""What may hold up a change that a service wants, each rule for itself.

The order of the rules is that of their weight: the first one that holds is reported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bridge.decide.services.blocked_rolls import LatestBlock, blocked
from bridge.decide.services.progress import MOVING, overdue_at
from bridge.decide.services.state import ServiceState
from bridge.decide.services.wants import Want
from bridge.decide.situation import Situation
from bridge.model.conditions import Hold
from bridge.model.memory import Memory
from bridge.model.reasons import Reason
from bridge.model.service import Service
from bridge.model.set_aside import By
from bridge.model.timestamps import timestamp
from bridge.model.window import opening_of
from bridge.model.wishes import pause_of

FIRST_DAMPING = 10.0
"""Seconds before a service is moved to the same version for the third time; then twice as long."""

LONGEST_DAMPING = 600.0
FORGOTTEN_AFTER = 3600.0


@dataclass(frozen=True, slots=True)
class JustFound:
    """What this very cycle has found, and the swarm does not know yet.

    Attributes:
        wished: Names of the secrets for which a wish is carried out in this cycle.
        failing: Ids of the versions whose roll was found to have failed, before a mark tells so.
        alive: Ids of the services that there are.
        state_lost: Whether the state config is gone, and with it what is paused.
    """

    wished: frozenset[str]
    failing: frozenset[str]
    alive: frozenset[str]
    state_lost: bool


def hold_of(
    state: ServiceState,
    want: Want,
    found: JustFound,
    known: Situation,
    *,
    ours: bool,
    latest: LatestBlock | None,
) -> Hold | None:
    """Return what holds up a change of a service, the weightiest first; None where nothing does.

    Args:
        ours: Whether the service's latest update is one of ours.
        latest: The latest note on a blocked roll of the service.
    """
    service = state.service
    return (
        paused(service, want, found, known)
        or reruns(service, want)
        or unproven(service, want)
        or (None if ours else busy(service, want, known))
        or failed_elsewhere(service, want, found)
        or outside_windows(service, want, known)
        or blocked(state, want, latest, known)
        or moved_away(service, want, known)
    )


def paused(service: Service, want: Want, found: JustFound, known: Situation) -> Hold | None:
    """Hold what an operator has paused or wishes.

    1. The state config is gone: everything waits, since nobody knows what was paused.
    2. A Docker secret of this name is not understood: it may be the newest version.
    3. A wish is carried out in this cycle: its marks are to be seen first.
    4. A pause of this secret, or of all.
    """
    if found.state_lost:
        message = "the state config is gone, and with it what was paused: `vault-bridge resume`"
        return _hold(service, want, Reason.STATE_LOST, f"{message} makes it anew")
    if want.target.unread and want.target.hold:
        return replace(want.target.hold, service=service.name)
    if want.name in found.wished:
        message = "an operator's wish comes first"
        return replace(_hold(service, want, Reason.LOOKING_AGAIN, message), waits=True)
    pause = pause_of(known.swarm.pauses, want.name)
    return _hold(service, want, Reason.PAUSED, pause.text) if pause else None


def reruns(service: Service, want: Want) -> Hold | None:
    """Hold what an update would run again."""
    if not service.reruns:
        return None
    what = "a job" if not service.runs_once else "a service whose tasks are not restarted"
    message = f"{service.name} is {what}, and an update would run it again"
    return _hold(service, want, Reason.WOULD_RERUN, message)


def unproven(service: Service, want: Want) -> Hold | None:
    """Hold what would point a service at a generation that is not known to be alive and kept.

    What goes back goes back all the same: what it leaves has failed.
    """
    hold = want.target.unproven.get(want.mirror.id) if want.mirror else None
    if hold is None or want.back:
        return None
    return replace(hold, service=service.name)


def busy(service: Service, want: Want, known: Situation) -> Hold | None:
    """Hold a service that is in somebody else's update.

    1. ``updating``, ``rollback_started``: it is under way, and passes by itself. It is not counted
       on for longer than a roll of ours.
    2. ``paused``, ``rollback_paused``: it has failed, and the engine does nothing more. Whatever
       failed, the next version is what may help, and any write ends the pause.
    """
    if service.update not in MOVING:
        return None
    overdue = overdue_at(service, known.memory, known.rollout, known.now)
    waits = known.now < overdue
    message = (
        f"{service.name} is in an update that is not ours ({service.update}:"
        f" {service.update_message})"
    )
    hold = _hold(service, want, Reason.SERVICE_BUSY, message)
    return replace(hold, until=overdue if waits else None, waits=waits)


def failed_elsewhere(service: Service, want: Want, found: JustFound) -> Hold | None:
    """Hold services that have not begun with a version that failed for another one.

    The failure of a service that is gone counts no more.
    """
    mirror = want.mirror
    if mirror is None or mirror.good or want.back:
        return None
    others = found.alive - {service.id}
    failures = (mark for place, mark in mirror.asides.items() if place in others)
    failed = next((mark.why for mark in failures if mark.by == By.FAILURE), None)
    if failed is None and mirror.id not in found.failing:
        return None
    message = f"{mirror.docker_name} failed for another service" + (
        f" ({failed})" if failed else ""
    )
    return _hold(service, want, Reason.FAILED_ELSEWHERE, message)


def outside_windows(service: Service, want: Want, known: Situation) -> Hold | None:
    """Hold what would begin outside of the times at which rolls may begin."""
    opening = opening_of(known.rollout.windows, known.now)
    if opening is None or want.back or want.urgent:
        return None
    message = f"rolls may begin at {timestamp(opening)} again (rollout.windows)"
    return replace(_hold(service, want, Reason.WINDOW_CLOSED, message), until=opening)


def moved_away(service: Service, want: Want, known: Situation) -> Hold | None:
    """Hold a service that somebody moves back again and again, for longer each time."""
    if want.swap is None:
        return None
    until = damped(service, want.swap.to_id, known.memory, known.now)
    if until <= known.now:
        return None
    message = f"somebody moves {service.name} away from {want.swap.to_name} again and again"
    return replace(_hold(service, want, Reason.DRIFTED, message), until=until)


def settling(wants: Iterable[Want], known: Situation) -> float:
    """Return until when a service waits for changes that come together; now where it need not."""
    rollout, now = known.rollout, known.now
    if not rollout.settle:
        return now
    seen = [_seen(want, known.memory, now) for want in wants]
    return max(now, min(max(seen) + rollout.settle, min(seen) + rollout.settle_max))


def _seen(want: Want, memory: Memory, now: float) -> float:
    known = memory.seen.get(want.name)
    if known is None:
        return now
    identity, at = known
    return at if want.mirror and identity == want.mirror.identity else 0.0


def damped(service: Service, to_id: str, memory: Memory, now: float) -> float:
    """Return when a service may be moved again to where somebody moves it away from."""
    rolls = memory.rolls.get((service.id, to_id), ())
    recent = [at for at in rolls if at > now - FORGOTTEN_AFTER]
    if len(recent) <= 1:
        return now
    return recent[-1] + min(FIRST_DAMPING * 2.0 ** (len(recent) - 2), LONGEST_DAMPING)


def _hold(service: Service, want: Want, reason: Reason, message: str) -> Hold:
    return Hold(secret=want.name, reason=reason, message=message, service=service.name)
