"""What one cycle wants: actions in chains, what is held and why, the state of each secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.model.actions import Chain
from bridge.model.conditions import Condition, Hold
from bridge.model.vault_view import Seen
from bridge.model.verdicts import Trouble


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What one cycle wants.

    Attributes:
        notices: What somebody may want to know, and nobody needs to mend.
        wake_at: When time alone may change the plan, seconds since the epoch.
        rolling: Whether something is on its way, so that the swarm is looked at again soon.
        doubtful: Whether Vault is to be looked at again soon, since one look proves too little.
        troubles: What a server refuses, by name of the secret, for the state config. It is a
            report for other processes, and no change of anything.
        seen: What of Vault cannot be used, for the leader's heartbeat.
    """

    chains: tuple[Chain, ...]
    holds: tuple[Hold, ...]
    conditions: tuple[Condition, ...]
    notices: tuple[Hold, ...] = ()
    wake_at: float | None = None
    rolling: bool = False
    doubtful: bool = False
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    seen: Seen = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do or to wait for but what somebody must mend."""
        return not self.chains and not self.rolling and not any(h.waits for h in self.holds)
