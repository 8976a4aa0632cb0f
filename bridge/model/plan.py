"""The plan of one cycle: actions in chains, what is held and why, the state of each secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.model.actions import Chain
from bridge.model.conditions import Condition, Hold
from bridge.model.vault_view import Seen
from bridge.model.verdicts import Refusal


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The answer of ``decide``: everything that ``apply`` does and ``report`` shows.

    Attributes:
        notices: Facts worth knowing that nobody has to act on.
        wake_at: When the plan may change without any event, seconds since the epoch.
        rolling: Whether a change is under way, so that the swarm is looked at again soon.
        doubtful: Names of the secrets for which Vault is to be looked at again soon, since one look
            proves too little.
        refusals: What a server refuses, by name of the secret. The leader keeps it in the state
            config, for commands that are processes of their own.
        seen: Why Vault's current versions cannot be used, by name of the secret, for the leader's
            heartbeat.
    """

    chains: tuple[Chain, ...]
    holds: tuple[Hold, ...]
    conditions: tuple[Condition, ...]
    notices: tuple[Hold, ...] = ()
    wake_at: float | None = None
    rolling: bool = False
    doubtful: frozenset[str] = frozenset()
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    seen: Seen = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do or to wait for, besides holds that need an operator."""
        return not self.chains and not self.rolling and not any(h.waits for h in self.holds)
