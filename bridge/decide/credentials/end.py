"""How does a credential end that nothing uses any more?

It is marked ``retiring``, shortened once to ``grace``, and Vault then ends it by itself, whatever
becomes of us. Its end is verified before its custody is revoked and its Docker secret goes.
"""

from __future__ import annotations

from collections.abc import Iterable

from bridge.decide.credentials.needs import Care, Said, tending
from bridge.decide.credentials.stage import Generation, Stage, failed, rolled_back
from bridge.decide.versions.target import Target
from bridge.model.actions import Annotate, Chain, Tend, TendGeneration
from bridge.model.conditions import Hold
from bridge.model.desired import LeaseRules, StaticRoles
from bridge.model.labels import ENDED
from bridge.model.leased import Leased, Life
from bridge.model.memory import Memory
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import moment, timestamp
from bridge.model.wishes import Do
from bridge.model.world import World

SLACK = 2.0
"""Seconds by which a lease may outlast its grace before it counts as not shortened."""

SOON = 60.0
"""Seconds; an end that is farther away is not waited for by whoever wants all to be done."""

OVERDUE = 15.0
"""Seconds after its end for which Vault may take its time with a lease."""


_ENDABLE = frozenset((Stage.ALIVE, Stage.VANISHED, Stage.FOREIGN))


def may_end(
    name: str,
    target: Target | None,
    found: Iterable[Generation],
    rules: LeaseRules,
    world: World,
    memory: Memory,
    now: float,
) -> frozenset[str]:
    """Return the ids of the generations that nothing uses and nothing can need again (I4)."""
    found, swarm = tuple(found), world.swarm
    alive = [g.mirror for g in found if g.stage == Stage.ALIVE]
    wish = swarm.wishes.get(name)
    wish = None if wish and wish.refused else wish
    forgotten = target is None and wish is not None and wish.do == Do.FORGET
    chosen = wish.to if wish and wish.do == Do.ROLLBACK else None
    ends: set[str] = set()
    for generation in found:
        mirror = generation.mirror
        if generation.stage not in _ENDABLE or mirror.id in swarm.before_ids:
            continue
        if swarm.is_used(mirror.id, absent_users(mirror, target, rules, swarm, memory, now)):
            continue
        if target and mirror in target.mirrors and mirror.identity.version == chosen:
            continue
        if forgotten or (target and _is_over(mirror, alive, target)):
            ends.add(mirror.id)
    return frozenset(ends)


def _is_over(mirror: Mirror, alive: Iterable[Mirror], target: Target) -> bool:
    """Tell whether an unused generation has no part to play any more."""
    if mirror not in target.mirrors:  # of another role, or the secret comes from elsewhere now
        newest = target.mirrors[0] if target.mirrors else None
        return newest is not None and bool(newest.good)
    newer = [other for other in alive if mirror.order < other.order]
    if any(other.good and not rolled_back(other) for other in newer):
        return True
    if not target.secret.leased:
        return False  # a version of a KV path may be tried again on somebody's word
    if failed(mirror):
        return True
    tried = mirror.good or mirror.records or mirror.asides
    return bool(newer) and not tried


def absent_users(
    mirror: Mirror,
    target: Target | None,
    rules: LeaseRules,
    swarm: SwarmView,
    memory: Memory,
    now: float,
) -> frozenset[str]:
    """Return the ids of the tasks on lost nodes that have kept a generation alive for long enough.

    They count from when a newer one had baked everywhere.
    """
    newer = [m for m in (target.mirrors if target else ()) if mirror.order < m.order and m.good]
    baked = (memory.since(m.id, moment(m.good, float("inf")), now) for m in newer)
    since = min(baked, default=None)
    if since is None or now < since + rules.overlap_max:
        return frozenset()
    return swarm.lost_tasks


def retire(found: Generation, rules: LeaseRules, absent: frozenset[str], now: float) -> Chain:
    """Mark a generation, so that it is never renewed again, and let its lease run out."""
    mirror = found.mirror
    why = "nothing uses it any more"
    if failed(mirror):
        why = "it failed, and nothing uses it any more"
    mark = tending(mirror, Tend.RETIRE, Reason.RETIRING, why, at=now, absent=absent)
    if isinstance(mirror.identity.source, StaticRoles):
        return (mark,)  # Vault ends no password by itself: that is done after the grace
    return (mark, _ending(mirror, rules, why, absent))


def _ending(mirror: Mirror, rules: LeaseRules, why: str, absent: frozenset[str]) -> TendGeneration:
    at_once = mirror.leased.at_once if mirror.leased else ""
    grace = 0.0 if at_once or failed(mirror) else rules.grace
    step = Tend.SHORTEN if grace else Tend.REVOKE
    even_used = at_once == FIRST
    return tending(
        mirror, step, Reason.RETIRING, why, grace=grace, absent=absent, even_used=even_used
    )


