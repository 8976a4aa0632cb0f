"""What may hold up a wanted change: quiet time, other people's updates, earlier failures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bridge.decide.services.progress import MOVING, overdue_at
from bridge.decide.services.wants import Want
from bridge.model.conditions import Hold
from bridge.model.desired import Rollout
from bridge.model.memory import Backoff, Memory
from bridge.model.mirror import By
from bridge.model.reasons import Reason
from bridge.model.service import Service
from bridge.model.timestamps import timestamp
from bridge.model.window import opening_of
from bridge.model.wishes import Pause, pause_of

FIRST_DAMPING = 10.0
"""Seconds before a service is moved to the same version for the third time; then twice as long."""

LONGEST_DAMPING = 600.0
FORGOTTEN_AFTER = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Halt:
    """What may hold services that is known only once all of them were judged.

    Attributes:
        failing: Ids of the versions of which it was noticed just now that they failed, before any
            mark says so.
        alive: Ids of the services that there are.
        pauses: By secret's name; the empty name is for all.
        wished: Names of the secrets for which a wish is carried out in this very cycle.
        state_lost: Whether the swarm no longer knows what is paused.
        nodes: Fingerprint of the nodes.
    """

    pauses: Mapping[str, Pause]
    wished: frozenset[str]
    state_lost: bool
    failing: frozenset[str] = frozenset()
    alive: frozenset[str] = frozenset()
    nodes: str = ""


def paused(service: Service, want: Want, halt: Halt) -> Hold | None:
    """Hold what an operator has paused or wishes, and everything where nobody knows what was."""
    if halt.state_lost:
        message = "the state config is gone, and with it what was paused: `vault-bridge resume`"
        return Hold(
            secret=want.name,
            reason=Reason.STATE_LOST,
            message=f"{message} makes it anew",
            service=service.name,
        )
    if want.target.unread and want.target.hold:
        return replace(want.target.hold, service=service.name)
    if want.name in halt.wished:
        message = "an operator's wish comes first"
        return Hold(
            secret=want.name,
            reason=Reason.LOOKING_AGAIN,
            message=message,
            service=service.name,
            waits=True,
        )
    pause = pause_of(halt.pauses, want.name)
    if pause is None:
        return None
    return Hold(secret=want.name, reason=Reason.PAUSED, message=pause.text, service=service.name)


def hold_of(
    service: Service,
    want: Want,
    halt: Halt,
    memory: Memory,
    rollout: Rollout,
    now: float,
    *,
    ours: bool,
) -> Hold | None:
    """Return what holds up a change of a service, the weightiest first; None where nothing does.

    Args:
        ours: Whether the service's latest update is one of ours.
    """
    return (
        paused(service, want, halt)
        or reruns(service, want)
        or unproven(service, want)
        or (None if ours else busy(service, want, memory, rollout, now))
        or failed_elsewhere(service, want, halt)
        or outside_windows(want, service, rollout, now)
    )


def outside_windows(want: Want, service: Service, rollout: Rollout, now: float) -> Hold | None:
    """Hold what would begin outside of the times at which rolls may begin."""
    opening = opening_of(rollout.windows, now)
    if opening is None or want.back or want.urgent:
        return None
    message = f"rolls may begin at {timestamp(opening)} again (rollout.windows)"
    return Hold(
        secret=want.name,
        reason=Reason.WINDOW_CLOSED,
        message=message,
        service=service.name,
        until=opening,
    )


def unproven(service: Service, want: Want) -> Hold | None:
    """Hold what would point a service at a generation that is not known to be alive and kept.

    What goes back goes back all the same: what it leaves has failed.
    """
    hold = want.target.unproven.get(want.mirror.id) if want.mirror else None
    if hold is None or want.back:
        return None
    return replace(hold, service=service.name)


def reruns(service: Service, want: Want) -> Hold | None:
    """Hold what an update would run again."""
    if not service.reruns:
        return None
    what = "a job" if not service.runs_once else "a service whose tasks are not restarted"
    return Hold(
        secret=want.name,
        reason=Reason.WOULD_RERUN,
        message=f"{service.name} is {what}, and an update would run it again",
        service=service.name,
    )


def busy(service: Service, want: Want, memory: Memory, rollout: Rollout, now: float) -> Hold | None:
    """Hold a service that is in somebody else's update.

    1. ``updating``, ``rollback_started``: it is under way, and passes by itself. It is not counted
       on for longer than a roll of ours.
    2. ``paused``, ``rollback_paused``: it has failed, and the engine does nothing more. Whatever
       failed, the next version is what may help, and any write ends the pause.
    """
    if service.update not in MOVING:
        return None
    overdue = overdue_at(service, memory, rollout, now)
    waits = now < overdue
    return Hold(
        secret=want.name,
        reason=Reason.SERVICE_BUSY,
        message=f"{service.name} is in an update that is not ours ({service.update}:"
        f" {service.update_message})",
        service=service.name,
        until=overdue if waits else None,
        waits=waits,
    )


def failed_elsewhere(service: Service, want: Want, halt: Halt) -> Hold | None:
    """Hold services that have not begun with a version that failed for another one.

    The failure of a service that is gone says no more.
    """
    mirror = want.mirror
    if mirror is None or mirror.good or want.back:
        return None
    others = halt.alive - {service.id}
    failures = (mark for place, mark in mirror.asides.items() if place in others)
    failed = next((mark.why for mark in failures if mark.by == By.FAILURE), None)
    if failed is None and mirror.id not in halt.failing:
        return None
    return Hold(
        secret=want.name,
        reason=Reason.FAILED_ELSEWHERE,
        message=f"{mirror.docker_name} failed for another service"
        + (f" ({failed})" if failed else ""),
        service=service.name,
    )


def settling(wants: Iterable[Want], memory: Memory, rollout: Rollout, now: float) -> float:
    """Tell until when a service waits for changes that may come together; ``now``: it need not."""
    if not rollout.settle:
        return now
    seen = [_seen(want, memory, now) for want in wants]
    return max(now, min(max(seen) + rollout.settle, min(seen) + rollout.settle_max))


def _seen(want: Want, memory: Memory, now: float) -> float:
    known = memory.seen.get(want.name)
    if known is None:
        return now
    identity, at = known
    return at if want.mirror and identity == want.mirror.identity else 0.0


def trying_again(name: str, service: str, backoff: Backoff) -> Hold:
    """Hold what waits for an action that failed a moment ago."""
    until, waits = backoff.until, backoff.passes
    return Hold(
        secret=name,
        reason=backoff.reason,
        message=backoff.message,
        service=service,
        until=until,
        waits=waits,
    )


def damped(service: Service, to_id: str, memory: Memory, now: float) -> float:
    """Tell when a service may be moved again to where somebody moves it away from."""
    rolls = memory.rolls.get((service.id, to_id), ())
    recent = [at for at in rolls if at > now - FORGOTTEN_AFTER]
    if len(recent) <= 1:
        return now
    return recent[-1] + min(FIRST_DAMPING * 2.0 ** (len(recent) - 2), LONGEST_DAMPING)
