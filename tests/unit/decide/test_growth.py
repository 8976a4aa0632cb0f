"""What a cycle costs grows as the swarm does, and no faster: no scan within a scan.

Counted are the bytecode instructions, so that neither the machine nor its load matters.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest

from bridge.decide.cycle import decide
from bridge.decide.remember import remember
from bridge.decide.versions.prune import prune
from bridge.decide.versions.target import find_target
from bridge.model.actions import RollService, TendGeneration
from bridge.model.desired import Desired
from bridge.model.labels import GOOD, UNUSED
from bridge.model.memory import Backoff, Memory
from bridge.model.plan import Plan
from bridge.model.timestamps import timestamp
from bridge.model.world import World
from bridge.sources.kv.source import KvPath
from tests.support.builders import (
    LIVES,
    NOW,
    ROLE,
    actions_of,
    desired_of,
    document,
    generation_secret,
    leased,
    leased_world,
    secret_of,
    service_of,
    task_of,
    wanted,
    world_of,
)

SMALL = 16
TIMES = 10
"""How much larger the other swarm is."""

MOST = 1.05
"""By how much more than that it may cost."""

TASKS = 5
"""Tasks of each service."""

_Build = Callable[[int], tuple[Desired, World]]
_Step = Callable[[Desired, World, Memory], object]


def swarm(count: int) -> tuple[Desired, World]:
    """Return a swarm where all is well: two versions of each secret, two users of the newest."""
    homes = count // 2
    names = [f"s{number}" for number in range(count)]
    paths = {name: KvPath("", "secret", f"apps/{name}") for name in names}
    users = {
        name: (f"web{number % homes}", f"job{(number * 7) % homes}")
        for number, name in enumerate(names)
    }
    good, unused = {GOOD: timestamp(NOW - 900)}, {UNUSED: timestamp(NOW - 800)}
    secrets = [
        secret_of(version, name=name, path=paths[name], labels=labels)
        for name in names
        for version, labels in ((1, good | unused), (2, good))
    ]
    held: dict[str, list[str]] = {}
    for name, both in users.items():
        for home in both:
            held.setdefault(home, []).append(f"{name}_v2")
    services = [service_of(name, *held[name], desired_tasks=TASKS) for name in held]
    tasks = [
        task_of(service, *held[service.name], number=number, seen=NOW - 5000)
        for service in services
        for number in range(TASKS)
    ]
    desired = desired_of(secrets=[wanted(n, *users[n], path=paths[n]) for n in names])
    return desired, world_of({paths[n]: document(2) for n in names}, secrets, services, tasks)


def leased_swarm(count: int) -> tuple[Desired, World]:
    """Return a swarm with leased credentials: two generations of each, one user of the newest."""
    roles = [replace(ROLE, role=f"role{number}") for number in range(count)]
    secrets = [
        generation_secret(generation, name=f"s{number}", role=role)
        for number, role in enumerate(roles)
        for generation in (1, 2)
    ]
    services = [
        service_of(f"web{number}", f"s{number}_v2", f"s{number + 1}_v2", desired_tasks=TASKS)
        for number in range(0, count, 2)
    ]
    wanted_of = [
        leased(f"web{number - number % 2}", name=f"s{number}", role=role)
        for number, role in enumerate(roles)
    ]
    lives = dict.fromkeys(roles, LIVES)
    return desired_of(secrets=wanted_of), leased_world(secrets, services, lives=lives)


def rotation(count: int, homes: int) -> tuple[Desired, World]:
    """Return a swarm in which each secret has just got another version, and services wait."""
    desired, world = swarm(count)
    names = [secret.name for secret in desired.secrets]
    paths = {name: KvPath("", "secret", f"apps/{name}") for name in names}
    held: dict[str, list[str]] = {f"web{number}": [] for number in range(homes)}
    for number, name in enumerate(names):
        held[f"web{number % homes}"].append(f"{name}_v2")
    services = [service_of(home, *held[home], desired_tasks=TASKS) for home in held]
    secrets = [wanted(n, f"web{i % homes}", path=paths[n]) for i, n in enumerate(names)]
    newest = [secret_of(3, name=name, path=paths[name], age=1.0) for name in names]
    documents = {path: document(3) for path in paths.values()}
    return desired_of(secrets=secrets), world_of(
        documents, (*world.swarm.secrets, *newest), services
    )


def busy(memory: Memory, world: World) -> Memory:
    """Return the memory of a process that has rolled each service, and lost each answer."""
    rolls = {
        (service.id, reference.secret_id): (NOW - 100.0,)
        for service in world.swarm.services
        for reference in service.references
    }
    backoffs = {
        f"roll {service.id} x": Backoff(tries=1, until=NOW - 60.0, message="", unknown=True)
        for service in world.swarm.services
    }
    return replace(memory, rolls=rolls, backoffs=backoffs)


def instructions(action: Callable[[], object]) -> int:
    """Return how many bytecode instructions an action runs."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Callable[..., Any]:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


def cost(build: _Build, count: int, step: _Step) -> int:
    """Return what a step costs with so many secrets, in a cycle that is not the first."""
    desired, world = build(count)
    memory = remember(desired, Memory(), world, (), NOW - 1)
    _, world = build(count)  # a new look, which has looked nothing up yet
    return instructions(lambda: step(desired, world, memory))


def _decide(desired: Desired, world: World, memory: Memory) -> None:
    plan = decide(desired, world, memory, NOW)
    assert not plan.holds
    assert all(isinstance(action, TendGeneration) for chain in plan.chains for action in chain)


def _remember(desired: Desired, world: World, memory: Memory) -> None:
    remember(desired, memory, world, (), NOW)


def _find_and_prune(desired: Desired, world: World, memory: Memory) -> None:
    for secret in desired.secrets:
        target = find_target(secret, desired.instance, world, memory, NOW)
        prune(target, world.swarm, desired.retain, NOW)


def _ask_for_users(desired: Desired, world: World, memory: Memory) -> None:
    view = world.swarm
    for secret in view.secrets:
        view.is_used(secret.id, view.lost_tasks)
        assert (secret.id in view.running_ids) == (secret.id in view.used_ids)
        assert len(view.services_by_secret.get(secret.id, ())) in (0, 1, 2)


@pytest.mark.parametrize("homes", [1, None])
def test_a_rotation_of_everything_costs_ten_times_as_much_with_ten_times_as_many_secrets(
    homes: int | None,
) -> None:
    """In one service, and in as many as there are secrets."""

    def cost_of(count: int) -> int:
        desired, world = rotation(count, homes or count)
        memory = busy(remember(desired, Memory(), world, (), NOW - 1), world)
        _, world = rotation(count, homes or count)
        plans: list[Plan] = []
        cost = instructions(lambda: plans.append(decide(desired, world, memory, NOW)))
        rolled = actions_of(plans[0], RollService)
        assert len(rolled) == 1
        assert len(plans[0].holds) == count - len(rolled[0].swaps)
        return cost

    assert cost_of(SMALL * TIMES) <= cost_of(SMALL) * TIMES * MOST


@pytest.mark.parametrize("step", [_decide, _remember, _find_and_prune, _ask_for_users])
@pytest.mark.parametrize("build", [swarm, leased_swarm])
def test_a_step_costs_ten_times_as_much_in_a_swarm_ten_times_as_large(
    build: _Build, step: _Step
) -> None:
    small, large = cost(build, SMALL, step), cost(build, SMALL * TIMES, step)
    assert large <= small * TIMES * MOST
