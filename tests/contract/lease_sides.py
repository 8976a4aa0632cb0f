"""The two sides of the contract on leases: the fake, and a real Vault with a real PostgreSQL."""

from __future__ import annotations

import itertools
import time
import uuid
from abc import ABC, abstractmethod
from pathlib import Path
from typing import cast

import requests

from bridge.model.leased import Life
from bridge.model.settings import AppRole, Custody, VaultSettings
from bridge.observe_vault import read_life
from bridge.servers.vault import Issued, Leases, Vault
from bridge.sources.database.source import DatabaseRole
from tests.support.database import Database
from tests.support.fakes import Clock, FakeLeases, Json
from tests.support.postgres import Postgres
from tests.support.processes import eventually
from tests.support.vault import VaultServer

_RUN = uuid.uuid4().hex[:6]
_numbers = itertools.count(1)

META = {"bridge": "default", "secret": "dsn"}
PROVISIONAL = 3.0
"""Seconds that a custody lives at first, and a login."""

OWN = (
    "auth/token/lookup-accessor",
    "auth/token/renew-accessor",
    "auth/token/revoke-accessor",
    "sys/leases/lookup",
    "sys/leases/renew",
    "sys/leases/revoke",
)


class LeaseSide(ABC):
    """A dynamic role ``shop``, with what people do to it.

    Attributes:
        client: What the bridge speaks with.
        source: The role.
        creates: API path that makes custody tokens; empty where they are logins.
        handles: Every lease id, accessor and password that was issued.
    """

    creates = ""

    def __init__(self, client: Leases, mount: str) -> None:
        self.client = client
        self.source = DatabaseRole("", mount, "shop")
        self.handles: list[str] = []

    def issue(self) -> Issued:
        """Have a credential issued that can be used."""
        issued = self.client.issue(self.source, META)
        self.handles += [issued.lease, issued.accessor, issued.fields["password"]]
        assert self.logs_in(issued)
        return issued

    def life(self, issued: Issued) -> Life:
        """Look the lease up."""
        found = self.client.lease(issued.lease)
        assert found is not None
        return read_life(found, self.now())

    def custody(self, issued: Issued) -> Life:
        """Look the custody up."""
        found = self.client.token(issued.accessor)
        assert found is not None
        return read_life(found, self.now())

    def left(self, life: Life) -> float:
        """Return how many seconds something has left, about."""
        return round(life.ends - self.now())

    @abstractmethod
    def now(self) -> float:
        """Return the time."""

    @abstractmethod
    def pass_by(self, seconds: float) -> None:
        """Let time pass."""

    @abstractmethod
    def until_ended(self, issued: Issued) -> None:
        """Let time pass until a credential can be used no more."""

    @abstractmethod
    def logs_in(self, issued: Issued) -> bool:
        """Tell whether a credential can be used."""

    @abstractmethod
    def role(self, default_ttl: float, max_ttl: float) -> None:
        """Make or change the role."""

    @abstractmethod
    def revoke(self, issued: Issued) -> None:
        """Revoke a lease as somebody does."""

    @abstractmethod
    def forbid(self, place: str) -> None:
        """Take an API path from our policy."""

    @abstractmethod
    def forbid_custodies(self) -> None:
        """Take from custody tokens what they may do."""

    @abstractmethod
    def give_batch_tokens(self) -> None:
        """Let whatever makes custody tokens make batch tokens."""

    @abstractmethod
    def stop_database(self) -> None:
        """Let the database go away."""

    @abstractmethod
    def custodies(self) -> int:
        """Count the custody tokens that there are."""

    @abstractmethod
    def close(self) -> None:
        """Take everything away."""


class LeasesInMemory(LeaseSide):
    """The fake."""

    def __init__(self, *, own_login: bool = False) -> None:
        self._clock = Clock()
        custody = None if own_login else Custody("bridge", PROVISIONAL)
        self.fake = FakeLeases(self._clock, custody)
        self.fake.login_ttl = PROVISIONAL
        super().__init__(cast("Leases", self.fake), "db")
        self.creates = "" if own_login else "auth/token/create/bridge"
        self.role(20.0, 60.0)

    def now(self) -> float:
        return self._clock()

    def pass_by(self, seconds: float) -> None:
        self._clock.now += seconds

    def until_ended(self, issued: Issued) -> None:
        for _ in range(60):
            if not self.logs_in(issued):
                return
            self._clock.now += 1
        raise TimeoutError("it can still be used")

    def logs_in(self, issued: Issued) -> bool:
        name, password = issued.fields["username"], issued.fields["password"]
        return self.fake.valid(name) and self.fake.users[name] == password

    def role(self, default_ttl: float, max_ttl: float) -> None:
        self.fake.set_role("shop", default_ttl, max_ttl)

    def revoke(self, issued: Issued) -> None:
        self.fake.revoked(issued.lease)

    def forbid(self, place: str) -> None:
        self.fake.forbidden.add(place)

    def forbid_custodies(self) -> None:
        self.fake.custody_forbidden = True

    def give_batch_tokens(self) -> None:
        self.fake.batch = True

    def stop_database(self) -> None:
        self.fake.database_away = True

    def custodies(self) -> int:
        self.pass_by(0)
        return len(self.fake.tokens)

    def close(self) -> None:
        """Nothing is left."""


