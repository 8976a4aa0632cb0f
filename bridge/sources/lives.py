"""How long credentials must live, and times in words."""

from __future__ import annotations

from math import ceil

from bridge.keys.durations import duration_text

_MINUTES = 120.0
"""Seconds from which times are written in whole minutes."""

OUTAGE = 900.0
"""Seconds for which Vault or the bridge may be away without a credential's end."""


def span(seconds: float) -> str:
    """Return a time as the configuration writes it, rounded up."""
    return duration_text(float(ceil(seconds / 60) * 60 if seconds > _MINUTES else ceil(seconds)))
