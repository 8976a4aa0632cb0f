"""The swarm manager's engine, spoken to in its own words; the one importer of the docker SDK.

Raw requests through docker-py's client, since its own service update writes defaults into the spec,
which restarts tasks at the next stack deploy, and it has no update of secrets or configs at all.
The API version is always the engine's own: an older one silently deletes the fields it does not
know.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote

import docker
import requests
from docker.errors import APIError, DockerException

from bridge.errors import (
    AnswerLost,
    NameTaken,
    NotFound,
    OutOfSequence,
    SwarmError,
    SwarmRefused,
    SwarmUnreachable,
)
from bridge.model.payload import Concealed
from bridge.model.settings import DockerSettings

TIMEOUT = 30.0
"""Seconds; a manager without a leader answers only after 20 s."""

_LEADERLESS = (
    "does not have a leader",
    "context deadline exceeded",
    "lost leader status",
    "Unavailable",
    "connection error",
)

Json = dict[str, Any]


class Swarm:
    """A connection to one manager's engine, made at the first call and anew after trouble.

    Every method raises ``SwarmUnreachable`` where the swarm gives no usable answer. Those that
    write raise ``AnswerLost`` instead where the write may have been carried out (I13).
    """

    def __init__(self, settings: DockerSettings) -> None:
        self._settings = settings
        self._api: docker.APIClient | None = None

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._api is not None:
            self._api.close()
            self._api = None

    # --- looking ---------------------------------------------------------------------------------

    def info(self) -> Json:
        """Return the engine's ``/info``."""
        return cast("Json", self._call("GET", "/info"))

    def version(self) -> Json:
        """Return the engine's ``/version``."""
        return cast("Json", self._call("GET", "/version"))

    def autolock(self) -> bool:
        """Tell whether managers ask for a key before they unlock what they have on disk."""
        encryption = (self._call("GET", "/swarm").get("Spec") or {}).get("EncryptionConfig") or {}
        return bool(encryption.get("AutoLockManagers"))

    def image(self, name: str) -> Json | None:
        """Inspect an image; None where this engine does not have it."""
        try:
            return cast("Json", self._call("GET", f"/images/{quote(name, safe='')}/json"))
        except NotFound:
            return None

    def secrets(self) -> list[Json]:
        """List all Docker secrets, without their data: the engine never gives it."""
        return cast("list[Json]", self._call("GET", "/secrets"))

    def services(self) -> list[Json]:
        """List all services with how many tasks each should have."""
        return cast("list[Json]", self._call("GET", "/services", {"status": "true"}))

    def tasks(self) -> list[Json]:
        """List all tasks that the manager remembers."""
        return cast("list[Json]", self._call("GET", "/tasks"))

    def nodes(self) -> list[Json]:
        """List all nodes."""
        return cast("list[Json]", self._call("GET", "/nodes"))

    def config(self, name: str) -> Json | None:
        """Return the Docker config of exactly this name."""
        found = self._call("GET", "/configs", {"filters": json.dumps({"name": [name]})})
        return next((c for c in found if c["Spec"]["Name"] == name), None)  # the filter is a prefix

    def service(self, service_id: str) -> Json:
        """Inspect one service. Raises ``NotFound``."""
        return cast("Json", self._call("GET", f"/services/{service_id}"))

    def secret(self, secret_id: str) -> Json:
        """Inspect one Docker secret. Raises ``NotFound``."""
        return cast("Json", self._call("GET", f"/secrets/{secret_id}"))

    # --- writing ---------------------------------------------------------------------------------

    def create_secret(self, name: str, data: Concealed, labels: Mapping[str, str]) -> str:
        """Create a Docker secret and return its id. Raises ``NameTaken``."""
        body = {"Name": name, "Data": _encoded(data), "Labels": dict(labels)}
        return str(self._write("POST", "/secrets/create", body=body)["ID"])

    def holds(self, secret_id: str, name: str, data: Concealed) -> bool:
        """Tell whether a Docker secret holds exactly this data; nothing is written.

        An update with version 0 never succeeds. The engine compares the data first: another content
        is ``only updates to Labels are allowed``, the same one ``update out of sequence``.
        """
        body = {"Name": name, "Data": _encoded(data), "Labels": {}}
        try:
            self._write("POST", f"/secrets/{secret_id}/update", {"version": 0}, body)
        except OutOfSequence:
            return True
        except SwarmRefused as error:
            if "only updates to Labels are allowed" in error.message:
                return False
            raise
        raise SwarmRefused(f"the engine accepted version 0 of secret {name}")

    def set_secret_labels(
        self, secret_id: str, index: int, name: str, labels: Mapping[str, str]
    ) -> None:
        """Replace all labels of a Docker secret. Raises ``OutOfSequence``, ``NotFound``."""
        body = {"Name": name, "Labels": dict(labels)}
        self._write("POST", f"/secrets/{secret_id}/update", {"version": index}, body)

    def remove_secret(self, secret_id: str) -> None:
        """Remove a Docker secret. Raises ``NotFound``, and ``SwarmRefused`` while a Spec has it."""
        self._write("DELETE", f"/secrets/{secret_id}")

    def create_config(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        """Create a Docker config and return its id. Raises ``NameTaken``."""
        body = {"Name": name, "Data": base64.b64encode(data).decode(), "Labels": dict(labels)}
        return str(self._write("POST", "/configs/create", body=body)["ID"])

    def set_config_labels(self, config: Json, labels: Mapping[str, str]) -> None:
        """Replace all labels of a Docker config, as it was looked at. Raises ``OutOfSequence``."""
        body = {**config["Spec"], "Labels": dict(labels)}
        params = {"version": config["Version"]["Index"]}
        self._write("POST", f"/configs/{config['ID']}/update", params, body)

    def update_service(self, service_id: str, index: int, spec: Json) -> None:
        """Replace a service's spec. Raises ``OutOfSequence``, ``NotFound``.

        No registry-auth header or parameter is sent: without one the engine keeps the pull
        credentials of the service, any other way may lose them.
        """
        self._write("POST", f"/services/{service_id}/update", {"version": index}, spec)

    # --- events ----------------------------------------------------------------------------------

    def events(self) -> Iterator[Json]:
        """Yield events of the swarm's objects until the stream ends; hints only.

        The first is empty and says that the stream is open: what happened before is not told.
        Raises ``SwarmUnreachable`` when it breaks off.
        """
        api = self._client()
        filters = json.dumps({"type": ["service", "secret", "node", "config"]})
        try:
            answer = api.get(
                _url(api, "/events"),
                params={"filters": filters},
                stream=True,
                timeout=(TIMEOUT, None),
            )
            with answer:
                answer.raise_for_status()
                yield {}
                for line in answer.iter_lines():
                    if line:
                        yield json.loads(line)
        except (requests.exceptions.RequestException, OSError, ValueError) as error:
            raise _unreachable(self._settings, error) from None

    # --- requests --------------------------------------------------------------------------------

    def _client(self) -> docker.APIClient:
        if self._api is None:
            try:
                self._api = docker.APIClient(**_arguments(self._settings))
            except (DockerException, requests.exceptions.RequestException, OSError) as error:
                raise _unreachable(self._settings, error) from None
        return self._api

    def _call(self, method: str, path: str, params: Json | None = None) -> Any:
        try:
            return self._request(method, path, params, None)
        except AnswerLost as lost:
            raise SwarmUnreachable(lost.message, hint=lost.hint) from None

    def _write(
        self, method: str, path: str, params: Json | None = None, body: Json | None = None
    ) -> Any:
        return self._request(method, path, params, body)

    def _request(self, method: str, path: str, params: Json | None, body: Json | None) -> Any:
        api = self._client()
        try:
            answer = api.request(
                method,
                _url(api, path),
                params=params,
                data=None if body is None else json.dumps(body),
                headers={"Content-Type": "application/json"},
                timeout=TIMEOUT,
            )
            cast("Any", api)._raise_for_status(answer)  # noqa: SLF001
            return answer.json() if answer.content else None
        except APIError as error:
            raise self._mapped(error) from None
        except (requests.exceptions.RequestException, OSError, ValueError) as error:
            self.close()  # another engine version may answer next time
            lost = _unreachable(self._settings, error)
            raise AnswerLost(lost.message, hint=lost.hint) from None

    def _mapped(self, error: APIError) -> SwarmError:
        status = error.status_code or 0
        text = str(error.explanation or error)
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


def _url(api: docker.APIClient, path: str) -> str:
    return str(cast("Any", api)._url(path))  # noqa: SLF001 - the engine's own API version


def _encoded(data: Concealed) -> str:
    return base64.b64encode(data.reveal()).decode()


_WORDS = (
    ("FileNotFoundError", "there is no such socket"),
    ("Permission denied", "we may not use the socket"),
    ("Connection refused", "connection refused"),
    ("Name or service not known", "its name is not known"),
    ("timed out", "no answer in time"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted"),
)


def _unreachable(settings: DockerSettings, error: Exception) -> SwarmUnreachable:
    text = str(error).split("\n", 1)[0]
    kind = f"{type(error).__name__}: {text}"
    words = next((words for sign, words in _WORDS if sign in text), kind)
    return SwarmUnreachable(
        f"no usable answer from the Docker engine at {settings.host} ({words})",
        hint="see `docker.host` and $DOCKER_HOST",
    )


def _arguments(settings: DockerSettings) -> Json:
    arguments: Json = {"base_url": settings.host, "version": "auto", "timeout": TIMEOUT}
    if settings.host.startswith("ssh://"):
        arguments["use_ssh_client"] = True
    elif settings.cert_file or settings.ca_file:
        client_cert = (settings.cert_file, settings.key_file) if settings.cert_file else None
        arguments["tls"] = docker.tls.TLSConfig(
            client_cert=client_cert, ca_cert=settings.ca_file or None, verify=True
        )
    return arguments
