"""Passwords of static roles, which are taken in turn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bridge.decide.cycle import decide
from bridge.decide.remember import remember
from bridge.model.actions import (
    Annotate,
    MintGeneration,
    NoteState,
    RemoveSecret,
    RollService,
    Tend,
    TendGeneration,
)
from bridge.model.desired import Content, Desired, DesiredSecret, FileFields, Format, LeaseRules
from bridge.model.desired import Mapping as ServiceMapping
from bridge.model.docker_secret import DockerSecret
from bridge.model.identity import ONE_LIFE, Identity
from bridge.model.labels import AT_ONCE, ENDED, GOOD, RETIRING, ROLE, labels_of
from bridge.model.leased import StaticDocument, StaticRole
from bridge.model.memory import Memory
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.timestamps import timestamp
from bridge.model.vault_view import KvDocument, KvVersion, Unreadable
from bridge.model.wishes import Do, Wish
from bridge.model.world import World
from bridge.sources.kv.source import KvPath
from bridge.sources.static.source import StaticRoles
from tests.support.builders import NOW, actions_of, desired_of, service_of, world_of

PAIR = StaticRoles("", "database", ("a", "b"))
ALONE = StaticRoles("", "database", ("a",))
YEAR = 365 * 86400.0
DAY = 86400.0


def password(
    number: int, role: str, age: float, *, good: bool = True, **labels: str
) -> DockerSecret:
    """Return the Docker secret of a password that was made some seconds ago."""
    source = ALONE if labels.pop("source", "") else PAIR
    made = labels_of("default", "db", Identity(source, ONE_LIFE, number, timestamp(NOW - age)))
    made |= {ROLE: role} | ({GOOD: timestamp(NOW - age + 10)} if good else {})
    made |= {f"vault-bridge.{key}": value for key, value in labels.items()}
    return DockerSecret(f"id-db_v{number}", f"db_v{number}", NOW - age, made)


def configured(source: StaticRoles = PAIR, **rules: Any) -> Desired:
    """Return one static secret on the service ``api``."""
    content = Content(format=Format.JSON)
    lease = replace(LeaseRules(), **rules)
    mapping = ServiceMapping("api", (FileFields(),))
    secret = DesiredSecret(
        name="db", source=source, content=content, services=(mapping,), lease=lease
    )
    return desired_of(secrets=[secret])


def world(
    ages: dict[str, float],
    *secrets: DockerSecret,
    on: str = "",
    period: float = YEAR,
    **more: Any,
) -> World:
    """Return a world in which each role was rotated some seconds ago."""
    roles = {name: StaticRole(timestamp(NOW - age), period) for name, age in ages.items()}
    source = ALONE if len(ages) == 1 else PAIR
    services = [service_of("api", *([on] if on else []))]
    return world_of({source: StaticDocument(roles)}, secrets, services, **more)


def planned(seen: World, desired: Desired | None = None, now: float = NOW) -> Plan:
    return decide(desired or configured(), seen, Memory(), now)


def mints(plan: Plan) -> list[tuple[str, bool, Reason]]:
    return [(a.role, a.rotate, a.reason) for a in actions_of(plan, MintGeneration)]


def steps(plan: Plan) -> list[Tend]:
    return [action.step for action in actions_of(plan, TendGeneration)]


def test_the_first_one_takes_the_password_that_is_there() -> None:
    plan = planned(world({"a": 1e6, "b": 1e6}))
    assert mints(plan) == [("a", False, Reason.NEW_GENERATION)]


def test_the_idle_role_is_next_and_rotated_first() -> None:
    due = configured(rotate_every=DAY)
    seen = world({"a": 2 * DAY, "b": 3 * DAY}, password(1, "a", 2 * DAY), on="db_v1")
    assert mints(planned(seen, due)) == [("b", True, Reason.ROTATION_DUE)]
    asked = replace(
        seen,
        swarm=replace(seen.swarm, wishes={"db": Wish(do=Do.ROTATE, at="t", why="it leaked", to=1)}),
    )
    (action,) = actions_of(planned(asked), MintGeneration)
    assert (action.role, action.rotate) == ("b", True)
    assert action.why == "an operator asked for it: it leaked"


def test_it_is_rotated_well_before_vault_does_so_by_itself() -> None:
    seen = world({"a": 300 * DAY, "b": DAY}, password(1, "a", 300 * DAY), on="db_v1")
    assert mints(planned(seen)) == [("b", True, Reason.ROTATION_DUE)]
    early = world({"a": 200 * DAY, "b": DAY}, password(1, "a", 200 * DAY), on="db_v1")
    assert mints(planned(early)) == []


def test_the_former_role_is_rotated_after_its_grace_once_nothing_uses_it() -> None:
    ages = {"a": DAY, "b": 100.0}
    old, new = password(1, "a", DAY), password(2, "b", 100.0)
    assert steps(planned(world(ages, old, new, on="db_v2"))) == [Tend.RETIRE]
    assert steps(planned(world(ages, old, new, on="db_v1"))) == []  # it is used yet
    fresh = password(1, "a", DAY, retiring=timestamp(NOW - 10))
    assert steps(planned(world(ages, fresh, new, on="db_v2"))) == []  # the grace of 30 s
    marked = password(1, "a", DAY, retiring=timestamp(NOW - 31))
    assert steps(planned(world(ages, marked, new, on="db_v2"))) == [Tend.ROTATE]
    at_once = password(1, "a", DAY, retiring=timestamp(NOW), at_once="now")
    assert steps(planned(world(ages, at_once, new, on="db_v2"))) == [Tend.ROTATE]
    assert {RETIRING, AT_ONCE} == {"vault-bridge.retiring", "vault-bridge.at_once"}


def test_its_end_is_noted_when_its_role_was_rotated_and_then_it_goes() -> None:
    old = password(1, "a", DAY, retiring=timestamp(NOW - 31))
    plan = planned(world({"a": 1.0, "b": 100.0}, old, password(2, "b", 100.0), on="db_v2"))
    assert [ENDED in note.put for note in actions_of(plan, Annotate)] == [True]
    assert steps(plan) == []
    over = password(1, "a", DAY, retiring=timestamp(NOW - 31), ended=timestamp(NOW))
    plan = planned(world({"a": 1.0, "b": 100.0}, over, password(2, "b", 100.0), on="db_v2"))
    assert [a.docker_name for a in actions_of(plan, RemoveSecret)] == ["db_v1"]


def test_what_vault_rotates_by_itself_is_mirrored_as_it_is() -> None:
    seen = world({"a": 5.0, "b": 100.0}, password(1, "a", DAY), on="db_v1")
    assert mints(planned(seen)) == [("a", False, Reason.LEASE_VANISHED)]


def test_a_role_that_is_alone_is_rotated_while_it_is_used() -> None:
    alone = configured(ALONE)
    old = password(1, "a", DAY, source="alone")
    assert mints(planned(world({"a": DAY}, old, on="db_v1"), alone)) == []
    by_vault = world({"a": 5.0}, old, on="db_v1")
    assert mints(planned(by_vault, alone)) == [("a", False, Reason.ROTATION_DUE)]
    seen = world(
        {"a": DAY}, old, on="db_v1", wishes={"db": Wish(do=Do.ROTATE, at="t", why="", to=1)}
    )
    assert mints(planned(seen, alone)) == [("a", True, Reason.ROTATION_ASKED)]


def test_a_look_from_before_it_was_made_proves_nothing() -> None:
    """Nor does one at a Vault that was restored, but that is told."""
    made = password(2, "b", 100.0, good=False)
    seen = world({"a": DAY, "b": 3 * DAY}, password(1, "a", DAY), made, on="db_v1")
    old = replace(seen, vault=replace(seen.vault, as_of=NOW - 101))
    plan = planned(old)
    assert plan.doubtful
    assert not [hold for hold in plan.holds if hold.reason == Reason.VERSION_WENT_BACK]
    memory = remember(configured(), Memory(), old, (), NOW)
    later = replace(seen, vault=replace(seen.vault, as_of=NOW + 1))
    plan = decide(configured(), later, memory, NOW + 1)
    assert [h.reason for h in plan.holds if not h.waits] == [Reason.VERSION_WENT_BACK] * 2
    assert mints(plan) == []


def test_the_order_of_the_roles_says_nothing_of_who_they_are() -> None:
    turned = replace(PAIR, roles=("b", "a"))
    assert turned == PAIR
    assert hash(turned) == hash(PAIR)
    assert replace(PAIR, roles=("a", "c")) != PAIR


def test_a_password_has_no_lease_to_be_renewed() -> None:
    """Also when most of the time is over after which Vault rotates the role by itself."""
    for age in (DAY, 200 * DAY, 340 * DAY):
        seen = world({"a": age, "b": 360 * DAY}, password(1, "a", age), on="db_v1")
        plan = planned(seen, configured(rotate_before=0.01))
        assert not steps(plan)
        (condition,) = plan.conditions
        (lease,) = condition.leases
        assert (lease.static, lease.role) == (True, "a")
        assert "lease" not in lease.next


def test_a_role_that_is_no_longer_configured_or_cannot_be_read_ends_nothing() -> None:
    """Nothing is known of its password then, and services keep it."""
    new = password(2, "b", 100.0)
    plan = planned(world({"a": DAY, "b": 100.0}, password(1, "c", DAY), new, on="db_v2"))
    assert steps(plan) == []
    (hold,) = plan.holds
    assert (hold.reason, hold.waits) == (Reason.UNMAPPED, False)
    assert "c is not in the configuration" in hold.message
    denied = Unreadable(Reason.PERMISSION_DENIED, "403")
    seen = world_of({PAIR: denied}, [password(1, "a", DAY), new], [service_of("api", "db_v1")])
    plan = planned(seen)
    assert (steps(plan), mints(plan), actions_of(plan, RollService)) == ([], [], [])
    assert [(hold.service, hold.reason) for hold in plan.holds] == [
        ("", Reason.PERMISSION_DENIED),
        ("api", Reason.PERMISSION_DENIED),
    ]


def test_a_password_that_was_there_before_asks_for_no_other_one() -> None:
    """What was written before it was mirrored is no request for the one after it."""
    on = KvPath("", "kv", "go")
    old = replace(password(1, "a", 300 * DAY), created=NOW - 100)
    roles = {name: StaticRole(timestamp(NOW - 300 * DAY), 0.0) for name in PAIR.roles}
    for ago, asked in ((1000.0, False), (50.0, True)):
        go = KvDocument(timestamp(NOW - ago), 1, {1: KvVersion(timestamp(NOW - ago))})
        paths = {PAIR: StaticDocument(roles), on: go}
        seen = world_of(paths, [old], [service_of("api", "db_v1")])
        found = mints(planned(seen, configured(rotate_on=on)))
        assert [reason for _, _, reason in found] == ([Reason.ROTATION_DUE] if asked else [])


def test_a_password_is_made_anew_by_its_role_and_not_by_resync() -> None:
    wish = Wish(do=Do.RESYNC, at="t", shape=Content(format=Format.JSON).shape)
    seen = world({"a": DAY, "b": DAY}, password(1, "a", DAY), on="db_v1", wishes={"db": wish})
    (note,) = actions_of(planned(seen), NoteState)
    refused = Wish.read(note.put["vault-bridge.wish.db"])
    assert refused is not None
    assert "whose end rotates its static role" in refused.refused
