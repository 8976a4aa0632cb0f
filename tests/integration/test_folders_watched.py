"""One request tells of a whole folder, where the server lists it, and a rotation is noticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from urllib.parse import urlsplit

import pytest

from bridge.clock import Clock
from bridge.model.settings import DockerSettings, Settings, TokenFile, VaultSettings
from bridge.model.vault_view import KvDocument
from bridge.servers.vault import Vault
from bridge.sources.kv.source import KvPath
from bridge.vault_watcher import VaultWatcher
from tests.contract.sides import new_mount
from tests.support.builders import desired_of, wanted
from tests.support.lab import Lab
from tests.support.processes import PATIENCE, eventually
from tests.support.proxy import Proxy
from tests.support.vault import VaultServer

PATHS = 200
READ = 'path "{mount}/{part}/*" {{ capabilities = ["read"] }}\n'
LIST = 'path "{mount}/detailed-metadata/apps/" {{ capabilities = ["list"] }}\n'


class _Watched:
    """A mount with many paths, and a watcher of them behind a proxy."""

    def __init__(self, server: VaultServer, folder: Path, *, granted: bool) -> None:
        self.server = server
        self.mount = new_mount()
        server.mount_kv(self.mount)
        self.paths = [KvPath("", self.mount, f"apps/s{number:03d}") for number in range(PATHS)]
        for path in self.paths:
            server.write(self.mount, path.path, password="x")
        policy = f"{self.mount}-watch"
        rules = (READ + LIST * granted).format(mount=self.mount, part="metadata")
        server.policy(policy, rules)
        (folder / "token").write_text(server.make_token(policy))
        self.proxy = Proxy(server.address, folder)
        settings = Settings(
            vault=VaultSettings(
                address=self.proxy.address, auth=TokenFile(str(folder / "token")), max_rps=1e6
            ),
            docker=DockerSettings("unix:///d"),
            poll_interval=0.2,
        )
        self.vault = Vault(settings.vault)
        secrets = [wanted(f"s{number}", path=path) for number, path in enumerate(self.paths)]
        self.watcher = VaultWatcher(
            self.vault,
            lambda: Vault(settings.vault),
            desired_of(secrets=secrets),
            settings,
            Clock(),
        )
        self.rung: SimpleQueue[None] = SimpleQueue()
        self.watcher.go_on(lambda: False)

    def versions(self) -> Counter[int]:
        """Return how many paths are known to be at each version."""
        seen = self.watcher.view().paths.values()
        return Counter(found.current for found in seen if isinstance(found, KvDocument))

    def wait_for(self, versions: dict[int, int]) -> None:
        while self.versions() != versions:
            self.rung.get(timeout=PATIENCE)

    def asked(self) -> Counter[str]:
        """Return how often each part of the mount's API was asked for, and forget it."""
        paths = [urlsplit(each.path).path.split("/") for each in self.proxy.exchanges]
        self.proxy.exchanges.clear()
        return Counter(part for _, _, mount, part, *_ in paths if mount == self.mount)

    def close(self) -> None:
        self.vault.close()
        self.proxy.close()
        self.server.unmount(self.mount)


@pytest.fixture
def watched(
    request: pytest.FixtureRequest, vault: VaultServer, tmp_path: Path
) -> Iterator[_Watched]:
    made = _Watched(vault, tmp_path, granted=request.param)
    yield made
    made.close()


@pytest.mark.parametrize("watched", [True], indirect=True)
def test_200_paths_are_one_request_and_a_write_is_noticed(watched: _Watched) -> None:
    first = watched.asked()
    if "metadata" in first:
        pytest.skip("this Vault lists no metadata of folders")
    assert first["detailed-metadata"] == 1
    with watched.watcher.watching(lambda: watched.rung.put(None)):
        watched.wait_for({1: PATHS})
        watched.server.write(watched.mount, "apps/s123", password="y")
        watched.wait_for({1: PATHS - 1, 2: 1})
        rounds = watched.asked()
    assert rounds.keys() == {"detailed-metadata"}


@pytest.mark.parametrize("watched", [False], indirect=True)
def test_without_the_right_each_path_is_asked_for_by_itself(watched: _Watched) -> None:
    """One list is tried, and no other; a write is noticed all the same."""
    first = watched.asked()
    assert first["detailed-metadata"] == 1
    assert first["metadata"] == PATHS
    with watched.watcher.watching(lambda: watched.rung.put(None)):
        watched.server.write(watched.mount, "apps/s123", password="y")
        watched.wait_for({1: PATHS - 1, 2: 1})
    assert watched.asked().keys() == {"metadata"}


def test_a_rotation_in_a_folder_that_is_listed(lab: Lab) -> None:
    """From the list to the service, without a read of any path's metadata."""
    proxy, engine = lab.through_proxies()
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {}}, kv={"path": "apps/db"})
    for name in ("a", "b", "c"):
        lab.secret(name, {}, kv={"path": f"apps/{name}"})
        lab.rotate(f"apps/{name}")
    lab.rotate("apps/db")
    lab.sync()
    if any(f"/{lab.mount}/metadata/" in each.path for each in proxy.exchanges):
        pytest.skip("this Vault lists no metadata of folders")
    bridge = lab.start()
    eventually(lambda: lab.versions("db") == {1})
    value = lab.rotate("apps/db")
    eventually(lambda: lab.swarm.read(lab.name("api"), lab.name("db")) == [value])
    assert bridge.stop() == 0
    assert lab.updates(engine, "api") == 2
    paths = {urlsplit(each.path).path.removeprefix(f"/v1/{lab.mount}/") for each in proxy.exchanges}
    kv = {path for path in paths if not path.startswith("/v1/")}
    assert kv == {"detailed-metadata/apps/"} | {f"data/apps/{name}" for name in ("db", *"abc")}
