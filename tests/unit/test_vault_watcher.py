"""Vault is watched beside the cycle: what is handed over, and what wakes the loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, cast

import pytest

from bridge.clock import Clock
from bridge.errors import Cancelled, VaultUnreachable
from bridge.model.settings import DockerSettings, Settings, TokenFile, VaultSettings
from bridge.model.vault_view import NOT_YET, KvDocument, Unreadable, VaultView
from bridge.servers.vault import Vault
from bridge.sources.folder import Apart, Unit
from bridge.sources.kv.source import KvPath
from bridge.vault_watcher import VaultWatcher
from tests.support.builders import created, desired_of, wanted
from tests.support.fakes import NoFolders
from tests.support.processes import PATIENCE

COUNT = 6
PATHS = [KvPath("", "kv", f"p{n}") for n in range(COUNT)]


class _Vault:
    """Answers each request only once it is let through, from any thread."""

    logins = 1

    def __init__(self) -> None:
        self.version = 1
        self.folders: NoFolders | _Lists = NoFolders()
        self.error: Exception | None = None
        self.asked: SimpleQueue[str] = SimpleQueue()
        self.let_through = threading.Event()
        self.let_through.set()
        self.sessions = 0

    @property
    def kv(self) -> _Vault:
        return self

    def beside(self) -> Vault:
        self.sessions += 1
        return cast("Vault", self)

    def disconnect(self) -> None:
        pass

    def is_up(self) -> bool:
        return self.error is None

    def metadata(self, path: KvPath, *, patient: bool = True) -> dict[str, Any]:
        del patient
        self.asked.put(path.path)
        error, document = self.error, self.document()
        assert self.let_through.wait(PATIENCE)
        if error:
            raise error
        return document

    def document(self) -> dict[str, Any]:
        versions = {"1": {"created_time": created(1)}}
        return {"created_time": created(1), "current_version": self.version, "versions": versions}

    def lists(self) -> _Lists:
        self.folders = lists = _Lists(self)
        return lists


class _Scene:
    def __init__(self, interval: float = 3600.0, max_rps: float = 1e6) -> None:
        self.vault = _Vault()
        self.clock = Clock()
        self.rung: SimpleQueue[None] = SimpleQueue()
        settings = Settings(
            vault=VaultSettings(address="http://v", auth=TokenFile(""), max_rps=max_rps),
            docker=DockerSettings("unix:///d"),
            poll_interval=interval,
        )
        desired = desired_of(secrets=[wanted(f"s{n}", path=path) for n, path in enumerate(PATHS)])
        vault = cast("Vault", self.vault)
        self.watcher = VaultWatcher(vault, self.vault.beside, desired, settings, self.clock)

    def go_on(self) -> VaultView:
        self.watcher.go_on(lambda: False)
        return self.watcher.view()

    def wait_for_ring(self) -> VaultView:
        self.rung.get(timeout=PATIENCE)
        return self.watcher.view()

    def wait_until(self, holds: Callable[[VaultView], bool]) -> VaultView:
        """Wait until the loop was woken for a view of which something holds."""
        while not holds(view := self.wait_for_ring()):
            pass
        return view

    def wait_until_rung_for(self, number: int) -> VaultView:
        """Wait until all paths are known to be at a version."""
        return self.wait_until(
            lambda view: all(
                isinstance(found, KvDocument) and found.current == number
                for found in view.paths.values()
            )
        )


@pytest.fixture
def scene() -> Iterator[_Scene]:
    scene = _Scene()
    with scene.watcher.watching(lambda: scene.rung.put(None)):
        yield scene
        scene.vault.let_through.set()


def test_a_first_look_is_waited_for_and_complete(scene: _Scene) -> None:
    view = scene.go_on()
    assert {path.path for path in PATHS} == {str(s).rpartition("/")[2] for s in view.paths}
    assert all(isinstance(found, KvDocument) for found in view.paths.values())
    assert scene.watcher.due is None


def test_the_cycle_goes_on_while_a_look_takes_long(scene: _Scene) -> None:
    """A request that hangs holds up no view: what is not known yet is said to be so."""
    scene.vault.let_through.clear()
    view = scene.go_on()
    assert set(view.paths.values()) == {NOT_YET}
    assert set(scene.go_on().paths.values()) == {NOT_YET}  # without another wait
    scene.vault.let_through.set()
    scene.wait_until_rung_for(1)


def test_only_what_is_new_wakes_the_loop() -> None:
    scene = _Scene(interval=0.2)
    with scene.watcher.watching(lambda: scene.rung.put(None)):
        first = scene.go_on()
        scene.wait_until_rung_for(1)
        while not scene.rung.empty():
            scene.rung.get()
        for _ in range(4 * COUNT):
            scene.vault.asked.get(timeout=PATIENCE)
        assert scene.rung.empty()
        scene.vault.version = 2
        view = scene.wait_until_rung_for(2)
        assert all(view.asked_at(path) > first.asked_at(path) for path in PATHS)


def test_what_was_waited_for_wakes_the_loop_though_it_is_the_same(scene: _Scene) -> None:
    scene.go_on()
    scene.wait_until_rung_for(1)
    before = scene.watcher.view().asked_at(PATHS[2])
    scene.watcher.want([PATHS[2]], 0.0)
    scene.wait_until(lambda view: view.asked_at(PATHS[2]) > before)


def test_an_answer_to_a_request_from_before_does_not_count(scene: _Scene) -> None:
    """As when this bridge rotated a static role, or another one led meanwhile."""
    scene.go_on()
    while not scene.vault.asked.empty():
        scene.vault.asked.get()
    scene.vault.let_through.clear()
    scene.watcher.want([PATHS[0]], 0.0)
    assert scene.vault.asked.get(timeout=PATIENCE) == "p0"
    scene.vault.version = 2
    scene.watcher.forget([PATHS[0]])
    assert scene.watcher.view().paths[PATHS[0]] == NOT_YET
    scene.vault.let_through.set()
    assert scene.vault.asked.get(timeout=PATIENCE) == "p0"
    view = scene.wait_until(lambda view: view.paths[PATHS[0]] != NOT_YET)
    found = view.paths[PATHS[0]]
    assert isinstance(found, KvDocument)
    assert found.current == 2


def test_an_outage_is_one_view_and_what_was_known_holds_afterwards(scene: _Scene) -> None:
    known = scene.go_on()
    scene.wait_until_rung_for(1)
    scene.vault.error = VaultUnreachable("no answer", everywhere=True)
    scene.watcher.want([PATHS[3]], 0.0)
    view = scene.wait_until(lambda view: isinstance(view.paths[PATHS[0]], Unreadable))
    assert all(isinstance(found, Unreadable) and found.everywhere for found in view.paths.values())
    assert view.again is not None
    assert view.again > scene.clock()
    scene.vault.error = None
    scene.watcher.hurry(0.0)  # as before a lease ends
    scene.wait_until(lambda view: view.paths == known.paths)


def test_nothing_is_asked_for_while_another_bridge_leads(scene: _Scene) -> None:
    scene.go_on()
    scene.watcher.pause()
    scene.wait_until_rung_for(1)
    while not scene.vault.asked.empty():
        scene.vault.asked.get()
    scene.watcher.want(PATHS, 0.0)
    with pytest.raises(Empty):
        scene.vault.asked.get(timeout=0.2)
    scene.go_on()
    assert {scene.vault.asked.get(timeout=PATIENCE) for _ in PATHS} == {p.path for p in PATHS}


def test_who_asks_from_beside_is_told_what_vault_has_now(scene: _Scene) -> None:
    """As its own look would show it, where that takes no longer than it would wait."""
    assert scene.watcher.told(PATIENCE) is None  # nothing is watched before the first cycle
    scene.go_on()
    scene.wait_until_rung_for(1)
    scene.vault.version = 2
    view = scene.watcher.told(PATIENCE)
    assert view is not None
    assert _versions(view) == [2] * COUNT
    scene.vault.error = VaultUnreachable("no answer", everywhere=True)
    view = scene.watcher.told(PATIENCE)
    assert view is not None
    assert all(isinstance(found, Unreadable) for found in view.paths.values())
    scene.watcher.pause()
    assert scene.watcher.told(PATIENCE) is None


def test_of_many_paths_it_is_told_what_is_known_and_what_is_asked_for_anew() -> None:
    scene = _Scene(max_rps=100.0)
    with scene.watcher.watching(lambda: scene.rung.put(None)):
        scene.go_on()
        scene.wait_until_rung_for(1)
        scene.vault.version = 2
        short = 0.5 * COUNT / 100.0
        view = scene.watcher.told(short)
        assert view is not None
        assert _versions(view) == [1] * COUNT
        while _versions(view := scene.watcher.told(short, [PATHS[3]]))[3] == 1:
            pass
        assert _versions(view) == [1, 1, 1, 2, 1, 1]


def _versions(view: VaultView | None) -> list[int]:
    assert view is not None
    return [found.current for found in view.paths.values() if isinstance(found, KvDocument)]


def test_a_thread_goes_on_after_an_unexpected_error(scene: _Scene) -> None:
    scene.go_on()
    scene.vault.error = RuntimeError("a mistake of ours")
    scene.watcher.want(PATHS, 0.0)
    for _ in range(2 * COUNT):
        scene.vault.asked.get(timeout=PATIENCE)
    scene.vault.error, scene.vault.version = None, 3
    scene.watcher.want(PATHS, 0.0)
    scene.wait_until_rung_for(3)


def test_threads_end_with_the_block() -> None:
    scene = _Scene()
    before = set(threading.enumerate())
    with scene.watcher.watching(lambda: None):
        scene.go_on()
        threads = set(threading.enumerate()) - before
        assert len(threads) == 4
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert scene.vault.sessions == 4


def test_without_threads_it_catches_up_in_place() -> None:
    scene = _Scene()
    view = scene.go_on()
    assert all(isinstance(found, KvDocument) for found in view.paths.values())
    due = scene.watcher.due
    assert due is not None
    assert due > scene.clock.boot()
    scene.vault.error = Cancelled("it was asked to stop")
    scene.watcher.want(PATHS, 0.0)
    with pytest.raises(Cancelled):
        scene.go_on()


def test_a_wall_clock_that_was_set_moves_all_views() -> None:
    scene = _Scene()
    view = scene.go_on()
    ahead = 0.0
    boot = scene.clock.boot
    scene.clock = clock = Clock(lambda: boot() + ahead, boot)
    watcher = scene.watcher
    watcher._clock = clock  # noqa: SLF001
    first = watcher.view()
    ahead = 7200.0
    clock.follow()
    moved = watcher.view()
    assert moved.as_of == pytest.approx(first.as_of + 7200.0)
    assert moved.paths == view.paths


class _Lists:
    """Lists folders, or says why not."""

    def __init__(self, vault: _Vault) -> None:
        self.apart: Apart | None = None
        self.asked = 0
        self._vault = vault

    def documents(
        self, _unit: Unit, names: Iterable[str], read: Callable[[Any], KvDocument], **_: bool
    ) -> dict[str, KvDocument] | Apart:
        self.asked += 1
        return self.apart or {name: read(self._vault.document()) for name in names}


def test_one_request_tells_of_a_folder_until_that_is_refused_and_after_a_login() -> None:
    scene = _Scene()
    lists = scene.vault.lists()
    view = scene.go_on()
    assert all(isinstance(found, KvDocument) for found in view.paths.values())
    assert (lists.asked, scene.vault.asked.qsize()) == (1, 0)
    lists.apart = Apart.NOT_GRANTED
    for _ in range(2):
        scene.watcher.forget_all()
        view = scene.go_on()
        assert all(isinstance(found, KvDocument) for found in view.paths.values())
    assert (lists.asked, scene.vault.asked.qsize()) == (2, 2 * COUNT)
    lists.apart = None
    scene.vault.logins += 1
    scene.watcher.forget_all()
    scene.go_on()
    assert (lists.asked, scene.vault.asked.qsize()) == (3, 2 * COUNT)


def test_the_period_is_that_of_as_many_requests_as_are_needed() -> None:
    scene = _Scene(interval=0.5, max_rps=8.0)  # of which three quarters are for watching
    lists = scene.vault.lists()
    scene.go_on()
    assert scene.watcher.period == 0.5
    lists.apart = Apart.NO_ANSWER
    scene.watcher.forget_all()
    scene.go_on()
    assert scene.watcher.period == COUNT / 6
