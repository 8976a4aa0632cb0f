"""What does each leased credential need: to be made, kept, or ended?

1. ``stage``: where is each generation in its life?
2. ``usable``: which of them may services use?
3. ``due``, ``replacing``, ``mint``: is a new one made now, and which?
4. ``keep``, ``end``: what does each need, until its end?
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.decide.credentials.due import Due, due_of
from bridge.decide.credentials.keep import tend
from bridge.decide.credentials.replacing import with_company, with_mint
from bridge.decide.credentials.stage import Generation, Stage, forced_from, generation_of
from bridge.decide.credentials.usable import with_generations, with_kv_leases
from bridge.decide.decision import Decision, total
from bridge.decide.situation import Situation
from bridge.decide.versions.second_look import MANY
from bridge.decide.versions.target import Target
from bridge.model.actions import Tend, TendGeneration, action_key
from bridge.model.conditions import Hold, LeaseCondition
from bridge.model.mirror import by_order
from bridge.model.reasons import Reason
from bridge.model.timestamps import timestamp
from bridge.model.vault_view import Unreadable
from bridge.model.window import opening_of

Generations = Mapping[str, Sequence[Generation]]
"""The generations of each secret, newest first, by the secret's name."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the leased credentials need.

    Attributes:
        conditions: How each generation stands, by secret's name.
    """

    decision: Decision
    conditions: Mapping[str, tuple[LeaseCondition, ...]]


def generations_by_name(known: Situation) -> dict[str, list[Generation]]:
    """Return where each generation of ours is in its life.

    Also those from another role, and those of secrets that the configuration no longer has. Of a
    leased secret, what has no lease, or none that can be read, counts as ended.
    """
    leased = {s.name for s in known.desired.secrets if s.leased or s.content.lease}
    mirrors = [m for m in known.mirrors if m.leased or m.secret in leased]
    own: dict[str, list[Generation]] = {}
    for mirror in sorted(mirrors, key=by_order, reverse=True):
        own.setdefault(mirror.secret, []).append(generation_of(mirror, known))
    return own


def generations_of(target: Target, generations: Generations) -> list[Generation]:
    """Return those that come from where the secret comes from now."""
    found = generations.get(target.secret.name, ())
    current = {mirror.id for mirror in target.mirrors} if found else set()
    return [generation for generation in found if generation.mirror.id in current]


def with_leases(
    targets: Sequence[Target], generations: Generations, known: Situation
) -> list[Target]:
    """Return the targets with the generations that may be used, and those that are made."""
    found = {t.secret.name: generations_of(t, generations) for t in targets if t.secret.leased}
    in_turn = _many_vanished(found.values())
    coming = in_turn and _replacing(found.values(), known)
    made: list[Target] = []
    for target in targets:
        answer = target
        current = found.get(target.secret.name, [])
        if target.secret.content.lease:
            answer = with_kv_leases(target, generations_of(target, generations), known)
        elif target.secret.leased:
            answer = with_generations(target, current)
            answer = with_mint(answer, current, known, in_turn=in_turn and coming)
            coming = coming or answer.create is not None
        urgent = _urgent([*current, *_former(target, generations)], known)
        made.append(replace(answer, urgent=urgent) if urgent else answer)
    return with_company(made, found, known)


def _former(target: Target, generations: Generations) -> list[Generation]:
    """Return those that come from where the secret came from before."""
    former = {mirror.id for mirror in target.others if mirror.leased}
    if not former:
        return []
    return [g for g in generations.get(target.secret.name, ()) if g.mirror.id in former]


def look_after_leases(
    targets: Sequence[Target], generations: Generations, known: Situation, *, frozen: bool
) -> Credentials:
    """Return what each lease needs, also those of secrets that the configuration no longer has.

    Args:
        frozen: Whether much is gone in Vault at once, so that nothing is ended (I9).
    """
    by_name = {target.secret.name: target for target in targets}
    every = ((name, [g for g in found if g.mirror.leased]) for name, found in generations.items())
    leased = {name: found for name, found in every if found}
    frozen = frozen or _many_vanished(leased.values())
    conditions: dict[str, tuple[LeaseCondition, ...]] = {}
    decisions: list[Decision] = []
    for name, found in sorted(leased.items()):
        target = by_name.get(name)
        due: Due | None = None
        if target and target.secret.leased:
            due = due_of(target, generations_of(target, leased), known)
        one, conditions[name] = tend(target, found, due, known, frozen=frozen)
        decisions.append(one)
    decision = total(decisions)
    opening = opening_of(known.rollout.windows, known.now)
    decision += Decision(
        holds=(*_unreadable_requests(known), *_refused_ends(decision, known)),
        wake=() if opening is None else (opening,),
    )
    return Credentials(decision, conditions)


def _many_vanished(generations: Iterable[Sequence[Generation]]) -> bool:
    """Return whether so many leases are gone at once that Vault was restored, or is empty."""
    all_of_them: list[Sequence[Generation]] = [found for found in generations if found]
    newest = [next((g for g in found if g.stage != Stage.RETIRING), None) for found in all_of_them]
    gone = [g for g in newest if g and g.stage in (Stage.VANISHED, Stage.DOUBTFUL)]
    return len(gone) >= MANY and len(gone) * 2 >= len(all_of_them)


def _replacing(generations: Iterable[Sequence[Generation]], known: Situation) -> bool:
    """Return whether a generation that replaces a vanished one has yet to become good.

    One that does not in a roll's time may never do so, and others do not wait for it any longer.
    """
    newest = [found[0] for found in generations if found]
    timeout, since = known.rollout.timeout, known.memory.since
    return any(
        g.live and not g.mirror.good and g.mirror.leased and g.mirror.leased.vanished
        for g in newest
        if known.now < since(g.mirror.id, g.mirror.created, known.now) + timeout
    )


def _urgent(found: Sequence[Generation], known: Situation) -> dict[str, str]:
    """Return why services must leave a generation now, whatever windows and limits hold."""
    urgent: dict[str, str] = {}
    for generation in found:
        mirror, forced = generation.mirror, forced_from(generation, known.rollout.timeout)
        if generation.stage in (Stage.VANISHED, Stage.RETIRING, Stage.ENDED):
            urgent[mirror.id] = f"the credential of {mirror.docker_name} is over"
        elif forced is not None and known.now >= forced and generation.hard_end is not None:
            when = timestamp(generation.hard_end)
            urgent[mirror.id] = f"the credential of {mirror.docker_name} ends at {when}"
    return urgent


_ENDS = frozenset((Tend.SHORTEN, Tend.REVOKE, Tend.RELEASE, Tend.ROTATE))


def _refused_ends(decision: Decision, known: Situation) -> list[Hold]:
    """Return a hold where Vault refuses to end a credential; a renewal is reported with its due."""
    holds: list[Hold] = []
    for chain in decision.chains:
        action = chain[-1]
        if not isinstance(action, TendGeneration) or action.step not in _ENDS:
            continue
        backoff = known.memory.backoffs.get(action_key(action))
        if backoff and not backoff.passes:
            message = f"{action.summary}: {backoff.message}"
            hold = Hold(secret=action.secret, reason=Reason.REVOCATION_FAILED, message=message)
            holds.append(hold)
    return holds


def _unreadable_requests(known: Situation) -> list[Hold]:
    """Return a hold for each path that may ask for a rotation and cannot be read."""
    holds: list[Hold] = []
    for secret in known.desired.secrets:
        on = secret.lease.rotate_on
        seen = known.vault.paths.get(on) if on else None
        if isinstance(seen, Unreadable) and not seen.away and seen.reason != Reason.PATH_MISSING:
            message = f"lease.rotate_on: {seen.message}"
            holds.append(Hold(secret=secret.name, reason=seen.reason, message=message))
    return holds
