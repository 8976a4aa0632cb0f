"""How does each service stand, and which may be rolled next?"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bridge.decide.remember import remember
from bridge.model.actions import Annotate, CreateSecret, RollService
from bridge.model.desired import Rollout
from bridge.model.docker_secret import DockerSecret
from bridge.model.memory import Memory, Outcome, Result
from bridge.model.plan import Plan
from bridge.model.reasons import Reason, State
from bridge.model.roll_record import RollRecord
from bridge.model.service import Kind, UpdateState
from bridge.model.set_aside import By, SetAside
from bridge.model.window import Window
from bridge.model.world import World
from bridge.sources.kv.source import KvPath
from tests.support.builders import (
    NOW,
    PATH,
    actions_of,
    after,
    desired_of,
    document,
    plan_of,
    reference,
    secret_of,
    service_of,
    task_of,
    wanted,
    world_of,
)

GOOD = {"vault-bridge.good": "2026-11-02T00:00:00Z"}
OTHER = KvPath("", "secret", "apps/other")


def open_roll(service: str, before: str = "db_v1", index: int = 5) -> dict[str, str]:
    """Return the label of a roll that was begun."""
    record = RollRecord(before=(reference(before).write(),), index=index, at="2026-11-03T00:00:00Z")
    return {f"vault-bridge.roll.id-{service}": record.write()}


def rolls(plan: Plan) -> list[str]:
    """Return the names of the services that a plan rolls."""
    return [a.service_name for c in plan.chains for a in c if isinstance(a, RollService)]


def notes(plan: Plan) -> list[Annotate]:
    """Return the notes of a plan."""
    return [a for chain in plan.chains for a in chain if isinstance(a, Annotate)]


def test_the_record_is_written_before_the_service_is_touched() -> None:
    """The chain ends where the record cannot be written: there is always a way back (I10)."""
    world = world_of(document(2), [secret_of(1), secret_of(2)], [service_of("api", "db_v1")])
    (chain,) = plan_of(desired_of("api"), world).chains
    record, roll = chain
    assert isinstance(record, Annotate)
    assert isinstance(roll, RollService)
    assert record.docker_name == "db_v2"
    written = json.loads(record.put["vault-bridge.roll.id-api"])
    assert written["before"] == [reference("db_v1").write()]
    assert written["index"] == 10


def test_both_changed_secrets_of_a_service_come_with_one_update() -> None:
    """One update per service for all its changed references."""
    other = KvPath("", "secret", "apps/other")
    desired = desired_of(secrets=[wanted("db", "api"), wanted("key", "api", path=other)])
    secrets = [
        secret_of(1),
        secret_of(2),
        secret_of(1, name="key", path=other),
        secret_of(2, name="key", path=other),
    ]
    world = world_of(
        {wanted("db").source: document(2), other: document(2)},
        secrets,
        [service_of("api", "db_v1", "key_v1")],
    )
    (chain,) = plan_of(desired, world).chains
    roll = chain[-1]
    assert isinstance(roll, RollService)
    assert [swap.to_name for swap in roll.swaps] == ["db_v2", "key_v2"]
    assert len(chain) == 3


def test_a_roll_waits_for_a_mirror_that_is_being_made_in_the_same_cycle() -> None:
    """Two secrets that changed together roll once, though one is mirrored a moment later."""
    other = KvPath("", "secret", "apps/other")
    desired = desired_of(secrets=[wanted("db", "api"), wanted("key", "api", path=other)])
    world = world_of(
        {wanted("db").source: document(2), other: document(2)},
        [secret_of(1), secret_of(2), secret_of(1, name="key", path=other)],
        [service_of("api", "db_v1", "key_v1")],
    )
    plan = plan_of(desired, world)
    assert not rolls(plan)
    (create,) = [a for c in plan.chains for a in c if isinstance(a, CreateSecret)]
    failed = remember(desired, Memory(), world, [Outcome(create, Result.FAILED, "x")], NOW)
    assert rolls(plan_of(desired, world, failed, NOW + 0.1)) == ["api"]  # I8: it holds up itself


def test_never_more_than_max_in_flight_services_are_under_way() -> None:
    """I7: two may fly, one flies already, so one more begins."""
    names = ("a", "b", "c")
    flying = service_of("a", "db_v2", update=UpdateState.UPDATING, desired_tasks=2)
    world = world_of(
        document(2),
        [secret_of(1), secret_of(2, labels=open_roll("a"))],
        [flying, *(service_of(name, "db_v1") for name in names[1:])],
    )
    plan = plan_of(desired_of(*names, rollout=Rollout(max_in_flight=2)), world)
    assert rolls(plan) == ["b"]
    waiting = plan.conditions[0].services[-1]
    assert (waiting.name, waiting.reason) == ("c", Reason.WAITING_FOR_TURN)


CONVERGED = {"index": 11, "update": UpdateState.COMPLETED, "monitor": 5.0}


def in_turn(
    bake: float = 10.0, written: float = 5.0, met: float = 6.0, **changes: object
) -> tuple[Plan, Plan]:
    """Return the plans for two services of which the first has just converged on version 2.

    Args:
        written: Seconds before the end of the update at which one of its tasks was last written.
        met: Seconds since its update was first seen.

    Returns:
        The plan of this moment, and that of five seconds later.
    """
    service = service_of("a", "db_v2", desired_tasks=2, **{**CONVERGED, **changes})
    service = replace(service, update_completed=NOW - 70 if service.update else 0.0)
    ends = service.update_completed - 5.5, service.update_completed - written
    tasks = [task_of(service, "db_v2", number=n, written=end) for n, end in enumerate(ends)]
    other = service_of("b", "db_v1")
    world = world_of(
        document(2),
        [secret_of(1), secret_of(2, labels=open_roll("a"))],
        [service, other],
        [*tasks, task_of(other, "db_v1")],
    )
    desired = desired_of("a", "b", rollout=Rollout(max_in_flight=1, bake=bake))
    memory = Memory(met={(service.id, service.update_started): NOW - met})
    later = remember(desired, memory, world, (), NOW)
    return plan_of(desired, world, memory), plan_of(desired, world, later, NOW + 5)


def closed(plan: Plan) -> list[str]:
    """Return the names of the Docker secrets on which the record of a roll is closed."""
    return [note.docker_name for note in notes(plan) if note.reason == Reason.CONVERGED]


def test_a_place_is_handed_over_once_the_engine_has_watched_the_tasks() -> None:
    """Monitor is waited for once: in the update, and not again by us. The bake goes on."""
    plan, later = in_turn()
    assert rolls(plan) == ["b"]
    assert plan.conditions[0].services[0].reason == Reason.BAKING
    assert closed(plan) == closed(later) == []


@pytest.mark.parametrize(
    "what",
    [
        {"written": 1.0},  # started since then for one that failed, as with ``continue``
        {"written": -1.0},
        {"met": 1.0},  # by our clock the update has not lasted so long
        {"update": None},  # nothing is said of it
        {"update": UpdateState.ROLLBACK_COMPLETED, "previous": frozenset({"id-db_v1"})},
    ],
)
def test_what_the_engine_has_not_watched_keeps_its_place_for_as_long_as_monitor(
    what: dict[str, object],
) -> None:
    plan, later = in_turn(**what)  # type: ignore[arg-type]
    assert rolls(plan) == []
    assert plan.conditions[0].services[0].reason == Reason.BAKING
    assert rolls(later) == ["b"]


@pytest.mark.parametrize(("bake", "at_once"), [(0.0, True), (5.0, False)])
def test_a_bake_shorter_than_monitor_is_over_with_it(bake: float, at_once: bool) -> None:
    """Every task has been up for as long as both by then."""
    plan, later = in_turn(bake)
    assert closed(plan) == (["db_v2"] if at_once else [])
    assert closed(later) == ["db_v2"]


def test_a_bake_shorter_than_monitor_waits_for_what_was_not_watched() -> None:
    plan, later = in_turn(0.0, written=1.0)
    assert closed(plan) == []
    assert closed(later) == ["db_v2"]


def too_many_under_way(*secrets: DockerSecret) -> World:
    """Return a world in which two services are on their way to version 2, and 3 is mirrored."""
    flying = [
        service_of(name, "db_v2", *held, update=UpdateState.UPDATING, desired_tasks=2)
        for name, held in (("a", [s.name for s in secrets[-1:]]), ("b", []))
    ]
    labels = open_roll("a") | open_roll("b")
    mirrors = [secret_of(1, labels=GOOD), secret_of(2, labels=labels), secret_of(3)]
    other = {OTHER: document(len(secrets))} if secrets else {}
    tasks = [
        task_of(service, *(ref.secret_name for ref in service.references)) for service in flying
    ]
    return world_of({PATH: document(3)} | other, [*mirrors, *secrets], flying, tasks)


@pytest.mark.parametrize(("most", "rolled"), [(1, []), (2, ["a", "b"])])
def test_nothing_newer_goes_to_services_under_way_while_they_are_too_many(
    most: int, rolled: list[str]
) -> None:
    """I7: a blocked way back frees its place, another service begins, and then it is unblocked."""
    plan = plan_of(desired_of("a", "b", rollout=Rollout(max_in_flight=most)), too_many_under_way())
    assert rolls(plan) == rolled
    states = {(s.state, s.reason) for s in plan.conditions[0].services}
    waiting = {(State.ROLLING, Reason.WAITING_FOR_TURN)}
    assert states == (waiting if most == 1 else {(State.ROLLING, Reason.NEW_VERSION)})
    assert not plan.finished


def test_what_goes_back_does_not_wait_until_enough_have_come_to_rest() -> None:
    """An operator sets another version of a service aside, which is on its way already."""
    aside = {
        "vault-bridge.aside": SetAside(By.OPERATOR, "2026-11-20T00:00:00Z", "it leaks").write()
    }
    keys = [
        secret_of(1, name="key", path=OTHER, labels=GOOD),
        secret_of(2, name="key", path=OTHER, labels=GOOD | aside),
    ]
    desired = desired_of(secrets=[wanted("db", "a", "b"), wanted("key", "a", path=OTHER)])
    (roll,) = actions_of(plan_of(desired, too_many_under_way(*keys)), RollService)
    assert roll.reason == Reason.GOING_BACK
    assert [swap.to_name for swap in roll.swaps] == ["key_v1"]


def test_a_torn_look_at_a_service_under_way_does_not_free_its_place() -> None:
    """I7: nothing is known of its tasks."""
    flying = service_of("a", "db_v2", torn=True)
    secrets = [secret_of(1), secret_of(2, labels=open_roll("a"))]
    plan = plan_of(
        desired_of("a", "b"), world_of(document(2), secrets, [flying, service_of("b", "db_v1")])
    )
    assert not rolls(plan)
    assert plan.conditions[0].services[1].reason == Reason.WAITING_FOR_TURN


def test_a_service_bakes_until_its_tasks_have_stayed_up() -> None:
    """Converged is not done: the same tasks must stay for ``bake``."""
    service = service_of("api", "db_v2", index=11, update=UpdateState.COMPLETED)
    world = world_of(document(2), [secret_of(1), secret_of(2, labels=open_roll("api"))], [service])
    desired = desired_of("api", rollout=Rollout(bake=10))
    plan, memory = after(desired, world, 1, 9)
    assert plan.conditions[0].reason == Reason.BAKING
    assert plan.wake_at == pytest.approx(NOW + 11, abs=0.01)
    plan, _ = after(desired, world, 12, memory=memory)
    (note,) = notes(plan)
    assert json.loads(note.put["vault-bridge.roll.id-api"])["done"]


def test_bake_is_never_shorter_than_the_service_s_own_monitor() -> None:
    """The engine itself may still turn back while it monitors."""
    service = service_of("api", "db_v2", index=11, monitor=30.0)
    world = world_of(document(2), [secret_of(1), secret_of(2, labels=open_roll("api"))], [service])
    plan, _ = after(desired_of("api", rollout=Rollout(bake=0)), world, 0, 29)
    assert plan.conditions[0].reason == Reason.BAKING


def test_other_tasks_start_the_bake_again() -> None:
    """A task that was replaced has not stayed up."""
    service = service_of("api", "db_v2", index=11)
    secrets = [secret_of(1), secret_of(2, labels=open_roll("api"))]
    first = world_of(document(2), secrets, [service], [task_of(service, "db_v2", number=1)])
    second = world_of(document(2), secrets, [service], [task_of(service, "db_v2", number=2)])
    desired = desired_of("api", rollout=Rollout(bake=10))
    _, memory = after(desired, first, 1, 9)
    plan, _ = after(desired, second, 12, 15, memory=memory)
    assert plan.conditions[0].reason == Reason.BAKING


@pytest.mark.parametrize(
    "left",
    [
        {"desired_state": "shutdown"},  # start-first: the engine says completed already
        {"state": "preparing"},
    ],
)
def test_a_task_that_still_holds_the_old_version_is_waited_for(left: dict[str, str]) -> None:
    """The engine's ``completed`` proves nothing."""
    service = service_of("api", "db_v2", index=11, update=UpdateState.COMPLETED)
    tasks = [task_of(service, "db_v2"), task_of(service, "db_v1", number=2, **left)]
    world = world_of(
        document(2), [secret_of(1), secret_of(2, labels=open_roll("api"))], [service], tasks
    )
    plan, _ = after(desired_of("api"), world, 1, 100)
    assert plan.conditions[0].reason == Reason.ROLLING


