"""What the bridge asks Vault: versions and values of KV v2 paths, and what its token may do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import quote

import requests

from bridge.cancellation import Cancellation
from bridge.clock import boot_clock
from bridge.errors import VaultError, VaultRefused, VaultUnreachable
from bridge.model.desired import KvPath
from bridge.model.reasons import Reason
from bridge.model.settings import VaultSettings
from bridge.servers.vault.http import Answer, Http, Json
from bridge.servers.vault.leases import Leases
from bridge.servers.vault.login import Login, login_place
from bridge.servers.vault.session import Session, data_of, missing
from bridge.servers.vault.static import Statics


class Vault:
    """A session with one Vault: logs in when needed, keeps below ``max_rps``.

    Every method raises ``VaultUnreachable`` where Vault gives no usable answer, ``LoginRefused``
    where it does not take our credential, ``VaultRefused`` where the answer concerns one path, and
    ``Cancelled`` where there is no time left.

    Attributes:
        namespace: In which everything is asked for; empty for the root namespace.
        leases: What concerns dynamic roles of the database engine.
        statics: What concerns its static roles.
    """

    def __init__(self, settings: VaultSettings, clock: Callable[[], float] = boot_clock) -> None:
        self._http = Http(settings, clock)
        self.namespace = settings.namespace
        self._login = Login(self._http, settings.auth, clock)
        self._session = Session(self._http, self._login)
        self.leases = Leases(self._session, settings.custody, login_place(settings.auth))
        self.statics = Statics(self._session)

    def close(self) -> None:
        """Close the connections and forget the token."""
        self._http.close()
        self._login.forget()

    def heed(self, cancellation: Cancellation) -> None:
        """Let something else end its waits: it may outlive the one who uses it."""
        self._http.cancellation = cancellation

    # --- ourselves -------------------------------------------------------------------------------

    def health(self) -> Json:
        """Return ``sys/health``, which needs no token; any of its states is an answer."""
        return self._http.health()

    def is_up(self) -> bool:
        """Tell whether Vault as a whole answers, unsealed; a refused login is none of it."""
        try:
            health = self._http.health()
        except VaultUnreachable:
            return False
        return bool(health.get("initialized")) and not health.get("sealed")

    def login(self) -> None:
        """Log in, if there is no session yet."""
        self._login.token()

    def keep(self) -> None:
        """Renew or replace our token where its time has come; trouble with that is not said."""
        self._login.keep()

    @property
    def pause(self) -> float | None:
        """Seconds after which to call ``keep`` again; None where there is no hurry."""
        return self._login.pause

    @property
    def role(self) -> str:
        """Name of the AppRole that we are logged in as, where Vault has said it."""
        return self._login.role

    def credential_end(self) -> float | None:
        """Return when our own credential ends, seconds since the epoch; None where not known."""
        return self._login.credential_end()

    def may_look_at_itself(self) -> bool:
        """Tell whether our token may look itself up, by which a dead one is told from a policy."""
        return self._login.may_look_at_itself()

    def own_token(self) -> Json:
        """Return what Vault says of our token; empty where it may not look itself up."""
        try:
            return data_of(self._session.read_once("auth/token/lookup-self"))
        except Answer:
            return {}

    def capabilities(self, paths: list[str]) -> dict[str, list[str]]:
        """Ask which capabilities our token has on API paths."""
        try:
            body = {"paths": paths}
            answer = self._http.post("sys/capabilities-self", self._login.token(), body)
        except Answer as error:
            raise VaultRefused(
                Reason.PERMISSION_DENIED, f"Vault does not say our capabilities ({error.text})"
            ) from None
        data = data_of(answer)
        return {path: list(data.get(path) or ()) for path in paths}

    # --- reading ---------------------------------------------------------------------------------

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
            Reason.PATH_MISSING, f"there is nothing at {path} in Vault", hint=self._meant(path)
        )

    def _meant(self, path: KvPath) -> str:
        """Say which path is there that may be meant; empty where none is."""
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
            answer = self._http.get(place, self._login.token())
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
