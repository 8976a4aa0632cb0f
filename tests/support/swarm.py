"""A private Docker engine in Swarm mode, in namespaces of its own, and what tests do with one.

One signal to one process removes the engine, its containers, networks and data: the data lie in a
tmpfs that only its mount namespace has.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import requests

from tests.support.processes import Server, eventually

Json = dict[str, Any]

IMAGE = "busybox:local"
_APPLETS = (
    "sh base64 cat ls sleep id httpd wget nc grep test true false echo stat kill mkdir cp tail"
)
SLEEP = 'trap "exit 0" TERM; sleep 99999 & wait'
"""A shell's last words: it sleeps, at no cost, until it is told to stop, and does so at once."""

SLEEPER = ["sh", "-c", SLEEP]
_NANO = 1_000_000_000

_START = """\
hostname vault-bridge-test
ip link set lo up
ip link add eth0 type bridge
ip addr add 10.123.0.1/24 dev eth0
ip link set eth0 up
ip route add default via 10.123.0.254
mount -t tmpfs -o mode=0711 engine "$1"
cat >"$1/containerd.toml" <<TOML
version = 2
root = "$1/containerd"
state = "$1/containerd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$1/containerd.sock"
[debug]
level = "warn"
[plugins."io.containerd.gc.v1.scheduler"]
pause_threshold = 0.0
TOML
containerd --config "$1/containerd.toml" &
until [ -S "$1/containerd.sock" ]; do sleep 0.02; done
shift
exec "$@"
"""
"""With a containerd of its own configuration.

By default it plans its next collection fifty times as late as the latest one took. Where that is
a fifth of a millisecond it looks a hundred times a second whether there is one to do.
"""

_TRIES = 5
"""How often a command is run that prints nothing."""


