"""What is written once a version has proved itself, and which records of rolls are over?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bridge.decide.services.state import ServiceState
from bridge.decide.situation import Situation
from bridge.decide.versions.target import Target
from bridge.model.actions import Annotate
from bridge.model.labels import BLOCKED, GOOD, ROLL
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.service import Service
from bridge.model.timestamps import timestamp


def good_mark(target: Target, states: Sequence[ServiceState], known: Situation) -> list[Annotate]:
    """Return the mark that the newest version is good: every service has converged and baked.

    Services that are never rolled (jobs) do not count, and a version that no service has is not
    good for want of a witness.
    """
    newest = target.mirrors[0] if target.mirrors else None
    if newest is None or newest.good or newest.asides or newest.id in target.ended:
        return []
    if known.swarm.blind:
        return []  # what is not understood might be on another one
    name = target.secret.name
    witnesses = [s for s in states if name in s.wants and not s.service.reruns]
    if not witnesses or not all(_proves(s, name, newest, known.now) for s in witnesses):
        return []
    return [
        Annotate.on(
            newest,
            reason=Reason.CONVERGED,
            why="it is good: every service has converged and baked on it",
            put={GOOD: timestamp(known.now)},
        )
    ]


def _proves(state: ServiceState, name: str, newest: Mirror, now: float) -> bool:
    """Return whether a service has converged and baked on a version."""
    references = state.wants[name].references
    if not references or any(ref.secret_id != newest.id for ref in references):
        return False
    service_id = state.service.id
    baked = state.baked_at is not None and state.baked_at <= now
    return (newest.rolled(service_id) or baked) and not newest.open_record(service_id)


def records_over(
    target: Target, states: Sequence[ServiceState], known: Situation
) -> list[Annotate]:
    """Return the notes that drop open records which nothing will close: the service moved on."""
    if known.swarm.blind:
        return []
    if not any(mirror.records for mirror in target.own):
        return []
    services = _services(target, states)

    def over(mirror: Mirror) -> list[str]:
        open_rolls = [place for place in mirror.records if mirror.open_record(place)]
        return [p for p in open_rolls if _record_is_over(target, mirror.id, services.get(p), p)]

    return _dropped(target, over, ROLL, "rolls to it that will not go on are forgotten")


def blocks_over(target: Target, states: Sequence[ServiceState]) -> list[Annotate]:
    """Return the notes that drop marks of blocked rolls which are over."""
    if not any(mirror.blocks for mirror in target.own):
        return []
    services = _services(target, states)

    def over(mirror: Mirror) -> list[str]:
        return [p for p in mirror.blocks if _block_is_over(mirror, target, services.get(p), p)]

    return _dropped(target, over, BLOCKED, "blocked rolls to it that are over are forgotten")


def _services(target: Target, states: Sequence[ServiceState]) -> dict[str, Service]:
    """Return the services that have to do with a secret, by their ids."""
    return {s.service.id: s.service for s in states if target.secret.name in s.wants}


def _dropped(
    target: Target, over: Callable[[Mirror], list[str]], prefix: str, why: str
) -> list[Annotate]:
    """Return one note for each mirror that has labels of services which are over."""
    found = ((mirror, over(mirror)) for mirror in target.own)
    return [
        Annotate.on(
            mirror,
            reason=Reason.SUPERSEDED,
            why=why,
            drop=frozenset(f"{prefix}{place}" for place in places),
        )
        for mirror, places in found
        if places
    ]


def _record_is_over(
    target: Target, mirror_id: str, service: Service | None, service_id: str
) -> bool:
    if service is None:
        return True
    if service.torn or mirror_id in service.secret_ids:
        return False
    wanted = target.suspect_for(service_id) or target.for_service(service_id)
    return wanted is None or wanted.id != mirror_id


def _block_is_over(
    mirror: Mirror, target: Target, service: Service | None, service_id: str
) -> bool:
    if service is None or mirror in target.others:
        return True
    if service.torn:
        return False
    newer = [m for m in target.mirrors if mirror.order < m.order]
    held = [m for m in (mirror, *newer) if m.id in service.secret_ids]
    return any(service_id in m.blocks for m in newer) or any(
        not m.open_record(service_id) for m in held
    )
