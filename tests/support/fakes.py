"""A swarm and a Vault in memory, as strict as the real ones where the bridge rests on it.

Time passes by ``tick``, a second each: tasks start, fail, are replaced, and updates go on, stop or
roll back, as ``reference`` behaviour of the engine 20.10 to 28.5 was seen to be.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.errors import AnswerLost, NameTaken, NotFound, OutOfSequence, SwarmRefused, VaultRefused
from bridge.model.desired import KvPath
from bridge.model.payload import Concealed
from bridge.model.reasons import Reason

Json = dict[str, Any]

POISON = "poison"
LATE = "late"


class Crash(BaseException):
    """The bridge is killed here."""


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    @property
    def text(self) -> str:
        """The same as the servers write it."""
        return datetime.fromtimestamp(self.now, UTC).isoformat().replace("+00:00", "Z")


class FakeVault:
    """KV v2 paths with versions that can be written, deleted and begun anew."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ticks = itertools.count(1)
        self.documents: dict[str, Json] = {}
        self.values: dict[tuple[str, int], str] = {}

    def _time(self) -> str:
        """Return a time that is never the same twice."""
        return self._clock.text.replace("Z", f".{next(self._ticks):09d}Z")

    def write(self, path: str, value: str) -> int:
        """Write a version; returns its number."""
        now = self._time()
        document = self.documents.setdefault(
            path, {"created_time": now, "current_version": 0, "versions": {}}
        )
        number = int(document["current_version"]) + 1
        document["current_version"] = number
        document["versions"][str(number)] = {"created_time": now, "deletion_time": ""}
        self.values[path, number] = value
        return number

    def metadata(self, path: KvPath, *, patient: bool = True) -> Json:
        """As the real one."""
        if path.path not in self.documents:
            raise VaultRefused(Reason.PATH_MISSING, "nothing there")
        return copy.deepcopy(self.documents[path.path])

    def read_version(self, path: KvPath, version: int) -> Json:
        """As the real one."""
        entry = self.metadata(path)["versions"][str(version)]
        return {"data": {"password": self.values[path.path, version]}, "metadata": entry}


