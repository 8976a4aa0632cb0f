"""Measures what a rotation costs the clients of a service, by a client that cannot hide a failure.

``make bench`` prints it, for a service that is set up for it and for one that is not. The second is
the control: it shows that the client sees failures.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from tests.support.lab import Lab
from tests.support.processes import RunDirectory, eventually
from tests.support.swarm import SLEEPER, PrivateSwarm
from tests.support.vault import VaultServer

_NANO = 1_000_000_000
_SERVER = """\
mkdir /www
echo well > /www/index.html
trap "sleep 0.5; exit 0" TERM
httpd -f -p 80 -h /www &
wait
"""
"""It answers for a while after it was told to end: somebody may have just resolved its address."""

_HEALTH = {
    "Test": ["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1/"],
    "Interval": 3 * _NANO // 10,
    "Timeout": 2 * _NANO,
    "Retries": 5,
}


@dataclass(frozen=True, slots=True)
class Case:
    """How a service is set up."""

    replicas: int
    order: str

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.replicas} {'replica' if self.replicas == 1 else 'replicas'}, {self.order}"


READY = Case(2, "start-first")
CONTROL = Case(1, "stop-first")


@dataclass(frozen=True, slots=True)
class Figures:
    """What the client saw.

    Attributes:
        failures: How often each error was met.
        longest_gap: Seconds between two good answers at most.
    """

    requests: int
    failures: Mapping[str, int]
    longest_gap: float

    @property
    def failed(self) -> int:
        """How many requests failed."""
        return sum(self.failures.values())


def measure(lab: Lab, swarm: PrivateSwarm, case: Case, rotations: int = 1) -> Figures:
    """Rotate a service's secret in Vault under load, with a bridge that runs."""
    with _network(lab) as network:
        lab.secret("db", {"web": {"target": "db"}})
        value = lab.rotate("db")
        lab.sync()
        lab.service(
            "web",
            replicas=case.replicas,
            command=["sh", "-c", _SERVER],
            secrets=[(lab.name("db_v1"), "db")],
            update={"Order": case.order},
            networks=[network],
            StopGracePeriod=5 * _NANO,
            Healthcheck=_HEALTH,
        )
        lab.service("client", replicas=1, command=SLEEPER, networks=[network])
        swarm.wait_running(lab.name("web"), case.replicas)
        swarm.wait_running(lab.name("client"), 1)
        bridge = lab.start()
        bridge.wait_for("good", docker_secret=lab.name("db_v1"))
        with _client(lab, swarm) as client:
            for version in range(2, rotations + 2):
                value = lab.rotate("db")
                bridge.wait_for("good", docker_secret=lab.name(f"db_v{version}"))
            eventually(lambda: len(swarm.tasks(lab.name("web"))) == case.replicas)
            said, _ = client.communicate(timeout=30)
        assert swarm.read(lab.name("web"), "db") == [value] * case.replicas
        assert bridge.stop() == 0
    return Figures(**json.loads(said))


@contextmanager
def _client(lab: Lab, swarm: PrivateSwarm) -> Iterator[subprocess.Popen[str]]:
    """Run the client inside the network; it ends with its input, and with the engine."""
    (task,) = swarm.tasks(lab.name("client"))
    program = [sys.executable, "-I", str(Path(__file__).with_name("client.py")), lab.name("web")]
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", *swarm.in_network_of(task), *program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdout
        assert client.stdout.readline() == "begun\n"
        yield client


@contextmanager
def _network(lab: Lab) -> Iterator[str]:
    """An overlay network for the lab's services, which are removed with it."""
    name = lab.name("net")
    made = lab.swarm.call("POST", "/networks/create", {"Name": name, "Driver": "overlay"})

    def removed() -> bool:
        try:
            lab.swarm.call("DELETE", f"/networks/{made['Id']}")
        except docker.errors.APIError as error:
            return error.status_code == 404
        return True

    try:
        yield name
    finally:
        lab.swarm.remove(lab.prefix)
        eventually(removed)


def main() -> None:
    """Measure both, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rotations", type=int, default=5, help="of each service")
    rotations = parser.parse_args().rotations
    directory = RunDirectory()
    swarm = PrivateSwarm(directory.path / "swarm")
    vault = VaultServer(directory.path / "vault")
    vault.start()
    print(f"{rotations} rotations each; a request every 5 ms, its name resolved anew, no retry\n")
    print(f"{'service':24}{'requests':>10}{'failed':>8}{'longest gap':>14}")
    try:
        for number, case in enumerate((READY, CONTROL)):
            folder = directory.path / str(number)
            folder.mkdir()
            lab = Lab(folder, swarm, vault)
            try:
                seen = measure(lab, swarm, case, rotations)
            finally:
                lab.close()
            gap = f"{seen.longest_gap * 1000:.0f} ms"
            print(f"{case!s:24}{seen.requests:>10}{seen.failed:>8}{gap:>14}", flush=True)
    finally:
        vault.close()
        swarm.close()
        directory.close()


if __name__ == "__main__":
    main()
