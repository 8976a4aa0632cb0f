"""What one cycle tells the next: how an action that failed is waited for."""

from __future__ import annotations

from dataclasses import replace

from bridge.decide.cycle import decide
from bridge.decide.remember import remember
from bridge.model.actions import CreateSecret, NoteState, RollService, Tend, TendGeneration
from bridge.model.desired import Rollout
from bridge.model.labels import GOOD, REFUSED, ROLL
from bridge.model.memory import Memory, Outcome, Result
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.roll_record import RollRecord
from bridge.model.service import UpdateState
from bridge.model.verdicts import Verdict
from bridge.model.world import World
from tests.support.builders import (
    NOW,
    actions_of,
    desired_of,
    document,
    foreign,
    generation_secret,
    identity,
    leased,
    leased_world,
    life,
    plan_of,
    secret_of,
    seen,
    service_of,
    task_of,
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


def test_content_that_is_refused_is_kept_in_the_swarm_and_not_made_again() -> None:
    """A fresh process knows it then, without asking Vault for a value that it cannot use."""
    world = world_of(document(1), [], [service_of("a")])
    (create,) = actions_of(plan_of(TWO, world), CreateSecret)
    verdict = Verdict(identity(1), create.content.shape, Reason.FIELD_MISSING, "no field password")
    refused = Outcome(create, Result.REFUSED, "refused", verdict)
    memory = remember(TWO, Memory(), world, [refused], NOW)
    plan = decide(TWO, world, memory, NOW + 1)
    (note,) = actions_of(plan, NoteState)
    assert note.put == {f"{REFUSED}db": verdict.write()}
    assert actions_of(plan, CreateSecret) == []
    assert (Reason.FIELD_MISSING, False) in {(hold.reason, hold.waits) for hold in plan.holds}
    kept = replace(world, swarm=replace(world.swarm, verdicts={"db": verdict}))
    for known in (memory, Memory()):
        plan = decide(TWO, kept, known, NOW + 1)
        assert actions_of(plan, NoteState) == []
        assert actions_of(plan, CreateSecret) == []


def test_a_renewal_is_tried_again_well_before_the_lease_ends() -> None:
    """However often it failed; other actions wait up to five minutes."""
    desired = desired_of(secrets=[leased("api")])
    view = seen(life(age=560.0, left=40.0))
    world = leased_world([generation_secret(1)], [service_of("api", "db_v1")], {"db_v1": view})
    memory = Memory()
    (renewal,) = actions_of(decide(desired, world, memory, NOW), TendGeneration)
    assert renewal.step == Tend.RENEW_LEASE
    for _ in range(8):
        failed = Outcome(renewal, Result.FAILED, "no answer", reason=Reason.VAULT_UNREACHABLE)
        memory = remember(desired, memory, world, [failed], NOW)
    (backoff,) = memory.backoffs.values()
    assert (backoff.tries, backoff.until) == (8, NOW + 5.0)


def test_nodes_that_were_lost_are_known_until_a_rollback_is_judged() -> None:
    """Swarm names the task that made it roll back; that its node was down is seen before only."""
    desired, opened = desired_of("a"), RollRecord(before=(), index=9, at="t").write()
    good = secret_of(1, labels={GOOD: "t"})
    secrets = [good, secret_of(2, labels={f"{ROLL}id-a": opened})]
    rolled = service_of("a", "db_v2", update=UpdateState.UPDATING)
    lost = task_of(rolled, "db_v2", lost=True)
    memory = remember(desired, Memory(), world_of(document(2), secrets, [rolled], [lost]), (), NOW)
    assert memory.watches["id-a"].lost == {lost.id}
    back = service_of("a", "db_v1", update=UpdateState.ROLLBACK_COMPLETED)
    judged = remember(desired, memory, world_of(document(2), secrets, [back]), (), NOW + 1)
    assert judged.watches["id-a"].lost == {lost.id}
    closed = world_of(document(2), [good, secret_of(2)], [back])
    assert remember(desired, judged, closed, (), NOW + 2).watches == {}
