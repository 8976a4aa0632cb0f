"""Looks at the swarm and makes nouns of the engine's answers.

An object that is not understood becomes data of its own and holds up nothing but what it concerns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from bridge.errors import NOT_UNDERSTOOD, SwarmUnreachable
from bridge.model.docker_secret import DockerSecret
from bridge.model.fingerprint import fingerprint, frame_of, setup_of, surroundings_of
from bridge.model.labels import REFUSED, TROUBLE, WOKEN, read_by_name
from bridge.model.names import state_config_name
from bridge.model.service import Kind, Reference, Service, Task, UpdateState
from bridge.model.swarm_view import SwarmView, Unread
from bridge.model.timestamps import instant
from bridge.model.verdicts import Refusal, Verdict
from bridge.model.wishes import read_approvals, read_fields, read_pauses, read_wishes
from bridge.servers.swarm import Swarm

_NANO = 1_000_000_000
_DEFAULT_MONITOR = 5.0

Json = Mapping[str, Any]
_T = TypeVar("_T")


def look_at_swarm(swarm: Swarm, instance: str, now: float) -> SwarmView:
    """Return services, tasks, secrets, nodes and the state config as one view.

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
        return _look_at_swarm(swarm, instance, now)
    except NOT_UNDERSTOOD as error:
        kind = type(error).__name__
        raise SwarmUnreachable(f"the engine's answer is not understood ({kind})") from None


def _look_at_swarm(swarm: Swarm, instance: str, now: float) -> SwarmView:
    before = swarm.services()
    raw_tasks = swarm.tasks()
    raw_nodes = swarm.nodes()
    raw_secrets = swarm.secrets()
    config = swarm.config(state_config_name(instance))
    indexes, _ = _each("service", swarm.services(), lambda raw: (_text(raw["ID"]), _index(raw)))
    after = dict(indexes)
    nodes, odd_nodes = _each("node", raw_nodes, _node)
    down = {node for node, is_down in nodes if is_down}
    # Case 3.
    known = None if odd_nodes else {node for node, _ in nodes}
    services, odd_services = _each("service", before, lambda raw: _service(raw, after))
    tasks, odd_tasks = _each("task", raw_tasks, lambda raw: _task(raw, down, known))
    secrets, odd_secrets = _each("secret", raw_secrets, _secret)
    torn = {odd.service_id for odd in odd_tasks}
    labels = _state_labels(config)
    state = labels or {}
    return SwarmView(
        as_of=now,
        secrets=tuple(secrets),
        services=tuple(replace(s, torn=s.torn or s.id in torn) for s in services if s),
        tasks=tuple(tasks),
        has_state=labels is not None,
        verdicts=read_by_name(state, REFUSED, Verdict.read),
        wishes=read_wishes(state),
        pauses=read_pauses(state),
        approvals=read_approvals(state),
        refusals=read_by_name(state, TROUBLE, Refusal.read),
        fields=read_fields(state),
        unread=(*odd_secrets, *odd_services, *odd_tasks, *odd_nodes),
        nodes=surroundings_of(raw_nodes),
        unclear=frozenset(after) - {service.id for service in services if service},
    )


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
    return Unread(kind, own, name, text("ServiceID"), type(error).__name__)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _texts(value: Any) -> Mapping[str, str]:
    """Read labels."""
    return {_text(key): _text(each) for key, each in (value or {}).items()}


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


def _secret(raw: Json) -> DockerSecret:
    spec = raw["Spec"]
    created = instant(raw["CreatedAt"]) / _NANO
    labels = _texts(spec.get("Labels"))
    driver = _text((spec.get("Templating") or {}).get("Name") or "")
    return DockerSecret(_text(raw["ID"]), _text(spec["Name"]), created, labels, driver)


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
    )
