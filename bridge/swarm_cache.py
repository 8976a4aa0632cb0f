"""What the swarm was seen to be, and what of it is to be looked at again.

The engine tells of each change of a service, a Docker secret, a config or a node with an event, and
of no change of a task. So between two whole looks only that is asked about of which an event told,
and the services whose tasks are on their way. In an idle swarm that is nothing.

Events are hints: the engine forgets them when it restarts, and may lose some when the managers
elect another leader. So everything is looked at again

1. each ``WHOLE`` seconds,
2. when the stream of events was opened anew; while there is none every look is whole,
3. when a service was removed, whose tasks may outlive it, or a node changed, since what is known of
   its tasks depends on it,
4. when an object is older than it was seen before: the swarm was restored, or a manager lags,
5. when a look ended half-way, or something in it was not understood.

What is done always rests on a whole look (see ``Reconciler``). A partial one only finds out that
there is something to do, or nothing: what it misses is late, and never wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.decide.services.progress import MOVING
from bridge.model.names import state_config_name
from bridge.model.service import Service, Task
from bridge.model.swarm_view import SwarmView

WHOLE = 60.0
"""Seconds after which everything is looked at again, whatever events told."""

MOST_SERVICES = 50
MOST_SECRETS = 10
"""Objects that are asked about by their ids: services in one request, Docker secrets in one each.
Where there are more, everything is listed."""

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """One look, with what the next one needs of it.

    Attributes:
        down: Ids of the nodes that are down.
        known: Ids of all nodes; None where they are not all known.
        indexes: The version index of each service and Docker secret, by its id.
    """

    view: SwarmView
    down: frozenset[str]
    known: frozenset[str] | None
    indexes: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Again:
    """What a partial look asks about; where that is nothing, it sends no request.

    Attributes:
        services: Ids of the services that are looked at again, with their tasks.
        secrets: Ids of the Docker secrets.
        config: Whether the state config is.
    """

    services: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    config: bool = False


@dataclass(slots=True)
class _Outdated:
    """What events told of since the latest look began."""

    everything: bool = False
    services: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)
    config: bool = False

    def take(self, event: Event, instance: str) -> None:
        """Note what an event makes outdated; one that is not understood may mean anything."""
        try:
            kind, action, actor = event["Type"], event["Action"], event["Actor"]
            found, name = actor["ID"], (actor.get("Attributes") or {}).get("name")
        except (KeyError, TypeError, AttributeError):
            self.everything = True
            return
        match kind, action:
            case "secret", _:
                self.secrets.add(found)
            case "service", "create" | "update":
                self.services.add(found)
            case "config", _:
                self.config = self.config or name in (None, state_config_name(instance))
            case _:
                self.everything = True
        if self.everything or self.is_much:
            # A bridge that stands by hears for weeks, and looks at nothing.
            self.everything = True
            self.services.clear()
            self.secrets.clear()

    @property
    def is_much(self) -> bool:
        """Whether it is less to look at everything."""
        return len(self.services) > MOST_SERVICES or len(self.secrets) > MOST_SECRETS


class SwarmCache:
    """The latest look at the swarm, and what is outdated in it.

    Another thread may report events at any time: those that come in the middle of a look count for
    the next one.

    Args:
        instance: Name of the bridge, whose Docker secrets and whose state config matter.
    """

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._lock = threading.Lock()
        self._seen: Seen | None = None
        self._whole_at = 0.0
        self._listening = self._stopped = False
        self._outdated = _Outdated()

    # --- from the thread that listens -------------------------------------------------------------

    def opened(self) -> None:
        """Learn that a stream of events was opened; what happened before is not told."""
        with self._lock:
            self._listening = self._outdated.everything = True

    def closed(self) -> None:
        """Learn that the stream has ended."""
        with self._lock:
            self._listening = False

    def heard(self, event: Event) -> None:
        """Learn of an event."""
        with self._lock:
            self._outdated.take(event, self._instance)

    # --- from the thread that looks ---------------------------------------------------------------

    def forget(self) -> None:
        """Let the next look be a whole one."""
        self._seen = None

    def stop(self) -> None:
        """Let every look be a whole one from now on."""
        self._stopped = True

    def begin(self, now: float) -> tuple[Seen, Again] | None:
        """Begin a look: return the latest one, and what of it is to be looked at again.

        None for everything. Unless ``keep`` follows, the next look is a whole one.

        Args:
            now: Seconds on a clock that nobody sets.
        """
        with self._lock:
            outdated, self._outdated = self._outdated, _Outdated()
            listening = self._listening
        seen, self._seen = self._seen, None
        if seen is None or outdated.everything or self._stopped or not listening:
            return None
        if now >= self._whole_at + WHOLE or seen.view.unread:
            return None
        outdated.services |= moving(seen.view, self._instance)
        if outdated.is_much:
            return None
        return seen, Again(
            services=frozenset(outdated.services),
            secrets=frozenset(outdated.secrets),
            config=outdated.config,
        )

    def keep(self, seen: Seen, now: float | None = None) -> None:
        """Keep a look that has ended.

        Args:
            now: When it began, if it was a whole one.
        """
        self._seen = seen
        if now is not None:
            self._whole_at = now


def moving(view: SwarmView, instance: str) -> frozenset[str]:
    """Return the ids of the services whose tasks are looked at again: no event tells of them.

    1. A roll of ours to it is recorded and not closed.
    2. It is on a version of ours that has yet to prove itself.
    3. The engine is at an update of it, or its tasks are not what they should be, and it has to do
       with a version of ours. The engine ends and starts them without a word.
    """
    own = {mirror.id for mirror in view.mirrors if mirror.instance == instance}
    rolled = {
        service_id
        for service_id, mirrors in view.open_records.items()
        if service_id in view.service_by_id and any(mirror.id in own for mirror in mirrors)
    }  # 1
    proving = {
        service.id
        for mirror_id in own
        if not view.mirror_by_id[mirror_id].good
        for service in view.services_by_secret.get(mirror_id, ())
        if not service.reruns
    }  # 2
    unsettled = {
        service.id
        for service in view.services
        if not is_settled(service, view.tasks_by_service.get(service.id, ()))
        and not own.isdisjoint(_held(service, view.tasks_by_service.get(service.id, ())))
    }  # 3
    return frozenset(rolled | proving | unsettled)


def is_settled(service: Service, tasks: Iterable[Task]) -> bool:
    """Return whether the engine has nothing more to do for a service, as far as its tasks tell.

    1. It changed in the middle of the look, or an update of it is under way.
    2. A job, or a service whose tasks are not restarted: its tasks end when they are done.
    3. As many tasks run as should, all with the secrets of the Spec, and no other lives but on a
       node that is down, which nothing is heard of.
    """
    if service.torn or service.update in MOVING:  # 1
        return False
    if service.reruns:  # 2
        return True
    live = [task for task in tasks if task.live and not task.ghost]  # 3
    well = all(task.running and service.secret_ids <= task.secret_ids for task in live)
    return well and len(live) == service.desired_tasks


def _held(service: Service, tasks: Iterable[Task]) -> frozenset[str]:
    """Return the ids of the Docker secrets that a service and its unfinished tasks refer to."""
    return service.secret_ids.union(*(task.secret_ids for task in tasks if task.unfinished))
