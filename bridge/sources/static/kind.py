"""How static roles of the database engine are configured, and how they are rotated in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from bridge.errors import VaultUnreachable
from bridge.keys.base import Model
from bridge.keys.values import Role, VaultPath, without_slashes
from bridge.model.actions import MintGeneration
from bridge.model.desired import Desired
from bridge.model.findings import Finding
from bridge.model.labels import ROLE
from bridge.model.leased import Leased, StaticDocument
from bridge.model.rule import Rule
from bridge.model.source import Source
from bridge.model.timestamps import instant
from bridge.model.vault_view import Document
from bridge.sources.grants import check_rules
from bridge.sources.kind import InUse, Kind, NewCredential, Prepared, keys_of
from bridge.sources.mistakes import Mistakes, mapping, of_credential
from bridge.sources.static.checks import check_static
from bridge.sources.static.source import StaticRoles

if TYPE_CHECKING:
    from bridge.servers.vault import Vault


class StaticSection(Model):
    """Static roles of Vault's database engine, taken in turn."""

    mount: VaultPath
    """Mount of the engine."""
    roles: Annotated[list[Role], Field(min_length=1, max_length=2)]
    """Two static roles, so that the old and the new credential are valid together; or one."""


class Static(Kind[StaticRoles, StaticSection]):
    """A leased source without leases: each generation is the password of one of its roles.

    Vault ends a password only by the next rotation of its role. So the former one is over when its
    role is rotated, which is done once nothing uses it.
    """

    key: ClassVar[str] = "static"
    describes: ClassVar[str] = "Static roles of the database engine, taken in turn."
    noun: ClassVar[type[Source]] = StaticRoles
    section: ClassVar[type[Model]] = StaticSection

    def source(self, section: StaticSection, namespace: str) -> StaticRoles:
        """Return the roles."""
        return StaticRoles(namespace, section.mount, tuple(section.roles))

    def mistakes(
        self, name: str, secret: Mapping[str, Any], document: Mapping[str, Any]
    ) -> Mistakes:
        """Yield mistakes about the content, and about a role that is named twice."""
        del document
        yield from of_credential(name, secret)
        _, roles = _roles(secret)
        if len(set(roles)) < len(roles):
            message = "two different roles are needed, so that both are valid together"
            yield ("secrets", name, "static", "roles"), message

    def conflicts(self, secrets: Mapping[str, Mapping[str, Any]]) -> Mistakes:
        """Yield each role that two secrets name: one would end the password of the other."""
        first: dict[tuple[str, str], str] = {}
        for name, secret in secrets.items():
            mount, roles = _roles(secret)
            for role in roles:
                other = first.setdefault((mount, role), name)
                if other != name:
                    message = (
                        f"`{other}` has the role {role} too, and would rotate it while this uses it"
                    )
                    yield ("secrets", name, "static", "roles"), message

    def look(self, vault: Vault, source: StaticRoles, *, patient: bool) -> Document:
        """Return when each role was rotated; no password is read."""
        return vault.statics.roles(source, patient=patient)

    def prepare(
        self, vault: Vault, action: MintGeneration, meta: dict[str, str], in_use: InUse
    ) -> Prepared | str:
        """Return how a role that nothing uses is rotated, and its password read.

        It is mirrored only once ``last_vault_rotation`` has changed: after a lost answer or a 500,
        Vault may still rotate the role.
        """
        del meta
        source, role, statics = action.source, action.role, vault.statics
        assert isinstance(source, StaticRoles)  # noqa: S101 - it is of this kind
        before = statics.role(source, role).rotated
        if action.rotate and len(source.roles) > 1 and in_use(role):
            return f"something uses the role {role}"

        def make() -> NewCredential:
            if action.rotate:
                statics.rotate(source, role)
            password = statics.password(source, role)
            if action.rotate and instant(password.rotated) <= instant(before):
                raise VaultUnreachable(f"Vault has not rotated the role {role} yet")
            return NewCredential(password.fields, password.rotated, {ROLE: role})

        return Prepared(make, lasting=action.rotate)

    def rotation(
        self, vault: Vault, source: StaticRoles, leased: Leased, created: str, in_use: InUse
    ) -> Callable[[], object] | str:
        """Return the rotation of a role that nothing uses any more, which ends its password."""
        if vault.statics.role(source, leased.role).rotated != created:
            return "it was rotated in the meantime"
        if in_use(leased.role):
            return "something uses it again"
        return partial(vault.statics.rotate, source, leased.role)

    def rules(self, source: StaticRoles) -> tuple[Rule, ...]:
        """Return what our own token needs of each role."""
        return tuple(
            Rule(f"{source.mount}/{place}/{role}", capabilities, why)
            for role in source.roles
            for place, capabilities, why in (
                ("static-roles", ("read",), "see when it was rotated"),
                ("rotate-role", ("update",), "rotate it"),
                ("static-creds", ("read",), "read its password once, to mirror it"),
            )
        )

    def check(
        self, vault: Vault, source: StaticRoles, seen: Document, desired: Desired, now: float
    ) -> Iterator[Finding]:
        """Report whether the old and the new password can be valid together."""
        del now
        if isinstance(seen, StaticDocument):
            yield from check_static(source, seen, desired)
            yield from check_rules(vault, keys_of(source, desired), self.rules(source))


def _roles(secret: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the mount and the static roles that the raw data of a secret names."""
    static = mapping(secret.get("static"))
    roles = static.get("roles")
    listed = [str(role).strip() for role in roles] if isinstance(roles, list) else []
    return without_slashes(str(static.get("mount"))), listed
