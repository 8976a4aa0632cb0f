"""Looks at the swarm between events: what is asked again, and what is never missed for long."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, cast

import pytest

from bridge.clock import Clock as TwoClocks
from bridge.errors import NotGranted, SwarmUnreachable
from bridge.model.content.payload import Concealed
from bridge.model.labels import GOOD
from bridge.model.leadership import lease_config_name
from bridge.model.names import state_config_name
from bridge.model.swarm_view import SwarmView
from bridge.observe_swarm import look_at_swarm
from bridge.servers.swarm import Swarm
from bridge.swarm_cache import MOST_SECRETS, WHOLE
from bridge.watch_swarm import SwarmWatch
from tests.support.builders import secret_of
from tests.support.fakes import Clock, FakeSwarm, Json

EVERYTHING = ["services", "tasks", "nodes", "secrets", "config", "services"]
ONE_SERVICE = ["services", "tasks", "services"]


class _Scene:
    """Some services, one of which has a good version of a secret, and a bridge that looks."""

    def __init__(self, instance: str = "default") -> None:
        self.clock = Clock()
        self.swarm = FakeSwarm(self.clock)
        self.secret = self.mirror(1, labels={GOOD: self.clock.text})
        self.api = self.swarm.deploy("api", 2, "pause", secrets=[reference(self.secret, 1)])
        self.web = self.swarm.deploy("web", 1, "pause")
        clock = TwoClocks(self.clock, self.clock)
        self.watch = SwarmWatch(cast("Swarm", self.swarm), instance, clock)
        self.watch.cache.opened()
        self.look()

    def mirror(self, version: int, **more: Any) -> str:
        made = secret_of(version, **more)
        return self.swarm.create_secret(made.name, Concealed(b"x"), made.labels)

    def tell(self) -> None:
        """Let the bridge hear all events up to now."""
        for event in self.swarm.happened():
            self.watch.cache.heard(event)

    def look(self, *, told: bool = True) -> SwarmView:
        """Look, and forget what was asked before."""
        if told:
            self.tell()
        del self.swarm.asked[:]
        return self.watch.look()

    def truth(self) -> SwarmView:
        return look_at_swarm(cast("Swarm", self.swarm), "default", self.clock())


def reference(secret_id: str, version: int) -> Json:
    file = {"Name": "db", "UID": "0", "GID": "0", "Mode": 0o444}
    return {"File": file, "SecretID": secret_id, "SecretName": f"db_v{version}"}


@pytest.fixture
def scene() -> _Scene:
    return _Scene()


def _same(view: SwarmView, truth: SwarmView) -> bool:
    """Return whether two views show the same, in whatever order."""
    parts = ("secrets", "services", "tasks")
    same = all(
        {each.id: each for each in getattr(view, part)}
        == {each.id: each for each in getattr(truth, part)}
        for part in parts
    )
    return same and (view.has_state, view.pauses, view.unclear, view.nodes) == (
        truth.has_state,
        truth.pauses,
        truth.unclear,
        truth.nodes,
    )


def test_where_nothing_happens_nothing_is_asked(scene: _Scene) -> None:
    before = scene.look()
    assert scene.swarm.asked == []
    scene.clock.now += WHOLE / 2
    assert scene.look() == before
    assert scene.swarm.asked == []
    assert not scene.watch.is_whole


def test_only_what_an_event_told_of_is_asked(scene: _Scene) -> None:
    added = scene.mirror(2)
    view = scene.look()
    assert scene.swarm.asked == ["secret"]
    assert added in view.secret_by_id
    assert _same(view, scene.truth())
    scene.swarm.set_secret_labels(added, _index(scene, added), "db_v2", {})
    view = scene.look()
    assert scene.swarm.asked == ["secret"]
    assert view.secret_by_id[added].labels == {}
    scene.swarm.edit(scene.web, lambda spec: spec.update(Labels={"a": "b"}))
    view = scene.look()
    assert scene.swarm.asked == ONE_SERVICE
    assert _same(view, scene.truth())


def _index(scene: _Scene, secret_id: str) -> int:
    return int(scene.swarm.secret(secret_id)["Version"]["Index"])


def test_a_docker_secret_that_was_removed_is_gone(scene: _Scene) -> None:
    added = scene.mirror(2)
    assert added in scene.look().secret_by_id
    scene.swarm.remove_secret(added)
    view = scene.look()
    assert scene.swarm.asked == ["secret"]
    assert added not in view.secret_by_id


def test_what_rolls_is_asked_at_each_look_since_tasks_change_without_an_event(
    scene: _Scene,
) -> None:
    began = scene.clock.now
    scene.swarm.unplaced.add("api")
    _point(scene, scene.api, scene.mirror(2))
    scene.look()
    for _ in range(3):
        scene.swarm.tick()
        view = scene.look(told=False)
        assert scene.swarm.asked == ONE_SERVICE
        assert _same(view, scene.truth())
    scene.swarm.unplaced.clear()
    for _ in range(9):
        scene.swarm.tick()
        view = scene.look()
        assert scene.swarm.asked == ONE_SERVICE  # its version is not good yet
        assert _same(view, scene.truth())
    assert view.as_of == began  # that of the oldest that it shows


def _point(scene: _Scene, service_id: str, secret_id: str) -> None:
    """Let a service refer to version 2."""

    def change(spec: Json) -> None:
        spec["TaskTemplate"]["ContainerSpec"]["Secrets"] = [reference(secret_id, 2)]

    scene.swarm.edit(service_id, change)


def test_events_in_the_middle_of_a_look_count_for_the_next_one(scene: _Scene) -> None:
    """The services were listed by then."""
    listed = scene.swarm.tasks
    added: list[str] = []

    def tasks(services: Collection[str] = ()) -> list[Json]:
        if not added:
            added.append(scene.mirror(2))
            _point(scene, scene.api, added[0])
            scene.tell()
        return listed(services)

    scene.swarm.edit(scene.api, lambda spec: spec.update(Labels={"a": "b"}))
    scene.tell()
    scene.swarm.tasks = tasks  # type: ignore[method-assign]
    view = scene.look(told=False)
    assert view.service_by_id[scene.api].torn
    assert added[0] not in view.secret_by_id
    view = scene.look(told=False)
    assert _same(view, scene.truth())
    assert not scene.watch.is_whole


@pytest.mark.parametrize(
    "happens",
    [
        lambda s: s.watch.cache.closed(),
        lambda s: s.watch.cache.opened(),
        lambda s: s.watch.cache.heard({"Type": "plugin"}),
        lambda s: s.watch.cache.heard(cast("Any", ["no event"])),
        lambda s: s.watch.cache.forget(),
        lambda s: s.swarm.node_down("n1"),
        lambda s: s.swarm.remove_service(s.web),
    ],
)
def test_everything_is_looked_at_where_events_do_not_tell_enough(
    scene: _Scene, happens: Callable[[_Scene], None]
) -> None:
    happens(scene)
    view = scene.look()
    assert scene.swarm.asked == EVERYTHING
    assert scene.watch.is_whole
    assert _same(view, scene.truth())


def test_without_a_stream_of_events_each_look_is_whole(scene: _Scene) -> None:
    scene.watch.cache.closed()
    for _ in range(3):
        scene.look()
        assert scene.swarm.asked == EVERYTHING
    scene.watch.cache.opened()
    scene.look()
    assert scene.swarm.asked == EVERYTHING
    scene.look()
    assert scene.swarm.asked == []


def test_an_event_that_was_lost_is_made_up_for(scene: _Scene) -> None:
    """The engine may lose some when another manager leads."""
    scene.swarm.edit(scene.api, lambda spec: spec.update(Labels={"a": "b"}))
    scene.swarm.happened()
    scene.clock.now += WHOLE - 1
    scene.look(told=False)
    assert scene.swarm.asked == []
    scene.clock.now += 1
    view = scene.look(told=False)
    assert scene.swarm.asked == EVERYTHING
    assert _same(view, scene.truth())


@pytest.mark.parametrize("kind", ["service", "secret"])
def test_an_object_that_is_older_than_before_lets_all_be_looked_at(
    scene: _Scene, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The swarm was restored from a backup, or a manager answers that lags."""
    old = {"Version": {"Index": 1}}
    services, secret = scene.swarm.services, scene.swarm.secret
    if kind == "service":
        older: Any = lambda ids=(): [raw | old for raw in services(ids)]  # noqa: E731
        monkeypatch.setattr(scene.swarm, "services", older)
    else:
        monkeypatch.setattr(scene.swarm, "secret", lambda one: secret(one) | old)
    found = scene.api if kind == "service" else scene.secret
    event = {"Type": kind, "Action": "update", "Actor": {"ID": found}}
    scene.watch.cache.heard(event)
    scene.look()
    assert scene.watch.is_whole
    scene.watch.cache.heard(event)
    scene.look()
    assert scene.watch.is_whole is (kind == "secret")  # the whole look took the older one for true


