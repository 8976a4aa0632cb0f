"""Metadata of whole folders, where the server lists them: all that the paths themselves tell."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest

from bridge.model.reasons import Reason
from bridge.model.settings import TokenFile, VaultSettings
from bridge.model.vault_view import Document, KvDocument, Unreadable
from bridge.observe_vault import look_at
from bridge.servers.vault import Vault, folders
from bridge.sources.folder import Apart, Unit
from bridge.sources.kv.kind import Kv
from bridge.sources.kv.source import KvPath
from bridge.sources.units import units_of
from tests.contract.sides import new_mount
from tests.support.fakes import Clock, FakeVault
from tests.support.processes import eventually
from tests.support.proxy import Proxy
from tests.support.vault import VaultServer

NAMES = (
    *("db", "a b", "ü", "日本", "\U0001f600", "p%q", "p%2Fq", "plus+x", "q?x=1", "h#x", "b&c=d"),
    *(
        "quo'te",
        'quo"te',
        "back\\slash",
        "eins:zwei",
        "@at",
        "~tilde",
        "x,y;z",
        "dots...x",
        "Z",
        "z",
    ),
)


class FolderSide(ABC):
    """A KV v2 mount, with what a security team does there."""

    def __init__(self, client: Vault, mount: str) -> None:
        self.client = client
        self.mount = mount

    def unit(self, *paths: str) -> Unit:
        """Return the one unit that paths are."""
        (unit,) = units_of(KvPath("", self.mount, path) for path in paths)
        return unit

    def look(self, unit: Unit) -> Mapping[str, Document | Unreadable]:
        """Look at a unit; returns what is listed, by path."""
        seen = look_at(self.client, unit, patient=True)
        assert not isinstance(seen, Apart), seen
        return {source.place: found for source, found in seen.items()}

    def alone(self, path: str) -> Document | Unreadable:
        """Return what a look at one path alone returns."""
        unit = Unit((KvPath("", self.mount, path),))
        seen = look_at(self.client, unit, patient=True)
        assert not isinstance(seen, Apart)
        return seen[unit.sources[0]]

    @abstractmethod
    def write(self, *paths: str) -> None:
        """Write a version of each path."""

    @abstractmethod
    def delete(self, path: str, version: int) -> None:
        """Delete a version."""

    @abstractmethod
    def destroy(self, path: str, version: int) -> None:
        """Destroy a version."""

    @abstractmethod
    def delete_metadata(self, path: str) -> None:
        """Remove a path."""

    @abstractmethod
    def close(self) -> None:
        """Take everything away."""


class FoldersInMemory(FolderSide):
    """The fake."""

    def __init__(self) -> None:
        self.fake = FakeVault(Clock())
        super().__init__(cast("Vault", self.fake), "kv")

    def write(self, *paths: str) -> None:
        for path in paths:
            self.fake.write(path, "x")

    def delete(self, path: str, version: int) -> None:
        self.fake.delete(path, version)

    def destroy(self, path: str, version: int) -> None:
        self.fake.destroy(path, version)

    def delete_metadata(self, path: str) -> None:
        self.fake.delete_metadata(path)

    def close(self) -> None:
        """Nothing is left."""


class RealFolders(FolderSide):
    """A real server, behind a proxy that notes what it is asked.

    Skips the test where that server lists no folders, as HashiCorp's own.
    """

    def __init__(self, server: VaultServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.proxy = Proxy(server.address, folder)
        mount = new_mount()
        super().__init__(self.session(server.token), mount)
        server.mount_kv(mount)
        self.write("probe/a", "probe/b", "probe/c")
        probe = look_at(self.client, self.unit("probe/a", "probe/b", "probe/c"), patient=True)
        if probe == Apart.NOT_OFFERED:
            self.close()
            pytest.skip("this Vault lists no metadata of folders")
        self.proxy.exchanges.clear()

    def session(self, token: str, namespace: str = "") -> Vault:
        """Return a session with a token."""
        file = self.folder / f"token-{len(list(self.folder.iterdir()))}"
        file.write_text(token)
        auth, address = TokenFile(str(file)), self.proxy.address
        return Vault(VaultSettings(address=address, auth=auth, namespace=namespace, max_rps=1e6))

    def asked(self) -> list[str]:
        """Return the lists that were asked for, and forget them."""
        paths = [each.path for each in self.proxy.exchanges if "detailed-metadata" in each.path]
        self.proxy.exchanges.clear()
        return paths

    def write(self, *paths: str) -> None:
        for path in paths:
            self.server.write(self.mount, quote(path), password="x")

    def delete(self, path: str, version: int) -> None:
        self.server.call("POST", f"{self.mount}/delete/{quote(path)}", {"versions": [version]})

    def destroy(self, path: str, version: int) -> None:
        self.server.call("PUT", f"{self.mount}/destroy/{quote(path)}", {"versions": [version]})

    def delete_metadata(self, path: str) -> None:
        self.server.call("DELETE", f"{self.mount}/metadata/{quote(path)}")

    def close(self) -> None:
        self.server.unmount(self.mount)
        self.client.close()
        self.proxy.close()


@pytest.fixture(params=["fake", "real"])
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FolderSide]:
    made: FolderSide = FoldersInMemory()
    if request.param == "real":
        made = RealFolders(request.getfixturevalue("vault"), tmp_path)
    yield made
    made.close()


@pytest.fixture
def real(vault: VaultServer, tmp_path: Path) -> Iterator[RealFolders]:
    made = RealFolders(vault, tmp_path)
    yield made
    made.close()


# --- over both sides ------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["", "apps/", "apps/a b/ü%+/"])
def test_a_list_tells_of_names_of_any_kind_what_the_paths_tell(
    side: FolderSide, folder: str
) -> None:
    paths = [folder + name for name in NAMES]
    side.write(*paths, *paths[::2])
    seen = side.look(side.unit(*paths))
    assert seen == {path: side.alone(path) for path in paths}
    assert all(isinstance(found, KvDocument) for found in seen.values())


def test_folders_below_and_neighbours_are_not_taken_for_a_path(side: FolderSide) -> None:
    """A folder may have the name of a path; it is listed beside it."""
    side.write("apps/a", "apps/b", "apps/b/deep", "apps/c/deep", "apps/d", "apps/e", "c")
    paths = ["apps/a", "apps/b", "apps/c", "apps/d"]
    seen = side.look(side.unit(*paths))
    assert seen == {path: side.alone(path) for path in paths}
    found = seen["apps/c"]
    assert isinstance(found, Unreadable)
    assert found.reason == Reason.PATH_MISSING


def test_each_folder_has_a_list_of_its_own(side: FolderSide) -> None:
    paths = [f"{folder}{name}" for folder in ("", "a/", "a/b/") for name in ("x", "y", "z")]
    side.write(*paths)
    units = units_of(KvPath("", side.mount, path) for path in paths)
    assert len(units) == 3
    for unit in units:
        assert set(side.look(unit)) == {source.place for source in unit}


def test_a_list_tells_what_became_of_versions(side: FolderSide) -> None:
    paths = [f"apps/{name}" for name in "abcd"]
    side.write(*paths, *paths)
    side.delete("apps/a", 2)
    side.destroy("apps/b", 1)
    side.delete_metadata("apps/d")
    seen = side.look(side.unit(*paths))
    assert seen == {path: side.alone(path) for path in paths}
    a, b = seen["apps/a"], seen["apps/b"]
    assert isinstance(a, KvDocument)
    assert isinstance(b, KvDocument)
    assert isinstance(seen["apps/d"], Unreadable)
    assert a.versions[2].deletion_time is not None
    assert b.versions[1].destroyed


def test_a_new_version_is_seen_in_the_next_list_and_the_rest_is_the_same(side: FolderSide) -> None:
    paths = [f"apps/{name}" for name in "abc"]
    side.write(*paths)
    unit = side.unit(*paths)
    before = side.look(unit)
    assert side.look(unit) == before
    side.write("apps/b")
    after = side.look(unit)
    assert {path for path in paths if after[path] != before[path]} == {"apps/b"}
    changed = after["apps/b"]
    assert isinstance(changed, KvDocument)
    assert changed.current == 2


@pytest.mark.parametrize("written", [[], ["apps/b"]])
def test_a_list_that_tells_of_none_or_one_is_not_worth_it(
    side: FolderSide, written: list[str]
) -> None:
    side.write(*written)
    unit = side.unit("apps/a", "apps/b", "apps/c")
    assert look_at(side.client, unit, patient=True) == Apart.COSTLIER


# --- the real server ------------------------------------------------------------------------------


def test_what_is_the_same_is_not_read_again(real: RealFolders) -> None:
    """Only a document that changed is a new object, and an equal answer is not parsed at all."""
    names = tuple(f"s{number:02d}" for number in range(20))
    real.write(*(f"apps/{name}" for name in names))
    unit = real.unit(*(f"apps/{name}" for name in names))
    read: list[object] = []

    def count(raw: Mapping[str, Any]) -> Document:
        read.append(raw)
        return KvDocument(raw["created_time"], raw["current_version"], {})

    def look() -> Mapping[str, Document]:
        read.clear()
        found = real.client.folders.documents(unit, names, count)
        assert not isinstance(found, Apart)
        return found

    first = look()
    assert len(read) == 20
    again = look()
    assert not read
    real.write("apps/s07")
    changed = look()
    assert len(read) == 20
    assert all(again[name] is first[name] for name in names)
    assert [name for name in names if changed[name] is not first[name]] == ["s07"]
    assert len(real.asked()) == 3


def test_a_long_folder_is_listed_page_by_page(
    real: RealFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "PAGE", 4)
    paths = [f"apps/{name}" for name in NAMES]
    real.write(*paths)
    unit = real.unit(*paths)
    for _ in range(2):
        assert set(real.look(unit)) == set(paths)
        asked = real.asked()
        assert len(asked) == len(unit.pages) == -(-len(NAMES) // 4)
        assert all("limit=4&" in path for path in asked)


def test_what_lies_between_is_passed_over(
    real: RealFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """60 neighbours between two parts of a folder, and as many before and behind."""
    monkeypatch.setattr(folders, "PAGE", 10)
    wanted = [f"{first}{number:02d}" for first in "bd" for number in range(9)]
    real.write(*wanted, *(f"{first}{number:02d}" for first in "ace" for number in range(60)))
    assert set(real.look(real.unit(*wanted))) == set(wanted)
    assert len(real.asked()) == 2


def test_few_among_many_are_cheaper_one_by_one(real: RealFolders) -> None:
    wanted = ["apps/a00", "apps/a40", "apps/a79"]
    real.write(*(f"apps/a{number:02d}" for number in range(80)))
    assert look_at(real.client, real.unit(*wanted), patient=True) == Apart.COSTLIER
    assert len(real.asked()) == 1


def test_the_line_that_is_printed_grants_one_folder(real: RealFolders) -> None:
    """With the root of the mount too. Without it, Vault's answer is learnt and nothing else."""
    paths = ["", "apps/", "apps/deep/"]
    units = [real.unit(*(folder + name for name in "abc")) for folder in paths]
    for unit in units:
        real.write(*(source.place for source in unit))
    everything = [(real.mount, "metadata", "read"), ("auth/token", "lookup-self", "read")]
    read = "\n".join(f'path "{a}/{b}*" {{ capabilities = ["{c}"] }}' for a, b, c in everything)
    policy = f"{real.mount}-folders"
    for granted, unit in enumerate(units):
        assert unit.folder
        (rule,) = Kv().folder_rules(unit.folder)
        real.server.policy(policy, f"{read}\n{rule.hcl}")
        client = real.session(real.server.make_token(policy))
        for number, each in enumerate(units):
            seen = look_at(client, each, patient=True)
            if number == granted:
                assert not isinstance(seen, Apart)
                assert set(seen) == set(each)
            else:
                assert seen == Apart.NOT_GRANTED
        client.close()


