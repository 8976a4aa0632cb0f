"""Generations of a leased credential: what the swarm keeps of each, and what Vault says of it.

A lease dies with the token that made it, so each generation has a token of its own: its *custody*.
Custody is provisional until the Docker secret names its accessor, and is then made permanent; the
token itself is forgotten at once. What is kept are the lease's id and the accessor: with both any
later login can look the generation up, renew it and end it, and nobody can log in to anything.
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
"""How an operator may want a generation to end: before services leave it, or without grace."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leased:
    """What the labels of a generation's Docker secret say of its credential.

    Attributes:
        role: Name of its role.
        lease: The lease's id; empty for a static role. Whoever knows it may end it, so it is shown
            nowhere.
        accessor: Accessor of its custody token; empty for a static role.
        retiring: Since when it is being ended, RFC 3339: it is never renewed again; else empty.
        ended: When its lease and its custody were seen to be gone; else empty.
        at_once: ``now`` where it is to end without ``grace``, ``first`` where it is to end even
            while services use it; else empty.
        tries: How many generations were made since one was good, this one included.
        vanished: When generations before it were found to have vanished, as far as that counts.
        user: Name of the database user, as far as it is known; it is no credential.
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
        """Whether its credential has ended, or is about to."""
        return bool(self.retiring or self.ended)

    @classmethod
    def read(cls, labels: Mapping[str, str]) -> Leased | None:
        """Read the labels; None where it is no generation."""
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
    """Write the labels that tie a Docker secret to its lease."""
    return {LEASE: lease, ACCESSOR: accessor, ROLE: role}


def held_by(
    fields: Mapping[str, Any], lease: KvLease | None
) -> tuple[Mapping[str, Any], dict[str, str]]:
    """Tell the content of a KV version from the lease that it names.

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
    """Write the label with the database user's name, where the fields of a credential name it."""
    user = fields.get("username")
    return {USER: user} if isinstance(user, str) and user else {}


def custody_meta(instance: str, secret: str) -> dict[str, str]:
    """Return what the custody tokens of a secret say of themselves; no other is ever touched."""
    return {"bridge": instance, "secret": secret}


# --- What Vault says -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RoleDocument:
    """The lives that a dynamic role gives its leases, in seconds.

    Attributes:
        default_ttl: What a lease is given at first, and at each renewal.
        max_ttl: What it can live at most.
    """

    default_ttl: float
    max_ttl: float


@dataclass(frozen=True, slots=True)
class StaticRole:
    """How a static role stands.

    Attributes:
        rotated: Vault's ``last_vault_rotation``, as Vault wrote it.
        period: Seconds after which Vault rotates it by itself; 0 where that goes by a schedule.
    """

    rotated: str
    period: float


@dataclass(frozen=True, slots=True)
class StaticDocument:
    """How the static roles of a secret stand, by their names."""

    roles: Mapping[str, StaticRole]


@dataclass(frozen=True, kw_only=True, slots=True)
class Life:
    """A lease or a token that is alive. Times are seconds since the epoch by our own clock.

    Attributes:
        started: When it was made.
        ends: When it ends, if nobody renews it.
        granted: Seconds that it was given at first, or by its last renewal.
        renewed: Whether it was ever renewed.
        period: Of a periodic token: what each renewal gives it; else 0.
        longest: Of a token: what it can live at most, where it says so; else 0.
        failed: Vault's words where it is over and could not be revoked; else empty.
        foreign: Of a token: whether it is no custody of ours by the configuration of now. It is
            never touched, and what rests on it ends with it.
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
        """Return the same on a clock that was set by so many seconds."""
        return replace(self, started=self.started + by, ends=self.ends + by)


@dataclass(frozen=True, slots=True)
class Gone:
    """A lease or a token that Vault does not know (any more)."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A lease or a token of which Vault could not be asked, or which is not ours.

    Attributes:
        foreign: Whether it is somebody else's: it is never touched.
    """

    reason: Reason
    message: str
    foreign: bool = False

    @property
    def away(self) -> bool:
        """Whether Vault gave no usable answer."""
        return self.reason == Reason.VAULT_UNREACHABLE


Fate = Life | Gone | Unknown


@dataclass(frozen=True, slots=True)
class CredentialState:
    """What became of a credential that lives by no lease.

    Attributes:
        life: Where it is alive, as far as that is known.
        hard_end: When Vault ends it whatever is done, seconds since the epoch; None where never.
        over: Whether Vault has ended it.
        unknown: Why that is not known.
    """

    life: Life | None
    hard_end: float | None = None
    over: bool = False
    unknown: Unknown | None = None


@dataclass(frozen=True, slots=True)
class GenerationView:
    """One look at a generation.

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
        """Return the same on a clock that was set by so many seconds."""
        lease, custody = (
            fate.moved(by) if isinstance(fate, Life) else fate
            for fate in (self.lease, self.custody)
        )
        return GenerationView(self.as_of + by, lease, custody)

    def is_outdated(self, now: float) -> bool:
        """Tell whether the lease should have ended since; it is asked about once a second then."""
        if not isinstance(self.lease, Life):
            return False
        return self.lease.ends <= now and now >= self.as_of + 1.0
