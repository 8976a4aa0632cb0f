"""What was seen in the swarm, with the time of the look, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from bridge.model.mirror import DockerSecret, Mirror, Trouble, Verdict
from bridge.model.service import Service, Task
from bridge.model.wishes import Approval, FieldsWish, Pause, Wish


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


@dataclass(frozen=True, kw_only=True)
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
