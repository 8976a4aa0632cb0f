"""The commands in the pages run as they stand, in the order of the page, on the demo's servers."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from psycopg.sql import SQL, Identifier

from demo.scene import Scene
from tests.docs.pages import instead, script_of
from tests.support.lab import ROOT
from tests.support.postgres import Postgres
from tests.support.processes import eventually

_ELSEWHERE = """\
mount -t tmpfs tmpfs /opt
mkdir -p "$1"/upper "$1"/work
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" /etc
shift
exec "$@"
"""
"""Lets a page write below /opt and /etc without this machine seeing any of it."""


Json = dict[str, Any]

_LEASED = "docs/how-to/rotate-database-credentials.md"

_IMPATIENT = {"bake: 30s": "bake: 1s", "grace: 30s": "grace: 1s"}
"""What a page waits for in production, and what a test waits for."""


def run(scene: Scene, page: str, folder: Path, *before: str) -> str:
    """Run a page's commands; returns what they said."""
    done = subprocess.run(
        [*before, "bash", "-c", script_of(page)],
        cwd=folder,
        env=scene.environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def read(scene: Scene, service: str) -> list[str]:
    """Read the file of the example in each container of a service."""
    return scene.engine.read(service, "db_password")


def test_the_tutorial(quick: Scene) -> None:
    said = run(quick, "docs/tutorial/first-rotation.md", quick.folder)
    for expected in (
        "+ db_password_v1  version 1 of secret/shop/db, content unverified",
        "~ shop_worker     add db_password_v1",
        "Plan: 1 to create, 2 to roll.",
        "correct-horse\n1000:1000 400",
        "battery-staple",
        "no field 'password' (FieldMissing)",
    ):
        assert expected in said
    assert read(quick, "shop_api") == ["tr0ub4dor", "tr0ub4dor"]
    assert read(quick, "shop_worker") == ["tr0ub4dor"]


@pytest.mark.acceptance
def test_from_hand_rotation_to_the_bridge(scene: Scene) -> None:
    """A new user's path: two services rotated by hand, then only what the page says."""
    said = run(scene, "docs/how-to/from-hand-rotation.md", scene.folder)
    assert "NotOwned" in said
    assert "+ db_password_v3  version 3 of secret/shop/db, content unverified" in said
    assert "shop_api: db_password_v3 as db_password" in said
    assert read(scene, "shop_api") == ["third-password", "third-password"]
    assert read(scene, "shop_worker") == ["third-password"]
    stat = scene.engine.run("shop_api", "stat", "-c", "%u %g %a", "/run/secrets/db_password")
    assert stat == ["1000 1000 400\n"] * 2
    assert scene.engine.secret_names("db_password") == {"db_password_v3", "db_password_v4"}


@pytest.mark.acceptance
def test_the_quick_start_of_the_readme(scene: Scene, tmp_path: Path) -> None:
    scene.vault.write("secret", "shop/db", password="first")
    elsewhere = ("unshare", "--mount", "sh", "-euc", _ELSEWHERE, "elsewhere", str(scene.folder))
    said = run(scene, "README.md", ROOT, *elsewhere)
    assert "Synced" in said
    assert scene.engine.references("shop_api") == {"db_password": "db_password_v2"}
    eventually(lambda: "first" not in read(scene, "shop_api"))
    assert not Path("/opt/vault-bridge").exists()


def _both_at_once(spec: Json) -> None:
    spec["UpdateConfig"]["Parallelism"] = 2


def test_rotate_database_credentials(quick: Scene, postgres: Postgres) -> None:
    """Three generations, one user of the database at the end, and it is the one of the file."""
    quick.engine.update_service("shop_api", _both_at_once)
    script = instead(script_of(_LEASED), _IMPATIENT)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=quick.folder,
        env={**quick.environ(), **postgres.environ()},
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        for expected in (
            "database/creds/shop gives 1h at a time, 30d at most",
            "+ shop_dsn_v1  a new credential of database/creds/shop",
            "create secret shop_dsn_v2",
            "shop_dsn    v3     v3       Synced  UpToDate",
            "next: a new generation is made",
        ):
            assert expected in done.stdout
        found = [urlsplit(dsn) for dsn in quick.engine.read("shop_api", "dsn")]
        assert len(found) == 2
        users = postgres.rows("select rolname from pg_roles where rolname like 'v-%'")
        assert users == [(found[0].username,)]
        password = unquote(found[0].password or "")
        assert not postgres.can_login(users[0][0], password, database="shop")
    finally:
        postgres.execute("drop database if exists shop with (force)")
        gone = "select rolname from pg_roles where rolname like 'v-%'"
        for role in (*(name for (name,) in postgres.rows(gone)), "vault_admin", "shop_owner"):
            postgres.execute(SQL("drop role if exists {}").format(Identifier(role)))


@pytest.mark.acceptance
def test_the_demo(tmp_path: Path) -> None:
    """It ends with 0 only where every container was seen to read every rotation."""
    done = subprocess.run(
        ["make", "demo"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=800
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("2 of 2 tasks") == 3


@pytest.mark.acceptance
def test_rotate_our_own_secret_id(scene: Scene) -> None:
    """After the quick start: the page's commands end the old one, and the bridge goes on."""
    scene.vault.write("secret", "shop/db", password="first")
    elsewhere = ("unshare", "--mount", "sh", "-euc", _ELSEWHERE, "elsewhere", str(scene.folder))
    both = f"{script_of('README.md')}\n{script_of('docs/how-to/log-in-to-vault.md')}"
    done = subprocess.run(
        [*elsewhere, "bash", "-c", f"{both}\nvault-bridge sync"],
        cwd=ROOT,
        env=scene.environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    accessors = scene.vault.call("LIST", "auth/approle/role/swarm-bridge/secret-id")["data"]["keys"]
    assert len(accessors) == 1
