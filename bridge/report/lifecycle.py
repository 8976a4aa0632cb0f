"""The log of how the cycles go: who leads, and what keeps them from running. Once per change."""

from __future__ import annotations

from typing import Any

from bridge.errors import SwarmError
from bridge.logs import where
from bridge.model.events import Event


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
            self._log.info(Event.LEADS)
        elif leader:
            self._log.info(Event.STANDS_BY, leader=leader)

    def tell_given_up(self, error: Exception) -> None:
        """Log that a cycle was given up in its middle."""
        self._log.warning(Event.CYCLE_CANCELLED, message=str(error))

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
            self._log.warning(Event.SWARM_UNREACHABLE, message=words)
        else:
            self._log.error(Event.CYCLE_FAILED, error=where(error))
        return words

    def tell_cycle(self) -> None:
        """Log that cycles run again, at the first one after trouble."""
        if self._trouble is not None:
            self._log.info(Event.CYCLES_RESUMED)
        self._trouble = None
