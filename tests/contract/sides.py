"""The two sides of the contract: servers in memory and real ones, spoken to in the same words.

Names are written without the side's prefix everywhere.
"""

from __future__ import annotations

import itertools
import json
import time
import uuid
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from docker.errors import APIError, NotFound

from bridge.errors import OutOfSequence, SwarmRefused
from bridge.model.content.payload import Concealed
from bridge.model.settings import DockerSettings, TokenFile, VaultSettings
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from bridge.sources.kv.source import KvPath
from tests.support.fakes import Clock, FakeSwarm, FakeVault, Json
from tests.support.processes import eventually
from tests.support.swarm import IMAGE, Engine
from tests.support.vault import VaultServer

_RUN = uuid.uuid4().hex[:6]
_numbers = itertools.count(1)

SECONDS = 60
"""How long anything may take; on the fake a second is a tick."""

_COMMAND = """\
trap "exit 0" TERM
grep -q poison /run/secrets/pw && exit 3
[ "$SLOT" = 1 ] && grep -q first /run/secrets/pw && exit 3
grep -q late /run/secrets/pw && { sleep 3 & wait; exit 3; }
sleep 9999 & wait
"""
"""Fails as the tasks of the fake do: on the contents POISON, FIRST and LATE."""


class SwarmSide(ABC):
    """A swarm with what people do to it.

    Attributes:
        client: What the bridge speaks to it with.
    """

    def __init__(self, client: Swarm) -> None:
        self.client = client
        self.prefix = f"vbc{_RUN}-{next(_numbers)}-"

    def name(self, name: str) -> str:
        """Return a whole name."""
        return f"{self.prefix}{name}"

    # --- what people do --------------------------------------------------------------------------

    def secret(self, name: str, content: str = "", labels: Mapping[str, str] | None = None) -> str:
        """Create a Docker secret that holds its own name, or another content; returns its id."""
        data = Concealed((content or name).encode())
        return self.client.create_secret(self.name(name), data, labels or {})

    def deploy(
        self, name: str, secret: str, replicas: int = 2, action: str = "rollback", **update: Any
    ) -> str:
        """Deploy a service with a secret under the target ``pw``; its tasks run. Returns its id.

        Args:
            action: Its FailureAction.
            update: Further fields of its update configuration.
        """
        service = self._deploy(name, secret, replicas, action, update)
        self.until(lambda: len(self.running(service)) == replicas)
        return service

    def edit(self, service: str, change: Callable[[Json], None]) -> None:
        """Write a service's spec, again where somebody was quicker."""

        def written() -> bool:
            raw = self.client.service(service)
            change(raw["Spec"])
            try:
                self.client.update_service(service, raw["Version"]["Index"], raw["Spec"])
            except OutOfSequence:
                return False
            return True

        self.until(written)

    def roll(self, service: str, secret: str) -> None:
        """Give a service another secret."""
        reference = self.reference(secret)
        self.edit(
            service, lambda spec: spec["TaskTemplate"]["ContainerSpec"].update(Secrets=[reference])
        )

    def scale(self, service: str, replicas: int) -> None:
        """Scale a service."""
        self.edit(service, lambda spec: spec["Mode"]["Replicated"].update(Replicas=replicas))

    def label(self, service: str, value: str) -> None:
        """Write a label of a service."""
        self.edit(service, lambda spec: spec["Labels"].update(note=value))

    @abstractmethod
    def roll_back(self, service: str) -> None:
        """Do as ``docker service rollback``. Raises ``SwarmRefused``."""

    @abstractmethod
    def no_room(self, service: str) -> None:
        """Let no node take new tasks of a service."""

    @abstractmethod
    def room(self) -> None:
        """Let nodes take new tasks again."""

    @abstractmethod
    def lose_image(self, service: str) -> None:
        """Take the image of a service from the nodes."""

    @abstractmethod
    def bring_image(self) -> None:
        """Bring images back to the nodes."""

    @abstractmethod
    def remove(self, service: str) -> None:
        """Remove a service, as ``docker service rm`` does."""

    # --- looking ---------------------------------------------------------------------------------

    @abstractmethod
    def happened(self) -> list[Json]:
        """Return the events since it was asked the last time."""

    def told(self) -> set[tuple[str, str, str]]:
        """Return kind, action and object of the same."""
        return {(e["Type"], e["Action"], e["Actor"]["ID"]) for e in self.happened()}

    @abstractmethod
    def until(self, check: Callable[[], bool]) -> None:
        """Let time pass until something is so."""

    @abstractmethod
    def pass_by(self) -> None:
        """Let so much time pass that the orchestrator would have done what it was about to do."""

    def reference(self, secret: str) -> Json:
        """Return a reference to a Docker secret, under the target ``pw``."""
        (found,) = [s for s in self.client.secrets() if s["Spec"]["Name"] == self.name(secret)]
        file = {"Name": "pw", "UID": "0", "GID": "0", "Mode": 0o444}
        return {"File": file, "SecretID": found["ID"], "SecretName": found["Spec"]["Name"]}

    def held(self, template: Json) -> tuple[str, ...]:
        """Return the names of the secrets that a task's spec has."""
        refs = template["ContainerSpec"].get("Secrets") or ()
        return tuple(ref["SecretName"].removeprefix(self.prefix) for ref in refs)

    def spec(self, service: str) -> tuple[str, ...]:
        """Return the names of the secrets of a service's Spec."""
        return self.held(self.client.service(service)["Spec"]["TaskTemplate"])

    def previous(self, service: str) -> tuple[str, ...] | None:
        """Return the names of the secrets of a service's PreviousSpec; None where it has none."""
        spec = self.client.service(service).get("PreviousSpec")
        return self.held(spec["TaskTemplate"]) if spec else None

    def state(self, service: str) -> str | None:
        """Return the state of a service's latest update."""
        return (self.client.service(service).get("UpdateStatus") or {}).get("State")

    def index(self, service: str) -> int:
        """Return a service's index."""
        return int(self.client.service(service)["Version"]["Index"])

    def tasks(self, service: str) -> list[Json]:
        """Return the tasks of a service."""
        return [task for task in self.client.tasks() if task["ServiceID"] == service]

    def running(self, service: str) -> dict[str, tuple[str, ...]]:
        """Return what the tasks hold that run and shall, by their ids."""
        return {
            task["ID"]: self.held(task["Spec"])
            for task in self.tasks(service)
            if (task["Status"]["State"], task["DesiredState"]) == ("running", "running")
        }

    def holders(self, service: str, secret: str) -> list[Json]:
        """Return all tasks of a service that hold a secret, ended ones too."""
        return [task for task in self.tasks(service) if self.held(task["Spec"]) == (secret,)]

    def until_state(self, service: str, *states: str) -> list[str | None]:
        """Let time pass until an update is in one of some states; returns all that were seen."""
        seen: list[str | None] = []

        def there() -> bool:
            state = self.state(service)
            if state not in seen[-1:]:
                seen.append(state)
            return state in states

        self.until(there)
        return seen

    def until_running(self, service: str, *held: str) -> None:
        """Let time pass until such tasks run and no others, named by the secret of each.

        The engine may leave a slot with a second task after a start-first update.
        """
        wanted = Counter((name,) for name in held)

        def there() -> bool:
            found = Counter(self.running(service).values())
            return wanted <= found and set(found) <= set(wanted)

        self.until(there)

    def until_ended(self, service: str, secret: str) -> None:
        """Let time pass until no task lives that holds a secret."""
        self.until(lambda: all(over(task) for task in self.holders(service, secret)))

    @abstractmethod
    def _deploy(self, name: str, secret: str, replicas: int, action: str, update: Json) -> str: ...

    @abstractmethod
    def close(self) -> None:
        """Take everything away."""


