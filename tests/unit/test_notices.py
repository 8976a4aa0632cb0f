"""Who is told what, and when: one message for each change and cause, and none of it twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from bridge.model.actions import Annotate
from bridge.model.conditions import Condition, Hold, LeaseCondition, ServiceCondition
from bridge.model.cycle_report import CycleReport
from bridge.model.labels import GOOD
from bridge.model.memory import Outcome, Result
from bridge.model.mirror import Mirror
from bridge.model.notification import Message, Receiver, Topic
from bridge.model.plan import Plan
from bridge.model.reasons import Reason, State
from bridge.model.world import World
from bridge.report.notices import KNOWS_NOTHING, messages_of
from bridge.report.troubles import facts_of
from tests.support.builders import (
    NOW,
    ROLE,
    document,
    generation_secret,
    leased_world,
    life,
    minted,
    secret_of,
    seen,
    service_of,
    world_of,
)

EVERYTHING = Receiver(url_file="/url", held_after=60.0, min_interval=300.0)
NOWHERE = world_of(document(0))
FINE = Plan(chains=(), holds=(), conditions=())


def condition(
    name: str = "db", *services: ServiceCondition, state: State = State.SYNCED, **fields: object
) -> Condition:
    base = Condition(
        name=name,
        state=state,
        reason=Reason.UP_TO_DATE,
        message="",
        vault_version=2,
        running_version=2,
        versions=(1, 2),
        services=services,
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def held(reason: Reason, *names: str, service: str = "") -> Plan:
    holds = tuple(
        Hold(secret=n, reason=reason, message=f"why {reason}", service=service) for n in names
    )
    return replace(FINE, holds=holds, conditions=tuple(condition(name) for name in names))


def failed(
    *names: str, reason: Reason = Reason.ROLL_FAILED, versions: tuple[int, ...] = (1, 2)
) -> Plan:
    conditions = (
        condition(
            name,
            ServiceCondition(
                name="api",
                version=1,
                state=State.DEGRADED,
                reason=reason,
                message=f"{name}_v2 failed",
            ),
            state=State.DEGRADED,
            versions=versions,
        )
        for name in names
    )
    return replace(FINE, conditions=tuple(conditions))


class Watched:
    """One receiver that follows cycles; the bridge leads and all is well from the start."""

    def __init__(self, receiver: Receiver = EVERYTHING, *, begun: bool = True) -> None:
        self.receiver = receiver
        self.state = KNOWS_NOTHING
        if begun:
            assert self.after(0, FINE) == []

    def after(
        self,
        seconds: float,
        plan: Plan | None,
        *,
        world: World = NOWHERE,
        outcomes: Iterable[Outcome] = (),
        trouble: str = "",
        leader: str = "",
    ) -> list[Message]:
        """Return the messages of a cycle that ends so many seconds after the start."""
        report = CycleReport(
            at=NOW + seconds,
            took=0.1,
            leader=leader,
            trouble=trouble,
            world=world if plan else None,
            plan=plan,
            outcomes=tuple(outcomes),
        )
        messages, self.state = messages_of(self.receiver, self.state, facts_of(report, "default"))
        return list(messages)


def titles(messages: Iterable[Message]) -> list[str]:
    return [message.title.removesuffix(" [vault-bridge default]") for message in messages]


FIFTY = [f"s{number:02}" for number in range(50)]


def test_fifty_secrets_that_a_sealed_vault_holds_are_one_message() -> None:
    """And one when all are back, though the bridge learns of each at another time."""
    watched = Watched()
    for count in (1, 20, 50):
        assert watched.after(count, held(Reason.VAULT_UNREACHABLE, *FIFTY[:count])) == []
    (message,) = watched.after(61, held(Reason.VAULT_UNREACHABLE, *FIFTY[:49]))
    assert message.event == Topic.HELD
    assert titles([message]) == ["Held: 49 secrets (VaultUnreachable)"]
    assert message.body.splitlines()[:2] == [
        "why VaultUnreachable",
        "s00, s01, s02, s03, s04, s05, s06, s07, s08, s09, and 39 more",
    ]
    for later in (62, 500, 5000):
        assert watched.after(later, held(Reason.VAULT_UNREACHABLE, *FIFTY)) == []
    for at, count in ((5001, 30), (5400, 1)):
        assert watched.after(at, held(Reason.VAULT_UNREACHABLE, *FIFTY[:count])) == []
    (message,) = watched.after(5401, FINE)
    assert titles([message]) == ["Recovered: 50 secrets (VaultUnreachable)"]
    assert watched.after(5402, FINE) == []


def test_what_is_held_for_a_moment_is_not_told_and_so_not_recovered() -> None:
    watched = Watched()
    assert watched.after(1, held(Reason.VAULT_UNREACHABLE, "db")) == []
    assert watched.after(50, FINE) == []
    assert watched.after(51, held(Reason.VAULT_UNREACHABLE, "db")) == []
    assert watched.after(110, held(Reason.VAULT_UNREACHABLE, "db")) == []
    assert titles(watched.after(111, held(Reason.VAULT_UNREACHABLE, "db"))) == [
        "Held: db (VaultUnreachable)"
    ]


def test_much_that_is_gone_at_once_is_one_cause() -> None:
    watched = Watched()
    many = Hold(secret="", reason=Reason.MANY_MISSING, message="2 of 3 are gone")
    plan = held(Reason.PATH_MISSING, "a", "b")
    plan = replace(plan, holds=(many, *plan.holds))
    assert watched.after(1, plan) == []
    (message,) = watched.after(61, plan)
    assert titles([message]) == ["Held: all secrets (ManyMissing)"]
    assert message.body.splitlines()[:2] == ["all secrets: 2 of 3 are gone", "a: why PathMissing"]
    assert watched.after(62, replace(plan, holds=plan.holds[:2])) == []
    assert titles(watched.after(63, FINE)) == ["Recovered: all secrets (ManyMissing)"]


def test_what_waits_by_itself_is_not_told() -> None:
    watched = Watched()
    waits = Hold(secret="db", reason=Reason.SETTLING, message="", waits=True)
    for at in (1, 1000):
        assert watched.after(at, replace(FINE, holds=(waits,))) == []


def test_a_failed_roll_is_told_at_once_and_once_also_while_it_goes_back() -> None:
    watched = Watched()
    (message,) = watched.after(1, failed("db"))
    assert titles([message]) == ["Roll failed: db (RollFailed)"]
    assert message.body.startswith("db on api: db_v2 failed\n")
    back = replace(FINE, conditions=(condition(state=State.ROLLING),))
    for at, plan in ((2, back), (3, failed("db")), (1000, failed("db")), (1001, back)):
        assert watched.after(at, plan) == []
    assert titles(watched.after(1002, replace(FINE, conditions=(condition(),)))) == [
        "Recovered: db (RollFailed)"
    ]


def test_a_newer_version_that_fails_too_is_another_change() -> None:
    watched = Watched()
    assert len(watched.after(1, failed("db"))) == 1
    assert titles(watched.after(400, failed("db", versions=(1, 2, 3)))) == [
        "Roll failed: db (RollFailed)"
    ]


def test_what_follows_of_one_failure_for_other_services_is_not_told_besides() -> None:
    watched = Watched()
    elsewhere = Hold(
        secret="db", reason=Reason.FAILED_ELSEWHERE, message="not begun", service="worker"
    )
    aside = Hold(secret="db", reason=Reason.ROLL_FAILED, message="failed", service="api")
    plan = replace(failed("db"), holds=(elsewhere, aside))
    assert len(watched.after(1, plan)) == 1
    assert watched.after(1000, plan) == []


def test_what_comes_meanwhile_is_in_one_message_after_the_interval() -> None:
    watched = Watched()
    assert titles(watched.after(1, failed("a"))) == ["Roll failed: a (RollFailed)"]
    assert watched.after(2, failed("a", "b")) == []
    assert watched.after(100, failed("a", "b", "c")) == []
    (message,) = watched.after(301, failed("a", "b", "c"))
    assert titles([message]) == ["Roll failed: 2 secrets (RollFailed)"]
    assert "a on api" not in message.body
    # Of three, two recover together; the third goes on.
    assert watched.after(302, failed("c")) == []
    assert titles(watched.after(602, failed("c"))) == ["Recovered: 2 secrets (RollFailed)"]
    assert titles(watched.after(603, FINE)) == ["Recovered: c (RollFailed)"]


def test_another_cause_is_told_and_is_no_recovery() -> None:
    """A path that may not be read is no better off while Vault is sealed."""
    watched = Watched()
    denied, sealed = held(Reason.PERMISSION_DENIED, "db"), held(Reason.VAULT_UNREACHABLE, "db")
    assert watched.after(1, denied) == []
    assert titles(watched.after(61, denied)) == ["Held: db (PermissionDenied)"]
    assert watched.after(62, sealed) == []
    assert titles(watched.after(122, sealed)) == ["Held: db (VaultUnreachable)"]
    for at in (123, 1000):
        assert watched.after(at, denied) == []
    (message,) = watched.after(1001, FINE)
    assert titles([message]) == ["Recovered: db (PermissionDenied, VaultUnreachable)"]


def test_after_a_restart_nothing_is_told_again_until_it_lasts() -> None:
    watched = Watched(begun=False)
    assert watched.after(0, failed("db")) == []
    assert watched.after(59, failed("db")) == []
    (message,) = watched.after(60, failed("db"))
    assert titles([message]) == ["Roll failed: db (RollFailed)"]
    brief = Watched(begun=False)
    assert brief.after(0, failed("db")) == []
    assert brief.after(30, FINE) == []
    assert titles(brief.after(31, failed("other"))) == ["Roll failed: other (RollFailed)"]


def test_only_the_bridge_that_leads_tells_and_it_begins_anew() -> None:
    watched = Watched()
    assert watched.after(1, failed("db"), leader="other") == []
    assert watched.after(2, failed("db")) == []
    assert watched.after(61, failed("db")) == []
    assert len(watched.after(62, failed("db"))) == 1


def test_a_swarm_that_does_not_answer_is_told_and_hides_nothing() -> None:
    watched = Watched()
    assert len(watched.after(1, failed("db"))) == 1
    assert watched.after(2, None, trouble="no manager answers") == []
    (message,) = watched.after(62, None, trouble="no manager answers")
    assert titles([message]) == ["Held: all secrets (SwarmUnreachable)"]
    assert "no manager answers" in message.body
    assert titles(watched.after(70, failed("db"))) == ["Recovered: all secrets (SwarmUnreachable)"]
    standby = Watched(begun=False)
    for at in (0, 1000):
        assert standby.after(at, None, trouble="no manager answers") == []


def test_what_is_overdue_is_told_and_is_over_with_a_rotation() -> None:
    watched = Watched()
    old = condition(overdue=True, reason=Reason.OVERDUE, message="v1 in use is of 2026")
    (message,) = watched.after(1, replace(FINE, conditions=(old,)))
    assert titles([message]) == ["Overdue for rotation: db (Overdue)"]
    assert "v1 in use is of 2026" in message.body
    rolling = condition(overdue=False, state=State.ROLLING)
    assert watched.after(2, replace(FINE, conditions=(rolling,))) == []
    assert titles(watched.after(3, replace(FINE, conditions=(condition(),)))) == [
        "Recovered: db (Overdue)"
    ]


def _good(version: int, secret: str = "db") -> Outcome:
    mirror = Mirror.read(secret_of(version, name=secret))
    assert mirror
    action = Annotate.on(mirror, reason=Reason.CONVERGED, why="", put={GOOD: "now"})
    return Outcome(action, Result.DONE)


def test_rotations_are_told_and_the_first_version_is_none() -> None:
    watched = Watched()
    first, second = secret_of(1, labels={GOOD: "t"}), secret_of(2)
    other = secret_of(1, name="other", labels={GOOD: "t"}), secret_of(2, name="other")
    world = world_of(document(2), [first, second, *other])
    assert (
        watched.after(1, FINE, world=world_of(document(1), [secret_of(1)]), outcomes=[_good(1)])
        == []
    )
    (message,) = watched.after(2, FINE, world=world, outcomes=[_good(2)])
    assert titles([message]) == ["Rotated: db"]
    assert message.body.startswith("db: v1 was replaced by v2\n")
    for _ in range(2):
        assert watched.after(3, FINE, world=world, outcomes=[_good(2, "other"), _good(2)]) == []
    (message,) = watched.after(302, FINE)
    assert titles([message]) == ["Rotated: 2 secrets"]


def test_a_lease_in_use_that_nobody_renews_is_in_danger() -> None:
    """Long before it ends; and its id and accessor are told to nobody."""
    watched = Watched()
    secret, api = generation_secret(1), service_of("api", "db_v1")
    lease = LeaseCondition(
        version=1, lease_ends=NOW + 100, custody_ends=None, hard_end=None, next=""
    )
    plan = replace(held(Reason.VAULT_UNREACHABLE, "db"), conditions=(condition(leases=(lease,)),))
    for left, count in ((300.0, 0), (199.0, 1), (100.0, 0)):
        views = {"db_v1": seen(life(age=600.0 - left, left=left))}
        messages = watched.after(0, plan, world=leased_world([secret], [api], views))
        assert len(messages) == count
        for message in messages:
            assert titles([message]) == ["Lease in danger: db (LeaseEnding)"]
            assert "accessor-" not in repr(message)
            assert ROLE.lease_prefix not in repr(message)


def test_a_lease_that_vanished_is_told() -> None:
    watched = Watched()
    action = minted(Reason.LEASE_VANISHED, "the lease of db_v1 is gone")
    (message,) = watched.after(1, FINE, outcomes=[Outcome(action, Result.DONE)])
    assert titles([message]) == ["Lease in danger: db (LeaseVanished)"]
    assert watched.after(2, FINE) == []


@pytest.mark.parametrize(
    ("receiver", "count"),
    [
        (EVERYTHING, 2),
        (replace(EVERYTHING, events=(Topic.FAILED,)), 1),
        (replace(EVERYTHING, events=(Topic.RECOVERED,)), 0),
        (replace(EVERYTHING, secrets=("d*",)), 2),
        (replace(EVERYTHING, secrets=("x*", "y")), 0),
    ],
)
def test_each_receiver_is_told_what_it_wants(receiver: Receiver, count: int) -> None:
    watched = Watched(receiver)
    told = [*watched.after(1, failed("db")), *watched.after(2, FINE)]
    assert len(told) == count


def test_what_concerns_all_secrets_is_told_to_everybody() -> None:
    watched = Watched(replace(EVERYTHING, secrets=("x*",)))
    plan = held(Reason.STATE_LOST, "")
    assert watched.after(1, replace(plan, conditions=())) == []
    assert titles(watched.after(61, replace(plan, conditions=()))) == [
        "Held: all secrets (StateLost)"
    ]


def test_a_clock_that_is_set_back_delays_no_message() -> None:
    day = 86400.0
    watched = Watched()
    assert titles(watched.after(10, failed("a"))) == ["Roll failed: a (RollFailed)"]
    both = replace(failed("a", "b"), holds=held(Reason.PAUSED, "c").holds)
    watched.after(11, both)
    assert watched.after(12 - day, both) == []
    assert len(watched.after(80 - day, both)) == 1  # what is held, a minute later
    assert titles(watched.after(312 - day, both)) == ["Roll failed: b (RollFailed)"]
