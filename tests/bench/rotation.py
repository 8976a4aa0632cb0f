"""Measures how long a rotation takes, beside the same change typed by hand, on real servers.

``make bench`` prints it. From `vault kv put` until the engine says that the update is completed. By
hand that is: a value, a Docker secret, `docker service update`. A bridge that runs has to notice
the value first; the rest is Swarm's own roll, for both.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

from tests.bench.figures import Figure, print_table
from tests.support.lab import Json, Lab
from tests.support.processes import PATIENCE, RunDirectory
from tests.support.swarm import PrivateSwarm
from tests.support.vault import VaultServer

ROTATIONS = 5
REPLICAS = 2
MONITOR = 5_000_000_000
"""Docker's default, in nanoseconds."""

ORDERS = ("stop-first", "start-first")
_SERVICE = "api"
_PAUSE = 0.01


def seconds_by_hand(lab: Lab, order: str, rotations: int) -> float:
    """Return the median of the seconds that a change by hand takes."""
    _deploy(lab, order)
    return median(
        _timed(lab, partial(_change, lab, version), version) for version in range(2, rotations + 2)
    )


def seconds_by_bridge(lab: Lab, order: str, rotations: int) -> float:
    """Return the median of the seconds that a rotation by a bridge takes, as it is by default."""
    lab.settings(poll={})
    lab.secret("db", {_SERVICE: {"target": "db"}})
    lab.rotate("db")
    lab.sync()
    _deploy(lab, order)
    bridge = lab.start()
    bridge.wait_for("good", docker_secret=_secret(lab, 1))
    found = []
    for version in range(2, rotations + 2):
        found.append(_timed(lab, partial(lab.rotate, "db"), version))
        bridge.wait_for("good", docker_secret=_secret(lab, version))
    assert bridge.stop() == 0
    return median(found)


def _secret(lab: Lab, version: int) -> str:
    return lab.name(f"db_v{version}")


def _deploy(lab: Lab, order: str) -> None:
    """Deploy a service that has the first version, and wait for its tasks."""
    if not lab.versions("db"):
        lab.swarm.create_secret(_secret(lab, 1), b"first")
    update = {"Order": order, "Monitor": MONITOR}
    secrets = [(_secret(lab, 1), "db")]
    lab.service(_SERVICE, replicas=REPLICAS, secrets=secrets, update=update)
    lab.swarm.wait_running(lab.name(_SERVICE), REPLICAS)


def _change(lab: Lab, version: int) -> None:
    """Do by hand what a bridge does: write the value, copy it, point the service to it."""
    value = lab.rotate("db")
    made = lab.swarm.create_secret(_secret(lab, version), value.encode())

    def refer(spec: Json) -> None:
        (reference,) = spec["TaskTemplate"]["ContainerSpec"]["Secrets"]
        reference.update({"SecretID": made, "SecretName": _secret(lab, version)})

    lab.swarm.update_service(lab.name(_SERVICE), refer)


def _timed(lab: Lab, begin: Callable[[], object], version: int) -> float:
    """Return the seconds until a service is rolled to a version."""
    began = time.monotonic()
    begin()
    while not _is_rolled(lab, version):
        if time.monotonic() > began + PATIENCE:
            raise TimeoutError(f"the service is not rolled to version {version}")
        time.sleep(_PAUSE)
    return time.monotonic() - began


def _is_rolled(lab: Lab, version: int) -> bool:
    service = lab.swarm.service(lab.name(_SERVICE))
    (reference,) = service["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"]
    state = (service.get("UpdateStatus") or {}).get("State")
    return reference["SecretName"] == _secret(lab, version) and state == "completed"


def all_figures(rotations: int = ROTATIONS) -> Iterator[Figure]:
    """Measure rotations in both orders, by a bridge and by hand."""
    directory = RunDirectory()
    swarm = PrivateSwarm(directory.path / "swarm")
    vault = VaultServer(directory.path / "vault")
    vault.start()
    try:
        for order in ORDERS:
            took = []
            for name, measure in (("hand", seconds_by_hand), ("bridge", seconds_by_bridge)):
                folder = directory.path / f"{name}-{order}"
                folder.mkdir()
                lab = Lab(folder, swarm, vault)
                try:
                    took.append(measure(lab, order, rotations))
                finally:
                    lab.close()
            yield Figure(
                what=f"a rotation, {REPLICAS} replicas, {order}",
                ours=took[1],
                unit="s",
                limit=1.15,
                control="typed by hand",
                theirs=took[0],
            )
    finally:
        vault.close()
        swarm.close()
        directory.close()


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rotations", type=int, default=ROTATIONS, help="of each service")
    print_table(all_figures(parser.parse_args().rotations))


if __name__ == "__main__":
    main()
