"""A command plans by what a bridge that runs here knows, where that is of the same Vault."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge import beside, health_socket
from bridge.beside import plan_beside, tell
from bridge.config import Configuration
from bridge.health_socket import answering
from bridge.loop import Loop
from bridge.model.reasons import Reason
from bridge.model.settings import DockerSettings, Settings, TokenFile, VaultSettings
from bridge.model.source import Source
from bridge.model.vault_view import Unreadable, VaultView
from bridge.model.vitals import Health
from bridge.sources.kv.source import KvPath
from tests.support.builders import NOW, desired_of, document, secret_of, wanted, world_of

PATHS = [KvPath("", "kv", f"p{n}") for n in range(3)]
WATCHED = VaultView(as_of=NOW, paths=dict.fromkeys(PATHS, document(1)))
SWARM = world_of({}, [secret_of(1, name="s1", path=PATHS[1])]).swarm
MISSING = Unreadable(Reason.PATH_MISSING, "nothing there")


def _configuration(paths: Sequence[Source] = PATHS, **vault: Any) -> Configuration:
    place = {"address": "https://v", "auth": TokenFile("t"), **vault}
    secrets = [wanted(f"s{n}", path=cast("KvPath", path)) for n, path in enumerate(paths)]
    desired = desired_of(secrets=secrets)
    return Configuration(
        desired, Settings(vault=VaultSettings(**place), docker=DockerSettings("unix:///d"))
    )


@pytest.fixture(autouse=True)
def _swarm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "Swarm", lambda _: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(beside, "look_at_swarm", lambda *_: SWARM)
    monkeypatch.setattr(beside, "SECOND_LOOK", 0.0)
    # Bridges of tests that run at the same time on this machine have other addresses.
    monkeypatch.setattr(health_socket, "_address", lambda name: f"\0{name}-{os.getpid()}")


@contextmanager
def _running(told: Callable[[float, Sequence[Source]], VaultView | None]) -> Iterator[None]:
    configuration = _configuration()
    loop, vault = cast("Loop", SimpleNamespace(told=told)), configuration.settings.vault
    instance = configuration.desired.instance
    with answering(instance, lambda: Health(True, ""), lambda again: tell(loop, vault, again)):
        yield


def _never(_sources: Sequence[Source]) -> VaultView:
    raise AssertionError("Vault was asked")


def test_its_view_is_taken_where_it_watches_all_that_is_configured() -> None:
    assert plan_beside(_configuration(), _never) is None
    with _running(lambda *_: WATCHED):
        found = plan_beside(_configuration(PATHS[:2]), _never)
        assert found is not None
        _, planned, told = found
        assert {c.vault_version for c in planned.conditions} == {1}
        assert (set(told.view.paths), told.asked, told.oldest) == (set(PATHS[:2]), 0, NOW)


@pytest.mark.parametrize(
    "other", [_configuration(address="https://other"), _configuration(namespace="team")]
)
def test_that_of_another_vault_is_not(other: Configuration) -> None:
    with _running(lambda *_: WATCHED):
        assert plan_beside(other, _never) is None


def test_nor_is_that_of_another_release_or_of_one_that_watches_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with _running(lambda *_: None):
        assert plan_beside(_configuration(), _never) is None
    with _running(lambda *_: WATCHED):
        monkeypatch.setattr(beside, "write_view", lambda _: {"as_of": NOW, "paths": 7})
        assert plan_beside(_configuration(), _never) is None


def test_vault_is_asked_for_the_few_that_it_does_not_watch() -> None:
    few = [KvPath("", "kv", f"new{n}") for n in range(2)]
    own = VaultView(as_of=NOW + 1, paths=dict.fromkeys(few, document(7)))
    asked: list[Sequence[Source]] = []

    def ask(sources: Sequence[Source]) -> VaultView:
        asked.append(sources)
        return own

    with _running(lambda *_: WATCHED):
        found = plan_beside(_configuration([*PATHS, *few]), ask)
        assert found is not None
        assert (asked, found[2].asked) == ([few], 2)
        assert [c.vault_version for c in found[1].conditions] == [1, 1, 1, 7, 7]
        assert plan_beside(_configuration(few), _never) is None  # it watches none of them
        slow = _configuration([*PATHS, *few], max_rps=0.5)
        assert plan_beside(slow, _never) is None  # a look of its own is no slower


def test_what_seems_to_be_gone_is_asked_for_once_more() -> None:
    looks: list[Sequence[Source]] = []

    def told(_patience: float, again: Sequence[Source]) -> VaultView:
        looks.append(again)
        paths = {**WATCHED.paths, PATHS[1]: MISSING}
        return VaultView(as_of=NOW + len(looks), paths=paths)

    with _running(told):
        found = plan_beside(_configuration(), _never)
    assert looks == [[], [PATHS[1]]]
    assert found is not None
    assert [hold.reason for hold in found[1].holds] == [Reason.PATH_MISSING]
