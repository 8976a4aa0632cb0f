"""What one step of a cycle concludes. The plan is the sum of what all steps concluded."""

from __future__ import annotations

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
        return Decision(
            chains=self.chains + other.chains,
            holds=self.holds + other.holds,
            notices=self.notices + other.notices,
            wake=self.wake + other.wake,
            ending=self.ending or other.ending,
        )


NOTHING = Decision()


def one_by_one(*actions: Action | None) -> tuple[Chain, ...]:
    """Return a chain for each action, since none depends on another; None is left out."""
    return tuple((action,) for action in actions if action is not None)
