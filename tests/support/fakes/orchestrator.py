"""The orchestrator of a swarm in memory: it keeps services at their specs, slot by slot.

It works as the engine's own does, which is seen from outside in ``UpdateStatus`` and in the tasks:

- An *updater* brings the tasks of a service to one spec. Another spec supersedes it; the same spec
  written once more does not, and as every write takes ``UpdateStatus`` away, nobody hears of it
  any more.
- The next slot is begun as soon as the new task of the former one runs, and what is begun is ended
  also where the update has been stopped by then.
- With ``start-first`` a task that fails before it runs leaves the old one of its slot alone.
- An updater waits for the tasks that it has begun, however long: on a node that is down, for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.fakes.cluster import Cluster, ended
from tests.support.fakes.store import Json, Store, copied, replicas_of

_NANO = 1_000_000_000
_MOVING = ("updating", "rollback_started")


@dataclass(slots=True, kw_only=True)
class Updater:
    """One update under way.

    Attributes:
        spec: Where it leads to.
        config: The service's UpdateConfig, or its RollbackConfig where it goes back.
        waiting: Tasks that must run before another slot is begun, each with those that must end
            before it starts.
        made: All tasks that it has made, with the time at which each was seen to run.
        stopped: Whether it only ends what it has begun.
        watching: Since when nothing is left but to watch.
    """

    spec: Json
    config: Json
    waiting: dict[str, list[str]] = field(default_factory=dict)
    made: dict[str, float | None] = field(default_factory=dict)
    stopped: bool = False
    watching: float | None = None

    @property
    def monitor(self) -> float:
        """Seconds for which a failure of a new task counts."""
        return float(self.config["Monitor"]) / _NANO

    @property
    def start_first(self) -> bool:
        """Whether a new task runs before the old one is stopped."""
        return bool(self.config["Order"] == "start-first")


class Orchestrator:
    """Keeps services at their specs."""

    def __init__(self, store: Store, cluster: Cluster) -> None:
        self._store = store
        self._cluster = cluster
        self._updaters: dict[str, Updater] = {}
        self._written: set[str] = set()

    def written(self, service: Json) -> None:
        """Let a service be reconciled at the next tick: it was written."""
        self._store.touch(service)
        self._written.add(service["ID"])

    def forget(self, service_id: str) -> None:
        """Let go of a service that was removed."""
        self._updaters.pop(service_id, None)
        self._written.discard(service_id)

    def tick(self) -> None:
        """Let a second pass."""
        for service in self._store.services.values():
            self._restart(service)
            self._judge(service)
            if service["ID"] in self._written:
                self.reconcile(service)
            self._go_on(service)

    def reconcile(self, service: Json) -> None:
        """Bring a service to the number of its tasks, and begin to bring them to its spec."""
        self._written.discard(service["ID"])
        slots, wanted = self._cluster.slots(service), replicas_of(service)
        kept = sorted(slots, key=lambda slot: (not _runs(slots[slot]), slot))[:wanted]
        for slot in slots.keys() - set(kept):
            for task in slots[slot]:
                task["DesiredState"] = "remove"
        self._begin(service)
        free = (slot for slot in range(1, 2 * wanted + 1) if slot not in kept)
        for _ in range(wanted - len(kept)):
            self._cluster.start(service, next(free))

    def say(self, service: Json, state: str, message: str, *, anew: bool = False) -> None:
        """Write UpdateStatus."""
        before, now = service.get("UpdateStatus") or {}, self._store.clock.text
        started = now if anew else before.get("StartedAt", now)
        service["UpdateStatus"] = {"State": state, "StartedAt": started, "Message": message}
        if state.endswith("completed"):
            service["UpdateStatus"]["CompletedAt"] = now
        self.written(service)

    # --- tasks -----------------------------------------------------------------------------------

    def _restart(self, service: Json) -> None:
        """Replace the tasks that failed, and those on nodes that are down; by the present spec."""
        for slot, tasks in self._cluster.slots(service).items():
            for task in tasks:
                if ended(task) or self._cluster.is_down(task):
                    task["DesiredState"] = "shutdown"
                    self._cluster.start(service, slot)

    def _dirty(self, service: Json) -> list[int]:
        """Return the slots that are not as the spec says."""
        template = service["Spec"]["TaskTemplate"]
        slots = self._cluster.slots(service)
        return sorted(s for s, tasks in slots.items() if [t["Spec"] for t in tasks] != [template])

    # --- updates ---------------------------------------------------------------------------------

    def _begin(self, service: Json) -> None:
        updater = self._updaters.get(service["ID"])
        if updater and updater.spec == service["Spec"]:
            return
        self._updaters.pop(service["ID"], None)
        state = _state(service)
        if not self._dirty(service):
            if state in _MOVING:
                self._complete(service)
            return
        if state is None:
            self.say(service, "updating", "update in progress", anew=True)
        config = service["Spec"][
            "RollbackConfig" if state == "rollback_started" else "UpdateConfig"
        ]
        updater = Updater(spec=copied(service["Spec"]), config=dict(config))
        self._updaters[service["ID"]] = updater
        self._begin_slots(service, updater)

    def _go_on(self, service: Json) -> None:
        updater = self._updaters.get(service["ID"])
        if updater is None:
            return
        for made in list(updater.waiting):
            self._await(service, updater, made)
        if updater.stopped:
            if not updater.waiting:
                del self._updaters[service["ID"]]
            return
        self._begin_slots(service, updater)
        now = self._store.clock()
        if updater.waiting or self._dirty(service):
            updater.watching = None
        elif updater.watching is None:
            updater.watching = now
        elif now - updater.watching >= updater.monitor:
            self._complete(service)

    def _await(self, service: Json, updater: Updater, made: str) -> None:
        """Look how far a new task is."""
        task = self._cluster.find(made)
        olds = [self._cluster.find(old) for old in updater.waiting[made]]
        if any(old and not ended(old) for old in olds):
            return
        if task and task["DesiredState"] == "ready":
            task["DesiredState"] = "running"
        elif task is None or ended(task) or _runs([task]):
            del updater.waiting[made]
            updater.made[made] = self._store.clock()
            if task and updater.start_first and _runs([task]):
                self._end(service, task["Slot"], but=made)

    def _begin_slots(self, service: Json, updater: Updater) -> None:
        """Begin as many slots as may be under way at once."""
        waited = [self._cluster.find(made) for made in updater.waiting]
        busy = {task["Slot"] for task in waited if task}
        dirty = [slot for slot in self._dirty(service) if slot not in busy]
        for slot in dirty:
            if len(updater.waiting) < (updater.config["Parallelism"] or len(dirty)):
                self._begin_slot(service, updater, slot)

    def _begin_slot(self, service: Json, updater: Updater, slot: int) -> None:
        tasks = self._cluster.slots(service)[slot]
        clean = [task for task in tasks if task["Spec"] == service["Spec"]["TaskTemplate"]]
        if clean:  # one that is as it should be stays, and the others go
            clean[0]["DesiredState"] = "running"
            self._end(service, slot, but=clean[0]["ID"])
        elif updater.start_first:
            made = self._cluster.start(service, slot)["ID"]
            updater.made[made], updater.waiting[made] = None, []
        else:
            olds = self._end(service, slot)
            made = self._cluster.start(service, slot, desired="ready")["ID"]
            updater.made[made], updater.waiting[made] = None, olds

    def _end(self, service: Json, slot: int, *, but: str = "") -> list[str]:
        """Shut down the tasks of a slot; returns their ids."""
        tasks = self._cluster.slots(service).get(slot, [])
        olds = [task for task in tasks if task["ID"] != but]
        for task in olds:
            task["DesiredState"] = "shutdown"
        return [task["ID"] for task in olds]

    def _complete(self, service: Json) -> None:
        """End an update; of one whose status somebody took away nothing is said."""
        state = _state(service)
        if state == "updating":
            self.say(service, "completed", "update completed")
        elif state == "rollback_started":
            self.say(service, "rollback_completed", "rollback completed")
        self._updaters.pop(service["ID"], None)

    # --- failures --------------------------------------------------------------------------------

    def _judge(self, service: Json) -> None:
        """Stop an update, or take it back, where a task that it made did not stay up."""
        updater = self._updaters.get(service["ID"])
        if updater is None or updater.stopped:
            return
        failed = next((made for made in updater.made if self._failed(updater, made)), None)
        if failed is None:
            return
        action, state = updater.config["FailureAction"], _state(service)
        if action == "continue":
            return
        updater.stopped = True
        why = f"due to failure or early termination of task {failed}"
        if state == "rollback_started":
            self.say(service, "rollback_paused", f"update paused {why}")
        elif state == "updating" and action == "pause":
            self.say(service, "paused", f"update paused {why}")
        elif state == "updating":
            service["Spec"] = service.pop("PreviousSpec")
            self.say(service, "rollback_started", f"update rolled back {why}")

    def _failed(self, updater: Updater, made: str) -> bool:
        task, ran = self._cluster.find(made), updater.made[made]
        in_time = ran is None or self._store.clock() - ran <= updater.monitor
        return bool(task and task["Status"]["State"] in ("failed", "rejected") and in_time)


def _state(service: Json) -> str | None:
    state: str | None = (service.get("UpdateStatus") or {}).get("State")
    return state


def _runs(tasks: list[Json]) -> bool:
    return any(task["Status"]["State"] == "running" for task in tasks)
