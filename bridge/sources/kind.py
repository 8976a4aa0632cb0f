"""The contract of a kind of source.

A kind is a folder beside this file, with two modules:

``source.py``
    The noun: a frozen dataclass that is a ``bridge.model.source.Source``. It writes and reads its
    label, and tells decisions what they need to know: which version is current, what became of a
    credential, which role is next. It is pure.
``kind.py``
    A ``Kind``: what the configuration may say, how Vault is spoken to, which rights that takes and
    what can be checked beforehand.

To add one, write both, and add the kind to the tuple in ``kinds.py``. Nothing else changes: the
configuration's schema, the looks, ``policy``, ``check`` and the decisions ask the kinds.

Besides what is abstract, a kind of each sort implements:

1. *Versioned* (Vault keeps versions). Its noun: ``current``, ``is_destroyed``, and ``inferred``, by
   which commands without access to Vault know it. The kind: ``look``, which returns the versions of
   a path (``KvDocument``), and ``read_version``.
2. *Leased*, with leases. Its noun: ``leased``, ``role_name``, ``lease_prefix``. The kind: ``look``,
   which returns the lives that a role gives its leases (``RoleDocument``), ``prepare``, for which
   ``Vault.leases.issue`` makes credential and custody, and ``custody_rules``, by which ``policy``
   and ``check`` know that there are leases.
3. *Leased*, without leases. Its noun: ``leased``, ``has_lease``, ``holds_role``, ``state_of``,
   ``next_role``, ``inferred``. The kind: ``look``, which returns when roles were last rotated
   (``StaticDocument``), ``prepare``, and ``rotation``.

A kind whose engine tells of many places with one request implements ``folder``, ``look_together``
and ``folder_rules`` besides; none needs to.

Not covered is a credential that has an end or a handle of its own, as a certificate has its
``NotAfter`` and its serial number: of a generation's labels only those of ``Leased`` are read back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from bridge.keys.base import Model
from bridge.model.actions import MintGeneration
from bridge.model.desired import Desired
from bridge.model.findings import Finding
from bridge.model.identity import Identity
from bridge.model.leased import Leased
from bridge.model.rule import Rule
from bridge.model.source import Source
from bridge.model.vault_view import Document
from bridge.sources.folder import Apart, Folder, Unit
from bridge.sources.mistakes import Mistakes

if TYPE_CHECKING:
    from bridge.servers.vault import Vault

S = TypeVar("S", bound=Source)
"""The kind's noun."""

M = TypeVar("M", bound=Model)
"""What the configuration says below the kind's key."""

InUse = Callable[[str], bool]
"""Looks at the swarm; returns whether anything uses a generation of a role."""


Together = Mapping[Source, Document] | Apart
"""What became of asking for several sources at once."""


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A credential that Vault has just made.

    Attributes:
        created: When, as Vault wrote it.
        labels: What ties its Docker secret to it: its role always, and its lease and accessor both
            or neither. Otherwise it is let go: nobody could keep or end it.
        let_go: Ends it, where its Docker secret could not be made.
    """

    fields: Mapping[str, Any] = field(repr=False)
    created: str
    labels: Mapping[str, str] = field(repr=False)
    let_go: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A credential that may be made now.

    Attributes:
        make: Has Vault make it, or reads it.
        lasting: Whether that cannot be undone, so that only the leader may do it.
    """

    make: Callable[[], NewCredential]
    lasting: bool = True


