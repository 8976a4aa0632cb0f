"""What Vault cannot take back is written by the leader alone, however long its looks took."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.custodian import Custodian
from bridge.errors import AnswerLost, SwarmError
from bridge.leader_lease import Lease
from bridge.model.actions import MintGeneration, Tend, TendGeneration
from bridge.model.desired import Content, Format
from bridge.model.docker_secret import DockerSecret
from bridge.model.identity import ONE_LIFE, Identity
from bridge.model.labels import ACCESSOR, LEASE, RETIRING, ROLE, labels_of
from bridge.model.memory import Result
from bridge.model.reasons import Reason
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import timestamp
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from bridge.sources.database.source import DatabaseRole
from bridge.sources.kind import NewCredential, Prepared
from bridge.sources.static.source import StaticRoles
from tests.support.builders import NOW, generation_secret
from tests.support.builders import ROLE as DYNAMIC
from tests.support.fakes import Clock, FakeSwarm

STATIC = StaticRoles("", "database", ("a", "b"))
TTL = 30.0
SLOW = 40.0
"""Seconds that a look takes while a manager is cut off; longer than the leader's lease."""

WRITES = frozenset(
    ("issue", "rotate", "renew_token", "shorten", "revoke", "revoke_token", "set_secret_labels")
)


def _static(role: str, **labels: str) -> DockerSecret:
    named = Identity(STATIC, ONE_LIFE, 1, timestamp(NOW - 100))
    made = {**labels_of("default", "db", named), ROLE: role, **labels}
    return DockerSecret(f"id-{role}", f"db_{role}", NOW - 100, made)


@dataclass
class Scene:
    """Servers that write down each call, and a look that may take its time.

    Attributes:
        calls: What was called, in order.
        slow: Called within each call that is no write.
    """

    secrets: tuple[DockerSecret, ...]
    calls: list[str] = field(default_factory=list)
    slow: Callable[[], None] = lambda: None
    fence: Callable[[], bool] = lambda: True

    def _said(self, name: str, answer: Any) -> Callable[..., Any]:
        def call(*_: Any, **__: Any) -> Any:
            self.calls.append(name)
            if name not in WRITES:
                self.slow()
            return answer

        return call

    def _fenced(self) -> bool:
        self.calls.append("fence")
        return self.fence()

    def _raw(self, secret_id: str) -> Any:
        self.calls.append("secret")
        self.slow()
        found = next(s for s in self.secrets if s.id == secret_id)
        return {"Version": {"Index": 1}, "Spec": {"Name": found.name, "Labels": found.labels}}

    def custodian(self) -> Custodian:
        view = SwarmView(as_of=NOW, secrets=self.secrets, services=(), tasks=())
        rotated = SimpleNamespace(rotated=timestamp(NOW - 100), fields={}, period=0.0)
        issued = SimpleNamespace(lease="l", accessor="a", fields={}, issued=timestamp(NOW))
        names = ("renew", "renew_token", "shorten", "revoke", "revoke_token", "lease", "let_go")
        leases = {name: self._said(name, None) for name in names}
        leases |= {"token": self._said("token", {}), "is_ours": self._said("is_ours", True)}
        leases["issue"] = self._said("issue", issued)
        statics = {name: self._said(name, rotated) for name in ("role", "rotate", "password")}
        vault = SimpleNamespace(
            leases=SimpleNamespace(**leases), statics=SimpleNamespace(**statics), namespace=""
        )
        swarm = SimpleNamespace(
            secret=self._raw,
            set_secret_labels=self._said("set_secret_labels", None),
            create_secret=self._said("create_secret", None),
        )
        return Custodian(
            cast("Vault", vault),
            cast("Swarm", swarm),
            instance="default",
            look=self._said("look", view),
            fence=self._fenced,
        )

    def do(self, action: TendGeneration | MintGeneration) -> Result:
        custodian = self.custodian()
        if isinstance(action, TendGeneration):
            return custodian.tend(action).result
        try:
            return custodian.mint(action).result
        except Exception:  # noqa: BLE001 - the stubs' answers end it after the write
            return Result.DONE

    @property
    def written(self) -> list[str]:
        return [call for call in self.calls if call in WRITES]


def _mint(source: DatabaseRole | StaticRoles, role: str = "") -> MintGeneration:
    return MintGeneration(
        secret="db",
        source=source,
        version=9,
        content=Content(format=Format.JSON),
        docker_name="db_v9",
        labels={},
        reason=Reason.ROTATION_DUE,
        why="it is due",
        role=role,
        rotate=bool(role),
    )


def _tend(step: Tend, secret: DockerSecret) -> TendGeneration:
    return TendGeneration(
        secret="db",
        secret_id=secret.id,
        docker_name=secret.name,
        step=step,
        reason=Reason.RETIRING,
        why="",
        at=NOW,
    )


