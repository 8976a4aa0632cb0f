"""Measures how many logins a database credential's rotation costs, by the bridge and by a script.

``make bench`` prints it. The script is the control, and what many have: it makes a credential and a
Docker secret, updates the service, and revokes the old lease at once. It shows that the load sees
refusals.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from dataclasses import dataclass
from functools import partial

from tests.support.database import Database
from tests.support.lab import Json, Lab
from tests.support.leases import LeasedDatabase
from tests.support.logins import LoginLoad
from tests.support.postgres import Postgres
from tests.support.processes import RunDirectory, eventually
from tests.support.swarm import PrivateSwarm
from tests.support.vault import VaultServer

REPLICAS = 3
_PAUSE = 0.02
_ROLE = "app"
_SERVICE = "api"
_PATIENCE = 120.0
"""Seconds for a rotation, on a machine that has much else to do."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the load saw.

    Attributes:
        logins: How many were tried.
        refused: How many were not accepted, as SQLSTATE class 28 says.
        other: How many failed otherwise; a login that is cut is one of these.
        spans: For each rotation, the seconds from the first refusal to the last of each task that
            met one, in order.
        users: How many users of the role are left.
    """

    logins: int
    refused: int
    other: int
    spans: tuple[tuple[float, ...], ...]
    users: int

    @property
    def per_10_000(self) -> float:
        """How many of ten thousand logins failed."""
        return (self.refused + self.other) / self.logins * 10_000

    @property
    def longest(self) -> float:
        """For how many seconds a task was refused at most."""
        return max((span for spans in self.spans for span in spans), default=0.0)


def by_bridge(lab: Lab, postgres: Postgres, database: Database, rotations: int) -> Figures:
    """Ask a bridge that runs for rotations, one after the other."""
    leased = LeasedDatabase(lab, postgres, database, services=(_SERVICE,))
    try:
        leased.first()
        load = leased.load(_SERVICE, replicas=REPLICAS, pause=_PAUSE)
        bridge = lab.start()
        leased.settle_on(1)
        former = []
        for version in range(2, rotations + 2):
            former.append(leased.credential(_SERVICE)[0])
            leased.ask()
            leased.settle_on(version)
        assert bridge.stop() == 0
        return _figures(load, database, former)
    finally:
        leased.close()


def by_script(lab: Lab, postgres: Postgres, database: Database, rotations: int) -> Figures:
    """Do what a script does, as root, one rotation after the other."""
    database.role(_ROLE)
    credential = _make(lab, database, 1)
    load = LoginLoad(
        *(lab, postgres, database, _SERVICE),
        secret=_secret(lab, 1),
        replicas=REPLICAS,
        pause=_PAUSE,
    )
    lab.swarm.wait_running(lab.name(_SERVICE), REPLICAS)
    former = []
    for version in range(2, rotations + 2):
        new = _make(lab, database, version)
        lab.swarm.update_service(lab.name(_SERVICE), partial(_refer, _reference(lab, version)))
        database.revoke(credential["lease_id"])
        # Here the script is through. The next rotation finds a service that is well again.
        eventually(partial(_is_rolled, lab, _secret(lab, version)), _PATIENCE)
        former.append(credential["username"])
        credential = new
    return _figures(load, database, former)


def _secret(lab: Lab, version: int) -> str:
    return lab.name(f"db_v{version}")


def _make(lab: Lab, database: Database, version: int) -> Json:
    """Make a credential, and the Docker secret that has it."""
    issued = database.issue(_ROLE)
    content = {field: issued[field] for field in ("username", "password")}
    lab.swarm.create_secret(_secret(lab, version), json.dumps(content).encode())
    return issued


def _reference(lab: Lab, version: int) -> Json:
    found = lab.swarm.secret(_secret(lab, version))
    return {"SecretID": found["ID"], "SecretName": found["Spec"]["Name"]}


def _refer(reference: Json, spec: Json) -> None:
    """Do what ``docker service update --secret-rm OLD --secret-add NEW`` does to a spec."""
    (secret,) = spec["TaskTemplate"]["ContainerSpec"]["Secrets"]
    secret.update(reference)


def _is_rolled(lab: Lab, secret: str) -> bool:
    """Tell whether every task has a secret and the update is over."""
    service = lab.name(_SERVICE)
    has = [
        task["Spec"]["ContainerSpec"]["Secrets"][0]["SecretName"]
        for task in lab.swarm.tasks(service)
    ]
    state = lab.swarm.service(service).get("UpdateStatus", {}).get("State")
    return has == [secret] * REPLICAS and state == "completed"


def _figures(load: LoginLoad, database: Database, former: list[str]) -> Figures:
    """Count.

    Args:
        former: The user that each rotation has replaced.
    """
    totals = load.totals()
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for login in load.refusals():
        times[login.user, login.task].append(login.time)
    spans = [
        sorted(met[-1] - met[0] for (user, _), met in times.items() if user == old)
        for old in former
    ]
    return Figures(
        logins=totals.ok + totals.refused + totals.other,
        refused=totals.refused,
        other=totals.other,
        spans=tuple(map(tuple, spans)),
        users=len(database.users()),
    )


def main() -> None:
    """Measure both, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rotations", type=int, default=5, help="by each")
    rotations = parser.parse_args().rotations
    directory = RunDirectory()
    swarm = PrivateSwarm(directory.path / "swarm")
    vault = VaultServer(directory.path / "vault")
    vault.start()
    postgres = Postgres(directory.path / "postgres")
    postgres.start()
    print(
        f"{rotations} rotations each; {REPLICAS} replicas, start-first, "
        f"each logs in anew {_PAUSE * 1000:.0f} ms after its last login, no retry\n"
        "the script: a credential, a Docker secret, `docker service update --detach`, revoke\n"
    )
    print(
        f"{'rotated by':12}{'logins':>8}{'refused':>9}{'other':>7}{'failed of 10,000':>18}"
        f"{'a task refused for':>20}{'users left':>12}"
    )
    spans: dict[str, tuple[tuple[float, ...], ...]] = {}
    try:
        for name, measure in (("the bridge", by_bridge), ("a script", by_script)):
            folder = directory.path / name.replace(" ", "-")
            folder.mkdir()
            lab = Lab(folder, swarm, vault)
            try:
                database = Database(vault, postgres, lab.prefix)
                try:
                    seen = measure(lab, postgres, database, rotations)
                finally:
                    database.close()
            finally:
                lab.close()
            longest = f"{seen.longest:.1f} s"
            print(
                f"{name:12}{seen.logins:>8}{seen.refused:>9}{seen.other:>7}"
                f"{seen.per_10_000:>18.1f}{longest:>20}{seen.users:>12}",
                flush=True,
            )
            spans[name] = seen.spans
        print("\nseconds from the first refusal to the last, of each task that met one")
        for name, each in spans.items():
            said = "; ".join(" ".join(f"{span:.1f}" for span in tasks) or "none" for tasks in each)
            print(f"{name:12}{said}")
    finally:
        postgres.close()
        vault.close()
        swarm.close()
        directory.close()


if __name__ == "__main__":
    main()
