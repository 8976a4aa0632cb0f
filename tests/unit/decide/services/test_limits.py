"""A plan that touches more services than it may waits for somebody's word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from bridge.model.actions import NoteState, RollService
from bridge.model.desired import Desired
from bridge.model.docker_secret import DockerSecret
from bridge.model.labels import ROLL
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.service import Service
from bridge.model.swarm_view import SwarmView
from bridge.model.wishes import Approval, read_approvals
from tests.support.builders import (
    created,
    desired_of,
    document,
    plan_of,
    secret_of,
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
