"""Joins the answers of the other modules into one plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from bridge.decide.credentials.generations import care_for_leases, generations_by_name, with_leases
from bridge.decide.refusals import seen_in_vault, show_troubles, troubles
from bridge.decide.services.file_fields import (
    FieldsAsked,
    carry_out_fields,
    fields_asked,
    refused_fields,
)
from bridge.decide.services.gates import Halt, trying_again
from bridge.decide.services.judge import pass_gates, roll_chain, stand_of
from bridge.decide.services.limits import approvals_over, hold_what_is_too_much
from bridge.decide.services.progress import on_trial, progress_of
from bridge.decide.services.state import Stand
from bridge.decide.services.unstarted import block_upkeep
from bridge.decide.services.wants import want_of
from bridge.decide.summary import condition_of, unmapped, with_care
from bridge.decide.versions.content_change import changed_contents
from bridge.decide.versions.marks import (
    gone_marks,
    good_mark,
    outlived_marks,
    record_upkeep,
    unused_marks,
)
from bridge.decide.versions.operators import carry_out, forget, say_refusal, wishes_for_nothing
from bridge.decide.versions.prune import prune
from bridge.decide.versions.second_look import many_missing, with_doubt
from bridge.decide.versions.target import Target, find_target, missing_service
from bridge.decide.versions.unread import not_understood, unread_service, with_unread
from bridge.model.actions import Chain, NoteState, action_key
from bridge.model.conditions import Hold
from bridge.model.desired import Desired
from bridge.model.labels import REFUSED
from bridge.model.memory import Backoff, Memory
from bridge.model.mirror import Mirror
from bridge.model.plan import Plan
from bridge.model.reasons import Reason, State
from bridge.model.vault_view import KvDocument
from bridge.model.wishes import Approval
from bridge.model.world import World

LONGEST_ELECTION = 20.0
"""Seconds for which a write whose answer was lost may yet be carried out (seen: 10 to 16)."""


def decide(desired: Desired, world: World, memory: Memory, now: float) -> Plan:
    """Say what to do now, what is held and why, and when to look again.

    The same arguments give the same plan; nothing is done and nothing is read here.
    """
    first, lost = _state(desired, world)
    found = [find_target(s, desired.instance, world, memory, now) for s in desired.secrets]
    frozen = many_missing(found) is not None
    targets = [with_doubt(target, memory, world.vault) for target in found]
    generations = generations_by_name(desired.instance, world, memory, now)
    targets = with_leases(desired, targets, generations, world, memory, now)
    targets = [with_unread(target, world.swarm) for target in targets]
    wanted = targets
    targets = [_target(target, memory, now) for target in targets]
    care = care_for_leases(desired, targets, generations, world, memory, now, frozen=frozen)
    missing = many_missing(targets)
    holds: list[Hold] = [missing] if missing else []
    holds += [target.hold for target in targets if target.hold]
    wishes = {t.secret.name: chain for t in targets if (chain := carry_out(t, world, now))}
    halt = Halt(
        pauses=world.swarm.pauses,
        wished=frozenset(wishes),
        state_lost=lost,
        nodes=world.swarm.nodes,
    )
    fields = fields_asked(desired, targets, world.swarm)
    stands = _stands(desired, targets, fields, world, memory, halt, now)
    holds += [*care.holds, *not_understood(world.swarm)]
    holds += _missing_services(targets, world)
    refusals = (say_refusal(target.secret.name, world.swarm) for target in targets)
    holds += [*(refusal for refusal in refusals if refusal), *refused_fields(fields, world.swarm)]

    chains = [*care.chains, *wishes.values(), *carry_out_fields(fields, stands, world.swarm)]
    creates = [target.create for target in targets if target.create]
    chains += [(first, *creates)] if first and creates else [(create,) for create in creates]
    chains += _rolls(desired, stands, world.swarm.approvals, memory, now)
    for stand in stands:
        chains += [(note,) for note in stand.notes]
        chains += [(stand.hung,)] if stand.hung else []
        holds += stand.holds
    wake = [at for stand in stands for at in stand.wake]
    wake += [*care.wake, *(backoff.until for backoff in memory.backoffs.values())]
    wake += [target.hold.until for target in targets if target.hold and target.hold.until]
    for target in targets:
        marks = [
            *good_mark(target, stands, world.swarm, now),
            *record_upkeep(target, stands, world.swarm),
            *outlived_marks(target, now),
            *unused_marks(target, world.swarm, now),
            *block_upkeep(target, stands, world.swarm),
        ]
        chains += [(mark,) for mark in marks]
        pruning = prune(target, world.swarm, desired.retain, now)
        chains += [(removal,) for removal in pruning.removals if not frozen]
        chains += _verdicts(target, world, memory)
        chains += approvals_over(target, world.swarm.approvals)
        wake += [*pruning.wake, *_deletions(target, world)]
    conditions = [condition_of(target, stands, world, holds) for target in targets]
    conditions += unmapped(desired, world)
    conditions = [with_care(condition, care) for condition in conditions]
    chains += [*_let_go(desired, world), *gone_marks(desired.instance, world.swarm)]
    inferred = world.vault.inferred
    conditions, known = show_troubles(conditions, holds, world.swarm, inferred=inferred)
    holds += known
    names = frozenset(secret.name for secret in desired.secrets)
    refused = troubles(names, chains, world, memory, now)
    waiting = [backoff for chain in chains for backoff in _backoffs(chain, memory, now)]
    chains = [chain for chain in chains if not any(_backoffs(chain, memory, now))]
    return Plan(
        chains=tuple(chains),
        holds=tuple(holds),
        conditions=tuple(conditions),
        notices=(*(n for stand in stands for n in stand.notices), *changed_contents(targets)),
        wake_at=min((at for at in wake if at > now), default=None),
        rolling=care.ending
        or any(stand.moving for stand in stands)
        or any(backoff.passes for backoff in waiting)
        or any(s.state == State.ROLLING for c in conditions for s in c.services),
        doubtful=any(t.hold and t.hold.reason == Reason.LOOKING_AGAIN for t in targets)
        or any(h.reason == Reason.LOOKING_AGAIN for t in targets for h in t.unproven.values()),
        troubles=refused,
        seen=seen_in_vault(wanted, world.vault),
    )


def _state(desired: Desired, world: World) -> tuple[NoteState | None, bool]:
    """Say whether the state config is to be made, and whether it was lost.

    It is made in one chain with the very first mirrors. Where there are mirrors and it is gone, so
    are pauses: then everything is held, since losing it must not let anything go on.
    """
    if world.swarm.has_state:
        return None, False
    if any(mirror.instance == desired.instance for mirror in world.swarm.mirrors):
        return None, True
    return NoteState("", {}, {}, Reason.NEW_VERSION, "it is new"), False


def _let_go(desired: Desired, world: World) -> list[Chain]:
    """Carry out what is wished for names that the configuration does not have."""
    configured = {secret.name for secret in desired.secrets}
    own: dict[str, tuple[Mirror, ...]] = {}
    for mirror in world.swarm.mirrors:
        if mirror.instance == desired.instance and mirror.secret not in configured:
            own[mirror.secret] = (*own.get(mirror.secret, ()), mirror)
    chains: list[Chain] = [
        (removal,) for name in sorted(own) for removal in forget(name, own[name], world.swarm)
    ]
    return chains + wishes_for_nothing(frozenset(configured | own.keys()), world.swarm)


def _target(target: Target, memory: Memory, now: float) -> Target:
    """Let a create that failed a moment ago wait for its time."""
    backoff = memory.backoffs.get(action_key(target.create)) if target.create else None
    if backoff and backoff.until > now:
        hold = trying_again(target.secret.name, "", backoff)
        return replace(target, create=None, hold=hold)
    return target


def _stands(
    desired: Desired,
    targets: Iterable[Target],
    fields: FieldsAsked,
    world: World,
    memory: Memory,
    halt: Halt,
    now: float,
) -> list[Stand]:
    """Judge each service that has to do with a secret of ours, in the configuration's order."""
    order: dict[str, None] = {}
    for target in targets:
        for mapping in target.secret.services:
            service = world.swarm.service_by_name.get(mapping.service)
            if service:
                order[service.id] = None
    for service in sorted(world.swarm.services, key=lambda service: service.name):
        order[service.id] = None
    stands: list[Stand] = []
    for service_id in order:
        service = world.swarm.service_by_id[service_id]
        found = (
            want_of(service, target, world.swarm, apply_fields=target.secret.name in fields.names)
            for target in targets
        )
        wants = [want for want in found if want]
        if wants:
            trial = on_trial(service, world.swarm, desired.instance)
            tasks = world.swarm.tasks_by_service.get(service.id, ())
            progress = progress_of(service, tasks, trial or service.secret_ids)
            stand = stand_of(
                service, wants, tasks, progress, memory, desired.rollout, now, halt.nodes
            )
            stands.append(stand)
    alive = frozenset(service.id for service in world.swarm.services)
    alive |= {unread.id for unread in world.swarm.unread}
    failing = frozenset[str]().union(*(stand.failing for stand in stands))
    halt = replace(halt, failing=failing, alive=alive)
    for stand in stands:
        pass_gates(stand, halt, memory, desired.rollout, now)
    return stands


