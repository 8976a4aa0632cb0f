"""Versions and values of KV v2 paths, and what an answer means where one cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

import requests

from bridge.errors import VaultError, VaultRefused
from bridge.model.reasons import Reason
from bridge.servers.vault.http import Answer, Json
from bridge.servers.vault.session import Session, data_of, missing
from bridge.sources.kv.source import KvPath


class Kv:
    """Reads KV v2 paths.

    Every method raises ``VaultUnreachable`` where Vault gives no usable answer, ``LoginRefused``
    where it does not take our credential, ``VaultRefused`` where the answer concerns one path, and
    ``Cancelled`` where there is no time left.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def metadata(self, path: KvPath, *, patient: bool = True) -> Json:
        """Read the metadata document of a KV v2 path: its versions, no values.

        Args:
            patient: Whether to try again where there is trouble that passes.

        Raises ``VaultRefused`` with the reasons ``PathMissing``, ``PermissionDenied``, ``NotKvV2``,
        ``MountMissing``, ``NamespaceMissing`` and ``VaultRefused``.
        """
        place = f"{quote(path.mount)}/metadata/{quote(path.path)}"
        try:
            answer = self._session.read(place, patient=patient)
        except Answer as error:
            raise self._refusal(error, path) from None
        return data_of(answer)

    def read_version(self, path: KvPath, version: int) -> Json:
        """Read one version: ``data`` with its fields, and ``metadata`` with its ``created_time``.

        Raises ``VaultRefused`` as ``metadata`` does, and ``VersionDeleted`` where it is gone.
        """
        place = f"{quote(path.mount)}/data/{quote(path.path)}?version={version}"
        try:
            answer = self._session.read(place)
        except Answer as error:
            if error.status == requests.codes.not_found and (error.body or {}).get("data"):
                raise VaultRefused(
                    Reason.VERSION_DELETED, f"version {version} of {path} cannot be read any more"
                ) from None
            raise self._refusal(error, path) from None
        data = data_of(answer)
        if not isinstance(data.get("data"), dict) or not isinstance(data.get("metadata"), dict):
            raise VaultRefused(Reason.VERSION_DELETED, f"version {version} of {path} has no data")
        return data

    def subkeys(self, path: KvPath, version: int) -> Json | None:
        """Read the names of a version's fields, with null in the place of each value.

        Returns:
            None where the engine does not tell them.

        Raises ``VaultRefused`` with the reason ``PermissionDenied``.
        """
        place = f"{quote(path.mount)}/subkeys/{quote(path.path)}?version={version}&depth=2"
        try:
            found = data_of(self._session.read(place)).get("subkeys")
        except Answer as error:
            if error.forbidden:
                raise VaultRefused(
                    Reason.PERMISSION_DENIED, f"our token may not see the names of {path}'s fields"
                ) from None
            return None
        return found if isinstance(found, dict) else None

    # --- answers ---------------------------------------------------------------------------------

    def _refusal(self, error: Answer, path: KvPath) -> VaultError:
        if error.status == requests.codes.forbidden:
            grant = (
                f'grant `read` on "{path.mount}/metadata/{path.path}" and'
                f' "{path.mount}/data/{path.path}"'
            )
            return VaultRefused(
                Reason.PERMISSION_DENIED,
                f"our token may not read {path}",
                hint="; or ".join(filter(None, (self._meant(path), grant))),
            )
        if error.status == requests.codes.not_found:
            return missing(error, path) or self._nothing_at(path)
        return VaultRefused(Reason.VAULT_REFUSED, f"Vault answered {error.text} for {path}")

    def _nothing_at(self, path: KvPath) -> VaultError:
        if self._kv_version(path) == "1":
            return VaultRefused(
                Reason.NOT_KV_V2,
                f"{path.mount}/ is a KV version 1 engine, which has no versions",
                hint=f"run `vault kv enable-versioning {path.mount}/`",
            )
        return VaultRefused(
            Reason.PATH_MISSING,
            f"there is nothing at {path} in Vault",
            hint=self._meant(path) or "write a version, or correct `kv.path`",
        )

    def _meant(self, path: KvPath) -> str:
        """Return in words an existing path that may be meant; empty where there is none."""
        for shorter in _without_api(path):
            place = f"{quote(shorter.mount)}/metadata/{quote(shorter.path)}"
            try:
                self._session.read_once(place)
            except (Answer, VaultError):
                continue
            keys = {"mount": (path.mount, shorter.mount), "path": (path.path, shorter.path)}
            write = (f"`{key}: {new}`" for key, (old, new) in keys.items() if new != old)
            return (
                f"write {' and '.join(write)}, which is there: a path has neither its mount in it"
                " nor the API's `data/` and `metadata/`"
            )
        return ""

    def _kv_version(self, path: KvPath) -> str:
        """Ask which KV version a mount has; a 404 is the same for both."""
        place = f"sys/internal/ui/mounts/{quote(path.mount)}/{quote(path.path)}"
        try:
            answer = self._session.http.get(place, self._session.token())
            return str((answer["data"].get("options") or {}).get("version", ""))
        except (Answer, VaultError, KeyError, TypeError, AttributeError):
            return ""


_API = ("data", "metadata")


def _without_api(path: KvPath) -> Iterator[KvPath]:
    """List what a path may be meant as that has parts of Vault's API, or its mount, in it."""
    base, _, last = path.mount.rpartition("/")
    for mount in (base if last in _API else "", path.mount):
        rest = path.path.removeprefix("v1/").removeprefix(f"{mount}/")
        first, _, below = rest.partition("/")
        for found in (below if first in _API else "", rest):
            meant = replace(path, mount=mount, path=found)
            if mount and found and meant != path:
                yield meant
