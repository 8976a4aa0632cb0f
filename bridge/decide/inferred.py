"""What does the swarm alone say of Vault?

The bridge that leads mirrors each version as soon as Vault has it, and writes down why where it
cannot. So the swarm answers most of what a command would ask Vault, with no login of its own.
"""

from __future__ import annotations

from bridge.model.desired import Desired
from bridge.model.leased import GenerationView, Life
from bridge.model.reasons import Reason
from bridge.model.source import Source
from bridge.model.swarm_view import SwarmView
from bridge.model.vault_view import (
    EVERYTHING,
    Document,
    KvDocument,
    Seen,
    Unreadable,
    VaultView,
)

_A_DAY = 86400.0


def infer_vault(
    desired: Desired, swarm: SwarmView, now: float, seen: Seen | None = None
) -> VaultView:
    """Return Vault as it is where nothing changed there since the swarm was written last.

    Of leases the swarm knows no ends: generations that were not ended are taken for alive.

    Args:
        seen: What the bridge that leads cannot use, where it is asked about that.
    """
    seen = seen or {}
    paths: dict[Source, Document | Unreadable] = {
        source: Unreadable(Reason.VAULT_UNREACHABLE, "Vault was not asked")
        for source in desired.sources
    }
    for secret in desired.secrets:
        every = swarm.mirrors_of(desired.instance, secret.name)
        own = [mirror for mirror in every if mirror.identity.source == secret.source]
        unreadable = seen.get(secret.name) or seen.get(EVERYTHING)
        if unreadable:
            paths[secret.source] = unreadable
        else:
            verdict = swarm.verdicts.get(secret.name)
            document = secret.source.inferred(own, verdict.identity if verdict else None)
            if document:
                paths[secret.source] = _better(paths[secret.source], document)
    alive = Life(started=now, ends=now + _A_DAY, granted=_A_DAY, renewed=True)
    generations = {m.id: GenerationView(now, alive, alive) for m in swarm.mirrors if m.leased}
    return VaultView(as_of=now, paths=paths, generations=generations, inferred=True)


def _better(one: Document | Unreadable, other: Document | Unreadable) -> Document | Unreadable:
    """Return which of two secrets of one path knows more of it."""
    if not isinstance(one, KvDocument):
        return other
    return other if isinstance(other, KvDocument) and other.current > one.current else one
