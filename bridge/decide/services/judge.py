"""How far is each service, and which may be rolled next?

A roll is observed, not awaited: each cycle sees specs, tasks and roll records, and says the next
step. The record of a roll is written on the Docker secret rolled to before the service is touched;
it is *open* until the service has converged and baked. Whether an open record's update was ever
sent is seen from the Spec and from the service's version index.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bridge.decide.services import gates
from bridge.decide.services.blame import (
    ROLLED_BACK,
    judge_failure,
    judge_rollback_paused,
    judge_rollbacks,
    say_asides,
)
from bridge.decide.services.gates import Halt, trying_again
from bridge.decide.services.hung import is_excused, wake_of
from bridge.decide.services.progress import (
    MOVING,
    PAUSED,
    Progress,
    baked_at,
    failure_of,
    overdue_at,
    settled_at,
    timeout_at,
    watched,
)
from bridge.decide.services.state import Stand
from bridge.decide.services.unstarted import blocked, hinder, hindrance_of, tried_again
from bridge.decide.services.wants import Want
from bridge.model.actions import Annotate, Chain, RollService, action_key
from bridge.model.conditions import Hold
from bridge.model.desired import Rollout
from bridge.model.labels import BLOCKED, ROLL
from bridge.model.memory import Memory, Watch
from bridge.model.mirror import By, Mirror, RollRecord, SetAside, aside_label
from bridge.model.reasons import Reason, State
from bridge.model.service import Service, Task, UpdateState
from bridge.model.timestamps import timestamp
from bridge.model.window import opening_of

JUST = 3.0
"""Seconds for which a sent update is taken to be under way, whatever the engine says of it."""


def stand_of(
    service: Service,
    wants: Iterable[Want],
    tasks: tuple[Task, ...],
    progress: Progress,
    memory: Memory,
    rollout: Rollout,
    now: float,
    nodes: str = "",
) -> Stand:
    """Judge one service: how far is the roll under way, is it well?

    Args:
        progress: How its tasks stand with the versions that are on trial there.
        nodes: Fingerprint of the nodes.
    """
    stand = Stand(service=service, wants={want.name: want for want in wants})
    for want in stand.wants.values():
        stand.say(want, State.SYNCED, Reason.UP_TO_DATE)
        if want.changes and not want.swap:
            message = f"{', '.join(want.changes)} with the next roll"
            stand.notices.append(
                Hold(
                    secret=want.name,
                    reason=Reason.FIELDS_CHANGED,
                    message=message,
                    service=service.name,
                )
            )
            stand.say(want, State.SYNCED, Reason.FIELDS_CHANGED, message)
        if want.shared and not want.hold:
            stand.notices.append(
                Hold(
                    secret=want.name,
                    reason=Reason.FIELDS_SHARED,
                    message=want.shared,
                    service=service.name,
                )
            )
        if want.ends:
            stand.notices.append(
                Hold(
                    secret=want.name,
                    reason=Reason.TEMPLATING_ENDS,
                    message=want.ends,
                    service=service.name,
                )
            )
        if want.mirror is None or (want.held is None and want.swap is None):
            hold = want.target.hold or want.hold
            reason = hold.reason if hold else Reason.NEW_VERSION
            state = State.HELD if hold else State.ROLLING
            stand.say(want, state, reason, "it has no version yet" if want.held is None else "")
    under_way = tuple(
        want for want in stand.wants.values() if want.held and want.held.open_record(service.id)
    )
    stand.under_way = bool(under_way)
    overdue = overdue_at(service, memory, rollout, now)
    stand.updating = _just_sent(service, memory, now) or (
        service.update in MOVING and now < overdue
    )
    if service.torn:
        # Nothing is known of its tasks, so it keeps its place.
        stand.flying = any(not want.back for want in under_way)
        for want in stand.wants.values():
            message = f"{service.name} changed while it was looked at"
            stand.hold(
                Hold(
                    secret=want.name,
                    reason=Reason.LOOKING_AGAIN,
                    message=message,
                    service=service.name,
                    until=now,
                    waits=True,
                )
            )
        return stand
    watch = watched(service, progress, memory.watches.get(service.id), now)
    judge_rollbacks(stand, tasks, watch.lost, rollout, nodes, now)
    missing = len(progress.good) < progress.desired
    stand.lacks = missing and progress.starts.hindered
    stand.baked = baked_at(service, watch, rollout) if progress.converged else None
    if stand.baked is not None:
        stand.wake.append(stand.baked)
    if under_way:
        _judge_roll(stand, under_way, tasks, progress, watch, rollout, nodes, now)
    else:
        _judge_health(stand, progress, now)
    say_asides(stand)
    return stand


def _just_sent(service: Service, memory: Memory, now: float) -> bool:
    """Tell whether an update of ours is so fresh that the engine may not have said so yet.

    ``UpdateStatus`` is absent for some milliseconds after every write.
    """
    sent = (times[-1] for (where, _), times in memory.rolls.items() if where == service.id)
    return any(now - at < JUST for at in sent)


def _judge_roll(
    stand: Stand,
    under_way: tuple[Want, ...],
    tasks: tuple[Task, ...],
    progress: Progress,
    watch: Watch,
    rollout: Rollout,
    nodes: str,
    now: float,
) -> None:
    """Judge the roll that is under way: failed, under way, baking, done."""
    service = stand.service
    if any(want.back for want in under_way):
        return  # it has failed, and leaves what it failed on
    records = [want.held.records[service.id] for want in under_way if want.held]
    stand.hung = wake_of(service, tasks, progress, watch, max(records, key=lambda r: r.index))
    excused = is_excused(service, watch.lost)
    failure = failure_of(service, progress, watch, rollout, excused=excused)
    known = next((b for w in under_way if w.held and (b := w.held.block_for(service.id))), None)
    hindrance = hindrance_of(service, progress, watch, known, failure)
    if hindrance and not stand.hung and not excused:
        hinder(stand, under_way, hindrance, nodes, now)
        return
    if failure and not stand.hung:
        judge_failure(stand, under_way, failure, rollout, now)
        return
    if stand.baked is not None:
        for want in under_way:
            if stand.baked <= now:
                stand.notes.append(_done(want, service, now))
                message = "every task is on it and has baked"
                stand.say(want, State.ROLLING, Reason.CONVERGED, message)
            else:
                stand.say(want, State.ROLLING, Reason.BAKING, progress.text)
        stand.flying = now < settled_at(service, watch)
        stand.wake.append(settled_at(service, watch))
        return
    stand.flying = True
    stand.wake.append(timeout_at(service, watch, rollout, now))
    for want in under_way:
        if stand.hung:
            stand.say(want, State.ROLLING, Reason.NODE_LOST, stand.hung.why)
        else:
            stand.say(want, State.ROLLING, Reason.ROLLING, progress.story)


def _judge_health(stand: Stand, progress: Progress, now: float) -> None:
    """Judge a service that nobody rolls now: has it its full number of tasks?"""
    service = stand.service
    if service.reruns or service.update in MOVING:
        return
    stand.ill = len(progress.good) < progress.desired
    if service.update == UpdateState.ROLLBACK_PAUSED:
        judge_rollback_paused(stand, progress.story, now)
    for want in stand.wants.values():
        if want.held is None:
            continue
        if stand.ill:
            stand.say(want, State.DEGRADED, Reason.SERVICE_UNHEALTHY, progress.story)
        elif want.held.good or service.id in want.held.records:
            continue
        elif stand.baked is not None and stand.baked > now:
            # It came to this version without us, by a stack deploy for instance.
            stand.say(want, State.ROLLING, Reason.BAKING, progress.text)


def pass_gates(stand: Stand, halt: Halt, memory: Memory, rollout: Rollout, now: float) -> None:
    """Pass what the service still wants through the gates, once all services were judged."""
    service = stand.service
    if service.torn:
        return
    ready = _apart(stand, _passed(stand, halt, memory, rollout, now))
    if any(_is_coming(want, memory, now) for want in stand.wants.values()) and ready:
        # Another version is being made in this very cycle: it shall come with the same update.
        for want in ready:
            message = "waits for the newest version to be mirrored"
            stand.hold(
                Hold(
                    secret=want.name,
                    reason=Reason.LOOKING_AGAIN,
                    message=message,
                    service=service.name,
                    until=None,
                    waits=True,
                )
            )
        return
    until = gates.settling(ready, memory, rollout, now) if ready else now
    if until > now:
        for want in ready:
            message = "waits whether more changes come"
            stand.hold(
                Hold(
                    secret=want.name,
                    reason=Reason.SETTLING,
                    message=message,
                    service=service.name,
                    until=until,
                    waits=True,
                )
            )
        return
    stand.ready = tuple(ready)
    closed = opening_of(rollout.windows, now) is not None
    for want in ready:
        if want.urgent and closed:
            stand.force(want, "rollout.windows is closed")


def _passed(stand: Stand, halt: Halt, memory: Memory, rollout: Rollout, now: float) -> list[Want]:
    """Return the wants that nothing holds, each for itself; the others are held."""
    ours = _is_ours(stand, memory, rollout, now)
    ready: list[Want] = []
    for want in stand.wants.values():
        if want.hold:
            stand.hold(want.hold)
            continue
        if want.swap is None or want.name in stand.went_back:
            continue
        hold = gates.hold_of(stand.service, want, halt, memory, rollout, now, ours=ours)
        hold = hold or blocked(stand, want, halt.nodes, rollout, memory, now)
        hold = hold or _again(stand.service, want, memory, now)
        if hold:
            stand.hold(hold)
        else:
            ready.append(want)
    return ready


NEARLY = 60.0
"""Seconds after its making for which a generation is waited for, so that it comes along."""


def _is_coming(want: Want, memory: Memory, now: float) -> bool:
    """Tell whether another version is being made, which shall come with the same update."""
    if want.target.create:
        return True
    mirror = want.mirror
    hold = want.target.unproven.get(mirror.id) if mirror else None
    if not (hold and hold.waits and mirror):
        return False
    return now < memory.since(mirror.id, mirror.created, now) + NEARLY


def _is_ours(stand: Stand, memory: Memory, rollout: Rollout, now: float) -> bool:
    """Tell whether the service's latest update is one of ours, which a newer version may overtake.

    Swarm's rollback is let finish: whatever is sent into it could not be told from what it ends.
    """
    service = stand.service
    if service.update in ROLLED_BACK and service.previous is None:
        overdue = now >= overdue_at(service, memory, rollout, now)
        return service.update != UpdateState.ROLLBACK_STARTED or overdue
    records = (
        want.held.open_record(service.id) if want.held else None for want in stand.wants.values()
    )
    return any(record and record.frame in ("", service.frame) for record in records)


def _apart(stand: Stand, ready: list[Want]) -> list[Want]:
    """Let what goes back go first, and suspects one by one when nothing else moves."""
    back = [want for want in ready if want.back]
    plain = [want for want in ready if not want.alone]
    moving = stand.under_way or stand.service.update in MOVING
    ill = stand.ill and not moving
    chosen = back or plain or ([] if moving or ill else ready[:1])
    for want in ready:
        if want not in chosen:
            what = "the service has its full number of tasks" if ill else "the other had its turn"
            hold = Hold(
                secret=want.name,
                reason=Reason.TRIED_ALONE,
                message=f"waits until {what}",
                service=stand.service.name,
            )
            stand.hold(replace(hold, waits=not ill))
    return chosen


def _again(service: Service, want: Want, memory: Memory, now: float) -> Hold | None:
    """Damp a fight with somebody who moves the service back again and again."""
    if want.swap is None:
        return None
    until = gates.damped(service, want.swap.to_id, memory, now)
    if until <= now:
        return None
    message = f"somebody moves {service.name} away from {want.swap.to_name} again and again"
    return Hold(
        secret=want.name, reason=Reason.DRIFTED, message=message, service=service.name, until=until
    )


def roll_chain(stand: Stand, memory: Memory, now: float) -> Chain | Hold:
    """Make the chain that rolls a service: its records first, then one update for all."""
    service = stand.service
    swaps = tuple(want.swap for want in stand.ready if want.swap)
    reason, why = _why(stand)
    action = RollService(
        service_id=service.id,
        service_name=service.name,
        template=service.template,
        swaps=swaps,
        reason=reason,
        why=why,
    )
    backoff = memory.backoffs.get(action_key(action))
    if backoff and backoff.until > now:
        return trying_again(stand.ready[0].name, service.name, backoff)
    records = [
        note
        for want in stand.ready
        if want.mirror and (note := _record(want, want.mirror, stand, now))
    ]
    return (*records, action)


def _why(stand: Stand) -> tuple[Reason, str]:
    """Say why a service is rolled, and that somebody else's pause ends with it."""
    reason, why = _reason(stand)
    service = stand.service
    if service.update in PAUSED and not stand.under_way:
        why += f"; that ends the pause of an update that is not ours ({service.update_message})"
    return reason, why


