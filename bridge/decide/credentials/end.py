"""How does a credential end that nothing uses any more?

It is marked ``retiring``, shortened once to ``grace``, and Vault then ends it by itself, whatever
becomes of the bridge. Its end is verified before its custody is revoked and its Docker secret goes.
"""

from __future__ import annotations

from collections.abc import Iterable

from bridge.decide.credentials.need import Need, tending
from bridge.decide.credentials.stage import Generation, Stage
from bridge.decide.credentials.usable import failed, rolled_back
from bridge.decide.decision import Decision, one_by_one
from bridge.decide.situation import Situation
from bridge.decide.versions.target import Target
from bridge.model.actions import Annotate, Chain, Tend, TendGeneration
from bridge.model.conditions import Hold
from bridge.model.desired import LeaseRules
from bridge.model.labels import ENDED
from bridge.model.leased import END_FIRST, Leased, Life
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import moment, timestamp
from bridge.model.wishes import Do, Wish

SLACK = 2.0
"""Seconds by which a lease may outlast its grace before it counts as not shortened."""

SOON = 60.0
"""Seconds; an end that is farther away is not waited for by whoever wants all to be done."""

OVERDUE = 15.0
"""Seconds after its end for which Vault may take its time with a lease."""

TRIED_AGAIN = 120.0
"""Seconds after its end in which Vault tries twice more to end a lease where it failed first."""

GOES_ON = "its lease goes on with another one"

_ENDABLE = frozenset((Stage.ALIVE, Stage.VANISHED, Stage.FOREIGN))
_GOES = "its Docker secret is removed"


# --- May it end? ----------------------------------------------------------------------------------


def may_end(
    name: str, target: Target | None, found: Iterable[Generation], known: Situation
) -> frozenset[str]:
    """Return the ids of the generations that nothing uses and nothing can need again (I4)."""
    found = tuple(found)
    alive = [g.mirror for g in found if g.stage == Stage.ALIVE]
    wish = known.swarm.wishes.get(name)
    wish = None if wish and wish.refused else wish
    forgotten = target is None and wish is not None and wish.do == Do.FORGET
    unused = (g.mirror for g in found if g.stage in _ENDABLE and not _used(g.mirror, target, known))
    return frozenset(
        mirror.id
        for mirror in unused
        if not _is_chosen(mirror, target, wish)
        and (forgotten or (target and _is_over(mirror, alive, target)))
    )


def _used(mirror: Mirror, target: Target | None, known: Situation) -> bool:
    """Return whether something uses a generation, or goes back to it if its roll fails."""
    swarm = known.swarm
    back = mirror.id in swarm.before_ids
    return back or swarm.is_used(mirror.id, absent_users(mirror, target, known))


def _is_chosen(mirror: Mirror, target: Target | None, wish: Wish | None) -> bool:
    """Return whether an operator wants services to go back to a generation just now."""
    if target is None or wish is None or wish.do != Do.ROLLBACK:
        return False
    return mirror in target.mirrors and mirror.identity.version == wish.to


def _is_over(mirror: Mirror, alive: Iterable[Mirror], target: Target) -> bool:
    """Return whether an unused generation has no part to play any more.

    1. It is of another role, or the secret comes from elsewhere now: once the newest is good.
    2. A newer one is good, and no operator rolled it back.
    3. A version of a KV path may be tried again on an operator's request: it stays.
    4. It failed: a generation is never tried again (I11).
    5. It was never used, and a newer one is alive.
    """
    if mirror not in target.mirrors:
        newest = target.mirrors[0] if target.mirrors else None
        return newest is not None and bool(newest.good)
    newer = [other for other in alive if mirror.order < other.order]
    if any(other.good and not rolled_back(other) for other in newer):
        return True
    if not target.secret.leased:
        return False
    if failed(mirror):
        return True
    tried = mirror.good or mirror.records or mirror.asides
    return bool(newer) and not tried


def absent_users(mirror: Mirror, target: Target | None, known: Situation) -> frozenset[str]:
    """Return the ids of tasks on lost nodes that have kept a generation alive for long enough.

    ``overlap_max`` counts from when a newer one had baked everywhere.
    """
    newer = [m for m in (target.mirrors if target else ()) if mirror.order < m.order and m.good]
    since_of = known.memory.since
    baked = (since_of(m.id, moment(m.good, float("inf")), known.now) for m in newer)
    since = min(baked, default=None)
    if since is None or known.now < since + rules_of(target).overlap_max:
        return frozenset()
    return known.swarm.lost_tasks


def rules_of(target: Target | None) -> LeaseRules:
    """Return the rules for a secret's leases; the defaults where it is no longer configured."""
    return target.secret.lease if target else LeaseRules()


def is_shared(secret_id: str, leased: Leased | None, swarm: SwarmView) -> bool:
    """Return whether another Docker secret rests on the same lease or custody, which goes on."""
    return leased is not None and swarm.is_shared(secret_id, leased)


# --- Its end --------------------------------------------------------------------------------------