class RealLeases(LeaseSide):
    """A real server, with a database engine on a real database."""

    def __init__(
        self, server: VaultServer, postgres: Postgres, folder: Path, *, own_login: bool = False
    ) -> None:
        self._server = server
        self._postgres = postgres
        self._name = f"vbl{_RUN}-{next(_numbers)}"
        self._database = Database(server, postgres, self._name)
        self._own_login = own_login
        self.creates = "" if own_login else f"auth/token/create/{self._name}"
        mount = self._database.mount
        self._places = {
            **dict.fromkeys(filter(None, (*OWN, self.creates)), "update"),
            f"{mount}/roles/shop": "read",
            f"{mount}/roles/none": "read",
            "nowhere/roles/shop": "read",
            "auth/token/lookup-self": "read",
        }
        if own_login:
            self._places[f"{mount}/creds/shop"] = "read"
        self._write_policy()
        server.policy(
            f"{self._name}-custody", f'path "{mount}/creds/*" {{ capabilities = ["read"] }}'
        )
        self._make_token_role("service")
        role_id, secret_id = server.make_approle(
            self._name,
            self._name,
            token_ttl=f"{PROVISIONAL:.0f}s" if own_login else "60s",
            token_no_default_policy=True,
        )
        for name, text in (("role_id", role_id), ("secret_id", secret_id)):
            (folder / name).write_text(text)
        auth = AppRole(str(folder / "role_id"), str(folder / "secret_id"), self._name)
        custody = None if own_login else Custody(self._name, PROVISIONAL)
        settings = VaultSettings(address=server.address, auth=auth, max_rps=1000, custody=custody)
        self._vault = Vault(settings)
        super().__init__(self._vault.leases, mount)
        self.role(20.0, 60.0)

    def now(self) -> float:
        return time.time()

    def pass_by(self, seconds: float) -> None:
        time.sleep(seconds)

    def until_ended(self, issued: Issued) -> None:
        eventually(lambda: not self.logs_in(issued), 20)
        # The user goes a moment before Vault forgets the lease.
        eventually(lambda: self.client.lease(issued.lease) is None, 20)

    def logs_in(self, issued: Issued) -> bool:
        name, password = issued.fields["username"], issued.fields["password"]
        return not self._postgres.can_login(name, password, self._database.name)

    def role(self, default_ttl: float, max_ttl: float) -> None:
        self._database.role("shop", default_ttl=f"{default_ttl:.0f}s", max_ttl=f"{max_ttl:.0f}s")

    def revoke(self, issued: Issued) -> None:
        self._database.revoke(issued.lease)

    def forbid(self, place: str) -> None:
        del self._places[place]
        self._write_policy()

    def forbid_custodies(self) -> None:
        self._server.policy(f"{self._name}-custody", 'path "nothing" { capabilities = ["read"] }')

    def give_batch_tokens(self) -> None:
        if self._own_login:
            place = f"auth/{self._name}/role/bridge"
            self._server.put(place, token_policies=[self._name], token_type="batch")
        else:
            self._make_token_role("batch")

    def stop_database(self) -> None:
        self._postgres.stop()

    def custodies(self) -> int:
        found = self._server.call("LIST", "auth/token/accessors")["data"]["keys"]
        policy, count = f"{self._name}-custody", 0
        for accessor in found:
            body: Json = {"accessor": accessor}
            try:
                token = self._server.call("POST", "auth/token/lookup-accessor", body)["data"]
            except requests.HTTPError:
                continue  # some other test's, which has ended since it was listed
            count += policy in token["policies"]
        return count

    def _write_policy(self) -> None:
        rules = (
            f'path "{place}" {{ capabilities = ["{what}"] }}'
            for place, what in self._places.items()
        )
        self._server.policy(self._name, "\n".join(rules))

    def _make_token_role(self, kind: str) -> None:
        self._server.put(
            f"auth/token/roles/{self._name}",
            allowed_policies=[f"{self._name}-custody"],
            orphan=True,
            renewable=kind == "service",
            token_type=kind,
            token_no_default_policy=True,
        )

    def close(self) -> None:
        self._vault.close()
        self._database.close()
        self._server.call("DELETE", f"sys/auth/{self._name}")
        self._server.call("DELETE", f"auth/token/roles/{self._name}")
