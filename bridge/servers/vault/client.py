"""The bridge's way to Vault: one login, and what is asked with it."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from bridge.cancellation import Cancellation
from bridge.clock import boot_clock
from bridge.errors import VaultRefused, VaultUnreachable
from bridge.model.reasons import Reason
from bridge.model.settings import VaultSettings
from bridge.model.source import Source
from bridge.servers.vault.folders import Folders
from bridge.servers.vault.http import Answer, Http, Json, RateLimit
from bridge.servers.vault.kv import Kv
from bridge.servers.vault.leases import Leases
from bridge.servers.vault.login import Login, login_place
from bridge.servers.vault.session import Session, data_of, refusal
from bridge.servers.vault.static import Statics
from bridge.servers.vault.transit import Transit


class Vault:
    """A session with one Vault: logs in when needed, keeps below ``max_rps``.

    Every method raises ``VaultUnreachable`` where Vault gives no usable answer, ``LoginRefused``
    where it does not take our credential, ``VaultRefused`` where the answer concerns one path, and
    ``Cancelled`` where there is no time left. One thread at a time uses it; another one takes a
    session ``beside`` it.

    Args:
        clock: Seconds since some moment.
        shared: What it shares with the session that it is beside.

    Attributes:
        namespace: In which everything is asked for; empty for the root namespace.
        kv: What concerns KV v2 paths.
        folders: What concerns many KV v2 paths at once.
        leases: What concerns dynamic roles of the database engine.
        statics: What concerns its static roles.
    """

    def __init__(
        self,
        settings: VaultSettings,
        clock: Callable[[], float] = boot_clock,
        *,
        shared: tuple[RateLimit, Login] | None = None,
    ) -> None:
        self._settings = settings
        self._limit, self._login = shared or _new_login(settings, clock)
        self._http = Http(settings, self._limit)
        self.namespace = settings.namespace
        self._session = Session(self._http, self._login)
        self.kv = Kv(self._session)
        self.folders = Folders(self._session)
        self.leases = Leases(self._session, settings.custody, login_place(settings.auth))
        self.statics = Statics(self._session)
        self.transit = Transit(self._session)

    def close(self) -> None:
        """Close the connections and forget the token."""
        self._http.close()
        self._login.forget()

    def beside(self, cancellation: Cancellation) -> Vault:
        """Return a session for another thread, with connections of its own.

        It has the same login, and the same ``max_rps`` is for both.
        """
        other = Vault(self._settings, shared=(self._limit, self._login))
        other.heed(cancellation)
        return other

    def disconnect(self) -> None:
        """Close the connections; the next request opens others."""
        self._http.close()

    def heed(self, cancellation: Cancellation) -> None:
        """Let something else end its waits: it may outlive the one who uses it."""
        self._http.cancellation = cancellation

    def health(self) -> Json:
        """Return ``sys/health``, which needs no token; any of its states is an answer."""
        return self._http.health()

    def is_up(self) -> bool:
        """Return whether Vault as a whole answers, unsealed; a refused login is none of it."""
        try:
            health = self._http.health()
        except VaultUnreachable:
            return False
        return bool(health.get("initialized")) and not health.get("sealed")

    def login(self) -> None:
        """Log in, if there is no session yet."""
        self._session.token()

    def keep(self) -> None:
        """Renew or replace our token where its time has come; trouble is not reported."""
        if self._login.is_due():
            self._session.aside(self._login.keep)

    def warm_up(self) -> None:
        """Log in, or keep the login that there is; for any thread, which may have to wait."""
        if self._login.known:
            self._login.keep()
        else:
            self._login.token()

    @property
    def pause(self) -> float | None:
        """Seconds after which to call ``keep`` again; None where there is no hurry."""
        return self._login.pause

    @property
    def logins(self) -> int:
        """How often we have logged in; a fresh token may be granted what the last one was not."""
        return self._login.count

    @property
    def role(self) -> str:
        """Name of the AppRole that we are logged in as, where Vault has told it."""
        return self._login.role

    def credential_end(self) -> float | None:
        """Return when our own credential ends, seconds since the epoch; None where not known."""
        return self._session.aside(self._login.credential_end)

    def may_look_at_itself(self) -> bool:
        """Return whether our token may look itself up, which tells a dead one from a policy."""
        return self._session.aside(self._login.may_look_at_itself)

    def read(self, source: Source, place: str, *, patient: bool = True) -> Json:
        """Return the ``data`` of an API path, for kinds of sources that have no reader here.

        Args:
            source: What it is read for.
            place: Without ``v1/``, as policies write it.
            patient: Whether to try again where there is trouble that passes.

        Raises ``VaultRefused`` with ``PathMissing``, ``PermissionDenied``, ``MountMissing``,
        ``NamespaceMissing`` and ``VaultRefused``.
        """
        try:
            return data_of(self._session.read(quote(place), patient=patient))
        except Answer as error:
            raise refusal(error, source, place, "read") from None

    def write(self, source: Source, place: str, body: Json) -> Json:
        """Post once to an API path, as ``read`` does; returns ``data``, empty where there is none.

        Where no answer comes, it may have been done or not.
        """
        try:
            answer = self._session.write(quote(place), body)
        except Answer as error:
            raise refusal(error, source, place, "update") from None
        return data_of(answer) if isinstance(answer, dict) and answer.get("data") else {}

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
            answer = self._http.post("sys/capabilities-self", self._session.token(), body)
        except Answer as error:
            raise VaultRefused(
                Reason.PERMISSION_DENIED, f"Vault does not say our capabilities ({error.text})"
            ) from None
        data = data_of(answer)
        return {path: list(data.get(path) or ()) for path in paths}


def _new_login(settings: VaultSettings, clock: Callable[[], float]) -> tuple[RateLimit, Login]:
    """Return a login with a connection of its own: who waits for it can give that up."""
    limit = RateLimit(settings.max_rps, clock)
    http = Http(settings, limit)
    http.cancellation = http.cancellation.in_place()
    return limit, Login(http, settings.auth, clock)