@pytest.mark.parametrize(
    ("update", "ending", "soon"),
    [
        (UpdateState.COMPLETED, True, True),
        (None, True, True),
        (UpdateState.UPDATING, True, False),  # the engine tells when it is done
        (UpdateState.COMPLETED, False, False),  # the engine may take long to replace it
    ],
)
def test_the_end_of_former_tasks_is_looked_for_soon_and_then_less_often(
    update: UpdateState | None, ending: bool, soon: bool
) -> None:
    """No event tells of it."""
    service = service_of("api", "db_v2", index=11, update=update)
    old = task_of(service, "db_v1", number=2, desired_state="shutdown" if ending else "running")
    world = world_of(
        document(2),
        [secret_of(1), secret_of(2, labels=open_roll("api"))],
        [service],
        [task_of(service, "db_v2"), old],
    )
    memory, pauses = Memory(), []
    for second in (0.0, 0.5, 1.0, 1.4, 3.0, 9.0):
        plan, memory = after(desired_of("api"), world, second, memory=memory)
        assert plan.conditions[0].reason == Reason.ROLLING
        assert plan.wake_at is not None
        pauses.append(plan.wake_at - NOW - second)
    if soon:
        assert pauses == pytest.approx([0.05, 0.05, 0.05, 0.1, 0.5, 1.0], abs=1e-3)
    else:
        assert min(pauses) > 1.0


