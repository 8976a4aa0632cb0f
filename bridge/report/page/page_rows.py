"""One row of the page: what is known of one secret, and what it asks of whoever looks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.model.conditions import Condition, LeaseCondition, ServiceCondition
from bridge.model.desired import Desired, DesiredSecret
from bridge.model.leased import Life
from bridge.model.mirror import Mirror
from bridge.model.reasons import VAULT_AWAY, Reason, State
from bridge.model.service import Service
from bridge.model.timestamps import moment
from bridge.model.vitals import words_of_vault
from bridge.model.world import World
from bridge.report.answers import Known
from bridge.report.page.marks_shown import marks_of
from bridge.report.page.page_view import (
    Bar,
    Details,
    Dot,
    Lease,
    Row,
    ServiceLine,
    Standing,
    TaskCount,
)
from bridge.report.page.rotations import rotations_of
from bridge.report.page.timeline import timeline_of
from bridge.report.page.vault_ui import link_to
from bridge.report.remedies import remedy

_WAITS = frozenset(
    (Reason.PAUSED, Reason.WINDOW_CLOSED, Reason.SERVICE_BUSY, Reason.UNMAPPED, Reason.SET_ASIDE)
)
"""Reasons that end by themselves, or that somebody has wanted: nobody is awaited."""

_LOW = 0.2
"""Part of a lease below which little is left: renewals come long before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """What all rows are made from.

    Attributes:
        secrets: The configured secrets by name.
        vault_away: Whether Vault as a whole cannot be used.
        ui_address: Address of Vault's own user interface; empty for no links.
    """

    desired: Desired
    secrets: Mapping[str, DesiredSecret]
    world: World
    now: float
    vault_away: bool
    ui_address: str

    @classmethod
    def of(cls, known: Known) -> Scene | None:
        """Return it for what a bridge has seen; None where it has seen nothing."""
        world = known.seen.world if known.seen else None
        if world is None:
            return None
        return cls(
            desired=known.desired,
            secrets={secret.name: secret for secret in known.desired.secrets},
            world=world,
            now=known.now,
            vault_away=bool(words_of_vault(world.vault)),
            ui_address=known.settings.vault.ui_address,
        )

    def mirrors_of(self, name: str) -> tuple[Mirror, ...]:
        """Return the mirrored versions of one secret, newest first."""
        return self.world.swarm.mirrors_of(self.desired.instance, name)


def row_of(condition: Condition, scene: Scene) -> Row:
    """Return the row of one secret, without its details."""
    standing = _standing(condition, scene)
    return Row(
        name=condition.name,
        state=condition.state,
        standing=standing,
        reason=condition.reason,
        message=condition.message,
        is_current=_is_current(condition),
        vault_version=condition.vault_version,
        running_version=condition.running_version,
        created=condition.created,
        overdue=condition.overdue,
        lease=_bar(condition, scene),
        quiet=standing == Standing.CURRENT or _is_told_above(condition, scene),
        moved=_moved(condition, scene) if standing == Standing.MOVES else None,
        services=tuple(Dot(service.name, service.state) for service in condition.services),
    )


def details_of(condition: Condition, scene: Scene) -> Details:
    """Return what opening the row of a secret shows."""
    name, mirrors = condition.name, scene.mirrors_of(condition.name)
    rotations = rotations_of(mirrors, scene.world.vault.paths)
    secret = scene.secrets.get(name)
    source = secret.source if secret else mirrors[0].identity.source if mirrors else None
    standing = _standing(condition, scene)
    return Details(
        remedy="" if standing == Standing.MOVES else remedy(condition.reason, name),
        services=tuple(_service(name, each, scene) for each in condition.services),
        rotations=rotations,
        timeline=timeline_of(rotations, scene.now),
        leased=any(mirror.leased for mirror in mirrors),
        leases=tuple(_lease(lease) for lease in condition.leases),
        marks=marks_of(name, mirrors, scene.world.swarm),
        source=str(source) if source else "",
        link=link_to(scene.ui_address, source) if source else "",
    )


def _standing(condition: Condition, scene: Scene) -> Standing:
    if condition.state == State.ROLLING:
        return Standing.MOVES
    if condition.state == State.SYNCED:
        return Standing.NEEDS if condition.overdue else Standing.CURRENT
    waits = condition.reason in _WAITS or _is_told_above(condition, scene)
    return Standing.WAITS if waits and condition.state == State.HELD else Standing.NEEDS


