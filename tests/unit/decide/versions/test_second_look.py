"""Much that is gone in Vault at once is one thing, and removes nothing."""

from __future__ import annotations

import pytest

from bridge.model.actions import RemoveSecret
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.vault_view import KvDocument, Unreadable
from bridge.sources.kv.source import KvPath
from tests.support.builders import desired_of, document, plan_of, secret_of, wanted, world_of
from tests.unit.decide.services.test_judge import GOOD

FORBIDDEN = Unreadable(Reason.PERMISSION_DENIED, "our token may not read it")


def _plan(gone: int, there: int) -> Plan:
    """Plan for secrets of which some are forbidden; the others have a version to be removed."""
    paths = {n: KvPath("", "secret", f"p{n}") for n in range(gone + there)}
    secrets = [wanted(f"s{n}", path=path) for n, path in paths.items()]
    seen: dict[KvPath, KvDocument | Unreadable] = {
        path: FORBIDDEN if n < gone else document(3) for n, path in paths.items()
    }
    mirrors = [
        secret_of(version, name=f"s{n}", path=path, labels=GOOD)
        for n, path in paths.items()
        for version in (1, 2, 3)
    ]
    return plan_of(desired_of(secrets=secrets), world_of(seen, mirrors))


@pytest.mark.parametrize(
    ("gone", "there", "many"), [(3, 3, True), (5, 0, True), (2, 0, False), (3, 4, False)]
)
def test_many_missing_at_once_is_one_thing_and_removes_nothing(
    gone: int, there: int, many: bool
) -> None:
    plan = _plan(gone, there)
    assert any(hold.reason == Reason.MANY_MISSING for hold in plan.holds) == many
    removals = [a for chain in plan.chains for a in chain if isinstance(a, RemoveSecret)]
    assert len(removals) == (0 if many else there)


def test_what_was_never_mirrored_is_not_missed() -> None:
    paths = [KvPath("", "secret", f"p{n}") for n in range(5)]
    secrets = [wanted(f"s{n}", path=path) for n, path in enumerate(paths)]
    plan = plan_of(desired_of(secrets=secrets), world_of(dict.fromkeys(paths, FORBIDDEN)))
    assert {hold.reason for hold in plan.holds} == {Reason.PERMISSION_DENIED}
