"""One connection to Vault, and what its answers mean; the one importer of hvac.

Nothing is taken from the surroundings: no ``$VAULT_TOKEN``, no ``~/.vault-token``, no proxy, no
``~/.netrc``. Redirects are not followed, since the token would go with them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

import hvac
import requests
from hvac.adapters import JSONAdapter, RawAdapter

from bridge.cancellation import Cancellation
from bridge.errors import Cancelled, VaultUnreachable
from bridge.model.settings import CertLogin, VaultSettings
from bridge.tally import VAULT, Ending

TIMEOUT = (3.0, 10.0)
"""Seconds to connect and to wait for an answer."""

MOST_PATIENCE = 60.0
"""Seconds; what ``Retry-After`` may ask for at most."""

Json = dict[str, Any]


class Answer(Exception):
    """An answer that is not a success, with what hvac drops: its status and its headers.

    Attributes:
        errors: Vault's own words.
        body: None where the answer is not Vault's: no JSON object.
        retry_after: Seconds that the server asks to wait for; 0 where it does not say.
        location: Where a redirect leads.
    """

    def __init__(self, answer: requests.Response, body: Any) -> None:
        super().__init__(str(answer.status_code))
        self.status = answer.status_code
        self.body: Json | None = body if isinstance(body, dict) else None
        self.errors = tuple(str(error) for error in (self.body or {}).get("errors") or ())
        self.retry_after = _seconds(answer.headers.get("Retry-After", ""))
        self.location = answer.headers.get("Location", "") if answer.is_redirect else ""

    @property
    def text(self) -> str:
        """Vault's own words, on one line."""
        words = "; ".join(" ".join(error.split()) for error in self.errors)
        return f"{self.status} {words}".strip()

    @property
    def forbidden(self) -> bool:
        """Whether Vault denied it: to a dead token and for want of a policy alike."""
        return bool(self.status == requests.codes.forbidden)

    @property
    def passes(self) -> bool:
        """Whether it says nothing of what was asked, and may be another in a moment."""
        if any(_UPGRADING in error for error in self.errors):
            return True
        return self.status in _PASSING or self.status >= requests.codes.server_error


_PASSING = frozenset(
    (
        requests.codes.moved_permanently,
        requests.codes.found,
        requests.codes.temporary_redirect,
        requests.codes.permanent_redirect,
        requests.codes.request_timeout,
        requests.codes.precondition_failed,  # a standby that has not caught up
        requests.codes.too_many,
        472,  # a standby for disaster recovery
        473,  # a performance standby
    )
)

_UPGRADING = "unavailable for a brief period"
"""Said with a 400 by a KV engine on a node that has just become active."""

_EVERYWHERE = _PASSING | {requests.codes.unavailable}
"""Statuses that concern the whole of Vault: overloaded, a standby, sealed."""


def _seconds(text: str) -> float:
    return min(float(text), MOST_PATIENCE) if text.isdigit() else 0.0


class RateLimit:
    """Spaces the requests of all connections to one Vault, so that they stay below ``max_rps``."""

    def __init__(self, max_rps: float, clock: Callable[[], float]) -> None:
        self._gap = 1.0 / max_rps
        self._clock = clock
        self._next_slot = 0.0
        self._lock = threading.Lock()

    def turn(self) -> float:
        """Take the next turn; returns the seconds until it comes."""
        with self._lock:
            now = self._clock()
            slot = max(now, self._next_slot)
            self._next_slot = slot + self._gap
        return slot - now


