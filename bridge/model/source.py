"""Where the content of a secret comes from: the pure half of a kind of source.

A kind has a folder in ``bridge.sources``. Its noun, a frozen dataclass, is a ``Source``: it tells
decisions what they need to know of the kind, and nothing of how Vault is spoken to. There are two
sorts:

- A *versioned* source: Vault keeps versions, and each becomes a Docker secret (KV v2).
- A *leased* source: its versions are *generations* of a credential, each of which the bridge has
  made. It ends with its lease (``has_lease``), or with the next rotation of its password.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from bridge.model.identity import Identity
    from bridge.model.leased import CredentialState, Leased
    from bridge.model.mirror import Mirror
    from bridge.model.reasons import Reason
    from bridge.model.vault_view import Document, Unreadable

_KINDS: list[type[Source]] = []


class Source(ABC):
    """A place in Vault that secrets are made from. Equal ones are looked at once.

    Attributes:
        namespace: Empty for the root namespace.
        mount: Mount of the engine, without slashes at its ends.
    """

    __slots__ = ()

    namespace: str
    mount: str

    leased: ClassVar[bool] = False
    """Whether its versions are generations of a credential that the bridge has made."""

    has_lease: ClassVar[bool] = True
    """Whether a credential of it lives by a lease, which is renewed, and ends with that lease.

    Of a versioned source: whether a version may hold the lease of a credential."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # ``dataclass(slots=True)`` makes a class a second time, which takes the place of the first.
        _KINDS[:] = [kind for kind in _KINDS if _path(kind) != _path(cls)]
        _KINDS.append(cls)

    def __str__(self) -> str:
        place = f"{self.mount}/{self.place}"
        return f"{place} (namespace {self.namespace})" if self.namespace else place

    @property
    @abstractmethod
    def place(self) -> str:
        """What follows the mount in messages, as Vault's own commands write it.

        Of a leased source with leases: the API path at which a read makes a credential.
        """

    # --- the label of its Docker secrets ----------------------------------------------------------

    @property
    @abstractmethod
    def label(self) -> Mapping[str, object]:
        """What the ``source`` label keeps of it, besides namespace and mount, as JSON values.

        It names no kind, so at least one key is one that no other kind has. What is empty is not
        written.
        """

    @classmethod
    @abstractmethod
    def from_label(cls, namespace: str, mount: str, label: Mapping[str, Any]) -> Source | None:
        """Read back ``label``; None where the label is one of another kind."""

    # --- what Vault has of it ---------------------------------------------------------------------

    def current(
        self, document: Document, now: float
    ) -> tuple[int | None, Identity | tuple[Reason, str] | None]:
        """Return Vault's current version number, and the version or why there is none to be used.

        Of a leased source both are None: its versions are what the swarm has.
        """
        del document, now
        return None, None

    def is_destroyed(self, document: Document | Unreadable | None, version: Identity) -> bool:
        """Return whether Vault tells that a mirrored version was destroyed."""
        del document, version
        return False

    def inferred(
        self, mirrors: Sequence[Mirror], refused: Identity | None
    ) -> Document | Unreadable | None:
        """Return what Vault has if nothing changed there since it was mirrored.

        Args:
            mirrors: Those of one secret, newest first.
            refused: A version whose content was refused, so that there is no mirror of it.

        Returns:
            None where the swarm tells nothing.
        """
        del mirrors, refused
        return None

    # --- the credential behind a version ----------------------------------------------------------

    @property
    def lease_prefix(self) -> str:
        """What the id of each of its leases begins with; empty where it has none of its own."""
        return ""

    @property
    def role_name(self) -> str:
        """Name of the role whose leases these are; empty where it has none of its own."""
        return ""

    def lease_role(self, leased: Leased) -> Source | None:
        """Return whose lease a Docker secret's labels name; None where it is not one to touch."""
        prefix = self.lease_prefix
        return self if prefix and leased.lease.startswith(prefix) else None

    def state_of(
        self,
        mirror: Mirror,
        document: Document | Unreadable | None,
        started: float,
        *,
        looked: bool,
    ) -> CredentialState:
        """Return what became of a credential that lives by no lease.

        Args:
            started: When it was made, seconds since the epoch by our clock.
            looked: Whether Vault was looked at since the mirror was first seen.
        """
        raise NotImplementedError

    def holds_role(self, role: str) -> bool:
        """Return whether a role is one of those that its generations are of."""
        return role == self.role_name

    # --- words ------------------------------------------------------------------------------------

    @property
    def not_remade(self) -> str:
        """Why no version of it is ever made anew; empty where each can be."""
        return ""

    def vanished(self, docker_name: str, leased: Leased | None) -> str:
        """Return what happened where a credential is over that the bridge did not end."""
        del leased
        return f"the lease of {docker_name} was ended in Vault, or expired"

    @property
    def ui_place(self) -> tuple[str, str]:
        """Its page in Vault's own user interface: the path below the mount's, and the query.

        The path is not quoted; it is empty where there is no such page.
        """
        return "", ""

    # --- the next generation ----------------------------------------------------------------------

    @property
    def is_renewed_by_vault(self) -> bool:
        """Whether Vault replaces its credential by itself, so that the bridge only follows."""
        return False

    def next_role(
        self, newest: Leased | None, in_use: Leased | None, *, vanished: bool
    ) -> tuple[str, bool]:
        """Return which of its roles the next generation is of, and whether that is rotated first.

        Args:
            newest: The newest generation; None where there is none yet.
            in_use: The one that services are on, as far as one is alive.
            vanished: Whether the newest was ended by somebody else.
        """
        del newest, in_use, vanished
        return "", False


def _path(kind: type[Source]) -> tuple[str, str]:
    """Return where a kind is defined: two kinds may call their sources by one name."""
    return kind.__module__, kind.__qualname__


def source_from(label: Mapping[str, Any]) -> Source:
    """Return the source that a label describes.

    Raises:
        KeyError: It names no mount, or no kind that is known here.
    """
    namespace, mount = str(label.get("namespace", "")), str(label["mount"])
    for kind in _KINDS:
        found = kind.from_label(namespace, mount, label)
        if found is not None:
            return found
    raise KeyError("kind")
