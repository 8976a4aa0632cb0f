"""Is Vault watched folder by folder, as OpenBao allows, or path by path?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from bridge.model.desired import Desired
from bridge.model.findings import Finding, Level, to_grant
from bridge.model.vault_view import Unreadable
from bridge.observe_vault import look_at
from bridge.servers.vault import Vault
from bridge.sources.folder import Apart, Unit
from bridge.sources.kinds import kind_of
from bridge.sources.units import units_of


def check_folders(vault: Vault, desired: Desired) -> Iterator[Finding]:
    """Report for each mount how its folders are watched that have several configured paths."""
    units: defaultdict[tuple[str, Apart | None], list[Unit]] = defaultdict(list)
    for unit in units_of(desired.sources):
        if unit.folder is None:
            continue
        seen = look_at(vault, unit, patient=False)
        if isinstance(seen, Apart):
            units[unit.folder.mount, seen].append(unit)
        elif not any(isinstance(found, Unreadable) for found in seen.values()):
            units[unit.folder.mount, None].append(unit)
    for (mount, why), found in units.items():
        yield _together(mount, found) if why is None else _apart(mount, why, found)


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
