"""Who is to blame for a roll that failed, and where the service goes from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bridge.decide.cycle import decide
from bridge.model.actions import Annotate, RollService
from bridge.model.desired import Rollout
from bridge.model.docker_secret import DockerSecret
from bridge.model.labels import ENDED, RETIRING
from bridge.model.memory import Memory
from bridge.model.plan import Plan
from bridge.model.reasons import Reason, State
from bridge.model.roll_record import RollRecord
from bridge.model.service import Service, UpdateState
from bridge.model.set_aside import By, SetAside
from bridge.model.spec import swapped
from bridge.model.timestamps import timestamp
from bridge.model.world import World
from bridge.sources.kv.source import KvPath
from tests.support.builders import (
    NOW,
    actions_of,
    after,
    desired_of,
    document,
    foreign,
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

GOOD = {"vault-bridge.good": "t"}
FAST = Rollout(bake=2.0, timeout=60.0)


def record(*before: str, **more: Any) -> str:
    """Return an open record of a roll that replaced references to these Docker secrets."""
    references = tuple(reference(name, name.split("_v")[0]).write() for name in before)
    return RollRecord(before=references, index=10, at="t", **more).write()


def rolled(service: str, *before: str, **more: Any) -> dict[str, str]:
    """Return the label of an open record."""
    return {f"vault-bridge.roll.id-{service}": record(*before, **more)}


def aside(by: By, service: str = "", **more: Any) -> dict[str, str]:
    """Return the label of a mark."""
    place = f".id-{service}" if service else ""
    return {f"vault-bridge.aside{place}": SetAside(by, "t", "died", **more).write()}


def marks(plan: Plan) -> dict[tuple[str, str], SetAside]:
    """Return the marks that a plan writes, by Docker secret and place."""
    return {
        (action.docker_name, key.removeprefix("vault-bridge.aside")): SetAside.read(value)
        for chain in plan.chains
        for action in chain
        if isinstance(action, Annotate)
        for key, value in action.put.items()
        if key.startswith("vault-bridge.aside")
    }


def rolls(plan: Plan) -> dict[str, RollService]:
    """Return the rolls of a plan by service."""
    found = [a for chain in plan.chains for a in chain if isinstance(a, RollService)]
    return {roll.service_name: roll for roll in found}


def paused(name: str, *docker_names: str, **changes: Any) -> Service:
    """Return a service whose update the engine stopped."""
    state: dict[str, Any] = {"index": 12, "update": UpdateState.PAUSED, "update_message": "died"}
    return service_of(name, *docker_names, **{**state, **changes})


def spec_of(service: Service) -> dict[str, Any]:
    """Return as much of a spec as a swap needs."""
    references = [ref.write() for ref in service.references]
    return {"TaskTemplate": {"ContainerSpec": {"Secrets": references}}}


def secrets_after(service: Service, roll: RollService) -> list[str]:
    """Return the names that a service refers to after a roll."""
    spec = swapped(spec_of(service), roll.swaps)
    return [ref["SecretName"] for ref in spec["TaskTemplate"]["ContainerSpec"]["Secrets"]]


def one(service: Service, *labels: Mapping[str, str], current: int = 2, **more: Any) -> World:
    """Return a world with versions 1 (good) and 2 of ``db`` and one service."""
    merged = {key: value for part in labels for key, value in part.items()}
    return world_of(
        document(current),
        [secret_of(1, labels=GOOD), secret_of(2, labels=merged)],
        [service],
        **more,
    )


# --- the way back ---------------------------------------------------------------------------------


def test_what_failed_goes_back_to_what_the_record_has() -> None:
    """In place, with its own file; the way back is a roll of its own, which turns round no more."""
    before = replace(reference("db_v1"), uid="33", mode=0o400)
    label = RollRecord(before=(before.write(),), index=10, at="t").write()
    service = paused("api", "db_v2", "other_v1")
    world = one(service, {"vault-bridge.roll.id-api": label}, aside(By.FAILURE, "api"))
    plan = plan_of(desired_of("api"), world)
    note, roll = plan.chains[-1]
    assert isinstance(note, Annotate)
    assert isinstance(roll, RollService)
    assert (note.docker_name, roll.reason) == ("db_v1", Reason.GOING_BACK)
    assert json.loads(note.put["vault-bridge.roll.id-api"])["before"] == []
    spec = swapped(spec_of(service), roll.swaps)["TaskTemplate"]["ContainerSpec"]["Secrets"]
    assert spec == [before.write(), reference("other_v1", "other").write()]
    assert plan.conditions[0].services[0].reason == Reason.GOING_BACK
    assert not plan.finished


def test_without_another_version_it_goes_back_to_what_people_made() -> None:
    """The first version of a takeover failed: the hand-made secret is put back."""
    service = paused("api", "db_v1")
    hand_made = RollRecord(before=(reference("db", "db").write(),), index=10, at="t").write()
    labels = {"vault-bridge.roll.id-api": hand_made, **aside(By.FAILURE, "api")}
    world = world_of(document(1), [foreign("db"), secret_of(1, labels=labels)], [service])
    roll = rolls(plan_of(desired_of("api"), world))["api"]
    assert secrets_after(service, roll) == ["db"]


def test_a_first_reference_that_failed_is_taken_away() -> None:
    service = paused("api", "db_v1")
    labels = {**rolled("api"), **aside(By.FAILURE, "api")}
    world = world_of(document(1), [secret_of(1, labels=labels)], [service])
    roll = rolls(plan_of(desired_of("api"), world))["api"]
    assert secrets_after(service, roll) == []


def test_without_any_way_back_it_says_so() -> None:
    """No older version and no record: somebody has to help."""
    service = service_of("api", "db_v1")
    world = world_of(document(1), [secret_of(1, labels=aside(By.FAILURE, "api"))], [service])
    plan = plan_of(desired_of("api"), world)
    assert not rolls(plan)
    assert [hold.reason for hold in plan.holds] == [Reason.NO_WAY_BACK]


def test_a_way_back_under_way_is_waited_for_and_then_forgotten() -> None:
    """`sync` ends when the service is whole again, not before."""
    service = service_of("api", "db_v1", index=14, update=UpdateState.UPDATING)
    secrets = [
        secret_of(1, labels={**GOOD, **rolled("api")}),
        secret_of(2, labels=aside(By.FAILURE, "api")),
    ]
    plan = plan_of(desired_of("api"), world_of(document(2), secrets, [service]))
    assert not plan.finished
    assert plan.conditions[0].reason == Reason.ROLL_FAILED
    settled = replace(service, update=UpdateState.COMPLETED)
    world = world_of(document(2), secrets, [settled])
    plan, _ = after(desired_of("api"), world, 1, 3)
    (note,) = [a for chain in plan.chains for a in chain if isinstance(a, Annotate)]
    assert (note.docker_name, note.reason) == ("db_v1", Reason.CONVERGED)


# --- for whom -------------------------------------------------------------------------------------


def test_on_failure_all_takes_everybody_back() -> None:
    """The version is set aside for the name, and those that had moved go back too."""
    desired = desired_of("a", "b", rollout=replace(FAST, all_go_back=True, max_in_flight=2))
    done = RollRecord(before=(), index=5, at="t", done="t").write()
    labels = {**rolled("a", "db_v1"), "vault-bridge.roll.id-b": done}
    services = [paused("a", "db_v2"), service_of("b", "db_v2")]
    secrets = [secret_of(1, labels=GOOD), secret_of(2, labels=labels)]
    plan = plan_of(desired, world_of(document(2), secrets, services))
    assert marks(plan)[("db_v2", "")].by == By.FAILURE
    secrets[1] = secret_of(2, labels={**labels, **aside(By.FAILURE)})
    plan = plan_of(desired, world_of(document(2), secrets, services))
    assert rolls(plan).keys() == {"a", "b"}
    assert all(roll.swaps[0].to_name == "db_v1" for roll in rolls(plan).values())


def test_on_failure_service_leaves_the_others_where_they_are() -> None:
    labels = {**rolled("a", "db_v1"), **aside(By.FAILURE, "a")}
    services = [paused("a", "db_v2"), service_of("b", "db_v2")]
    secrets = [secret_of(1, labels=GOOD), secret_of(2, labels=labels)]
    plan = plan_of(desired_of("a", "b"), world_of(document(2), secrets, services))
    assert rolls(plan).keys() == {"a"}


# --- who is to blame ------------------------------------------------------------------------------


def test_a_service_that_was_ill_before_does_not_count_against_the_version() -> None:
    """The others are begun all the same."""
    labels = rolled("a", "db_v1", unhealthy=True)
    secrets = [secret_of(1, labels=GOOD), secret_of(2, labels=labels)]
    services = [paused("a", "db_v2"), service_of("b", "db_v1")]
    plan = plan_of(desired_of("a", "b"), world_of(document(2), secrets, services))
    assert marks(plan)[("db_v2", ".id-a")].by == By.SERVICE
    assert plan.conditions[0].services[0].reason == Reason.SERVICE_UNHEALTHY
    assert rolls(plan).keys() == {"b"}


def test_how_well_a_service_was_is_written_down_before_its_roll() -> None:
    ill = service_of("api", "db_v1", desired_tasks=2)
    for service, expected in ((ill, True), (service_of("api", "db_v1"), False)):
        world = one(service, tasks=[task_of(service, "db_v1")])
        note = plan_of(desired_of("api"), world).chains[0][0]
        assert isinstance(note, Annotate)
        written = RollRecord.read(note.put["vault-bridge.roll.id-api"])
        assert written
        assert written.unhealthy == expected


def test_a_service_that_fails_on_the_former_version_too_is_to_blame_itself() -> None:
    """Swarm's own rollback stopped as well: the mark is taken off the version."""
    service = paused("api", "db_v1", update=UpdateState.ROLLBACK_PAUSED, desired_tasks=2)
    world = one(service, aside(By.FAILURE, "api"), tasks=[task_of(service, "db_v1")])
    mark = marks(plan_of(desired_of("api"), world))[("db_v2", ".id-api")]
    assert mark.by == By.SERVICE
    assert "db_v1 too" in mark.why


