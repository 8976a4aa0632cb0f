"""What the demo shows: each step as it happens, and what the containers read, in words."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import docker
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from demo.scene import MOUNT, PATH, ROOT, Scene
from tests.support.processes import eventually

PATIENCE = 120.0
"""Seconds that one rotation may take at most."""


@dataclass(slots=True, kw_only=True)
class Row:
    """What was seen of one service during one rotation.

    Attributes:
        updates: Service updates that the bridge sent.
        fewest: Fewest tasks that ran at any look.
        read: Tasks that read the newest value at the end.
    """

    rotation: int
    service: str
    updates: int = 0
    fewest: int = 0
    read: int = 0
    seconds: float = 0.0


@dataclass(kw_only=True)
class Story:
    """Rotates, listens to the bridge and reads the file in each container.

    Values are compared with what was written and never shown.
    """

    scene: Scene
    console: Console
    _values: dict[str, int] = field(default_factory=dict)
    _rows: list[Row] = field(default_factory=list)
    _current: dict[str, Row] = field(default_factory=dict)
    _seen: dict[str, str] = field(default_factory=dict)
    _good: set[str] = field(default_factory=set)
    _begin: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Begin with the first version: the bridge adds a reference to services without one."""
        self._headline("The first version: the bridge gives the file to services that have none")
        self._write(1)
        self.scene.run_bridge(self._hear)
        self._await(1)

    @property
    def complete(self) -> bool:
        """Whether every task of every service read every rotation's value, by one update each."""
        return bool(self._rows) and all(
            (row.updates, row.read) == (1, self.scene.replicas[row.service])
            and row.fewest >= self.scene.replicas[row.service]
            for row in self._rows
        )

    def rotate(self, number: int) -> None:
        """Write a new version in Vault and watch until it is good everywhere."""
        self._headline(f"Rotation {number}")
        self._current = {
            service: Row(rotation=number, service=service, fewest=count)
            for service, count in self.scene.replicas.items()
        }
        self._write(number + 1)
        self._await(number + 1)
        for service, row in self._current.items():
            row.read = sum(found == number + 1 for found in self._read(service).values())
            row.seconds = time.monotonic() - self._begin
        self._rows += self._current.values()

    def close(self) -> None:
        """Print the closing table and the bridge's own status."""
        table = Table(box=None, pad_edge=False)
        for title in ("ROTATION", "SERVICE", "UPDATES", "FEWEST RUNNING", "READ THE NEW VALUE"):
            table.add_column(title)
        table.add_column("SECONDS", justify="right")
        for row in self._rows:
            count = self.scene.replicas[row.service]
            table.add_row(
                f"{row.rotation}",
                row.service,
                f"{row.updates}",
                f"{row.fewest} of {count}",
                f"{row.read} of {count} tasks",
                f"{row.seconds:.0f}",
            )
        self.console.print("\n[bold]What was seen[/]")
        self.console.print(table)
        self.console.print("\n[bold]$ vault-bridge status[/]")
        done = subprocess.run(
            self.scene.command("status"),
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "COLUMNS": str(self.console.width)},
            check=False,
        )
        self.console.print(done.stdout + done.stderr, markup=False)
        if self.complete:
            self.console.print(
                "Every task read every rotation's value, by one update of its service each, and no"
                " service ever had a task less.\nEverything is taken away again. Next:"
                " docs/tutorial/first-rotation.md"
            )
        else:
            self.console.print("[red]Not everything was as it should be.[/]")

    # --- rotating --------------------------------------------------------------------------------

    def _headline(self, text: str) -> None:
        self.console.print(f"\n[bold]{text}[/]", soft_wrap=True)
        self._begin = time.monotonic()

    def _write(self, version: int) -> None:
        value = secrets.token_urlsafe(16)
        self._values[value] = version
        self._begin = time.monotonic()
        written = self.scene.vault.write(MOUNT, PATH, password=value)
        assert written == version
        self._say(f"vault kv put {MOUNT}/{PATH} password=…   -> version {version} in Vault", "bold")

    def _await(self, version: int) -> None:
        """Read the file in every container until the bridge says that the version is good."""
        name = f"{self.scene.secret}_v{version}"
        end = time.monotonic() + PATIENCE
        while name not in self._good:
            if time.monotonic() > end:
                raise TimeoutError(f"{name} was not good within {PATIENCE:g} s")
            for service in self.scene.replicas:
                self._look(service)
        for service in self.scene.replicas:
            self._look(service)
        if version > 2:  # the two newest are kept, the one before goes
            old = f"{self.scene.secret}_v{version - 2}"
            eventually(lambda: old not in self.scene.engine.secret_names(old))

    # --- the containers --------------------------------------------------------------------------

    def _read(self, service: str) -> dict[str, int | None]:
        """Return the version that each running task reads, by its name; None without a file."""
        api = self.scene.engine.api
        found: dict[str, int | None] = {}
        for task in self.scene.engine.tasks(service):
            container = task["Status"]["ContainerStatus"]["ContainerID"]
            with contextlib.suppress(docker.errors.APIError):  # it is being replaced
                started = api.exec_create(container, ["cat", "/run/secrets/db_password"])
                text = api.exec_start(started["Id"]).decode()
                found[f"{task['Slot']}.{task['ID'][:6]}"] = self._values.get(text)
        return found

    def _look(self, service: str) -> None:
        running = len(self.scene.engine.tasks(service))
        row = self._current.get(service)
        if row:
            row.fewest = min(row.fewest, running)
        read = self._read(service)
        words = ", ".join(
            f"task {name} reads v{version}" if version else f"task {name} has no file"
            for name, version in sorted(read.items())
        )
        if words and self._seen.get(service) != words:
            self._seen[service] = words
            self._say(f"{service}: {words}", "green")

    # --- the bridge's log ------------------------------------------------------------------------

    def _hear(self, line: dict[str, Any]) -> None:
        match line:
            case {"event": "mirrored", "docker_secret": name}:
                self._say(f"bridge: made the Docker secret {name}")
            case {"event": "rolling", "service": service, "version": to}:
                before = line.get("former")
                what = f"{line['secret']} v{before} -> v{to}" if before else f"adds v{to}"
                self._say(f"bridge: rolls {service}: {what}")
                if service in self._current:
                    self._current[service].updates += 1
            case {"event": "converged", "message": why}:
                self._say(f"bridge: {why}")
            case {"event": "good", "docker_secret": name}:
                self._say(f"bridge: {name} is good: every service has it")
                self._good.add(name)
            case {"event": "pruned", "docker_secret": name}:
                self._say(f"bridge: removed {name}, which nothing needs any more")
            case {"event": event} if "level" not in line:  # a traceback
                self._say(f"bridge: {event}", "yellow")
            case {"level": "warning" | "error", "event": event}:
                self._say(f"bridge: {event}: {line.get('message', '')}", "yellow")
            case _:
                pass  # how secrets stand is seen in the containers

    def _say(self, text: str, style: str = "") -> None:
        with self._lock:
            seconds = time.monotonic() - self._begin
            words = f"[{style}]{escape(text)}[/]" if style else escape(text)
            self.console.print(f"  [dim]+{seconds:4.1f} s[/]  {words}", soft_wrap=True)
