"""What evidence needs around it: configuration, policy, who asked, and the hold it causes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bridge.config import Configuration, load
from bridge.errors import ConfigError
from bridge.model.audit_head import AuditHead
from bridge.model.reasons import Reason, State
from bridge.model.settings import AuditSettings, TransitKey
from bridge.model.wishes import Approval, Do, Pause, Wish
from bridge.processes import this_account
from bridge.report.policy import policy_hcl
from bridge.sources.kv.kind import read_document
from tests.support.builders import (
    desired_of,
    document,
    plan_of,
    secret_of,
    service_of,
    world_of,
)

GOOD = {"vault-bridge.good": "2026-11-01T00:00:00Z"}


def _load(folder: Path, audit: str) -> Configuration:
    file = folder / "bridge.yaml"
    vault = "{address: 'http://127.0.0.1:1', auth: {method: token, token_file: t}}"
    file.write_text(f"vault: {vault}\naudit: {audit}\n")
    return load(str(file), {})


def test_its_configuration(tmp_path: Path) -> None:
    found = _load(tmp_path, "{file: a.jsonl, on_failure: hold, transit: {key: k, interval: 10m}}")
    key = TransitKey(mount="transit", key="k", every=100, interval=600.0)
    assert found.settings.audit == AuditSettings(str(tmp_path / "a.jsonl"), True, key)
    assert _load(tmp_path, "{on_failure: warn}").settings.audit == AuditSettings()
    with pytest.raises(ConfigError, match="on_failure"):
        _load(tmp_path, "{on_failure: stop}")


def test_the_policy_has_what_signatures_need(tmp_path: Path) -> None:
    found = _load(tmp_path, "{transit: {mount: signing, key: k}}")
    hcl = policy_hcl(found.desired, found.settings.vault)
    assert 'path "signing/sign/k"' in hcl
    assert 'path "signing/verify/k"' in hcl
    plain = _load(tmp_path, "{file: a}")
    assert "sign" not in policy_hcl(plain.desired, plain.settings.vault)


def test_who_wrote_a_version_in_vault() -> None:
    times = {"created_time": "2026-11-01T00:00:00Z", "deletion_time": "", "destroyed": False}
    by = {"actor": "ci", "client_id": "c", "odd": 3}
    raw = {
        "created_time": "2026-11-01T00:00:00Z",
        "current_version": 3,
        "custom_metadata": {"created_by": "pipeline-7"},
        "versions": {"1": times, "2": {**times, "created_by": by}, "3": times},
    }
    found = read_document(raw).versions
    assert found[1].created_by == ()
    assert found[2].created_by == (("actor", "ci"), ("client_id", "c"))
    assert found[3].created_by == (("declared", "pipeline-7"),)  # of the current version alone
    assert read_document({**raw, "custom_metadata": None}).versions[3].created_by == ()


def test_a_wish_keeps_who_asked() -> None:
    wish = Wish(do=Do.RETRY, at="t", why="w", by="alice@desk")
    assert Wish.read(wish.write()) == wish
    pause = Pause("t", "w", "alice@desk")
    assert Pause.read(pause.write()) == pause
    approval = Approval(2, "c", "t", "w", "alice@desk")
    assert Approval.read(approval.write()) == approval
    former = json.dumps({"version": 2, "created": "c", "at": "t", "why": "w"})  # of an older bridge
    assert Approval.read(former) == Approval(2, "c", "t", "w")


def test_the_account_is_the_one_before_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_HOST", "desk")
    monkeypatch.setenv("SUDO_USER", "alice")
    assert this_account() == "alice@desk"
    monkeypatch.delenv("SUDO_USER")
    assert this_account().endswith("@desk")
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert this_account() == "uid 4000000@desk"


@pytest.mark.parametrize(("holds", "held"), [(True, True), (False, False)])
def test_all_is_held_while_evidence_that_holds_cannot_be_written(
    *, holds: bool, held: bool
) -> None:
    head = AuditHead(seq=3, trouble="no space", holds=holds)
    services = [service_of("api", "db_v1")]
    world = world_of(document(1), [secret_of(1, labels=GOOD)], services, audit=head)
    plan = plan_of(desired_of("api"), world)
    (condition,) = plan.conditions
    assert (condition.state == State.HELD) == held
    assert any(hold.reason == Reason.AUDIT_UNWRITABLE for hold in plan.holds) == held
