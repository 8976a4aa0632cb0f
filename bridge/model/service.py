"""Services and tasks of the swarm, as the engine lists them.

A service is a declaration: its Spec says what its tasks run and which secrets they get. The
orchestrator starts tasks from it. Each task keeps the secrets of the Spec that it was made from, so
a changed reference takes effect as an update that replaces the tasks one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from posixpath import join, normpath
from typing import Any

from bridge.model.names import names_by_hand


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A service's reference to a Docker secret, which its containers get as a file.

    Attributes:
        file_name: The engine's ``File.Name``, spelled as in the Spec.
        uid, gid: Owner of the file, as digits.
        mode: Permission bits of the file.
    """

    secret_id: str
    secret_name: str
    file_name: str
    uid: str = "0"
    gid: str = "0"
    mode: int = 0o444

    @property
    def target(self) -> str:
        """The file name in its short form."""
        return short_target(self.file_name)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Reference:
        """Return the reference that an object of the engine's API is."""
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
        """Return the reference as an object of the engine's API."""
        return {
            "File": {"Name": self.file_name, "UID": self.uid, "GID": self.gid, "Mode": self.mode},
            "SecretID": self.secret_id,
            "SecretName": self.secret_name,
        }


STACK = "com.docker.stack.namespace"
"""Label in which `docker stack deploy` names the stack of a service."""

SECRETS = "/run/secrets"
"""Folder in the container for files whose target is relative."""


@lru_cache(maxsize=16_384)
def place_of(target: str) -> str:
    """Return the absolute path at which the engine mounts a file in the container."""
    return normpath("/" + join(SECRETS, target).lstrip("/"))


@lru_cache(maxsize=16_384)
def short_target(target: str) -> str:
    """Return a target in its short form: ``/run/secrets/x``, ``./x`` and ``x`` are one file."""
    return place_of(target).removeprefix(f"{SECRETS}/")


def is_in_the_way(target: str, other: str) -> bool:
    """Return whether a container cannot have both files: in one place, or one within the other."""
    a, b = place_of(target), place_of(other)
    return a == b or a.startswith(f"{b}/") or b.startswith(f"{a}/")


class Kind(StrEnum):
    """The mode of a service: how many tasks the orchestrator runs, and for how long."""

    REPLICATED = "replicated"
    GLOBAL = "global"
    JOB = "job"


class UpdateState(StrEnum):
    """The state of a service's latest update (``UpdateStatus.State``)."""

    UPDATING = "updating"
    PAUSED = "paused"
    COMPLETED = "completed"
    ROLLBACK_STARTED = "rollback_started"
    ROLLBACK_PAUSED = "rollback_paused"
    ROLLBACK_COMPLETED = "rollback_completed"


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service of the swarm, with its Spec and the state of its latest update.

    Attributes:
        index: The engine's version index: an update that names an older one is refused.
        references: References of the Spec, in their order.
        previous: Ids of the secrets that the PreviousSpec refers to, which ``docker service
            rollback`` goes back to. None where there is no PreviousSpec: before the first update,
            and after a rollback by Swarm itself.
        desired_tasks: Number of tasks that the orchestrator wants running.
        runs_once: Whether its tasks are never restarted (RestartPolicy ``none``).
        update: State of the latest update; None before the first one, and after any write that
            restarts no task.
        update_started: When the latest update began, seconds since the epoch; 0 where unknown.
        update_completed: When the engine called it completed, by the clock of the swarm's leader; 0
            where it has not.
        monitor: Seconds for which the engine watches each new task (``UpdateConfig.Monitor``).
        delay: Seconds that the engine waits between two tasks (``UpdateConfig.Delay``).
        template: Fingerprint of the TaskTemplate, see ``fingerprint``.
        frame: Fingerprint of the TaskTemplate without its secrets, see ``frame_of``.
        woken: Value of its label ``WOKEN``; empty where its updater was never woken.
        torn: Whether it changed in the middle of the look, so that nothing may be concluded from
            its tasks.
        setup: Fingerprint of its mode, ports and update settings, see ``setup_of``.
        stack: Name of the stack that deployed it; empty where none did.
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
    update_completed: float = 0.0
    monitor: float = 5.0
    delay: float = 0.0
    template: str = ""
    frame: str = ""
    woken: str = ""
    torn: bool = False
    setup: str = ""
    stack: str = ""

    @cached_property
    def secret_ids(self) -> frozenset[str]:
        """Ids of the Docker secrets that the Spec refers to."""
        return frozenset(self._references_by_id)

    def references_to(self, secret_ids: Iterable[str]) -> tuple[Reference, ...]:
        """Return the references to some Docker secrets, in the order of the Spec."""
        held = self.secret_ids.intersection(secret_ids)
        if len(held) > 1:
            return tuple(ref for ref in self.references if ref.secret_id in held)
        return next((self._references_by_id[secret_id] for secret_id in held), ())

    def named_as_by_hand(self, name: str) -> tuple[Reference, ...]:
        """Return the references to Docker secrets named as those of a secret rotated by hand."""
        return self._references_by_hand.get(name, ())

    @cached_property
    def _references_by_hand(self) -> Mapping[str, tuple[Reference, ...]]:
        found: dict[str, tuple[Reference, ...]] = {}
        for reference in self.references:
            for name in names_by_hand(reference.secret_name):
                found[name] = (*found.get(name, ()), reference)
        return found

    @cached_property
    def _references_by_id(self) -> Mapping[str, tuple[Reference, ...]]:
        found: dict[str, tuple[Reference, ...]] = {}
        for reference in self.references:
            found[reference.secret_id] = (*found.get(reference.secret_id, ()), reference)
        return found

    @property
    def reruns(self) -> bool:
        """Whether an update runs its tasks once more: a job, or tasks that are not restarted."""
        return self.kind == Kind.JOB or self.runs_once


