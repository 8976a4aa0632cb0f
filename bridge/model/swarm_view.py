"""The view of the swarm: what one look listed, and look-ups in it.

A look-up is made when it is first asked for, and kept: the view never changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from bridge.model.audit_head import AuditHead
from bridge.model.docker_secret import DockerSecret
from bridge.model.leased import Leased
from bridge.model.mirror import Mirror, by_order
from bridge.model.service import Service, Task
from bridge.model.verdicts import Refusal, Verdict
from bridge.model.wishes import Approval, FieldsWish, Pause, Wish

_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Unread:
    """An object that the engine listed and that could not be read, say of a newer engine.

    It may refer to any Docker secret. So while there is one, nothing is removed, no lease is ended,
    and no version counts as unused; what does not depend on that goes on (I8).

    Attributes:
        kind: ``secret``, ``service``, ``task`` or ``node``.
        id, name: Empty where they could not be read either.
        service_id: For a task: the id of its service; empty where that could not be read.
        error: Name of the exception that reading it ended with, or why in words.
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
        """Return whether it may be a Docker secret with a version of the secret of this name."""
        return self.kind == "secret" and self.name.lower().startswith(
            f"{secret}_v".lower() if self.name else ""
        )


@dataclass(frozen=True, kw_only=True)
class SwarmView:
    """What one look at the swarm listed.

    Attributes:
        as_of: When the oldest of what it shows was asked for, seconds since the epoch.
        secrets: All Docker secrets, whoever made them.
        services: All services that can refer to Docker secrets.
        tasks: All tasks that the engine still lists, ended ones too.
        has_state: Whether the state config exists and can be read.
        verdicts: Refused contents, by secret's name, from the state config.
        wishes: What operators want, by secret's name, from the state config.
        pauses: Pauses by secret's name, from the state config; the empty name is for all secrets.
        approvals: Approvals by secret's name, from the state config.
        refusals: Refused writes by secret's name, from the state config.
        fields: Requests to apply file fields at once, by secret's name, from the state config.
        unread: Listed objects that could not be read.
        audit: Head of the evidence's chain, from the state config; None where there is none.
        nodes: Fingerprint of the nodes, see ``surroundings_of``.
        unclear: Ids of services that exist and of which nothing else is known.
        container: Id of the container that this bridge runs in; empty where it runs in none.
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
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    fields: Mapping[str, FieldsWish] = field(default_factory=dict)
    audit: AuditHead | None = None
    unread: tuple[Unread, ...] = ()
    nodes: str = ""
    unclear: frozenset[str] = frozenset()
    container: str = ""

    @cached_property
    def blind(self) -> bool:
        """Whether an object that could not be read may refer to any Docker secret."""
        return any(unread.kind != "node" for unread in self.unread)

    @cached_property
    def torn(self) -> bool:
        """Whether some service changed while the swarm was looked at."""
        return any(service.torn for service in self.services)

    @cached_property
    def mirrors(self) -> tuple[Mirror, ...]:
        """Docker secrets that a bridge made, of any instance.

        Without the marks and records of services that do not exist any more: the engine never uses
        an id for a second time.
        """
        read = tuple(m for secret in self.secrets if (m := Mirror.read(secret)))
        if any(unread.kind == "service" for unread in self.unread):
            return read  # it is not known which services exist
        alive = self.service_by_id.keys() | self.unclear
        return tuple(mirror.without_gone(alive) for mirror in read)

    def mirrors_of(self, instance: str, name: str) -> tuple[Mirror, ...]:
        """Return the mirrored versions of one secret, from whichever source, newest first."""
        return self._mirrors_by_name.get((instance, name), ())

    @cached_property
    def _mirrors_by_name(self) -> Mapping[tuple[str, str], tuple[Mirror, ...]]:
        newest_first = sorted(self.mirrors, key=by_order, reverse=True)
        return _grouped(((m.instance, m.secret), m) for m in newest_first)

    @cached_property
    def mirror_by_id(self) -> Mapping[str, Mirror]:
        """Mirrors by the id of the Docker secret."""
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
        """Docker secrets by id."""
        return {secret.id: secret for secret in self.secrets}

    @cached_property
    def secret_by_lower_name(self) -> Mapping[str, DockerSecret]:
        """Docker secrets by name in lower case: names are unique regardless of case."""
        return {secret.name.lower(): secret for secret in self.secrets}

    @cached_property
    def tasks_by_service(self) -> Mapping[str, tuple[Task, ...]]:
        """Tasks by the id of their service."""
        return _grouped((task.service_id, task) for task in self.tasks)

    @cached_property
    def own_task(self) -> Task | None:
        """The task that this bridge runs in; None where it runs in none of this swarm."""
        if not self.container:
            return None
        return next((task for task in self.tasks if task.container == self.container), None)

    @cached_property
    def services_by_secret(self) -> Mapping[str, tuple[Service, ...]]:
        """Services by the id of each Docker secret that their Spec refers to."""
        return _grouped((held, service) for service in self.services for held in service.secret_ids)

    @cached_property
    def open_records(self) -> Mapping[str, tuple[Mirror, ...]]:
        """Mirrors to which a roll was begun and is not done, by the id of the rolled service."""
        return _grouped(
            (service_id, mirror)
            for mirror in self.mirrors
            for service_id, record in mirror.records.items()
            if not record.done
        )

    # --- what uses a Docker secret ---------------------------------------------------------------

    @cached_property
    def used_ids(self) -> frozenset[str]:
        """Ids of the Docker secrets that a Spec or an unfinished task refers to.

        A task on a node that is down may come back, so it counts too. An object that could not be
        read may refer to any of them, so all mirrors count as used while there is one.
        """
        used = set(self.mirror_by_id) if self.blind else set[str]()
        used.update(*(service.secret_ids for service in self.services))
        used.update(*{task.secret_ids for task in self.tasks if task.unfinished})
        return frozenset(used)

    def is_used(self, secret_id: str, absent: Collection[str]) -> bool:
        """Return whether ``used_ids`` has a Docker secret, if some tasks do not count.

        Args:
            absent: Ids of the tasks that do not count.
        """
        if secret_id in self.services_by_secret or (self.blind and secret_id in self.mirror_by_id):
            return True
        return any(task.id not in absent for task in self._users.get(secret_id, ()))

    @cached_property
    def _users(self) -> Mapping[str, tuple[Task, ...]]:
        """Unfinished tasks by the id of each Docker secret that they refer to."""
        unfinished = (task for task in self.tasks if task.unfinished)
        return _grouped((held, task) for task in unfinished for held in task.secret_ids)

    @cached_property
    def before_ids(self) -> frozenset[str]:
        """Ids of the Docker secrets that a service would go back to, by its open roll record."""
        records = (record for mirror in self.mirrors for record in mirror.records.values())
        return frozenset().union(*(record.before_ids for record in records if not record.done))

    @cached_property
    def needed_ids(self) -> frozenset[str]:
        """Ids of the Docker secrets that must not be removed (I1).

        1. Those that are used. The engine itself refuses only what a Spec refers to.
        2. Those of each PreviousSpec: ``docker service rollback`` fails without them.
        3. Those that an open roll record would put back.
        """
        previous = (service.previous for service in self.services if service.previous)
        return self.used_ids.union(self.before_ids, *previous)

    def is_shared(self, secret_id: str, leased: Leased) -> bool:
        """Return whether the lease or the custody of a generation is also that of another mirror.

        Ending it would end the credential of that one too. Mirrors whose credential has ended do
        not count.
        """
        lease, accessor = leased.lease, leased.accessor
        holders = (*self._by_lease.get(lease, ()), *self._by_accessor.get(accessor, ()))
        return any(holder.id != secret_id for holder in holders)

    @cached_property
    def _by_lease(self) -> Mapping[str, tuple[Mirror, ...]]:
        return _grouped((leased.lease, mirror) for mirror, leased in self._with_lease())

    @cached_property
    def _by_accessor(self) -> Mapping[str, tuple[Mirror, ...]]:
        return _grouped((leased.accessor, mirror) for mirror, leased in self._with_lease())

    def _with_lease(self) -> Iterator[tuple[Mirror, Leased]]:
        for mirror in self.mirrors:
            if mirror.leased and mirror.leased.lease and not mirror.leased.ended:
                yield mirror, mirror.leased

    @cached_property
    def running_ids(self) -> frozenset[str]:
        """Ids of the Docker secrets that a live task holds.

        One that should end on a node that is down does not count: nobody will report its end.
        """
        return frozenset().union(
            *{task.secret_ids for task in self.tasks if task.live and not task.ghost}
        )

    @cached_property
    def lost_tasks(self) -> frozenset[str]:
        """Ids of the tasks on nodes that are down or gone."""
        return frozenset(task.id for task in self.tasks if task.lost)


def _grouped(pairs: Iterable[tuple[_K, _V]]) -> dict[_K, tuple[_V, ...]]:
    """Return the values of each key, in their order."""
    found: defaultdict[_K, list[_V]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return {key: tuple(values) for key, values in found.items()}
