"""Dual validity: the old and the new credential are valid together while services roll."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

import pytest

from bridge.config import load
from bridge.model.until import Until
from bridge.operate import NotFollowed, Operator
from bridge.servers.swarm import Swarm
from tests.support.inbox import WebInbox
from tests.support.lab import ALONE, BridgeProcess, Lab
from tests.support.leases import ASKS, LeasedDatabase
from tests.support.processes import eventually
from tests.support.proxy import Cut, Exchange, Phase, Proxy, no_trouble

Make = Callable[..., LeasedDatabase]


@pytest.fixture
def make(leased_database: Make) -> Make:
    return leased_database


def _has(leased: LeasedDatabase, version: int) -> bool:
    return leased.newest() == version


@pytest.mark.parametrize(
    ("rotations", "least", "pause"),
    [
        (2, 100, 0.1),
        pytest.param(20, 10_000, 0.02, marks=[pytest.mark.acceptance, pytest.mark.timeout(1800)]),
    ],
)
def test_no_login_is_refused_and_the_former_user_goes(
    lab: Lab, make: Make, rotations: int, least: int, pause: float
) -> None:
    """The rotations are asked for in Vault alone; both users exist while the service rolls."""
    leased = make()
    leased.first()
    load = leased.load(replicas=3, pause=pause)
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
        if self._mode != "lost":
            eventually(lambda: self.process is not None)  # it may be here before we know of it
            assert self.process
            self.process.kill()
        raise Cut


_MODES = ("before", "after", "lost")
_EVERY_CALL = tuple(range(1, CALLS + 1))
_LONG = [pytest.mark.acceptance, pytest.mark.timeout(1800)]


@pytest.mark.parametrize(
    ("modes", "numbers"),
    [
        pytest.param(_MODES, (3,), id="sample"),
        *(pytest.param((mode,), _EVERY_CALL, id=mode, marks=_LONG) for mode in _MODES),
    ],
)
def test_a_crash_at_any_call_costs_no_login(
    lab: Lab, make: Make, modes: tuple[str, ...], numbers: tuple[int, ...]
) -> None:
    """Killed before a call, after it, or its answer lost: then one user, and no lease but its."""
    proxies = lab.through_proxies()
    # No lease is renewed meanwhile but to be shortened: the calls would not be the same ones.
    leased = make(default_ttl="10m", provisional_ttl="10s" if len(numbers) < CALLS else "30s")
    leased.first()
    load = leased.load(replicas=2, pause=0.05)
    lab.sync()
    met: list[str] = []
    for mode, number in itertools.product(modes, numbers):
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
        eventually(lambda: leased.users() == {leased.credential()[0]})
        assert leased.database.leases("app") == [leased.lease(leased.newest())]
    totals = load.totals()
    assert (totals.refused, totals.other) == (0, 0), load.refusals() + load.others()
    if len(numbers) == CALLS:
        assert any("creds" in call for call in met)
        assert any("services" in call for call in met)
        assert any("revoke-accessor" in call for call in met)


# --- What goes wrong -----------------------------------------------------------------------------


def test_a_generation_that_fails_is_ended_and_the_former_one_lives_on(lab: Lab, make: Make) -> None:
    """Users that may not log in: the service goes back, and a later generation is good.

    Whether Swarm's own rollback or the bridge's comes first is a race that either may win.
    """
    leased = make(default_ttl="12s", rollout={"timeout": "12s"})
    leased.first()
    bridge = lab.start()
    load = leased.load(replicas=2, order="stop-first")
    leased.settle_on(1)
    former, since = leased.credential(), time.monotonic()
    leased.database.role("app", default_ttl="12s", login=False)
    leased.ask()
    bridge.wait_for("set_aside")
    leased.database.role("app", default_ttl="12s")  # before a third one is made
    failed = leased.lease(2)
    eventually(lambda: leased.refers_to() != 2)
    eventually(lambda: failed not in leased.database.leases("app"))
    assert leased.users() >= {former[0]}
    eventually(lambda: time.monotonic() > since + 13 or not leased.can_login(former))
    assert leased.can_login(former)  # beyond its first 12 s
    leased.settle_on(3)
    assert leased.users() == {leased.credential()[0]}
    refused = {login.user for login in load.refusals() + load.others()}
    assert former[0] not in refused
    assert leased.credential()[0] not in refused


@pytest.mark.acceptance
def test_sync_waits_for_vaults_next_tries_to_end_a_credential(lab: Lab, make: Make) -> None:
    """Where the database does not answer it tries again after 14 to 30 s, and after 50 s."""
    leased = make(default_ttl="10m")
    leased.first()
    leased.load(replicas=1, pause=1.0)
    lab.sync()
    leased.database.role("app", default_ttl="10m", failures=2)
    leased.ask()
    lab.cli("sync")
    assert leased.is_settled_on(2)
    assert leased.database.tries() == 3
    assert leased.users() == {leased.credential()[0]}


def test_a_lease_that_vanished_is_replaced_at_once_and_not_for_ever(lab: Lab, make: Make) -> None:
    leased = make()
    leased.first()
    leased.load(replicas=1, pause=1.0)
    bridge = lab.start()
    leased.settle_on(1)
    for version in (1, 2):
        leased.database.revoke(leased.lease(version))
        leased.settle_on(version + 1)
        assert leased.can_login(leased.credential())
    minted = bridge.lines("minted")
    assert [line["reason"] for line in minted] == ["LeaseVanished", "LeaseVanished"]
    leased.database.revoke(leased.lease(3))
    bridge.wait_for("held", reason="LeaseUnstable")
    assert leased.newest() == 3
    lab.cli("rotate", lab.name("db"))  # an operator does not wait for the hour
    leased.settle_on(4)


@pytest.mark.acceptance
def test_the_longest_life_is_never_met_and_windows_do_not_hold_that_up(
    lab: Lab, make: Make
) -> None:
    """The role's longest life is short, and the window is closed: it is rolled by force."""
    leased = make(
        default_ttl="15s",
        max_ttl="90s",
        rollout={"timeout": "20s", "windows": [{"allow": _closed_window()}]},
    )
    leased.first()
    bridge = lab.start()
    load = leased.load(replicas=2)
    for version in (2, 3):
        eventually(partial(_has, leased, version))
        leased.settle_on(version)
    totals = load.totals()
    assert (totals.refused, totals.other) == (0, 0), load.refusals() + load.others()
    assert {line["reason"] for line in bridge.lines("minted")} == {"ForcedByExpiry"}
    assert {line["reason"] for line in bridge.lines("forced")} == {"ForcedByExpiry"}