LIVE_STATES = frozenset(
    ("new", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running")
)


START_FAILED = "starting container failed"
"""Beginning of the engine's error where the process of a task could not be started."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One task of a service: a container on a node, or the order to run one.

    Attributes:
        state: What it is doing (``Status.State``), as its node last reported.
        desired_state: What the orchestrator wants of it: ``running``, or an end.
        secret_ids: Ids of the Docker secrets that its own copy of the Spec refers to. That copy
            never changes.
        error: The engine's error: why it ended, or does not start.
        node: Id of the node that it is assigned to; empty while it waits for one.
        lost: Whether that node is down or gone.
        seen: When its state was last reported, seconds since the epoch.
        written: When the swarm's leader last wrote it, by the leader's clock: a state that is
            reported, or what is wanted of it. 0 where unknown.
        container: Id of its container; empty before there is one.
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
    written: float = 0.0
    container: str = ""

    @property
    def live(self) -> bool:
        """Whether it has not ended: it holds its secrets, or will."""
        return self.state in LIVE_STATES

    @property
    def unfinished(self) -> bool:
        """Whether it has not ended, or is wanted running: it may need its secrets."""
        return self.state in LIVE_STATES or self.desired_state == "running"

    @property
    def ending(self) -> bool:
        """Whether the orchestrator wants it to end."""
        return self.desired_state in {"shutdown", "remove"}

    @property
    def ghost(self) -> bool:
        """Whether it should end on a node that is down or gone, which will never report that."""
        return self.ending and self.lost

    @property
    def failed(self) -> bool:
        """Whether it ended with an error."""
        return self.state in {"failed", "rejected"}

    @property
    def unplaced(self) -> bool:
        """Whether no node takes it, for a reason that the engine gives in ``error``."""
        return self.state in {"new", "pending"} and bool(self.error) and not self.ending

    @property
    def unstarted(self) -> bool:
        """Whether its process has yet to be started."""
        before = {"new", "pending", "assigned", "accepted", "preparing", "ready"}
        return self.state in before and not self.ending

    @property
    def refused(self) -> bool:
        """Whether it ended before its process was started.

        1. ``rejected``: the node could not prepare it: no image, no network, no such secret.
        2. ``failed`` with ``START_FAILED``: the node prepared it, and the start itself failed.

        Any other task that failed has run.
        """
        return self.state == "rejected" or (
            self.state == "failed" and self.error.startswith(START_FAILED)
        )

    @property
    def ended_by_itself(self) -> bool:
        """Whether its process was started, and ended without being stopped."""
        return self.state in {"failed", "complete"} and not self.refused

    @property
    def running(self) -> bool:
        """Whether it runs, and the orchestrator wants it running."""
        return self.state == "running" and self.desired_state == "running"
