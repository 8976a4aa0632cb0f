"""What was seen: the Vault side and the swarm side, each with the time of the look.

Nothing here is acted upon by itself; ``decide`` reads it together with what is desired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from posixpath import join, normpath
from typing import Any

from bridge.model.desired import Source
from bridge.model.leased import GenerationView, RoleDocument, StaticDocument
from bridge.model.mirror import DockerSecret, Mirror, Trouble, Verdict
from bridge.model.reasons import Reason
from bridge.model.wishes import Approval, FieldsWish, Pause, Wish

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
    """Why a path could not be looked at; errors of one path are data, so that the others go on.

    Attributes:
        everywhere: Whether it is known to be Vault as a whole, and not this one path.
        hung: Whether nothing came in time.
        retry_after: Seconds that Vault asks to wait before it is asked again.
    """

    reason: Reason
    message: str
    everywhere: bool = False
    hung: bool = False
    retry_after: float = 0.0

    @property
    def away(self) -> bool:
        """Whether nothing at all is known of the path, since Vault gave no usable answer."""
        return self.reason in (Reason.VAULT_UNREACHABLE, Reason.LOGIN_REFUSED)


Document = KvDocument | RoleDocument | StaticDocument

EVERYTHING = ""
"""The name that stands for all secrets."""

Seen = Mapping[str, Unreadable]
"""Why Vault's current version of a secret cannot be used, by the secret's name."""


@dataclass(frozen=True, slots=True)
class VaultView:
    """One look at Vault.

    Attributes:
        as_of: Seconds since the epoch when the look began.
        paths: One entry for each distinct source of the configuration, and for each path that asks
            for rotations.
        again: When the next look is to be, seconds since the epoch; None where none is planned.
        generations: By id of the Docker secret.
        inferred: Whether Vault was not asked, and this is what the swarm says of it.
    """

    as_of: float
    paths: Mapping[Source, Document | Unreadable]
    again: float | None = None
    generations: Mapping[str, GenerationView] = field(default_factory=dict)
    inferred: bool = False

    @property
    def login_refused(self) -> bool:
        """Whether Vault answers, and does not let us in."""
        return any(
            isinstance(seen, Unreadable) and seen.reason == Reason.LOGIN_REFUSED
            for seen in self.paths.values()
        )

    def moved(self, by: float) -> VaultView:
        """Return the same on a clock that was set by so many seconds; Vault's dates stay."""
        again = None if self.again is None else self.again + by
        generations = {key: view.moved(by) for key, view in self.generations.items()}
        return VaultView(self.as_of + by, self.paths, again, generations)


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


SECRETS = "/run/secrets"
"""Where the engine puts the files whose targets are relative."""


def short_target(target: str) -> str:
    """Write a target in its short form: ``/run/secrets/x``, ``./x`` and ``x`` are one file."""
    place = normpath("/" + join(SECRETS, target).lstrip("/"))
    return place.removeprefix(f"{SECRETS}/")


def is_in_the_way(target: str, other: str) -> bool:
    """Tell whether two files cannot both be: in one place, or one within the other."""
    a, b = (join(SECRETS, short_target(t)) for t in (target, other))
    return a == b or a.startswith(f"{b}/") or b.startswith(f"{a}/")


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
        update_started: Seconds since the epoch at which the latest update began; 0 where unknown.
        monitor: Seconds for which the engine watches each new task (``UpdateConfig.Monitor``).
        delay: Seconds that the engine waits between two tasks (``UpdateConfig.Delay``).
        template: Fingerprint of the TaskTemplate, see ``fingerprint``.
        frame: The same without its secrets, see ``frame_of``.
        woken: The label with which we woke its updater last, see ``WOKEN``.
        setup: Fingerprint of its mode, its ports and how it is updated.
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
    update_started: float = 0.0
    monitor: float = 5.0
    delay: float = 0.0
    template: str = ""
    frame: str = ""
    woken: str = ""
    torn: bool = False
    setup: str = ""

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