def _closed_window() -> str:
    """Return a window that does not open for hours."""
    hour = (datetime.now(UTC).hour + 6) % 24
    return f"{hour:02}:00-{hour:02}:30"


def test_what_operators_may_ask_for(lab: Lab, make: Make) -> None:
    """Rotate, now, revoked first; back only to what is alive; let go of."""
    leased = make(lease={"grace": "1h"})
    leased.first()
    leased.load(replicas=1, pause=1.0)
    lab.start()
    name = lab.name("db")
    eventually(lambda: "good" in leased.labels()[1])
    former = leased.credential()
    assert lab.status()["db"]["leases"][0]["user"] == former[0]
    said = lab.cli("rotate", name, "--now", "--wait=ended")
    assert lab.swarm.references(lab.name("api"))["db"] == lab.name("db_v2")
    assert leased.is_settled_on(2)  # without the hour's grace
    assert not leased.can_login(former)
    waited = [line for line in said.splitlines() if line.startswith("Waiting for ")]
    assert waited[0] == "Waiting for the bridge to carry out `rotate`."
    assert f"Waiting for services: {lab.name('api')}." in waited
    assert "Done." in said
    said = lab.run("rollback", name, "--to", "1", code=3).stderr
    assert "CredentialEnded" in said
    assert "rotate" in said
    former = leased.credential()
    lab.cli("rotate", name, "--revoke-first", "--reason", "it leaked")
    eventually(lambda: not leased.can_login(former))
    spec = lab.swarm.references(lab.name("api"))["db"]
    assert spec in {lab.name("db_v2"), lab.name("db_v3")}
    leased.settle_on(3)
    assert "Done." in lab.cli("rotate", "--wait", name)
    eventually(lambda: "retiring" in leased.labels().get(3, {}))
    configuration = load(str(lab.config), {})
    with closing(Swarm(configuration.settings.docker)) as swarm:
        operator = Operator(swarm, configuration.desired)
        with pytest.raises(NotFollowed, match="the end of the former credential"):
            operator.follow(name, 2.0, until=Until.ENDED)
    old = next(lease for lease in lab.status()["db"]["leases"] if lease["version"] == 3)
    assert old["next"] == "its credential ends"
    assert lab.run("rollback", name, "--to", "3", code=3).stderr


