"""Time: what is counted in seconds goes by the boot clock, whatever is done to the wall clock.

The wall clock tells the time to people, and to servers that write dates. Somebody may set it, by
hours, in both directions; seconds that pass are counted on the boot clock, which nobody can set.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LEAST_STEP = 0.5
"""Seconds from which on a difference of the two clocks is a step."""

_READINGS = 3


def boot_clock() -> float:
    """Return seconds that go on while the process is stopped and while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock:
    """Seconds since the epoch that go on as the boot clock does.

    A step of the wall clock changes nothing before ``follow``. Whoever calls that moves all that he
    remembers of earlier times by as much, so that all of it stays on one scale.

    Args:
        wall: Seconds since the epoch, as far as they are right.
        boot: Seconds since some moment, which nobody can set.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, boot: Callable[[], float] = boot_clock
    ) -> None:
        self._wall = wall
        self.boot = boot
        self._ahead = self._measured()

    def __call__(self) -> float:
        """Return the time."""
        return self.boot() + self._ahead

    @property
    def ahead(self) -> float:
        """Seconds by which the time is ahead of the boot clock."""
        return self._ahead

    def follow(self) -> float:
        """Follow the wall clock; returns by how many seconds it was set, 0 where it was not."""
        ahead = self._measured()
        by = ahead - self._ahead
        if abs(by) < LEAST_STEP:
            return 0.0
        self._ahead = ahead
        return by

    def _measured(self) -> float:
        """Return how far the wall clock is ahead of the boot clock.

        Where the process is stopped between two readings, that is no step: the closest ones count.
        """
        readings = [(self.boot(), self._wall(), self.boot()) for _ in range(_READINGS)]
        before, wall, _ = min(readings, key=lambda reading: reading[2] - reading[0])
        return wall - before
