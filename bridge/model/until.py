"""How far an operator follows what was asked for."""

from __future__ import annotations

from enum import StrEnum


class Until(StrEnum):
    """How far a wish is followed."""

    ROLLED = "rolled"  # services have come to rest
    ENDED = "ended"  # former credentials are over as well
