"""I8: what is not understood holds up what it may concern, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.model.actions import Annotate, CreateSecret, RemoveSecret, RollService
from bridge.model.desired import Retain, Rollout
from bridge.model.docker_secret import DockerSecret
from bridge.model.labels import GOOD, ROLL, UNUSED
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.roll_record import RollRecord
from bridge.model.service import Service
from bridge.model.swarm_view import Unread
from bridge.sources.kv.source import KvPath
from tests.support.builders import (
    actions_of,
    desired_of,
    document,
    plan_of,
    secret_of,
    service_of,
    wanted,
    world_of,
)

OTHER = KvPath("", "secret", "apps/other")
PROVED = {GOOD: "t"}
DONE = {f"{ROLL}id-api": RollRecord(before=(), index=9, at="t", done="t").write()}
OPEN = {f"{ROLL}id-api": RollRecord(before=(), index=9, at="t").write()}
OF_GONE = {f"{ROLL}id-gone": RollRecord(before=(), index=9, at="t").write()}
STRANGE = Unread("service", "id-strange", "strange", error="KeyError")


def planned(service: Service, *secrets: DockerSecret, unread: tuple[Unread, ...] = ()) -> Plan:
    """Plan for the versions of ``db`` and one service, beside what is not understood."""
    desired = desired_of("api", rollout=Rollout(bake=0.0), retain=Retain(1, 0.0))
    world = world_of(document(len(secrets)), secrets, [service], unread=unread)
    return plan_of(desired, world)


def concluded(plan: Plan) -> set[str]:
    """Return what a plan concludes from nobody having something."""
    notes = actions_of(plan, Annotate)
    written = {label for note in notes for label in (*note.put, *note.drop)}
    return written | {removal.docker_name for removal in actions_of(plan, RemoveSecret)}


@pytest.mark.parametrize(
    ("on", "labels", "conclusion"),
    [
        ("db_v2", ({}, DONE), GOOD),
        ("db_v2", (PROVED, PROVED), UNUSED),
        ("db_v2", (PROVED | OPEN, {}), f"{ROLL}id-api"),
        ("db_v2", (PROVED | OF_GONE, {}), f"{ROLL}id-gone"),
        ("db_v3", (PROVED, PROVED, PROVED), "db_v1"),
    ],
    ids=["good", "no longer used", "roll that will not go on", "service that is gone", "removal"],
)
@pytest.mark.parametrize("kind", ["service", "task", "secret"])
def test_nothing_follows_from_what_nobody_has(
    on: str, labels: tuple[dict[str, str], ...], conclusion: str, kind: str
) -> None:
    """What is not understood might have it."""
    secrets = [secret_of(n + 1, labels=label) for n, label in enumerate(labels)]
    service = service_of("api", on)
    assert conclusion in concluded(planned(service, *secrets))
    odd = replace(STRANGE, kind=kind)
    assert concluded(planned(service, *secrets, unread=(odd,))) == set()


def test_what_was_no_longer_used_is_not_taken_for_used_again() -> None:
    """Its value may have been retired since."""
    secrets = [secret_of(1, labels=PROVED | {UNUSED: "t"}), secret_of(2, labels=PROVED)]
    plan = planned(service_of("api", "db_v2"), *secrets, unread=(STRANGE,))
    assert concluded(plan) == set()


def test_a_node_uses_nothing() -> None:
    service, secrets = service_of("api", "db_v2"), [secret_of(1), secret_of(2, labels=DONE)]
    node = replace(STRANGE, kind="node")
    plan = planned(service, *secrets, unread=(node,))
    assert GOOD in concluded(plan)
    (hold,) = [hold for hold in plan.holds if hold.reason == Reason.NOT_UNDERSTOOD]
    assert "the node strange (KeyError)" in hold.message
    assert "nothing is removed" not in hold.message


def test_rolls_go_on_beside_what_is_not_understood() -> None:
    plan = planned(service_of("api", "db_v1"), secret_of(1), secret_of(2), unread=(STRANGE,))
    assert [roll.service_name for roll in actions_of(plan, RollService)] == ["api"]
    (hold,) = [hold for hold in plan.holds if hold.reason == Reason.NOT_UNDERSTOOD]
    assert "nothing is removed" in hold.message


def test_a_docker_secret_that_may_be_a_version_holds_its_secret_and_no_other() -> None:
    """It may be the newest one: neither is another made, nor does a service move back."""
    secrets = [wanted("db", "api"), wanted("other", "web", path=OTHER)]
    mirrored = [
        secret_of(n, name=name, path=path)
        for name, path in (("db", wanted("db").source), ("other", OTHER))
        for n in (1, 2)
        if isinstance(path, KvPath)
    ]
    services = [service_of("api", "db_v1"), service_of("web", "other_v1")]
    odd = Unread("secret", "id-odd", "db_v3", error="KeyError")
    paths = {secret.source: document(3) for secret in secrets}
    world = world_of(paths, mirrored, services)
    plan = plan_of(desired_of(secrets=secrets), world)
    assert {create.secret for create in actions_of(plan, CreateSecret)} == {"db", "other"}
    held = plan_of(
        desired_of(secrets=secrets), replace(world, swarm=replace(world.swarm, unread=(odd,)))
    )
    assert {create.secret for create in actions_of(held, CreateSecret)} == {"other"}
    assert "api" not in {roll.service_name for roll in actions_of(held, RollService)}
    assert ("db", Reason.NOT_UNDERSTOOD) in {(hold.secret, hold.reason) for hold in held.holds}


def test_a_service_of_the_configuration_is_named_and_the_others_roll() -> None:
    odd = Unread("service", "id-web", "web", error="TypeError")
    world = world_of(
        document(2), [secret_of(1), secret_of(2)], [service_of("api", "db_v1")], unread=(odd,)
    )
    plan = plan_of(desired_of("api", "web"), world)
    assert [roll.service_name for roll in actions_of(plan, RollService)] == ["api"]
    named = {(hold.secret, hold.service) for hold in plan.holds if hold.service}
    assert ("db", "web") in named
    assert Reason.SERVICE_MISSING not in {hold.reason for hold in plan.holds}


def test_many_are_one_thing_of_which_the_first_are_named() -> None:
    odd = tuple(replace(STRANGE, kind="task", id=f"t{n}", name="") for n in range(5))
    plan = planned(service_of("api", "db_v1"), secret_of(1), unread=odd)
    (hold,) = [hold for hold in plan.holds if hold.reason == Reason.NOT_UNDERSTOOD]
    assert "the task t2 (KeyError) and 2 more" in hold.message
    assert "t3" not in hold.message