def test_a_template_that_somebody_changed_in_the_middle_leaves_nobody_to_blame() -> None:
    service = paused("api", "db_v2", frame="another")
    world = one(service, rolled("api", "db_v1", frame="as it was"))
    plan = plan_of(desired_of("api"), world)
    assert not marks(plan)
    assert not rolls(plan)
    assert [hold.reason for hold in plan.holds] == [Reason.CHANGED_MEANWHILE]
    newer = world_of(document(3), [*world.swarm.secrets, secret_of(3)], [service])
    plan = plan_of(desired_of("api"), newer)
    assert set(rolls(plan)) == {"api"}  # the update has stopped, and a newer version may go on
    recovered = replace(service, update=UpdateState.COMPLETED)
    world = one(recovered, rolled("api", "db_v1", frame="as it was"))
    plan, _ = after(desired_of("api"), world, 1, 3)
    assert plan.conditions[0].reason == Reason.CONVERGED


def test_a_task_that_dies_while_it_bakes_is_a_failure() -> None:
    """Once the engine looks away; as long as it replaces tasks, the judgement is its own."""
    service = service_of("api", "db_v2", index=12, update=UpdateState.COMPLETED)
    first, second = task_of(service, "db_v2"), task_of(service, "db_v2", number=2)
    dead = replace(first, state="failed", desired_state="shutdown", error="exit 3")
    for update, failed in ((UpdateState.COMPLETED, True), (UpdateState.UPDATING, False)):
        world = one(service, rolled("api", "db_v1"), tasks=[first])
        _, memory = after(desired_of("api", rollout=FAST), world, 1)
        changed = replace(service, update=update)
        world = one(changed, rolled("api", "db_v1"), tasks=[dead, second])
        plan = decide(desired_of("api", rollout=FAST), world, memory, NOW + 2)
        assert bool(marks(plan)) == failed
    assert "exit 3" in world.swarm.tasks[0].error


