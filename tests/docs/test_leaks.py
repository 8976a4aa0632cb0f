"""The page for the day on which a credential leaks: each of its commands, on real servers.

Names are a test's own; else the commands run as they stand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.docs.pages import bash, blocks, instead, sections, tools
from tests.support.database import Database
from tests.support.lab import BridgeProcess, Lab
from tests.support.leases import ASKS, PATH, LeasedDatabase
from tests.support.postgres import Postgres
from tests.support.processes import eventually
from tests.support.swarm import PrivateSwarm

_PAGE = "docs/how-to/a-credential-leaked.md"

_COMMANDS = {
    "value: write": ("A value in KV", "leaked="),
    "value: destroy": ("A value in KV", "vault kv destroy"),
    "dynamic: rotate_on": ("A dynamic role", "vault kv put"),
    "dynamic: now": ("A dynamic role", "--now"),
    "dynamic: leases": ("A dynamic role", "vault list"),
    "dynamic: label": ("A dynamic role", "docker secret inspect"),
    "dynamic: revoke": ("A dynamic role", 'vault lease revoke -sync "$lease"'),
    "dynamic: first": ("A dynamic role", "--revoke-first"),
    "dynamic: all": ("A dynamic role", "-prefix"),
    "dynamic: proof": ("A dynamic role", 'vault lease lookup "$lease"'),
    "static: role": ("A static pair", "-field=username"),
    "static: rotate_on": ("A static pair", "vault kv put"),
    "static: rotate": ("A static pair", "rotate-role"),
    "pipeline: lease": ("A lease that a pipeline wrote", "vault kv get"),
    "pipeline: revoke": ("A lease that a pipeline wrote", "vault lease revoke"),
    "pipeline: proof": ("A lease that a pipeline wrote", "vault lease lookup"),
    "own: tokens": ("The bridge's own credential", "auth/token/accessors"),
    "mount: paths": ("A whole mount", "vault kv patch"),
}
"""Each block of commands: the section that it is in, and what no other block there has."""

Make = Callable[..., LeasedDatabase]


def _block(name: str) -> str:
    title, words = _COMMANDS[name]
    (found,) = [block for block in blocks(sections(_PAGE)[title]) if words in block]
    return found


def test_no_command_of_the_page_is_left_out() -> None:
    every = [block for text in sections(_PAGE).values() for block in blocks(text)]
    assert sorted(every) == sorted(map(_block, _COMMANDS))


@pytest.fixture
def make(lab: Lab, postgres: Postgres, database: Database) -> Iterator[Make]:
    if not isinstance(lab.swarm, PrivateSwarm):
        pytest.skip("the tasks see this machine's files, which needs a private engine")
    made: list[LeasedDatabase] = []

    def new(**more: object) -> LeasedDatabase:
        made.append(LeasedDatabase(lab, postgres, database, **more))  # type: ignore[arg-type]
        return made[-1]

    yield new
    for each in made:
        each.close()


def _run(lab: Lab, names: tuple[str, ...], words: Mapping[str, str], code: int = 0) -> str:
    """Run blocks of the page with a test's own names in the place of the page's.

    Args:
        code: What the last command exits with.
    """
    environ = {
        "PATH": tools(lab.folder),
        "HOME": str(lab.folder),
        "VAULT_ADDR": lab.vault.address,
        "VAULT_TOKEN": lab.vault.token,
        "DOCKER_HOST": lab.swarm.host,
        "BRIDGE_CONFIG": str(lab.config),
    }
    script = "\n".join(["set -eu", *map(_block, names)])
    return bash(instead(script, words), lab.folder, environ, code)


def _started(leased: LeasedDatabase) -> BridgeProcess:
    bridge = leased.lab.start()
    leased.settle_on(1)
    return bridge


def _alarm(bridge: BridgeProcess) -> None:
    (minted,) = bridge.lines("minted")
    assert (minted["reason"], minted["level"]) == ("LeaseVanished", "warning")


def _refused_none(load: object) -> None:
    totals = load.totals()  # type: ignore[attr-defined]
    assert (totals.refused, totals.other) == (0, 0)


# --- a value in KV -------------------------------------------------------------------------------


def test_a_value_in_kv(lab: Lab) -> None:
    old = lab.rotate("db")
    lab.secret("db", {"api": {"target": "db"}})
    lab.service("api", replicas=1)
    bridge = lab.start()
    bridge.wait_for("good")
    words = {
        "secret/shop/db": f"{lab.mount}/db",
        "db_password": lab.name("db"),
        "sleep 2": "sleep 0.2",
    }
    destroy = {"secret/metadata/shop/db": f"{lab.mount}/metadata/db"}
    _run(lab, ("value: write", "value: destroy"), {**destroy, **words})
    bridge.wait_for("unused")
    assert lab.vault.get(f"{lab.mount}/metadata/db")["versions"]["1"]["destroyed"]
    value = lab.swarm.read(lab.name("api"), "db")[0]
    lab.canaries.append(value)
    assert value != old


@pytest.mark.acceptance
def test_a_whole_mount(lab: Lab) -> None:
    for name in ("one", "two"):
        lab.secret(name, {"api": {"target": name}}, kv={"path": f"shop/{name}"})
        lab.rotate(f"shop/{name}")
    lab.service("api", replicas=1)
    lab.sync()
    former = [lab.swarm.read(lab.name("api"), name)[0] for name in ("one", "two")]
    _run(lab, ("mount: paths",), {"secret/shop": f"{lab.mount}/shop"})
    lab.sync()
    found = [lab.swarm.read(lab.name("api"), name)[0] for name in ("one", "two")]
    lab.canaries += found
    assert not {*former} & {*found}


# --- a dynamic role ------------------------------------------------------------------------------


@pytest.mark.acceptance
@pytest.mark.parametrize("way", ["dynamic: rotate_on", "dynamic: now"])
def test_a_dynamic_role_without_an_outage(lab: Lab, make: Make, way: str) -> None:
    leased = make()
    leased.first()
    load = leased.load(replicas=2)
    bridge = _started(leased)
    former = leased.credential()
    name = "secret/rotate/shop" if "rotate_on" in way else "shop_dsn"
    _run(lab, (way,), {name: f"{lab.mount}/{ASKS}" if "rotate_on" in way else lab.name("db")})
    leased.settle_on(2)
    bridge.wait_for("credential_ended")
    assert not leased.can_login(former)
    _refused_none(load)


def test_a_dynamic_role_at_once(lab: Lab, make: Make) -> None:
    """Its lease is found by Vault and by the label; it ends in that second, and is replaced."""
    leased = make()
    leased.first()
    leased.load(replicas=1, pause=1.0)
    bridge = _started(leased)
    former = leased.credential()
    lease, creds = leased.lease(1), f"{leased.database.mount}/creds/app"
    leased.note_canaries()
    words = {"database/creds/shop": creds}
    said = _run(lab, ("dynamic: leases",), words).split()
    assert said[1:] == [lease]
    assert abs(int(said[0]) - time.time()) < 120
    said = _run(lab, ("dynamic: label",), {"shop_dsn": lab.name("db")}).split()
    assert said == [lease]
    _run(lab, ("dynamic: revoke",), {})  # of what the first has written into `leases.txt`
    assert not leased.can_login(former)
    _run(lab, ("dynamic: proof",), {'lookup "$lease"': f"lookup {lease}"}, 2)
    leased.settle_on(2)
    _alarm(bridge)
    assert leased.can_login(leased.credential())


@pytest.mark.acceptance
@pytest.mark.parametrize("way", ["dynamic: first", "dynamic: all"])
def test_a_dynamic_role_at_once_in_other_ways(lab: Lab, make: Make, way: str) -> None:
    leased = make()
    leased.first()
    leased.load(replicas=1, pause=1.0)
    _started(leased)
    former = leased.credential()
    creds = f"{leased.database.mount}/creds/app"
    all_of_them = {"database/creds/shop": creds}
    _run(lab, (way,), all_of_them if way == "dynamic: all" else {"shop_dsn": lab.name("db")})
    eventually(lambda: not leased.can_login(former))
    leased.settle_on(2)
    assert leased.can_login(leased.credential())


# --- a static pair -------------------------------------------------------------------------------


@pytest.mark.acceptance
def test_a_static_pair_without_an_outage(lab: Lab, make: Make) -> None:
    leased = make(static=("a", "b"))
    leased.first()
    load = leased.load(replicas=2)
    bridge = _started(leased)
    former = leased.credential()
    words = {"database/static-roles/billing_": f"{leased.database.mount}/static-roles/"}
    before = _run(lab, ("static: role",), words)
    assert before.startswith(former[0])  # the user, and the time of its rotation
    _run(lab, ("static: rotate_on",), {"secret/rotate/billing": f"{lab.mount}/{ASKS}"})
    leased.settle_on(2)
    bridge.wait_for("static_role_rotated")
    assert not leased.can_login(former)
    assert _run(lab, ("static: role",), words) > before
    _refused_none(load)


def test_a_static_pair_at_once(lab: Lab, make: Make) -> None:
    leased = make(static=("a", "b"))
    leased.first()
    leased.load(replicas=1, pause=1.0)
    bridge = _started(leased)
    former = leased.credential()
    role = {"database/rotate-role/billing_": f"{leased.database.mount}/rotate-role/"}
    _run(lab, ("static: rotate",), role)
    assert not leased.can_login(former)
    leased.settle_on(2)
    _alarm(bridge)
    assert leased.credential()[0] == former[0]
    assert leased.can_login(leased.credential())


# --- a lease that a pipeline wrote ---------------------------------------------------------------


def test_a_lease_that_a_pipeline_wrote(lab: Lab, make: Make) -> None:
    """Revoked at once it is said and rolled nowhere, until the pipeline has run."""
    leased = make(pipeline=True)
    leased.write()
    leased.first()
    leased.load(replicas=1, pause=1.0)
    bridge = _started(leased)
    former = leased.credential()
    words = {"secret/ledger/db": f"{lab.mount}/{PATH}"}
    _run(lab, ("pipeline: lease", "pipeline: revoke", "pipeline: proof"), words, 2)
    assert not leased.can_login(former)
    bridge.wait_for("held", reason="LeaseVanished")
    assert lab.versions("db") == {1}
    leased.write()
    leased.settle_on(2)
    assert leased.can_login(leased.credential())


# --- our own credential --------------------------------------------------------------------------


def test_the_bridges_own_token(lab: Lab, make: Make) -> None:
    """It logs in anew, and nobody notices: custody does not hang on that token."""
    leased = make()
    leased.first()
    load = leased.load(replicas=1)
    bridge = _started(leased)
    _run(lab, ("own: tokens",), {'"swarm-bridge"': '"bridge"'})
    assert (lab.folder / "accessors.txt").read_text().split()
    leased.ask()
    leased.settle_on(2)
    assert bridge.process.poll() is None
    _refused_none(load)