PLAIN = generation_secret(1)
MARKED = generation_secret(1, labels={RETIRING: timestamp(NOW - 5)})
MARKED_STATIC = _static("a", **{RETIRING: timestamp(NOW - 5)})

LASTING = [
    pytest.param(PLAIN, _mint(DYNAMIC), id="mint"),
    pytest.param(_static("b"), _mint(STATIC, "a"), id="mint static"),
    pytest.param(PLAIN, _tend(Tend.MAKE_PERMANENT, PLAIN), id="make permanent"),
    pytest.param(PLAIN, _tend(Tend.RETIRE, PLAIN), id="retire"),
    pytest.param(MARKED, _tend(Tend.SHORTEN, MARKED), id="shorten"),
    pytest.param(MARKED, _tend(Tend.REVOKE, MARKED), id="revoke"),
    pytest.param(MARKED, _tend(Tend.RELEASE, MARKED), id="release"),
    pytest.param(MARKED_STATIC, _tend(Tend.ROTATE, MARKED_STATIC), id="rotate"),
]
lasting = pytest.mark.parametrize(("secret", "action"), LASTING)


@lasting
def test_nothing_comes_between_the_fence_and_the_write(
    secret: DockerSecret, action: TendGeneration | MintGeneration
) -> None:
    scene = Scene((secret,))
    assert scene.do(action) == Result.DONE
    assert len(scene.written) == 1
    written = scene.calls.index(scene.written[0])
    assert scene.calls[written - 1] == "fence"
    assert {"look", "secret"} & set(scene.calls[: written - 1])


@lasting
def test_who_does_not_pass_the_fence_writes_nothing(
    secret: DockerSecret, action: TendGeneration | MintGeneration
) -> None:
    scene = Scene((secret,), fence=lambda: False)
    assert scene.do(action) == Result.MOVED
    assert scene.written == []


@lasting
def test_nothing_is_written_where_another_took_the_lease_during_a_slow_look(
    secret: DockerSecret, action: TendGeneration | MintGeneration
) -> None:
    clock = Clock()
    swarm = cast("Swarm", FakeSwarm(clock))
    ours, other = (Lease(swarm, instance="default", ttl=TTL, clock=clock) for _ in range(2))
    assert ours.hold()
    assert not other.hold()
    taken: list[bool] = []

    def slow() -> None:
        clock.now += SLOW
        taken.append(other.hold())

    scene = Scene((secret,), slow=slow, fence=ours.renew)
    assert scene.do(action) == Result.MOVED
    assert taken[0]
    assert scene.written == []


@lasting
def test_nothing_is_written_while_the_renewals_of_the_lease_are_lost(
    secret: DockerSecret, action: TendGeneration | MintGeneration
) -> None:
    clock = Clock()
    fake = FakeSwarm(clock)
    ours = Lease(cast("Swarm", fake), instance="default", ttl=TTL, clock=clock)
    assert ours.hold()

    def lost(_what: str, _after: bool) -> None:
        raise AnswerLost("node lost leader status")

    def fence() -> bool:
        try:
            return ours.renew()
        except SwarmError:
            return False

    fake.trouble = lost
    scene = Scene((secret,), fence=fence)
    assert ours.hold()  # it was answered a moment ago, which is enough for what can be undone
    assert scene.do(action) == Result.MOVED
    assert scene.written == []


def test_a_renewal_of_a_lease_needs_no_fence() -> None:
    scene = Scene((PLAIN,), fence=lambda: False)
    assert scene.do(_tend(Tend.RENEW_LEASE, PLAIN)) == Result.DONE
    assert scene.do(_tend(Tend.RENEW_CUSTODY, PLAIN)) == Result.DONE


@pytest.mark.parametrize(
    "labels", [{}, {LEASE: "l", ACCESSOR: "a"}, {ROLE: "app", LEASE: "l"}, {ROLE: "app"}]
)
def test_a_credential_that_would_count_as_no_generation_is_let_go(
    monkeypatch: pytest.MonkeyPatch, labels: dict[str, str]
) -> None:
    """Otherwise each cycle would make another one, with a user in the database."""
    scene, ended = Scene(()), list[str]()
    made = NewCredential({"password": "p"}, timestamp(NOW), labels, lambda: ended.append("made"))
    faulty = SimpleNamespace(prepare=lambda *_: Prepared(lambda: made))
    monkeypatch.setattr("bridge.custodian.kind_of", lambda _: faulty)
    with pytest.raises(ValueError, match="no generation"):
        scene.custodian().mint(_mint(DYNAMIC))
    assert ended == ["made"]
    assert "create_secret" not in scene.calls
