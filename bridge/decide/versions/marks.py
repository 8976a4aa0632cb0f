"""Which marks on versions are due: no longer used, restored away, of services that are gone?"""

from __future__ import annotations

from bridge.decide.versions.target import Target
from bridge.model.actions import Annotate, Chain
from bridge.model.labels import UNUSED, labels_by_service
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.set_aside import By, SetAside, aside_label
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import timestamp


def unused_marks(target: Target, swarm: SwarmView, now: float) -> list[Annotate]:
    """Return the notes since when nothing has an older version: its value may be retired then.

    A task on a node that is down may come back with it, so it counts.
    """
    newest, older = target.mirrors[:1], target.mirrors[1:]
    if not _tells_of_others(newest, target) or swarm.blind or swarm.torn:
        return []
    in_use = [mirror for mirror in older if mirror.id in swarm.used_ids]
    if in_use:
        return [_unused(mirror, now) for mirror in in_use if mirror.unused]
    return [
        _unused(mirror, now)
        for mirror in older
        if not mirror.unused
        and (mirror.good or mirror.records)
        and mirror.identity != newest[0].identity  # else its value is in use
    ]


def _tells_of_others(newest: tuple[Mirror, ...], target: Target) -> bool:
    """Return whether the newest version has replaced all others: it is good everywhere.

    Of a credential with a lease the bridge itself reports the end.
    """
    if target.secret.leased or target.secret.content.lease is not None:
        return False
    return bool(newest) and bool(newest[0].good) and not newest[0].asides


def _unused(mirror: Mirror, now: float) -> Annotate:
    put, drop = {UNUSED: timestamp(now)}, frozenset[str]()
    why = "no service and no task has it any more: what it holds may be retired"
    if mirror.unused:
        put, drop, why = {}, frozenset({UNUSED}), "something has it again"
    reason = Reason.NO_LONGER_USED if put else Reason.SUPERSEDED
    return Annotate.on(
        mirror,
        reason=reason,
        why=why,
        put=put,
        drop=drop,
    )


def outlived_marks(target: Target, now: float) -> list[Annotate]:
    """Set aside what Vault was restored to before, now that something newer is mirrored."""
    why = f"Vault was restored to before it, and {target.secret.source} was written to since"
    return [
        Annotate.on(
            mirror,
            reason=Reason.SUPERSEDED,
            why=why,
            put={aside_label(): SetAside(By.RESTORE, timestamp(now), why).write()},
        )
        for mirror in target.outlived
    ]


def gone_marks(instance: str, swarm: SwarmView) -> list[Chain]:
    """Drop what is written down of services that are no longer there, in one write a version.

    Nothing of it is needed any more: a service that is made anew has another id, and nothing goes
    back. What its last tasks have, they keep by themselves. Whether a service is gone is looked at
    once more immediately before the write: a look may be torn, or that of a manager which lags.
    """
    if swarm.blind:
        return []
    alive = swarm.service_by_id.keys() | swarm.unclear
    notes: list[Chain] = []
    for secret in swarm.secrets:
        mirror = swarm.mirror_by_id.get(secret.id)
        if mirror is None or mirror.instance != instance:
            continue
        gone = mirror.about - alive
        if gone:
            labels = labels_by_service(secret.labels)
            drop = frozenset[str]().union(*(labels[service] for service in gone))
            why = "services that are gone are forgotten"
            reason = Reason.SERVICE_GONE
            note = Annotate(
                secret=mirror.secret,
                secret_id=secret.id,
                docker_name=secret.name,
                reason=reason,
                why=why,
                put={},
                drop=drop,
                gone=gone,
            )
            notes.append((note,))
    return notes
