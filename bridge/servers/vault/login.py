"""Keeps a token for the bridge: logs in, renews it in time, and logs in anew before it ends.

A credential that Vault refused is not tried again while its files are unchanged, since Vault locks
a role out after five refusals, and then refuses the right credential too.

The cycle and those who watch Vault beside it share one token, from threads of their own: whoever
finds that there is none logs in, and the others wait for that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import quote

import requests

from bridge.errors import LoginRefused, VaultError, VaultUnreachable
from bridge.model.settings import AppRole, Auth, TokenFile
from bridge.model.timestamps import instant
from bridge.servers.vault.credential import Credential, Files, Method, text_of
from bridge.servers.vault.http import Answer, Http, Json

LOCKOUT = 960.0
"""Seconds before a refused credential is tried again while its files are unchanged.

Vault counts refusals until 15 minutes pass without one.
"""

MOST_REFUSALS = 4
"""Refusals within ``LOCKOUT`` after which nothing is tried: the fifth would lock the role out."""

YOUNG = 60.0
"""Seconds after a login in which a token that may not look itself up is taken to be alive."""

RENEW_AT = 2 / 3
REPLACE_AT = 0.9
"""Parts of a token's life after which it is renewed, and replaced where that did not help."""

_NEVER = "0001-01-01T00:00:00Z"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Token:
    """A token and its life.

    Attributes:
        sent: When it was asked for, by our clock.
        ttl: Seconds from then on; 0 where it does not end.
        whole: What it was given at first; a renewal that grants less has met the token's end.
        role: The AppRole's name, where Vault says it.
    """

    text: str = field(repr=False)
    sent: float
    ttl: float = 0.0
    renewable: bool = False
    whole: float = 0.0
    role: str = ""


def login_place(auth: Auth) -> str:
    """Return the API path at which a login is asked for; empty where there is none to ask."""
    return "" if isinstance(auth, TokenFile) else f"auth/{quote(auth.mount)}/login"


