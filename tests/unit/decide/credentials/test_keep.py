"""What does each lease need: to be kept, to be ended, or to be let alone?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from bridge.decide.credentials.end import OVERDUE, TRIED_AGAIN
from bridge.decide.credentials.keep import RENEW_AT
from bridge.decide.remember import remember
from bridge.model.actions import Annotate, RemoveSecret, Tend, TendGeneration
from bridge.model.desired import DesiredSecret, Retain, Rollout
from bridge.model.docker_secret import DockerSecret
from bridge.model.labels import AT_ONCE, ENDED, GOOD, RETIRING, ROLL
from bridge.model.leased import GenerationView, Gone, Unknown
from bridge.model.memory import Memory, Outcome, Result
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.roll_record import RollRecord
from bridge.model.service import Service, Task
from bridge.model.set_aside import By
from bridge.model.timestamps import timestamp
from bridge.model.wishes import Do, Wish
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
    plan_of,
    secret_of,
    seen,
    service_of,
    task_of,
    tended,
    wanted,
)
from tests.unit.decide.credentials.test_stage import GONE, aside, vanished_before

API = leased("api", grace=30.0, overlap_max=1000.0)
AWAY = Unknown(Reason.VAULT_UNREACHABLE, "no answer")
RETIRED = {RETIRING: timestamp(NOW - 5)}
_NONE = document(0)
ENDED_ALREADY = {**RETIRED, ENDED: timestamp(NOW - 1)}


def plan_for(
    secrets: Iterable[DockerSecret],
    services: Iterable[Service],
    views: Mapping[str, GenerationView] | None = None,
    *,
    secret: DesiredSecret = API,
    memory: Memory = Memory(),
    retain: Retain = Retain(1, 0.0),
    **more: Any,
) -> Plan:
    """Plan for the secret ``db``."""
    world = leased_world(secrets, services, views, **more)
    desired = desired_of(secrets=[secret], retain=retain, rollout=Rollout(bake=1e6))
    return plan_of(desired, world, memory)


def marked(plan: Plan, label: str = RETIRING) -> set[str]:
    """Return the Docker secrets that are given a label."""
    found = {note.docker_name for note in actions_of(plan, Annotate) if label in note.put}
    if label == RETIRING:
        tended = actions_of(plan, TendGeneration)
        found |= {action.docker_name for action in tended if action.step == Tend.RETIRE}
    return found


def steps(plan: Plan) -> list[TendGeneration]:
    """Return what ends something."""
    ends = (Tend.SHORTEN, Tend.REVOKE, Tend.RELEASE)
    return [action for action in actions_of(plan, TendGeneration) if action.step in ends]


def next_steps(plan: Plan) -> list[float]:
    """Return when the next thing is done to each generation, oldest first."""
    return [lease.next_at or 0.0 for lease in plan.conditions[0].leases]


ON_TWO = service_of("api", "db_v2")
TWO = (generation_secret(1), generation_secret(2))


# --- what is kept --------------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "renewed"), [(461.0, False), (399.0, True), (10.0, True)])
def test_a_lease_is_renewed_when_two_thirds_of_it_are_left(left: float, renewed: bool) -> None:
    views = {"db_v1": seen(life(600 - left, left), custody())}
    plan = plan_for([generation_secret(1)], [service_of("api", "db_v1")], views)
    assert tended(plan) == ({"db_v1": ["RENEW_LEASE"]} if renewed else {})
    if not renewed:
        assert plan.wake_at is not None
        assert NOW < plan.wake_at <= NOW + left - 600 * RENEW_AT


def test_not_all_leases_are_renewed_at_one_time() -> None:
    wakes = set()
    for number in range(1, 9):
        service = service_of("api", f"db_v{number}")
        wakes.add(plan_for([generation_secret(number)], [service]).wake_at)
    assert len(wakes) > 4


def test_a_lease_is_not_renewed_more_often_than_needed() -> None:
    """However little Vault grants."""
    short = seen(life(10.0, 0.4, granted=0.5, renewed=True), custody())
    plan = plan_for([generation_secret(1)], [service_of("api", "db_v1")], {"db_v1": short})
    assert "RENEW_LEASE" not in tended(plan).get("db_v1", [])


def test_a_lease_at_its_hard_end_is_not_renewed() -> None:
    views = {"db_v1": seen(life(5900.0, 100.0, granted=100.0, renewed=True), custody())}
    plan = plan_for([generation_secret(1)], [service_of("api", "db_v1")], views)
    assert "RENEW_LEASE" not in tended(plan).get("db_v1", [])


def test_a_lease_is_renewed_though_it_was_given_less_than_its_role_gives() -> None:
    """Its role may give more since then; where its mount caps it, asking does no harm."""
    views = {"db_v1": seen(life(1000.0, 40.0, granted=100.0, renewed=True), custody())}
    plan = plan_for([generation_secret(1)], [service_of("api", "db_v1")], views)
    assert tended(plan) == {"db_v1": ["RENEW_LEASE"]}


def test_both_leases_are_kept_while_services_are_between_them() -> None:
    views = {name: seen(life(500.0, 100.0), custody()) for name in ("db_v1", "db_v2")}
    secrets = [generation_secret(1), generation_secret(2, good=False)]
    plan = plan_for(secrets, [service_of("api", "db_v1")], views)
    assert tended(plan) == {"db_v1": ["RENEW_LEASE"], "db_v2": ["RENEW_LEASE"]}
    patience = [action.patience for action in actions_of(plan, TendGeneration)]
    assert patience == [100.0 / 8] * 2


def test_a_periodic_custody_is_renewed_too() -> None:
    token = custody(500.0, period=600.0, ends=NOW + 100, granted=600.0)
    plan = plan_for(
        [generation_secret(1)], [service_of("api", "db_v1")], {"db_v1": seen(life(), token)}
    )
    assert tended(plan) == {"db_v1": ["RENEW_CUSTODY"]}


def test_a_provisional_custody_is_made_permanent_whatever_else_is_wanted() -> None:
    """Also of one that nothing will use: until it is marked it may be needed."""
    views = {"db_v1": seen(life(), custody(renewed=False))}
    paused = plan_for([generation_secret(1)], [service_of("api", "db_v1")], views)
    assert tended(paused) == {"db_v1": ["MAKE_PERMANENT"]}


def test_nothing_is_renewed_that_is_being_ended() -> None:
    secrets = [generation_secret(1, labels=RETIRED), generation_secret(2)]
    views = {"db_v1": seen(life(590.0, 10.0), custody(renewed=False, period=20.0))}
    assert not tended(plan_for(secrets, [ON_TWO], views))


@pytest.mark.parametrize("view", [seen(AWAY, AWAY), seen(life(590.0, 10.0), AWAY), GONE])
def test_nothing_is_done_to_what_is_not_known_to_be_there(view: GenerationView) -> None:
    plan = plan_for([generation_secret(1)], [service_of("api", "db_v1")], {"db_v1": view})
    assert not tended(plan)
    assert not marked(plan)


def test_what_is_not_ours_is_never_touched() -> None:
    foreign = Unknown(Reason.FOREIGN_LEASE, "it is not ours", foreign=True)
    views = {"db_v1": seen(foreign, foreign)}
    used = plan_for(TWO, [ON_TWO, service_of("other", "db_v1")], views)
    assert not tended(used)
    assert Reason.FOREIGN_LEASE in {hold.reason for hold in used.holds}
    plan = plan_for(TWO, [ON_TWO], views)
    assert not tended(plan)
    assert marked(plan, ENDED) == {"db_v1"}  # nothing uses it: its Docker secret may go


# --- what is ended (I4) --------------------------------------------------------------------------


def test_an_unused_lease_is_marked_and_then_shortened_once_the_newer_one_is_good() -> None:
    plan = plan_for(TWO, [ON_TWO])
    assert marked(plan) == {"db_v1"}
    [step] = steps(plan)
    assert (step.step, step.docker_name, step.grace) == (Tend.SHORTEN, "db_v1", 30.0)
    chain = next(c for c in plan.chains if step in c)
    assert [getattr(action, "step", "") for action in chain] == [Tend.RETIRE, Tend.SHORTEN]


_OLD = service_of("old", "db_v1")
_RECORD = RollRecord(
    before=({"SecretID": "id-db_v1", "SecretName": "db_v1", "File": {"Name": "db"}},),
    index=9,
    at="t",
).write()


@pytest.mark.parametrize(
    ("services", "tasks", "labels"),
    [
        ([_OLD], None, {}),
        ([ON_TWO], [task_of(_OLD, "db_v1", desired_state="shutdown")], {}),
        ([ON_TWO], [task_of(_OLD, "db_v1", state="pending")], {}),
        ([ON_TWO], [task_of(_OLD, "db_v1", state="failed")], {}),
        ([ON_TWO], [task_of(_OLD, "db_v1", lost=True, desired_state="shutdown")], {}),
        ([ON_TWO, service_of("other")], None, {f"{ROLL}id-other": _RECORD}),
        ([replace(ON_TWO, torn=True)], None, {}),
    ],
    ids=["spec", "shutting-down", "pending", "to-be-restarted", "ghost", "record", "torn"],
)
def test_no_lease_is_ended_that_something_may_use(
    services: list[Service], tasks: list[Task] | None, labels: dict[str, str]
) -> None:
    """I4."""
    other = DockerSecret("id-x_v1", "x_v1", NOW, {**secret_of(1, name="x").labels, **labels})
    plan = plan_for([*TWO, other], services, tasks=tasks)
    assert not marked(plan)
    assert not steps(plan)


def test_no_lease_is_ended_before_the_newer_one_is_good() -> None:
    """I4: services may yet go back."""
    secrets = [generation_secret(1), generation_secret(2, good=False)]
    plan = plan_for(secrets, [ON_TWO])
    assert not marked(plan)
    vanished = plan_for(TWO, [ON_TWO], {"db_v2": GONE}, memory=vanished_before("db_v2"))
    assert not marked(vanished)


@pytest.mark.parametrize(("ago", "ends"), [(900.0, False), (1100.0, True)])
def test_tasks_on_lost_nodes_keep_a_lease_for_a_while(ago: float, ends: bool) -> None:
    """``overlap_max`` counts from when the newer one was good."""
    newer = generation_secret(2, labels={GOOD: timestamp(NOW - ago)})
    lost = task_of(_OLD, "db_v1", lost=True, desired_state="shutdown")
    tasks = [lost, task_of(ON_TWO, "db_v2")]
    plan = plan_for([generation_secret(1), newer], [ON_TWO], tasks=tasks)
    assert marked(plan) == ({"db_v1"} if ends else set())
    if ends:
        assert [step.absent for step in steps(plan)] == [frozenset({lost.id})]


def test_what_failed_is_ended_at_once_when_nothing_has_it() -> None:
    failed = generation_secret(2, good=False, labels=aside(By.FAILURE, "id-api"))
    secrets = [generation_secret(1), failed]
    plan = plan_for(secrets, [service_of("api", "db_v1")])
    assert [(s.step, s.docker_name) for s in steps(plan)] == [(Tend.REVOKE, "db_v2")]
    assert not steps(plan_for(secrets, [ON_TWO]))


def test_what_was_never_tried_is_ended_when_it_is_passed_over() -> None:
    secrets = [generation_secret(n, good=n == 1) for n in (1, 2, 3)]
    plan = plan_for(secrets, [service_of("api", "db_v1")])
    assert marked(plan) == {"db_v2"}


@pytest.mark.parametrize("how", ["now", "first"])
def test_an_operator_may_want_no_grace(how: str) -> None:
    secrets = [generation_secret(1, labels={AT_ONCE: how}), generation_secret(2)]
    [step] = steps(plan_for(secrets, [ON_TWO]))
    assert (step.step, step.even_used) == (Tend.REVOKE, how == "first")


def test_a_leak_is_ended_though_services_use_it() -> None:
    """``--revoke-first``, the sole exception of I4."""
    wish = Wish(do=Do.ROTATE, at=timestamp(NOW), why="", to=1, at_once=True, first=True)
    services = [service_of("api", "db_v1")]
    first = plan_for([generation_secret(1)], services, wishes={"db": wish})
    assert marked(first) == {"db_v1"}
    assert marked(first, AT_ONCE) == {"db_v1"}
    labels = {AT_ONCE: "first", RETIRING: wish.at}
    [step] = steps(plan_for([generation_secret(1, labels=labels)], services))
    assert (step.step, step.even_used) == (Tend.REVOKE, True)


def test_a_leak_stays_one_whatever_is_wished_later() -> None:
    """Its lease is ended though services use it, until it is over."""
    labels = {AT_ONCE: "first", RETIRING: timestamp(NOW)}
    wish = Wish(do=Do.ROTATE, at=timestamp(NOW), why="", to=1, at_once=True)
    services = [service_of("api", "db_v1")]
    plan = plan_for([generation_secret(1, labels=labels)], services, wishes={"db": wish})
    assert not marked(plan, AT_ONCE)
    assert [step.even_used for step in steps(plan)] == [True]


def test_an_operators_now_does_not_end_what_is_in_use() -> None:
    wish = Wish(do=Do.ROTATE, at=timestamp(NOW), why="", to=1, at_once=True)
    services = [service_of("api", "db_v1")]
    plan = plan_for([generation_secret(1)], services, wishes={"db": wish})
    assert marked(plan, AT_ONCE) == {"db_v1"}
    assert not marked(plan)
    labelled = generation_secret(1, labels={AT_ONCE: "now"})
    assert not steps(plan_for([labelled], services, wishes={"db": wish}))


@pytest.mark.parametrize("wished", [True, False])
def test_what_an_operator_rolls_back_to_is_kept(wished: bool) -> None:
    """Between the wish and the roll nothing uses it."""
    labels = {} if wished else aside(By.OPERATOR)
    secrets = [generation_secret(1), generation_secret(2, labels=labels)]
    wishes = {"db": Wish(do=Do.ROLLBACK, at=timestamp(NOW), why="", to=1)} if wished else {}
    plan = plan_for(secrets, [ON_TWO], wishes=wishes)
    assert not marked(plan)
    assert not steps(plan)


# --- the end of it -------------------------------------------------------------------------------


def retiring(view: GenerationView | None, **more: Any) -> Plan:
    """Plan for a generation that is being ended, and one that is in use."""
    secrets = [generation_secret(1, labels=RETIRED), generation_secret(2)]
    return plan_for(secrets, [ON_TWO], {"db_v1": view} if view else None, **more)


def test_what_was_shortened_is_awaited() -> None:
    plan = retiring(seen(life(100.0, 20.0)))
    assert not tended(plan)
    assert next_steps(plan)[0] == NOW + 20
    assert plan.rolling


def test_what_was_not_shortened_is_shortened_again() -> None:
    """The mark is written first; what came after it may have been lost (I10)."""
    assert [step.step for step in steps(retiring(None))] == [Tend.SHORTEN]


def test_the_custody_goes_after_its_lease_and_both_are_noted_then() -> None:
    plan = retiring(seen(Gone(), custody()))
    assert [step.step for step in steps(plan)] == [Tend.RELEASE]
    assert not marked(plan, ENDED)
    plan = retiring(GONE)
    assert marked(plan, ENDED) == {"db_v1"}
    assert not tended(plan)


@pytest.mark.parametrize(
    ("lease", "goes_on"),
    [
        (life(1000.0, -OVERDUE - 1), True),
        (life(1000.0, -TRIED_AGAIN - 1), False),
        (life(1000.0, 20.0, failed="out of retries"), False),
    ],
)
def test_what_vault_cannot_end_is_told_and_not_tried_again(lease: Any, goes_on: bool) -> None:
    """``sync`` waits for the tries that Vault makes next by itself, and not for all of them."""
    plan = retiring(seen(lease))
    assert not tended(plan)
    assert Reason.REVOCATION_FAILED in {hold.reason for hold in plan.holds}
    assert plan.finished == (not goes_on)


def test_nothing_is_concluded_of_an_end_that_vault_does_not_tell() -> None:
    for view in (seen(AWAY, AWAY), seen(Gone(), AWAY)):
        plan = retiring(view)
        assert not tended(plan)
        assert not marked(plan, ENDED)


def test_what_vanished_is_cleared_up_only_when_it_is_replaced() -> None:
    memory = vanished_before("db_v1")
    gone = {"db_v1": seen(Gone(), custody())}
    used = plan_for([generation_secret(1)], [service_of("api", "db_v1")], gone, memory=memory)
    assert not tended(used)
    secrets = [generation_secret(1), generation_secret(2, good=False)]
    coming = plan_for(secrets, [ON_TWO], gone, memory=memory)
    assert not tended(coming)
    replaced = plan_for(TWO, [ON_TWO], gone, memory=memory)
    assert tended(replaced) == {"db_v1": ["RELEASE"]}
    over = plan_for(TWO, [ON_TWO], {"db_v1": GONE}, memory=memory)
    assert marked(over, ENDED) == {"db_v1"}


# --- Docker secrets ------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [{}, RETIRED, ENDED_ALREADY])
def test_no_docker_secret_goes_before_its_lease_has_ended(labels: dict[str, str]) -> None:
    """Its labels are all that is known of the lease."""
    secrets = [generation_secret(1, labels=labels), generation_secret(2), generation_secret(3)]
    plan = plan_for(secrets, [service_of("api", "db_v3")])
    removed = [removal.docker_name for removal in actions_of(plan, RemoveSecret)]
    assert removed == (["db_v1"] if labels == ENDED_ALREADY else [])


def test_what_is_no_longer_configured_keeps_its_lease_until_it_is_let_go_of() -> None:
    views = {"db_v1": seen(life(500.0, 100.0), custody())}
    other = wanted("key")
    plan = plan_for([generation_secret(1)], [], views, secret=other, lives={other.source: _NONE})
    assert tended(plan) == {"db_v1": ["RENEW_LEASE"]}
    forget = {"db": Wish(do=Do.FORGET, at=timestamp(NOW))}
    plan = plan_for(
        [generation_secret(1)], [], views, secret=other, lives={other.source: _NONE}, wishes=forget
    )
    assert marked(plan) == {"db_v1"}
    assert not actions_of(plan, RemoveSecret)
    used = plan_for(
        *([generation_secret(1)], [service_of("api", "db_v1")], views),
        secret=other,
        lives={other.source: _NONE},
        wishes=forget,
    )
    assert not marked(used)
    ended = plan_for(
        [generation_secret(1, labels=ENDED_ALREADY)],
        [],
        secret=other,
        lives={other.source: _NONE},
        wishes=forget,
    )
    assert [removal.docker_name for removal in actions_of(ended, RemoveSecret)] == ["db_v1"]


def test_an_end_that_is_near_is_waited_for_beside_one_that_is_not() -> None:
    """Whichever is looked at last."""
    secrets = [generation_secret(n, labels=RETIRED) for n in (1, 2)]
    far, near = seen(life(100, 3600), custody()), seen(life(100, 5), custody())
    for first, second in ((far, near), (near, far)):
        views = {"db_v1": first, "db_v2": second}
        secret = leased("api", grace=7200.0)
        on_three = service_of("api", "db_v3")
        plan = plan_for([*secrets, generation_secret(3)], [on_three], views, secret=secret)
        assert plan.rolling


def test_an_end_that_vault_refuses_is_told_with_its_words() -> None:
    """Until it is done the credential may still be valid."""
    desired = desired_of(secrets=[API], retain=Retain(1, 0.0), rollout=Rollout(bake=1e6))
    secrets = [generation_secret(1, labels=RETIRED), generation_secret(2)]
    world = leased_world(secrets, [ON_TWO])
    (shorten,) = steps(plan_of(desired, world))
    for reason, told in ((Reason.PERMISSION_DENIED, True), (Reason.VAULT_UNREACHABLE, False)):
        failed = Outcome(shorten, Result.FAILED, "1 error: permission denied", reason=reason)
        memory = remember(desired, Memory(), world, [failed], NOW)
        holds = plan_of(desired, world, memory, NOW + 0.5).holds
        found = [hold for hold in holds if hold.reason == Reason.REVOCATION_FAILED]
        assert bool(found) == told
        assert all("permission denied" in hold.message for hold in found)
