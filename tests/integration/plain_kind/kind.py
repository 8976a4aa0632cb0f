"""How such a path is configured, watched and read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bridge.errors import VaultRefused
from bridge.keys.base import Model
from bridge.keys.values import VaultPath
from bridge.model.identity import ONE_LIFE, Identity
from bridge.model.reasons import Reason
from bridge.model.rule import Rule
from bridge.model.source import Source
from bridge.model.vault_view import Document, KvDocument, KvVersion
from bridge.sources.kind import Kind
from tests.integration.plain_kind.source import PlainPath

if TYPE_CHECKING:
    from bridge.servers.vault import Vault


class PlainSection(Model):
    """A path of a KV v1 engine."""

    mount: VaultPath
    """Mount of the engine."""
    path: VaultPath
    """Path below it."""


class Plain(Kind[PlainPath, PlainSection]):
    """A versioned kind; its fields ``version`` and ``written`` say which version it is."""

    key: ClassVar[str] = "plain"
    describes: ClassVar[str] = "A path of a KV v1 engine."
    noun: ClassVar[type[Source]] = PlainPath
    section: ClassVar[type[Model]] = PlainSection

    def source(self, section: PlainSection, namespace: str) -> PlainPath:
        """Return the path."""
        return PlainPath(namespace, section.mount, section.path)

    def look(self, vault: Vault, source: PlainPath, *, patient: bool) -> Document:
        """Return the one version that there is."""
        data = self._read(vault, source, patient=patient)
        number = int(data["version"])
        return KvDocument(ONE_LIFE, number, {number: KvVersion(data["written"])})

    def read_version(self, vault: Vault, version: Identity) -> Mapping[str, Any] | None:
        """Return the fields besides the two that count."""
        assert isinstance(version.source, PlainPath)
        data = self._read(vault, version.source, patient=True)
        if int(data["version"]) != version.version:
            return None
        return {key: data[key] for key in data if key not in ("version", "written")}

    def _read(self, vault: Vault, source: PlainPath, *, patient: bool) -> Mapping[str, Any]:
        data = vault.read(source, f"{source.mount}/{source.plain}", patient=patient)
        if "version" not in data:
            raise VaultRefused(Reason.NO_VERSION, f"{source} does not say its version")
        return data

    def rules(self, source: PlainPath) -> tuple[Rule, ...]:
        """Return what must be granted."""
        return (Rule(f"{source.mount}/{source.plain}", ("read",), "read it"),)
