"""Swarms of any size in which all is well but one roll, as a decision sees them."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.model.desired import Desired
from bridge.model.labels import GOOD, UNUSED
from bridge.model.timestamps import timestamp
from bridge.model.world import World
from bridge.sources.kv.source import KvPath
from tests.support.builders import (
    NOW,
    desired_of,
    document,
    secret_of,
    service_of,
    task_of,
    wanted,
    world_of,
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is.

    Attributes:
        tasks: Of each service.
    """

    secrets: int
    services: int
    tasks: int

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.secrets}/{self.services}/{self.services * self.tasks}"


def swarm_of(size: Size) -> tuple[Desired, World, float]:
    """Return a swarm with two versions of each secret, and the time it is seen at.

    The newest version of the first secret is not good yet, so that its service rolls.
    """
    names = [f"s{number}" for number in range(size.secrets)]
    paths = {name: KvPath("", "secret", f"apps/{name}") for name in names}
    good, unused = {GOOD: timestamp(NOW - 900)}, {UNUSED: timestamp(NOW - 800)}
    secrets = [
        secret_of(version, name=name, path=paths[name], labels=labels)
        for number, name in enumerate(names)
        for version, labels in ((1, good | unused), (2, good if number else {}))
    ]
    users = {name: f"web{number % size.services}" for number, name in enumerate(names)}
    held: dict[str, list[str]] = {}
    for name, home in users.items():
        held.setdefault(home, []).append(f"{name}_v2")
    services = [service_of(name, *held[name], desired_tasks=size.tasks) for name in held]
    tasks = [
        task_of(service, *held[service.name], number=number, seen=NOW - 5000)
        for service in services
        for number in range(size.tasks)
    ]
    documents = {path: document(2) for path in paths.values()}
    desired = desired_of(secrets=[wanted(n, users[n], path=paths[n]) for n in names])
    return desired, world_of(documents, secrets, services, tasks), NOW
