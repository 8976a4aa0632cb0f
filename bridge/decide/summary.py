"""How does each secret stand, in one state and one reason?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bridge.decide.credentials.needs import Care
from bridge.decide.services.state import Stand
from bridge.decide.versions.content_change import content_change
from bridge.decide.versions.target import Target
from bridge.model.conditions import Condition, Hold, ServiceCondition
from bridge.model.desired import Desired
from bridge.model.identity import Identity
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason, State
from bridge.model.timestamps import instant
from bridge.model.wishes import pause_of
from bridge.model.world import World

_WORST_FIRST = (State.DEGRADED, State.HELD, State.ROLLING)


def condition_of(
    target: Target, stands: Iterable[Stand], world: World, holds: Iterable[Hold]
) -> Condition:
    """Sum a secret up: trouble before holds, holds before what is on its way."""
    name = target.secret.name
    services = [s.conditions[name] for s in stands if name in s.conditions]
    services += [
        ServiceCondition(hold.service, None, State.HELD, hold.reason, hold.message)
        for hold in holds
        if hold.secret == name and hold.reason == Reason.SERVICE_MISSING
    ]
    state, reason, message = _worst(target, services)
    pause = pause_of(world.swarm.pauses, name)
    if pause and state == State.SYNCED:
        # Nothing is held up just now, and whoever looks must know that the next roll would be.
        state, reason, message = State.HELD, Reason.PAUSED, pause.text
    change = content_change(target)
    if change and state == State.SYNCED:
        reason, message = Reason.CONTENT_CHANGED, change
    mirrors = (*target.mirrors, *target.others)
    running = _oldest_running(mirrors, world)
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
    )


def with_care(condition: Condition, care: Care) -> Condition:
    """Add how its leases stand, and say so where all else is well and one of them is not."""
    leases = tuple(care.conditions.get(condition.name, ()))
    trouble = next((hold for hold in care.holds if hold.secret == condition.name), None)
    if trouble and condition.state == State.SYNCED:
        reason, message = trouble.reason, trouble.message
        condition = replace(condition, state=State.HELD, reason=reason, message=message)
    return replace(condition, leases=leases)


def _worst(target: Target, services: list[ServiceCondition]) -> tuple[State, Reason, str]:
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
    return instant(running.created) / 1e9 if running else None


def _oldest_running(mirrors: Iterable[Mirror], world: World) -> Identity | None:
    held = world.swarm.running_ids
    return min((mirror.identity for mirror in mirrors if mirror.id in held), default=None)


def unmapped(desired: Desired, world: World) -> list[Condition]:
    """List names that we mirrored and that the configuration no longer has; they are kept."""
    names = {secret.name for secret in desired.secrets}
    found: dict[str, list[Mirror]] = {}
    for mirror in world.swarm.mirrors:
        if mirror.instance == desired.instance and mirror.secret not in names:
            found.setdefault(mirror.secret, []).append(mirror)
    return [_unmapped(name, mirrors, world) for name, mirrors in sorted(found.items())]


def _unmapped(name: str, mirrors: Iterable[Mirror], world: World) -> Condition:
    running = _oldest_running(mirrors, world)
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
