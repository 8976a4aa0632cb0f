"""A roll whose tasks never start says nothing of the version: held, told, and tried again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.lab import Lab
from tests.support.processes import eventually

Json = dict[str, Any]

_PORT = {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 18099, "PublishMode": "host"}


def _stop_first(spec: Json) -> None:
    spec["UpdateConfig"]["Order"] = "stop-first"


def _two_a_node(spec: Json) -> None:
    spec["TaskTemplate"]["Placement"] = {"MaxReplicas": 2}


def _nothing_is_noted(lab: Lab, *names: str) -> None:
    for name in names:
        labels = lab.swarm.secret(lab.name(name))["Spec"]["Labels"]
        assert [key for key in labels if "aside" in key or "blocked" in key] == []


def _held(lab: Lab, reason: str, words: str) -> str:
    """Status of another process tells it as the bridge does; returns the message."""
    status = lab.status(code=3)["pw"]
    assert (status["state"], status["reason"]) == ("Held", reason)
    (service,) = status["services"]
    assert (service["state"], service["reason"]) == ("Held", reason)
    assert words in service["message"]
    return str(service["message"])


@pytest.mark.parametrize(
    ("ports", "placement", "mend", "words", "remedy"),
    [
        ([_PORT], None, _stop_first, "host-mode port already in use", "stop-first"),
        ([], {"MaxReplicas": 1}, _two_a_node, "max replicas per node", "max_replicas_per_node"),
    ],
    ids=["host-port", "max-replicas"],
)
def test_a_task_that_no_node_takes_is_no_failure_of_the_version(
    lab: Lab,
    ports: list[Json],
    placement: Json | None,
    mend: Callable[[Json], None],
    words: str,
    remedy: str,
) -> None:
    """Start-first: the old task runs on. Later versions do not wait for the time-out either."""
    lab.settings(rollout={"bake": "500ms", "timeout": "100s"})
    lab.secret("pw", {"api": {"target": "pw"}})
    good = lab.rotate("pw")
    lab.sync()
    secrets = [(lab.name("pw_v1"), "pw")]
    lab.service("api", replicas=1, secrets=secrets, placement=placement)
    lab.swarm.update_service(lab.name("api"), lambda spec: spec["EndpointSpec"].update(Ports=ports))
    eventually(lambda: lab.swarm.read(lab.name("api"), "pw") == [good])
    lab.sync()
    for _ in (2, 3):
        value = lab.rotate("pw")
        lab.cli("sync", "--timeout", "240", code=3)
        assert remedy in _held(lab, "CannotBeScheduled", words)
        assert lab.swarm.read(lab.name("api"), "pw") == [good]
        assert lab.swarm.references(lab.name("api")) == {"pw": lab.name("pw_v1")}

    assert "CannotBeScheduled: no roll can begin" in lab.cli("check", code=3)
    lab.swarm.update_service(lab.name("api"), mend)
    assert "no roll can begin" not in lab.cli("check")
    process = lab.start()
    eventually(lambda: lab.swarm.read(lab.name("api"), "pw") == [value])
    process.wait_for("good")
    assert process.stop() == 0
    assert not process.lines("set_aside")
    _nothing_is_noted(lab, "pw_v2", "pw_v3")


@pytest.mark.parametrize(
    ("order", "action"),
    [("start-first", "pause"), ("start-first", "rollback"), ("stop-first", "pause")],
)
def test_an_image_that_is_not_there_is_no_failure_of_the_version(
    lab: Lab, order: str, action: str
) -> None:
    """What runs goes on running. Once the image is there an operator may have it tried at once."""
    image = f"{lab.name('app')}:1"
    lab.settings(rollout={"bake": "500ms", "timeout": "100s"})
    lab.secret("pw", {"api": {"target": "pw"}})
    good = lab.rotate("pw")
    lab.sync()
    lab.swarm.api.tag("busybox:local", lab.name("app"), "1")
    update = {"Order": order, "FailureAction": action}
    secrets = [(lab.name("pw_v1"), "pw")]
    lab.service("api", replicas=2, secrets=secrets, update=update, Image=image)
    lab.swarm.wait_running(lab.name("api"), 2)
    lab.sync()
    lab.swarm.api.remove_image(image)
    value = lab.rotate("pw")
    lab.cli("sync", "--timeout", "240", code=3)
    _held(lab, "ImageMissing", f"No such image: {image}")
    kept = lab.swarm.read(lab.name("api"), "pw")
    assert kept == [good] * (2 if order == "start-first" else 1)
    assert lab.swarm.references(lab.name("api")) == {"pw": lab.name("pw_v1")}

    lab.swarm.api.tag("busybox:local", lab.name("app"), "1")
    lab.swarm.wait_running(lab.name("api"), 2)
    lab.cli("retry", lab.name("pw"))
    assert "set aside" not in lab.cli("sync")
    assert lab.swarm.read(lab.name("api"), "pw") == [value] * 2
    _nothing_is_noted(lab, "pw_v2")
