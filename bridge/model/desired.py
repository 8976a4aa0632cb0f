"""The desired state, as the configuration asks for it: secrets, their services, how to roll."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from bridge.model.source import Source
from bridge.model.window import Window


class Format(StrEnum):
    """How the fields of a Vault version become the bytes of a Docker secret."""

    RAW = "raw"
    JSON = "json"
    DOTENV = "dotenv"
    TEMPLATE = "template"


class Decode(StrEnum):
    """The encoding in which a field holds bytes; padding may be there or not."""

    BASE64 = "base64"
    BASE64URL = "base64url"


class TrailingNewline(StrEnum):
    """What becomes of newlines at the end of the content."""

    KEEP = "keep"
    STRIP = "strip"
    ADD = "add"


@dataclass(frozen=True, slots=True)
class KvLease:
    """The lease of a credential that somebody else writes to a KV v2 path, with its fields.

    Attributes:
        id_field: Field with the lease's id.
        accessor_field: Field with the accessor of the token that the lease belongs to.
        role: Role of these leases; no other lease is ever touched.
    """

    id_field: str
    accessor_field: str
    role: Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """How the fields of a Vault version become the value of a Docker secret; see ``content``.

    Attributes:
        field: For ``raw``: the one field that is taken; else None.
        template: For ``template``: the jinja2 template; else None.
        decode: For ``raw``: the encoding of the field; None where its text is the value.
        trailing_newline: What becomes of newlines at the end.
        lease: Fields with the lease of a credential: they are for the bridge, and no content.
        template_driver: Driver with which the engine expands the value for each task; empty where
            it does not.
    """

    format: Format
    field: str | None = None
    template: str | None = None
    decode: Decode | None = None
    trailing_newline: TrailingNewline = TrailingNewline.KEEP
    lease: KvLease | None = None
    template_driver: str = ""

    @property
    def shape(self) -> str:
        """A text that is the same for the same rules; it is part of verdicts and labels."""
        parts = [self.format.value]
        if self.field is not None:
            parts.append(self.field)
        if self.template is not None:
            parts.append(hashlib.sha256(self.template.encode()).hexdigest()[:16])
        if self.decode is not None:
            parts.append(f"decode={self.decode.value}")
        if self.trailing_newline != TrailingNewline.KEEP:
            parts.append(self.trailing_newline.value)
        if self.lease is not None:
            parts += [self.lease.id_field, self.lease.accessor_field, self.lease.role.lease_prefix]
        if self.template_driver:
            parts.append(f"driver={self.template_driver}")
        return ":".join(parts)


@dataclass(frozen=True, slots=True)
class FileFields:
    """Where a file appears in the container, and who may read it; None keeps what the service has.

    Attributes:
        target: File name below ``/run/secrets``, or an absolute path elsewhere. Always in its short
            form: ``x`` for ``/run/secrets/x``.
        uid, gid: Owner, as digits.
        mode: Permission bits: with ``0o400`` the owner may read it, and nobody else.
    """

    target: str | None = None
    uid: str | None = None
    gid: str | None = None
    mode: int | None = None

    @property
    def says_nothing(self) -> bool:
        """Whether it keeps all that the service has."""
        fixed = self.target is not None or self.uid is not None or self.gid is not None
        return not fixed and self.mode is None


@dataclass(frozen=True, slots=True)
class Mapping:
    """A service that gets a secret, and the files in which it gets it.

    Attributes:
        service: The Swarm service's full name.
        files: At least one file, each with a target of its own.
    """

    service: str
    files: tuple[FileFields, ...] = (FileFields(),)


@dataclass(frozen=True, slots=True)
class LeaseRules:
    """When a leased credential is replaced, and how the former one ends. Times are in seconds.

    Attributes:
        rotate_before: Part of a generation's longest life that is left when the next one is made.
        rotate_every: Age at which a generation is replaced; None for no limit.
        rotate_on: KV v2 path of which each new version asks for a new generation; None for none.
        grace: How long the former credential stays valid after nothing uses it any more.
        overlap_max: How long tasks on nodes that are down count as users of the former one.
    """

    rotate_before: float = 1 / 3
    rotate_every: float | None = None
    rotate_on: Source | None = None
    grace: float = 30.0
    overlap_max: float = 86400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class DesiredSecret:
    """One secret of the configuration: its versions become Docker secrets ``name_v1``, ``name_v2``.

    Attributes:
        source: Where in Vault it comes from.
        content: How a version becomes the value of a Docker secret.
        services: The services that get it.
        lease: When its credential is replaced; for leased ones only.
        max_age: Seconds after which a version in use is overdue for rotation; None for never.
    """

    name: str
    source: Source
    content: Content
    services: tuple[Mapping, ...] = ()
    lease: LeaseRules = LeaseRules()
    max_age: float | None = None

    @property
    def leased(self) -> bool:
        """Whether its versions are generations of a credential that Vault issues for the bridge."""
        return self.source.leased


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """How services are rolled. Durations are in seconds.

    Attributes:
        max_in_flight: Most services at once whose roll was begun and has not converged.
        settle: Quiet time after a change, so that changes in a row become one roll.
        settle_max: Longest time for which ``settle`` may hold a change.
        bake: How long all tasks must stay up on a version before it is good there.
        timeout: Longest time without a new good task; after that the roll has failed.
        all_go_back: Whether a version that failed for one service is set aside for all.
        windows: Times at which rolls may begin; empty for any time.
    """

    max_in_flight: int = 1
    settle: float = 0.0
    settle_max: float = 300.0
    bake: float = 30.0
    timeout: float = 600.0
    all_go_back: bool = False
    windows: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class Retain:
    """How many old versions are kept as Docker secrets.

    Attributes:
        versions: Number of the newest versions of each secret that stay, the current one included.
        min_age: Seconds for which a version stays after its Docker secret was made.
    """

    versions: int = 2
    min_age: float = 86400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Desired:
    """The desired state: what one bridge is asked to bring about.

    Attributes:
        instance: Name of the bridge. Docker secrets of another instance are never touched.
        secrets: The secrets, in the order of the configuration file.
        max_services: Most services that one version is rolled to without an approval; None for any
            number.
        apply_fields: Whether changed file fields alone roll a service; else they come with its next
            roll.
    """

    instance: str
    secrets: tuple[DesiredSecret, ...]
    rollout: Rollout = Rollout()
    retain: Retain = Retain()
    max_services: int | None = None
    apply_fields: bool = False

    @property
    def sources(self) -> tuple[Source, ...]:
        """Everything that is read in Vault, each once, in the order of the file."""
        found: dict[Source, None] = {}
        for secret in self.secrets:
            found[secret.source] = None
            if secret.content.lease:
                found[secret.content.lease.role] = None
            if secret.lease.rotate_on:
                found[secret.lease.rotate_on] = None
        return tuple(found)

    @property
    def digest(self) -> str:
        """A fingerprint of the configuration, which holds no value of any secret."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:32]
