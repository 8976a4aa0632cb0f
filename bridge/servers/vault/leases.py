"""What the bridge asks of engines that give leases: credentials, their leases, their custody.

Each credential is issued with a token of its own, its custody, since a lease dies with the token
that made it. The token is used for that one request and forgotten; its accessor is what is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import quote

import requests

from bridge.errors import VaultError, VaultRefused, VaultUnreachable
from bridge.model.leased import RoleDocument
from bridge.model.reasons import Reason
from bridge.model.settings import Custody
from bridge.model.source import Source
from bridge.servers.vault.http import Answer, Json
from bridge.servers.vault.session import Session, data_of, refusal
from bridge.sources.database.source import DatabaseRole

VAULTS_OWN_MAX = 768 * 3600.0
"""Seconds that Vault lets anything live where neither role nor mount says it."""

LONGEST = "87600h"
"""Increment for a custody token: Vault cuts it to what it allows, which is then its hard end."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A fresh credential.

    Attributes:
        fields: What the engine gave; the database engine gives ``username`` and ``password``.
        issued: Vault's ``issue_time`` of the lease.
    """

    lease: str = field(repr=False)
    accessor: str = field(repr=False)
    fields: Json = field(repr=False)
    issued: str


class Leases:
    """Leases of the database engine.

    Every method raises ``VaultUnreachable`` where Vault gives no usable answer, ``LoginRefused``
    where it does not take our credential, and ``VaultRefused`` where it says no to this one thing.

    Args:
        custody: How custody tokens are made; where absent, each is a login of its own.
        login: API path of these logins.
    """

    def __init__(self, session: Session, custody: Custody | None, login: str) -> None:
        self._session = session
        self._custody = custody
        self._login = login

    # --- roles -----------------------------------------------------------------------------------

    def role(self, role: DatabaseRole, *, patient: bool = True) -> RoleDocument:
        """Read the lives that a dynamic role gives; what it leaves open is the mount's, or Vault's.

        Raises ``VaultRefused`` with ``RoleMissing``, ``PermissionDenied`` and ``MountMissing``.
        """
        place = f"{quote(role.mount)}/roles/{quote(role.role)}"
        try:
            data = data_of(self._session.read(place, patient=patient))
            default, longest = float(data["default_ttl"]), float(data["max_ttl"])
        except Answer as error:
            raise self._role_refusal(error, role) from None
        except (KeyError, TypeError, ValueError):
            raise VaultUnreachable(
                f"Vault's answer on the role of {role} is not understood"
            ) from None
        if not (default and longest):
            tuned = self._tuned(role)
            default = default or tuned.default_ttl
            longest = longest or tuned.max_ttl
        return RoleDocument(min(default, longest), longest)

    def _tuned(self, role: DatabaseRole) -> RoleDocument:
        """Read what the mount gives; whoever may do anything below it may ask for that."""
        place = f"sys/internal/ui/mounts/{quote(role.mount)}/roles/{quote(role.role)}"
        try:
            config = data_of(self._session.read_once(place)).get("config") or {}
            default, longest = config.get("default_lease_ttl"), config.get("max_lease_ttl")
        except Answer:
            default = longest = 0
        longest = float(longest or VAULTS_OWN_MAX)
        return RoleDocument(min(float(default or VAULTS_OWN_MAX), longest), longest)

    def _role_refusal(self, error: Answer, role: DatabaseRole) -> VaultError:
        what = f"there is no role {role.role} in {role.mount}/"
        return refusal(
            error,
            role,
            f"{role.mount}/roles/{role.role}",
            "read",
            denied=f"our token may not read the role of {role}",
            absent=VaultRefused(Reason.ROLE_MISSING, what),
        )

    # --- a new credential ------------------------------------------------------------------------

    def issue(self, role: Source, meta: dict[str, str]) -> Issued:
        """Have a credential made at the place of a source, of whichever engine that gives leases.

        It is held by a custody token that is provisional yet.

        Nothing is tried twice: whatever came of a request without an answer ends by itself, since
        nobody makes its custody permanent.

        Args:
            meta: What the custody token says of itself.
        """
        custody = self._custody_token(role, meta)
        token, accessor = str(custody.get("client_token")), str(custody.get("accessor") or "")
        if not accessor or custody.get("token_type") == "batch":
            raise VaultRefused(
                Reason.CUSTODY_REFUSED,
                "Vault gives us batch tokens, which have no accessor to keep a lease alive by",
                hint="set `token_type=service` on the role; `vault-bridge policy` prints it",
            )
        try:
            return self._issued(role, token, accessor)
        except BaseException:
            self.let_go(accessor)
            raise

    def let_go(self, accessor: str) -> None:
        """Revoke a custody that nothing rests on; where that fails it ends by itself."""
        try:
            self.revoke_token(accessor)
        except VaultError:
            return

    def _custody_token(self, role: Source, meta: dict[str, str]) -> Json:
        custody = self._custody
        if custody is None:
            return self._session.aside(self._session.login.another)
        place = f"auth/token/create/{quote(custody.token_role)}"
        body = {
            "ttl": f"{custody.provisional_ttl:.0f}s",
            "meta": meta,
            "display_name": "vault-bridge",
        }
        try:
            answer = self._session.write(place, body)["auth"]
        except Answer as error:
            raise VaultRefused(
                Reason.CUSTODY_REFUSED,
                f"Vault makes no custody token for {role} with the token role"
                f" {custody.token_role} ({error.text})",
                hint=_custody_hint(error),
            ) from None
        except (KeyError, TypeError):
            raise VaultUnreachable("Vault's answer is not understood") from None
        if not isinstance(answer, dict):
            raise VaultUnreachable("Vault's answer is not understood")
        return answer

    def _issued(self, role: Source, token: str, accessor: str) -> Issued:
        place = quote(f"{role.mount}/{role.place}")
        try:
            answer = self._session.http.get(place, token, write=True)
            lease, fields = str(answer["lease_id"]), answer["data"]
            found = self.lease(lease)
        except Answer as error:
            reason = Reason.CUSTODY_REFUSED if error.forbidden else Reason.VAULT_REFUSED
            hint = "the custody's policy must grant `read` on it" if error.forbidden else ""
            raise VaultRefused(
                reason, f"Vault answered {error.text} for {role}", hint=hint
            ) from None
        except (KeyError, TypeError):
            raise VaultUnreachable("Vault's answer is not understood") from None
        if found is None or not lease.startswith(role.lease_prefix) or not isinstance(fields, dict):
            raise VaultUnreachable(f"Vault's answer for {role} is not understood")
        return Issued(lease, accessor, fields, str(found["issue_time"]))

    def token_role(self) -> Json | None:
        """Read the token role of custodies; None where there is none of that name.

        Raises ``VaultRefused`` with ``PermissionDenied``.
        """
        assert self._custody  # noqa: S101 - asked about only where it is configured
        place = f"auth/token/roles/{quote(self._custody.token_role)}"
        try:
            return data_of(self._session.read(place))
        except Answer as error:
            if error.status == requests.codes.not_found and error.body is not None:
                return None
            if error.forbidden:
                raise VaultRefused(
                    Reason.PERMISSION_DENIED,
                    f"our token may not read the token role {self._custody.token_role}",
                ) from None
            raise VaultRefused(
                Reason.VAULT_REFUSED, f"Vault answered {error.text} at {place}"
            ) from None

    # --- leases ----------------------------------------------------------------------------------

    def lease(self, lease: str) -> Json | None:
        """Look a lease up; None where Vault does not know it (any more)."""
        return self._look("sys/leases/lookup", {"lease_id": lease}, "invalid lease", lease)

    def renew(self, lease: str) -> None:
        """Give a lease all that its role gives; Vault cuts that at the role's longest."""
        self._say("sys/leases/renew", {"lease_id": lease}, lease)

    def shorten(self, lease: str, seconds: float) -> None:
        """Leave a lease no more than these seconds: Vault then ends it, whatever becomes of us."""
        self._say("sys/leases/renew", {"lease_id": lease, "increment": max(1, int(seconds))}, lease)

    def revoke(self, lease: str) -> None:
        """End a lease; Vault goes on trying where its database does not answer."""
        self._say("sys/leases/revoke", {"lease_id": lease, "sync": False}, lease)

    # --- custody ---------------------------------------------------------------------------------

    def token(self, accessor: str) -> Json | None:
        """Look a custody token up; None where Vault does not know it (any more)."""
        place, body = "auth/token/lookup-accessor", {"accessor": accessor}
        return self._look(place, body, "invalid accessor", accessor)

    def is_ours(self, token: Json, meta: dict[str, str]) -> bool:
        """Return whether a token is a custody of ours, by what it says of itself."""
        if self._custody is None:
            return token.get("path") == self._login and bool(token.get("orphan"))
        marked = token.get("meta") or {}
        return token.get("role") == self._custody.token_role and meta.items() <= marked.items()

    def renew_token(self, accessor: str) -> None:
        """Give a custody token the longest life that Vault allows it."""
        body = {"accessor": accessor, "increment": LONGEST}
        self._say("auth/token/renew-accessor", body, accessor)

    def revoke_token(self, accessor: str) -> None:
        """End a custody token, and with it whatever lease still hangs on it."""
        self._say("auth/token/revoke-accessor", {"accessor": accessor}, accessor)

    # --- requests --------------------------------------------------------------------------------

    def _look(self, place: str, body: Json, unknown: str, handle: str) -> Json | None:
        try:
            return data_of(self._session.ask(place, body))
        except Answer as error:
            if error.status == requests.codes.bad_request and unknown in error.text:
                return None
            self._refuse(place, error, handle)

    def _say(self, place: str, body: Json, handle: str) -> None:
        try:
            self._session.write(place, body)
        except Answer as error:
            self._refuse(place, error, handle)

    def _refuse(self, place: str, error: Answer, handle: str) -> NoReturn:
        """Raise what an answer means; Vault's words may quote the handle, which is not shown."""
        text = error.text.replace(handle, "...")
        if error.forbidden:
            raise VaultRefused(
                Reason.PERMISSION_DENIED,
                f"our token may not use {place}",
                hint=f'grant `update` on "{place}"',
            ) from None
        if any(words in text for words in _PASSING):
            raise VaultUnreachable(f"Vault's database engine is not ready ({text})") from None
        raise VaultRefused(Reason.VAULT_REFUSED, f"Vault answered {text} at {place}") from None


_OUR_LOGIN = "on the role that the bridge logs in with; `vault-bridge policy` prints it"


def _custody_hint(error: Answer) -> str:
    """Return what to do where Vault makes no custody token; the phrases are Vault's."""
    if "batch token" in error.text:
        return f"set `token_type=service` {_OUR_LOGIN}"
    if "restricted use token" in error.text:
        return f"set `token_num_uses=0` {_OUR_LOGIN}"
    return "`vault-bridge policy` prints the role and what our token needs for it"


_PASSING = ("connection refused", "failed to connect", "timeout", "starting up", "shutting down")
"""Words of a 400 for a database that is away."""
