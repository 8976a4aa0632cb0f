"""Small worlds for tests of the pure core: a secret ``db`` at one path, and its services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from bridge.decide.cycle import decide
from bridge.decide.remember import remember
from bridge.model.actions import MintGeneration, TendGeneration
from bridge.model.desired import (
    Content,
    Desired,
    DesiredSecret,
    FileFields,
    Format,
    LeaseRules,
    Retain,
    Rollout,
)
from bridge.model.desired import (
    Mapping as ServiceMapping,
)
from bridge.model.docker_secret import DockerSecret
from bridge.model.identity import ONE_LIFE, Identity
from bridge.model.labels import GOOD, labels_of
from bridge.model.leased import Fate, GenerationView, Life, RoleDocument, lease_labels
from bridge.model.memory import Memory
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.service import Kind, Reference, Service, Task
from bridge.model.source import Source
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import timestamp
from bridge.model.vault_view import KvDocument, KvVersion, Unreadable, VaultView
from bridge.model.world import World
from bridge.sources.database.source import DatabaseRole
from bridge.sources.kv.source import KvPath

_A = TypeVar("_A")

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
    return Reference(secret_id=f"id-{docker_name}", secret_name=docker_name, file_name=target)


def service_of(name: str, *docker_names: str, **changes: Any) -> Service:
    """Return a service with one task that refers to Docker secrets, each under its own target."""
    references = tuple(reference(d, d.split("_v")[0]) for d in docker_names)
    base = Service(
        id=f"id-{name}",
        name=name,
        index=10,
        kind=Kind.REPLICATED,
        references=references,
        previous=None,
        desired_tasks=1,
        update_started=NOW - 10,
        monitor=1.0,
    )
    return replace(base, **changes)


def task_of(service: Service, *docker_names: str, number: int = 1, **changes: Any) -> Task:
    """Return a running task of a service that holds Docker secrets."""
    ids = frozenset(f"id-{name}" for name in docker_names)
    base = Task(
        id=f"{service.id}.{number}",
        service_id=service.id,
        state="running",
        desired_state="running",
        secret_ids=ids,
    )
    return replace(base, **changes)


def desired_of(
    *services: str,
    secrets: Iterable[DesiredSecret] = (),
    rollout: Rollout = Rollout(bake=2.0),
    retain: Retain = Retain(2, 0.0),
) -> Desired:
    """Return a configuration with the secret ``db`` for the services, or with other secrets."""
    return Desired(
        instance="default",
        secrets=tuple(secrets) or (wanted("db", *services),),
        rollout=rollout,
        retain=retain,
    )


def wanted(
    name: str, *services: str, path: KvPath = PATH, file: FileFields = FileFields()
) -> DesiredSecret:
    """Return a configured secret."""
    content = Content(format=Format.RAW, field="password")
    return DesiredSecret(
        name=name,
        source=path,
        content=content,
        services=tuple(ServiceMapping(s, (file,)) for s in services),
    )


def world_of(
    vault: KvDocument | RoleDocument | Unreadable | Mapping[Any, Any],
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
            Task(
                id=f"{s.id}.{n}",
                service_id=s.id,
                state="running",
                desired_state="running",
                secret_ids=s.secret_ids,
            )
            for s in services
            for n in range(s.desired_tasks)
        ]
    view = SwarmView(
        as_of=NOW, secrets=tuple(secrets), services=services, tasks=tuple(tasks), **swarm
    )
    return World(VaultView(as_of=NOW, paths=paths), view)


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


# --- Leased credentials --------------------------------------------------------------------------

ROLE = DatabaseRole("", "database", "shop")
LIVES = RoleDocument(600.0, 6000.0)
"""What the role gives: renewals each five minutes, a new generation after 4000 s."""


def leased(
    *services: str, name: str = "db", role: DatabaseRole = ROLE, **rules: Any
) -> DesiredSecret:
    """Return a configured secret with a lease; ``rules`` are those of ``LeaseRules``."""
    mappings = tuple(ServiceMapping(s, (FileFields(),)) for s in services)
    return DesiredSecret(
        name=name,
        source=role,
        content=Content(format=Format.JSON),
        services=mappings,
        lease=LeaseRules(**rules),
    )


def minted(reason: Reason, why: str = "w") -> MintGeneration:
    """Return the action that makes the second generation."""
    return MintGeneration(
        secret="db",
        source=ROLE,
        version=2,
        content=Content(format=Format.JSON),
        docker_name="db_v2",
        labels={},
        reason=reason,
        why=why,
    )


def generation_secret(
    number: int,
    *,
    name: str = "db",
    role: DatabaseRole = ROLE,
    labels: Mapping[str, str] | None = None,
    good: bool = True,
    age: float = 100.0,
) -> DockerSecret:
    """Return the Docker secret of a generation, which is good unless it is said not to be."""
    named = Identity(role, ONE_LIFE, number, timestamp(NOW - age))
    made = labels_of("default", name, named)
    made |= lease_labels(f"{role.lease_prefix}{name}-{number}", f"accessor-{name}-{number}", "shop")
    made |= {GOOD: timestamp(NOW - age / 2)} if good else {}
    docker_name = f"{name}_v{number}"
    return DockerSecret(f"id-{docker_name}", docker_name, NOW - age, {**made, **(labels or {})})


def life(age: float = 100.0, left: float = 500.0, **changes: Any) -> Life:
    """Return a lease that was never renewed."""
    return replace(
        Life(started=NOW - age, ends=NOW + left, granted=age + left, renewed=False), **changes
    )


def custody(age: float = 100.0, **changes: Any) -> Life:
    """Return a custody that is permanent."""
    return replace(Life(started=NOW - age, ends=NOW + 1e6, granted=1e6, renewed=True), **changes)


def seen(lease: Fate | None = None, token: Fate | None = None, at: float = NOW) -> GenerationView:
    """Return a look at a generation, which is alive unless it is said not to be."""
    return GenerationView(at, lease or life(), token or custody())


def leased_world(
    secrets: Iterable[DockerSecret],
    services: Iterable[Service] = (),
    views: Mapping[str, GenerationView] | None = None,
    *,
    lives: RoleDocument | Unreadable | Mapping[Any, Any] = LIVES,
    at: float = NOW,
    **more: Any,
) -> World:
    """Return a world with generations, all alive but for those in ``views``, by Docker name."""
    secrets = tuple(secrets)
    paths: Mapping[Any, Any] = lives if isinstance(lives, Mapping) else {ROLE: lives}
    world = world_of(paths, secrets, services, **more)
    generations = {secret.id: seen(at=at) for secret in secrets}
    generations |= {f"id-{name}": view for name, view in (views or {}).items()}
    return replace(world, vault=replace(world.vault, as_of=at, generations=generations))


def actions_of(plan: Plan, kind: type[_A]) -> list[_A]:
    """Return a plan's actions of one kind."""
    return [action for chain in plan.chains for action in chain if isinstance(action, kind)]


def tended(plan: Plan) -> dict[str, list[str]]:
    """Return what a plan does to the leases and custodies of generations, by Docker name."""
    found: dict[str, list[str]] = {}
    for action in actions_of(plan, TendGeneration):
        found.setdefault(action.docker_name, []).append(action.step.name)
    return found
