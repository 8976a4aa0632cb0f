"""A test's own corner of a PostgreSQL server, with a database engine of Vault that makes users."""

from __future__ import annotations

import uuid
from string import Template
from typing import Any

import requests
from psycopg.sql import SQL, Identifier, Literal

from tests.support.postgres import Postgres
from tests.support.vault import VaultServer

Json = dict[str, Any]

_CREATION = (
    Template(
        """CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' """
        """VALID UNTIL '{{expiration}}' IN ROLE "$owner";"""
    ),
    # So that the admin may reassign what the user owns, without being a superuser.
    Template("""GRANT "{{name}}" TO "$admin";"""),
    Template("""ALTER ROLE "{{name}}" SET ROLE "$owner";"""),
)
_REVOCATION = (
    Template("""ALTER ROLE "{{name}}" NOLOGIN;"""),
    Template("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{name}}';"),
    Template("""REASSIGN OWNED BY "{{name}}" TO "$owner";"""),
    Template("""DROP OWNED BY "{{name}}";"""),
    Template("""DROP ROLE IF EXISTS "{{name}}";"""),
)


class Database:
    """A database, its owner, which is a group, and an engine whose admin is no superuser.

    Attributes:
        name: The database's.
        mount: Where the engine is mounted.
        owner: The group that every user is in, and that owns what they make.
        admin: As whom Vault logs in.

    Args:
        prefix: For all names; no other test's.
    """

    def __init__(self, vault: VaultServer, postgres: Postgres, prefix: str) -> None:
        self.vault = vault
        self.postgres = postgres
        self.prefix = f"{prefix.strip('-')}-"
        self.name = self.prefix.strip("-")
        self.mount = f"db-{self.name}"
        self.owner = f"owner-{self.name}"
        self.admin = f"vault-{self.name}"
        password = uuid.uuid4().hex
        for statement in (
            SQL("create role {owner} nologin"),
            SQL("create role {admin} login createrole password {password}"),
            SQL("grant {owner} to {admin} with admin option"),
            SQL("grant pg_signal_backend to {admin}"),
            SQL("create database {name} owner {owner}"),
        ):
            names = {n: Identifier(getattr(self, n)) for n in ("owner", "admin", "name")}
            postgres.execute(statement.format(**names, password=Literal(password)))
        vault.put(f"sys/mounts/{self.mount}", type="database")
        place = f"{postgres.host}:{postgres.port}/{self.name}?sslmode=disable"
        vault.put(
            f"{self.mount}/config/pg",
            plugin_name="postgresql-database-plugin",
            allowed_roles="*",
            username=self.admin,
            password=password,
            connection_url=f"postgresql://{{{{username}}}}:{{{{password}}}}@{place}",
            username_template=f'{{{{ printf "{self.prefix}%s-%s" .RoleName (random 10) }}}}',
        )

    def close(self) -> None:
        """Take everything away, also what Vault cannot; starts the server where it is stopped."""
        self.postgres.start()
        self.vault.put(f"sys/leases/revoke-force/{self.mount}")
        self.vault.unmount(self.mount)
        drop = SQL("drop database if exists {} with (force)")
        self.postgres.execute(drop.format(Identifier(self.name)))
        for role in (*self.users(), self.admin, self.owner):
            self.postgres.execute(SQL("drop role if exists {}").format(Identifier(role)))

    def drop(self, user: str) -> None:
        """Drop a user behind Vault's back, with the rights and objects that it has."""
        owned = SQL("drop owned by {} cascade").format(Identifier(user))
        self.postgres.execute(owned, database=self.name)
        self.postgres.execute(SQL("drop role {}").format(Identifier(user)))

    def role(
        self,
        name: str,
        *,
        default_ttl: str = "1h",
        max_ttl: str = "24h",
        login: bool = True,
        failures: int = 0,
    ) -> None:
        """Create or change a dynamic role.

        Args:
            login: Whether its users may log in; one that forgets that is of no use.
            failures: How many tries to end a user fail first, see ``tries``.
        """
        names = {"owner": self.owner, "admin": self.admin}
        useless = [] if login else ['ALTER ROLE "{{name}}" NOLOGIN;']
        failing = [f"SELECT 1 / (nextval('tries') / {failures + 1});"] if failures else []
        if failures:
            for statement in ("create sequence tries", "grant usage on tries to {admin}"):
                query = SQL(statement).format(admin=Identifier(self.admin))
                self.postgres.execute(query, database=self.name)
        self.vault.put(
            f"{self.mount}/roles/{name}",
            db_name="pg",
            creation_statements=[*(s.substitute(names) for s in _CREATION), *useless],
            revocation_statements=[*failing, *(s.substitute(names) for s in _REVOCATION)],
            default_ttl=default_ttl,
            max_ttl=max_ttl,
        )

    def tries(self) -> int:
        """Return how often it was tried to end a user, where the first tries fail."""
        ((count,),) = self.postgres.rows("select last_value from tries", database=self.name)
        return int(count)

    def static_role(self, name: str, rotation_period: str = "8760h") -> str:
        """Create a user, and a static role of this name for it; returns the user's name.

        Vault gives it a password at once.
        """
        user = f"{self.prefix}{name}"
        names = {n: Identifier(getattr(self, n)) for n in ("owner", "admin")}
        for statement in (
            SQL("create role {user} login in role {owner}"),
            # Newer servers let an admin change only the users that it has this of.
            SQL("grant {user} to {admin} with admin option"),
        ):
            self.postgres.execute(statement.format(user=Identifier(user), **names))
        self.vault.put(
            f"{self.mount}/static-roles/{name}",
            db_name="pg",
            username=user,
            rotation_period=rotation_period,
        )
        return user

    def users(self) -> set[str]:
        """Return the users of dynamic and static roles that the server has."""
        found = self.postgres.rows(
            "select rolname from pg_roles where starts_with(rolname, %s)", self.prefix
        )
        return {name for (name,) in found}

    def issue(self, role: str) -> Json:
        """Read a credential of a dynamic role as root.

        Returns:
            ``username``, ``password``, ``lease_id`` and ``lease_duration``.
        """
        answer = self.vault.call("GET", f"{self.mount}/creds/{role}")
        lease = {name: answer[name] for name in ("lease_id", "lease_duration")}
        return {**answer["data"], **lease}

    def leases(self, role: str) -> list[str]:
        """Return the ids of a dynamic role's leases."""
        place = f"{self.mount}/creds/{role}/"
        try:
            answer = self.vault.call("LIST", f"sys/leases/lookup/{place}")
        except requests.HTTPError as error:
            if error.response.status_code == requests.codes.not_found:
                return []
            raise
        return [place + key for key in answer["data"]["keys"]]

    def revoke(self, lease_id: str) -> None:
        """Revoke a lease and wait for it; raises where the user cannot be dropped."""
        self.vault.put("sys/leases/revoke", lease_id=lease_id, sync=True)