class Engine:
    """A Docker engine, ours or the user's, seen through its raw API.

    Args:
        host: ``unix://`` or another address of its API.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self.connect()

    def connect(self) -> None:
        """Connect to it, at its own API version."""
        self.api = docker.APIClient(base_url=self.host, version="auto", timeout=60)
        self.client = docker.DockerClient.__new__(docker.DockerClient)
        self.client.api = self.api

    def close(self) -> None:
        """Close the connections."""
        self.api.close()

    def call(
        self, method: str, path: str, body: Json | None = None, **params: str | int | bool
    ) -> Any:
        """Send one raw request; raises ``docker.errors.APIError``."""
        api: Any = self.api
        answer = api.request(
            method,
            api._url(path),  # noqa: SLF001
            params=params,
            data=None if body is None else json.dumps(body),
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
        api._raise_for_status(answer)  # noqa: SLF001
        return answer.json() if answer.content else None

    # --- setting up ------------------------------------------------------------------------------

    def import_busybox(self) -> None:
        """Make the image ``busybox:local`` of the host's static busybox: no registry is needed."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tree:
            tree.add("/bin/busybox", "bin/busybox")
            for applet in _APPLETS.split():
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tree.addfile(link)
            folder = tarfile.TarInfo("tmp")
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
            tree.addfile(folder)
        name, _, tag = IMAGE.partition(":")
        self.api.import_image_from_data(buffer.getvalue(), repository=name, tag=tag)

    def create_secret(self, name: str, data: bytes, labels: Mapping[str, str] | None = None) -> str:
        """Create a Docker secret as a person would; returns its id."""
        return str(self.client.secrets.create(name=name, data=data, labels=dict(labels or {})).id)

    def create_service(
        self,
        name: str,
        *,
        replicas: int | None = 2,
        command: Iterable[str] = SLEEPER,
        secrets: Iterable[tuple[str, str]] = (),
        labels: Mapping[str, str] | None = None,
        update: Json | None = None,
        placement: Json | None = None,
        networks: Sequence[str] = (),
        **container: Any,
    ) -> str:
        """Create a service that updates quickly; returns its id.

        Args:
            replicas: None for a global service.
            secrets: Names of Docker secrets with their targets.
            update: Fields of the update configuration that differ from the quick ones.
            placement: The TaskTemplate's Placement.
            networks: Names of overlay networks.
            container: More fields of the ContainerSpec.
        """
        ids = {s["Spec"]["Name"]: s["ID"] for s in self.call("GET", "/secrets")}
        references = [
            {
                "File": {"Name": target, "UID": "0", "GID": "0", "Mode": 0o444},
                "SecretID": ids[secret],
                "SecretName": secret,
            }
            for secret, target in secrets
        ]
        spec: Json = {
            "Name": name,
            "Labels": dict(labels or {}),
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": IMAGE,
                    "Command": list(command),
                    "StopGracePeriod": _NANO,
                    **({"Secrets": references} if references else {}),
                    **container,
                },
                "RestartPolicy": {"Condition": "any", "Delay": 3 * _NANO // 10},
                **({"Placement": placement} if placement else {}),
                **({"Networks": [{"Target": n} for n in networks]} if networks else {}),
            },
            "Mode": {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}},
            "UpdateConfig": {
                "Parallelism": 1,
                "Monitor": _NANO,
                "FailureAction": "rollback",
                "Order": "start-first",
                **(update or {}),
            },
            "RollbackConfig": {"Monitor": _NANO},
            "EndpointSpec": {"Mode": "dnsrr"},
        }
        return str(self.call("POST", "/services/create", spec)["ID"])

    # --- looking ---------------------------------------------------------------------------------

    def service(self, name: str) -> Json:
        """Inspect a service."""
        found: Json = self.call("GET", f"/services/{name}")
        return found

    def update_service(self, name: str, change: Any) -> None:
        """Write a service's spec after ``change(spec)``; again where somebody was quicker."""

        def written() -> bool:
            raw = self.service(name)
            change(raw["Spec"])
            version = raw["Version"]["Index"]
            try:
                self.call("POST", f"/services/{raw['ID']}/update", raw["Spec"], version=version)
            except docker.errors.APIError as error:
                if "out of sequence" in str(error):
                    return False
                raise
            return True

        eventually(written)

    def update_node(self, name: str, **spec: str) -> None:
        """Write fields of a node's spec."""
        raw = self.call("GET", f"/nodes/{name}")
        changed = {**raw["Spec"], **spec}
        self.call("POST", f"/nodes/{raw['ID']}/update", changed, version=raw["Version"]["Index"])

    def references(self, name: str) -> dict[str, str]:
        """Return the names of the Docker secrets in a service's spec, by target."""
        container = self.service(name)["Spec"]["TaskTemplate"]["ContainerSpec"]
        return {s["File"]["Name"]: s["SecretName"] for s in container.get("Secrets") or ()}

    def tasks(self, name: str) -> list[Json]:
        """List the tasks of a service that should run and do."""
        filters = json.dumps({"service": [name], "desired-state": ["running"]})
        tasks: list[Json] = self.call("GET", "/tasks", filters=filters)
        return [task for task in tasks if task["Status"]["State"] == "running"]

    def short_of_tasks(self) -> set[str]:
        """Return the names of the services of which fewer tasks run than should."""
        counts = {
            s["Spec"]["Name"]: s["ServiceStatus"]
            for s in self.call("GET", "/services", status=True)
        }
        return {n for n, count in counts.items() if count["RunningTasks"] < count["DesiredTasks"]}

    def wait_running(self, name: str, count: int) -> None:
        """Wait until so many tasks of a service run."""
        eventually(lambda: len(self.tasks(name)) == count)

    def secret_names(self, prefix: str = "") -> set[str]:
        """Return the names of all Docker secrets that begin so."""
        names = {s["Spec"]["Name"] for s in self.call("GET", "/secrets")}
        return {name for name in names if name.startswith(prefix)}

    def secret(self, name: str) -> Json:
        """Return the Docker secret of exactly this name."""
        (found,) = [s for s in self.call("GET", "/secrets") if s["Spec"]["Name"] == name]
        return found  # type: ignore[no-any-return]

    def config_id(self, name: str) -> str:
        """Return the id of the Docker config of exactly this name."""
        (found,) = [c["ID"] for c in self.call("GET", "/configs") if c["Spec"]["Name"] == name]
        return str(found)

    def run(self, name: str, *command: str) -> list[str]:
        """Run a command in each running container of a service; returns what each printed."""
        return [self._printed(task, command) for task in self.tasks(name)]

    def _printed(self, task: Json, command: tuple[str, ...]) -> str:
        """Run a command in a task's container; returns what it printed.

        The engine loses the output of a command that ends at once, now and then
        (moby/moby#27289; seen under load with exit code 0). So nothing at all is asked for again.
        """
        container = task["Status"]["ContainerStatus"]["ContainerID"]
        api = self.beside(task).api
        printed = ""
        for _ in range(_TRIES):
            started = api.exec_create(container, list(command))
            printed = api.exec_start(started["Id"]).decode()
            if printed:
                break
        return printed

    def beside(self, task: Json) -> Engine:
        """Return the engine that a task runs on; this one, where there is no other."""
        return self

    def read(self, name: str, target: str) -> list[str]:
        """Read a secret's file in each running container of a service."""
        return self.run(name, "cat", f"/run/secrets/{target}")

    # --- taking away -----------------------------------------------------------------------------

    def remove_service(self, name: str) -> None:
        """Remove a service."""
        self.call("DELETE", f"/services/{name}")

    def remove(self, prefix: str) -> None:
        """Remove the services, secrets and configs whose names begin so, and a bridge's state."""
        for kind in ("services", "secrets", "configs"):
            for found in self.call("GET", f"/{kind}"):
                if found["Spec"]["Name"].startswith((prefix, f"vault-bridge.{prefix}")):
                    self.call("DELETE", f"/{kind}/{found['ID']}")

    def remove_networks(self, prefix: str) -> bool:
        """Remove the networks whose names begin so; returns whether none of them is left.

        One goes only when the last container on it has gone.
        """
        found = [n["Id"] for n in self.call("GET", "/networks") if n["Name"].startswith(prefix)]
        for network in found:
            with suppress(docker.errors.APIError):
                self.call("DELETE", f"/networks/{network}")
        return not found


