"""A storm of events does not make the loop spin: what counts is how often it runs a cycle."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, cast

import pytest

from bridge import logs, loop
from bridge.cadence import EVENT_GAP, EVENT_LEEWAY
from bridge.config import Configuration
from bridge.loop import Loop
from bridge.model.settings import DockerSettings, Settings, TokenFile, VaultSettings
from bridge.reconcile import Step
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from tests.support.builders import PATH, desired_of
from tests.support.fakes import Clock, FakeSwarm, FakeVault
from tests.support.processes import eventually


class _Vault(FakeVault):
    pause: float | None = None

    def keep(self) -> None:
        pass

    def beside(self, _cancellation: object) -> FakeVault:
        return self

    def disconnect(self) -> None:
        pass


class _Swarm(FakeSwarm):
    def close(self) -> None:
        pass


class _Events:
    """A connection that tells of one event after the other, for as long as it is open."""

    told = 0

    def __init__(self, _settings: DockerSettings) -> None:
        self._open = True

    def events(self) -> Iterator[dict[str, Any]]:
        while self._open:
            _Events.told += 1
            yield {"Type": "service", "Action": "update"}
            time.sleep(0)  # the other thread is to have its turn

    def close(self) -> None:
        self._open = False


class _Loop(Loop):
    cycles = 0

    def step(self, *, vault: bool = False) -> Step:
        self.cycles += 1
        return super().step(vault=vault)


@pytest.fixture
def storm(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Loop]:
    """A loop with nothing to do, in a storm."""
    logs.configure()
    monkeypatch.setattr(loop, "Swarm", _Events)
    clock = Clock()
    vault, swarm = _Vault(clock), _Swarm(clock)
    vault.write(PATH.path, "v")
    servers = Settings(
        vault=VaultSettings(address="http://v", auth=TokenFile("")),
        docker=DockerSettings("unix:///d"),
        poll_interval=3600.0,
    )
    made = _Loop(
        Configuration(desired_of(), servers), vault=cast("Vault", vault), swarm=cast("Swarm", swarm)
    )
    with closing(made):
        yield made


def test_cycles_are_spaced_in_a_storm_of_events(storm: _Loop) -> None:
    """As many as time has passed for; on a slow machine there are fewer of them."""
    thread = threading.Thread(target=storm.run)
    begun = time.monotonic()
    thread.start()
    try:
        eventually(lambda: storm.cycles >= 12)
    finally:
        storm.stop()
        thread.join()
    passed = time.monotonic() - begun
    acted = 5  # cycles that follow one which has done something, at once
    assert storm.cycles <= (passed + EVENT_LEEWAY) / EVENT_GAP + 1 + acted
    assert _Events.told > storm.cycles