class Kind(ABC, Generic[S, M]):
    """One kind of source.

    Attributes:
        key: The key of a secret that says it is from here, as in ``kv:``.
        describes: What the key says, for the schema and the reference.
        noun: Its ``Source``.
        section: What may stand below the key.
    """

    key: ClassVar[str]
    describes: ClassVar[str]
    noun: ClassVar[type[Source]]
    section: ClassVar[type[Model]]

    # --- the configuration ------------------------------------------------------------------------

    @abstractmethod
    def source(self, section: M, namespace: str) -> S:
        """Return the noun for a section."""

    def parts(self, section: M, namespace: str) -> Mapping[str, Any]:
        """Return further arguments of ``Content`` that the section gives."""
        del section, namespace
        return {}

    def mistakes(
        self, name: str, secret: Mapping[str, Any], document: Mapping[str, Any]
    ) -> Mistakes:
        """Yield what is wrong between the keys of one secret of this kind.

        Args:
            secret: Its raw data, which the schema may refuse as well.
            document: The whole file.
        """
        del name, secret, document
        yield from ()

    def conflicts(self, secrets: Mapping[str, Mapping[str, Any]]) -> Mistakes:
        """Yield what is wrong between the secrets of this kind.

        Args:
            secrets: The raw data of them all, by name, in the order of the file.
        """
        del secrets
        yield from ()

    # --- Vault ------------------------------------------------------------------------------------

    @abstractmethod
    def look(self, vault: Vault, source: S, *, patient: bool) -> Document:
        """Return what Vault has there; no value is read.

        Args:
            patient: Whether to try again where there is trouble that passes.

        Raises:
            VaultUnreachable, LoginRefused, VaultRefused: As ``Vault`` does.
            ValueError, KeyError, TypeError: The answer is not understood.
        """

    def folder(self, source: S) -> Folder | None:
        """Return the folder whose documents one request tells of; None where there is none such.

        Sources of one folder are then looked at by ``look_together``.
        """
        del source
        return None

    def look_together(self, vault: Vault, unit: Unit, *, patient: bool) -> Together:
        """Return what Vault has at sources of one folder, all by one request, or few.

        Returns:
            The documents that are listed and understood; a source that is left out is looked at
            alone then. Or why the folder is not to be had as a whole.

        Raises:
            VaultUnreachable, LoginRefused: As ``look``.
        """
        raise NotImplementedError

    def folder_rules(self, folder: Folder) -> tuple[Rule, ...]:
        """Return what ``look_together`` needs; without it sources are looked at one by one."""
        del folder
        return ()

    def read_version(self, vault: Vault, version: Identity) -> Mapping[str, Any] | None:
        """Return the fields of a version of a versioned source.

        Returns:
            None where Vault has another version of that number by now.

        Raises:
            VaultRefused: It cannot be read; ``VersionDeleted`` where it is gone.
        """
        raise NotImplementedError

    def outline(self, vault: Vault, version: Identity) -> Mapping[str, Any] | None:
        """Return the fields of a version with stand-ins for their values; no value is read.

        Returns:
            A text for each field, and an empty map for one that holds a map. None where the engine
            tells no names without values.

        Raises:
            VaultRefused: ``PermissionDenied`` without ``outline_rule``.
        """
        del vault, version
        return None

    def outline_rule(self, source: S) -> Rule | None:
        """Return what ``outline`` needs; None where there is none."""
        del source
        return None

    def prepare(
        self, vault: Vault, action: MintGeneration, meta: dict[str, str], in_use: InUse
    ) -> Prepared | str:
        """Return how the next credential of a leased source is made, or why not now.

        It looks, and writes nothing: the leader's lease is renewed between the look and the write.

        Args:
            meta: What a custody token tells of itself.
        """
        raise NotImplementedError

    def rotation(
        self, vault: Vault, source: S, leased: Leased, created: str, in_use: InUse
    ) -> Callable[[], object] | str:
        """Return the write that ends a credential without a lease, or why it is not to be done."""
        raise NotImplementedError

    # --- rights and checks ------------------------------------------------------------------------

    @abstractmethod
    def rules(self, source: S) -> tuple[Rule, ...]:
        """Return what our own token needs there. The first rule is for the look alone."""

    def custody_rules(self, source: S) -> tuple[Rule, ...]:
        """Return what the custody token of a credential needs, to have it made."""
        del source
        return ()

    def writer_rules(self, source: S) -> tuple[Rule, ...]:
        """Return what a pipeline needs that writes leased credentials there."""
        del source
        return ()

    def check(
        self, vault: Vault, source: S, seen: Document, desired: Desired, now: float
    ) -> Iterator[Finding]:
        """Yield what can be told beforehand of a source that was looked at."""
        del vault, source, seen, desired, now
        yield from ()


AnyKind = Kind[Any, Any]


def keys_of(source: Source, desired: Desired) -> str:
    """Return the keys of the secrets that are made from a source, for findings."""
    return ", ".join(f"secrets.{s.name}" for s in desired.secrets if s.source == source)
