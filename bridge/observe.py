"""Looks at the servers and makes the World of what they say; errors of one path become data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from bridge.errors import LoginRefused, SwarmUnreachable, VaultRefused, VaultUnreachable
from bridge.model.desired import DatabaseRole, Desired, Source, StaticRoles
from bridge.model.generation import (
    Fate,
    GenerationView,
    Gone,
    Life,
    Unknown,
    custody_meta,
)
from bridge.model.mirror import DockerSecret, Mirror, Trouble, Verdict, state_config_name
from bridge.model.naming import REFUSED, TROUBLE, WOKEN, instant, read_by_name
from bridge.model.reasons import Reason
from bridge.model.wishes import read_approvals, read_fields, read_pauses, read_wishes
from bridge.model.world import (
    Document,
    Kind,
    KvDocument,
    KvVersion,
    Reference,
    Service,
    SwarmView,
    Task,
    Unreadable,
    UpdateState,
    VaultView,
    fingerprint,
    frame_of,
)
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault

_NANO = 1_000_000_000
_FOR_EVER = 10 * 365 * 86400.0
_DEFAULT_MONITOR = 5.0

Json = Mapping[str, Any]


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
        return read_document(vault.metadata(source, patient=patient))
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
    except (KeyError, ValueError, TypeError, AttributeError):
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
    except (KeyError, ValueError, TypeError, AttributeError):
        return Unknown(Reason.VAULT_UNREACHABLE, "Vault's answer on a lease is not understood")


def read_life(raw: Json, now: float) -> Life:
    """Read Vault's answer on a lease or a token, which have the same words for their times."""
    left = float(raw["ttl"])
    if not raw.get("expire_time"):  # as of a root token, which has no issue_time either
        return Life(now, now + _FOR_EVER, _FOR_EVER, renewed=True, period=_FOR_EVER)
    issued, failed = instant(raw["issue_time"]), str(raw.get("revoke_error") or "")
    ends = instant(raw["expire_time"])
    renewal = raw.get("last_renewal")
    given = instant(renewal) if renewal else issued
    return Life(
        now + left - (ends - issued) / _NANO,
        now + left,
        (ends - given) / _NANO,
        bool(renewal),
        float(raw.get("period") or 0),
        float(raw.get("explicit_max_ttl") or 0),
        failed,
    )


# --- Swarm ---------------------------------------------------------------------------------------


def look_at_swarm(swarm: Swarm, instance: str, now: float) -> SwarmView:
    """List everything once, the services twice: one that changed in between is *torn*.

    Raises:
        SwarmUnreachable: The swarm gives no usable answer; half a look is no look.
    """
    try:
        return _look_at_swarm(swarm, instance, now)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        kind = type(error).__name__
        raise SwarmUnreachable(f"the engine's answer is not understood ({kind})") from None


def _look_at_swarm(swarm: Swarm, instance: str, now: float) -> SwarmView:
    before = swarm.services()
    tasks = swarm.tasks()
    nodes = swarm.nodes()
    secrets = swarm.secrets()
    config = swarm.config(state_config_name(instance))
    labels = (config or {}).get("Spec", {}).get("Labels") or {}
    after = {service["ID"]: service["Version"]["Index"] for service in swarm.services()}
    down = {node["ID"] for node in nodes if node["Status"]["State"] == "down"}
    known = {node["ID"] for node in nodes}
    return SwarmView(
        now,
        tuple(_secret(raw) for raw in secrets),
        tuple(_service(raw, after.get(raw["ID"])) for raw in before if _has_containers(raw)),
        tuple(_task(raw, down, known) for raw in tasks),
        config is not None,
        read_by_name(labels, REFUSED, Verdict.read),
        read_wishes(labels),
        read_pauses(labels),
        read_approvals(labels),
        read_by_name(labels, TROUBLE, Trouble.read),
        read_fields(labels),
    )


def _secret(raw: Json) -> DockerSecret:
    spec = raw["Spec"]
    created = instant(raw["CreatedAt"]) / _NANO
    return DockerSecret(raw["ID"], spec["Name"], created, spec.get("Labels") or {})


def _has_containers(raw: Json) -> bool:
    """Plugins run as services too, and take no secrets."""
    return "ContainerSpec" in (raw["Spec"].get("TaskTemplate") or {})


def _references(spec: Json) -> Iterable[Reference]:
    container = (spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}
    return (Reference.read(ref) for ref in container.get("Secrets") or () if ref.get("File"))


def _service(raw: Json, index_after: int | None) -> Service:
    spec, status = raw["Spec"], raw.get("UpdateStatus") or {}
    index = raw["Version"]["Index"]
    previous = raw.get("PreviousSpec")
    restart = (spec["TaskTemplate"].get("RestartPolicy") or {}).get("Condition")
    mode = spec.get("Mode") or {}
    if "ReplicatedJob" in mode or "GlobalJob" in mode:
        kind = Kind.JOB
    else:
        kind = Kind.GLOBAL if "Global" in mode else Kind.REPLICATED
    config = spec.get("UpdateConfig") or {}
    return Service(
        raw["ID"],
        spec["Name"],
        index,
        kind,
        tuple(_references(spec)),
        frozenset(ref.secret_id for ref in _references(previous)) if previous else None,
        (raw.get("ServiceStatus") or {}).get("DesiredTasks", 0),
        restart == "none",
        _update_state(status.get("State")),
        status.get("Message") or "",
        instant(status["StartedAt"]) / _NANO if status.get("StartedAt") else 0.0,
        (config.get("Monitor") or 0) / _NANO or _DEFAULT_MONITOR,
        (config.get("Delay") or 0) / _NANO,
        fingerprint(spec),
        frame_of(spec),
        (spec.get("Labels") or {}).get(WOKEN, ""),
        index_after != index,
    )


def _update_state(text: str | None) -> UpdateState | None:
    """Read the engine's word; one that is not known yet is taken for an update under way."""
    try:
        return UpdateState(text) if text else None
    except ValueError:
        return UpdateState.UPDATING


def _task(raw: Json, down: set[str], known: set[str]) -> Task:
    container = raw.get("Spec", {}).get("ContainerSpec") or {}
    status = raw.get("Status") or {}
    node = raw.get("NodeID") or ""
    return Task(
        raw["ID"],
        raw.get("ServiceID") or "",
        status.get("State") or "",
        raw.get("DesiredState") or "",
        frozenset(ref["SecretID"] for ref in container.get("Secrets") or ()),
        status.get("Err") or "",
        node,
        bool(node) and (node in down or node not in known),
        instant(status["Timestamp"]) / _NANO if status.get("Timestamp") else 0.0,
    )
