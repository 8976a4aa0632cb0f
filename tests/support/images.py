"""Images without a registry: of this machine's own Python and HAProxy, and a registry of our own.

What takes long is kept in the user's cache, and made anew where what it is made of has changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from image.collect import HOME, Tree, surround
from tests.support.lab import ROOT
from tests.support.processes import Server
from tests.support.requirements import DEBOOTSTRAP, HAPROXY
from tests.support.swarm import Engine, PrivateSwarm

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vault-swarm-bridge"

_RUN = ROOT / "requirements/run.txt"
_COLLECT = ROOT / "image/collect.py"


class CommandFailed(Exception):
    """A command of the tests failed, and what it said."""


def import_bridge(swarm: Engine, name: str) -> None:
    """Make an image of the bridge without a build: what ``collect`` takes of this machine.

    It is set up by the same lines of the Dockerfile as one that is built.
    """
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree.tar")
        shutil.copyfile(_cached("tree", ".tar", _collected, _RUN, _COLLECT), tree)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        place = HOME / "lib" / version / "site-packages/bridge"
        with tarfile.open(tree, "a") as archive:
            archive.add(ROOT / "bridge", str(place.relative_to("/")), filter=_plain)
        _import(swarm, tree, name, _setup())


def import_haproxy(swarm: Engine, name: str) -> None:
    """Make an image of this machine's HAProxy."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Tree(Path(folder, "tree"))
        tree.root.mkdir()
        tree.add(Path(HAPROXY))
        tree.add(Path("/etc/ld.so.cache"))
        surround(tree)
        archive = Path(folder, "tree.tar")
        _pack(tree.root, archive)
        _import(swarm, archive, name, ["ENV PATH=/usr/sbin"])


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    member.uid = member.gid = 0
    member.mode |= 0o444 | (0o111 if member.isdir() else 0)
    return None if "__pycache__" in member.name else member


def _setup() -> list[str]:
    """Return the instructions of the Dockerfile's last stage that set the image up."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text().partition("FROM scratch")[2])
    words = ("ENV", "USER", "HEALTHCHECK", "ENTRYPOINT", "CMD")  # all that an import takes
    return [line for line in text.splitlines() if line.partition(" ")[0] in words]


def _import(swarm: Engine, tree: Path, name: str, setup: list[str]) -> None:
    changes = [word for line in setup for word in ("--change", line)]
    docker(swarm, "import", *changes, str(tree), name)


def _collected(target: Path) -> None:
    """Make the tree of an image with all but the bridge itself."""
    with tempfile.TemporaryDirectory() as folder:
        packages, tree = Path(folder, "packages"), Path(folder, "tree")
        install = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        pip = [sys.executable, "-m", "pip", *install, "--no-compile"]
        _run(*pip, "--target", str(packages), "-r", str(_RUN))
        _run(sys.executable, "-B", str(_COLLECT), str(tree), str(packages))
        _pack(tree, target)


def _pack(tree: Path, target: Path) -> None:
    with tarfile.open(target, "w") as archive:
        archive.add(tree, ".")


def wheels() -> Path:
    """Return a folder with the wheels that the bridge runs with."""
    folder = CACHE / f"wheels-{hashlib.sha256(_RUN.read_bytes()).hexdigest()[:16]}"
    if not folder.exists():
        for old in CACHE.glob("wheels-*"):
            shutil.rmtree(old, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as made:
            download = ["download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            options = ["--only-binary", ":all:", "--require-hashes", "-r", str(_RUN)]
            _run(sys.executable, "-m", "pip", *download, "--dest", f"{made}/wheels", *options)
            Path(made, "wheels").rename(folder)
    return folder


def debian() -> Path:
    """Return the archive of a small Debian with Python, the base of an image that is built."""
    return _cached("debian", ".tar", _bootstrapped)


def _bootstrapped(target: Path) -> None:
    """Make it by debootstrap from where this machine takes its own packages."""
    sites = _run("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages")
    release = re.search(
        r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE
    )
    assert release
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        site = sites.splitlines()[0]
        packages = "--include=python3,python3-venv,ca-certificates"
        _run(DEBOOTSTRAP, "--variant=minbase", packages, release[1], str(tree), site)
        left_out = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "proc", "sys")
        for place in left_out:
            shutil.rmtree(tree / place, ignore_errors=True)
        _pack(tree, target)


def _cached(name: str, suffix: str, make: Callable[[Path], None], *sources: Path) -> Path:
    """Return a file of the cache; made where there is none that was made of the same sources."""
    parts = [sys.version.encode(), *(source.read_bytes() for source in sources)]
    key = hashlib.sha256(b"\n".join(parts)).hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    found = CACHE / f"{name}-{key}{suffix}"
    if not found.exists():
        for old in CACHE.glob(f"{name}-*{suffix}"):
            old.unlink(missing_ok=True)
        with tempfile.NamedTemporaryFile(dir=CACHE, suffix=suffix, delete=False) as file:
            made = Path(file.name)
        try:
            make(made)
            made.rename(found)
        finally:
            made.unlink(missing_ok=True)
    return found


class Registry:
    """A registry that the engine of a private swarm reaches, and nobody else.

    Args:
        folder: For its images and its log; made here.
    """

    ADDRESS = "127.0.0.1:5000"

    def __init__(self, swarm: PrivateSwarm, folder: Path) -> None:
        folder.mkdir()
        self._swarm = swarm
        config = folder / "config.yml"
        config.write_text(
            f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{self.ADDRESS}'}}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}/images}}}}\n"
        )
        command = [*swarm.in_own_network(), "docker-registry", "serve", str(config)]
        self._server = Server(command, folder / "log", {"PATH": os.environ["PATH"]})

    def push(self, image: str) -> str:
        """Push an image; returns its name by digest."""
        name = f"{self.ADDRESS}/{image.partition(':')[0]}"
        docker(self._swarm, "tag", image, f"{name}:pushed")
        self._server.wait_until(lambda: _pushed(self._swarm, f"{name}:pushed"))
        inspect = ("image", "inspect", "--format", "{{index .RepoDigests 0}}", f"{name}:pushed")
        return docker(self._swarm, *inspect).strip()

    def close(self) -> None:
        """Stop it."""
        self._server.kill()


def _pushed(swarm: PrivateSwarm, name: str) -> bool:
    try:
        docker(swarm, "push", name)
    except CommandFailed:
        return False
    return True


def docker(swarm: Engine, *arguments: str, **environ: str) -> str:
    """Run Docker's command line; returns what it printed."""
    return _run("docker", *arguments, DOCKER_HOST=swarm.host, DOCKER_BUILDKIT="0", **environ)


def _run(*command: str, **environ: str) -> str:
    done = subprocess.run(
        command, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CommandFailed(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return done.stdout
