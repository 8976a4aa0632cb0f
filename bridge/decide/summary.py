"""How is each secret doing, in one state and one reason, and the plan in sum?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bridge.decide.backoffs import backoffs_of
from bridge.decide.credentials.generations import Credentials
from bridge.decide.decision import Decision
from bridge.decide.refusals import refusals, seen_in_vault, show_refusals
from bridge.decide.services.move import Services
from bridge.decide.services.state import ServiceState
from bridge.decide.situation import Situation
from bridge.decide.standing import with_standing
from bridge.decide.versions.choose import Versions
from bridge.decide.versions.content_change import changed_contents
from bridge.decide.versions.overdue import Age, age_of, created_at, oldest_running
from bridge.decide.versions.target import Target
from bridge.model.actions import Chain, MintGeneration
from bridge.model.conditions import Condition, Hold, ServiceCondition
from bridge.model.identity import ONE_LIFE, Identity
from bridge.model.mirror import Mirror
from bridge.model.plan import Plan
from bridge.model.reasons import Reason, State
from bridge.model.rotation import rotation_of
from bridge.model.wishes import pause_of
from bridge.model.world import World

_WORST_FIRST = (State.DEGRADED, State.HELD, State.ROLLING)


def summarise(
    decision: Decision,
    versions: Versions,
    services: Services,
    credentials: Credentials,
    known: Situation,
) -> Plan:
    """Return the plan: what every step concluded, and how each secret is doing."""
    wanted = decision.chains
    changes = changed_contents(versions.targets)
    ages = _ages(versions.targets, known)
    overdue = {name: age.notice for name, age in ages.items() if age.notice}
    conditions, holds = _conditions(
        decision.holds, versions, services, credentials, known, notices=changes | overdue
    )
    conditions = tuple(_with_age(condition, ages) for condition in conditions)
    names = frozenset(secret.name for secret in known.desired.secrets)
    wake = (*decision.wake, *(backoff.until for backoff in known.memory.backoffs.values()))
    wake += tuple(age.overdue_at for age in ages.values())
    return Plan(
        chains=tuple(chain for chain in wanted if not backoffs_of(chain, known)),
        holds=holds,
        conditions=conditions,
        notices=(*decision.notices, *changes.values(), *overdue.values()),
        wake_at=min((at for at in wake if at > known.now), default=None),
        rolling=decision.ending or services.moving or _is_waited_for(wanted, conditions, known),
        doubtful=frozenset(t.secret.name for t in versions.targets if _is_doubtful(t)),
        refusals=refusals(names, wanted, known),
        seen=seen_in_vault(versions.unlimited, known.vault),
    )


def _is_waited_for(
    wanted: Iterable[Chain], conditions: Iterable[Condition], known: Situation
) -> bool:
    """Return whether something goes on by itself: a service that rolls, or another try."""
    waiting = (backoff for chain in wanted for backoff in backoffs_of(chain, known))
    if any(backoff.passes for backoff in waiting):
        return True
    return any(s.state == State.ROLLING for c in conditions for s in c.services)


def _ages(targets: Iterable[Target], known: Situation) -> dict[str, Age]:
    """Return how secrets stand with their ``max_age``, by name; those without one are left out."""
    found = ((target.secret.name, age_of(target, known.world, known.now)) for target in targets)
    return {name: age for name, age in found if age}


def _with_age(condition: Condition, ages: Mapping[str, Age]) -> Condition:
    age = ages.get(condition.name)
    if age is None:
        return condition
    return replace(condition, overdue_at=age.overdue_at, overdue=age.notice is not None)


def _is_doubtful(target: Target) -> bool:
    """Return whether one look at Vault proved too little, so that the next comes soon."""
    holds = (target.hold, *target.unproven.values())
    return any(hold and hold.reason == Reason.LOOKING_AGAIN for hold in holds)


def _conditions(
    holds: tuple[Hold, ...],
    versions: Versions,
    services: Services,
    credentials: Credentials,
    known: Situation,
    *,
    notices: Mapping[str, Hold],
) -> tuple[tuple[Condition, ...], tuple[Hold, ...]]:
    """Return how each secret is doing, and the holds with those that only the swarm knows.

    Args:
        notices: What is shown of secrets that are otherwise well, by name.
    """
    missing = _missing_services(holds)
    conditions: list[Condition] = []
    for target in versions.targets:
        name = target.secret.name
        states, notice = services.of_secret(name), notices.get(name)
        found = condition_of(target, states, known, missing.get(name, ()), notice)
        conditions.append(found)
    conditions += unmapped(known)
    troubled = {hold.secret: hold for hold in reversed(credentials.decision.holds)}
    conditions = [
        _with_leases(condition, credentials, troubled.get(condition.name))
        for condition in conditions
    ]
    inferred = known.vault.inferred
    conditions, more = show_refusals(conditions, holds, known.swarm, inferred=inferred)
    standing = with_standing(conditions, known.swarm, known.instance)
    return tuple(standing), (*holds, *more, *_unrecorded(known))


def _unrecorded(known: Situation) -> tuple[Hold, ...]:
    """Return the hold of all while the bridge that leads cannot write its evidence."""
    audit = known.swarm.audit
    if audit is None or not audit.holds:
        return ()
    return (Hold(secret="", reason=Reason.AUDIT_UNWRITABLE, message=audit.trouble),)


def condition_of(
    target: Target,
    states: Iterable[ServiceState],
    known: Situation,
    missing: Iterable[ServiceCondition],
    notice: Hold | None,
) -> Condition:
    """Return one secret's condition: trouble before holds, holds before what is on its way.

    Args:
        missing: The conditions of services that are not in the swarm.
        notice: What is shown of it where it is otherwise well.
    """
    name, world = target.secret.name, known.world
    services = [state.conditions[name] for state in states if name in state.conditions]
    services += missing
    state, reason, message = _worst(target, services)
    pause = pause_of(world.swarm.pauses, name)
    if pause and state == State.SYNCED:
        # Nothing is held up just now, and whoever looks must know that the next roll would be.
        state, reason, message = State.HELD, Reason.PAUSED, pause.text
    audit = world.swarm.audit
    if audit and audit.holds and state in (State.SYNCED, State.ROLLING):
        state, reason, message = State.HELD, Reason.AUDIT_UNWRITABLE, audit.trouble
    if notice and state == State.SYNCED:
        reason, message = notice.reason, notice.message
    mirrors = target.own
    running = oldest_running(mirrors, world)
    return Condition(
        name=name,
        state=state,
        reason=reason,
        message=message,
        vault_version=target.vault_version,
        running_version=running.version if running else None,
        versions=tuple(dict.fromkeys(mirror.identity.version for mirror in reversed(mirrors))),
        services=tuple(services),
        created=_created(running),
        unused=tuple(mirror.identity.version for mirror in reversed(mirrors) if mirror.unused),
        rotation=_rotation(target, known.instance),
    )


def _rotation(target: Target, instance: str) -> str:
    """Return the name of the rotation to the newest version; empty where none is known."""
    name, found = target.secret.name, [m.identity for m in target.mirrors[:1]]
    found += [target.current] if target.current else []
    if isinstance(target.create, MintGeneration):
        found = [Identity(target.create.source, ONE_LIFE, target.create.version, ONE_LIFE)]
    return rotation_of(instance, name, max(found)) if found else ""


def _missing_services(holds: Iterable[Hold]) -> Mapping[str, Sequence[ServiceCondition]]:
    """Return the conditions of services that are not in the swarm, by secret's name."""
    found: dict[str, list[ServiceCondition]] = {}
    for hold in holds:
        if hold.reason == Reason.SERVICE_MISSING:
            condition = ServiceCondition(
                name=hold.service,
                version=None,
                state=State.HELD,
                reason=hold.reason,
                message=hold.message,
            )
            found.setdefault(hold.secret, []).append(condition)
    return found