FIRST = "first"
NOW = "now"


def end_of(
    care: Care,
    found: Generation,
    rules: LeaseRules,
    absent: frozenset[str],
    memory: Memory,
    *,
    frozen: bool,
    now: float,
) -> Said:
    """Bring a generation to its end that is marked for it."""
    mirror, lease = found.mirror, found.lease
    if found.unknown:
        return "it is looked up again", None
    if lease is None:
        return clear_up(care, found, not frozen, now)
    if isinstance(mirror.identity.source, StaticRoles):
        return _end_static(care, mirror, rules, absent, memory, frozen=frozen, now=now)
    action = _ending(mirror, rules, "it is marked to be ended", absent)
    if _is_stuck(lease, now):
        return _say_stuck(care, mirror, lease)
    care.ending = care.ending or lease.ends <= now + SOON
    if lease.ends > now + action.grace + SLACK and not frozen:
        care.chains.append((action,))
    care.wake.append(lease.ends + 0.5)
    return "its credential ends", lease.ends


def _end_static(
    care: Care,
    mirror: Mirror,
    rules: LeaseRules,
    absent: frozenset[str],
    memory: Memory,
    *,
    frozen: bool,
    now: float,
) -> Said:
    """Rotate the role of a password that nothing uses any more, once its grace is over."""
    leased = mirror.leased
    assert leased  # noqa: S101 - it is marked for its end
    care.ending = True
    grace = 0.0 if leased.at_once or failed(mirror) else rules.grace
    marked = moment(leased.retiring, float("inf")) if leased.retiring else now - grace
    at = memory.since(mirror.id, marked, now) + grace
    if now >= at and not frozen:
        why, first = "nothing uses its password any more", leased.at_once == FIRST
        care.chains.append(
            (tending(mirror, Tend.ROTATE, Reason.RETIRING, why, absent=absent, even_used=first),)
        )
    care.wake.append(at)
    return f"the static role {leased.role} is rotated", max(at, now)


def _is_stuck(lease: Life, now: float) -> bool:
    return bool(lease.failed) or lease.ends + OVERDUE < now


def _say_stuck(care: Care, mirror: Mirror, lease: Life) -> Said:
    """Say that Vault does not get rid of a credential; trying again is Vault's own affair."""
    words = f" ({lease.failed})" if lease.failed else ""
    message = (
        f"Vault cannot end the credential of {mirror.docker_name}{words}: it may still be valid."
        " Vault tries again by itself for some 10 minutes; after that somebody must end it"
    )
    care.holds.append(Hold(secret=mirror.secret, reason=Reason.REVOCATION_FAILED, message=message))
    return "Vault tries again to end it", None


def clear_up(care: Care, found: Generation, ends: bool, now: float) -> Said:
    """Let go of the custody of a lease that is over, and note that all of it is."""
    mirror = found.mirror
    if found.lease and _is_stuck(found.lease, now):
        return _say_stuck(care, mirror, found.lease)
    if not ends:
        return "it is gone in Vault; services leave it", None
    care.ending = True
    foreign = found.custody is not None and found.custody.foreign
    if found.lease_gone and found.custody and not foreign:
        why = "its lease is over"
        care.chains.append((tending(mirror, Tend.RELEASE, Reason.RETIRING, why),))
    elif found.lease_gone and (found.custody_gone or foreign):
        care.chains.append((ended(mirror, now, _over(mirror)),))
    return "its Docker secret is removed", None


def _over(mirror: Mirror) -> str:
    if isinstance(mirror.identity.source, StaticRoles):
        return "its static role was rotated"
    return "its lease and its custody are over"


GOES_ON = "its lease goes on with another one"


def is_shared(secret_id: str, leased: Leased | None, swarm: SwarmView) -> bool:
    """Tell whether another Docker secret rests on the same lease or custody, which then goes on."""
    others = (m.leased for m in swarm.mirrors if m.id != secret_id and m.leased)
    return leased is not None and any(
        other.lease
        and not other.ended
        and (other.lease == leased.lease or other.accessor == leased.accessor)
        for other in others
    )


def ended(mirror: Mirror, now: float, why: str) -> Annotate:
    """Make the action that notes the end of a generation, whose Docker secret may go then."""
    return Annotate(
        secret=mirror.secret,
        secret_id=mirror.id,
        docker_name=mirror.docker_name,
        reason=Reason.CREDENTIAL_ENDED,
        why=why,
        put={ENDED: timestamp(now)},
    )
