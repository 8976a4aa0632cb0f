"""The log of how the cycles go: who leads, and what keeps them from running. Once per change."""

from __future__ import annotations

from typing import Any

from bridge.errors import SwarmError
from bridge.logs import where


class Lifecycle:
    """Knows which trouble was logged last.

    Args:
        log: A structlog logger.
    """

    def __init__(self, log: Any) -> None:
        self._log = log
        self._trouble: type[Exception] | None = None

    def tell_lead(self, leader: str, *, leads: bool) -> None:
        """Log that this bridge leads now, or that another one does whose host is known."""
        if leads:
            self._log.info("this bridge leads")
        elif leader:
            self._log.info("stands by, another bridge leads", leader=leader)

    def tell_given_up(self, error: Exception) -> None:
        """Log that a cycle was given up in its middle."""
        self._log.warning("given up", because=str(error))

    def tell_trouble(self, error: Exception) -> str:
        """Log why a cycle failed, once while it is the same kind of trouble; returns it in words.

        The words have no value in them.
        """
        known = isinstance(error, SwarmError)
        words = str(error) if known else f"unexpected error: {where(error)}"
        kind = SwarmError if known else type(error)
        if self._trouble == kind:
            return words
        self._trouble = kind
        if known:
            self._log.warning("swarm not reachable", because=words)
        else:
            self._log.error("unexpected error, the next cycle begins anew", error=where(error))
        return words

    def tell_cycle(self) -> None:
        """Log that cycles run again, at the first one after trouble."""
        if self._trouble is not None:
            self._log.info("cycles go on")
        self._trouble = None
