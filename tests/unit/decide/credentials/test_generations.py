"""Several leased credentials at once, and what the labels of one say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.decide.credentials.generations import generations_by_name, with_leases
from bridge.decide.remember import remember
from bridge.decide.situation import Situation
from bridge.decide.versions.target import find_target
from bridge.model.actions import MintGeneration, RollService, Tend, TendGeneration
from bridge.model.desired import Desired, Rollout
from bridge.model.docker_secret import DockerSecret
from bridge.model.labels import ACCESSOR, AT_ONCE, LEASE, PREFIX, RETIRING, TRIES, VANISHED
from bridge.model.leased import GenerationView, Gone, Leased, RoleDocument, Unknown
from bridge.model.memory import Backoff, Memory
from bridge.model.plan import Plan
from bridge.model.reasons import Reason, State
from bridge.model.set_aside import By
from bridge.model.timestamps import timestamp
from bridge.model.vault_view import Unreadable
from bridge.model.verdicts import Refusal
from bridge.model.wishes import Pause
from bridge.model.world import World
from bridge.sources.database.source import DatabaseRole
from bridge.sources.kv.source import KvPath
from tests.support.builders import (
    LIVES,
    NOW,
    ROLE,
    actions_of,
    custody,
    desired_of,
    generation_secret,
    leased,
    leased_world,
    life,
    plan_of,
    seen,
    service_of,
    tended,
)
from tests.unit.decide.credentials.test_stage import GONE, aside, old, vanished_before

NAMES = ("one", "two", "three", "four")
ROLES = {name: DatabaseRole("", "database", name) for name in NAMES}
ROLLOUT = Rollout(bake=2.0, timeout=600.0)


def desired_with(*services: str, names: tuple[str, ...] = NAMES) -> Desired:
    """Return a configuration of leased secrets, all for the same services."""
    secrets = [leased(*services, name=name, role=ROLES[name]) for name in names]
    return desired_of(secrets=secrets, rollout=ROLLOUT)


def world_with(
    views: dict[str, GenerationView] | None = None,
    names: tuple[str, ...] = NAMES,
    more: tuple[DockerSecret, ...] = (),
) -> World:
    """Return a world with a generation of each, on which the service is."""
    secrets = [generation_secret(1, name=name, role=ROLES[name]) for name in names]
    services = [service_of("api", *(f"{name}_v1" for name in names))]
    paths = {ROLES[name]: LIVES for name in names}
    return leased_world([*secrets, *more], services, views, lives=paths)


def minted(plan: Plan) -> dict[str, Reason]:
    """Return which secrets a plan makes a generation of, and why."""
    return {mint.secret: mint.reason for mint in actions_of(plan, MintGeneration)}


# --- company -------------------------------------------------------------------------------------


def test_what_is_due_soon_comes_along_with_what_is_due() -> None:
    """A service that has both is rolled once; ``soon`` is one roll's time."""
    views = {"one_v1": old(4100.0), "two_v1": old(3500.0), "three_v1": old(3300.0)}
    plan = plan_of(desired_with("api"), world_with(views))
    assert minted(plan) == {"one": Reason.ROTATION_DUE, "two": Reason.ROTATION_DUE}


def test_what_other_services_have_does_not_come_along() -> None:
    secrets = [
        leased("api", name="one", role=ROLES["one"]),
        leased("web", name="two", role=ROLES["two"]),
    ]
    views = {"one_v1": old(4100.0), "two_v1": old(3900.0)}
    desired = desired_of(secrets=secrets, rollout=ROLLOUT)
    plan = plan_of(desired, world_with(views, ("one", "two")))
    assert minted(plan) == {"one": Reason.ROTATION_DUE}


def test_what_is_paused_does_not_come_along() -> None:
    views = {"one_v1": old(4100.0), "two_v1": old(3900.0)}
    world = world_with(views, ("one", "two"))
    world = replace(world, swarm=replace(world.swarm, pauses={"two": Pause("t")}))
    plan = plan_of(desired_with("api", names=("one", "two")), world)
    assert minted(plan) == {"one": Reason.ROTATION_DUE}


def test_services_wait_for_what_is_made_in_the_same_cycle() -> None:
    """The first of both is there already: it does not go alone."""
    newer = generation_secret(2, name="one", role=ROLES["one"], good=False, age=1.0)
    provisional = generation_secret(2, name="two", role=ROLES["two"], good=False, age=1.0)
    world = world_with({}, ("one", "two"), (newer,))
    desired = desired_with("api", names=("one", "two"))
    assert [len(roll.swaps) for roll in actions_of(plan_of(desired, world), RollService)] == [1]
    views = {"two_v2": seen(life(1.0), custody(1.0, renewed=False))}
    world = world_with(views, ("one", "two"), (newer, provisional))
    assert not actions_of(plan_of(desired, world), RollService)
    world = world_with({}, ("one", "two"), (newer, provisional))
    assert [len(roll.swaps) for roll in actions_of(plan_of(desired, world), RollService)] == [2]


