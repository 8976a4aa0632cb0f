"""Where does a service stand with its roll: under way, failed, baking, done?

A roll is observed, not awaited: each cycle sees specs, tasks and roll records, and finds the next
step. The record of a roll is written on the Docker secret rolled to before the service is touched;
it is *open* until the service has converged and baked. Whether an open record's update was ever
sent is seen from the Spec and from the service's version index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import inf

from bridge.decide.services.blame import (
    judge_failure,
    judge_rollback_paused,
    judge_rollbacks,
    report_set_aside,
)
from bridge.decide.services.blocked_rolls import block
from bridge.decide.services.hung import is_excused, wake_of
from bridge.decide.services.own import awaits_answer, refused_login
from bridge.decide.services.progress import (
    MOVING,
    UNFINISHED,
    Progress,
    baked_at,
    end_looked_for_at,
    failure_of,
    on_trial,
    overdue_at,
    progress_of,
    settled_at,
    timeout_at,
    watched,
)
from bridge.decide.services.state import ServiceState, notice_of, service_condition
from bridge.decide.services.unstarted import hindrance_of
from bridge.decide.services.wants import Want
from bridge.decide.situation import Situation
from bridge.model.actions import Annotate
from bridge.model.blocked import Blocked
from bridge.model.conditions import Hold, ServiceCondition
from bridge.model.labels import BLOCKED, ROLL
from bridge.model.memory import Watch
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason, State
from bridge.model.roll_record import RollRecord
from bridge.model.service import Service, Task, UpdateState
from bridge.model.set_aside import aside_label
from bridge.model.timestamps import timestamp

JUST = 3.0
"""Seconds for which a sent update is taken to be under way, whatever the engine reports of it."""


_UNANSWERED = "Vault has yet to answer the bridge that runs on it"


@dataclass(frozen=True, slots=True)
class Observed:
    """The tasks of a service, against the versions that are on trial there.

    Attributes:
        settled_at: When it frees its place in flight; never while they have not converged.
        baked_at: When they will have baked as they are; None while they have not converged, never
            while Vault has yet to answer the bridge that is one of them.
    """

    tasks: tuple[Task, ...]
    progress: Progress
    watch: Watch
    settled_at: float = inf
    baked_at: float | None = None

    @property
    def wake(self) -> tuple[float, ...]:
        """When time alone changes what is concluded from them."""
        return () if self.baked_at in (None, inf) else (self.baked_at,)

    @property
    def not_starting(self) -> bool:
        """Whether some are missing, and the engine says why they do not start."""
        missing = len(self.progress.good) < self.progress.desired
        return missing and self.progress.starts.hindered


def judge(service: Service, wants: Iterable[Want], known: Situation) -> ServiceState:
    """Return how one service is doing: how far is a roll of ours, is it healthy?"""
    wants = tuple(wants)
    open_rolls = tuple(want for want in wants if want.held and want.held.open_record(service.id))
    observed = None if service.torn else _observe(service, known)
    state = ServiceState(
        service=service,
        wants={want.name: want for want in wants},
        has_open_roll=bool(open_rolls),
        updating=_is_updating(service, known) or _just_sent(service, known),
        not_starting=observed is not None and observed.not_starting,
        baked_at=observed.baked_at if observed else None,
        notices=tuple(notice for want in wants for notice in _notices(service, want)),
        wake=observed.wake if observed else (),
        conditions={want.name: _as_configured(service, want) for want in wants},
    )
    if observed is None:
        return _torn(state, open_rolls, known.now)
    state = judge_rollbacks(state, observed.tasks, observed.watch.lost, known)
    if open_rolls:
        state = _judge_roll(state, open_rolls, observed, known)
    else:
        state = _judge_health(state, observed.progress, known.now)
    return report_set_aside(state)


def _observe(service: Service, known: Situation) -> Observed:
    trial = on_trial(service, known.swarm, known.instance)
    tasks = known.swarm.tasks_by_service.get(service.id, ())
    progress = progress_of(service, tasks, trial or service.secret_ids)
    watch = watched(service, progress, known.memory.watches.get(service.id), known.now)
    if not progress.converged:
        return Observed(tasks, progress, watch)
    settled = settled_at(service, tasks, watch, known.memory, known.now)
    if awaits_answer(service, trial, known):
        return Observed(tasks, progress, watch, settled, inf)
    return Observed(tasks, progress, watch, settled, baked_at(settled, watch, known.rollout))


def _is_updating(service: Service, known: Situation) -> bool:
    """Return whether the engine is at an update that should still end by itself."""
    if service.update not in MOVING:
        return False
    return known.now < overdue_at(service, known.memory, known.rollout, known.now)


def _as_configured(service: Service, want: Want) -> ServiceCondition:
    """Return what follows from a want alone, before any task is looked at.

    1. There is no version, or the service has none.
    2. Its files are not as they are configured.
    3. Otherwise it is as it should be, as far as the Spec tells.
    """
    if want.mirror is None or (want.held is None and want.swap is None):  # 1
        hold = want.target.hold or want.hold
        reason = hold.reason if hold else Reason.NEW_VERSION
        message = "it has no version yet" if want.held is None else ""
        state = State.HELD if hold else State.ROLLING
        return service_condition(service, want, state, reason, message)
    if want.changes and not want.swap:  # 2
        message = _with_next_roll(want)
        return service_condition(service, want, State.SYNCED, Reason.FIELDS_CHANGED, message)
    return service_condition(service, want, State.SYNCED, Reason.UP_TO_DATE)  # 3


def _notices(service: Service, want: Want) -> Iterator[Hold]:
    """Yield what may be good to know of the files that a service has of a secret."""
    if want.changes and not want.swap:
        yield notice_of(service, want, Reason.FIELDS_CHANGED, _with_next_roll(want))
    if want.shared and not want.hold:
        yield notice_of(service, want, Reason.FIELDS_SHARED, want.shared)
    if want.ends:
        yield notice_of(service, want, Reason.TEMPLATING_ENDS, want.ends)


def _with_next_roll(want: Want) -> str:
    return f"{', '.join(want.changes)} with the next roll"


def _torn(state: ServiceState, open_rolls: tuple[Want, ...], now: float) -> ServiceState:
    """Hold a service that changed while it was looked at; nothing is known of its tasks.

    So it keeps its place in flight.
    """
    service = state.service
    holds = (
        Hold(
            secret=want.name,
            reason=Reason.LOOKING_AGAIN,
            message=f"{service.name} changed while it was looked at",
            service=service.name,
            until=now,
            waits=True,
        )
        for want in state.wants.values()
    )
    return replace(state.held(*holds), in_flight=any(not want.back for want in open_rolls))


def _just_sent(service: Service, known: Situation) -> bool:
    """Return whether an update of ours is so fresh that the engine may not report it yet.

    ``UpdateStatus`` is absent for some milliseconds after every write.
    """
    sent = known.rolled_at.get(service.id)
    return sent is not None and known.now - sent < JUST


def _judge_roll(
    state: ServiceState, open_rolls: tuple[Want, ...], observed: Observed, known: Situation
) -> ServiceState:
    """Return the state with the next step of the roll that is under way.

    1. It goes back already: it has failed, and leaves what it failed on.
    2. Its tasks do not start: the roll is blocked, which says nothing of the version. Not so where
       the engine waits for, or stopped for, a task whose node went down.
    3. It has failed. Not so where the updater hangs: it would wait for ever for that one task, and
       has not tried the others.
    4. It has converged, and bakes or is done: without a health check the engine calls a task
       running as soon as its process is started.
    5. It is under way, or hangs on a node that is down.
    """
    service, tasks = state.service, observed.tasks
    progress, watch = observed.progress, observed.watch
    if any(want.back for want in open_rolls):  # 1
        return state
    held = [want.held for want in open_rolls if want.held]
    latest = max((mirror.records[service.id] for mirror in held), key=lambda r: r.index)
    hung = wake_of(service, tasks, progress, watch, latest)
    state = replace(state, wake_updater=hung)
    excused = is_excused(service, watch.lost)
    failure = failure_of(service, progress, watch, known.rollout, excused=excused)
    failure = failure or refused_login(service, [mirror.id for mirror in held], known)
    hindrance = hindrance_of(service, progress, watch, _noted_block(held, service), failure)
    if hindrance and not hung and not excused:  # 2
        return block(state, open_rolls, hindrance, known)
    if failure and not hung:  # 3
        return judge_failure(state, open_rolls, failure, known)
    if state.baked_at is not None:  # 4
        return _baking(state, open_rolls, observed, known.now)
    return _under_way(state, open_rolls, observed, known)  # 5


def _noted_block(held: Iterable[Mirror], service: Service) -> Blocked | None:
    """Return what was noted before on a blocked roll of a service to the versions that it is on."""
    return next((found for mirror in held if (found := mirror.block_for(service.id))), None)


def _under_way(
    state: ServiceState, open_rolls: tuple[Want, ...], observed: Observed, known: Situation
) -> ServiceState:
    """Return the state of a service whose tasks are being replaced, or whose updater hangs."""
    hung, progress = state.wake_updater, observed.progress
    reason, message = (Reason.NODE_LOST, hung.why) if hung else (Reason.ROLLING, progress.story)
    for want in open_rolls:
        state = state.reported(want, State.ROLLING, reason, message)
    service, watch, now = state.service, observed.watch, known.now
    state = state.waking(timeout_at(service, watch, known.rollout, now))
    if progress.only_ending and service.update not in UNFINISHED:
        state = state.waking(end_looked_for_at(service, watch, now))
    return replace(state, in_flight=True)


def _baking(
    state: ServiceState, open_rolls: tuple[Want, ...], observed: Observed, now: float
) -> ServiceState:
    """Return the state of a service that has converged: it bakes, or its roll is done."""
    settled = observed.settled_at
    done = state.baked_at is not None and state.baked_at <= now
    for want in open_rolls:
        if done:
            message = "every task is on it and has baked"
            state = state.noted(_done(want, state.service, now))
            state = state.reported(want, State.ROLLING, Reason.CONVERGED, message)
        else:
            text = observed.progress.text if state.baked_at != inf else _UNANSWERED
            state = state.reported(want, State.ROLLING, Reason.BAKING, text)
    return replace(state.waking(settled), in_flight=now < settled)


def _judge_health(state: ServiceState, progress: Progress, now: float) -> ServiceState:
    """Return the state of a service that nobody rolls now: has it its full number of tasks?"""
    service = state.service
    if service.reruns or service.update in MOVING:
        return state
    if len(progress.good) < progress.desired:
        state = replace(state, unhealthy=True)
    if service.update == UpdateState.ROLLBACK_PAUSED:
        state = judge_rollback_paused(state, progress.story, now)
    for want in state.wants.values():
        if want.held is None:
            continue
        if state.unhealthy:
            reason = Reason.SERVICE_UNHEALTHY
            state = state.reported(want, State.DEGRADED, reason, progress.story)
        elif want.held.good or service.id in want.held.records:
            continue
        elif state.baked_at is not None and state.baked_at > now:
            # It came to this version without us, by a stack deploy for instance.
            state = state.reported(want, State.ROLLING, Reason.BAKING, progress.text)
    return state


def _done(want: Want, service: Service, now: float) -> Annotate:
    """Return the note that closes the record of a roll."""
    if want.held is None:
        raise AssertionError("a roll under way holds a mirror")
    mirror = want.held
    record = mirror.records[service.id]
    done = RollRecord(before=(), index=record.index, at=record.at, done=timestamp(now))
    over = {aside_label(service.id)} if mirror.asides.get(service.id) else set[str]()
    over |= {f"{BLOCKED}{service.id}"} if service.id in mirror.blocks else set()
    return Annotate.on(
        mirror,
        reason=Reason.CONVERGED,
        why=f"{service.name} has converged and baked",
        put={f"{ROLL}{service.id}": done.write()},
        drop=frozenset(over),  # a suspect that stayed up alone is none
    )