class Login:
    """The bridge's own token.

    Any thread may use it. A call may wait for as long as requests of another one take.

    Args:
        http: A connection of its own.
        clock: Seconds since some moment.

    Attributes:
        count: How many logins there were; a fresh token may be granted what the last one was not.
    """

    def __init__(self, http: Http, auth: Auth, clock: Callable[[], float]) -> None:
        self._http = http
        self._auth = auth
        self._clock = clock
        self._token: _Token | None = None
        self._credential = Credential(http, auth)
        self._used: Files = ()
        self._refused: Files | None = None
        self._refusals: tuple[float, ...] = ()
        self._blind = False
        self._next_try = 0.0
        self.count = 0
        self._lock = threading.RLock()

    # --- the token -------------------------------------------------------------------------------

    def token(self) -> str:
        """Return the token; log in where there is none.

        Raises:
            LoginRefused: Vault does not take our credential, or its file cannot be read.
            VaultUnreachable: Vault gives no usable answer.
        """
        with self._lock:
            if self._token is None:
                self._token = self._logged_in()
            return self._token.text

    @property
    def known(self) -> str:
        """The token, where there is one already; else empty."""
        token = self._token
        return token.text if token else ""

    def forget(self, dead: str = "") -> None:
        """Forget the token; the next call logs in.

        Args:
            dead: Which one, where another may have taken its place by now.
        """
        with self._lock:
            if not dead or (self._token and self._token.text == dead):
                self._token = None

    def is_due(self) -> bool:
        """Return whether ``keep`` has something to do."""
        return isinstance(self._auth, TokenFile) or self.pause == 0.0

    def keep(self) -> None:
        """Renew or replace the token where its time has come; trouble with that is not reported.

        As long as the old one is alive there is none, and once it is dead, reads say so.
        """
        with self._lock:
            self._keep()

    def _keep(self) -> None:
        token, now = self._token, self._clock()
        if token is None:
            return
        if isinstance(self._auth, TokenFile):
            if self._credential.read() not in ((), self._used):
                self._token = None  # an agent has put a fresh one there
                return
        elif token.ttl and now >= token.sent + token.ttl * REPLACE_AT:
            if now >= self._next_try:
                self._next_try = now + token.ttl * (1 - REPLACE_AT) / 2
                self._replace()
            return
        if token.renewable and now >= max(token.sent + token.ttl * RENEW_AT, self._next_try):
            self._renew(token, now)

    @property
    def pause(self) -> float | None:
        """Seconds after which to call ``keep`` again; None where there is no hurry."""
        token = self._token
        if token is None or not token.ttl:
            return None
        if isinstance(self._auth, TokenFile) and not token.renewable:
            return None
        part = RENEW_AT if token.renewable else REPLACE_AT
        return max(0.0, max(token.sent + token.ttl * part, self._next_try) - self._clock())

    def is_dead(self, refused: str) -> bool:
        """Tell, after a 403, a dead token from a missing policy: Vault's answer is the same.

        Args:
            refused: The token that got the 403; dead to us where another has taken its place.
        """
        with self._lock:
            if self._token is None or self._token.text != refused:
                return True
            young = self._clock() - self._token.sent < YOUNG
            return not (self._blind and young) and not self.may_look_at_itself()

    def may_look_at_itself(self) -> bool:
        """Ask whether the token may look itself up. Raises ``VaultUnreachable``."""
        with self._lock:
            try:
                self._http.get("auth/token/lookup-self", self.token())
            except Answer as answer:
                return not answer.forbidden
            return True

    def take_as_alive(self) -> None:
        """Note that a fresh token may not look itself up either.

        Raises:
            LoginRefused: It is a file's, so that nobody knows whether it is fresh.
        """
        if isinstance(self._auth, TokenFile):
            raise LoginRefused(
                "Vault does not know our token",
                hint="put a fresh one into its file; where it is fresh, its policy lacks `read` on"
                " auth/token/lookup-self",
                everywhere=False,
            )
        self._blind = True

    @property
    def role(self) -> str:
        """Name of the AppRole that we are logged in as, where Vault has told it."""
        return self._token.role if self._token else ""

    def credential_end(self) -> float | None:
        """Return when our secret id ends, seconds since the epoch; None where it does not say.

        Raises:
            VaultError: As ``token``.
        """
        token = self.token()
        if not isinstance(self._auth, AppRole) or not self.role:
            return None
        place = f"auth/{quote(self._auth.mount)}/role/{quote(self.role)}/secret-id/lookup"
        try:
            with self._lock:
                body = {"secret_id": self._credential.secret_id}
                answer = self._http.post(place, token, body)
            end = str(answer["data"]["expiration_time"])
            return None if end == _NEVER else instant(end) / 1e9
        except (Answer, KeyError, TypeError, ValueError):
            return None

    def another(self) -> Json:
        """Log in once more, for a token that is not ours to use; returns what Vault says of it.

        Raises:
            LoginRefused: Vault does not take our credential, or it is a token that others made.
            VaultUnreachable: Vault gives no usable answer.
        """
        files = self._credential.read()
        if isinstance(self._auth, TokenFile):
            raise LoginRefused("a token's file gives no second token: `vault.custody` is needed")
        if not files:
            raise self._credential.unreadable()
        with self._lock:
            self._respect_lockout(files)
            return self._answer_to(self._auth, files)

    # --- its life --------------------------------------------------------------------------------

    def _replace(self) -> None:
        try:
            self._token = self._logged_in()
        except VaultError:
            return  # the old one is good for a while yet

    def _renew(self, token: _Token, now: float) -> None:
        try:
            answer = self._http.post("auth/token/renew-self", token.text, {})
            granted = float(answer["auth"]["lease_duration"])
        except Answer:
            self._token = replace(token, renewable=False)
        except (VaultUnreachable, KeyError, TypeError, ValueError):
            self._next_try = now + token.ttl * (REPLACE_AT - RENEW_AT) / 2
        else:
            ends = granted < token.whole * REPLACE_AT
            self._token = replace(token, sent=now, ttl=granted, renewable=not ends)

    def _logged_in(self) -> _Token:
        files = self._credential.read()
        if not files:
            raise self._credential.unreadable()
        self._respect_lockout(files)
        sent = self._clock()
        if isinstance(self._auth, TokenFile):
            token = self._looked_up(text_of(files[0]), sent)
        else:
            token = self._asked_for(self._auth, files, sent)
        self._used, self._refused, self._refusals = files, None, ()
        self._next_try = 0.0
        self.count += 1
        return token

    def _looked_up(self, text: str, sent: float) -> _Token:
        """Find out how long a token lives that somebody else made, where it may tell us.

        Raises:
            VaultUnreachable: Vault gives no usable answer; a life not known would not be renewed.
        """
        try:
            data = self._http.get("auth/token/lookup-self", text)["data"]
            ttl = float(data["ttl"])
            return _Token(
                text=text,
                sent=sent,
                ttl=ttl,
                renewable=bool(data.get("renewable")) and ttl > 0,
                whole=ttl,
            )
        except (Answer, KeyError, TypeError, ValueError):
            return _Token(text=text, sent=sent)  # it does not tell

    def _asked_for(self, auth: Method, files: Files, sent: float) -> _Token:
        answer = self._answer_to(auth, files)
        try:
            ttl = float(answer.get("lease_duration") or 0)
            role = str((answer.get("metadata") or {}).get("role_name", ""))
            renewable = bool(answer.get("renewable")) and ttl > 0
            return _Token(
                text=str(answer["client_token"]),
                sent=sent,
                ttl=ttl,
                renewable=renewable,
                whole=ttl,
                role=role,
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise VaultUnreachable("Vault's answer to the login is not understood") from None

    def _answer_to(self, auth: Method, files: Files) -> Json:
        """Log in; returns what Vault says of the new token. Raises ``VaultError``."""
        try:
            body = self._credential.login_body(files)
        except LoginRefused:
            self._note_refusal(files)
            raise
        try:
            answer = self._http.post(login_place(auth), "", body)["auth"]
        except Answer as error:
            raise self._refusal(auth, files, error) from None
        except (KeyError, TypeError):
            answer = None
        if not isinstance(answer, dict):
            raise VaultUnreachable("Vault's answer to the login is not understood")
        return answer

    def _refusal(self, auth: Method, files: Files, error: Answer) -> VaultError:
        place = f"auth/{auth.mount}"
        if error.status not in (requests.codes.bad_request, requests.codes.forbidden):
            words = "is anything mounted there?" if error.body is not None else "not Vault's words"
            return VaultUnreachable(f"the login at {place} failed ({error.text}): {words}")
        self._note_refusal(files)
        hint = f"check {' and '.join(self._credential.names)}"
        if error.forbidden:
            hint += "; a role that was refused five times is locked out for 15 minutes"
        return LoginRefused(
            f"Vault refused the {self._credential.method} login at {place} ({error.text})",
            hint=hint,
        )

    def _note_refusal(self, files: Files) -> None:
        self._refused = files
        self._refusals = (*self._refusals, self._clock())

    def _respect_lockout(self, files: Files) -> None:
        now = self._clock()
        if self._refusals and self._refusals[-1] <= now - LOCKOUT:
            self._refusals = ()  # Vault counts until that long has passed without any
        if self._refusals and self._refused == files:
            raise LoginRefused(
                "Vault has refused our credential, and its files have not changed since",
                hint="put a fresh one in place; the same one is not tried again for a while,"
                " because Vault locks roles out",
            )
        if len(self._refusals) >= MOST_REFUSALS:
            raise LoginRefused(
                f"Vault has refused {MOST_REFUSALS} credentials in a row",
                hint="nothing is tried for a while, because Vault locks roles out; a restart of"
                " the bridge tries at once",
            )
