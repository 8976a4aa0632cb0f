"""What `check` says of roles: do their credentials live long enough?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.check.findings import Level
from bridge.check.leases import check_role, check_static
from bridge.errors import Exit
from bridge.model.desired import Rollout, StaticRoles
from bridge.model.generation import RoleDocument, StaticDocument, StaticRole
from tests.support.builders import ROLE, desired_of, leased

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
