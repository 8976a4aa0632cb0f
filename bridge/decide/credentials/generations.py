"""Joins what concerns leased credentials: which generations are made, kept and ended in a cycle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bridge.decide.credentials.keep import tend
from bridge.decide.credentials.mint import Due, due_of, with_company, with_mint
from bridge.decide.credentials.needs import Care
from bridge.decide.credentials.stage import (
    Generation,
    Stage,
    forced_from,
    generation_of,
    with_generations,
    with_kv_leases,
)
from bridge.decide.versions.second_look import MANY
from bridge.decide.versions.target import Target
from bridge.model.actions import Tend, TendGeneration, action_key
from bridge.model.conditions import Hold
from bridge.model.desired import Desired, Rollout
from bridge.model.memory import Memory
from bridge.model.reasons import Reason
from bridge.model.timestamps import timestamp
from bridge.model.vault_view import Unreadable
from bridge.model.window import opening_of
from bridge.model.world import World


def generations_by_name(
    instance: str, world: World, memory: Memory, now: float
) -> dict[str, list[Generation]]:
    """Say how each generation of ours stands, newest first, by secret's name.

    Also those from another role, and those of secrets that the configuration no longer has. What
    has no lease, or none that can be read, stands there as ended.
    """
    own: dict[str, list[Generation]] = {}
    for mirror in sorted(world.swarm.mirrors, key=lambda m: m.order, reverse=True):
        if mirror.instance == instance:
            found = generation_of(mirror, world, memory, now)
            own.setdefault(mirror.secret, []).append(found)
    return own


def generations_of(
    target: Target, generations: Mapping[str, Sequence[Generation]]
) -> list[Generation]:
    """Return those that come from where the secret comes from now."""
    current = {mirror.id for mirror in target.mirrors}
    return [g for g in generations.get(target.secret.name, ()) if g.mirror.id in current]


def with_leases(
    desired: Desired,
    targets: Sequence[Target],
    generations: Mapping[str, Sequence[Generation]],
    world: World,
    memory: Memory,
    now: float,
) -> list[Target]:
    """Say for each leased secret which generations may be used and whether one is made."""
    timeout = desired.rollout.timeout
    found = {t.secret.name: generations_of(t, generations) for t in targets if t.secret.leased}
    many = _many_vanished(found.values())
    coming = False
    made: list[Target] = []
    for target in targets:
        name = target.secret.name
        current = found.get(name, [])
        former = {mirror.id for mirror in target.others if mirror.leased}
        left = [g for g in generations.get(name, ()) if g.mirror.id in former]
        urgent = _urgent([*current, *left], timeout, now)
        if target.secret.content.lease:
            held = generations_of(target, generations)
            answer = with_kv_leases(target, held, timeout, now)
        elif target.secret.leased:
            turn = many and (coming or _replacing(found.values(), desired.rollout, memory, now))
            answer = with_generations(target, current)
            answer = with_mint(answer, current, world, memory, desired.rollout, now, in_turn=turn)
            coming = coming or answer.create is not None
        else:
            answer = target
        made.append(replace(answer, urgent=urgent))
    return with_company(made, found, world, memory, desired.rollout, now)


def care_for_leases(
    desired: Desired,
    targets: Sequence[Target],
    generations: Mapping[str, Sequence[Generation]],
    world: World,
    memory: Memory,
    now: float,
    *,
    frozen: bool,
) -> Care:
    """Say what each lease needs, also those of secrets that the configuration no longer has."""
    care = Care()
    by_name = {target.secret.name: target for target in targets}
    every = ((name, [g for g in found if g.mirror.leased]) for name, found in generations.items())
    leased = {name: found for name, found in every if found}
    frozen = frozen or _many_vanished(leased.values())
    for name, found in sorted(leased.items()):
        target = by_name.get(name)
        due: Due | None = None
        if target and target.secret.leased:
            current = generations_of(target, leased)
            due = due_of(target, current, world, desired.rollout, now)
        one = tend(name, target, found, due, world, memory, now, frozen=frozen)
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


def _many_vanished(generations: Iterable[Sequence[Generation]]) -> bool:
    """Tell whether so many leases are gone at once that it is Vault's memory, not somebody."""
    all_of_them: list[Sequence[Generation]] = [found for found in generations if found]
    newest = [next((g for g in found if g.stage != Stage.RETIRING), None) for found in all_of_them]
    gone = [g for g in newest if g and g.stage in (Stage.VANISHED, Stage.DOUBTFUL)]
    return len(gone) >= MANY and len(gone) * 2 >= len(all_of_them)


def _replacing(
    generations: Iterable[Sequence[Generation]], rollout: Rollout, memory: Memory, now: float
) -> bool:
    """Tell whether a generation that replaces a vanished one has yet to become good.

    One that does not in a roll's time may never do so, and others do not wait for it any longer.
    """
    newest = [found[0] for found in generations if found]
    return any(
        g.live and not g.mirror.good and g.mirror.leased and g.mirror.leased.vanished
        for g in newest
        if now < memory.since(g.mirror.id, g.mirror.created, now) + rollout.timeout
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
        if not isinstance(action, TendGeneration) or action.step not in _ENDS:
            continue
        backoff = memory.backoffs.get(action_key(action))
        if backoff and not backoff.passes:
            message = f"{action.summary}: {backoff.message}"
            holds.append(
                Hold(secret=action.secret, reason=Reason.REVOCATION_FAILED, message=message)
            )
    return holds


_ENDS = frozenset((Tend.SHORTEN, Tend.REVOKE, Tend.RELEASE, Tend.ROTATE))


def _unreadable_requests(desired: Desired, world: World) -> list[Hold]:
    """Say where a path that may ask for a rotation cannot be read."""
    holds: list[Hold] = []
    for secret in desired.secrets:
        on = secret.lease.rotate_on
        seen = world.vault.paths.get(on) if on else None
        if isinstance(seen, Unreadable) and not seen.away and seen.reason != Reason.PATH_MISSING:
            holds.append(
                Hold(
                    secret=secret.name,
                    reason=seen.reason,
                    message=f"lease.rotate_on: {seen.message}",
                )
            )
    return holds
