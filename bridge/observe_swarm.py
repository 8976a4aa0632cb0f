"""Looks at the swarm and makes nouns of the engine's answers.

An object that is not understood becomes data of its own and holds up nothing but what it concerns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from bridge.errors import NOT_UNDERSTOOD, NotFound, SwarmUnreachable
from bridge.model.audit_head import AUDIT, AuditHead
from bridge.model.docker_secret import DockerSecret, shared
from bridge.model.fingerprint import fingerprint, frame_of, setup_of, surroundings_of
from bridge.model.labels import REFUSED, TROUBLE, WOKEN, NewerLayout, must_know_layout, read_by_name
from bridge.model.names import state_config_name
from bridge.model.service import STACK, Kind, Reference, Service, Task, UpdateState
from bridge.model.swarm_view import SwarmView, Unread
from bridge.model.timestamps import instant
from bridge.model.verdicts import Refusal, Verdict
from bridge.model.wishes import read_approvals, read_fields, read_pauses, read_wishes
from bridge.servers.swarm import Swarm
from bridge.swarm_cache import Again, Seen

_NANO = 1_000_000_000
_DEFAULT_MONITOR = 5.0

Json = Mapping[str, Any]
_T = TypeVar("_T")


def look_at_swarm(swarm: Swarm, instance: str, now: float) -> SwarmView:
    """Return services, tasks, secrets, nodes and the state config as one view: see ``see_swarm``.

    Raises:
        SwarmUnreachable: The swarm gives no usable answer; part of a look is no look.
    """
    return see_swarm(swarm, instance, now).view


def see_swarm(swarm: Swarm, instance: str, now: float) -> Seen:
    """Look at the whole swarm.

    1. Services are listed before and after all others. One whose version index differs is *torn*:
       its tasks and its spec may not belong together, since the engine lists each kind by itself.
    2. An object that is not understood is reported as ``Unread``, and holds up only what it may
       concern (I8). A task that is not understood makes its service torn.
    3. The engine's list of nodes may have some that are not understood. Then no task is taken for
       one whose node was removed.

    Raises:
        SwarmUnreachable: The swarm gives no usable answer; part of a look is no look.
    """
    try:
        return _see_swarm(swarm, instance, now)
    except NOT_UNDERSTOOD as error:
        kind = type(error).__name__
        raise SwarmUnreachable(f"the engine's answer is not understood ({kind})") from None


def _see_swarm(swarm: Swarm, instance: str, now: float) -> Seen:
    before = swarm.services()
    raw_tasks = swarm.tasks()
    raw_nodes = swarm.nodes()
    nodes, odd_nodes = _each("node", raw_nodes, _node)
    down = frozenset(node for node, is_down in nodes if is_down)
    # Case 3.
    known = None if odd_nodes else frozenset(node for node, _ in nodes)
    tasks, odd_tasks = _each("task", raw_tasks, lambda raw: _task(raw, down, known))
    del raw_tasks  # of thousands the engine's own words take far more memory than what is read
    raw_secrets = swarm.secrets()
    secrets, odd_secrets = _each("secret", raw_secrets, lambda raw: _secret(raw, instance))
    secret_indexes, _ = _each("secret", raw_secrets, _id_and_index)
    del raw_secrets
    config = swarm.config(state_config_name(instance))
    indexes, _ = _each("service", swarm.services(), _id_and_index)
    after = dict(indexes)
    services, odd_services = _each("service", before, lambda raw: _service(raw, after))
    torn = {odd.service_id for odd in odd_tasks}
    view = SwarmView(
        as_of=now,
        secrets=tuple(secrets),
        services=tuple(replace(s, torn=s.torn or s.id in torn) for s in services if s),
        tasks=tuple(tasks),
        **_state(config),
        unread=(*odd_secrets, *odd_services, *odd_tasks, *odd_nodes),
        nodes=surroundings_of(raw_nodes),
        unclear=frozenset(after) - {service.id for service in services if service},
    )
    return Seen(view, down, known, after | dict(secret_indexes))


def see_again(swarm: Swarm, seen: Seen, again: Again, instance: str) -> Seen | None:
    """Look again at some of the swarm's objects; the others are taken to be as they were.

    The view's ``as_of`` stays that of the whole look: it tells of the oldest that it shows.
    Services are listed before and after their tasks here too, to tell which is torn.

    Returns:
        None where only a whole look can tell: a service is gone, whose tasks may outlive it; an
        object is older than it was, so that the swarm was restored or this manager lags; or
        something is not understood.

    Raises:
        SwarmError: The swarm gives no usable answer, or none to questions for single objects.
    """
    found: Seen | None = seen
    try:
        if again.services:
            found = _see_services(swarm, seen, again.services)
        if found and again.secrets:
            found = _see_secrets(swarm, found, again.secrets, instance)
        if found and again.config:
            state = _state(swarm.config(state_config_name(instance)))
            found = replace(found, view=replace(found.view, **state))
    except NOT_UNDERSTOOD:
        return None
    return found


def _see_services(swarm: Swarm, seen: Seen, ids: Collection[str]) -> Seen | None:
    raws = swarm.services(ids)
    raw_tasks = swarm.tasks([_text(raw["ID"]) for raw in raws]) if raws else []
    after = dict(map(_id_and_index, swarm.services(ids)))
    if after.keys() != set(ids) or _went_back(after, seen.indexes):
        return None
    services = {raw["ID"]: _service(raw, after) for raw in raws}
    tasks = [_task(raw, seen.down, seen.known) for raw in raw_tasks]
    view = _with_services(seen.view, ids, services.values(), tasks)
    return replace(seen, view=view, indexes={**seen.indexes, **after})


def _see_secrets(swarm: Swarm, seen: Seen, ids: Collection[str], instance: str) -> Seen | None:
    raws = [raw for raw in (_secret_or_none(swarm, each) for each in sorted(ids)) if raw]
    after = dict(map(_id_and_index, raws))
    if _went_back(after, seen.indexes):
        return None
    others = {key: index for key, index in seen.indexes.items() if key not in ids}
    read = (_secret(raw, instance) for raw in raws)
    secrets = {secret.id: secret for secret in read}
    view = _with_secrets(seen.view, ids, secrets)
    return replace(seen, view=view, indexes=others | after)


def _went_back(now: Mapping[str, int], before: Mapping[str, int]) -> bool:
    return any(index < before.get(key, 0) for key, index in now.items())


def _secret_or_none(swarm: Swarm, secret_id: str) -> Json | None:
    with suppress(NotFound):
        return swarm.secret(secret_id)
    return None


def _with_services(
    view: SwarmView, ids: Collection[str], services: Iterable[Service | None], tasks: Iterable[Task]
) -> SwarmView:
    """Return the view with services as they are now; None is one that takes no secrets."""
    found = {service.id: service for service in services if service}
    kept = [found.pop(service.id, service) for service in view.services]
    read = {service.id for service in (*kept, *found.values())}
    return replace(
        view,
        services=(*kept, *found.values()),
        tasks=(*(task for task in view.tasks if task.service_id not in ids), *tasks),
        unclear=(view.unclear | frozenset(ids)) - read,
    )


def _with_secrets(
    view: SwarmView, ids: Collection[str], secrets: dict[str, DockerSecret]
) -> SwarmView:
    """Return the view with Docker secrets as they are now; one that is not found is gone."""
    kept = [
        secrets.pop(secret.id, secret)
        for secret in view.secrets
        if secret.id not in ids or secret.id in secrets
    ]
    return replace(view, secrets=(*kept, *secrets.values()))


def _state(config: Json | None) -> dict[str, Any]:
    """Return the parts of a view that the state config tells."""
    labels = _state_labels(config)
    state = labels or {}
    return {
        "has_state": labels is not None,
        "verdicts": read_by_name(state, REFUSED, Verdict.read),
        "wishes": read_wishes(state),
        "pauses": read_pauses(state),
        "approvals": read_approvals(state),
        "refusals": read_by_name(state, TROUBLE, Refusal.read),
        "fields": read_fields(state),
        "audit": AuditHead.read(state[AUDIT]) if AUDIT in state else None,
    }


def _each(
    kind: str, raws: Iterable[Json], read: Callable[[Json], _T]
) -> tuple[list[_T], list[Unread]]:
    """Read each object by itself; returns what was read, and what is not understood."""
    found: list[_T] = []
    odd: list[Unread] = []
    for raw in raws:
        try:
            found.append(read(raw))
        except NOT_UNDERSTOOD as error:
            odd.append(_unread(kind, raw, error))
    return found, odd


def _unread(kind: str, raw: Json, error: Exception) -> Unread:
    """Describe an object that is not understood by those of its fields that are text."""

    def text(*keys: str) -> str:
        value: Any = raw
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value if isinstance(value, str) else ""

    own, name = text("ID"), text("Spec", "Name")
    why = str(error) if isinstance(error, NewerLayout) else type(error).__name__
    return Unread(kind, own, name, text("ServiceID"), why)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _texts(value: Any) -> Mapping[str, str]:
    """Read labels."""
    return {_text(key): _text(each) for key, each in (value or {}).items()}


def _id_and_index(raw: Json) -> tuple[str, int]:
    return _text(raw["ID"]), _index(raw)


def _index(raw: Json) -> int:
    index = raw["Version"]["Index"]
    if not isinstance(index, int):
        raise TypeError("no number")
    return index


def _state_labels(config: Json | None) -> Mapping[str, str] | None:
    """Read the state config's labels; None where it is gone or damaged, which is the same loss."""
    if config is None:
        return None
    try:
        return _texts(config["Spec"].get("Labels"))
    except NOT_UNDERSTOOD:
        return None


