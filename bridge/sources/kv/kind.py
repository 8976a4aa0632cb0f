"""How a KV v2 path is configured, watched and read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bridge.errors import Exit, VaultError, VaultRefused
from bridge.keys.base import Model, Text
from bridge.keys.values import Role, VaultPath
from bridge.model.desired import Desired, KvLease
from bridge.model.findings import Finding, Level, to_grant
from bridge.model.identity import Identity
from bridge.model.rule import CAPABILITIES, Rule
from bridge.model.source import Source
from bridge.model.timestamps import instant
from bridge.model.vault_view import Document, KvDocument, KvVersion
from bridge.sources.database.source import DatabaseRole
from bridge.sources.folder import Apart, Folder, Unit
from bridge.sources.kind import Kind, Together, keys_of
from bridge.sources.kv.source import KvPath
from bridge.sources.mistakes import Mistakes, mapping, of_template

if TYPE_CHECKING:
    from bridge.servers.vault import Vault

_NANO = 1_000_000_000


class KvLeaseSection(Model):
    """The lease that a KV version's fields name."""

    id_field: Text
    """Field with the lease's id."""
    accessor_field: Text
    """Field with the accessor of the token that the lease hangs on."""
    mount: VaultPath
    """Mount of the database engine. No lease elsewhere is ever touched."""
    role: Role
    """Role whose leases these are. No lease of another is ever touched."""


class KvSection(Model):
    """A path of a KV v2 engine."""

    mount: VaultPath
    """Mount of the engine, as in `secret`."""
    path: VaultPath
    """Path below the mount, as `vault kv get` takes it."""
    field: Text | None = None
    """The one field to take, for the format `raw`."""
    lease: KvLeaseSection | None = None
    """Where a pipeline writes leased credentials into KV: the lease that each version holds."""