START_FAILED = "starting container failed"
"""How the engine begins its error where the process of a task could not be started."""


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a service.

    Attributes:
        secret_ids: What its frozen spec refers to.
        error: The engine's word on why it ended, or why it does not start.
        node: Id of the node that it was given to; empty while it waits for one.
        lost: Whether that node is down or gone.
        seen: Seconds since the epoch of its latest status.
    """

    id: str
    service_id: str
    state: str
    desired_state: str
    secret_ids: frozenset[str]
    error: str = ""
    node: str = ""
    lost: bool = False
    seen: float = 0.0

    @property
    def live(self) -> bool:
        """Whether it may hold its secrets open now or soon."""
        return self.state in LIVE_STATES

    @property
    def ending(self) -> bool:
        """Whether it is meant to end."""
        return self.desired_state in {"shutdown", "remove"}

    @property
    def ghost(self) -> bool:
        """Whether it is to end on a node that is down or gone: nobody will ever report its end."""
        return self.ending and self.lost

    @property
    def failed(self) -> bool:
        """Whether it ended by itself, and not well."""
        return self.state in {"failed", "rejected"}

    @property
    def unplaced(self) -> bool:
        """Whether it waits for a node or a network, and the engine says why it gets none."""
        return self.state in {"new", "pending"} and bool(self.error) and not self.ending

    @property
    def unstarted(self) -> bool:
        """Whether it waits for its process to be started."""
        before = {"new", "pending", "assigned", "accepted", "preparing", "ready"}
        return self.state in before and not self.ending

    @property
    def refused(self) -> bool:
        """Whether it ended before a process of it was started: its node could not, or would not.

        The engine rejects what it cannot prepare. What fails later has run, unless the start itself
        is what failed.
        """
        return self.state == "rejected" or (
            self.state == "failed" and self.error.startswith(START_FAILED)
        )

    @property
    def ended_by_itself(self) -> bool:
        """Whether a process of it was started and ended though nobody stopped it."""
        return self.state in {"failed", "complete"} and not self.refused

    @property
    def running(self) -> bool:
        """Whether it runs and is meant to."""
        return self.state == "running" and self.desired_state == "running"


@dataclass(frozen=True, slots=True)
class Unread:
    """An object of the engine that was listed and is not understood.

    It might use anything. So while there is one nothing is removed, no lease is ended, and nothing
    is concluded from everybody having left a version; what does not depend on that goes on (I8).

    Attributes:
        kind: ``secret``, ``service``, ``task`` or ``node``.
        id: Empty where that is not understood either, as are ``name`` and ``service_id``.
        error: What kind of error its reading ended with.
    """

    kind: str
    id: str
    name: str
    service_id: str = ""
    error: str = ""

    def __str__(self) -> str:
        name = self.name or self.id
        return f"the {self.kind} {name} ({self.error})" if name else f"a {self.kind} ({self.error})"

    def may_be_of(self, secret: str) -> bool:
        """Tell whether it may be a Docker secret that holds a version of a secret of this name."""
        return self.kind == "secret" and self.name.lower().startswith(
            f"{secret}_v".lower() if self.name else ""
        )


@dataclass(frozen=True)
class SwarmView:
    """One look at the swarm.

    Attributes:
        as_of: Seconds since the epoch when the look began.
        has_state: Whether the state config is there.
        verdicts: By name of the secret, from the state config.
        wishes: By name of the secret, from the state config.
        pauses: By name of the secret, from the state config; the empty name is for all.
        approvals: By name of the secret, from the state config.
        troubles: By name of the secret, from the state config.
        fields: By name of the secret, from the state config: file fields that are applied at once.
        unread: What was listed and is not understood.
        nodes: Fingerprint of what the scheduler knows of the nodes.
        unclear: Ids of further services, of which nothing is known but that they are there.
    """

    as_of: float
    secrets: tuple[DockerSecret, ...]
    services: tuple[Service, ...]
    tasks: tuple[Task, ...]
    has_state: bool = True
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    wishes: Mapping[str, Wish] = field(default_factory=dict)
    pauses: Mapping[str, Pause] = field(default_factory=dict)
    approvals: Mapping[str, Approval] = field(default_factory=dict)
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    fields: Mapping[str, FieldsWish] = field(default_factory=dict)
    unread: tuple[Unread, ...] = ()
    nodes: str = ""
    unclear: frozenset[str] = frozenset()

    @property
    def blind(self) -> bool:
        """Whether something was listed that might use anything."""
        return any(unread.kind != "node" for unread in self.unread)

    @cached_property
    def mirrors(self) -> tuple[Mirror, ...]:
        """Docker secrets that a bridge made, of any instance.

        What their labels keep for services that are gone does not count: no other service ever gets
        such an id.
        """
        read = tuple(m for secret in self.secrets if (m := Mirror.read(secret)))
        if any(unread.kind == "service" for unread in self.unread):
            return read  # nobody can say who is gone
        alive = self.service_by_id.keys() | self.unclear
        return tuple(mirror.without_gone(alive) for mirror in read)

    def mirrors_of(self, instance: str, name: str) -> list[Mirror]:
        """Return the mirrored versions of one secret, from wherever they came, newest first."""
        own = [m for m in self.mirrors if (m.instance, m.secret) == (instance, name)]
        return sorted(own, key=lambda mirror: mirror.order, reverse=True)

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
    def secret_by_id(self) -> Mapping[str, DockerSecret]:
        """All Docker secrets by id."""
        return {secret.id: secret for secret in self.secrets}

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
