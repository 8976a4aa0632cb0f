"""A private ssh server, and clients with a configuration of their own."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.support.processes import Server, eventually, free_port

_SERVER = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowTcpForwarding no
LogLevel VERBOSE
{more}
"""

_CLIENT = """\
Host *
  IdentityFile {folder}/{key}
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {folder}/{known}
  GlobalKnownHostsFile /dev/null
"""


class SshServer:
    """A server on the loopback that lets one key in, as the user whom the tests run as.

    Args:
        folder: For its keys and log; made here.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.port = free_port()
        self.user = getpass.getuser()
        for name in ("host", "client", "stranger"):
            command = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
            subprocess.run(command, check=True, timeout=60)
        self.allow()
        self._know("known", "host")
        self._know("changed", "stranger")
        (folder / "nobody").touch()
        self._server: Server | None = None
        self.start()

    def allow(self, options: str = "") -> None:
        """Let the one key in.

        Args:
            options: What it may do, as in ``authorized_keys``.
        """
        key = (self.folder / "client.pub").read_text()
        (self.folder / "authorized").write_text(f"{options} {key}".lstrip())

    def _know(self, name: str, key: str) -> None:
        public = " ".join((self.folder / f"{key}.pub").read_text().split()[:2])
        (self.folder / name).write_text(f"[127.0.0.1]:{self.port} {public}\n")

    def start(self, more: str = "") -> None:
        """Start it, anew if it runs.

        Args:
            more: Further lines of its configuration.
        """
        self.close()
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd insists on it
        config = self.folder / "sshd_config"
        config.write_text(_SERVER.format(port=self.port, folder=self.folder, more=more))
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(config)]
        self._server = Server(command, self.folder / "log", os.environ)
        self._server.wait_until(self._answers)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def close(self) -> None:
        """Stop it with its sessions."""
        if self._server:
            for pid in self.sessions():
                with suppress(ProcessLookupError):  # it may end by itself meanwhile
                    os.kill(pid, signal.SIGKILL)
            self._server.kill()

    def sessions(self) -> list[int]:
        """Return the processes that serve its clients."""
        return _descendants(self._server.process.pid) if self._server else []

    def hang(self) -> None:
        """Stop the processes that serve clients: nothing is closed and nothing is answered."""
        eventually(lambda: bool(self.sessions()))
        for pid in self.sessions():
            os.kill(pid, signal.SIGSTOP)

    def client(self, key: str = "client", known: str = "known") -> str:
        """Return a PATH in which ``ssh`` has a configuration of its own.

        Args:
            key: ``client``, or ``stranger`` whom the server does not let in.
            known: Known hosts: ``known``, ``changed`` with another key, ``nobody``.
        """
        folder = self.folder / f"bin-{key}-{known}"
        folder.mkdir(exist_ok=True)
        config = folder / "config"
        config.write_text(_CLIENT.format(folder=self.folder, key=key, known=known))
        script = folder / "ssh"
        script.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
        script.chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"

    def address(self, docker_socket: str = "") -> str:
        """Return the ``ssh://`` address of the engine that is reached through it."""
        return f"ssh://{self.user}@127.0.0.1:{self.port}{docker_socket}"


def _descendants(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    found = [int(child) for child in children]
    return [*found, *(each for child in found for each in _descendants(child))]
