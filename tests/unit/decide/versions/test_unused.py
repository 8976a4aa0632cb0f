"""When may the value of an older version be retired?"""

from __future__ import annotations

from typing import Any

import pytest

from bridge.model.actions import Annotate
from bridge.model.labels import UNUSED
from bridge.model.plan import Plan
from bridge.model.service import Service, Task
from tests.support.builders import (
    desired_of,
    document,
    plan_of,
    secret_of,
    service_of,
    task_of,
    world_of,
)
from tests.unit.decide.services.test_judge import GOOD

API = service_of("api", "db_v2")
OLD = service_of("old", "db_v1")


def _plan(*services: Service, tasks: list[Task] | None = None, **labels: Any) -> Plan:
    first = secret_of(1, labels={**GOOD, **labels.get("first", {})})
    second = secret_of(2, labels=labels.get("second", GOOD))
    world = world_of(document(2), [first, second], services, tasks)
    return plan_of(desired_of("api"), world)


def _noted(plan: Plan) -> list[tuple[str, list[str], list[str]]]:
    notes = [a for chain in plan.chains for a in chain if isinstance(a, Annotate)]
    return [
        (note.docker_name, list(note.put), sorted(note.drop))
        for note in notes
        if UNUSED in (*note.put, *note.drop)
    ]


def test_it_is_noted_once_that_nothing_has_it() -> None:
    assert _noted(_plan(API)) == [("db_v1", [UNUSED], [])]
    known = _plan(API, first={UNUSED: "t"})
    assert _noted(known) == []
    assert known.conditions[0].unused == (1,)


@pytest.mark.parametrize(
    "task",
    [
        task_of(API, "db_v1", desired_state="shutdown"),
        task_of(API, "db_v1", state="pending"),
        task_of(API, "db_v1", desired_state="shutdown", node="n", lost=True),
    ],
    ids=["ending", "pending", "on-a-dead-node"],
)
def test_a_task_that_may_read_it_has_it(task: Task) -> None:
    assert _noted(_plan(API, tasks=[task_of(API, "db_v2", number=9), task])) == []


def test_a_service_that_refers_to_it_has_it_though_no_task_runs() -> None:
    stranger = service_of("stranger", "db_v1", desired_tasks=0, runs_once=True)
    assert _noted(_plan(API, stranger)) == []


def test_nothing_is_said_before_the_newer_one_is_good() -> None:
    assert _noted(_plan(API, second={})) == []


def test_what_is_used_again_is_taken_back() -> None:
    back = service_of("back", "db_v1", runs_once=True)
    assert _noted(_plan(API, back, first={UNUSED: "t"})) == [("db_v1", [], [UNUSED])]
