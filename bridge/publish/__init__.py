"""What a running bridge publishes about its cycles. Nothing here decides, or holds a cycle up.

Each outlet is a projection of what a cycle saw, decided and did. It takes a report and returns at
once; what takes time is done in a thread of its own, with a bound on what waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from bridge.config import Configuration
from bridge.logs import where
from bridge.model.cycle_report import CycleReport
from bridge.model.events import Event


class Outlet(Protocol):
    """One way in which a bridge is seen from outside."""

    @property
    def name(self) -> str:
        """What logs call it."""

    def configure(self, configuration: Configuration) -> None:
        """Go by a configuration from now on: begin, change or end what is published.

        It is called before the first cycle, and after each reload. An outlet that the
        configuration does not ask for imports and starts nothing.
        """

    def publish(self, report: CycleReport) -> None:
        """Take note of a cycle. It returns at once, and is always called by the same thread."""

    def close(self) -> None:
        """End within a second or two."""


class Publishing:
    """Hands each cycle to all outlets; what fails in one of them concerns no other, and no cycle.

    Args:
        outlets: All that there are.
        log: A structlog logger.
    """

    def __init__(self, outlets: Iterable[Outlet], log: Any) -> None:
        self._outlets = tuple(outlets)
        self._log = log
        self._failing: set[str] = set()

    def configure(self, configuration: Configuration) -> None:
        """Let all outlets go by a configuration from now on."""
        for outlet in self._outlets:
            try:
                outlet.configure(configuration)
            except Exception as error:  # noqa: BLE001 - as in `publish`
                self._report(outlet, error)

    def publish(self, report: CycleReport) -> None:
        """Hand a cycle to all outlets."""
        for outlet in self._outlets:
            try:
                outlet.publish(report)
            except Exception as error:  # noqa: BLE001 - rotations go on whatever is shown of them
                self._report(outlet, error)
            else:
                self._failing.discard(outlet.name)

    def close(self) -> None:
        """End all outlets, the last one first."""
        for outlet in reversed(self._outlets):
            try:
                outlet.close()
            except Exception as error:  # noqa: BLE001 - as in `publish`
                self._report(outlet, error)

    def _report(self, outlet: Outlet, error: Exception) -> None:
        """Log a failure, once until the outlet works again."""
        if outlet.name not in self._failing:
            self._failing.add(outlet.name)
            self._log.error(Event.OUTLET_FAILED, outlet=outlet.name, error=where(error))
