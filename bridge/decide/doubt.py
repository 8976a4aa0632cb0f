"""Is it really gone in Vault?

A restore in progress, or a standby that lags, shows for a moment what is not so. What was mirrored
before and seems to be gone is looked at twice before anybody is told.
"""

from __future__ import annotations

from dataclasses import replace

from bridge.decide.target import Target
from bridge.model.memory import Doubt, Memory
from bridge.model.plan import Hold
from bridge.model.reasons import Reason
from bridge.model.world import VaultView

_DOUBTFUL = frozenset(
    (
        Reason.PATH_MISSING,
        Reason.MOUNT_MISSING,
        Reason.NAMESPACE_MISSING,
        Reason.VERSION_WENT_BACK,
    )
)


def doubt_of(target: Target, memory: Memory, vault: VaultView) -> Doubt | None:
    """Say what looks gone in Vault though it was mirrored: a restore, or a standby that lags."""
    if target.hold is None or target.hold.reason not in _DOUBTFUL or not target.mirrors:
        return None
    known = memory.doubts.get(target.secret.name)
    same = known and known.reason == target.hold.reason
    return known if same else Doubt(target.hold.reason, vault.as_of)


def with_doubt(target: Target, memory: Memory, vault: VaultView) -> Target:
    """Let a second look come before it is said that something is gone in Vault."""
    doubt = doubt_of(target, memory, vault)
    if doubt is None or target.hold is None or doubt.as_of < vault.as_of:
        return target
    message = f"{target.hold.message}; one more look is to prove it"
    hold = Hold(target.secret.name, Reason.LOOKING_AGAIN, message, waits=True)
    return replace(target, hold=hold)
