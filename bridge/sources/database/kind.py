"""How a dynamic role of the database engine is configured, and how its credentials are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bridge.keys.base import Model
from bridge.keys.values import Role, VaultPath
from bridge.model.actions import MintGeneration
from bridge.model.desired import Desired
from bridge.model.findings import Finding
from bridge.model.leased import RoleDocument, lease_labels
from bridge.model.rule import Rule
from bridge.model.source import Source
from bridge.model.vault_view import Document
from bridge.sources.database.checks import check_role
from bridge.sources.database.source import DatabaseRole
from bridge.sources.kind import InUse, Kind, NewCredential, Prepared
from bridge.sources.mistakes import Mistakes, mapping, of_credential

if TYPE_CHECKING:
    from bridge.servers.vault import Vault


class DatabaseSection(Model):
    """A dynamic role of Vault's database engine."""

    mount: VaultPath
    """Mount of the engine."""
    role: Role
    """Name of the role."""


class Database(Kind[DatabaseRole, DatabaseSection]):
    """A leased source: each generation is a credential of its own, with a lease."""

    key: ClassVar[str] = "database"
    describes: ClassVar[str] = "A dynamic role of the database engine: the bridge owns the leases."
    noun: ClassVar[type[Source]] = DatabaseRole
    section: ClassVar[type[Model]] = DatabaseSection

    def source(self, section: DatabaseSection, namespace: str) -> DatabaseRole:
        """Return the role."""
        return DatabaseRole(namespace, section.mount, section.role)

    def mistakes(
        self, name: str, secret: Mapping[str, Any], document: Mapping[str, Any]
    ) -> Mistakes:
        """Yield mistakes about the content, and a login that can make no custody of its own."""
        yield from of_credential(name, secret)
        vault = mapping(document.get("vault"))
        auth = mapping(vault.get("auth"))
        alone = auth.get("method") == "token" or auth.get("secret_id_wrapped") is True
        if alone and "custody" not in vault:
            message = "with this login a leased credential needs `vault.custody.token_role`"
            yield ("secrets", name, "database"), message

    def look(self, vault: Vault, source: DatabaseRole, *, patient: bool) -> Document:
        """Return the lives that the role gives its leases."""
        return vault.leases.role(source, patient=patient)

    def prepare(
        self, vault: Vault, action: MintGeneration, meta: dict[str, str], in_use: InUse
    ) -> Prepared | str:
        """Return how the next credential is made, held by a custody token of its own."""
        del in_use  # nobody has it yet
        role = action.source
        assert isinstance(role, DatabaseRole)  # noqa: S101 - it is of this kind

        def make() -> NewCredential:
            issued = vault.leases.issue(role, meta)
            return NewCredential(
                issued.fields,
                issued.issued,
                lease_labels(issued.lease, issued.accessor, role.role),
                lambda: vault.leases.let_go(issued.accessor),
            )

        return Prepared(make)

    def rules(self, source: DatabaseRole) -> tuple[Rule, ...]:
        """Return what our own token needs; it makes no credential by itself."""
        place = f"{source.mount}/roles/{source.role}"
        return (Rule(place, ("read",), "see how long its credentials live"),)

    def custody_rules(self, source: DatabaseRole) -> tuple[Rule, ...]:
        """Return what a custody token needs: to have a credential made, and nothing else."""
        return (Rule(f"{source.mount}/creds/{source.role}", ("read",), "make a credential"),)

    def check(
        self, vault: Vault, source: DatabaseRole, seen: Document, desired: Desired, now: float
    ) -> Iterator[Finding]:
        """Report whether its leases live long enough for a roll and an outage."""
        del vault, now
        if isinstance(seen, RoleDocument):
            yield from check_role(source, seen, desired)
