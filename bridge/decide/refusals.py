"""Which failures of the bridge must others know, who have not seen them?

Commands are processes of their own. `status` would show what a server refuses again and again as on
its way, and would have to log in to Vault to learn what the bridge that leads knows already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bridge.decide.situation import Situation
from bridge.decide.versions.target import Target
from bridge.model.actions import Chain, concerns
from bridge.model.conditions import Condition, Hold
from bridge.model.memory import Memory
from bridge.model.reasons import State
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import timestamp
from bridge.model.vault_view import EVERYTHING, Seen, Unreadable, VaultView
from bridge.model.verdicts import Refusal


def refusals(
    names: frozenset[str], chains: Iterable[Chain], known: Situation
) -> Mapping[str, Refusal]:
    """Return what a server refuses, by name of the secret, from the first time on.

    Args:
        names: Of the secrets that are configured.
        chains: What is to be done now. What a secret is in trouble with is not over while it is
            about to be tried again.
    """
    kept = known.swarm.refusals
    wanted: dict[str, Refusal] = {}
    for name, trouble in _refused(names, known.memory).items():
        before = kept.get(name)
        same = before is not None and replace(before, at="") == trouble
        wanted[name] = before if before and same else replace(trouble, at=timestamp(known.now))
    tried = {name for chain in chains for action in chain for name in concerns(action)[0]}
    return {name: trouble for name, trouble in kept.items() if name in tried} | wanted


def _refused(names: frozenset[str], memory: Memory) -> dict[str, Refusal]:
    """Return what a server refused, and what the bridge waits with before it tries again."""
    found: dict[str, Refusal] = {}
    for backoff in memory.backoffs.values():
        if backoff.passes:
            continue
        services = (backoff.service,) if backoff.service else ()
        for name in names & set(backoff.secrets):
            known = found.get(name)
            if known and known.services and services:
                found[name] = replace(known, services=tuple(sorted({*known.services, *services})))
            elif known is None or not services:
                found[name] = Refusal(backoff.reason, backoff.message, "", services)
    return found


def show_refusals(
    conditions: Iterable[Condition], holds: Sequence[Hold], swarm: SwarmView, *, inferred: bool
) -> tuple[list[Condition], list[Hold]]:
    """Show what the swarm knows to be refused; returns the conditions and the holds to add.

    Args:
        inferred: Whether Vault was not asked, so that a version that is refused is not known.
    """
    shown: list[Condition] = []
    more: list[Hold] = []
    held = {hold.secret for hold in holds if not hold.waits}
    for condition in conditions:
        trouble = swarm.refusals.get(condition.name)
        unknown = inferred and condition.vault_version is None
        if trouble is None or not (unknown or condition.state == State.ROLLING):
            shown.append(condition)
            continue
        shown.append(_with_refusal(condition, trouble))
        if condition.name not in held:
            service = trouble.services[0] if trouble.services else ""
            more.append(
                Hold(
                    secret=condition.name,
                    reason=trouble.reason,
                    message=trouble.text,
                    service=service,
                )
            )
    return shown, more


def _with_refusal(condition: Condition, trouble: Refusal) -> Condition:
    services = tuple(
        replace(service, state=State.HELD, reason=trouble.reason, message=trouble.message)
        if service.name in trouble.services and service.state == State.ROLLING
        else service
        for service in condition.services
    )
    return replace(
        condition,
        state=State.HELD,
        reason=trouble.reason,
        message=trouble.text,
        services=services,
    )


def seen_in_vault(targets: Iterable[Target], vault: VaultView) -> Seen:
    """Return why Vault's current version of a secret is not its target, where that is so.

    One entry is for all secrets where Vault as a whole is away, or where there are very many.
    """
    found: dict[str, Unreadable] = {}
    for target in targets:
        if target.hold is None or target.hold.waits:
            continue
        document = vault.paths.get(target.secret.source)
        if isinstance(document, Unreadable) and document.everywhere:
            return {EVERYTHING: replace(document, retry_after=0.0)}
        # The hold's own message may name the time of the next look, which changes with each.
        message = document.message if isinstance(document, Unreadable) else target.hold.message
        found[target.secret.name] = Unreadable(target.hold.reason, message)
    if len(found) > MOST_SEEN:
        first = next(iter(found.values()))
        return {EVERYTHING: Unreadable(first.reason, f"{first.message}, and {len(found)} more")}
    return found


MOST_SEEN = 200
"""Secrets that are reported one by one with the leader's heartbeat, some 30 kB."""
