"""The pages on static roles and on a pipeline's leases, from their first line, with real logins."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from psycopg.sql import SQL, Identifier

from demo.scene import Scene
from tests.docs.pages import bash, instead, script_of, sections
from tests.support.lab import ROOT
from tests.support.postgres import Postgres
from tests.support.processes import eventually

_DYNAMIC = "docs/how-to/rotate-database-credentials.md"
_STATIC = "docs/how-to/rotate-static-roles.md"
_PIPELINE = "docs/how-to/hold-leases-of-a-pipeline.md"

_QUICK = {"rollout: {bake: 30s}": "rollout: {bake: 1s}\npoll: {interval: 1s}"}

Credential = tuple[str, str]


def both_at_once(spec: dict[str, Any]) -> None:
    """Let a service be rolled in one step."""
    spec["UpdateConfig"]["Parallelism"] = 2


class Reader:
    """Somebody who follows a page.

    Args:
        service: The page's, which reads ``db.json``.
        database: That its users may log in to.
    """

    def __init__(self, scene: Scene, postgres: Postgres, service: str, database: str) -> None:
        self.scene, self.postgres = scene, postgres
        self.service, self.database = service, database
        self.environ = {**scene.environ(), **postgres.environ()}
        self.bridge: subprocess.Popen[bytes] | None = None

    def follow(self, script: str) -> str:
        """Run commands of the page; returns what they said."""
        here = f'export BRIDGE_CONFIG="{self.scene.config}"\n'
        return bash(here + script, self.scene.folder, self.environ)

    def start_bridge(self) -> None:
        """Run the bridge as the page's reader does; it ends with the scene's servers."""
        command = ["setpriv", "--pdeathsig", "KILL", "--", *self.scene.command("run")]
        quiet = subprocess.DEVNULL
        environ = {**self.environ, "PYTHONPATH": str(ROOT)}
        self.bridge = subprocess.Popen(command, env=environ, stdout=quiet, stderr=quiet)

    def close(self) -> None:
        """Stop the bridge."""
        if self.bridge:
            self.bridge.kill()
            self.bridge.wait(30)

    def credential(self) -> Credential:
        """Return what every task has."""
        found = set(self.scene.engine.read(self.service, "db.json"))
        assert len(found) == 1
        fields = json.loads(found.pop())
        assert fields.keys() == {"username", "password"}
        return fields["username"], fields["password"]

    def can_login(self, credential: Credential) -> bool:
        """Log in with it."""
        return not self.postgres.can_login(*credential, database=self.database)


@pytest.fixture
def clean(postgres: Postgres) -> Iterator[Postgres]:
    """Leave nothing of a page's databases and users behind."""
    yield postgres
    for name in ("billing", "ledger"):
        drop = SQL("drop database if exists {} with (force)")
        postgres.execute(drop.format(Identifier(name)))
    found = postgres.rows(
        "select rolname from pg_roles where rolname ~ '^(billing_|ledger_|v-)' order by 1 desc"
    )
    for (role,) in found:
        postgres.execute(SQL("drop role if exists {}").format(Identifier(role)))


def test_rotate_static_roles(quick: Scene, clean: Postgres) -> None:
    reader = Reader(quick, clean, "shop_api", "billing")
    quick.engine.update_service("shop_api", both_at_once)
    *steps, last = [title for title in sections(_STATIC) if title[:1].isdecimal()]
    words = {**_QUICK, "grace: 30s": "grace: 1s"}
    said = reader.follow(instead(script_of(_STATIC, *steps), words))
    for expected in (
        "billing_b: Vault rotates it each 365d by itself",
        "+ billing_db_v1  the password of static role billing_a",
        "billing_db  v1     v1       Synced  UpToDate",
    ):
        assert expected in said
    assert "billing_db v1: static role billing_a; user billing_a; Vault rotates it in 364d" in said
    former = reader.credential()
    assert former[0] == "billing_a"
    assert reader.can_login(former)
    said = reader.follow(script_of(_STATIC, last))
    assert "create secret billing_db_v2 from a new password of the static role billing_b" in said
    assert "rotate the static role of billing_db_v1: done" in said
    assert not reader.can_login(former)
    assert reader.credential()[0] == "billing_b"
    assert reader.can_login(reader.credential())


@pytest.mark.parametrize("rotations", [2, pytest.param(10, marks=pytest.mark.acceptance)])
def test_hold_leases_of_a_pipeline(quick: Scene, clean: Postgres, rotations: int) -> None:
    """Both credentials are valid until no task has the former; then that has 30 s left at most."""
    reader = Reader(quick, clean, "shop_worker", "ledger")
    _, first, second, *_ = sections(_DYNAMIC)
    renamed = {"shop": "ledger", "vault_admin": "ledger_admin"}
    reader.follow(instead(script_of(_DYNAMIC, first, second), renamed))
    *steps, last = [title for title in sections(_PIPELINE) if title[:1].isdecimal()]
    reader.follow(instead(script_of(_PIPELINE, *steps), _QUICK))
    reader.start_bridge()
    rotate = instead(script_of(_PIPELINE, last), {"vault-bridge sync ": "# it runs: "})
    formers: list[Credential] = []
    try:
        _rotate(reader, rotate, formers, rotations)
    finally:
        reader.close()


def _rotate(reader: Reader, rotate: str, formers: list[Credential], rotations: int) -> None:
    scene = reader.scene
    for rotation in range(2, rotations + 2):
        former, lease = reader.credential(), _lease(scene)
        assert reader.can_login(former)
        formers.append(former)
        assert reader.follow(rotate).rstrip().endswith("Z")  # when it ends whatever is done
        eventually(partial(_is_good, scene, rotation))
        assert reader.credential() not in formers
        assert reader.can_login(reader.credential())
        eventually(partial(_is_short, scene, lease))
        assert reader.can_login(former) or _left(scene, lease) == 0.0
    if rotations > 2:
        eventually(lambda: not any(map(reader.can_login, formers)))
        assert reader.can_login(reader.credential())


def _labels(scene: Scene, version: int) -> dict[str, str]:
    """Return the labels of a version, without their prefix; none where it is not there."""
    for secret in scene.engine.call("GET", "/secrets"):
        if secret["Spec"]["Name"] == f"ledger_db_v{version}":
            labels: dict[str, str] = secret["Spec"]["Labels"]
            return {key.removeprefix("vault-bridge."): value for key, value in labels.items()}
    return {}


def _is_good(scene: Scene, version: int) -> bool:
    return "good" in _labels(scene, version)


def _is_short(scene: Scene, lease: str) -> bool:
    return _left(scene, lease) <= 30.0


def _lease(scene: Scene) -> str:
    fields: dict[str, str] = scene.vault.get("secret/data/ledger/db")["data"]
    return fields["lease_id"]


def _left(scene: Scene, lease: str) -> float:
    """Return the seconds that a lease has left; 0 where it is over."""
    role, _, key = lease.rpartition("/")
    listed = scene.vault.call("LIST", f"sys/leases/lookup/{role}/")["data"]["keys"]
    if key not in listed:
        return 0.0
    found = scene.vault.put("sys/leases/lookup", lease_id=lease)
    return float(found["data"]["ttl"])
