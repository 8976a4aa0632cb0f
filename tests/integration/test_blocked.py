"""A roll whose tasks never start says nothing of the version: held, told, and tried again."""

from __future__ import annotations

from typing import Any

from tests.support.lab import Lab

Json = dict[str, Any]

_PORT = {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 18099, "PublishMode": "host"}


def _publish(spec: Json) -> None:
    spec["EndpointSpec"].update(Ports=[_PORT])


def _stop_first(spec: Json) -> None:
    spec["UpdateConfig"]["Order"] = "stop-first"


def _two_a_node(spec: Json) -> None:
    spec["TaskTemplate"]["Placement"] = {"MaxReplicas": 2}


def _nothing_is_noted(lab: Lab, *names: str) -> None:
    for name in names:
        labels = lab.swarm.secret(lab.name(name))["Spec"]["Labels"]
        assert [key for key in labels if "aside" in key or "blocked" in key] == []


def _is_held(status: Json, reason: str, words: str) -> str:
    """Status of another process tells it as the bridge does; returns the message."""
    assert (status["state"], status["reason"]) == ("Held", reason)
    (service,) = status["services"]
    assert (service["state"], service["reason"]) == ("Held", reason)
    assert words in service["message"]
    return str(service["message"])


def test_a_task_that_no_node_takes_is_no_failure_of_the_version(lab: Lab) -> None:
    """Start-first: the old task runs on. Later versions do not wait for the time-out either."""
    words = {
        "port": ("host-mode port already in use", "stop-first"),
        "full": ("max replicas per node", "max_replicas_per_node"),
    }
    lab.settings(rollout={"bake": "500ms", "timeout": "100s", "max_in_flight": 2})
    for name in words:
        lab.secret(f"pw_{name}", {name: {"target": "pw"}})
    good = {name: lab.rotate(f"pw_{name}") for name in words}
    lab.sync()
    for name in words:
        secrets = [(lab.name(f"pw_{name}_v1"), "pw")]
        placement = {"MaxReplicas": 1} if name == "full" else None
        lab.service(name, replicas=1, secrets=secrets, placement=placement)
    lab.swarm.update_service(lab.name("port"), _publish)
    for name in words:
        lab.swarm.wait_running(lab.name(name), 1)
        assert lab.swarm.read(lab.name(name), "pw") == [good[name]]
    lab.sync()
    for _ in (2, 3):
        value = {name: lab.rotate(f"pw_{name}") for name in words}
        lab.cli("sync", "--timeout", "240", code=3)
        status = lab.status(code=3)
        for name, (hindrance, remedy) in words.items():
            message = _is_held(status[f"pw_{name}"], "CannotBeScheduled", hindrance)
            assert remedy in message
            assert lab.swarm.read(lab.name(name), "pw") == [good[name]]
            assert lab.swarm.references(lab.name(name)) == {"pw": lab.name(f"pw_{name}_v1")}

    assert lab.cli("check", code=3).count("CannotBeScheduled: no roll can begin") == 2
    lab.swarm.update_service(lab.name("port"), _stop_first)
    lab.swarm.update_service(lab.name("full"), _two_a_node)
    assert "no roll can begin" not in lab.cli("check")
    process = lab.start()
    for name in words:
        process.wait_for("good", docker_secret=lab.name(f"pw_{name}_v3"))
        assert lab.swarm.read(lab.name(name), "pw") == [value[name]]
    assert process.stop() == 0
    assert not process.lines("set_aside")
    for name in words:
        _nothing_is_noted(lab, f"pw_{name}_v2", f"pw_{name}_v3")


def test_an_image_that_is_not_there_is_no_failure_of_the_version(lab: Lab) -> None:
    """What runs goes on running. Once the image is there an operator may have it tried at once."""
    image = f"{lab.name('app')}:1"
    updates = {
        "a": {"Order": "start-first", "FailureAction": "pause"},
        "b": {"Order": "start-first", "FailureAction": "rollback"},
        "c": {"Order": "stop-first", "FailureAction": "pause"},
    }
    kept = {"a": 2, "b": 2, "c": 1}
    lab.settings(rollout={"bake": "500ms", "timeout": "100s", "max_in_flight": 3})
    for name in updates:
        lab.secret(f"pw_{name}", {name: {"target": "pw"}})
    good = {name: lab.rotate(f"pw_{name}") for name in updates}
    lab.sync()
    lab.swarm.api.tag("busybox:local", lab.name("app"), "1")
    for name, update in updates.items():
        secrets = [(lab.name(f"pw_{name}_v1"), "pw")]
        lab.service(name, replicas=2, secrets=secrets, update=update, Image=image)
    for name in updates:
        lab.swarm.wait_running(lab.name(name), 2)
    lab.sync()
    lab.swarm.api.remove_image(image)
    value = {name: lab.rotate(f"pw_{name}") for name in updates}
    lab.cli("sync", "--timeout", "240", code=3)
    status = lab.status(code=3)
    for name in updates:
        _is_held(status[f"pw_{name}"], "ImageMissing", f"No such image: {image}")
        assert lab.swarm.read(lab.name(name), "pw") == [good[name]] * kept[name]
        assert lab.swarm.references(lab.name(name)) == {"pw": lab.name(f"pw_{name}_v1")}

    lab.swarm.api.tag("busybox:local", lab.name("app"), "1")
    for name in updates:
        lab.swarm.wait_running(lab.name(name), 2)
        lab.cli("retry", lab.name(f"pw_{name}"))
    assert "set aside" not in lab.cli("sync")
    for name in updates:
        assert lab.swarm.read(lab.name(name), "pw") == [value[name]] * 2
        _nothing_is_noted(lab, f"pw_{name}_v2")
