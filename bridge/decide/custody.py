"""What does each lease need now: to be kept, to be ended, or to be let alone?

A lease is kept as long as anything may use its credential, and ended once nothing can: it is marked
``retiring``, shortened once to ``grace``, and Vault then ends it by itself, whatever becomes of us.
Its end is verified before its custody is revoked and its Docker secret goes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bridge.decide.generation import Due, Generation, Stage, failed, renew_lease
from bridge.decide.prune import used_ids
from bridge.decide.target import Target
from bridge.model.desired import LeaseRules
from bridge.model.generation import Life
from bridge.model.mirror import Mirror
from bridge.model.naming import ENDED, RETIRING, instant, timestamp
from bridge.model.plan import Annotate, Chain, Hold, LeaseCondition, Tend, TendGeneration
from bridge.model.reasons import Reason
from bridge.model.wishes import Do
from bridge.model.world import SwarmView, World

RENEW_AT = 0.5
"""Part of what was granted that is left when it is renewed, more by the jitter."""

JITTER = 0.1

NEVER_MORE_OFTEN = 1.0
"""Seconds between two renewals of one lease at least, however little Vault grants."""

SLACK = 2.0
"""Seconds by which a lease may outlast its grace before it counts as not shortened."""

OVERDUE = 15.0
"""Seconds after its end for which Vault may take its time with a lease."""


@dataclass(slots=True)
class Care:
    """What the leases need.

    Attributes:
        wake: Times at which time alone changes something.
        conditions: How each generation stands, by secret's name.
        ending: Whether a lease is on its way to its end.
    """

    chains: list[Chain] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    wake: list[float] = field(default_factory=list)
    conditions: dict[str, list[LeaseCondition]] = field(default_factory=dict)
    ending: bool = False


def tend(
    name: str,
    target: Target | None,
    found: Sequence[Generation],
    due: Due | None,
    world: World,
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
        ends = _may_end(name, target, found, rules, world, now)
    absent = {g.mirror.id: absent_users(g.mirror, target, rules, world.swarm, now) for g in found}
    conditions: list[LeaseCondition] = []
    for generation in found:
        mirror = generation.mirror
        match generation.stage:
            case Stage.ENDED:
                continue
            case Stage.UNKNOWN | Stage.DOUBTFUL:
                said = _looked_at_again(care, generation)
            case Stage.PROVISIONAL:
                why = f"{mirror.docker_name} is kept in the swarm"
                care.chains.append((_renew_custody(mirror, Reason.CUSTODY_PROVISIONAL, why, 2.0),))
                said = "its custody is made permanent", None
            case Stage.RETIRING:
                said = _end(care, generation, rules, absent[mirror.id], frozen=frozen, now=now)
            case Stage.VANISHED:
                said = _clear_up(care, generation, mirror.id in ends, now)
            case Stage.ALIVE if mirror.id in ends:
                care.chains.append(_retire(generation, rules, absent[mirror.id], now))
                care.ending = True
                said = "it is being ended", None
            case Stage.ALIVE:
                said = _keep(care, generation, due, newest=generation is found[0], now=now)
        conditions.append(_condition(generation, *said))
    care.conditions[name] = conditions[::-1]
    return care


def _condition(found: Generation, following: str, at: float | None) -> LeaseCondition:
    lease, custody = found.lease, found.custody
    return LeaseCondition(
        found.mirror.identity.version,
        lease.ends if lease else None,
        custody.ends if custody else None,
        found.hard_end,
        following,
        at,
    )


# --- What is kept --------------------------------------------------------------------------------


def _keep(
    care: Care, found: Generation, due: Due | None, *, newest: bool, now: float
) -> tuple[str, float | None]:
    """Renew what is alive and may be used; returns what comes next, and when."""
    mirror, lease, custody = found.mirror, found.lease, found.custody
    if custody and custody.period:
        renew = _renew_custody(
            mirror, Reason.LEASE_KEPT, "its time has come", _patience(custody, now)
        )
        _renewed(care, renew, _renew_at(mirror, custody), now)
    at: float | None = None
    tries = bool(found.trouble) or found.guessed  # what is refused or short now may be given then
    if lease and (tries or not _at_its_end(lease, found.hard_end)):
        at = _renew_at(mirror, lease)
        _renewed(care, renew_lease(mirror, _patience(lease, now)), at, now)
    if found.trouble:
        message = f"the lease of {mirror.docker_name} is not renewed: {found.trouble}"
        care.holds.append(Hold(mirror.secret, Reason.RENEWAL_FAILED, message))
    if not newest:
        return "its lease is kept until no task uses it", at
    if due:
        care.wake += [moment for moment in (due.at, due.forced_at) if moment and moment > now]
        if due.at is not None and not due.open:
            return f"a new generation is made ({due.why})", max(due.at, now)
    return "its lease is renewed", at


def _renewed(care: Care, renewal: TendGeneration, at: float, now: float) -> None:
    if now >= at:
        care.chains.append((renewal,))
    else:
        care.wake.append(at)


def _patience(life: Life, now: float) -> float:
    """Return the longest pause between two tries to renew what ends."""
    return max(1.0, (life.ends - now) / 8)


def _at_its_end(lease: Life, hard_end: float | None) -> bool:
    return hard_end is not None and lease.ends >= hard_end - NEVER_MORE_OFTEN


def _renew_at(mirror: Mirror, life: Life) -> float:
    """Tell when something is renewed: jittered by who it is, so that not all come at once."""
    digest = hashlib.sha256(mirror.id.encode()).digest()
    part = RENEW_AT + JITTER * digest[0] / 255
    given = life.ends - life.granted
    return max(life.ends - life.granted * part, given + NEVER_MORE_OFTEN)


def _renew_custody(mirror: Mirror, reason: Reason, why: str, patience: float) -> TendGeneration:
    return _tend(mirror, Tend.RENEW_CUSTODY, reason, why, patience=patience)


def _tend(
    mirror: Mirror,
    step: Tend,
    reason: Reason,
    why: str,
    *,
    grace: float = 0.0,
    patience: float = 0.0,
    absent: frozenset[str] = frozenset(),
    even_used: bool = False,
) -> TendGeneration:
    return TendGeneration(
        mirror.secret,
        mirror.id,
        mirror.docker_name,
        step,
        reason,
        why,
        grace,
        patience,
        absent,
        even_used,
    )


def _looked_at_again(care: Care, found: Generation) -> tuple[str, float | None]:
    if found.unknown and found.unknown.foreign:
        mirror = found.mirror
        care.holds.append(Hold(mirror.secret, Reason.FOREIGN_LEASE, found.unknown.message))
        return "nothing, since it is not ours", None
    return "it is looked up again", None


# --- What is ended -------------------------------------------------------------------------------


def _may_end(
    name: str,
    target: Target | None,
    found: Iterable[Generation],
    rules: LeaseRules,
    world: World,
    now: float,
) -> frozenset[str]:
    """Return the ids of the generations that nothing uses and nothing can need again (I4)."""
    found, swarm = tuple(found), world.swarm
    alive = [g.mirror for g in found if g.stage == Stage.ALIVE]
    going_back = frozenset[str]().union(
        *(record.before_ids for m in swarm.mirrors for record in m.records.values())
    )
    wish = swarm.wishes.get(name)
    back_to = wish.to if wish and wish.do == Do.ROLLBACK and not wish.refused else None
    forgotten = target is None and wish is not None and wish.do == Do.FORGET and not wish.refused
    ends: set[str] = set()
    for generation in found:
        mirror = generation.mirror
        if generation.stage not in (Stage.ALIVE, Stage.VANISHED) or mirror.id in going_back:
            continue
        if mirror.id in used_ids(swarm, absent_users(mirror, target, rules, swarm, now)):
            continue
        if mirror.identity.version == back_to:
            continue
        if forgotten or (target and _is_over(mirror, alive, target)):
            ends.add(mirror.id)
    return frozenset(ends)


def _is_over(mirror: Mirror, alive: Iterable[Mirror], target: Target) -> bool:
    """Tell whether an unused generation has no part to play any more."""
    if mirror not in target.mirrors:  # of another role, or the secret comes from elsewhere now
        newest = target.mirrors[0] if target.mirrors else None
        return newest is not None and bool(newest.good)
    newer = [other for other in alive if mirror.identity < other.identity]
    if any(other.good and not other.asides for other in newer):
        return True  # what is set aside, services go back from
    if failed(mirror):
        return True
    tried = mirror.good or mirror.records or mirror.asides
    return bool(newer) and not tried


def absent_users(
    mirror: Mirror, target: Target | None, rules: LeaseRules, swarm: SwarmView, now: float
) -> frozenset[str]:
    """Return the ids of the tasks on lost nodes that have kept a generation alive for long enough.

    They count from when a newer one had baked everywhere.
    """
    newer = [
        m for m in (target.mirrors if target else ()) if mirror.identity < m.identity and m.good
    ]
    since = min((_instant(m.good) for m in newer), default=None)
    if since is None or now < since + rules.overlap_max:
        return frozenset()
    return frozenset(task.id for task in swarm.tasks if task.lost)


def _instant(text: str) -> float:
    try:
        return instant(text) / 1e9
    except ValueError:
        return float("inf")


def _retire(found: Generation, rules: LeaseRules, absent: frozenset[str], now: float) -> Chain:
    """Mark a generation, so that it is never renewed again, and let its lease run out."""
    mirror = found.mirror
    why = "nothing uses it any more"
    if failed(mirror):
        why = "it failed, and nothing uses it any more"
    mark = Annotate(
        mirror.secret,
        mirror.id,
        mirror.docker_name,
        Reason.RETIRING,
        why,
        {RETIRING: timestamp(now)},
    )
    return (mark, _ending(mirror, rules, why, absent))


def _ending(mirror: Mirror, rules: LeaseRules, why: str, absent: frozenset[str]) -> TendGeneration:
    at_once = mirror.leased.at_once if mirror.leased else ""
    grace = 0.0 if at_once or failed(mirror) else rules.grace
    step = Tend.SHORTEN if grace else Tend.REVOKE
    even_used = at_once == FIRST
    return _tend(
        mirror, step, Reason.RETIRING, why, grace=grace, absent=absent, even_used=even_used
    )


FIRST = "first"
NOW = "now"


def _end(
    care: Care,
    found: Generation,
    rules: LeaseRules,
    absent: frozenset[str],
    *,
    frozen: bool,
    now: float,
) -> tuple[str, float | None]:
    """Bring a generation to its end that is marked for it."""
    mirror, lease = found.mirror, found.lease
    if found.unknown:
        return _looked_at_again(care, found)
    if lease is None:
        return _clear_up(care, found, not frozen, now)
    action = _ending(mirror, rules, "it is marked to be ended", absent)
    if _is_stuck(lease, now):
        return _say_stuck(care, mirror, lease)
    care.ending = True
    if lease.ends > now + action.grace + SLACK and not frozen:
        care.chains.append((action,))
    care.wake.append(lease.ends + 0.5)
    return "its credential ends", lease.ends


def _is_stuck(lease: Life, now: float) -> bool:
    return bool(lease.failed) or lease.ends + OVERDUE < now


def _say_stuck(care: Care, mirror: Mirror, lease: Life) -> tuple[str, float | None]:
    """Say that Vault does not get rid of a credential; trying again is Vault's own affair."""
    words = f" ({lease.failed})" if lease.failed else ""
    message = (
        f"Vault cannot end the credential of {mirror.docker_name}{words}: it may still be valid;"
        " Vault itself tries again for some 10 minutes, then somebody must"
    )
    care.holds.append(Hold(mirror.secret, Reason.REVOCATION_FAILED, message))
    return "somebody must end it in Vault and its database", None


def _clear_up(care: Care, found: Generation, ends: bool, now: float) -> tuple[str, float | None]:
    """Let go of the custody of a lease that is over, and note that all of it is."""
    mirror = found.mirror
    if found.lease and _is_stuck(found.lease, now):
        return _say_stuck(care, mirror, found.lease)
    if not ends:
        return "it is gone in Vault; services leave it", None
    care.ending = True
    if found.lease_gone and found.custody:
        why = "its lease is over"
        care.chains.append((_tend(mirror, Tend.RELEASE, Reason.RETIRING, why),))
    elif found.lease_gone and found.custody_gone:
        care.chains.append((_ended(mirror, now),))
    return "its Docker secret is removed", None


def _ended(mirror: Mirror, now: float) -> Annotate:
    return Annotate(
        mirror.secret,
        mirror.id,
        mirror.docker_name,
        Reason.CREDENTIAL_ENDED,
        "its lease and its custody are over",
        {ENDED: timestamp(now)},
    )
