"""What does one cycle hand over to the next, in this process?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bridge.decide.credentials.generations import generations_by_name, generations_of
from bridge.decide.credentials.stage import vanished
from bridge.decide.credentials.usable import with_generations
from bridge.decide.services.gates import FORGOTTEN_AFTER
from bridge.decide.services.progress import on_trial, progress_of, watched
from bridge.decide.situation import Situation
from bridge.decide.versions.second_look import second_look_of
from bridge.decide.versions.target import Target, find_target
from bridge.model.actions import CreateSecret, RollService, TendGeneration, action_key, concerns
from bridge.model.desired import Desired
from bridge.model.identity import Identity
from bridge.model.memory import Backoff, Memory, Outcome, Result, Watch
from bridge.model.reasons import Reason
from bridge.model.verdicts import Verdict
from bridge.model.world import World

_PAUSES = {Result.MOVED: 0.1, Result.UNKNOWN: 1.0, Result.FAILED: 1.0}
"""Seconds before an action is tried for the second time; then twice as long each time."""

LONGEST_BACKOFF = 300.0


def remember(
    desired: Desired, memory: Memory, world: World, outcomes: Iterable[Outcome], now: float
) -> Memory:
    """Return what the next cycle is to know of this one, which only a process can know."""
    known = Situation(desired, world, memory, now)
    outcomes = tuple(outcomes)
    targets = [find_target(s, desired.instance, world, memory, now) for s in desired.secrets]
    generations = generations_by_name(known)
    targets = [
        with_generations(t, generations_of(t, generations)) if t.secret.leased else t
        for t in targets
    ]
    return Memory(
        seen=_seen(targets, memory, now),
        watches=_watches(known),
        verdicts=_verdicts(memory, outcomes),
        backoffs=_backoffs(memory, outcomes, now),
        rolls=_rolls(memory, outcomes, now),
        second_looks={
            t.secret.name: doubt
            for t in targets
            if (doubt := second_look_of(t, memory, world.vault))
        },
        vanished=vanished(known),
        dates=_dates(known),
        met=_met(known),
    )


def _verdicts(memory: Memory, outcomes: Iterable[Outcome]) -> dict[str, Verdict]:
    """Return the content that was refused, by secret's name."""
    refused = {
        outcome.action.secret: outcome.verdict
        for outcome in outcomes
        if outcome.verdict and isinstance(outcome.action, CreateSecret)
    }
    return {**memory.verdicts, **refused}


def _backoffs(memory: Memory, outcomes: Iterable[Outcome], now: float) -> dict[str, Backoff]:
    """Return what failed, with the time of the next try; what was done since is forgotten."""
    backoffs = {key: b for key, b in memory.backoffs.items() if b.until > now - LONGEST_BACKOFF}
    for outcome in outcomes:
        key = action_key(outcome.action)
        if outcome.result in _PAUSES:
            backoffs[key] = _backoff(outcome, backoffs.get(key), now)
        else:
            backoffs.pop(key, None)
    return backoffs


def _rolls(
    memory: Memory, outcomes: Iterable[Outcome], now: float
) -> dict[tuple[str, str], tuple[float, ...]]:
    """Return when each service was moved to each Docker secret: the latest ten times."""
    rolls = {k: times for k, times in memory.rolls.items() if times[-1] > now - FORGOTTEN_AFTER}
    for outcome in outcomes:
        if isinstance(outcome.action, RollService) and outcome.result == Result.DONE:
            for swap in outcome.action.swaps:
                place = (outcome.action.service_id, swap.to_id)
                rolls[place] = (*rolls.get(place, ())[-9:], now)
    return rolls


def _dates(known: Situation) -> Mapping[tuple[str, float], float]:
    """Return when what has a date happened by our clock."""
    events = (event for mirror in known.mirrors for event in mirror.events)
    return known.memory.all_since(events, known.now)


def _met(known: Situation) -> Mapping[tuple[str, float], float]:
    """Return when each update of a service and each Docker secret of ours was seen first."""
    met_at = known.memory.met_at
    own = [(mirror.id, 0.0) for mirror in known.mirrors]
    updates = [(service.id, service.update_started) for service in known.swarm.services]
    return {(owner, date): met_at(owner, known.now, date) for owner, date in (*own, *updates)}


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


def _watches(known: Situation) -> Mapping[str, Watch]:
    """Return how the services are doing that stand on a version which has to prove itself there."""
    watches: dict[str, Watch] = {}
    for service in known.swarm.services:
        trial = on_trial(service, known.swarm, known.instance)
        before = known.memory.watches.get(service.id)
        if trial:
            tasks = known.swarm.tasks_by_service.get(service.id, ())
            progress = progress_of(service, tasks, trial)
            watches[service.id] = watched(service, progress, before, known.now)
        elif before and before.lost and _has_open_record(service.id, known):
            watches[service.id] = before  # it went back, and why has yet to be judged
    return watches


def _has_open_record(service_id: str, known: Situation) -> bool:
    """Return whether a roll of ours is recorded for a service and not closed."""
    begun = known.swarm.open_records.get(service_id, ())
    return any(mirror.instance == known.instance for mirror in begun)
