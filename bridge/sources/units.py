"""What is asked for together? Learns where that is not to be had. Pure: it reads no clock.

1. Sources of one folder are one unit, where at least ``FEWEST`` are configured: fewer do not make
   up for the right to list all of the folder. A unit has at most ``MOST`` sources, so that one
   answer tells of them all.
2. Where a folder cannot be asked for as a whole its units fall apart, for ``AGAIN`` seconds or
   until the next login. Where the engine does not offer it, that goes for all of its folders.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from math import ceil, inf

from bridge.model.source import Source
from bridge.sources.folder import Apart, Folder, Unit
from bridge.sources.kinds import kind_of

FEWEST = 3
"""Configured sources in a folder from which they are asked for together."""

MOST = 400
"""Sources of one unit. It leaves room for neighbours in an answer with ``folders.PAGE`` names."""

AGAIN = 3600.0
"""Seconds after which a folder is tried again. A denied request is seen in Vault's audit log."""


def units_of(sources: Iterable[Source]) -> tuple[Unit, ...]:
    """Return all sources in units, whatever was learnt."""
    folders: defaultdict[Folder, list[Source]] = defaultdict(list)
    units: list[Unit] = []
    for source in sources:
        folder = kind_of(source).folder(source)
        if folder is None:
            units.append(Unit((source,)))
        else:
            folders[folder].append(source)
    for folder, found in folders.items():
        units += _parts(folder, found) if len(found) >= FEWEST else (Unit((s,)) for s in found)
    return tuple(units)


def _parts(folder: Folder, sources: list[Source]) -> Iterable[Unit]:
    ordered = sorted(sources, key=lambda source: source.place)
    parts = ceil(len(ordered) / MOST)
    ends = [len(ordered) * number // parts for number in range(parts + 1)]
    for start, end in pairwise(ends):
        yield Unit(tuple(ordered[start:end]), folder)


class Units:
    """The units of one configuration, and which of them fall apart.

    Times are seconds of any one clock.

    Attributes:
        sources: All of them, in the order in which they were given.
    """

    def __init__(self, sources: Iterable[Source]) -> None:
        self.sources = tuple(sources)
        self._units = units_of(self.sources)
        self._apart: dict[Folder | _Mount, tuple[float, Apart]] = {}

    @property
    def changes(self) -> float:
        """When something that fell apart is tried again; infinity where nothing did."""
        return min((end for end, _ in self._apart.values()), default=inf)

    @property
    def folders(self) -> Iterator[tuple[Unit, Apart | None]]:
        """The units of folders, each with why it falls apart; None where it does not."""
        return ((unit, self._why_apart(unit)) for unit in self._units if unit.folder)

    def at(self, now: float) -> tuple[Unit, ...]:
        """Return everything in units: as many requests tell of all sources, as far as is known."""
        self._apart = {place: told for place, told in self._apart.items() if now < told[0]}
        units: list[Unit] = []
        for unit in self._units:
            if self._why_apart(unit):
                units += (Unit((source,)) for source in unit)
            else:
                units.append(unit)
        return tuple(units)

    def learn(self, unit: Unit, why: Apart, now: float) -> None:
        """Note that a unit is not to be had as a whole."""
        if unit.folder:
            place = _mount(unit.folder) if why == Apart.NOT_OFFERED else unit.folder
            self._apart[place] = now + AGAIN, why

    def relearn(self) -> None:
        """Try all folders again: a fresh login may be granted more."""
        self._apart.clear()

    def _why_apart(self, unit: Unit) -> Apart | None:
        if unit.folder is None:
            return None
        told = self._apart.get(unit.folder) or self._apart.get(_mount(unit.folder))
        return told[1] if told else None


_Mount = tuple[str, str]
"""Namespace and mount."""


def _mount(folder: Folder) -> _Mount:
    return folder.namespace, folder.mount
