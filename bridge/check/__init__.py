"""Reports what is wrong with a configuration where it runs, and the remedy; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.check.audit import check_audit
from bridge.check.http_server import check_http
from bridge.check.receivers import check_receivers
from bridge.check.swarm import check_swarm
from bridge.check.vault import check_vault
from bridge.model.desired import Desired
from bridge.model.findings import Finding, Level
from bridge.model.settings import Settings
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault

__all__ = ["Finding", "Level", "check"]


def check(
    desired: Desired, settings: Settings, now: float, *, values: bool = False
) -> Iterator[Finding]:
    """Check the servers against the configuration; one finding after the other.

    Args:
        values: Read each current value once, and judge it; none is shown.
    """
    count = len(desired.secrets)
    yield Finding(Level.OK, "configuration", f"{count} secret{'s' * (count != 1)}")
    if settings.http:
        yield from check_http(settings.http)
    yield from check_receivers(settings.notify)
    vault = Vault(settings.vault)
    try:
        yield from check_vault(vault, desired, settings, now, values=values)
        yield from check_audit(vault, settings)
    finally:
        vault.close()
    swarm = Swarm(settings.docker)
    try:
        yield from check_swarm(swarm, desired, settings, now)
    finally:
        swarm.close()
