"""The servers, the stack and the bridge of the demo; all of it is gone afterwards."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from tests.support.processes import RunDirectory, eventually
from tests.support.requirements import vault_binary
from tests.support.swarm import Engine, PrivateSwarm
from tests.support.vault import VaultServer

ROOT = Path(__file__).parents[1]
MOUNT, PATH = "secret", "shop/db"

_POLICY = """
path "secret/metadata/shop/db" { capabilities = ["read"] }
path "secret/data/shop/db"     { capabilities = ["read"] }
"""


class Scene:
    """What the demo runs on: a Vault API, a swarm, two services, and the bridge.

    Attributes:
        replicas: How many tasks each service should have, by its name.

    Args:
        stack: The file of the stack.
        servers: Servers that run already, and are only rid of what the scene made there; the
            engine has nothing else on it.
    """

    def __init__(
        self,
        console: Console,
        *,
        stack: Path = ROOT / "compose/demo.yml",
        servers: tuple[Engine, VaultServer] | None = None,
    ) -> None:
        self._console = console
        self._directory = RunDirectory()
        self._file = stack
        self._shared = servers
        self._host = "" if servers else os.environ.get("DOCKER_HOST", "")
        # On somebody's own swarm the names must not meet others.
        self.stack = f"shop-{secrets.token_hex(2)}" if self._host else "shop"
        self.secret = f"{self.stack}_db_password"
        self.replicas = {f"{self.stack}_api": 2, f"{self.stack}_worker": 1}
        self.config = self.folder / "bridge.yaml"
        self._vault: VaultServer | None = None
        self._engine: Engine | None = None
        self._bridge: subprocess.Popen[str] | None = None

    @property
    def folder(self) -> Path:
        """A folder that is gone afterwards."""
        return self._directory.path

    @property
    def tools(self) -> Path:
        """A folder that commands are looked for in first."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def vault(self) -> VaultServer:
        """The server that speaks Vault's API."""
        assert self._vault
        return self._vault

    @property
    def engine(self) -> Engine:
        """The swarm's manager."""
        assert self._engine
        return self._engine

    # --- setting up ------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Start everything but the bridge."""
        with self._step("Vault's API (OpenBao, or $BRIDGE_TEST_VAULT)"):
            if self._shared:
                self._vault = self._shared[1]
            else:
                self._vault = VaultServer(self.folder / "vault")
                self._vault.start()
            self._prepare_vault()
        if self._shared:
            self._engine = self._shared[0]
        elif self._host:
            with self._step(f"your swarm at {self._host}"):
                self._engine = Engine(self._host)
                self._engine.import_busybox()
        else:
            with self._step("a private Docker engine in Swarm mode"):
                self._engine = PrivateSwarm(self.folder / "engine")
        with self._step(f"docker stack deploy -c compose/demo.yml {self.stack}"):
            self._deploy()

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        begin = time.monotonic()
        self._console.print(f"[dim]start[/]  {what} ...", end="", soft_wrap=True)
        yield
        self._console.print(f" [dim]{time.monotonic() - begin:.1f} s[/]")

    def _prepare_vault(self) -> None:
        """A KV v2 mount, a policy for one path, and an AppRole that has it."""
        vault = self.vault
        vault.mount_kv(MOUNT)
        vault.policy("swarm-bridge", _POLICY)
        credential = vault.make_approle("approle", "swarm-bridge", token_ttl="20m")
        for name, value in zip(("role_id", "secret_id"), credential, strict=True):
            file = self.folder / name
            file.touch(0o600)
            file.write_text(value)

    def _deploy(self) -> None:
        node = self.engine.call("GET", "/info")["Swarm"]["NodeID"]
        command = ["docker", "stack", "deploy", "--resolve-image", "never"]
        done = subprocess.run(
            [*command, "-c", str(self._file), self.stack],
            env={**os.environ, "DOCKER_HOST": self.engine.host, "DEMO_NODE": node},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"docker stack deploy failed:\n{done.stderr}")
        for service, count in self.replicas.items():
            self.engine.wait_running(service, count)

    def environ(self) -> dict[str, str]:
        """Return an environment in which `vault`, `docker` and `vault-bridge` mean these servers.

        `vault` is the server's own binary where the machine has none of that name.
        """
        tools = self.tools
        if not shutil.which("vault") and not (tools / "vault").exists():
            (tools / "vault").symlink_to(vault_binary())
        own = f"{tools}:{Path(sys.executable).parent}"
        return {
            **os.environ,
            "PATH": f"{own}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "VAULT_ADDR": self.vault.address,
            "VAULT_TOKEN": self.vault.token,
            "DOCKER_HOST": self.engine.host,
        }

    def write_config(self) -> None:
        """Write the configuration that the demo's bridge runs with."""
        folder = self.folder
        document = {
            "vault": {
                "address": self.vault.address,
                "auth": {
                    "method": "approle",
                    "role_id_file": str(folder / "role_id"),
                    "secret_id_file": str(folder / "secret_id"),
                },
            },
            "instance": self.stack,
            "docker": {"host": self.engine.host},
            "poll": {"interval": "1s"},
            "rollout": {"bake": "2s"},
            "retain": {"versions": 2, "min_age": "0s"},
            "secrets": {
                self.secret: {
                    "kv": {"mount": MOUNT, "path": PATH, "field": "password"},
                    "services": {
                        f"{self.stack}_api": {
                            "target": "db_password",
                            "uid": "1000",
                            "gid": "1000",
                            "mode": "0400",
                        },
                        f"{self.stack}_worker": {"target": "db_password"},
                    },
                }
            },
        }
        self.config.write_text(yaml.safe_dump(document, sort_keys=False))

    # --- the bridge ------------------------------------------------------------------------------

    def command(self, *arguments: str) -> list[str]:
        """Return a command line of the bridge with the demo's configuration."""
        return [sys.executable, "-m", "bridge", "-c", str(self.config), *arguments]

    def run_bridge(self, hear: Callable[[dict[str, Any]], None]) -> None:
        """Run the bridge; ``hear`` is called with each line of its log."""
        self._bridge = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *self.command("run")],
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        threading.Thread(target=self._listen, args=(self._bridge, hear), daemon=True).start()

    @staticmethod
    def _listen(bridge: subprocess.Popen[str], hear: Callable[[dict[str, Any]], None]) -> None:
        assert bridge.stderr
        for line in bridge.stderr:
            try:
                hear(json.loads(line))
            except ValueError:
                hear({"event": line.rstrip()})

    # --- taking away -----------------------------------------------------------------------------

    def close(self) -> None:
        """Stop the bridge, and take everything away that the demo made."""
        if self._bridge:
            self._bridge.terminate()
            self._bridge.wait(30)
        if self._shared:
            self._leave(*self._shared)
            self._directory.close()
            return
        if self._engine:
            if self._host:
                self._clear_swarm(self._engine)
            self._engine.close()
        if self._vault:
            self._vault.close()
        self._directory.close()

    def _leave(self, engine: Engine, vault: VaultServer) -> None:
        """Take away all that a page may have made."""
        engine.remove("")
        eventually(lambda: engine.remove_networks(f"{self.stack}_"))
        mounts = vault.get("sys/mounts")
        if "database/" in mounts:
            vault.put("sys/leases/revoke-force/database")
        for mount in {f"{MOUNT}/", "database/"} & mounts.keys():
            vault.unmount(mount.rstrip("/"))
        vault.call("DELETE", "sys/auth/approle")
        vault.call("DELETE", "auth/token/roles/swarm-bridge")

    def _clear_swarm(self, engine: Engine) -> None:
        environ = {**os.environ, "DOCKER_HOST": engine.host}
        subprocess.run(["docker", "stack", "rm", self.stack], env=environ, check=False)
        engine.remove(self.stack)
