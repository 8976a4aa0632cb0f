"""Machines that die in the middle of a roll: a leader, a quorum, a worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.lab import ROOT, BridgeProcess, Lab
from tests.support.nodes import MultiNodeSwarm
from tests.support.processes import eventually
from tests.support.proxy import Proxy
from tests.support.vault import VaultServer

Json = dict[str, Any]

pytestmark = pytest.mark.acceptance

_SECOND = 1_000_000_000
_ON_WORKERS = {"Constraints": ["node.role==worker"]}
_SLOW_START = {"Test": ["CMD", "true"], "Interval": 3 * _SECOND, "Timeout": _SECOND, "Retries": 3}
"""A task is ``starting`` until its first probe, so that a roll has a middle to be met in."""


@pytest.fixture
def make_lab(
    tmp_path: Path, nodes: MultiNodeSwarm, vault: VaultServer
) -> Iterator[Callable[[str], Lab]]:
    """Make the lab at a manager, which the bridge speaks to; all nodes are back when it ends."""
    made: list[Lab] = []

    def make(manager: str) -> Lab:
        made.append(Lab(tmp_path, nodes.engine(manager), vault))
        return made[0]

    yield make
    nodes.mend()
    for lab in made:
        lab.close()


def test_nothing_is_left_of_a_swarm_whose_maker_was_killed(run_directory: Path) -> None:
    """One of our own things, on which all tests here rely."""
    folder = run_directory / "orphans"
    program = [sys.executable, "-c", _MAKER, str(folder)]
    assert subprocess.run(program, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    sign = os.fsencode(folder)

    def gone() -> bool:
        commands = Path("/proc").glob("[0-9]*/cmdline")
        return not any(sign in _read(command) for command in commands)

    eventually(gone)


_MAKER = """
import os, pathlib, signal, sys
from tests.support.nodes import MultiNodeSwarm
nodes = MultiNodeSwarm(pathlib.Path(sys.argv[1]), managers=1, workers=1)
manager = nodes.engine("m1")
manager.create_service("orphan", replicas=2)
manager.wait_running("orphan", 2)
os.kill(os.getpid(), signal.SIGKILL)
"""


def _read(file: Path) -> bytes:
    """Read a file of a process, which may be gone."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _tasks(lab: Lab, version: int) -> list[Json]:
    """List all tasks of the service that were made for a version, ended ones too."""
    service, name = lab.name("api"), lab.name(f"db_v{version}")
    tasks = lab.swarm.call("GET", "/tasks", filters=json.dumps({"service": [service]}))
    return [t for t in tasks if name in _secrets(t)]


def _running(tasks: list[Json]) -> set[str]:
    """Return the ids of the tasks that shall run."""
    return {t["ID"] for t in tasks if t["DesiredState"] == "running"}


def _secrets(task: Json) -> list[str]:
    return [s["SecretName"] for s in task["Spec"]["ContainerSpec"].get("Secrets") or ()]


def _states(tasks: list[Json]) -> list[str]:
    return [t["Status"]["State"] for t in tasks if t["DesiredState"] == "running"]


def _updates(lab: Lab, engine: Proxy) -> int:
    """Return how many writes of the service the engine has said yes to."""
    place = f"/services/{lab.swarm.service(lab.name('api'))['ID']}/update"
    return sum(place in e.path and e.status == 200 for e in engine.exchanges)


def _begin(lab: Lab, replicas: int, order: str = "start-first") -> tuple[BridgeProcess, Proxy]:
    """Run a bridge that knows version 1 to be good, and write version 2."""
    lab.secret("db", {"api": {"target": "db"}})
    lab.rotate("db")
    lab.sync()
    lab.service(
        "api",
        replicas=replicas,
        secrets=[(lab.name("db_v1"), "db")],
        placement=_ON_WORKERS,
        update={"Order": order},
        Healthcheck=_SLOW_START,
    )
    lab.swarm.wait_running(lab.name("api"), replicas)
    _, engine = lab.through_proxies()
    process = lab.start()
    _wait_good(lab, process, 1)
    lab.rotate("db")
    return process, engine


def _wait_for_the_middle(lab: Lab) -> Json:
    """Wait until one task is on version 2 and the next is starting; returns the latter."""
    starting: list[Json] = []

    def is_there() -> bool:
        tasks = _tasks(lab, 2)
        starting[:] = [t for t in tasks if t["Status"]["State"] == "starting"]
        return bool(starting) and "running" in _states(tasks)

    eventually(is_there)
    return starting[0]


def _wait_good(lab: Lab, process: BridgeProcess, version: int) -> None:
    process.wait_for("good", docker_secret=lab.name(f"db_v{version}"))


def _assert_well(process: BridgeProcess) -> None:
    """It ran all the time, and nothing surprised it."""
    assert process.stop() == 0
    assert not process.lines("cycle_failed")
    assert "Traceback" not in process.log.read_text()


