"""The tests' own means: what a load of logins writes down, and which users there are, is true."""

from __future__ import annotations

import json

import psycopg
import pytest
import requests
from psycopg.sql import SQL, Identifier

from tests.support.database import Database
from tests.support.lab import Lab
from tests.support.logins import LoginLoad
from tests.support.postgres import Postgres
from tests.support.processes import eventually
from tests.support.swarm import PrivateSwarm


@pytest.fixture
def private(lab: Lab) -> None:
    if not isinstance(lab.swarm, PrivateSwarm):
        pytest.skip("the tasks see this machine's files, which needs a private engine")


def test_it_says_why_a_login_fails(postgres: Postgres, database: Database) -> None:
    one, other = database.static_role("one"), database.static_role("other")
    for statement in (
        SQL("alter role {} password 'right'").format(Identifier(one)),
        SQL("alter role {} password 'right' nologin").format(Identifier(other)),
        SQL("revoke connect on database {} from public, {}").format(
            Identifier(database.name), Identifier(database.owner)
        ),
    ):
        postgres.execute(statement)
    assert postgres.can_login(one, "right") == ""
    assert postgres.can_login(one, "wrong") == "28P01"
    assert postgres.can_login(f"{one}-not", "right") == "28P01"
    assert postgres.can_login(other, "right") == "28000"
    assert postgres.can_login(one, "right", database.name) == "42501"
    assert postgres.can_login(one, "right", "no-such-database") == "3D000"
    postgres.execute(SQL("alter role {} connection limit 0").format(Identifier(one)))
    assert postgres.can_login(one, "right") == "53300"
    postgres.execute(SQL("alter role {} valid until '2000-01-01'").format(Identifier(one)))
    assert postgres.can_login(one, "right") == "28P01"
    postgres.stop()
    assert postgres.can_login(one, "right") == "unreachable"
    postgres.start()
    assert postgres.can_login(one, "right") == "28P01"


@pytest.mark.usefixtures("private")
def test_a_load_says_what_became_of_each_login(
    lab: Lab, postgres: Postgres, database: Database
) -> None:
    database.role("app")
    credential = database.issue("app")
    lab.canaries.append(credential["password"])
    lab.swarm.create_secret(lab.name("db_v1"), json.dumps(credential).encode())
    load = LoginLoad(
        lab, postgres, database, "api", secret=lab.name("db_v1"), replicas=2, pause=0.02
    )
    lab.swarm.wait_running(lab.name("api"), 2)
    load.wait_for(60)
    assert load.users_seen() == {credential["username"]}
    assert (load.totals().refused, load.others()) == (0, [])

    postgres.stop()
    eventually(lambda: len(load.others()) > 10)
    assert not load.refusals()
    postgres.start()
    load.wait_for(load.totals().ok + 10)
    assert not load.refusals()

    database.drop(credential["username"])
    eventually(lambda: len({login.task for login in load.refusals()}) == 2)
    good, others = load.totals().ok, len(load.others())
    eventually(lambda: len(load.refusals()) > 30)
    assert (load.totals().ok, len(load.others())) == (good, others)
    assert {login.user for login in load.refusals()} == {credential["username"]}
    assert credential["password"] not in str(load.logins())


@pytest.mark.usefixtures("private")
def test_a_task_without_a_good_login_does_not_run(
    lab: Lab, postgres: Postgres, database: Database
) -> None:
    """A connection string serves as a credential, and a wrong one refuses at the first login."""
    lab.swarm.create_secret(lab.name("db_v1"), b"postgresql://nobody:wrong-password@there/x")
    load = LoginLoad(
        lab, postgres, database, "api", secret=lab.name("db_v1"), replicas=1, pause=0.02
    )
    eventually(lambda: len(load.refusals()) > 60)
    assert (load.totals().ok, load.others(), load.users_seen()) == (0, [], set())
    assert not lab.swarm.tasks(lab.name("api"))
    assert "wrong-password" not in str(load.refusals())


def test_users_come_and_go_with_their_leases(postgres: Postgres, database: Database) -> None:
    database.role("app")
    one, other = database.issue("app"), database.issue("app")
    names = {one["username"], other["username"]}
    assert database.users() == names
    assert set(database.leases("app")) == {one["lease_id"], other["lease_id"]}
    assert postgres.can_login(one["username"], one["password"]) == ""
    database.revoke(one["lease_id"])
    assert database.users() == {other["username"]}
    assert database.leases("app") == [other["lease_id"]]
    assert postgres.can_login(one["username"], one["password"]) == "28P01"
    database.revoke(other["lease_id"])
    assert (database.users(), database.leases("app")) == (set(), [])


def test_a_user_may_own_things_and_still_be_revoked(postgres: Postgres, database: Database) -> None:
    """What a user makes is the group's; and what it makes as itself too, after its end."""
    database.role("app")
    issued = database.issue("app")
    owners = "select tablename, tableowner from pg_tables where schemaname = 'public'"
    place = f"host={postgres.host} port={postgres.port} dbname={database.name}"
    with psycopg.connect(place, user=issued["username"], password=issued["password"]) as session:
        session.execute("create table groups ()")
        session.execute("set role none")
        session.execute("create table own ()")
        session.commit()
        made = set(postgres.rows(owners, database=database.name))
        assert made == {("groups", database.owner), ("own", issued["username"])}
        database.revoke(issued["lease_id"])
        with pytest.raises(psycopg.OperationalError):
            session.execute("select 1")
    left = set(postgres.rows(owners, database=database.name))
    assert left == {("groups", database.owner), ("own", database.owner)}


def test_a_static_role_has_a_user_of_its_own(postgres: Postgres, database: Database) -> None:
    user = database.static_role("one")
    assert database.users() == {user}
    read = database.vault.get(f"{database.mount}/static-creds/one")
    assert read["username"] == user
    assert postgres.can_login(user, read["password"]) == ""
    database.vault.put(f"{database.mount}/rotate-role/one")
    assert postgres.can_login(user, read["password"]) == "28P01"


def test_a_corner_takes_everything_away(lab: Lab, postgres: Postgres) -> None:
    """Even what Vault cannot revoke, and from a server that was stopped."""
    made = Database(lab.vault, postgres, f"{lab.prefix}more")
    made.role("app")
    dropped, kept = made.issue("app"), made.issue("app")
    made.drop(dropped["username"])
    with pytest.raises(requests.HTTPError):
        made.revoke(dropped["lease_id"])
    postgres.stop()
    assert postgres.can_login(kept["username"], kept["password"]) == "unreachable"
    made.close()
    assert made.leases("app") == []
    left = "select rolname from pg_roles where strpos(rolname, %s) > 0"
    assert postgres.rows(left, made.name) == []
    assert not postgres.rows("select from pg_database where datname = %s", made.name)
