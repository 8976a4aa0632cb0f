"""What the bridge asks of static roles: users of a database whose passwords Vault rotates."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote

from bridge.errors import VaultError, VaultRefused, VaultUnreachable
from bridge.model.leased import StaticDocument, StaticRole
from bridge.model.reasons import Reason
from bridge.model.timestamps import instant
from bridge.servers.vault.http import Answer, Json
from bridge.servers.vault.session import Session, data_of, missing, refusal
from bridge.sources.static.source import StaticRoles


@dataclass(frozen=True, slots=True)
class Password:
    """The present password of a static role.

    Attributes:
        fields: ``username`` and ``password``.
        rotated: Vault's ``last_vault_rotation``.
    """

    fields: Json = field(repr=False)
    rotated: str


class Statics:
    """Static roles of the database engine.

    Every method raises ``VaultUnreachable`` where Vault gives no usable answer, ``LoginRefused``
    where it does not take our credential, and ``VaultRefused`` where it says no to this one role.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def roles(self, source: StaticRoles, *, patient: bool = True) -> StaticDocument:
        """Read when each role was rotated; no password is read."""
        return StaticDocument(
            {role: self.role(source, role, patient=patient) for role in source.roles}
        )

    def role(self, source: StaticRoles, role: str, *, patient: bool = True) -> StaticRole:
        """Read when one role was rotated, and how often Vault does that by itself."""
        place = f"{quote(source.mount)}/static-roles/{quote(role)}"
        try:
            data = data_of(self._session.read(place, patient=patient))
            rotated, period = str(data["last_vault_rotation"]), data.get("rotation_period")
            instant(rotated)
            return StaticRole(rotated, float(period or 0))
        except Answer as error:
            raise _refusal(error, source, role, f"{source.mount}/static-roles/{role}") from None
        except (KeyError, TypeError, ValueError):
            raise VaultUnreachable(f"Vault's answer on the role {role} is not understood") from None

    def rotate(self, source: StaticRoles, role: str) -> None:
        """Give a role a new password; its former one is refused at once.

        Where the database is away Vault answers with a 500 and rotates it some time later: that it
        was not rotated is never to be concluded.
        """
        place = f"{source.mount}/rotate-role/{role}"
        try:
            self._session.write(f"{quote(source.mount)}/rotate-role/{quote(role)}", {})
        except Answer as error:
            raise _refusal(error, source, role, place, "update") from None

    def password(self, source: StaticRoles, role: str) -> Password:
        """Read a role's present password."""
        place = f"{source.mount}/static-creds/{role}"
        try:
            data = data_of(self._session.read(f"{quote(source.mount)}/static-creds/{quote(role)}"))
            rotated = str(data["last_vault_rotation"])
            instant(rotated)
            fields = {key: data[key] for key in ("username", "password")}
        except Answer as error:
            raise _refusal(error, source, role, place) from None
        except (KeyError, TypeError, ValueError):
            raise VaultUnreachable(f"Vault's answer on the role {role} is not understood") from None
        return Password(fields, rotated)


_UNKNOWN = re.compile("no static role|unknown role")
"""Said with a 400."""


def _refusal(
    error: Answer, source: StaticRoles, role: str, place: str, capability: str = "read"
) -> VaultError:
    what = f"there is no static role {role} in {source.mount}/"
    absent = VaultRefused(Reason.ROLE_MISSING, what)
    if _UNKNOWN.search(error.text) and not error.forbidden:
        return missing(error, source) or absent
    return refusal(error, source, place, capability, absent=absent, asked=role)
