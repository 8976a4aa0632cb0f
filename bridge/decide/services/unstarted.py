"""Did a process of a roll's tasks ever start? If none did, that says nothing of the version.

1. No node takes a task: the scheduler leaves it ``pending``, with its words.
2. A node cannot prepare a task: the engine calls it ``rejected``, as where its image or the source
   of a mount is missing.
3. A process cannot be started: ``failed``, with an error that begins ``starting container failed``,
   as where its port is taken, its command is missing, or a file field of the secret is wrong.

What becomes of such a roll, ``blocked_rolls`` decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bridge.decide.services.hung import PATIENCE
from bridge.decide.services.progress import Progress
from bridge.model.blocked import Blocked
from bridge.model.memory import Watch
from bridge.model.reasons import Reason
from bridge.model.service import Service, Task, UpdateState

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
    """Return why no process of a roll starts; None where one did, or while it still may.

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
    reason, remedy = reason_of(service, error)
    are = "task runs" if progress.starts.up == 1 else "tasks run"
    count = f"{progress.starts.up} of {progress.desired} {are}"
    return Hindrance(reason, f"{error}; {count}: {remedy}")


def reason_of(service: Service, error: str) -> tuple[Reason, str]:
    """Return what the engine's words mean, and what to do about it."""
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
