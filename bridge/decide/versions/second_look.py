"""Is it really gone in Vault?

A restore in progress, or a standby that lags, shows for a moment what is not so. What was mirrored
before and seems to be gone is looked at twice before anybody is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bridge.decide.versions.target import Target
from bridge.model.conditions import Hold
from bridge.model.memory import Memory, SecondLook
from bridge.model.reasons import Reason
from bridge.model.vault_view import VaultView

_DOUBTFUL = frozenset(
    (
        Reason.PATH_MISSING,
        Reason.MOUNT_MISSING,
        Reason.NAMESPACE_MISSING,
        Reason.VERSION_WENT_BACK,
        Reason.ROLE_MISSING,
    )
)


_GONE = _DOUBTFUL | {Reason.PERMISSION_DENIED}

MANY = 3
"""From so many secrets on, and half of all, Vault as a whole has lost them, and not one path."""


def many_missing(targets: Iterable[Target]) -> Hold | None:
    """Return a hold where much of what was mirrored is gone at once: a restore, a policy."""
    there = [target for target in targets if target.mirrors]
    gone = [target for target in there if target.hold and target.hold.reason in _GONE]
    if len(gone) < MANY or len(gone) * 2 < len(there):
        return None
    message = (
        f"{len(gone)} of {len(there)} secrets that were mirrored are gone in Vault or forbidden"
        " at once: was it restored, or our policy changed? Nothing is removed while that is so"
    )
    return Hold(secret="", reason=Reason.MANY_MISSING, message=message)


def second_look_of(target: Target, memory: Memory, vault: VaultView) -> SecondLook | None:
    """Return what seems gone in Vault though it was mirrored: a restore, or a standby that lags."""
    if target.hold is None or target.hold.reason not in _DOUBTFUL or not target.mirrors:
        return None
    known = memory.second_looks.get(target.secret.name)
    same = known and known.reason == target.hold.reason
    return known if same else SecondLook(target.hold.reason, vault.asked_at(target.secret.source))


def with_second_look(target: Target, memory: Memory, vault: VaultView) -> Target:
    """Return the target; what seems gone in Vault is looked at again before it is reported."""
    doubt = second_look_of(target, memory, vault)
    if doubt is None or target.hold is None or vault.inferred:
        return target
    if doubt.as_of < vault.asked_at(target.secret.source):
        return target
    message = f"{target.hold.message}; one more look is to prove it"
    hold = Hold(secret=target.secret.name, reason=Reason.LOOKING_AGAIN, message=message, waits=True)
    return replace(target, hold=hold)
