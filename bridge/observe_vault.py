"""Looks at Vault and makes nouns of its answers; what goes wrong with one path becomes data."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bridge.errors import NOT_UNDERSTOOD, LoginRefused, VaultRefused, VaultUnreachable
from bridge.model.leased import Fate, GenerationView, Gone, Life, Unknown, custody_meta
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.source import Source
from bridge.model.timestamps import instant
from bridge.model.vault_view import Document, Unreadable, VaultView
from bridge.servers.vault import Vault
from bridge.sources.folder import Apart, Unit
from bridge.sources.kinds import kind_of
from bridge.sources.units import Units
from bridge.vault_answers import VaultAnswers

_NANO = 1_000_000_000
_FOR_EVER = 10 * 365 * 86400.0

Json = Mapping[str, Any]


def look_at_vault(vault: Vault, units: Units, now: float) -> VaultView:
    """Return what Vault has at each path and role, each read once.

    Once Vault as a whole does not answer, the rest of the look is given up.

    Args:
        units: All of them. It learns which are not to be had together.
    """
    answers = VaultAnswers(units.sources)
    left = deque(units.at(now))
    while left and not answers.down:
        unit = left.popleft()
        seen = look_at(vault, unit, patient=answers.patient)
        if isinstance(seen, Apart):
            units.learn(unit, seen, now)
            unknown = {source for each in (unit, *left) for source in each}
            left = deque(each for each in units.at(now) if each.sources[0] in unknown)
        else:
            answers.note(seen, now, now, up=is_up_after(vault, seen))
    return answers.view(0.0)


def is_up_after(vault: Vault, seen: Mapping[Source, Document | Unreadable]) -> bool:
    """Return whether Vault as a whole answers; asked only where an answer doubts it."""
    doubts = any(isinstance(each, Unreadable) and each.everywhere for each in seen.values())
    return not doubts or vault.is_up()


def look_at(
    vault: Vault, unit: Unit, *, patient: bool
) -> Mapping[Source, Document | Unreadable] | Apart:
    """Return what Vault has at the sources of a unit, or why they are not to be had together.

    1. A source that a list leaves out, or tells of what is not understood, is asked for alone: only
       the answer on a path itself tells that there is nothing (I9), and what is wrong (I8).
    2. Where Vault gives no usable answer on a list, one source is asked for alone. If that fails
       too it is Vault that is away, and not the list.

    Args:
        patient: Whether to try again where there is trouble that passes.
    """
    first, *_ = unit
    if unit.folder is None:
        return {first: _document(vault, first, patient=patient)}
    try:
        listed = kind_of(first).look_together(vault, unit, patient=patient)
    except (VaultUnreachable, LoginRefused):
        seen = _document(vault, first, patient=False)  # 2
        if isinstance(seen, Unreadable) and seen.away:
            return dict.fromkeys(unit, seen)
        return Apart.NO_ANSWER
    if isinstance(listed, Apart):
        return listed
    found: dict[Source, Document | Unreadable] = {}
    for source in unit:
        found[source] = listed.get(source) or _document(vault, source, patient=patient)  # 1
    return found


def _document(vault: Vault, source: Source, *, patient: bool) -> Document | Unreadable:
    try:
        return kind_of(source).look(vault, source, patient=patient)
    except VaultUnreachable as error:
        return Unreadable(
            Reason.VAULT_UNREACHABLE,
            str(error),
            error.everywhere,
            error.hung,
            error.retry_after,
        )
    except LoginRefused as error:
        return Unreadable(Reason.LOGIN_REFUSED, str(error), error.everywhere)
    except VaultRefused as error:
        return Unreadable(Reason(error.reason), str(error))
    except NOT_UNDERSTOOD:
        return Unreadable(
            Reason.VAULT_UNREACHABLE, f"Vault's metadata of {source} is not understood"
        )


def look_at_generation(vault: Vault, mirror: Mirror, now: float) -> GenerationView:
    """Return what Vault knows of a generation's lease, and of the custody token that holds it.

    Vault tells times by its own clock. They are converted to ours by the seconds that are left, so
    that a difference of the two clocks does not count.
    """
    leased = mirror.leased
    if leased is None:
        raise AssertionError("only generations are looked at")
    if mirror.lease_role is None:
        message = f"the lease that {mirror.docker_name} names is not one of {leased.role}"
        foreign = Unknown(Reason.FOREIGN_LEASE, message, foreign=True)
        return GenerationView(now, foreign, foreign)
    if mirror.lease_role.namespace != vault.namespace:
        message = f"{mirror.docker_name} belongs to another namespace than `vault.namespace`"
        elsewhere = Unknown(Reason.UNMAPPED, message)
        return GenerationView(now, elsewhere, elsewhere)
    lease = _fate(lambda: vault.leases.lease(leased.lease), now)
    if isinstance(lease, Unknown):
        return GenerationView(now, lease, lease)

    def is_ours(token: Json) -> bool:
        return vault.leases.is_ours(dict(token), custody_meta(mirror.instance, mirror.secret))

    custody = _fate(lambda: vault.leases.token(leased.accessor), now, is_ours)
    return GenerationView(now, lease, custody)


def _fate(
    look: Callable[[], Json | None], now: float, is_ours: Callable[[Json], bool] = lambda _: True
) -> Fate:
    try:
        found = look()
        if found is None:
            return Gone()
        return replace(read_life(found, now), foreign=not is_ours(found))
    except VaultUnreachable as error:
        return Unknown(Reason.VAULT_UNREACHABLE, str(error))
    except LoginRefused as error:
        return Unknown(Reason.LOGIN_REFUSED, str(error))
    except VaultRefused as error:
        return Unknown(Reason(error.reason), str(error))
    except NOT_UNDERSTOOD:
        return Unknown(Reason.VAULT_UNREACHABLE, "Vault's answer on a lease is not understood")


def read_life(raw: Json, now: float) -> Life:
    """Read Vault's answer on a lease or a token, which have the same words for their times."""
    left = float(raw["ttl"])
    if not raw.get("expire_time"):  # as of a root token, which has no issue_time either
        return Life(
            started=now, ends=now + _FOR_EVER, granted=_FOR_EVER, renewed=True, period=_FOR_EVER
        )
    issued, failed = instant(raw["issue_time"]), str(raw.get("revoke_error") or "")
    ends = instant(raw["expire_time"])
    renewal = raw.get("last_renewal")
    given = instant(renewal) if renewal else issued
    return Life(
        started=now + left - (ends - issued) / _NANO,
        ends=now + left,
        granted=(ends - given) / _NANO,
        renewed=bool(renewal),
        period=float(raw.get("period") or 0),
        longest=float(raw.get("explicit_max_ttl") or 0),
        failed=failed,
    )
