"""What a running bridge knows of itself: told by its loop, read by whoever asks how it is."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bridge.clock import boot_clock
from bridge.model.vitals import Vitals, words_of_vault
from bridge.model.world import World


class Pulse:
    """Keeps the latest signs of life of one bridge, for all its loops; safe in any thread.

    Args:
        clock: Seconds since some moment, the one that the ages of signs are counted on.

    Attributes:
        refused: What is wrong with the configuration that was read last and is not in force; empty
            where the one that was read last is.
    """

    def __init__(self, clock: Callable[[], float] = boot_clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._vitals = Vitals(at=clock())
        self._progress: Callable[[], float] = float
        self.refused: tuple[str, ...] = ()

    def follow(self, progress: Callable[[], float]) -> None:
        """Count what a loop waits for in the middle of a cycle as a sign of life.

        Args:
            progress: Returns when the latest answer came, on the clock of this pulse.
        """
        self._progress = progress

    def ended(self, pause: float, leader: str, world: World | None, unfit: str = "") -> None:
        """Note that a cycle has ended, and that the next one begins after so many seconds.

        Args:
            leader: Host of the bridge that leads where it is another one, else empty.
            world: What the cycle has seen; None where it did not look.
            unfit: Why the bridge cannot follow the one that leads, and a restart helps; else empty.
        """
        vault = words_of_vault(world.vault) if world else None
        with self._lock:
            self._vitals = Vitals(
                at=self._clock(),
                pause=pause,
                cycles=self._vitals.cycles + 1,
                leader=leader,
                vault=vault,
                unfit=unfit,
            )

    def failed(self, trouble: str, pause: float) -> None:
        """Note why a cycle failed, and that the next one begins after so many seconds.

        Args:
            trouble: What went wrong, in words without a value.
        """
        with self._lock:
            cycles = self._vitals.cycles
            self._vitals = Vitals(at=self._clock(), pause=pause, cycles=cycles, trouble=trouble)

    def look(self) -> tuple[Vitals, float]:
        """Return the latest signs of life, and how many seconds ago the last one came."""
        progress = self._progress()
        with self._lock:
            vitals = self._vitals
        return vitals, max(0.0, self._clock() - max(vitals.at, progress))
