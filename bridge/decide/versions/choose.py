"""Which version should each name have?

1. ``target``: what Vault has, and what is mirrored of it.
2. ``second_look``: one look proves no loss.
3. ``credentials`` adds which generations of leased credentials may be used, and which are made.
4. ``not_understood``: what is not understood may be the newest version.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bridge.decide.backoffs import backoff_of, trying_again
from bridge.decide.decision import Decision, one_by_one
from bridge.decide.situation import Situation
from bridge.decide.versions.not_understood import not_understood, with_unread
from bridge.decide.versions.second_look import many_missing, with_second_look
from bridge.decide.versions.target import Target, find_target
from bridge.model.actions import Chain, NoteState
from bridge.model.reasons import Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Versions:
    """The version that each name should have.

    Attributes:
        targets: One for each secret of the configuration, in its order.
        unlimited: The same, without the pauses after failures.
        frozen: Whether much is gone in Vault at once, so that nothing is removed or ended (I9).
        decision: The mirrors that are made now, and why others are not.
    """

    targets: tuple[Target, ...]
    unlimited: tuple[Target, ...]
    frozen: bool
    decision: Decision


def find_targets(known: Situation) -> tuple[list[Target], bool]:
    """Return the target of each secret by what Vault has, and whether much is gone at once."""
    found = [
        find_target(secret, known.instance, known.world, known.memory, known.now)
        for secret in known.desired.secrets
    ]
    frozen = many_missing(found) is not None
    return [with_second_look(target, known.memory, known.vault) for target in found], frozen


def choose_versions(targets: Iterable[Target], known: Situation, *, frozen: bool) -> Versions:
    """Return the version of each name, and what is made for it now.

    Args:
        targets: With what is decided about leased credentials.
        frozen: Whether much is gone in Vault at once.
    """
    unlimited = tuple(targets)
    if known.swarm.unread:
        unlimited = tuple(with_unread(target, known.swarm) for target in unlimited)
    chosen = tuple(_after_failure(target, known) for target in unlimited)
    missing = many_missing(chosen)
    holds = [target.hold for target in chosen if target.hold]
    decision = Decision(
        chains=_creations(chosen, known),
        holds=(*([missing] if missing else []), *holds, *not_understood(known.swarm)),
        wake=tuple(hold.until for hold in holds if hold.until),
    )
    return Versions(targets=chosen, unlimited=unlimited, frozen=frozen, decision=decision)


def _after_failure(target: Target, known: Situation) -> Target:
    """Return the target; a create that failed a moment ago waits for its time."""
    backoff = backoff_of(target.create, known) if target.create else None
    if backoff is None:
        return target
    return replace(target, create=None, hold=trying_again(target.secret.name, "", backoff))


def _creations(targets: Iterable[Target], known: Situation) -> tuple[Chain, ...]:
    """Return the chains that make mirrors.

    The state config is made in one chain with the very first ones. Once there are mirrors it is
    never made by itself: what was paused would be forgotten.
    """
    creates = [target.create for target in targets if target.create]
    first = not known.swarm.has_state and not any(known.mirrors)
    if not (first and creates):
        return one_by_one(*creates)
    return ((NoteState("", {}, {}, Reason.NEW_VERSION, "it is new"), *creates),)