# --- many at once --------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [3, 4])
def test_many_that_vanished_go_in_turn(count: int) -> None:
    """It is Vault's memory that is gone, not somebody's hand: all at once would be an outage."""
    gone = [f"{name}_v1" for name in NAMES[:count]]
    world, memory = world_with(dict.fromkeys(gone, GONE)), vanished_before(*gone)
    plan = plan_of(desired_with("api"), world, memory)
    assert minted(plan) == {"one": Reason.LEASE_VANISHED}
    waiting = [hold.secret for hold in plan.holds if hold.reason == Reason.WAITING_FOR_TURN]
    assert waiting == list(NAMES[1:count])


def test_the_next_one_has_its_turn_once_the_first_is_good() -> None:
    gone = [f"{name}_v1" for name in NAMES]
    for good, then in ((False, {}), (True, {"two": Reason.LEASE_VANISHED})):
        labels = {VANISHED: timestamp(NOW - 60)}
        newer = generation_secret(2, name="one", role=ROLES["one"], good=good, labels=labels)
        world = world_with(dict.fromkeys(gone, GONE), more=(newer,))
        plan = plan_of(desired_with("api"), world, vanished_before(*gone))
        assert minted(plan) == then


def test_two_that_vanished_are_replaced_together() -> None:
    gone = ["one_v1", "two_v1"]
    world = world_with(dict.fromkeys(gone, GONE))
    plan = plan_of(desired_with("api"), world, vanished_before(*gone))
    assert set(minted(plan)) == {"one", "two"}


def test_nothing_is_ended_while_many_are_gone() -> None:
    """I9."""
    newer = generation_secret(2, name="four", role=ROLES["four"])
    views = {f"{name}_v1": GONE for name in NAMES[:3]}
    world = world_with(views, more=(newer,))
    world = replace(
        world,
        swarm=replace(
            world.swarm, services=(service_of("api", "one_v1", "two_v1", "three_v1", "four_v2"),)
        ),
    )
    world = replace(world, swarm=replace(world.swarm, tasks=()))
    memory = vanished_before(*views)
    assert not _retired(plan_of(desired_with("api"), world, memory))
    alive = world.vault.generations["id-four_v1"]
    generations = {**world.vault.generations, "id-one_v1": alive, "id-two_v1": alive}
    calm = replace(world, vault=replace(world.vault, generations=generations))
    assert _retired(plan_of(desired_with("api"), calm, memory)) == {"four_v1"}


def _retired(plan: Plan) -> set[str]:
    steps = actions_of(plan, TendGeneration)
    return {action.docker_name for action in steps if action.step == Tend.RETIRE}


# --- what a cycle tells the next -----------------------------------------------------------------


def test_what_was_not_found_is_remembered_until_it_is_found() -> None:
    desired = desired_with("api", names=("one",))
    gone = world_with({"one_v1": seen(Gone(), at=NOW)}, ("one",))
    memory = remember(desired, Memory(), gone, (), NOW)
    assert memory.vanished == {"id-one_v1": NOW}
    later = world_with({"one_v1": seen(Gone(), at=NOW + 9)}, ("one",))
    assert remember(desired, memory, later, (), NOW).vanished == {"id-one_v1": NOW}
    assert not remember(desired, memory, world_with({}, ("one",)), (), NOW).vanished


# --- hard ends, and what cannot be read ----------------------------------------------------------


def test_services_must_leave_what_is_over_or_ends_soon() -> None:
    desired = desired_with("api", names=("one",))
    cases = [
        (old(4700.0), {}, False),
        (old(4900.0), {}, True),
        (GONE, {}, True),
        (old(100.0), {RETIRING: timestamp(NOW)}, True),
    ]
    for view, labels, urgent in cases:
        secret = generation_secret(1, name="one", role=ROLES["one"], labels=labels)
        world = leased_world([secret], [], {"one_v1": view}, lives={ROLES["one"]: LIVES})
        memory = vanished_before("one_v1") if view is GONE else Memory()
        target = find_target(desired.secrets[0], "default", world, memory, NOW)
        known = Situation(desired, world, memory, NOW)
        [found] = with_leases([target], generations_by_name(known), known)
        assert bool(found.urgent) is urgent


def test_a_role_that_cannot_be_read_holds_what_is_new_and_keeps_what_is_there() -> None:
    """I9."""
    unreadable = Unreadable(Reason.PERMISSION_DENIED, "no")
    views = {"db_v1": seen(life(500.0, 100.0), custody())}
    services = [service_of("api", "db_v1")]
    world = leased_world([generation_secret(1)], services, views, lives=unreadable)
    plan = plan_of(desired_of(secrets=[leased("api", rotate_every=10.0)]), world)
    assert not minted(plan)
    assert tended(plan) == {"db_v1": ["RENEW_LEASE"]}
    assert Reason.PERMISSION_DENIED in {hold.reason for hold in plan.holds}


