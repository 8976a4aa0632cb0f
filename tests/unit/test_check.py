"""What `check` says of roles: do their credentials live long enough?"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import cast

import pytest

from bridge.check import check
from bridge.check.lease_roles import token_role_faults
from bridge.check.vault import check_vault
from bridge.errors import Exit
from bridge.model.desired import KvLease, Rollout
from bridge.model.findings import Level
from bridge.model.leased import RoleDocument, StaticDocument, StaticRole
from bridge.model.reasons import Reason
from bridge.model.settings import (
    Custody,
    DockerSettings,
    HttpSettings,
    Settings,
    TokenFile,
    VaultSettings,
)
from bridge.model.source import Source
from bridge.model.vault_view import Document, Unreadable, VaultView
from bridge.report.policy import custody_hcl, pipeline_hcl, token_role_command
from bridge.servers.vault import Vault
from bridge.sources.database.checks import check_role
from bridge.sources.static.checks import check_static
from bridge.sources.static.source import StaticRoles
from tests.support.builders import NOW, ROLE, desired_of, leased, wanted

ROLLOUT = Rollout(timeout=600.0)


@pytest.mark.parametrize(
    ("default", "longest", "level", "words"),
    [
        (3600.0, 86400.0, Level.OK, "gives 1h at a time, 24h at most"),
        (2100.0, 86400.0, Level.ERROR, "set the role's `default_ttl` to 38m or more"),
        (3600.0, 3600.0, Level.OK, ""),
        (2300.0, 3000.0, Level.ERROR, "less than two rolls (20m)"),
    ],
)
def test_a_role_must_outlast_a_roll_and_an_outage(
    default: float, longest: float, level: Level, words: str
) -> None:
    desired = desired_of(secrets=[leased("api")], rollout=ROLLOUT)
    (finding,) = check_role(ROLE, RoleDocument(default, longest), desired)
    assert finding.level == level
    assert words in finding.message
    assert finding.where == "secrets.db"
    assert finding.code == (Exit.HELD if level == Level.ERROR else Exit.DONE)


@pytest.mark.parametrize(
    ("period", "every", "words"),
    [
        (365 * 86400.0, 30 * 86400.0, ""),
        (7 * 86400.0, 30 * 86400.0, "before lease.rotate_every (30d)"),
        (3600.0, None, "too little for two rolls and an outage"),
        (0.0, 30 * 86400.0, ""),  # a schedule, of which the period is not known
    ],
)
def test_vault_must_not_rotate_the_active_role_in_between(
    period: float, every: float | None, words: str
) -> None:
    pair = StaticRoles("", "database", ("a", "b"))
    secret = replace(leased("api", rotate_every=every), source=pair)
    desired = desired_of(secrets=[secret], rollout=ROLLOUT)
    roles = {name: StaticRole("2026-11-01T00:00:00Z", period) for name in pair.roles}
    findings = list(check_static(pair, StaticDocument(roles), desired))
    assert len(findings) == 2
    for finding in findings:
        assert finding.level == (Level.ERROR if words else Level.OK)
        assert words in finding.message


def test_one_static_role_is_allowed_with_a_plain_warning() -> None:
    alone = StaticRoles("", "database", ("a",))
    desired = desired_of(secrets=[replace(leased("api"), source=alone)], rollout=ROLLOUT)
    document = StaticDocument({"a": StaticRole("2026-11-01T00:00:00Z", 3600.0)})
    (finding,) = check_static(alone, document, desired)
    assert (finding.level, finding.code) == (Level.WARNING, Exit.DONE)
    assert "new logins fail" in finding.message


@pytest.mark.parametrize(
    ("role", "words"),
    [
        (None, ["there is no such token role"]),
        ({}, ["no orphans", "need not be service tokens", "allows no policy"]),
        ({"renewable": False}, ["no orphans", "not renewable", "need not be", "allows no policy"]),
    ],
)
def test_a_token_role_must_make_tokens_that_a_lease_can_hang_on(
    role: dict[str, object] | None, words: list[str]
) -> None:
    faults = token_role_faults(role)
    assert len(faults) == len(words)
    for fault, word in zip(faults, words, strict=True):
        assert word in fault


def test_the_token_role_that_is_printed_is_well() -> None:
    settings = VaultSettings(
        address="https://vault", auth=TokenFile("t"), custody=Custody("bridge", 600.0)
    )
    *_, said = token_role_command(settings).partition("allowed_policies")
    pairs = (pair.split("=") for pair in f"allowed_policies{said}".split())
    role: dict[str, object] = {k: {"true": True, "false": False}.get(v, v) for k, v in pairs}
    assert token_role_faults(role) == []


def test_leases_that_a_pipeline_makes_must_outlast_a_roll_and_an_outage() -> None:
    lease = KvLease("lease_id", "accessor", ROLE)
    secret = wanted("ledger", "api")
    secret = replace(secret, content=replace(secret.content, lease=lease))
    desired = desired_of(secrets=[secret], rollout=ROLLOUT)
    (finding,) = check_role(ROLE, RoleDocument(2100.0, 86400.0), desired)
    assert (finding.level, finding.where) == (Level.ERROR, "secrets.ledger.kv.lease")
    (finding,) = check_role(ROLE, RoleDocument(3600.0, 3600.0), desired)
    assert finding.level == Level.OK
    assert "the pipeline must write a new version before that" in finding.message


class _Vault:
    """A Vault that answers, and grants all."""

    role = ""

    def health(self) -> dict[str, object]:
        return {}

    def login(self) -> None:
        pass

    def may_look_at_itself(self) -> bool:
        return True

    def own_token(self) -> dict[str, object]:
        return {}

    def capabilities(self, paths: list[str]) -> dict[str, list[str]]:
        return {path: ["root"] for path in paths}

    def credential_end(self) -> float | None:
        return None


def test_a_role_that_only_a_pipeline_uses_is_named_where_it_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = wanted("ledger", "api")
    lease = KvLease("lease_id", "accessor", ROLE)
    desired = desired_of(secrets=[replace(secret, content=replace(secret.content, lease=lease))])
    seen: dict[Source, Document | Unreadable] = {
        ROLE: Unreadable(Reason.ROLE_MISSING, "there is no role app in database/")
    }
    view = VaultView(as_of=NOW, paths=seen)
    monkeypatch.setattr("bridge.check.vault.look_at_vault", lambda *_: view)
    settings = Settings(
        vault=VaultSettings(address="https://vault", auth=TokenFile("t")),
        docker=DockerSettings("unix:///var/run/docker.sock"),
    )
    found = check_vault(cast("Vault", _Vault()), desired, settings, NOW)
    (finding,) = [finding for finding in found if "RoleMissing" in finding.message]
    assert (finding.level, finding.where) == (Level.ERROR, "secrets.ledger.kv.lease")


def test_a_pipeline_gets_a_policy_of_its_own() -> None:
    lease = KvLease("lease_id", "accessor", ROLE)
    secret = wanted("ledger", "api")
    desired = desired_of(secrets=[replace(secret, content=replace(secret.content, lease=lease))])
    settings = VaultSettings(
        address="https://vault", auth=TokenFile("t"), custody=Custody("held", 600.0)
    )
    hcl = pipeline_hcl(desired, settings)
    granted = [line for line in hcl.splitlines() if not line.startswith("#")]
    assert len(granted) == 2
    assert '"auth/token/create/held"' in granted[0]
    assert '"secret/data/apps/db"' in granted[1]
    assert "read" not in granted[1]
    assert f'"{ROLE.mount}/creds/{ROLE.role}"' in custody_hcl(desired, settings)
    assert pipeline_hcl(desired_of("api"), settings) == ""


def test_what_is_answered_over_http_is_checked_before_any_server_is_asked() -> None:
    settings = Settings(
        vault=VaultSettings(address="http://v", auth=TokenFile("")),
        docker=DockerSettings("unix:///d"),
        http=HttpSettings(host="127.0.0.1", port=9180, token_file="/none"),
    )
    found = list(islice(check(desired_of(), settings, NOW), 2))
    assert [finding.where for finding in found] == ["configuration", "http"]
    assert "/none" in found[1].message