class Http:
    """Sends requests to one Vault, below ``max_rps``.

    Every method raises ``VaultUnreachable`` where no usable answer comes, ``Answer`` for one that
    is not a success, and ``Cancelled`` where there is no time left. One thread at a time uses it.

    Args:
        limit: What spaces its requests, and those of other connections to the same Vault.

    Attributes:
        cancellation: What ends its waits.
    """

    def __init__(self, settings: VaultSettings, limit: RateLimit) -> None:
        self._settings = settings
        self._limit = limit
        self._client: hvac.Client | None = None
        self.cancellation = Cancellation()

    def close(self) -> None:
        """Close the connections; the next request opens others."""
        if self._client is not None:
            self._client.adapter.close()
            self._client = None

    def get(self, place: str, token: str, *, write: bool = False) -> Any:
        """Read.

        Args:
            write: Whether Vault makes something for it, as credentials.
        """
        return self._send("get", place, token, write=write)

    def get_bytes(self, place: str, token: str) -> bytes:
        """Read what may be long, and is not to be parsed each time; it may be anything."""
        return cast("bytes", self._send("get", place, token, parse=False))

    def post(self, place: str, token: str, body: Json, *, write: bool = False) -> Any:
        """Post.

        Args:
            write: Whether it changes something that others see, so that its answer is waited for.
        """
        return self._send("post", place, token, write=write, json=body)

    def health(self) -> Json:
        """Return ``sys/health``, which needs no token; any of its states is an answer."""
        place = f"{self._settings.address}/v1/sys/health"
        session = self._connection().session
        try:
            answer = self._in_time(
                lambda: session.get(place, timeout=TIMEOUT, allow_redirects=False)
            )
            return cast("Json", answer.json())
        except (requests.exceptions.RequestException, OSError, ValueError) as error:
            raise self._unreachable(error) from None

    def _send(
        self, method: str, place: str, token: str, *, write: bool = False, **more: Any
    ) -> Any:
        client = self._connection()
        client.token = token
        send = getattr(client.adapter, method)
        try:
            return self._in_time(lambda: send(f"/v1/{place}", **more), write=write)
        except Answer as answer:
            if answer.passes:
                self.close()  # behind the same address another node may answer a new connection
                raise self._not_ready(answer) from None
            raise
        except (requests.exceptions.RequestException, OSError) as error:
            self.close()
            raise self._unreachable(error) from None

    def _in_time(self, send: Callable[[], Any], *, write: bool = False) -> Any:
        """Send a request when it is our turn below ``max_rps``, and wait while there is time."""
        pause = self._limit.turn()
        if pause > 0:
            self.cancellation.sleep(pause)
        ending = Ending.NO_ANSWER
        try:
            answer = self.cancellation.run(send, write=write)
            ending = Ending.DONE
        except Cancelled:
            ending = Ending.GIVEN_UP
            self.close()  # the request still has its connection
            raise
        except Answer as refused:
            ending = Ending.UNAVAILABLE if refused.passes else Ending.REFUSED
            raise
        finally:
            VAULT.add(ending)
        return answer

    def _connection(self) -> hvac.Client:
        if self._client is None:
            auth = self._settings.auth
            session = requests.Session()
            session.trust_env = False
            session.verify = self._settings.ca_file or True
            if isinstance(auth, CertLogin):
                session.cert = (auth.cert_file, auth.key_file)
            self._client = hvac.Client(
                url=self._settings.address,
                token="",  # not None: hvac would look into the environment
                namespace=self._settings.namespace or None,
                session=session,
                timeout=cast("Any", TIMEOUT),
                allow_redirects=False,
                adapter=_Adapter,
            )
        return self._client

    def _unreachable(self, error: Exception) -> VaultUnreachable:
        text = str(error)
        words, hint = next(
            ((words, hint) for sign, words, hint in _WORDS if sign in text),
            (type(error).__name__, _OTHERWISE),
        )
        return VaultUnreachable(
            f"no usable answer from Vault at {self._settings.address} ({words})",
            hint=hint,
            everywhere=True,
            hung=isinstance(error, requests.exceptions.Timeout),
        )

    def _not_ready(self, answer: Answer) -> VaultUnreachable:
        message = f"Vault at {self._settings.address} is not ready ({answer.text})"
        hint = ""
        if answer.location:
            message = f"Vault at {self._settings.address} redirects to {_host(answer.location)}"
            hint = "our token is not sent there; give an address that answers by itself"
        return VaultUnreachable(
            message,
            hint=hint,
            everywhere=answer.status in _EVERYWHERE,
            retry_after=answer.retry_after,
        )


_WORDS = (
    ("Connection refused", "connection refused", "is Vault running there? See `vault.address`"),
    ("Name or service not known", "its name is not known", "correct `vault.address`"),
    ("timed out", "no answer in time", "does a firewall drop it? See `vault.address`"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "its certificate is not trusted",
        "name the file of its CA as `vault.ca_file`",
    ),
    (
        "WRONG_VERSION_NUMBER",
        "it does not speak TLS",
        "write `http://` in `vault.address`, or give it TLS",
    ),
    (
        "Could not find a suitable TLS CA",
        "the file of its CA cannot be read",
        "correct `vault.ca_file`, or put the file there",
    ),
    (
        "Could not find the TLS",
        "our certificate or its key cannot be read",
        "correct `vault.auth.cert_file` and `key_file`, or put the files there",
    ),
)
_OTHERWISE = "see `vault.address`, and `vault.ca_file` for a private CA"


def _host(location: str) -> str:
    """Name where a redirect leads, without a path or a query that may hold anything."""
    return "/".join(location.split("/")[:3]) if "//" in location else "another path"


class _Adapter(JSONAdapter):
    def request(self, *args: Any, parse: bool = True, **kwargs: Any) -> Any:
        """Send a request, and return its answer if it is a success."""
        kwargs["raise_exception"] = False
        answer = RawAdapter.request(cast("Any", self), *args, **kwargs)
        if answer.ok and not answer.is_redirect and not parse:
            return answer.content
        body: Any = None
        try:
            body = answer.json() if answer.content else None
        except ValueError:
            if answer.ok and not answer.is_redirect:
                raise VaultUnreachable("Vault's answer is not JSON") from None
        if not answer.ok or answer.is_redirect:
            raise Answer(answer, body)
        return body
