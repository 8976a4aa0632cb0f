"""The nodes of a swarm in memory and the tasks on them: they start, run, fail and end."""

from __future__ import annotations

from tests.support.fakes.store import Clock, Json, Store, copied, secrets_of

POISON = "poison"
DUD = "dud"
LATE = "late"
FIRST = "first"
"""Contents on which tasks fail: at once, before they are seen to run, after three seconds, at once
in slot 1 only. The engine does not always see the end of a short life before it is over."""

_ENDED = frozenset(("shutdown", "failed", "rejected"))
_HISTORY = 5
_LATE_AGE = 3.0

_EXIT = "task: non-zero exit (3)"
_GONE = "starting container failed: unable to get secret from secret store: secret {} not found"
_OWNER = 'starting container failed: strconv.Atoi: parsing "{}": invalid syntax'


class Cluster:
    """Nodes, with agents that do what the orchestrator wants of their tasks.

    A node that is down does nothing and tells nothing: its tasks stay shown as they were.

    Attributes:
        sick: Names of services whose new tasks all fail, whatever they hold.
        unplaced: Names of services whose new tasks no node takes.
        imageless: Names of services whose image is on no node.
        started: What processes of tasks were started with: ids of a service and of a Docker secret.
    """

    def __init__(self, store: Store, nodes: int) -> None:
        self._store = store
        self._clock: Clock = store.clock
        self.nodes = {f"n{number}": _node(number) for number in range(1, nodes + 1)}
        self.tasks: list[Json] = []
        self.sick: set[str] = set()
        self.unplaced: set[str] = set()
        self.imageless: set[str] = set()
        self.started: set[tuple[str, str]] = set()
        self._since: dict[str, float] = {}
        self._kept: set[tuple[str, str]] = set()

    # --- what the orchestrator does --------------------------------------------------------------

    def start(self, service: Json, slot: int, *, desired: str = "running") -> Json:
        """Make a task of a service's present spec; one desired ``ready`` waits to be let go."""
        task: Json = {
            "ID": self._store.new_id("t"),
            "CreatedAt": self._clock.text,
            "ServiceID": service["ID"],
            "Slot": slot,
            "Spec": copied(service["Spec"]["TaskTemplate"]),
            "DesiredState": desired,
        }
        self.tasks.append(task)
        self._place(task)
        return task

    def find(self, task_id: str) -> Json | None:
        """Return a task, as long as it is remembered."""
        return next((task for task in self.tasks if task["ID"] == task_id), None)

    def of(self, service: Json) -> list[Json]:
        """Return the tasks of a service."""
        return [task for task in self.tasks if task["ServiceID"] == service["ID"]]

    def slots(self, service: Json) -> dict[int, list[Json]]:
        """Return the tasks of a service that shall run, by their slots."""
        found: dict[int, list[Json]] = {}
        for task in self.of(service):
            if task["DesiredState"] in ("ready", "running"):
                found.setdefault(task["Slot"], []).append(task)
        return found

    def is_down(self, task: Json) -> bool:
        """Tell whether a task's node is down."""
        node = self.nodes.get(task.get("NodeID", ""))
        return bool(node and node["Status"]["State"] == "down")

    # --- what agents do --------------------------------------------------------------------------

    def tick(self) -> None:
        """Let a second pass on every node that is up."""
        for task in self.tasks:
            if not ended(task) and not self.is_down(task):
                self._go_on(task)
        self._forget()

    def run(self, task: Json) -> None:
        """Let a task run."""
        self._since[task["ID"]] = self._clock()
        self._started(task)
        self._say(task, "running")

    def _go_on(self, task: Json) -> None:
        state = task["Status"]["State"]
        if task["DesiredState"] in ("shutdown", "remove"):
            self._say(task, "shutdown")
        elif state == "pending":
            self._place(task)
        elif state != "running" and self._name(task) in self.imageless:
            self._say(task, "rejected", "No such image: i")
        elif state == "running":
            if self._fails(task):
                self._say(task, "failed", _EXIT)
        elif task["DesiredState"] == "running":
            error = self._refusal(task)
            if error:
                self._say(task, "failed", error)
            else:
                self.run(task)

    def _refusal(self, task: Json) -> str:
        """Say why a task does not start; empty where it does."""
        for ref in secrets_of(task["Spec"]):
            if (task["NodeID"], ref["SecretID"]) not in self._kept:
                return _GONE.format(ref["SecretID"])
            for owner in (ref["File"]["UID"], ref["File"]["GID"]):
                if not owner.isdigit():
                    return _OWNER.format(owner)
            if DUD in self._store.data[ref["SecretID"]].decode():
                self._started(task)
                return _EXIT
        return ""

    def _started(self, task: Json) -> None:
        self.started |= {(task["ServiceID"], ref["SecretID"]) for ref in secrets_of(task["Spec"])}

    def _name(self, task: Json) -> str:
        service = self._store.services.get(task["ServiceID"])
        return str(service["Spec"]["Name"]) if service else ""

    def _fails(self, task: Json) -> bool:
        age = self._clock() - self._since[task["ID"]]
        held = {self._store.data[r["SecretID"]].decode() for r in secrets_of(task["Spec"])}
        service = self._store.services.get(task["ServiceID"])
        ill = service is not None and service["Spec"]["Name"] in self.sick and age <= 1
        bad = POISON in held or (FIRST in held and task["Slot"] == 1)
        return ill or bad or (LATE in held and age >= _LATE_AGE)

    def _keep(self, task: Json) -> None:
        """Hand a node the secrets of a task: it keeps them until the last task with them ends."""
        held = {ref["SecretID"] for ref in secrets_of(task["Spec"])}
        self._kept |= {(task["NodeID"], secret) for secret in held & self._store.secrets.keys()}

    def _place(self, task: Json) -> None:
        """Give a task the node with the fewest tasks."""
        load = {name: 0 for name, node in self.nodes.items() if node["Status"]["State"] == "ready"}
        for other in self.tasks:
            if not ended(other) and other.get("NodeID") in load:
                load[other["NodeID"]] += 1
        if self._name(task) in self.unplaced:
            count = len(load)
            why = f"insufficient resources on {count} node{'s' * (count != 1)}"
            self._say(task, "pending", f"no suitable node ({why})")
        elif load:
            task["NodeID"] = min(load, key=lambda name: load[name])
            self._keep(task)
            self._say(task, "starting" if task["DesiredState"] == "running" else "ready")
        else:
            self._say(task, "pending", f"no suitable node ({len(self.nodes)} nodes not available)")

    def _say(self, task: Json, state: str, error: str = "") -> None:
        task["Status"] = {"Timestamp": self._clock.text, "State": state}
        task["UpdatedAt"] = self._clock.text
        if error:
            task["Status"]["Err"] = error

    def _forget(self) -> None:
        """Forget ended tasks: those to be removed, and all but the latest five of each slot."""
        count: dict[tuple[str, int], int] = {}
        kept = []
        for task in reversed(self.tasks):
            place = task["ServiceID"], task["Slot"]
            count[place] = count.get(place, 0) + 1
            gone = task["DesiredState"] == "remove" or count[place] > _HISTORY
            if not (ended(task) and gone):
                kept.append(task)
        self.tasks = kept[::-1]
        self._kept &= {
            (task.get("NodeID", ""), ref["SecretID"])
            for task in kept
            if not ended(task)
            for ref in secrets_of(task["Spec"])
        }
        held = {secret for _, secret in self._kept}
        for gone in self._store.data.keys() - self._store.secrets.keys() - held:
            del self._store.data[gone]


def ended(task: Json) -> bool:
    """Tell whether a task is over."""
    return task.get("Status", {}).get("State") in _ENDED


def _node(number: int) -> Json:
    return {
        "ID": f"n{number}",
        "Version": {"Index": 9},
        "Spec": {
            "Labels": {},
            "Role": "manager" if number == 1 else "worker",
            "Availability": "active",
        },
        "Description": {"Hostname": f"node{number}", "Engine": {"EngineVersion": "20.10.24"}},
        "Status": {"State": "ready", "Addr": f"10.123.0.{number}"},
    }
