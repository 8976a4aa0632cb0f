"""Every kind of service, and those that somebody else is at work on."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from bridge.model.reasons import Reason
from bridge.model.service import LIVE_STATES
from tests.integration.test_failure import POISON
from tests.support.lab import Lab
from tests.support.processes import eventually


def test_global_and_empty_services_roll(lab: Lab) -> None:
    """A service with ``replicas: 0`` gets the new reference, and its first task the new file."""
    lab.service("global", replicas=None)
    lab.service("empty", replicas=0)
    lab.secret("db", {"global": {}, "empty": {}})
    for version in (1, 2):
        value = lab.rotate("db")
        lab.sync()
        assert lab.swarm.read(lab.name("global"), lab.name("db")) == [value]
        for service in ("global", "empty"):
            names = lab.swarm.references(lab.name(service)).values()
            assert list(names) == [lab.name(f"db_v{version}")]

    def scale(spec: Any) -> None:
        spec["Mode"]["Replicated"]["Replicas"] = 1

    lab.swarm.update_service(lab.name("empty"), scale)
    lab.swarm.wait_running(lab.name("empty"), 1)
    assert lab.swarm.read(lab.name("empty"), lab.name("db")) == [value]


def test_what_an_update_would_run_again_is_held(lab: Lab) -> None:
    """Jobs and services whose tasks are not restarted: an update runs them once more."""
    spec: dict[str, Any] = {
        "Name": lab.name("job"),
        "TaskTemplate": {"ContainerSpec": {"Image": "busybox:local", "Command": ["true"]}},
        "Mode": {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}},
    }
    lab.swarm.call("POST", "/services/create", spec)
    once = {**spec, "Name": lab.name("once"), "Mode": {"Replicated": {"Replicas": 1}}}
    once["TaskTemplate"] = {**spec["TaskTemplate"], "RestartPolicy": {"Condition": "none"}}
    lab.swarm.call("POST", "/services/create", once)
    lab.service("api", replicas=1)
    lab.secret("db", {"job": {}, "once": {}, "api": {}})
    lab.rotate("db")
    lab.cli("sync", code=3)
    reasons = {s["name"]: s["reason"] for s in lab.status(code=3)["db"]["services"]}
    assert reasons == {
        lab.name("job"): "WouldRerun",
        lab.name("once"): "WouldRerun",
        lab.name("api"): "UpToDate",
    }


def test_a_service_in_somebody_elses_update_is_left_alone(lab: Lab) -> None:
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {}})
    lab.rotate("db")
    lab.sync()

    def change(spec: Any) -> None:
        spec["TaskTemplate"]["ContainerSpec"]["Env"] = ["A=1"]
        spec["UpdateConfig"]["Monitor"] = 4_000_000_000

    lab.swarm.update_service(lab.name("api"), change)

    def state() -> object:
        return (lab.swarm.service(lab.name("api")).get("UpdateStatus") or {}).get("State")

    eventually(lambda: state() == "updating")
    lab.rotate("db")
    with lab.loop() as loop:
        loop.step(vault=True)
        step = loop.step()
        assert [(h.service, h.reason) for h in step.plan.holds] == [
            (lab.name("api"), "ServiceBusy")
        ]
        assert state() == "updating"
    lab.sync()
    assert list(lab.swarm.references(lab.name("api")).values()) == [lab.name("db_v2")]
    env = lab.swarm.service(lab.name("api"))["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"]
    assert env == ["A=1"]


def test_an_update_that_somebody_else_left_paused_is_ended_by_a_newer_version(lab: Lab) -> None:
    """By hand a service was moved to a version that it fails on; the engine paused, and rests."""
    lab.secret("pw", {"api": {"target": "pw"}})
    lab.rotate("pw")
    lab.sync()
    lab.service(
        "api",
        replicas=2,
        command=POISON,
        secrets=[(lab.name("pw_v1"), "pw")],
        update={"FailureAction": "pause", "Order": "stop-first"},
    )
    lab.swarm.wait_running(lab.name("api"), 2)
    lab.sync()
    lab.cli("pause")
    lab.vault.write(lab.mount, "pw", password=f"poison {lab.canary()}")
    lab.cli("sync", code=3)
    bad = lab.swarm.secret(lab.name("pw_v2"))["ID"]

    def to_bad(spec: Any) -> None:
        (reference,) = spec["TaskTemplate"]["ContainerSpec"]["Secrets"]
        reference["SecretID"], reference["SecretName"] = bad, lab.name("pw_v2")

    lab.swarm.update_service(lab.name("api"), to_bad)

    def state() -> object:
        return (lab.swarm.service(lab.name("api")).get("UpdateStatus") or {}).get("State")

    eventually(lambda: state() == "paused")
    value = lab.rotate("pw")
    lab.cli("resume")
    lab.cli("sync")
    assert lab.swarm.read(lab.name("api"), "pw") == [value, value]
    assert lab.status()["pw"]["state"] == "Synced"


def test_a_stack_that_is_deployed_again_finds_the_version_that_was_gone_back_to(lab: Lab) -> None:
    """It was removed while two newer ones were set aside; what it left behind is dropped."""
    lab.settings(retain={"versions": 3, "min_age": "0s"})
    lab.secret("db", {"api": {"target": "db"}})
    lab.service("api", replicas=1)
    value = lab.rotate("db")
    lab.sync()
    for _ in range(2):
        lab.rotate("db")
        lab.sync()
    gone = lab.swarm.service(lab.name("api"))["ID"]
    lab.cli("rollback", lab.name("db"), "--to", "1")
    lab.cli("sync", code=3)
    lab.swarm.remove_service(lab.name("api"))
    lab.settings(retain={"versions": 1, "min_age": "0s"})
    lab.cli("sync", code=3)
    assert lab.versions("db") == {1, 3}
    for version in (1, 3):
        labels = lab.swarm.secret(lab.name(f"db_v{version}"))["Spec"]["Labels"]
        assert not [label for label in labels if gone in label]
    lab.service("api", replicas=1)
    lab.cli("sync", code=3)
    assert lab.swarm.read(lab.name("api"), "db") == [value]


def test_a_service_that_is_not_there_yet(lab: Lab) -> None:
    """It is said, and rolled as soon as it is deployed: an event of the swarm wakes the bridge."""
    lab.settings(poll={"interval": "10m"})
    lab.secret("db", {"api": {}})
    value = lab.rotate("db")
    process = lab.start()
    process.wait_for("held", reason="ServiceMissing")
    lab.service("api", replicas=1)
    eventually(lambda: lab.swarm.read(lab.name("api"), lab.name("db")) == [value])
    process.wait_for("no_longer_held", reason="ServiceMissing")
    assert process.stop() == 0


def test_a_reference_moved_back_by_hand_is_moved_forward(lab: Lab) -> None:
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    lab.rotate("db")
    lab.sync()
    old = lab.swarm.secret(lab.name("db_v1"))["ID"]
    lab.rotate("db")
    lab.sync()

    def back(spec: Any) -> None:
        (reference,) = spec["TaskTemplate"]["ContainerSpec"]["Secrets"]
        reference["SecretID"], reference["SecretName"] = old, lab.name("db_v1")

    lab.swarm.update_service(lab.name("api"), back)
    lab.sync()
    assert lab.swarm.references(lab.name("api")) == {"db": lab.name("db_v2")}


def test_a_loop_of_label_writes_by_somebody_else(lab: Lab) -> None:
    """`update out of sequence` is looked at again; no label is lost, no secret, nobody blamed."""
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    lab.rotate("db")
    lab.sync()
    command = ["docker", "service", "update", "--quiet", "--detach", "--label-add"]
    environ = {**lab.environ(), "DOCKER_HOST": lab.swarm.host}
    written = 0
    process = lab.start("run")
    process.wait_for("started")
    for version in (2, 3):
        value = lab.rotate("db")
        while not process.lines("good")[version - 2 :]:
            done = subprocess.run(
                [*command, f"n{written}=x", lab.name("api")],
                env=environ,
                capture_output=True,
                check=False,
            )
            written += done.returncode == 0
    assert process.stop() == 0
    assert written > 20
    labels = lab.swarm.service(lab.name("api"))["Spec"]["Labels"]
    assert {f"n{number}" for number in range(written)} <= set(labels)
    assert lab.swarm.read(lab.name("api"), "db") == [value]
    assert not process.lines("set_aside")
    assert len(process.lines("rolling")) == 2


@pytest.mark.parametrize(
    ("count", "most"),
    [(4, 2), pytest.param(9, 3, marks=pytest.mark.acceptance)],
    ids=["few", "ten"],
)
def test_many_services_and_one_that_can_never_roll(lab: Lab, count: int, most: int) -> None:
    """I7: never more than so many in flight; one cannot be scheduled, the others all finish."""
    lab.settings(rollout={"bake": "500ms", "max_in_flight": most, "timeout": "15s"})
    names = [f"s{number}" for number in range(count)]
    lab.secret("db", {name: {"target": "db"} for name in ["stuck", *names]})
    lab.rotate("db")
    lab.sync()
    for name in ["stuck", *names]:
        alone = {"MaxReplicas": 1} if name == "stuck" else None  # and start-first needs two
        secrets = [(lab.name("db_v1"), "db")]
        lab.service(name, replicas=1, secrets=secrets, placement=alone)
        lab.swarm.wait_running(lab.name(name), 1)
    lab.sync()
    value = lab.rotate("db")
    in_flight = []
    with lab.loop() as loop:
        plan, finished = loop.sync(240, lambda _step: in_flight.append(_unconverged(lab, "db_v2")))
    assert finished
    assert max(in_flight) == most
    stuck, *others = plan.conditions[0].services
    assert stuck.reason == Reason.CANNOT_BE_SCHEDULED
    assert "no suitable node" in stuck.message
    assert {s.reason for s in others} == {Reason.UP_TO_DATE}
    for name in names:
        assert lab.swarm.read(lab.name(name), "db") == [value]


def _unconverged(lab: Lab, version: str) -> int:
    """Count the services on a version that have not converged, by their specs and tasks alone."""
    wanted = lab.swarm.secret(lab.name(version))["ID"]
    tasks = lab.swarm.call("GET", "/tasks")
    found = 0
    for service in lab.swarm.call("GET", "/services"):
        if wanted not in _ids(service["Spec"]["TaskTemplate"]):
            continue
        alive = [
            task
            for task in tasks
            if task["ServiceID"] == service["ID"] and task["Status"]["State"] in LIVE_STATES
        ]
        good = [t for t in alive if wanted in _ids(t["Spec"]) and t["Status"]["State"] == "running"]
        found += not (good and len(good) == len(alive))
    return found


def _ids(template: Any) -> set[str]:
    return {ref["SecretID"] for ref in template["ContainerSpec"].get("Secrets") or ()}
