"""Two bridges whose clocks are set and that are stopped at any call: no lease in use is lost.

And what Vault cannot take back is written by the one that leads, immediately after its fence.
"""

from __future__ import annotations

import io
import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bridge import logs
from bridge.config import Configuration
from bridge.model.desired import (
    Content,
    Desired,
    DesiredSecret,
    FileFields,
    Format,
    LeaseRules,
    Mapping,
    Retain,
    Rollout,
)
from bridge.model.settings import DockerSettings, Settings, TokenFile, VaultSettings
from bridge.observe_swarm import look_at_swarm
from bridge.sources.database.source import DatabaseRole
from bridge.sources.kv.source import KvPath
from tests.model.clocks import Machine
from tests.support.fakes import Clock, FakeSwarm, FakeVault

LONG = os.environ.get("BRIDGE_TEST_MODEL") == "long"
HOUR = 3600.0
LEASE = 120.0
PEACE = 100
"""Seconds in which another bridge takes the lead and renews what is to be renewed."""

ROTATION = 60
"""Seconds in which a generation is made, baked, and the former one ended."""

BRIDGES = st.sampled_from([0, 1])


class ClockModel(RuleBasedStateMachine):
    """One leased secret on one service, and two bridges on machines of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.said = io.StringIO()
        logs.configure(self.said)
        self.clock = Clock()
        self.vault = FakeVault(self.clock)
        self.leases = self.vault.leases
        self.swarm = FakeSwarm(self.clock)
        self.swarm.deploy("api", 2, "rollback")
        self.leases.set_role("app", LEASE, 1e6)
        self.vault.write("go", "1")
        secret = DesiredSecret(
            name="db",
            source=DatabaseRole("", "db", "app"),
            content=Content(format=Format.RAW, field="password"),
            services=(Mapping("api", (FileFields("db"),)),),
            lease=LeaseRules(1 / 3, None, KvPath("", "kv", "go"), 3.0, 40.0),
        )
        desired = Desired(
            instance="default",
            secrets=(secret,),
            rollout=Rollout(bake=2.0, timeout=20.0),
            retain=Retain(1, 0.0),
        )
        servers = Settings(
            vault=VaultSettings(address="http://v", auth=TokenFile("")),
            docker=DockerSettings("unix:///d"),
        )
        configuration = Configuration(desired, servers)
        self.machines = [
            Machine(configuration, self.vault, self.swarm, self.clock, self.others_go_on)
            for _ in range(2)
        ]
        self._seen, self._in_use = b"", set[str]()
        self.seconds(ROTATION)

    # --- time ------------------------------------------------------------------------------------

    def seconds(self, count: float) -> None:
        """Let time pass for everybody who is not stopped."""
        for _ in range(int(count)):
            self.swarm.tick()
            for machine in self.machines:
                machine.go()
            self.no_lease_in_use_ends()

    def others_go_on(self, _stopped: Machine, seconds: float) -> None:
        """A bridge is stopped in the middle of a call, and wakes up later."""
        self.seconds(seconds)

    @rule(count=st.integers(1, 30))
    def time_passes(self, count: int) -> None:
        self.seconds(count)

    @rule(which=BRIDGES, by=st.sampled_from([-48.0, -2.0, -0.1, 0.1, 2.0, 48.0]))
    def a_wall_clock_is_set(self, which: int, by: float) -> None:
        self.machines[which].ahead += by * HOUR

    @rule(by=st.sampled_from([-2.0, 2.0]))
    def all_wall_clocks_are_set(self, by: float) -> None:
        """And long enough passes to miss a renewal."""
        for machine in self.machines:
            machine.ahead += by * HOUR
        self.seconds(LEASE)

    # --- what happens to bridges -----------------------------------------------------------------

    @rule(which=BRIDGES, calls=st.integers(0, 30), seconds=st.sampled_from([5.0, 40.0]))
    def stopped_at_a_call(self, which: int, calls: int, seconds: float) -> None:
        """In the middle of a rotation; another one may lead by the time that it wakes."""
        self.ask()
        self.machines[which].stop = calls, seconds
        self.seconds(PEACE)
        self.machines[which].stop = None

    @rule(which=BRIDGES, wait=st.integers(0, 15))
    def renewals_are_lost(self, which: int, wait: int) -> None:
        """It may act on what it held for a while, and must not do what cannot be undone."""
        self.ask()
        self.seconds(wait)
        self.machines[which].lost = True
        self.seconds(25)
        self.machines[which].lost = False
        self.seconds(PEACE)

    @rule(which=BRIDGES)
    def killed(self, which: int) -> None:
        self.machines[which].start()
        self.seconds(PEACE)

    def ask(self) -> None:
        """Ask for a rotation, in Vault alone."""
        self.vault.write("go", "again")

    @rule(wait=st.integers(0, 12), by=st.sampled_from([-2.0, 0.0, 2.0]))
    def a_rotation_ends_in_time(self, wait: int, by: float) -> None:
        """Whatever is done to the clocks in its middle: bake, grace and end take seconds."""
        self.seconds(PEACE + ROTATION)
        before = self.newest()
        self.seconds(2)
        self.ask()
        self.seconds(wait)
        for machine in self.machines:
            machine.ahead += by * HOUR
        self.seconds(ROTATION)
        assert self.newest() > before, self.said.getvalue()[-3000:]
        assert len(self.leases.users_of("app")) == 1, self.said.getvalue()[-3000:]

    # --- what must hold --------------------------------------------------------------------------

    def newest(self) -> int:
        """Return the number of the newest generation."""
        view = look_at_swarm(self.swarm, "default", self.clock())  # type: ignore[arg-type]
        return view.mirrors_of("default", "db")[0].identity.version

    def no_lease_in_use_ends(self) -> None:
        """I4."""
        for lease in self.leases_in_use():
            user = self.leases.history[lease].username
            assert self.leases.valid(user), self.said.getvalue()[-3000:]

    def leases_in_use(self) -> set[str]:
        """Return the leases that running tasks have; they are the same while the swarm is."""
        contents = self.swarm.contents()
        if contents != self._seen:
            view = look_at_swarm(self.swarm, "default", self.clock())  # type: ignore[arg-type]
            held = {held for task in view.tasks if task.running for held in task.secret_ids}
            leased = [view.mirror_by_id[secret_id].leased for secret_id in held]
            assert all(leased)
            self._seen, self._in_use = contents, {found.lease for found in leased if found}
        return self._in_use

    @invariant()
    def who_does_not_lead_writes_nothing_that_lasts(self) -> None:
        assert [machine.wrong for machine in self.machines] == [[], []]


TestClockModel = ClockModel.TestCase
TestClockModel.settings = settings(
    max_examples=300 if LONG else 12,
    stateful_step_count=20 if LONG else 10,
    phases=[Phase.explicit, Phase.generate],  # minutes pass in a step, so that shrinking takes long
    derandomize=not LONG,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
