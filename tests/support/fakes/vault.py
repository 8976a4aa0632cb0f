"""A Vault in memory: KV v2 here, its database engine in ``leases``."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from bridge.errors import VaultRefused, VaultUnreachable
from bridge.model.reasons import Reason
from bridge.model.vault_view import Document
from bridge.servers.vault.folders import Read
from bridge.sources.folder import Apart, Page, Unit
from bridge.sources.kv.source import KvPath
from tests.support.fakes.leases import FakeLeases
from tests.support.fakes.store import Clock, Json, copied


class FakeVault:
    """KV v2 paths with versions that can be written, deleted and begun anew.

    Attributes:
        leases: What concerns the database engine.
        folders: What concerns many paths at once.
        logins: How often the bridge has logged in.
    """

    def __init__(self, clock: Clock) -> None:
        self.namespace = ""
        self._clock = clock
        self._ticks = itertools.count(1)
        self.documents: dict[str, Json] = {}
        self.values: dict[tuple[str, int], str] = {}
        self.leases = FakeLeases(clock)
        self.folders = FakeFolders(self)
        self.logins = 1

    @property
    def kv(self) -> FakeVault:
        """What concerns KV v2 paths, all of which is here."""
        return self

    @property
    def away(self) -> bool:
        """Whether it does not answer at all."""
        return self.leases.away

    @away.setter
    def away(self, away: bool) -> None:
        self.leases.away = away

    def _time(self) -> str:
        """Return a time that is never the same twice."""
        return self._clock.text.replace("Z", f".{next(self._ticks):09d}Z")

    def heed(self, _cancellation: object) -> None:
        """Answer at once, so that there is nothing to give up."""

    # --- what the bridge calls -------------------------------------------------------------------

    def metadata(self, path: KvPath, *, patient: bool = True) -> Json:
        """As the real one."""
        if self.away:
            raise VaultUnreachable("no answer", everywhere=True)
        if path.path not in self.documents:
            raise VaultRefused(Reason.PATH_MISSING, f"there is nothing at {path} in Vault")
        return copied(self.documents[path.path])

    def read_version(self, path: KvPath, version: int) -> Json:
        """As the real one: what was deleted is told from what never was."""
        entry = self.metadata(path)["versions"].get(str(version))
        if entry is None:
            raise VaultRefused(Reason.PATH_MISSING, f"there is nothing at {path} in Vault")
        if entry["deletion_time"] or entry["destroyed"]:
            raise VaultRefused(
                Reason.VERSION_DELETED, f"version {version} of {path} cannot be read any more"
            )
        value = self.values[path.path, version]
        return {"data": {"password": value}, "metadata": {**entry, "version": version}}

    def is_up(self) -> bool:
        """As the real one."""
        return not self.away

    # --- what the security team does -------------------------------------------------------------

    def write(self, path: str, value: str) -> int:
        """Write a version; returns its number."""
        now = self._time()
        document = self.documents.setdefault(
            path, {"created_time": now, "current_version": 0, "versions": {}}
        )
        number = int(document["current_version"]) + 1
        document["current_version"] = number
        entry = {"created_time": now, "deletion_time": "", "destroyed": False}
        document["versions"][str(number)] = entry
        self.values[path, number] = value
        return number

    def current(self, path: str) -> int:
        """Return the number of the latest version; 0 where there is none."""
        return int(self.documents.get(path, {}).get("current_version", 0))

    def delete(self, path: str, version: int) -> None:
        """Delete a version so that it can be brought back; Vault answers success whatever it is."""
        entry = self._entry(path, version)
        if entry and not entry["destroyed"]:
            entry["deletion_time"] = self._clock.text

    def undelete(self, path: str, version: int) -> None:
        """Bring a deleted version back; a destroyed one stays so."""
        entry = self._entry(path, version)
        if entry and not entry["destroyed"]:
            entry["deletion_time"] = ""

    def destroy(self, path: str, version: int) -> None:
        """Destroy a version's value for good."""
        entry = self._entry(path, version)
        if entry:
            entry["destroyed"] = True
            self.values.pop((path, version), None)

    def delete_metadata(self, path: str) -> None:
        """Remove a path with all its versions; what is written there next is a new document."""
        self.documents.pop(path, None)
        for place in [place for place in self.values if place[0] == path]:
            del self.values[place]

    def _entry(self, path: str, version: int) -> Json | None:
        versions: Json = self.documents.get(path, {}).get("versions", {})
        return versions.get(str(version))


class FakeFolders:
    """Lists the metadata of folders.

    Attributes:
        apart: Why it does not; None where it does.
    """

    def __init__(self, vault: FakeVault) -> None:
        self._vault = vault
        self.apart: Apart | None = None

    def documents(
        self, unit: Unit, names: Sequence[str], read: Read, *, patient: bool = True
    ) -> Mapping[str, Document] | Apart:
        """As the real one."""
        assert unit.folder
        if self._vault.away:
            raise VaultUnreachable("no answer", everywhere=True)
        if self.apart:
            return self.apart
        below = f"{unit.folder.path}/" if unit.folder.path else ""
        listed = {name: self._vault.documents.get(below + name) for name in names}
        found = {name: read(copied(raw)) for name, raw in listed.items() if raw is not None}
        if len(found) <= 1:
            return Apart.COSTLIER
        unit.pages[""] = Page(b"", found, names[-1], len(found))
        return found


class NoFolders:
    """Lists nothing, as HashiCorp's Vault."""

    @staticmethod
    def documents(*_: object, **__: object) -> Apart:
        """Say so."""
        return Apart.NOT_OFFERED