def test_an_update_that_was_never_sent_is_not_to_blame_for_an_earlier_rollback() -> None:
    """The engine moves the version index itself while it rolls back, but not `StartedAt`."""
    service = service_of(
        "api", "db_v1", index=38, update=UpdateState.ROLLBACK_COMPLETED, update_started=NOW - 5
    )
    for started, blamed in ((NOW - 5, False), (NOW - 60, True)):
        world = one(service, rolled("api", "db_v1", started=started))
        plan = plan_of(desired_of("api"), world)
        assert bool(marks(plan)) == blamed
        assert bool(rolls(plan)) != blamed


def test_swarms_own_rollback_is_let_finish_unless_it_is_stuck() -> None:
    for age, waits in ((5, True), (700, False)):
        service = service_of("api", "db_v1", update=UpdateState.ROLLBACK_STARTED)
        memory = Memory(met={(service.id, service.update_started): NOW - age})
        labels = {**rolled("api", "db_v1"), **aside(By.FAILURE, "api")}
        secrets = [secret_of(1, labels=GOOD), secret_of(2, labels=labels), secret_of(3)]
        world = world_of(document(3), secrets, [service])
        plan = plan_of(desired_of("api"), world, memory)
        assert bool(rolls(plan)) != waits
        assert plan.finished is False


