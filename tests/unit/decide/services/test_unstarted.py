"""A roll whose tasks never start: nobody is blamed, and it is tried again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from bridge.model.actions import Annotate, MintGeneration, RollService
from bridge.model.blocked import Blocked
from bridge.model.desired import FileFields, Rollout
from bridge.model.labels import ASIDE, BLOCKED, GOOD, ROLL
from bridge.model.plan import Plan
from bridge.model.reasons import Reason, State
from bridge.model.roll_record import RollRecord
from bridge.model.service import Service, Task, UpdateState
from bridge.model.set_aside import By, SetAside
from bridge.model.timestamps import timestamp
from bridge.sources.kv.source import KvPath
from tests.support.builders import (
    NOW,
    actions_of,
    after,
    desired_of,
    document,
    generation_secret,
    leased,
    leased_world,
    plan_of,
    reference,
    secret_of,
    service_of,
    task_of,
    wanted,
    world_of,
)

WELL = {GOOD: "2026-11-02T00:00:00Z"}
ROLLOUT = Rollout(bake=2.0, timeout=60.0)
DESIRED = desired_of("api", rollout=ROLLOUT)
NO_NODE = "no suitable node (host-mode port already in use on 1 node)"
NO_IMAGE = "No such image: shop:1"
NO_START = 'starting container failed: strconv.Atoi: parsing "www": invalid syntax'
API = service_of("api", "db_v2", update=UpdateState.UPDATING)
OLD = task_of(API, "db_v1", number=1)


def opened(*before: str, **more: Any) -> dict[str, str]:
    """Return the label of a roll of ``api`` that was begun."""
    references = tuple(reference(name).write() for name in before)
    return {
        f"{ROLL}id-api": RollRecord(
            before=references, index=9, at="2027-01-15T07:59:00Z", **more
        ).write()
    }


def mark(ago: float = 0.0, **more: Any) -> dict[str, str]:
    """Return the label of a roll of ``api`` that was blocked some seconds ago."""
    known: dict[str, Any] = {"reason": Reason.IMAGE_MISSING, "why": NO_IMAGE, "back": True} | more
    return {f"{BLOCKED}id-api": Blocked(at=timestamp(NOW - ago), **known).write()}


def new(state: str, error: str = "", number: int = 2, **more: Any) -> Task:
    """Return a task that should have held version 2."""
    return task_of(API, "db_v2", number=number, state=state, error=error, seen=NOW - 1, **more)


def judged(
    service: Service, tasks: Iterable[Task], labels: dict[str, str], seconds: int = 8
) -> Plan:
    """Look at a roll to version 2 again and again."""
    secrets = [secret_of(1, labels=WELL), secret_of(2, labels=labels)]
    world = world_of(document(2), secrets, [service], tasks)
    return after(DESIRED, world, *range(1, seconds + 1))[0]


def blocks(plan: Plan) -> dict[str, Blocked]:
    """Return the marks that a plan writes, by Docker secret."""
    found = {
        note.docker_name: Blocked.read(text)
        for note in actions_of(plan, Annotate)
        for key, text in note.put.items()
        if key.startswith(BLOCKED)
    }
    return {name: block for name, block in found.items() if block}


def nobody_is_blamed(plan: Plan) -> bool:
    """Tell whether a plan sets nothing aside."""
    return not any(key.startswith(ASIDE) for n in actions_of(plan, Annotate) for key in n.put)


# --- what never started ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("update", "task", "reason"),
    [
        (UpdateState.UPDATING, new("pending", NO_NODE), Reason.CANNOT_BE_SCHEDULED),
        (UpdateState.PAUSED, new("rejected", NO_IMAGE), Reason.IMAGE_MISSING),
        (UpdateState.COMPLETED, new("rejected", NO_IMAGE), Reason.IMAGE_MISSING),
        (UpdateState.PAUSED, new("rejected", "invalid mount config"), Reason.CANNOT_START),
        (UpdateState.PAUSED, new("failed", NO_START), Reason.CANNOT_START),
        (UpdateState.UPDATING, new("new", "no subnet available"), Reason.CANNOT_START),
    ],
)
def test_a_task_that_never_started_sets_nothing_aside(
    update: UpdateState, task: Task, reason: Reason
) -> None:
    """Its words are told and kept, long before the time-out, and its place in flight is free."""
    service = replace(API, update=update)
    plan = judged(service, [OLD, task], opened("db_v1"))
    assert nobody_is_blamed(plan)
    block = blocks(plan)["db_v2"]
    assert (block.reason, block.tries, block.back) == (reason, 1, True)
    assert task.error in block.why
    (condition,) = plan.conditions[0].services
    assert (condition.state, condition.reason) == (State.HELD, reason)
    assert "1 of 1 task runs" in condition.message


def test_one_look_does_not_prove_it() -> None:
    """What is to be stopped may make room a moment later; so may a node that comes back."""
    plan = judged(API, [OLD, new("pending", NO_NODE)], opened("db_v1"), seconds=3)
    assert not blocks(plan)
    assert plan.conditions[0].reason == Reason.ROLLING


@pytest.mark.parametrize(
    "tasks",
    [
        [new("failed", "task: non-zero exit (3)"), new("pending", NO_NODE, 3)],
        [new("complete"), new("rejected", NO_IMAGE, 3)],
        [new("failed", "task: non-zero exit (127)")],
    ],
)
def test_a_process_that_ended_is_a_witness(tasks: list[Task]) -> None:
    plan = judged(replace(API, update=UpdateState.PAUSED), [OLD, *tasks], opened("db_v1"))
    assert not nobody_is_blamed(plan)
    assert not blocks(plan)


def test_a_task_that_is_not_healthy_in_time_is_a_witness() -> None:
    plan = judged(API, [OLD, new("starting")], opened("db_v1"), seconds=70)
    assert not nobody_is_blamed(plan)


def test_a_task_that_is_prepared_for_ever_is_none() -> None:
    """As where an image of some gigabytes is pulled."""
    plan = judged(API, [OLD, new("preparing")], opened("db_v1"), seconds=70)
    assert nobody_is_blamed(plan)
    assert blocks(plan)["db_v2"].reason == Reason.CANNOT_START


def test_what_one_node_refused_and_another_took_is_past() -> None:
    """The task that runs now was seen after the refusal."""
    tasks = [new("rejected", NO_IMAGE), task_of(API, "db_v2", number=3, seen=NOW)]
    plan = judged(replace(API, update=UpdateState.COMPLETED), tasks, opened("db_v1"))
    assert not blocks(plan)


def test_the_time_in_which_nothing_could_start_is_not_counted() -> None:
    """A node comes after an hour: from then on the task has the whole time-out."""
    secrets = [secret_of(1, labels=WELL), secret_of(2, labels=opened("db_v1"))]
    waits, starts = (
        world_of(document(2), secrets, [API], [OLD, task])
        for task in (new("pending", NO_NODE), new("starting"))
    )
    _, memory = after(DESIRED, waits, *range(1, 100))
    for second in range(100, 155):
        plan, memory = after(DESIRED, starts, second, memory=memory)
        assert nobody_is_blamed(plan)


def test_swarms_own_rollback_for_a_task_that_never_started() -> None:
    """Its record is over, so that it is not read again as somebody's rollback."""
    service = service_of(
        "api", "db_v1", update=UpdateState.ROLLBACK_COMPLETED, update_message="task x"
    )
    tasks = [task_of(service, "db_v1"), new("rejected", NO_IMAGE)]
    plan = judged(service, tasks, opened("db_v1"), seconds=1)
    assert nobody_is_blamed(plan)
    assert blocks(plan)["db_v2"].reason == Reason.IMAGE_MISSING
    (note,) = actions_of(plan, Annotate)
    assert note.drop == {f"{ROLL}id-api"}
    assert not actions_of(plan, RollService)
    assert plan.conditions[0].reason == Reason.IMAGE_MISSING


