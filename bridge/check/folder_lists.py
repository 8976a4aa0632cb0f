"""Is Vault watched folder by folder, as OpenBao allows, or path by path, and how often?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from bridge.keys.durations import duration_text
from bridge.model.findings import Finding, Level, to_grant
from bridge.model.settings import Settings
from bridge.model.source import Source
from bridge.model.vault_view import Unreadable, VaultView
from bridge.sources.folder import Apart, Unit
from bridge.sources.kinds import kind_of
from bridge.sources.units import Units
from bridge.vault_schedule import watch_period


def check_folders(looked: Units, view: VaultView) -> Iterator[Finding]:
    """Report for each mount how its folders are watched that have several configured paths.

    Args:
        looked: What a look has learnt.
        view: What it has seen. Of a folder with paths that cannot be read nothing is reported.
    """
    units: defaultdict[tuple[str, Apart | None], list[Unit]] = defaultdict(list)
    for unit, why in looked.folders:
        if unit.folder and (why or not any(_is_unreadable(view, source) for source in unit)):
            units[unit.folder.mount, why].append(unit)
    for (mount, why), found in units.items():
        yield _together(mount, found) if why is None else _apart(mount, why, found)


def _is_unreadable(view: VaultView, source: Source) -> bool:
    return isinstance(view.paths[source], Unreadable)


def check_period(paths: int, requests: int, settings: Settings) -> Iterator[Finding]:
    """Report how often each path of Vault is asked for, and whether that is what is configured.

    Args:
        requests: As many as tell of all paths.
    """
    if not paths:
        return
    wanted, most = settings.poll_interval, settings.vault.max_rps
    period = watch_period(wanted, requests, most)
    together = f", in {requests} request{'s' * (requests != 1)}" if requests != paths else ""
    every = duration_text(round(period, 1))
    message = f"each of {paths} paths of Vault is asked for every {every}{together}"
    if wanted is None or period <= wanted:
        yield Finding(Level.OK, "poll.interval", message)
        return
    allowed = f"`vault.max_rps: {most:g}` allows no more"
    message += f", and not every {duration_text(wanted)}: {allowed}; raise it, or the interval"
    yield Finding(Level.WARNING, "poll.interval", message)


def _together(mount: str, units: list[Unit]) -> Finding:
    paths, requests = sum(map(len, units)), sum(len(unit.pages) for unit in units)
    times = "one request tells" if requests == 1 else f"{requests} requests tell"
    return Finding(Level.OK, "vault", f"{mount}/: {times} of {paths} paths, folder by folder")


def _apart(mount: str, why: Apart, units: list[Unit]) -> Finding:
    """Report what is asked for path by path; a note where something can be done about it."""
    paths, instead = sum(map(len, units)), len(units)
    message = f"{mount}/: each look asks for {paths} paths one by one, since {why}"
    if why in (Apart.NOT_OFFERED, Apart.COSTLIER):
        return Finding(Level.OK, "vault", message)
    message += f"; {instead} request{'s' * (instead > 1)} would do"
    if why == Apart.NOT_GRANTED:
        kinds = {unit.folder: kind_of(unit.sources[0]) for unit in units}
        rules = (
            rule for folder, kind in kinds.items() if folder for rule in kind.folder_rules(folder)
        )
        message += to_grant(*rules)
    return Finding(Level.NOTE, "vault", message)
