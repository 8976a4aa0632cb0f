"""Measures how soon the bridge knows what the engine knows, and what many services cost in turn.

1. From the moment at which the engine calls an update completed until a cycle of the bridge says
   that the service has converged.
2. Many services at once, from the new Docker secret until all have converged; the control writes
   all of them in parallel, and looks when the engine calls the last one completed.
3. Services one after the other; the control is ``docker service update``, typed one after the
   other.

The control of 2 and 3 has services of its own, and comes in turn with the bridge's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bridge.config import load
from bridge.loop import Loop
from bridge.model.reasons import Reason
from bridge.model.timestamps import instant
from bridge.reconcile import Step
from tests.bench.figures import Figure
from tests.support.lab import Lab
from tests.support.processes import RunDirectory, eventually
from tests.support.swarm import Engine, PrivateSwarm
from tests.support.vault import VaultServer

_NANO = 1_000_000_000
_KNOWN = frozenset((Reason.BAKING, Reason.CONVERGED, Reason.UP_TO_DATE))


@dataclass(frozen=True, slots=True)
class Known:
    """What one cycle concluded of one service."""

    at: float
    version: int | None
    reason: Reason


class WatchedLoop(Loop):
    """A loop that notes after each cycle what it has concluded of each service."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.known: dict[str, list[Known]] = {}
        self.cycles = 0

    def step(self, *, vault: bool = False) -> Step:
        """Run a cycle."""
        step = super().step(vault=vault)
        now = time.time()
        self.cycles += 1
        for condition in step.plan.conditions:
            for service in condition.services:
                known = Known(now, service.version, service.reason)
                self.known.setdefault(service.name, []).append(known)
        return step

    def converged_at(self, service: str, version: int) -> float | None:
        """Return when a service was first known to have converged on a version."""
        found = self.known.get(service, ())
        return next((k.at for k in found if k.version == version and k.reason in _KNOWN), None)


@contextmanager
def running(lab: Lab) -> Iterator[WatchedLoop]:
    """Run a loop in a thread of this process."""
    loop = WatchedLoop(load(str(lab.write_config()), {}))
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.stop()
        thread.join(30)
        loop.close()


@dataclass(frozen=True, slots=True)
class Setting:
    """A set of services alike, of which one half is the bridge's and the other the control's."""

    services: int
    monitor: float
    in_flight: int
    action: str = "rollback"
    order: str = "stop-first"
    replicas: int = 1


class Pair:
    """The services of a setting, with a bridge that runs."""

    def __init__(self, lab: Lab, setting: Setting) -> None:
        self.lab = lab
        self.setting = setting
        self.ours = [f"ours{n}" for n in range(setting.services)]
        self.theirs = [lab.name(f"hand{n}") for n in range(setting.services)]
        self._version = 1
        rollout = {"bake": "1s", "max_in_flight": setting.in_flight}
        lab.settings(rollout=rollout, poll={"interval": "500ms"})
        update = {
            "Monitor": int(setting.monitor * _NANO),
            "FailureAction": setting.action,
            "Order": setting.order,
        }
        lab.secret("db", {name: {"target": "db"} for name in self.ours})
        lab.rotate("db")
        lab.sync()
        lab.swarm.create_secret(lab.name("hand_v1"), b"1")
        for names, secret in ((map(lab.name, self.ours), "db_v1"), (self.theirs, "hand_v1")):
            for name in names:
                lab.swarm.create_service(
                    name,
                    replicas=setting.replicas,
                    secrets=[(lab.name(secret), "db")],
                    update=update,
                )
        eventually(lambda: not lab.swarm.short_of_tasks())
        lab.sync()

    def rotate(self, loop: WatchedLoop) -> float:
        """Let the bridge roll its services; returns the seconds that it took."""
        self._version += 1
        number = self._version
        self.lab.rotate("db")
        names = [self.lab.name(name) for name in self.ours]
        eventually(lambda: all(loop.converged_at(name, number) for name in names))
        begun = self._created(self.lab.name(f"db_v{number}"))
        eventually(lambda: self._is_good(number))
        return max(loop.converged_at(name, number) or 0.0 for name in names) - begun

    def latencies(self, loop: WatchedLoop) -> list[float]:
        """Return how long after the engine the bridge knew of each of its services.

        The engine is done when it calls the update completed, and has ended the former tasks.
        """
        found = []
        for name in map(self.lab.name, self.ours):
            service = self.lab.swarm.service(name)
            done = [service["UpdateStatus"]["CompletedAt"]]
            done += [
                task["Status"]["Timestamp"]
                for task in self.lab.swarm.call("GET", "/tasks")
                if task["ServiceID"] == service["ID"] and task["DesiredState"] == "shutdown"
            ]
            known = loop.converged_at(name, self._version) or 0.0
            found.append(known - max(map(seconds, done)))
        return found

    def type_one_by_one(self, command: str = "docker") -> float:
        """Update the control by the command line; returns the seconds that it took."""
        old, new = self._next()
        begun = time.time()
        for name in self.theirs:
            change = [f"--secret-rm={old}", f"--secret-add=source={new},target=db"]
            subprocess.run(
                [command, "service", "update", "--quiet", "--detach=false", *change, name],
                check=True,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "DOCKER_HOST": self.lab.swarm.host},
            )
        return time.time() - begun

    def write_in_parallel(self) -> float:
        """Update the control by raw requests at once; returns the seconds that it took."""
        _, new = self._next()
        made = self.lab.swarm.secret(new)["ID"]
        engines = [Engine(self.lab.swarm.host) for _ in self.theirs]

        def update(engine: Engine, name: str) -> None:
            def change(spec: Any) -> None:
                (reference,) = spec["TaskTemplate"]["ContainerSpec"]["Secrets"]
                reference["SecretID"], reference["SecretName"] = made, new

            engine.update_service(name, change)

        begun = time.time()
        with ThreadPoolExecutor(len(engines)) as pool:
            list(pool.map(update, engines, self.theirs))
        for engine in engines:
            engine.close()
        eventually(lambda: all(self._completed(name) for name in self.theirs))
        return max(self._completed(name) for name in self.theirs) - begun

    def _next(self) -> tuple[str, str]:
        refs = self.lab.swarm.references(self.theirs[0])
        old = refs["db"]
        start, _, number = old.rpartition("v")
        new = f"{start}v{int(number) + 1}"
        self.lab.swarm.create_secret(new, b"x")
        return old, new

    def _completed(self, name: str) -> float:
        status = self.lab.swarm.service(name).get("UpdateStatus") or {}
        return seconds(status["CompletedAt"]) if status.get("State") == "completed" else 0.0

    def _created(self, name: str) -> float:
        return seconds(self.lab.swarm.secret(name)["CreatedAt"])

    def _is_good(self, number: int) -> bool:
        return (
            "vault-bridge.good"
            in self.lab.swarm.secret(self.lab.name(f"db_v{number}"))["Spec"]["Labels"]
        )


