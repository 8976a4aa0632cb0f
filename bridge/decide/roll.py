"""How does each service stand, and which may be rolled next?

A roll is observed, not awaited: each cycle sees specs, tasks and roll records, and says the next
step. The record of a roll is written on the Docker secret rolled to before the service is touched;
it is *open* until the service has converged and baked. Whether an open record's update was ever
sent is seen from the Spec and from the service's version index.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bridge.decide import gates
from bridge.decide.progress import Progress, baked_at, failure_of, timeout_at
from bridge.decide.wants import Want
from bridge.model.desired import Rollout
from bridge.model.memory import Memory, Watch
from bridge.model.mirror import Mirror, RollRecord, SetAside, write_asides
from bridge.model.naming import ASIDE, ROLL, timestamp
from bridge.model.plan import Annotate, Chain, Hold, RollService, ServiceCondition, action_key
from bridge.model.reasons import Reason, State
from bridge.model.world import Service, UpdateState

_ROLLED_BACK = frozenset(
    (UpdateState.ROLLBACK_STARTED, UpdateState.ROLLBACK_COMPLETED, UpdateState.ROLLBACK_PAUSED)
)


@dataclass(slots=True)
class Stand:
    """How one service stands; filled by ``stand_of`` and read by the cycle.

    Attributes:
        wants: What it should have, by secret's name.
        flying: Whether a roll of ours is under way and has not converged (I7).
        under_way: Whether a roll of ours is under way, converged or not.
        went_back: Names of the secrets whose roll was seen just now to have gone back.
        baked: When its tasks will have baked as they are; None while they have not converged.
        ready: Wants that nothing holds up but the turn.
        notes: Labels to be written about it.
        notices: What may be good to know about it.
        wake: Times at which its stand may change by itself.
    """

    service: Service
    wants: Mapping[str, Want]
    flying: bool = False
    under_way: bool = False
    went_back: frozenset[str] = frozenset()
    baked: float | None = None
    ready: tuple[Want, ...] = ()
    notes: list[Annotate] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    notices: list[Hold] = field(default_factory=list)
    conditions: dict[str, ServiceCondition] = field(default_factory=dict)
    wake: list[float] = field(default_factory=list)

    @property
    def failing(self) -> frozenset[str]:
        """Ids of the versions on which it was seen just now to have failed."""
        return frozenset(n.secret_id for n in self.notes if n.reason == Reason.ROLL_FAILED)

    def say(self, want: Want, state: State, reason: Reason, message: str = "") -> None:
        """Set the condition for one secret."""
        held = want.held
        version = held.identity.version if held else None
        self.conditions[want.name] = ServiceCondition(
            self.service.name, version, state, reason, message
        )

    def hold(self, hold: Hold) -> None:
        """Set the condition for one secret to held, and say why."""
        self.holds.append(hold)
        state = State.ROLLING if hold.waits else State.HELD
        self.say(self.wants[hold.secret], state, hold.reason, hold.message)
        if hold.until is not None:
            self.wake.append(hold.until)


def stand_of(
    service: Service,
    wants: Iterable[Want],
    progress: Progress,
    memory: Memory,
    rollout: Rollout,
    now: float,
) -> Stand:
    """Judge one service: how far is the roll under way, is it well?

    Args:
        progress: How its tasks stand with the versions that are on trial there.
    """
    stand = Stand(service, {want.name: want for want in wants})
    for want in stand.wants.values():
        stand.say(want, State.SYNCED, Reason.UP_TO_DATE)
        if want.changes and not want.swap:
            message = f"{', '.join(want.changes)} with the next roll"
            stand.notices.append(Hold(want.name, Reason.FIELDS_CHANGED, message, service.name))
            stand.say(want, State.SYNCED, Reason.FIELDS_CHANGED, message)
        if want.mirror is None or (want.held is None and want.swap is None):
            hold = want.target.hold or want.hold
            reason = hold.reason if hold else Reason.NEW_VERSION
            state = State.HELD if hold else State.ROLLING
            stand.say(want, state, reason, "it has no version yet" if want.held is None else "")
    if service.torn:
        for want in stand.wants.values():
            message = f"{service.name} changed while it was looked at"
            stand.hold(Hold(want.name, Reason.LOOKING_AGAIN, message, service.name, now, True))
        return stand
    stand.went_back = _judge_rollbacks(stand, now)
    watch = memory.watches.get(service.id)
    stand.baked = baked_at(service, progress, watch, rollout, now) if progress.converged else None
    if stand.baked is not None:
        stand.wake.append(stand.baked)
    under_way = tuple(
        want for want in stand.wants.values() if want.held and want.held.open_record(service.id)
    )
    stand.under_way = bool(under_way)
    if under_way:
        _judge_roll(stand, under_way, progress, watch, rollout, now)
    else:
        _judge_health(stand, progress, now)
    _say_asides(stand)
    return stand


def _judge_roll(
    stand: Stand,
    under_way: tuple[Want, ...],
    progress: Progress,
    watch: Watch | None,
    rollout: Rollout,
    now: float,
) -> None:
    """Judge the roll that is under way: failed, under way, baking, done."""
    service = stand.service
    if stand.baked is not None:
        for want in under_way:
            if stand.baked <= now:
                stand.notes.append(_done(want, service, now))
                stand.say(
                    want, State.ROLLING, Reason.CONVERGED, "every task is on it and has baked"
                )
            else:
                stand.say(want, State.ROLLING, Reason.BAKING, progress.text)
        return
    if any(want.held and want.held.aside_for(service.id) for want in under_way):
        return
    failure = failure_of(service, progress, watch, rollout, now)
    if failure:
        _fail(stand, under_way, failure, now)
        return
    stand.flying = True
    stand.wake.append(timeout_at(progress, watch, rollout, now))
    for want in under_way:
        stand.say(want, State.ROLLING, Reason.ROLLING, progress.story)


def _fail(stand: Stand, under_way: tuple[Want, ...], failure: str, now: float) -> None:
    """Set versions aside that a service failed on; one that was good before is not to blame."""
    for want in under_way:
        if want.held and want.held.good:
            stand.say(want, State.DEGRADED, Reason.SERVICE_UNHEALTHY, failure)
        elif want.held:
            stand.notes.append(set_aside(want, want.held, stand.service, "failure", failure, now))
            stand.say(want, State.DEGRADED, Reason.ROLL_FAILED, failure)


def _judge_rollbacks(stand: Stand, now: float) -> frozenset[str]:
    """Notice what went back: by Swarm, which leaves no PreviousSpec, or by an operator's hand.

    Returns the names of the secrets that went back just now.
    """
    service = stand.service
    found: set[str] = set()
    for want in stand.wants.values() if service.update in _ROLLED_BACK else ():
        for mirror in want.target.mirrors:
            record = mirror.records.get(service.id)
            if record is None or mirror.id in service.secret_ids or mirror.aside_for(service.id):
                continue
            if service.previous is not None and mirror.id in service.previous:
                why = "an operator rolled the service back"
                stand.notes.append(set_aside(want, mirror, service, "operator", why, now))
                found.add(want.name)
            elif service.previous is None and not record.done and service.index > record.index:
                why = f"Swarm rolled the service back ({service.update_message})"
                stand.notes.append(set_aside(want, mirror, service, "failure", why, now))
                found.add(want.name)
    return frozenset(found)


def _say_asides(stand: Stand) -> None:
    """Report versions that are set aside for this service and newer than what it may have."""
    for want in stand.wants.values():
        newest = want.target.mirrors[0] if want.target.mirrors else None
        mark = newest.aside_for(stand.service.id) if newest else None
        if mark is None or newest is None:
            continue
        if mark.by == "operator":
            stand.hold(Hold(want.name, Reason.SET_ASIDE, mark.why, stand.service.name))
        else:
            message = f"{newest.docker_name} failed: {mark.why}"
            stand.say(want, State.DEGRADED, Reason.ROLL_FAILED, message)


def _judge_health(stand: Stand, progress: Progress, now: float) -> None:
    """Judge a service that nobody rolls now: has it its full number of tasks?"""
    service = stand.service
    if service.reruns or service.update == UpdateState.UPDATING:
        return
    for want in stand.wants.values():
        if want.held is None:
            continue
        if len(progress.good) < progress.desired:
            stand.say(want, State.DEGRADED, Reason.SERVICE_UNHEALTHY, progress.story)
        elif want.held.good or service.id in want.held.records:
            continue
        elif stand.baked is not None and stand.baked > now:
            # It came to this version without us, by a stack deploy for instance.
            stand.say(want, State.ROLLING, Reason.BAKING, progress.text)


def pass_gates(
    stand: Stand, failing: frozenset[str], memory: Memory, rollout: Rollout, now: float
) -> None:
    """Pass what the service still wants through the gates, once all services were judged.

    Args:
        failing: Ids of the versions on which a service failed just now.
    """
    service = stand.service
    if service.torn:
        return
    ours = stand.under_way or (service.update in _ROLLED_BACK and service.previous is None)
    ready: list[Want] = []
    for want in stand.wants.values():
        if want.hold:
            stand.hold(want.hold)
            continue
        if want.swap is None or want.mirror is None or want.name in stand.went_back:
            continue
        hold = (
            gates.reruns(service, want)
            or gates.busy(service, want, ours, rollout, now)
            or gates.failed_elsewhere(service, want, want.mirror, failing)
            or _again(service, want, memory, now)
        )
        if hold:
            stand.hold(hold)
        else:
            ready.append(want)
    if any(want.target.create for want in stand.wants.values()) and ready:
        # Another version is being made in this very cycle: it shall come with the same update.
        for want in ready:
            message = "waits for the newest version to be mirrored"
            stand.hold(Hold(want.name, Reason.LOOKING_AGAIN, message, service.name, None, True))
        return
    until = gates.settling(ready, memory, rollout, now) if ready else now
    if until > now:
        for want in ready:
            message = "waits whether more changes come"
            stand.hold(Hold(want.name, Reason.SETTLING, message, service.name, until, True))
        return
    stand.ready = tuple(ready)


def _again(service: Service, want: Want, memory: Memory, now: float) -> Hold | None:
    """Damp a fight with somebody who moves the service back again and again."""
    if want.mirror is None or not want.mirror.records.get(service.id):
        return None
    until = gates.damped(service, want.mirror, memory, now)
    if until <= now:
        return None
    message = f"somebody moves {service.name} away from {want.mirror.docker_name} again and again"
    return Hold(want.name, Reason.DRIFTED, message, service.name, until)


def roll_chain(stand: Stand, memory: Memory, now: float) -> Chain | Hold:
    """Make the chain that rolls a service: its records first, then one update for all."""
    service = stand.service
    swaps = tuple(want.swap for want in stand.ready if want.swap)
    reason, why = _why(stand)
    action = RollService(service.id, service.name, service.template, swaps, reason, why)
    backoff = memory.backoffs.get(action_key(action))
    if backoff and backoff.until > now:
        first = stand.ready[0]
        return Hold(
            first.name, Reason.TRYING_AGAIN, backoff.message, service.name, backoff.until, True
        )
    records = [
        note
        for want in stand.ready
        if want.mirror and (note := _record(want, want.mirror, service, now))
    ]
    return (*records, action)


def _why(stand: Stand) -> tuple[Reason, str]:
    """Say why a service is rolled."""
    moved = [want for want in stand.ready if want.mirror != want.held]
    if not moved:
        return Reason.FIELDS_CHANGED, "file fields were changed in the configuration"
    if any(want.mirror and want.mirror.rolled(stand.service.id) for want in moved):
        return Reason.DRIFTED, "it was moved away from the newest version"
    return Reason.NEW_VERSION, "a newer version is mirrored"


def _record(want: Want, mirror: Mirror, service: Service, now: float) -> Annotate | None:
    """Write down where the service was, so that it can go back there (I10)."""
    before = tuple(reference.write() for reference in want.references)
    under_way = want.held.open_record(service.id) if want.held else None
    if under_way:
        # What it stood on last, before a version that never became good.
        before = tuple(dict(reference) for reference in under_way.before)
    known = mirror.open_record(service.id)
    if known and (known.before, known.index) == (before, service.index):
        return None
    record = RollRecord(before, service.index, timestamp(now))
    return Annotate(
        want.name,
        mirror.id,
        mirror.docker_name,
        Reason.NEW_VERSION,
        f"{service.name} is about to be rolled to it",
        {f"{ROLL}{service.id}": record.write()},
    )


def _done(want: Want, service: Service, now: float) -> Annotate:
    if want.held is None:
        raise AssertionError("a roll under way holds a mirror")
    record = want.held.records[service.id]
    done = RollRecord((), record.index, record.at, timestamp(now))
    return Annotate(
        want.name,
        want.held.id,
        want.held.docker_name,
        Reason.CONVERGED,
        f"{service.name} has converged and baked",
        {f"{ROLL}{service.id}": done.write()},
    )


def set_aside(
    want: Want, mirror: Mirror, service: Service, by: str, why: str, now: float
) -> Annotate:
    """Mark a version as not to be used for a service."""
    mark = SetAside(service.id, by, timestamp(now), why)
    reason = Reason.ROLL_FAILED if by == "failure" else Reason.SET_ASIDE
    return Annotate(
        want.name,
        mirror.id,
        mirror.docker_name,
        reason,
        f"set aside for {service.name}: {why}",
        {ASIDE: write_asides((*mirror.asides, mark))},
    )
