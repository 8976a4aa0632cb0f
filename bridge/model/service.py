"""One service of the swarm as it was seen: its references to secrets, its update, its tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from posixpath import join, normpath
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
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
            secret_id=raw["SecretID"],
            secret_name=raw["SecretName"],
            file_name=file.get("Name") or "",
            uid=file.get("UID") or "",
            gid=file.get("GID") or "",
            mode=file.get("Mode") or 0,
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


@lru_cache(maxsize=16_384)
def _place(target: str) -> str:
    """Return the absolute path at which the engine mounts a file in the container."""
    return normpath("/" + join(SECRETS, target).lstrip("/"))


def short_target(target: str) -> str:
    """Return a target in its short form: ``/run/secrets/x``, ``./x`` and ``x`` are one file."""
    return _place(target).removeprefix(f"{SECRETS}/")


def is_in_the_way(target: str, other: str) -> bool:
    """Return whether a container cannot have both files: in one place, or one within the other."""
    a, b = _place(target), _place(other)
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


@dataclass(frozen=True, kw_only=True)
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

    @cached_property
    def secret_ids(self) -> frozenset[str]:
        """Ids of the Docker secrets that the Spec refers to."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
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
    def unfinished(self) -> bool:
        """Whether it has not ended, or is meant to run: it may need its secrets."""
        return self.state in LIVE_STATES or self.desired_state == "running"

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
