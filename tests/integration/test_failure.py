"""A roll that fails is seen, said, taken back, and not tried again by itself (I11)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.support.lab import Lab
from tests.support.processes import eventually
from tests.support.swarm import SLEEP

ILL = "it took poison"
POISON = [
    "sh",
    "-c",
    f"""grep -q poison /run/secrets/pw && {{ echo {ILL}; exit 3; }}
    {SLEEP}""",
]
LATE_POISON = [
    "sh",
    "-c",
    f"""trap "exit 0" TERM; grep -q poison /run/secrets/pw && {{ sleep 2.5; exit 3; }}
    {SLEEP}""",
]
_ALL = list(
    itertools.product(("rollback", "pause", "continue"), (1, 3), ("start-first", "stop-first"))
)
_FEW = [
    ("rollback", 1, "start-first"),
    ("pause", 3, "stop-first"),
    ("continue", 3, "start-first"),
]


def _deploy(lab: Lab, cases: list[tuple[str, int, str]], rollout: dict[str, Any]) -> list[str]:
    """Deploy a service for each case, all on version 1 and well; returns its value."""
    # Longer than a task takes here to start and to fail, also where many start at once.
    lab.settings(rollout={"bake": "4s", "timeout": "15s", **rollout})
    names = [f"s{number}" for number in range(len(cases))]
    lab.secret("pw", {name: {"target": "pw"} for name in names})
    lab.rotate("pw")
    lab.sync()
    for name, (action, replicas, order) in zip(names, cases, strict=True):
        lab.service(
            name,
            replicas=replicas,
            command=POISON,
            secrets=[(lab.name("pw_v1"), "pw")],
            update={"FailureAction": action, "Order": order, "Parallelism": 1},
        )
    for name, (_, replicas, _) in zip(names, cases, strict=True):
        lab.swarm.wait_running(lab.name(name), replicas)
    lab.sync()
    return names


@pytest.mark.parametrize(
    ("cases", "rollout"),
    [
        (_FEW, {"max_in_flight": 3}),
        (_FEW, {"max_in_flight": 3, "on_failure": "all"}),
        pytest.param(_ALL, {"max_in_flight": 12}, marks=pytest.mark.acceptance),
        pytest.param(
            _ALL, {"max_in_flight": 12, "on_failure": "all"}, marks=pytest.mark.acceptance
        ),
    ],
    ids=["few", "few-all", "twelve", "twelve-all"],
)
def test_a_poisoned_version_is_taken_back_and_not_tried_again(
    lab: Lab, cases: list[tuple[str, int, str]], rollout: dict[str, Any]
) -> None:
    """Every service is whole on the former version, whatever the engine did on its own."""
    names = _deploy(lab, cases, rollout)
    _, engine = lab.through_proxies()

    lab.vault.write(lab.mount, "pw", password="poison")
    said = lab.cli("sync", "--timeout", "300", code=5)
    assert "set aside" in said
    status = lab.status(code=5)["pw"]
    assert (status["state"], status["reason"]) == ("Degraded", "RollFailed")
    assert status["running_version"] == 1
    assert "non-zero exit (3)" in status["message"]
    for name, case in zip(names, cases, strict=True):
        back = {"pw": lab.name("pw_v1")}
        assert lab.swarm.references(lab.name(name)) == back, (name, case, said)
        # With start-first the engine may leave two tasks in a slot until the service is written.
        assert len(lab.swarm.tasks(lab.name(name))) >= case[1]

    before = len(lab.writes(engine))
    with lab.loop() as loop:
        for _ in range(20):
            loop.step(vault=True)
    lab.cli("sync", code=5)
    assert lab.writes(engine)[before:] == []

    mended = lab.rotate("pw")
    lab.cli("sync", "--timeout", "300")
    for name, (_, replicas, _) in zip(names, cases, strict=True):
        assert lab.swarm.read(lab.name(name), "pw") == [mended] * replicas


def test_the_others_are_held_while_one_has_failed(lab: Lab) -> None:
    """A version that failed on one service is not begun on the next."""
    lab.settings(rollout={"bake": "1s", "max_in_flight": 1})
    lab.secret("pw", {"first": {"target": "pw"}, "second": {"target": "pw"}})
    good = lab.rotate("pw")
    lab.sync()
    for service in ("first", "second"):
        lab.service(service, command=POISON, replicas=1, secrets=[(lab.name("pw_v1"), "pw")])
    lab.sync()
    lab.vault.write(lab.mount, "pw", password="poison")
    lab.cli("sync", code=5)
    services = {s["name"]: s["reason"] for s in lab.status(code=5)["pw"]["services"]}
    assert services == {lab.name("first"): "RollFailed", lab.name("second"): "FailedElsewhere"}
    for service in ("first", "second"):
        assert lab.swarm.read(lab.name(service), "pw") == [good]


def test_tasks_that_die_while_they_bake(lab: Lab) -> None:
    """The engine has called it completed long before."""
    lab.settings(rollout={"bake": "6s"})
    lab.secret("pw", {"api": {"target": "pw"}})
    good = lab.rotate("pw")
    lab.sync()
    lab.service("api", command=LATE_POISON, replicas=1, secrets=[(lab.name("pw_v1"), "pw")])
    lab.sync()
    lab.vault.write(lab.mount, "pw", password="poison")
    lab.cli("sync", code=5)
    assert "did not stay up" in lab.status(code=5)["pw"]["message"]
    assert lab.swarm.read(lab.name("api"), "pw") == [good]


def test_of_two_versions_that_moved_together_only_the_guilty_one_is_set_aside(lab: Lab) -> None:
    lab.settings(rollout={"bake": "1s"})
    lab.secret("pw", {"api": {"target": "pw"}})
    lab.secret("key", {"api": {"target": "key"}})
    good = lab.rotate("pw")
    lab.rotate("key")
    lab.sync()
    references = [(lab.name("pw_v1"), "pw"), (lab.name("key_v1"), "key")]
    lab.service("api", command=POISON, replicas=1, secrets=references)
    lab.sync()
    lab.vault.write(lab.mount, "pw", password="poison")
    key = lab.rotate("key")
    lab.cli("sync", code=5)
    assert lab.swarm.references(lab.name("api")) == {
        "pw": lab.name("pw_v1"),
        "key": lab.name("key_v2"),
    }
    assert lab.swarm.read(lab.name("api"), "pw") == [good]
    assert lab.swarm.read(lab.name("api"), "key") == [key]
    status = lab.status(code=5)
    assert (status["pw"]["reason"], status["key"]["reason"]) == ("RollFailed", "UpToDate")


def test_the_first_takeover_fails_and_goes_back_to_the_hand_made_secret(lab: Lab) -> None:
    lab.settings(rollout={"bake": "1s"})
    lab.swarm.create_secret(lab.name("pw"), b"by hand")
    lab.service(
        "api",
        command=POISON,
        replicas=2,
        secrets=[(lab.name("pw"), "pw")],
        update={"FailureAction": "pause", "Order": "stop-first"},
    )
    lab.swarm.wait_running(lab.name("api"), 2)
    lab.secret("pw", {"api": {"target": "pw"}})
    lab.vault.write(lab.mount, "pw", password="poison")
    lab.cli("sync", code=5)
    assert lab.swarm.read(lab.name("api"), "pw") == ["by hand", "by hand"]
    good = lab.rotate("pw")
    lab.cli("sync")
    assert lab.swarm.read(lab.name("api"), "pw") == [good, good]


def test_docker_service_rollback_is_taken_as_the_operators_word(lab: Lab) -> None:
    """Held, and said; the next version rolls. A prune has left what the rollback needs."""
    lab.service("api", replicas=2)
    lab.secret("pw", {"api": {"target": "pw"}})
    for _ in range(3):
        value = lab.rotate("pw")
        lab.sync()
    assert lab.versions("pw") == {2, 3}
    _, engine = lab.through_proxies()
    raw = lab.swarm.service(lab.name("api"))
    place = f"/services/{raw['ID']}/update"
    lab.swarm.call("POST", place, raw["Spec"], version=raw["Version"]["Index"], rollback="previous")
    lab.cli("sync", code=3)
    assert lab.swarm.references(lab.name("api")) == {"pw": lab.name("pw_v2")}
    eventually(lambda: len(lab.swarm.tasks(lab.name("api"))) == 2)
    assert value not in lab.swarm.read(lab.name("api"), "pw")
    status = lab.status(code=3)["pw"]
    assert (status["state"], status["reason"]) == ("Held", "SetAside")
    assert lab.updates(engine, "api") == 0
    newer = lab.rotate("pw")
    lab.cli("sync")
    assert lab.swarm.read(lab.name("api"), "pw") == [newer, newer]
