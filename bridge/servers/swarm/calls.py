"""What the bridge asks the swarm manager's engine and writes there, in the engine's own words.

Raw requests, since docker-py's own service update writes defaults into the spec, which restarts
tasks at the next stack deploy, and it has no update of secrets or configs at all.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

from bridge.cancellation import Cancellation
from bridge.errors import (
    AnswerLost,
    Cancelled,
    NotFound,
    OutOfSequence,
    SwarmRefused,
    SwarmUnreachable,
)
from bridge.model import engine_rights as rights
from bridge.model.content.payload import Concealed
from bridge.model.engine_rights import Right
from bridge.model.settings import DockerSettings
from bridge.servers.swarm.connection import Connection

Json = dict[str, Any]


class Swarm:
    """A connection to one manager's engine, made at the first call and anew after trouble.

    Every method raises ``SwarmUnreachable`` where the swarm gives no usable answer. Those that
    write raise ``AnswerLost`` instead where the write may have been carried out (I13). All raise
    ``Cancelled`` where there is no time left.

    Args:
        cancellation: What ends its waits.
    """

    def __init__(self, settings: DockerSettings, cancellation: Cancellation | None = None) -> None:
        self._settings = settings
        self._cancellation = cancellation or Cancellation()
        self._connection = Connection(settings)

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._connection.close()

    # --- looking ---------------------------------------------------------------------------------

    def info(self) -> Json:
        """Return the engine's ``/info``."""
        return cast("Json", self._call(rights.INFO))

    def version(self) -> Json:
        """Return the engine's ``/version``."""
        return cast("Json", self._call(rights.VERSION))

    def autolock(self) -> bool:
        """Return whether managers ask for a key before they unlock what they have on disk."""
        encryption = (self._call(rights.SWARM).get("Spec") or {}).get("EncryptionConfig") or {}
        return bool(encryption.get("AutoLockManagers"))

    def image(self, name: str) -> Json | None:
        """Inspect an image; None where this engine does not have it."""
        try:
            return cast("Json", self._call(rights.IMAGE, image=name))
        except NotFound:
            return None

    def secrets(self) -> list[Json]:
        """List all Docker secrets, without their data: the engine never gives it."""
        return cast("list[Json]", self._call(rights.SECRETS))

    def services(self, ids: Collection[str] = ()) -> list[Json]:
        """List all services, or those with some ids, with how many tasks each should have."""
        params = {"filters": rights.id_filters("id", ids)} if ids else {}
        return cast("list[Json]", self._call(rights.SERVICES, {**params, "status": "true"}))

    def tasks(self, services: Collection[str] = ()) -> list[Json]:
        """List all tasks that the manager remembers, or those of some services.

        Args:
            services: Ids of services that exist. Raises ``NotFound`` for any other.
        """
        params = {"filters": rights.id_filters("service", services)} if services else None
        return cast("list[Json]", self._call(rights.TASKS, params))

    def nodes(self) -> list[Json]:
        """List all nodes."""
        return cast("list[Json]", self._call(rights.NODES))

    def config(self, name: str) -> Json | None:
        """Return the Docker config of exactly this name."""
        found = self._call(rights.CONFIGS, {"filters": rights.config_filters(name)})
        return next((c for c in found if _name(c) == name), None)  # the filter is a prefix

    def service(self, service_id: str) -> Json:
        """Inspect one service. Raises ``NotFound``."""
        return cast("Json", self._call(rights.SERVICE, id=service_id))

    def secret(self, secret_id: str) -> Json:
        """Inspect one Docker secret. Raises ``NotFound``."""
        return cast("Json", self._call(rights.SECRET, id=secret_id))

    # --- writing ---------------------------------------------------------------------------------

    def create_secret(
        self, name: str, data: Concealed, labels: Mapping[str, str], template_driver: str = ""
    ) -> str:
        """Create a Docker secret and return its id. Raises ``NameTaken``.

        Args:
            template_driver: With what the engine expands it for each task. An update of the labels
                that does not repeat it keeps it.
        """
        body: Json = {"Name": name, "Data": _encoded(data), "Labels": dict(labels)}
        if template_driver:
            body["Templating"] = {"Name": template_driver}
        return str(self._write(rights.CREATE_SECRET, body=body)["ID"])

    def holds(self, secret_id: str, name: str, data: Concealed) -> bool:
        """Return whether a Docker secret holds exactly this data; nothing is written.

        An update with version 0 never succeeds. The engine compares the data first: another content
        is ``only updates to Labels are allowed``, the same one ``update out of sequence``.
        """
        body = {"Name": name, "Data": _encoded(data), "Labels": {}}
        try:
            self._write(rights.LABEL_SECRET, {"version": 0}, body, id=secret_id)
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
        self._write(rights.LABEL_SECRET, {"version": index}, body, id=secret_id)

    def remove_secret(self, secret_id: str) -> None:
        """Remove a Docker secret. Raises ``NotFound``, and ``SwarmRefused`` while a Spec has it."""
        self._write(rights.REMOVE_SECRET, id=secret_id)

    def create_config(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        """Create a Docker config and return its id. Raises ``NameTaken``."""
        body = {"Name": name, "Data": base64.b64encode(data).decode(), "Labels": dict(labels)}
        return str(self._write(rights.CREATE_CONFIG, body=body)["ID"])

    def set_config_labels(self, config: Json, labels: Mapping[str, str]) -> None:
        """Replace all labels of a Docker config, as it was looked at. Raises ``OutOfSequence``."""
        body = {**config["Spec"], "Labels": dict(labels)}
        params = {"version": config["Version"]["Index"]}
        self._write(rights.LABEL_CONFIG, params, body, id=config["ID"])

    def update_service(self, service_id: str, index: int, spec: Json) -> None:
        """Replace a service's spec. Raises ``OutOfSequence``, ``NotFound``.

        No registry-auth header or parameter is sent: without one the engine keeps the pull
        credentials of the service, any other way may lose them.
        """
        params = {"version": index}
        self._write(rights.UPDATE_SERVICE, params, spec, whole=True, id=service_id)

    # --- events ----------------------------------------------------------------------------------

    def events(self) -> Iterator[Json]:
        """Yield events of the swarm's objects until the stream ends; hints only.

        The first is empty and says that the stream is open: what happened before is not told.
        Raises ``SwarmUnreachable`` when it breaks off.
        """
        yield from self._connection.events(rights.EVENTS, {"filters": rights.event_filters()})

    # --- requests --------------------------------------------------------------------------------

    def _call(self, right: Right, params: Json | None = None, **parts: str) -> Any:
        try:
            return self._in_time(right, parts, params, None)
        except AnswerLost as lost:
            raise SwarmUnreachable(lost.message, hint=lost.hint) from None

    def _write(
        self,
        right: Right,
        params: Json | None = None,
        body: Json | None = None,
        *,
        whole: bool = False,
        **parts: str,
    ) -> Any:
        """Write.

        Args:
            whole: Whether fields that an older API version does not know would be lost.
        """
        return self._in_time(right, parts, params, body, anew=whole, write=True)

    def _in_time(
        self,
        right: Right,
        parts: Mapping[str, str],
        params: Json | None,
        body: Json | None,
        *,
        anew: bool = False,
        write: bool = False,
    ) -> Any:
        """Send a request and wait for its answer while there is time."""
        connection = self._connection
        try:
            return self._cancellation.run(
                lambda: connection.request(right, parts, params, body, anew=anew), write=write
            )
        except Cancelled:
            # The request still has the connection, and does with it what it likes.
            self._connection = Connection(self._settings)
            raise


def _name(raw: Any) -> object:
    """Return an object's name; None where it is not understood."""
    spec = raw.get("Spec") if isinstance(raw, dict) else None
    return spec.get("Name") if isinstance(spec, dict) else None


def _encoded(data: Concealed) -> str:
    return base64.b64encode(data.reveal()).decode()
