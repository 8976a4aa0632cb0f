"""Small worlds for tests of the pure core: a secret ``db`` at one path, and its services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bridge.decide.cycle import decide
from bridge.decide.remember import remember
from bridge.model.desired import (
    Content,
    Desired,
    DesiredSecret,
    FileFields,
    Format,
    KvPath,
    Retain,
    Rollout,
    Source,
)
from bridge.model.desired import (
    Mapping as ServiceMapping,
)
from bridge.model.generation import RoleDocument
from bridge.model.memory import Memory
from bridge.model.mirror import DockerSecret
from bridge.model.naming import Identity, labels_of
from bridge.model.plan import Plan
from bridge.model.world import (
    Kind,
    KvDocument,
    KvVersion,
    Reference,
    Service,
    SwarmView,
    Task,
    Unreadable,
    VaultView,
    World,
)

NOW = 1_800_000_000.0
PATH = KvPath("", "secret", "apps/db")
BORN = "2026-11-01T00:00:00Z"


def created(version: int) -> str:
    """Return when a version was made: one a day."""
    return f"2026-11-{version + 1:02d}T00:00:00.5Z"


def identity(version: int, path: KvPath = PATH, born: str = BORN) -> Identity:
    """Return the identity of a version."""
    return Identity(path, born, version, created(version))


def document(current: int, born: str = BORN, **changes: Any) -> KvDocument:
    """Return metadata with versions 1 to ``current``; ``changes`` apply to the current one."""
    versions = {n: KvVersion(created(n)) for n in range(1, current + 1)}
    if current:
        versions[current] = replace(versions[current], **changes)
    return KvDocument(born, current, versions)


def secret_of(
    version: int,
    *,
    name: str = "db",
    path: KvPath = PATH,
    instance: str = "default",
    labels: Mapping[str, str] | None = None,
    docker_name: str = "",
    born: str = BORN,
    age: float = 1e6,
) -> DockerSecret:
    """Return the Docker secret that mirrors a version, with further labels."""
    made = labels_of(instance, name, identity(version, path, born))
    docker_name = docker_name or f"{name}_v{version}"
    return DockerSecret(f"id-{docker_name}", docker_name, NOW - age, {**made, **(labels or {})})


def foreign(name: str) -> DockerSecret:
    """Return a Docker secret that no bridge made."""
    return DockerSecret(f"id-{name}", name, NOW - 1e6)


def reference(docker_name: str, target: str = "db") -> Reference:
    """Return a service's reference to a Docker secret."""
    return Reference(f"id-{docker_name}", docker_name, target)


def service_of(name: str, *docker_names: str, **changes: Any) -> Service:
    """Return a service with one task that refers to Docker secrets, each under its own target."""
    references = tuple(reference(d, d.split("_v")[0]) for d in docker_names)
    base = Service(
        *(f"id-{name}", name, 10, Kind.REPLICATED, references, None, 1),
        update_started=NOW - 10,
        monitor=1.0,
    )
    return replace(base, **changes)


def task_of(service: Service, *docker_names: str, number: int = 1, **changes: Any) -> Task:
    """Return a running task of a service that holds Docker secrets."""
    ids = frozenset(f"id-{name}" for name in docker_names)
    base = Task(f"{service.id}.{number}", service.id, "running", "running", ids)
    return replace(base, **changes)


def desired_of(
    *services: str,
    secrets: Iterable[DesiredSecret] = (),
    rollout: Rollout = Rollout(bake=2.0),
    retain: Retain = Retain(2, 0.0),
) -> Desired:
    """Return a configuration with the secret ``db`` for the services, or with other secrets."""
    return Desired("default", tuple(secrets) or (wanted("db", *services),), rollout, retain)


def wanted(
    name: str, *services: str, path: KvPath = PATH, file: FileFields = FileFields()
) -> DesiredSecret:
    """Return a configured secret."""
    content = Content(Format.RAW, "password")
    return DesiredSecret(name, path, content, tuple(ServiceMapping(s, file) for s in services))


def world_of(
    vault: KvDocument | Unreadable | Mapping[Any, KvDocument | Unreadable],
    secrets: Iterable[DockerSecret] = (),
    services: Iterable[Service] = (),
    tasks: Iterable[Task] | None = None,
    **swarm: Any,
) -> World:
    """Return a world; without ``tasks`` each service has one that holds what its Spec refers to."""
    paths: Mapping[Source, KvDocument | RoleDocument | Unreadable]
    paths = vault if isinstance(vault, Mapping) else {PATH: vault}
    services = tuple(services)
    if tasks is None:
        tasks = [
            Task(f"{s.id}.{n}", s.id, "running", "running", s.secret_ids)
            for s in services
            for n in range(s.desired_tasks)
        ]
    view = SwarmView(NOW, tuple(secrets), services, tuple(tasks), **swarm)
    return World(VaultView(NOW, paths), view)


def plan_of(desired: Desired, world: World, memory: Memory = Memory(), now: float = NOW) -> Plan:
    """Decide once."""
    return decide(desired, world, memory, now)


def after(
    desired: Desired, world: World, *seconds: float, memory: Memory = Memory()
) -> tuple[Plan, Memory]:
    """Look at the same world again and again; return the last plan, and the memory it had."""
    plan = decide(desired, world, memory, NOW)
    for second in seconds:
        memory = remember(desired, memory, world, (), NOW + second - 1e-6)
        plan = decide(desired, world, memory, NOW + second)
    return plan, memory
