"""Which generations may services use, and which not yet, or no more?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bridge.decide.credentials.stage import Generation, Stage, forced_from
from bridge.decide.situation import Situation
from bridge.decide.versions.target import Target
from bridge.model.conditions import Hold
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.set_aside import By
from bridge.model.timestamps import timestamp


def with_generations(target: Target, found: Sequence[Generation]) -> Target:
    """Return the target with the generations that are its versions, and those that may be used."""
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
    """Return the target with what may be used, what not yet, and what can go."""
    ended = {g.mirror.id for g in found[1:] if g.stage == Stage.ENDED}
    return replace(
        target,
        ended=frozenset(g.mirror.id for g in found if g.over),
        unproven={
            g.mirror.id: _unproven(g) for g in found if not g.over and g.stage != Stage.ALIVE
        },
        destroyed=target.destroyed | ended,
    )


def with_kv_leases(target: Target, found: Sequence[Generation], known: Situation) -> Target:
    """Return the target of a KV path whose versions each hold a lease.

    Their credentials are made by others: one that is over is reported, and cannot be replaced here.
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
    forced = forced_from(newest, known.rollout.timeout)
    if forced is not None and forced <= known.now and newest.hard_end is not None:
        message = (
            f"the lease of {mirror.docker_name} ends at {timestamp(newest.hard_end)} whatever is"
            f" done: {target.secret.source} needs another"
        )
        return replace(target, hold=Hold(secret=name, reason=Reason.LEASE_ENDING, message=message))
    return target


def _unproven(found: Generation) -> Hold:
    """Return why no service is pointed at a generation yet."""
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
    """Return whether a generation was set aside for any service, by no operator.

    A good one has not failed: a service that is ill on it is ill by itself.
    """
    marks = mirror.asides.values()
    return not mirror.good and any(mark.by in (By.FAILURE, By.SERVICE) for mark in marks)


def rolled_back(mirror: Mirror) -> bool:
    """Return whether an operator has set a generation aside, for any service."""
    return any(mark.by == By.OPERATOR for mark in mirror.asides.values())


def usable_of(found: Iterable[Generation]) -> list[Generation]:
    """Return what services are on or go to: not what an operator rolled back, if possible."""
    live = [g for g in found if g.live and not failed(g.mirror)]
    return [g for g in live if not rolled_back(g.mirror)] or live
