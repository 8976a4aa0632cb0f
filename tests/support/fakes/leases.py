"""Vault's database engine in memory, with its leases, the tokens that hold them, and the database.

Whatever ends by itself has ended when it is next asked about.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from bridge.errors import VaultError, VaultRefused, VaultUnreachable
from bridge.model.leased import RoleDocument
from bridge.model.reasons import Reason
from bridge.model.settings import Custody
from bridge.servers.vault.leases import VAULTS_OWN_MAX, Issued
from bridge.sources.database.source import DatabaseRole
from tests.support.fakes.store import Clock, Json

_T = TypeVar("_T")

VALID_AFTER = 5.0
"""Seconds for which Vault lets the database keep a user after its lease, where it is away then."""


@dataclass(slots=True)
class _Life:
    """A lease or a token.

    Attributes:
        renewed: When it was renewed last; None where it never was.
    """

    started: float
    ends: float
    renewed: float | None = None

    def text(self, now: float) -> Json:
        """Return what Vault says of its times."""
        found: Json = {
            "issue_time": text_of(self.started),
            "expire_time": text_of(self.ends),
            "ttl": int(max(0.0, self.ends - now)),
        }
        return found


@dataclass(slots=True)
class Token(_Life):
    """A custody token."""

    accessor: str = ""
    said: Json | None = None


@dataclass(slots=True)
class Lease(_Life):
    """A lease.

    Attributes:
        over: Whether it is being revoked, which waits for the database.
        by: Who ended it, or what: ``bridge``, ``people``, ``its time``, ``its custody``.
        longest: What its role let it live at most when it was issued or renewed last.
    """

    id: str = ""
    role: str = ""
    accessor: str = ""
    username: str = ""
    over: bool = False
    by: str = ""
    longest: float = 0.0

    @property
    def granted(self) -> float:
        """Seconds that it was given last."""
        return self.ends - (self.started if self.renewed is None else self.renewed)


class FakeLeases:
    """What ``Vault.leases`` is, over a clock that is moved by hand.

    Attributes:
        login_ttl: Seconds that a login lives, where that is what custody tokens are.
        away: Whether Vault does not answer at all.
        database_away: Whether its database does not: nothing is issued or renewed, and what ends
            has to wait.
        forbidden: API paths that our token may not use.
        custody_forbidden: Whether custody tokens may not have a credential made.
        batch: Whether tokens are batch tokens, which have no accessor.
        trouble: Called before and after each write with what it is; may raise.
        seen_end: Called before the bridge ends or shortens a lease.
        leases, tokens: What there is, by id and by accessor.
        history: All leases that ever were, by id.
        passwords: What the next users get, the last one first; else one of their own.
        count: How often each thing was done.
    """

    def __init__(
        self, clock: Clock, custody: Custody | None = Custody("bridge", 20.0), mount: str = "db"
    ) -> None:
        self._clock = clock
        self._custody = custody
        self._mount = mount
        self._numbers = itertools.count(1)
        self._roles: dict[str, RoleDocument] = {}
        self.login_ttl = 20.0
        self.away = False
        self.database_away = False
        self.forbidden: set[str] = set()
        self.custody_forbidden = False
        self.batch = False
        self.trouble: Callable[[str, bool], None] = lambda _what, _after: None
        self.seen_end: Callable[[Lease], None] = lambda _lease: None
        self.leases: dict[str, Lease] = {}
        self.tokens: dict[str, Token] = {}
        self.history: dict[str, Lease] = {}
        self.passwords: list[str] = []
        self.users: dict[str, str] = {}
        self.count: dict[str, int] = {}

    # --- what the bridge calls -------------------------------------------------------------------

    def role(self, role: DatabaseRole, *, patient: bool = True) -> RoleDocument:
        """As the real one."""
        self._asked(f"{role.mount}/roles/{role.role}")
        if role.mount != self._mount:
            what = f"nothing is mounted at {role.mount}/"
            raise VaultRefused(Reason.MOUNT_MISSING, what)
        if role.role not in self._roles:
            what = f"there is no role {role.role} in {role.mount}/"
            raise VaultRefused(Reason.ROLE_MISSING, what)
        return self._roles[role.role]

    def issue(self, role: DatabaseRole, meta: dict[str, str]) -> Issued:
        """As the real one: a custody first, which is let go where there is no credential."""
        token = self._write("custody", lambda: self._custody_token(meta))
        if self.batch:
            raise VaultRefused(
                Reason.CUSTODY_REFUSED,
                "Vault gives us batch tokens, which have no accessor to keep a lease alive by",
            )
        try:
            return self._write("issue", lambda: self._issue(role, token))
        except VaultError:
            self.let_go(token.accessor)
            raise

    def let_go(self, accessor: str) -> None:
        """As the real one."""
        try:
            self.revoke_token(accessor)
        except VaultError:
            return

    def lease(self, lease: str) -> Json | None:
        """As the real one."""
        self._asked("sys/leases/lookup")
        found = self.leases.get(lease)
        if found is None:
            return None
        now = self._clock()
        renewed = text_of(found.renewed) if found.renewed is not None else None
        return {**found.text(now), "id": lease, "last_renewal": renewed, "renewable": True}

    def renew(self, lease: str) -> None:
        """As the real one."""
        self._write("renew lease", lambda: self._renew(lease, None))

    def shorten(self, lease: str, seconds: float) -> None:
        """As the real one: a renewal that asks for less."""
        self._write("shorten lease", lambda: self._renew(lease, max(1, int(seconds))))

    def revoke(self, lease: str) -> None:
        """As the real one: that of one which is not there is a success."""

        def act() -> None:
            self._asked("sys/leases/revoke")
            found = self.leases.get(lease)
            if found:
                self.seen_end(found)
                self._end(found, "bridge")
                self._settle()

        self._write("revoke lease", act)

    def token(self, accessor: str) -> Json | None:
        """As the real one."""
        self._asked("auth/token/lookup-accessor")
        found = self.tokens.get(accessor)
        if found is None:
            return None
        answer = {**found.text(self._clock()), **(found.said or {}), "accessor": accessor}
        if found.renewed is not None:
            answer["last_renewal"] = text_of(found.renewed)
        return answer

    def is_ours(self, token: Json, meta: dict[str, str]) -> bool:
        """As the real one."""
        if self._custody is None:
            return str(token.get("path", "")).startswith("auth/") and bool(token.get("orphan"))
        said = token.get("meta") or {}
        return token.get("role") == self._custody.token_role and meta.items() <= said.items()

    def renew_token(self, accessor: str) -> None:
        """As the real one: it lives as long from its making as Vault lets anything live."""

        def act() -> None:
            self._asked("auth/token/renew-accessor")
            token = self._token(accessor, "renew-accessor")
            token.ends, token.renewed = token.started + VAULTS_OWN_MAX, self._clock()

        self._write("renew custody", act)

    def revoke_token(self, accessor: str) -> None:
        """As the real one: what hangs on it ends with it, as soon as the database lets it."""

        def act() -> None:
            self._asked("auth/token/revoke-accessor")
            for lease in self._of(accessor):
                self.seen_end(lease)
            self._drop_token(accessor, "bridge")
            self._settle()

        self._write("revoke custody", act)

    # --- what people do, and time ----------------------------------------------------------------

    def set_role(self, name: str, default_ttl: float, max_ttl: float) -> None:
        """Make or change a role; leases meet it with their next renewal."""
        self._roles[name] = RoleDocument(min(default_ttl, max_ttl), max_ttl)

    def drop_role(self, name: str) -> None:
        """Remove a role."""
        self._roles.pop(name, None)

    def revoked(self, lease: str) -> None:
        """Revoke a lease as somebody does."""
        if lease in self.leases:
            self._end(self.leases[lease], "people")
            self._settle()

    def token_revoked(self, accessor: str) -> None:
        """Revoke a custody token as somebody does."""
        self._drop_token(accessor, "people")
        self._settle()

    def valid(self, username: str) -> bool:
        """Tell whether a user may log in, whether or not the database answers just now."""
        self._settle()
        lease = next((x for x in self.leases.values() if x.username == username), None)
        return lease is not None and self._clock() < lease.ends + VALID_AFTER

    def users_of(self, role: str) -> list[str]:
        """Return the users of a role that may log in."""
        found = [lease.username for lease in self.leases.values() if lease.role == role]
        return [username for username in found if self.valid(username)]

    # --- inside ----------------------------------------------------------------------------------

    def _write(self, what: str, act: Callable[[], _T]) -> _T:
        self.trouble(what, False)
        self._reachable()
        done = act()
        self.count[what] = self.count.get(what, 0) + 1
        self.trouble(what, True)
        return done

    def _reachable(self) -> None:
        if self.away:
            raise VaultUnreachable("no answer", everywhere=True)
        self._settle()

    def _asked(self, place: str) -> None:
        self._reachable()
        if place in self.forbidden:
            raise VaultRefused(Reason.PERMISSION_DENIED, f"our token may not use {place}")

    def _custody_token(self, meta: dict[str, str]) -> Token:
        now, accessor = self._clock(), f"accessor-{next(self._numbers)}"
        said: Json
        if self._custody:
            if f"auth/token/create/{self._custody.token_role}" in self.forbidden:
                what = f"Vault makes no custody token with {self._custody.token_role}"
                raise VaultRefused(Reason.CUSTODY_REFUSED, what)
            role, ttl = self._custody.token_role, self._custody.provisional_ttl
            said = {"path": f"auth/token/create/{role}", "role": role, "meta": dict(meta)}
        else:
            ttl, said = (
                self.login_ttl,
                {"path": "auth/approle/login", "meta": {"role_name": "bridge"}},
            )
        said |= {"orphan": True, "explicit_max_ttl": 0, "type": "service"}
        token = Token(now, now + ttl, None, accessor, said)
        if not self.batch:
            self.tokens[accessor] = token
        return token

    def _issue(self, role: DatabaseRole, token: Token) -> Issued:
        if self.custody_forbidden:
            raise VaultRefused(Reason.CUSTODY_REFUSED, f"Vault answered a 403 for {role}")
        if role.mount != self._mount or role.role not in self._roles:
            raise VaultRefused(Reason.VAULT_REFUSED, f"Vault answered unknown role for {role}")
        if self.database_away:
            raise VaultUnreachable("Vault's database is away")
        now, number = self._clock(), next(self._numbers)
        username = f"v-{role.role}-{number}"
        ends = now + self._roles[role.role].default_ttl
        lease = Lease(
            *(now, ends, None, f"{role.lease_prefix}{number}", role.role, token.accessor, username)
        )
        self.leases[lease.id] = lease
        lease.longest = self._roles[role.role].max_ttl
        self.history[lease.id] = lease
        self.users[username] = self.passwords.pop() if self.passwords else f"password-{number}"
        fields = {"username": username, "password": self.users[username]}
        return Issued(lease.id, token.accessor, fields, text_of(now))

    def _renew(self, lease_id: str, increment: float | None) -> None:
        self._asked("sys/leases/renew")
        found, now = self.leases.get(lease_id), self._clock()
        if found is None or found.over:
            words = "lease not found" if found is None else "lease is expired"
            raise VaultRefused(Reason.VAULT_REFUSED, f"Vault answered {words} at sys/leases/renew")
        if self.database_away:
            raise VaultUnreachable("Vault's database engine is not ready (connection refused)")
        role = self._roles.get(found.role)
        if role is None:
            what = "Vault answered could not find role at sys/leases/renew"
            raise VaultRefused(Reason.VAULT_REFUSED, what)
        wanted = role.default_ttl if increment is None else increment
        if increment is not None:
            self.seen_end(found)
        found.longest = role.max_ttl
        found.ends, found.renewed = min(now + wanted, found.started + role.max_ttl), now

    def _token(self, accessor: str, place: str) -> Token:
        found = self.tokens.get(accessor)
        if found is None:
            what = f"Vault answered invalid accessor at auth/token/{place}"
            raise VaultRefused(Reason.VAULT_REFUSED, what)
        return found

    def _of(self, accessor: str) -> list[Lease]:
        return [x for x in self.leases.values() if x.accessor == accessor and not x.over]

    def _drop_token(self, accessor: str, by: str) -> None:
        if self.tokens.pop(accessor, None):
            for lease in self._of(accessor):
                self._end(lease, by)

    def _end(self, lease: Lease, by: str) -> None:
        if not lease.over:
            lease.over, lease.by, lease.ends = True, by, min(lease.ends, self._clock())

    def _settle(self) -> None:
        """Let everything end whose time has come."""
        now = self._clock()
        for accessor in [a for a, token in self.tokens.items() if token.ends <= now]:
            self._drop_token(accessor, "its custody")
        for lease in list(self.leases.values()):
            if lease.ends <= now:
                self._end(lease, "its time")
            if lease.over and not self.database_away:
                del self.leases[lease.id]
                del self.users[lease.username]


def text_of(seconds: float) -> str:
    """Write a time as Vault does, to the microsecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")[:-6] + "Z"
