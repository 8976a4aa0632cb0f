"""What the bridge takes for granted of tasks whose process is never started."""

from __future__ import annotations

import pytest

from tests.contract.sides import SwarmSide
from tests.support.fakes import Json


def _service(side: SwarmSide, action: str = "pause", order: str = "start-first") -> str:
    side.secret("one")
    side.secret("two")
    return side.deploy("api", "one", 1, action, Order=order)


def _found(side: SwarmSide, service: str, secret: str, state: str) -> list[Json]:
    return [t for t in side.holders(service, secret) if t["Status"]["State"] == state]


def test_a_task_that_no_node_takes_waits_and_says_why(side: SwarmSide) -> None:
    """The update goes on for ever, and the old task runs; sent back, nothing is left of it."""
    service = _service(side)
    before = side.running(service)
    side.no_room(service)
    side.roll(service, "two")
    side.until(lambda: bool(_found(side, service, "two", "pending")))
    (task,) = side.holders(service, "two")
    side.until(lambda: bool(side.holders(service, "two")[0]["Status"].get("Err")))
    (task,) = side.holders(service, "two")
    assert task["Status"]["Err"].startswith("no suitable node (")
    assert not task.get("NodeID")
    assert side.running(service) == before
    assert side.state(service) == "updating"
    side.roll(service, "one")
    side.until_state(service, "completed")
    side.until(lambda: [t["Status"]["State"] for t in side.holders(service, "two")] == ["shutdown"])
    assert side.running(service) == before


def test_a_task_that_waits_is_placed_as_soon_as_a_node_takes_it(side: SwarmSide) -> None:
    service = _service(side)
    side.no_room(service)
    side.roll(service, "two")
    side.until(lambda: bool(_found(side, service, "two", "pending")))
    side.room()
    side.until_state(service, "completed")
    side.until_running(service, "two")


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_a_task_without_its_image_is_rejected(side: SwarmSide, order: str) -> None:
    """That counts as a failure for the engine, which stops the update."""
    service = _service(side, "pause", order)
    side.lose_image(service)
    side.roll(service, "two")
    side.until_state(service, "paused")
    side.until(lambda: bool(_found(side, service, "two", "rejected")))
    errors = {t["Status"]["Err"] for t in _found(side, service, "two", "rejected")}
    assert all(error.startswith("No such image: ") for error in errors)
    held = [("one",)] if order == "start-first" else []
    assert list(side.running(service).values()) == held
    side.roll(service, "one")
    side.bring_image()
    side.until_running(service, "one")


def test_swarm_rolls_back_for_a_task_without_its_image(side: SwarmSide) -> None:
    service = _service(side, "rollback")
    side.lose_image(service)
    side.roll(service, "two")
    side.until_state(service, "rollback_completed")
    assert side.previous(service) is None
    rejected = {task["ID"] for task in _found(side, service, "two", "rejected")}
    assert rejected
    side.until_running(service, "one")
