"""Looks at the servers and makes the World of what they say; errors of one path become data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from bridge.errors import LoginRefused, SwarmUnreachable, VaultRefused, VaultUnreachable
from bridge.model.desired import DatabaseRole, Desired, Source, StaticRoles
from bridge.model.fingerprint import fingerprint, frame_of, setup_of, surroundings_of
from bridge.model.labels import REFUSED, TROUBLE, WOKEN, read_by_name
from bridge.model.leased import Fate, GenerationView, Gone, Life, Unknown, custody_meta
from bridge.model.mirror import DockerSecret, Mirror, Trouble, Verdict, state_config_name
from bridge.model.reasons import Reason
from bridge.model.service import Kind, Reference, Service, Task, UpdateState
from bridge.model.swarm_view import SwarmView, Unread
from bridge.model.timestamps import instant
from bridge.model.vault_view import Document, KvDocument, KvVersion, Unreadable, VaultView
from bridge.model.wishes import read_approvals, read_fields, read_pauses, read_wishes
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault

_NANO = 1_000_000_000
_FOR_EVER = 10 * 365 * 86400.0
_DEFAULT_MONITOR = 5.0
_NOT_UNDERSTOOD = (KeyError, ValueError, TypeError, AttributeError, OverflowError)
"""What reading an answer of any content may end with."""

Json = Mapping[str, Any]
_T = TypeVar("_T")


# --- Vault ---------------------------------------------------------------------------------------


def look_at_vault(
    vault: Vault, desired: Desired, now: float, between: Callable[[], object] = lambda: None
) -> VaultView:
    """Read each distinct path and role once, however many secrets use it.

    Once Vault as a whole does not answer, the rest of the look is given up: nothing would come of
    it but waiting. Paths that fail for themselves hold no other up (I8), unless so many hang that
    the look would take minutes.

    Args:
        between: Called before each path, since many of them take their time.
    """
    found: dict[Source, Document | Unreadable] = {}
    down: Unreadable | None = None
    failed = hung = 0
    for source in desired.sources:
        between()
        seen = down or _document(vault, source, patient=failed <= 1)
        if not down and isinstance(seen, Unreadable) and seen.away:
            failed += 1
            hung += seen.hung
            if hung > MOST_HUNG or (seen.everywhere and not vault.is_up()):
                down = seen = replace(seen, everywhere=True)
            else:
                seen = replace(seen, everywhere=False)
        found[source] = seen
    return VaultView(now, found)


MOST_HUNG = 3
"""Paths that are waited for in vain in one look, each for as long as a time-out."""


def _document(vault: Vault, source: Source, *, patient: bool) -> Document | Unreadable:
    try:
        if isinstance(source, DatabaseRole):
            return vault.leases.role(source, patient=patient)
        if isinstance(source, StaticRoles):
            return vault.statics.roles(source, patient=patient)
        return read_document(vault.kv.metadata(source, patient=patient))
    except VaultUnreachable as error:
        return Unreadable(
            Reason.VAULT_UNREACHABLE,
            str(error),
            error.everywhere,
            error.hung,
            error.retry_after,
        )
    except LoginRefused as error:
        return Unreadable(Reason.LOGIN_REFUSED, str(error), error.everywhere)
    except VaultRefused as error:
        return Unreadable(Reason(error.reason), str(error))
    except _NOT_UNDERSTOOD:
        return Unreadable(
            Reason.VAULT_UNREACHABLE, f"Vault's metadata of {source} is not understood"
        )


def read_document(raw: Json) -> KvDocument:
    """Read Vault's metadata document; fields that are not known are ignored."""
    versions = {
        int(number): KvVersion(
            version["created_time"],
            instant(version["deletion_time"]) / _NANO if version.get("deletion_time") else None,
            bool(version.get("destroyed")),
        )
        for number, version in (raw.get("versions") or {}).items()
    }
    for created in (raw["created_time"], *(version.created for version in versions.values())):
        instant(created)  # what cannot be read is said of this path, not found out by a decision
    return KvDocument(raw["created_time"], int(raw["current_version"]), versions)


def look_at_generation(vault: Vault, mirror: Mirror, now: float) -> GenerationView:
    """Look a generation's lease and its custody up.

    Both lives are told in Vault's clock and noted in ours: only what is left of them is compared.
    """
    leased = mirror.leased
    if leased is None:
        raise AssertionError("only generations are looked at")
    if mirror.lease_role is None:
        message = f"the lease that {mirror.docker_name} names is not one of {leased.role}"
        foreign = Unknown(Reason.FOREIGN_LEASE, message, foreign=True)
        return GenerationView(now, foreign, foreign)
    if mirror.lease_role.namespace != vault.namespace:
        message = f"{mirror.docker_name} belongs to another namespace than `vault.namespace`"
        elsewhere = Unknown(Reason.UNMAPPED, message)
        return GenerationView(now, elsewhere, elsewhere)
    lease = _fate(lambda: vault.leases.lease(leased.lease), now)
    if isinstance(lease, Unknown):
        return GenerationView(now, lease, lease)

    def is_ours(token: Json) -> bool:
        return vault.leases.is_ours(dict(token), custody_meta(mirror.instance, mirror.secret))

    custody = _fate(lambda: vault.leases.token(leased.accessor), now, is_ours)
    return GenerationView(now, lease, custody)


