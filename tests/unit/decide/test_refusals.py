"""What the bridge meets, as other processes see it: they have seen nothing fail."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.decide.cycle import decide
from bridge.decide.inferred import infer_vault
from bridge.decide.remember import remember
from bridge.model.actions import RollService
from bridge.model.conditions import Condition
from bridge.model.leadership import Holder, read_seen, write_seen
from bridge.model.memory import Memory, Outcome, Result
from bridge.model.plan import Plan
from bridge.model.reasons import Reason, State
from bridge.model.vault_view import EVERYTHING, KvDocument, Seen, Unreadable
from bridge.model.verdicts import Refusal, Verdict
from bridge.model.world import World
from bridge.sources.kv.source import KvPath
from tests.support.builders import (
    NOW,
    actions_of,
    desired_of,
    document,
    identity,
    plan_of,
    secret_of,
    service_of,
    wanted,
    world_of,
)

ONE = desired_of("api")
AWAY = Unreadable(Reason.VAULT_UNREACHABLE, "no answer", everywhere=True, retry_after=3.0)


def _rolling() -> World:
    return world_of(document(2), [secret_of(1), secret_of(2)], [service_of("api", "db_v1")])


def _known(world: World, plan: Plan) -> World:
    return replace(world, swarm=replace(world.swarm, refusals=plan.refusals))


def _seen_by_others(plan: Plan) -> Condition:
    (condition,) = plan.conditions
    return condition


def test_an_update_that_the_engine_refuses_is_known_after_its_first_time() -> None:
    world = _rolling()
    (roll,) = actions_of(plan_of(ONE, world), RollService)
    refused = Outcome(roll, Result.FAILED, "conflicting target", reason=Reason.SWARM_REFUSED)
    memory = remember(ONE, Memory(), world, [refused], NOW)
    plan = decide(ONE, world, memory, NOW + 0.5)
    assert set(plan.refusals) == {"db"}
    assert not plan.chains
    others = plan_of(ONE, _known(world, plan))
    condition = _seen_by_others(others)
    assert (condition.state, condition.reason) == (State.HELD, Reason.SWARM_REFUSED)
    assert condition.message.startswith("conflicting target (since ")
    (service,) = condition.services
    assert (service.state, service.message) == (State.HELD, "conflicting target")
    assert [(hold.secret, hold.reason) for hold in others.holds] == [("db", Reason.SWARM_REFUSED)]


def test_a_trouble_stays_while_it_is_tried_again_and_keeps_its_time() -> None:
    world = _rolling()
    (roll,) = actions_of(plan_of(ONE, world), RollService)
    refused = Outcome(roll, Result.FAILED, "no", reason=Reason.SWARM_REFUSED)
    memory = remember(ONE, Memory(), world, [refused], NOW)
    first = decide(ONE, world, memory, NOW + 0.5)
    known = _known(world, first)
    again = decide(ONE, known, memory, NOW + 100)  # its time has come
    assert actions_of(again, RollService)
    assert again.refusals == first.refusals
    assert plan_of(ONE, known).refusals == first.refusals  # a leader that knows of no failure yet
    memory = remember(ONE, memory, known, [Outcome(roll, Result.DONE)], NOW + 100)
    rolled = world_of(document(2), [secret_of(1), secret_of(2)], [service_of("api", "db_v2")])
    known = replace(rolled, swarm=replace(rolled.swarm, refusals=first.refusals))
    assert decide(ONE, known, memory, NOW + 101).refusals == {}


def test_what_passes_by_itself_is_no_trouble() -> None:
    world = _rolling()
    (roll,) = actions_of(plan_of(ONE, world), RollService)
    for outcome in (
        Outcome(roll, Result.MOVED, "changed"),
        Outcome(roll, Result.UNKNOWN, "no answer"),
        Outcome(roll, Result.FAILED, "away", reason=Reason.VAULT_UNREACHABLE),
    ):
        memory = remember(ONE, Memory(), world, [outcome], NOW)
        assert decide(ONE, world, memory, NOW + 0.5).refusals == {}


def test_the_services_of_one_secret_that_are_refused_are_all_named() -> None:
    two = desired_of("api", "web", rollout=replace(ONE.rollout, max_in_flight=2))
    services = [service_of("api", "db_v1"), service_of("web", "db_v1")]
    world = world_of(document(2), [secret_of(1), secret_of(2)], services)
    rolls = actions_of(plan_of(two, world), RollService)
    refused = [Outcome(r, Result.FAILED, "no", reason=Reason.SWARM_REFUSED) for r in rolls]
    plan = decide(two, world, remember(two, Memory(), world, refused, NOW), NOW + 0.5)
    assert plan.refusals["db"].services == ("api", "web")


def test_a_damaged_label_is_no_trouble() -> None:
    for text in ("", "[]", '{"reason": "NoSuchReason", "message": "", "at": ""}', '"x"'):
        assert Refusal.read(text) is None


# --- Vault as the leader sees it -----------------------------------------------------------------


def _inferred(world: World, seen: Seen | None = None) -> Plan:
    """Decide as a command does that does not ask Vault."""
    vault = infer_vault(ONE, world.swarm, NOW, seen)
    return decide(ONE, World(vault, world.swarm), Memory(), NOW)


@pytest.mark.parametrize(
    "seen",
    [
        Unreadable(Reason.PATH_MISSING, "there is no secret at apps/db"),
        Unreadable(Reason.PERMISSION_DENIED, "we may not read it"),
        AWAY,
        document(0),
        document(2, destroyed=True),
        document(2, deletion_time=NOW - 1),
        document(1),  # older than what is mirrored
    ],
)
def test_what_the_leader_cannot_use_is_known_without_a_look_at_vault(
    seen: KvDocument | Unreadable,
) -> None:
    settled = [service_of("api", "db_v2")]
    world = world_of(seen, [secret_of(1), secret_of(2)], settled)
    # A second look, where one look proves too little.
    memory = remember(ONE, Memory(), world, (), NOW)
    later = replace(world, vault=replace(world.vault, as_of=NOW + 1))
    leader = decide(ONE, later, memory, NOW + 1)
    told = read_seen(write_seen(leader.seen))
    condition = _seen_by_others(_inferred(world, told))
    expected = _seen_by_others(leader)
    assert (condition.state, condition.reason) == (expected.state, expected.reason)
    assert condition.services == expected.services
    assert not _inferred(world, told).chains


def test_vault_away_is_one_entry_that_does_not_change_from_look_to_look() -> None:
    paths = {KvPath("", "secret", name): AWAY for name in ("a", "b")}
    secrets = [wanted(path.path, "api", path=path) for path in paths]
    desired = desired_of(secrets=secrets)
    world = world_of(paths)
    planned = [
        decide(desired, replace(world, vault=replace(world.vault, again=at)), Memory(), NOW)
        for at in (NOW + 5, NOW + 9)
    ]
    assert set(planned[0].seen) == {EVERYTHING}
    assert write_seen(planned[0].seen) == write_seen(planned[1].seen)


def test_what_is_well_is_well_without_a_look_at_vault() -> None:
    world = world_of(document(2), [secret_of(1), secret_of(2)], [service_of("api", "db_v2")])
    assert plan_of(ONE, world).seen == {}
    condition = _seen_by_others(_inferred(world, {}))
    assert (condition.vault_version, condition.running_version) == (2, 2)
    assert condition == _seen_by_others(plan_of(ONE, world))


def test_content_that_was_refused_is_known_without_a_look_at_vault() -> None:
    shape = ONE.secrets[0].content.shape
    verdict = Verdict(identity(2), shape, Reason.FIELD_MISSING, "there is no field password")
    world = world_of(document(2), [secret_of(1)], [service_of("api", "db_v1")])
    world = replace(world, swarm=replace(world.swarm, verdicts={"db": verdict}))
    condition = _seen_by_others(_inferred(world, {}))
    assert (condition.reason, condition.vault_version) == (Reason.FIELD_MISSING, 2)


def test_a_first_version_that_is_refused_is_known_without_a_look_at_vault() -> None:
    world = world_of(document(1), [], [service_of("api")])
    trouble = Refusal(Reason.SWARM_REFUSED, "no", "2026-11-25T00:00:00Z")
    world = replace(world, swarm=replace(world.swarm, refusals={"db": trouble}))
    assert _seen_by_others(_inferred(world, {})).reason == Reason.SWARM_REFUSED
    world = replace(world, swarm=replace(world.swarm, refusals={}))
    assert _seen_by_others(_inferred(world, {})).reason == Reason.NO_VERSION


def test_of_very_many_only_the_first_is_named() -> None:
    missing = Unreadable(Reason.PATH_MISSING, "there is none")
    paths = {KvPath("", "secret", f"p{n}"): missing for n in range(201)}
    desired = desired_of(secrets=[wanted(path.path, path=path) for path in paths])
    seen = plan_of(desired, world_of(paths)).seen
    assert set(seen) == {EVERYTHING}


def test_damaged_heartbeats_are_read_as_far_as_they_make_sense() -> None:
    assert read_seen("") == {}
    assert read_seen("[1]") == {}
    assert read_seen('{"db": ["NoSuchReason", "", false]}') == {}
    assert Holder.read({}) is None
