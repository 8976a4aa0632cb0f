"""Who is to blame for a roll that failed, and what is said of versions that are set aside?

Only a version that was never good can fail. A service that was ill before, or is so on the former
version too, is to blame itself. Of two versions that moved together each is a suspect, and gets one
more try alone. A template that somebody else changed in the middle leaves nobody to blame.
"""

from __future__ import annotations

from collections.abc import Iterable

from bridge.decide.services.hung import fell_with_its_node
from bridge.decide.services.progress import last_error
from bridge.decide.services.state import Stand
from bridge.decide.services.unstarted import note_swarm_back, swarmed_back
from bridge.decide.services.wants import Want
from bridge.model.actions import Annotate
from bridge.model.conditions import Hold
from bridge.model.desired import Rollout
from bridge.model.labels import ROLL
from bridge.model.mirror import By, Mirror, RollRecord, SetAside, aside_label
from bridge.model.reasons import Reason, State
from bridge.model.service import Service, Task, UpdateState
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


def judge_failure(
    stand: Stand, under_way: Iterable[Want], failure: str, rollout: Rollout, now: float
) -> None:
    """Say what a failed roll means for the versions that it moved the service to."""
    service = stand.service
    held = [(want, want.held) for want in under_way if want.held]
    records = [record for _, mirror in held if (record := mirror.open_record(service.id))]
    if any(record.frame and record.frame != service.frame for record in records):
        for want, _ in held:
            message = f"somebody else changed {service.name} in the middle of its roll ({failure})"
            stand.hold(
                Hold(
                    secret=want.name,
                    reason=Reason.CHANGED_MEANWHILE,
                    message=message,
                    service=service.name,
                )
            )
        return
    fresh = [(want, mirror) for want, mirror in held if not mirror.good]
    for want, mirror in held:
        if mirror.good:
            stand.say(want, State.DEGRADED, Reason.SERVICE_UNHEALTHY, failure)
            _acquit(stand, want, mirror, failure, now)
    _blame(stand, fresh, failure, any(record.ill for record in records), rollout, now)


def judge_rollbacks(
    stand: Stand,
    tasks: Iterable[Task],
    lost: frozenset[str],
    rollout: Rollout,
    nodes: str,
    now: float,
) -> None:
    """Notice what went back: by Swarm, which leaves no PreviousSpec, or by an operator's hand.

    Args:
        lost: Ids of the service's tasks that were seen on nodes that were down.
        nodes: Fingerprint of the nodes.
    """
    service = stand.service
    back = _gone_back(stand, now)
    if not back:
        return
    if fell_with_its_node(service, lost):
        stand.notes += [_absolved(want, mirror, stand) for want, mirror in back]
        return
    moved = frozenset(mirror.id for _, mirror in back)
    unstarted = swarmed_back(tasks, moved)
    if unstarted:
        note_swarm_back(stand, back, unstarted, nodes, now)
        stand.went_back |= {want.name for want, _ in back}
        return
    error = last_error(tasks, moved)
    why = f"Swarm rolled the service back ({service.update_message})"
    why += f"; a task said: {error}" if error else ""
    ill = any((r := mirror.open_record(service.id)) and r.ill for _, mirror in back)
    _blame(stand, [(w, m) for w, m in back if not m.good], why, ill, rollout, now)
    for want, mirror in back:
        if mirror.good:  # it is so on other services: this one is to blame
            stand.notes.append(set_aside(want, mirror, stand, By.SERVICE, why, now))
    stand.went_back |= {want.name for want, _ in back}


def _gone_back(stand: Stand, now: float) -> list[tuple[Want, Mirror]]:
    """Return what Swarm took back by itself; what an operator took back is marked."""
    service = stand.service
    back: list[tuple[Want, Mirror]] = []
    for want in stand.wants.values() if service.update in ROLLED_BACK else ():
        for mirror in want.target.mirrors:
            record = mirror.records.get(service.id)
            mark = mirror.aside_for(service.id)
            on_trial = mark and mark.by == By.SUSPECT and mark.tried
            if record is None or mirror.id in service.secret_ids or (mark and not on_trial):
                continue
            if mirror.block_for(service.id):
                continue
            if service.previous is not None and mirror.id in service.previous:
                _rolled_back_by_hand(stand, want, mirror, now)
            elif service.previous is None and not record.done and _is_later(service, record):
                back.append((want, mirror))
    return back