def _with_leases(condition: Condition, credentials: Credentials, trouble: Hold | None) -> Condition:
    """Return the condition with its leases; where all else is well their trouble is reported."""
    leases = credentials.conditions.get(condition.name, ())
    if not (leases or trouble):
        return condition
    if trouble and condition.state == State.SYNCED:
        reason, message = trouble.reason, trouble.message
        condition = replace(condition, state=State.HELD, reason=reason, message=message)
    return replace(condition, leases=leases)


def _worst(target: Target, services: list[ServiceCondition]) -> tuple[State, Reason, str]:
    well = all(service.state == State.SYNCED for service in services)
    if well and target.hold is None and target.create is None:
        return State.SYNCED, Reason.UP_TO_DATE, ""
    for state in _WORST_FIRST:
        hold = target.hold
        if state == State.HELD and hold:
            return (State.ROLLING if hold.waits else state), hold.reason, hold.message
        for service in services:
            if service.state == state:
                message = service.message
                return state, service.reason, f"{service.name}: {message}" if message else ""
        if state == State.ROLLING and target.create:
            return state, target.create.reason, target.create.why
    return State.SYNCED, Reason.UP_TO_DATE, ""


def _created(running: Identity | None) -> float | None:
    return created_at(running) if running else None


def unmapped(known: Situation) -> list[Condition]:
    """Return the names that we mirrored and that the configuration no longer has; they are kept."""
    found = sorted(known.unmapped.items())
    return [_unmapped(name, mirrors, known.world) for name, mirrors in found]


def _unmapped(name: str, mirrors: Iterable[Mirror], world: World) -> Condition:
    running = oldest_running(mirrors, world)
    return Condition(
        name=name,
        state=State.HELD,
        reason=Reason.UNMAPPED,
        message="it is no longer in the configuration; its versions are kept",
        vault_version=None,
        running_version=running.version if running else None,
        versions=tuple(sorted(mirror.identity.version for mirror in mirrors)),
        created=_created(running),
    )
