"""I9: whatever becomes of Vault, nothing rolls but what is wanted, and it goes on by itself."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from bridge.decide import remember
from bridge.loop import Loop
from tests.support.cluster import VaultCluster
from tests.support.inbox import HangingInbox, WebInbox
from tests.support.lab import Lab
from tests.support.processes import eventually
from tests.support.proxy import Answer, Cut, Exchange, Phase, Proxy, no_trouble
from tests.support.swarm import Engine
from tests.support.vault import VaultServer


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[VaultCluster]:
    made = VaultCluster(tmp_path / "cluster")
    yield made
    made.close()


@pytest.fixture
def lab_at_cluster(tmp_path: Path, swarm: Engine, cluster: VaultCluster) -> Iterator[Lab]:
    folder = tmp_path / "lab"
    folder.mkdir()
    made = Lab(folder, swarm, cast("VaultServer", cluster))
    yield made
    made.close()


@pytest.mark.acceptance
def test_every_rotation_ends_whatever_becomes_of_vaults_leader(
    lab_at_cluster: Lab, cluster: VaultCluster
) -> None:
    """Killed, stepped down, sealed: each rotation once, and the bridge runs all the time."""
    lab = lab_at_cluster
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    lab.rotate("db")
    process = lab.start()
    process.wait_for("good", docker_secret=lab.name("db_v1"))
    for trouble in ("kill", "step down", "seal") * 2:
        leader = cluster.active()
        value = lab.rotate("db")
        match trouble:
            case "kill":
                leader.stop()
            case "step down":
                cluster.step_down()
            case "seal":
                leader.seal()
        if trouble != "step down":
            value = lab.rotate("db")
        eventually(lambda v=value: lab.swarm.read(lab.name("api"), "db") == [v])  # type: ignore[misc]
        if trouble == "kill":
            leader.start()
        elif trouble == "seal":
            leader.unseal()
    assert process.stop() == 0
    rolled = [line["version"] for line in process.lines("rolling")]
    assert len(rolled) == len(set(rolled))
    assert not process.lines("set_aside")
    assert not process.lines("cycle_failed")


@pytest.mark.parametrize("how", ["forbidden", "unmounted"])
def test_much_is_gone_at_once(lab: Lab, inbox: WebInbox, hanging: HangingInbox, how: str) -> None:
    """Reported as one thing, nothing rolls or goes, and it goes on by itself."""
    lab.notify(f"json://{inbox.address}/hook", f"json://{hanging.address}/hook?rto=300")
    names = [f"s{number}" for number in range(7)]
    policy, rules = lab.name("policy"), f'path "{lab.mount}/*" {{ capabilities = ["read"] }}'
    lab.vault.policy(policy, rules)
    lab.token_file.write_text(lab.vault.make_token(policy))
    lab.service("api", replicas=1)
    lab.settings(retain={"versions": 1, "min_age": "0s"})
    for name in names:
        lab.secret(name, {"api": {"target": name}} if name == "s0" else {})
        lab.rotate(name)
    lab.sync()
    _, engine = lab.through_proxies()
    process = lab.start()
    process.wait_for("state", state="Synced", count=len(names))
    snapshot = lab.vault.snapshot()
    if how == "forbidden":
        lab.vault.policy(policy, rules.replace("read", "deny"))
    else:
        lab.vault.unmount(lab.mount)
    process.wait_for("held", reason="ManyMissing")
    eventually(lambda: len(inbox.got) == 1)
    asked = len(process.lines())
    assert {s["state"] for s in lab.status(code=3).values()} == {"Held"}
    assert lab.writes(engine) == []
    if how == "forbidden":
        lab.vault.policy(policy, rules)
    else:
        lab.vault.restore(snapshot)
    process.wait_for("no_longer_held", reason="ManyMissing")
    eventually(lambda: len(inbox.got) == 2)
    value = lab.rotate("s0")
    process.wait_for("good", docker_secret=lab.name("s0_v2"))
    assert lab.swarm.read(lab.name("api"), "s0") == [value]
    assert len([line for line in process.lines("held") if line["reason"] == "ManyMissing"]) == 1
    assert asked < 40  # not a line for each cycle and secret
    eventually(lambda: len(inbox.got) == 3)
    bridge = f"[vault-bridge {lab.name('bridge')}]"
    assert inbox.titles == [
        f"Held: all secrets (ManyMissing) {bridge}",
        f"Recovered: all secrets (ManyMissing) {bridge}",
        f"Rotated: {lab.name('s0')} {bridge}",
    ]
    assert hanging.connections == 1  # its first message is still under way
    assert not [canary for canary in lab.canaries if canary in repr(inbox.got)]
    assert process.stop() == 0


def _faults(seed: int, rate: float) -> Callable[[Exchange, Phase], None]:
    """Make trouble with some of the requests: each kind that a network and a proxy know."""
    dice = random.Random(seed)

    def fault(exchange: Exchange, phase: Phase) -> None:
        if dice.random() > rate / 2:
            return
        if phase == Phase.AFTER:
            raise dice.choice(
                [Cut(), Answer(200, b'{"data": {"vers', missing=500), Answer(200, b'{"data": {')]
            )
        raise dice.choice(
            [
                Cut(),
                Answer(500, b'{"errors": ["internal error"]}'),
                Answer(503, b'{"errors": ["Vault is sealed"]}'),
                Answer(429, b'{"errors": []}'),
                Answer(404, b"<html>not found</html>", "text/html"),
                Answer(200, b"<html>please sign in</html>", "text/html"),
                Answer(404, b'{"errors": []}'),  # a standby that lags
            ]
        )

    return fault


@pytest.mark.parametrize(
    ("secrets", "cycles"),
    [
        (12, 30),
        pytest.param(50, 200, marks=pytest.mark.acceptance),
    ],
    ids=["few", "many"],
)
def test_a_bad_network_before_vault(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, secrets: int, cycles: int
) -> None:
    """No roll but the wanted ones, no crash; all is right two intervals after the faults end."""
    names = [f"s{number}" for number in range(secrets)]
    lab.settings(poll={"interval": "10s"}, rollout={"bake": "1s", "max_in_flight": 2})
    for service in ("api", "worker"):
        lab.service(service, replicas=1)
    for number, name in enumerate(names):
        lab.secret(name, {("api", "worker")[number % 2]: {"target": name}} if number < 4 else {})
        lab.rotate(name)
    lab.sync()
    assert all(lab.versions(name) == {1} for name in names)
    vault, engine = lab.through_proxies()
    monkeypatch.setattr(remember, "LONGEST_BACKOFF", 10.0)
    wanted = {"s0": "api", "s1": "worker"}
    with lab.loop() as loop:
        before = {service: lab.updates(engine, service) for service in ("api", "worker")}
        vault.hook = _faults(1, 0.05)
        values = {}
        for cycle in range(cycles):
            if cycle == cycles // 2:
                values = {name: lab.rotate(name) for name in wanted}
            loop.step(vault=True)
        vault.hook = no_trouble
        _two_intervals(loop, vault, engine)
    for name, service in wanted.items():
        assert lab.swarm.read(lab.name(service), name) == [values[name]]
        assert lab.updates(engine, service) - before[service] == 1
        assert lab.versions(name) == {1, 2}
    assert all(lab.versions(name) == {1} for name in names if name not in wanted)
    assert {s["state"] for s in lab.status().values()} == {"Synced"}


def _two_intervals(loop: Loop, vault: Proxy, engine: Proxy) -> None:
    """Let it look at Vault as often as it would by itself in two intervals; rolls take longer."""
    step = loop.step(vault=True)
    step = loop.step(vault=True)
    eventually(lambda: not loop.step().plan.rolling and not loop.step().plan.chains)
    assert step.plan is not None