def test_what_is_taken_out_of_the_configuration_is_kept_until_it_is_let_go_of(
    lab: Lab, make: Make
) -> None:
    leased = make(default_ttl="20s")
    leased.first()
    leased.load(replicas=1, pause=1.0)
    credential = leased.credential()
    lab.without("db")
    bridge = lab.start()
    eventually(lambda: len(bridge.lines("lease_renewed")) >= 2)
    assert leased.can_login(credential)
    lab.cli("forget", lab.name("db"))
    lab.swarm.remove_service(lab.name("api"))
    eventually(lambda: not lab.versions("db"))
    assert leased.users() == set()


@pytest.mark.acceptance
def test_without_a_token_role_each_credential_hangs_on_a_login_of_its_own(
    lab: Lab, make: Make
) -> None:
    """Its period is renewed as the lease is."""
    leased = make(custody=False, default_ttl="8s", period="8s")
    leased.first()
    bridge = lab.start()
    load = leased.load(replicas=1)
    leased.settle_on(1)
    leased.ask()
    leased.settle_on(2)
    bridge.wait_for("custody_renewed")
    eventually(lambda: len(bridge.lines("custody_renewed")) >= 3)
    totals = load.totals()
    assert (totals.refused, totals.other) == (0, 0), load.refusals() + load.others()
    assert leased.users() == {leased.credential()[0]}


# --- Outages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["sealed", pytest.param("restarted", marks=pytest.mark.acceptance)])
def test_vault_may_be_away_for_more_than_half_a_lease_in_the_middle_of_a_roll(
    lab: Lab, make: Make, inbox: WebInbox, how: str
) -> None:
    lab.notify(f"json://{inbox.address}/hook", events=["held", "recovered", "rotated"])
    leased = make(default_ttl="30s")
    leased.first()
    bridge = lab.start()
    load = leased.load(replicas=2)
    leased.settle_on(1)
    leased.ask()
    bridge.wait_for("rolling")
    if how == "sealed":
        lab.vault.seal()
    else:
        lab.vault.stop()
    gone = time.monotonic()
    bridge.wait_for("held", reason="VaultUnreachable")
    eventually(lambda: time.monotonic() > gone + 16)
    if how == "sealed":
        lab.vault.unseal()
    else:
        lab.vault.start()
    leased.settle_on(2)
    totals = load.totals()
    assert (totals.refused, totals.other) == (0, 0), load.refusals() + load.others()
    assert leased.users() == {leased.credential()[0]}
    eventually(lambda: len(inbox.got) == 3)
    name, bridge_name = lab.name("db"), f"[vault-bridge {lab.name('bridge')}]"
    assert sorted(inbox.titles) == [
        f"Held: {name} (VaultUnreachable) {bridge_name}",
        f"Recovered: {name} (VaultUnreachable) {bridge_name}",
        f"Rotated: {name} {bridge_name}",
    ]
    leased.note_canaries()
    assert not [canary for canary in lab.canaries if canary in repr(inbox.got)]


def test_postgresql_away_costs_no_login_beyond_that(lab: Lab, make: Make) -> None:
    """Nothing is refused, and what could not be made or ended meanwhile is so afterwards."""
    leased = make(default_ttl="20s")
    leased.first()
    bridge = lab.start()
    load = leased.load(replicas=2)
    leased.settle_on(1)
    leased.postgres.stop()
    gone = time.time()
    leased.ask()
    bridge.wait_for("failed")
    eventually(lambda: time.time() > gone + 10)
    leased.postgres.start()
    back = time.time()
    leased.settle_on(2)
    assert load.refusals() == []
    assert [login for login in load.others() if not gone - 1 < login.time < back + 1] == []
    assert leased.users() == {leased.credential()[0]}


