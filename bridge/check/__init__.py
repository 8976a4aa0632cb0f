"""Reports what is wrong with a configuration where it runs, and the remedy; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.check.swarm import check_swarm
from bridge.check.vault import check_vault
from bridge.keys.durations import duration_text
from bridge.model.desired import Desired
from bridge.model.findings import Finding, Level
from bridge.model.settings import Settings
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from bridge.vault_schedule import watch_period

__all__ = ["Finding", "Level", "check"]


def check(desired: Desired, settings: Settings, now: float) -> Iterator[Finding]:
    """Check the servers against the configuration; one finding after the other."""
    count = len(desired.secrets)
    yield Finding(Level.OK, "configuration", f"{count} secret{'s' * (count != 1)}")
    yield from _check_period(desired, settings)
    vault = Vault(settings.vault)
    try:
        yield from check_vault(vault, desired, settings, now)
    finally:
        vault.close()
    swarm = Swarm(settings.docker)
    try:
        yield from check_swarm(swarm, desired, settings, now)
    finally:
        swarm.close()


def _check_period(desired: Desired, settings: Settings) -> Iterator[Finding]:
    """Report how often each path of Vault is asked for, and whether that is what is configured."""
    paths, wanted = len(desired.sources), settings.poll_interval
    if not paths:
        return
    period = watch_period(wanted, paths, settings.vault.max_rps)
    message = f"each of {paths} paths of Vault is asked for every {duration_text(round(period, 1))}"
    if wanted is None or period <= wanted:
        yield Finding(Level.OK, "poll.interval", message)
        return
    allowed = f"`vault.max_rps: {settings.vault.max_rps:g}` allows no more"
    message += f", and not every {duration_text(wanted)}: {allowed}; raise it, or the interval"
    yield Finding(Level.WARNING, "poll.interval", message)