def _reason(stand: Stand) -> tuple[Reason, str]:
    back = next((want.back for want in stand.ready if want.back), "")
    if back and any(w.held and w.held.block_for(stand.service.id) for w in stand.ready):
        return Reason.GOING_BACK, f"what it was rolled to cannot be started: {back}"
    if back:
        return Reason.GOING_BACK, f"what it was rolled to is set aside: {back}"
    if stand.ready[0].alone:
        return Reason.TRIED_ALONE, "it failed together with another version, and is tried alone"
    moved = [want for want in stand.ready if want.mirror != want.held]
    if not moved:
        return Reason.FIELDS_CHANGED, "file fields were changed in the configuration"
    if any(want.mirror and want.mirror.rolled(stand.service.id) for want in moved):
        return Reason.DRIFTED, "it was moved away from the newest version"
    if all(w.mirror and w.held and w.mirror.identity == w.held.identity for w in moved):
        return Reason.CONTENT_CHANGED, "its version was made anew as the configuration is now"
    return Reason.NEW_VERSION, "a newer version is mirrored"


def _record(want: Want, mirror: Mirror, stand: Stand, now: float) -> Annotate | None:
    """Write down where the service was, so that it can go back there (I10).

    1. What moves forward may go back to what the service stood on last, before a version that never
       became good.
    2. What goes back needs no way back. Where it leaves the first version that the service was
       given, and none was good, the service had no reference before, as the record left says.
    """
    service = stand.service
    left = want.held.open_record(service.id) if want.held else None
    before, ill = tuple(reference.write() for reference in want.references), stand.ill
    if want.back:
        before = ()
    elif left:
        ill = left.ill
        before = before if left.back else tuple(dict(reference) for reference in left.before)
    back = bool(want.back) and not (left and not left.before and not left.back)
    record = RollRecord(
        before=before,
        index=service.index,
        at=timestamp(now),
        done="",
        frame=service.frame,
        ill=ill,
        started=service.update_started,
        back=back,
    )
    put = {f"{ROLL}{service.id}": record.write()}
    put |= {} if want.back else tried_again(stand, now)
    known = mirror.open_record(service.id)
    if want.alone:
        why = "it failed together with another version, and has its turn alone"
        put[aside_label(service.id)] = SetAside(By.SUSPECT, timestamp(now), why, True).write()
    elif known and replace(known, at=record.at) == record:
        return None
    return Annotate(
        secret=want.name,
        secret_id=mirror.id,
        docker_name=mirror.docker_name,
        reason=Reason.NEW_VERSION,
        why=f"{service.name} is about to be rolled to it",
        put=put,
    )


def _done(want: Want, service: Service, now: float) -> Annotate:
    if want.held is None:
        raise AssertionError("a roll under way holds a mirror")
    record = want.held.records[service.id]
    done = RollRecord(before=(), index=record.index, at=record.at, done=timestamp(now))
    return Annotate(
        secret=want.name,
        secret_id=want.held.id,
        docker_name=want.held.docker_name,
        reason=Reason.CONVERGED,
        why=f"{service.name} has converged and baked",
        put={f"{ROLL}{service.id}": done.write()},
        # A suspect that stayed up alone is none.
        drop=frozenset({aside_label(service.id)} if want.held.asides.get(service.id) else ())
        | frozenset({f"{BLOCKED}{service.id}"} if service.id in want.held.blocks else ()),
    )
