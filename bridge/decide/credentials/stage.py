"""How does each generation of a credential stand: alive, on its way to its end, over?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.decide.credentials.needs import tending
from bridge.decide.versions.target import Target
from bridge.model.actions import Tend, TendGeneration, action_key
from bridge.model.conditions import Hold
from bridge.model.desired import KvPath, StaticRoles
from bridge.model.leased import Gone, Leased, Life, RoleDocument, StaticDocument, Unknown
from bridge.model.memory import Memory
from bridge.model.mirror import By, Mirror
from bridge.model.reasons import Reason
from bridge.model.timestamps import instant, timestamp
from bridge.model.vault_view import Document, Unreadable
from bridge.model.world import World

CAPPED = 0.9
"""Part of what a role gives; a renewal that gave less has met the lease's longest life."""


class Stage(StrEnum):
    """Where a generation is in its life."""

    PROVISIONAL = "provisional"  # its custody is not permanent yet
    ALIVE = "alive"
    RETIRING = "retiring"  # it is being ended
    VANISHED = "vanished"  # two looks did not find it, and nobody here has ended it
    DOUBTFUL = "doubtful"  # one look did not find it
    UNKNOWN = "unknown"  # Vault could not be asked
    FOREIGN = "foreign"  # what its labels name is not ours, and never touched
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """One generation.

    Attributes:
        lease, custody: Where they are alive.
        lease_gone, custody_gone: Whether Vault does not know them.
        hard_end: When it ends whatever is done, seconds since the epoch; None where not known.
        longest: When its role lets no lease of its age live on; None where not known.
        unknown: Why it could not be looked at.
        trouble: Why Vault does not renew its lease; empty where it does.
    """

    mirror: Mirror
    stage: Stage
    lease: Life | None = None
    custody: Life | None = None
    lease_gone: bool = False
    custody_gone: bool = False
    hard_end: float | None = None
    longest: float | None = None
    unknown: Unknown | None = None
    trouble: str = ""

    @property
    def live(self) -> bool:
        """Whether its credential is known to be valid, and is meant to be."""
        return self.stage in (Stage.PROVISIONAL, Stage.ALIVE)

    @property
    def over(self) -> bool:
        """Whether no service is to be pointed at it any more."""
        return self.stage in (Stage.RETIRING, Stage.VANISHED, Stage.FOREIGN, Stage.ENDED)


def generation_of(mirror: Mirror, world: World, memory: Memory, now: float) -> Generation:
    """Say how a generation stands."""
    leased, view = mirror.leased, world.vault.generations.get(mirror.id)
    if leased is None or leased.ended:
        return Generation(mirror=mirror, stage=Stage.ENDED)
    if isinstance(mirror.identity.source, StaticRoles):
        return _static_generation(mirror, leased, mirror.identity.source, world, memory, now)
    not_yet = Unknown(Reason.LOOKING_AGAIN, "its lease has yet to be looked up")
    fates = (view.lease, view.custody) if view else (not_yet, not_yet)
    lease, custody = (fate if isinstance(fate, Life) else None for fate in fates)
    lease_gone, custody_gone = (isinstance(fate, Gone) for fate in fates)
    unknown = next((fate for fate in fates if isinstance(fate, Unknown)), None)
    found = Generation(
        mirror=mirror,
        stage=Stage.ALIVE,
        lease=lease,
        custody=custody,
        lease_gone=lease_gone,
        custody_gone=custody_gone,
        unknown=unknown,
    )
    if leased.retiring:
        return replace(found, stage=Stage.RETIRING)
    others = custody is not None and custody.foreign and isinstance(mirror.identity.source, KvPath)
    if others or (unknown and unknown.foreign):
        return replace(found, stage=Stage.FOREIGN)
    if unknown or view is None:
        return replace(found, stage=Stage.UNKNOWN)
    if lease_gone or custody_gone:
        first = memory.vanished.get(mirror.id)
        proved = first is not None and first < view.as_of
        return replace(found, stage=Stage.VANISHED if proved else Stage.DOUBTFUL)
    if lease and (lease.ends <= now or lease.failed):
        return replace(found, stage=Stage.VANISHED)
    return _living(found, world, memory)


