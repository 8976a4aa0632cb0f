"""What the bridge asks Vault: versions and values of KV v2 paths, and what its token may do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from bridge.errors import VaultError, VaultRefused, VaultUnreachable
from bridge.model.desired import KvPath
from bridge.model.reasons import Reason
from bridge.model.settings import VaultSettings
from bridge.servers.vault.http import Answer, Http, Json
from bridge.servers.vault.login import Login

READ_TRIES = 3
SHORT = 2.0
"""Seconds; where Vault asks for a longer wait, the read is given up until the next look."""


class Vault:
    """A session with one Vault: logs in when needed, keeps below ``max_rps``.

    Every method raises ``VaultUnreachable`` where Vault gives no usable answer, ``LoginRefused``
    where it does not take our credential, and ``VaultRefused`` where the answer concerns one path.
    """

    def __init__(
        self, settings: VaultSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._http = Http(settings, clock)
        self._login = Login(self._http, settings.auth, clock)

    def close(self) -> None:
        """Close the connections and forget the token."""
        self._http.close()
        self._login.forget()

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

    def capabilities(self, paths: list[str]) -> dict[str, list[str]]:
        """Ask which capabilities our token has on API paths."""
        try:
            body = {"paths": paths}
            answer = self._http.post("sys/capabilities-self", self._login.token(), body)
        except Answer as error:
            raise VaultRefused(
                Reason.PERMISSION_DENIED, f"Vault does not say our capabilities ({error.text})"
            ) from None
        data = self._data(answer)
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
            answer = self._read(place) if patient else self._read_once(place)
        except Answer as error:
            raise self._refusal(error, path) from None
        return self._data(answer)

    def read_version(self, path: KvPath, version: int) -> Json:
        """Read one version: ``data`` with its fields, and ``metadata`` with its ``created_time``.

        Raises ``VaultRefused`` as ``metadata`` does, and ``VersionDeleted`` where it is gone.
        """
        place = f"{quote(path.mount)}/data/{quote(path.path)}?version={version}"
        try:
            answer = self._read(place)
        except Answer as error:
            if error.status == requests.codes.not_found and (error.body or {}).get("data"):
                raise VaultRefused(
                    Reason.VERSION_DELETED, f"version {version} of {path} cannot be read any more"
                ) from None
            raise self._refusal(error, path) from None
        data = self._data(answer)
        if not isinstance(data.get("data"), dict) or not isinstance(data.get("metadata"), dict):
            raise VaultRefused(Reason.VERSION_DELETED, f"version {version} of {path} has no data")
        return data

    # --- requests --------------------------------------------------------------------------------

    def _read(self, place: str) -> Any:
        """Read, trying again where that is harmless; log in again where the token is dead."""
        retrying = Retrying(
            retry=retry_if_exception(_may_pass_at_once),
            stop=_given_up,
            wait=_wait,
            reraise=True,
        )
        return retrying(self._read_once, place)

    def _read_once(self, place: str) -> Any:
        try:
            return self._http.get(place, self._login.token())
        except Answer as answer:
            if not (answer.forbidden and self._login.is_dead()):
                raise
        self._login.forget()
        try:
            return self._http.get(place, self._login.token())
        except Answer as answer:
            if answer.forbidden and self._login.is_dead():
                self._login.take_as_alive()
            raise

    # --- answers ---------------------------------------------------------------------------------

    def _data(self, answer: Any) -> Json:
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, dict):
            raise VaultUnreachable("Vault's answer is not understood")
        return data

    def _refusal(self, error: Answer, path: KvPath) -> VaultError:
        if error.status == requests.codes.forbidden:
            return VaultRefused(
                Reason.PERMISSION_DENIED,
                f"our token may not read {path}",
                hint=f'grant `read` on "{path.mount}/metadata/{path.path}" and'
                f' "{path.mount}/data/{path.path}"',
            )
        if error.status == requests.codes.not_found:
            if error.body is None:
                return VaultUnreachable("a 404 that is not Vault's: is a proxy in between?")
            return self._missing(error, path)
        return VaultRefused(Reason.VAULT_REFUSED, f"Vault answered {error.text} for {path}")

    def _missing(self, error: Answer, path: KvPath) -> VaultError:
        if "namespace not found" in error.text:
            return VaultRefused(
                Reason.NAMESPACE_MISSING, f"there is no namespace {path.namespace} in Vault"
            )
        if "no handler for route" in error.text:
            return VaultRefused(Reason.MOUNT_MISSING, f"nothing is mounted at {path.mount}/")
        if self._kv_version(path) == "1":
            return VaultRefused(
                Reason.NOT_KV_V2,
                f"{path.mount}/ is a KV version 1 engine, which has no versions",
                hint=f"run `vault kv enable-versioning {path.mount}/`",
            )
        return VaultRefused(Reason.PATH_MISSING, f"there is nothing at {path} in Vault")

    def _kv_version(self, path: KvPath) -> str:
        """Ask which KV version a mount has; a 404 is the same for both."""
        place = f"sys/internal/ui/mounts/{quote(path.mount)}/{quote(path.path)}"
        try:
            answer = self._http.get(place, self._login.token())
            return str((answer["data"].get("options") or {}).get("version", ""))
        except (Answer, VaultError, KeyError, TypeError, AttributeError):
            return ""


_backoff = wait_random_exponential(multiplier=0.1, max=1.0)


def _may_pass_at_once(error: BaseException) -> bool:
    """A server that hung for all of the time-out is not asked again at once."""
    return isinstance(error, VaultUnreachable) and not error.hung


def _asked_for(state: RetryCallState) -> float:
    """Return how long the server asked to wait."""
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after if isinstance(error, VaultUnreachable) else 0.0


def _wait(state: RetryCallState) -> float:
    return max(_asked_for(state), _backoff(state))


def _given_up(state: RetryCallState) -> bool:
    return _asked_for(state) > SHORT or stop_after_attempt(READ_TRIES)(state)
