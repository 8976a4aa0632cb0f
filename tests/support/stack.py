"""The stack of ``compose/bridge.yml``, deployed as its page says."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import suppress
from typing import Any

from docker.errors import NotFound

from tests.support.images import CommandFailed, docker
from tests.support.lab import ROOT, Lab
from tests.support.processes import eventually
from tests.support.swarm import PrivateSwarm

Json = dict[str, Any]


_SOONER = (("interval", "30s", "2s"), ("start_period", "30s", "5s"), ("monitor", "30s", "2s"))
"""What takes long in production, and how long in tests."""


class BridgeStack:
    """Bridges that run as people run them: by an image, a stack, and secrets of Docker's own.

    Args:
        lab: Its Vault speaks TLS, and tasks reach it at ``PrivateSwarm.ADDRESS``.
        bridge: The bridge's image.
        haproxy: The proxy's image.
        ca: Certificate of the CA that Vault's own is of.
        custody: Whether there are leased credentials, with a token role for their custody.

    Attributes:
        name: Name of the stack.
        bridge: Name of its service with the bridges.
        approle: Where AppRole is mounted that they log in by.
        secret_id: What they log in with at first.
    """

    def __init__(
        self,
        lab: Lab,
        swarm: PrivateSwarm,
        *,
        bridge: str,
        haproxy: str,
        ca: str,
        custody: bool = False,
    ) -> None:
        self._lab, self._swarm = lab, swarm
        self.image = bridge
        self._haproxy = haproxy
        self.name = lab.name("stack")
        self._folder = lab.folder / "stack"
        self._folder.mkdir()
        self._configurations = 0
        self._custody = lab.name("custody") if custody else ""
        self.approle = lab.name("approle")
        self.bridge = f"{self.name}_bridge"
        self._make_secrets(ca)

    def _make_secrets(self, ca: str) -> None:
        """Let it log in by AppRole, with the policy that ``policy`` prints."""
        lab = self._lab
        mount = self.approle
        auth = {"method": "approle", "mount": mount}
        files = {"role_id_file": "role_id", "secret_id_file": "secret_id"}
        port = lab.vault.address.rpartition(":")[2]
        lab.vault_address = f"https://{PrivateSwarm.ADDRESS}:{port}"
        lab.docker_host = "unix:///run/engine/engine.sock"
        inside = {key: f"/run/secrets/{name}" for key, name in files.items()}
        lab.settings(vault={**self._vault(), "auth": {**auth, **inside}})
        lab.write_config()
        lab.vault.policy(lab.name("policy"), lab.cli("policy"))
        if self._custody:
            lab.vault.policy(self._custody, lab.cli("policy", "--custody"))
            role = {"orphan": True, "renewable": True, "token_type": "service"}
            role |= {"token_no_default_policy": True, "allowed_policies": [self._custody]}
            lab.vault.put(f"auth/token/roles/{self._custody}", **role)
        role_id, secret_id = lab.vault.make_approle(mount, lab.name("policy"))
        lab.canaries.append(secret_id)
        self.secret_id = secret_id
        for name, text in (("role_id", role_id), ("secret_id", secret_id), ("ca", ca)):
            self._swarm.create_secret(lab.name(f"vault_{name}"), text.encode())

    def _vault(self) -> Json:
        address = {"address": self._lab.vault_address, "max_rps": 1000}
        custody = {"custody": {"token_role": self._custody}} if self._custody else {}
        return {**address, "ca_file": "/run/secrets/vault_ca", **custody}

    def deploy(self, image: str = "") -> None:
        """Deploy the stack by the lab's configuration as it is now."""
        self.image = image or self.image
        self._configurations += 1
        text = (ROOT / "compose/bridge.yml").read_text()
        for name in ("role_id", "secret_id", "ca"):
            ours = f"{{external: true, name: {self._lab.name(f'vault_{name}')}}}"
            assert f"vault_{name}: {{external: true}}" in text
            text = text.replace(f"vault_{name}: {{external: true}}", f"vault_{name}: {ours}")
        for name, long, short in _SOONER:
            assert f"      {name}: {long}" in text
            text = text.replace(f"      {name}: {long}", f"      {name}: {short}")
        (self._folder / "bridge.yml").write_text(text)
        shutil.copyfile(self._lab.write_config(), self._folder / "bridge.yaml")
        shutil.copyfile(ROOT / "compose/haproxy.cfg", self._folder / "haproxy.cfg")
        environ = {
            "BRIDGE_IMAGE": self.image,
            "HAPROXY_IMAGE": self._haproxy,
            "BRIDGE_CONFIG": f"{self._lab.prefix}{self._configurations}",
            "ENGINE_SOCKET": self._swarm.host.removeprefix("unix://"),
        }
        file = str(self._folder / "bridge.yml")
        docker(self._swarm, "stack", "deploy", "-c", file, self.name, **environ)

    def containers(self, service: str = "bridge") -> list[Json]:
        """Inspect the running containers of a service."""
        tasks = self._swarm.tasks(f"{self.name}_{service}")
        ids = [task["Status"]["ContainerStatus"]["ContainerID"] for task in tasks]
        found: list[Json] = []
        for each in ids:
            with suppress(NotFound):  # it may end at any time
                found.append(self._swarm.call("GET", f"/containers/{each}/json"))
        return found

    def wait_healthy(self, replicas: int = 2) -> None:
        """Wait until so many bridges run, and say that they are healthy."""
        eventually(
            lambda: (
                [c["State"]["Health"]["Status"] for c in self.containers()]
                == ["healthy"] * replicas
            )
        )

    def run(self, container: Json, *command: str) -> str:
        """Run a command in a container; returns what it printed."""
        return docker(self._swarm, "exec", container["Id"], *command)

    def ask(self, *words: str) -> str:
        """Run the bridge's command in one of its containers, in another one where that ends."""
        printed: list[str] = []

        def asked() -> bool:
            for container in self.containers():
                with suppress(CommandFailed):
                    printed.append(self.run(container, "vault-bridge", *words))
                    return True
            return False

        eventually(asked)
        return printed[0]

    def status(self) -> Json:
        """Return ``status --json`` as a bridge's container tells it; it may end with any code."""
        found: list[Json] = []

        def told() -> bool:
            for container in self.containers():
                command = ["docker", "exec", container["Id"], "vault-bridge", "status", "--json"]
                environ = {**self._lab.environ(), "DOCKER_HOST": self._swarm.host}
                done = subprocess.run(command, env=environ, capture_output=True, check=False)
                with suppress(ValueError):
                    found.append(json.loads(done.stdout))
                    return True
            return False

        eventually(told)
        return found[0]

    def secret(self, name: str) -> Json:
        """Return what ``status`` says of one secret."""
        (found,) = [s for s in self.status()["secrets"] if s["name"] == self._lab.name(name)]
        return dict(found)

    def logs(self) -> str:
        """Return what the bridges and the proxy have logged."""
        return "".join(
            docker(self._swarm, "logs", c["Id"])
            for s in ("bridge", "proxy")
            for c in self.containers(s)
        )

    def close(self) -> None:
        """Remove the stack."""
        docker(self._swarm, "stack", "rm", self.name)
        eventually(lambda: not self._tasks())

    def _tasks(self) -> list[Json]:
        services = {f"{self.name}_bridge", f"{self.name}_proxy"}
        running = self._swarm.call("GET", "/containers/json")
        labels = (c["Labels"].get("com.docker.swarm.service.name", "") for c in running)
        return [label for label in labels if label in services]