class Kv(Kind[KvPath, KvSection]):
    """A versioned source: each new version of the path is mirrored and rolled out."""

    key: ClassVar[str] = "kv"
    describes: ClassVar[str] = "A path of a KV v2 engine: each new version is rolled out."
    noun: ClassVar[type[Source]] = KvPath
    section: ClassVar[type[Model]] = KvSection

    def source(self, section: KvSection, namespace: str) -> KvPath:
        """Return the path."""
        return KvPath(namespace, section.mount, section.path)

    def parts(self, section: KvSection, namespace: str) -> Mapping[str, Any]:
        """Return the one field that is taken, and the lease that each version holds."""
        lease = section.lease
        if lease is None:
            return {"field": section.field}
        role = DatabaseRole(namespace, lease.mount, lease.role)
        return {
            "field": section.field,
            "lease": KvLease(lease.id_field, lease.accessor_field, role),
        }

    def mistakes(
        self, name: str, secret: Mapping[str, Any], document: Mapping[str, Any]
    ) -> Mistakes:
        """Yield mistakes about the one field, and about leases, which a version may only hold."""
        form, kv = secret.get("format", "raw"), secret["kv"]
        field, takes_all = mapping(kv).get("field"), form in ("json", "dotenv")
        if "template" in secret:
            yield from of_template(name, secret)
            if field is not None:
                yield ("secrets", name, "kv", "field"), "`template` has all fields: leave this out"
        elif "decode" in secret and takes_all:
            message = f"the format `{form}` takes all fields, and `decode` is for one: use `raw`"
            yield ("secrets", name, "decode"), message
        if "template" not in secret and form == "raw" and field is None and isinstance(kv, dict):
            message = "the format `raw` needs `field`; `format: json` takes all fields"
            yield ("secrets", name, "kv", "field"), message
        elif "template" not in secret and takes_all and field is not None:
            message = f"the format `{form}` takes all fields: leave `field` out, or use `raw`"
            yield ("secrets", name, "kv", "field"), message
        if "lease" in mapping(kv) and "custody" not in mapping(document.get("vault")):
            message = (
                "their token role tells the tokens of these leases from others: name it as"
                " `vault.custody.token_role`"
            )
            yield ("secrets", name, "kv", "lease"), message

    def look(self, vault: Vault, source: KvPath, *, patient: bool) -> Document:
        """Return the path's versions, from its metadata: no value is read."""
        return read_document(vault.kv.metadata(source, patient=patient))

    def folder(self, source: KvPath) -> Folder:
        """Return the folder that the path is in; OpenBao lists the metadata of all of it."""
        return Folder(source.namespace, source.mount, source.path.rpartition("/")[0])

    def look_together(self, vault: Vault, unit: Unit, *, patient: bool) -> Together:
        """Return the versions of several paths of one folder."""
        names = {source.place.rpartition("/")[2]: source for source in unit}
        found = vault.folders.documents(unit, tuple(names), read_document, patient=patient)
        if isinstance(found, Apart):
            return found
        return {names[name]: document for name, document in found.items()}

    def folder_rules(self, folder: Folder) -> tuple[Rule, ...]:
        """Return what OpenBao must grant to list the metadata of a folder; Vault ignores it.

        The path ends in a slash: the right ends at this folder, and those below it are not listed.
        Within it OpenBao knows no right to list some paths and not others.
        """
        place = f"{folder.mount}/detailed-metadata/{folder.path}".rstrip("/") + "/"
        why = (
            "optional, for OpenBao (inert on Vault): see which versions there are by one request;"
            " it lists the metadata of every path in this folder"
        )
        return (Rule(place, ("list",), why),)

    def read_version(self, vault: Vault, version: Identity) -> Mapping[str, Any] | None:
        """Read one version, once, to mirror it."""
        path = version.source
        assert isinstance(path, KvPath)  # noqa: S101 - it is of this kind
        found = vault.kv.read_version(path, version.version)
        if found["metadata"].get("created_time") != version.created:
            return None
        fields: Mapping[str, Any] = found["data"]
        return fields

    def outline(self, vault: Vault, version: Identity) -> Mapping[str, Any] | None:
        """Return the names of a version's fields, which KV v2 tells as its ``subkeys``."""
        path = version.source
        assert isinstance(path, KvPath)  # noqa: S101 - it is of this kind
        found = vault.kv.subkeys(path, version.version)
        if found is None:
            return None
        return {name: {} if isinstance(below, dict) else "x" for name, below in found.items()}

    def outline_rule(self, source: KvPath) -> Rule:
        """Return what KV v2 must grant to tell the names of fields."""
        place = f"{source.mount}/subkeys/{source.path}"
        why = "optional: let `vault-bridge check` see the names of fields, and no value"
        return Rule(place, ("read",), why)

    def rules(self, source: KvPath) -> tuple[Rule, ...]:
        """Return what a path must grant to be watched, and to be read."""
        metadata, data = (f"{source.mount}/{part}/{source.path}" for part in ("metadata", "data"))
        return (
            Rule(metadata, ("read",), "see which versions there are"),
            Rule(data, ("read",), "read a version once, to mirror it"),
        )

    def writer_rules(self, source: KvPath) -> tuple[Rule, ...]:
        """Return what a pipeline needs: it writes, and reads nothing."""
        data = f"{source.mount}/data/{source.path}"
        return (Rule(data, ("create", "update"), "write a version"),)

    def check(
        self, vault: Vault, source: KvPath, seen: Document, desired: Desired, now: float
    ) -> Iterator[Finding]:
        """Report the version that would be mirrored, and whether it may be read."""
        where = keys_of(source, desired)
        _, found = source.current(seen, now)
        if found is None or not where:
            return
        if isinstance(found, Identity):
            yield Finding(Level.OK, where, f"{source} is at version {found.version}")
        else:
            reason, message = found
            yield Finding(Level.ERROR, where, f"{reason}: {message}", Exit.HELD)
        yield from self._check_read(vault, source, where)

    def _check_read(self, vault: Vault, path: KvPath, where: str) -> Iterator[Finding]:
        _, read = self.rules(path)
        try:
            capabilities = vault.capabilities([read.path])[read.path]
        except VaultRefused as error:
            yield Finding(Level.WARNING, where, f"{error}{to_grant(CAPABILITIES)}")
            return
        except VaultError as error:
            yield Finding(Level.ERROR, where, str(error), Exit.UNREACHABLE)
            return
        if not read.is_granted_by(capabilities):
            message = f"our token sees the versions of {path} and may not read them"
            yield Finding(Level.ERROR, where, message + to_grant(read), Exit.HELD)


def read_document(raw: Mapping[str, Any]) -> KvDocument:
    """Return Vault's metadata document; fields that are not known are ignored.

    Raises:
        ValueError: A time in it cannot be read; so it is found now, and not by a decision.
    """
    current, custom = str(raw["current_version"]), raw.get("custom_metadata")
    by = custom.get("created_by") if isinstance(custom, Mapping) else None
    declared = (("declared", by),) if isinstance(by, str) else ()
    versions = {
        int(number): KvVersion(
            version["created_time"],
            instant(version["deletion_time"]) / _NANO if version.get("deletion_time") else None,
            bool(version.get("destroyed")),
            _created_by(version) or (declared if str(number) == current else ()),
        )
        for number, version in (raw.get("versions") or {}).items()
    }
    for created in (raw["created_time"], *(version.created for version in versions.values())):
        instant(created)
    return KvDocument(raw["created_time"], int(raw["current_version"]), versions)


def _created_by(version: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return who wrote a version, where Vault tells that."""
    by = version.get("created_by")
    pairs = by.items() if isinstance(by, Mapping) else ()
    return tuple(sorted((str(key), text) for key, text in pairs if isinstance(text, str) and text))
