"""Holds and conditions: what a plan reports, for ``status``, the log and the exit code."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.model.reasons import Reason, State


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """A change that is wanted and not made now, and the reason.

    Attributes:
        secret: Name in the configuration; empty for a hold on all secrets.
        service: Name of the service that is held; empty for the whole secret.
        until: When it ends at the earliest, seconds since the epoch; None where that is not known.
        waits: Whether it ends by itself (a turn, a quiet time); else an operator has to act.
    """

    secret: str
    reason: Reason
    message: str
    service: str = ""
    until: float | None = None
    waits: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceCondition:
    """The state of one service with regard to one secret.

    Attributes:
        version: Version that its Spec refers to; None where it refers to no mirrored one.
        tasks: Tasks that run with what its Spec refers to, and tasks that the orchestrator wants;
            None where it is not in the swarm.
        changed: When its roll to a version last began or ended, seconds since the epoch; None
            where nobody has rolled it.
    """

    name: str
    version: int | None
    state: State
    reason: Reason
    message: str = ""
    tasks: tuple[int, int] | None = None
    changed: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaseCondition:
    """The state of one generation. Times are seconds since the epoch; None where not known.

    Attributes:
        version: Number of the generation.
        lease_ends: When the credential ends unless its lease is renewed.
        custody_ends: When the token ends that the lease belongs to, unless it is renewed.
        hard_end: When the credential ends and no renewal helps: the role's longest life.
        next: Description of what happens to it next.
        next_at: When that happens.
        because: Description of why.
        role: Name of its role in Vault.
        user: Name of the database user; empty where it is not known.
        static: Whether it is the password of a static role. ``lease_ends`` is then when Vault
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
    """The state of one secret: the worst of what its versions and services report.

    Attributes:
        vault_version: Vault's current version, or the newest generation; None where Vault gave no
            answer.
        running_version: The oldest version that a live task holds; None where no task holds one.
        versions: Mirrored versions, oldest first.
        created: When Vault made the running version, seconds since the epoch.
        overdue_at: When the version in use gets older than ``max_age`` allows, seconds since
            the epoch; None where it has none.
        overdue: Whether that time has come.
        unused: Mirrored versions that no service and no task refers to any more, oldest first.
        leases: Generations whose credential has not ended, oldest first.
        rotation: Name of the rotation to the newest version that is known, see ``rotation_of``;
            empty where none is.
        changed: When a version was last mirrored, rolled, marked or found good, seconds since the
            epoch; None where nothing is mirrored.
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
    overdue_at: float | None = None
    overdue: bool = False
    unused: tuple[int, ...] = ()
    leases: tuple[LeaseCondition, ...] = ()
    rotation: str = ""
    changed: float | None = None
