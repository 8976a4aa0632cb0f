"""The view of Vault: what one look read, path by path. The error of a path is data too (I8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.model.leased import GenerationView, RoleDocument, StaticDocument
from bridge.model.reasons import VAULT_AWAY, Reason
from bridge.model.source import Source


@dataclass(frozen=True, slots=True)
class KvVersion:
    """One version of a KV v2 path, by its metadata.

    Deleting hides a version's data, which ``undelete`` brings back; destroying erases it.

    Attributes:
        created: Vault's ``created_time``.
        deletion_time: When it is deleted, seconds since the epoch; None for never. It may lie in
            the future (``delete_version_after``): until then the version can be read.
        destroyed: Whether its data was erased.
        created_by: Who wrote it, in pairs of key and text: Vault Enterprise's ``created_by``, or
            ``declared``, where the path's custom metadata has a ``created_by``.
    """

    created: str
    deletion_time: float | None = None
    destroyed: bool = False
    created_by: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class KvDocument:
    """The metadata of a KV v2 path: everything but values.

    Attributes:
        path_created: Vault's ``created_time`` of the path's metadata.
        current: Number of the current version; 0 where none was written yet.
        versions: The versions by number, as far back as Vault keeps them (``max_versions``).
    """

    path_created: str
    current: int
    versions: Mapping[int, KvVersion]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The error with which reading a path or role ended.

    Attributes:
        everywhere: Whether it concerns Vault as a whole, and not this path alone.
        hung: Whether no answer came in time.
        retry_after: Seconds after which Vault asks to be asked again (``Retry-After``).
    """

    reason: Reason
    message: str
    everywhere: bool = False
    hung: bool = False
    retry_after: float = 0.0

    @property
    def away(self) -> bool:
        """Whether Vault could not be asked, so that nothing is known about the path."""
        return self.reason in _NOT_ASKED


_NOT_ASKED = VAULT_AWAY | {Reason.LOOKING_AGAIN}

NOT_YET = Unreadable(Reason.LOOKING_AGAIN, "Vault has yet to be asked for it")

Document = KvDocument | RoleDocument | StaticDocument

EVERYTHING = ""
"""The name under which ``Seen`` has an error that concerns all secrets."""

Seen = Mapping[str, Unreadable]
"""Why Vault's current version of a secret cannot be used, by the secret's name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VaultView:
    """What is known of Vault: each path and role as it was read last.

    Attributes:
        as_of: When the latest of it was asked for, seconds since the epoch.
        paths: Metadata, or the error, of each of ``Desired.sources``.
        again: When the next look is due, seconds since the epoch; None where none is planned.
        generations: Leases and custody tokens by the id of the generation's Docker secret.
        inferred: Whether Vault was not asked, and this is concluded from the swarm.
        asked: When each of ``paths`` was asked for, where that was before ``as_of``.
    """

    as_of: float
    paths: Mapping[Source, Document | Unreadable]
    again: float | None = None
    generations: Mapping[str, GenerationView] = field(default_factory=dict)
    inferred: bool = False
    asked: Mapping[Source, float] = field(default_factory=dict)

    def asked_at(self, source: Source) -> float:
        """Return when a path or role was asked for, seconds since the epoch."""
        return self.asked.get(source, self.as_of)

    @property
    def login_refused(self) -> bool:
        """Whether Vault answers, and refuses the login."""
        return any(
            isinstance(seen, Unreadable) and seen.reason == Reason.LOGIN_REFUSED
            for seen in self.paths.values()
        )
