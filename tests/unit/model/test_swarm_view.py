"""What follows from one look at the swarm."""

from __future__ import annotations

import pytest

from bridge.model.labels import ROLL
from bridge.model.leased import lease_labels
from bridge.model.roll_record import RollRecord
from bridge.model.set_aside import By, SetAside, aside_label
from bridge.model.swarm_view import SwarmView, Unread
from tests.support.builders import NOW, secret_of, service_of

KEPT = {
    f"{ROLL}id-gone": RollRecord(before=(), index=9, at="t").write(),
    aside_label("id-gone"): SetAside(By.FAILURE, "t", "died").write(),
    aside_label("id-api"): SetAside(By.FAILURE, "t", "died").write(),
}


def look(*unread: Unread, unclear: frozenset[str] = frozenset()) -> SwarmView:
    """Return a look at a version on which something is kept for two services, and one service."""
    return SwarmView(
        as_of=NOW,
        secrets=(secret_of(1, labels=KEPT),),
        services=(service_of("api"),),
        tasks=(),
        unread=unread,
        unclear=unclear,
    )


def test_what_is_kept_for_a_service_that_is_gone_does_not_count() -> None:
    (mirror,) = look().mirrors
    assert mirror.records == {}
    assert mirror.asides.keys() == {"id-api"}


def test_a_view_shows_no_lease() -> None:
    """Its labels name each lease, and whoever knows the id of one may end it."""
    labels = lease_labels("lease-1", "accessor-1", "app")
    view = SwarmView(
        as_of=NOW, secrets=(secret_of(1, labels=labels),), services=(service_of("api"),), tasks=()
    )
    for shown in (repr(view), repr(view.secrets), repr(view.mirrors)):
        assert "lease-1" not in shown
        assert "accessor-1" not in shown


@pytest.mark.parametrize(
    "view",
    [look(Unread("service", "", "", error="KeyError")), look(unclear=frozenset({"id-gone"}))],
    ids=["not understood", "only its id"],
)
def test_a_service_that_cannot_be_read_may_be_the_one(view: SwarmView) -> None:
    (mirror,) = view.mirrors
    assert mirror.records.keys() == {"id-gone"}
    assert mirror.asides.keys() == {"id-api", "id-gone"}
