"""What was seen in Vault, with the time of the look. Errors of one path are data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.model.leased import GenerationView, RoleDocument, StaticDocument
from bridge.model.reasons import Reason
from bridge.model.source import Source


@dataclass(frozen=True, slots=True)
class KvVersion:
    """One version of a KV v2 path.

    Attributes:
        created: Vault's ``created_time``.
        deletion_time: Seconds since the epoch; None where there is none. It may lie in the future
            (``delete_version_after``): until then the version is alive.
    """

    created: str
    deletion_time: float | None = None
    destroyed: bool = False


@dataclass(frozen=True, slots=True)
class KvDocument:
    """The metadata of a KV v2 path; ``current`` is 0 where no version was ever written."""

    path_created: str
    current: int
    versions: Mapping[int, KvVersion]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a path could not be looked at; errors of one path are data, so that the others go on.

    Attributes:
        everywhere: Whether it is known to be Vault as a whole, and not this one path.
        hung: Whether nothing came in time.
        retry_after: Seconds that Vault asks to wait before it is asked again.
    """

    reason: Reason
    message: str
    everywhere: bool = False
    hung: bool = False
    retry_after: float = 0.0

    @property
    def away(self) -> bool:
        """Whether nothing at all is known of the path, since Vault gave no usable answer."""
        return self.reason in (Reason.VAULT_UNREACHABLE, Reason.LOGIN_REFUSED)


Document = KvDocument | RoleDocument | StaticDocument

EVERYTHING = ""
"""The name that stands for all secrets."""

Seen = Mapping[str, Unreadable]
"""Why Vault's current version of a secret cannot be used, by the secret's name."""


@dataclass(frozen=True, slots=True)
class VaultView:
    """One look at Vault.

    Attributes:
        as_of: Seconds since the epoch when the look began.
        paths: One entry for each distinct source of the configuration, and for each path that asks
            for rotations.
        again: When the next look is to be, seconds since the epoch; None where none is planned.
        generations: By id of the Docker secret.
        inferred: Whether Vault was not asked, and this is what the swarm says of it.
    """

    as_of: float
    paths: Mapping[Source, Document | Unreadable]
    again: float | None = None
    generations: Mapping[str, GenerationView] = field(default_factory=dict)
    inferred: bool = False

    @property
    def login_refused(self) -> bool:
        """Whether Vault answers, and does not let us in."""
        return any(
            isinstance(seen, Unreadable) and seen.reason == Reason.LOGIN_REFUSED
            for seen in self.paths.values()
        )

    def moved(self, by: float) -> VaultView:
        """Return the same on a clock that was set by so many seconds; Vault's dates stay."""
        again = None if self.again is None else self.again + by
        generations = {key: view.moved(by) for key, view in self.generations.items()}
        return VaultView(self.as_of + by, self.paths, again, generations)
