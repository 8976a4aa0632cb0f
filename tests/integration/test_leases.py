"""Dual validity: the old and the new credential are valid together while services roll."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.support.database import Database
from tests.support.lab import BridgeProcess, Lab
from tests.support.leases import LeasedDatabase
from tests.support.postgres import Postgres
from tests.support.processes import eventually
from tests.support.proxy import Cut, Exchange, Phase, Proxy, no_trouble
from tests.support.swarm import PrivateSwarm

Make = Callable[..., LeasedDatabase]


@pytest.fixture
def make(lab: Lab, postgres: Postgres, database: Database) -> Iterator[Make]:
    if not isinstance(lab.swarm, PrivateSwarm):
        pytest.skip("the tasks see this machine's files, which needs a private engine")
    made: list[LeasedDatabase] = []

    def new(**more: Any) -> LeasedDatabase:
        made.append(LeasedDatabase(lab, postgres, database, **more))
        return made[-1]

    yield new
    for each in made:
        each.close()


def _has(leased: LeasedDatabase, version: int) -> bool:
    return leased.newest() == version


@pytest.mark.parametrize(
    ("rotations", "least"),
    [
        (3, 100),
        pytest.param(20, 10_000, marks=[pytest.mark.acceptance, pytest.mark.timeout(1800)]),
    ],
)
def test_no_login_is_refused_and_the_former_user_goes(
    lab: Lab, make: Make, rotations: int, least: int
) -> None:
    """The rotations are asked for in Vault alone; both users exist while the service rolls."""
    leased = make()
    leased.first()
    load = leased.load(replicas=3)
    lab.start()
    leased.settle_on(1)
    for rotation in range(1, rotations + 1):
        former = leased.credential()
        leased.ask()
        eventually(partial(_has, leased, rotation + 1))
        eventually(lambda: len(load.users_seen() & leased.users()) > 1)
        assert leased.can_login(former)  # the window
        leased.settle_on(rotation + 1)
        assert former[0] not in leased.users()
        assert not leased.can_login(former)
        load.wait_for(least * rotation // rotations, 600.0)
    totals = load.totals()
    assert (totals.refused, totals.other) == (0, 0), load.refusals() + load.others()
    assert totals.ok >= least
    assert len(load.users_seen()) == rotations + 1


# --- I10 -----------------------------------------------------------------------------------------

CALLS = 13
"""Calls of a rotation that change something, but for the login and the leader's lease."""

_VAULT = ("/creds/", "/auth/token/create/", "/renew-accessor", "/revoke-accessor", "/leases/renew")


def _changes(exchange: Exchange) -> bool:
    if exchange.path.startswith("/v1.") or "/v1." in exchange.path:
        engine = exchange.path.partition("/configs/")
        return exchange.writes and not engine[1]
    return any(place in exchange.path for place in _VAULT)


class _Crash:
    """Ends a bridge at one of the calls of its rotation, or lets the answer be lost."""

    def __init__(self, proxies: tuple[Proxy, Proxy], number: int, mode: str) -> None:
        self.seen: list[str] = []
        self.process: BridgeProcess | None = None
        self._number = number
        self._mode = mode
        for proxy in proxies:
            proxy.hook = self._hook

    def _hook(self, exchange: Exchange, phase: Phase) -> None:
        if not _changes(exchange):
            return
        if phase == Phase.BEFORE:
            self.seen.append(f"{exchange.method} {exchange.path}")
        here = len(self.seen) == self._number
        if not here or phase != (Phase.BEFORE if self._mode == "before" else Phase.AFTER):
            return
        self._number = 0
        if self._mode != "lost" and self.process:
            self.process.kill()
        raise Cut


@pytest.mark.parametrize(
    "numbers",
    [
        (2, 3, 4, 10),
        pytest.param(
            tuple(range(1, CALLS + 1)), marks=[pytest.mark.acceptance, pytest.mark.timeout(1800)]
        ),
    ],
    ids=["sample", "all"],
)
@pytest.mark.parametrize("mode", ["before", "after", "lost"])
def test_a_crash_at_any_call_costs_no_login(
    lab: Lab, make: Make, mode: str, numbers: tuple[int, ...]
) -> None:
    """Killed before a call, after it, or its answer lost: then one user, and no lease but its."""
    proxies = lab.through_proxies()
    leased = make(provisional_ttl="6s" if len(numbers) < CALLS else "15s")
    leased.first()
    load = leased.load(replicas=2, pause=0.05)
    lab.sync()
    met: list[str] = []
    for number in numbers:
        before = leased.newest()
        leased.ask()
        crash = _Crash(proxies, number, mode)
        crash.process = lab.start("sync")
        assert crash.process.wait() == (0 if mode == "lost" else -9)
        met.append(crash.seen[number - 1])
        leased.note_canaries()
        for proxy in proxies:
            proxy.hook = no_trouble
        lab.cli("sync")
        assert leased.newest() == before + 1
        leased.settle_on(before + 1)
        eventually(lambda: leased.users() == {leased.credential()[0]}, 60.0, 0.2)
        assert leased.database.leases("app") == [leased.lease(leased.newest())]
    totals = load.totals()
    assert (totals.refused, totals.other) == (0, 0), load.refusals() + load.others()
    if len(numbers) == CALLS:
        assert any("creds" in call for call in met)
        assert any("services" in call for call in met)
        assert any("revoke-accessor" in call for call in met)
