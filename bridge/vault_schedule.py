"""When each path of Vault is asked for. Pure: it reads no clock.

1. A path is asked for once in each period, which is counted from one request to the next, whatever
   the answer takes. Each has its own place in the period, so that requests come evenly.
2. Of what is due, first comes what somebody waits for, then what is overdue the longest.
3. What could not be read is asked for again in the next period: a path that fails for itself makes
   nothing rarer (I8).
4. While Vault as a whole is away one path is asked for, ever more rarely, and not before the time
   that Vault asks for (``Retry-After``). Once that one is answered, all are due.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

from bridge.model.source import Source
from bridge.sources.folder import Unit

LONGEST_PAUSE = 60.0
"""Seconds; the longest pause while Vault is away, unless the period is longer."""

_MOST_DOUBLINGS = 10
_NEVER = float("inf")


class VaultSchedule:
    """When each unit is due, in seconds of any one clock.

    Args:
        units: All that is asked for, each source in one of them.
        period: Seconds between two requests for the same unit.
        offset: Where in the period the first unit has its place, from 0 to 1: two bridges should
            not ask at the same moments.

    Attributes:
        away: Whether Vault as a whole is away.
        resumes: When Vault is asked again while it is away.
    """

    def __init__(self, units: Sequence[Unit], period: float, offset: float) -> None:
        self.away = False
        self.resumes = 0.0
        self._period = period
        self._offset = offset
        self._troubles = 0
        self._probing = False
        self._left_alone = 0.0
        self._lay_out(units, {})

    @property
    def period(self) -> float:
        """Seconds between two requests for the same unit, while all is well."""
        return self._period

    @property
    def count(self) -> int:
        """Units, as many requests as a look at everything takes at least."""
        return len(self._units)

    def due(self) -> float:
        """Return when the next request is due; infinity while all units are under way."""
        if self.away:
            return _NEVER if self._probing else self.resumes
        first = self._first()
        return _NEVER if first is None else max(self._due[first], self._left_alone)

    def take(self, now: float) -> Unit | None:
        """Return what to ask for now, which is then under way; None where nothing is due."""
        if self.due() > now:
            return None
        before = [n for n in self._wanted | self._preferred if self._due.get(n, _NEVER) <= now]
        number = min(before, key=self._due.__getitem__, default=self._first())
        if number is None:
            return None
        self._wanted.discard(number)
        self._due.pop(number, None)
        self._probing = self.away
        return self._units[number]

    def answered(self, unit: Unit, started: float) -> None:
        """Plan when a unit is asked for again, after an answer on it."""
        if self.away:
            self.away = self._probing = False
            self._troubles = 0
            self.all_due(started)
        number = self._unit_of.get(unit.sources[0])
        if number is not None and self._units[number] is unit:
            self._plan(number, self._next_place(number, started))

    def failed(self, unit: Unit, now: float, retry_after: float) -> None:
        """Plan the next attempt, where Vault as a whole gave no answer.

        Args:
            retry_after: Seconds for which Vault asks to be left alone (``Retry-After``).
        """
        if retry_after:
            self.rest(now + retry_after)
        if not self.away or self._probing:
            self._troubles = min(self._troubles + 1, _MOST_DOUBLINGS)
            pause = self._period * 2.0**self._troubles
            pause = min(pause, max(self._period, LONGEST_PAUSE))
            self.resumes = now + pause
        # Else it is one of several that were under way when Vault went away.
        self.resumes = max(self.resumes, self._left_alone)
        self.away, self._probing = True, False
        number = self._unit_of.get(unit.sources[0])
        if number is not None:
            self._plan(number, now)

    def rest(self, until: float) -> None:
        """Ask for nothing before this: Vault asks to be left alone for a while."""
        self._left_alone = max(self._left_alone, until)

    def hurry(self, when: float) -> None:
        """Ask again by then while Vault is away, but not before the time that it asked for."""
        if self.away:
            self.resumes = min(self.resumes, max(when, self._left_alone))

    def prefer(self, sources: Iterable[Source]) -> None:
        """Let these come first among what is due, until others are named."""
        self._preferred.clear()
        self._preferred.update(self._unit_of[s] for s in sources if s in self._unit_of)

    def want(self, sources: Iterable[Source], when: float) -> None:
        """Let these be asked for no later than this, before others that are due."""
        for source in sources:
            number = self._unit_of.get(source)
            if number is None:
                continue
            self._wanted.add(number)
            if number in self._due and self._due[number] > when:
                self._plan(number, when)

    def all_due(self, now: float) -> None:
        """Let everything be asked for at once that is not under way, in the order of the units.

        Also while Vault is away, but not before the time that it asked for.
        """
        self.hurry(now)
        for number in self._due:
            self._due[number] = now
        self._heap = [(now, number) for number in sorted(self._due)]

    def lay_out(self, units: Sequence[Unit], period: float) -> None:
        """Ask by other units from now on; what is due when stays as it is for each source."""
        due = {
            s: self._due[n] for n, unit in enumerate(self._units) for s in unit if n in self._due
        }
        wanted, preferred = (
            [s for n in numbers for s in self._units[n]]
            for numbers in (self._wanted, self._preferred)
        )
        self._period = period
        self._lay_out(units, due)
        self._wanted.update(self._unit_of[s] for s in wanted if s in self._unit_of)
        self._preferred.update(self._unit_of[s] for s in preferred if s in self._unit_of)

    def _lay_out(self, units: Sequence[Unit], due: dict[Source, float]) -> None:
        self._units = list(units)
        self._unit_of = {source: n for n, unit in enumerate(units) for source in unit}
        self._wanted: set[int] = set()
        self._preferred: set[int] = set()
        self._due = {
            n: min(due.get(source, 0.0) for source in unit) for n, unit in enumerate(units)
        }
        self._heap = [(when, number) for number, when in self._due.items()]
        heapq.heapify(self._heap)

    def _first(self) -> int | None:
        """Return the unit that is due first, if any."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][1] if self._heap else None

    def _next_place(self, number: int, started: float) -> float:
        """Return when a unit's place comes next, at least half a period after a request."""
        place = (self._offset + number / len(self._units)) % 1.0 * self._period
        periods = (started + self._period / 2 - place) // self._period + 1
        return place + periods * self._period

    def _plan(self, number: int, when: float) -> None:
        self._due[number] = when
        heapq.heappush(self._heap, (when, number))


def watch_period(interval: float | None, units: int, max_rps: float) -> float:
    """Return the seconds between two requests for one path.

    Args:
        interval: What is configured; None for as often as half of ``max_rps`` allows, at least each
            ``LONGEST_PERIOD`` and at most each ``SHORTEST_PERIOD`` seconds.
        units: Requests that a look at everything takes.
    """
    least = units / (max_rps * MOST_OF_RPS)
    if interval is None:
        interval = min(max(units / (max_rps / 2), SHORTEST_PERIOD), LONGEST_PERIOD)
    return max(interval, least)


SHORTEST_PERIOD = 1.0
LONGEST_PERIOD = 30.0
MOST_OF_RPS = 0.75
"""Part of ``max_rps`` for watching at most: leases are asked about and kept with the rest."""
