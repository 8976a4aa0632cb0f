"""Static roles, taken in turn: each generation is the password of one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from bridge.model.identity import Identity
from bridge.model.leased import (
    CredentialState,
    Leased,
    Life,
    StaticDocument,
    StaticRole,
    Unknown,
)
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.source import Source
from bridge.model.timestamps import instant
from bridge.model.vault_view import Document, Unreadable

_NEVER = 10 * 365 * 86400.0
"""Seconds that stand for no end."""


@dataclass(frozen=True, slots=True, eq=False)
class StaticRoles(Source):
    """Static roles of Vault's database engine; each generation is the password of one of them.

    In whatever order they are named, they are the same.

    Attributes:
        roles: Two, which are taken in turn so that both are valid together; or one.
    """

    leased: ClassVar[bool] = True
    has_lease: ClassVar[bool] = False

    namespace: str
    mount: str
    roles: tuple[str, ...]

    __str__ = Source.__str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StaticRoles) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[str, str, frozenset[str]]:
        return self.namespace, self.mount, frozenset(self.roles)

    @property
    def place(self) -> str:
        """Its roles."""
        return f"static-roles/{' and '.join(self.roles)}"

    @property
    def ui_place(self) -> tuple[str, str]:
        """The list of roles: there are two of them."""
        return "list", "tab=role"

    @property
    def label(self) -> Mapping[str, object]:
        """Its roles."""
        return {"roles": list(self.roles)}

    @classmethod
    def from_label(cls, namespace: str, mount: str, label: Mapping[str, Any]) -> StaticRoles | None:
        """Read back ``label``."""
        if "roles" not in label:
            return None
        return cls(namespace, mount, tuple(str(role) for role in label["roles"]))

    def inferred(
        self, mirrors: Sequence[Mirror], refused: Identity | None
    ) -> Document | Unreadable | None:
        """Return the roles as they are if nobody rotated them since they were mirrored."""
        del refused
        roles: dict[str, StaticRole] = {}
        for mirror in mirrors:  # the newest first
            if mirror.leased:
                roles.setdefault(mirror.leased.role, StaticRole(mirror.identity.created, 0.0))
        return StaticDocument(roles)

    def state_of(
        self,
        mirror: Mirror,
        document: Document | Unreadable | None,
        started: float,
        *,
        looked: bool,
    ) -> CredentialState:
        """Return what became of a password: it is over once its role was rotated again.

        1. The roles cannot be read, or the role is no longer among them.
        2. Vault tells of an earlier rotation than that which made it: the look is older than the
           password, or Vault was restored.
        3. Vault tells of a later one: the password is over.

        Vault rotates a role by itself after its period. Where a service has a second role to go to,
        that is a hard end, before which it must leave.
        """
        leased, unknown = mirror.leased, None
        name = leased.role if leased else ""
        role = document.roles.get(name) if isinstance(document, StaticDocument) else None
        if role is None:  # 1
            unreadable = document if isinstance(document, Unreadable) else None
            reason = unreadable.reason if unreadable else Reason.UNMAPPED
            words = unreadable.message if unreadable else f"{name} is not in the configuration"
            return CredentialState(None, unknown=Unknown(reason, words))
        rotated, created = instant(role.rotated), instant(mirror.identity.created)
        if rotated < created and not looked:  # 2
            unknown = Unknown(Reason.LOOKING_AGAIN, "it is newer than the latest look at Vault")
        elif rotated < created:
            words = f"Vault says that {name} was last rotated before {mirror.docker_name}"
            unknown = Unknown(Reason.VERSION_WENT_BACK, f"{words}: was it restored?")
        ends = started + (role.period or _NEVER)
        life = Life(started=started, ends=ends, granted=ends - started, renewed=True)
        over = rotated > created  # 3
        hard_end = ends if role.period and len(self.roles) > 1 else None
        return CredentialState(None if over else life, hard_end, over, unknown)

    def holds_role(self, role: str) -> bool:
        """Return whether a role is one of them."""
        return role in self.roles

    @property
    def not_remade(self) -> str:
        """Why no generation is ever made anew."""
        return "a password belongs to one generation, whose end rotates its static role"

    def vanished(self, docker_name: str, leased: Leased | None) -> str:
        """Return what happened where a password is over that the bridge did not end."""
        role = leased.role if leased else ""
        return f"Vault has rotated the static role {role}, so {docker_name} is over"

    @property
    def is_renewed_by_vault(self) -> bool:
        """Whether there is but one role, which Vault rotates as it was told to."""
        return len(self.roles) == 1

    def next_role(
        self, newest: Leased | None, in_use: Leased | None, *, vanished: bool
    ) -> tuple[str, bool]:
        """Return which static role is next, and whether Vault rotates it first.

        1. The first generation takes the password that is there: somebody may use it already.
        2. One that Vault rotated by itself is mirrored as it is now, which is the quickest.
        3. Else the roles take turns.
        """
        if newest is None:  # 1
            return self.roles[0], False
        if vanished:  # 2
            return newest.role, False
        used = in_use or newest
        others = [role for role in self.roles if role != used.role]
        return (others or list(self.roles))[0], True  # 3
