"""Times as Vault and the engine write them: RFC 3339, with up to nine digits of a second."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


@lru_cache(maxsize=65_536)
def instant(text: str) -> int:
    """Return an RFC 3339 time in nanoseconds since the epoch.

    The texts themselves do not sort as the times do, as Vault and the engine drop trailing zeros of
    the fraction.

    Raises:
        ValueError: The text is not such a time.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    whole, fraction, zone = match.groups()
    seconds = datetime.fromisoformat(whole + ("+00:00" if zone == "Z" else zone)).timestamp()
    return int(seconds) * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))


def moment(text: str, otherwise: float = 0.0) -> float:
    """Return the time in a label, in seconds since the epoch.

    Args:
        otherwise: What is returned for a damaged one.
    """
    try:
        return instant(text) / 1e9
    except ValueError:
        return otherwise


def known_moment(text: str) -> float | None:
    """Return the time in a label, in seconds since the epoch; None for none, and a damaged one."""
    return moment(text) or None


def timestamp(seconds: float) -> str:
    """Return a time as RFC 3339 in UTC, with the fraction of the second cut off."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
