"""A KV v2 path: each new version is mirrored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.model.identity import Identity
from bridge.model.leased import Leased
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.source import Source
from bridge.model.vault_view import Document, KvDocument, KvVersion, Unreadable
from bridge.sources.database.source import DatabaseRole


@dataclass(frozen=True, slots=True, order=True)
class KvPath(Source):
    """A KV v2 path. Several secrets may name the same one; it is looked at once.

    Attributes:
        path: Path below the mount, without slashes at its ends.
    """

    namespace: str
    mount: str
    path: str

    __str__ = Source.__str__

    @property
    def place(self) -> str:
        """The path."""
        return self.path

    @property
    def ui_place(self) -> tuple[str, str]:
        """The path's page, which shows a value only to whoever may read it."""
        return f"show/{self.path}", ""

    @property
    def label(self) -> Mapping[str, object]:
        """The path."""
        return {"path": self.path}

    @classmethod
    def from_label(cls, namespace: str, mount: str, label: Mapping[str, Any]) -> KvPath | None:
        """Read back ``label``."""
        return cls(namespace, mount, str(label["path"])) if "path" in label else None

    def current(
        self, document: Document, now: float
    ) -> tuple[int | None, Identity | tuple[Reason, str] | None]:
        """Return Vault's current version number, and the version or why there is none to be used.

        1. There is metadata and no version, as after ``vault kv metadata put``.
        2. It is destroyed, or so old that Vault no longer lists it.
        3. It is deleted; ``deletion_time`` may lie in the future (``delete_version_after``).
        """
        if not isinstance(document, KvDocument):
            return None, None
        return document.current, _current(self, document, now)

    def is_destroyed(self, document: Document | Unreadable | None, version: Identity) -> bool:
        """Return whether Vault tells that this version of this life of the path was destroyed."""
        if not isinstance(document, KvDocument):
            return False
        seen = document.versions.get(version.version)
        same = document.path_created == version.path_created
        return bool(same and seen and seen.created == version.created and seen.destroyed)

    def inferred(
        self, mirrors: Sequence[Mirror], refused: Identity | None
    ) -> Document | Unreadable | None:
        """Return the versions that are mirrored, and the one that was refused."""
        known = [mirror.identity for mirror in mirrors if not mirror.outlived]
        if refused and refused.source == self:
            known.append(refused)
        if not known:
            return Unreadable(Reason.NO_VERSION, f"no version of {self} is mirrored yet")
        newest = max(known)
        versions = {
            identity.version: KvVersion(identity.created)
            for identity in known
            if identity.path_created == newest.path_created
        }
        return KvDocument(newest.path_created, newest.version, versions)

    def lease_role(self, leased: Leased) -> Source | None:
        """Return whose lease a version holds.

        The role was compared with the configured one when the version was mirrored.
        """
        mount, _, _ = leased.lease.partition(f"/creds/{leased.role}/")
        return DatabaseRole(self.namespace, mount, leased.role).lease_role(leased)


def _current(path: KvPath, document: KvDocument, now: float) -> Identity | tuple[Reason, str]:
    if document.current == 0:  # 1
        return Reason.NO_VERSION, f"{path} has metadata and no version yet"
    version = document.versions.get(document.current)
    if version is None or version.destroyed:  # 2
        what = f"version {document.current} of {path} is destroyed in Vault"
        return Reason.VERSION_DESTROYED, what
    if version.deletion_time is not None and version.deletion_time <= now:  # 3
        return Reason.VERSION_DELETED, f"version {document.current} of {path} is deleted in Vault"
    return Identity(path, document.path_created, document.current, version.created)
