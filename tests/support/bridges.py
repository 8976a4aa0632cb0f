"""Bridges that run as a service of the swarm, as they do where people use them.

The tasks run this machine's Python, which they see read-only. The engine must see the same files
as we.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.support.lab import ROOT, Lab
from tests.support.processes import eventually

Json = dict[str, Any]

SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache")
"""What of this machine Python needs besides itself."""


class BridgeService:
    """A service whose tasks are bridges. They see the engine, and no Vault."""

    def __init__(self, lab: Lab, *, replicas: int) -> None:
        self._lab = lab
        self._name = lab.name("bridges")
        self._config = lab.write_config()
        paths = {sys.base_prefix, sys.prefix, str(ROOT), str(lab.folder), *SYSTEM}
        paths.add(lab.docker_host.removeprefix("unix://"))
        mounts = [{"Type": "bind", "Source": p, "Target": p} for p in paths if Path(p).exists()]
        command = [sys.executable, "-B", "-m", "bridge", "-c", str(self._config), "run"]
        lab.swarm.create_service(
            self._name, replicas=replicas, command=command, Dir=str(ROOT), Mounts=mounts
        )

    def containers(self) -> set[str]:
        """Return the ids of the containers that run."""
        tasks = self._lab.swarm.tasks(self._name)
        return {task["Status"]["ContainerStatus"]["ContainerID"] for task in tasks}

    def kill(self, container: str) -> None:
        """Kill a container's process, as ``kill -9`` does."""
        self._lab.swarm.call("POST", f"/containers/{container}/kill?signal=KILL")

    def wait_for(self, replicas: int) -> None:
        """Wait until so many run."""
        eventually(lambda: len(self.containers()) == replicas)
