"""What does one cycle tell the next, in this process?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bridge.decide.credentials.generations import generations_by_name, generations_of
from bridge.decide.credentials.stage import vanished, with_generations
from bridge.decide.services.gates import FORGOTTEN_AFTER
from bridge.decide.services.progress import on_trial, progress_of, watched
from bridge.decide.versions.second_look import doubt_of
from bridge.decide.versions.target import Target, find_target
from bridge.model.actions import CreateSecret, RollService, TendGeneration, action_key, concerns
from bridge.model.desired import Desired
from bridge.model.identity import Identity
from bridge.model.memory import Backoff, Memory, Outcome, Result, Watch
from bridge.model.reasons import Reason
from bridge.model.world import World

_PAUSES = {Result.MOVED: 0.1, Result.UNKNOWN: 1.0, Result.FAILED: 1.0}
"""Seconds before an action is tried for the second time; then twice as long each time."""

LONGEST_BACKOFF = 300.0


def remember(
    desired: Desired, memory: Memory, world: World, outcomes: Iterable[Outcome], now: float
) -> Memory:
    """Carry over into the next cycle what only a process can know."""
    verdicts = dict(memory.verdicts)
    backoffs = {key: b for key, b in memory.backoffs.items() if b.until > now - LONGEST_BACKOFF}
    rolls = {k: times for k, times in memory.rolls.items() if times[-1] > now - FORGOTTEN_AFTER}
    for outcome in outcomes:
        key = action_key(outcome.action)
        if outcome.result in _PAUSES:
            backoffs[key] = _backoff(outcome, backoffs.get(key), now)
            continue
        backoffs.pop(key, None)
        if outcome.verdict and isinstance(outcome.action, CreateSecret):
            verdicts[outcome.action.secret] = outcome.verdict
        elif isinstance(outcome.action, RollService) and outcome.result == Result.DONE:
            for swap in outcome.action.swaps:
                place = (outcome.action.service_id, swap.to_id)
                rolls[place] = (*rolls.get(place, ())[-9:], now)
    targets = [find_target(s, desired.instance, world, memory, now) for s in desired.secrets]
    generations = generations_by_name(desired.instance, world, memory, now)
    targets = [
        with_generations(t, generations_of(t, generations)) if t.secret.leased else t
        for t in targets
    ]
    return Memory(
        seen=_seen(targets, memory, now),
        watches=_watches(desired, memory, world, now),
        verdicts=verdicts,
        backoffs=backoffs,
        rolls=rolls,
        doubts={
            t.secret.name: doubt for t in targets if (doubt := doubt_of(t, memory, world.vault))
        },
        vanished=vanished(world, memory),
        dates=_dates(desired.instance, memory, world, now),
        met=_met(desired.instance, memory, world, now),
    )


def _dates(
    instance: str, memory: Memory, world: World, now: float
) -> Mapping[tuple[str, float], float]:
    """Note when what has a date happened by our clock."""
    own = (mirror for mirror in world.swarm.mirrors if mirror.instance == instance)
    return {
        (mirror.id, date): memory.since(mirror.id, date, now)
        for mirror in own
        for date in mirror.dates
    }


def _met(
    instance: str, memory: Memory, world: World, now: float
) -> Mapping[tuple[str, float], float]:
    """Note when each update of a service and each Docker secret of ours was seen first."""
    own = [(mirror.id, 0.0) for mirror in world.swarm.mirrors if mirror.instance == instance]
    updates = [(service.id, service.update_started) for service in world.swarm.services]
    return {(owner, date): memory.met_at(owner, now, date) for owner, date in (*own, *updates)}


def _backoff(outcome: Outcome, before: Backoff | None, now: float) -> Backoff:
    tries = before.tries + 1 if before else 1
    pause = min(_PAUSES[outcome.result] * 2.0 ** (tries - 1), LONGEST_BACKOFF)
    if isinstance(outcome.action, TendGeneration) and outcome.action.patience:
        pause = min(pause, outcome.action.patience)  # a lease does not wait
    unknown = outcome.result == Result.UNKNOWN
    passes = outcome.result != Result.FAILED or outcome.reason == Reason.VAULT_UNREACHABLE
    secrets, service = concerns(outcome.action)
    return Backoff(
        tries=tries,
        until=now + pause,
        message=outcome.message,
        reason=outcome.reason,
        passes=passes,
        unknown=unknown,
        secrets=secrets,
        service=service,
    )


def _seen(
    targets: Iterable[Target], memory: Memory, now: float
) -> Mapping[str, tuple[Identity, float]]:
    seen: dict[str, tuple[Identity, float]] = {}
    for target in targets:
        name, current = target.secret.name, target.current
        known = memory.seen.get(name)
        if current:
            seen[name] = known if known and known[0] == current else (current, now)
        elif known:
            seen[name] = known
    return seen


def _watches(desired: Desired, memory: Memory, world: World, now: float) -> Mapping[str, Watch]:
    """Watch the services that stand on a version which has not become good there yet."""
    watches: dict[str, Watch] = {}
    for service in world.swarm.services:
        trial = on_trial(service, world.swarm, desired.instance)
        before = memory.watches.get(service.id)
        if trial:
            tasks = world.swarm.tasks_by_service.get(service.id, ())
            progress = progress_of(service, tasks, trial)
            watches[service.id] = watched(service, progress, before, now)
        elif before and before.lost and _has_open_record(service.id, world, desired.instance):
            watches[service.id] = before  # it was taken back, and why has yet to be judged
    return watches


def _has_open_record(service_id: str, world: World, instance: str) -> bool:
    begun = world.swarm.open_records.get(service_id, ())
    return any(mirror.instance == instance for mirror in begun)
