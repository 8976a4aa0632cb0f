"""A wall clock that is set changes no span of seconds, in either direction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bridge.decide.cycle import decide
from bridge.decide.remember import remember
from bridge.model.actions import Annotate, MintGeneration, RollService, Tend, TendGeneration
from bridge.model.desired import Desired, DesiredSecret, Rollout
from bridge.model.labels import ROLL
from bridge.model.memory import Memory
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.roll_record import RollRecord
from bridge.model.service import UpdateState
from bridge.model.set_aside import By, SetAside, aside_label
from bridge.model.timestamps import timestamp
from bridge.model.world import World
from tests.support.builders import (
    NOW,
    actions_of,
    custody,
    desired_of,
    document,
    generation_secret,
    leased,
    leased_world,
    life,
    secret_of,
    seen,
    service_of,
    task_of,
    tended,
    wanted,
    world_of,
)
from tests.unit.decide.credentials import test_static as static

STEPS = pytest.mark.parametrize("step", [-7200.0, 7200.0])
WATCHED = 5.0
"""Seconds for which a world is watched before the clock is set."""

At = Callable[[float], World]


def _after_step(desired: Desired, world: At, step: float, later: float) -> Plan:
    """Watch a world, set the clock, and decide so many seconds after it was seen first.

    Args:
        world: The world by the time of the look. Its labels and dates do not move.
    """
    memory = remember(desired, Memory(), world(NOW), (), NOW)
    memory = remember(desired, memory, world(NOW + WATCHED), (), NOW + WATCHED).moved(step)
    return decide(desired, world(NOW + later + step), memory, NOW + later + step)


def _leased_at(secret: DesiredSecret, *labels: dict[str, str], on: str = "db_v2") -> At:
    """Return two generations whose lives are told in seconds that are left, as Vault does."""

    def world(at: float) -> World:
        made = [
            generation_secret(n, labels=more, good=not any("aside" in key for key in more))
            for n, more in enumerate(labels, 1)
        ]
        views = {
            s.name: seen(
                life(0, 500.0, started=at - 100, ends=at + 500), custody(ends=at + 1e6), at
            )
            for s in made
        }
        return leased_world(made, [service_of("api", on)] if on else [], views, at=at)

    return world


@STEPS
def test_an_update_of_somebody_else_is_overdue_after_its_time(step: float) -> None:
    """Also where the engine's clock is hours off."""
    desired = desired_of("api", rollout=Rollout(timeout=60.0))
    for off in (-7200.0, 0.0, 7200.0):
        service = service_of("api", "db_v1", update=UpdateState.UPDATING, update_started=NOW + off)
        world = world_of(document(2), [secret_of(1), secret_of(2)], [service])
        for later, waits in ((50.0, True), (61.0, False)):
            plan = _after_step(desired, lambda _at, world=world: world, step, later)  # type: ignore[misc]
            [hold] = plan.holds
            assert (hold.reason, hold.waits) == (Reason.SERVICE_BUSY, waits)


@STEPS
def test_swarms_own_rollback_is_seen_whatever_the_engines_clock_says(step: float) -> None:
    record = RollRecord(before=(), index=9, at=timestamp(NOW), started=NOW - 100).write()
    service = service_of(
        "api", "db_v1", update=UpdateState.ROLLBACK_COMPLETED, update_started=NOW + step
    )
    secrets = [secret_of(1), secret_of(2, labels={f"{ROLL}id-api": record})]
    plan = decide(desired_of("api"), world_of(document(2), secrets, [service]), Memory(), NOW)
    assert not actions_of(plan, RollService)
    assert [note.reason for note in actions_of(plan, Annotate)] == [Reason.ROLL_FAILED]


@STEPS
def test_a_lost_node_counts_until_overlap_max_is_over(step: float) -> None:
    secret = leased("api", overlap_max=1000.0)
    good = {"vault-bridge.good": timestamp(NOW)}
    whole = _leased_at(secret, {}, good)

    def world(at: float) -> World:
        found = whole(at)
        lost = task_of(found.swarm.services[0], "db_v1", number=2, lost=True)
        tasks = (*found.swarm.tasks, lost)
        return replace(found, swarm=replace(found.swarm, tasks=tasks))

    desired = desired_of(secrets=[secret])
    assert "db_v1" not in tended(_after_step(desired, world, step, 990.0))
    assert tended(_after_step(desired, world, step, 1001.0))["db_v1"] == ["RETIRE", "SHORTEN"]


