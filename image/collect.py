"""Collects what the bridge needs to run, and nothing else, into the tree of an image.

``collect.py TREE PACKAGES...`` runs by the interpreter that the image is to have. It takes that
interpreter, the part of its standard library that a service needs, the packages in the folders
PACKAGES, and the shared libraries that any of them is linked with. There is no shell, no package
manager, no compiler and no test in what it makes.
"""

from __future__ import annotations

import compileall
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path

HOME = Path("/opt/vault-bridge")
USER = 65532

_LEFT_OUT = frozenset(
    (
        *("__pycache__", "bin", "dist-packages", "site-packages", "test", "tests"),
        *("distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "tkinter", "turtledemo"),
        *("lib-tk", "venv"),
    )
)
"""Folders of a standard library, and of packages, that a service never imports."""

_MODULES_LEFT_OUT = ("_tkinter.", "_test", "_ctypes_test.", "_curses", "_xx", "xxlimited")
"""What names of compiled modules begin with that need a screen, or are tests."""

_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_DPKG = Path("/var/lib/dpkg/status")
_ELF = b"\x7fELF"


class Tree:
    """The root of an image, as it grows."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._taken: set[Path] = set()

    def at(self, path: Path) -> Path:
        """Return where a path of the image is here."""
        return self.root / path.relative_to("/")

    def write(self, path: Path, text: str, mode: int = 0o644) -> None:
        """Write a file."""
        self._folder(path.parent)
        self.at(path).write_text(text)
        self.at(path).chmod(mode)

    def folder(self, path: Path, mode: int = 0o755) -> None:
        """Make a folder."""
        self._folder(path)
        self.at(path).chmod(mode)

    def add(self, path: Path) -> None:
        """Take a file of this machine with the libraries that it is linked with."""
        path = self._take(path)
        if _is_elf(path):
            for library in _libraries([path]):
                self._take(library)

    def add_folder(self, source: Path, target: Path) -> None:
        """Take a folder with all that is in it, and the libraries that any of it is linked with."""
        linked: list[Path] = []
        for folder, below, names in os.walk(source):
            below[:] = [name for name in below if not _is_left_out(name)]
            place = target / Path(folder).relative_to(source)
            self._folder(place)
            for name in names:
                path = Path(folder, name)
                if path.suffix in (".pyc", ".a", ".exe") or name.startswith(_MODULES_LEFT_OUT):
                    continue
                shutil.copyfile(path, self.at(place / name))
                self.at(place / name).chmod(0o755 if os.access(path, os.X_OK) else 0o644)
                if _is_elf(path):
                    linked.append(path)
        for library in _libraries(linked):
            # Libraries that a package brings lie beside those that need them.
            if not library.resolve().is_relative_to(source.resolve()):
                self._take(library)

    def taken(self) -> list[Path]:
        """Return the files of this machine that were taken by themselves."""
        return sorted(self._taken)

    def _take(self, path: Path) -> Path:
        """Copy a file, and every link on the way to it; returns its own place."""
        here = Path("/")
        for part in path.parts[1:]:
            here /= part
            if here.is_symlink():
                self._folder(here.parent)
                link = here.readlink()
                if not self.at(here).is_symlink():
                    self.at(here).symlink_to(link)
                rest = path.relative_to(here)
                return self._take(Path(os.path.normpath(here.parent / link)) / rest)
        if here not in self._taken:
            self._taken.add(here)
            self._folder(here.parent)
            shutil.copyfile(here, self.at(here))
            self.at(here).chmod(0o755 if os.access(here, os.X_OK) else 0o644)
        return here

    def _folder(self, path: Path) -> None:
        self.at(path).mkdir(mode=0o755, parents=True, exist_ok=True)


def _is_left_out(name: str) -> bool:
    return name in _LEFT_OUT or name.startswith("config-")


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_ELF)) == _ELF


def _libraries(paths: Sequence[Path]) -> Iterable[Path]:
    """Return all libraries that programs and libraries are linked with, and their loader."""
    if not paths:
        return ()
    command = ["ldd", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if missing := re.findall(r"^\s+(\S+) => not found", done.stdout, re.MULTILINE):
        raise FileNotFoundError(f"there are no such libraries: {', '.join(set(missing))}")
    found = re.findall(r"(?:=> |^\s+)(/\S+) \(0x", done.stdout, re.MULTILINE)
    return map(Path, dict.fromkeys(found))


def collect(tree: Tree, packages: list[Path]) -> None:
    """Put the interpreter, its library, the packages and their libraries into a tree."""
    interpreter = Path(sys.executable).resolve()
    tree.add(interpreter)
    library = Path(sysconfig.get_path("stdlib"))
    tree.add_folder(library, library)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for each in packages:
        tree.add_folder(each, HOME / "lib" / version / "site-packages")
    tree.folder(HOME / "bin")
    tree.at(HOME / "bin/python").symlink_to(interpreter)
    tree.write(
        HOME / "bin/vault-bridge",
        f"#!{HOME}/bin/python -I\nfrom bridge.cli import main\nmain()\n",
        0o755,
    )
    home = f"home = {interpreter.parent}\ninclude-system-site-packages = false\n"
    tree.write(HOME / "pyvenv.cfg", home)
    for folder in (library, HOME):
        compileall.compile_dir(
            tree.at(folder),
            quiet=2,
            stripdir=str(tree.root),
            prependdir="/",
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def surround(tree: Tree) -> None:
    """Put what a C library looks for around it: users, certificates, the libraries' cache."""
    tree.write(
        Path("/etc/passwd"),
        f"root:x:0:0:root:/:/none\nbridge:x:{USER}:{USER}:vault-bridge:/:/none\n",
    )
    tree.write(Path("/etc/group"), f"root:x:0:\nbridge:x:{USER}:\n")
    tree.write(Path("/etc/nsswitch.conf"), "hosts: files dns\n")
    for path in (_CERTIFICATES, Path("/etc/ld.so.cache"), Path("/etc/os-release")):
        if path.exists():
            tree.add(path)
    tree.folder(Path("/tmp"), 0o1777)  # noqa: S108 - empty, and read-only where the root is
    tree.folder(Path("/etc/vault-bridge"))
    tree.folder(Path("/run/secrets"))


def note_packages(tree: Tree) -> None:
    """Keep what Debian's database says of the packages that files come from, for scanners."""
    if not _DPKG.exists():
        return
    # With merged folders a package may still name its files by the former path.
    names = [name for path in tree.taken() for name in (path, Path("/", *path.parts[2:]))]
    query = ["dpkg-query", "--search", *map(str, names)]
    done = subprocess.run(query, capture_output=True, text=True, check=False)  # noqa: S603
    owners = {line.partition(":")[0] for line in done.stdout.splitlines() if ": /" in line}
    known = _DPKG.read_text().split("\n\n")
    kept = [one for one in known if (m := re.match(r"Package: (\S+)", one)) and m[1] in owners]
    tree.write(_DPKG, "\n\n".join(kept) + "\n" * bool(kept))


def main(root: str, *packages: str) -> None:
    """Make the tree; it must not exist."""
    tree = Tree(Path(root))
    tree.root.mkdir(mode=0o755)
    collect(tree, [Path(each) for each in packages])
    surround(tree)
    note_packages(tree)


if __name__ == "__main__":
    main(*sys.argv[1:])
