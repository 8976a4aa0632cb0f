"""What the bridge takes for granted of a service's updates that go well."""

from __future__ import annotations

import copy

import pytest

from bridge.errors import NotFound, OutOfSequence, SwarmRefused
from bridge.model.timestamps import instant
from tests.contract.sides import SwarmSide, over
from tests.support.fakes import Json


@pytest.fixture
def api(side: SwarmSide) -> str:
    """A service of two tasks on ``one``; ``two`` and ``three`` are there for it."""
    for name in ("one", "two", "three"):
        side.secret(name)
    return side.deploy("api", "one")


@pytest.fixture
def parked(side: SwarmSide) -> str:
    """A service without tasks on ``one``; ``two`` is there for it."""
    side.secret("one")
    side.secret("two")
    return side.deploy("parked", "one", 0)


# --- the write -----------------------------------------------------------------------------------


def test_a_service_that_was_never_written_has_no_past(side: SwarmSide, api: str) -> None:
    (listed,) = [s for s in side.client.services() if s["ID"] == api]
    assert listed["ServiceStatus"]["DesiredTasks"] == 2
    service = side.client.service(api)
    assert service["Spec"] == listed["Spec"]
    assert "PreviousSpec" not in service
    assert "UpdateStatus" not in service
    assert {task["Slot"] for task in side.tasks(api)} == {1, 2}
    assert {task["NodeID"] for task in side.tasks(api)} <= {n["ID"] for n in side.client.nodes()}


def test_a_write_makes_the_old_spec_the_previous_one(side: SwarmSide, parked: str) -> None:
    before = side.client.service(parked)
    wanted = copy.deepcopy(before["Spec"])
    wanted["TaskTemplate"]["ContainerSpec"]["Secrets"] = [side.reference("two")]
    side.client.update_service(parked, before["Version"]["Index"], wanted)
    after = side.client.service(parked)
    assert after["Spec"] == wanted
    assert after["PreviousSpec"] == before["Spec"]
    assert after["Version"]["Index"] > before["Version"]["Index"]


def test_a_write_after_somebody_elses_changes_nothing(side: SwarmSide, parked: str) -> None:
    before = side.client.service(parked)
    side.label(parked, "quicker")
    spec = before["Spec"]
    spec["TaskTemplate"]["ContainerSpec"]["Secrets"] = [side.reference("two")]
    with pytest.raises(OutOfSequence):
        side.client.update_service(parked, before["Version"]["Index"], spec)
    after = side.client.service(parked)
    assert side.spec(parked) == ("one",)
    assert after["Spec"]["Labels"] == {"note": "quicker"}


def test_a_service_that_is_not_there_is_not_found(side: SwarmSide, parked: str) -> None:
    spec = side.client.service(parked)["Spec"]
    with pytest.raises(NotFound):
        side.client.service("nowhere")
    with pytest.raises(NotFound):
        side.client.update_service("nowhere", 1, spec)


@pytest.mark.parametrize("field", ["SecretID", "SecretName"])
def test_a_reference_to_nothing_is_refused(side: SwarmSide, parked: str, field: str) -> None:
    """Id and name must belong together."""
    before = side.client.service(parked)
    spec = copy.deepcopy(before["Spec"])
    spec["TaskTemplate"]["ContainerSpec"]["Secrets"][0][field] = side.reference("two")[field]
    with pytest.raises(SwarmRefused, match="secret not found"):
        side.client.update_service(parked, before["Version"]["Index"], spec)
    assert side.client.service(parked) == before


def test_two_references_with_one_target_are_refused(side: SwarmSide, parked: str) -> None:
    before = side.client.service(parked)
    spec = copy.deepcopy(before["Spec"])
    spec["TaskTemplate"]["ContainerSpec"]["Secrets"].append(side.reference("two"))
    with pytest.raises(SwarmRefused, match="conflicting target"):
        side.client.update_service(parked, before["Version"]["Index"], spec)
    assert side.client.service(parked) == before


