"""Who is to blame for a roll that failed?

1. Only a version that was never good can fail. On a good one the service is to blame.
2. A service that was unhealthy before, or fails on the former version too, is itself to blame.
3. Of two versions that moved in one update each is a suspect, and gets one more try alone.
4. A template that somebody else changed in the middle of the roll leaves nobody to blame.
5. Swarm's own rollback leaves no PreviousSpec. One that an operator ordered leaves it, so that
   tells them apart: an operator's rollback is an instruction, and blames nobody.
6. The engine stops or rolls back an update for a task whose node went down: that says nothing.
7. The engine stops or rolls back an update for a task whose process could not be started: that says
   nothing either, and is noted as a blocked roll.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.decide.services.blocked_rolls import note_swarm_back
from bridge.decide.services.hung import fell_with_its_node
from bridge.decide.services.progress import last_error
from bridge.decide.services.state import ServiceState
from bridge.decide.services.unstarted import swarmed_back
from bridge.decide.services.wants import Want
from bridge.decide.situation import Situation
from bridge.model.actions import Annotate
from bridge.model.conditions import Hold
from bridge.model.labels import ROLL
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason, State
from bridge.model.roll_record import RollRecord
from bridge.model.service import Service, Task, UpdateState
from bridge.model.set_aside import By, SetAside, aside_label
from bridge.model.timestamps import timestamp

ROLLED_BACK = frozenset(
    (UpdateState.ROLLBACK_STARTED, UpdateState.ROLLBACK_COMPLETED, UpdateState.ROLLBACK_PAUSED)
)

_REASONS = {
    By.FAILURE: Reason.ROLL_FAILED,
    By.SUSPECT: Reason.ROLL_FAILED,
    By.SERVICE: Reason.SERVICE_UNHEALTHY,
    By.OPERATOR: Reason.SET_ASIDE,
    By.RESTORE: Reason.SUPERSEDED,
}


@dataclass(frozen=True, slots=True)
class Blame:
    """Who is blamed, and with which words."""

    by: By
    why: str


def judge_failure(
    state: ServiceState, open_rolls: Iterable[Want], failure: str, known: Situation
) -> ServiceState:
    """Return what a failed roll means for the versions that it moved the service to."""
    service = state.service
    held = [(want, want.held) for want in open_rolls if want.held]
    records = [record for _, mirror in held if (record := mirror.open_record(service.id))]
    if any(record.frame and record.frame != service.frame for record in records):  # case 4
        return _changed_meanwhile(state, held, failure)
    for want, mirror in held:
        if mirror.good:  # case 1
            state = state.reported(want, State.DEGRADED, Reason.SERVICE_UNHEALTHY, failure)
            state = _acquit(state, want, mirror, failure, known.now)
    fresh = [(want, mirror) for want, mirror in held if not mirror.good]
    unhealthy = any(record.unhealthy for record in records)
    return _blame(state, fresh, failure, unhealthy=unhealthy, known=known)


def _changed_meanwhile(
    state: ServiceState, held: Iterable[tuple[Want, Mirror]], failure: str
) -> ServiceState:
    """Return the state with a hold on each secret of a roll that somebody else wrote into."""
    name = state.service.name
    message = f"somebody else changed {name} in the middle of its roll ({failure})"
    reason = Reason.CHANGED_MEANWHILE
    for want, _ in held:
        state = state.held(Hold(secret=want.name, reason=reason, message=message, service=name))
    return state


def judge_rollbacks(
    state: ServiceState, tasks: tuple[Task, ...], lost: frozenset[str], known: Situation
) -> ServiceState:
    """Return what follows from a rollback: of Swarm, or by an operator's hand (case 5).

    Args:
        lost: Ids of the service's tasks that were seen on nodes that were down.
    """
    service = state.service
    if service.update not in ROLLED_BACK:
        return state
    state, back = _gone_back(state, known)
    if not back:
        return state
    if fell_with_its_node(service, lost):  # case 6
        return state.noted(*(_absolved(mirror, state) for _, mirror in back))
    moved = frozenset(mirror.id for _, mirror in back)
    unstarted = swarmed_back(tasks, moved)
    if unstarted:  # case 7
        state = note_swarm_back(state, back, unstarted, known)
    else:
        state = _blame_rolled_back(state, back, last_error(tasks, moved), known)
    return state.moved_back(want.name for want, _ in back)


def _blame_rolled_back(
    state: ServiceState, back: list[tuple[Want, Mirror]], error: str, known: Situation
) -> ServiceState:
    """Return the state with marks on the versions that Swarm rolled back, so that it ends there.

    The Spec is the former one again, and PreviousSpec is gone: without a mark they would be rolled
    out once more.

    Args:
        error: The latest error of a task on them; empty where there is none.
    """
    service = state.service
    why = f"Swarm rolled the service back ({service.update_message})"
    why += f"; a task reported: {error}" if error else ""
    records = [mirror.open_record(service.id) for _, mirror in back]
    unhealthy = any(record and record.unhealthy for record in records)
    fresh = [(want, mirror) for want, mirror in back if not mirror.good]
    state = _blame(state, fresh, why, unhealthy=unhealthy, known=known)
    for _, mirror in back:
        if mirror.good:  # case 1: it is so on other services
            state = state.noted(set_aside(mirror, state, Blame(By.SERVICE, why), known.now))
    return state


def _gone_back(
    state: ServiceState, known: Situation
) -> tuple[ServiceState, list[tuple[Want, Mirror]]]:
    """Return what Swarm rolled back by itself; what an operator rolled back is marked (case 5)."""
    service = state.service
    back: list[tuple[Want, Mirror]] = []
    for want in state.wants.values():
        for mirror in want.target.mirrors:
            record = _record_of_rollback(mirror, service)
            if record is None:
                continue
            if service.previous is not None and mirror.id in service.previous:
                state = _rolled_back_by_hand(state, want, mirror, known.now)
            elif service.previous is None and not record.done and _is_later(service, record):
                back.append((want, mirror))
    return state, back


def _record_of_rollback(mirror: Mirror, service: Service) -> RollRecord | None:
    """Return the record of a roll that may have gone back and has no mark yet, if there is one."""
    record = mirror.records.get(service.id)
    mark = mirror.aside_for(service.id)
    on_trial = mark and mark.by == By.SUSPECT and mark.tried
    if record is None or mirror.id in service.secret_ids or (mark and not on_trial):
        return None
    return None if mirror.block_for(service.id) else record


def _rolled_back_by_hand(
    state: ServiceState, want: Want, mirror: Mirror, now: float
) -> ServiceState:
    """Follow an operator's rollback, unless it went back to a credential that is over."""
    if want.held and want.held.id in want.target.ended:
        return state
    why = "an operator rolled the service back"
    state = state.noted(set_aside(mirror, state, Blame(By.OPERATOR, why), now))
    state = state.held(
        Hold(
            secret=want.name,
            reason=Reason.SET_ASIDE,
            message=f"{mirror.docker_name}: {why}",
            service=state.service.name,
        )
    )
    return state.moved_back({want.name})


