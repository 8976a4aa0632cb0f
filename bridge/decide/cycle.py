"""Joins the answers of the other modules into one plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from bridge.decide.conditions import condition_of, unmapped
from bridge.decide.marks import good_mark, record_upkeep
from bridge.decide.progress import on_trial, progress_of, watched
from bridge.decide.prune import prune
from bridge.decide.roll import pass_gates, roll_chain, stand_of
from bridge.decide.stand import Stand
from bridge.decide.target import Target, find_target
from bridge.decide.wants import want_of
from bridge.model.desired import Desired, DesiredSecret
from bridge.model.memory import Backoff, Memory, Outcome, Result, Watch
from bridge.model.naming import Identity
from bridge.model.plan import Chain, CreateSecret, Hold, KeepVerdict, Plan, RollService, action_key
from bridge.model.reasons import Reason, State
from bridge.model.world import KvDocument, World

_PAUSES = {Result.MOVED: 0.1, Result.UNKNOWN: 1.0, Result.FAILED: 1.0}
"""Seconds before an action is tried for the second time; then twice as long each time."""

LONGEST_BACKOFF = 300.0


def decide(desired: Desired, world: World, memory: Memory, now: float) -> Plan:
    """Say what to do now, what is held and why, and when to look again.

    The same arguments give the same plan; nothing is done and nothing is read here.
    """
    targets = [_target(secret, desired, world, memory, now) for secret in desired.secrets]
    holds: list[Hold] = [target.hold for target in targets if target.hold]
    stands = _stands(desired, targets, world, memory, now)
    holds += _missing_services(targets, world)

    chains: list[Chain] = [(target.create,) for target in targets if target.create]
    chains += _rolls(desired, stands, memory, now)
    for stand in stands:
        chains += [(note,) for note in stand.notes]
        holds += stand.holds
    wake = [at for stand in stands for at in stand.wake]
    wake += [backoff.until for backoff in memory.backoffs.values()]
    for target in targets:
        marks = [*good_mark(target, stands, now), *record_upkeep(target, stands, world.swarm)]
        chains += [(mark,) for mark in marks]
        pruning = prune(target, world.swarm, desired.retain, now)
        chains += [(removal,) for removal in pruning.removals]
        chains += _verdicts(target, world, memory)
        wake += [*pruning.wake, *_deletions(target, world)]
    conditions = [condition_of(target, stands, world, holds) for target in targets]
    conditions += unmapped(desired, world)
    chains = [chain for chain in chains if not _backed_off(chain, memory, now)]
    return Plan(
        tuple(chains),
        tuple(holds),
        tuple(conditions),
        tuple(notice for stand in stands for notice in stand.notices),
        min((at for at in wake if at > now), default=None),
        any(stand.moving for stand in stands)
        or any(s.state == State.ROLLING for c in conditions for s in c.services),
    )


def _target(
    secret: DesiredSecret, desired: Desired, world: World, memory: Memory, now: float
) -> Target:
    """Find a secret's target; a create that failed a moment ago waits and holds nobody up."""
    target = find_target(secret, desired.instance, world, memory, now)
    backoff = memory.backoffs.get(action_key(target.create)) if target.create else None
    if backoff and backoff.until > now:
        name = target.secret.name
        hold = Hold(name, Reason.TRYING_AGAIN, backoff.message, until=backoff.until, waits=True)
        return replace(target, create=None, hold=hold)
    return target


