"""Measures how the bridge's costs grow with secrets, services and tasks; ``make bench`` prints it.

It needs no server: stubs answer, so that what is measured is the bridge alone. Each control runs in
the same run, on the same machine, against the same stubs.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import yaml

from bridge.config import load
from bridge.decide.cycle import decide
from bridge.decide.remember import remember
from bridge.model.desired import Desired
from bridge.model.memory import Memory
from bridge.model.world import World
from tests.bench.figures import Child, Figure, least_cpu, print_table
from tests.bench.large import Size, swarm_of
from tests.bench.stubs import EngineStub, VaultStub, configuration

SMALL, LARGE, LARGEST = Size(300, 100, 15), Size(1000, 300, 16), Size(3000, 1000, 15)

MEMORY = ((1000, 60.0), (5000, 80.0), (10_000, 120.0))
"""Secrets, and how many MiB a bridge is to have at most."""

READS_A_SECOND = 500.0
"""How often the stub is asked: what it can answer beside what is measured."""

_HVAC = """
import sys, hvac
client = hvac.Client(url=sys.argv[1], token="t")
for _ in range(int(sys.argv[3])):
    for number in range(int(sys.argv[2])):
        client.secrets.kv.v2.read_secret_metadata(
            f"apps/app{number:05d}{sys.argv[4]}", mount_point="secret"
        )
"""
_URLLIB3 = """
import json, sys, urllib3
pool = urllib3.PoolManager()
for _ in range(int(sys.argv[3])):
    for number in range(int(sys.argv[2])):
        place = f"{sys.argv[1]}/v1/secret/metadata/apps/app{number:05d}{sys.argv[4]}"
        json.loads(pool.request("GET", place, headers={"X-Vault-Token": "t"}).data)
