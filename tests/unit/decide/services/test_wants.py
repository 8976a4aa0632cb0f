"""Which references of a service should move, and to what?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.model.actions import RollService
from bridge.model.desired import FileFields
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.service import Reference
from bridge.model.spec import Swap
from tests.support.builders import (
    desired_of,
    document,
    foreign,
    plan_of,
    reference,
    secret_of,
    service_of,
    wanted,
    world_of,
)


def swaps(plan: Plan) -> tuple[Swap, ...]:
    """Return the swaps of the only roll in a plan."""
    (roll,) = [a for chain in plan.chains for a in chain if isinstance(a, RollService)]
    return roll.swaps


def rolls(plan: Plan) -> list[RollService]:
    """Return all rolls of a plan."""
    return [a for chain in plan.chains for a in chain if isinstance(a, RollService)]


def test_the_first_roll_adds_a_reference() -> None:
    """A mapped service that has nothing yet gets a reference of its own."""
    world = world_of(document(1), [secret_of(1)], [service_of("api")])
    (swap,) = swaps(plan_of(desired_of("api"), world))
    assert (swap.to_name, swap.replaces) == ("db_v1", frozenset())


def test_a_neighbour_whose_name_begins_alike_is_a_stranger() -> None:
    """``db`` beside ``db_vpn``: the reference to ``db_vpn_v1`` stays."""
    vpn = secret_of(1, name="db_vpn")
    service = service_of("api", "db_v1", "db_vpn_v1")
    world = world_of(document(2), [secret_of(1), secret_of(2), vpn], [service])
    (swap,) = swaps(plan_of(desired_of("api"), world))
    assert swap.replaces == {"id-db_v1"}


@pytest.mark.parametrize("name", ["db", "db_v1", "db_v17"])
def test_a_hand_made_secret_under_the_same_target_is_moved_from(name: str) -> None:
    """What people rotated by hand is replaced in place."""
    service = service_of("api", references=(reference(name, "db"),))
    world = world_of(document(20), [secret_of(20), foreign(name)], [service])
    (swap,) = swaps(plan_of(desired_of("api"), world))
    assert swap.replaces == {f"id-{name}"}


@pytest.mark.parametrize("name", ["db_vpn", "db_v1_old", "other", "db_password_v1"])
def test_another_secret_under_the_target_is_in_the_way(name: str) -> None:
    """A stranger's file is never taken over."""
    service = service_of("api", references=(reference(name, "db"),))
    plan = plan_of(
        desired_of("api"), world_of(document(1), [secret_of(1), foreign(name)], [service])
    )
    assert not rolls(plan)
    assert plan.conditions[0].reason == Reason.TARGET_TAKEN


def test_the_short_and_the_long_form_are_one_target() -> None:
    """The engine would take ``/run/secrets/db`` beside ``db``; the container would not."""
    service = service_of(
        "api",
        references=(Reference(secret_id="id-x", secret_name="x", file_name="/run/secrets/db"),),
    )
    plan = plan_of(
        desired_of("api"), world_of(document(1), [secret_of(1), foreign("x")], [service])
    )
    assert plan.conditions[0].reason == Reason.TARGET_TAKEN


def test_a_hand_made_secret_under_another_target_stays_beside() -> None:
    """With a configured target only the reference that has it is moved from."""
    service = service_of("api", references=(reference("db_v1", "db_v1"),))
    desired = desired_of(secrets=[wanted("db", "api", file=FileFields("db"))])
    (swap,) = swaps(
        plan_of(desired, world_of(document(2), [secret_of(2), foreign("db_v1")], [service]))
    )
    assert swap.replaces == frozenset()


def test_a_service_that_refers_to_a_version_without_being_listed_is_rolled_too() -> None:
    """Somebody added the reference in a stack file."""
    world = world_of(document(2), [secret_of(1), secret_of(2)], [service_of("other", "db_v1")])
    assert swaps(plan_of(desired_of(), world))[0].from_name == "db_v1"


def test_another_instance_s_reference_is_left_alone() -> None:
    """Two bridges on one swarm never touch each other's secrets."""
    theirs = secret_of(1, instance="other")
    world = world_of(document(2), [theirs, secret_of(2)], [service_of("api", "db_v1")])
    assert not rolls(plan_of(desired_of(), world))


@pytest.mark.parametrize("file", [FileFields(), FileFields("db")])
@pytest.mark.parametrize("damaged", [False, True])
def test_another_instance_s_secret_is_never_taken_for_hand_made(
    file: FileFields, damaged: bool
) -> None:
    """The labels decide and not the name, also where somebody has damaged them."""
    theirs = secret_of(3, instance="other")
    if damaged:
        theirs = replace(theirs, labels={"vault-bridge.instance": "other"})
    desired = desired_of(secrets=[wanted("db", "api", file=file)])
    world = world_of(document(7), [theirs, secret_of(7)], [service_of("api", "db_v3")])
    plan = plan_of(desired, world)
    assert not rolls(plan)
    ((hold),) = plan.holds
    assert hold.reason == Reason.NOT_OWNED
    assert "db_v3 of " + ("another bridge" if damaged else "the bridge `other`") in hold.message


def test_beside_another_instance_s_secret_another_target_may_be_had() -> None:
    """It is the remedy that the hold names."""
    theirs = secret_of(3, instance="other")
    desired = desired_of(secrets=[wanted("db", "api", file=FileFields("db2"))])
    world = world_of(document(7), [theirs, secret_of(7)], [service_of("api", "db_v3")])
    (swap,) = swaps(plan_of(desired, world))
    assert (swap.replaces, swap.adds) == (frozenset(), (FileFields("db2"),))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("driver", ["", "golang"])
def test_the_end_of_a_template_of_dockers_is_told_before(driver: str, mirrored: bool) -> None:
    """Also before the version is mirrored that takes its place."""
    template = replace(foreign("db"), template_driver="golang")
    secret = wanted("db", "api")
    secret = replace(secret, content=replace(secret.content, template_driver=driver))
    made = [replace(secret_of(1), template_driver=driver)] if mirrored else []
    service = service_of("api", references=(reference("db"),))
    world = world_of(document(1), [template, *made], [service])
    notices = plan_of(desired_of(secrets=[secret]), world).notices
    assert [n.reason for n in notices] == ([] if driver else [Reason.TEMPLATING_ENDS])
