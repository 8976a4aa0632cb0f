"""What `check` and `policy` say of folders that can be looked at by one request."""

from __future__ import annotations

from typing import cast

import pytest

from bridge.check.folder_lists import check_folders
from bridge.model.findings import Finding, Level
from bridge.model.settings import TokenFile, VaultSettings
from bridge.report.policy import policy_hcl
from bridge.servers.vault import Vault
from bridge.sources.folder import Apart
from bridge.sources.kv.source import KvPath
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
    return list(check_folders(cast("Vault", vault), DESIRED))


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


def test_of_a_vault_that_is_away_others_tell(vault: FakeVault) -> None:
    vault.away = True
    assert not findings(vault)


def test_the_policy_has_a_line_for_each_folder_with_several_paths() -> None:
    settings = VaultSettings(address="https://vault", auth=TokenFile("t"))
    hcl = policy_hcl(DESIRED, settings)
    lists = [line for line in hcl.splitlines() if "detailed-metadata" in line]
    assert [line.partition("  #")[0].rstrip() for line in lists] == RULES
    assert all("optional" in line and "inert on Vault" in line for line in lists)
    alone = policy_hcl(desired_of("api"), settings)
    assert "detailed" not in alone
