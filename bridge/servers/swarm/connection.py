"""Requests to the engine at the engine's own API version; the one importer of the docker SDK.

An API version older than the engine's silently deletes the fields of a service that it does not
know, and one that the engine does not accept is refused. An engine may be upgraded, or exchanged
for an older one, while the bridge runs: the version is negotiated when a connection is made,
whenever the event stream is opened, and after any answer that says that the version is not the
engine's any more. It is also negotiated before an update of a service, unless an answer has just
told it: the look that comes immediately before an update does.

No proxy and no ``~/.netrc`` is ever used: bodies carry the data of Docker secrets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from math import inf
from typing import Any

import docker
import requests
from docker.errors import DockerException

from bridge.clock import boot_clock
from bridge.errors import (
    AnswerLost,
    NameTaken,
    NotFound,
    NotGranted,
    OutOfSequence,
    SwarmError,
    SwarmRefused,
    SwarmUnreachable,
)
from bridge.model.engine_rights import VERSION, Right
from bridge.model.settings import DockerSettings, SshAddress
from bridge.servers.swarm.ssh import SshAdapter, SshFailed
from bridge.tally import ENGINE, Ending

TIMEOUT = 30.0
"""Seconds; a manager without a leader answers only after 20 s."""

SILENCE = 120.0
"""Seconds without an event after which the stream is opened anew.

A peer that is gone tells nobody. Where a bridge leads its heartbeats are events.
"""

LEAST = "1.41"
"""The oldest API version that knows all that the bridge asks for and writes."""

Json = dict[str, Any]

JUST_TOLD = 0.5
"""Seconds for which the version that an answer told is taken for that of the next request.

An engine cannot be exchanged in so short a time. To ask for the version instead costs it a process:
`GET /version` starts runc."""

_LEADERLESS = (
    "does not have a leader",
    "context deadline exceeded",
    "lost leader status",
    "Unavailable",
    "connection error",
)

_OTHER_VERSION = re.compile(r"client version \S+ is too (old|new)")

_TROUBLE = (DockerException, requests.exceptions.RequestException, OSError, ValueError)


class Connection:
    """A connection to one engine, made at the first request and anew after trouble."""

    def __init__(self, settings: DockerSettings) -> None:
        self._settings = settings
        self._session: requests.Session | None = None
        self._base = ""
        self._version = ""
        """The engine's API version; empty where it has to be asked for."""
        self._told = -inf
        """When an answer told that version last, on the boot clock."""

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._version, self._told = "", -inf
        if self._session is not None:
            self._session.close()
            self._session = None

    def request(
        self,
        right: Right,
        parts: Mapping[str, str],
        params: Json | None,
        body: Json | None,
        *,
        anew: bool = False,
    ) -> Any:
        """Send a request and return the answer's JSON; None where the answer is empty.

        Args:
            parts: The parts of the path by name.
            anew: Be sure of the API version immediately before, since what this request writes
                would lose the fields that an older version does not know.

        Raises:
            SwarmUnreachable: There is no usable engine; the request was not sent.
            NotGranted: We have not this right; nothing was done.
            AnswerLost: The answer did not come, or says nothing of what became of the request.
            SwarmError: As the engine answered.
        """
        path = right.place(parts)
        anew = anew and boot_clock() > self._told + JUST_TOLD
        answer = self._send(right.method, path, params, body, anew=anew)
        if _OTHER_VERSION.search(_error_message(answer)):  # then nothing was done
            answer = self._send(right.method, path, params, body, anew=True)
        if message := _error_message(answer):
            self._must_be_granted(right, answer)
            raise self._mapped(answer.status_code, message)
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            raise self._lost(error) from None

    def events(self, right: Right, params: Json) -> Iterator[Json]:
        """Yield the objects of a stream until it ends; the first is empty: the stream is open.

        Raises:
            NotGranted: We have not this right.
            SwarmUnreachable: It broke off, or could not be opened.
        """
        session = self._negotiated(anew=True)
        try:
            answer = session.get(
                self._url(right.place({})),
                params=params,
                stream=True,
                timeout=(TIMEOUT, SILENCE),
                allow_redirects=False,
            )
            with answer:
                self._must_be_granted(right, answer)
                if message := _error_message(answer):
                    raise requests.exceptions.HTTPError(message)
                yield {}
                for line in answer.iter_lines():
                    if line:
                        yield json.loads(line)
        except _TROUBLE as error:
            raise self._unreachable(error) from None

    def _send(
        self, method: str, path: str, params: Json | None, body: Json | None, *, anew: bool
    ) -> requests.Response:
        session = self._negotiated(anew=anew)
        try:
            answer = session.request(
                method,
                self._url(path),
                params=params,
                data=None if body is None else json.dumps(body),
                headers={"Content-Type": "application/json"},
                timeout=TIMEOUT,
                allow_redirects=False,  # a body would go with it
            )
        except _TROUBLE as error:
            ENGINE.add(Ending.NO_ANSWER)
            self.close()
            raise self._lost(error) from None
        ENGINE.add(_ending(answer))
        told = answer.headers.get("Api-Version", "")
        if told == self._version:
            self._told = boot_clock()
        elif told:
            self._version, self._told = "", -inf
        return answer

    def _url(self, path: str) -> str:
        return f"{self._base}/v{self._version}{path}"

    # --- the version -----------------------------------------------------------------------------

    def _negotiated(self, *, anew: bool) -> requests.Session:
        """Return a session for which the engine's API version is known."""
        try:
            if self._session is None:
                self._session, self._base = _session(self._settings)
            session = self._session
            if anew or not self._version:
                self._version = ""
                answer = self._version_of(session)
                ENGINE.add(_ending(answer))
                self._must_be_granted(VERSION, answer)
                answer.raise_for_status()
                self._version, self._told = self._accepted(answer.json()), boot_clock()
        except _TROUBLE as error:
            self.close()
            raise self._unreachable(error) from None
        return session

    def _version_of(self, session: requests.Session) -> requests.Response:
        """Ask for the API's version, which tells first that an engine is away."""
        place = f"{self._base}{VERSION.path}"
        try:
            return session.get(place, timeout=TIMEOUT, allow_redirects=False)
        except _TROUBLE:
            ENGINE.add(Ending.NO_ANSWER)
            raise

    def _accepted(self, engine: Any) -> str:
        version = str(engine.get("ApiVersion")) if isinstance(engine, dict) else ""
        if not re.fullmatch(r"\d+\.\d+", version):
            raise SwarmUnreachable(
                f"what answers at {self._settings.host} is no Docker engine",
                hint="see `docker.host` and $DOCKER_HOST",
            )
        if _numbers(version) < _numbers(LEAST):
            raise SwarmUnreachable(
                f"the engine at {self._settings.host} ({engine.get('Version')}) has API version"
                f" {version}, and the bridge needs {LEAST} or newer",
                hint="update this manager to Docker 20.10 or newer, or name another manager in"
                " `docker.host`",
            )
        return version

    # --- what went wrong -------------------------------------------------------------------------

    def _must_be_granted(self, right: Right, answer: requests.Response) -> None:
        """Raise ``NotGranted`` where an answer says that we may not ask for this at all."""
        if answer.status_code in _DENIED:
            said = f"{answer.status_code}: {_error_message(answer)}"
            raise NotGranted(
                f"{right} is not granted at {self._settings.host} ({said})",
                hint="`vault-bridge policy --engine` prints all that the bridge needs there",
            )

    def _mapped(self, status: int, text: str) -> SwarmError:
        if _OTHER_VERSION.search(text):
            return SwarmUnreachable(
                f"the engine at {self._settings.host} refuses the API version that it names as"
                f" its own ({text})"
            )
        if status == requests.codes.not_found:
            return NotFound(text)
        if status == requests.codes.conflict:
            return NameTaken(text)
        if "update out of sequence" in text:
            return OutOfSequence("it was written by somebody else in the meantime")
        if "not a swarm manager" in text:
            return SwarmUnreachable(
                f"{self._settings.host} is not a swarm manager",
                hint="set `docker.host` to a manager, or run the bridge on a manager node",
            )
        if any(sign in text for sign in _LEADERLESS):
            return AnswerLost(f"the swarm has no leader just now ({text})")
        if status >= requests.codes.server_error:
            return AnswerLost(f"the engine failed ({status}: {text})")
        return SwarmRefused(text)

    def _lost(self, error: Exception) -> AnswerLost:
        lost = self._unreachable(error)
        return AnswerLost(lost.message, hint=lost.hint)

    def _unreachable(self, error: Exception) -> SwarmUnreachable:
        failed = next((e for e in _causes(error) if isinstance(e, SshFailed)), None)
        text = str(error).split("\n", 1)[0]
        kind = f"{type(error).__name__}: {text}"
        words, hint = next(
            ((words, hint) for sign, words, hint in _WORDS if sign in text),
            (kind, "see `docker.host` and $DOCKER_HOST"),
        )
        return SwarmUnreachable(
            f"no usable answer from the Docker engine at {self._settings.host} ({failed or words})",
            hint=failed.hint if failed else hint,
        )


