"""Did a process of a roll's tasks ever start? If none did, that says nothing of the version.

1. No node takes a task: the scheduler leaves it ``pending``, with its words.
2. A node cannot prepare a task: the engine calls it ``rejected``, as where its image or the source
   of a mount is missing.
3. A process cannot be started: ``failed``, with an error that begins ``starting container failed``,
   as where its port is taken, its command is missing, or a file field of the secret is wrong.

A roll that is blocked so is marked on the version, without setting it aside, and the service goes
back: else tasks that wait stay in its slots, and where two wait in one the engine may stop the task
that runs and place none. The roll is tried again when the nodes or the service change, and after
some time, since nobody tells of a registry that is back.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from bridge.decide.services.hung import PATIENCE
from bridge.decide.services.progress import Progress
from bridge.decide.services.state import Stand
from bridge.decide.services.wants import Want
from bridge.decide.versions.target import Target
from bridge.model.actions import Annotate
from bridge.model.blocked import Blocked
from bridge.model.conditions import Hold
from bridge.model.desired import Rollout
from bridge.model.labels import BLOCKED, ROLL
from bridge.model.memory import Memory, Watch
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.service import Service, Task, UpdateState
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import moment, timestamp

PAUSE = (30.0, 600.0)
AFTER_CHANGE = (5.0, 60.0)
"""Seconds before a blocked roll is tried again, twice as long each time, and at most: where nothing
is seen to have changed, and where the nodes, the service or its configuration did."""

_STOPPED = frozenset((UpdateState.PAUSED, UpdateState.ROLLBACK_PAUSED))
_NO_IMAGE = re.compile(r"no such image|\bimage\b.*\bnot\b|\bmanifest\b|\bpull", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why the tasks of a roll do not start."""

    reason: Reason
    why: str


def hindrance_of(
    service: Service,
    progress: Progress,
    watch: Watch,
    known: Blocked | None,
    failure: str,
) -> Hindrance | None:
    """Say why no process of a roll starts; None where one did, or while it still may.

    Args:
        known: What was noted on it before.
        failure: Why the roll has failed; empty while it may still succeed.
    """
    starts = progress.starts
    if progress.converged or watch.died or starts.ended:
        return None
    stopped = service.update in _STOPPED
    if not starts.hindered or (stopped and not starts.refused):
        if not failure or stopped or starts.starting or not starts.waiting:
            return None
        return Hindrance(Reason.CANNOT_START, f"no task was started ({failure})")
    early = watch.stuck < service.monitor + service.delay + PATIENCE
    # At the time-out a task that has just been started is one more try of what does not start.
    waits = starts.lasting if failure else starts.starting or early
    if not stopped and not (known and not starts.starting) and waits:
        return None
    error = max(starts.refused or starts.unplaced, key=lambda task: task.seen).error
    reason, remedy = _reason_of(service, error)
    are = "task runs" if progress.starts.up == 1 else "tasks run"
    count = f"{progress.starts.up} of {progress.desired} {are}"
    return Hindrance(reason, f"{error}; {count}: {remedy}")


def _reason_of(service: Service, error: str) -> tuple[Reason, str]:
    """Name what the engine's words mean, and what to do about it."""
    if error.startswith(("no suitable node", "no node")):
        return Reason.CANNOT_BE_SCHEDULED, _room(error)
    if _NO_IMAGE.search(error):
        remedy = (
            "make the image available to the nodes, or give the service credentials that its"
            " registry takes (`docker service update --with-registry-auth`)"
        )
        return Reason.IMAGE_MISSING, remedy
    return Reason.CANNOT_START, f"`docker service ps --no-trunc {service.name}` shows where"


def _room(error: str) -> str:
    if "port" in error:
        return (
            "a new task needs a node where the port is free: set `update_config: {order:"
            " stop-first}`, or add a node"
        )
    if "max replicas" in error:
        return (
            "a new task needs room beside the old ones: raise `max_replicas_per_node`, add a node,"
            " or set `update_config: {order: stop-first}`"
        )
    return "add a node that fits, or make room on one"


def swarmed_back(tasks: Iterable[Task], wanted: frozenset[str]) -> str:
    """Return the engine's words where Swarm rolled back for a task that never started."""
    on_it = [task for task in tasks if wanted & task.secret_ids and not task.lost]
    refused = [task for task in on_it if task.refused]
    if not refused or any(task.ended_by_itself for task in on_it):
        return ""
    return max(refused, key=lambda task: task.seen).error


# --- the mark ------------------------------------------------------------------------------------


def latest_block(service_id: str, wants: Iterable[Want]) -> tuple[Mirror, Blocked] | None:
    """Return what was noted last of a blocked roll of a service, and on which version."""
    found = (
        (mirror, mirror.blocks[service_id])
        for want in wants
        for mirror in want.target.mirrors
        if service_id in mirror.blocks
    )
    return max(found, key=lambda pair: (pair[1].at, pair[1].again), default=None)


def hinder(
    stand: Stand, under_way: Iterable[Want], hindrance: Hindrance, nodes: str, now: float
) -> None:
    """Hold a roll that is blocked, and note it; where it is the way back, it is held only.

    It keeps its place while that is noted, so that nobody else begins before it goes back (I7).
    """
    service = stand.service
    latest = latest_block(service.id, stand.wants.values())
    stand.flying = stand.updating = False
    for want in under_way:
        mirror = want.held
        stand.hold(
            Hold(
                secret=want.name,
                reason=hindrance.reason,
                message=hindrance.why,
                service=service.name,
            )
        )
        if mirror is None or (latest and latest[0] != mirror and not latest[1].again):
            continue
        record = mirror.open_record(service.id)
        ours = record is not None and record.frame in ("", service.frame)
        known = mirror.block_for(service.id)
        if known and (known.reason, known.back) == (hindrance.reason, ours):
            continue
        before = latest[1] if latest else None
        tries = known.tries if known else before.tries + 1 if before else 1
        stand.notes.append(_noted(want, mirror, stand, hindrance, tries, nodes, now, back=ours))
        stand.flying = True


