"""Measures whether anything grows in a bridge that runs for long; ``make bench`` prints it.

The servers are in memory and time is moved by hand, so that weeks take minutes. Counted is what the
bridge's own code has allocated: what the servers keep is theirs.
"""

from __future__ import annotations

import argparse
import functools
import gc
import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any, cast

from bridge import logs
from bridge.clock import Clock as TwoClocks
from bridge.config import Configuration
from bridge.model.settings import DockerSettings, Settings, TokenFile, VaultSettings
from bridge.reconcile import Reconciler
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from bridge.wiring import Wiring
from tests.bench.figures import ROOT, Figure, print_table
from tests.support.builders import PATH, desired_of
from tests.support.fakes import Clock, FakeSwarm, FakeVault

CYCLES, ROTATIONS = 10_000, 1_000
MOST = 64.0
"""KiB by which what is allocated may differ: caches of the interpreter, and no more."""

KEPT = 10
"""Versions that Vault keeps of a path."""

A_DAY = 86400.0

_LONGEST = 60
"""Cycles in which a rotation is over."""


class _Vault(FakeVault):
    pause: float | None = None

    def keep(self) -> None:
        """Need no renewal."""


class _Nothing:
    """A stream that keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


class Years:
    """A bridge with a secret and a service, whose cycles follow one another at once."""

    def __init__(self) -> None:
        self._clock = Clock()
        self._vault = _Vault(self._clock)
        self._swarm = FakeSwarm(self._clock)
        self._swarm.deploy("api", 1, "pause")
        self._vault.write(PATH.path, "v")
        servers = Settings(
            vault=VaultSettings(address="http://v", auth=TokenFile("")),
            docker=DockerSettings("unix:///d"),
        )
        configuration = Configuration(desired_of("api"), servers)
        clock = TwoClocks(self._clock, self._clock)
        wiring = Wiring(
            configuration,
            clock=clock,
            vault=cast("Vault", self._vault),
            swarm=cast("Swarm", self._swarm),
        )
        logs.configure(cast("Any", _Nothing()))
        self._bridge = Reconciler(configuration, wiring, clock, logs.logger())
        self._version = 1
        self.rotations(0)

    def idle(self, cycles: int) -> None:
        """Run cycles in which nothing changes."""
        for _ in range(cycles):
            self._cycle()

    def rotations(self, count: int) -> None:
        """Write versions, and run cycles until each is good and nothing is left to do."""
        for _ in range(count + 1):
            for _ in range(_LONGEST):
                if self._cycle():
                    break
            else:
                raise RuntimeError("a rotation is not over")
            if count:
                self._version = self._vault.write(PATH.path, f"v{self._version}")
                versions = self._vault.documents[PATH.path]["versions"]
                versions.pop(str(self._version - KEPT), None)
                self._clock.now += A_DAY  # so that what is remembered for a time is over
                count -= 1

    def _cycle(self) -> bool:
        """Run one, a second after the last; returns whether nothing was left to do."""
        step = self._bridge.step(vault=True)
        self._clock.now += 1
        self._swarm.tick()
        self._swarm.writes.clear()
        self._swarm.removed.clear()
        (condition,) = step.plan.conditions
        return step.plan.finished and not step.acted and condition.running_version == self._version


_Cache = type(functools.lru_cache(int))


def allocated() -> float:
    """Return how much the bridge's own code has allocated and not given back, in KiB.

    Caches of a fixed size are emptied before: they grow up to that, and no further.
    """
    for name, module in list(sys.modules.items()):
        for cache in vars(module).values() if name.startswith("bridge.model.") else ():
            if isinstance(cache, _Cache):
                cache.cache_clear()
    gc.collect()
    ours = tracemalloc.Filter(inclusive=True, filename_pattern=f"{ROOT}/bridge/*", all_frames=True)
    theirs = tracemalloc.Filter(
        inclusive=False, filename_pattern=f"{ROOT}/tests/support/fakes/*", all_frames=True
    )
    taken = tracemalloc.take_snapshot().filter_traces([ours, theirs])
    return sum(trace.size for trace in taken.traces) / 1024


def growth(cycles: int, rotations: int) -> tuple[float, float]:
    """Return by how many KiB a bridge grows, in idle cycles and in rotations.

    Some come before, so that what is made once is there.
    """
    tracemalloc.start(8)
    try:
        years = Years()
        years.rotations(2 * KEPT)
        years.idle(2 * KEPT)
        before = allocated()
        years.idle(cycles)
        after_cycles = allocated()
        years.rotations(rotations)
        return after_cycles - before, allocated() - after_cycles
    finally:
        tracemalloc.stop()


def all_figures() -> Iterator[Figure]:
    """Measure both."""
    idle, rolled = growth(CYCLES, ROTATIONS)
    yield Figure(what=f"growth in {CYCLES} idle cycles", ours=idle, unit="KiB", limit=MOST)
    yield Figure(what=f"growth in {ROTATIONS} rotations", ours=rolled, unit="KiB", limit=MOST)


def main() -> None:
    """Measure, and print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    print_table(all_figures())


if __name__ == "__main__":
    main()
