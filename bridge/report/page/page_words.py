"""Times as the page writes them: relative, with the exact one beside them."""

from __future__ import annotations

from datetime import UTC, datetime

from bridge.model.spans import largest_unit

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def span(seconds: float) -> str:
    """Write a length of time by its two largest units: ``3m 20s``, ``12d 4h``, ``45s``."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def short(seconds: float) -> str:
    """Write a length of time by its largest unit alone: ``3m``, ``12d``."""
    return largest_unit(round(seconds))


def ago(seconds: float) -> str:
    """Write how long ago something was."""
    return f"{short(seconds)} ago" if seconds >= 1 else "just now"


def until(seconds: float) -> str:
    """Write in how long something will be, or how long ago it was."""
    return f"in {span(seconds)}" if seconds > 0 else ago(-seconds)


def exact(at: float) -> str:
    """Write a moment for people, in UTC."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def count(number: int, noun: str) -> str:
    """Write how many there are of something: ``1 task``, ``1,000 secrets``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
