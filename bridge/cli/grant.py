"""What `init --apply` writes: into Vault, and the bridge's own credential where it reads it.

The credential is an AppRole's. It goes into files that only their owner reads, or into Docker
secrets, and is never printed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from bridge.cli.written_whole import is_there, put
from bridge.errors import BridgeError, Exit

if TYPE_CHECKING:
    from bridge.config import Configuration
    from bridge.report.vault_writes import VaultWrite
    from bridge.servers.swarm import Swarm
    from bridge.servers.vault.admin import Admin

PRIVATE = 0o600
ROLE_ID, SECRET_ID, CA = "role_id", "secret_id", "ca"


class Differs(BridgeError):
    """Vault has something else under a name that is to be written; nothing was written."""

    exit_code = Exit.HELD


class Place(Protocol):
    """Where the bridge's own credential goes."""

    def has(self, what: str) -> bool:
        """Return whether something is there already."""

    def holds(self, what: str, data: bytes) -> bool:
        """Return whether it is this; False where that cannot be known."""

    def put(self, what: str, data: bytes) -> None:
        """Write it. Raises ``BridgeError``."""

    def name(self, what: str) -> str:
        """Return what to call it."""


@dataclass(frozen=True, slots=True)
class Files:
    """Files that only their owner reads."""

    paths: dict[str, Path]

    def has(self, what: str) -> bool:
        """Return whether something is there already."""
        return os.path.lexists(self.paths[what])

    def holds(self, what: str, data: bytes) -> bool:
        """Return whether it is this."""
        return is_there(self.paths[what], data)

    def put(self, what: str, data: bytes) -> None:
        """Write it."""
        put(self.paths[what], data, PRIVATE)

    def name(self, what: str) -> str:
        """Return what to call it."""
        return f"file {self.paths[what]}"


