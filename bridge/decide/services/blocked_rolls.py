"""What becomes of a roll whose tasks do not start?

It is *blocked*: noted on the version, without setting it aside, and the service goes back. Else
tasks that wait stay in the service's slots, and where two wait in one slot the engine may stop the
task that runs and place none. The roll is tried again when the nodes, the service or its
configuration change, and after some time, since nothing tells of a registry that is back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from bridge.decide.services.state import ServiceState
from bridge.decide.services.unstarted import Hindrance, reason_of
from bridge.decide.services.wants import Want
from bridge.decide.situation import Situation
from bridge.model.actions import Annotate
from bridge.model.blocked import Blocked
from bridge.model.conditions import Hold
from bridge.model.labels import BLOCKED, ROLL
from bridge.model.mirror import Mirror
from bridge.model.timestamps import moment, timestamp

PAUSE = (30.0, 600.0)
AFTER_CHANGE = (5.0, 60.0)
"""Seconds before a blocked roll is tried again, twice as long each time, and at most: where nothing
is seen to have changed, and where the nodes, the service or its configuration did."""


LatestBlock = tuple[Mirror, Blocked]


def latest_block(service_id: str, wants: Iterable[Want]) -> LatestBlock | None:
    """Return the latest note on a blocked roll of a service, and the version that it is on."""
    found = (
        (mirror, mirror.blocks[service_id])
        for want in wants
        for mirror in want.target.mirrors
        if service_id in mirror.blocks
    )
    return max(found, key=lambda pair: (pair[1].at, pair[1].again), default=None)


def block(
    state: ServiceState, open_rolls: Iterable[Want], hindrance: Hindrance, known: Situation
) -> ServiceState:
    """Return the state with a blocked roll held and noted; the way back is held only.

    It keeps its place while that is noted, so that nobody else begins before it goes back (I7).
    """
    service = state.service
    latest = latest_block(service.id, state.wants.values())
    state = replace(state, in_flight=False, updating=False)
    for want in open_rolls:
        mirror = want.held
        state = state.held(_hold(want, hindrance, service.name))
        if mirror is None or (latest and latest[0] != mirror and not latest[1].again):
            continue
        record = mirror.open_record(service.id)
        ours = record is not None and record.frame in ("", service.frame)
        noted = mirror.block_for(service.id)
        if noted and (noted.reason, noted.back) == (hindrance.reason, ours):
            continue
        before = latest[1] if latest else None
        tries = noted.tries if noted else before.tries + 1 if before else 1
        note = _note(mirror, state, _mark(state, hindrance, tries, known, back=ours))
        state = replace(state.noted(note), in_flight=True)
    return state


def note_swarm_back(
    state: ServiceState, back: Iterable[tuple[Want, Mirror]], error: str, known: Situation
) -> ServiceState:
    """Return the state with a note on a roll that Swarm rolled back: a task could not start."""
    service = state.service
    reason, remedy = reason_of(service, error)
    hindrance = Hindrance(reason, f"Swarm rolled the service back ({error}): {remedy}")
    latest = latest_block(service.id, state.wants.values())
    tries = latest[1].tries + 1 if latest else 1
    mark = _mark(state, hindrance, tries, known, back=True)
    for want, mirror in back:
        note = _note(mirror, state, mark)
        state = state.noted(note).held(_hold(want, hindrance, service.name))
    return state


def _hold(want: Want, hindrance: Hindrance, service: str) -> Hold:
    return Hold(secret=want.name, reason=hindrance.reason, message=hindrance.why, service=service)


def _mark(
    state: ServiceState, hindrance: Hindrance, tries: int, known: Situation, *, back: bool
) -> Blocked:
    return Blocked(
        reason=hindrance.reason,
        why=hindrance.why,
        at=timestamp(known.now),
        tries=tries,
        seen=_surroundings(state, known.swarm.nodes),
        back=back,
    )


def _note(mirror: Mirror, state: ServiceState, mark: Blocked) -> Annotate:
    service = state.service
    gone = mirror.id not in service.secret_ids
    return Annotate.on(
        mirror,
        reason=mark.reason,
        why=f"the roll of {service.name} to it is blocked: {mark.why}",
        put={f"{BLOCKED}{service.id}": mark.write()},
        drop=frozenset({f"{ROLL}{service.id}"} if gone else ()),
    )


def _surroundings(state: ServiceState, nodes: str) -> str:
    """Return a fingerprint of the nodes, the service and its configuration.

    A change of any of them may be what lets its tasks start.
    """
    service = state.service
    files = [
        repr(mapping)
        for want in state.wants.values()
        for mapping in want.target.secret.services
        if mapping.service == service.name
    ]
    text = " ".join((nodes, service.frame, service.setup, *files))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def tried_again(state: ServiceState, now: float) -> dict[str, str]:
    """Return the label that a blocked roll is tried again; none where none is blocked."""
    latest = latest_block(state.service.id, state.wants.values())
    if latest is None:
        return {}
    mark = latest[1]
    again = Blocked(
        reason=mark.reason, why=mark.why, at=timestamp(now), tries=mark.tries, again=True
    )
    return {f"{BLOCKED}{state.service.id}": again.write()}


def blocked(
    state: ServiceState, want: Want, latest: LatestBlock | None, known: Situation
) -> Hold | None:
    """Return the hold on a service whose roll was blocked, until it is tried again.

    Newer versions wait with it. A service whose present tasks do not start either waits for them:
    the cause is still there.

    Args:
        latest: The latest note on a blocked roll of the service.
    """
    service = state.service
    if latest is None or latest[1].again or want.back or latest[0].id in service.secret_ids:
        return None
    mirror, mark = latest
    if state.not_starting:
        message = f"{mark.why}; it is tried again once {service.name} has its tasks"
        return Hold(secret=want.name, reason=mark.reason, message=message, service=service.name)
    until = _next_try(state, want, mirror, mark, known)
    if until <= known.now:
        return None
    return Hold(
        secret=want.name,
        reason=mark.reason,
        message=f"{mark.why}; it is tried again at {timestamp(until)}",
        service=service.name,
        until=until,
    )


def _next_try(
    state: ServiceState, want: Want, mirror: Mirror, mark: Blocked, known: Situation
) -> float:
    changed = mark.seen != _surroundings(state, known.swarm.nodes)
    first, longest = AFTER_CHANGE if changed or want.urgent else PAUSE
    first += 0.0 if changed else known.rollout.bake  # what went back bakes first
    since = known.memory.since(mirror.id, moment(mark.at), known.now)
    return since + min(first * 2.0 ** min(mark.tries - 1, 10), longest)
