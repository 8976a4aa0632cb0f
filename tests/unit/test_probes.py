"""Ready is a bridge that can rotate, and whose rotations do not fail."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bridge.model.audit_head import AuditHead
from bridge.model.conditions import Hold
from bridge.model.cycle_report import CycleReport
from bridge.model.reasons import Reason
from bridge.model.vault_view import NOT_YET, Unreadable
from bridge.model.vitals import STUCK, Vitals
from bridge.model.world import World
from bridge.report.answers import Known
from bridge.report.probes import FAILING, livez, readyz, status
from tests.support.builders import (
    NOW,
    desired_of,
    document,
    plan_of,
    secret_of,
    service_of,
    world_of,
)
from tests.unit.test_metrics import SETTINGS

AWAY = Unreadable(Reason.VAULT_UNREACHABLE, "Vault is sealed", everywhere=True)
WORLD = world_of(document(1), [secret_of(1)], [service_of("api", "db_v1")])


def _known(world: World = WORLD, *holds: Hold) -> Known:
    plan = plan_of(desired_of("api"), world)
    plan = replace(plan, holds=(*plan.holds, *holds))
    report = CycleReport(at=NOW, took=0.1, world=world, plan=plan)
    return Known(
        now=NOW,
        desired=desired_of("api"),
        settings=SETTINGS,
        vitals=Vitals(at=0.0, cycles=1),
        age=1.0,
        report=report,
        seen=report,
    )


def _ready(known: Known) -> dict[str, Any]:
    answer = readyz(known)
    found: dict[str, Any] = json.loads(answer.body)
    assert found["ready"] == (answer.status == 200) == (not found["reasons"])
    return found


def test_a_bridge_that_rotates_is_ready() -> None:
    assert _ready(_known()) == {"ready": True, "role": "leads", "reasons": [], "notes": []}


def test_a_bridge_that_lost_the_lease_to_nobody_yet_does_not_lead() -> None:
    known = replace(_known(), report=CycleReport(at=NOW, took=0.1), seen=None)
    assert _ready(known)["role"] == "stands by"
    assert json.loads(status(known).body)["message"] == "this bridge stands by"


def test_a_vault_that_is_known_to_be_away_is_a_note_and_one_never_asked_is_none() -> None:
    """Neither a restart nor another bridge brings it back."""
    away = _ready(_known(world_of(AWAY)))
    assert away["ready"]
    assert away["notes"] == ["Vault cannot be used: Vault is sealed"]
    never = _ready(_known(world_of(NOT_YET)))
    assert never["reasons"] == ["Vault has not been asked yet"]


@pytest.mark.parametrize("reason", [*FAILING, Reason.SETTLING, Reason.WAITING_FOR_TURN])
def test_a_rotation_that_fails_is_named_and_one_that_waits_is_not(reason: Reason) -> None:
    hold = Hold(secret="db", service="api", reason=reason, message="why")
    found = _ready(_known(WORLD, hold))
    assert found["reasons"] == ([f"db on api: why ({reason})"] if reason in FAILING else [])


def test_a_bridge_that_rotates_nothing_for_want_of_evidence_is_not_ready() -> None:
    services = [service_of("api", "db_v1")]
    for holds in (True, False):
        head = AuditHead(seq=1, trouble="no space", holds=holds)
        world = world_of(document(1), [secret_of(1)], services, audit=head)
        reasons = ["all secrets: no space (AuditUnwritable)"] if holds else []
        assert _ready(_known(world))["reasons"] == reasons


def test_a_bridge_that_is_stuck_is_neither_alive_nor_ready() -> None:
    stuck = replace(_known(), age=STUCK + 1)
    assert livez(stuck).status == 503
    assert "stuck" in _ready(stuck)["reasons"][0]
    assert livez(_known()).status == 200