@contextmanager
def _namespace(server: VaultServer, name: str) -> Iterator[str]:
    server.put(f"sys/namespaces/{name}")
    yield name
    server.call("DELETE", f"sys/namespaces/{name}")


def test_a_folder_in_a_namespace(real: RealFolders) -> None:
    with _namespace(real.server, f"ns-{real.mount}") as namespace:
        mount = f"{namespace}/kv"
        real.server.put(f"{namespace}/sys/mounts/kv", type="kv", options={"version": "2"})
        eventually(lambda: real.server.takes_writes(mount))
        for name in "abc":
            real.server.write(mount, f"apps/{name}", password="x")
        (unit,) = units_of(KvPath(namespace, "kv", f"apps/{name}") for name in "abc")
        client = real.session(real.server.token, namespace)
        seen = look_at(client, unit, patient=True)
        client.close()
        elsewhere = real.session(real.server.token, f"{namespace}-not")
        (unit,) = units_of(KvPath(f"{namespace}-not", "kv", f"apps/{name}") for name in "abc")
        missing = look_at(elsewhere, unit, patient=True)
        elsewhere.close()
    assert not isinstance(seen, Apart)
    assert all(isinstance(found, KvDocument) for found in seen.values())
    assert missing == Apart.NO_ANSWER


def test_a_mount_that_is_not_there_and_one_of_version_1(real: RealFolders) -> None:
    """What is wrong is told by the look at each path."""
    old = f"{real.mount}-v1"
    real.server.mount_kv(old, version=1)
    for name in "abc":
        real.server.call("PUT", f"{old}/detailed-metadata/apps/{name}", {"password": "x"})
    for mount in (old, f"{real.mount}-no"):
        for folder in ("apps", "none"):
            (unit,) = units_of(KvPath("", mount, f"{folder}/{name}") for name in "abc")
            assert look_at(real.client, unit, patient=True) == Apart.NO_ANSWER
    real.server.unmount(old)


def test_many_units_of_one_folder_join_without_a_gap(
    real: RealFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.sources.units.MOST", 4)
    monkeypatch.setattr(folders, "PAGE", 5)
    paths = [f"apps/{name}" for name in NAMES]
    real.write(*paths)
    units = units_of(KvPath("", real.mount, path) for path in paths)
    assert len(units) == -(-len(NAMES) // 4)
    seen = [set(real.look(unit)) for unit in units]
    assert sorted(itertools.chain.from_iterable(seen)) == sorted(paths)
    assert len(real.asked()) == len(units)
