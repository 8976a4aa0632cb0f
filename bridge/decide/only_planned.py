"""What of a plan may be carried out where somebody has reviewed another one?

1. What was reviewed: a Docker secret from the same version, a service with the same index that
   makes the same moves.
2. What a roll that was reviewed may come to: a service goes back where it fails.
3. What no service sees: marks, records, renewals. The bridge would be blind without them.

Nothing else. What is wanted besides is held (`NotInPlan`), and the rest of the plan goes on (I8): a
version that was written since is as if Vault did not tell of it, so that no service waits for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from bridge.decide.ahead import is_change
from bridge.model.actions import (
    Action,
    Chain,
    CreateSecret,
    MintGeneration,
    RemoveSecret,
    RollService,
    TendGeneration,
    WakeUpdater,
    concerns,
)
from bridge.model.changes import ChangeKind
from bridge.model.conditions import Condition, Hold
from bridge.model.plan import Plan
from bridge.model.plan_file import PlanFile
from bridge.model.reasons import Reason, State
from bridge.model.source import Source
from bridge.model.swarm_view import SwarmView
from bridge.model.vault_view import Document, Unreadable
from bridge.model.world import World

_MESSAGE = "it is not part of the plan that is carried out: `vault-bridge plan` shows it"


def as_reviewed(world: World, plan: Plan, reviewed: PlanFile) -> World:
    """Return the world without the versions that a plan would mirror and that nobody reviewed."""
    unread = Unreadable(Reason.NOT_IN_PLAN, _MESSAGE)
    hidden: dict[Source, Document | Unreadable] = {}
    for action in (action for chain in plan.chains for action in chain):
        if isinstance(action, CreateSecret | MintGeneration):
            source = action.source if isinstance(action, MintGeneration) else action.identity.source
            if not _is_allowed(action, world.swarm, reviewed, ()):
                hidden[source] = unread
    if not hidden:
        return world
    return replace(world, vault=replace(world.vault, paths={**world.vault.paths, **hidden}))


def only_planned(plan: Plan, swarm: SwarmView, reviewed: PlanFile, begun: Collection[str]) -> Plan:
    """Return the part of a plan that was reviewed; the rest is held.

    Args:
        begun: Ids of the services that were rolled as the plan has it: their index has changed.
    """
    kept: list[Chain] = []
    cut: list[Chain] = []
    for chain in plan.chains:
        allowed = all(_is_allowed(action, swarm, reviewed, begun) for action in chain)
        (kept if allowed else cut).append(chain)
    if not cut:
        return plan
    holds = tuple(hold for chain in cut for hold in _holds(chain))
    held = {(hold.secret, hold.service) for hold in holds}
    conditions = tuple(_with_holds(condition, held) for condition in plan.conditions)
    return replace(
        plan,
        chains=tuple(kept),
        holds=(*plan.holds, *holds),
        conditions=conditions,
        rolling=any(s.state == State.ROLLING for c in conditions for s in c.services),
    )


def _is_allowed(
    action: Action, swarm: SwarmView, reviewed: PlanFile, begun: Collection[str]
) -> bool:
    match action:
        case CreateSecret():
            planned = reviewed.by_name.get((ChangeKind.CREATE, action.docker_name))
            identity = action.identity
            return planned is not None and (planned.version, planned.created) == (
                identity.version,
                identity.created,
            )
        case MintGeneration():
            return (ChangeKind.CREATE, action.docker_name) in reviewed.by_name
        case RollService():
            return _may_roll(action, swarm, reviewed, begun)
        case WakeUpdater():
            return action.service_id in reviewed.rolls
        case RemoveSecret():
            planned = reviewed.by_name.get((ChangeKind.REMOVE, action.docker_name))
            return planned is not None and planned.id == action.secret_id
        case TendGeneration() if is_change(action):
            return (ChangeKind.END, action.docker_name) in reviewed.by_name
        case _:
            return True


def _may_roll(
    action: RollService, swarm: SwarmView, reviewed: PlanFile, begun: Collection[str]
) -> bool:
    planned = reviewed.rolls.get(action.service_id)
    if planned is None:
        return False
    if action.service_id in begun and action.reason == Reason.GOING_BACK:
        return True
    service = swarm.service_by_id.get(action.service_id)
    index = service.index if service else 0
    moves = {(swap.secret, swap.from_name, swap.to_name) for swap in action.swaps}
    return moves <= set(planned.moves) and (action.service_id in begun or index == planned.index)


def _holds(chain: Chain) -> Iterator[Hold]:
    """Yield that a chain is not carried out; what is only due by time is left without a word."""
    for action in chain:
        if isinstance(action, CreateSecret | MintGeneration | RollService):
            names, service = concerns(action)
            for name in names:
                yield Hold(
                    secret=name, service=service, reason=Reason.NOT_IN_PLAN, message=_MESSAGE
                )


def _with_holds(condition: Condition, held: Collection[tuple[str, str]]) -> Condition:
    services = tuple(
        replace(service, state=State.HELD, reason=Reason.NOT_IN_PLAN, message=_MESSAGE)
        if (condition.name, service.name) in held
        else service
        for service in condition.services
    )
    rolling = any(service.state == State.ROLLING for service in services)
    if services == condition.services and (condition.name, "") not in held:
        return condition
    if rolling or condition.state != State.ROLLING:
        return replace(condition, services=services)
    return replace(
        condition,
        services=services,
        state=State.HELD,
        reason=Reason.NOT_IN_PLAN,
        message=_MESSAGE,
    )