def test_nobody_is_blamed_for_what_nobody_saw() -> None:
    """A manager outage, a suspended machine, a clock that steps: the time does not count."""
    service = service_of("api", "db_v2", index=12, update=UpdateState.UPDATING, desired_tasks=2)
    world = one(service, rolled("api", "db_v1"), tasks=[task_of(service, "db_v2")])
    plan, memory = after(desired_of("api", rollout=FAST), world, 1, 2)
    plan = decide(desired_of("api", rollout=FAST), world, memory, NOW + 5000)
    assert not marks(plan)


def test_a_roll_whose_last_old_task_is_slow_to_end_is_not_a_failure() -> None:
    """`stop_grace_period` may be longer than `rollout.timeout`."""
    service = service_of("api", "db_v2", index=12, update=UpdateState.COMPLETED)
    tasks = [
        task_of(service, "db_v2"),
        task_of(service, "db_v1", number=2, desired_state="shutdown"),
    ]
    world = one(service, rolled("api", "db_v1"), tasks=tasks)
    plan, _ = after(desired_of("api", rollout=FAST), world, *range(0, 300, 5))
    assert not marks(plan)
    assert plan.conditions[0].reason == Reason.ROLLING


def test_a_bake_longer_than_the_timeout_is_no_failure() -> None:
    service = service_of("api", "db_v2", index=12, update=UpdateState.COMPLETED)
    world = one(service, rolled("api", "db_v1"))
    rollout = Rollout(bake=200.0, timeout=60.0)
    plan, _ = after(desired_of("api", rollout=rollout), world, *range(0, 150, 5))
    assert not marks(plan)
    assert plan.conditions[0].reason == Reason.BAKING


def test_the_failure_of_a_service_that_is_gone_holds_nobody() -> None:
    """A stack that was removed and deployed again has services of other ids."""
    labels = aside(By.FAILURE, "a-former-one")
    secrets = [secret_of(1, labels=GOOD), secret_of(2, labels=labels)]
    plan = plan_of(desired_of("b"), world_of(document(2), secrets, [service_of("b", "db_v1")]))
    assert rolls(plan).keys() == {"b"}


# --- suspects -------------------------------------------------------------------------------------

KEY = KvPath("", "secret", "apps/key")
BOTH = desired_of(secrets=[wanted("db", "api"), wanted("key", "api", path=KEY)], rollout=FAST)


