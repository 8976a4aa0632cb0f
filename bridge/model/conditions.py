"""What a cycle reports: what is held and why, and the state of secrets, services and leases."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.model.reasons import Reason, State


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """Something that is wanted and not done now.

    Attributes:
        secret: Name in the configuration; empty where it concerns all of them.
        service: Name of the service concerned; empty for the whole secret.
        until: When it may go on by itself, seconds since the epoch; None where that is not known.
        waits: Whether it passes by itself (a turn, a quiet time), rather than wanting somebody.
    """

    secret: str
    reason: Reason
    message: str
    service: str = ""
    until: float | None = None
    waits: bool = False


@dataclass(frozen=True, slots=True)
class ServiceCondition:
    """How a service stands with one secret.

    Attributes:
        version: Version that its Spec refers to; None where it refers to none of ours.
    """

    name: str
    version: int | None
    state: State
    reason: Reason
    message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaseCondition:
    """How a generation stands. Times are seconds since the epoch; None where they are not known.

    Attributes:
        version: Number of the generation.
        lease_ends: When its credential ends, if nobody renews the lease.
        custody_ends: The same of the token that its lease hangs on.
        hard_end: When it ends whatever is done.
        next: What happens to it next, in words.
        next_at: When.
        because: Why, in words.
        role: Name of its role in Vault.
        user: Name of the database user, as far as it is known.
        static: Whether it is the password of a static role: ``lease_ends`` is then when Vault
            rotates it by itself.
    """

    version: int
    lease_ends: float | None
    custody_ends: float | None
    hard_end: float | None
    next: str
    next_at: float | None = None
    because: str = ""
    role: str = ""
    user: str = ""
    static: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """How a secret stands.

    Attributes:
        vault_version: Vault's current version, or the newest generation; None where Vault could not
            be looked at.
        running_version: The oldest version that a live task holds; None where none does.
        versions: Versions that are mirrored, oldest first.
        created: When Vault made the running version, seconds since the epoch.
        unused: Mirrored versions that no service and no task has any more, oldest first.
        leases: Generations whose credential has not ended, oldest first.
    """

    name: str
    state: State
    reason: Reason
    message: str
    vault_version: int | None
    running_version: int | None
    versions: tuple[int, ...] = ()
    services: tuple[ServiceCondition, ...] = ()
    created: float | None = None
    unused: tuple[int, ...] = ()
    leases: tuple[LeaseCondition, ...] = ()
