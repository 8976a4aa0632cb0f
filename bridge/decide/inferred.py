"""What does the swarm alone say of Vault?

The bridge that leads mirrors each version as soon as Vault has it, and writes down why where it
cannot. So the swarm answers most of what a command would ask Vault, with no login of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridge.model.desired import Desired, KvPath, Source, StaticRoles
from bridge.model.identity import Identity
from bridge.model.leased import GenerationView, Life, StaticDocument, StaticRole
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.swarm_view import SwarmView
from bridge.model.vault_view import (
    EVERYTHING,
    Document,
    KvDocument,
    KvVersion,
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
        elif isinstance(secret.source, StaticRoles):
            paths[secret.source] = _static_roles(own)
        elif isinstance(secret.source, KvPath):
            verdict = swarm.verdicts.get(secret.name)
            refused = verdict.identity if verdict else None
            known = [mirror.identity for mirror in own if not mirror.outlived]
            if refused and refused.source == secret.source:
                known.append(refused)
            paths[secret.source] = _better(paths[secret.source], _kv(secret.source, known))
    alive = Life(started=now, ends=now + _A_DAY, granted=_A_DAY, renewed=True)
    generations = {m.id: GenerationView(now, alive, alive) for m in swarm.mirrors if m.leased}
    return VaultView(now, paths, generations=generations, inferred=True)


def _kv(path: KvPath, known: Sequence[Identity]) -> KvDocument | Unreadable:
    if not known:
        return Unreadable(Reason.NO_VERSION, f"no version of {path} is mirrored yet")
    newest = max(known)
    same = {i.version: KvVersion(i.created) for i in known if i.path_created == newest.path_created}
    return KvDocument(newest.path_created, newest.version, same)


def _better(
    one: Document | Unreadable, other: KvDocument | Unreadable
) -> KvDocument | Document | Unreadable:
    """Return which of two secrets of one path knows more of it."""
    if not isinstance(one, KvDocument):
        return other
    return other if isinstance(other, KvDocument) and other.current > one.current else one


def _static_roles(mirrors: Sequence[Mirror]) -> StaticDocument:
    """Return static roles as they are where nobody has rotated them since they were mirrored."""
    roles: dict[str, StaticRole] = {}
    for mirror in mirrors:  # the newest first
        if mirror.leased:
            roles.setdefault(mirror.leased.role, StaticRole(mirror.identity.created, 0.0))
    return StaticDocument(roles)
