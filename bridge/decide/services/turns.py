"""Whose turn is it? Never more than ``max_in_flight`` services are under way (I7)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from bridge.decide.backoffs import backoff_of, trying_again
from bridge.decide.services.blocked_rolls import tried_again
from bridge.decide.services.limits import hold_what_is_too_much
from bridge.decide.services.own import LastTurn, last_turn
from bridge.decide.services.progress import PAUSED
from bridge.decide.services.state import ServiceState
from bridge.decide.services.wants import Want
from bridge.decide.situation import Situation
from bridge.model.actions import Annotate, Chain, RollService, rolled_service
from bridge.model.conditions import Hold
from bridge.model.labels import ROLL
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason, State
from bridge.model.roll_record import RollRecord
from bridge.model.set_aside import By, SetAside, aside_label
from bridge.model.timestamps import timestamp

LONGEST_ELECTION = 20.0
"""Seconds for which a write whose answer was lost may yet be carried out (seen: 10 to 16)."""


def give_turns(
    states: Sequence[ServiceState], known: Situation
) -> tuple[list[ServiceState], list[Chain]]:
    """Return the services with what became of each one's turn, and the rolls that begin now.

    1. A service that is under way keeps its place: a newer version goes to it at once.
    2. What goes back goes before what begins: it has failed, or is blocked, and its place is free.
    3. An update whose answer was lost may yet come true (I13), so its service keeps its place.
    4. A way back may be blocked as well, and free its place for another; then the engine starts it
       after all, and more services are under way than should be. None of them gets anything newer
       until enough have converged or failed; what goes back does not wait for that.
    5. The bridge's own service comes last.
    """
    limited = hold_what_is_too_much(states, known)
    last = last_turn(limited, known)
    order = sorted(range(len(states)), key=lambda place: _rank(limited[place], last))  # 2, 5
    sent = _may_be_sent(known)
    placed = {s.service.id for s in limited if s.in_flight or s.service.id in sent}  # 1, 3
    free = known.rollout.max_in_flight - len(placed)
    chains: list[Chain] = []
    for place in order:
        state = limited[place]
        if not state.ready:
            continue
        message = last.why_not_now(state) or _why_not_now(state, free, placed, known)
        if message:
            limited[place] = _wait_for_turn(state, message)
            continue
        limited[place], chain = _roll(state, known)
        chains += [chain] if chain else []
        free -= bool(chain) and state.service.id not in placed
    return limited, chains


def _rank(state: ServiceState, last: LastTurn) -> tuple[bool, int]:
    return not _goes_back(state), last.rank(state)


def _goes_back(state: ServiceState) -> bool:
    return any(want.back for want in state.ready)


def _why_not_now(state: ServiceState, free: int, placed: Collection[str], known: Situation) -> str:
    """Return why a service has to wait for its turn; empty where it has it.

    1. It has a place: a newer version goes to it at once, since the engine replaces an update that
       it is at by the next one. But not while too many are under way (see ``give_turns``).
    2. It has none: it waits until one is free.

    Args:
        free: How many places are free; less than none where too many services are under way.
        placed: Ids of the services that have a place.
    """
    message = f"it is not its turn: max_in_flight is {known.rollout.max_in_flight}"
    if state.service.id in placed:  # 1
        crowded = free < 0 and not _goes_back(state)
        return f"{message}, and {len(placed)} services are under way" if crowded else ""
    return message if free <= 0 else ""  # 2


def _wait_for_turn(state: ServiceState, message: str) -> ServiceState:
    service = state.service.name
    reason = Reason.WAITING_FOR_TURN
    return state.held(
        *(
            Hold(secret=want.name, reason=reason, message=message, service=service, waits=True)
            for want in state.ready
        )
    )


def _may_be_sent(known: Situation) -> frozenset[str]:
    """Return the ids of the services of which an update may yet come true (I13).

    The answer to it was lost.
    """
    unknown = ((key, b.until) for key, b in known.memory.backoffs.items() if b.unknown)
    lost = (key for key, until in unknown if known.now < until + LONGEST_ELECTION)
    return frozenset(service for key in lost if (service := rolled_service(key)))


def _roll(state: ServiceState, known: Situation) -> tuple[ServiceState, Chain]:
    """Return the chain that rolls a service: its records first, then one update for all.

    The chain is empty while an earlier try is backed off.
    """
    service = state.service
    swaps = tuple(want.swap for want in state.ready if want.swap)
    reason, why = _why(state)
    action = RollService(
        service_id=service.id,
        service_name=service.name,
        template=service.template,
        swaps=swaps,
        reason=reason,
        why=why,
    )
    backoff = backoff_of(action, known)
    if backoff:
        return state.held(trying_again(state.ready[0].name, service.name, backoff)), ()
    again = tried_again(state, known.now)
    records = [
        note
        for want in state.ready
        if want.mirror and (note := _record(want, want.mirror, state, again, known.now))
    ]
    for want in state.ready:
        to = want.swap.to_name if want.swap else ""
        verb = "goes back" if want.back else "is being rolled"
        state = state.reported(want, State.ROLLING, reason, f"{verb} to {to}")
    return state, (*records, action)


def _why(state: ServiceState) -> tuple[Reason, str]:
    """Return why a service is rolled, and whether somebody else's pause ends with it."""
    reason, why = _reason(state)
    service = state.service
    if service.update in PAUSED and not state.has_open_roll:
        why += f"; that ends the pause of an update that is not ours ({service.update_message})"
    return reason, why


