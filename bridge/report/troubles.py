"""What of a cycle may be worth a notification: what is wrong now, and what has happened in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from bridge.model.actions import Annotate, MintGeneration
from bridge.model.conditions import Condition, Hold
from bridge.model.cycle_report import CycleReport
from bridge.model.labels import GOOD
from bridge.model.leased import Life
from bridge.model.memory import Outcome, Result
from bridge.model.notification import Topic
from bridge.model.plan import Plan
from bridge.model.reasons import VAULT_AWAY, Reason, State
from bridge.model.world import World

SWARM_AWAY = "SwarmUnreachable"
"""The cause where cycles fail, since the swarm gives no usable answer."""

IN_DANGER = 1 / 3
"""Part of a lease that is left when it is in danger: it is renewed when two thirds are left."""

_OF_LEASES = frozenset(
    (
        Reason.LEASE_VANISHED,
        Reason.LEASE_UNSTABLE,
        Reason.LEASE_ENDING,
        Reason.GENERATIONS_FAILED,
        Reason.RENEWAL_FAILED,
        Reason.FORCED_BY_EXPIRY,
    )
)
_WHOLE = VAULT_AWAY | {Reason.STATE_LOST, Reason.MANY_MISSING}
_GONE = frozenset(
    (
        Reason.PATH_MISSING,
        Reason.MOUNT_MISSING,
        Reason.NAMESPACE_MISSING,
        Reason.ROLE_MISSING,
        Reason.VERSION_WENT_BACK,
        Reason.PERMISSION_DENIED,
    )
)
"""What `ManyMissing` is about, where much of it comes at once: one cause, and so one message."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """What is in trouble.

    Attributes:
        secret: Its name; empty for all secrets.
        service: Name of the service; empty for the whole secret.
    """

    event: Topic
    secret: str
    service: str


@dataclass(frozen=True, slots=True, order=True)
class Trouble:
    """One thing that is wrong, for as long as it is.

    Attributes:
        cause: Its reason.
        version: The newest version when a roll failed: with another one it is another trouble.
    """

    place: Place
    cause: str
    version: int = 0

    @property
    def whole(self) -> bool:
        """Whether its cause concerns all secrets, whichever of them show it."""
        return self.cause == SWARM_AWAY or self.cause in _WHOLE


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that was done in a cycle and is over."""

    event: Topic
    secret: str
    cause: str
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a cycle tells, for any receiver.

    Attributes:
        at: When it ended, seconds since the epoch.
        instance: Name of the bridge.
        leads: Whether this bridge led; a cycle that failed does not know.
        failed: Whether the cycle failed, so that nothing else is known.
        troubles: What is wrong, with the words for it.
        happened: What was done, in order.
        rolling: Secrets that are on their way, so that nobody knows yet how they will be.
    """

    at: float
    instance: str
    leads: bool
    failed: bool
    troubles: Mapping[Trouble, str]
    happened: tuple[Happening, ...]
    rolling: frozenset[str]


def facts_of(report: CycleReport, instance: str) -> Facts:
    """Return what a cycle tells."""
    conditions = report.plan.conditions if report.plan else ()
    return Facts(
        at=report.at,
        instance=instance,
        leads=report.leads,
        failed=report.plan is None and bool(report.trouble),
        troubles=troubles_of(report, instance),
        happened=happenings_of(report, instance),
        rolling=frozenset(c.name for c in conditions if c.state == State.ROLLING),
    )


def troubles_of(report: CycleReport, instance: str) -> dict[Trouble, str]:
    """Return what is wrong at the end of a cycle, each with the words for it.

    A cycle that failed knows of nothing but its own trouble.
    """
    if report.plan is None or report.world is None:
        place = Place(Topic.HELD, "", "")
        return {Trouble(place, SWARM_AWAY): report.trouble} if report.trouble else {}
    found: dict[Trouble, str] = {}
    for condition in report.plan.conditions:
        found.update(_of_services(condition))
        found.update(_of_age(condition))
        if condition.leases:
            found.update(_of_leases(condition.name, report.world, instance, report.at))
    for trouble, words in _of_holds(report.plan, found):
        found.setdefault(trouble, words)
    return found


def _of_holds(plan: Plan, failed: Collection[Trouble]) -> tuple[tuple[Trouble, str], ...]:
    """Return what is held, and does not end by itself; much that is gone at once has one cause."""
    failing = {(trouble.place.secret, trouble.place.service) for trouble in failed}
    holds = [h for h in plan.holds if not (h.waits or _is_told_as_failed(h, failing))]
    many = any(hold.reason == Reason.MANY_MISSING for hold in holds)
    forced = (notice for notice in plan.notices if notice.reason == Reason.FORCED_BY_EXPIRY)
    return tuple((_held(hold, many=many), hold.message) for hold in (*holds, *forced))


def _of_age(condition: Condition) -> Iterator[tuple[Trouble, str]]:
    if condition.overdue:
        known = condition.message if condition.reason == Reason.OVERDUE else ""
        words = known or "the version in use is older than `max_age`"
        yield Trouble(Place(Topic.OVERDUE, condition.name, ""), Reason.OVERDUE), words


def _of_services(condition: Condition) -> Iterator[tuple[Trouble, str]]:
    newest = max(condition.versions, default=0)
    for service in condition.services:
        if service.state == State.DEGRADED:
            place = Place(Topic.FAILED, condition.name, service.name)
            yield Trouble(place, service.reason, newest), service.message


def _is_told_as_failed(hold: Hold, failing: Collection[tuple[str, str]]) -> bool:
    """Return whether a hold is a roll that failed, or what follows of that for other services."""
    if hold.reason == Reason.FAILED_ELSEWHERE:
        return any(secret == hold.secret for secret, _ in failing)
    return bool(hold.service) and (hold.secret, hold.service) in failing


def _held(hold: Hold, *, many: bool) -> Trouble:
    event = Topic.LEASE_DANGER if hold.reason in _OF_LEASES else Topic.HELD
    cause = Reason.MANY_MISSING if many and hold.reason in _GONE else hold.reason
    return Trouble(Place(event, hold.secret, hold.service), cause)


def _of_leases(name: str, world: World, instance: str, now: float) -> Iterator[tuple[Trouble, str]]:
    """Find the leases of credentials in use that nobody has renewed in time."""
    for mirror in world.swarm.mirrors_of(instance, name):
        view = world.vault.generations.get(mirror.id)
        lease = view.lease if view else None
        if mirror.id not in world.swarm.running_ids or not isinstance(lease, Life):
            continue
        ending = mirror.leased is None or mirror.leased.over
        if not ending and lease.ends - now < lease.granted * IN_DANGER:
            words = f"the lease of v{mirror.identity.version}, which tasks use, ends soon"
            yield Trouble(Place(Topic.LEASE_DANGER, name, ""), Reason.LEASE_ENDING), words


def happenings_of(report: CycleReport, instance: str) -> tuple[Happening, ...]:
    """Return what was done in a cycle and may be told, in order."""
    if report.world is None:
        return ()
    found = (_happening(outcome, report.world, instance) for outcome in report.outcomes)
    return tuple(happening for happening in found if happening)


def _happening(outcome: Outcome, world: World, instance: str) -> Happening | None:
    action = outcome.action
    if outcome.result != Result.DONE:
        return None
    if isinstance(action, MintGeneration) and action.reason == Reason.LEASE_VANISHED:
        return Happening(Topic.LEASE_DANGER, action.secret, action.reason, action.why)
    if not isinstance(action, Annotate) or GOOD not in action.put:
        return None
    mirrors = world.swarm.mirrors_of(instance, action.secret)  # the newest first
    new = next((mirror for mirror in mirrors if mirror.id == action.secret_id), None)
    former = (m for m in mirrors if new and m.good and m.order < new.order)
    before = next(former, None)
    if new is None or before is None:
        return None  # the first version replaces nothing
    words = f"v{before.identity.version} was replaced by v{new.identity.version}"
    return Happening(Topic.ROTATED, action.secret, Reason.CONVERGED, words)
