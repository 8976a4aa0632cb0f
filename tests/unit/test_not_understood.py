"""I8: one answer that is not understood holds up what it may concern, and no more."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.decide.cycle import decide
from bridge.model.actions import CreateSecret, RemoveSecret
from bridge.model.content.payload import Concealed
from bridge.model.desired import Desired, Retain
from bridge.model.docker_secret import DockerSecret
from bridge.model.identity import ONE_LIFE, Identity
from bridge.model.labels import (
    GOOD,
    INSTANCE,
    LAYOUT,
    NewerLayout,
    labels_of,
    must_know_layout,
)
from bridge.model.leased import lease_labels
from bridge.model.memory import Memory
from bridge.model.mirror import Mirror
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import instant
from bridge.model.vault_view import KvDocument, VaultView
from bridge.model.world import World
from bridge.observe_swarm import look_at_swarm
from bridge.observe_vault import look_at_generation, look_at_vault
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from bridge.sources.database.source import DatabaseRole
from bridge.sources.kv.source import KvPath
from bridge.sources.units import Units
from tests.support.builders import created, desired_of, document, identity, wanted
from tests.support.fakes import Clock, FakeSwarm

OTHER = KvPath("", "secret", "apps/other")
JUNK: tuple[Any, ...] = (None, 7, "junk", [], {}, [None], {"junk": None}, True)
GONE = object()
KINDS = ("services", "tasks", "nodes", "secrets")


class _Damaged:
    """A swarm that lists one object of a kind with one part of it replaced."""

    def __init__(self, fake: FakeSwarm, kind: str, place: tuple[Any, ...], junk: Any) -> None:
        self._fake = fake
        self._damage = kind, place, junk

    def __getattr__(self, name: str) -> Any:
        whole = getattr(self._fake, name)
        kind, place, junk = self._damage
        if name == kind:
            return lambda *_: _damaged(whole(), place, junk)
        return whole


def _damaged(raws: list[Any], place: tuple[Any, ...], junk: Any) -> list[Any]:
    raws = copy.deepcopy(raws)
    if not place:
        return [junk, *raws[1:]] if junk is not GONE else raws[1:]
    inner = raws[0]
    for key in place[:-1]:
        inner = inner[key]
    if junk is GONE:
        del inner[place[-1]]
    else:
        inner[place[-1]] = junk
    return raws


def _places(raw: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    items = (
        raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    )
    for key, value in items:
        yield from _places(value, (*place, key))


def _scene(on: int = 4) -> tuple[FakeSwarm, Desired]:
    """``db`` at version 4 with one to be pruned, and ``other``, which has nothing yet.

    Args:
        on: The version that the service has.
    """
    fake = FakeSwarm(Clock())
    made = {}
    for number in (4, 1, 2, 3):
        labels = {**labels_of("default", "db", identity(number)), GOOD: created(1)}
        made[number] = fake.create_secret(f"db_v{number}", Concealed(b"x"), labels)
    file = {"Name": "db", "UID": "0", "GID": "0", "Mode": 0o444}
    fake.deploy(
        "api",
        2,
        "pause",
        secrets=[{"File": file, "SecretID": made[on], "SecretName": f"db_v{on}"}],
    )
    fake.create_config("vault-bridge.default.state", b"x", {"vault-bridge.instance": "default"})
    secrets = [wanted("db", "api"), wanted("other", "api", path=OTHER)]
    return fake, desired_of(secrets=secrets, retain=Retain(2, 0.0))


def _plan(fake: Any, desired: Desired) -> tuple[SwarmView, Plan]:
    view = look_at_swarm(cast("Swarm", fake), "default", 2e9)
    vault = VaultView(as_of=2e9, paths={desired.secrets[0].source: document(4), OTHER: document(1)})
    return view, decide(desired, World(vault, view), Memory(), 2e9)


def _creates(plan: Plan) -> set[str]:
    return {a.secret for c in plan.chains for a in c if isinstance(a, CreateSecret)}


def _removes(plan: Plan) -> bool:
    return any(isinstance(a, RemoveSecret) for c in plan.chains for a in c)


def test_the_scene_prunes_when_all_is_understood() -> None:
    view, plan = _plan(*_scene())
    assert not view.unread
    assert _removes(plan)
    assert _creates(plan) == {"other"}


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_wrong_with_one_object(kind: str) -> None:
    """The look and the decision end, the other secret goes on, and nothing is removed."""
    fake, desired = _scene()
    for place in _places(getattr(fake, kind)()[0]):
        for junk in (*JUNK, GONE):
            view, plan = _plan(_Damaged(fake, kind, place, junk), desired)
            if any(unread.name or unread.kind != "secret" for unread in view.unread):
                assert _creates(plan) == {"other"}, (kind, place, junk)
            told = [h for h in plan.holds if h.reason == Reason.NOT_UNDERSTOOD and not h.secret]
            assert len(told) == bool(view.unread), (kind, place, junk)
            assert not (view.blind and _removes(plan)), (kind, place, junk)
            if view.unread and kind == "nodes":
                assert not any(task.lost for task in view.tasks), (place, junk)


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("services", ("Spec", "TaskTemplate", "ContainerSpec", "Secrets", 0, "SecretID")),
        ("services", ("Version",)),
        ("tasks", ("Spec", "ContainerSpec", "Secrets", 0)),
        ("tasks", ("Status", "State")),
        ("secrets", ("CreatedAt",)),
        ("secrets", ("Spec", "Labels")),
    ],
)
def test_what_might_use_anything_keeps_everything(kind: str, place: tuple[Any, ...]) -> None:
    """I1, I4."""
    fake, desired = _scene()
    view, plan = _plan(_Damaged(fake, kind, place, 7), desired)
    assert view.blind
    assert not _removes(plan)


@pytest.mark.parametrize("on", [4, 2])
def test_a_secret_whose_newest_version_is_not_understood_moves_nowhere(on: int) -> None:
    """Nor to the newest one that is understood."""
    fake, desired = _scene(on)
    _, plan = _plan(_Damaged(fake, "secrets", ("CreatedAt",), "junk"), desired)
    (condition,) = (c for c in plan.conditions if c.name == "db")
    assert condition.reason == Reason.NOT_UNDERSTOOD
    assert [service.reason for service in condition.services] == [Reason.NOT_UNDERSTOOD]
    assert not any("api" in action.summary for chain in plan.chains for action in chain)


def test_labels_of_a_newer_bridge_hold_the_secret_and_say_so() -> None:
    """As after a way back to an older version: it must not act on what it would misunderstand."""
    fake, desired = _scene(2)
    view, plan = _plan(_Damaged(fake, "secrets", ("Spec", "Labels", LAYOUT), "2"), desired)
    (condition,) = (c for c in plan.conditions if c.name == "db")
    assert condition.reason == Reason.NOT_UNDERSTOOD
    assert "db_v4 (its labels are of layout 2, written by a newer bridge" in condition.message
    assert "this one knows 1: update it" in condition.message
    assert view.blind
    assert not _removes(plan)
    assert _creates(plan) == {"other"}
    assert not any("api" in action.summary for chain in plan.chains for action in chain)


@pytest.mark.parametrize(
    ("instance", "layout", "known"),
    [
        ("default", "1", True),
        ("default", "2", False),
        ("default", "", False),
        ("default", "one", False),
        ("other", "2", True),
    ],
)
def test_only_layouts_of_our_own_instance_matter(instance: str, layout: str, known: bool) -> None:
    labels = {INSTANCE: instance, LAYOUT: layout}
    if known:
        must_know_layout(labels, "default")
    else:
        with pytest.raises(NewerLayout):
            must_know_layout(labels, "default")
    must_know_layout({INSTANCE: instance}, "default")  # made before layouts had a number


def test_a_state_config_that_is_not_understood_is_lost() -> None:
    """It may say that all is paused, so everything is held."""
    fake, desired = _scene()
    config = fake.config

    def damaged(name: str) -> Any:
        found = config(name)
        if found:
            found["Spec"]["Labels"] = ["junk"]
        return found

    fake.config = damaged  # type: ignore[method-assign]
    view, _ = _plan(fake, desired)
    assert not view.has_state


_METADATA = {
    "created_time": "2026-11-01T00:00:00Z",
    "current_version": 2,
    "versions": {
        "1": {"created_time": created(1), "deletion_time": "", "destroyed": False},
        "2": {"created_time": created(2), "deletion_time": created(9), "destroyed": False},
    },
}
_LIFE = {
    "ttl": 60,
    "issue_time": created(1),
    "expire_time": created(2),
    "last_renewal": created(1),
    "period": 0,
    "explicit_max_ttl": 0,
}
_JUNK = (*JUNK, GONE, -1, 1e400, "9999-99-99T00:00:00Z", "0001-01-01T00:00:00Z")


def test_whatever_is_wrong_with_one_answer_on_a_path() -> None:
    """The other path is read and decided upon."""
    fake, desired = _scene()
    swarm = look_at_swarm(cast("Swarm", fake), "default", 2e9)
    for place in _places(_METADATA):
        for junk in _JUNK:
            odd = _damaged([_METADATA], place, junk)
            answers = {"apps/db": odd[0] if odd else {}, "apps/other": _METADATA}
            kv = SimpleNamespace(metadata=lambda path, a=answers, **_: a[path.path])
            vault = SimpleNamespace(kv=kv)
            seen = look_at_vault(cast("Vault", vault), Units(desired.sources), 2e9)
            assert isinstance(seen.paths[OTHER], KvDocument), (place, junk)
            _can_be_ordered(seen.paths[desired.secrets[0].source])
            decide(desired, World(seen, swarm), Memory(), 2e9)


def _can_be_ordered(document: object) -> None:
    """Fail where a decision would only find out that a time cannot be read."""
    if isinstance(document, KvDocument):
        for time in (document.path_created, *(v.created for v in document.versions.values())):
            instant(time)


def test_whatever_is_wrong_with_an_answer_on_a_lease() -> None:
    """It is unknown, and no look fails."""
    role = DatabaseRole("", "database", "app")
    labels = labels_of("default", "db", Identity(role, ONE_LIFE, 1, created(1)))
    labels |= lease_labels(f"{role.lease_prefix}x", "accessor", "app")
    mirror = Mirror.read(DockerSecret("id-db_v1", "db_v1", 1e9, labels))
    assert mirror
    for place in _places(_LIFE):
        for junk in _JUNK:
            odd = _damaged([_LIFE], place, junk)
            answer = odd[0] if odd else {}
            leases = SimpleNamespace(
                lease=lambda _, a=answer: a,
                token=lambda _, a=answer: a,
                is_ours=lambda token, _: "id" not in token,
            )
            vault = cast("Vault", SimpleNamespace(leases=leases, namespace=""))
            look_at_generation(vault, mirror, 2e9)