def _living(found: Generation, world: World, memory: Memory) -> Generation:
    """Say of a generation that is alive when it ends, and whether its custody is permanent."""
    mirror, lease, custody = found.mirror, found.lease, found.custody
    backoff = memory.backoffs.get(action_key(renew_lease(mirror)))
    if backoff and not backoff.passes:
        found = replace(found, trouble=backoff.message)
    source = mirror.lease_role
    role = world.vault.paths.get(source) if source else None
    if lease and isinstance(role, RoleDocument):
        found = replace(found, longest=lease.started + role.max_ttl)
    found = replace(found, hard_end=_hard_end(found, role))
    if custody and not (custody.renewed or custody.period or custody.foreign):
        return replace(found, stage=Stage.PROVISIONAL)
    return found


def _static_generation(
    mirror: Mirror, leased: Leased, source: StaticRoles, world: World, memory: Memory, now: float
) -> Generation:
    """Say how a password of a static role stands: it is over once its role was rotated again."""
    document = world.vault.paths.get(source)
    role = document.roles.get(leased.role) if isinstance(document, StaticDocument) else None
    unknown: Unknown | None = None
    life: Life | None = None
    rotated, created = 0, instant(mirror.identity.created)
    if role is None:
        known = document if isinstance(document, Unreadable) else None
        reason = known.reason if known else Reason.UNMAPPED
        message = known.message if known else f"{leased.role} is not in the configuration"
        unknown = Unknown(reason, message)
    else:
        rotated = instant(role.rotated)
        started = memory.since(mirror.id, created / 1e9, now)
        ends = started + (role.period or _NEVER)
        life = Life(started=started, ends=ends, granted=ends - started, renewed=True)
    if role and rotated < created and world.vault.as_of <= memory.met_at(mirror.id, now):
        unknown = Unknown(Reason.LOOKING_AGAIN, "it is newer than the latest look at Vault")
    elif role and rotated < created:
        message = f"Vault says that {leased.role} was last rotated before {mirror.docker_name}"
        unknown = Unknown(Reason.VERSION_WENT_BACK, f"{message}: was it restored?")
    over = rotated > created
    hard_end = life.ends if life and role and role.period and len(source.roles) > 1 else None
    found = Generation(
        mirror=mirror,
        stage=Stage.ALIVE,
        lease=None if over else life,
        lease_gone=over,
        custody_gone=over,
        hard_end=hard_end,
        unknown=unknown,
    )
    if leased.retiring:
        return replace(found, stage=Stage.RETIRING)
    if unknown:
        return replace(found, stage=Stage.UNKNOWN)
    return replace(found, stage=Stage.VANISHED) if over else found


_NEVER = 10 * 365 * 86400.0
"""Seconds that stand for no end."""


def vanished(world: World, memory: Memory) -> dict[str, float]:
    """Note when each generation that cannot be found was first not found, for the next look."""
    return {
        secret_id: memory.vanished.get(secret_id, view.as_of)
        for secret_id, view in world.vault.generations.items()
        if isinstance(view.lease, Gone) or isinstance(view.custody, Gone)
    }


def _hard_end(found: Generation, role: Document | Unreadable | None) -> float | None:
    """Tell when a generation ends whatever is done: its lease's longest life, or its custody's."""
    lease, custody, ends = found.lease, found.custody, list[float]()
    if lease and found.longest is not None and isinstance(role, RoleDocument):
        ends.append(found.longest)
        if lease.renewed and lease.granted < role.default_ttl * CAPPED:
            ends.append(lease.ends)
    if lease and found.trouble:
        ends.append(lease.ends)  # its user is gone, or its role
    if custody and custody.foreign:
        ends.append(custody.ends)  # nobody here makes it longer
    elif custody and custody.longest:
        ends.append(custody.started + custody.longest)
    elif custody and custody.renewed and not custody.period:
        ends.append(custody.ends)
    return min(ends, default=None)


def forced_from(found: Generation, timeout: float) -> float | None:
    """Tell from when on services must leave a generation, whatever windows and limits say.

    A life that is too short for two rolls is at least half used: else one would follow another.
    """
    if found.hard_end is None or found.lease is None:
        return None
    half = (found.lease.started + found.hard_end) / 2
    return max(found.hard_end - 2 * timeout, half)