@pytest.mark.acceptance
def test_a_leader_that_is_killed_in_the_middle_of_a_mint_leaves_one_generation(
    lab: Lab, make: Make
) -> None:
    """Its user vanishes with its provisional custody, and the other bridge makes the one."""
    vault, _ = lab.through_proxies()
    leased = make(provisional_ttl="8s")
    leased.first()
    load = leased.load(replicas=2)
    leader = lab.start(within=ALONE)
    leased.settle_on(1)
    other = lab.start(within=ALONE)
    other.wait_for("stands_by")

    def kill(exchange: Exchange, phase: Phase) -> None:
        if "/creds/" in exchange.path and phase == Phase.AFTER:
            leader.signal(signal.SIGKILL)
            raise Cut

    vault.hook = kill
    leased.ask()
    assert leader.wait() != 0
    vault.hook = no_trouble
    assert len(leased.users()) == 2
    other.wait_for("leads")
    leased.settle_on(2)
    eventually(lambda: leased.users() == {leased.credential()[0]})
    assert leased.newest() == 2
    totals = load.totals()
    assert (totals.refused, totals.other) == (0, 0), load.refusals() + load.others()


# --- Besides -------------------------------------------------------------------------------------


def test_two_credentials_of_one_service_that_are_due_together_are_one_roll(
    lab: Lab, make: Make
) -> None:
    _, engine = lab.through_proxies()
    leased = make()
    rules = {"grace": "1s", "rotate_on": {"mount": lab.mount, "path": ASKS}}
    role = {"mount": leased.database.mount, "role": "app"}
    lab.leased("more", {"api": {"target": "more"}}, role, lease=rules)
    leased.first()
    lab.service(
        "api", secrets=[(lab.name("db_v1"), "db"), (lab.name("more_v1"), "more")], replicas=1
    )
    eventually(lambda: bool(lab.swarm.tasks(lab.name("api"))))
    lab.sync()
    assert "good" in leased.labels()[1]
    before = lab.updates(engine, "api")
    leased.ask()
    plan = lab.sync()
    held = lab.swarm.references(lab.name("api"))
    wanted = {"db": lab.name("db_v2"), "more": lab.name("more_v2")}
    assert held == wanted, (plan.holds, plan.conditions)
    assert lab.updates(engine, "api") == before + 1
    assert len(leased.users()) == 2


def test_check_says_what_keeps_leases_from_living(lab: Lab, make: Make) -> None:
    leased = make(default_ttl="10m")
    said = lab.cli("check", code=3)
    assert "`default_ttl` to 24m or more" in " ".join(said.split())
    leased.database.role("app", default_ttl="1h", max_ttl="48h")
    lab.service("api", replicas=1)
    lab.cli("check")
    vault = lab.vault
    policy = lab.json("policy")["policies"]["swarm-bridge"]
    without = "\n".join(line for line in policy.splitlines() if "sys/leases/renew" not in line)
    vault.policy(lab.name("swarm-bridge"), without)
    said = lab.cli("check", code=3)
    assert 'path "sys/leases/renew" { capabilities = ["update"] }' in " ".join(said.split())
    vault.policy(lab.name("swarm-bridge"), policy)
    role = f"auth/token/roles/{leased.token_role}"
    vault.put(role, orphan=False, token_type="default-batch")
    said = " ".join(lab.cli("check", code=3).split())
    assert "its tokens are no orphans" in said
    assert "its tokens need not be service tokens" in said
    vault.call("DELETE", role)
    said = " ".join(lab.cli("check", code=3).split())
    assert f"there is no such token role: `vault write {role} allowed_policies=" in said
    vault.put(f"auth/{leased.mount}/role/bridge", token_type="batch")
    assert "batch token" in " ".join(lab.cli("check", code=3).split())


def test_what_cannot_be_made_is_said_by_status(lab: Lab, make: Make) -> None:
    leased = make(services=())
    leased.first()
    lab.vault.call("DELETE", f"auth/token/roles/{leased.token_role}")
    leased.ask()
    bridge = lab.start()
    bridge.wait_for("failed")
    eventually(lambda: lab.status(code=None)["db"]["reason"] == "CustodyRefused")
