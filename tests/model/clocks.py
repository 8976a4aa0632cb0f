"""Whole bridges over servers in memory, each with a clock of its own that somebody may set.

What runs is the loop itself, with its cadence, its leader's lease and its lookups. It may be
stopped at any call, for longer than the lease lives, while another bridge goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from bridge.clock import Clock
from bridge.config import Configuration
from bridge.errors import AnswerLost, SwarmError
from bridge.loop import Loop
from bridge.model.labels import ACCESSOR
from bridge.model.leadership import Holder, lease_config_name
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from tests.support.fakes import FakeSwarm, FakeVault

LASTING = frozenset(("issue", "shorten", "revoke", "revoke_token", "renew_token"))
"""What Vault cannot take back. A custody is made permanent by its first renewal."""

RENEWALS = frozenset(("set_config_labels", "create_config"))
"""Of the leader's lease, as long as nobody wishes anything."""

Hook = Callable[[str, tuple[Any, ...], bool], None]


class Line:
    """A bridge's connection to a server: something may happen before and after each call."""

    def __init__(self, server: object, hook: Hook) -> None:
        self._server = server
        self._hook = hook

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._server, name)
        if not callable(found):
            return found

        def call(*args: Any, **more: Any) -> Any:
            self._hook(name, args, False)
            answer = found(*args, **more)
            self._hook(name, args, True)
            return answer

        return call


class VaultLine(Line):
    """A session of its own with Vault; its login never ends."""

    pause: float | None = None

    def __init__(self, server: FakeVault, hook: Hook) -> None:
        super().__init__(server, hook)
        self.kv = Line(server.kv, hook)
        self.leases = Line(server.leases, hook)

    def keep(self) -> None:
        """Have nothing to renew."""


class Machine:
    """The machine that a bridge runs on.

    Attributes:
        ahead: Seconds by which its wall clock is ahead of the true time.
        stop: Where it will be stopped: calls until then, and for how many seconds.
        lost: Whether answers to renewals of the leader's lease are lost.
        fenced: Whether its latest call was an acknowledged renewal of the leader's lease.
        wrong: What it wrote without being allowed to.
    """

    def __init__(
        self,
        configuration: Configuration,
        vault: FakeVault,
        swarm: FakeSwarm,
        now: Callable[[], float],
        others: Callable[[Machine, float], None],
    ) -> None:
        self._configuration = configuration
        self._servers = vault, swarm
        self._now = now
        self._others = others
        self.ahead = 0.0
        self.stop: tuple[int, float] | None = None
        self.lost = False
        self.fenced = False
        self.wrong: list[str] = []
        self.running = False
        self.start()

    def start(self) -> None:
        """Start its bridge, after a crash with nothing that it remembers."""
        vault, swarm = self._servers
        self.bridge = Driven(
            self._configuration,
            clock=Clock(lambda: self._now() + self.ahead, self._now),
            vault=cast("Vault", VaultLine(vault, self._called)),
            swarm=cast("Swarm", Line(swarm, self._called)),
        )

    def go(self) -> None:
        """Let its bridge do what is due; one that is stopped does nothing."""
        if not self.running:
            self.running = True
            try:
                self.bridge.go()
            finally:
                self.running = False

    def _called(self, name: str, args: tuple[Any, ...], done: bool) -> None:
        if name in LASTING and not done:
            self._judge(name, args)
            return  # between the fence and the write nothing protects anybody
        if done:
            self.fenced = name in RENEWALS
        elif name in RENEWALS and self.lost:
            raise AnswerLost("node lost leader status")
        if self.stop is None:
            return
        calls, seconds = self.stop
        self.stop = (calls - 1, seconds) if calls else None
        if not calls:
            self._others(self, seconds)

    def _judge(self, name: str, args: tuple[Any, ...]) -> None:
        """The write comes immediately after the fence, and the lease is ours."""
        vault, swarm = self._servers
        named = {raw["Spec"]["Labels"].get(ACCESSOR) for raw in swarm.secrets()}
        if name == "revoke_token" and args[0] not in named:
            return  # its own, of a credential that came to nothing
        token = vault.leases.tokens.get(args[0]) if name == "renew_token" else None
        if token and token.renewed is not None:
            return  # it is permanent
        config = swarm.config(lease_config_name("default")) or {}
        holder = Holder.read(config.get("Spec", {}).get("Labels") or {})
        if not (self.fenced and holder and self.bridge.is_holder(holder)):
            self.wrong.append(name)


class Driven(Loop):
    """A loop that is driven by hand, and waits as long as one that runs by itself."""

    due = 0.0

    def go(self) -> None:
        """Run a cycle where its time has come, as ``run`` does."""
        if self._clock.boot() < self.due:
            return
        try:
            pause = self.pause_after(self.step_or_stand_by())
        except SwarmError:
            pause = 1.0
        self.due = self._clock.boot() + pause

    def is_holder(self, holder: Holder) -> bool:
        """Tell whether it is the one that holds the leader's lease."""
        return self._wiring.lease.is_held_by(holder)
