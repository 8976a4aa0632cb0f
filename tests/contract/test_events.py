"""What the bridge takes for granted of events, and of questions for single objects.

Between two looks at the whole swarm it asks only about what an event told of, and about services
whose tasks move.
"""

from __future__ import annotations

import pytest

from bridge.errors import NotFound
from tests.contract.sides import SwarmSide


def test_each_change_of_a_docker_secret_is_told(side: SwarmSide) -> None:
    made = side.secret("db")
    side.until(lambda: ("secret", "create", made) in side.told())
    index = side.client.secret(made)["Version"]["Index"]
    side.client.set_secret_labels(made, index, side.name("db"), {"a": "1"})
    side.until(lambda: ("secret", "update", made) in side.told())
    side.client.remove_secret(made)
    side.until(lambda: ("secret", "remove", made) in side.told())


def test_each_change_of_a_service_is_told_and_each_state_of_its_update(side: SwarmSide) -> None:
    side.secret("db")
    side.secret("other")
    service = side.deploy("api", "db")
    side.until(lambda: ("service", "create", service) in side.told())
    side.until(lambda: not side.told())
    side.label(service, "x")
    side.until(lambda: ("service", "update", service) in side.told())
    side.roll(service, "other")
    side.until(lambda: ("service", "update", service) in side.told())
    side.until(lambda: not side.told() and side.state(service) == "updating")
    side.until_state(service, "completed")
    side.until(lambda: ("service", "update", service) in side.told())
    side.remove(service)
    side.until(lambda: ("service", "remove", service) in side.told())


def test_a_config_is_told_with_its_name(side: SwarmSide) -> None:
    """By which the bridge knows its own, and the heartbeats of the one that leads."""
    made = side.client.create_config(side.name("state"), b"x", {})
    names: dict[str, str] = {}

    def told() -> bool:
        for event in side.happened():
            names[event["Actor"]["ID"]] = event["Actor"]["Attributes"].get("name", "")
        return made in names

    side.until(told)
    assert names[made] == side.name("state")


def test_services_and_tasks_are_found_by_ids(side: SwarmSide) -> None:
    """A service that is gone is left out of the list of services, and an error for its tasks."""
    side.secret("db")
    api, web = side.deploy("api", "db", 1), side.deploy("web", "db", 1)
    (found,) = side.client.services([api])
    assert found["ID"] == api
    assert found["ServiceStatus"]["DesiredTasks"] == 1
    assert {s["ID"] for s in side.client.services([api, web])} == {api, web}
    assert {task["ServiceID"] for task in side.client.tasks([api, web])} == {api, web}
    assert {task["ID"] for task in side.client.tasks([api])} == {t["ID"] for t in side.tasks(api)}
    side.remove(web)
    assert {s["ID"] for s in side.client.services([api, web])} == {api}
    with pytest.raises(NotFound):
        side.client.tasks([api, web])