class PrivateSwarm(Engine):
    """A private engine that is the one manager of a swarm, with the image ``busybox:local``.

    Args:
        folder: For its socket and log; made here.
        engine: Tree of another engine's packages; the installed one where absent.
        pulls: Whether tasks take images from registries, as they do by default.

    Attributes:
        ADDRESS: Where tasks reach what listens in the engine's own network.
    """

    ADDRESS = "10.123.0.1"

    def __init__(self, folder: Path, engine: Path | None = None, *, pulls: bool = False) -> None:
        self._pulls = pulls
        folder.mkdir()
        (folder / "data").mkdir()
        self.folder = folder
        self._engine = engine
        self._socket = folder / "docker.sock"
        self._server = self._start()
        super().__init__(f"unix://{self._socket}")
        self.import_busybox()
        self.call(
            "POST",
            "/swarm/init",
            {"AdvertiseAddr": self.ADDRESS, "ListenAddr": f"{self.ADDRESS}:2377"},
        )

    def _start(self) -> Server:
        data = self.folder / "data"
        environ = dict(os.environ)
        if not self._pulls:
            environ["DOCKER_SERVICE_PREFER_OFFLINE_IMAGE"] = "1"
        dockerd = "dockerd"
        if self._engine:
            dockerd = str(self._engine / "usr/sbin/dockerd")
            environ["PATH"] = f"{self._engine}/usr/sbin:{self._engine}/usr/bin:{environ['PATH']}"
        namespaces = ["--net", "--mount", "--uts", "--ipc", "--pid", "--mount-proc"]
        server = Server(
            [
                *("unshare", *namespaces, "--fork", "--kill-child=SIGKILL"),
                *("sh", "-euc", _START, "start", str(data), *self._command(dockerd)),
                *(f"--data-root={data}/root", f"--exec-root={data}/exec"),
                *(f"--pidfile={data}/pid", f"--host=unix://{self._socket}"),
                f"--containerd={data}/containerd.sock",
                *("--shutdown-timeout=1", "--log-level=warn", "--bridge=none"),
            ],
            self.folder / "log",
            environ,
        )
        server.wait_until(self._answers)
        return server

    def _command(self, dockerd: str) -> list[str]:
        """Return what is started; its arguments follow."""
        return [dockerd]

    def _answers(self) -> bool:
        try:
            docker.APIClient(base_url=f"unix://{self._socket}", timeout=5).close()
        except (docker.errors.DockerException, requests.exceptions.RequestException):
            return False
        return True

    @property
    def namespace(self) -> int:
        """The id of a process in the network namespace that the engine has."""
        return self._server.process.pid

    def in_own_network(self) -> tuple[str, ...]:
        """Return what to put before a command that shall run in the engine's own network."""
        return ("nsenter", f"--target={self.namespace}", "--net")

    def in_network_of(self, task: Json) -> tuple[str, ...]:
        """Return what to put before a command that shall run in the network of a task."""
        ours = self._server.process.pid
        namespaces = ("--mount", f"--pid=/proc/{ours}/ns/pid_for_children")
        container = task["Status"]["ContainerStatus"]["PID"]
        enter = ("nsenter", f"--target={container}", "--net")
        return ("nsenter", f"--target={ours}", *namespaces, *enter)

    def kill(self) -> None:
        """Kill the engine with everything in it."""
        self._server.kill()

    def close(self) -> None:
        """Kill the engine for good."""
        super().close()
        self.kill()