class FakeSwarm:
    """One manager with its orchestrator.

    Attributes:
        trouble: Called before and after each write with what it is; may raise.
        seen_update: Called with each update that the bridge sends: the service's id, what its spec
            refers to and what it shall.
        sick: Names of services whose new tasks all fail, whatever they hold.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ids = itertools.count(1)
        self._index = itertools.count(10)
        self._services: dict[str, Json] = {}
        self._secrets: dict[str, Json] = {}
        self._data: dict[str, bytes] = {}
        self._configs: dict[str, Json] = {}
        self._tasks: list[Json] = []
        self.trouble: Callable[[str, bool], None] = lambda _what, _after: None
        self.writes: list[str] = []
        self.seen_update: Callable[[str, frozenset[str], frozenset[str]], None] = (
            lambda _service, _before, _after: None
        )
        self.removed: list[str] = []
        self.sick: set[str] = set()

    # --- what the bridge calls -------------------------------------------------------------------

    def services(self) -> list[Json]:
        """As the real one."""
        found = copy.deepcopy(list(self._services.values()))
        for service in found:
            count = service["Spec"]["Mode"]["Replicated"]["Replicas"]
            service["ServiceStatus"] = {"DesiredTasks": count}
        return found

    def tasks(self) -> list[Json]:
        """As the real one."""
        return copy.deepcopy(self._tasks)

    def nodes(self) -> list[Json]:
        """As the real one."""
        return [{"ID": "node", "Status": {"State": "ready"}}]

    def secrets(self) -> list[Json]:
        """As the real one."""
        return copy.deepcopy(list(self._secrets.values()))

    def config(self, name: str) -> Json | None:
        """As the real one."""
        found = (c for c in self._configs.values() if c["Spec"]["Name"] == name)
        return copy.deepcopy(next(found, None))

    def service(self, service_id: str) -> Json:
        """As the real one."""
        return copy.deepcopy(self._one(self._services, service_id))

    def secret(self, secret_id: str) -> Json:
        """As the real one."""
        return copy.deepcopy(self._one(self._secrets, secret_id))

    def create_secret(self, name: str, data: Concealed, labels: Mapping[str, str]) -> str:
        """As the real one: names are unique regardless of case."""
        made = self._write(f"create {name}", lambda: self._create(name, data, labels))
        return str(made)

    def holds(self, secret_id: str, _name: str, data: Concealed) -> bool:
        """As the real one."""
        return self._data[secret_id] == data.reveal()

    def set_secret_labels(
        self, secret_id: str, index: int, name: str, labels: Mapping[str, str]
    ) -> None:
        """As the real one: by compare-and-set."""
        self._write(f"label {name}", lambda: self._label(self._secrets, secret_id, index, labels))

    def remove_secret(self, secret_id: str) -> None:
        """As the real one: only a Spec keeps it from that, neither PreviousSpec nor tasks."""
        self._write(f"remove {secret_id}", lambda: self._remove(secret_id))

    def create_config(self, name: str, _data: bytes, labels: Mapping[str, str]) -> str:
        """As the real one."""
        made = self._write(f"config {name}", lambda: self._create_config(name, labels))
        return str(made)

    def set_config_labels(self, config: Json, labels: Mapping[str, str]) -> None:
        """As the real one: by compare-and-set."""
        index, name = config["Version"]["Index"], config["Spec"]["Name"]
        self._write(
            f"config {name}", lambda: self._label(self._configs, config["ID"], index, labels)
        )

    def update_service(self, service_id: str, index: int, spec: Json) -> None:
        """As the real one: by compare-and-set; any write makes the old spec the previous one."""
        self._write(f"update {service_id}", lambda: self._update(service_id, index, spec))

    def _write(self, what: str, act: Callable[[], Any]) -> Any:
        self.trouble(what, False)
        done = act()
        self.writes.append(what)
        self.trouble(what, True)
        return done

    @staticmethod
    def _one(where: dict[str, Json], found_id: str) -> Json:
        if found_id not in where:
            raise NotFound(f"{found_id} not found")
        return where[found_id]

    def _create(self, name: str, data: Concealed, labels: Mapping[str, str]) -> str:
        if any(s["Spec"]["Name"].lower() == name.lower() for s in self._secrets.values()):
            raise NameTaken(name)
        made = f"s{next(self._ids)}"
        self._data[made] = data.reveal()
        self._secrets[made] = self._object(made, {"Name": name, "Labels": dict(labels)})
        return made

    def _create_config(self, name: str, labels: Mapping[str, str]) -> str:
        if self.config(name):
            raise NameTaken(name)
        made = f"c{next(self._ids)}"
        self._configs[made] = self._object(made, {"Name": name, "Labels": dict(labels)})
        return made

    def _object(self, made: str, spec: Json) -> Json:
        index = {"Index": next(self._index)}
        return {"ID": made, "Version": index, "CreatedAt": self._clock.text, "Spec": spec}

    def _label(
        self, where: dict[str, Json], found_id: str, index: int, labels: Mapping[str, str]
    ) -> None:
        found = self._one(where, found_id)
        if found["Version"]["Index"] != index:
            raise OutOfSequence("update out of sequence")
        found["Spec"]["Labels"] = dict(labels)
        found["Version"]["Index"] = next(self._index)

    def _remove(self, secret_id: str) -> None:
        self._one(self._secrets, secret_id)
        if any(secret_id in _refs(s["Spec"]) for s in self._services.values()):
            raise SwarmRefused("secret is in use by the following service")
        del self._secrets[secret_id]
        self.removed.append(secret_id)

    def _update(self, service_id: str, index: int, spec: Json) -> None:
        service = self._one(self._services, service_id)
        if service["Version"]["Index"] != index:
            raise OutOfSequence("update out of sequence")
        if not _refs(spec) <= self._secrets.keys():
            raise SwarmRefused("secret not found")
        self.seen_update(service_id, _refs(service["Spec"]), _refs(spec))
        assert spec["TaskTemplate"] != service["Spec"]["TaskTemplate"], "a no-op update (I3)"
        self._put(service, copy.deepcopy(spec))

    def _put(self, service: Json, spec: Json) -> None:
        changed = spec["TaskTemplate"] != service["Spec"]["TaskTemplate"]
        service["PreviousSpec"], service["Spec"] = service["Spec"], spec
        service.pop("UpdateStatus", None)
        if changed:
            self._say(service, "updating", "update in progress", started=self._clock.text)
        service["Version"]["Index"] = next(self._index)

    def _say(self, service: Json, state: str, message: str, started: str | None = None) -> None:
        before = service.get("UpdateStatus") or {}
        service["UpdateStatus"] = {
            "State": state,
            "Message": message,
            "StartedAt": started or before.get("StartedAt", self._clock.text),
        }
        service["Version"]["Index"] = next(self._index)

    # --- what people do --------------------------------------------------------------------------

    def deploy(self, name: str, replicas: int, action: str) -> str:
        """Deploy a service without secrets; its tasks run at once."""
        made = f"v{next(self._ids)}"
        spec = {
            "Name": name,
            "Labels": {},
            "TaskTemplate": {"ContainerSpec": {"Image": "i", "Env": [], "Secrets": []}},
            "Mode": {"Replicated": {"Replicas": replicas}},
            "UpdateConfig": {"FailureAction": action, "Monitor": 1_000_000_000},
        }
        self._services[made] = self._object(made, spec)
        for slot in range(replicas):
            self._start(self._services[made], slot)
        return made

    def edit(self, service_id: str, change: Callable[[Json], None]) -> None:
        """Write a service as somebody else does."""
        service = self._services[service_id]
        spec = copy.deepcopy(service["Spec"])
        change(spec)
        self._put(service, spec)

    def roll_back(self, service_id: str) -> None:
        """Do as ``docker service rollback``: Spec and PreviousSpec change places."""
        service = self._services[service_id]
        if "PreviousSpec" not in service:
            return
        service["PreviousSpec"], service["Spec"] = service["Spec"], service["PreviousSpec"]
        now = self._clock.text
        self._say(service, "rollback_started", "manually requested rollback", started=now)

    # --- the orchestrator ------------------------------------------------------------------------

    def tick(self) -> None:
        """Let a second pass."""
        self._clock.now += 1
        for service in self._services.values():
            self._judge_tasks(service)
            self._go_on(service)
        self._tasks = self._tasks[-200:]

    def _of(self, service: Json) -> list[Json]:
        return [task for task in self._tasks if task["ServiceID"] == service["ID"]]

    def _alive(self, service: Json) -> list[Json]:
        return [t for t in self._of(service) if t["Status"]["State"] == "running"]

    def _start(self, service: Json, slot: int, template: Json | None = None) -> Json:
        task = {
            "ID": f"t{next(self._ids)}",
            "ServiceID": service["ID"],
            "Slot": slot,
            "NodeID": "node",
            "Spec": copy.deepcopy(template or service["Spec"]["TaskTemplate"]),
            "DesiredState": "running",
            "Status": {"State": "running", "Timestamp": self._clock.text},
            "Age": 0,
        }
        self._tasks.append(task)
        return task

    def _judge_tasks(self, service: Json) -> None:
        """End what is being shut down, let fail what must, restart what failed."""
        for task in self._alive(service):
            task["Age"] += 1
            held = {self._data.get(ref["SecretID"], b"").decode() for ref in _secrets(task["Spec"])}
            bad = POISON in held or (service["Spec"]["Name"] in self.sick and task["Age"] == 1)
            if task["DesiredState"] == "shutdown":
                task["Status"] = {"State": "shutdown", "Timestamp": self._clock.text}
            elif bad or (LATE in held and task["Age"] >= 3):
                status = {"State": "failed", "Timestamp": self._clock.text}
                task["Status"] = {**status, "Err": "task: non-zero exit (3)"}
                task["DesiredState"] = "shutdown"
                task["New"] = True

    def _go_on(self, service: Json) -> None:
        """Replace one task that is not as the spec says, and those that failed."""
        status = service.get("UpdateStatus") or {}
        state = status.get("State")
        died = [task for task in self._of(service) if task.pop("New", False)]
        template = service["Spec"]["TaskTemplate"]
        fresh = [task for task in died if task["Spec"] == template]
        if fresh and state in ("updating", "rollback_started"):
            state = self._fail(service, state, fresh[0]["ID"])
            template = service["Spec"]["TaskTemplate"]
        for task in died:
            self._start(service, task["Slot"], None if state == "updating" else task["Spec"])
        running = [t for t in self._alive(service) if t["DesiredState"] == "running"]
        wanted = service["Spec"]["Mode"]["Replicated"]["Replicas"]
        for task in running[wanted:]:
            task["DesiredState"] = "shutdown"
        taken = {t["Slot"] for t in running}
        for slot in [s for s in range(wanted + 5) if s not in taken][
            : max(0, wanted - len(running))
        ]:
            self._start(service, slot)
        if state not in ("updating", "rollback_started"):
            return
        stale = [t for t in running[:wanted] if t["Spec"] != template]
        if stale:
            stale[0]["DesiredState"] = "shutdown"
            self._start(service, stale[0]["Slot"])
        elif all(t["Age"] >= 1 for t in running) or self._goes_on(service):
            done = "completed" if state == "updating" else "rollback_completed"
            self._say(service, done, f"{done}")

    def _goes_on(self, service: Json) -> bool:
        """With ``continue`` an update is completed though every task crashes."""
        return bool(service["Spec"]["UpdateConfig"]["FailureAction"] == "continue")

    def _fail(self, service: Json, state: str, task: str) -> str:
        action = service["Spec"]["UpdateConfig"]["FailureAction"]
        why = f"due to failure or early termination of task {task}"
        if state == "rollback_started":
            self._say(service, "rollback_paused", f"update paused {why}")
        elif action == "rollback" and "PreviousSpec" in service:
            service["Spec"] = service.pop("PreviousSpec")
            self._say(service, "rollback_started", f"update rolled back {why}")
        elif action == "pause":
            self._say(service, "paused", f"update paused {why}")
        return str(service["UpdateStatus"]["State"])

    def lost(self) -> AnswerLost:
        """Return the error of a write whose answer did not come."""
        return AnswerLost("no answer")


def _secrets(template: Json) -> list[Json]:
    return template["ContainerSpec"].get("Secrets") or []


def _refs(spec: Json) -> frozenset[str]:
    return frozenset(ref["SecretID"] for ref in _secrets(spec["TaskTemplate"]))
