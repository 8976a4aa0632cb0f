"""Two bridges of one instance: one acts, and every rotation is done once.

Two instances on one swarm ignore each other's secrets.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from bridge.config import load
from bridge.leader_lease import Lease, holder_of
from bridge.loop import Loop
from bridge.model.actions import MintGeneration
from bridge.model.leadership import HOLDER, Holder, lease_config_name
from bridge.model.memory import Result
from bridge.model.settings import DockerSettings
from bridge.servers.swarm import Swarm
from tests.support.bridges import BridgeService
from tests.support.lab import ALONE, Lab
from tests.support.leases import LeasedDatabase
from tests.support.processes import PATIENCE, eventually
from tests.support.proxy import Exchange, Phase, Proxy, no_trouble
from tests.support.swarm import PrivateSwarm

TTL = 3.0


@contextmanager
def _running(loop: Loop) -> Iterator[Loop]:
    """Let a loop run in the background."""
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield loop
    finally:
        loop.stop()
        thread.join(PATIENCE)
        loop.close()


def _scene(lab: Lab) -> Proxy:
    """A service with one replica on version 1; returns the proxy of those who go through it."""
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    lab.rotate("db")
    lab.sync()
    return lab.through_proxies()[1]


def _has(lab: Lab, value: str) -> None:
    eventually(lambda: lab.swarm.read(lab.name("api"), "db") == [value])


def test_one_that_hangs_is_replaced_and_stands_by_when_it_wakes(lab: Lab) -> None:
    """As one that was stopped and wakes up later: its own requests hang in the middle."""
    engine = _scene(lab)
    awake = threading.Event()
    config = load(str(lab.write_config()), {})
    lab.docker_host = lab.swarm.host
    other = load(str(lab.write_config()), {})

    def hang(_exchange: Exchange, _phase: Phase) -> None:
        awake.wait(PATIENCE)

    with _running(Loop(config, ttl=TTL)) as first:
        eventually(lambda: first.leads)
        with _running(Loop(other, ttl=TTL)) as second:
            _has(lab, lab.rotate("db"))
            assert not second.leads
            engine.hook = hang
            value = lab.rotate("db")
            eventually(lambda: second.leads)
            _has(lab, value)
            before = len(lab.writes(engine))
            engine.hook = no_trouble
            awake.set()
            eventually(lambda: first.leader != "")
            _has(lab, lab.rotate("db"))
            assert not first.leads
            # What hung was refused by compare-and-set, or was there already.
            late = [w for w in lab.writes(engine)[before:] if "/services/" in w]
            assert late == []
            eventually(lambda: lab.versions("db") == {3, 4})


def test_nothing_is_minted_after_a_look_in_which_another_took_the_lead(
    lab: Lab, leased_database: Callable[..., LeasedDatabase]
) -> None:
    """The look before a mint hangs for longer than the leader's lease lives."""
    vault, engine = lab.through_proxies()
    leased_database(services=())
    config = load(str(lab.write_config()), {})
    lab.docker_host = lab.swarm.host
    other = load(str(lab.write_config()), {})
    looks: list[str] = []
    taken = threading.Event()
    with closing(Loop(config, ttl=TTL)) as first, closing(Loop(other, ttl=TTL)) as second:
        assert first.lead()

        def slow(exchange: Exchange, phase: Phase) -> None:
            if phase == Phase.BEFORE and exchange.path.partition("?")[0].endswith("/tasks"):
                looks.append(exchange.path)
                if len(looks) == 2:  # the first one is the cycle's own
                    eventually(second.lead)
                    taken.set()

        engine.hook = slow
        step = first.step()
        assert taken.wait(PATIENCE)  # the look itself is given up as soon as the lease is lost
    minted = [o.result for o in step.outcomes if isinstance(o.action, MintGeneration)]
    assert Result.DONE not in minted
    assert len(looks) == 2
    assert not [e.path for e in vault.exchanges if "/creds/" in e.path or "token/create" in e.path]
    assert lab.versions("db") == set()


def test_sync_follows_the_bridge_that_leads(lab: Lab) -> None:
    _scene(lab)
    process = lab.start()
    process.wait_for("leads")
    value = lab.rotate("db")
    said = lab.cli("sync")
    assert "leads, and is followed" in said
    assert lab.swarm.read(lab.name("api"), "db") == [value]
    assert lab.status()["db"]["running_version"] == 2
    assert "leads, and asks" in lab.cli("status")
    assert process.stop() == 0
    assert "No bridge is running." in lab.cli("status")
    value = lab.rotate("db")
    assert "Leader" not in lab.cli("sync")
    assert lab.swarm.read(lab.name("api"), "db") == [value]


