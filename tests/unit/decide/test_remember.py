"""What one cycle tells the next: how an action that failed is waited for."""

from __future__ import annotations

from bridge.decide.cycle import decide
from bridge.decide.remember import remember
from bridge.model.actions import CreateSecret, RollService
from bridge.model.desired import Rollout
from bridge.model.memory import Memory, Outcome, Result
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.world import World
from tests.support.builders import (
    NOW,
    desired_of,
    document,
    foreign,
    plan_of,
    secret_of,
    service_of,
    world_of,
)

TWO = desired_of("a", "b")


def _two() -> World:
    services = [service_of("a", "db_v1"), service_of("b", "db_v1")]
    return world_of(document(2), [secret_of(1), secret_of(2)], services)


def _rolls(plan: Plan) -> list[str]:
    return [a.service_name for c in plan.chains for a in c if isinstance(a, RollService)]


def _after_roll_of_a(result: Result, reason: Reason = Reason.TRYING_AGAIN) -> Memory:
    world = _two()
    (roll,) = [a for c in plan_of(TWO, world).chains for a in c if isinstance(a, RollService)]
    outcome = Outcome(roll, result, "no answer", reason=reason)
    return remember(TWO, Memory(), world, [outcome], NOW)


def test_an_update_whose_answer_was_lost_keeps_its_place() -> None:
    """I7 and I13: it may yet be carried out, 10 to 16 s after it was sent."""
    memory = _after_roll_of_a(Result.UNKNOWN)
    for second in (0.5, 5, 15):
        assert "b" not in _rolls(decide(TWO, _two(), memory, NOW + second))
    assert _rolls(decide(TWO, _two(), memory, NOW + 5)) == ["a"]


def test_an_update_that_was_refused_frees_its_place() -> None:
    """And waits for somebody: `sync` ends."""
    memory = _after_roll_of_a(Result.FAILED, reason=Reason.SWARM_REFUSED)
    plan = decide(TWO, _two(), memory, NOW + 0.5)
    assert _rolls(plan) == ["b"]
    alone = desired_of("a")
    world = world_of(document(2), [secret_of(1), secret_of(2)], [service_of("a", "db_v1")])
    plan = decide(alone, world, memory, NOW + 0.5)
    assert [(hold.reason, hold.waits) for hold in plan.holds] == [(Reason.SWARM_REFUSED, False)]
    assert plan.finished


def test_a_value_that_may_not_be_read_is_held_with_its_reason() -> None:
    """Not "trying again" for ever, with `sync` waiting for it."""
    world = world_of(document(1))
    (create,) = [a for c in plan_of(TWO, world).chains for a in c if isinstance(a, CreateSecret)]
    for reason, finished in ((Reason.PERMISSION_DENIED, True), (Reason.VAULT_UNREACHABLE, False)):
        outcome = Outcome(create, Result.FAILED, "no", reason=reason)
        memory = remember(TWO, Memory(), world, [outcome], NOW)
        plan = decide(TWO, world, memory, NOW + 0.5)
        assert plan.holds[0].reason == reason
        assert plan.finished == finished


def test_a_note_that_waits_keeps_sync_going() -> None:
    """The mark that a version is good was not written: the plan is not finished."""
    service = service_of("a", "db_v2")
    labels = {"vault-bridge.roll.id-a": '{"at": "t", "done": "t"}'}
    world = world_of(document(2), [secret_of(1), secret_of(2, labels=labels)], [service])
    desired = desired_of("a", rollout=Rollout(bake=0.0))
    plan = plan_of(desired, world)
    (note,) = plan.chains[0]
    memory = remember(desired, Memory(), world, [Outcome(note, Result.UNKNOWN, "no answer")], NOW)
    plan = decide(desired, world, memory, NOW + 0.5)
    assert not plan.chains
    assert not plan.finished


def test_a_fresh_update_is_waited_for_before_the_engine_speaks_of_it() -> None:
    """`UpdateStatus` is absent for some milliseconds, and a way back may leave no record."""
    memory = _after_roll_of_a(Result.DONE)
    service = service_of("a", "db")
    world = world_of(document(0), [foreign("db")], [service])
    for second, finished in ((0.5, False), (5, True)):
        plan = decide(desired_of("a"), world, memory, NOW + second)
        assert not plan.chains
        assert plan.finished == finished


def test_old_rolls_are_forgotten() -> None:
    memory = _after_roll_of_a(Result.DONE)
    assert memory.rolls
    assert not remember(TWO, memory, _two(), (), NOW + 10_000).rolls
