"""A private swarm whose engine can be exchanged for another one, on the same data."""

from __future__ import annotations

import os
import shlex
import signal
from pathlib import Path

import docker
import requests

from tests.support.processes import eventually
from tests.support.swarm import PrivateSwarm

_AGAIN = 'while :; do "$0" "$@" || sleep 0.1; done'


class ExchangeableSwarm(PrivateSwarm):
    """As a private swarm; begins with the installed engine."""

    def exchange(self, engine: Path, **environ: str) -> None:
        """Stop the engine and start another one in its place.

        Args:
            engine: Tree of its packages.
            environ: For its environment.
        """
        before = self.call("GET", "/version")["Version"]
        self._write(
            str(engine / "usr/sbin/dockerd"), f"{engine}/usr/sbin:{engine}/usr/bin:", environ
        )
        (init,) = _children(self._server.process.pid)
        for child in _children(init):
            os.kill(child, signal.SIGTERM)
        eventually(lambda: self._manages(before))

    def _manages(self, version: str) -> bool:
        """Tell whether another engine than this one manages the swarm."""
        self.api.close()
        try:
            self.connect()
            info = self.call("GET", "/info")
            self.call("GET", "/services")
        except (docker.errors.DockerException, requests.exceptions.RequestException):
            return False
        return bool(info["ServerVersion"] != version and info["Swarm"]["ControlAvailable"])

    def _command(self, dockerd: str) -> list[str]:
        self._write(dockerd, "", {})
        return ["sh", "-c", _AGAIN, str(self.folder / "dockerd")]

    def _write(self, dockerd: str, path: str, environ: dict[str, str]) -> None:
        file, new = self.folder / "dockerd", self.folder / "dockerd.new"
        values = {"PATH": f"{path}{os.environ['PATH']}", **environ}
        words = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
        new.write_text(f'#!/bin/sh\n{" ".join(words)} exec {shlex.quote(dockerd)} "$@"\n')
        new.chmod(0o755)
        new.rename(file)


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
