"""What does each lease need now: to be kept, to be ended, or to be let alone?

It is kept as long as anything may use its credential; ``end`` tells when nothing can.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from bridge.decide.credentials.due import Due
from bridge.decide.credentials.end import (
    absent_users,
    clear_up,
    end_of,
    ended,
    may_end,
    retire,
    rules_of,
)
from bridge.decide.credentials.need import Need, tending
from bridge.decide.credentials.stage import Generation, Stage, renew_lease
from bridge.decide.decision import NOTHING, Decision, one_by_one, total
from bridge.decide.situation import Situation
from bridge.decide.versions.target import Target
from bridge.model.actions import Tend, TendGeneration
from bridge.model.conditions import Hold, LeaseCondition
from bridge.model.leased import Life
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason

RENEW_AT = 2 / 3
"""Part of what was granted that is left when it is renewed, and more by the jitter.

Vault or the bridge may be away for as long without a credential's end: longer than half a lease.
"""

JITTER = 0.1

NEVER_MORE_OFTEN = 1.0
"""Seconds between two renewals of one lease at least, however little Vault grants."""

Kept = tuple[Decision, tuple[LeaseCondition, ...]]
"""What is done about the generations of one secret, and how each stands, oldest first."""


def tend(
    target: Target | None,
    found: Sequence[Generation],
    due: Due | None,
    known: Situation,
    *,
    frozen: bool,
) -> Kept:
    """Return what the generations of one secret need.

    Args:
        target: None where the configuration no longer has the secret: its leases are kept.
        found: All its generations, newest first, also those from another role.
        frozen: Whether nothing may be ended now (I9).
    """
    ends = frozenset[str]()
    if not frozen and not known.swarm.torn:
        ends = may_end(found[0].mirror.secret, target, found, known)
    decisions: list[Decision] = []
    conditions: list[LeaseCondition] = []
    for generation in found:
        if generation.stage == Stage.ENDED:
            continue
        if generation.stage == Stage.ALIVE and generation.mirror.id not in ends:
            need = _keep(generation, due, newest=generation is found[0], now=known.now)
        else:
            ending = generation.mirror.id in ends
            need = _need(generation, target, known, ends=ending, frozen=frozen)
        decisions.append(need.decision)
        conditions.append(_condition(generation, need))
    return total(decisions), tuple(reversed(conditions))


def _need(
    found: Generation, target: Target | None, known: Situation, *, ends: bool, frozen: bool
) -> Need:
    """Return what a generation needs that is not simply kept."""
    mirror, rules = found.mirror, rules_of(target)
    match found.stage:
        case Stage.PROVISIONAL:
            why = f"{mirror.docker_name} is kept in the swarm"
            step, reason = Tend.MAKE_PERMANENT, Reason.CUSTODY_PROVISIONAL
            permanent = tending(mirror, step, reason, why, patience=2.0)
            decision = Decision(chains=one_by_one(permanent))
            return Need("its custody is made permanent", decision=decision)
        case Stage.RETIRING:
            absent = absent_users(mirror, target, known)
            return end_of(found, absent, rules, known, frozen=frozen)
        case Stage.VANISHED:
            return clear_up(found, known.now, ends=ends)
        case Stage.ALIVE:
            return retire(found, absent_users(mirror, target, known), rules, known)
        case _:
            return _let_alone(found, known.now, ends=ends)


def _condition(found: Generation, need: Need) -> LeaseCondition:
    lease, custody, leased = found.lease, found.custody, found.mirror.leased
    return LeaseCondition(
        version=found.mirror.identity.version,
        lease_ends=lease.ends if lease else None,
        custody_ends=custody.ends if custody else None,
        hard_end=found.hard_end,
        next=need.following,
        next_at=need.at,
        because=need.why,
        role=leased.role if leased else "",
        user=leased.user if leased else "",
        static=not found.mirror.identity.source.has_lease,
    )


# --- What is kept ---------------------------------------------------------------------------------


def _keep(found: Generation, due: Due | None, *, newest: bool, now: float) -> Need:
    """Return the renewals of what is alive and may be used, and what comes next."""
    lease_at, renewals = _keep_lease(found, now)
    decision = _keep_custody(found, now) + renewals
    static = not found.mirror.identity.source.has_lease
    if not newest:
        what = "password" if static else "lease"
        return Need(f"its {what} is kept until no task uses it", decision=decision)
    if due:
        moments = (due.at, due.forced_at)
        decision += Decision(wake=tuple(at for at in moments if at and at > now))
        if due.at is not None and not due.open:
            return Need("a new generation is made", max(due.at, now), due.why, decision)
    if static:
        return Need("it is in use", decision=decision)
    return Need("its lease is renewed", lease_at, decision=decision)


def _keep_custody(found: Generation, now: float) -> Decision:
    mirror, custody = found.mirror, found.custody
    if custody and custody.foreign:
        message = (
            f"the accessor that {mirror.docker_name} names is not of a custody of ours (was"
            " `vault.custody` changed?): the lease is kept as long as that lives"
        )
        hold = Hold(secret=mirror.secret, reason=Reason.FOREIGN_LEASE, message=message)
        return Decision(holds=(hold,))
    if custody and custody.period:
        patience, why = _patience(custody, now), "its time has come"
        renew = tending(mirror, Tend.RENEW_CUSTODY, Reason.LEASE_KEPT, why, patience=patience)
        return _renewed(renew, _renew_at(mirror, custody), now)
    return NOTHING


def _keep_lease(found: Generation, now: float) -> tuple[float | None, Decision]:
    """Return when the lease is renewed next, and the renewal where that is now."""
    mirror, lease = found.mirror, found.lease
    at: float | None = None
    decision = NOTHING
    renewable = lease and mirror.identity.source.has_lease
    if lease and renewable and (found.trouble or not _at_its_end(lease, found.longest)):
        at = _renew_at(mirror, lease)
        decision = _renewed(renew_lease(mirror, _patience(lease, now)), at, now)
    if found.trouble:
        message = f"the lease of {mirror.docker_name} is not renewed: {found.trouble}"
        hold = Hold(secret=mirror.secret, reason=Reason.RENEWAL_FAILED, message=message)
        decision += Decision(holds=(hold,))
    return at, decision


def _renewed(renewal: TendGeneration, at: float, now: float) -> Decision:
    return Decision(chains=one_by_one(renewal)) if now >= at else Decision(wake=(at,))


def _patience(life: Life, now: float) -> float:
    """Return the longest pause between two tries to renew what ends."""
    return max(1.0, (life.ends - now) / 8)


def _at_its_end(lease: Life, longest: float | None) -> bool:
    """Return whether a renewal gives nothing more, and might cut what there is.

    That a renewal gave little once is no proof: the role may have been given more since.
    """
    return longest is not None and lease.ends >= longest - NEVER_MORE_OFTEN


def _renew_at(mirror: Mirror, life: Life) -> float:
    """Return when something is renewed: jittered by who it is, so that not all come at once."""
    digest = hashlib.sha256(mirror.id.encode()).digest()
    part = RENEW_AT + JITTER * digest[0] / 255
    given = life.ends - life.granted
    return max(life.ends - life.granted * part, given + NEVER_MORE_OFTEN)


def _let_alone(found: Generation, now: float, *, ends: bool) -> Need:
    """Touch nothing that is not known, or not ours."""
    mirror = found.mirror
    if found.stage != Stage.FOREIGN:
        return Need("it is looked up again")
    if ends:
        why = "what it names is not ours, and nothing uses it"
        over = Decision(chains=one_by_one(ended(mirror, now, why)))
        return Need("its Docker secret is removed", decision=over)
    message = f"{mirror.docker_name} names a token that is no custody of ours: nothing is touched"
    if found.unknown:
        message = found.unknown.message
    hold = Hold(secret=mirror.secret, reason=Reason.FOREIGN_LEASE, message=message)
    return Need("nothing, since it is not ours", decision=Decision(holds=(hold,)))