"""
_LIBRARIES = "import click, docker, hvac, pydantic, rich.console, structlog, yaml"


def _seconds(what: Callable[[], object], times: int = 5) -> float:
    """Return the median of the processor time, in seconds."""
    found = []
    for _ in range(times):
        gc.collect()
        began = time.process_time()
        what()
        found.append(time.process_time() - began)
    return median(found)


def deciding() -> Iterator[Figure]:
    """Measure one decision at three sizes; what grows as the swarm does takes ten times as long."""
    took: dict[Size, tuple[float, float]] = {}
    for size in (SMALL, LARGE, LARGEST):
        desired, world, now = swarm_of(size)
        took[size] = _of_a_cycle(desired, world, now)
    for size, limit in ((LARGE, 0.1), (LARGEST, 0.5)):
        yield Figure(what=f"decide, {size}", ours=took[size][0], unit="CPU-s", limit=limit)
    yield Figure(what=f"remember, {LARGE}", ours=took[LARGE][1], unit="CPU-s", limit=0.02)
    yield Figure(
        what=f"decide, {LARGEST}",
        ours=took[LARGEST][0],
        unit="CPU-s",
        limit=12.0,
        control=f"with {SMALL}",
        theirs=took[SMALL][0],
    )


def _of_a_cycle(desired: Desired, world: World, now: float) -> tuple[float, float]:
    def seen() -> World:
        """Return the same, as a look has just seen it: nothing of it is worked out yet."""
        return World(replace(world.vault), replace(world.swarm))

    known = seen()
    decide(desired, known, Memory(), now)  # a running bridge has the view before, and its mirrors
    decided = _seconds(lambda: decide(desired, seen(), Memory(), now))
    remembered = _seconds(lambda: remember(desired, Memory(), known, (), now))
    return decided, remembered


def reading(folder: Path, count: int = 10_000) -> Iterator[Figure]:
    """Measure the reading of a configuration, beside libyaml's own loader."""
    file = configuration(folder, count, count // 10, vault={"address": "https://v:8200"})
    text = file.read_text()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    ours = _seconds(lambda: load(str(file), {}), 3)
    yield Figure(
        what=f"reading {count} entries",
        ours=ours,
        unit="CPU-s",
        limit=1.5 / 1.4,
        control="libyaml's loader alone",
        theirs=_seconds(lambda: yaml.load(text, loader), 3),
    )


def imports() -> Iterator[Figure]:
    """Measure the shortest commands, beside the libraries that the bridge is made with."""
    libraries = least_cpu(5, "-c", _LIBRARIES)
    with TemporaryDirectory() as folder:
        host = f"unix://{folder}/none.sock"
        file = configuration(
            Path(folder), 1, 1, vault={"address": "https://v:8200"}, docker={"host": host}
        )
        commands = {"--help": ["--help"], "status": ["-c", str(file), "status"]}
        for name, arguments in commands.items():
            yield Figure(
                what=f"`vault-bridge {name}`",
                ours=least_cpu(5, "-m", "bridge", *arguments),
                unit="CPU-s",
                limit=0.5 if name == "--help" else 1.0,
                control="import of the libraries",
                theirs=libraries,
            )


class Idle:
    """A bridge at rest over stubs: all is mirrored, rolled and good.

    Args:
        folder: For its files.
        flat: Whether Vault lists all paths in one folder; else they are read one by one.
        environ: More of the environment of the bridge.
    """

    def __init__(self, folder: Path, count: int, *, flat: bool = False, **environ: str) -> None:
        self.count = count
        self.vault = VaultStub(count, flat=flat)
        socket = folder / "engine.sock"
        self.engine = EngineStub(socket, count, max(1, count // 10), flat=flat)
        seconds = 1.0 if flat else max(1.0, count / READS_A_SECOND)
        file = configuration(
            folder,
            count,
            max(1, count // 10),
            flat=flat,
            vault={"address": self.vault.address, "max_rps": 2 * READS_A_SECOND},
            docker={"host": f"unix://{socket}"},
            poll={"interval": f"{seconds:g}s"},
        )
        self.child = Child("-m", "bridge", "-c", str(file), "run", environ=environ)

    def rounds(self, count: int) -> float:
        """Let each path be read so many times; returns the processor time of that, in seconds."""
        began, cpu = self.vault.requests, self.child.cpu
        self.child.wait_for(lambda: self.vault.requests >= began + count * self.count)
        return self.child.cpu - cpu

    def close(self) -> None:
        """End all of it."""
        self.child.stop()
        self.vault.close()
        self.engine.close()


def idling(count: int, memory: float | None = None, rounds: int = 0) -> Iterator[Figure]:
    """Measure a bridge at rest.

    Args:
        memory: How many MiB it is to have at most; None where that is not measured.
        rounds: How many times each path is read for the processor time; 0 where it is not measured.
    """
    with TemporaryDirectory() as folder:
        idle = Idle(Path(folder), count)
        try:
            idle.rounds(2)
            if rounds:
                reads = rounds * count / 1000
                ours = idle.rounds(rounds) / reads
                for name, script, limit in (("hvac", _HVAC, 1.0), ("urllib3", _URLLIB3, 4.0)):
                    arguments = ("-c", script, idle.vault.address, str(count))
                    none, all_ = (least_cpu(1, *arguments, n, "/db") for n in ("0", str(rounds)))
                    yield Figure(
                        what=f"1,000 reads of a bridge at rest, {count} paths",
                        ours=ours,
                        unit="CPU-s",
                        limit=limit,
                        control=f"a bare {name} loop",
                        theirs=(all_ - none) / reads,
                    )
            if memory is not None:
                yield Figure(
                    what=f"resident memory, {count} paths",
                    ours=idle.child.memory,
                    unit="MiB",
                    limit=memory,
                )
        finally:
            idle.close()


def listing(count: int, rounds: int) -> Iterator[Figure]:
    """Measure a bridge at rest where Vault lists folders, beside a loop that reads one by one."""
    with TemporaryDirectory() as folder:
        idle = Idle(Path(folder), count, flat=True)
        try:
            idle.rounds(2)
            reads = rounds * count / 1000
            ours = idle.rounds(rounds) / reads
            arguments = ("-c", _HVAC, idle.vault.address, str(count))
            none, all_ = (least_cpu(1, *arguments, n, "") for n in ("0", "2"))
            yield Figure(
                what=f"1,000 paths, listed, at rest, {count} paths",
                ours=ours,
                unit="CPU-s",
                limit=0.05,
                control="a bare hvac loop, one by one",
                theirs=(all_ - none) / (2 * count / 1000),
            )
        finally:
            idle.close()


def all_figures() -> Iterator[Figure]:
    """Measure everything here."""
    yield from deciding()
    with TemporaryDirectory() as folder:
        yield from reading(Path(folder))
    yield from imports()
    yield from idling(100, rounds=30)
    yield from listing(1000, rounds=30)
    for count, memory in MEMORY:
        yield from idling(count, memory, rounds=max(1, 5000 // count))


def main() -> None:
    """Measure, and print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    print_table(all_figures())


if __name__ == "__main__":
    main()
