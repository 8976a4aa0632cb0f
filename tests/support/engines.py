"""Newer Docker engines, taken out of Debian's packages without installing them.

The Debian mirror is the one that apt is configured with. The host's runc serves them all: newer
packages of it need a newer libc.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_PACKAGES = ("docker.io", "containerd", "docker-cli")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_CONFIGURATION = """\
Dir::Etc::sourcelist "{apt}/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "{apt}/lists";
Dir::Cache "{apt}/cache";
Acquire::Languages "none";
APT::Sandbox::User "root";
"""


def engine_of(suite: str, folder: Path) -> Path:
    """Return the tree of a Debian suite's engine, made at the first call.

    Raises:
        RuntimeError: This is no Debian machine, or the packages cannot be had.
    """
    tree = folder / suite
    if (tree / "complete").exists():
        return tree
    shutil.rmtree(tree, ignore_errors=True)
    apt = folder / f"apt-{suite}"
    try:
        _extract(suite, tree, apt)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(f"no engine of Debian {suite} here: {error}") from error
    finally:
        shutil.rmtree(apt, ignore_errors=True)
    (tree / "complete").touch()
    return tree


def _extract(suite: str, tree: Path, apt: Path) -> None:
    for sub in ("lists/partial", "cache/archives/partial", "packages"):
        (apt / sub).mkdir(parents=True)
    tree.mkdir(parents=True)
    _run(Path.cwd(), {}, "apt-get", "-qq", "update")
    targets = _run(
        *(Path.cwd(), {}, "apt-get", "indextargets", "--format", "$(REPO_URI)"),
        "Created-By: Packages",
    ).split()
    mirror = next(uri for uri in targets if "security" not in uri)
    signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
    (apt / "sources.list").write_text(f"deb {signed}{mirror} {suite} main\n")
    (apt / "apt.conf").write_text(_CONFIGURATION.format(apt=apt))
    environ = {"APT_CONFIG": str(apt / "apt.conf")}
    _run(apt, environ, "apt-get", "-qq", "update")
    packages = apt / "packages"
    _run(packages, environ, "apt-get", "-qq", "download", *(f"{p}/{suite}" for p in _PACKAGES))
    for package in packages.glob("*.deb"):
        _run(packages, {}, "dpkg", "-x", str(package), str(tree))


def _run(folder: Path, environ: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environ}, check=True, capture_output=True
    )
    return done.stdout.decode()
