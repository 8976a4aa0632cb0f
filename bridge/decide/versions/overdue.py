"""Is a secret overdue for rotation: is the version in use older than ``max_age`` allows?

Its age counts from when Vault made the version. In use is the oldest version that a live task
holds; of a secret that no task holds, it is the newest mirrored one. A newer version in Vault does
not help as long as tasks hold the former one. Nothing is held up, rolled or ended for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.decide.versions.target import Target
from bridge.model.conditions import Hold
from bridge.model.identity import Identity
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.spans import duration_text
from bridge.model.timestamps import instant, timestamp
from bridge.model.world import World


@dataclass(frozen=True, slots=True)
class Age:
    """How old the version in use of a secret may become.

    Attributes:
        overdue_at: When it is overdue for rotation, seconds since the epoch.
        notice: What is reported of it; None where it is not overdue yet.
    """

    overdue_at: float
    notice: Hold | None


def age_of(target: Target, world: World, now: float) -> Age | None:
    """Return how a secret stands with its ``max_age``; None where it has none, or no version."""
    limit = target.secret.max_age
    if limit is None:
        return None
    used = oldest_running(target.own, world) or (target.usable and target.usable.identity)
    if not used:
        return None
    at = created_at(used) + limit
    if at > now:
        return Age(at, None)
    name = target.secret.name
    made = timestamp(created_at(used))
    words = f"v{used.version} in use is of {made}, older than `max_age: {duration_text(limit)}`"
    words = f"{words}; {_remedy(target, used)}"
    return Age(at, Hold(secret=name, reason=Reason.OVERDUE, message=words))


def _remedy(target: Target, used: Identity) -> str:
    if target.vault_version is not None and target.vault_version > used.version:
        return f"it ends as soon as every task has v{target.vault_version}"
    if target.secret.leased:
        return f"`vault-bridge rotate {target.secret.name}` makes another credential"
    return "write a new version in Vault"


def oldest_running(mirrors: Iterable[Mirror], world: World) -> Identity | None:
    """Return the oldest version that a live task holds; None where no task holds one."""
    held = world.swarm.running_ids
    running = [mirror.identity for mirror in mirrors if mirror.id in held]
    return min(running, default=None)


def created_at(version: Identity) -> float:
    """Return when Vault made a version, seconds since the epoch."""
    return instant(version.created) / 1e9