def retire(found: Generation, absent: frozenset[str], rules: LeaseRules, known: Situation) -> Need:
    """Return the mark that it is never renewed again, and the end of its lease."""
    mirror = found.mirror
    if is_shared(mirror.id, mirror.leased, known.swarm):
        over: Chain = (ended(mirror, known.now, GOES_ON),)
        return Need(GOES_ON, decision=Decision(chains=(over,), ending=True))
    why = "it failed, and nothing uses it any more" if failed(mirror) else _UNUSED
    mark = tending(mirror, Tend.RETIRE, Reason.RETIRING, why, at=known.now, absent=absent)
    chain: Chain = (mark,)
    if mirror.identity.source.has_lease:
        chain = (mark, _ending(mirror, rules, why, absent))
    # What has no lease Vault does not end by itself: that is done after the grace.
    return Need("it is being ended", decision=Decision(chains=(chain,), ending=True))


_UNUSED = "nothing uses it any more"


def _ending(mirror: Mirror, rules: LeaseRules, why: str, absent: frozenset[str]) -> TendGeneration:
    at_once = mirror.leased.at_once if mirror.leased else ""
    grace = 0.0 if at_once or failed(mirror) else rules.grace
    step = Tend.SHORTEN if grace else Tend.REVOKE
    even_used = at_once == END_FIRST
    return tending(
        mirror, step, Reason.RETIRING, why, grace=grace, absent=absent, even_used=even_used
    )


def end_of(
    found: Generation,
    absent: frozenset[str],
    rules: LeaseRules,
    known: Situation,
    *,
    frozen: bool,
) -> Need:
    """Return what brings a generation to its end that is marked for it."""
    mirror, lease = found.mirror, found.lease
    if found.unknown:
        return Need("it is looked up again")
    if lease is None:
        return clear_up(found, known.now, ends=not frozen)
    if not mirror.identity.source.has_lease:
        return _rotated(mirror, absent, rules, known, frozen=frozen)
    action = _ending(mirror, rules, "it is marked to be ended", absent)
    if _is_stuck(lease, known.now):
        return _stuck(mirror, lease, known.now)
    shorten = lease.ends > known.now + action.grace + SLACK and not frozen
    decision = Decision(
        chains=one_by_one(action if shorten else None),
        wake=(lease.ends + 0.5,),
        ending=lease.ends <= known.now + SOON,
    )
    return Need("its credential ends", lease.ends, decision=decision)


def _rotated(
    mirror: Mirror,
    absent: frozenset[str],
    rules: LeaseRules,
    known: Situation,
    *,
    frozen: bool,
) -> Need:
    """Return the rotation of a role whose password nothing uses any more, after its grace."""
    leased, now = mirror.leased, known.now
    assert leased  # noqa: S101 - it is marked for its end
    grace = 0.0 if leased.at_once or failed(mirror) else rules.grace
    marked = moment(leased.retiring, float("inf")) if leased.retiring else now - grace
    at = known.memory.since(mirror.id, marked, now) + grace
    why, first = "nothing uses its password any more", leased.at_once == END_FIRST
    rotate = tending(mirror, Tend.ROTATE, Reason.RETIRING, why, absent=absent, even_used=first)
    due = now >= at and not frozen
    decision = Decision(chains=one_by_one(rotate if due else None), wake=(at,), ending=True)
    return Need(f"the static role {leased.role} is rotated", max(at, now), decision=decision)


def _is_stuck(lease: Life, now: float) -> bool:
    return bool(lease.failed) or lease.ends + OVERDUE < now


def _stuck(mirror: Mirror, lease: Life, now: float) -> Need:
    """Report that Vault does not get rid of a credential; the next try is Vault's own affair.

    1. A try has failed, as where the database did not answer in time. Vault waits 14 to 30 s before
       the next one, 50 s before the third, and ever longer. One of these mostly ends the
       credential, and is waited for.
    2. They failed as well, as where its user owns something: that wants somebody.
    3. Vault has given up, after six tries in 10 to 20 minutes (``revoke_error``).
    """
    words = f" ({lease.failed})" if lease.failed else ""
    message = (
        f"Vault cannot end the credential of {mirror.docker_name}{words}: it may still be valid."
        " Vault tries again by itself for some 10 minutes; after that somebody must end it"
    )
    hold = Hold(secret=mirror.secret, reason=Reason.REVOCATION_FAILED, message=message)
    goes_on = not lease.failed and now < lease.ends + TRIED_AGAIN
    return Need("Vault tries again to end it", decision=Decision(holds=(hold,), ending=goes_on))


def clear_up(found: Generation, now: float, *, ends: bool) -> Need:
    """Return what lets go of the custody of a lease that is over, and then notes its end."""
    mirror = found.mirror
    if found.lease and _is_stuck(found.lease, now):
        return _stuck(mirror, found.lease, now)
    if not ends:
        return Need("it is gone in Vault; services leave it")
    foreign = found.custody is not None and found.custody.foreign
    action: TendGeneration | Annotate | None = None
    if found.lease_gone and found.custody and not foreign:
        action = tending(mirror, Tend.RELEASE, Reason.RETIRING, "its lease is over")
    elif found.lease_gone and (found.custody_gone or foreign):
        action = ended(mirror, now, _over(mirror))
    return Need(_GOES, decision=Decision(chains=one_by_one(action), ending=True))


def _over(mirror: Mirror) -> str:
    if mirror.identity.source.has_lease:
        return "its lease and its custody are over"
    return "its static role was rotated"


def ended(mirror: Mirror, now: float, why: str) -> Annotate:
    """Return the note of a generation's end; its Docker secret may go then."""
    return Annotate.on(
        mirror,
        reason=Reason.CREDENTIAL_ENDED,
        why=why,
        put={ENDED: timestamp(now)},
    )
