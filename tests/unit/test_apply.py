"""What one application does at most, and what it looks at before it removes anything."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from bridge.apply import LONGEST, MOST_REMOVALS, Applier
from bridge.errors import NotGranted, SwarmRefused
from bridge.model.actions import CreateSecret, RemoveSecret
from bridge.model.content.payload import Concealed
from bridge.model.labels import labels_of
from bridge.model.memory import Outcome, Result
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.swarm_view import SwarmView
from bridge.observe_swarm import look_at_swarm
from bridge.removal import BATCH, FRESH
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from tests.support.builders import identity, wanted
from tests.support.fakes import Clock, FakeSwarm

MANY = 1000


class _Scene:
    """Docker secrets that are all to be removed."""

    def __init__(self, count: int = MANY) -> None:
        self.clock = Clock()
        self.fake = FakeSwarm(self.clock)
        self.looks = 0
        labels = labels_of("default", "db", identity(1))
        self.ids = [
            self.fake.create_secret(f"db_v{n}", Concealed(b"x"), labels) for n in range(count)
        ]
        self.applier = Applier(
            cast("Vault", None),
            cast("Swarm", self.fake),
            instance="default",
            look=self.look,
            fence=lambda: True,
            clock=self.clock,
        )

    def look(self) -> SwarmView:
        self.looks += 1
        return look_at_swarm(cast("Swarm", self.fake), "default", self.clock())

    def apply(self, but: frozenset[str] = frozenset()) -> tuple[Outcome, ...]:
        left = [s["ID"] for s in self.fake.secrets() if s["ID"] not in but]
        removals = tuple(
            (
                RemoveSecret(
                    secret="db", secret_id=i, docker_name=i, reason=Reason.OUTDATED, why="it is old"
                ),
            )
            for i in left
        )
        return self.applier.apply(Plan(chains=removals, holds=(), conditions=()), lambda: False)


def test_many_removals_are_done_in_parts_with_few_looks() -> None:
    """One look for each of them took all of the time."""
    scene = _Scene()
    cycles = 0
    while scene.fake.secrets():
        assert len(scene.apply()) <= MOST_REMOVALS
        cycles += 1
    assert cycles == MANY / MOST_REMOVALS
    assert scene.looks == MANY / BATCH


def test_a_look_serves_for_a_moment_only() -> None:
    """I1: where removals take their time each has a look of its own."""
    scene = _Scene(5)

    def slow(_what: str, after: bool) -> None:
        if after:
            scene.clock.now += FRESH

    scene.fake.trouble = slow
    scene.apply()
    assert scene.looks == 5


def test_an_application_that_takes_long_goes_on_in_the_next_cycle() -> None:
    """Leases are renewed at its beginning."""
    scene = _Scene(5)

    def slow(_what: str, after: bool) -> None:
        if after:
            scene.clock.now += LONGEST / 2

    scene.fake.trouble = slow
    assert len(scene.apply()) == 2
    assert len(scene.apply()) == 2
    assert len(scene.apply()) == 1


def test_what_comes_to_be_used_within_a_batch_stays() -> None:
    """I1: the look is before that, and the engine itself refuses."""
    scene = _Scene(3)
    last = scene.ids[-1]
    reference = {
        "File": {"Name": "db", "UID": "0", "GID": "0", "Mode": 0o444},
        "SecretID": last,
        "SecretName": "db_v2",
    }

    def deploy(_what: str, after: bool) -> None:
        if after and len(scene.fake.removed) == 1:
            scene.fake.deploy("api", 1, "pause", secrets=[reference])

    scene.fake.trouble = deploy
    results = [outcome.result for outcome in scene.apply()]
    assert scene.looks == 1
    assert results == [Result.DONE, Result.DONE, Result.FAILED]
    assert [s["ID"] for s in scene.fake.secrets()] == [last]


@pytest.mark.parametrize("denied", [False, True])
def test_content_that_the_engine_refuses_is_not_tried_again(denied: bool) -> None:
    """It is a verdict on this identity. Who asks may be let in later, and is tried again."""
    scene = _Scene(0)
    data = {"data": {"password": "x"}, "metadata": {"created_time": identity(2).created}}
    vault = SimpleNamespace(kv=SimpleNamespace(read_version=lambda *_: data))
    applier = Applier(
        cast("Vault", vault),
        cast("Swarm", scene.fake),
        instance="default",
        look=scene.look,
        fence=lambda: True,
    )

    def refuse(_what: str, _after: bool) -> None:
        raise (NotGranted if denied else SwarmRefused)("the engine says no")

    scene.fake.trouble = refuse
    content = wanted("db").content
    create = CreateSecret(
        secret="db",
        identity=identity(2),
        content=content,
        docker_name="db_v2",
        labels={},
        reason=Reason.NEW_VERSION,
        why="new",
    )
    (outcome,) = applier.apply(Plan(chains=((create,),), holds=(), conditions=()), lambda: False)
    if denied:
        assert outcome.result == Result.FAILED
    else:
        assert outcome.result == Result.REFUSED
        assert outcome.verdict
        assert outcome.verdict.reason == Reason.SWARM_REFUSED
        assert outcome.verdict.identity == identity(2)
