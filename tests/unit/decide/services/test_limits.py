"""A plan that touches more services than it may waits for somebody's word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from bridge.model.actions import NoteState, RollService
from bridge.model.desired import Desired, Rollout
from bridge.model.docker_secret import DockerSecret
from bridge.model.labels import ROLL
from bridge.model.leased import Gone
from bridge.model.memory import Memory
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.service import Service
from bridge.model.swarm_view import SwarmView
from bridge.model.wishes import Approval, read_approvals
from bridge.sources.kv.source import KvPath
from tests.support.builders import (
    NOW,
    created,
    desired_of,
    document,
    generation_secret,
    leased,
    leased_world,
    plan_of,
    secret_of,
    seen,
    service_of,
    wanted,
    world_of,
)

NAMES = ("a", "b", "c")
SECRETS = [secret_of(1, labels={"vault-bridge.good": "t"}), secret_of(2)]


def _limited(most: int, desired: Desired = desired_of(*NAMES)) -> Desired:
    return replace(desired, max_services=most)


def _plan(
    most: int, *more: Service, secrets: Iterable[DockerSecret] = SECRETS, **swarm: Any
) -> Plan:
    services = [service_of(name, "db_v1") for name in NAMES]
    world = world_of(document(2), secrets, [*services, *more], **swarm)
    return plan_of(_limited(most), world)


def _rolled(plan: Plan) -> list[str]:
    return [a.service_name for c in plan.chains for a in c if isinstance(a, RollService)]


def _reasons(plan: Plan) -> set[Reason]:
    return {hold.reason for hold in plan.holds}


def test_too_much_is_held_as_a_whole() -> None:
    plan = _plan(2)
    assert _rolled(plan) == []
    assert [hold.reason for hold in plan.holds] == [Reason.NEEDS_APPROVAL] * 3
    assert "3 services" in plan.holds[0].message


def test_as_much_as_is_allowed_goes_on() -> None:
    plan = _plan(3)
    assert _rolled(plan) == ["a"]
    assert Reason.NEEDS_APPROVAL not in _reasons(plan)


def test_jobs_do_not_count_as_they_are_never_rolled() -> None:
    job = service_of("job", "db_v1", runs_once=True)
    assert _rolled(_plan(3, job)) == ["a"]


def test_a_service_that_is_torn_counts_still() -> None:
    """Else a plan would slip through while services are being written."""
    torn = service_of("d", "db_v1", torn=True)
    assert _rolled(_plan(3, torn)) == []


def test_an_approval_lets_its_version_through_and_no_other() -> None:
    right = {"db": Approval(2, created(2), "t")}
    assert _rolled(_plan(2, approvals=right)) == ["a"]
    for wrong in (Approval(1, created(1), "t"), Approval(2, created(1), "t")):
        plan = _plan(2, approvals={"db": wrong})
        assert _rolled(plan) == []
        assert Reason.NEEDS_APPROVAL in _reasons(plan)


def test_what_has_begun_is_not_stopped_half_way() -> None:
    """However many services are left, and whatever else has changed."""
    done = {f"{ROLL}id-z": '{"at": "t", "done": "t"}'}
    begun = [SECRETS[0], secret_of(2, labels=done)]
    assert _rolled(_plan(2, service_of("z", "db_v2"), secrets=begun)) == ["a"]


def test_what_goes_back_is_not_held() -> None:
    failed = {
        f"vault-bridge.aside.id-{name}": '{"by": "operator", "at": "t", "why": "w"}'
        for name in NAMES
    }
    secrets = [SECRETS[0], secret_of(2, labels=failed)]
    services = [service_of(name, "db_v2") for name in NAMES]
    plan = plan_of(_limited(2), world_of(document(2), secrets, services))
    assert _rolled(plan) == ["a"]


def test_many_secrets_with_a_service_each_are_as_much() -> None:
    """An approval of one of them is for that one."""
    names = [wanted(f"s{n}", f"svc{n}") for n in range(3)]
    mirrors = [secret_of(1, name=f"s{n}") for n in range(3)]
    services = [service_of(f"svc{n}") for n in range(3)]
    desired = _limited(2, desired_of(secrets=names))
    world = world_of(document(1), mirrors, services)
    assert _rolled(plan_of(desired, world)) == []
    view: SwarmView = replace(world.swarm, approvals={"s1": Approval(1, created(1), "t")})
    assert len(_rolled(plan_of(desired, replace(world, swarm=view)))) == 1


@pytest.mark.parametrize(
    ("labels", "over"), [({}, False), ({"vault-bridge.good": "t"}, True)], ids=["needed", "good"]
)
def test_an_approval_is_taken_back_when_it_is_over(labels: dict[str, str], over: bool) -> None:
    secrets = [SECRETS[0], secret_of(2, labels=labels)]
    plan = _plan(2, secrets=secrets, approvals={"db": Approval(2, created(2), "t")})
    notes = [a for c in plan.chains for a in c if isinstance(a, NoteState)]
    assert [list(note.drop) for note in notes] == ([["vault-bridge.approved.db"]] if over else [])
    older = _plan(9, approvals={"db": Approval(1, created(1), "t")})
    assert [a for c in older.chains for a in c if isinstance(a, NoteState)]


def test_a_damaged_approval_approves_nothing() -> None:
    assert read_approvals({"vault-bridge.approved.db": "{"}) == {}
    approval = Approval(2, created(2), "t", "why")
    assert read_approvals({"vault-bridge.approved.db": approval.write()}) == {"db": approval}


def test_what_is_approved_goes_on_beside_what_is_not() -> None:
    """Of one service too: one secret is held, the other moves."""
    other = KvPath("", "secret", "apps/other")
    secrets = [wanted("db", *NAMES), wanted("other", "a", path=other)]
    mirrored = [*SECRETS, *(secret_of(n, name="other", path=other) for n in (1, 2))]
    services = [service_of("a", "db_v1", "other_v1"), *(service_of(n, "db_v1") for n in "bc")]
    approvals = {"other": Approval(2, created(2), "t")}
    world = world_of(
        {secret.source: document(2) for secret in secrets}, mirrored, services, approvals=approvals
    )
    plan = plan_of(_limited(1, desired_of(secrets=secrets)), world)
    (roll,) = [a for c in plan.chains for a in c if isinstance(a, RollService)]
    assert (roll.service_name, [swap.secret for swap in roll.swaps]) == ("a", ["other"])
    assert {h.service for h in plan.holds if h.reason == Reason.NEEDS_APPROVAL} == set(NAMES)


def test_nobody_is_asked_about_what_leaves_a_credential_that_is_over() -> None:
    secrets = [generation_secret(1), generation_secret(2, good=False)]
    services = [service_of(name, "db_v1") for name in NAMES]
    desired = desired_of(secrets=[leased(*NAMES)], rollout=Rollout(bake=2.0))
    for view, held in ((seen(), True), (seen(Gone(), Gone()), False)):
        world = leased_world(secrets, services, {"db_v1": view})
        memory = Memory(vanished={"id-db_v1": NOW - 5})
        plan = plan_of(_limited(1, desired), world, memory)
        assert (Reason.NEEDS_APPROVAL in _reasons(plan)) == held
        assert (_rolled(plan) == []) == held
