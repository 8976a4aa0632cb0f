"""What can nothing need any more?

The engine refuses to remove a secret that a Spec refers to, and nothing else: a PreviousSpec or a
running task does not stop it (moby/swarmkit#2509), and ``docker service rollback`` then fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.decide.versions.target import Target
from bridge.model.actions import RemoveSecret
from bridge.model.desired import Retain
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.source import Source
from bridge.model.swarm_view import SwarmView


def last_usable(own: Iterable[Mirror], source: Source) -> frozenset[str]:
    """Return the ids of the versions of a secret that services may go back to: they always stay.

    1. The newest one that is not set aside for all services.
    2. For each service that a version is set aside for: the newest one that is not.

    Args:
        own: Its mirrored versions, newest first.
        source: The configured source; versions from elsewhere count as older than all of it.
    """
    own = sorted(own, key=lambda mirror: mirror.identity.source != source or mirror.outlived)
    usable = [mirror for mirror in own if not (mirror.leased and mirror.leased.over)]
    places = {"", *(place for mirror in usable for place in mirror.asides)}
    newest = (next((m for m in usable if not m.aside_for(place)), None) for place in places)
    return frozenset(mirror.id for mirror in newest if mirror)


@dataclass(frozen=True, slots=True)
class Pruning:
    """The removals that are due now, and the times at which more may be."""

    removals: tuple[RemoveSecret, ...]
    wake: tuple[float, ...]


def prune(target: Target, swarm: SwarmView, retain: Retain, now: float) -> Pruning:
    """Return the mirrored versions of a secret that may be removed.

    1. What something needs stays: see ``SwarmView.needed_ids`` (I1).
    2. What services may go back to stays: see ``last_usable``.
    3. A version that somebody destroyed in Vault goes early: its value is to be kept nowhere.
    4. Of all others the newest stay, see ``_retained``, and those younger than ``min_age``.
    """
    if _is_unsettled(target, swarm):
        return Pruning((), ())
    own = target.own
    destroyed = {m.id for m in own if m.id in target.destroyed and m.identity != target.current}
    if len(own) <= retain.versions and not destroyed:
        return Pruning((), ())
    unneeded = _unneeded(own, swarm)
    if not unneeded:
        return Pruning((), ())
    kept = last_usable(own, target.secret.source) | (_retained(own, target, retain) - destroyed)
    removals: list[RemoveSecret] = []
    wake: list[float] = []
    for mirror in reversed(unneeded):
        if mirror.id in kept:
            continue
        ripe = mirror.created + retain.min_age
        if mirror.id not in destroyed and ripe > now:
            wake.append(ripe)
            continue
        why = f"{retain.versions} newer versions are kept, and nothing refers to this one"
        if mirror.id in destroyed:
            over = "its credential is over" if mirror.leased else "it is destroyed in Vault"
            why = f"{over}, and nothing refers to it"
        removals.append(_removal(target, mirror, why))
    return Pruning(tuple(removals), tuple(wake))


def _unneeded(own: Iterable[Mirror], swarm: SwarmView) -> list[Mirror]:
    """Return the versions that nothing needs, in their order (I1)."""
    needed = swarm.needed_ids
    return [m for m in own if m.id not in needed and not _has_live_lease(m)]


def _has_live_lease(mirror: Mirror) -> bool:
    """Return whether a Docker secret's labels are all that is known of a lease."""
    leased = mirror.leased
    return leased is not None and bool(leased.lease) and not leased.ended


def _is_unsettled(target: Target, swarm: SwarmView) -> bool:
    """Return whether it is too early to remove any version of a secret.

    1. Vault's current version is not known, or not mirrored (I9).
    2. A service changed while the swarm was looked at, so that its references are not known.
    3. A service is between two versions: its roll was begun and is not done.
    """
    if target.current is None or target.hold or target.create or swarm.torn:
        return True
    rolled = (mirror for mirror in target.own if mirror.records)
    return any(mirror.open_record(service) for mirror in rolled for service in mirror.records)


def _retained(own: Sequence[Mirror], target: Target, retain: Retain) -> frozenset[str]:
    """Return the ids of the versions that stay by ``retain.versions``.

    1. That many of the newest ones.
    2. That many of the newest ones that are not set aside for all services: services go back to
       them, and a service that is deployed again begins with the newest of them.
    """
    usable = [m for m in own if m.id not in target.ended and "" not in m.asides]
    kept = [*_newest(own, retain.versions), *_newest(usable, retain.versions)]
    return frozenset(mirror.id for mirror in kept)


def _newest(mirrors: Sequence[Mirror], count: int) -> Sequence[Mirror]:
    """Return the mirrors of the newest versions; copies of one version count as one."""
    if len(mirrors) <= count:
        return mirrors
    versions = list(dict.fromkeys(mirror.identity for mirror in mirrors))[:count]
    return [mirror for mirror in mirrors if mirror.identity in versions]


def _removal(target: Target, mirror: Mirror, why: str) -> RemoveSecret:
    secret = target.secret
    return RemoveSecret(
        secret=secret.name,
        secret_id=mirror.id,
        docker_name=mirror.docker_name,
        reason=Reason.OUTDATED,
        why=why,
        prunes=secret.source,
    )