def test_a_service_that_went_without_an_event_lets_all_be_looked_at(scene: _Scene) -> None:
    _point(scene, scene.api, scene.mirror(2))
    scene.look()
    scene.swarm.remove_service(scene.api)
    view = scene.look(told=False)
    assert scene.watch.is_whole
    assert scene.api not in view.service_by_id
    assert any(task.service_id == scene.api for task in view.tasks)


def test_a_look_that_broke_off_is_begun_anew_with_everything(
    scene: _Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: object) -> Json:
        raise SwarmUnreachable("away")

    scene.mirror(2)
    with monkeypatch.context() as patch:
        patch.setattr(scene.swarm, "secret", away)
        with pytest.raises(SwarmUnreachable):
            scene.look()
    assert _same(scene.look(), scene.truth())
    assert scene.watch.is_whole


def test_a_proxy_that_grants_no_question_for_single_objects_is_asked_once(
    scene: _Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def denied(secret_id: str) -> Json:
        asked.append(secret_id)
        raise NotGranted("no")

    monkeypatch.setattr(scene.swarm, "secret", denied)
    scene.mirror(2)
    assert _same(scene.look(), scene.truth())
    scene.mirror(3)
    assert _same(scene.look(), scene.truth())
    assert len(asked) == 1


def test_where_very_much_has_changed_all_is_listed(scene: _Scene) -> None:
    for version in range(2, 2 + MOST_SECRETS):
        scene.mirror(version)
    scene.look()
    assert set(scene.swarm.asked) == {"secret"}
    for version in range(100, 101 + MOST_SECRETS):
        scene.mirror(version)
    view = scene.look()
    assert scene.swarm.asked == EVERYTHING
    assert _same(view, scene.truth())


def test_only_our_own_state_config_matters(scene: _Scene) -> None:
    for name in (state_config_name("other"), lease_config_name("default")):
        scene.swarm.create_config(name, b"x", {})
        scene.look()
        assert scene.swarm.asked == []
    scene.swarm.create_config(state_config_name("default"), b"x", {"vault-bridge.pause": "{}"})
    view = scene.look()
    assert scene.swarm.asked == ["config"]
    assert view.has_state


def test_what_another_bridge_rolls_is_not_asked_for_at_each_look() -> None:
    """Its Docker secrets are seen all the same: nothing of theirs is ever outdated for long."""
    scene = _Scene("other")
    scene.swarm.unplaced.add("api")
    _point(scene, scene.api, scene.mirror(2))
    scene.look()
    scene.swarm.tick()
    scene.look(told=False)
    assert scene.swarm.asked == []


def test_a_bridge_that_stands_by_keeps_nothing_of_what_it_hears(scene: _Scene) -> None:
    """It does not look for weeks."""
    for number in range(10_000):
        event = {"Type": "secret", "Action": "create", "Actor": {"ID": f"s{number}"}}
        scene.watch.cache.heard(event)
    outdated = scene.watch.cache._outdated  # noqa: SLF001
    assert len(outdated.secrets) <= MOST_SECRETS
    scene.look()
    assert scene.swarm.asked == EVERYTHING
