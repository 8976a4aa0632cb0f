"""A test's own corner of the servers: a KV mount, a prefix for names, a bridge to run there."""

from __future__ import annotations

import copy
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from bridge import logs
from bridge.config import load
from bridge.loop import Loop
from bridge.model.plan import Plan
from tests.support.forks import ForkedProcess, ForkServer
from tests.support.log_lines import must_be_log_lines
from tests.support.processes import PATIENCE, eventually
from tests.support.proxy import Proxy
from tests.support.swarm import Engine
from tests.support.vault import VaultServer

Json = dict[str, Any]

_RUN = uuid.uuid4().hex[:4]
"""On somebody's own swarm the names of a run must not meet others."""

FORKS = ForkServer()
"""Starts the bridges of this process."""

ALONE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
"""Starts a bridge as in a container of its own: others cannot see that its process has ended."""

_numbers = itertools.count(1)
ROOT = Path(__file__).parents[2]


class Lab:
    """What one test has.

    Names of secrets and services are written without the prefix everywhere but in ``config``.

    Args:
        engine_host: Where its bridges reach the engine, where that is not the engine itself.
    """

    def __init__(
        self, folder: Path, swarm: Engine, vault: VaultServer, engine_host: str = ""
    ) -> None:
        self.folder = folder
        self.swarm = swarm
        self.vault = vault
        self.prefix = f"vb{_RUN}-{next(_numbers)}-"
        self.mount = f"kv-{self.prefix}data"
        self.config = folder / "bridge.yaml"
        self.token_file = folder / "token"
        self.canaries: list[str] = []
        self.docker_host = engine_host or swarm.host
        self.vault_address = vault.address
        self._settings: Json = {}
        self._secrets: Json = {}
        self._said = [io.StringIO()]
        self._logs: list[Path] = []
        self._processes: list[BridgeProcess] = []
        self._proxies: list[Proxy] = []
        self._starting: set[str] = set()
        vault.mount_kv(self.mount)
        self.token_file.write_text(vault.token)
        logs.configure(self._said[0])

    def said(self) -> str:
        """Return what loops in this process have logged."""
        return self._said[0].getvalue()

    def close(self) -> None:
        """Take everything away, and look for every value of this test in all that was said.

        Each line of the log that was said must be one of the published schema.
        """
        for process in self._processes:
            process.kill()
        for proxy in self._proxies:
            proxy.close()
        self.swarm.remove(self.prefix)
        self.vault.unmount(self.mount)
        said = "".join(stream.getvalue() for stream in self._said)
        said += "".join(log.read_text(errors="replace") for log in self._logs)
        found = [canary for canary in [*self.canaries, self.vault.token] if canary in said]
        assert not found, "values were said (I6)"
        must_be_log_lines(said)

    # --- Vault -----------------------------------------------------------------------------------

    def canary(self) -> str:
        """Return a value that must be seen nowhere but in the containers."""
        value = f"canary-{uuid.uuid4()}"
        self.canaries.append(value)
        return value

    def rotate(self, path: str, field: str = "password", **more: str) -> str:
        """Write a new version with a value never seen before; returns the value."""
        value = self.canary()
        self.vault.write(self.mount, path, **{field: value}, **more)
        return value

    # --- the configuration -----------------------------------------------------------------------

    def name(self, name: str) -> str:
        """Return a secret's or service's whole name."""
        return f"{self.prefix}{name}"

    def secret(
        self,
        name: str,
        services: Mapping[str, Json | list[Json]],
        *,
        kv: Json | None = None,
        **more: Any,
    ) -> None:
        """Add a secret; it takes the field ``password`` of the path of its own name."""
        default = {"mount": self.mount, "path": name}
        if not {"format", "template"} & more.keys():
            default["field"] = "password"
        mapped = {self.name(service): copy.deepcopy(file) for service, file in services.items()}
        source = {**default, **(kv or {})}
        self._secrets[self.name(name)] = {"kv": source, "services": mapped, **more}

    def leased(self, name: str, services: Mapping[str, Json], database: Json, **more: Any) -> None:
        """Add a leased secret, by default as JSON.

        Args:
            database: Its ``mount`` and ``role``, or its ``roles`` where they are static.
        """
        mapped = {self.name(service): dict(file) for service, file in services.items()}
        form = {} if "template" in more else {"format": "json"}
        kind = "static" if "roles" in database else "database"
        secret = {kind: database, "services": mapped, **form, **more}
        self._secrets[self.name(name)] = secret

    def without(self, name: str) -> None:
        """Take a secret out of the configuration."""
        del self._secrets[self.name(name)]

    def settings(self, **sections: Any) -> None:
        """Set sections of the configuration besides the quick ones."""
        self._settings.update(sections)

    def notify(self, *urls: str, **more: Any) -> None:
        """Let the bridge tell of everything at once; no URL may be seen anywhere."""
        entries = []
        for number, url in enumerate(urls):
            file = self.folder / f"url-{number}"
            file.write_text(url)
            entries.append(
                {"url_file": str(file), "held_after": "1s", "min_interval": "0s", **more}
            )
        self.canaries += urls
        self.settings(notify=entries)

    def vault_settings(self) -> Json:
        """Return the section ``vault`` as it is set."""
        return dict(self._settings.get("vault", {}))

    def write_config(self) -> Path:
        """Write the configuration file."""
        document = {
            "instance": self.name("bridge"),
            "vault": {
                "address": self.vault_address,
                "auth": {"method": "token", "token_file": str(self.token_file)},
                "max_rps": 1000,
            },
            "docker": {"host": self.docker_host},
            "poll": {"interval": "500ms"},
            "rollout": {"bake": "1s", "max_in_flight": 3},
            "retain": {"versions": 2, "min_age": "0s"},
            **self._settings,
            "secrets": self._secrets,
        }
        # A bridge that reads it again meanwhile must not find half of it.
        new = self.config.with_suffix(".new")
        new.write_text(yaml.safe_dump(document, sort_keys=False))
        new.replace(self.config)
        return self.config

    def through_proxies(self) -> tuple[Proxy, Proxy]:
        """Put a proxy before each server; returns Vault's and the engine's."""
        proxies = Proxy(self.vault.address, self.folder), Proxy(self.docker_host, self.folder)
        self._proxies += proxies
        self.vault_address, self.docker_host = (proxy.address for proxy in proxies)
        return proxies

    # --- the bridge ------------------------------------------------------------------------------

    @contextmanager
    def loop(self) -> Iterator[Loop]:
        """Run a loop in this process."""
        self._wait_for_services()
        loop = Loop(load(str(self.write_config()), {}))
        try:
            yield loop
        finally:
            loop.close()

    def sync(self, seconds: float = PATIENCE) -> Plan:
        """Run cycles in this process until nothing is left to do; returns the last plan."""
        with self.loop() as loop:
            plan, finished = loop.sync(seconds)
        assert finished, (plan.chains, plan.holds, plan.conditions)
        return plan

    def cli(self, *arguments: str, code: int | None = 0, **environ: str) -> str:
        """Run the command as a user would; returns its output."""
        return self.run(*arguments, code=code, **environ).stdout

    def run(
        self, *arguments: str, code: int | None = 0, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the command as a user would.

        Args:
            code: The exit code that is expected; None for any.
        """
        self._wait_for_services()
        self.write_config()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = FORKS.fork(self._words(*arguments), self.environ(**environ), out, err)
            try:
                process.wait(2 * PATIENCE)
            finally:
                process.kill()
            for file in (out, err):
                file.seek(0)
            done = subprocess.CompletedProcess(
                process.args, process.wait(30), out.read().decode(), err.read().decode()
            )
        self._said.append(io.StringIO(done.stdout + done.stderr))
        assert code is None or done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def json(self, *arguments: str, code: int | None = 0) -> Any:
        """Run a command with ``--json``."""
        return json.loads(self.cli(*arguments, "--json", code=code))

    def status(self, *, code: int | None = 0) -> dict[str, Json]:
        """Return ``status --json`` by name."""
        secrets = self.json("status", code=code)["secrets"]
        return {secret["name"].removeprefix(self.prefix): secret for secret in secrets}

    def start(self, *arguments: str, within: tuple[str, ...] = (), **environ: str) -> BridgeProcess:
        """Start the bridge as a process of its own, ``run`` where nothing else is named.

        Args:
            within: A command that starts it in surroundings of its own.
        """
        self._wait_for_services()
        self.write_config()
        log = self.folder / f"bridge-{len(self._logs)}.log"
        self._logs.append(log)
        words = arguments or ("run",)
        with log.open("ab") as output:
            process: ForkedProcess | subprocess.Popen[bytes]
            if within:
                process = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", "--", *within, *self.command(*words)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=self.environ(**environ),
                )
            else:
                process = FORKS.fork(self._words(*words), self.environ(**environ), output, output)
        self._processes.append(BridgeProcess(process, log))
        return self._processes[-1]

    def command(self, *arguments: str) -> list[str]:
        """Return a command line of the bridge with this test's configuration."""
        return [sys.executable, "-m", "bridge", *self._words(*arguments)]

    def _words(self, *arguments: str) -> list[str]:
        return ["-c", str(self.config), *arguments]

    def environ(self, **more: str) -> dict[str, str]:
        """Return what of the environment the bridge gets; a wrong token lies in wait there."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "VAULT_TOKEN": "not-to-be-used",
            **more,
        }

    # --- looking ---------------------------------------------------------------------------------

    def versions(self, name: str) -> set[int]:
        """Return the versions of a secret that the swarm has."""
        start = self.name(name) + "_v"
        return {int(found.removeprefix(start)) for found in self.swarm.secret_names(start)}

    def service(self, name: str, *, runs: bool = True, **fields: Any) -> None:
        """Create a service.

        Args:
            runs: Whether all its tasks are to run before a bridge does anything.
        """
        self.swarm.create_service(self.name(name), **fields)
        if runs:
            self._starting.add(self.name(name))

    def _wait_for_services(self) -> None:
        """Wait until the services run that are to: a bridge would find them in trouble."""
        if self._starting:
            eventually(lambda: not self._starting & self.swarm.short_of_tasks())
            self._starting.clear()

    def writes(self, engine: Proxy) -> list[str]:
        """Return what the bridge has written, as the proxy saw, but for the leader's heartbeats."""
        lease = self.swarm.config_id(f"vault-bridge.{self.name('bridge')}.leader")
        return [write for write in engine.writes() if f"/configs/{lease}/update" not in write]

    def updates(self, engine: Proxy, name: str) -> int:
        """Return how often the bridge has written a service, as the proxy before the engine saw."""
        place = f"/services/{self.swarm.service(self.name(name))['ID']}/update"
        return sum(place in write for write in engine.writes())


class BridgeProcess:
    """A bridge that runs as a process of its own."""

    def __init__(self, process: ForkedProcess | subprocess.Popen[bytes], log: Path) -> None:
        self.log = log
        self.process = process
        self._read = 0
        self._lines: list[Json] = []

    def lines(self, event: str = "") -> list[Json]:
        """Return the log's lines, or those of one kind."""
        with self.log.open("rb") as stream:
            stream.seek(self._read)
            whole = stream.read().rpartition(b"\n")[0]  # the last line may be half there
        self._read += len(whole) + bool(whole)
        for line in whole.splitlines():
            with suppress(ValueError):
                self._lines.append(json.loads(line))
        return [line for line in self._lines if not event or line.get("event") == event]

    def wait_for(self, event: str, seconds: float = PATIENCE, **fields: Any) -> None:
        """Wait for a line of the log."""
        eventually(
            lambda: any(fields.items() <= line.items() for line in self.lines(event)), seconds
        )

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for its end; returns the exit code."""
        return self.process.wait(seconds)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for its end."""
        self.process.send_signal(number)
        return self.wait()

    def signal(self, number: int) -> None:
        """Send a signal to it and to its children."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            os.kill(each, number)

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait(30)