def _absolved(mirror: Mirror, state: ServiceState) -> Annotate:
    """Return the note that drops a roll which went back for a node's sake; it is begun anew."""
    return Annotate.on(
        mirror,
        reason=Reason.NODE_LOST,
        why=f"Swarm rolled {state.service.name} back for a task whose node had gone down",
        drop=frozenset({f"{ROLL}{state.service.id}"}),
    )


def _is_later(service: Service, record: RollRecord) -> bool:
    """Return whether the update that went back is another than that from before the record.

    The version index does not tell: the engine moves it itself while it rolls back. Nor does which
    of two times is later: the engine's clock may have been set back.
    """
    return service.update_started != record.started


def _blame(
    state: ServiceState,
    moved: list[tuple[Want, Mirror]],
    failure: str,
    *,
    unhealthy: bool,
    known: Situation,
) -> ServiceState:
    """Return the state with marks on what failed, each with its share of the blame."""
    by = By.SERVICE if unhealthy else By.SUSPECT if len(moved) > 1 else By.FAILURE  # cases 2, 3
    why = f"{failure}; the service was ill before" if unhealthy else failure
    everywhere = known.rollout.all_go_back and by == By.FAILURE
    for want, mirror in moved:
        blame = Blame(by, why)
        mark = set_aside(mirror, state, blame, known.now, everywhere=everywhere)
        state = state.noted(mark).reported(want, State.DEGRADED, _REASONS[by], why)
    return state


def _acquit(
    state: ServiceState, want: Want, good: Mirror, failure: str, now: float
) -> ServiceState:
    """Return the state with the blame taken off newer versions (case 2).

    The service failed on them as it fails on a good one.
    """
    service_id = state.service.id
    for mirror in want.target.mirrors:
        mark = mirror.asides.get(service_id)
        if good.order < mirror.order and mark and mark.by in (By.FAILURE, By.SUSPECT):
            why = f"{mark.why}; the service fails on {good.docker_name} too: {failure}"
            state = state.noted(set_aside(mirror, state, Blame(By.SERVICE, why), now))
    return state


def judge_rollback_paused(state: ServiceState, failure: str, now: float) -> ServiceState:
    """Return what it means that Swarm's rollback failed too: the former version does no better."""
    for want in state.wants.values():
        if want.held and want.held.good:
            state = _acquit(state, want, want.held, failure, now)
    return state


def set_aside(
    mirror: Mirror,
    state: ServiceState,
    blame: Blame,
    now: float,
    *,
    everywhere: bool = False,
) -> Annotate:
    """Return the mark that a version is not to be used for a service, or for any."""
    service = state.service
    place = "" if everywhere else service.id
    return Annotate.on(
        mirror,
        reason=_REASONS[blame.by],
        why=f"set aside for {'all services' if everywhere else service.name}: {blame.why}",
        put={aside_label(place): SetAside(blame.by, timestamp(now), blame.why).write()},
    )


def report_set_aside(state: ServiceState) -> ServiceState:
    """Report versions that are set aside for this service and newer than what it may have."""
    for want in state.wants.values():
        newest = want.target.mirrors[0] if want.target.mirrors else None
        mark = newest.aside_for(state.service.id) if newest else None
        if mark is None or newest is None or (want.held == newest and not want.back):
            continue
        message = f"{newest.docker_name} is set aside: {mark.why}"
        if mark.by == By.OPERATOR:
            state = state.held(
                Hold(
                    secret=want.name,
                    reason=Reason.SET_ASIDE,
                    message=message,
                    service=state.service.name,
                )
            )
        else:
            state = state.reported(want, State.DEGRADED, _REASONS[mark.by], message)
    return state