_DENIED = (requests.codes.unauthorized, requests.codes.forbidden)

_HOST = "correct `docker.host` (or $DOCKER_HOST)"

_WORDS = (
    (
        "FileNotFoundError",
        "there is no such socket",
        f"is the engine running? Start it, or {_HOST}",
    ),
    (
        "Permission denied",
        "we may not use the socket",
        "run as root or in the socket's group (`docker`), or behind the filtering proxy",
    ),
    ("Connection refused", "connection refused", f"is the engine running? Start it, or {_HOST}"),
    ("Name or service not known", "its name is not known", _HOST),
    ("timed out", "no answer in time", f"does a firewall drop it? Else {_HOST}"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "its certificate is not trusted",
        "name the file of its CA as `docker.ca_file`",
    ),
)


def _ending(answer: requests.Response) -> Ending:
    """Return how a request ended that was answered; a redirect is of no use."""
    if answer.ok and not answer.is_redirect:
        return Ending.DONE
    ill = answer.status_code >= requests.codes.server_error
    return Ending.UNAVAILABLE if ill else Ending.REFUSED


def _session(settings: DockerSettings) -> tuple[requests.Session, str]:
    """Return a session that reaches the engine, and what its URLs begin with; nothing is sent."""
    session: requests.Session
    if settings.host.startswith("ssh://"):
        session, base = requests.Session(), "http+docker://localhost"
        session.mount(base, SshAdapter(SshAddress.read(settings.host)))
    else:
        tls: Any = False
        if settings.cert_file or settings.ca_file:
            cert = (settings.cert_file, settings.key_file) if settings.cert_file else None
            tls = docker.tls.TLSConfig(
                client_cert=cert, ca_cert=settings.ca_file or None, verify=True
            )
        # The version is only named so that none is asked for before `trust_env` is off.
        session = docker.APIClient(base_url=settings.host, version=LEAST, tls=tls)
        base = session.base_url
    session.trust_env = False
    return session, base


def _error_message(answer: requests.Response) -> str:
    """Return the message of an answer that is an error; empty where it is none."""
    if answer.ok and not answer.is_redirect:
        return ""
    try:
        message = answer.json().get("message")
    except (ValueError, AttributeError):
        message = None
    return str(message or answer.text.strip() or f"{answer.status_code} {answer.reason}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
