"""Does a plan touch more services than it may without somebody's word?

Whoever rewrites everything in Vault at once, by mistake or not, would have everything rolled. Only
what has not begun anywhere is held: a rollout is not stopped half-way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bridge.decide.services.state import Stand
from bridge.decide.services.wants import Want
from bridge.decide.versions.target import Target
from bridge.model.actions import Chain, NoteState
from bridge.model.conditions import Hold
from bridge.model.reasons import Reason
from bridge.model.wishes import APPROVED, Approval


def hold_what_is_too_much(
    stands: Iterable[Stand], approvals: Mapping[str, Approval], max_services: int | None
) -> None:
    """Take what nobody has approved out of the services' ready wants, if it is too much."""
    if max_services is None:
        return
    stands = tuple(stands)
    counted = sum(
        any(_counts(want, approvals) for want in stand.wants.values())
        for stand in stands
        if not stand.service.reruns
    )
    if counted <= max_services:
        return
    for stand in stands:
        for want in stand.ready:
            if _counts(want, approvals) and want.urgent:
                stand.force(want, f"limits.max_services is {max_services}")
            elif _counts(want, approvals):
                message = (
                    f"{counted} services would be rolled, and limits.max_services is"
                    f" {max_services}: `vault-bridge approve {want.name}` lets this go on"
                )
                name = stand.service.name
                stand.hold(
                    Hold(
                        secret=want.name,
                        reason=Reason.NEEDS_APPROVAL,
                        message=message,
                        service=name,
                    )
                )
        stand.ready = tuple(
            want for want in stand.ready if want.urgent or not _counts(want, approvals)
        )


def _counts(want: Want, approvals: Mapping[str, Approval]) -> bool:
    """Tell whether a want is part of a rollout that nobody has approved and that has not begun."""
    mirror = want.mirror
    if want.swap is None or want.back or mirror is None:
        return False
    if mirror.good or mirror.records or mirror.blocks:
        return False
    approval = approvals.get(want.name)
    return approval is None or not approval.covers(mirror.identity)


def approvals_over(target: Target, approvals: Mapping[str, Approval]) -> list[Chain]:
    """Take back an approval whose version is good, or no longer the newest."""
    name = target.secret.name
    approval = approvals.get(name)
    newest = next((mirror for mirror in target.mirrors if "" not in mirror.asides), None)
    if approval is None or newest is None:
        return []
    if approval.covers(newest.identity) and not newest.good:
        return []
    drop = {f"{APPROVED}{name}": approval.write()}
    why = f"the approval of version {approval.version} of {name} is over"
    return [(NoteState(name, {}, drop, Reason.SUPERSEDED, why),)]