def _fate(
    look: Callable[[], Json | None], now: float, is_ours: Callable[[Json], bool] = lambda _: True
) -> Fate:
    try:
        found = look()
        if found is None:
            return Gone()
        return replace(read_life(found, now), foreign=not is_ours(found))
    except VaultUnreachable as error:
        return Unknown(Reason.VAULT_UNREACHABLE, str(error))
    except LoginRefused as error:
        return Unknown(Reason.LOGIN_REFUSED, str(error))
    except VaultRefused as error:
        return Unknown(Reason(error.reason), str(error))
    except _NOT_UNDERSTOOD:
        return Unknown(Reason.VAULT_UNREACHABLE, "Vault's answer on a lease is not understood")


def read_life(raw: Json, now: float) -> Life:
    """Read Vault's answer on a lease or a token, which have the same words for their times."""
    left = float(raw["ttl"])
    if not raw.get("expire_time"):  # as of a root token, which has no issue_time either
        return Life(
            started=now, ends=now + _FOR_EVER, granted=_FOR_EVER, renewed=True, period=_FOR_EVER
        )
    issued, failed = instant(raw["issue_time"]), str(raw.get("revoke_error") or "")
    ends = instant(raw["expire_time"])
    renewal = raw.get("last_renewal")
    given = instant(renewal) if renewal else issued
    return Life(
        started=now + left - (ends - issued) / _NANO,
        ends=now + left,
        granted=(ends - given) / _NANO,
        renewed=bool(renewal),
        period=float(raw.get("period") or 0),
        longest=float(raw.get("explicit_max_ttl") or 0),
        failed=failed,
    )


# --- Swarm ---------------------------------------------------------------------------------------


def look_at_swarm(swarm: Swarm, instance: str, now: float) -> SwarmView:
    """List everything once, the services twice: one that changed in between is *torn*.

    An object that is not understood is data as well, and holds nothing up but what it may concern
    (I8): see ``Unread``. Tasks of unknown content make their service torn.

    Raises:
        SwarmUnreachable: The swarm gives no usable answer; half a look is no look.
    """
    try:
        return _look_at_swarm(swarm, instance, now)
    except _NOT_UNDERSTOOD as error:
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
    # Where a node cannot be told, nobody is known to be on none.
    known = None if odd_nodes else {node for node, _ in nodes}
    services, odd_services = _each("service", before, lambda raw: _service(raw, after))
    tasks, odd_tasks = _each("task", raw_tasks, lambda raw: _task(raw, down, known))
    secrets, odd_secrets = _each("secret", raw_secrets, _secret)
    torn = {odd.service_id for odd in odd_tasks}
    labels = _state_labels(config)
    return SwarmView(
        as_of=now,
        secrets=tuple(secrets),
        services=tuple(replace(s, torn=s.torn or s.id in torn) for s in services if s),
        tasks=tuple(tasks),
        has_state=labels is not None,
        verdicts=read_by_name(labels or {}, REFUSED, Verdict.read),
        wishes=read_wishes(labels or {}),
        pauses=read_pauses(labels or {}),
        approvals=read_approvals(labels or {}),
        troubles=read_by_name(labels or {}, TROUBLE, Trouble.read),
        fields=read_fields(labels or {}),
        unread=(*odd_secrets, *odd_services, *odd_tasks, *odd_nodes),
        nodes=surroundings_of(raw_nodes),
        unclear=frozenset(after) - {service.id for service in services if service},
    )


def _each(
    kind: str, raws: Iterable[Json], read: Callable[[Json], _T]
) -> tuple[list[_T], list[Unread]]:
    """Read each object by itself."""
    found: list[_T] = []
    odd: list[Unread] = []
    for raw in raws:
        try:
            found.append(read(raw))
        except _NOT_UNDERSTOOD as error:
            odd.append(_unread(kind, raw, error))
    return found, odd


def _unread(kind: str, raw: Json, error: Exception) -> Unread:
    """Say what can be said of an object that is not understood; its content may be anything."""

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
    except _NOT_UNDERSTOOD:
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
    mode = spec.get("Mode") or {}
    if "ReplicatedJob" in mode or "GlobalJob" in mode:
        kind = Kind.JOB
    else:
        kind = Kind.GLOBAL if "Global" in mode else Kind.REPLICATED
    config = spec.get("UpdateConfig") or {}
    return Service(
        id=_text(raw["ID"]),
        name=_text(spec["Name"]),
        index=index,
        kind=kind,
        references=tuple(_references(spec)),
        previous=frozenset(ref.secret_id for ref in _references(previous)) if previous else None,
        desired_tasks=int((raw.get("ServiceStatus") or {}).get("DesiredTasks", 0)),
        runs_once=restart == "none",
        update=_update_state(status.get("State")),
        update_message=_text(status.get("Message") or ""),
        update_started=instant(status["StartedAt"]) / _NANO if status.get("StartedAt") else 0.0,
        monitor=(config.get("Monitor") or 0) / _NANO or _DEFAULT_MONITOR,
        delay=(config.get("Delay") or 0) / _NANO,
        template=fingerprint(spec),
        frame=frame_of(spec),
        woken=_texts(spec.get("Labels")).get(WOKEN, ""),
        torn=after.get(raw["ID"]) != index,
        setup=setup_of(spec),
    )


def _update_state(text: str | None) -> UpdateState | None:
    """Read the engine's word; one that is not known yet is taken for an update under way."""
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
        seen=instant(status["Timestamp"]) / _NANO if status.get("Timestamp") else 0.0,
    )
