"""An updater that hangs on a dead node is woken once; the version is not to blame for the node."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from bridge.model.actions import Annotate, WakeUpdater
from bridge.model.labels import ROLL
from bridge.model.memory import Memory
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.roll_record import RollRecord
from bridge.model.service import Service, Task, UpdateState
from tests.support.builders import (
    after,
    desired_of,
    document,
    secret_of,
    service_of,
    task_of,
    world_of,
)

RECORD = RollRecord(before=(), index=9, at="2027-01-15T08:00:00Z").write()
SECRETS = (secret_of(1), secret_of(2, labels={f"{ROLL}id-api": RECORD}))
API = service_of(
    "api", "db_v2", desired_tasks=3, update=UpdateState.UPDATING, update_started=1_799_999_999.0
)
TOKEN = "2027-01-15T08:00:00Z n1"
DESIRED = desired_of("api")
"""`bake` is 2 s and the timeout 600 s."""

STALE = task_of(API, "db_v1", number=1, node="n2")
GOOD = task_of(API, "db_v2", number=2, node="n2")
MOVED = task_of(API, "db_v2", number=3, node="n2")
AWAITED = task_of(
    API, "db_v2", number=4, node="n1", lost=True, state="starting", desired_state="shutdown"
)
HUNG = (STALE, GOOD, MOVED, AWAITED)


def _after(
    seconds: Iterable[float], tasks: Iterable[Task] = HUNG, service: Service = API
) -> tuple[Plan, Memory]:
    world = world_of(document(2), SECRETS, [service], list(tasks))
    return after(DESIRED, world, *seconds)


def _wakes(plan: Plan) -> list[WakeUpdater]:
    return [a for chain in plan.chains for a in chain if isinstance(a, WakeUpdater)]


def test_it_is_woken_when_nothing_is_on_its_way() -> None:
    (wake,) = _wakes(_after(range(1, 8))[0])
    assert wake.token == TOKEN
    assert wake.reason == Reason.NODE_LOST
    plan, _ = _after(range(1, 8))
    (condition,) = plan.conditions
    assert condition.reason == Reason.NODE_LOST
    assert plan.rolling


def test_the_engine_has_its_own_time_first() -> None:
    assert not _wakes(_after(range(1, 6))[0])
    slow = replace(API, delay=30.0)
    assert not _wakes(_after(range(1, 30), service=slow)[0])


def test_it_is_woken_once_for_a_roll_and_its_dead_nodes() -> None:
    assert not _wakes(_after(range(1, 60), service=replace(API, woken=TOKEN))[0])
    former = replace(API, woken="2026-12-24T08:00:00Z n1")
    assert _wakes(_after(range(1, 8), service=former)[0])
    another = (*HUNG, replace(AWAITED, id="x", node="n9"))
    (wake,) = _wakes(_after(range(1, 8), another, replace(API, woken=TOKEN))[0])
    assert wake.token == f"{TOKEN} n9"


@pytest.mark.parametrize(
    "more",
    [
        task_of(API, "db_v2", number=9, node="n2", state="starting"),
        task_of(API, "db_v2", number=9, state="pending"),
        task_of(API, "db_v1", number=9, node="n2", desired_state="shutdown"),
    ],
    ids=["starting", "pending", "ending"],
)
def test_what_is_on_its_way_is_waited_for(more: Task) -> None:
    assert not _wakes(_after(range(1, 60), (*HUNG, more))[0])


def test_a_slow_roll_without_a_dead_node_is_left_alone() -> None:
    assert not _wakes(_after(range(1, 60), HUNG[:3])[0])


@pytest.mark.parametrize("changes", [{"update": None}, {}])
def test_it_is_seen_without_the_engines_word_too(changes: dict[str, Any]) -> None:
    """A write of somebody else's that changes nothing takes the word back and wakes nothing."""
    assert _wakes(_after(range(1, 8), service=replace(API, **changes))[0])