def _node(raw: Json) -> tuple[str, bool]:
    """Return a node's id, and whether it is down."""
    return _text(raw["ID"]), _text(raw["Status"]["State"]) == "down"


def _secret(raw: Json, instance: str) -> DockerSecret:
    spec = raw["Spec"]
    created = instant(raw["CreatedAt"]) / _NANO
    labels = _texts(spec.get("Labels"))
    must_know_layout(labels, instance)
    driver = _text((spec.get("Templating") or {}).get("Name") or "")
    return shared(DockerSecret(_text(raw["ID"]), _text(spec["Name"]), created, labels, driver))


def _has_containers(raw: Json) -> bool:
    """Plugins run as services too, and take no secrets."""
    return "ContainerSpec" in (raw["Spec"].get("TaskTemplate") or {})


def _references(spec: Json) -> Iterable[Reference]:
    container = (spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}
    for ref in container.get("Secrets") or ():
        if ref.get("File"):
            read = Reference.read(ref)
            for text in (read.secret_id, read.secret_name, read.file_name, read.uid, read.gid):
                _text(text)
            yield replace(read, mode=int(read.mode))


def _service(raw: Json, after: Mapping[str, int]) -> Service | None:
    """Read a service; None for one that takes no secrets."""
    if not _has_containers(raw):
        return None
    spec, status = raw["Spec"], raw.get("UpdateStatus") or {}
    index = _index(raw)
    previous = raw.get("PreviousSpec")
    restart = (spec["TaskTemplate"].get("RestartPolicy") or {}).get("Condition")
    config = spec.get("UpdateConfig") or {}
    return Service(
        id=_text(raw["ID"]),
        name=_text(spec["Name"]),
        index=index,
        kind=_kind(spec),
        references=tuple(_references(spec)),
        previous=frozenset(ref.secret_id for ref in _references(previous)) if previous else None,
        desired_tasks=int((raw.get("ServiceStatus") or {}).get("DesiredTasks", 0)),
        runs_once=restart == "none",
        update=_update_state(status.get("State")),
        update_message=_text(status.get("Message") or ""),
        update_started=_seconds(status.get("StartedAt")),
        update_completed=_seconds(status.get("CompletedAt")),
        monitor=(config.get("Monitor") or 0) / _NANO or _DEFAULT_MONITOR,
        delay=(config.get("Delay") or 0) / _NANO,
        template=fingerprint(spec),
        frame=frame_of(spec),
        woken=_texts(spec.get("Labels")).get(WOKEN, ""),
        torn=after.get(raw["ID"]) != index,
        setup=setup_of(spec),
        stack=_texts(spec.get("Labels")).get(STACK, ""),
    )


