"""Generations of a leased credential: what labels keep of each, and what Vault answers about it.

Vault revokes a lease together with the token that asked for it, so each generation has a token of
its own: its *custody*. Custody is provisional (it has a short TTL) until a Docker secret names its
accessor, and is then made permanent; the token itself is forgotten at once. Kept are the lease's id
and the accessor. With both, any later login can look the generation up, renew it and end it, and
nobody can log in to anything with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.errors import ContentRefused
from bridge.model.content.fields import text_of
from bridge.model.desired import KvLease
from bridge.model.labels import (
    ACCESSOR,
    AT_ONCE,
    ENDED,
    LEASE,
    RETIRING,
    ROLE,
    TRIES,
    USER,
    VANISHED,
)
from bridge.model.reasons import Reason

END_FIRST = "first"
END_NOW = "now"
"""Values of ``Leased.at_once``: the end is to come before services leave it, or without grace."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leased:
    """The credential of a generation, as the labels of its Docker secret keep it.

    Attributes:
        role: Name of its role.
        lease: Id of the lease; empty for a static role. It is shown nowhere, since whoever may
            revoke leases needs no more than the id.
        accessor: Accessor of the custody token; empty for a static role.
        retiring: Since when it is being ended, RFC 3339; empty while it is kept. It is not renewed
            any more.
        ended: When lease and custody were found to be gone, RFC 3339; else empty.
        at_once: ``now`` where it ends without ``grace``, ``first`` where it ends even while
            services use it; else empty.
        tries: How many generations were made since the last good one, this one included.
        vanished: When leases before it were found to have vanished, as far as they still count.
        user: Name of the database user, which is no credential; empty where it is not known.
    """

    role: str
    lease: str = field(repr=False)
    accessor: str = field(repr=False)
    retiring: str = ""
    ended: str = ""
    at_once: str = ""
    tries: int = 1
    vanished: tuple[str, ...] = ()
    user: str = ""

    @property
    def over(self) -> bool:
        """Whether the credential has ended or is being ended."""
        return bool(self.retiring or self.ended)

    @classmethod
    def read(cls, labels: Mapping[str, str]) -> Leased | None:
        """Return the credential in a Docker secret's labels; None where it is no generation."""
        lease, accessor = labels.get(LEASE, ""), labels.get(ACCESSOR, "")
        if not labels.get(ROLE) or bool(lease) != bool(accessor):
            return None
        tries = labels.get(TRIES, "")
        return cls(
            role=labels[ROLE],
            lease=lease,
            accessor=accessor,
            retiring=labels.get(RETIRING, ""),
            ended=labels.get(ENDED, ""),
            at_once=labels.get(AT_ONCE, ""),
            tries=int(tries) if tries.isdecimal() else 1,
            vanished=tuple(labels[VANISHED].split(",")) if labels.get(VANISHED) else (),
            user=labels.get(USER, ""),
        )


def lease_labels(lease: str, accessor: str, role: str) -> dict[str, str]:
    """Return the labels that tie a Docker secret to its lease."""
    return {LEASE: lease, ACCESSOR: accessor, ROLE: role}


def held_by(
    fields: Mapping[str, Any], lease: KvLease | None
) -> tuple[Mapping[str, Any], dict[str, str]]:
    """Return the content of a KV version apart from the lease that it names.

    Returns:
        The fields without those of the lease, and the labels that tie the Docker secret to it.

    Raises:
        ContentRefused: A field is missing, or it names a lease of another role: whoever writes the
            path must not be able to have anything else ended.
    """
    if lease is None:
        return fields, {}
    found, accessor = (text_of(fields, key) for key in (lease.id_field, lease.accessor_field))
    prefix = lease.role.lease_prefix
    if not found.startswith(prefix) or "/" in found.removeprefix(prefix) or found == prefix:
        raise ContentRefused(
            Reason.FOREIGN_LEASE,
            f"the field {lease.id_field!r} names no lease of {lease.role}, and no other is touched",
        )
    if not accessor:
        raise ContentRefused(Reason.FIELD_MISSING, f"the field {lease.accessor_field!r} is empty")
    ours = (lease.id_field, lease.accessor_field)
    rest = {key: value for key, value in fields.items() if key not in ours}
    return rest, {**lease_labels(found, accessor, lease.role.role_name), **user_label(rest)}


