"""Durations as people write them; without pydantic, which options of commands do not need."""

from __future__ import annotations

import re

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"\s*(?:\d+(?:\.\d+)?\s*(?:ms|s|m|h|d)\s*)+")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")


def duration(value: object) -> float:
    """Read a duration as people write it, in seconds.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(value, str) or _DURATION.fullmatch(value) is None:
        raise ValueError("a duration with its unit is needed, as in 500ms, 30s, 1h30m, 24h or 90d")
    return sum(float(number) * UNITS[unit] for number, unit in _PART.findall(value))


def duration_text(seconds: float) -> str:
    """Write a duration as people do: in the largest unit that divides it."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms" if seconds else "0s"
    units = (("d", 2), ("h", 1), ("m", 1), ("s", 1))
    fits = (u for u, least in units if not seconds % UNITS[u] and seconds >= least * UNITS[u])
    unit = next(fits, "s")
    return f"{seconds / UNITS[unit]:g}{unit}"
