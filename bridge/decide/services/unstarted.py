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
from bridge.decide.services.progress import Progress, Starts
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

    1. A process was started: it has converged, a good task died, or one ended by itself.
    2. The engine tells of no task why it is not started, or has stopped the update, which it does
       for a task that was refused and never for one that no node takes.
    3. The engine tells why, and a task may yet start: the orchestrator makes another one for each
       that was refused, and the scheduler tries again with what no node takes. Once the engine has
       stopped the update, nothing more comes of it.
    4. The engine tells why, and it has been so for long enough. Of a roll that was found to be
       blocked before, that is so at once, unless a task is just being started.

    Args:
        known: What was noted on it before.
        failure: Why the roll has failed; empty while it may still succeed.
    """
    starts = progress.starts
    if progress.converged or watch.died or starts.ended:  # 1
        return None
    stopped = service.update in _STOPPED
    if not starts.hindered or (stopped and not starts.refused):  # 2
        return None if stopped else _unexplained(starts, failure)
    noted = known is not None and not starts.starting
    if not stopped and not noted and _may_yet_start(service, starts, watch, failure):  # 3
        return None
    return _explained(service, progress)  # 4


def _unexplained(starts: Starts, failure: str) -> Hindrance | None:
    """Return that no task was started in all the time of a roll, without the engine's words.

    None while the roll may still succeed, and where one is being started or none waits: then it is
    not the start that has failed.
    """
    if not failure or starts.starting or not starts.waiting:
        return None
    return Hindrance(Reason.CANNOT_START, f"no task was started ({failure})")


def _may_yet_start(service: Service, starts: Starts, watch: Watch, failure: str) -> bool:
    """Return whether a task may yet start of which the engine tells why it has not.

    1. The roll has failed: only a task whose start lasts, since that process runs. One that has
       just been started is one more try of what does not start.
    2. Otherwise one that is being started, and any for as long as the engine itself waits between
       two tasks, and a little more.
    """
    if failure:  # 1
        return starts.lasting
    return starts.starting or watch.stuck < service.monitor + service.delay + PATIENCE  # 2


def _explained(service: Service, progress: Progress) -> Hindrance:
    """Return the engine's latest words on why a task is not started, and what to do about it.

    Those on a task that was refused come first: only for such a one the engine stops an update.
    """
    starts = progress.starts
    error = max(starts.refused or starts.unplaced, key=lambda task: task.seen).error
    reason, remedy = reason_of(service, error)
    are = "task runs" if starts.up == 1 else "tasks run"
    return Hindrance(reason, f"{error}; {starts.up} of {progress.desired} {are}: {remedy}")


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
