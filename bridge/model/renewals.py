"""What keeps credentials alive, apart from all else that a plan may do."""

from __future__ import annotations

from bridge.model.actions import Action, Chain, Tend, TendGeneration
from bridge.model.plan import Plan

_KEPT = frozenset((Tend.RENEW_LEASE, Tend.RENEW_CUSTODY))
"""What keeps a credential alive, whatever the swarm is like."""


def is_renewal(action: Action) -> bool:
    """Return whether an action renews, which nothing in the swarm makes wrong."""
    return isinstance(action, TendGeneration) and action.step in _KEPT


def renews(chain: Chain) -> bool:
    """Return whether a chain has nothing but renewals."""
    return all(map(is_renewal, chain))


def is_written(plan: Plan) -> bool:
    """Return whether a plan has more than renewals."""
    return not all(map(renews, plan.chains))
