"""All ways in which a running bridge is seen from outside."""

from __future__ import annotations

from typing import Any

from bridge.publish import Outlet
from bridge.publish.notifications import Notifications
from bridge.publish.web import Web
from bridge.pulse import Pulse
from bridge.tally import NOTIFICATIONS


def outlets(pulse: Pulse, log: Any) -> tuple[Outlet, ...]:
    """Return all outlets, none of which publishes anything before it is configured.

    Args:
        pulse: What the bridge knows of itself.
        log: A structlog logger.
    """
    return (Web(pulse, log), Notifications(log, NOTIFICATIONS))