def both(service: Service, db: Mapping[str, str], key: Mapping[str, str]) -> World:
    """Return a world with two versions of two secrets."""
    secrets: list[DockerSecret] = [
        secret_of(1, labels=GOOD),
        secret_of(2, labels=db),
        secret_of(1, name="key", path=KEY, labels=GOOD),
        secret_of(2, name="key", path=KEY, labels=key),
    ]
    documents = {wanted("db").source: document(2), KEY: document(2)}
    return world_of(documents, secrets, [service])


def test_two_that_moved_together_are_suspects() -> None:
    """Both go back first, also where the engine stopped half-way."""
    service = paused("api", "db_v2", "key_v2")
    db, key = rolled("api", "db_v1"), rolled("api", "key_v1")
    plan = plan_of(BOTH, both(service, db, key))
    assert {mark.by for mark in marks(plan).values()} == {By.SUSPECT}
    assert len(marks(plan)) == 2
    suspect = aside(By.SUSPECT, "api")
    roll = rolls(plan_of(BOTH, both(service, {**db, **suspect}, {**key, **suspect})))["api"]
    assert secrets_after(service, roll) == ["db_v1", "key_v1"]
    assert roll.reason == Reason.GOING_BACK


def test_each_suspect_has_its_turn_alone_and_only_the_guilty_one_is_set_aside() -> None:
    suspect, tried = aside(By.SUSPECT, "api"), aside(By.SUSPECT, "api", tried=True)
    service = service_of("api", "db_v1", "key_v1", index=14)
    plan = plan_of(BOTH, both(service, suspect, suspect))
    roll = rolls(plan)["api"]
    assert (secrets_after(service, roll), roll.reason) == (["db_v2", "key_v1"], Reason.TRIED_ALONE)
    assert marks(plan)[("db_v2", ".id-api")].tried

    # It fails alone: it is set aside, and goes back.
    failing = paused("api", "db_v2", "key_v1")
    world = both(failing, {**tried, **rolled("api", "db_v1")}, suspect)
    plan = plan_of(BOTH, world)
    assert {place: mark.by for place, mark in marks(plan).items()} == {
        ("db_v2", ".id-api"): By.FAILURE
    }
    # The other one follows.
    back = replace(service, index=16)
    plan = plan_of(BOTH, both(back, aside(By.FAILURE, "api"), suspect))
    roll = rolls(plan)["api"]
    assert secrets_after(back, roll) == ["db_v1", "key_v2"]
    # It stays up: the mark goes.
    fine = service_of("api", "db_v1", "key_v2", index=18, update=UpdateState.COMPLETED)
    world = both(fine, aside(By.FAILURE, "api"), {**tried, **rolled("api", "key_v1")})
    plan, _ = after(BOTH, world, 1, 3)
    (note,) = [a for chain in plan.chains for a in chain if isinstance(a, Annotate)]
    assert (note.docker_name, note.drop) == ("key_v2", frozenset({"vault-bridge.aside.id-api"}))


def test_a_suspect_waits_until_the_service_is_whole_again() -> None:
    """What Swarm's rollback has not brought back yet must not count as ill before the trial."""
    suspect = aside(By.SUSPECT, "api")
    for update, waits in ((UpdateState.ROLLBACK_STARTED, True), (None, False)):
        service = service_of("api", "db_v1", "key_v1", update=update, desired_tasks=2)
        world = both(service, suspect, suspect)
        world = replace(world, swarm=replace(world.swarm, tasks=world.swarm.tasks[:1]))
        plan = plan_of(BOTH, world)
        assert not rolls(plan)
        assert {hold.waits for hold in plan.holds} == {waits}


def test_a_trial_that_was_written_down_and_never_begun_is_begun() -> None:
    """I10: killed between the record and the update."""
    tried = {**aside(By.SUSPECT, "api", tried=True), **rolled("api", "db_v1")}
    service = service_of("api", "db_v1", "key_v1")
    plan = plan_of(BOTH, both(service, tried, aside(By.SUSPECT, "api")))
    assert secrets_after(service, rolls(plan)["api"]) == ["db_v2", "key_v1"]


