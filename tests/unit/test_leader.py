"""The leader's lease: one at a time, whatever stops, is cut off, or wakes up late."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from bridge.errors import AnswerLost, OutOfSequence, SwarmUnreachable
from bridge.leader_lease import Lease, holder_of
from bridge.model.leadership import HOLDER, Holder, lease_config_name
from bridge.processes import has_ended, this_container, this_process
from bridge.servers.swarm import Swarm
from tests.support.fakes import Clock, FakeSwarm

TTL = 30.0


class Rivals:
    """Some bridges that want the lease of one instance."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.fake = FakeSwarm(self.clock)
        self.swarm = cast("Swarm", self.fake)

    def lease(self) -> Lease:
        return Lease(self.swarm, instance="default", ttl=TTL, clock=self.clock)

    def later(self, seconds: float) -> None:
        self.clock.now += seconds

    def no_writes(self) -> None:
        """Let every write fail, as on a manager that was cut off from the others."""

        def cut_off(_what: str, _after: bool) -> None:
            raise AnswerLost("node lost leader status")

        self.fake.trouble = cut_off

    def writes_again(self) -> None:
        self.fake.trouble = lambda _what, _after: None


@pytest.fixture
def rivals() -> Rivals:
    return Rivals()


def test_one_leads_and_the_other_stands_by(rivals: Rivals) -> None:
    first, second = rivals.lease(), rivals.lease()
    assert first.hold()
    for _ in range(100):
        rivals.later(5)
        assert first.hold()
        assert not second.hold()
    holder = holder_of(rivals.swarm, "default")
    assert holder
    assert second.other == holder


def test_it_is_renewed_at_a_third_of_its_time(rivals: Rivals) -> None:
    lease = rivals.lease()
    assert lease.hold()
    rivals.later(9)
    assert lease.hold()
    assert len(rivals.fake.writes) == 1
    assert lease.pause == 1
    rivals.later(1)
    assert lease.hold()
    assert len(rivals.fake.writes) == 2


def test_one_that_is_not_renewed_is_taken_when_its_time_is_over(rivals: Rivals) -> None:
    first, second = rivals.lease(), rivals.lease()
    assert first.hold()
    rivals.later(1000)  # how old it is does not count, only what was watched
    assert not second.hold()
    rivals.later(29)
    assert not second.hold()
    rivals.later(1)
    assert second.hold()
    assert not first.hold()  # it wakes up late


def test_a_lease_that_was_let_go_is_taken_at_once(rivals: Rivals) -> None:
    first, second = rivals.lease(), rivals.lease()
    assert first.hold()
    assert not second.hold()
    first.release()
    assert holder_of(rivals.swarm, "default") is None
    assert second.hold()
    first.release()  # it is no longer its own to let go
    assert second.hold()
    assert holder_of(rivals.swarm, "default")


def test_who_cannot_write_steps_down_before_another_can_take_it(rivals: Rivals) -> None:
    lease = rivals.lease()
    assert lease.hold()
    rivals.no_writes()
    rivals.later(19)
    assert lease.hold()  # what was written is good for two thirds of its time
    rivals.later(1)
    with pytest.raises(AnswerLost):
        lease.hold()
    rivals.writes_again()
    assert lease.hold()


def test_the_time_counts_from_when_a_write_was_sent(rivals: Rivals) -> None:
    """An election may hold a write up for longer than the lease is worth."""
    lease = rivals.lease()

    def slow(_what: str, after: bool) -> None:
        if not after:
            rivals.later(15)

    rivals.fake.trouble = slow
    assert lease.hold()
    assert lease.pause == 1  # it is renewed soon, and not in a spin


def test_a_renewal_says_yes_only_to_a_write_that_was_acknowledged(rivals: Rivals) -> None:
    lease = rivals.lease()
    assert lease.hold()
    rivals.no_writes()
    with pytest.raises(AnswerLost):
        lease.renew()
    assert lease.hold()  # which is enough for what can be undone
    rivals.writes_again()
    assert lease.renew()


def test_an_acknowledgement_that_came_late_is_none(rivals: Rivals) -> None:
    """An election held the write up: what is left of the lease's time is too little to rest on."""
    lease = rivals.lease()
    assert lease.hold()
    pauses = [0.0, 15.0]

    def slow(_what: str, after: bool) -> None:
        if not after:
            rivals.later(pauses.pop() if pauses else 0.0)

    rivals.fake.trouble = slow
    assert lease.renew()
    assert len(rivals.fake.writes) == 3
    rivals.fake.trouble = lambda _what, after: None if after else rivals.later(15.0)
    assert not lease.renew()
    rivals.fake.trouble = lambda _what, _after: None
    assert lease.hold()


def test_a_renewal_whose_answer_was_lost_is_no_rival(rivals: Rivals) -> None:
    lease = rivals.lease()
    assert lease.hold()
    rivals.later(10)

    def lost(_what: str, after: bool) -> None:
        if after:
            raise AnswerLost("no answer")

    rivals.fake.trouble = lost
    assert lease.hold()
    rivals.writes_again()
    rivals.later(10)
    assert lease.hold()


def test_of_two_writes_at_once_one_wins(rivals: Rivals) -> None:
    first, second = rivals.lease(), rivals.lease()
    got: list[bool] = []

    def meanwhile(_what: str, _after: bool) -> None:
        rivals.writes_again()
        got.append(second.hold())

    rivals.fake.trouble = meanwhile
    assert not first.hold()
    assert got == [True]


def test_endless_rivalry_ends_without_the_lease(rivals: Rivals) -> None:
    lease = rivals.lease()

    def quicker(_what: str, after: bool) -> None:
        raise OutOfSequence("update out of sequence")

    rivals.fake.trouble = quicker
    assert not lease.hold()


