"""The whole process with a wall clock that is set: leases of seconds live on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.lab import Lab
from tests.support.leases import LeasedDatabase
from tests.support.processes import eventually
from tests.support.wall_clock import WallClock

Make = Callable[..., LeasedDatabase]


@pytest.mark.parametrize(
    ("settings", "renewals"),
    [
        pytest.param(("-2h",), 2, id="sample"),
        pytest.param(
            ("-2h", "+2h", "+0"),
            5,
            marks=pytest.mark.acceptance,
            id="all",
        ),
    ],
)
def test_a_step_of_the_wall_clock_ends_no_lease(
    lab: Lab, leased_database: Make, settings: tuple[str, ...], renewals: int
) -> None:
    """Each lease lives for 20 s, and is renewed after about six; five renewals outlast it."""
    leased = leased_database(services=(), default_ttl="20s", poll={"interval": "5s"})
    leased.first()
    clock = WallClock(lab.folder)
    bridge = lab.start(within=clock.command)
    bridge.wait_for("lease_renewed")
    lease, users = leased.lease(1), leased.users()
    for number, ahead in enumerate(settings, 1):
        clock.set(ahead)
        eventually(lambda number=number: len(bridge.lines(SET)) == number)  # type: ignore[misc]
        before = len(bridge.lines("lease_renewed"))
        eventually(
            lambda before=before: len(bridge.lines("lease_renewed")) >= before + renewals,  # type: ignore[misc]
            120.0,
        )
    assert leased.users() == users != set()
    leased.ask()
    bridge.wait_for("minted", docker_secret=lab.name("db_v2"))  # Vault is looked at too
    assert leased.lease(1) == lease
    assert bridge.stop() == 0


SET = "clock_set"
