"""Durations as people write them; without pydantic, which options of commands do not need."""

from __future__ import annotations

import re

from bridge.model.spans import UNITS, duration_text

__all__ = ["UNITS", "duration", "duration_text"]

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