def test_the_leader_dies_in_the_middle_of_a_roll(
    nodes: MultiNodeSwarm, make_lab: Callable[[str], Lab]
) -> None:
    """The roll is ended under the next leader, and so is the next rotation; one update each."""
    leader = nodes.leader()
    lab = make_lab(next(m for m in nodes.managers if m != leader))
    process, engine = _begin(lab, replicas=2)
    _wait_for_the_middle(lab)
    nodes.kill(leader)
    assert nodes.leader() != leader
    _wait_good(lab, process, 2)
    assert _states(_tasks(lab, 2)) == ["running"] * 2
    assert len(_tasks(lab, 2)) == 2
    assert _updates(lab, engine) == 1

    value = lab.rotate("db")
    _wait_good(lab, process, 3)
    assert lab.swarm.read(lab.name("api"), "db") == [value, value]
    assert _updates(lab, engine) == 2
    _assert_well(process)


@pytest.mark.parametrize("how", ["killed", "cut off"])
def test_the_quorum_is_lost_in_the_middle_of_a_roll_and_comes_back(
    nodes: MultiNodeSwarm, make_lab: Callable[[str], Lab], how: str
) -> None:
    """The bridge says so once, waits, and ends the roll; killed with the leader, or cut off it."""
    leader = nodes.leader()
    follower = next(m for m in nodes.managers if m != leader)
    stays = follower if how == "killed" else leader
    lab = make_lab(stays)
    process, engine = _begin(lab, replicas=2)
    _wait_for_the_middle(lab)
    for other in nodes.managers:
        if other != stays:
            (nodes.kill if how == "killed" else nodes.partition)(other)
    process.wait_for("swarm_unreachable")
    asked = len(engine.exchanges)
    eventually(lambda: len(engine.exchanges) >= asked + 3)
    assert len(process.lines("swarm_unreachable")) == 1
    assert not process.lines("cycles_resumed")

    nodes.mend()
    process.wait_for("cycles_resumed")
    _wait_good(lab, process, 2)
    assert _states(_tasks(lab, 2)) == ["running"] * 2
    assert len(_tasks(lab, 2)) == 2
    assert _updates(lab, engine) == 1
    _assert_well(process)


@pytest.mark.parametrize(
    ("replicas", "order", "stale"), [(4, "start-first", True), (2, "stop-first", False)]
)
def test_a_worker_dies_in_the_middle_of_a_roll(
    nodes: MultiNodeSwarm, make_lab: Callable[[str], Lab], replicas: int, order: str, stale: bool
) -> None:
    """The rotation ends though the updater hangs; tasks that are on the version already stay.

    Where tasks are left on the former version, one more update sets the updater going again, which
    changes labels only.
    """
    lab = make_lab(nodes.managers[0])
    process, engine = _begin(lab, replicas, order)
    waited_for = _wait_for_the_middle(lab)["ID"]
    before = lab.swarm.service(lab.name("api"))
    worker = nodes.name_of(lab.swarm.call("GET", f"/tasks/{waited_for}")["NodeID"])
    nodes.kill(worker)

    def hangs() -> bool:
        service = lab.swarm.service(lab.name("api"))
        task = lab.swarm.call("GET", f"/tasks/{waited_for}")
        live = {*_states(_tasks(lab, 1)), *_states(_tasks(lab, 2))}
        return (
            nodes.node(worker)["Status"]["State"] == "down"
            and service.get("UpdateStatus") == before["UpdateStatus"]
            and (task["Status"]["State"], task["DesiredState"]) == ("starting", "shutdown")
            and live == {"running"}
        )

    eventually(hangs)
    assert bool(_states(_tasks(lab, 1))) == stale
    there = _running(_tasks(lab, 2))
    _wait_good(lab, process, 2)
    done = _running(_tasks(lab, 2))
    assert len(done) == replicas
    assert there <= done
    assert not _states(_tasks(lab, 1))
    after = lab.swarm.service(lab.name("api"))
    assert after["Spec"]["TaskTemplate"] == before["Spec"]["TaskTemplate"]
    if stale:
        assert after["Spec"]["Labels"] != before["Spec"]["Labels"]
        assert _updates(lab, engine) == 2
        assert len(process.lines("updater_woken")) == 1
    _assert_well(process)


def test_a_worker_dies_and_comes_back_in_the_middle_of_a_roll(
    nodes: MultiNodeSwarm, make_lab: Callable[[str], Lab]
) -> None:
    """Whether Swarm takes that for a failure and rolls back or not, the version is not to blame."""
    lab = make_lab(nodes.managers[0])
    process, _ = _begin(lab, replicas=4)
    waited_for = _wait_for_the_middle(lab)["ID"]
    worker = nodes.name_of(lab.swarm.call("GET", f"/tasks/{waited_for}")["NodeID"])
    nodes.kill(worker)
    eventually(lambda: nodes.node(worker)["Status"]["State"] == "down")
    nodes.start(worker)
    _wait_good(lab, process, 2)
    assert not process.lines("set_aside")
    assert not _states(_tasks(lab, 1))
    assert lab.status()["db"]["running_version"] == 2
    _assert_well(process)
