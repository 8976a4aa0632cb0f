"""One cycle over servers in memory: what is looked at, what is done, and what is forgotten."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any, cast

import pytest

from bridge import logs
from bridge.cadence import SECOND_LOOK
from bridge.clock import Clock as TwoClocks
from bridge.config import Configuration
from bridge.evidence.chain import Line, verify
from bridge.leader_lease import Lease
from bridge.model.audit_head import AUDIT, AuditHead
from bridge.model.names import state_config_name
from bridge.model.reasons import State
from bridge.model.settings import AuditSettings, DockerSettings, Settings, TokenFile, VaultSettings
from bridge.reconcile import Reconciler, Step
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from bridge.sources.kv.source import KvPath
from bridge.swarm_cache import WHOLE
from bridge.wiring import Wiring
from tests.support.builders import PATH, desired_of
from tests.support.fakes import Clock, FakeSwarm, FakeVault

TTL = 30.0
INTERVAL = 10.0


class _Vault(FakeVault):
    """Counts how often the path was asked for; its login never ends."""

    pause: float | None = None
    asked = 0

    def keep(self) -> None:
        pass

    def metadata(self, path: KvPath, *, patient: bool = True) -> dict[str, Any]:
        self.asked += 1
        return super().metadata(path, patient=patient)


class _Scene:
    """A secret in Vault, a service that is to get it, and a bridge."""

    def __init__(self, audit: AuditSettings | None = None) -> None:
        self.clock = Clock()
        self.ahead = 0.0
        self.vault = _Vault(self.clock)
        self.swarm = FakeSwarm(self.clock)
        self.swarm.deploy("api", 1, "pause")
        self.vault.write(PATH.path, "v")
        servers = Settings(
            vault=VaultSettings(address="http://v", auth=TokenFile("")),
            docker=DockerSettings("unix:///d"),
            poll_interval=INTERVAL,
            audit=audit,
        )
        configuration = Configuration(desired_of("api"), servers)
        clock = TwoClocks(lambda: self.clock() + self.ahead, self.clock)
        self.wiring = Wiring(
            configuration,
            clock=clock,
            ttl=TTL,
            vault=cast("Vault", self.vault),
            swarm=cast("Swarm", self.swarm),
        )
        self.out = StringIO()
        logs.configure(self.out)
        log = logs.logger()
        self.bridge = Reconciler(configuration, self.wiring, clock, log)
        self.other = Lease(cast("Swarm", self.swarm), instance="default", ttl=TTL, clock=self.clock)

    @property
    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.out.getvalue().splitlines()]

    def step(self) -> Step:
        """Run a cycle that has heard all events."""
        for event in self.swarm.happened():
            self.bridge.follower.heard(event)
        return self.bridge.step(vault=True)

    def rest(self) -> None:
        """Run cycles until the service has the secret and was watched long enough."""
        for _ in range(10):
            self.bridge.step()
            self.clock.now += 1
            self.swarm.tick()


@pytest.fixture
def scene() -> _Scene:
    return _Scene()


def test_a_version_is_mirrored_rolled_and_found_good(scene: _Scene) -> None:
    step = scene.bridge.step()
    assert step.acted
    assert step.leader == ""
    scene.rest()
    step = scene.bridge.step()
    assert not step.acted
    assert step.plan.finished
    assert [c.state for c in step.plan.conditions] == [State.SYNCED]
    actions = [event for event in scene.events if event in ("mirrored", "rolling", "good")]
    assert actions == ["mirrored", "rolling", "good"]


@pytest.mark.parametrize("audit", [AuditSettings(), None])
def test_the_head_of_the_evidence_is_written_with_what_was_done(
    audit: AuditSettings | None,
) -> None:
    scene = _Scene(audit)
    scene.rest()
    lines = [json.loads(line) for line in scene.out.getvalue().splitlines()]
    records = [line["record"] for line in lines if line["event"] == "audit"]
    config = scene.swarm.config(state_config_name("default")) or {}
    label = config["Spec"]["Labels"].get(AUDIT)
    if audit is None:
        assert (records, label) == ([], None)
        return
    assert label is not None
    head = AuditHead.read(label)
    assert verify([Line(str(n), r) for n, r in enumerate(records)], head).faults == ()
    acts = [record["act"] for record in records]
    assert [a for a in acts if a in ("mirrored", "rolling", "good")] == [
        "mirrored",
        "rolling",
        "good",
    ]


def test_an_idle_bridge_asks_nothing_of_the_swarm(scene: _Scene) -> None:
    """But for the heartbeat."""
    scene.bridge.follower.opened()
    for _ in range(10):
        scene.step()
        scene.clock.now += 1
        scene.swarm.tick()
    assert [c.state for c in scene.step().plan.conditions] == [State.SYNCED]
    scene.clock.now += WHOLE
    scene.step()  # once a minute it looks at all
    asked = set[str]()
    for _ in range(5):
        scene.clock.now += INTERVAL
        del scene.swarm.asked[:]
        assert scene.step().plan.finished
        asked |= set(scene.swarm.asked)
    assert asked <= {"config"}  # that of the leader's lease


def test_what_is_written_rests_on_a_look_at_all(scene: _Scene) -> None:
    scene.bridge.follower.opened()
    for _ in range(15):
        if scene.clock.now % 5 == 0:
            scene.vault.write(PATH.path, "v")
        del scene.swarm.asked[:], scene.swarm.writes[:]
        step = scene.step()
        scene.clock.now += 1
        scene.swarm.tick()
        whole = "nodes" in scene.swarm.asked
        assert whole or not step.outcomes
    assert len(scene.swarm.secrets()) >= 2


def test_vault_is_looked_at_when_it_is_due_or_asked_for(scene: _Scene) -> None:
    scene.rest()
    scene.bridge.step(vault=True)
    asked = scene.vault.asked
    scene.bridge.step()
    assert scene.vault.asked == asked
    scene.bridge.step(vault=True)
    assert scene.vault.asked == asked + 1
    scene.clock.now = scene.bridge.vault_due
    scene.bridge.step()
    assert scene.vault.asked == asked + 2


def test_a_bridge_that_does_not_lead_only_watches(scene: _Scene) -> None:
    assert scene.other.hold()
    step = scene.bridge.step()
    assert step.plan.chains
    assert step.outcomes == ()
    assert step.leader
    assert scene.swarm.secrets() == []


def test_a_lead_that_begins_anew_forgets_what_was_seen_before(scene: _Scene) -> None:
    """Another bridge may have acted in between."""
    scene.bridge.step()
    scene.clock.now += TTL
    scene.other.hold()
    scene.clock.now += TTL
    assert scene.other.hold()
    scene.bridge.step()
    scene.other.release()
    asked = scene.vault.asked
    assert scene.bridge.vault_due > scene.clock()
    assert scene.bridge.lead()
    scene.bridge.step()
    assert scene.vault.asked == asked + 1


def test_a_plan_changes_nothing_and_looks_twice_where_a_path_seems_gone(scene: _Scene) -> None:
    scene.rest()
    scene.vault.delete_metadata(PATH.path)
    before, asked = scene.swarm.secrets(), scene.vault.asked
    pauses: list[float] = []
    scene.bridge.plan(pauses.append)
    assert pauses == [SECOND_LOOK]
    assert scene.vault.asked == asked + 2
    assert scene.swarm.secrets() == before


def test_what_is_remembered_follows_a_wall_clock_that_was_set(scene: _Scene) -> None:
    scene.rest()
    scene.bridge.step(vault=True)
    due, asked = scene.bridge.vault_due, scene.vault.asked
    scene.ahead = -7200.0
    scene.bridge.step()
    assert scene.bridge.vault_due == pytest.approx(due - 7200.0)
    assert "clock_set" in scene.events
    assert scene.vault.asked == asked