def test_a_suspect_under_trial_is_waited_for() -> None:
    """The other one does not begin, and nothing goes back."""
    tried = {**aside(By.SUSPECT, "api", tried=True), **rolled("api", "db_v1")}
    service = service_of("api", "db_v2", "key_v1", update=UpdateState.UPDATING, desired_tasks=2)
    world = both(service, tried, aside(By.SUSPECT, "api"))
    plan = plan_of(BOTH, world)
    assert not rolls(plan)
    assert not plan.finished
    assert plan.conditions[0].services[0].state == State.ROLLING


def test_nothing_happens_twice_for_a_version_that_is_set_aside() -> None:
    """I11: looked at a hundred times, with and without memory."""
    service = service_of("api", "db_v1", update=UpdateState.ROLLBACK_COMPLETED)
    world = one(service, aside(By.FAILURE, "api"))
    memory = Memory()
    for second in range(100):
        plan, memory = after(desired_of("api"), world, second, memory=memory)
        assert not plan.chains
    assert not plan_of(desired_of("api"), world).chains


@pytest.mark.parametrize(
    ("mark", "goes"),
    [
        ({}, True),
        (aside(By.FAILURE), True),  # on another service, with `on_failure: all`: it had it
        (aside(By.SERVICE, "api"), True),
        (aside(By.FAILURE, "api"), False),
        (aside(By.OPERATOR), False),
        (aside(By.OPERATOR, "api"), False),
    ],
)
def test_what_it_had_before_is_gone_back_to_unless_it_was_refused_here(
    mark: dict[str, str], goes: bool
) -> None:
    everywhere = aside(By.FAILURE)
    first = secret_of(1, labels=mark)
    second = secret_of(2, labels={**rolled("api", "db_v1"), **everywhere})
    service = service_of("api", "db_v2", update=UpdateState.COMPLETED)
    plan = plan_of(
        desired_of("api", rollout=FAST), world_of(document(2), [first, second], [service])
    )
    rolls = [a for chain in plan.chains for a in chain if isinstance(a, RollService)]
    assert [roll.swaps[0].to_name for roll in rolls] == (["db_v1"] if goes else [])
    assert any(hold.reason == Reason.NO_WAY_BACK for hold in plan.holds) == (not goes)


def test_swarm_takes_our_going_back_for_a_failed_update() -> None:
    """It rolls back to what failed; the service is sent on to the good version once more."""
    first = secret_of(1, labels={**GOOD, **aside(By.SERVICE, "api")})
    second = secret_of(2, labels=aside(By.FAILURE, "api"))
    service = service_of("api", "db_v2", update=UpdateState.ROLLBACK_COMPLETED)
    world = world_of(document(2), [first, second], [service])
    plan = plan_of(desired_of("api", rollout=FAST), world)
    (roll,) = [a for chain in plan.chains for a in chain if isinstance(a, RollService)]
    assert (roll.reason, roll.swaps[0].to_name) == (Reason.GOING_BACK, "db_v1")


def test_a_reference_that_was_added_stays_while_a_version_is_usable() -> None:
    """The first version was overtaken before it baked, so the record has no way back but away."""
    second = secret_of(2, labels={**rolled("api"), **aside(By.FAILURE, "api")})
    service = service_of("api", "db_v2", update=UpdateState.COMPLETED)
    world = world_of(document(2), [secret_of(1), second], [service])
    plan = plan_of(desired_of("api", rollout=FAST), world)
    (roll,) = [a for chain in plan.chains for a in chain if isinstance(a, RollService)]
    assert (roll.swaps[0].to_name, roll.swaps[0].restore) == ("db_v1", None)