def test_two_versions_that_moved_together_are_no_suspects() -> None:
    other = KvPath("", "secret", "apps/other")
    desired = desired_of(secrets=[wanted("db", "api"), wanted("key", "api", path=other)])
    service = service_of("api", "db_v2", "key_v2", update=UpdateState.PAUSED)
    secrets = [
        secret_of(number, name=name, path=path, labels=opened(f"{name}_v1") if number == 2 else {})
        for name, path in (("db", wanted("db").source), ("key", other))
        for number in (1, 2)
        if isinstance(path, KvPath)
    ]
    refused = task_of(service, "db_v2", "key_v2", state="rejected", error=NO_IMAGE)
    documents = {wanted("db").source: document(2), other: document(2)}
    plan, _ = after(desired, world_of(documents, secrets, [service], [refused]), 1)
    assert nobody_is_blamed(plan)
    assert set(blocks(plan)) == {"db_v2", "key_v2"}


# --- the way back, and forward again --------------------------------------------------------------


def test_the_service_goes_back_without_its_mark_being_one_against_the_version() -> None:
    labels = {**opened("db_v1"), **mark()}
    plan = judged(API, [OLD, new("pending", NO_NODE)], labels, seconds=1)
    (roll,) = actions_of(plan, RollService)
    assert roll.reason == Reason.GOING_BACK
    assert [swap.to_name for swap in roll.swaps] == ["db_v1"]
    assert "set aside" not in roll.why