def _kind(spec: Json) -> Kind:
    mode = spec.get("Mode") or {}
    if "ReplicatedJob" in mode or "GlobalJob" in mode:
        return Kind.JOB
    return Kind.GLOBAL if "Global" in mode else Kind.REPLICATED


def _seconds(text: str | None) -> float:
    """Read a time as seconds since the epoch; 0 where there is none."""
    return instant(text) / _NANO if text else 0.0


def _update_state(text: str | None) -> UpdateState | None:
    """Read the state of an update; one of a newer engine is taken for an update under way."""
    try:
        return UpdateState(text) if text else None
    except ValueError:
        return UpdateState.UPDATING


def _task(raw: Json, down: Collection[str], known: Collection[str] | None) -> Task:
    """Read a task.

    Args:
        known: Ids of all nodes; None where they are not all known.
    """
    container = (raw.get("Spec") or {}).get("ContainerSpec") or {}
    status = raw["Status"]
    node = _text(raw.get("NodeID") or "")
    gone = known is not None and node not in known
    return Task(
        id=_text(raw["ID"]),
        service_id=_text(raw.get("ServiceID") or ""),
        state=_text(status["State"]),
        desired_state=_text(raw["DesiredState"]),
        secret_ids=frozenset(_text(ref["SecretID"]) for ref in container.get("Secrets") or ()),
        error=_text(status.get("Err") or ""),
        node=node,
        lost=bool(node) and (node in down or gone),
        seen=_seconds(status.get("Timestamp")),
        written=_seconds(raw.get("UpdatedAt")),
        container=_text((status.get("ContainerStatus") or {}).get("ContainerID") or ""),
    )