@pytest.mark.parametrize(("before", "goes"), [(("db_v1",), False), ((), True)])
def test_where_the_version_gone_back_to_fails_too_no_reference_is_lost(
    before: tuple[str, ...], goes: bool
) -> None:
    """Its record has nothing before, which is not to say that the service had no reference.

    It had none where both versions were the first ones that it was given.
    """
    service = service_of("api", "db_v2", update=UpdateState.COMPLETED)
    second = secret_of(2, labels={**rolled("api", *before), **aside(By.FAILURE, "api")})
    world = world_of(document(2), [secret_of(1), second], [service])
    back = plan_of(desired_of("api", rollout=FAST), world).chains[0]
    (note,) = (action for action in back if isinstance(action, Annotate))
    assert note.docker_name == "db_v1"
    first = secret_of(1, labels={**note.put, **aside(By.FAILURE, "api")})
    service = service_of("api", "db_v1", update=UpdateState.COMPLETED)
    plan = plan_of(
        desired_of("api", rollout=FAST), world_of(document(2), [first, second], [service])
    )
    assert [roll.swaps[0].restore for roll in actions_of(plan, RollService)] == [()] * goes
    assert any(hold.reason == Reason.NO_WAY_BACK for hold in plan.holds) == (not goes)


# --- versions that are good elsewhere ------------------------------------------------------------


@pytest.mark.parametrize("back", [False, True], ids=["paused", "rolled back by Swarm"])
def test_a_service_that_fails_on_a_good_version_is_to_blame_itself(back: bool) -> None:
    """Every other service has proved the version; only where this one goes back is it set aside."""
    service = paused("api", "db_v2")
    if back:
        service = paused("api", "db_v1", update=UpdateState.ROLLBACK_COMPLETED)
    plan = plan_of(desired_of("api"), one(service, GOOD, rolled("api", "db_v1")))
    found = {place: mark.by for place, mark in marks(plan).items()}
    assert found == ({("db_v2", ".id-api"): By.SERVICE} if back else {})
    aside_once = [note for note in actions_of(plan, Annotate) if "vault-bridge.aside" in str(note)]
    assert len(aside_once) == len(found)
    assert rolls(plan) == {}
    if not back:
        (condition,) = plan.conditions
        assert (condition.state, condition.reason) == (State.DEGRADED, Reason.SERVICE_UNHEALTHY)


def test_an_operator_who_goes_back_to_a_credential_that_is_over_is_not_followed() -> None:
    """``docker service rollback`` knows nothing of leases: the service would stay broken."""
    over = {ENDED: timestamp(NOW - 1), RETIRING: timestamp(NOW - 60)}
    previous = frozenset({"id-db_v2"})
    service = service_of("api", "db_v1", previous=previous, update=UpdateState.ROLLBACK_COMPLETED)
    for labels, kept in (({}, True), (over, False)):
        secrets = [
            generation_secret(1, labels=labels),
            generation_secret(2, labels={**rolled("api", "db_v1", done="t")}),
        ]
        plan = plan_of(desired_of(secrets=[leased("api")]), leased_world(secrets, [service]))
        assert bool(marks(plan)) == kept
        assert (rolls(plan) == {}) == kept


def test_a_failure_is_marked_before_another_roll_takes_the_place_that_it_frees() -> None:
    """I7: a bridge that is stopped in between must find the mark."""
    failed = paused("api", "db_v2")
    waiting = service_of("web", "db_v1")
    world = world_of(
        document(3),
        [
            secret_of(1, labels=GOOD),
            secret_of(2, labels=rolled("api", "db_v1")),
            secret_of(3),
        ],
        [failed, waiting],
    )
    plan = plan_of(desired_of("web", "api", rollout=replace(FAST, max_in_flight=1)), world)
    assert set(rolls(plan)) == {"web"}
    actions = [action for chain in plan.chains for action in chain]
    mark = next(n for n, a in enumerate(actions) if a.reason == Reason.ROLL_FAILED)
    roll = next(n for n, a in enumerate(actions) if isinstance(a, RollService))
    assert mark < roll