def test_sync_says_where_the_leader_goes_by_another_configuration(lab: Lab) -> None:
    """It would follow for ever what the other does not do."""
    _scene(lab)
    process = lab.start()
    process.wait_for("leads")
    lab.secret("key", {"api": {"target": "key"}})
    lab.rotate("key")
    done = lab.run("sync", code=3)
    assert "goes by another configuration" in done.stderr
    process.process.send_signal(signal.SIGHUP)
    process.wait_for("configuration_reloaded")
    lab.cli("sync")
    assert lab.versions("key") == {1}
    assert process.stop() == 0


def test_one_that_ends_hands_over_at_once(lab: Lab) -> None:
    _scene(lab)
    first = lab.start()
    first.wait_for("leads")
    second = lab.start()
    second.wait_for("stands_by")
    assert not second.lines("state")  # nor does it ask Vault
    assert first.stop() == 0
    second.wait_for("leads")
    _has(lab, lab.rotate("db"))
    assert second.stop() == 0


YEAR = 365 * 86400.0


def test_one_whose_task_was_killed_is_replaced_at_once(lab: Lab) -> None:
    """By what the swarm knows of the task: the lease itself would live for a year."""
    if not isinstance(lab.swarm, PrivateSwarm):
        pytest.skip("the tasks see this machine's files, which needs a private engine")
    bridges = BridgeService(lab, replicas=2)
    instance = lab.name("bridge")
    with closing(Swarm(DockerSettings(lab.swarm.host))) as swarm:
        eventually(lambda: holder_of(swarm, instance) is not None)
        bridges.wait_for(2)
        holder = holder_of(swarm, instance)
        assert holder
        assert holder.container in bridges.containers()
        waiting = _waits_for(swarm, lab.name("quiet"), holder)
        assert not waiting.hold()
        (standby,) = bridges.containers() - {holder.container}
        bridges.kill(standby)  # which is none of the leader's affair
        eventually(lambda: standby not in bridges.containers())
        assert not waiting.hold()
        bridges.kill(holder.container)
        eventually(waiting.hold)


def _waits_for(swarm: Swarm, instance: str, holder: Holder) -> Lease:
    """Let a bridge hold the lease of an instance that no other one wants."""
    held = replace(holder, id="as held by it")
    swarm.create_config(lease_config_name(instance), b"-", {HOLDER: held.write()})
    return Lease(swarm, instance=instance, ttl=YEAR)


def test_two_instances_are_strangers(lab: Lab) -> None:
    """The same names on one swarm: the second touches nothing of the first, and says so."""
    _scene(lab)
    mine = lab.swarm.secret(lab.name("db_v1"))
    lab.settings(instance=lab.name("other"))
    lab.cli("sync", code=3)
    status = lab.status(code=3)["db"]
    assert (status["reason"], status["versions"]) == ("NotOwned", [])
    lab.without("db")
    lab.secret("key", {"api": {"target": "key"}})
    key = lab.rotate("key")
    lab.cli("sync")
    assert lab.swarm.read(lab.name("api"), "key") == [key]
    assert lab.swarm.secret(lab.name("db_v1")) == mine


@pytest.mark.acceptance
@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_every_rotation_once_whatever_becomes_of_the_leader(lab: Lab, how: str) -> None:
    """Processes that cannot see one another, as in two containers; the lease has its real time."""
    _scene(lab)
    bridges = [lab.start(within=ALONE), lab.start(within=ALONE)]
    for _ in range(3):
        eventually(lambda: any(b.lines("leads") for b in bridges))
        _has(lab, lab.rotate("db"))
    leader = next(b for b in bridges if b.lines("leads"))
    follower = next(b for b in bridges if b is not leader)
    value = lab.rotate("db")
    if how == "killed":
        leader.kill()
    else:
        leader.signal(signal.SIGSTOP)
    follower.wait_for("leads")
    _has(lab, value)
    if how == "stopped":
        leader.signal(signal.SIGCONT)
        leader.wait_for("stands_by")
    for _ in range(3):
        _has(lab, lab.rotate("db"))
    rolls = [line for b in bridges for line in b.lines("rolling")]
    assert sorted(line["version"] for line in rolls) == list(range(2, 9))