def test_a_ghost_on_a_dead_node_is_not_waited_for() -> None:
    """Nobody will ever report the end of a task that was shut down on a node that is gone."""
    service = service_of("api", "db_v2", index=11)
    ghost = task_of(service, "db_v1", number=2, desired_state="shutdown", lost=True)
    world = world_of(
        document(2),
        [secret_of(1), secret_of(2, labels=open_roll("api"))],
        [service],
        [task_of(service, "db_v2"), ghost],
    )
    plan, _ = after(desired_of("api"), world, 1, 2)
    assert plan.conditions[0].reason == Reason.BAKING


@pytest.mark.parametrize(
    ("state", "spec", "previous"),
    [
        (UpdateState.PAUSED, "db_v2", frozenset({"id-db_v1"})),
        (UpdateState.ROLLBACK_COMPLETED, "db_v1", None),
        (UpdateState.ROLLBACK_STARTED, "db_v1", None),
        (UpdateState.ROLLBACK_PAUSED, "db_v1", None),
    ],
)
def test_a_roll_that_the_engine_gave_up_is_set_aside_and_not_tried_again(
    state: UpdateState, spec: str, previous: frozenset[str] | None
) -> None:
    """I11: paused or rolled back, it is marked, reported, and left until a newer version comes."""
    service = service_of(
        "api", spec, index=12, update=state, update_message="task died", previous=previous
    )
    secrets = [secret_of(1, labels=GOOD), secret_of(2, labels=open_roll("api"))]
    plan = plan_of(desired_of("api"), world_of(document(2), secrets, [service]))
    (note,) = notes(plan)
    assert SetAside.read(note.put["vault-bridge.aside.id-api"]).by == By.FAILURE
    assert not rolls(plan)

    marked = secret_of(2, labels={**open_roll("api"), **note.put})
    world = world_of(document(2), [secrets[0], marked], [service])
    plan, memory = after(desired_of("api"), world, 1, 100, 10_000)
    if spec == "db_v2":  # the engine stopped half-way, and we go back
        assert plan.chains[-1][-1].reason == Reason.GOING_BACK
        world = world_of(
            document(2),
            [secrets[0], marked],
            [replace(service, update=None, references=(reference("db_v1"),))],
        )
        plan, memory = after(desired_of("api"), world, 1, 100, 10_000)
    assert not rolls(plan)
    assert plan.conditions[0].state == State.DEGRADED
    assert plan.conditions[0].reason == Reason.ROLL_FAILED

    newer = world_of(document(3), [secrets[0], marked, secret_of(3)], [service])
    plan = plan_of(desired_of("api"), newer, memory)
    if state == UpdateState.ROLLBACK_STARTED:  # let it finish first
        assert [(hold.reason, hold.waits) for hold in plan.holds] == [(Reason.SERVICE_BUSY, True)]
    else:
        assert rolls(plan) == ["api"]


