"""Is the engine a manager, and can the services that are configured be rolled well?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from bridge.check.room import lack_of_room
from bridge.decide.services.files import files_of, is_a_bridges
from bridge.decide.versions.target import missing_service
from bridge.errors import BridgeError, Exit, NotGranted, SwarmUnreachable
from bridge.model.desired import Desired, DesiredSecret
from bridge.model.desired import Mapping as ServiceMapping
from bridge.model.findings import Finding, Level
from bridge.model.names import is_hand_made
from bridge.model.reasons import Reason
from bridge.model.service import Reference, Service
from bridge.model.settings import Settings
from bridge.model.swarm_view import SwarmView
from bridge.observe_swarm import look_at_swarm
from bridge.report.advice import advice, pinned_by
from bridge.servers.swarm import Swarm

Json = dict[str, Any]
_T = TypeVar("_T")


def check_swarm(
    swarm: Swarm, desired: Desired, settings: Settings, now: float
) -> Iterator[Finding]:
    """Report on the engine and on each service that is configured."""
    host = settings.docker.host
    missing = _Missing()
    try:
        _must_be_a_manager(missing.unless_granted(swarm.info), host)
        engine = swarm.version()
        locked = missing.unless_granted(swarm.autolock)
        view = look_at_swarm(swarm, desired.instance, now)
        services = {raw["ID"]: raw for raw in swarm.services()}
        nodes = swarm.nodes()
        names = set(map(_image, services.values()))
        images = missing.unless_granted(lambda: {name: swarm.image(name) for name in names})
    except BridgeError as error:
        yield Finding(Level.ERROR, "docker", str(error), Exit.UNREACHABLE)
        return
    version, api = engine.get("Version"), engine.get("ApiVersion")
    yield Finding(Level.OK, "docker", f"{host} is a swarm manager, engine {version}, API {api}")
    yield from missing.notes
    if locked is False:
        yield Finding(
            Level.NOTE,
            "docker",
            "the managers keep the key to all Docker secrets unprotected on their disks;"
            " `docker swarm update --autolock=true` asks for one at each start",
        )
    yield from _check_verdicts(desired, view)
    yield from _check_services(desired, view, services, images, nodes)


class _Missing:
    """What was left out since a proxy before the engine does not grant it.

    Attributes:
        notes: A finding for each.
    """

    def __init__(self) -> None:
        self.notes: list[Finding] = []

    def unless_granted(self, look: Callable[[], _T]) -> _T | None:
        """Return what a look sees; None where we may not look. Raises ``SwarmError``."""
        try:
            return look()
        except NotGranted as error:
            self.notes.append(Finding(Level.NOTE, "docker", f"not looked at: {error}"))
            return None


def _must_be_a_manager(info: Json | None, host: str) -> None:
    """Raise ``SwarmUnreachable`` where an engine says that it is none; else a look shows it."""
    control = (info or {}).get("Swarm") or {}
    if info and not (control.get("LocalNodeState") == "active" and control.get("ControlAvailable")):
        raise SwarmUnreachable(
            f"the engine at {host} is not a swarm manager",
            hint="run `docker swarm init`, or set `docker.host` to a manager",
        )


def _check_verdicts(desired: Desired, view: SwarmView) -> Iterator[Finding]:
    for secret in desired.secrets:
        verdict = view.verdicts.get(secret.name)
        if verdict and verdict.shape == secret.content.shape:
            message = f"{verdict.reason}: version {verdict.identity.version}: {verdict.message}"
            yield Finding(Level.ERROR, f"secrets.{secret.name}", message, Exit.HELD)


def _check_services(
    desired: Desired,
    view: SwarmView,
    services: Mapping[str, Json],
    images: Mapping[str, Any] | None,
    nodes: list[Json],
) -> Iterator[Finding]:
    advised: set[str] = set()
    for secret in desired.secrets:
        for mapping in secret.services:
            where = _where(secret, mapping)
            service = view.service_by_name.get(mapping.service)
            raw = services.get(service.id) if service else None
            if service is None or raw is None:
                message = missing_service(mapping.service, view)
                yield Finding(Level.ERROR, where, message, Exit.HELD)
                continue
            yield from _check_mapping(secret, mapping, service, raw, view, desired.instance)
            if service.id not in advised and not service.reruns:
                advised.add(service.id)
                lack = lack_of_room(raw["Spec"], nodes)
                if lack:
                    message = f"{Reason.CANNOT_BE_SCHEDULED}: {lack}"
                    yield Finding(Level.ERROR, service.name, message, Exit.HELD)
                image = (images or {}).get(_image(raw))
                for words in advice(raw, image, looked=images is not None):
                    yield Finding(Level.WARNING, service.name, words)


def _where(secret: DesiredSecret, mapping: ServiceMapping) -> str:
    return f"secrets.{secret.name}.services.{mapping.service}"


def _check_mapping(
    secret: DesiredSecret,
    mapping: ServiceMapping,
    service: Service,
    raw: Json,
    view: SwarmView,
    instance: str,
) -> Iterator[Finding]:
    where = _where(secret, mapping)
    if service.reruns:
        message = "WouldRerun: an update would run its tasks again, so it is never rolled"
        yield Finding(Level.WARNING, where, message)
        return
    count = service.desired_tasks
    yield Finding(Level.OK, where, f"{count} task{'s' * (count != 1)}")
    own = {mirror.id: mirror.docker_name for mirror in view.mirrors_of(instance, secret.name)}
    files = files_of(service, secret.name, mapping.files, own.keys(), view)
    if files.hold:
        message = f"{files.hold.reason}: {files.hold.message}"
        yield Finding(Level.ERROR, where, message, Exit.HELD)
    if files.shared:
        yield Finding(Level.WARNING, where, files.shared)
    for driver in sorted({_driver(ref, view) for ref in files.references}):
        if driver not in ("", secret.content.template_driver):
            message = (
                f"{Reason.TEMPLATING_ENDS}: it has a template of Docker's, and the next version is"
                f" taken as it is: `template_driver: {driver}` keeps templates"
            )
            yield Finding(Level.WARNING, where, message)
    hand_made = (
        found.name
        for found in view.secrets
        if is_hand_made(secret.name, found.name) and not is_a_bridges(found.id, view)
    )
    stack, pinned = pinned_by(raw, frozenset((*own.values(), *hand_made)))
    if stack and pinned:
        yield Finding(
            Level.NOTE,
            where,
            f"it was deployed by the stack {stack} with {', '.join(pinned)}: where the stack's file"
            " names a version, the next `docker stack deploy` sends it back there; let the file"
            " take the current one from `vault-bridge render`",
        )


def _driver(ref: Reference, view: SwarmView) -> str:
    found = view.secret_by_id.get(ref.secret_id)
    return found.template_driver if found else ""


def _image(raw: Json) -> str:
    container = raw["Spec"]["TaskTemplate"].get("ContainerSpec") or {}
    return str(container.get("Image", ""))