def test_what_somebody_else_changed_meanwhile_is_left_to_them() -> None:
    """The words are told, and the service is not moved against its owner."""
    service = replace(API, frame="another", update=UpdateState.PAUSED)
    labels = opened("db_v1", frame="former")
    plan = judged(service, [OLD, new("rejected", NO_IMAGE)], labels)
    assert not blocks(plan)["db_v2"].back
    plan = judged(service, [OLD, new("rejected", NO_IMAGE)], {**labels, **mark(back=False)})
    assert not plan.chains
    assert plan.conditions[0].reason == Reason.IMAGE_MISSING


def back(*labels: dict[str, str], tasks: Iterable[Task] | None = None, **more: Any) -> Plan:
    """Plan for a service that went back to version 1; it is well there, unless tasks are given."""
    merged = {key: value for part in labels for key, value in part.items()}
    secrets = [secret_of(1, labels=WELL), secret_of(2, labels=merged)]
    service = service_of("api", "db_v1", update=UpdateState.COMPLETED)
    return plan_of(DESIRED, world_of(document(2), secrets, [service], tasks, **more))


def unchanged() -> str:
    """Return the fingerprint of what these tests have for surroundings."""
    service = replace(API, update=UpdateState.PAUSED)
    plan = judged(service, [OLD, new("rejected", NO_IMAGE)], opened("db_v1"))
    return blocks(plan)["db_v2"].seen


def test_it_is_tried_again_after_a_while_and_less_often_each_time() -> None:
    """30 s and the time to bake, then twice as long; at most 10 minutes."""
    for tries, pause in ((1, 32.0), (2, 64.0), (99, 600.0)):
        held = back(mark(pause - 1, tries=tries, seen=unchanged()))
        assert not actions_of(held, RollService)
        assert held.conditions[0].reason == Reason.IMAGE_MISSING
        assert held.finished
    (roll,) = actions_of(back(mark(601.0, tries=99, seen=unchanged())), RollService)
    assert [swap.to_name for swap in roll.swaps] == ["db_v2"]


def test_a_change_of_nodes_service_or_configuration_has_it_tried_soon() -> None:
    service = replace(API, update=UpdateState.PAUSED)
    (block,) = blocks(judged(service, [OLD, new("rejected", NO_IMAGE)], opened("db_v1"))).values()
    same = {f"{BLOCKED}id-api": replace(block, at=timestamp(NOW - 6)).write()}
    assert not actions_of(back(same), RollService)
    assert actions_of(back(same, nodes="another"), RollService)
    for change in ({"setup": "stop-first"}, {"frame": "another image"}):
        changed = service_of("api", "db_v1", **change)
        secrets = [secret_of(1, labels=WELL), secret_of(2, labels=same)]
        world = world_of(document(2), secrets, [changed])
        assert actions_of(plan_of(DESIRED, world), RollService)
    mended = desired_of(secrets=[wanted("db", "api", file=FileFields(uid="5"))], rollout=ROLLOUT)
    world = world_of(document(2), secrets, [service_of("api", "db_v1")])
    assert actions_of(plan_of(mended, world), RollService)


def test_the_next_try_is_noted_so_that_the_pause_grows() -> None:
    plan = back(mark(99.0, tries=2))
    again = blocks(plan)["db_v2"]
    assert (again.again, again.tries) == (True, 2)
    labels = {**opened("db_v1"), f"{BLOCKED}id-api": again.write()}
    failed = judged(
        replace(API, update=UpdateState.PAUSED), [OLD, new("rejected", NO_IMAGE)], labels
    )
    assert blocks(failed)["db_v2"].tries == 3


def test_a_service_whose_present_tasks_do_not_start_waits_for_them() -> None:
    """Stop-first: each try would stop one more."""
    tasks = [task_of(API, "db_v1", state="rejected", error=NO_IMAGE)]
    assert not actions_of(back(mark(9999.0), tasks=tasks), RollService)


def test_a_newer_version_waits_with_the_one_that_was_blocked() -> None:
    secrets = [
        secret_of(1, labels=WELL),
        secret_of(2, labels=mark(20.0, seen=unchanged())),
        secret_of(3),
    ]
    world = world_of(document(3), secrets, [service_of("api", "db_v1")])
    plan = plan_of(DESIRED, world)
    assert not actions_of(plan, RollService)
    assert plan.conditions[0].reason == Reason.IMAGE_MISSING


def test_the_mark_is_over_with_the_roll() -> None:
    service = service_of("api", "db_v2", update=UpdateState.COMPLETED)
    labels = {**opened("db_v1"), **mark(again=True)}
    secrets = [secret_of(1, labels=WELL), secret_of(2, labels=labels)]
    world = world_of(document(2), secrets, [service])
    plan, _ = after(DESIRED, world, 1, 4)
    assert f"{BLOCKED}id-api" in {key for n in actions_of(plan, Annotate) for key in n.drop}