def _reason(state: ServiceState) -> tuple[Reason, str]:
    """Return why a service is rolled: one update moves all its secrets, and the first case counts.

    1. A secret goes back: its version is set aside, or none of the tasks could be started on it.
    2. A suspect is tried alone: of an update that moved several the engine reports one failure.
    3. None moves to another version, and only file fields change.
    4. Otherwise some move forward.
    """
    back = next((want.back for want in state.ready if want.back), "")
    if back:  # 1
        return Reason.GOING_BACK, f"what it was rolled to {_what_failed(state)}: {back}"
    if state.ready[0].alone:  # 2
        return Reason.TRIED_ALONE, "it failed together with another version, and is tried alone"
    moved = [want for want in state.ready if want.mirror != want.held]
    if not moved:  # 3
        return Reason.FIELDS_CHANGED, "file fields were changed in the configuration"
    return _reason_forward(moved, state.service.id)  # 4


def _what_failed(state: ServiceState) -> str:
    service_id = state.service.id
    blocked = any(want.held and want.held.block_for(service_id) for want in state.ready)
    return "cannot be started" if blocked else "is set aside"


def _reason_forward(moved: Sequence[Want], service_id: str) -> tuple[Reason, str]:
    """Return why a service moves forward.

    1. It was on one of the versions before: a stack deploy, for instance, puts the references of
       its file into the Spec, whatever was there.
    2. All are copies of the versions that it is on, made anew since a Docker secret never changes.
    3. Otherwise one is newer.
    """
    if any(want.mirror and want.mirror.rolled(service_id) for want in moved):  # 1
        return Reason.DRIFTED, "it was moved away from the newest version"
    if all(w.mirror and w.held and w.mirror.identity == w.held.identity for w in moved):  # 2
        return Reason.CONTENT_CHANGED, "its version was made anew as the configuration is now"
    return Reason.NEW_VERSION, "a newer version is mirrored"  # 3


def _record(
    want: Want, mirror: Mirror, state: ServiceState, again: Mapping[str, str], now: float
) -> Annotate | None:
    """Return the note of where the service was, so that it can go back there (I10).

    What goes back needs no way back. None where that is noted already.

    Args:
        again: The label that a blocked roll is tried again.
    """
    service = state.service
    known = mirror.open_record(service.id)
    record = _record_of(want, state, now)
    put = {f"{ROLL}{service.id}": record.write()}
    put |= {} if want.back else again
    if want.alone:
        why = "it failed together with another version, and has its turn alone"
        put[aside_label(service.id)] = SetAside(By.SUSPECT, timestamp(now), why, True).write()
    elif known and replace(known, at=record.at) == record:
        return None
    return Annotate.on(
        mirror,
        reason=Reason.NEW_VERSION,
        why=f"{service.name} is about to be rolled to it",
        put=put,
    )


def _record_of(want: Want, state: ServiceState, now: float) -> RollRecord:
    """Return the record of a roll that is about to begin.

    1. What moves forward may go back to what the service stood on last, before a version that never
       became good.
    2. What goes back needs no way back. Where it leaves the first version that the service was
       given, and none was good, the service had no reference before, as the record left says.
    """
    service = state.service
    left = want.held.open_record(service.id) if want.held else None
    before, unhealthy = tuple(ref.write() for ref in want.references), state.unhealthy
    if want.back:
        before = ()
    elif left:
        unhealthy = left.unhealthy
        before = before if left.back else tuple(dict(reference) for reference in left.before)
    back = bool(want.back) and not (left and not left.before and not left.back)
    return RollRecord(
        before=before,
        index=service.index,
        at=timestamp(now),
        done="",
        frame=service.frame,
        unhealthy=unhealthy,
        started=service.update_started,
        back=back,
    )
