"""Times as Vault and the engine write them: RFC 3339 with up to nine digits of a second."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


@lru_cache(maxsize=65_536)
def instant(text: str) -> int:
    """Read an RFC 3339 time as nanoseconds since the epoch.

    Vault and the engine drop trailing zeros of the fraction, so that the texts do not sort as the
    times do.

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
    """Read a label's time as seconds since the epoch.

    Args:
        otherwise: What stands for one that somebody has damaged.
    """
    try:
        return instant(text) / 1e9
    except ValueError:
        return otherwise


def timestamp(seconds: float) -> str:
    """Write seconds since the epoch as RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
