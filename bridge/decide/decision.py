"""What one step of a cycle concludes. The plan is the sum of what all steps concluded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.model.actions import Action, Chain
from bridge.model.conditions import Hold


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """Actions, holds and times, in the order in which they were found.

    Attributes:
        chains: Actions to be carried out; each chain for itself.
        holds: What is wanted and not done now, and why.
        notices: What somebody may want to know, and nobody needs to act on.
        wake: Times at which time alone may change the decision, seconds since the epoch.
        ending: Whether a credential is on its way to its end, which is waited for.
    """

    chains: tuple[Chain, ...] = ()
    holds: tuple[Hold, ...] = ()
    notices: tuple[Hold, ...] = ()
    wake: tuple[float, ...] = ()
    ending: bool = False

    def __add__(self, other: Decision) -> Decision:
        return total((self, other))


NOTHING = Decision()


def total(decisions: Iterable[Decision]) -> Decision:
    """Return the sum of many decisions; one after the other each sum would be copied again."""
    decisions = tuple(decisions)
    return Decision(
        chains=tuple(chain for one in decisions for chain in one.chains),
        holds=tuple(hold for one in decisions for hold in one.holds),
        notices=tuple(notice for one in decisions for notice in one.notices),
        wake=tuple(at for one in decisions for at in one.wake),
        ending=any(one.ending for one in decisions),
    )


def one_by_one(*actions: Action | None) -> tuple[Chain, ...]:
    """Return a chain for each action, since none depends on another; None is left out."""
    return tuple((action,) for action in actions if action is not None)