def test_no_new_good_task_for_the_time_out_is_a_failure() -> None:
    """``FailureAction: continue`` reports ``completed`` while every task crashes."""
    service = service_of("api", "db_v2", index=11, update=UpdateState.COMPLETED)
    dead = task_of(service, "db_v2", state="failed", desired_state="shutdown", error="exit 3")
    world = world_of(
        document(2), [secret_of(1), secret_of(2, labels=open_roll("api"))], [service], [dead]
    )
    desired = desired_of("api", rollout=Rollout(timeout=60))
    plan, memory = after(desired, world, *range(0, 61, 10))
    assert plan.conditions[0].reason == Reason.ROLLING
    plan, _ = after(desired, world, 62, memory=memory)
    assert "exit 3" in plan.conditions[0].message
    assert plan.conditions[0].reason == Reason.ROLL_FAILED


def test_a_version_that_failed_for_one_service_is_not_begun_with_another() -> None:
    """The others wait (``FailedElsewhere``) until a newer version or somebody's word."""
    aside = SetAside(By.FAILURE, "t", "died").write()
    world = world_of(
        document(2),
        [secret_of(1), secret_of(2, labels={"vault-bridge.aside.id-a": aside})],
        [service_of("a", "db_v1"), service_of("b", "db_v1")],
    )
    plan = plan_of(desired_of("a", "b"), world)
    assert not rolls(plan)
    assert plan.conditions[0].services[1].reason == Reason.FAILED_ELSEWHERE