class DockerSecrets:
    """Docker secrets, which nobody can read back; one that is there stays as it is."""

    def __init__(self, swarm: Swarm, names: dict[str, str]) -> None:
        self._swarm = swarm
        self._names = names
        self._there = {secret["Spec"]["Name"] for secret in swarm.secrets()}

    def has(self, what: str) -> bool:
        """Return whether something is there already."""
        return self._names[what] in self._there

    def holds(self, what: str, data: bytes) -> bool:
        """Return whether it is there: what it holds is taken to be this."""
        del data
        return self.has(what)

    def put(self, what: str, data: bytes) -> None:
        """Create it."""
        from bridge.model.content.payload import Concealed

        self._swarm.create_secret(self._names[what], Concealed(data), {})

    def name(self, what: str) -> str:
        """Return what to call it."""
        return f"Docker secret {self._names[what]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """All that is to be written.

    Attributes:
        new: What Vault does not have yet.
        other: What it has otherwise, with the fields that differ.
        same: What it has as it is wanted.
        role: API path of the AppRole; empty for another method of login.
        missing: The parts of the credential that are to be written.
    """

    admin: Admin = field(repr=False)
    place: Place
    new: tuple[VaultWrite, ...]
    other: tuple[tuple[VaultWrite, tuple[str, ...]], ...]
    same: tuple[VaultWrite, ...]
    role: str
    missing: tuple[str, ...]
    ca: bytes

    def lines(self) -> Iterator[str]:
        """Show what is written, line by line; no value is in it."""
        for write in self.new:
            yield f"Vault: {write.path}: new"
        for write, fields in self.other:
            yield f"Vault: {write.path}: another {', '.join(fields)}"
        for write in self.same:
            yield f"Vault: {write.path}: is there as it is wanted"
        parts = (*((ROLE_ID, SECRET_ID) if self.role else ()), *((CA,) if self.ca else ()))
        for what in parts:
            new = "new" if what in self.missing else "is there, and stays"
            yield f"{self.place.name(what)}: {new}"

    @property
    def writes_something(self) -> bool:
        """Whether anything is left to write."""
        return bool(self.new or self.other or self.missing)

    def carry_out(self, tell: Callable[[str], None]) -> None:
        """Write it all, each part by itself: a second run goes on where this one ended.

        Raises ``VaultError``, ``SwarmError`` and ``click.UsageError``, none with a value.
        """
        for write in (*self.new, *(write for write, _ in self.other)):
            self.admin.write(write.path, dict(write.fields))
            tell(f"Vault: {write.path}: written")
        if CA in self.missing:
            self.place.put(CA, self.ca)
            tell(f"{self.place.name(CA)}: written")
        if ROLE_ID in self.missing:
            self.place.put(ROLE_ID, self.admin.role_id(self.role).encode())
            tell(f"{self.place.name(ROLE_ID)}: written")
        if SECRET_ID in self.missing:
            self._put_secret_id()
            tell(f"{self.place.name(SECRET_ID)}: written")

    def _put_secret_id(self) -> None:
        made = self.admin.new_secret_id(self.role)
        try:
            self.place.put(SECRET_ID, made.value.reveal())
        except BaseException:
            self.admin.end_secret_id(self.role, made)  # nobody has it, and it would not end
            raise


@contextmanager
def open_grant(
    configuration: Configuration, token: str, place: Place, ca: str, *, force: bool
) -> Iterator[Grant]:
    """Look at what Vault has, and yield what is to be written.

    Args:
        ca: File on this machine with Vault's private CA; empty where there is none.
        force: Whether what Vault has otherwise is to be overwritten.

    Raises:
        Differs: Vault has it otherwise, or a credential that is there is of another role.
        VaultError: Vault gives no usable answer, or does not allow it.
    """
    from bridge.model.settings import AppRole
    from bridge.report.policy import app_role_path, writes
    from bridge.servers.vault.admin import Admin

    vault = configuration.settings.vault
    role = app_role_path(vault.auth) if isinstance(vault.auth, AppRole) else ""
    with closing(Admin(replace(vault, ca_file=ca), token)) as admin:
        wanted = writes(configuration.desired, vault)
        new, known = _compared(admin, wanted)
        missing = _missing(admin, role, place, force=force) if role else ()
        data = b""
        if isinstance(place, DockerSecrets) and ca:
            data = _bytes_of(ca)
            missing += () if place.has(CA) else (CA,)
        grant = Grant(
            admin=admin,
            place=place,
            new=new,
            other=tuple((write, fields) for write, fields in known if fields),
            same=tuple(write for write, fields in known if not fields),
            role=role,
            missing=missing,
            ca=data,
        )
        if grant.other and not force:
            raise Differs(
                "Vault has it otherwise: "
                + "; ".join(f"{write.path} ({', '.join(f)})" for write, f in grant.other),
                hint="another bridge may use it; overwrite it with --force. Nothing is written",
            )
        yield grant


def _compared(
    admin: Admin, wanted: tuple[VaultWrite, ...]
) -> tuple[tuple[VaultWrite, ...], list[tuple[VaultWrite, tuple[str, ...]]]]:
    """Return what Vault does not have, and the rest with the fields that it has otherwise."""
    found = [(write, admin.find(write.path)) for write in wanted]
    known = [(write, write.differing(has)) for write, has in found if has is not None]
    return tuple(write for write, has in found if has is None), known


def _bytes_of(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise click.UsageError(f"{file}: cannot be read ({error.strerror})") from None


def _missing(admin: Admin, role: str, place: Place, *, force: bool) -> tuple[str, ...]:
    """Return which parts of the credential are to be written."""
    role_id = admin.role_id(role)
    if role_id and place.holds(ROLE_ID, role_id.encode()):
        return () if place.has(SECRET_ID) else (SECRET_ID,)
    there = [place.name(what) for what in (ROLE_ID, SECRET_ID) if place.has(what)]
    if there and not force:
        raise Differs(
            f"{', '.join(there)}: there already, and not of this role in Vault",
            hint="remove it, or overwrite a file with --force. Nothing is written",
        )
    return ROLE_ID, SECRET_ID


def token_of(file: str, variable: str) -> str:
    """Return the administrator's token. Raises ``click.UsageError``, without a byte of it."""
    if bool(file) == bool(variable):
        raise click.UsageError(
            "--apply needs an administrator's token: --admin-token-file FILE, or"
            " --admin-token-env VAULT_TOKEN"
        )
    try:
        text = Path(file).read_text().strip() if file else os.environ.get(variable, "").strip()
    except (OSError, UnicodeDecodeError):
        raise click.UsageError(f"{file}: cannot be read") from None
    if not text or not all("!" <= letter <= "~" for letter in text):
        raise click.UsageError(f"{file or f'${variable}'} holds no token")
    return text
