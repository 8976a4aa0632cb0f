"""What the user asked for: secrets, the services they go to, and how carefully to roll."""

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
    """How a field's text stands for bytes; each with its padding or without."""

    BASE64 = "base64"
    BASE64URL = "base64url"


class TrailingNewline(StrEnum):
    """What becomes of newlines at the end of the content."""

    KEEP = "keep"
    STRIP = "strip"
    ADD = "add"


@dataclass(frozen=True, slots=True)
class KvLease:
    """Which lease a KV version holds, by what the version itself says.

    Attributes:
        id_field: Field with the lease's id.
        accessor_field: Field with the accessor of the token that the lease hangs on.
        role: Whose leases these are; no other is ever touched.
    """

    id_field: str
    accessor_field: str
    role: Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What of a Vault version goes into the Docker secret.

    Attributes:
        field: The one field taken, for ``raw``; else absent.
        template: The jinja2 template, for ``template``; else absent.
        decode: How the field's text stands for the bytes that are meant; for ``raw`` only.
        lease: The lease that a KV version holds; its fields are for the bridge, and not content.
        template_driver: With what the engine expands the content for each task; empty: not at all.
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
        """Name what is asked for, so that a verdict on it is not taken for one on another."""
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
    """Where and for whom the file appears in a container; None keeps what the service has now.

    Attributes:
        target: File name below ``/run/secrets``, or an absolute path elsewhere. Always in its short
            form: ``/run/secrets/x`` is written ``x``.
        uid, gid: Digits, as the engine wants them.
        mode: Permission bits, ``0o400`` for the owner's read.
    """

    target: str | None = None
    uid: str | None = None
    gid: str | None = None
    mode: int | None = None


@dataclass(frozen=True, slots=True)
class Mapping:
    """One service that gets a secret.

    Attributes:
        service: The Swarm service's full name.
        files: The files that it gets, each with a target of its own; one at least.
    """

    service: str
    files: tuple[FileFields, ...] = (FileFields(),)


@dataclass(frozen=True, slots=True)
class LeaseRules:
    """When a leased credential is replaced, and how the former one ends. Times are in seconds.

    Attributes:
        rotate_before: Part of a generation's longest life that is left when the next one is made.
        rotate_every: Age at which a generation is replaced; None for no such age.
        rotate_on: A KV path whose new version asks for a new generation.
        grace: For how long the former credential stays valid after nothing uses it.
        overlap_max: For how long tasks on nodes that are down keep the former one alive.
    """

    rotate_before: float = 1 / 3
    rotate_every: float | None = None
    rotate_on: Source | None = None
    grace: float = 30.0
    overlap_max: float = 86400.0


@dataclass(frozen=True, slots=True)
class DesiredSecret:
    """One secret of the configuration: ``name`` becomes ``name_v1``, then ``name_v2``."""

    name: str
    source: Source
    content: Content
    services: tuple[Mapping, ...] = ()
    lease: LeaseRules = LeaseRules()

    @property
    def leased(self) -> bool:
        """Whether its versions are generations of a credential that the bridge has made."""
        return self.source.leased


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """How services are rolled. Durations are in seconds.

    Attributes:
        max_in_flight: Services whose roll we began and which have not converged, at most.
        settle: Quiet time after a change, so that changes which come together roll once.
        settle_max: Longest that ``settle`` may hold a change up.
        bake: How long every task must stay up on a version before it counts as good there.
        timeout: Longest time without any new good task; then the roll has failed.
        windows: Times at which rolls may begin; any, where there are none.
        all_go_back: Whether a version that failed for one service is set aside for all.
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
    """How many old versions stay.

    Attributes:
        versions: Newest versions of each name that stay, the current one included.
        min_age: Seconds for which no version is removed after its Docker secret was made.
    """

    versions: int = 2
    min_age: float = 86400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Desired:
    """The whole of what the user asked for.

    Attributes:
        instance: Name of this bridge; another instance's secrets are never touched.
        secrets: In the order of the configuration file.
        max_services: Most services that a plan may touch without somebody's approval; None for any.
        apply_fields: Whether changed file fields roll a service by themselves; else they come with
            its next roll.
    """

    instance: str
    secrets: tuple[DesiredSecret, ...]
    rollout: Rollout = Rollout()
    retain: Retain = Retain()
    max_services: int | None = None
    apply_fields: bool = False

    @property
    def sources(self) -> tuple[Source, ...]:
        """Whatever is to be looked at in Vault, each once, in the order of the file."""
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
        """Tell one configuration from another; it holds no value of any secret."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:32]
