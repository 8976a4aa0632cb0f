"""What can nothing need any more?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.model.actions import Annotate, RemoveSecret
from bridge.model.desired import Retain
from bridge.model.plan import Plan
from bridge.model.service import Service, Task
from bridge.model.set_aside import By, SetAside, aside_label
from bridge.model.vault_view import KvDocument
from tests.support.builders import (
    NOW,
    actions_of,
    desired_of,
    document,
    plan_of,
    secret_of,
    service_of,
    task_of,
    world_of,
)
from tests.unit.decide.services.test_judge import GOOD, open_roll


def removed(plan: Plan) -> list[str]:
    """Return what a plan removes."""
    return [a.docker_name for c in plan.chains for a in c if isinstance(a, RemoveSecret)]


VERSIONS = [secret_of(n, labels=GOOD) for n in (1, 2, 3, 4)]


def test_the_newest_versions_stay() -> None:
    """``retain.versions`` counts the current one."""
    world = world_of(document(4), VERSIONS, [service_of("api", "db_v4")])
    assert removed(plan_of(desired_of("api"), world)) == ["db_v1", "db_v2"]


def test_young_versions_stay_and_the_plan_wakes_when_they_are_ripe() -> None:
    """``min_age`` counts from when the Docker secret was made."""
    secrets = [secret_of(n, labels=GOOD, age=60.0) for n in (1, 2, 3)]
    plan = plan_of(desired_of(retain=Retain(2, 100.0)), world_of(document(3), secrets))
    assert not removed(plan)
    assert plan.wake_at == NOW + 40


_OLD = service_of("old", "db_v1")


@pytest.mark.parametrize(
    ("service", "task"),
    [
        (_OLD, None),
        (service_of("old", previous=frozenset({"id-db_v1"})), None),
        (service_of("old"), task_of(_OLD, "db_v1", desired_state="shutdown")),
        (service_of("old"), task_of(_OLD, "db_v1", state="pending")),
        (service_of("old"), task_of(_OLD, "db_v1", desired_state="shutdown", lost=True)),
    ],
    ids=["spec", "previous-spec", "shutting-down", "pending", "ghost"],
)
def test_what_anything_refers_to_stays(service: Service, task: Task | None) -> None:
    """I1: a Spec, a PreviousSpec and a task that has not ended each keep a version."""
    job = replace(service, runs_once=True)
    world = world_of(document(4), VERSIONS, [job], [task] if task else [])
    assert removed(plan_of(desired_of(), world)) == ["db_v2"]


def test_nothing_goes_while_a_roll_is_open() -> None:
    """I1: the way back stays until the roll is done."""
    secrets = [*VERSIONS[:3], secret_of(4, labels=open_roll("api", "db_v1"))]
    service = service_of("api", "db_v4", index=12, desired_tasks=2)
    assert not removed(plan_of(desired_of("api"), world_of(document(4), secrets, [service])))


def _destroyed(current: int, *numbers: int) -> KvDocument:
    whole = document(current)
    gone = {n: replace(whole.versions[n], destroyed=True) for n in numbers}
    return replace(whole, versions={**whole.versions, **gone})


def test_what_is_destroyed_in_vault_goes_early() -> None:
    """Neither ``retain.versions`` nor ``min_age`` keeps it; what refers to it does (I1)."""
    secrets = [secret_of(n, labels=GOOD, age=1.0) for n in (1, 2, 3)]
    wanted = desired_of("api", retain=Retain(3, 1e9))
    api = service_of("api", "db_v3")
    world = world_of(_destroyed(3, 2), secrets, [api])
    assert removed(plan_of(wanted, world)) == ["db_v2"]
    kept = world_of(_destroyed(3, 2), secrets, [replace(api, previous=frozenset({"id-db_v2"}))])
    assert not removed(plan_of(wanted, kept))


def test_the_current_version_stays_though_it_is_destroyed() -> None:
    """I9: somebody destroyed what is in use."""
    secrets = [secret_of(n, labels=GOOD) for n in (1, 2)]
    world = world_of(_destroyed(2, 2), secrets, [service_of("api", "db_v2")])
    assert not removed(plan_of(desired_of("api"), world))
    alone = world_of(_destroyed(2, 1, 2), secrets)
    assert not removed(plan_of(desired_of(), alone))


def test_a_destroyed_version_of_another_life_is_not_meant() -> None:
    """I12: the numbers of two lives of a path are strangers."""
    first = secret_of(1, labels=GOOD, age=1.0)
    second = replace(_destroyed(2, 1), path_created="2026-11-20T00:00:00Z")
    own = secret_of(2, labels=GOOD, born="2026-11-20T00:00:00Z")
    world = world_of(second, [first, own])
    assert not removed(plan_of(desired_of(retain=Retain(2, 1e9)), world))


def test_a_destroyed_version_of_another_timeline_is_not_meant() -> None:
    """I12: after a restore one number has two contents."""
    secrets = [secret_of(n, labels=GOOD, age=1.0) for n in (1, 2, 3)]
    other = _destroyed(3, 2)
    versions = {**other.versions, 2: replace(other.versions[2], created="2026-11-20T00:00:00Z")}
    world = world_of(replace(other, versions=versions), secrets, [service_of("api", "db_v3")])
    assert not removed(plan_of(desired_of("api", retain=Retain(3, 1e9)), world))


def test_what_is_no_longer_in_the_configuration_stays() -> None:
    """Removing an entry removes nothing."""
    others = [secret_of(n, name="gone", labels=GOOD) for n in (1, 2, 3, 4)]
    plan = plan_of(desired_of(), world_of(document(1), [secret_of(1), *others]))
    assert not removed(plan)
    assert [c.reason for c in plan.conditions][-1] == "Unmapped"


def test_another_instance_s_versions_stay() -> None:
    """Two bridges on one swarm never touch each other's secrets."""
    theirs = [secret_of(n, instance="other") for n in (1, 2, 3)]
    assert not removed(plan_of(desired_of(), world_of(document(4), [*theirs, secret_of(4)])))


