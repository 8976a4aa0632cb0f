"""Joins what concerns leased credentials: which generations are made, kept and ended in a cycle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bridge.decide.care import Care
from bridge.decide.custody import tend
from bridge.decide.doubt import MANY
from bridge.decide.generation import (
    Generation,
    Stage,
    forced_from,
    generation_of,
    with_generations,
    with_kv_leases,
)
from bridge.decide.mint import Due, due_of, with_company, with_mint
from bridge.decide.target import Target
from bridge.model.desired import Desired, Rollout
from bridge.model.memory import Memory
from bridge.model.mirror import Mirror
from bridge.model.naming import timestamp
from bridge.model.plan import Hold, Tend, TendGeneration, action_key
from bridge.model.reasons import Reason
from bridge.model.window import opening_of
from bridge.model.world import Unreadable, World


def with_leases(
    desired: Desired, targets: Sequence[Target], world: World, memory: Memory, now: float
) -> list[Target]:
    """Say for each leased secret which generations may be used and whether one is made."""
    found = {t.secret.name: _generations(t, world, memory, now) for t in targets}
    many = _many_vanished(found.values())
    targets = [
        with_generations(target, world, memory, now) if target.secret.leased else target
        for target in targets
    ]
    coming = False
    made: list[Target] = []
    for target in targets:
        own = found[target.secret.name]
        left = [generation_of(m, world, memory, now) for m in target.others if m.leased]
        urgent = _urgent([*own, *left], desired.rollout.timeout, now)
        if target.secret.content.lease:
            timeout = desired.rollout.timeout
            found_kv = with_kv_leases(target, world, memory, timeout, now)
            made.append(replace(found_kv, urgent=urgent))
            continue
        if not target.secret.leased:
            made.append(replace(target, urgent=urgent))
            continue
        turn = many and (coming or _replacing(found.values(), desired.rollout, now))
        answer = with_mint(target, own, world, desired.rollout, now, in_turn=turn)
        coming = coming or answer.create is not None
        made.append(replace(answer, urgent=urgent))
    return with_company(made, found, world, desired.rollout, now)


def care_for_leases(
    desired: Desired,
    targets: Sequence[Target],
    world: World,
    memory: Memory,
    now: float,
    *,
    frozen: bool,
) -> Care:
    """Say what each lease needs, also those of secrets that the configuration no longer has."""
    care = Care()
    by_name = {target.secret.name: target for target in targets}
    own: dict[str, list[Mirror]] = {}
    for mirror in world.swarm.mirrors:
        if mirror.instance == desired.instance and mirror.leased:
            own.setdefault(mirror.secret, []).append(mirror)
    generations = {
        name: [
            generation_of(mirror, world, memory, now)
            for mirror in sorted(mirrors, key=lambda m: m.identity.order, reverse=True)
        ]
        for name, mirrors in own.items()
    }
    frozen = frozen or _many_vanished(generations.values())
    for name, found in sorted(generations.items()):
        target = by_name.get(name)
        due: Due | None = None
        if target and target.secret.leased:
            current = [g for g in found if g.mirror in target.mirrors]
            due = due_of(target, current, world, desired.rollout, now)
        one = tend(name, target, found, due, world, now, frozen=frozen)
        care.chains += one.chains
        care.holds += one.holds
        care.wake += one.wake
        care.conditions |= one.conditions
        care.ending = care.ending or one.ending
    care.holds += _unreadable_requests(desired, world)
    care.holds += _refused_ends(care, memory)
    opening = opening_of(desired.rollout.windows, now)
    care.wake += [] if opening is None else [opening]
    return care


def _generations(target: Target, world: World, memory: Memory, now: float) -> list[Generation]:
    if not target.secret.leased:
        return []
    return [generation_of(mirror, world, memory, now) for mirror in target.mirrors]


def _many_vanished(generations: Iterable[Sequence[Generation]]) -> bool:
    """Tell whether so many leases are gone at once that it is Vault's memory, not somebody."""
    all_of_them: list[Sequence[Generation]] = [found for found in generations if found]
    newest = [next((g for g in found if g.stage != Stage.RETIRING), None) for found in all_of_them]
    gone = [g for g in newest if g and g.stage in (Stage.VANISHED, Stage.DOUBTFUL)]
    return len(gone) >= MANY and len(gone) * 2 >= len(all_of_them)


def _replacing(generations: Iterable[Sequence[Generation]], rollout: Rollout, now: float) -> bool:
    """Tell whether a generation that replaces a vanished one has yet to become good.

    One that does not in a roll's time may never do so, and others do not wait for it any longer.
    """
    newest = [found[0] for found in generations if found]
    return any(
        g.live and not g.mirror.good and g.mirror.leased and g.mirror.leased.vanished
        for g in newest
        if now < g.mirror.created + rollout.timeout
    )


def _urgent(found: Sequence[Generation], timeout: float, now: float) -> dict[str, str]:
    """Say why services must leave a generation now, whatever windows and limits say."""
    urgent: dict[str, str] = {}
    for generation in found:
        mirror, forced = generation.mirror, forced_from(generation, timeout)
        if generation.stage in (Stage.VANISHED, Stage.RETIRING, Stage.ENDED):
            urgent[mirror.id] = f"the credential of {mirror.docker_name} is over"
        elif forced is not None and now >= forced and generation.hard_end is not None:
            when = timestamp(generation.hard_end)
            urgent[mirror.id] = f"the credential of {mirror.docker_name} ends at {when}"
    return urgent


def _refused_ends(care: Care, memory: Memory) -> list[Hold]:
    """Say where Vault refuses to end what is to be ended; a renewal is told of where it is due."""
    holds: list[Hold] = []
    for chain in care.chains:
        action = chain[-1]
        backoff = memory.backoffs.get(action_key(action))
        ends = isinstance(action, TendGeneration) and action.step in _ENDS
        if backoff and not backoff.passes and ends and isinstance(action, TendGeneration):
            message = f"{action.summary}: {backoff.message}"
            holds.append(Hold(action.secret, Reason.REVOCATION_FAILED, message))
    return holds


_ENDS = frozenset((Tend.SHORTEN, Tend.REVOKE, Tend.RELEASE, Tend.ROTATE))


def _unreadable_requests(desired: Desired, world: World) -> list[Hold]:
    """Say where a path that may ask for a rotation cannot be read."""
    holds: list[Hold] = []
    for secret in desired.secrets:
        on = secret.lease.rotate_on
        seen = world.vault.paths.get(on) if on else None
        if isinstance(seen, Unreadable) and not seen.away and seen.reason != Reason.PATH_MISSING:
            holds.append(Hold(secret.name, seen.reason, f"lease.rotate_on: {seen.message}"))
    return holds