def test_the_way_back_is_not_left_for_another() -> None:
    """Where the former version does not start either, the service stays on it."""
    service = service_of("api", "db_v1", update=UpdateState.PAUSED)
    refused = task_of(service, "db_v1", state="rejected", error=NO_IMAGE, seen=NOW)
    secrets = [secret_of(1, labels={**WELL, **opened()}), secret_of(2, labels=mark())]
    world = world_of(document(2), secrets, [service], [refused])
    plan, _ = after(DESIRED, world, 1, 9)
    assert not blocks(plan)
    assert not actions_of(plan, RollService)
    assert plan.conditions[0].reason == Reason.IMAGE_MISSING


# --- leased credentials ---------------------------------------------------------------------------


def test_no_further_generation_is_made_for_a_service_that_does_not_start() -> None:
    """Both leases are kept: the next one is made by time, as if nothing had happened."""
    desired = desired_of(secrets=[leased("api")], rollout=ROLLOUT)
    secrets = [
        generation_secret(1),
        generation_secret(2, good=False, labels=mark(5.0), age=20.0),
    ]
    for service in (service_of("api", "db_v1"), replace(API, update=UpdateState.COMPLETED)):
        plan = plan_of(desired, leased_world(secrets, [service]))
        assert not actions_of(plan, MintGeneration)
        assert plan.conditions[0].reason != Reason.ROLL_FAILED


def test_a_mark_that_somebody_damaged_is_none() -> None:
    assert Blocked.read("{") is None
    assert Blocked.read("[]") is None
    damaged = {f"{BLOCKED}id-api": "x"}
    assert actions_of(back(damaged), RollService)


def test_what_is_set_aside_is_not_tried_again_for_having_been_blocked() -> None:
    """I11."""
    failed = {f"{ASIDE}.id-api": SetAside(By.FAILURE, "t", "died").write()}
    plan = back(mark(9999.0), failed)
    assert not actions_of(plan, RollService)
    assert plan.conditions[0].reason == Reason.ROLL_FAILED


def test_what_is_started_again_and_again_is_no_witness_at_the_time_out() -> None:
    """Each look sees one that has just been started: the engine restarts several at once."""
    refused = [new("failed", NO_START, number, desired_state="shutdown") for number in (3, 4, 5)]
    service = replace(API, update=UpdateState.COMPLETED, desired_tasks=3)
    tasks = [*refused, new("starting")]
    plan = judged(service, tasks, opened("db_v1"), seconds=70)
    assert nobody_is_blamed(plan)
    assert blocks(plan)["db_v2"].reason == Reason.CANNOT_START
    long = [*refused, replace(new("starting"), seen=NOW - 30)]
    assert not nobody_is_blamed(judged(service, long, opened("db_v1"), seconds=70))


def test_what_is_blocked_goes_back_before_another_service_begins() -> None:
    """Its place is free for that, also where it comes last in the configuration."""
    known = {f"{BLOCKED}id-z": mark()[f"{BLOCKED}id-api"]}
    record = {
        f"{ROLL}id-z": RollRecord(before=(reference("db_v1").write(),), index=9, at="t").write()
    }
    blocked_one = service_of("z", "db_v2", update=UpdateState.COMPLETED)
    other = service_of("a", "db_v1")
    secrets = [secret_of(1, labels=WELL), secret_of(2, labels={**known, **record})]
    stuck = task_of(blocked_one, "db_v2", state="rejected", error=NO_IMAGE)
    world = world_of(document(2), secrets, [other, blocked_one], [task_of(other, "db_v1"), stuck])
    plan = plan_of(desired_of("a", "z", rollout=ROLLOUT), world)
    assert [roll.service_name for roll in actions_of(plan, RollService)] == ["z"]


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (NO_NODE, "a node where the port is free"),
        ("no suitable node (max replicas per node limit exceed)", "raise `max_replicas_per_node`"),
        ("no suitable node (insufficient resources on 2 nodes)", "add a node that fits"),
    ],
)
def test_what_there_is_no_room_for_is_told_with_its_remedy(error: str, remedy: str) -> None:
    plan = judged(API, [OLD, new("pending", error)], opened("db_v1"))
    assert any(remedy in hold.message and error in hold.message for hold in plan.holds)


@pytest.mark.parametrize(("torn", "over"), [(False, True), (True, False)])
def test_a_mark_is_not_over_for_what_a_torn_look_shows(torn: bool, over: bool) -> None:
    """The service may be on the version or not, from one moment to the next."""
    service = replace(API, update=UpdateState.COMPLETED, torn=torn)
    world = world_of(
        document(2), [secret_of(1, labels=WELL), secret_of(2, labels=mark())], [service]
    )
    dropped = {key for note in actions_of(plan_of(DESIRED, world), Annotate) for key in note.drop}
    assert (f"{BLOCKED}id-api" in dropped) == over
