"""Does an update hang on a machine that died?

Swarm's updater waits for one task by its id, and has no time-out for it. Where that task's node
goes down, it waits for ever: the orchestrator starts a replacement elsewhere, but tasks that have
not had their turn stay on the old secret. Nothing helps but a write that changes the service, of a
label for instance; the new updater then replaces only what is not up to date.

A node that comes back before that reports the task as ended, which the updater takes for a failure
of the new version.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from bridge.decide.services.progress import Progress
from bridge.model.actions import WakeUpdater
from bridge.model.memory import Watch
from bridge.model.reasons import Reason
from bridge.model.roll_record import RollRecord
from bridge.model.service import Service, Task, UpdateState

PATIENCE = 5.0
"""Seconds without anything on its way, beyond those for which the engine itself waits."""

_CULPRIT = re.compile(r"\btask (\w+)$")
_MAY_HANG = frozenset((None, UpdateState.UPDATING))


def wake_of(
    service: Service, tasks: Iterable[Task], progress: Progress, watch: Watch, record: RollRecord
) -> WakeUpdater | None:
    """Return the write that wakes a hung updater: once for each roll and set of dead nodes.

    Where the engine has paused for a task that fell with its node, any write lets it go on.
    """
    tasks = tuple(tasks)
    if is_excused(service, watch.lost):
        places = [_culprit(service)]
        why = f"its update was paused for a task whose node had gone down; {progress.text}"
    else:
        places = sorted({task.node for task in tasks if task.ghost})
        why = (
            f"its update hangs on {'a node' if len(places) == 1 else 'nodes'} that went down"
            f" ({', '.join(places)}); {progress.text}"
        )
        if not places or progress.converged or any(_is_on_its_way(task) for task in tasks):
            return None
        if service.update not in _MAY_HANG:
            return None
        if watch.idle < service.monitor + service.delay + PATIENCE:
            return None
    token = " ".join((record.at, *places))
    if service.woken == token:
        return None
    return WakeUpdater(
        service_id=service.id,
        service_name=service.name,
        template=service.template,
        token=token,
        reason=Reason.NODE_LOST,
        why=why,
    )


def is_excused(service: Service, lost: frozenset[str]) -> bool:
    """Return whether the engine paused an update for a node that went down: that is no failure."""
    return service.update == UpdateState.PAUSED and fell_with_its_node(service, lost)


def _is_on_its_way(task: Task) -> bool:
    """Return whether a task on a node that is up will soon be in another state."""
    if not task.live or task.lost:
        return False
    return task.state != "running" or task.ending


def fell_with_its_node(service: Service, lost: frozenset[str]) -> bool:
    """Return whether the engine stopped or rolled back an update for a task whose node went down.

    Args:
        lost: Ids of the tasks that were seen on nodes that were down.
    """
    return _culprit(service) in lost


def _culprit(service: Service) -> str:
    """Return the id of the task that the engine names; empty where it names none."""
    found = _CULPRIT.search(service.update_message)
    return found.group(1) if found else ""
