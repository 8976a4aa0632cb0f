"""What the bridge takes for granted of updates that fail, and of ways back."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.errors import SwarmRefused
from bridge.model.timestamps import instant
from tests.contract.sides import SwarmSide, over
from tests.support.fakes import FIRST, LATE, POISON

# --- failures ------------------------------------------------------------------------------------


def _bad_roll(
    side: SwarmSide, action: str, replicas: int = 3, content: str = POISON, **update: Any
) -> str:
    side.secret("good")
    side.secret("bad", content)
    service = side.deploy("api", "good", replicas, action, **update)
    side.roll(service, "bad")
    return service


def test_a_failed_task_says_why(side: SwarmSide) -> None:
    service = _bad_roll(side, "pause", 1)
    side.until_state(service, "paused")
    failed = [t for t in side.holders(service, "bad") if t["Status"]["State"] == "failed"]
    assert failed
    assert {task["Status"]["Err"] for task in failed} == {"task: non-zero exit (3)"}
    assert {task["DesiredState"] for task in failed} == {"shutdown"}
    assert any(
        task["ID"] in side.client.service(service)["UpdateStatus"]["Message"] for task in failed
    )


def test_rollback_goes_back_and_leaves_no_way_forward(side: SwarmSide) -> None:
    """There is no PreviousSpec: what was tried is in the tasks only."""
    service = _bad_roll(side, "rollback")
    side.until_state(service, "rollback_started", "rollback_completed")
    assert side.spec(service) == ("good",)
    assert side.previous(service) is None
    side.until_state(service, "rollback_completed")
    side.until_running(service, "good", "good", "good")
    side.until_ended(service, "bad")
    assert any(t["Status"]["State"] == "failed" for t in side.holders(service, "bad"))
    with pytest.raises(SwarmRefused, match="does not have a previous spec"):
        side.roll_back(service)


def test_pause_stops_and_keeps_old_tasks_that_are_well(side: SwarmSide) -> None:
    """What was begun is ended: the slot that failed crashes again and again, maybe one more."""
    service = _bad_roll(side, "pause", 4)
    side.until_state(service, "paused")
    assert side.spec(service) == ("bad",)
    assert side.previous(service) == ("good",)
    side.until(lambda: _stopped(side, service))
    failed = {t["ID"] for t in side.holders(service, "bad") if t["Status"]["State"] == "failed"}
    side.until(lambda: _failed_since(side, service, failed))
    assert ("good",) in side.running(service).values()
    assert side.state(service) == "paused"


def _stopped(side: SwarmSide, service: str) -> bool:
    """Tell whether a paused update has ended what it had begun."""
    bad = side.holders(service, "bad")
    return {t["Slot"] for t in bad} == {t["Slot"] for t in bad if over(t)}


def _failed_since(side: SwarmSide, service: str, before: set[str]) -> bool:
    """Tell whether a task has failed that had not before: the engine starts them again."""
    bad = side.holders(service, "bad")
    return any(t["Status"]["State"] == "failed" and t["ID"] not in before for t in bad)


def test_continue_says_completed_while_everything_crashes(side: SwarmSide) -> None:
    """And of the tasks that ended the engine remembers a few for each slot, no longer the old."""
    service = _bad_roll(side, "continue", 1)
    assert side.until_state(service, "completed")[-2:] == ["updating", "completed"]
    assert side.spec(service) == ("bad",)
    side.until(lambda: not side.holders(service, "good"))
    assert side.state(service) == "completed"
    assert 1 < len(side.tasks(service)) <= 6


def test_what_was_started_while_the_engine_watched_was_written_since(side: SwarmSide) -> None:
    """With ``continue`` it says ``completed`` of tasks that it has not watched."""
    monitor = 5_000_000_000
    service = _bad_roll(side, "continue", 1, LATE, Monitor=monitor)
    side.until_state(service, "completed")
    side.until(lambda: bool(side.running(service)))
    (task,) = [task for task in side.tasks(service) if task["ID"] in side.running(service)]
    completed = instant(side.client.service(service)["UpdateStatus"]["CompletedAt"])
    assert completed - instant(task["UpdatedAt"]) < monitor


def test_a_task_that_fails_after_it_was_watched_changes_no_word(side: SwarmSide) -> None:
    """Also where the update still goes on; the engine restarts it by the present spec."""
    service = _bad_roll(side, "rollback", 4, LATE)
    side.until_state(service, "completed")
    side.until(lambda: _failed_since(side, service, set()))
    assert side.state(service) == "completed"
    assert side.spec(service) == ("bad",)


def test_a_failed_rollback_is_paused(side: SwarmSide) -> None:
    """What it goes back to has been taken away meanwhile."""
    side.secret("good")
    side.secret("bad", FIRST)
    service = side.deploy("api", "good", 2, Order="stop-first", Parallelism=0)
    reference = side.reference("good")
    side.roll(service, "bad")
    side.client.remove_secret(reference["SecretID"])
    side.until_state(service, "rollback_paused")
    assert side.spec(service) == ("good",)
    assert side.previous(service) is None
    said = {task["Status"].get("Err", "") for task in side.holders(service, "good")}
    assert any(f"secret {reference['SecretID']} not found" in words for words in said)
    assert side.client.service(service)["UpdateStatus"]["Message"].startswith("update paused")


@pytest.mark.parametrize(("order", "left"), [("start-first", 1), ("stop-first", 0)])
def test_a_task_that_never_ran_leaves_the_old_one_alone_if_it_was_to_start_first(
    side: SwarmSide, order: str, left: int
) -> None:
    """The engine takes an owner that is no number, and no task starts with it."""
    side.secret("good")
    service = side.deploy("api", "good", 1, "pause", Order=order)
    (old,) = side.running(service)
    side.edit(
        service,
        lambda spec: spec["TaskTemplate"]["ContainerSpec"]["Secrets"][0]["File"].update(UID="www"),
    )
    side.until_state(service, "paused")
    side.until(lambda: _refused(side, service) > 1)
    assert list(side.running(service)) == [old] * left


def _refused(side: SwarmSide, service: str) -> int:
    """Count the tasks that did not start for their owner."""
    errors = [task["Status"].get("Err", "") for task in side.tasks(service)]
    return sum('parsing "www": invalid syntax' in error for error in errors)


# --- out of a pause ------------------------------------------------------------------------------


def test_any_write_resumes_a_paused_update(side: SwarmSide) -> None:
    """Also one that changes nothing; it fails and is paused once more."""
    service = _bad_roll(side, "pause", 4)
    side.until_state(service, "paused")
    side.until(lambda: _stopped(side, service))
    started = side.client.service(service)["UpdateStatus"]["StartedAt"]
    side.edit(service, lambda _: None)
    side.until_state(service, "paused")
    assert side.client.service(service)["UpdateStatus"]["StartedAt"] != started
    assert side.previous(service) == ("bad",)


def test_the_way_back_from_a_pause_keeps_old_tasks_that_are_well(side: SwarmSide) -> None:
    service = _bad_roll(side, "pause")
    side.until_state(service, "paused")
    side.until(lambda: _stopped(side, service))
    # A slot in which the engine still starts what is bad may lose its old task before the way back.
    busy = {task["Slot"] for task in side.holders(service, "bad") if not over(task)}
    well = {task["ID"] for task in side.holders(service, "good") if task["Slot"] not in busy}
    kept = well & set(side.running(service))
    side.roll(service, "good")
    side.until_state(service, "completed")
    side.until_running(service, "good", "good", "good")
    assert kept
    assert kept <= set(side.running(service))
    side.until_ended(service, "bad")


# --- docker service rollback ---------------------------------------------------------------------


def test_a_manual_rollback_swaps_both_specs_and_again(side: SwarmSide) -> None:
    side.secret("one")
    side.secret("two")
    service = side.deploy("api", "one", 1)
    side.roll(service, "two")
    side.until_state(service, "completed")
    for now, then in (("one", "two"), ("two", "one")):
        before = side.client.service(service)["UpdateStatus"]
        side.roll_back(service)
        assert side.spec(service) == (now,)
        assert side.previous(service) == (then,)
        seen = side.until_state(service, "rollback_completed")
        assert seen == ["rollback_started", "rollback_completed"]
        side.until_running(service, now)
        status = side.client.service(service)["UpdateStatus"]
        assert status["Message"] == "rollback completed"
        assert instant(status["StartedAt"]) >= instant(before["CompletedAt"])
        assert instant(status["CompletedAt"]) > instant(status["StartedAt"])


def test_what_was_never_written_cannot_be_rolled_back(side: SwarmSide) -> None:
    side.secret("one")
    service = side.deploy("api", "one", 1)
    with pytest.raises(SwarmRefused, match="does not have a previous spec"):
        side.roll_back(service)


def test_a_manual_rollback_of_an_update_under_way(side: SwarmSide) -> None:
    side.secret("one")
    side.secret("two")
    service = side.deploy("api", "one", 2)
    side.roll(service, "two")
    side.until(lambda: ("two",) in side.running(service).values())
    side.roll_back(service)
    side.until_state(service, "rollback_completed")
    side.until_running(service, "one", "one")
    assert side.previous(service) == ("two",)


def test_a_manual_rollback_to_a_secret_that_is_gone_is_taken_and_fails(side: SwarmSide) -> None:
    """And after it nothing can be written but another reference: not even a way back."""
    side.secret("one")
    side.secret("two")
    service = side.deploy("api", "one", 1)
    reference = side.reference("one")
    side.roll(service, "two")
    side.until_state(service, "completed")
    side.until_ended(service, "one")
    side.client.remove_secret(reference["SecretID"])
    side.roll_back(service)
    side.until_state(service, "rollback_paused")
    assert side.spec(service) == ("one",)
    said = [task["Status"].get("Err", "") for task in side.holders(service, "one")]
    assert any(f"secret {reference['SecretID']} not found" in words for words in said)
    with pytest.raises(SwarmRefused, match="secret not found"):
        side.label(service, "x")
    with pytest.raises(SwarmRefused, match="secret not found"):
        side.roll_back(service)
    side.roll(service, "two")
    side.until_state(service, "completed")
    side.until(lambda: ("two",) in side.running(service).values())


def test_a_node_keeps_a_secret_that_is_gone_while_a_task_has_it(side: SwarmSide) -> None:
    """So a rollback to it may go well, until all its tasks have ended."""
    side.secret("one")
    side.secret("two")
    service = side.deploy("api", "one", 3)
    side.roll(service, "two")
    side.until(lambda: ("two",) in side.running(service).values())
    kept = {task for task, held in side.running(service).items() if held == ("one",)}
    side.client.remove_secret(side.reference("one")["SecretID"])
    side.roll_back(service)
    side.until_state(service, "rollback_completed")
    side.until_running(service, "one", "one", "one")
    assert kept
    assert kept <= set(side.running(service))