def test_a_holder_whose_process_has_ended_here_is_none(rivals: Rivals) -> None:
    process = subprocess.Popen(["sleep", "60"])
    try:
        boot, namespace, _, _ = this_process().split("/")
        stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        name = f"{boot}/{namespace}/{process.pid}/{stat[19]}"
        assert not has_ended(name)
    finally:
        process.kill()
        process.wait()
    assert has_ended(name)
    lease = rivals.lease()
    assert lease.hold()
    gone = rivals.lease()
    config = rivals.fake.config(lease_config_name("default"))
    assert config
    holder = Holder.read(config["Spec"]["Labels"])
    assert holder
    labels = {HOLDER: replace(holder, id="other", process=name).write()}
    rivals.fake.set_config_labels(config, labels)
    assert gone.hold()


CONTAINER = "4f" * 32


@pytest.mark.parametrize(
    ("state", "container", "ended"),
    [
        ("failed", CONTAINER, True),
        ("complete", CONTAINER, True),
        ("shutdown", CONTAINER, True),
        ("running", CONTAINER, False),
        ("starting", CONTAINER, False),
        ("rejected", CONTAINER, False),
        ("orphaned", CONTAINER, False),
        ("failed", "5e" * 32, False),
        ("failed", "", False),
    ],
)
def test_a_holder_whose_task_has_ended_is_none(
    rivals: Rivals, monkeypatch: pytest.MonkeyPatch, state: str, container: str, ended: bool
) -> None:
    """Whether it was asked to end does not count, nor that a manager thinks its node is down."""
    status = {"State": state, "ContainerStatus": {"ContainerID": CONTAINER}}
    task = {"ID": "t", "DesiredState": "shutdown", "Status": status}
    tasks = [{"ID": "u", "Status": {"State": "pending"}}, task]
    monkeypatch.setattr(rivals.fake, "tasks", lambda: tasks)
    _held_by_another(rivals, container=container)
    assert rivals.lease().hold() is ended


def test_a_container_that_was_started_anew_has_lost_what_ran_in_it(
    rivals: Rivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.leader_lease.this_container", lambda: CONTAINER)
    boot, _, _, _ = this_process().split("/")
    _held_by_another(rivals, container=CONTAINER, process=this_process())
    assert not rivals.lease().hold()  # that one has been started in it beside ours
    _held_by_another(rivals, container=CONTAINER, process=f"{boot}/pid:[1]/1/5")
    assert rivals.lease().hold()


def _held_by_another(rivals: Rivals, *, container: str, process: str = "") -> None:
    name = lease_config_name("default")
    holder = Holder(
        id="other",
        host="host",
        process=process,
        configuration="",
        at="2026-11-01T00:00:00Z",
        container=container,
    )
    labels = {HOLDER: holder.write()}
    config = rivals.fake.config(name)
    if config is None:
        rivals.fake.create_config(name, b"", labels)
    else:
        rivals.fake.set_config_labels(config, labels)


def test_a_holder_of_a_former_release_is_one(rivals: Rivals) -> None:
    """Its label names no container."""
    text = (
        '{"id": "x", "host": "h", "process": "", "configuration": "", "at": "2026-11-01T00:00:00Z"}'
    )
    rivals.fake.create_config(lease_config_name("default"), b"", {HOLDER: text})
    assert not rivals.lease().hold()


def test_the_container_is_read_from_what_the_engine_mounts(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    other = "5e" * 32
    mounts.write_text(
        f"1 2 0:1 / /var/lib/docker/containers/{other}/mounts/shm rw - tmpfs shm rw\n"
        f"3 2 8:1 /var/lib/docker/containers/{other}/x /srv/x rw - ext4 /dev/sda rw\n"
        f"4 2 8:1 /var/lib/docker/containers/{CONTAINER}/hosts /etc/hosts rw - ext4 /dev/sda rw\n"
    )
    assert this_container(mounts) == CONTAINER
    assert this_container(tmp_path / "none") == ""


@pytest.mark.parametrize("process", ["", "a/b/c/d", "x", "other-boot/pid:[1]/1/2"])
def test_a_process_elsewhere_is_not_known_to_have_ended(process: str) -> None:
    assert not has_ended(process)


def test_we_have_not_ended() -> None:
    assert this_process()
    assert not has_ended(this_process())


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"id": "x"}', '{"id":1,"host":2,"process":3,"at":"x"}']
)
def test_a_damaged_label_is_nobodys(text: str) -> None:
    assert Holder.read({HOLDER: text}) is None


def test_who_goes_by_another_configuration_is_told_apart(rivals: Rivals) -> None:
    leader, same, other = (
        Lease(rivals.swarm, instance="default", configuration=digest, ttl=TTL, clock=rivals.clock)
        for digest in ("a", "a", "b")
    )
    for lease in (leader, same, other):
        lease.hold()
    assert leader.agrees
    assert same.agrees
    assert not other.agrees


@pytest.mark.parametrize("damage", [{"Version": None}, {"Version": {}}, {"Spec": {"Labels": 7}}])
def test_a_config_that_is_not_understood_is_reported(
    rivals: Rivals, damage: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody leads by it, and the cycle says why."""
    assert rivals.lease().hold()
    config = rivals.fake.config
    monkeypatch.setattr(rivals.fake, "config", lambda name: {**(config(name) or {}), **damage})
    with pytest.raises(SwarmUnreachable, match="is not understood"):
        rivals.lease().hold()


def test_trouble_at_the_first_attempt_is_said(rivals: Rivals) -> None:
    def away(_what: str, _after: bool) -> None:
        raise SwarmUnreachable("no answer")

    rivals.fake.trouble = away
    with pytest.raises(SwarmUnreachable):
        rivals.lease().hold()
