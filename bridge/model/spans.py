"""Lengths of time as people write them: 30s, 36h, 90d."""

from __future__ import annotations

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def largest_unit(seconds: float) -> str:
    """Write a length of time by its largest unit alone, cut off: ``3m``, ``12d``."""
    seconds = max(0.0, seconds)
    unit = next((u for u in ("d", "h", "m") if seconds >= UNITS[u]), "s")
    return f"{seconds // UNITS[unit]:.0f}{unit}"


def duration_text(seconds: float) -> str:
    """Write a duration as people do: in the largest unit that divides it."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms" if seconds else "0s"
    units = (("d", 2), ("h", 1), ("m", 1), ("s", 1))
    fits = (u for u, least in units if not seconds % UNITS[u] and seconds >= least * UNITS[u])
    unit = next(fits, "s")
    return f"{seconds / UNITS[unit]:g}{unit}"
