"""What the fake does when nodes go down: real nodes cannot be taken down where the tests run.

It was seen on swarms of several machines, with the engines 20.10 and 28.5.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.contract.sides import InMemory
from tests.support.fakes import Json

NODES = ("n1", "n2", "n3")


@pytest.fixture
def side() -> InMemory:
    """A swarm of three nodes, with Docker secrets."""
    made = InMemory(len(NODES))
    for name in ("one", "two"):
        made.secret(name)
    return made


def _nodes(side: InMemory, service: str) -> dict[str, str]:
    """Return what the running task on each node holds."""
    tasks = {task["ID"]: task["NodeID"] for task in side.tasks(service)}
    return {tasks[task]: held for task, (held,) in side.running(service).items()}


def _begun_on(side: InMemory, service: str) -> str:
    """Return the node on which the new task of an update under way has been put."""
    (task,) = side.holders(service, "two")
    return str(task["NodeID"])


@pytest.fixture
def hung(side: InMemory) -> str:
    """A service whose update waits for a node that went down."""
    service = side.deploy("api", "one", 3, Order="stop-first")
    side.roll(service, "two")
    side.fake.node_down(_begun_on(side, service))
    return service


def test_tasks_are_spread(side: InMemory) -> None:
    service = side.deploy("api", "one", 3)
    assert set(_nodes(side, service)) == set(NODES)


def test_tasks_of_a_node_that_went_down_are_started_elsewhere(side: InMemory) -> None:
    """And are shown to run for ever, as they were when it was last heard of."""
    service = side.deploy("api", "one", 3)
    side.fake.node_down("n2")
    states = {node["ID"]: node["Status"]["State"] for node in side.client.nodes()}
    assert states == {"n1": "ready", "n2": "down", "n3": "ready"}
    side.until(lambda: set(_nodes(side, service)) == {"n1", "n3"})
    side.until_running(service, "one", "one", "one")
    (ghost,) = [task for task in side.tasks(service) if task["NodeID"] == "n2"]
    assert (ghost["Status"]["State"], ghost["DesiredState"]) == ("running", "shutdown")
    assert side.state(service) is None


def test_a_node_that_comes_back_ends_what_it_should_not_run(side: InMemory) -> None:
    service = side.deploy("api", "one", 3)
    side.fake.node_down("n2")
    side.pass_by()
    side.fake.node_up("n2")
    side.until(lambda: all(t["Status"]["State"] != "running" for t in _ghosts(side, service)))
    assert len(side.running(service)) == 3


def _ghosts(side: InMemory, service: str) -> list[Json]:
    return [task for task in side.tasks(service) if task["DesiredState"] == "shutdown"]


def test_an_update_is_not_held_up_by_a_node_that_was_down_before(side: InMemory) -> None:
    service = side.deploy("api", "one", 3)
    side.fake.node_down("n2")
    side.until_running(service, "one", "one", "one")
    side.roll(service, "two")
    side.until_state(service, "completed")
    side.until_running(service, "two", "two", "two")


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_an_update_hangs_where_the_node_of_its_new_task_goes_down(
    side: InMemory, order: str
) -> None:
    """The other slots stay on the old secret, all are full, and ``updating`` is the last word."""
    service = side.deploy("api", "one", 3, Order=order)
    side.roll(service, "two")
    side.fake.node_down(_begun_on(side, service))
    for _ in range(10):
        side.pass_by()
    assert side.state(service) == "updating"
    held = sorted(side.running(service).values())
    assert ("one",) in held
    assert ("two",) in held
    assert any(task["Status"]["State"] == "running" for task in _ghosts(side, service))


def test_an_update_hangs_where_the_node_of_the_task_to_be_stopped_goes_down() -> None:
    """Though its new task has been put on another."""
    side = InMemory(4)
    for name in ("one", "two"):
        side.secret(name)
    service = side.deploy("api", "one", 3, Order="stop-first")
    side.roll(service, "two")
    (old,) = _ghosts(side, service)
    assert old["NodeID"] != _begun_on(side, service)
    side.fake.node_down(old["NodeID"])
    for _ in range(10):
        side.pass_by()
    assert side.state(service) == "updating"
    assert ("two",) not in side.running(service).values()


def _nothing(_: Json) -> None:
    """Change nothing."""


def _note(spec: Json) -> None:
    spec["Labels"]["note"] = "x"


@pytest.mark.parametrize(
    ("change", "state", "held"),
    [(_nothing, None, "one"), (_note, "completed", "two")],
    ids=["no-op", "label"],
)
def test_only_a_write_that_changes_something_resumes_a_hung_update(
    side: InMemory, hung: str, change: Callable[[Json], None], state: str | None, held: str
) -> None:
    side.pass_by()
    before = side.running(hung)
    kept = {task for task, (secret,) in before.items() if secret == "two"}
    side.edit(hung, change)
    for _ in range(5):
        side.pass_by()
    assert side.state(hung) == state
    assert (held,) in side.running(hung).values()
    assert kept
    assert kept <= set(side.running(hung))
    assert ({*side.running(hung).values()} == {("two",)}) == (held == "two")


def test_a_hung_update_goes_on_when_its_node_comes_back(side: InMemory, hung: str) -> None:
    side.pass_by()
    assert side.state(hung) == "updating"
    for node in NODES:
        side.fake.node_up(node)
    side.until_state(hung, "completed")
    side.until_running(hung, "two", "two", "two")


def test_without_a_node_tasks_wait_for_one(side: InMemory) -> None:
    service = side.deploy("api", "one", 1)
    for node in NODES:
        side.fake.node_down(node)
    side.pass_by()
    (pending,) = [task for task in side.tasks(service) if task["Status"]["State"] == "pending"]
    assert pending["Status"]["Err"].startswith("no suitable node")
    assert not pending.get("NodeID")
    side.fake.node_up("n3")
    side.until_running(service, "one")
    assert _nodes(side, service) == {"n3": "one"}
