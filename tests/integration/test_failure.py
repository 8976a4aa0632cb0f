"""A roll that fails is seen, said and not tried again by itself (I11)."""

from __future__ import annotations

import pytest

from tests.support.lab import Lab

POISON = [
    "sh",
    "-c",
    'grep -q poison /run/secrets/pw && exit 3; trap "exit 0" TERM; while :; do sleep 0.1; done',
]


@pytest.mark.parametrize("action", ["rollback", "pause", "continue"])
def test_a_poisoned_version_is_tried_once(lab: Lab, action: str) -> None:
    lab.settings(rollout={"bake": "2s", "timeout": "20s"})
    lab.secret("pw", {"api": {"target": "pw"}})
    good = lab.rotate("pw")
    lab.sync()
    lab.service("api", command=POISON, secrets=[(lab.name("pw_v1"), "pw")],
                update={"FailureAction": action})  # fmt: skip
    lab.swarm.wait_running(lab.name("api"), 2)
    lab.sync()
    _, engine = lab.through_proxies()

    lab.vault.write(lab.mount, "pw", password="poison")
    out = lab.cli("sync", code=5)
    assert "RollFailed" in out
    status = lab.status(code=5)["pw"]
    assert (status["state"], status["reason"]) == ("Degraded", "RollFailed")
    assert "exit" in status["message"] or "3" in status["message"]
    assert lab.updates(engine, "api") == 1

    with lab.loop() as loop:
        for _ in range(20):
            loop.step(vault=True)
    lab.cli("sync", code=5)
    assert lab.updates(engine, "api") == 1
    assert lab.status(code=5)["pw"]["reason"] == "RollFailed"
    if action == "rollback":
        assert lab.swarm.read(lab.name("api"), "pw") == [good, good]

    mended = lab.rotate("pw")
    lab.cli("sync", code=0)
    assert lab.swarm.read(lab.name("api"), "pw") == [mended, mended]
    assert lab.updates(engine, "api") == 2


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
    assert lab.swarm.read(lab.name("second"), "pw") == [good]
