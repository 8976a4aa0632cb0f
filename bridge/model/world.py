"""What was seen: the Vault side and the swarm side, each with the time of the look.

Nothing here is acted upon by itself; ``decide`` reads it together with what is desired.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from bridge.model.desired import KvPath
from bridge.model.naming import ASIDE, GOOD, PREFIX, ROLL, Identity, origin_of
from bridge.model.reasons import Reason

# --- Vault ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KvVersion:
    """One version of a KV v2 path.

    Attributes:
        created: Vault's ``created_time``.
        deletion_time: Seconds since the epoch; None where there is none. It may lie in the future
            (``delete_version_after``): until then the version is alive.
    """

    created: str
    deletion_time: float | None = None
    destroyed: bool = False


@dataclass(frozen=True, slots=True)
class KvDocument:
    """The metadata of a KV v2 path; ``current`` is 0 where no version was ever written."""

    path_created: str
    current: int
    versions: Mapping[int, KvVersion]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a path could not be looked at; errors of one path are data, so that the others go on."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class VaultView:
    """One look at Vault.

    Attributes:
        as_of: Seconds since the epoch when the look began.
        paths: One entry for each distinct path of the configuration.
    """

    as_of: float
    paths: Mapping[KvPath, KvDocument | Unreadable]


# --- Swarm ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reference:
    """A service's reference to a Docker secret.

    Attributes:
        file_name: The engine's ``File.Name`` as the service has it.
    """

    secret_id: str
    secret_name: str
    file_name: str
    uid: str = "0"
    gid: str = "0"
    mode: int = 0o444

    @property
    def target(self) -> str:
        """The file's name in its short form."""
        return short_target(self.file_name)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Reference:
        """Read the engine's object."""
        file = raw.get("File") or {}
        return cls(
            raw["SecretID"],
            raw["SecretName"],
            file.get("Name") or "",
            file.get("UID") or "",
            file.get("GID") or "",
            file.get("Mode") or 0,
        )

    def write(self) -> dict[str, Any]:
        """Write the engine's object."""
        return {
            "File": {"Name": self.file_name, "UID": self.uid, "GID": self.gid, "Mode": self.mode},
            "SecretID": self.secret_id,
            "SecretName": self.secret_name,
        }


def short_target(target: str) -> str:
    """Write a target in its short form: ``/run/secrets/x`` and ``x`` are one file."""
    return target.removeprefix("/run/secrets/")


class Kind(StrEnum):
    """What the orchestrator does with a service's tasks."""

    REPLICATED = "replicated"
    GLOBAL = "global"
    JOB = "job"


class UpdateState(StrEnum):
    """The engine's word on the latest update of a service (``UpdateStatus.State``)."""

    UPDATING = "updating"
    PAUSED = "paused"
    COMPLETED = "completed"
    ROLLBACK_STARTED = "rollback_started"
    ROLLBACK_PAUSED = "rollback_paused"
    ROLLBACK_COMPLETED = "rollback_completed"


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the swarm.

    Attributes:
        index: The engine's version index, for compare-and-set.
        runs_once: Whether its tasks are not restarted (RestartPolicy ``none``).
        references: References of the Spec, in their order.
        previous: Secret ids that the PreviousSpec refers to; None where there is no PreviousSpec,
            which is so before the first update and after Swarm's own rollback.
        desired_tasks: How many tasks the orchestrator wants running.
        update: None before the first update, and after any write that restarts no task.
        monitor: Seconds for which the engine watches each new task (``UpdateConfig.Monitor``).
        torn: Whether it changed while we looked, so that nothing may be concluded from its tasks.
    """

    id: str
    name: str
    index: int
    kind: Kind
    references: tuple[Reference, ...]
    previous: frozenset[str] | None
    desired_tasks: int
    runs_once: bool = False
    update: UpdateState | None = None
    update_message: str = ""
    monitor: float = 5.0
    torn: bool = False

    @property
    def secret_ids(self) -> frozenset[str]:
        """Ids that the Spec refers to."""
        return frozenset(reference.secret_id for reference in self.references)

    @property
    def reruns(self) -> bool:
        """Whether an update would run it again: jobs, and tasks that are not restarted."""
        return self.kind == Kind.JOB or self.runs_once


LIVE_STATES = frozenset(
    ("new", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running")
)


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a service.

    Attributes:
        secret_ids: What its frozen spec refers to.
        error: The engine's word on why it ended, or why it does not start.
        ghost: Whether it is being shut down on a node that is down or gone: nobody will ever report
            its end.
        seen: Seconds since the epoch of its latest status.
    """

    id: str
    service_id: str
    state: str
    desired_state: str
    secret_ids: frozenset[str]
    error: str = ""
    ghost: bool = False
    seen: float = 0.0

    @property
    def live(self) -> bool:
        """Whether it may hold its secrets open now or soon."""
        return self.state in LIVE_STATES

    @property
    def running(self) -> bool:
        """Whether it runs and is meant to."""
        return self.state == "running" and self.desired_state == "running"