def _aside(service: str = "", by: By = By.OPERATOR) -> dict[str, str]:
    return {aside_label(f"id-{service}" if service else ""): SetAside(by, "t", "why").write()}


def test_the_version_that_an_operator_went_back_to_stays() -> None:
    """Though two newer ones are set aside, and the stack is away that used it."""
    secrets = [
        secret_of(1, labels=GOOD),
        secret_of(2, labels=_aside()),
        secret_of(3, labels=_aside()),
    ]
    assert not removed(plan_of(desired_of("api"), world_of(document(3), secrets)))


def test_as_many_usable_versions_stay_as_are_retained() -> None:
    """So that there is one to go back to, however many were set aside since."""
    secrets = [secret_of(n, labels=GOOD) for n in (1, 2, 3)]
    secrets += [secret_of(n, labels=_aside(by=By.FAILURE)) for n in (4, 5, 6)]
    plan = plan_of(desired_of("api"), world_of(document(6), secrets))
    assert removed(plan) == ["db_v1", "db_v4"]


def test_the_newest_version_that_each_service_may_have_stays() -> None:
    """One failed on v2 and v3, another on v3 alone: both ways back stay."""
    one, two = service_of("one"), service_of("two")
    secrets = [
        secret_of(1, labels=GOOD),
        secret_of(2, labels=_aside("one", By.FAILURE)),
        secret_of(3, labels={**_aside("one", By.FAILURE), **_aside("two", By.FAILURE)}),
        secret_of(4, labels={**_aside("one", By.FAILURE), **_aside("two", By.FAILURE)}),
    ]
    desired = desired_of("one", "two", retain=Retain(1, 0.0))
    world = world_of(document(4), secrets, [one, two], [])
    assert removed(plan_of(desired, world)) == ["db_v3"]


# --- what services leave behind ------------------------------------------------------------------


def _dropped(plan: Plan) -> dict[str, frozenset[str]]:
    notes = (a for chain in plan.chains for a in chain if isinstance(a, Annotate))
    return {note.docker_name: note.drop for note in notes if note.drop}


def test_marks_and_records_of_services_that_are_gone_are_dropped() -> None:
    """In one write for each version, however many there are."""
    done = '{"at": "t", "done": "t"}'
    left = {f"vault-bridge.roll.id-gone{n}": done for n in range(50)}
    left |= _aside("gone", By.FAILURE)
    kept = {"vault-bridge.roll.id-api": done}
    secrets = [secret_of(1, labels=GOOD), secret_of(2, labels={**GOOD, **left, **kept})]
    world = world_of(document(2), secrets, [service_of("api", "db_v2")])
    assert _dropped(plan_of(desired_of("api"), world)) == {"db_v2": frozenset(left)}


def test_the_mark_of_a_service_that_is_gone_keeps_nothing_from_being_good() -> None:
    record = {"vault-bridge.roll.id-api": '{"at": "t", "done": "t"}'}
    secrets = [secret_of(1, labels=GOOD), secret_of(2, labels={**_aside("gone"), **record})]
    world = world_of(document(2), secrets, [service_of("api", "db_v2")])
    notes = actions_of(plan_of(desired_of("api"), world), Annotate)
    assert any("vault-bridge.good" in note.put for note in notes)


def test_the_way_back_of_a_service_that_is_gone_keeps_nothing() -> None:
    """A new service of the same name has another id, and begins anew."""
    secrets = [secret_of(n, labels=GOOD) for n in (1, 2, 3)]
    secrets.append(secret_of(4, labels=open_roll("gone", "db_v1")))
    world = world_of(document(4), secrets, [service_of("api", "db_v4")])
    plan = plan_of(desired_of("api"), world)
    assert removed(plan) == ["db_v1", "db_v2"]
    assert _dropped(plan)["db_v4"] == frozenset(open_roll("gone"))
