"""What is the next generation of a credential: its number, its name, its static role?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from bridge.decide.credentials.stage import Generation, Stage
from bridge.decide.credentials.usable import failed
from bridge.decide.situation import Situation
from bridge.decide.versions.target import Target
from bridge.model.actions import MintGeneration
from bridge.model.labels import SHAPE, TRIES, VANISHED
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.timestamps import moment, timestamp

VANISHED_WITHIN = 3600.0
"""Seconds for which a lease that vanished counts."""


def recently_vanished(mirror: Mirror, known: Situation) -> list[str]:
    """Return when generations before this one vanished, as far as that still counts."""
    noted = mirror.leased.vanished if mirror.leased else ()
    since = known.memory.since
    after = known.now - VANISHED_WITHIN
    return [at for at in noted if since(mirror.id, moment(at), known.now) > after]


def mint(
    target: Target,
    found: Sequence[Generation],
    reason: Reason,
    why: str,
    known: Situation,
) -> MintGeneration:
    """Return the action that makes a new generation; its number and its name are free."""
    secret = target.secret
    newest = found[0].mirror if found else None
    last = max((m.identity.version for m in target.own), default=0)
    taken = known.swarm.secret_by_lower_name
    version = next(n for n in count(last + 1) if f"{secret.name}_v{n}".lower() not in taken)
    in_use = (g.mirror.leased for g in found if g.live and not failed(g.mirror))
    role, rotate = secret.source.next_role(
        newest.leased if newest else None,
        next(in_use, newest.leased if newest else None),
        vanished=bool(found) and found[0].stage == Stage.VANISHED,
    )
    return MintGeneration(
        secret=secret.name,
        source=secret.source,
        version=version,
        content=secret.content,
        docker_name=f"{secret.name}_v{version}",
        labels={SHAPE: secret.content.shape, **_history(newest, reason, known)},
        reason=reason,
        why=why,
        role=role,
        rotate=rotate,
    )


def _history(newest: Mirror | None, reason: Reason, known: Situation) -> dict[str, str]:
    """Return the labels that count failures and vanished leases from generation to generation."""
    if newest is None or newest.leased is None:
        return {}
    labels = {TRIES: str(newest.leased.tries + 1)} if failed(newest) else {}
    gone = recently_vanished(newest, known)
    gone += [timestamp(known.now)] if reason == Reason.LEASE_VANISHED else []
    return {**labels, VANISHED: ",".join(gone)} if gone else labels