def test_only_a_spec_keeps_a_secret_from_being_removed(side: SwarmSide, api: str) -> None:
    """Neither does a PreviousSpec, nor a task that runs with it."""
    one, two = (side.reference(name)["SecretID"] for name in ("one", "two"))
    with pytest.raises(SwarmRefused, match="in use"):
        side.client.remove_secret(one)
    side.roll(api, "two")
    assert side.previous(api) == ("one",)
    assert not all(over(task) for task in side.holders(api, "one"))
    side.client.remove_secret(one)
    with pytest.raises(SwarmRefused, match="in use"):
        side.client.remove_secret(two)


# --- the update ----------------------------------------------------------------------------------


def test_an_update_replaces_one_slot_after_the_other_and_says_so(side: SwarmSide, api: str) -> None:
    """Meanwhile the engine writes the service too, so that an index is soon too old."""
    first = set(side.running(api))
    side.roll(api, "two")
    side.until_state(api, "updating")
    sent = side.index(api)
    assert side.until_state(api, "completed") == ["updating", "completed"]
    assert side.index(api) > sent
    status = side.client.service(api)["UpdateStatus"]
    assert instant(status["StartedAt"]) < instant(status["CompletedAt"])
    assert status["Message"] == "update completed"
    assert side.spec(api) == ("two",)
    assert side.previous(api) == ("one",)
    running = side.running(api)
    assert list(running.values()) == [("two",), ("two",)]
    assert not first & running.keys()
    side.until_ended(api, "one")
    left = {task["ID"]: task for task in side.holders(api, "one")}
    assert {left[task]["DesiredState"] for task in first} == {"shutdown"}
    one, two = sorted(side.holders(api, "two"), key=lambda task: instant(task["CreatedAt"]))
    assert instant(one["Status"]["Timestamp"]) <= instant(two["CreatedAt"])


@pytest.mark.parametrize("action", ["rollback", "pause", "continue"])
@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_the_engine_watches_the_new_tasks_before_it_says_completed(
    side: SwarmSide, order: str, action: str
) -> None:
    """For as long as Monitor after the last one runs; it does not write them meanwhile."""
    side.secret("one")
    side.secret("two")
    service = side.deploy("api", "one", 2, action, Order=order)
    side.roll(service, "two")
    side.until_state(service, "completed")
    found = side.client.service(service)
    monitor = found["Spec"]["UpdateConfig"]["Monitor"]
    running = [task for task in side.tasks(service) if task["ID"] in side.running(service)]
    assert len(running) == 2
    written = max(instant(task["UpdatedAt"]) for task in running)
    assert instant(found["UpdateStatus"]["CompletedAt"]) - written >= monitor
    assert min(instant(task["UpdatedAt"]) - instant(task["CreatedAt"]) for task in running) > 0


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_the_old_task_of_a_slot_ends_after_or_before_the_new_one_runs(
    side: SwarmSide, order: str
) -> None:
    side.secret("one")
    side.secret("two")
    service = side.deploy("single", "one", 1, Order=order)
    side.roll(service, "two")
    side.until_state(service, "completed")
    side.until_ended(service, "one")
    (old,), (new,) = side.holders(service, "one"), side.holders(service, "two")
    ended, ran = (instant(task["Status"]["Timestamp"]) for task in (old, new))
    assert ran < ended if order == "start-first" else ended <= ran


def test_of_a_service_without_tasks_no_update_is_spoken_of(side: SwarmSide, parked: str) -> None:
    """But for a rollback: it is begun by whoever asks for it."""
    side.roll(parked, "two")
    side.pass_by()
    assert side.state(parked) is None
    assert side.spec(parked) == ("two",)
    assert side.previous(parked) == ("one",)
    assert not side.tasks(parked)
    side.roll_back(parked)
    side.until_state(parked, "rollback_completed")
    assert side.spec(parked) == ("one",)
    assert side.previous(parked) == ("two",)


# --- edits by others -----------------------------------------------------------------------------


def _nothing(_: Json) -> None:
    """Change nothing."""