def note_swarm_back(
    stand: Stand, back: Iterable[tuple[Want, Mirror]], error: str, nodes: str, now: float
) -> None:
    """Note a roll that Swarm rolled back since a task of it could not be started."""
    reason, remedy = _reason_of(stand.service, error)
    hindrance = Hindrance(reason, f"Swarm rolled the service back ({error}): {remedy}")
    latest = latest_block(stand.service.id, stand.wants.values())
    tries = latest[1].tries + 1 if latest else 1
    for want, mirror in back:
        note = _noted(want, mirror, stand, hindrance, tries, nodes, now, back=True)
        stand.notes.append(note)
        stand.hold(
            Hold(secret=want.name, reason=reason, message=hindrance.why, service=stand.service.name)
        )


def _noted(
    want: Want,
    mirror: Mirror,
    stand: Stand,
    hindrance: Hindrance,
    tries: int,
    nodes: str,
    now: float,
    *,
    back: bool,
) -> Annotate:
    service = stand.service
    block = Blocked(
        reason=hindrance.reason,
        why=hindrance.why,
        at=timestamp(now),
        tries=tries,
        seen=_surroundings(stand, nodes),
        back=back,
    )
    gone = mirror.id not in service.secret_ids
    return Annotate(
        secret=want.name,
        secret_id=mirror.id,
        docker_name=mirror.docker_name,
        reason=hindrance.reason,
        why=f"the roll of {service.name} to it is blocked: {hindrance.why}",
        put={f"{BLOCKED}{service.id}": block.write()},
        drop=frozenset({f"{ROLL}{service.id}"} if gone else ()),
    )


def _surroundings(stand: Stand, nodes: str) -> str:
    """Tell whether the nodes, the service or its configuration changed, which may mend it."""
    service = stand.service
    files = [
        repr(mapping)
        for want in stand.wants.values()
        for mapping in want.target.secret.services
        if mapping.service == service.name
    ]
    text = " ".join((nodes, service.frame, service.setup, *files))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def tried_again(stand: Stand, now: float) -> dict[str, str]:
    """Return the label that says that a blocked roll is tried again; none where none is blocked."""
    latest = latest_block(stand.service.id, stand.wants.values())
    if latest is None:
        return {}
    block = latest[1]
    again = Blocked(
        reason=block.reason, why=block.why, at=timestamp(now), tries=block.tries, again=True
    )
    return {f"{BLOCKED}{stand.service.id}": again.write()}


def blocked(
    stand: Stand, want: Want, nodes: str, rollout: Rollout, memory: Memory, now: float
) -> Hold | None:
    """Hold a service whose roll was blocked, until it is tried again.

    Newer versions wait with it. A service whose present tasks do not start either waits for them:
    the cause is still there.
    """
    service = stand.service
    latest = latest_block(service.id, stand.wants.values())
    if latest is None or latest[1].again or want.back or latest[0].id in service.secret_ids:
        return None
    mirror, block = latest
    if stand.lacks:
        message = f"{block.why}; it is tried again once {service.name} has its tasks"
        return Hold(secret=want.name, reason=block.reason, message=message, service=service.name)
    changed = block.seen != _surroundings(stand, nodes)
    first, longest = AFTER_CHANGE if changed or want.urgent else PAUSE
    first += 0.0 if changed else rollout.bake  # what went back bakes first
    since = memory.since(mirror.id, moment(block.at), now)
    until = since + min(first * 2.0 ** min(block.tries - 1, 10), longest)
    if until <= now:
        return None
    message = f"{block.why}; it is tried again at {timestamp(until)}"
    return Hold(
        secret=want.name, reason=block.reason, message=message, service=service.name, until=until
    )


def block_upkeep(target: Target, stands: Iterable[Stand], swarm: SwarmView) -> list[Annotate]:
    """Drop marks of blocked rolls that are over."""
    scope = {s.service.id: s.service for s in stands if target.secret.name in s.wants}
    notes: list[Annotate] = []
    for mirror in (*target.mirrors, *target.others):
        over = [place for place in mirror.blocks if _is_over(mirror, place, target, scope, swarm)]
        if over:
            notes.append(
                Annotate(
                    secret=target.secret.name,
                    secret_id=mirror.id,
                    docker_name=mirror.docker_name,
                    reason=Reason.SUPERSEDED,
                    why="blocked rolls to it that are over are forgotten",
                    drop=frozenset(f"{BLOCKED}{place}" for place in over),
                )
            )
    return notes


def _is_over(
    mirror: Mirror,
    service_id: str,
    target: Target,
    scope: dict[str, Service],
    swarm: SwarmView,
) -> bool:
    service = scope.get(service_id)
    if service is None or service_id not in swarm.service_by_id or mirror in target.others:
        return True
    if service.torn:
        return False
    newer = [m for m in target.mirrors if mirror.order < m.order]
    held = [m for m in (mirror, *newer) if m.id in service.secret_ids]
    return any(service_id in m.blocks for m in newer) or any(
        not m.open_record(service_id) for m in held
    )