@dataclass(frozen=True, slots=True)
class RollRecord:
    """What was written down before a service was rolled, on the Docker secret it was rolled to.

    Attributes:
        before: The engine's own reference objects that were replaced; empty where one was added.
        index: The service's version index that the update was sent with.
        at: When it was written, RFC 3339.
        done: When the service had converged and baked; empty until then.
    """

    before: tuple[Mapping[str, Any], ...]
    index: int
    at: str
    done: str = ""

    @property
    def before_ids(self) -> frozenset[str]:
        """Ids of the secrets that going back would need; none once the roll is done."""
        return frozenset() if self.done else frozenset(ref["SecretID"] for ref in self.before)

    def write(self) -> str:
        """Write the label's value."""
        if self.done:
            return json.dumps({"at": self.at, "done": self.done})
        return json.dumps({"before": list(self.before), "index": self.index, "at": self.at})

    @classmethod
    def read(cls, text: str) -> RollRecord | None:
        """Read the label's value; None where somebody has damaged it."""
        try:
            raw = json.loads(text)
            before = tuple(dict(ref) for ref in raw.get("before", ()))
            record = cls(before, int(raw.get("index", 0)), str(raw["at"]), str(raw.get("done", "")))
            _ = record.before_ids
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return record


@dataclass(frozen=True, slots=True)
class SetAside:
    """A mark that a version is not to be used.

    Attributes:
        service_id: For which service; empty for the whole name.
        by: ``failure``, ``operator`` or ``suspect``.
        at: When, RFC 3339.
        why: In words.
    """

    service_id: str
    by: str
    at: str
    why: str


def write_asides(marks: tuple[SetAside, ...]) -> str:
    """Write the ``aside`` label."""
    return json.dumps(
        [{"service": m.service_id, "by": m.by, "at": m.at, "why": m.why} for m in marks]
    )


def read_asides(text: str) -> tuple[SetAside, ...]:
    """Read the ``aside`` label; a damaged one sets the version aside for the whole name."""
    try:
        return tuple(
            SetAside(str(m["service"]), str(m["by"]), str(m["at"]), str(m["why"]))
            for m in json.loads(text)
        )
    except (ValueError, KeyError, TypeError):
        return (SetAside("", "operator", "", "its `aside` label cannot be read"),)