def test_a_path_that_asks_for_rotations_and_cannot_be_read_is_told() -> None:
    go = KvPath("", "kv", "go")
    for seen_there, told in (
        (Unreadable(Reason.PERMISSION_DENIED, "forbidden"), True),
        (Unreadable(Reason.PATH_MISSING, "nothing"), False),  # nobody has asked yet
        (Unreadable(Reason.VAULT_UNREACHABLE, "away"), False),
    ):
        world = leased_world([generation_secret(1)], lives={ROLE: LIVES, go: seen_there})
        plan = plan_of(desired_of(secrets=[leased("api", rotate_on=go)]), world)
        assert any("rotate_on" in hold.message for hold in plan.holds) is told
        assert not minted(plan)


def test_a_secret_that_moved_to_another_role_gets_a_generation_and_then_ends_the_former() -> None:
    other = DatabaseRole("", "database", "other")
    secret = leased("api", role=other)
    lives = {other: RoleDocument(600.0, 6000.0)}
    first = leased_world([generation_secret(1)], [service_of("api", "db_v1")], lives=lives)
    plan = plan_of(desired_of(secrets=[secret]), first)
    assert minted(plan) == {"db": Reason.NEW_GENERATION}
    assert actions_of(plan, MintGeneration)[0].version == 2
    assert not _retired(plan)
    secrets = [generation_secret(1), generation_secret(2, role=other)]
    moved = leased_world(secrets, [service_of("api", "db_v2")], lives=lives)
    assert _retired(plan_of(desired_of(secrets=[secret]), moved)) == {"db_v1"}


def test_a_hold_on_one_holds_no_other_up() -> None:
    """I8."""
    away = Unknown(Reason.VAULT_UNREACHABLE, "no answer")
    failed = generation_secret(
        2, name="two", role=ROLES["two"], good=False, labels=aside(By.FAILURE, "id-api")
    )
    views = {"one_v1": seen(away, away), "three_v1": old(4500.0)}
    plan = plan_of(desired_with("api"), world_with(views, more=(failed,)))
    assert minted(plan) == {"three": Reason.ROTATION_DUE}


# --- the labels ----------------------------------------------------------------------------------


def test_labels_are_read_as_far_as_they_make_sense() -> None:
    both = {LEASE: "l", ACCESSOR: "a", f"{PREFIX}role": "app"}
    assert Leased.read({}) is None
    assert Leased.read({LEASE: "l", f"{PREFIX}role": "app"}) is None
    assert Leased.read({**both, ACCESSOR: ""}) is None
    assert Leased.read(both) == Leased(role="app", lease="l", accessor="a")
    more = {RETIRING: "t", AT_ONCE: "now", TRIES: "2", VANISHED: "t1,t2"}
    found = Leased.read({**both, **more})
    assert found == Leased(
        role="app",
        lease="l",
        accessor="a",
        retiring="t",
        ended="",
        at_once="now",
        tries=2,
        vanished=("t1", "t2"),
    )
    assert found.over
    damaged = Leased.read({**both, TRIES: "-1"})
    assert damaged is not None
    assert damaged.tries == 1


def test_nothing_of_a_lease_is_shown() -> None:
    """Whoever knows its id may end it."""
    shown = repr(Leased(role="app", lease="lease-1", accessor="accessor-1"))
    assert "lease-1" not in shown
    assert "accessor-1" not in shown


def test_what_cannot_be_made_is_known_to_commands_too() -> None:
    """They are processes of their own, and have seen nothing fail."""
    desired = desired_of(secrets=[leased("api", rotate_every=10.0)])
    services = [service_of("api", "db_v1")]
    world = leased_world([generation_secret(1)], services)
    why = Reason.CUSTODY_REFUSED
    backoff = Backoff(
        tries=1, until=NOW + 9, message="no role", reason=why, passes=False, secrets=("db",)
    )
    failing = Memory(backoffs={"mint db": backoff})
    plan = plan_of(desired, world, failing)
    kept = plan.refusals["db"]
    assert Refusal.read(kept.write()) == kept
    known = replace(world, swarm=replace(world.swarm, refusals={"db": kept}))
    assert plan_of(desired, known, failing).refusals == {"db": kept}
    (condition,) = plan_of(desired, known).conditions
    assert (condition.state, condition.reason) == (State.HELD, Reason.CUSTODY_REFUSED)
    assert condition.message.startswith("no role (since ")
    assert plan_of(desired, known).refusals == {"db": kept}  # it is about to be tried again
    quiet = desired_of(secrets=[leased("api")])
    assert plan_of(quiet, known).refusals == {}