def _rolled_back_by_hand(stand: Stand, want: Want, mirror: Mirror, now: float) -> None:
    """Take an operator at his word, unless he went back to a credential that is over."""
    if want.held and want.held.id in want.target.ended:
        return
    why = "an operator rolled the service back"
    stand.notes.append(set_aside(want, mirror, stand, By.OPERATOR, why, now))
    message = f"{mirror.docker_name}: {why}"
    stand.hold(
        Hold(secret=want.name, reason=Reason.SET_ASIDE, message=message, service=stand.service.name)
    )
    stand.went_back |= {want.name}


def _absolved(want: Want, mirror: Mirror, stand: Stand) -> Annotate:
    """Forget a roll that was taken back for a machine's sake, so that it is begun anew."""
    return Annotate(
        secret=want.name,
        secret_id=mirror.id,
        docker_name=mirror.docker_name,
        reason=Reason.NODE_LOST,
        why=f"Swarm rolled {stand.service.name} back for a task whose node had gone down",
        drop=frozenset({f"{ROLL}{stand.service.id}"}),
    )


def _is_later(service: Service, record: RollRecord) -> bool:
    """Tell whether the update that went back is another than that from before the record.

    The version index does not tell: the engine moves it itself while it rolls back. Nor does which
    of two times is later: the engine's clock may have been set back.
    """
    return service.update_started != record.started


def _blame(
    stand: Stand,
    moved: list[tuple[Want, Mirror]],
    failure: str,
    ill: bool,
    rollout: Rollout,
    now: float,
) -> None:
    """Set aside what failed, each with its share of the blame."""
    by = By.SERVICE if ill else By.SUSPECT if len(moved) > 1 else By.FAILURE
    for want, mirror in moved:
        everywhere = rollout.all_go_back and by == By.FAILURE
        why = f"{failure}; the service was ill before" if ill else failure
        stand.notes.append(set_aside(want, mirror, stand, by, why, now, everywhere=everywhere))
        stand.say(want, State.DEGRADED, _REASONS[by], why)


def _acquit(stand: Stand, want: Want, good: Mirror, failure: str, now: float) -> None:
    """Take the blame off newer versions on which the service failed as it fails on a good one."""
    service_id = stand.service.id
    for mirror in want.target.mirrors:
        mark = mirror.asides.get(service_id)
        if good.order < mirror.order and mark and mark.by in (By.FAILURE, By.SUSPECT):
            why = f"{mark.why}; the service fails on {good.docker_name} too: {failure}"
            stand.notes.append(set_aside(want, mirror, stand, By.SERVICE, why, now))


def judge_rollback_paused(stand: Stand, failure: str, now: float) -> None:
    """Swarm's rollback has failed too: the former version does no better."""
    for want in stand.wants.values():
        if want.held and want.held.good:
            _acquit(stand, want, want.held, failure, now)


def set_aside(
    want: Want,
    mirror: Mirror,
    stand: Stand,
    by: By,
    why: str,
    now: float,
    *,
    everywhere: bool = False,
) -> Annotate:
    """Mark a version as not to be used for a service, or for any."""
    place = "" if everywhere else stand.service.id
    return Annotate(
        secret=want.name,
        secret_id=mirror.id,
        docker_name=mirror.docker_name,
        reason=_REASONS[by],
        why=f"set aside for {'all services' if everywhere else stand.service.name}: {why}",
        put={aside_label(place): SetAside(by, timestamp(now), why).write()},
    )


def say_asides(stand: Stand) -> None:
    """Report a version that is set aside for this service and newer than what it may have."""
    for want in stand.wants.values():
        newest = want.target.mirrors[0] if want.target.mirrors else None
        mark = newest.aside_for(stand.service.id) if newest else None
        if mark is None or newest is None or (want.held == newest and not want.back):
            continue
        message = f"{newest.docker_name} is set aside: {mark.why}"
        if mark.by == By.OPERATOR:
            stand.hold(
                Hold(
                    secret=want.name,
                    reason=Reason.SET_ASIDE,
                    message=message,
                    service=stand.service.name,
                )
            )
        else:
            stand.say(want, State.DEGRADED, _REASONS[mark.by], message)