@STEPS
def test_a_static_role_is_rotated_after_its_grace(step: float) -> None:
    pair = [
        static.password(1, "a", static.DAY, retiring=timestamp(NOW)),
        static.password(2, "b", 100.0),
    ]
    whole = static.world({"a": static.DAY, "b": 100.0}, *pair, on="db_v2")
    desired = static.configured()
    grace = desired.secrets[0].lease.grace

    def steps(later: float) -> list[Tend]:
        plan = _after_step(desired, lambda _at: whole, step, later)
        return [action.step for action in actions_of(plan, TendGeneration)]

    assert steps(grace - 1) == []
    assert steps(grace + 1) == [Tend.ROTATE]


@STEPS
def test_the_next_generation_after_a_failed_one_is_made_in_time(step: float) -> None:
    secret = leased("api")
    mark = SetAside(By.FAILURE, timestamp(NOW), "it failed").write()
    world = _leased_at(secret, {}, {aside_label("id-api"): mark}, on="db_v1")
    desired = desired_of(secrets=[secret], rollout=Rollout(timeout=100.0))
    for later, made in ((90.0, 0), (101.0, 1)):
        plan = _after_step(desired, world, step, later)
        assert len(actions_of(plan, MintGeneration)) == made


@STEPS
def test_a_static_role_that_vault_rotates_is_left_in_time(step: float) -> None:
    """Its hard end is a date of Vault's; a clock that was set back would be two hours late."""
    pair = [static.password(1, "b", static.DAY), static.password(2, "a", 100.0)]
    whole = static.world({"a": 100.0, "b": static.DAY}, *pair, on="db_v2", period=7000.0)
    desired = static.configured()
    for later, due in ((4000.0, False), (6800.0, True)):
        plan = _after_step(desired, lambda _at: whole, step, later)
        assert bool(actions_of(plan, MintGeneration)) is due


@STEPS
def test_bake_and_time_out_go_on(step: float) -> None:
    """What was watched before counts, and no second is counted twice."""
    desired = desired_of("api", rollout=Rollout(bake=30.0, timeout=600.0))
    record = RollRecord(before=(), index=9, at=timestamp(NOW)).write()
    service = service_of("api", "db_v2", index=12, update=UpdateState.COMPLETED)
    secrets = [secret_of(1), secret_of(2, labels={f"{ROLL}id-api": record})]
    whole = world_of(document(2), secrets, [service])
    for later, reason in ((20.0, Reason.BAKING), (31.0, Reason.CONVERGED)):
        plan = _after_step(desired, lambda _at: whole, step, later)
        assert [s.reason for c in plan.conditions for s in c.services] == [reason]


@STEPS
def test_another_credential_of_a_service_is_not_waited_for_for_hours(step: float) -> None:
    """Docker secrets have the engine's date."""
    secret, other = leased("api"), wanted("key", "api")
    whole = _leased_at(secret, {}, {}, on="db_v1")

    def world(at: float) -> World:
        found = whole(at)
        provisional = seen(life(started=at, ends=at + 60), custody(renewed=False), at)
        generations = {**found.vault.generations, "id-db_v2": provisional}
        vault = replace(found.vault, generations=generations)
        vault = replace(vault, paths={**vault.paths, other.source: document(1)})
        newer = replace(found.swarm.secrets[1], created=NOW + step)
        secrets = (found.swarm.secrets[0], newer, secret_of(1, name="key"))
        swarm = replace(found.swarm, secrets=secrets)
        return replace(found, vault=vault, swarm=swarm)

    desired = desired_of(secrets=[secret, other])
    memory = remember(desired, Memory(), world(NOW), (), NOW)
    plan = decide(desired, world(NOW + 61), memory, NOW + 61)
    assert [s.to_name for a in actions_of(plan, RollService) for s in a.swaps] == ["key_v1"]