def seconds(text: str) -> float:
    """Read one of the engine's times as seconds since the epoch."""
    return instant(text) / _NANO


def measure_known(lab: Lab, order: str, rotations: int) -> list[float]:
    """Return how long after the engine the bridge knew of each rotation of one service."""
    pair = Pair(lab, Setting(services=1, monitor=1.0, in_flight=1, order=order))
    found: list[float] = []
    with running(lab) as loop:
        for _ in range(rotations):
            pair.rotate(loop)
            found += pair.latencies(loop)
    return found


def measure_pairs(
    lab: Lab, setting: Setting, rounds: int, control: Callable[[Pair], float]
) -> list[tuple[float, float]]:
    """Return the seconds of the bridge and of the control, for each round."""
    pair = Pair(lab, setting)
    found = []
    for _ in range(rounds):
        with running(lab) as loop:
            ours = pair.rotate(loop)
        found.append((ours, control(pair)))
    return found


def all_figures(rotations: int = 10) -> Iterator[Figure]:
    """Measure how soon the bridge knows that a service has converged, on real servers."""
    directory = RunDirectory()
    swarm = PrivateSwarm(directory.path / "swarm")
    vault = VaultServer(directory.path / "vault")
    vault.start()
    try:
        for order in ORDERS:
            folder = directory.path / f"known-{order}"
            folder.mkdir()
            lab = Lab(folder, swarm, vault)
            try:
                found = measure_known(lab, order, rotations)
            finally:
                lab.close()
            yield Figure(
                what=f"converged is known after the engine, {order}",
                ours=statistics.median(found) * 1000,
                unit="ms",
                limit=50.0,
            )
    finally:
        vault.close()
        swarm.close()
        directory.close()


ORDERS = ("stop-first", "start-first")
AT_ONCE = Setting(services=20, monitor=5.0, in_flight=20)
IN_TURN = Setting(services=6, monitor=5.0, in_flight=1)
CONTINUE = Setting(services=6, monitor=5.0, in_flight=1, action="continue")


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rotations", type=int, default=10, help="of the one service")
    parser.add_argument("--rounds", type=int, default=2, help="of many services")
    parser.add_argument("--only", choices=["known", "once", "turn", "continue"])
    arguments = parser.parse_args()
    directory = RunDirectory()
    swarm = PrivateSwarm(directory.path / "swarm")
    vault = VaultServer(directory.path / "vault")
    vault.start()

    def lab(name: str) -> Lab:
        folder = directory.path / name
        folder.mkdir()
        return Lab(folder, swarm, vault)

    try:
        if arguments.only in (None, "known"):
            for order in ORDERS:
                corner = lab(order)
                found = measure_known(corner, order, arguments.rotations)
                corner.close()
                middle, worst = (
                    f"{s * 1000:.0f} ms" for s in (statistics.median(found), max(found))
                )
                print(f"{order}: known {middle} after the engine, {worst} at most", flush=True)
        for name, setting, control in (
            ("once", AT_ONCE, Pair.write_in_parallel),
            ("turn", IN_TURN, Pair.type_one_by_one),
            ("continue", CONTINUE, Pair.type_one_by_one),
        ):
            if arguments.only not in (None, name):
                continue
            corner = lab(name)
            for ours, theirs in measure_pairs(corner, setting, arguments.rounds, control):
                print(
                    f"{name}: {setting.services} services, ours {ours:.2f} s,"
                    f" control {theirs:.2f} s, ratio {ours / theirs:.3f}",
                    flush=True,
                )
            corner.close()
    finally:
        vault.close()
        swarm.close()
        directory.close()


if __name__ == "__main__":
    main()