def _missing_services(targets: Iterable[Target], world: World) -> list[Hold]:
    return [
        unread_service(target.secret.name, mapping.service, world.swarm)
        or Hold(
            secret=target.secret.name,
            reason=Reason.SERVICE_MISSING,
            message=missing_service(mapping.service, world.swarm),
            service=mapping.service,
        )
        for target in targets
        for mapping in target.secret.services
        if mapping.service not in world.swarm.service_by_name
    ]


def _rolls(
    desired: Desired,
    stands: Iterable[Stand],
    approvals: Mapping[str, Approval],
    memory: Memory,
    now: float,
) -> list[Chain]:
    """Give the turns: never more than ``max_in_flight`` services under way (I7).

    A service that is under way already keeps its place: a newer version goes to it at once. What
    goes back goes before what begins: it has failed, or is blocked, and its place is free.

    Its way back may be blocked as well, and free its place for another; then the engine starts it
    after all, and more services are under way than should be. None of them gets anything newer
    until enough have converged or failed; what goes back does not wait for that.
    """
    stands = sorted(stands, key=lambda stand: not any(want.back for want in stand.ready))
    hold_what_is_too_much(stands, approvals, desired.max_services)
    sent = [stand for stand in stands if not stand.flying and _may_be_sent(stand, memory, now)]
    most, placed = desired.rollout.max_in_flight, sum(stand.flying for stand in stands) + len(sent)
    free = most - placed
    chains: list[Chain] = []
    for stand in stands:
        if not stand.ready:
            continue
        has_place = stand.flying or stand in sent
        too_many = free < 0 and has_place and not any(want.back for want in stand.ready)
        if too_many or (free <= 0 and not has_place):
            under_way = f", and {placed} services are under way" if too_many else ""
            for want in stand.ready:
                message = f"it is not its turn: max_in_flight is {most}{under_way}"
                name = stand.service.name
                stand.hold(
                    Hold(
                        secret=want.name,
                        reason=Reason.WAITING_FOR_TURN,
                        message=message,
                        service=name,
                        until=None,
                        waits=True,
                    )
                )
            continue
        chain = roll_chain(stand, memory, now)
        if isinstance(chain, Hold):
            stand.hold(chain)
            continue
        free -= not has_place
        chains.append(chain)
        for want in stand.ready:
            to = want.swap.to_name if want.swap else ""
            verb = "goes back" if want.back else "is being rolled"
            stand.say(want, State.ROLLING, chain[-1].reason, f"{verb} to {to}")
    return chains