class InMemory(SwarmSide):
    """The fake."""

    def __init__(self, nodes: int = 1) -> None:
        self.fake = FakeSwarm(Clock(), nodes)
        super().__init__(cast("Swarm", self.fake))

    def happened(self) -> list[Json]:
        return self.fake.happened()

    def until(self, check: Callable[[], bool]) -> None:
        for _ in range(SECONDS):
            if check():
                return
            self.fake.tick()
        raise TimeoutError(f"not so within {SECONDS} ticks: {check}")

    def pass_by(self) -> None:
        for _ in range(4):
            self.fake.tick()

    def roll_back(self, service: str) -> None:
        self.fake.roll_back(service)

    def no_room(self, service: str) -> None:
        self.fake.unplaced.add(self.fake.service(service)["Spec"]["Name"])

    def room(self) -> None:
        self.fake.unplaced.clear()

    def lose_image(self, service: str) -> None:
        self.fake.imageless.add(self.fake.service(service)["Spec"]["Name"])

    def bring_image(self) -> None:
        self.fake.imageless.clear()

    def remove(self, service: str) -> None:
        self.fake.remove_service(service)

    def _deploy(self, name: str, secret: str, replicas: int, action: str, update: Json) -> str:
        secrets = [self.reference(secret)]
        return self.fake.deploy(self.name(name), replicas, action, secrets=secrets, **update)

    def close(self) -> None:
        """Nothing is left."""


