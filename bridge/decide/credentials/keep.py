"""What does each lease need now: to be kept, to be ended, or to be let alone?

It is kept as long as anything may use its credential; see ``ending`` for when nothing can.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from bridge.decide.credentials.end import (
    GOES_ON,
    absent_users,
    clear_up,
    end_of,
    ended,
    is_shared,
    may_end,
    retire,
)
from bridge.decide.credentials.mint import Due
from bridge.decide.credentials.needs import Care, Said, tending
from bridge.decide.credentials.stage import Generation, Stage, renew_lease
from bridge.decide.versions.target import Target
from bridge.model.actions import Tend, TendGeneration
from bridge.model.conditions import Hold, LeaseCondition
from bridge.model.desired import LeaseRules, StaticRoles
from bridge.model.leased import Life
from bridge.model.memory import Memory
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.world import World

RENEW_AT = 2 / 3
"""Part of what was granted that is left when it is renewed, and more by the jitter.

Vault or the bridge may be away for as long without a credential's end: longer than half a lease.
"""

JITTER = 0.1

NEVER_MORE_OFTEN = 1.0
"""Seconds between two renewals of one lease at least, however little Vault grants."""


def tend(
    name: str,
    target: Target | None,
    found: Sequence[Generation],
    due: Due | None,
    world: World,
    memory: Memory,
    now: float,
    *,
    frozen: bool,
) -> Care:
    """Say what the generations of one secret need, newest first.

    Args:
        target: None where the configuration no longer has the secret: its leases are kept.
        found: All its generations, also those from another role.
        frozen: Whether nothing may be ended now (I9).
    """
    care = Care()
    rules = target.secret.lease if target else LeaseRules()
    ends = frozenset[str]()
    if not frozen and not any(service.torn for service in world.swarm.services):
        ends = may_end(name, target, found, rules, world, memory, now)
    absent = {
        g.mirror.id: absent_users(g.mirror, target, rules, world.swarm, memory, now) for g in found
    }
    conditions: list[LeaseCondition] = []
    said: Said
    for generation in found:
        mirror = generation.mirror
        match generation.stage:
            case Stage.ENDED:
                continue
            case Stage.UNKNOWN | Stage.DOUBTFUL | Stage.FOREIGN:
                said = _let_alone(care, generation, mirror.id in ends, now)
            case Stage.PROVISIONAL:
                why = f"{mirror.docker_name} is kept in the swarm"
                step, reason = Tend.MAKE_PERMANENT, Reason.CUSTODY_PROVISIONAL
                care.chains.append((tending(mirror, step, reason, why, patience=2.0),))
                said = "its custody is made permanent", None
            case Stage.RETIRING:
                gone = absent[mirror.id]
                said = end_of(care, generation, rules, gone, memory, frozen=frozen, now=now)
            case Stage.VANISHED:
                said = clear_up(care, generation, mirror.id in ends, now)
            case Stage.ALIVE if mirror.id in ends:
                shared = is_shared(mirror.id, mirror.leased, world.swarm)
                chain = retire(generation, rules, absent[mirror.id], now)
                care.chains.append((ended(mirror, now, GOES_ON),) if shared else chain)
                care.ending = True
                said = GOES_ON if shared else "it is being ended", None
            case Stage.ALIVE:
                said = _keep(care, generation, due, newest=generation is found[0], now=now)
        conditions.append(_condition(generation, *said))
    care.conditions[name] = conditions[::-1]
    return care


def _condition(
    found: Generation, following: str, at: float | None = None, because: str = ""
) -> LeaseCondition:
    lease, custody, leased = found.lease, found.custody, found.mirror.leased
    return LeaseCondition(
        version=found.mirror.identity.version,
        lease_ends=lease.ends if lease else None,
        custody_ends=custody.ends if custody else None,
        hard_end=found.hard_end,
        next=following,
        next_at=at,
        because=because,
        role=leased.role if leased else "",
        user=leased.user if leased else "",
        static=_is_static(found.mirror),
    )


def _is_static(mirror: Mirror) -> bool:
    return isinstance(mirror.identity.source, StaticRoles)


# --- What is kept --------------------------------------------------------------------------------


def _keep(care: Care, found: Generation, due: Due | None, *, newest: bool, now: float) -> Said:
    """Renew what is alive and may be used; returns what comes next, and when."""
    mirror, lease, custody = found.mirror, found.lease, found.custody
    if custody and custody.foreign:
        message = (
            f"the accessor that {mirror.docker_name} names is not of a custody of ours (was"
            " `vault.custody` changed?): the lease is kept as long as that lives"
        )
        care.holds.append(Hold(secret=mirror.secret, reason=Reason.FOREIGN_LEASE, message=message))
    elif custody and custody.period:
        patience, why = _patience(custody, now), "its time has come"
        renew = tending(mirror, Tend.RENEW_CUSTODY, Reason.LEASE_KEPT, why, patience=patience)
        _renewed(care, renew, _renew_at(mirror, custody), now)
    at: float | None = None
    static = _is_static(mirror)
    if lease and not static and (found.trouble or not _at_its_end(lease, found.longest)):
        at = _renew_at(mirror, lease)
        _renewed(care, renew_lease(mirror, _patience(lease, now)), at, now)
    if found.trouble:
        message = f"the lease of {mirror.docker_name} is not renewed: {found.trouble}"
        care.holds.append(Hold(secret=mirror.secret, reason=Reason.RENEWAL_FAILED, message=message))
    if not newest:
        return f"its {'password' if static else 'lease'} is kept until no task uses it", None
    if due:
        care.wake += [moment for moment in (due.at, due.forced_at) if moment and moment > now]
        if due.at is not None and not due.open:
            return "a new generation is made", max(due.at, now), due.why
    return ("it is in use", None) if static else ("its lease is renewed", at)


def _renewed(care: Care, renewal: TendGeneration, at: float, now: float) -> None:
    if now >= at:
        care.chains.append((renewal,))
    else:
        care.wake.append(at)


def _patience(life: Life, now: float) -> float:
    """Return the longest pause between two tries to renew what ends."""
    return max(1.0, (life.ends - now) / 8)


def _at_its_end(lease: Life, longest: float | None) -> bool:
    """Tell whether a renewal gives nothing more, and might cut what there is.

    That a renewal gave little once is no proof: the role may have been given more since.
    """
    return longest is not None and lease.ends >= longest - NEVER_MORE_OFTEN


def _renew_at(mirror: Mirror, life: Life) -> float:
    """Tell when something is renewed: jittered by who it is, so that not all come at once."""
    digest = hashlib.sha256(mirror.id.encode()).digest()
    part = RENEW_AT + JITTER * digest[0] / 255
    given = life.ends - life.granted
    return max(life.ends - life.granted * part, given + NEVER_MORE_OFTEN)


def _let_alone(care: Care, found: Generation, ends: bool, now: float) -> Said:
    """Do nothing to what is not known, or not ours."""
    mirror = found.mirror
    if found.stage != Stage.FOREIGN:
        return "it is looked up again", None
    if ends:
        why = "what it names is not ours, and nothing uses it"
        care.chains.append((ended(mirror, now, why),))
        return "its Docker secret is removed", None
    message = f"{mirror.docker_name} names a token that is no custody of ours: nothing is touched"
    if found.unknown:
        message = found.unknown.message
    care.holds.append(Hold(secret=mirror.secret, reason=Reason.FOREIGN_LEASE, message=message))
    return "nothing, since it is not ours", None
