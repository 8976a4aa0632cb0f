"""Says what is wrong with a configuration where it runs, and how to mend it; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from bridge.errors import BridgeError, Exit, SwarmUnreachable, VaultError, VaultRefused
from bridge.model.desired import Desired, KvPath
from bridge.model.settings import Settings
from bridge.model.world import SwarmView, Unreadable
from bridge.observe import look_at_swarm, look_at_vault
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked.

    Attributes:
        where: The part of the configuration, or the server.
        code: What it means for the exit code.
    """

    level: Level
    where: str
    message: str
    code: Exit = Exit.DONE

    def json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {key: value for key, value in asdict(self).items() if key != "code"}


def check(desired: Desired, settings: Settings, now: float) -> Iterator[Finding]:
    """Check the servers against the configuration; one finding after the other."""
    count = len(desired.secrets)
    yield Finding(Level.OK, "configuration", f"{count} secret{'s' * (count != 1)}")
    vault = Vault(settings.vault)
    try:
        yield from _check_vault(vault, desired, settings, now)
    finally:
        vault.close()
    swarm = Swarm(settings.docker)
    try:
        yield from _check_swarm(swarm, desired, settings, now)
    finally:
        swarm.close()


def _check_vault(
    vault: Vault, desired: Desired, settings: Settings, now: float
) -> Iterator[Finding]:
    address = settings.vault.address
    try:
        health = vault.health()
        if health.get("sealed"):
            yield Finding(Level.ERROR, "vault", f"{address} is sealed: unseal it", Exit.UNREACHABLE)
            return
        vault.login()
        yield Finding(Level.OK, "vault", f"{address} answers and takes our credential")
    except VaultError as error:
        yield Finding(Level.ERROR, "vault", str(error), Exit.UNREACHABLE)
        return
    view = look_at_vault(vault, desired, now)
    for path, seen in view.paths.items():
        names = ", ".join(s.name for s in desired.secrets if s.source == path)
        if isinstance(seen, Unreadable):
            message = f"{seen.reason}: {seen.message}"
            yield Finding(Level.ERROR, f"secrets.{names}", message, Exit.HELD)
        else:
            yield from _check_read(vault, path, f"secrets.{names}", seen.current)


def _check_read(vault: Vault, path: KvPath, where: str, current: int) -> Iterator[Finding]:
    api_path = f"{path.mount}/data/{path.path}"
    try:
        capabilities = vault.capabilities([api_path])[api_path]
    except VaultRefused as error:
        yield Finding(Level.WARNING, where, str(error))
        return
    except VaultError as error:
        yield Finding(Level.ERROR, where, str(error), Exit.UNREACHABLE)
        return
    if {"read", "root"} & set(capabilities):
        yield Finding(Level.OK, where, f"{path} is readable, version {current}")
    else:
        yield Finding(
            Level.ERROR,
            where,
            f"our token sees the versions of {path} and may not read them: add to its policy"
            f' path "{api_path}" {{ capabilities = ["read"] }}',
            Exit.HELD,
        )


def _check_swarm(
    swarm: Swarm, desired: Desired, settings: Settings, now: float
) -> Iterator[Finding]:
    host = settings.docker.host
    try:
        control = swarm.info().get("Swarm") or {}
        if control.get("LocalNodeState") != "active" or not control.get("ControlAvailable"):
            raise SwarmUnreachable(
                f"the engine at {host} is not a swarm manager",
                hint="run `docker swarm init`, or set `docker.host` to a manager",
            )
        engine = swarm.version()
        view = look_at_swarm(swarm, desired.instance, now)
    except BridgeError as error:
        yield Finding(Level.ERROR, "docker", str(error), Exit.UNREACHABLE)
        return
    version, api = engine.get("Version"), engine.get("ApiVersion")
    yield Finding(Level.OK, "docker", f"{host} is a swarm manager, engine {version}, API {api}")
    yield from _check_services(desired, view)


def _check_services(desired: Desired, view: SwarmView) -> Iterator[Finding]:
    for secret in desired.secrets:
        for mapping in secret.services:
            where = f"secrets.{secret.name}.services.{mapping.service}"
            service = view.service_by_name.get(mapping.service)
            if service is None:
                message = f"there is no service {mapping.service} in the swarm: deploy it"
                yield Finding(Level.ERROR, where, message, Exit.HELD)
            elif service.reruns:
                message = "an update would run its tasks again, so it is never rolled (WouldRerun)"
                yield Finding(Level.WARNING, where, message)
            else:
                yield Finding(Level.OK, where, f"{service.desired_tasks} tasks")