def test_it_is_seen_where_all_that_is_left_is_the_engines_waiting() -> None:
    fine = (GOOD, MOVED, task_of(API, "db_v2", number=1, node="n2"), AWAITED)
    assert _wakes(_after(range(1, 8), fine)[0])
    done = replace(API, update=UpdateState.COMPLETED)
    assert not _wakes(_after(range(1, 60), fine, done)[0])


@pytest.mark.parametrize("back", [False, True], ids=["down", "back-again"])
def test_a_pause_for_a_task_that_fell_with_its_node_is_no_failure(back: bool) -> None:
    """At no moment; it is woken at once, since any write lets the engine go on."""
    odd = replace(AWAITED, id="t4")
    _, memory = _after([1], (STALE, GOOD, MOVED, odd))
    message = "update paused due to failure or early termination of task t4"
    paused = replace(API, update=UpdateState.PAUSED, update_message=message)
    fallen = replace(odd, state="failed", lost=False) if back else odd
    world = world_of(document(2), SECRETS, [paused], [STALE, GOOD, MOVED, fallen])
    for seconds in ([], [1], [1, 2, 3, 4, 5, 6, 7, 8]):
        plan, _ = after(DESIRED, world, *seconds, memory=memory)
        (wake,) = _wakes(plan)
        assert wake.token == "2027-01-15T08:00:00Z t4"
        assert not _notes(plan)
    guilty = replace(paused, update_message="update paused due to failure of task t2")
    plan, _ = after(DESIRED, world_of(document(2), SECRETS, [guilty], [STALE, GOOD, MOVED, fallen]))
    assert not _wakes(plan)
    assert [note.reason for note in _notes(plan)] == [Reason.ROLL_FAILED]


def _notes(plan: Plan) -> list[Annotate]:
    return [a for chain in plan.chains for a in chain if isinstance(a, Annotate)]


@pytest.mark.parametrize(("task", "reason"), [("t4", "NodeLost"), ("t2", "RollFailed")])
def test_a_rollback_for_a_machine_that_came_back_is_not_the_versions_fault(
    task: str, reason: str
) -> None:
    odd = replace(AWAITED, id="t4")
    _, memory = _after([1, 2], (STALE, GOOD, MOVED, odd))
    back = replace(
        service_of("api", "db_v1", desired_tasks=3, update_started=1_800_000_003.0),
        update=UpdateState.ROLLBACK_STARTED,
        update_message=f"update rolled back due to failure or early termination of task {task}",
    )
    ended = replace(odd, lost=False, state="shutdown")
    torn = world_of(document(2), SECRETS, [replace(back, torn=True)], [STALE, ended])
    _, memory = after(DESIRED, torn, 1, memory=memory)  # its event woke us in the middle
    world = world_of(document(2), SECRETS, [back], [STALE, ended])
    plan, _ = after(DESIRED, world, memory=memory)
    (note,) = _notes(plan)
    assert note.reason == reason
    if reason == "NodeLost":
        assert note.drop == {f"{ROLL}id-api"}


def test_a_good_task_that_fell_with_its_node_did_not_fail() -> None:
    done = replace(API, update=UpdateState.COMPLETED, desired_tasks=2)
    here, there = GOOD, replace(MOVED, node="n1")
    running = world_of(document(2), SECRETS, [done], [here, there])
    _, memory = after(DESIRED, running, 1)
    lost = world_of(document(2), SECRETS, [done], [here, replace(there, lost=True)])
    _, memory = after(DESIRED, lost, 1, memory=memory)
    fallen = replace(there, state="failed", desired_state="shutdown")
    back = world_of(document(2), SECRETS, [done], [here, fallen])
    assert not _notes(after(DESIRED, back, 1, memory=memory)[0])
    unseen = after(DESIRED, running, 1)[1]
    assert _notes(after(DESIRED, back, 1, memory=unseen)[0])