def test_a_failure_holds_the_others_in_the_very_cycle_that_notices_it() -> None:
    """The failed one frees its place, and the mark that holds the others is not written yet."""
    failed = service_of("a", "db_v2", index=12, update=UpdateState.PAUSED, update_message="died")
    world = world_of(
        document(2),
        [secret_of(1, labels=GOOD), secret_of(2, labels=open_roll("a"))],
        [failed, service_of("b", "db_v1")],
    )
    plan = plan_of(desired_of("a", "b"), world)
    assert not rolls(plan)
    assert plan.conditions[0].services[1].reason == Reason.FAILED_ELSEWHERE


def test_a_torn_look_does_not_begin_the_bake_again() -> None:
    """Somebody who writes labels all the time must not keep a version from becoming good."""
    service = service_of("api", "db_v2", index=11)
    secrets = [secret_of(1), secret_of(2, labels=open_roll("api"))]
    desired = desired_of("api", rollout=Rollout(bake=10))
    torn = world_of(document(2), secrets, [replace(service, torn=True)])
    whole = world_of(document(2), secrets, [service])
    _, memory = after(desired, whole, 1, 5)
    _, memory = after(desired, torn, 6, 11, memory=memory)
    plan, _ = after(desired, whole, 12, memory=memory)
    assert plan.conditions[0].reason == Reason.CONVERGED


def test_an_update_that_ends_by_itself_is_waited_for() -> None:
    """``sync`` goes on until it is over; a stuck one wants somebody."""
    for state, age, waits in (
        (UpdateState.UPDATING, 1, True),
        (UpdateState.UPDATING, 601, False),
    ):
        service = service_of("api", "db_v1", update=state)
        world = world_of(document(2), [secret_of(1), secret_of(2)], [service])
        memory = Memory(met={(service.id, service.update_started): NOW - age})
        plan = plan_of(desired_of("api"), world, memory)
        assert [hold.waits for hold in plan.holds] == [waits]
        assert plan.finished != waits