def _may_be_sent(stand: Stand, memory: Memory, now: float) -> bool:
    """Tell whether an update of the service may yet come true whose answer was lost (I13)."""
    place = f"roll {stand.service.id} "
    unknown = (b.until for k, b in memory.backoffs.items() if b.unknown and k.startswith(place))
    return any(now < until + LONGEST_ELECTION for until in unknown)


def _verdicts(target: Target, world: World, memory: Memory) -> list[Chain]:
    """Keep a refusal in the swarm, so that a fresh process knows it; forget it when it is over."""
    name = target.secret.name
    kept = world.swarm.verdicts.get(name)
    ours = memory.verdicts.get(name)
    if ours and ours != kept and ours.identity == target.current:
        put = {f"{REFUSED}{name}": ours.write()}
        return [(NoteState(name, put, {}, ours.reason, f"{name} is refused: {ours.message}"),)]
    over = (
        kept
        and target.current
        and (kept.identity != target.current or kept.shape != target.secret.content.shape)
    )
    if kept and over:
        drop = {f"{REFUSED}{name}": kept.write()}
        why = f"{name} has something newer than what was refused"
        return [(NoteState(name, {}, drop, Reason.SUPERSEDED, why),)]
    return []


def _deletions(target: Target, world: World) -> list[float]:
    """Tell when versions end by themselves (``delete_version_after``)."""
    document = world.vault.paths[target.secret.source]
    if not isinstance(document, KvDocument):
        return []
    return [v.deletion_time for v in document.versions.values() if v.deletion_time is not None]


def _backoffs(chain: Chain, memory: Memory, now: float) -> list[Backoff]:
    """Return what an earlier failure of a chain's actions makes it wait for."""
    known = (memory.backoffs.get(action_key(action)) for action in chain)
    return [backoff for backoff in known if backoff and backoff.until > now]
