"""How do services stand in numbers: tasks ready of those wanted, and when did they last change?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from bridge.model.conditions import Condition, ServiceCondition
from bridge.model.mirror import Mirror
from bridge.model.service import Service
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import moment


def with_standing(
    conditions: Iterable[Condition], swarm: SwarmView, instance: str
) -> Iterator[Condition]:
    """Yield the conditions with their services' tasks, and with the time of the last change.

    A change is what the bridge has written down: a mirror, the begin and the end of a roll, a mark.
    """
    for condition in conditions:
        mirrors = swarm.mirrors_of(instance, condition.name)
        services = tuple(_service(found, mirrors, swarm) for found in condition.services)
        changes = [service.changed for service in services if service.changed is not None]
        changes += [max(mirror.created, moment(mirror.good)) for mirror in mirrors]
        changes += [moment(mark.at) for mirror in mirrors for mark in mirror.asides.values()]
        yield replace(condition, services=services, changed=max(changes, default=None))


def _service(
    condition: ServiceCondition, mirrors: tuple[Mirror, ...], swarm: SwarmView
) -> ServiceCondition:
    service = swarm.service_by_name.get(condition.name)
    if service is None:
        return condition
    held = service.secret_ids.intersection(mirror.id for mirror in mirrors)
    changes = [
        moment(record.done or record.at)
        for mirror in mirrors
        if (record := mirror.records.get(service.id))
    ]
    return replace(
        condition,
        tasks=(_ready(service, held, swarm), service.desired_tasks),
        changed=max(changes, default=None),
    )


def _ready(service: Service, held: frozenset[str], swarm: SwarmView) -> int:
    """Return how many tasks run with what the service refers to now."""
    tasks = swarm.tasks_by_service.get(service.id, ())
    return sum(task.running and held <= task.secret_ids for task in tasks)
