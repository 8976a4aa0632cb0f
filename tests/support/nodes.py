"""A private Docker swarm of several nodes on one machine, one engine per network namespace.

The nodes' links meet in a switch: a process whose network namespace has a bridge, and whose mount
namespace has a tmpfs with the data of all. Each node is a process tree in namespaces of its own,
made from within these. The kernel kills the switch and every node when the test process ends,
whatever ends it, and with the last of them go links, mounts and data.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import requests

from tests.support.processes import PATIENCE, Server, eventually
from tests.support.swarm import Engine

Json = dict[str, Any]

_SWITCH = """\
ip link set lo up
ip link add switch type bridge
ip link set switch up
mount -t tmpfs -o mode=0711 nodes "$1"
touch "$1/switch"
mount --bind /proc/self/ns/net "$1/switch"
touch "$2"
exec sleep infinity
"""

_NODE = """\
data=$1 name=$2 address=$3; shift 3
hostname "$name"
mount -t tmpfs run /run
ip link set lo up
switch() { nsenter --net="$data/switch" "$@"; }
switch ip link add "$name" type veth peer name eth0 netns "$$"
switch ip link set "$name" master switch up
ip addr add "$address/24" dev eth0
ip link set eth0 up
ip route add default via 10.123.0.254
exec "$@"
"""

ELECTION = PATIENCE
"""Seconds in which a swarm that can have a leader has one."""

_TROUBLE = (docker.errors.DockerException, requests.exceptions.RequestException)


class NodeEngine(Engine):
    """The engine of one node; containers on other nodes are reached through theirs.

    What it reads of the swarm may wait for the election of a leader.
    """

    def __init__(self, host: str, nodes: MultiNodeSwarm) -> None:
        super().__init__(host)
        self._nodes = nodes

    def call(
        self, method: str, path: str, body: Json | None = None, **params: str | int | bool
    ) -> Any:
        """Send one raw request; one that only reads again and again while there is no leader."""
        if method != "GET":
            return super().call(method, path, body, **params)
        answer: list[Any] = []

        def answered() -> bool:
            try:
                answer.append(super(NodeEngine, self).call(method, path, body, **params))
            except docker.errors.APIError as error:
                if not error.is_server_error():
                    raise
                return False
            return True

        eventually(answered, ELECTION)
        return answer[0]

    def beside(self, task: Json) -> Engine:
        """Return the engine that a task runs on."""
        node = self.call("GET", f"/nodes/{task['NodeID']}")
        return self._nodes.engine(node["Description"]["Hostname"])


class MultiNodeSwarm:
    """Managers ``m1``, ``m2``, ... and workers ``w1``, ``w2``, ..., each with ``busybox:local``.

    Args:
        folder: For the sockets and logs; made here.
    """

    def __init__(self, folder: Path, managers: int = 3, workers: int = 2) -> None:
        folder.mkdir()
        (folder / "data").mkdir()
        self.folder = folder
        self.managers = tuple(f"m{number}" for number in range(1, managers + 1))
        self.workers = tuple(f"w{number}" for number in range(1, workers + 1))
        self._away: set[str] = set()
        self._servers: dict[str, Server] = {}
        self._engines: dict[str, NodeEngine] = {}
        self._switch = self._start_switch()
        try:
            self._start(self.names)
            self._join()
        except BaseException:
            self.close()
            raise

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all nodes."""
        return self.managers + self.workers

    @property
    def up(self) -> tuple[str, ...]:
        """The names of the nodes that run and are not cut off."""
        return tuple(n for n in self.names if n in self._servers and n not in self._away)

    def engine(self, node: str) -> NodeEngine:
        """Return the engine of a node that runs."""
        return self._engines[node]

    def close(self) -> None:
        """Kill everything for good."""
        for node in tuple(self._servers):
            self._kill(node)
        self._switch.kill()

    # --- setting up ------------------------------------------------------------------------------

    def _start_switch(self) -> Server:
        up = self.folder / "switch-is-up"
        server = Server(
            [
                *("unshare", "--net", "--mount", "--pid", "--mount-proc"),
                *("--fork", "--kill-child=SIGKILL"),
                *("sh", "-euc", _SWITCH, "switch", str(self.folder / "data"), str(up)),
            ],
            self.folder / "switch.log",
            os.environ,
        )
        server.wait_until(up.exists)
        return server

    def _start(self, nodes: Iterable[str]) -> None:
        """Start nodes all at once.

        By this thread: the kernel takes the end of the thread that made a process for its parent's.
        """
        started = {node: self._start_server(node) for node in nodes}
        self._servers |= started
        for node, server in started.items():
            server.wait_until(lambda node=node: self._answers(node))  # type: ignore[misc]
            self._engines[node] = NodeEngine(self._host(node), self)

    def _start_server(self, node: str) -> Server:
        data = self.folder / "data"
        namespaces = ("--net", "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--mount-proc")
        return Server(
            [
                *("nsenter", f"--target={self._switch.process.pid}", "--net", "--mount"),
                *("unshare", *namespaces, "--fork", "--kill-child=SIGKILL"),
                *("sh", "-euc", _NODE, "node", str(data), node, self._address(node)),
                *("dockerd", f"--data-root={data}/{node}", "--exec-root=/run/docker"),
                *("--pidfile=/run/docker.pid", f"--host={self._host(node)}"),
                *("--shutdown-timeout=1", "--log-level=warn"),
            ],
            self.folder / f"{node}.log",
            {**os.environ, "DOCKER_SERVICE_PREFER_OFFLINE_IMAGE": "1"},
        )

    def _join(self) -> None:
        for node in self.names:
            self.engine(node).import_busybox()
        first, *others = self.managers
        address = {"AdvertiseAddr": self._address(first), "ListenAddr": "0.0.0.0:2377"}
        self.engine(first).call("POST", "/swarm/init", address)
        tokens = self.engine(first).call("GET", "/swarm")["JoinTokens"]
        for node in (*others, *self.workers):
            join = {
                "AdvertiseAddr": self._address(node),
                "ListenAddr": "0.0.0.0:2377",
                "RemoteAddrs": [f"{self._address(first)}:2377"],
                "JoinToken": tokens["Manager" if node in self.managers else "Worker"],
            }
            self.engine(node).call("POST", "/swarm/join", join)
        self.wait_ready()

    def _address(self, node: str) -> str:
        return f"10.123.0.{self.names.index(node) + 1}"

    def _host(self, node: str) -> str:
        return f"unix://{self.folder}/{node}.sock"

    def _answers(self, node: str) -> bool:
        try:
            docker.APIClient(base_url=self._host(node), timeout=5).close()
        except _TROUBLE:
            return False
        return True

    # --- making trouble --------------------------------------------------------------------------

    def kill(self, node: str) -> None:
        """Let a node lose its power: the engine and all its containers end at once."""
        self._kill(node)
        eventually(lambda: not self._has_link(node))

    def _kill(self, node: str) -> None:
        self._away.discard(node)
        if node in self._engines:
            self._engines.pop(node).close()
        self._servers.pop(node).kill()

    def start(self, node: str) -> None:
        """Start a node that was killed, with the data that it had."""
        self._start([node])

    def partition(self, node: str) -> None:
        """Pull a node's network cable; its API still answers."""
        self._in_switch("ip", "link", "set", node, "down").check_returncode()
        self._away.add(node)

    def heal(self, node: str) -> None:
        """Plug it in again."""
        self._in_switch("ip", "link", "set", node, "up").check_returncode()
        self._away.discard(node)

    def mend(self) -> None:
        """Bring every node back, and wait until the swarm sees that."""
        self._start([node for node in self.names if node not in self._servers])
        for node in tuple(self._away):
            self.heal(node)
        self.wait_ready()

    def _has_link(self, node: str) -> bool:
        return self._in_switch("ip", "link", "show", node).returncode == 0

    def _in_switch(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        enter = ("nsenter", f"--target={self._switch.process.pid}", "--net")
        return subprocess.run([*enter, *command], capture_output=True, check=False, timeout=30)

    # --- looking ---------------------------------------------------------------------------------

    def namespace(self, node: str) -> int:
        """Return the id of a process in a node's network and mount namespaces."""
        return self._servers[node].process.pid

    def show_socket(self, node: str, place: str) -> None:
        """Let a node's tasks mount its engine's socket from a place that all nodes have."""
        bind = f'touch {place}; mount --bind "$1" {place}'
        enter = ("nsenter", f"--target={self.namespace(node)}", "--mount")
        socket = self._host(node).removeprefix("unix://")
        subprocess.run([*enter, "sh", "-euc", bind, "bind", socket], check=True, timeout=30)

    def leader(self) -> str:
        """Return the leader's name, waiting while there is none."""
        found: list[str] = []

        def elected() -> bool:
            found[:] = [n["Description"]["Hostname"] for n in self._nodes() if _leads(n)]
            return len(found) == 1 and found[0] in self.up

        eventually(elected, ELECTION)
        return found[0]

    def wait_ready(self) -> None:
        """Wait until the swarm sees all nodes that run as well, and there is a leader."""

        def ready() -> bool:
            seen = {n["Description"].get("Hostname"): n for n in self._nodes()}
            return all(node in seen and _is_well(seen[node]) for node in self.up)

        eventually(ready, ELECTION)
        self.leader()

    def node(self, name: str) -> Json:
        """Return the swarm's entry of a node."""
        (found,) = [n for n in self._nodes() if n["Description"].get("Hostname") == name]
        return found

    def name_of(self, node_id: str) -> str:
        """Return the name of the node that has an id."""
        (found,) = [n for n in self._nodes() if n["ID"] == node_id]
        return str(found["Description"]["Hostname"])

    def _nodes(self) -> list[Json]:
        """List the nodes as the first manager sees them that can say; none where nobody can."""
        for manager in self.managers:
            if manager in self.up:
                with suppress(*_TROUBLE):
                    # not its own call, which waits
                    nodes: list[Json] = Engine.call(self.engine(manager), "GET", "/nodes")
                    return nodes
        return []


def _leads(node: Json) -> bool:
    return bool(node.get("ManagerStatus", {}).get("Leader"))


def _is_well(node: Json) -> bool:
    manager = node.get("ManagerStatus", {"Reachability": "reachable"})
    return bool(node["Status"]["State"] == "ready" and manager["Reachability"] == "reachable")
