"""What comes after the next cycle? Decided by the same rules, on a world in which it is done.

Whoever reads a plan wants to know which services are rolled, and a cycle that creates a Docker
secret rolls none yet: it has no id to point them at. So the plan is carried out in thought, and
decided once more, as if every service had its turn at once. Nothing that is foreseen is ever
carried out by itself: each cycle decides anew, by what it sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from bridge.decide.cycle import decide
from bridge.model.actions import (
    Action,
    Annotate,
    CreateSecret,
    MintGeneration,
    NoteState,
    RemoveSecret,
    RollService,
    Tend,
    TendGeneration,
)
from bridge.model.changes import Change, ChangeKind, Forecast, Move
from bridge.model.conditions import Condition, Hold, ServiceCondition
from bridge.model.desired import Desired
from bridge.model.docker_secret import DockerSecret
from bridge.model.identity import ONE_LIFE, Identity
from bridge.model.labels import labels_of
from bridge.model.leased import (
    GenerationView,
    Life,
    StaticDocument,
    StaticRole,
    lease_labels,
)
from bridge.model.memory import Memory
from bridge.model.plan import Plan
from bridge.model.reasons import Reason, State
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import timestamp
from bridge.model.vault_view import VaultView
from bridge.model.world import World

_LONG = 10.0 * 365 * 86400
"""Seconds for which a credential that is foreseen lives: its end is not what is asked about."""

_ENDS = frozenset((Tend.SHORTEN, Tend.REVOKE, Tend.ROTATE))


def foresee(desired: Desired, world: World, plan: Plan, memory: Memory, now: float) -> Forecast:
    """Return what a plan comes to.

    Args:
        plan: What the next cycle does, by this world.
    """
    later = carried_out(desired.instance, world, plan, now)
    rollout = replace(desired.rollout, max_in_flight=len(world.swarm.services) + 1, settle=0.0)
    then = decide(replace(desired, rollout=rollout), later, memory, now)
    changes = tuple(_changes(plan, then, world.swarm))
    rolled = {(name, c.service) for c in changes if c.service for name in c.secrets}
    created = {name for c in changes if c.kind == ChangeKind.CREATE for name in c.secrets}
    return Forecast(
        changes=changes,
        holds=_holds(plan, then),
        under_way=tuple(_services(State.ROLLING, then.conditions, rolled)),
        failed=tuple(_services(State.DEGRADED, plan.conditions, rolled)),
        waiting=tuple(_waiting(then.conditions, rolled, created)),
        notices=(*plan.notices, *_held_otherwise(plan)),
        conditions=plan.conditions,
    )


# --- a world in which a plan is carried out -------------------------------------------------------


def carried_out(instance: str, world: World, plan: Plan, now: float) -> World:
    """Return the world as it is once a plan's Docker secrets are made and its marks are written.

    Services are as they were: what they are rolled to is what the next decision tells.
    """
    swarm, vault = world.swarm, world.vault
    secrets = {secret.id: secret for secret in swarm.secrets}
    wished, has_state = dict(swarm.wishes), swarm.has_state
    for action in (action for chain in plan.chains for action in chain):
        match action:
            case CreateSecret():
                made = _created(action, now)
                secrets[made.id] = made
            case MintGeneration():
                made = _minted(instance, action, vault, now)
                secrets[made.id] = made
                vault = _with_life(vault, action, made, now)
            case Annotate() if action.secret_id in secrets:
                noted = secrets[action.secret_id]
                kept = {k: v for k, v in noted.labels.items() if k not in action.drop}
                secrets[noted.id] = replace(noted, labels={**kept, **action.put})
            case NoteState():
                wished.pop(action.secret, None)
                has_state = has_state or not action.secret
            case _:
                pass
    later = replace(swarm, secrets=tuple(secrets.values()), has_state=has_state, wishes=wished)
    return World(vault, later)


def _created(action: CreateSecret, now: float) -> DockerSecret:
    driver = action.content.template_driver
    return DockerSecret(
        f"planned {action.docker_name}", action.docker_name, now, action.labels, driver
    )


def _minted(instance: str, action: MintGeneration, vault: VaultView, now: float) -> DockerSecret:
    """Return the Docker secret of a generation, as if Vault had issued its credential."""
    source, made = action.source, timestamp(now)
    document = vault.paths.get(source)
    if isinstance(document, StaticDocument) and not action.rotate and action.role in document.roles:
        made = document.roles[action.role].rotated
    labels = _labels(instance, action, made)
    return DockerSecret(f"planned {action.docker_name}", action.docker_name, now, labels)


def _labels(instance: str, action: MintGeneration, made: str) -> dict[str, str]:
    """Return the labels that a generation gets; its lease and its accessor are made up."""
    source = action.source
    identity = Identity(source, ONE_LIFE, action.version, made)
    held = lease_labels("", "", action.role)
    if source.has_lease:
        held = lease_labels(f"{source.lease_prefix}planned", "planned", source.role_name)
    ours = {key: value for key, value in held.items() if value}
    return {**labels_of(instance, action.secret, identity), **ours, **action.labels}


def _with_life(
    vault: VaultView, action: MintGeneration, made: DockerSecret, now: float
) -> VaultView:
    """Return what Vault would answer about a generation: that it lives."""
    if action.source.has_lease:
        life = Life(started=now, ends=now + _LONG, granted=_LONG, renewed=False)
        custody = replace(life, renewed=True, period=_LONG)
        seen = {**vault.generations, made.id: GenerationView(now, life, custody)}
        return replace(vault, generations=seen)
    document = vault.paths.get(action.source)
    if not isinstance(document, StaticDocument) or action.role not in document.roles:
        return vault
    period = document.roles[action.role].period
    rotated = timestamp(now) if action.rotate else document.roles[action.role].rotated
    roles = {**document.roles, action.role: StaticRole(rotated, period)}
    return replace(vault, paths={**vault.paths, action.source: StaticDocument(roles)})


# --- what people read -----------------------------------------------------------------------------


def _changes(plan: Plan, then: Plan, swarm: SwarmView) -> Iterator[Change]:
    """Yield what is made, then what is rolled, then what ends and is removed; each once."""
    first = [action for chain in plan.chains for action in chain]
    for action in first:
        if isinstance(action, CreateSecret | MintGeneration):
            yield _creation(action)
    begun, later = _rolls(first), _rolls(action for chain in then.chains for action in chain)
    for service_id, roll in {**begun, **later, **begun}.items():
        yield _roll(roll, swarm, now=service_id in begun)
    for action in first:
        if isinstance(action, TendGeneration) and action.step in _ENDS:
            yield _of_secret(ChangeKind.END, str(action.step), action)
        elif isinstance(action, RemoveSecret):
            yield _of_secret(ChangeKind.REMOVE, action.why, action)


def _rolls(actions: Iterable[Action]) -> dict[str, RollService]:
    return {action.service_id: action for action in actions if isinstance(action, RollService)}


def _creation(action: CreateSecret | MintGeneration) -> Change:
    if isinstance(action, CreateSecret):
        identity = action.identity
        what, version = f"version {identity.version} of {identity.source}", identity.version
        created, verified = identity.created, False
    else:
        what, version = f"a new credential of {action.source}", action.version
        if action.role:
            what = f"{'a new' if action.rotate else 'the'} password of static role {action.role}"
        created, verified = "", True
    return Change(
        kind=ChangeKind.CREATE,
        summary=what,
        reason=action.reason,
        why=action.why,
        secrets=(action.secret,),
        docker_secret=action.docker_name,
        version=version,
        created=created,
        verified=verified,
    )


def _roll(action: RollService, swarm: SwarmView, *, now: bool) -> Change:
    service = swarm.service_by_id.get(action.service_id)
    swaps = action.swaps
    return Change(
        kind=ChangeKind.ROLL,
        summary=", ".join(swap.summary for swap in swaps),
        reason=action.reason,
        why=action.why,
        secrets=tuple(swap.secret for swap in swaps),
        id=action.service_id,
        index=service.index if service else 0,
        service=action.service_name,
        stack=service.stack if service else "",
        moves=tuple(Move(s.secret, s.from_name, s.to_name, s.summary) for s in swaps),
        now=now,
        back=action.reason == Reason.GOING_BACK,
    )


def _of_secret(kind: ChangeKind, summary: str, action: TendGeneration | RemoveSecret) -> Change:
    return Change(
        kind=kind,
        summary=summary,
        reason=action.reason,
        why=action.why,
        secrets=(action.secret,),
        docker_secret=action.docker_name,
        id=action.secret_id,
    )


def _holds(plan: Plan, then: Plan) -> tuple[Hold, ...]:
    """Return what is held now, and what will be once this plan is carried out; each once."""
    found: dict[tuple[str, str], Hold] = {}
    for hold in (*plan.holds, *then.holds):
        if not hold.waits:
            found.setdefault((hold.secret, hold.service), hold)
    return tuple(found.values())


def _services(
    state: State, conditions: Iterable[Condition], rolled: set[tuple[str, str]]
) -> Iterator[tuple[str, ServiceCondition]]:
    """Yield the services in a state, with their secret, but those that a change rolls."""
    for condition in conditions:
        for service in condition.services:
            if service.state == state and (condition.name, service.name) not in rolled:
                yield condition.name, service


def _held_otherwise(plan: Plan) -> Iterator[Hold]:
    """Yield why a secret is held where no change of it is, as one that is not configured any more.

    It has no place among what is up to date.
    """
    told = {hold.secret for hold in plan.holds}
    for condition in plan.conditions:
        if condition.state == State.HELD and condition.name not in told:
            yield Hold(secret=condition.name, reason=condition.reason, message=condition.message)


def _waiting(
    conditions: Iterable[Condition], rolled: set[tuple[str, str]], created: set[str]
) -> Iterator[Condition]:
    names = {name for name, _ in rolled} | created
    for condition in conditions:
        of_services = any(service.state == State.ROLLING for service in condition.services)
        if condition.state == State.ROLLING and not of_services and condition.name not in names:
            yield condition


def is_change(action: Action) -> bool:
    """Return whether people care for an action: else it is a mark of ours, or a renewal."""
    if isinstance(action, TendGeneration):
        return action.step in _ENDS
    return isinstance(action, CreateSecret | MintGeneration | RollService | RemoveSecret)
