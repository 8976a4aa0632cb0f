"""What was seen: the Vault side and the swarm side, each with the time of the look.

Nothing here is acted upon by itself; ``decide`` reads it together with what is desired.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.model.swarm_view import SwarmView
from bridge.model.vault_view import VaultView


@dataclass(frozen=True, slots=True)
class World:
    """All that one cycle knows."""

    vault: VaultView
    swarm: SwarmView