def user_label(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the label with the database user's name, if the fields of a credential name it."""
    user = fields.get("username")
    return {USER: user} if isinstance(user, str) and user else {}


def custody_meta(instance: str, secret: str) -> dict[str, str]:
    """Return the ``meta`` of a secret's custody tokens: a token with any other is never touched."""
    return {"bridge": instance, "secret": secret}


# --- What Vault says -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RoleDocument:
    """The TTLs of a dynamic role of Vault's database engine, in seconds.

    Attributes:
        default_ttl: How long a lease lives at first, and after each renewal.
        max_ttl: How long it lives at most, however often it is renewed.
    """

    default_ttl: float
    max_ttl: float


@dataclass(frozen=True, slots=True)
class StaticRole:
    """A static role of Vault's database engine: one database user, whose password Vault rotates.

    Attributes:
        rotated: Vault's ``last_vault_rotation``, as Vault wrote it.
        period: Seconds after which Vault rotates it by itself; 0 where it has a schedule instead.
    """

    rotated: str
    period: float


@dataclass(frozen=True, slots=True)
class StaticDocument:
    """The static roles of a secret, by name."""

    roles: Mapping[str, StaticRole]


@dataclass(frozen=True, kw_only=True, slots=True)
class Life:
    """The life of a lease or token that Vault found. Times are seconds since the epoch.

    They are on the clock of this machine: what Vault answers is how much time is left.

    Attributes:
        started: When it was issued.
        ends: When it ends unless it is renewed.
        granted: Seconds that it was given when it was issued, or by its last renewal.
        renewed: Whether it was ever renewed.
        period: Of a periodic token: seconds that each renewal gives it; else 0.
        longest: Of a token: its ``explicit_max_ttl`` in seconds; 0 where it has none.
        failed: Vault's error where it is expired and could not be revoked; else empty.
        foreign: Of a token: whether it is no custody token of this configuration. It is never
            touched, and the leases that belong to it end with it.
    """

    started: float
    ends: float
    granted: float
    renewed: bool
    period: float = 0.0
    longest: float = 0.0
    failed: str = ""
    foreign: bool = False

    def moved(self, by: float) -> Life:
        """Return the same life on a clock that was set forward by so many seconds."""
        return replace(self, started=self.started + by, ends=self.ends + by)


@dataclass(frozen=True, slots=True)
class Gone:
    """Vault does not know the lease or token: it has ended, or never was."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing is known of a lease or token: Vault gave no answer, or it is somebody else's.

    Attributes:
        foreign: Whether it is somebody else's, and therefore never touched.
    """

    reason: Reason
    message: str
    foreign: bool = False

    @property
    def away(self) -> bool:
        """Whether Vault could not be reached."""
        return self.reason == Reason.VAULT_UNREACHABLE


Fate = Life | Gone | Unknown


@dataclass(frozen=True, slots=True)
class CredentialState:
    """The state of a credential that has no lease, as the password of a static role.

    Attributes:
        life: Its life, where it is known to be valid; else None.
        hard_end: When Vault ends it and nothing can prevent that, seconds since the epoch; None for
            never.
        over: Whether Vault has ended it.
        unknown: Why its state is not known; None where it is.
    """

    life: Life | None
    hard_end: float | None = None
    over: bool = False
    unknown: Unknown | None = None


@dataclass(frozen=True, slots=True)
class GenerationView:
    """What Vault answered about the lease and the custody of one generation.

    Attributes:
        as_of: Seconds since the epoch when the look began.
    """

    as_of: float
    lease: Fate
    custody: Fate

    @property
    def is_plain(self) -> bool:
        """Whether both were found alive; anything else is asked about again in the next look."""
        return isinstance(self.lease, Life) and isinstance(self.custody, Life)

    def moved(self, by: float) -> GenerationView:
        """Return the same view on a clock that was set forward by so many seconds."""
        lease, custody = (
            fate.moved(by) if isinstance(fate, Life) else fate
            for fate in (self.lease, self.custody)
        )
        return GenerationView(self.as_of + by, lease, custody)

    def is_outdated(self, now: float) -> bool:
        """Return whether the lease should have ended by now: it is looked up once a second then."""
        if not isinstance(self.lease, Life):
            return False
        return self.lease.ends <= now and now >= self.as_of + 1.0