def test_an_operator_s_rollback_by_hand_is_respected() -> None:
    """``docker service rollback`` leaves a PreviousSpec; Swarm's own rollback leaves none."""
    done = RollRecord(before=(), index=5, at="t", done="t").write()
    service = service_of(
        "api", "db_v1", update=UpdateState.ROLLBACK_COMPLETED, previous=frozenset({"id-db_v2"})
    )
    world = world_of(
        document(2),
        [secret_of(1), secret_of(2, labels={"vault-bridge.roll.id-api": done, **GOOD})],
        [service],
    )
    plan = plan_of(desired_of("api"), world)
    assert not rolls(plan)
    mark = SetAside.read(notes(plan)[0].put["vault-bridge.aside.id-api"])
    assert mark.by == By.OPERATOR


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": Kind.JOB}, Reason.WOULD_RERUN),
        ({"runs_once": True}, Reason.WOULD_RERUN),
        ({"update": UpdateState.UPDATING}, Reason.SERVICE_BUSY),
        ({"update": UpdateState.ROLLBACK_STARTED}, Reason.SERVICE_BUSY),
        ({"torn": True}, Reason.LOOKING_AGAIN),
    ],
)
def test_what_must_not_be_touched_is_held(changes: dict[str, object], reason: Reason) -> None:
    """Jobs would run again, somebody else's update is theirs, a torn look proves nothing."""
    service = service_of("api", "db_v1", **changes)
    world = world_of(document(2), [secret_of(1), secret_of(2)], [service])
    plan = plan_of(desired_of("api"), world)
    assert not rolls(plan)
    assert plan.conditions[0].services[0].reason == reason


@pytest.mark.parametrize("state", [UpdateState.PAUSED, UpdateState.ROLLBACK_PAUSED])
def test_an_update_that_somebody_else_left_paused_is_ended_by_a_newer_version(
    state: UpdateState,
) -> None:
    """The engine does nothing more by itself; who reads the log knows what became of the pause."""
    paused = {"update": state, "update_message": "update paused due to failure"}
    service = service_of("api", "db_v1", desired_tasks=2, **paused)
    world = world_of(document(2), [secret_of(1), secret_of(2)], [service])
    plan = plan_of(desired_of("api"), world)
    (roll,) = actions_of(plan, RollService)
    assert "ends the pause" in roll.why
    assert "update paused due to failure" in roll.why
    assert not plan.holds


def test_a_paused_update_is_left_alone_where_there_is_nothing_newer() -> None:
    service = service_of("api", "db_v2", desired_tasks=2, update=UpdateState.PAUSED)
    tasks = [task_of(service, "db_v2")]
    world = world_of(document(2), [secret_of(1), secret_of(2, labels=GOOD)], [service], tasks)
    plan = plan_of(desired_of("api"), world)
    assert not rolls(plan)
    assert plan.conditions[0].services[0].reason == Reason.SERVICE_UNHEALTHY


def test_a_newer_version_wins_at_once_over_a_roll_under_way() -> None:
    """The record keeps the way back to the last version that was good."""
    service = service_of("api", "db_v2", index=12, update=UpdateState.UPDATING, desired_tasks=2)
    world = world_of(
        document(3),
        [secret_of(1), secret_of(2, labels=open_roll("api")), secret_of(3)],
        [service],
        [task_of(service, "db_v2")],
    )
    plan = plan_of(desired_of("api"), world)
    assert rolls(plan) == ["api"]
    record = next(note for note in notes(plan) if note.docker_name == "db_v3")
    before = json.loads(record.put["vault-bridge.roll.id-api"])["before"]
    assert before == [reference("db_v1").write()]


def test_settle_waits_for_changes_that_come_together_but_not_for_ever() -> None:
    """Quiet time counts from the last change, ``settle_max`` from the first."""
    world = world_of(document(2), [secret_of(1), secret_of(2)], [service_of("api", "db_v1")])
    desired = desired_of("api", rollout=Rollout(settle=10, settle_max=15))
    plan, memory = after(desired, world, 0, 9)
    assert plan.conditions[0].reason == Reason.SETTLING
    assert plan.wake_at == pytest.approx(NOW + 10, abs=0.01)
    plan, _ = after(desired, world, 10, memory=memory)
    assert rolls(plan) == ["api"]


def test_a_fight_over_a_service_is_damped() -> None:
    """Somebody moves it back again and again: forward at once, then later and later."""
    done = RollRecord(before=(), index=5, at="t", done="t").write()
    world = world_of(
        document(2),
        [secret_of(1), secret_of(2, labels={"vault-bridge.roll.id-api": done, **GOOD})],
        [service_of("api", "db_v1")],
    )
    desired = desired_of("api")
    plan = plan_of(desired, world)
    assert rolls(plan) == ["api"]
    (roll,) = [a for chain in plan.chains for a in chain if isinstance(a, RollService)]
    memory = Memory()
    for second in (0, 1):
        memory = remember(desired, memory, world, [Outcome(roll, Result.DONE)], NOW + second)
    plan = plan_of(desired, world, memory, NOW + 2)
    assert not rolls(plan)
    assert plan.conditions[0].reason == Reason.DRIFTED
    assert rolls(plan_of(desired, world, memory, NOW + 12)) == ["api"]


