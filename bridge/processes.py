"""Names of processes and containers by which others on this machine can tell that they ended."""

from __future__ import annotations

import ctypes
import os
import pwd
import re
import socket
from pathlib import Path

_PR_SET_NO_NEW_PRIVS = 38


def this_process() -> str:
    """Return a name of this process by which others on the same kernel can tell that it has ended.

    It consists of the kernel's boot, the pid namespace, the pid and when it started, since a pid
    alone is used again. Empty where ``/proc`` does not show these.
    """
    try:
        pid = Path("/proc/self").readlink().name
        return f"{_surroundings()}/{pid}/{_started(pid)}"
    except (OSError, ValueError, IndexError):
        return ""


def this_host() -> str:
    """Return the name of this machine or container for people: ``$BRIDGE_HOST``, else its own.

    A container's own name is its id. The swarm knows better ones, and gives them to a service by
    ``{{.Node.Hostname}}/{{.Task.Name}}`` in its environment.
    """
    return os.environ.get("BRIDGE_HOST", "").strip() or socket.gethostname()


def this_account() -> str:
    """Return the account that runs this process, and where, for people: ``alice@manager-1``.

    It is the one before ``sudo``. It is a claim, and no proof: whoever runs it may set it.
    """
    try:
        own = os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        own = f"uid {os.getuid()}"
    return f"{own}@{this_host()}"


def refuse_new_privileges() -> None:
    """Let neither this process nor its children ever gain rights by a program that they start.

    `docker stack deploy` ignores the option for it. Where the kernel does not know it, nothing is
    lost that was there before.
    """
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def has_ended(process: str) -> bool:
    """Return whether a process is known to have ended; False where it cannot be seen from here."""
    try:
        boot, namespace, pid, started = process.split("/")
        if f"{boot}/{namespace}" != _surroundings():
            return False
        _started("1")  # fails where other users' processes are hidden: then none is known to end
        try:
            return _started(pid) != started
        except FileNotFoundError:
            return True
    except (OSError, ValueError, IndexError):
        return False


_OWN_FILES = frozenset(("/etc/hostname", "/etc/hosts", "/etc/resolv.conf"))
"""What the engine mounts into each container, from a folder that has the container's id."""

_CONTAINER = re.compile(r"/containers/([0-9a-f]{64})/")


def this_container(mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """Return the id of the engine's container that this process runs in; empty where in none."""
    try:
        lines = [line.split(" ") for line in mounts.read_text().splitlines()]
    except OSError:
        return ""
    found = (_CONTAINER.search(line[3]) for line in lines if line[4] in _OWN_FILES)
    return next((match.group(1) for match in found if match), "")


def namespace_of(process: str) -> str:
    """Return a process's kernel and pid namespace; a container gets a new one at each start."""
    return process.rpartition("/")[0].rpartition("/")[0]


def _surroundings() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    namespace = Path("/proc/self/ns/pid").readlink().name
    return f"{boot}/{namespace}"


def _started(pid: str) -> str:
    """Return when a process started, in the kernel's ticks; empty for one that has ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]
