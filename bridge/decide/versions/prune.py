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
    """Return the ids of the versions of a name that services come back to: they always stay.

    That is the newest one that is not set aside for the name, and for each service that something
    is set aside for.

    Args:
        own: Its mirrored versions, newest first.
        source: Where the name is from now; what is from elsewhere comes after that.
    """
    own = sorted(own, key=lambda mirror: mirror.identity.source != source or mirror.outlived)
    usable = [mirror for mirror in own if not (mirror.leased and mirror.leased.over)]
    places = {"", *(place for mirror in usable for place in mirror.asides)}
    newest = (next((m for m in usable if not m.aside_for(place)), None) for place in places)
    return frozenset(mirror.id for mirror in newest if mirror)


@dataclass(frozen=True, slots=True)
class Pruning:
    """What may go now, and when to look again."""

    removals: tuple[RemoveSecret, ...]
    wake: tuple[float, ...]


def prune(target: Target, swarm: SwarmView, retain: Retain, now: float) -> Pruning:
    """Say which mirrored versions of a secret may be removed.

    Nothing goes while Vault's current version is not known and mirrored (I9), while a service is
    between two versions, or while services look different from one moment to the next. What
    services come back to stays, see ``last_usable``. What else somebody destroyed in Vault goes
    early, as its value is not to be kept anywhere.
    """
    if target.current is None or target.hold or target.create:
        return Pruning((), ())
    if swarm.torn:
        return Pruning((), ())
    own = (*target.mirrors, *target.others)
    if any(mirror.open_record(service) for mirror in own for service in mirror.records):
        return Pruning((), ())
    destroyed = {m.id for m in own if m.id in target.destroyed and m.identity != target.current}
    kept = last_usable(own, target.secret.source) | (_retained(own, target, retain) - destroyed)
    removals: list[RemoveSecret] = []
    wake: list[float] = []
    for mirror in reversed(own):
        if mirror.id in swarm.needed_ids or mirror.id in kept:
            continue
        if mirror.leased and mirror.leased.lease and not mirror.leased.ended:
            continue  # its labels are all that is known of its lease
        if mirror.id in destroyed:
            why = "it is destroyed in Vault, and nothing refers to it"
            if mirror.leased:
                why = "its credential is over, and nothing refers to it"
            removals.append(_removal(target, mirror, why))
            continue
        ripe = mirror.created + retain.min_age
        if ripe > now:
            wake.append(ripe)
            continue
        why = f"{retain.versions} newer versions are kept, and nothing refers to this one"
        removals.append(_removal(target, mirror, why))
    return Pruning(tuple(removals), tuple(wake))


def _retained(own: Sequence[Mirror], target: Target, retain: Retain) -> frozenset[str]:
    """Return the ids of the versions that stay as ``retain.versions`` says.

    1. The newest ones, so many of them.
    2. As many of those that are set aside for nobody: services go back to them, and whoever is
       deployed again begins with the newest of them, though newer ones were set aside meanwhile.
    """
    usable = [m for m in own if m.id not in target.ended and "" not in m.asides]
    kept = [*_newest(own, retain.versions), *_newest(usable, retain.versions)]
    return frozenset(mirror.id for mirror in kept)


def _newest(mirrors: Sequence[Mirror], count: int) -> list[Mirror]:
    """Return those of so many versions; one that was made anew is one version still."""
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
