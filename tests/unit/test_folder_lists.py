"""What `check` and `policy` say of folders that can be looked at by one request."""

from __future__ import annotations

from typing import cast

import pytest

from bridge.check.folder_lists import check_folders, check_period
from bridge.model.findings import Finding, Level
from bridge.model.settings import DockerSettings, Settings, TokenFile, VaultSettings
from bridge.observe_vault import look_at_vault
from bridge.report.policy import policy_hcl
from bridge.servers.vault import Vault
from bridge.sources.folder import Apart
from bridge.sources.kv.source import KvPath
from bridge.sources.units import Units
from tests.support.builders import desired_of, wanted
from tests.support.fakes import Clock, FakeVault

DESIRED = desired_of(
    secrets=[
        wanted(f"s{number}", path=KvPath("", "kv", f"{folder}/p{number}"))
        for number, folder in enumerate(["apps"] * 4 + ["few"] * 2 + ["more"] * 3)
    ]
)
RULES = [
    'path "kv/detailed-metadata/apps/" { capabilities = ["list"] }',
    'path "kv/detailed-metadata/more/" { capabilities = ["list"] }',
]


def findings(vault: FakeVault) -> list[Finding]:
    units = Units(DESIRED.sources)
    view = look_at_vault(cast("Vault", vault), units, 0.0)
    return list(check_folders(units, view))


@pytest.fixture
def vault() -> FakeVault:
    made = FakeVault(Clock())
    for source in DESIRED.sources:
        made.write(source.place, "x")
    return made


def test_what_is_watched_folder_by_folder_is_told_once_for_a_mount(vault: FakeVault) -> None:
    (found,) = findings(vault)
    assert (found.level, found.where) == (Level.OK, "vault")
    assert found.message == "kv/: 2 requests tell of 7 paths, folder by folder"


@pytest.mark.parametrize(
    ("why", "level", "gain"),
    [
        (Apart.NOT_OFFERED, Level.OK, False),
        (Apart.COSTLIER, Level.OK, False),
        (Apart.NOT_GRANTED, Level.NOTE, True),
        (Apart.NO_ANSWER, Level.NOTE, True),
    ],
)
def test_why_it_is_not_and_what_would_be_gained(
    vault: FakeVault, why: Apart, level: Level, gain: bool
) -> None:
    vault.folders.apart = why
    (found,) = findings(vault)
    assert found.level == level
    assert found.code == 0
    assert f"7 paths one by one, since {why}" in found.message
    assert ("2 requests would do" in found.message) == gain
    for rule in RULES:
        assert (rule in found.message) == (why == Apart.NOT_GRANTED)


def test_of_folders_with_paths_that_cannot_be_read_nothing_is_told(vault: FakeVault) -> None:
    vault.away = True
    assert not findings(vault)


@pytest.mark.parametrize(
    ("interval", "requests", "level", "words"),
    [
        (None, 9, Level.OK, "each of 9 paths of Vault is asked for every 1.8s"),
        (None, 4, Level.OK, "each of 9 paths of Vault is asked for every 1s, in 4 requests"),
        (1.0, 4, Level.OK, "every 1s, in 4 requests"),
        (1.0, 9, Level.WARNING, "every 1.2s, and not every 1s: `vault.max_rps: 10` allows no more"),
    ],
)
def test_the_period_goes_by_requests(
    interval: float | None, requests: int, level: Level, words: str
) -> None:
    vault = VaultSettings(address="https://vault", auth=TokenFile("t"), max_rps=10)
    settings = Settings(vault=vault, docker=DockerSettings("unix:///d"), poll_interval=interval)
    (found,) = check_period(9, requests, settings)
    assert (found.level, words in found.message) == (level, True), found.message


def test_the_policy_has_a_line_for_each_folder_with_several_paths() -> None:
    settings = VaultSettings(address="https://vault", auth=TokenFile("t"))
    hcl = policy_hcl(DESIRED, settings)
    lists = [line for line in hcl.splitlines() if "detailed-metadata" in line]
    assert [line.partition("  #")[0].rstrip() for line in lists] == RULES
    assert all("optional" in line and "inert on Vault" in line for line in lists)
    alone = policy_hcl(desired_of("api"), settings)
    assert "detailed" not in alone
