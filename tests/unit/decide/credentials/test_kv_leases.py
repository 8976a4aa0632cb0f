"""Leases that the versions of a KV path hold: others make them, and only they can make another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.model.actions import CreateSecret, MintGeneration, RollService
from bridge.model.desired import Content, Format, KvLease, Rollout
from bridge.model.docker_secret import DockerSecret
from bridge.model.labels import GOOD
from bridge.model.leased import GenerationView, Gone, Unknown, lease_labels
from bridge.model.memory import Memory
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from tests.support.builders import (
    LIVES,
    NOW,
    PATH,
    ROLE,
    actions_of,
    custody,
    desired_of,
    document,
    leased_world,
    life,
    plan_of,
    secret_of,
    seen,
    service_of,
    wanted,
)

HELD = Content(format=Format.JSON, lease=KvLease("lease_id", "accessor", ROLE))
GONE = seen(Gone(), Gone())
SEEN_GONE_BEFORE = Memory(vanished={"id-db_v2": NOW - 5})
FOREIGN = Unknown(Reason.FOREIGN_LEASE, "it is not ours", foreign=True)
TIMEOUT = 600.0


def version(number: int) -> DockerSecret:
    """Return the Docker secret of a version that holds a lease, and is good."""
    lease = lease_labels(f"{ROLE.lease_prefix}{number}", f"accessor-{number}", "shop")
    return secret_of(number, labels={**lease, GOOD: "t"})


def planned(
    view: GenerationView | None = None,
    memory: Memory = Memory(),
    *,
    on: str = "db_v1",
    current: int = 2,
) -> Plan:
    """Plan for two versions, of which the newest one was seen like this."""
    secret = replace(wanted("db", "api"), content=HELD)
    desired = desired_of(secrets=[secret], rollout=Rollout(bake=2.0, timeout=TIMEOUT))
    world = leased_world(
        [version(1), version(2)],
        [service_of("api", on)],
        {"db_v2": view or seen()},
        lives={PATH: document(current), ROLE: LIVES},
    )
    return plan_of(desired, world, memory)


def held(plan: Plan) -> set[Reason]:
    """Return why the secret is held."""
    return {hold.reason for hold in plan.holds if hold.secret == "db"}


def test_services_move_to_a_version_whose_lease_is_alive() -> None:
    plan = planned()
    assert [roll.swaps[0].to_name for roll in actions_of(plan, RollService)] == ["db_v2"]
    assert held(plan) == set()


@pytest.mark.parametrize(
    ("view", "memory", "reason", "words"),
    [
        (GONE, SEEN_GONE_BEFORE, Reason.LEASE_VANISHED, "the lease of db_v2 is over"),
        (GONE, Memory(), Reason.LOOKING_AGAIN, "one more look is to prove it"),
        (seen(life(left=-1.0)), Memory(), Reason.LEASE_VANISHED, "the lease of db_v2 is over"),
        (seen(life(failed="no user")), Memory(), Reason.LEASE_VANISHED, "is over"),
        (seen(FOREIGN), Memory(), Reason.FOREIGN_LEASE, "not ours to touch"),
        (seen(token=custody(foreign=True)), Memory(), Reason.FOREIGN_LEASE, "not ours to touch"),
    ],
    ids=[
        "gone",
        "gone in one look",
        "past its end",
        "failed",
        "lease of others",
        "token of others",
    ],
)
def test_a_version_whose_credential_is_over_or_not_ours_is_told_and_not_rolled_to(
    view: GenerationView, memory: Memory, reason: Reason, words: str
) -> None:
    plan = planned(view, memory)
    assert reason in held(plan)
    assert any(words in hold.message for hold in plan.holds)
    assert actions_of(plan, RollService) == []
    assert actions_of(plan, MintGeneration) == []


def test_whoever_writes_the_path_is_asked_before_the_lease_ends() -> None:
    """Two timeouts before its longest life is over: enough to roll, and to roll back."""
    last = LIVES.max_ttl - 2 * TIMEOUT
    early, late = planned(seen(life(age=last - 60))), planned(seen(life(age=last + 1)))
    assert Reason.LEASE_ENDING not in held(early)
    assert Reason.LEASE_ENDING in held(late)
    assert any("secret/apps/db needs another" in hold.message for hold in late.holds)


def test_the_next_version_is_mirrored_whatever_became_of_the_former_one() -> None:
    plan = planned(GONE, SEEN_GONE_BEFORE, on="db_v2", current=3)
    assert [create.identity.version for create in actions_of(plan, CreateSecret)] == [3]
    assert Reason.LEASE_VANISHED not in held(plan)


def test_a_doubt_is_told_though_no_service_would_move() -> None:
    plan = planned(GONE, on="db_v2")
    assert held(plan) == {Reason.LOOKING_AGAIN}
    assert planned(on="db_v2").holds == ()
