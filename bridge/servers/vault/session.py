"""Requests with our own token: tried again where that is harmless, with a fresh one if it died."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from bridge.errors import VaultError, VaultRefused, VaultUnreachable
from bridge.model.reasons import Reason
from bridge.model.source import Source
from bridge.servers.vault.http import Answer, Http, Json
from bridge.servers.vault.login import Login

READ_TRIES = 3
_T = TypeVar("_T")

SHORT = 2.0
"""Seconds; where Vault asks for a longer wait, the read is given up until the next look."""


class Session:
    """A connection and the token that we are logged in with.

    Every method raises ``VaultUnreachable`` where Vault gives no usable answer, ``LoginRefused``
    where it does not take our credential, and ``Answer`` for an answer that is not a success.
    """

    def __init__(self, http: Http, login: Login) -> None:
        self.http = http
        self.login = login

    def read(self, place: str, *, patient: bool = True) -> Any:
        """Read.

        Args:
            patient: Whether to try again where there is trouble that passes.
        """
        if not patient:
            return self.read_once(place)
        return self._again_and_again(lambda: self.read_once(place))

    def read_once(self, place: str) -> Any:
        """Read, whatever the trouble."""
        return self._with_token(lambda token: self.http.get(place, token))

    def read_bytes(self, place: str, *, patient: bool = True) -> bytes:
        """Read what is not to be parsed yet."""

        def read() -> Any:
            return self._with_token(lambda token: self.http.get_bytes(place, token))

        found: bytes = self._again_and_again(read) if patient else read()
        return found

    def ask(self, place: str, body: Json) -> Any:
        """Post what does no harm twice, such as a look-up, trying again as ``read`` does."""
        return self._again_and_again(
            lambda: self._with_token(lambda token: self.http.post(place, token, body))
        )

    def write(self, place: str, body: Json) -> Any:
        """Post once. A 403 means that nothing was done, so a dead token is replaced here too."""
        return self._with_token(lambda token: self.http.post(place, token, body, write=True))

    def _again_and_again(self, call: Callable[[], Any]) -> Any:
        retrying = Retrying(
            retry=retry_if_exception(_may_pass_at_once),
            stop=_given_up,
            wait=_wait,
            sleep=self.http.cancellation.sleep,
            reraise=True,
        )
        return retrying(call)

    def token(self) -> str:
        """Return the token that we are logged in with; log in where there is none."""
        return self.login.known or self.aside(self.login.token)

    def aside(self, call: Callable[[], _T]) -> _T:
        """Do something with the login, which may wait for a server; given up as requests are."""
        return self.http.cancellation.run(call)

    def _with_token(self, call: Callable[[str], Any]) -> Any:
        token = self.token()
        try:
            return call(token)
        except Answer as answer:
            if not (answer.forbidden and self._is_dead(token)):
                raise
        self.login.forget(token)
        token = self.token()
        try:
            return call(token)
        except Answer as answer:
            if answer.forbidden and self._is_dead(token):
                self.login.take_as_alive()
            raise

    def _is_dead(self, token: str) -> bool:
        return self.aside(lambda: self.login.is_dead(token))


def data_of(answer: Any) -> Json:
    """Return what an answer has as ``data``.

    Raises:
        VaultUnreachable: It has none: a proxy's words, or half an answer.
    """
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        raise VaultUnreachable("Vault's answer is not understood")
    return data


def missing(error: Answer, source: Source) -> VaultError | None:
    """Return what a 404 means, where it is not that there is no such path or role."""
    if error.status != requests.codes.not_found:
        return None
    if error.body is None:
        return VaultUnreachable("a 404 that is not Vault's: is a proxy in between?")
    if "namespace not found" in error.text:
        what = f"there is no namespace {source.namespace} in Vault"
        return VaultRefused(Reason.NAMESPACE_MISSING, what, hint="correct `vault.namespace`")
    if "no handler for route" in error.text:
        return VaultRefused(
            Reason.MOUNT_MISSING,
            f"nothing is mounted at {source.mount}/",
            hint="correct `mount`; `vault secrets list` shows what is mounted",
        )
    return None


def refusal(
    error: Answer,
    source: Source,
    place: str,
    capability: str,
    *,
    denied: str = "",
    absent: VaultRefused | None = None,
    asked: object = None,
) -> VaultError:
    """Return what an answer means that is not a success, for paths of any engine.

    Args:
        place: The API path.
        capability: What our token needs there.
        denied: What our token may not do, in words; else it may not use the path.
        absent: What a 404 means; else there is nothing at the path.
        asked: What was asked for, where that is not the whole source.
    """
    if error.forbidden:
        return VaultRefused(
            Reason.PERMISSION_DENIED,
            denied or f"our token may not use {place}",
            hint=f'grant `{capability}` on "{place}"',
        )
    if error.status == requests.codes.not_found:
        what = f"there is nothing at {place} in Vault"
        return missing(error, source) or absent or VaultRefused(Reason.PATH_MISSING, what)
    return VaultRefused(Reason.VAULT_REFUSED, f"Vault answered {error.text} for {asked or source}")


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