def _stands(
    desired: Desired, targets: Iterable[Target], world: World, memory: Memory, now: float
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
        found = (want_of(service, target, apply_fields=desired.apply_fields) for target in targets)
        wants = [want for want in found if want]
        if wants:
            trial = on_trial(service, world.swarm, desired.instance)
            tasks = world.swarm.tasks_by_service.get(service.id, ())
            progress = progress_of(service, tasks, trial or service.secret_ids)
            stands.append(stand_of(service, wants, tasks, progress, memory, desired.rollout, now))
    failing = frozenset[str]().union(*(stand.failing for stand in stands))
    for stand in stands:
        pass_gates(stand, failing, memory, desired.rollout, now)
    return stands


def _missing_services(targets: Iterable[Target], world: World) -> list[Hold]:
    return [
        Hold(
            target.secret.name,
            Reason.SERVICE_MISSING,
            f"there is no service {mapping.service} in the swarm",
            mapping.service,
        )
        for target in targets
        for mapping in target.secret.services
        if mapping.service not in world.swarm.service_by_name
    ]


def _rolls(desired: Desired, stands: Iterable[Stand], memory: Memory, now: float) -> list[Chain]:
    """Give the turns: never more than ``max_in_flight`` services under way (I7).

    A service that is under way already keeps its place: a newer version goes to it at once.
    """
    stands = tuple(stands)
    free = desired.rollout.max_in_flight - sum(stand.flying for stand in stands)
    chains: list[Chain] = []
    for stand in stands:
        if not stand.ready:
            continue
        if free <= 0 and not stand.flying:
            for want in stand.ready:
                message = f"at most {desired.rollout.max_in_flight} services are rolled at once"
                name = stand.service.name
                stand.hold(Hold(want.name, Reason.WAITING_FOR_TURN, message, name, None, True))
            continue
        chain = roll_chain(stand, memory, now)
        if isinstance(chain, Hold):
            stand.hold(chain)
            continue
        free -= not stand.flying
        chains.append(chain)
        for want in stand.ready:
            to = want.swap.to_name if want.swap else ""
            verb = "goes back" if want.back else "is being rolled"
            stand.say(want, State.ROLLING, chain[-1].reason, f"{verb} to {to}")
    return chains


def _verdicts(target: Target, world: World, memory: Memory) -> list[Chain]:
    """Keep a refusal in the swarm, so that a fresh process knows it; forget it when it is over."""
    name = target.secret.name
    kept = world.swarm.verdicts.get(name)
    ours = memory.verdicts.get(name)
    if ours and ours != kept and ours.identity == target.current:
        return [(KeepVerdict(name, ours, ours.reason, ours.message),)]
    over = (
        kept
        and target.current
        and (kept.identity != target.current or kept.shape != target.secret.content.shape)
    )
    if over:
        return [(KeepVerdict(name, None, Reason.SUPERSEDED, "there is something newer"),)]
    return []


def _deletions(target: Target, world: World) -> list[float]:
    """Tell when versions end by themselves (``delete_version_after``)."""
    document = world.vault.paths[target.secret.source]
    if not isinstance(document, KvDocument):
        return []
    return [v.deletion_time for v in document.versions.values() if v.deletion_time is not None]


def _backed_off(chain: Chain, memory: Memory, now: float) -> bool:
    return any(
        backoff.until > now
        for action in chain
        if (backoff := memory.backoffs.get(action_key(action)))
    )


def remember(
    desired: Desired, memory: Memory, world: World, outcomes: Iterable[Outcome], now: float
) -> Memory:
    """Carry over into the next cycle what only a process can know."""
    verdicts = dict(memory.verdicts)
    backoffs = {key: b for key, b in memory.backoffs.items() if b.until > now - LONGEST_BACKOFF}
    rolls = dict(memory.rolls)
    for outcome in outcomes:
        key = action_key(outcome.action)
        if outcome.result in _PAUSES:
            tries = backoffs[key].tries + 1 if key in backoffs else 1
            pause = min(_PAUSES[outcome.result] * 2.0 ** (tries - 1), LONGEST_BACKOFF)
            backoffs[key] = Backoff(tries, now + pause, outcome.message)
            continue
        backoffs.pop(key, None)
        if outcome.verdict and isinstance(outcome.action, CreateSecret):
            verdicts[outcome.action.secret] = outcome.verdict
        elif isinstance(outcome.action, RollService) and outcome.result == Result.DONE:
            for swap in outcome.action.swaps:
                place = (outcome.action.service_id, swap.to_id)
                rolls[place] = (*rolls.get(place, ())[-9:], now)
    return Memory(
        _seen(desired, memory, world, now),
        _watches(desired, memory, world, now),
        verdicts,
        backoffs,
        rolls,
    )


def _seen(
    desired: Desired, memory: Memory, world: World, now: float
) -> Mapping[str, tuple[Identity, float]]:
    seen: dict[str, tuple[Identity, float]] = {}
    for secret in desired.secrets:
        current = find_target(secret, desired.instance, world, memory, now).current
        known = memory.seen.get(secret.name)
        if current:
            seen[secret.name] = known if known and known[0] == current else (current, now)
        elif known:
            seen[secret.name] = known
    return seen


def _watches(desired: Desired, memory: Memory, world: World, now: float) -> Mapping[str, Watch]:
    """Watch the services that stand on a version which has not become good there yet."""
    watches: dict[str, Watch] = {}
    for service in world.swarm.services:
        trial = on_trial(service, world.swarm, desired.instance)
        known = memory.watches.get(service.id)
        if trial and service.torn and known:
            watches[service.id] = known  # nothing was learned
        elif trial:
            tasks = world.swarm.tasks_by_service.get(service.id, ())
            progress = progress_of(service, tasks, trial)
            watches[service.id] = watched(progress, known, now)
    return watches
