"""When our own credential ends stays known while Vault does not answer for a moment."""

from __future__ import annotations

from contextlib import closing, nullcontext
from typing import cast

import pytest

from bridge import logs, loop
from bridge.config import Configuration
from bridge.errors import VaultUnreachable
from bridge.loop import Loop
from bridge.model.cycle_report import CycleReport
from bridge.model.settings import DockerSettings, HttpSettings, Settings, TokenFile, VaultSettings
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from tests.support.builders import PATH, desired_of
from tests.support.fakes import Clock, FakeSwarm, FakeVault

END = 4e9


class _Vault(FakeVault):
    """It tells when the credential ends each other time, and gives no answer in between."""

    pause: float | None = None
    asked = 0

    def credential_end(self) -> float:
        self.asked += 1
        if self.asked % 2:
            raise VaultUnreachable("no answer")
        return END

    def keep(self) -> None:
        pass

    def beside(self, _cancellation: object) -> FakeVault:
        return self

    def disconnect(self) -> None:
        pass


class _Swarm(FakeSwarm):
    def close(self) -> None:
        pass


def test_what_vault_told_holds_and_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    logs.configure()
    monkeypatch.setattr(loop, "CREDENTIAL_LOOK", 0.0)
    monkeypatch.setattr(loop, "CREDENTIAL_AGAIN", 0.0)
    monkeypatch.setattr(Loop, "listening", lambda _: nullcontext())
    monkeypatch.setattr(Loop, "_pause", lambda *_: None)
    clock = Clock()
    vault = _Vault(clock)
    vault.write(PATH.path, "v")
    settings = Settings(
        vault=VaultSettings(address="http://v", auth=TokenFile("")),
        docker=DockerSettings("unix:///d"),
        http=HttpSettings(host="127.0.0.1", port=0),
    )
    found: list[float | None] = []

    def publish(report: CycleReport) -> None:
        found.append(report.credential_ends)
        if vault.asked == 3:
            made.stop()

    made = Loop(
        Configuration(desired_of(), settings),
        vault=cast("Vault", vault),
        swarm=cast("Swarm", _Swarm(clock)),
        publish=publish,
    )
    with closing(made):
        made.run()
    assert found[-3:] == [None, END, END]
