"""The stack of ``compose/bridge.yml``, deployed as its page says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from docker.errors import NotFound

from tests.support.images import CommandFailed, docker
from tests.support.lab import ROOT, Lab
from tests.support.processes import eventually
from tests.support.swarm import Engine, PrivateSwarm

Json = dict[str, Any]


_SOONER = (
    *(("interval", "30s", "4s"), ("start_period", "30s", "20s"), ("monitor", "30s", "2s")),
    ("timeout", "30s", "60s"),
)
"""What takes long in production, and how long in tests. A probe may take long on a busy machine."""


class BridgeStack:
    """Bridges that run as people run them: by an image, a stack, and secrets of Docker's own.

    Args:
        lab: Its Vault speaks TLS, and tasks reach it at ``PrivateSwarm.ADDRESS``.
        bridge: The bridge's image.
        haproxy: The proxy's image.
        ca: Certificate of the CA that Vault's own is of.
        custody: Whether there are leased credentials, with a token role for their custody.
        init: Options with which ``init`` writes the configuration, the stack and what Vault grants;
            None where the stack is that of ``compose`` with the lab's own configuration.
        socket: Where each node has its engine's socket, if it is not where we see it.

    Attributes:
        name: Name of the stack.
        bridge: Name of its service with the bridges.
        role: API path of the AppRole that they log in as.
    """

    def __init__(
        self,
        lab: Lab,
        swarm: Engine,
        *,
        bridge: str,
        haproxy: str,
        ca: str,
        custody: bool = False,
        init: Sequence[str] | None = None,
        socket: str = "",
    ) -> None:
        self._lab, self._swarm = lab, swarm
        self.image = bridge
        self._haproxy = haproxy
        self.name = lab.name("stack")
        self._folder = lab.folder / "stack"
        self._folder.mkdir()
        self._configurations = 0
        self._engines: dict[str, Engine] = {}
        self._socket = socket
        self._custody = lab.name("custody") if custody else ""
        self.bridge = f"{self.name}_bridge"
        self._approle = lab.name("approle")
        port = lab.vault.address.rpartition(":")[2]
        lab.vault_address = f"https://{PrivateSwarm.ADDRESS}:{port}"
        lab.docker_host = "unix:///run/engine/engine.sock"
        self.role = f"auth/{self._approle}/role/bridge"
        if init is None:
            self._make_secrets(ca)
        else:
            self.role = "auth/approle/role/swarm-bridge"
            self._begin(ca, init)
        self._written = init is not None

    def _begin(self, ca: str, options: Sequence[str]) -> None:
        """Let ``init`` write everything, and make it as quick as a test needs it."""
        lab = self._lab
        assert isinstance(self._swarm, PrivateSwarm)
        (self._folder / "ca.pem").write_text(ca)
        config = self._folder / "bridge.yaml"
        names = ["--instance", lab.name("bridge"), "--docker-prefix", lab.name("vault_")]
        vault = ["--address", lab.vault_address, "--ca", str(self._folder / "ca.pem")]
        apply = ["--apply", "--docker-secrets", "--yes", "--admin-token-env", "ADMIN"]
        apply += ["--docker-host", self._swarm.host, "--write-stack", "--mount", lab.mount]
        bridge = [sys.executable, "-m", "bridge", "-c", str(config), "init"]
        done = subprocess.run(
            [*self._swarm.in_own_network(), *bridge, *names, *vault, *apply, *options],
            env=lab.environ(ADMIN=lab.vault.token),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        with config.open("a") as file:
            file.write("poll: {interval: 500ms}\nretain: {versions: 2, min_age: 0s}\n")
            file.write("rollout: {bake: 1s, max_in_flight: 3}\n")

    def make_secret_id(self) -> str:
        """Return a fresh secret id, which the bridges may log in with."""
        secret_id: str = self._lab.vault.put(f"{self.role}/secret-id")["data"]["secret_id"]
        self._lab.canaries.append(secret_id)
        return secret_id

    def accessors(self) -> list[str]:
        """Return the accessors of all secret ids of the role."""
        found: list[str] = self._lab.vault.call("LIST", f"{self.role}/secret-id")["data"]["keys"]
        return found

    def _make_secrets(self, ca: str) -> None:
        """Let it log in by AppRole, with the policy that ``policy`` prints."""
        lab = self._lab
        mount = self._approle
        auth = {"method": "approle", "mount": mount}
        files = {"role_id_file": "role_id", "secret_id_file": "secret_id"}
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
        text = (self._folder / "bridge.yml").read_text() if self._written else self._from_compose()
        for name, long, short in _SOONER:
            assert f"      {name}: {long}" in text
            text = text.replace(f"      {name}: {long}", f"      {name}: {short}")
        (self._folder / "deployed.yml").write_text(text)
        environ = {
            "BRIDGE_IMAGE": self.image,
            "HAPROXY_IMAGE": self._haproxy,
            "BRIDGE_CONFIG": f"{self._lab.prefix}{self._configurations}",
            "ENGINE_SOCKET": self._socket or self._swarm.host.removeprefix("unix://"),
        }
        files = ["-c", str(self._folder / "deployed.yml")]
        if self._configurations > 1:  # the bridge may have rolled itself to another credential
            current = self._folder / "secrets.yml"
            current.write_text(self.ask("render", "--compose-version", "3.9"))
            files += ["-c", str(current)]
        docker(self._swarm, "stack", "deploy", *files, self.name, **environ)

    def _from_compose(self) -> str:
        """Put the documented stack's files in place; returns the stack with the lab's names."""
        text = (ROOT / "compose/bridge.yml").read_text()
        for name in ("vault_role_id", "vault_secret_id", "vault_ca"):
            assert f"  {name}: {{external: true}}" in text
            ours = self._lab.name(name)
            text = text.replace(f"source: {name},", f"source: {ours},")
            text = text.replace(f"  {name}: {{external", f"  {ours}: {{external")
        shutil.copyfile(self._lab.write_config(), self._folder / "bridge.yaml")
        shutil.copyfile(ROOT / "compose/haproxy.cfg", self._folder / "haproxy.cfg")
        return text

    def containers(self, service: str = "bridge") -> list[Json]:
        """Inspect the running containers of a service."""
        found: list[Json] = []
        for task in self._swarm.tasks(f"{self.name}_{service}"):
            container = task["Status"]["ContainerStatus"]["ContainerID"]
            engine = self._swarm.beside(task)
            with suppress(NotFound):  # it may end at any time
                found.append(engine.call("GET", f"/containers/{container}/json"))
                self._engines[container] = engine
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
        return docker(self._engines[container["Id"]], "exec", container["Id"], *command)

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
                host = self._engines[container["Id"]].host
                environ = {**self._lab.environ(), "DOCKER_HOST": host}
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
            docker(self._engines[c["Id"]], "logs", c["Id"])
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
