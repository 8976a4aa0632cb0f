"""Does a plan touch more services than it may without somebody's approval?

Whoever rewrites everything in Vault at once, by mistake or not, would have everything rolled. Only
what has not begun anywhere is held: a rollout is not stopped half-way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bridge.decide.decision import one_by_one
from bridge.decide.services.state import ServiceState
from bridge.decide.services.wants import Want
from bridge.decide.situation import Situation
from bridge.decide.versions.target import Target
from bridge.model.actions import Chain, NoteState
from bridge.model.conditions import Hold
from bridge.model.reasons import Reason
from bridge.model.wishes import APPROVED, Approval


def hold_what_is_too_much(states: Sequence[ServiceState], known: Situation) -> list[ServiceState]:
    """Return the states; if too many services would be rolled, what nobody approved is held."""
    approvals, most = known.swarm.approvals, known.desired.max_services
    if most is None:
        return list(states)
    counted = sum(
        any(_counts(want, approvals) for want in state.wants.values())
        for state in states
        if not state.service.reruns
    )
    if counted <= most:
        return list(states)
    return [_held(state, counted, most, approvals) for state in states]


def _held(
    state: ServiceState, counted: int, most: int, approvals: Mapping[str, Approval]
) -> ServiceState:
    ready: list[Want] = []
    holds: list[Hold] = []
    for want in state.ready:
        if not _counts(want, approvals):
            ready.append(want)
        elif want.urgent:
            ready.append(want)
            state = state.forced(want, f"limits.max_services is {most}")
        else:
            message = (
                f"{counted} services would be rolled, and limits.max_services is {most}:"
                f" `vault-bridge approve {want.name}` lets this go on"
            )
            hold = Hold(
                secret=want.name,
                reason=Reason.NEEDS_APPROVAL,
                message=message,
                service=state.service.name,
            )
            holds.append(hold)
    return replace(state.held(*holds), ready=tuple(ready))


def _counts(want: Want, approvals: Mapping[str, Approval]) -> bool:
    """Return whether a want is part of a rollout that nobody approved and that has not begun."""
    mirror = want.mirror
    if want.swap is None or want.back or mirror is None:
        return False
    if mirror.good or mirror.records or mirror.blocks:
        return False
    approval = approvals.get(want.name)
    return approval is None or not approval.covers(mirror.identity)


def approvals_over(target: Target, approvals: Mapping[str, Approval]) -> tuple[Chain, ...]:
    """Return the note that drops an approval whose version is good, or no longer the newest."""
    name = target.secret.name
    approval = approvals.get(name)
    newest = next((mirror for mirror in target.mirrors if "" not in mirror.asides), None)
    if approval is None or newest is None:
        return ()
    if approval.covers(newest.identity) and not newest.good:
        return ()
    drop = {f"{APPROVED}{name}": approval.write()}
    why = f"the approval of version {approval.version} of {name} is over"
    return one_by_one(NoteState(name, {}, drop, Reason.SUPERSEDED, why))