def _is_told_above(condition: Condition, scene: Scene) -> bool:
    """Return whether one banner tells it for all secrets."""
    return scene.vault_away and condition.reason in VAULT_AWAY


def _is_current(condition: Condition) -> bool | None:
    """Return whether every service is on Vault's current version; None where that is not known."""
    version = condition.vault_version
    if condition.reason == Reason.UNMAPPED or version is None:
        return None
    held = [service.version for service in condition.services]
    running = condition.running_version
    if running is None and not held:
        return version in condition.versions
    return running in (None, version) and all(number == version for number in held)


# --- services -------------------------------------------------------------------------------------


def _service(name: str, condition: ServiceCondition, scene: Scene) -> ServiceLine:
    service = scene.world.swarm.service_by_name.get(condition.name)
    well = condition.state in {State.SYNCED, State.ROLLING}
    return ServiceLine(
        name=condition.name,
        state=condition.state,
        reason=condition.reason,
        message=condition.message,
        version=condition.version,
        tasks=_tasks(name, service, scene) if service else (),
        wanted=service.desired_tasks if service else None,
        remedy="" if well else remedy(condition.reason, name, condition.name),
    )


def _tasks(name: str, service: Service, scene: Scene) -> tuple[TaskCount, ...]:
    """Return the live tasks of a service by the version that they hold, newest first."""
    numbers = {mirror.id: mirror.identity.version for mirror in scene.mirrors_of(name)}
    running: Counter[int | None] = Counter()
    others: Counter[int | None] = Counter()
    for task in scene.world.swarm.tasks_by_service.get(service.id, ()):
        if task.live and not task.ghost:
            held = (numbers[held] for held in task.secret_ids if held in numbers)
            (running if task.running else others)[next(held, None)] += 1
    versions = sorted(running.keys() | others.keys(), key=lambda number: -(number or 0))
    return tuple(TaskCount(number, running[number], others[number]) for number in versions)


def _moved(condition: Condition, scene: Scene) -> tuple[int, int] | None:
    """Return how many tasks run on the version that services move to, of all that shall."""
    newest = max(condition.versions, default=None)
    found = (scene.world.swarm.service_by_name.get(each.name) for each in condition.services)
    services = [service for service in found if service]
    wanted = sum(service.desired_tasks for service in services)
    counts = (count for each in services for count in _tasks(condition.name, each, scene))
    on_it = sum(count.running for count in counts if count.version == newest)
    return (min(on_it, wanted), wanted) if wanted and newest is not None else None


# --- credentials ----------------------------------------------------------------------------------


def _lease(lease: LeaseCondition) -> Lease:
    return Lease(
        version=lease.version,
        static=lease.static,
        role=lease.role,
        user=lease.user,
        ends=lease.lease_ends,
        hard_end=lease.hard_end,
        custody_ends=lease.custody_ends,
        next=lease.next,
        next_at=lease.next_at,
        because=lease.because,
    )


def _bar(condition: Condition, scene: Scene) -> Bar | None:
    """Return what is left to the credential of the running version, if nobody acts.

    It is measured against what its lease was given, by the last renewal too; the password of a
    static role, against the time from one rotation to the next.
    """
    leases = {lease.version: lease for lease in condition.leases}
    lease = leases.get(condition.running_version or max(leases, default=0))
    if lease is None or lease.lease_ends is None:
        return None
    mirrors = scene.mirrors_of(condition.name)
    mirror = next((m for m in mirrors if m.identity.version == lease.version), None)
    whole = _whole(lease, mirror, scene) if mirror else 0.0
    left = max(0.0, min(1.0, (lease.lease_ends - scene.now) / whole)) if whole > 0 else None
    low = not lease.static and left is not None and left < _LOW  # Vault rotates by itself
    return Bar(lease.lease_ends, left, low, static=lease.static)


def _whole(lease: LeaseCondition, mirror: Mirror, scene: Scene) -> float:
    """Return for how many seconds the credential was given; 0 where that is not known."""
    if lease.static:
        made = moment(mirror.identity.created)
        return (lease.lease_ends or 0.0) - made if made else 0.0
    view = scene.world.vault.generations.get(mirror.id)
    return view.lease.granted if view and isinstance(view.lease, Life) else 0.0