def renew_lease(mirror: Mirror, patience: float = 0.0) -> TendGeneration:
    """Return the action that renews a generation's lease."""
    why = "its time has come"
    return tending(mirror, Tend.RENEW_LEASE, Reason.LEASE_KEPT, why, patience=patience)


# --- The target ----------------------------------------------------------------------------------


def with_generations(target: Target, found: Sequence[Generation]) -> Target:
    """Say which generations of a leased secret are its versions, and which may be used."""
    usable = [g for g in found if not g.over]
    former = {m.id for m in target.others if m.leased and m.leased.ended}
    target = _with_stages(target, found)
    return replace(
        target,
        vault_version=target.mirrors[0].identity.version if target.mirrors else None,
        current=usable[0].mirror.identity if usable else None,
        destroyed=target.destroyed | former,
    )


def _with_stages(target: Target, found: Sequence[Generation]) -> Target:
    """Say which versions may be used, which not yet, and which can go."""
    ended = {g.mirror.id for g in found[1:] if g.stage == Stage.ENDED}
    return replace(
        target,
        ended=frozenset(g.mirror.id for g in found if g.over),
        unproven={
            g.mirror.id: _unproven(g) for g in found if not g.over and g.stage != Stage.ALIVE
        },
        destroyed=target.destroyed | ended,
    )


def with_kv_leases(
    target: Target, found: Sequence[Generation], timeout: float, now: float
) -> Target:
    """Say which versions of a KV path may be used that each hold a lease.

    Their credentials are made by others: one that is over is told, and cannot be replaced here.
    """
    target = _with_stages(target, found)
    newest = found[0] if found else None
    if newest is None or target.hold or target.create:
        return target
    name, mirror = target.secret.name, newest.mirror
    if newest.stage == Stage.FOREIGN:
        message = f"{mirror.docker_name} names a lease or a token that is not ours to touch"
        return replace(target, hold=Hold(secret=name, reason=Reason.FOREIGN_LEASE, message=message))
    if newest.stage == Stage.VANISHED:
        message = f"the lease of {mirror.docker_name} is over: {target.secret.source} needs another"
        return replace(
            target, hold=Hold(secret=name, reason=Reason.LEASE_VANISHED, message=message)
        )
    if newest.stage == Stage.DOUBTFUL:
        return replace(target, hold=_unproven(newest))
    forced = forced_from(newest, timeout)
    if forced is not None and forced <= now and newest.hard_end is not None:
        message = (
            f"the lease of {mirror.docker_name} ends at {timestamp(newest.hard_end)} whatever is"
            f" done: {target.secret.source} needs another"
        )
        return replace(target, hold=Hold(secret=name, reason=Reason.LEASE_ENDING, message=message))
    return target


def _unproven(found: Generation) -> Hold:
    """Say why no service is pointed at a generation yet."""
    mirror, unknown = found.mirror, found.unknown
    if found.stage == Stage.PROVISIONAL:
        message = f"the custody of {mirror.docker_name} is to be made permanent first"
        return Hold(
            secret=mirror.secret, reason=Reason.CUSTODY_PROVISIONAL, message=message, waits=True
        )
    if unknown is None:
        message = f"the lease of {mirror.docker_name} was not found; one more look is to prove it"
        return Hold(secret=mirror.secret, reason=Reason.LOOKING_AGAIN, message=message, waits=True)
    waits = unknown.reason == Reason.LOOKING_AGAIN
    message = f"it is not known whether {mirror.docker_name} is alive: {unknown.message}"
    return Hold(secret=mirror.secret, reason=unknown.reason, message=message, waits=waits)


def failed(mirror: Mirror) -> bool:
    """Tell whether a generation was set aside for any service, by no operator.

    A good one has not failed: a service that is ill on it is ill by itself.
    """
    marks = mirror.asides.values()
    return not mirror.good and any(mark.by in (By.FAILURE, By.SERVICE) for mark in marks)


def rolled_back(mirror: Mirror) -> bool:
    """Tell whether an operator has set a generation aside, for any service."""
    return any(mark.by == By.OPERATOR for mark in mirror.asides.values())


def usable_of(found: Iterable[Generation]) -> list[Generation]:
    """Return what services are on or go to: not what an operator went back from, if possible."""
    live = [g for g in found if g.live and not failed(g.mirror)]
    return [g for g in live if not rolled_back(g.mirror)] or live
