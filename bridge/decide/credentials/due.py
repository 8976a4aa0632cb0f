"""When is the next generation of a credential due?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.decide.credentials.stage import Generation, forced_from
from bridge.decide.credentials.usable import rolled_back, usable_of
from bridge.decide.situation import Situation
from bridge.decide.versions.target import Target
from bridge.model.mirror import Mirror
from bridge.model.timestamps import instant, timestamp
from bridge.model.vault_view import KvDocument, VaultView

A_WHILE = 60.0
"""Seconds that making a credential and mirroring it does not take."""


@dataclass(frozen=True, slots=True)
class Due:
    """When the next generation of a secret is due.

    Attributes:
        at: Seconds since the epoch; None where nothing is known that would make one due.
        open: Whether the former change is still on its way, so that it waits for that.
        forced_at: When it is made all the same, since the one in use ends soon after.
        why: What makes it due, in words.
    """

    at: float | None
    open: bool
    forced_at: float | None
    why: str


def due_of(target: Target, found: Sequence[Generation], known: Situation) -> Due:
    """Return when the next generation is due by itself.

    1. Before the hard end of the one in use, by ``rotate_before``.
    2. By its age, by ``rotate_every``.
    3. At once where a newer version of ``rotate_on`` asks for it.
    4. After an operator's rollback by none of these: only the end of what is in use overrides it.
    """
    rules = target.secret.lease
    usable = usable_of(found)
    is_open = bool(usable) and _is_on_its_way(usable, target)
    if not usable or usable[0].lease is None:
        return Due(None, is_open, None, "")
    newest, started = usable[0], usable[0].lease.started
    reasons: list[tuple[float, str]] = []
    forced_at, its_end = None, ""
    if newest.hard_end is not None:
        left = rules.rotate_before * (newest.hard_end - started)
        its_end = f"it ends at {timestamp(newest.hard_end)}"
        reasons.append((newest.hard_end - left, its_end))
        forced_at = forced_from(newest, known.rollout.timeout)
    if rules.rotate_every is not None:
        reasons.append((started + rules.rotate_every, f"it was made at {timestamp(started)}"))
    asked = _asked_in_vault(target, newest.mirror, known.vault)
    if asked:
        reasons.append((known.now, asked))
    if rolled_back(found[0].mirror):
        reasons = []
    at, why = min(reasons, default=(None, its_end))
    return Due(at, is_open, forced_at, why)


def asks_again(target: Target, newest: Mirror, due: Due, vault: VaultView) -> bool:
    """Return whether somebody asked in Vault for another try after a failed one."""
    return not due.open and bool(_asked_in_vault(target, newest, vault))


def _asked_in_vault(target: Target, newest: Mirror, vault: VaultView) -> str:
    """Return which version of ``rotate_on`` asks for a generation after this one, if any does."""
    on = target.secret.lease.rotate_on
    document = vault.paths.get(on) if on else None
    if not isinstance(document, KvDocument) or document.current not in document.versions:
        return ""
    written = instant(document.versions[document.current].created) / 1e9
    asks = written > _asked_since(newest)
    return f"version {document.current} of {on} asks for it" if asks else ""


def _asked_since(mirror: Mirror) -> float:
    """Return from when on a request is one for the generation after this one, in Vault's time.

    A password that was there before it was mirrored may be much older than that.
    """
    created = instant(mirror.identity.created) / 1e9
    if mirror.identity.source.has_lease:
        return created  # a lease is made when it is mirrored; the engine's clock may be another
    return mirror.created if mirror.created - created > A_WHILE else created


def _is_on_its_way(usable: Sequence[Generation], target: Target) -> bool:
    """Return whether the change to the newest generation is not over yet.

    A service that is ill on a good one stays on the former, which keeps no other from the next.
    """
    newest = usable[0].mirror
    if not newest.good:
        return len(usable) > 1 or bool(target.secret.services)
    return len(usable) > 1 and not newest.asides
