"""Dual validity with two static roles, which are taken in turn."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.support.lab import ALONE, BridgeProcess, Lab
from tests.support.leases import LeasedDatabase
from tests.support.processes import eventually
from tests.support.proxy import Cut, Exchange, Phase, no_trouble

Make = Callable[..., LeasedDatabase]


@pytest.fixture
def make(leased_database: Make) -> Make:
    return partial(leased_database, static=("a", "b"))


def _has(leased: LeasedDatabase, version: int) -> bool:
    return leased.newest() == version


def _roles(leased: LeasedDatabase) -> dict[int, str]:
    return {version: labels["role"] for version, labels in leased.labels().items()}


@pytest.mark.parametrize("rotations", [2, pytest.param(10, marks=pytest.mark.acceptance)])
def test_roles_take_turns_and_no_login_is_refused(lab: Lab, make: Make, rotations: int) -> None:
    leased = make()
    leased.first()
    load = leased.load(replicas=3)
    lab.start()
    leased.settle_on(1)
    for rotation in range(1, rotations + 1):
        former = leased.credential()
        leased.ask()
        eventually(partial(_has, leased, rotation + 1))
        assert leased.can_login(former)  # both are valid
        leased.settle_on(rotation + 1)
        assert leased.credential()[0] != former[0]
        assert not leased.can_login(former)  # the window is closed
    totals = load.totals()
    assert (totals.refused, totals.other) == (0, 0), load.refusals() + load.others()
    assert set(_roles(leased).values()) == {"a", "b"}


@pytest.mark.parametrize(
    "mode",
    [
        "after",
        pytest.param("before", marks=pytest.mark.acceptance),
        pytest.param("lost", marks=pytest.mark.acceptance),
    ],
)
def test_a_crash_around_a_rotation_costs_no_login(lab: Lab, make: Make, mode: str) -> None:
    """At the first call of `rotate-role`, which is for the idle role, and at the second."""
    vault, _ = lab.through_proxies()
    leased = make()
    leased.first()
    load = leased.load(replicas=2, pause=0.05)
    lab.sync()
    process: list[BridgeProcess] = []
    for number in (1, 2):
        seen: list[str] = []

        def trouble(exchange: Exchange, phase: Phase) -> None:
            if "rotate-role" not in exchange.path:
                return
            if phase == Phase.BEFORE:
                seen.append(exchange.path)  # noqa: B023 - it is used up within the turn
            wanted = Phase.BEFORE if mode == "before" else Phase.AFTER
            if len(seen) == number and phase == wanted:  # noqa: B023
                seen.append("")  # noqa: B023
                if mode != "lost":
                    eventually(lambda: len(process) == number)  # noqa: B023
                    process[-1].kill()
                raise Cut

        leased.ask()
        vault.hook = trouble
        process.append(lab.start("sync"))
        assert process[-1].wait() == (0 if mode == "lost" else -9)
        vault.hook = no_trouble
        lab.cli("sync")
        leased.settle_on(leased.newest())
    assert leased.newest() == 3
    totals = load.totals()
    assert (totals.refused, totals.other) == (0, 0), load.refusals() + load.others()


@pytest.mark.acceptance
def test_postgresql_away_at_the_moment_of_a_rotation_costs_nothing(lab: Lab, make: Make) -> None:
    """Vault answers with a 500 and rotates some seconds later by itself."""
    leased = make()
    leased.first()
    load = leased.load(replicas=2)
    bridge = lab.start()
    leased.settle_on(1)
    gone = time.time()
    leased.postgres.stop()
    leased.ask()
    bridge.wait_for("failed")
    leased.postgres.start()
    back = time.time()
    leased.settle_on(2)
    quiet = time.monotonic()
    eventually(lambda: time.monotonic() > quiet + 12)  # Vault's own second try
    assert leased.can_login(leased.credential())
    assert load.refusals() == []
    assert [login for login in load.others() if not gone - 1 < login.time < back + 1] == []
    assert leased.newest() == 2


@pytest.mark.acceptance
def test_a_leader_that_was_stopped_before_a_rotation_rotates_nothing_when_it_is_woken(
    lab: Lab, make: Make
) -> None:
    vault, _ = lab.through_proxies()
    leased = make()
    leased.first()
    load = leased.load(replicas=2)
    first = lab.start(within=ALONE)
    leased.settle_on(1)
    second = lab.start(within=ALONE)
    second.wait_for("stands_by")
    stopped: list[str] = []

    def stop(exchange: Exchange, phase: Phase) -> None:
        # Its last look before it rotates: the lease is renewed after that, or was before.
        if "/static-roles/" in exchange.path and phase == Phase.AFTER and not stopped:
            stopped.append(exchange.path)
            first.signal(signal.SIGSTOP)

    leased.ask()
    vault.hook = stop
    second.wait_for("leads")
    vault.hook = no_trouble
    leased.settle_on(2)
    before = len([e for e in vault.exchanges if "rotate-role" in e.path])
    first.signal(signal.SIGCONT)
    first.wait_for("stands_by")
    assert len([e for e in vault.exchanges if "rotate-role" in e.path]) == before
    leased.ask()
    leased.settle_on(3)
    totals = load.totals()
    assert (totals.refused, totals.other) == (0, 0), load.refusals() + load.others()


def test_a_role_that_vault_rotates_by_itself_is_rolled_at_once_with_an_alarm(
    lab: Lab, make: Make
) -> None:
    leased = make()
    leased.first()
    leased.load(replicas=1, pause=1.0)
    bridge = lab.start()
    leased.settle_on(1)
    lab.vault.put(f"{leased.database.mount}/rotate-role/a")
    leased.settle_on(2)
    (minted,) = bridge.lines("minted")
    assert (minted["reason"], minted["level"]) == ("LeaseVanished", "warning")
    assert leased.can_login(leased.credential())
    assert _roles(leased)[2] == "a"