def test_a_version_is_good_once_every_service_has_baked_on_it() -> None:
    """Then, and only then, the next trouble is not the version's fault."""
    done = {"vault-bridge.roll.id-a": RollRecord(before=(), index=5, at="t", done="t").write()}
    services = [service_of("a", "db_v2"), service_of("b", "db_v2")]
    half = world_of(document(2), [secret_of(1), secret_of(2, labels=done)], services)
    assert not notes(plan_of(desired_of("a", "b"), half))
    both = {
        **done,
        "vault-bridge.roll.id-b": RollRecord(before=(), index=5, at="t", done="t").write(),
    }
    world = world_of(document(2), [secret_of(1), secret_of(2, labels=both)], services)
    (note,) = notes(plan_of(desired_of("a", "b"), world))
    assert "vault-bridge.good" in note.put


def test_trouble_on_a_good_version_is_reported_and_not_blamed_on_it() -> None:
    """A service that is ill on a good version is said to be ill."""
    service = service_of("api", "db_v2", desired_tasks=2)
    world = world_of(
        document(2), [secret_of(2, labels=GOOD)], [service], [task_of(service, "db_v2")]
    )
    plan = plan_of(desired_of("api"), world)
    assert not plan.chains
    assert plan.conditions[0].reason == Reason.SERVICE_UNHEALTHY


def test_replicas_zero_converges_at_once() -> None:
    """Nothing runs, and the next task will have the new version."""
    service = service_of("api", "db_v2", index=11, desired_tasks=0)
    world = world_of(
        document(2), [secret_of(1), secret_of(2, labels=open_roll("api"))], [service], []
    )
    plan, _ = after(desired_of("api"), world, 0, 5)
    assert "done" in notes(plan)[0].put["vault-bridge.roll.id-api"]


def test_a_record_whose_service_is_gone_is_dropped() -> None:
    """Else it would keep the old version for ever."""
    world = world_of(document(2), [secret_of(1), secret_of(2, labels=open_roll("gone"))], [])
    (note,) = notes(plan_of(desired_of(), world))
    assert note.drop == {"vault-bridge.roll.id-gone"}


def test_nothing_to_do_means_nothing_is_done() -> None:
    """I5: a swarm that is as it should be gets an empty plan from a process with no memory."""
    done = {
        "vault-bridge.roll.id-api": RollRecord(before=(), index=5, at="t", done="t").write(),
        **GOOD,
    }
    world = world_of(
        document(2),
        [secret_of(1, labels={**GOOD, "vault-bridge.unused": "t"}), secret_of(2, labels=done)],
        [service_of("api", "db_v2", previous=frozenset({"id-db_v1"}))],
    )
    plan = plan_of(desired_of("api"), world)
    assert not plan.chains
    assert plan.finished
    assert plan.conditions[0].state == State.SYNCED


def test_outside_its_windows_nothing_begins_until_the_next_one_opens() -> None:
    """What goes back does not wait for one."""
    night = Window.read("22:00-04:00")
    desired = desired_of("api", rollout=Rollout(bake=2.0, windows=(night,)))
    world = world_of(
        document(2), [secret_of(1, labels=GOOD), secret_of(2)], [service_of("api", "db_v1")]
    )
    opening = night.next_opening(NOW)
    plan = plan_of(desired, world)
    assert rolls(plan) == []
    (hold,) = plan.holds
    assert (hold.reason, hold.until) == (Reason.WINDOW_CLOSED, opening)
    assert plan.wake_at is not None
    assert plan.wake_at <= opening
    assert rolls(plan_of(desired, world, now=opening)) == ["api"]
    failed = {"vault-bridge.aside.id-api": SetAside(By.FAILURE, "t", "died").write()}
    back = world_of(
        document(2),
        [secret_of(1, labels=GOOD), secret_of(2, labels=failed)],
        [service_of("api", "db_v2")],
    )
    assert rolls(plan_of(desired, back)) == ["api"]