@dataclass(frozen=True, slots=True)
class DockerSecret:
    """One Docker secret, ours or not.

    Attributes:
        created: Seconds since the epoch at which the engine made it.
    """

    id: str
    name: str
    created: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mirror:
    """A Docker secret that holds a Vault version: one that a bridge made.

    Attributes:
        secret: Name of the secret in the configuration.
        docker_name: ``<secret>_vN``, perhaps with a clash suffix.
        good: When it had converged and baked everywhere; empty until then.
        asides: Why it is set aside, and for whom.
        records: Roll records by service id.
    """

    id: str
    docker_name: str
    created: float
    instance: str
    secret: str
    identity: Identity
    good: str = ""
    asides: tuple[SetAside, ...] = ()
    records: Mapping[str, RollRecord] = field(default_factory=dict)

    def rolled(self, service_id: str) -> bool:
        """Tell whether a roll of the service to it was begun and done."""
        record = self.records.get(service_id)
        return bool(record and record.done)

    def aside_for(self, service_id: str) -> SetAside | None:
        """Return the mark that sets it aside for a service, its own or the whole name's."""
        return next((m for m in self.asides if m.service_id in ("", service_id)), None)

    def open_record(self, service_id: str) -> RollRecord | None:
        """Return the record of a roll that was begun and is not done."""
        record = self.records.get(service_id)
        return record if record and not record.done else None

    @classmethod
    def read(cls, secret: DockerSecret) -> Mirror | None:
        """Read the labels; None where the secret is not a bridge's."""
        origin = origin_of(secret.labels)
        if origin is None:
            return None
        found = {
            key.removeprefix(ROLL): RollRecord.read(value)
            for key, value in secret.labels.items()
            if key.startswith(ROLL)
        }
        return cls(
            secret.id,
            secret.name,
            secret.created,
            origin.instance,
            origin.secret,
            origin.identity,
            secret.labels.get(GOOD, ""),
            read_asides(secret.labels[ASIDE]) if ASIDE in secret.labels else (),
            {service: record for service, record in found.items() if record},
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Content of one identity that was refused, so that its value is not read again.

    Attributes:
        shape: What was asked for (format and field); another one deserves another look.
    """

    identity: Identity
    shape: str
    reason: Reason
    message: str

    def write(self) -> str:
        """Write the label's value."""
        return json.dumps(
            {
                "version": self.identity.version,
                "created": self.identity.created,
                "path_created": self.identity.path_created,
                "source": [
                    self.identity.source.namespace,
                    self.identity.source.mount,
                    self.identity.source.path,
                ],
                "shape": self.shape,
                "reason": self.reason,
                "message": self.message,
            },
            ensure_ascii=False,
        )

    @classmethod
    def read(cls, text: str) -> Verdict | None:
        """Read the label's value; None where somebody has damaged it."""
        try:
            raw = json.loads(text)
            source = KvPath(*raw["source"])
            identity = Identity(source, raw["path_created"], int(raw["version"]), raw["created"])
            return cls(identity, raw["shape"], Reason(raw["reason"]), raw["message"])
        except (ValueError, KeyError, TypeError):
            return None


def state_config_name(instance: str) -> str:
    """Name the Docker config that keeps an instance's wishes and verdicts."""
    return f"{PREFIX}{instance}.state"


@dataclass(frozen=True)
class SwarmView:
    """One look at the swarm.

    Attributes:
        as_of: Seconds since the epoch when the look began.
        verdicts: By name of the secret, from the state config.
    """

    as_of: float
    secrets: tuple[DockerSecret, ...]
    services: tuple[Service, ...]
    tasks: tuple[Task, ...]
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)

    @cached_property
    def mirrors(self) -> tuple[Mirror, ...]:
        """Docker secrets that a bridge made, of any instance."""
        read = (Mirror.read(secret) for secret in self.secrets)
        return tuple(mirror for mirror in read if mirror)

    @cached_property
    def mirror_by_id(self) -> Mapping[str, Mirror]:
        """The same by id."""
        return {mirror.id: mirror for mirror in self.mirrors}

    @cached_property
    def service_by_name(self) -> Mapping[str, Service]:
        """Services by their full name."""
        return {service.name: service for service in self.services}

    @cached_property
    def service_by_id(self) -> Mapping[str, Service]:
        """Services by their id."""
        return {service.id: service for service in self.services}

    @cached_property
    def secret_by_lower_name(self) -> Mapping[str, DockerSecret]:
        """Docker secrets by name in lower case: names are unique regardless of case."""
        return {secret.name.lower(): secret for secret in self.secrets}

    @cached_property
    def tasks_by_service(self) -> Mapping[str, tuple[Task, ...]]:
        """Tasks by service id."""
        found: dict[str, list[Task]] = {}
        for task in self.tasks:
            found.setdefault(task.service_id, []).append(task)
        return {service: tuple(tasks) for service, tasks in found.items()}


@dataclass(frozen=True, slots=True)
class World:
    """All that one cycle knows."""

    vault: VaultView
    swarm: SwarmView