class RealSwarm(SwarmSide):
    """A real engine."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(Swarm(DockerSettings(engine.host)))
        self._engine = engine
        self._image = f"{self.name('app')}:1"
        self._began = time.time()
        self._told: set[str] = set()
        self.bring_image()

    def happened(self) -> list[Json]:
        """Ask for all since the beginning: an event may be told after a later question."""
        kinds = {"type": ["service", "secret", "node", "config"]}
        times: Any = {"since": f"{self._began:.9f}", "until": f"{time.time():.9f}"}
        found = self._engine.api.events(filters=kinds, decode=True, **times)
        new = {json.dumps(event, sort_keys=True): event for event in found}
        new = {text: event for text, event in new.items() if text not in self._told}
        self._told.update(new)
        return list(new.values())

    def until(self, check: Callable[[], bool]) -> None:
        eventually(check, 3 * SECONDS)  # a busy machine takes its time

    def pass_by(self) -> None:
        """Another service comes and rolls meanwhile, so that nothing here rests on a time."""
        clock = f"clock-{next(_numbers)}"
        self.secret(f"{clock}-v1")
        self.secret(f"{clock}-v2")
        service = self.deploy(clock, f"{clock}-v1", 1)
        self.roll(service, f"{clock}-v2")
        self.until_state(service, "completed")

    def roll_back(self, service: str) -> None:
        raw = self.client.service(service)
        params = {"version": raw["Version"]["Index"], "rollback": "previous"}
        try:
            self._engine.call("POST", f"/services/{service}/update", raw["Spec"], **params)
        except APIError as error:
            raise SwarmRefused(str(error.explanation)) from None

    def remove(self, service: str) -> None:
        self._engine.call("DELETE", f"/services/{service}")

    def _deploy(self, name: str, secret: str, replicas: int, action: str, update: Json) -> str:
        return self._engine.create_service(
            self.name(name),
            replicas=replicas,
            command=["sh", "-c", _COMMAND],
            secrets=[(self.name(secret), "pw")],
            update={"FailureAction": action, **update},
            Image=self._image,
            Env=["SLOT={{.Task.Slot}}"],
        )

    def _node(self, availability: str) -> None:
        (node,) = self.client.nodes()
        spec, version = node["Spec"] | {"Availability": availability}, node["Version"]["Index"]
        self._engine.call("POST", f"/nodes/{node['ID']}/update", spec, version=version)

    def no_room(self, service: str) -> None:
        """The one node takes no new tasks of any service."""
        self._node("pause")

    def room(self) -> None:
        self._node("active")

    def lose_image(self, service: str) -> None:
        self._engine.api.remove_image(self._image)

    def bring_image(self) -> None:
        self._engine.api.tag(IMAGE, self.name("app"), "1")

    def close(self) -> None:
        self.room()
        self._engine.remove(self.prefix)
        with suppress(NotFound):
            self._engine.api.remove_image(self._image)
        self.client.close()


def over(task: Json) -> bool:
    """Tell whether a task is over."""
    return task["Status"]["State"] in ("shutdown", "failed", "complete", "rejected")


def new_mount() -> str:
    """Return a name for a mount that no other test has."""
    return f"kv-vbc{_RUN}-{next(_numbers)}"


class VaultSide(ABC):
    """One path of a KV v2 mount, with what a security team does to it.

    Attributes:
        client: What the bridge speaks to Vault with.
    """

    def __init__(self, client: Vault, mount: str) -> None:
        self.client = client
        self.path = KvPath("", mount, "apps/db")

    def metadata(self) -> Json:
        """Return the metadata."""
        return self.client.kv.metadata(self.path)

    def read(self, version: int) -> Json:
        """Return a version."""
        return self.client.kv.read_version(self.path, version)

    @abstractmethod
    def write(self, value: str) -> int:
        """Write a version; returns its number."""

    @abstractmethod
    def delete(self, version: int) -> None:
        """Delete a version."""

    @abstractmethod
    def undelete(self, version: int) -> None:
        """Bring a deleted version back."""

    @abstractmethod
    def destroy(self, version: int) -> None:
        """Destroy a version for good."""

    @abstractmethod
    def delete_metadata(self) -> None:
        """Remove the path with all its versions."""

    @abstractmethod
    def close(self) -> None:
        """Take everything away."""


class VaultInMemory(VaultSide):
    """The fake."""

    def __init__(self) -> None:
        self.fake = FakeVault(Clock())
        super().__init__(cast("Vault", self.fake), "kv")

    def write(self, value: str) -> int:
        return self.fake.write(self.path.path, value)

    def delete(self, version: int) -> None:
        self.fake.delete(self.path.path, version)

    def undelete(self, version: int) -> None:
        self.fake.undelete(self.path.path, version)

    def destroy(self, version: int) -> None:
        self.fake.destroy(self.path.path, version)

    def delete_metadata(self) -> None:
        self.fake.delete_metadata(self.path.path)

    def close(self) -> None:
        """Nothing is left."""


class RealVault(VaultSide):
    """A real server."""

    def __init__(self, server: VaultServer, folder: Path) -> None:
        mount = new_mount()
        token = folder / "token"
        token.write_text(server.token)
        settings = VaultSettings(address=server.address, auth=TokenFile(str(token)), max_rps=1000)
        super().__init__(Vault(settings), mount)
        self._server = server
        server.mount_kv(mount)

    def _do(self, method: str, what: str, body: Json | None = None) -> None:
        self._server.call(method, f"{self.path.mount}/{what}/{self.path.path}", body)

    def write(self, value: str) -> int:
        return self._server.write(self.path.mount, self.path.path, password=value)

    def delete(self, version: int) -> None:
        self._do("POST", "delete", {"versions": [version]})

    def undelete(self, version: int) -> None:
        self._do("POST", "undelete", {"versions": [version]})

    def destroy(self, version: int) -> None:
        self._do("PUT", "destroy", {"versions": [version]})

    def delete_metadata(self) -> None:
        self._do("DELETE", "metadata")

    def close(self) -> None:
        self._server.unmount(self.path.mount)
        self.client.close()
