"""Which changes of a service may go on now, if it is its turn?"""

from __future__ import annotations

from dataclasses import replace

from bridge.decide.services import gates
from bridge.decide.services.blame import ROLLED_BACK
from bridge.decide.services.blocked_rolls import latest_block
from bridge.decide.services.gates import JustFound
from bridge.decide.services.progress import MOVING, overdue_at
from bridge.decide.services.state import ServiceState
from bridge.decide.services.wants import Want
from bridge.decide.situation import Situation
from bridge.model.conditions import Hold
from bridge.model.reasons import Reason
from bridge.model.service import UpdateState
from bridge.model.window import opening_of

NEARLY = 60.0
"""Seconds after its making for which a generation is waited for, so that it comes along."""


def pass_gates(state: ServiceState, found: JustFound, known: Situation) -> ServiceState:
    """Return the state with what may be rolled now in ``ready``, and all else held.

    All services have been judged by then: a version may have failed for another one.
    """
    service = state.service
    if service.torn:
        return state
    state, passed = _passed(state, found, known)
    state, ready = _apart(state, passed)
    if ready and any(_is_coming(want, known) for want in state.wants.values()):
        # Another version is being made in this very cycle: it shall come with the same update.
        message = "waits for the newest version to be mirrored"
        holds = (_waiting(want, state, Reason.LOOKING_AGAIN, message) for want in ready)
        return state.held(*holds)
    until = gates.settling(ready, known) if ready else known.now
    if until > known.now:
        message = "waits whether more changes come"
        holds = (_waiting(want, state, Reason.SETTLING, message) for want in ready)
        return state.held(*(replace(hold, until=until) for hold in holds))
    closed = opening_of(known.rollout.windows, known.now) is not None
    for want in ready:
        if want.urgent and closed:
            state = state.forced(want, "rollout.windows is closed")
    return replace(state, ready=ready) if ready else state


def _waiting(want: Want, state: ServiceState, reason: Reason, message: str) -> Hold:
    service = state.service.name
    return Hold(secret=want.name, reason=reason, message=message, service=service, waits=True)


def _passed(
    state: ServiceState, found: JustFound, known: Situation
) -> tuple[ServiceState, list[Want]]:
    """Return the wants that no gate holds, each for itself; the others are held."""
    passed: list[Want] = []
    if not any(want.hold or want.swap for want in state.wants.values()):
        return state, passed
    ours, latest = _is_ours(state, known), latest_block(state.service.id, state.wants.values())
    holds: list[Hold] = []
    for want in state.wants.values():
        hold = want.hold
        if not hold:
            if not want.swap or want.name in state.went_back:
                continue
            hold = gates.hold_of(state, want, found, known, ours=ours, latest=latest)
        if hold:
            holds.append(hold)
        else:
            passed.append(want)
    return state.held(*holds), passed


def _is_ours(state: ServiceState, known: Situation) -> bool:
    """Return whether the service's latest update is one of ours, which a newer one may overtake.

    Swarm's rollback is let finish: whatever is sent into it could not be told from what it ends.
    """
    service = state.service
    if service.update in ROLLED_BACK and service.previous is None:
        overdue = known.now >= overdue_at(service, known.memory, known.rollout, known.now)
        return service.update != UpdateState.ROLLBACK_STARTED or overdue
    records = (
        want.held.open_record(service.id) if want.held else None for want in state.wants.values()
    )
    return any(record and record.frame in ("", service.frame) for record in records)


def _apart(state: ServiceState, passed: list[Want]) -> tuple[ServiceState, tuple[Want, ...]]:
    """Return what moves together: what goes back first, and suspects alone.

    1. What goes back goes before anything else.
    2. Suspects wait until nothing else moves, then take one turn each.
    3. A suspect is not tried on a service that is unhealthy: that would prove nothing.
    """
    back = [want for want in passed if want.back]
    plain = [want for want in passed if not want.alone]
    moving = state.has_open_roll or state.service.update in MOVING
    unhealthy = state.unhealthy and not moving
    chosen = back or plain or ([] if moving or unhealthy else passed[:1])
    names = {want.name for want in chosen}
    for want in passed:
        if want.name not in names:
            event = "the service has its full number of tasks"
            message = f"waits until {event if unhealthy else 'the other had its turn'}"
            hold = _waiting(want, state, Reason.TRIED_ALONE, message)
            state = state.held(replace(hold, waits=not unhealthy))
    return state, tuple(chosen)


def _is_coming(want: Want, known: Situation) -> bool:
    """Return whether another version is being made, which shall come with the same update."""
    if want.target.create:
        return True
    mirror = want.mirror
    hold = want.target.unproven.get(mirror.id) if mirror else None
    if not (hold and hold.waits and mirror):
        return False
    return known.now < known.memory.since(mirror.id, mirror.created, known.now) + NEARLY
