"""One manager of a swarm in memory: what the bridge calls, and what people do.

Time passes by ``tick``, a second each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from bridge.errors import NameTaken, OutOfSequence, SwarmRefused
from bridge.model.content.payload import Concealed
from tests.support.fakes.cluster import Cluster
from tests.support.fakes.orchestrator import Orchestrator
from tests.support.fakes.store import Clock, Json, Store, copied, frozen, references, replicas_of

_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,62}[a-zA-Z0-9])?")
_MOST = 512_000


class Crash(BaseException):
    """The bridge is killed here."""


class FakeSwarm:
    """One manager with its orchestrator and some nodes.

    Attributes:
        trouble: Called before and after each write with what it is; may raise.
        seen_update: Called with each update that the bridge sends: the service's id, its spec and
            what it shall be.
        seen_removal: Called with the id of each Docker secret that the bridge removes.
        lags: Whether the orchestrator meets a write of a service only at the next tick: until then
            ``UpdateStatus`` is absent. Mostly it is quicker than the next look.
        sick: Names of services whose new tasks all fail, whatever they hold.
        unplaced: Names of services whose new tasks no node takes.
        imageless: Names of services whose image is on no node.
        asked: What was looked at, one by one.
        started: What processes of tasks were started with, see ``Cluster``.
    """

    def __init__(self, clock: Clock, nodes: int = 1) -> None:
        self._clock = clock
        self._store = Store(clock)
        self._cluster = Cluster(self._store, nodes)
        self._orchestrator = Orchestrator(self._store, self._cluster)
        self.trouble: Callable[[str, bool], None] = lambda _what, _after: None
        self.asked: list[str] = []
        self._told: dict[tuple[str, str], bytes] = {}
        self.writes: list[str] = []
        self.seen_update: Callable[[str, Json, Json], None] = lambda _service, _before, _after: None
        self.seen_removal: Callable[[str], None] = lambda _secret: None
        self.removed: list[str] = []
        self.lags = False
        self.sick = self._cluster.sick
        self.unplaced = self._cluster.unplaced
        self.imageless = self._cluster.imageless
        self.started = self._cluster.started

    def contents(self) -> bytes:
        """Return all that can be seen by what the bridge calls; equal bytes are equal answers."""
        store, cluster = self._store, self._cluster
        return frozen([store.services, store.secrets, store.configs, cluster.tasks, cluster.nodes])

    def happened(self) -> list[Json]:
        """Return what the engine tells of since it was asked the last time.

        That is of each kind of object but tasks, whose changes it never tells of.
        """
        store = self._store
        kinds = {
            "service": store.services,
            "secret": store.secrets,
            "config": store.configs,
            "node": self._cluster.nodes,
        }
        now = {
            (kind, key): frozen(raw) for kind, each in kinds.items() for key, raw in each.items()
        }
        names = {key: raw["Spec"]["Name"] for key, raw in store.configs.items()}
        told: list[Json] = []
        for place in now.keys() | self._told.keys():
            if now.get(place) != self._told.get(place):
                action = "remove" if place not in now else "update"
                action = "create" if place not in self._told else action
                actor = {"ID": place[1], "Attributes": {"name": names.get(place[1], "")}}
                told.append({"Type": place[0], "Action": action, "Actor": actor})
        self._told = now
        return told

    # --- what the bridge calls -------------------------------------------------------------------

    def services(self, ids: Collection[str] = ()) -> list[Json]:
        """As the real one."""
        self.asked.append("services")
        found = copied([s for s in self._store.services.values() if not ids or s["ID"] in ids])
        for service in found:
            service["ServiceStatus"] = {"DesiredTasks": replicas_of(service)}
        return found

    def tasks(self, services: Collection[str] = ()) -> list[Json]:
        """As the real one: a service that is gone is an error."""
        self.asked.append("tasks")
        for service_id in services:
            self._store.one(self._store.services, service_id)
        tasks = self._cluster.tasks
        return copied([task for task in tasks if not services or task["ServiceID"] in services])

    def nodes(self) -> list[Json]:
        """As the real one."""
        self.asked.append("nodes")
        return copied(list(self._cluster.nodes.values()))

    def secrets(self) -> list[Json]:
        """As the real one."""
        self.asked.append("secrets")
        return copied(list(self._store.secrets.values()))

    def config(self, name: str) -> Json | None:
        """As the real one."""
        self.asked.append("config")
        found = (c for c in self._store.configs.values() if c["Spec"]["Name"] == name)
        return copied(next(found, None))

    def service(self, service_id: str) -> Json:
        """As the real one."""
        return copied(self._store.one(self._store.services, service_id))

    def secret(self, secret_id: str) -> Json:
        """As the real one."""
        self.asked.append("secret")
        return copied(self._store.one(self._store.secrets, secret_id))

    def create_secret(
        self, name: str, data: Concealed, labels: Mapping[str, str], template_driver: str = ""
    ) -> str:
        """As the real one: names are unique regardless of case."""
        driver = {"Templating": {"Name": template_driver}} if template_driver else {}
        made = self._write(f"create {name}", lambda: self._create(name, data, labels, driver))
        return str(made)

    def holds(self, secret_id: str, _name: str, data: Concealed) -> bool:
        """As the real one."""
        self._store.one(self._store.secrets, secret_id)
        return self._store.data[secret_id] == data.reveal()

    def set_secret_labels(
        self, secret_id: str, index: int, name: str, labels: Mapping[str, str]
    ) -> None:
        """As the real one: by compare-and-set."""
        where = self._store.secrets
        self._write(f"label {name}", lambda: self._label(where, secret_id, index, labels))

    def remove_secret(self, secret_id: str) -> None:
        """As the real one: only a Spec keeps it from that, neither PreviousSpec nor tasks."""

        def act() -> None:
            self.seen_removal(secret_id)
            self._remove(secret_id)

        self._write(f"remove {secret_id}", act)

    def create_config(self, name: str, _data: bytes, labels: Mapping[str, str]) -> str:
        """As the real one."""
        made = self._write(f"config {name}", lambda: self._create_config(name, labels))
        return str(made)

    def set_config_labels(self, config: Json, labels: Mapping[str, str]) -> None:
        """As the real one: by compare-and-set."""
        index, name, where = config["Version"]["Index"], config["Spec"]["Name"], self._store.configs
        self._write(f"config {name}", lambda: self._label(where, config["ID"], index, labels))

    def update_service(self, service_id: str, index: int, spec: Json) -> None:
        """As the real one: by compare-and-set; any write makes the old spec the previous one."""

        def act() -> None:
            service = self._store.one(self._store.services, service_id)
            self._check(service, index, spec)
            self.seen_update(service_id, copied(service["Spec"]), copied(spec))
            self._put(service, copied(spec))

        self._write(f"update {service_id}", act)

    def _write(self, what: str, act: Callable[[], Any]) -> Any:
        self.trouble(what, False)
        done = act()
        self.writes.append(what)
        self.trouble(what, True)
        return done

    def _create(self, name: str, data: Concealed, labels: Mapping[str, str], more: Json) -> str:
        if not _NAME.fullmatch(name):
            raise SwarmRefused("invalid name, only 64 [a-zA-Z0-9-_.] characters allowed")
        if not 0 < len(data.reveal()) < _MOST:
            raise SwarmRefused("secret data must be larger than 0 and less than 512000 bytes")
        if any(s["Spec"]["Name"].lower() == name.lower() for s in self._store.secrets.values()):
            raise NameTaken(f"secret {name} already exists")
        spec = {"Name": name, "Labels": dict(labels), **more}
        made = self._store.new(self._store.secrets, "s", spec)
        self._store.data[made] = data.reveal()
        return made

    def _create_config(self, name: str, labels: Mapping[str, str]) -> str:
        if any(c["Spec"]["Name"].lower() == name.lower() for c in self._store.configs.values()):
            raise NameTaken(f"config {name} already exists")
        return self._store.new(self._store.configs, "c", {"Name": name, "Labels": dict(labels)})

    def _label(
        self, where: dict[str, Json], found_id: str, index: int, labels: Mapping[str, str]
    ) -> None:
        found = self._store.one(where, found_id)
        if found["Version"]["Index"] != index:
            raise OutOfSequence("update out of sequence")
        found["Spec"]["Labels"] = dict(labels)
        self._store.touch(found)

    def _remove(self, secret_id: str) -> None:
        self._store.one(self._store.secrets, secret_id)
        for service in self._store.services.values():
            if any(ref["SecretID"] == secret_id for ref in references(service["Spec"])):
                name = service["Spec"]["Name"]
                raise SwarmRefused(f"secret is in use by the following service: {name}")
        del self._store.secrets[secret_id]  # its content stays on nodes whose tasks have it
        self.removed.append(secret_id)

    # --- what people do --------------------------------------------------------------------------

    def deploy(
        self,
        name: str,
        replicas: int,
        action: str,
        *,
        secrets: Iterable[Json] = (),
        **update: Any,
    ) -> str:
        """Deploy a service; its tasks run at once.

        Args:
            action: Its FailureAction.
            secrets: References to Docker secrets.
            update: Further fields of its update configuration.
        """
        quick = {"Parallelism": 1, "Monitor": 1_000_000_000, "Order": "start-first"}
        back = {**quick, "Parallelism": 0, "FailureAction": "pause", "Order": "stop-first"}
        spec: Json = {
            "Name": name,
            "Labels": {},
            "TaskTemplate": {"ContainerSpec": {"Image": "i", "Env": [], "Secrets": list(secrets)}},
            "Mode": {"Replicated": {"Replicas": replicas}},
            "UpdateConfig": {**quick, "FailureAction": action, **update},
            "RollbackConfig": back,
        }
        self._check_references(spec)
        made = self._store.new(self._store.services, "v", spec)
        service = self._store.services[made]
        self._orchestrator.reconcile(service)
        for task in self._cluster.of(service):
            self._cluster.run(task)
        return made

    def edit(self, service_id: str, change: Callable[[Json], None]) -> None:
        """Write a service as somebody else does."""
        service = self._store.one(self._store.services, service_id)
        spec = copied(service["Spec"])
        change(spec)
        self._check_references(spec)
        self._put(service, spec)

    def remove_service(self, service_id: str) -> None:
        """Remove a service; its tasks end in their own time, and are forgotten then."""
        del self._store.services[service_id]
        self._orchestrator.forget(service_id)
        for task in self._cluster.tasks:
            if task["ServiceID"] == service_id:
                task["DesiredState"] = "remove"

    def roll_back(self, service_id: str) -> None:
        """Do as ``docker service rollback``: Spec and PreviousSpec change places.

        The engine looks whether the secrets of the Spec exist, not those of the PreviousSpec.
        """
        service = self._store.one(self._store.services, service_id)
        self._check_references(service["Spec"])
        if "PreviousSpec" not in service:
            raise SwarmRefused(f"service {service_id} does not have a previous spec")
        service["PreviousSpec"], service["Spec"] = service["Spec"], service["PreviousSpec"]
        self._orchestrator.say(
            service, "rollback_started", "manually requested rollback", anew=True
        )
        self._orchestrator.reconcile(service)

    def node_down(self, node_id: str) -> None:
        """Take a node down: what runs there is said to run for ever, and is started elsewhere."""
        self._cluster.nodes[node_id]["Status"]["State"] = "down"

    def node_up(self, node_id: str) -> None:
        """Bring a node back: it ends what it shall no longer run."""
        self._cluster.nodes[node_id]["Status"]["State"] = "ready"

    def tick(self) -> None:
        """Let a second pass."""
        self._clock.now += 1
        self._cluster.tick()
        self._orchestrator.tick()

    def _check(self, service: Json, index: int, spec: Json) -> None:
        if service["Version"]["Index"] != index:
            raise OutOfSequence("update out of sequence")
        self._check_references(spec)

    def _check_references(self, spec: Json) -> None:
        targets: dict[str, str] = {}
        for ref in references(spec):
            name, target = ref["SecretName"], ref["File"]["Name"]
            secret = self._store.secrets.get(ref["SecretID"])
            if secret is None or secret["Spec"]["Name"] != name:
                raise SwarmRefused(f"secret not found: {name}")
            if target in targets:
                both = f"'{targets[target]}' and '{name}'"
                raise SwarmRefused(
                    f"secret references {both} have a conflicting target: '{target}'"
                )
            targets[target] = name

    def _put(self, service: Json, spec: Json) -> None:
        service["PreviousSpec"], service["Spec"] = service["Spec"], spec
        service.pop("UpdateStatus", None)
        self._orchestrator.written(service)
        if not self.lags:
            self._orchestrator.reconcile(service)