def test_a_write_that_restarts_nothing_takes_the_past_away(side: SwarmSide) -> None:
    """The way back as well as the word on the former update; the tasks stay."""
    side.secret("one")
    side.secret("two")
    service = side.deploy("single", "one", 1)
    side.roll(service, "two")
    side.until_state(service, "completed")
    tasks, index = side.running(service), side.index(service)
    side.label(service, "x")
    assert side.state(service) is None
    assert side.previous(service) == ("two",)
    assert side.index(service) > index
    side.edit(service, _nothing)
    side.pass_by()
    assert side.state(service) is None
    assert side.running(service) == tasks


def test_a_label_written_during_an_update_begins_it_anew(side: SwarmSide, api: str) -> None:
    side.roll(api, "two")
    side.until_state(api, "updating")
    started = side.client.service(api)["UpdateStatus"]["StartedAt"]
    side.until(lambda: ("two",) in side.running(api).values())
    kept = {task for task, held in side.running(api).items() if held == ("two",)}
    side.label(api, "x")
    side.until_state(api, "updating")
    assert side.client.service(api)["UpdateStatus"]["StartedAt"] != started
    assert side.previous(api) == ("two",)
    side.until_state(api, "completed")
    side.until_running(api, "two", "two")
    assert kept <= set(side.running(api))


def test_of_an_update_written_once_more_nobody_hears_again(side: SwarmSide, api: str) -> None:
    """It goes on, and is not said to be under way nor to have been completed."""
    side.roll(api, "two")
    side.until(lambda: ("two",) in side.running(api).values())
    side.edit(api, _nothing)
    assert side.state(api) is None
    side.until_running(api, "two", "two")
    side.pass_by()
    assert side.state(api) is None
    assert side.previous(api) == ("two",)


def test_a_second_update_supersedes_the_first(side: SwarmSide, api: str) -> None:
    side.roll(api, "two")
    side.until(lambda: ("two",) in side.running(api).values())
    side.roll(api, "three")
    assert side.until_state(api, "completed")[-2:] == ["updating", "completed"]
    side.until_running(api, "three", "three")
    assert side.spec(api) == ("three",)
    assert side.previous(api) == ("two",)
    side.until_ended(api, "one")
    side.until_ended(api, "two")


def test_an_update_goes_on_when_the_service_is_scaled_up(side: SwarmSide, api: str) -> None:
    side.roll(api, "two")
    side.until(lambda: ("two",) in side.running(api).values())
    side.scale(api, 3)
    side.until_state(api, "completed")
    side.until_running(api, "two", "two", "two")
    assert side.previous(api) == ("two",)
    side.until_ended(api, "one")


def test_an_update_goes_on_when_the_service_is_scaled_down(side: SwarmSide, api: str) -> None:
    """Where the slot that is left is new already, nobody says so."""
    side.roll(api, "two")
    side.until(lambda: ("two",) in side.running(api).values())
    side.scale(api, 1)
    side.until_running(api, "two")
    side.until_ended(api, "one")
    assert side.state(api) in (None, "updating", "completed")


def test_scaling_down_removes_tasks_for_good_and_speaks_of_no_update(
    side: SwarmSide, api: str
) -> None:
    first = set(side.running(api))
    side.scale(api, 0)
    side.until(lambda: not side.tasks(api))
    assert side.state(api) is None
    side.scale(api, 2)
    side.until_running(api, "one", "one")
    assert not first & side.running(api).keys()
    assert side.state(api) is None


# --- the end of a service ------------------------------------------------------------------------


def test_a_service_that_is_removed_is_gone_and_its_tasks_end(side: SwarmSide, api: str) -> None:
    """The secret that it referred to may be removed at once, though its tasks end in their time."""
    (one,) = [s["ID"] for s in side.client.secrets() if s["Spec"]["Name"] == side.name("one")]
    side.remove(api)
    assert api not in {service["ID"] for service in side.client.services()}
    with pytest.raises(NotFound):
        side.client.service(api)
    side.client.remove_secret(one)
    side.until(lambda: not side.running(api))


def test_a_service_that_is_made_anew_has_another_id(side: SwarmSide, api: str) -> None:
    """And nothing of the former one: neither its past nor its tasks."""
    side.roll(api, "two")
    side.remove(api)
    anew = side.deploy("api", "one", 1)
    assert anew != api
    assert "PreviousSpec" not in side.client.service(anew)
    assert set(side.running(anew).values()) == {("one",)}
